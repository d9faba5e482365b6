//! The writer of pages: rows in, bytes out (JSON Format 4.5, 6 to 8, 12 to 15).
//!
//! What must hold: control information comes in streaming order (context, type, id, etag, before any property), always, because
//! it costs nothing and spares clients that stream a second pass (JSON Format 4.4).
//!
//! Every member and every item is written with a comma behind it, and the closing bracket overwrites the last one. That
//! saves the question whether something is the first of its kind, which would be asked for each value of each row.

use std::sync::Arc;

use super::etag::ETag;
use super::format::MetadataLevel;
use super::plan::{Column, ExpandMode, Links, Node, Plan, Root, write_control};
use super::text::{close, write_string};
use crate::{PrimitiveType, ValueRef, Version};

/// Room to begin with: most pages are larger than the first few doublings of an empty buffer.
const INITIAL_CAPACITY_BYTES: usize = 4096;

/// Writes one payload.
///
/// The calls nest: `begin (entity (begin_expand entity… end_expand)* end_entity | removed)* finish`. A row holds its values at the
/// positions that [`crate::edm::Property::source`] names.
///
/// # Panics
///
/// If the calls do not nest, or a row is too short.
#[derive(Debug)]
pub struct PageWriter {
    plan: Arc<Plan>,
    out: Vec<u8>,
    /// What is open, outermost first.
    open: Vec<Open>,
}

#[derive(Debug)]
enum Open {
    Entity {
        node: usize,
        /// Only where somebody may ask for it.
        id: Vec<u8>,
    },
    Expansion {
        /// The node of the related entities.
        node: usize,
        /// Where the content begins; a single entity that is still missing there at the end is `null`.
        content: usize,
    },
}

/// Why an entity is not in the answer any more (JSON Format 15.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedReason {
    /// It exists but no longer matches.
    Changed,
    /// It does not exist any more.
    Deleted,
}

/// How a page ends. A page never has both links (Protocol 11.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEnd<'a> {
    /// There is nothing more.
    Complete,
    /// URL of the next page.
    Next(&'a str),
    /// URL of the changes that follow.
    Delta(&'a str),
}

impl PageWriter {
    /// An empty payload.
    pub fn new(plan: Arc<Plan>) -> PageWriter {
        PageWriter {
            plan,
            out: Vec::with_capacity(INITIAL_CAPACITY_BYTES),
            open: Vec::new(),
        }
    }

    /// How many bytes are written.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Opens the payload. `count` is the number of all matching entities, if it was asked for.
    pub fn begin(&mut self, count: Option<u64>) {
        self.out.extend_from_slice(&self.plan.opening);
        if let Some(count) = count {
            write_control(&mut self.out, self.plan.prefix, "count");
            self.plan.encoding.write_count(&mut self.out, count);
            self.out.push(b',');
        }
        if self.plan.is_collection() {
            self.out.extend_from_slice(b"\"value\":[");
        }
    }

    /// Begins an entity of the payload, or of the expansion that is open.
    pub fn entity(&mut self, values: &[ValueRef<'_>], etag: Option<u64>) {
        let node_position = match self.open.last() {
            None => 0,
            Some(Open::Expansion { node, .. }) => *node,
            Some(Open::Entity { .. }) => panic!("an entity begins inside another one"),
        };
        let plan = &*self.plan;
        let node = &plan.nodes[node_position];
        let out = &mut self.out;
        // The opening of a payload that is one entity has already opened it.
        if !self.open.is_empty() || plan.is_collection() {
            out.push(b'{');
        }
        if node.reference {
            write_id(out, plan, node, values);
        } else {
            write_head(out, plan, node, values, etag);
            for column in &node.columns {
                plan.write_column(out, column, values[column.source]);
            }
        }
        let mut id = Vec::new();
        let id_asked = !node.expansions.is_empty() || !node.links.is_empty();
        if let (Some(template), true) = (&node.id, id_asked) {
            template.write_row(&mut id, values);
        }
        for links in &node.links {
            links.write(out, &id);
        }
        self.open.push(Open::Entity {
            node: node_position,
            id,
        });
    }

    /// The id of the innermost open entity if it has expansions, to make links of them. Relative to the service root.
    pub fn open_entity_id(&self) -> Option<&str> {
        let ids = self.open.iter().rev().filter_map(|open| match open {
            Open::Entity { id, .. } => std::str::from_utf8(id).ok(),
            Open::Expansion { .. } => None,
        });
        ids.into_iter().next()
    }

    /// Begins the related entities of the open entity: `expansion` is a position in [`super::Shape::expand`]. `count` is the number
    /// of all matching ones, if it was asked for.
    pub fn begin_expand(&mut self, expansion: usize, count: Option<u64>) {
        let Some(Open::Entity { node, id }) = self.open.last() else {
            panic!("an expansion begins outside an entity");
        };
        let plan = &*self.plan;
        let expansion = &plan.nodes[*node].expansions[expansion];
        let out = &mut self.out;
        if let Some(links) = &expansion.links {
            links.write(out, id);
        }
        if let Some(count) = count {
            out.extend_from_slice(&expansion.count);
            plan.encoding.write_count(out, count);
            out.push(b',');
        }
        if expansion.mode != ExpandMode::Count {
            out.extend_from_slice(&expansion.member);
            if expansion.collection {
                out.push(b'[');
            }
        }
        let node = expansion.node;
        let content = out.len();
        self.open.push(Open::Expansion { node, content });
    }

    /// Ends the related entities. `next` is the URL of those that did not fit.
    pub fn end_expand(&mut self, expansion: usize, next: Option<&str>) {
        let Some(Open::Expansion { content, .. }) = self.open.pop() else {
            panic!("an expansion ends that did not begin");
        };
        let Some(Open::Entity { node, .. }) = self.open.last() else {
            panic!("an expansion is always inside an entity");
        };
        let expansion = &self.plan.nodes[*node].expansions[expansion];
        let out = &mut self.out;
        if expansion.mode == ExpandMode::Count {
            return;
        }
        if expansion.collection {
            close(out, b']');
            out.push(b',');
            if let Some(next) = next {
                out.extend_from_slice(&expansion.next);
                write_string(out, next);
                out.push(b',');
            }
        } else if out.len() == content {
            out.extend_from_slice(b"null,");
        }
    }

    /// Ends an entity.
    pub fn end_entity(&mut self) {
        let Some(Open::Entity { .. }) = self.open.pop() else {
            panic!("an entity ends that did not begin");
        };
        // A payload that is one entity stays open: its delta link is a member of it (JSON Format 6).
        if !self.open.is_empty() || self.plan.is_collection() {
            close(&mut self.out, b'}');
            self.out.push(b',');
        }
    }

    /// An entity that left the answer. Only the key of the row is looked at.
    pub fn removed(&mut self, values: &[ValueRef<'_>], reason: RemovedReason) {
        let plan = &*self.plan;
        let node = &plan.nodes[0];
        let out = &mut self.out;
        out.extend_from_slice(&plan.removed);
        let reason: &[u8] = match reason {
            RemovedReason::Changed => b"\"changed\"",
            RemovedReason::Deleted => b"\"deleted\"",
        };
        match plan.version {
            // Plain properties in 4.0, and the id has to be there.
            Version::V4_0 => {
                out.extend_from_slice(b"\"id\":\"");
                if let Some(id) = &node.id {
                    id.write_row(out, values);
                }
                out.extend_from_slice(b"\",\"reason\":");
                out.extend_from_slice(reason);
            }
            Version::V4_01 => {
                out.extend_from_slice(b"\"@removed\":{\"reason\":");
                out.extend_from_slice(reason);
                out.extend_from_slice(b"},");
                if plan.level == MetadataLevel::Full {
                    write_id(out, plan, node, values);
                }
                for column in &plan.key {
                    plan.write_column(out, column, values[column.source]);
                }
            }
        }
        close(out, b'}');
        out.push(b',');
    }

    /// Closes the payload.
    pub fn finish(mut self, end: PageEnd<'_>) -> Vec<u8> {
        assert!(self.open.is_empty(), "the payload ends inside an entity");
        if self.plan.is_collection() {
            close(&mut self.out, b']');
            self.out.push(b',');
        }
        let link = match end {
            PageEnd::Complete => None,
            PageEnd::Next(url) => Some(("nextLink", url)),
            PageEnd::Delta(url) => Some(("deltaLink", url)),
        };
        if let Some((name, url)) = link {
            write_control(&mut self.out, self.plan.prefix, name);
            write_string(&mut self.out, url);
            self.out.push(b',');
        }
        close(&mut self.out, b'}');
        self.out
    }
}

impl Plan {
    fn is_collection(&self) -> bool {
        match self.root {
            Root::Collection | Root::Delta | Root::References => true,
            Root::Entity | Root::Reference => false,
        }
    }

    #[inline]
    fn write_column(&self, out: &mut Vec<u8>, column: &Column, value: ValueRef<'_>) {
        if matches!(value, ValueRef::Null) && self.omit_nulls {
            return;
        }
        let fits = value.fits(column.ty);
        if !fits || self.level == MetadataLevel::Full {
            self.write_type(out, column, value, fits);
        }
        let ty = match fits {
            true => column.ty,
            false => value.natural_type().unwrap_or(column.ty),
        };
        out.extend_from_slice(&column.member);
        self.encoding.write(out, value, ty);
        out.push(b',');
    }

    /// Names the type of a value where a client could not tell it: if it is not the declared one, and with full metadata also if
    /// JSON alone does not show it (JSON Format 4.5.3).
    #[cold]
    fn write_type(&self, out: &mut Vec<u8>, column: &Column, value: ValueRef<'_>, fits: bool) {
        let ty = match fits {
            true => column.ty,
            false => value.natural_type().unwrap_or(column.ty),
        };
        // A declared type that the value does not have would mislead a client, so JSON alone is not enough then.
        let misled = !fits && column.ty != PrimitiveType::Any;
        if self.level == MetadataLevel::None || (is_shown_by_json(value, ty) && !misled) {
            return;
        }
        out.extend_from_slice(&column.annotation);
        out.extend_from_slice(ty.short_name().as_bytes());
        out.extend_from_slice(b"\",");
    }
}

/// Whether JSON alone shows that a value is of this type (JSON Format 4.5.3: a number without a type is a Double).
pub(super) fn is_shown_by_json(value: ValueRef<'_>, ty: PrimitiveType) -> bool {
    match value {
        ValueRef::Null | ValueRef::Boolean(_) | ValueRef::String(_) => true,
        ValueRef::Double(number) => number.is_finite() && ty == PrimitiveType::Double,
        _ => false,
    }
}

impl Links {
    fn write(&self, out: &mut Vec<u8>, id: &[u8]) {
        out.extend_from_slice(&self.association);
        out.extend_from_slice(id);
        out.extend_from_slice(&self.segment);
        out.extend_from_slice(b"/$ref\",");
        out.extend_from_slice(&self.navigation);
        out.extend_from_slice(id);
        out.extend_from_slice(&self.segment);
        out.extend_from_slice(b"\",");
    }
}

/// Writes the control information of an entity.
#[inline]
fn write_head(
    out: &mut Vec<u8>,
    plan: &Plan,
    node: &Node,
    values: &[ValueRef<'_>],
    etag: Option<u64>,
) {
    out.extend_from_slice(&node.type_name);
    if node.id_wanted {
        write_id(out, plan, node, values);
    }
    if let (Some(etag), true) = (etag, node.etag_wanted) {
        write_control(out, plan.prefix, "etag");
        ETag(etag).write_json(out);
        out.push(b',');
    }
    if let (Some(link), Some(id)) = (&node.entity_link, &node.id) {
        out.extend_from_slice(link);
        id.write_row(out, values);
        out.extend_from_slice(b"\",");
    }
}

fn write_id(out: &mut Vec<u8>, plan: &Plan, node: &Node, values: &[ValueRef<'_>]) {
    if let Some(id) = &node.id {
        write_control(out, plan.prefix, "id");
        out.push(b'"');
        id.write_row(out, values);
        out.extend_from_slice(b"\",");
    }
}
