//! Entity ids: the canonical URL of an entity, relative to the service root (Protocol 4.3 and URL Conventions 4.3.1).
//!
//! They are relative because the context URL of a payload gives their base (JSON Format 4.3), and because a copy of the data
//! should not depend on the address under which it was read.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use crate::edm::Model;
use crate::literal::format_literal;
use crate::{Value, ValueRef};

/// Bytes that are escaped in a segment. `:` is legal in a segment but not in the first one of a relative URL (RFC 3986, section
/// 4.2), `+` is taken for a space by many decoders, and `&`, `=` and `;` would end a query option that the id is put into.
const SEGMENT: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b',')
    .remove(b'!')
    .remove(b'*')
    .remove(b'$')
    .remove(b'@');

/// The pieces of the ids of one entity set, ready for use.
#[derive(Clone, Debug)]
pub(crate) struct IdTemplate {
    /// `Customers`, escaped.
    set: String,
    /// In key order: where a row holds the value, and what is before it (`OrderID=`, escaped; nothing in a key of one property).
    key: Vec<(usize, String)>,
}

impl IdTemplate {
    pub(crate) fn new(model: &Model, set: usize) -> IdTemplate {
        let ty = model.set_type(set);
        let single = ty.key().len() == 1;
        let part = |&position: &usize| {
            let property = &ty.properties()[position];
            let name = match single {
                true => String::new(),
                false => escape_segment(&property.name) + "=",
            };
            (property.source, name)
        };
        IdTemplate {
            set: escape_segment(&model.entity_sets()[set].name),
            key: ty.key().iter().map(part).collect(),
        }
    }

    /// Appends the id of a row. It has no character that JSON would escape.
    pub(crate) fn write_row(&self, out: &mut Vec<u8>, values: &[ValueRef<'_>]) {
        self.write(out, self.key.iter().map(|(source, _)| values[*source]));
    }

    /// Appends the id of the entity with these values, in key order.
    fn write<'a>(&self, out: &mut Vec<u8>, values: impl Iterator<Item = ValueRef<'a>>) {
        out.extend_from_slice(self.set.as_bytes());
        let mut separator = b'(';
        for ((_, name), value) in self.key.iter().zip(values) {
            out.push(separator);
            separator = b',';
            out.extend_from_slice(name.as_bytes());
            let literal = format_literal(value);
            for piece in percent_encode(literal.as_bytes(), &SEGMENT) {
                out.extend_from_slice(piece.as_bytes());
            }
        }
        out.push(b')');
    }
}

/// The id of the entity with this key, in key order: for `Location`, `OData-EntityId` and links.
pub fn entity_id(model: &Model, set: usize, key: &[Value]) -> String {
    let mut out = Vec::new();
    IdTemplate::new(model, set).write(&mut out, key.iter().map(Value::as_ref));
    String::from_utf8(out).expect("everything outside ASCII is escaped")
}

/// The canonical path of an entity as context URLs carry it: not percent-encoded (Protocol 10).
pub fn canonical_path(model: &Model, set: usize, key: &[Value]) -> String {
    let ty = model.set_type(set);
    let literals = key.iter().map(|value| format_literal(value.as_ref()));
    let predicate = match ty.key() {
        [_] => literals.collect::<String>(),
        key => {
            let names = key.iter().map(|&position| &ty.properties()[position].name);
            let pairs = names
                .zip(literals)
                .map(|(name, literal)| format!("{name}={literal}"));
            pairs.collect::<Vec<_>>().join(",")
        }
    };
    format!("{}({predicate})", model.entity_sets()[set].name)
}

/// A name as a path segment.
pub(crate) fn escape_segment(name: &str) -> String {
    percent_encode(name.as_bytes(), &SEGMENT).to_string()
}
