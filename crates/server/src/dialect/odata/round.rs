//! Pages of a round: the first round of a query, the difference between two snapshots, and answers that are not tracked.
//!
//! What must hold: a page carries a next link or a delta link, never both (requirement 6), and the decision to track, taken on the
//! first page, carries through the whole chain (requirement 5). Everything that a link says comes from the request and from
//! where the round stands, so the same page carries the same link.

use std::sync::Arc;

use highwater_core::link::{Dialect, Position};
use highwater_core::store::{ChangesParams, PageLimit, ReadParams};
use highwater_core::{Cursor, Epoch, Link, RowSink, Snapshot, Tracking};
use highwater_odata::payload::{PageEnd, Plan, PlanParams, Root, Target};
use highwater_odata::url::ast::QueryOptions;

use super::Exchange;
use super::nested::nested_links;
use super::page::{Counter, NestedLinks, PageSink};
use crate::bind::{self, BoundQuery, Purpose};
use crate::failure::Halt;
use crate::http::accept::JsonFormat;
use crate::http::answer::{Answer, Caching};
use crate::http::error::{ApiError, Code};
use crate::http::prefer::Applied;
use crate::links::{self, Kind, Life};
use crate::model::CollectionKind;

/// A round and how its pages are written.
pub(super) struct Round<'a> {
    pub(super) x: &'a Exchange<'a>,
    /// The query, with the options below bound.
    pub(super) bound: BoundQuery,
    /// The options that define the round: of the request, or of the link.
    pub(super) options: &'a QueryOptions,
    /// Whether only ids are wanted.
    pub(super) references: bool,
    pub(super) format: JsonFormat,
    /// The database that the round is of, asked for before anything was read: a link must never say that a state belongs to a database
    /// that took the place of the one that it was read from.
    pub(super) epoch: Epoch,
    /// The skip link that led here, if one did. Its page must be the same on every node and at any time, so the links on it are sealed
    /// with its key, whichever is the current one meanwhile.
    pub(super) continues: Option<&'a str>,
    /// Of all links of the round.
    pub(super) life: Life,
    /// Whether the last page carries a delta link.
    pub(super) track: bool,
    /// Rows a page, if the client asked for a number now or before.
    pub(super) page_size: Option<u32>,
    /// Of everything besides the request that decides what is shown.
    pub(super) scope: u64,
    /// What the answer says about the preferences of the request.
    pub(super) applied: Applied,
}

/// How far a first round (or an answer that is not tracked) has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// The snapshot fixed by the first page; `None` on the first page and without tracking.
    pub(super) hi: Option<Snapshot>,
    /// Where the page before ended.
    pub(super) after: Option<Cursor>,
    /// How many rows the pages before had.
    pub(super) shown: u64,
}

/// How far a later round has come.
#[derive(Debug)]
pub(super) struct Later {
    /// The snapshot that the client has.
    pub(super) lo: Snapshot,
    /// The snapshot fixed by the first page and where the page before ended.
    pub(super) progress: Option<(Snapshot, Cursor)>,
}

impl Round<'_> {
    /// A page of a first round, or of an answer that is not tracked.
    pub(super) async fn read(mut self, progress: Progress) -> Result<Answer, Halt> {
        if self.track {
            self.identify_by_key();
        }
        let is_first = progress.after.is_none();
        let query = &mut self.bound.query;
        if !is_first {
            // Already left out, counted and shown by the pages before.
            query.skip = 0;
            query.count = false;
            query.top = query.top.map(|top| top.saturating_sub(progress.shown));
        }
        let root = match self.references {
            true => Root::References,
            false => Root::Collection,
        };
        let sink = self.sink(root);
        let params = ReadParams {
            catalog: self.x.model.catalog().clone(),
            query: Arc::new(self.bound.query.clone()),
            hi: progress.hi,
            after: progress.after,
            limit: self.limit(),
        };
        let result = self.x.core.store.read(params, sink).await?;
        let page = PageSink::from_store(result.sink);
        let end = match (result.next, result.hi) {
            (Some(after), hi) => {
                let shown = progress.shown + page.items();
                let position = Position::Read { hi, after, shown };
                End::Next(self.link(Purpose::Paging, position).await?)
            }
            (None, Some(lo)) if self.track => {
                let position = Position::Delta { lo };
                End::Delta(self.link(Purpose::Tracking, position).await?)
            }
            (None, _) => End::Complete,
        };
        // Only pages of a snapshot stay as they are.
        let caching = match is_first || !self.is_tracked() {
            true => Caching::NoCache,
            false => self.immutable(),
        };
        Ok(self.answer(page.finish(end.as_page_end()), caching))
    }

    /// A page of the difference between two snapshots.
    pub(super) async fn changes(mut self, later: Later) -> Result<Answer, Halt> {
        self.identify_by_key();
        let sink = self.sink(Root::Delta);
        if later.progress.is_none() && self.is_unchanged(&later.lo) {
            return self.nothing_new(later.lo, sink).await;
        }
        let is_first = later.progress.is_none();
        let (hi, after) = later.progress.unzip();
        let params = ChangesParams {
            catalog: self.x.model.catalog().clone(),
            query: Arc::new(self.bound.query.clone()),
            lo: later.lo.clone(),
            hi,
            after,
            limit: self.limit(),
        };
        let result = self.x.core.store.changes(params, sink).await?;
        let page = PageSink::from_store(result.sink);
        let end = match result.next {
            Some(after) => {
                let position = Position::Changes {
                    lo: later.lo,
                    hi: result.hi,
                    after,
                };
                End::Next(self.link(Purpose::Tracking, position).await?)
            }
            // Requirement 20: always a new delta link, whether the client asked for it or not.
            None => {
                let position = Position::Delta { lo: result.hi };
                End::Delta(self.link(Purpose::Tracking, position).await?)
            }
        };
        let caching = match is_first {
            true => Caching::NoCache,
            false => self.immutable(),
        };
        Ok(self.answer(page.finish(end.as_page_end()), caching))
    }

    /// How many changes there are (requirement 28).
    pub(super) async fn count_changes(&self, lo: Snapshot) -> Result<u64, Halt> {
        if self.is_unchanged(&lo) {
            return Ok(0);
        }
        let mut counter: Box<dyn RowSink> = Box::<Counter>::default();
        let mut progress: Option<(Snapshot, Cursor)> = None;
        loop {
            let (hi, after) = progress.unzip();
            let params = ChangesParams {
                catalog: self.x.model.catalog().clone(),
                query: Arc::new(self.bound.query.clone()),
                lo: lo.clone(),
                hi,
                after,
                limit: PageLimit {
                    rows: u64::from(self.x.core.settings.page_size_max_rows.max(1)),
                    bytes: usize::MAX,
                },
            };
            let result = self.x.core.store.changes(params, counter).await?;
            counter = result.sink;
            match result.next {
                Some(after) => progress = Some((result.hi, after)),
                None => return Ok(Counter::from_store(counter).items),
            }
        }
    }

    /// The answer to a poll when nothing was written since: made here and now, without the store's threads.
    async fn nothing_new(&self, lo: Snapshot, mut sink: Box<dyn RowSink>) -> Result<Answer, Halt> {
        sink.begin(None);
        let page = PageSink::from_store(sink);
        let position = Position::Delta { lo: lo.clone() };
        let end = End::Delta(self.link(Purpose::Tracking, position).await?);
        let answer = self.answer(page.finish(end.as_page_end()), Caching::NoCache);
        let x = self.x;
        let table = self.bound.query.table;
        x.core.polls.keep(x.request, x.model, table, lo, &answer);
        Ok(answer)
    }

    /// Shows what a follower needs of each entity, in the first round as in the later ones: the key, by which removed entities are
    /// named (requirement 50), and no entity tag if it sees a part of the entity only: the tag would change with properties of
    /// which it gets no changes.
    fn identify_by_key(&mut self) {
        let model = self.x.model;
        let CollectionKind::EntitySet(set) = model.collection(self.bound.collection).kind else {
            return;
        };
        let ty = model.edm().set_type(set);
        let shown = &mut self.bound.shape.properties;
        if shown.len() < ty.properties().len() {
            self.bound.query.etag = false;
        }
        shown.extend(ty.key());
        shown.sort_unstable();
        shown.dedup();
    }

    fn is_unchanged(&self, lo: &Snapshot) -> bool {
        let catalog = self.x.model.catalog();
        let table = self.bound.query.table;
        self.x.core.store.unchanged_since(catalog, table, lo) == Some(true)
    }

    fn answer(&self, body: Vec<u8>, caching: Caching) -> Answer {
        Answer::ok(&self.format.content_type(), body)
            .applied(&self.applied)
            .caching(caching)
    }

    fn immutable(&self) -> Caching {
        Caching::Immutable {
            left_s: self.life.left_s(self.x.request.now_unix_s),
        }
    }

    fn sink(&self, root: Root) -> Box<dyn RowSink> {
        let plan = plan(self.x, &self.bound, root, self.format);
        let links = match self.bound.query.expand.is_empty() {
            true => NestedLinks::default(),
            false => nested_links(self.x, &self.bound, self.options),
        };
        Box::new(PageSink::new(Arc::new(plan), Arc::new(links)))
    }

    fn limit(&self) -> PageLimit {
        let settings = &self.x.core.settings;
        PageLimit {
            rows: rows_a_page(self.x, self.page_size),
            bytes: settings.limits.page_max_bytes,
        }
    }

    fn incarnation(&self) -> u64 {
        incarnation(self.x, self.bound.collection)
    }

    fn is_tracked(&self) -> bool {
        self.x.model.table(self.bound.collection).is_tracked()
    }

    /// The URL of a link of this round.
    async fn link(&self, purpose: Purpose, position: Position) -> Result<String, Halt> {
        let x = self.x;
        let kind = match &position {
            Position::Read { .. } | Position::Changes { .. } => Kind::Skip,
            Position::Delta { .. } => Kind::Delta,
        };
        let link = Link {
            dialect: Dialect::OData,
            epoch: self.epoch,
            incarnation: self.incarnation(),
            scope: self.scope,
            path: x.request.path.clone(),
            options: bind::canonical(&x.request.path, self.options, purpose),
            page_size: self.page_size,
            track: self.track,
            position,
            issued_h: self.life.issued_h,
            expires_h: self.life.expires_h,
        };
        let keys = x.core.store.key_ring(false).await?;
        let sealed = match self.continues {
            Some(skip_link) => link.seal_like(skip_link, &keys),
            None => link.seal(&keys),
        };
        // A later round can be read in another format (Protocol 11.3.2), the rest of this one cannot.
        let format_option = match kind {
            Kind::Skip => x.request.url.options.format.as_deref(),
            Kind::Delta => None,
        };
        let url = links::link_url(
            &x.request.root,
            &x.request.path,
            format_option,
            kind.option(),
            &sealed,
        );
        if url.len() > links::URL_MAX_BYTES {
            return Err(ApiError::new(
                Code::ExpressionTooComplex,
                "The query is too long to be continued with a link. Shorten it, or ask for fewer rows with $top.",
            )
            .into());
        }
        Ok(url)
    }
}

/// [`PageEnd`] with the link that it borrows.
enum End {
    Complete,
    Next(String),
    Delta(String),
}

impl End {
    fn as_page_end(&self) -> PageEnd<'_> {
        match self {
            End::Complete => PageEnd::Complete,
            End::Next(url) => PageEnd::Next(url),
            End::Delta(url) => PageEnd::Delta(url),
        }
    }
}

/// Which tracking a set has; 0 if none.
pub(super) fn incarnation(x: &Exchange<'_>, collection: usize) -> u64 {
    match x.model.table(collection).tracking {
        Tracking::Tracked { incarnation } => incarnation,
        Tracking::Paused { .. } | Tracking::Untracked { .. } => 0,
    }
}

/// Whether links of this tracking of a set may be answered again later.
pub(super) fn is_paused(x: &Exchange<'_>, collection: usize, incarnation: u64) -> bool {
    matches!(x.model.table(collection).tracking, Tracking::Paused { incarnation: paused, .. } if paused == incarnation)
}

/// Rows a page, with what the client prefers.
pub(super) fn rows_a_page(x: &Exchange<'_>, preferred: Option<u32>) -> u64 {
    let settings = &x.core.settings;
    let rows = preferred
        .unwrap_or(settings.page_size_rows)
        .min(settings.page_size_max_rows);
    u64::from(rows.max(1))
}

/// How the rows of a query are written.
pub(super) fn plan(x: &Exchange<'_>, bound: &BoundQuery, root: Root, format: JsonFormat) -> Plan {
    let model = x.model.edm();
    let urls = x.urls();
    let name = x.model.name(bound.collection);
    let (target, context) = match x.model.collection(bound.collection).kind {
        CollectionKind::EntitySet(set) => {
            let context = match root {
                Root::Collection => urls.collection(name, &bound.select),
                Root::Delta => urls.delta(name, &bound.select),
                Root::Entity => urls.entity(name, &bound.select),
                Root::References => urls.references(),
                Root::Reference => urls.reference(),
            };
            (Target::EntitySet(set), context)
        }
        CollectionKind::Function(function) => {
            let ty = model.function_type(function);
            let context = urls.rows(model, ty, &bound.select);
            (Target::FunctionImport(function), context)
        }
    };
    Plan::new(PlanParams {
        model,
        target,
        root,
        shape: &bound.shape,
        format: format.payload,
        context: &context,
        omit_nulls: x.omits_nulls() && root != Root::Delta,
    })
}
