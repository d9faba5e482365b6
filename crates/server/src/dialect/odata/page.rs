//! Rows from the store to the bytes of a page, without anything in between.

use std::any::Any;
use std::fmt::Write as _;
use std::sync::Arc;

use highwater_core::{RemovedReason, Row, RowSink};
use highwater_odata::payload::{self, PageEnd, PageWriter, Plan};
use highwater_odata::{Value, ValueRef};

/// What the next links of nested collections are made of.
#[derive(Debug, Default)]
pub(crate) struct NestedLinks {
    /// With a slash at its end.
    pub(crate) root: String,
    /// By position in the query's `expand`.
    pub(crate) expansions: Vec<NestedLink>,
}

/// What the next links of one expanded navigation property are made of.
#[derive(Debug, Default)]
pub(crate) struct NestedLink {
    /// The name of the navigation property as a path segment.
    pub(crate) segment: String,
    /// The nested options without `$skip` and `$top`, encoded and each with `&` behind it.
    pub(crate) options: String,
    /// `$skip` of the client.
    pub(crate) skip: u64,
    /// `$top` of the client.
    pub(crate) top: Option<u64>,
    /// Of the expansions inside.
    pub(crate) expansions: Vec<NestedLink>,
}

/// Writes a page.
pub(crate) struct PageSink {
    writer: PageWriter,
    /// Entities of the answer itself, removed ones included.
    items: u64,
    first_etag: Option<u64>,
    links: Arc<NestedLinks>,
    /// Positions of the expansions that are open, outermost first.
    open: Vec<usize>,
}

impl PageSink {
    pub(crate) fn new(plan: Arc<Plan>, links: Arc<NestedLinks>) -> PageSink {
        PageSink {
            writer: PageWriter::new(plan),
            items: 0,
            first_etag: None,
            links,
            open: Vec::new(),
        }
    }

    /// Gets back what was given to the store.
    pub(crate) fn from_store(sink: Box<dyn RowSink>) -> PageSink {
        downcast(sink)
    }

    /// Entities written, removed ones included.
    pub(crate) fn items(&self) -> u64 {
        self.items
    }

    /// The entity tag of the first entity, if the query asked for it.
    pub(crate) fn first_etag(&self) -> Option<u64> {
        self.first_etag
    }

    /// Closes the page.
    pub(crate) fn finish(self, end: PageEnd<'_>) -> Vec<u8> {
        self.writer.finish(end)
    }

    /// The URL of the related entities that did not fit. `passed` are those that were skipped or shown.
    fn next_link(&self, passed: u64) -> Option<String> {
        let mut expansions = &self.links.expansions;
        let mut link = None;
        for &position in &self.open {
            link = expansions.get(position);
            expansions = &link?.expansions;
        }
        let link = link?;
        let id = self.writer.open_entity_id()?;
        let mut url = format!(
            "{}{id}/{}?{}$skip={passed}",
            self.links.root, link.segment, link.options
        );
        if let Some(top) = link.top {
            let shown = passed.saturating_sub(link.skip);
            let _ = write!(url, "&$top={}", top.saturating_sub(shown));
        }
        Some(url)
    }
}

impl RowSink for PageSink {
    fn begin(&mut self, count: Option<u64>) {
        self.writer.begin(count);
    }

    fn entity(&mut self, row: &Row<'_>) {
        if self.open.is_empty() {
            if self.items == 0 {
                self.first_etag = row.etag;
            }
            self.items += 1;
        }
        self.writer.entity(row.values, row.etag);
    }

    fn begin_expand(&mut self, expansion: usize, count: Option<u64>) {
        self.open.push(expansion);
        self.writer.begin_expand(expansion, count);
    }

    fn end_expand(&mut self, expansion: usize, more: Option<u64>) {
        let next = more.and_then(|passed| self.next_link(passed));
        self.open.pop();
        self.writer.end_expand(expansion, next.as_deref());
    }

    fn end_entity(&mut self) {
        self.writer.end_entity();
    }

    fn removed(&mut self, row: &Row<'_>, reason: RemovedReason) {
        self.items += 1;
        let reason = match reason {
            RemovedReason::Changed => payload::RemovedReason::Changed,
            RemovedReason::Deleted => payload::RemovedReason::Deleted,
        };
        self.writer.removed(row.values, reason);
    }

    fn bytes(&self) -> usize {
        self.writer.len()
    }
}

/// Keeps the first row: for properties, raw values and look-ups.
#[derive(Debug, Default)]
pub(crate) struct RowCatcher {
    pub(crate) values: Option<Vec<Value>>,
    pub(crate) etag: Option<u64>,
    pub(crate) count: Option<u64>,
}

impl RowCatcher {
    /// Gets back what was given to the store.
    pub(crate) fn from_store(sink: Box<dyn RowSink>) -> RowCatcher {
        downcast(sink)
    }
}

impl RowSink for RowCatcher {
    fn begin(&mut self, count: Option<u64>) {
        self.count = count;
    }

    fn entity(&mut self, row: &Row<'_>) {
        if self.values.is_none() {
            self.values = Some(row.values.iter().map(ValueRef::to_owned).collect());
            self.etag = row.etag;
        }
    }

    fn begin_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_entity(&mut self) {}

    fn removed(&mut self, _: &Row<'_>, _: RemovedReason) {}

    fn bytes(&self) -> usize {
        0
    }
}

/// Counts changes and keeps nothing, for `/$count` on a delta link (requirement 28).
#[derive(Debug, Default)]
pub(crate) struct Counter {
    pub(crate) items: u64,
}

impl Counter {
    /// Gets back what was given to the store.
    pub(crate) fn from_store(sink: Box<dyn RowSink>) -> Counter {
        downcast(sink)
    }
}

impl RowSink for Counter {
    fn begin(&mut self, _: Option<u64>) {}

    fn entity(&mut self, _: &Row<'_>) {
        self.items += 1;
    }

    fn begin_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_entity(&mut self) {}

    fn removed(&mut self, _: &Row<'_>, _: RemovedReason) {
        self.items += 1;
    }

    fn bytes(&self) -> usize {
        0
    }
}

fn downcast<T: RowSink>(sink: Box<dyn RowSink>) -> T {
    let sink: Box<dyn Any> = sink;
    *sink
        .downcast()
        .expect("a store gives back the sink that it was given")
}
