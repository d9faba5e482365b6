//! What the store knows of the database: the catalog that every store tells, and what only this one needs.
//!
//! What must hold: `catalog.tables`, `layouts` and `facts` have the same length and order, and so have the columns of each. A [`Schema`]
//! is immutable; a change of the database makes a new one. What is deliberately absent: any query ([`crate::introspect`] fills it).

use std::sync::Arc;

use highwater_core::{Catalog, Table};
use highwater_sql::postgres::TableLayout;

use crate::introspect::Signature;
use crate::meta::Meta;

/// The schema as one database transaction saw it.
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    /// What every store tells. [`Catalog::version`] is a hash of everything here except the keys of `meta`.
    pub(crate) catalog: Arc<Catalog>,
    /// What the SQL compiler needs, one for each table.
    pub(crate) layouts: Vec<TableLayout>,
    /// What only this crate needs, one for each table.
    pub(crate) facts: Vec<TableFacts>,
    /// What is in the database, but not in the catalog.
    pub(crate) left_out: Vec<LeftOut>,
    /// Highwater's own tables; `None` if they do not exist or this role may not read them, and then nothing is tracked.
    pub(crate) meta: Option<Meta>,
    /// Whether the database is a hot standby.
    pub(crate) in_recovery: bool,
    /// What the database looked like, to notice that it looks otherwise ([`crate::introspect::signature`]).
    pub(crate) signature: Signature,
    /// The collation, as SQL behind `COLLATE`, that says what upper and lower case is; `None` if the database's own does. (One that was
    /// created with the locale `C` knows the letters of ASCII only.)
    pub(crate) letters: Option<String>,
}

/// What must be known of a table to track it, to read its history and to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableFacts {
    /// Its oid.
    pub(crate) relation: u32,
    /// Schema and name as the database spells them.
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// How its changes would be captured if its tracking began now.
    pub(crate) capture: Capture,
    /// Whether it is `UNLOGGED`, so that a crash empties it.
    pub(crate) unlogged: bool,
    /// Whether row-level security filters what this role sees. Such a table is never tracked; reading it needs `row_security = on`.
    pub(crate) row_security: bool,
    /// The columns of the usable key, in key order; empty if there is none.
    pub(crate) key: Vec<KeyColumn>,
    /// The oid of the index of that key.
    pub(crate) key_index: Option<u32>,
    /// One for each column of the catalog.
    pub(crate) columns: Vec<ColumnFacts>,
    /// Why it cannot be tracked, as a full sentence; `None` if it can be (whether it is, says [`Self::tracked`]).
    pub(crate) obstacle: Option<String>,
    /// Its tracking, if that is in order.
    pub(crate) tracked: Option<Tracked>,
}

/// A row of `highwater.tracked_table` that describes a table as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tracked {
    /// In the name of its history.
    pub(crate) id: i64,
    /// Identity of this tracking.
    pub(crate) incarnation: i64,
    /// `highwater.layout(relation)`, when it was loaded and when the tracking began.
    pub(crate) layout: String,
}

/// What a relation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A table. The rows of tables that inherit from it are not its own.
    Table,
    /// The root of a partitioned table. Its partitions are not in the catalog.
    Partitioned,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// A foreign table.
    Foreign,
}

/// How the changes of a table are captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    /// Statement-level triggers with transition tables at the top level.
    Statement,
    /// Row triggers only, which is never wrong: partitioned tables, tables that inherit or are inherited from, and those with foreign-key
    /// actions on themselves, and all in a database with other procedural languages than PL/pgSQL.
    Row,
}

/// A column of the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyColumn {
    /// Its position in the catalog.
    pub(crate) column: usize,
    /// `pg_attribute.attnum`
    pub(crate) attnum: i16,
    /// Its name as the database spells it.
    pub(crate) name: String,
    /// `pg_attribute.atttypid`
    pub(crate) ty: u32,
}

/// What must be known of a column to write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ColumnFacts {
    /// `pg_attribute.attnum`
    pub(crate) attnum: i16,
    /// The declared type with its modifiers, as SQL that can stand behind `::` (a domain stays a domain).
    pub(crate) declared: String,
    /// The same without the domains around it, but with the modifier that one of them has.
    pub(crate) base: String,
    /// The type without modifiers, as SQL, if PostgreSQL rounds or cuts off values in silence to make them fit.
    pub(crate) unmodified: Option<String>,
    /// Whether `NULL` is refused, by the column or by its domain.
    pub(crate) not_null: bool,
    /// Where its values come from if no writer gives them.
    pub(crate) supply: Supply,
}

/// Where a column's values come from if no writer gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supply {
    /// Nowhere: they are `NULL`.
    None,
    /// A default, of the column or of its domain.
    Default,
    /// `GENERATED BY DEFAULT AS IDENTITY`: a writer may give another value.
    Identity,
    /// `GENERATED ALWAYS AS IDENTITY`: an insert may give another value with `OVERRIDING SYSTEM VALUE` only, an update never.
    IdentityAlways,
    /// `GENERATED ALWAYS AS (…)`, stored or virtual: nobody may give a value.
    Expression,
}

/// Something in the database that is not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftOut {
    /// Its oid.
    pub(crate) relation: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) is_view: bool,
    /// Why, and what would help, as a full sentence.
    pub(crate) reason: String,
}

impl Schema {
    /// What the catalog says of a table.
    pub(crate) fn table(&self, position: usize) -> &Table {
        &self.catalog.tables[position]
    }
}

impl TableFacts {
    /// `"schema"."table"`
    pub(crate) fn qualified(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }

    /// The name as people write it, and as a [`highwater_core::tracking::Policy`] has it: with the schema unless that is `public`.
    pub(crate) fn label(&self) -> String {
        label(&self.schema, &self.name)
    }

    /// Whether it is a table of this database with rows of its own, so that it can be locked and written.
    pub(crate) fn has_rows(&self) -> bool {
        matches!(self.kind, Kind::Table | Kind::Partitioned)
    }
}

/// The name of a relation as people write it: with the schema unless that is `public`.
pub(crate) fn label(schema: &str, name: &str) -> String {
    if schema == "public" {
        name.to_owned()
    } else {
        format!("{schema}.{name}")
    }
}

/// Whether that is what somebody calls a relation who gave this name: with the schema, which may be left out if it is `public`.
pub(crate) fn is_called(schema: &str, name: &str, given: &str) -> bool {
    label(schema, name) == given || format!("{schema}.{name}") == given
}

/// Quotes an identifier for SQL.
pub(crate) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
