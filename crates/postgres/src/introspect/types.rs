//! From PostgreSQL's types to types of properties, and what makes a type awkward.
//!
//! | type | property |
//! | --- | --- |
//! | `boolean` | `Edm.Boolean` |
//! | `smallint`, `integer`, `bigint` | `Edm.Int16`, `Edm.Int32`, `Edm.Int64` |
//! | `numeric` | `Edm.Decimal`, with the scale if one is declared |
//! | `real`, `double precision` | `Edm.Single`, `Edm.Double` |
//! | `text`, `varchar`, `name` | `Edm.String` |
//! | `uuid` | `Edm.Guid` |
//! | `date`, `time` | `Edm.Date`, `Edm.TimeOfDay` |
//! | `timestamp with time zone`, `timestamp` (taken as UTC) | `Edm.DateTimeOffset` |
//! | `interval` | `Edm.Duration` |
//! | `bytea` | `Edm.Binary` |
//! | anything else | `Edm.String` |
//!
//! A domain is what it is made of. A key may not be a floating-point number (CSDL 4.01, section 6.5): such a key column is
//! `Edm.Decimal`. What must hold: types are recognised by their name **and** the schema `pg_catalog`, so that nobody's own type
//! `public.date` is taken for one of these.

use std::collections::{HashMap, HashSet};

use highwater_odata::PrimitiveType;
use highwater_sql::postgres::{ColumnLayout, Family};
use tokio_postgres::types::Oid;

use super::raw::{RawColumn, RawType};
use crate::schema::quote;

/// The schema of PostgreSQL's own types.
const SYSTEM: &str = "pg_catalog";

/// The types of a database.
#[derive(Clone, Copy)]
pub(super) struct Types<'a> {
    pub(super) types: &'a HashMap<Oid, RawType>,
    pub(super) fuzzy_collations: &'a HashSet<Oid>,
}

/// A type without the domains around it.
pub(super) struct Resolved<'a> {
    /// The type itself.
    pub(super) base: &'a RawType,
    /// Its modifier, whoever declared it.
    pub(super) modifier: i32,
    /// Whether a domain refuses `NULL`.
    pub(super) not_null: bool,
    /// Whether a domain has a default.
    pub(super) has_default: bool,
}

impl<'a> Types<'a> {
    /// Looks through domains.
    pub(super) fn resolve(self, ty: Oid, modifier: i32) -> Resolved<'a> {
        let mut resolved = Resolved {
            base: self.get(ty),
            modifier,
            not_null: false,
            has_default: false,
        };
        while resolved.base.kind == 'd' {
            let domain = resolved.base;
            resolved.not_null |= domain.not_null;
            resolved.has_default |= domain.has_default;
            if domain.modifier != -1 {
                resolved.modifier = domain.modifier;
            }
            resolved.base = self.get(domain.base);
        }
        resolved
    }

    /// The type without its modifiers, as SQL, if PostgreSQL makes values fit those in silence. An array has the modifiers of its elements.
    pub(super) fn unmodified(self, resolved: &Resolved<'_>) -> Option<String> {
        let element = resolved.base.element;
        let element = element.map(|element| self.resolve(element, resolved.modifier));
        let (ty, modifier) = match &element {
            Some(element) => (element.base, element.modifier),
            None => (resolved.base, resolved.modifier),
        };
        let is_cut = modifier != -1 && ty.schema == SYSTEM && CUT.contains(&ty.name.as_str());
        let brackets = if element.is_some() { "[]" } else { "" };
        is_cut.then(|| format!("{}{brackets}", sql_name(ty)))
    }

    /// All types were read in one snapshot with the columns, so none is missing; if one were, it would be one of the many that are
    /// shown as text.
    fn get(self, oid: Oid) -> &'a RawType {
        static UNKNOWN: RawType = RawType {
            schema: String::new(),
            name: String::new(),
            kind: 'b',
            base: 0,
            modifier: -1,
            not_null: false,
            has_default: false,
            element: None,
            parts: Vec::new(),
            casts_to_text: false,
            operators: None,
        };
        self.types.get(&oid).unwrap_or(&UNKNOWN)
    }

    /// What the SQL compiler has to know of a column.
    pub(super) fn layout(self, column: &RawColumn, base: &RawType) -> ColumnLayout {
        let (_, family) = property_type(base);
        ColumnLayout {
            ty: sql_name(base),
            family,
            coarse: self.fuzzy_collations.contains(&column.collation) || !self.is_exact(base, 0),
            operators: base.operators.clone(),
        }
    }

    /// Whether equal values always have equal texts.
    fn is_exact(self, ty: &RawType, depth: u32) -> bool {
        if let Some(element) = ty.element {
            // Two elements that differ in padding only are equal, and the text of an array shows the padding.
            let element = self.get(element);
            return depth < NESTING_MAX
                && element.name != "bpchar"
                && self.is_exact(element, depth + 1);
        }
        ty.kind == 'e'
            || (ty.schema == SYSTEM && EXACT.contains(&ty.name.as_str()) && ty.parts.is_empty())
            || (ty.schema == SYSTEM && EXACT_RANGES.contains(&ty.name.as_str()))
    }

    /// The name of a type inside this one whose values cannot be read back from their text at any time, for example because the
    /// text is the name of a table, which can be renamed.
    pub(super) fn unreadable(self, ty: Oid) -> Option<&'a str> {
        let mut pending = vec![ty];
        let mut seen = HashSet::new();
        while let Some(oid) = pending.pop() {
            let Some(ty) = self.types.get(&oid).filter(|_| seen.insert(oid)) else {
                continue;
            };
            if ty.schema == SYSTEM && UNREADABLE.contains(&ty.name.as_str()) {
                return Some(&ty.name);
            }
            pending.extend(&ty.parts);
            pending.extend(ty.element);
            pending.extend((ty.base != 0).then_some(ty.base));
        }
        None
    }
}

/// Arrays in domains in arrays … deeper than this are compared as text, which is never wrong.
const NESTING_MAX: u32 = 8;

/// Of these, equal values have equal texts. (The cast of `bpchar` to `text` removes the padding, in which equal values may differ.)
const EXACT: [&str; 26] = [
    "bit",
    "bool",
    "bpchar",
    "bytea",
    "char",
    "cidr",
    "date",
    "inet",
    "int2",
    "int4",
    "int8",
    "macaddr",
    "macaddr8",
    "money",
    "name",
    "oid",
    "pg_lsn",
    "text",
    "tid",
    "time",
    "timestamp",
    "timestamptz",
    "uuid",
    "varbit",
    "varchar",
    "xid8",
];

/// Ranges of types of which the same is true.
const EXACT_RANGES: [&str; 5] = [
    "daterange",
    "int4range",
    "int8range",
    "tsrange",
    "tstzrange",
];

/// Types whose modifiers make PostgreSQL round or cut off without a word.
const CUT: [&str; 8] = [
    "bpchar",
    "interval",
    "numeric",
    "time",
    "timestamp",
    "timestamptz",
    "timetz",
    "varchar",
];

/// Types whose text either names something that can be renamed or dropped, or is for people only.
const UNREADABLE: [&str; 20] = [
    "aclitem",
    "gtsvector",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
    "pg_ddl_command",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_ndistinct",
    "pg_node_tree",
    "regclass",
    "regcollation",
    "regconfig",
    "regdictionary",
    "regnamespace",
    "regoper",
    "regoperator",
    "regproc",
    "regprocedure",
    "regrole",
    "regtype",
];

/// The type of a property, and how its values behave.
pub(super) fn property_type(base: &RawType) -> (PrimitiveType, Family) {
    if base.schema != SYSTEM {
        return (PrimitiveType::String, Family::Other);
    }
    match base.name.as_str() {
        "bool" => (PrimitiveType::Boolean, Family::Boolean),
        "int2" => (PrimitiveType::Int16, Family::Integer),
        "int4" => (PrimitiveType::Int32, Family::Integer),
        "int8" => (PrimitiveType::Int64, Family::Integer),
        "numeric" => (PrimitiveType::Decimal, Family::Numeric),
        "float4" => (PrimitiveType::Single, Family::Float),
        "float8" => (PrimitiveType::Double, Family::Float),
        "text" | "varchar" | "name" => (PrimitiveType::String, Family::Text),
        "uuid" => (PrimitiveType::Guid, Family::Uuid),
        "date" => (PrimitiveType::Date, Family::Date),
        "time" => (PrimitiveType::TimeOfDay, Family::Time),
        "timestamp" => (PrimitiveType::DateTimeOffset, Family::Timestamp),
        "timestamptz" => (PrimitiveType::DateTimeOffset, Family::TimestampTz),
        "interval" => (PrimitiveType::Duration, Family::Interval),
        "bytea" => (PrimitiveType::Binary, Family::Bytea),
        _ => (PrimitiveType::String, Family::Other),
    }
}

/// The type of a key property.
pub(super) fn key_type(ty: PrimitiveType) -> PrimitiveType {
    match ty {
        PrimitiveType::Single | PrimitiveType::Double => PrimitiveType::Decimal,
        other => other,
    }
}

/// Digits after the point of `numeric(p, s)`. A negative scale means a whole number.
pub(super) fn scale(base: &RawType, modifier: i32) -> Option<u32> {
    // Four bytes more than precision and scale, as for a length; the scale has eleven bits and a sign.
    let declared = modifier.checked_sub(4).filter(|declared| *declared >= 0)?;
    let scale = ((declared & 0x7ff) ^ 0x400) - 0x400;
    (base.schema == SYSTEM && base.name == "numeric").then(|| u32::try_from(scale).unwrap_or(0))
}

/// A type without modifiers, as SQL that can stand behind `::`.
fn sql_name(base: &RawType) -> String {
    format!("{}.{}", quote(&base.schema), quote(&base.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales() {
        let numeric = |modifier| {
            let base = RawType {
                schema: "pg_catalog".into(),
                name: "numeric".into(),
                ..RawType::default()
            };
            scale(&base, modifier)
        };
        let modifier = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        for (modifier, expected) in [
            (-1, None),
            (modifier(10, 2), Some(2)),
            (modifier(10, 0), Some(0)),
            (modifier(1000, 1000), Some(1000)),
            (modifier(3, 5), Some(5)),
            (modifier(3, -5), Some(0)),
        ] {
            assert_eq!(numeric(modifier), expected, "{modifier}");
        }
    }

    #[test]
    fn lists_are_sorted() {
        assert!(EXACT.is_sorted());
        assert!(EXACT_RANGES.is_sorted());
        assert!(CUT.is_sorted());
        assert!(UNREADABLE.is_sorted());
    }
}
