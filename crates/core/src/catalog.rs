//! What a store found in its database: tables, columns, keys, relations, and whether changes are tracked.
//!
//! What must hold: a [`Catalog`] is immutable; a schema change makes a new one with another [`Catalog::version`]. Indexes
//! into it (`usize` table, column and relation numbers) are meaningful for that version only.
//! What is deliberately absent: the names that a service gives to entity sets and properties (the server maps them).

use highwater_odata::PrimitiveType;

/// All tables and views that a store can serve.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    /// Changes whenever the schema or the tracking of any table changes.
    pub version: u64,
    /// In a stable order (by schema, then name).
    pub tables: Vec<Table>,
}

/// A table or view.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// The schema, where the database has several.
    pub schema: Option<String>,
    /// The name as the database spells it.
    pub name: String,
    /// Whether it is a view (or another relation without stored rows).
    pub is_view: bool,
    /// In the order of declaration. Hidden and internal columns are left out.
    pub columns: Vec<Column>,
    /// The columns of the usable key in key order; empty if there is none, and then entities cannot be addressed.
    pub key: Vec<usize>,
    /// Foreign keys in both directions.
    pub relations: Vec<Relation>,
    /// Whether rounds can be read.
    pub tracking: Tracking,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// The name as the database spells it.
    pub name: String,
    /// The type of the property. A value that does not fit names its own type in the payload.
    pub ty: PrimitiveType,
    /// Whether `NULL` can be stored.
    pub nullable: bool,
    /// Whether the database computes the value on every write (a generated column), so that no client may set it.
    pub computed: bool,
    /// Whether an insert may leave it out although it is not nullable: a default, an identity or a rowid alias.
    pub has_default: bool,
    /// Digits after the point for `Edm.Decimal`, where the declaration limits them.
    pub scale: Option<u32>,
}

/// One direction of a foreign key: a navigation property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// The table at the other end.
    pub target: usize,
    /// Pairs of (column here, column there) that are equal for related rows.
    pub columns: Vec<(usize, usize)>,
    /// Whether the other end has many rows (the foreign key is there) or at most one.
    pub many: bool,
    /// Position of the opposite direction in the relations of the target.
    pub inverse: usize,
    /// Whether the foreign key columns are here. One-to-one relations have `many == false` at both ends.
    pub owns_key: bool,
}

/// Whether and how changes of a table are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// Every committed change is in the history.
    Tracked {
        /// Identity of this tracking: drop, re-creation or a schema change of the table makes a new one.
        incarnation: u64,
    },
    /// As [`Tracking::Untracked`], but links of this tracking may be answered again later.
    Paused {
        /// As of [`Tracking::Tracked`].
        incarnation: u64,
        /// As of [`Tracking::Untracked`].
        reason: String,
    },
    /// Rows can be read, but no link can be given.
    Untracked {
        /// Why, and what would help, as a full sentence for `status` and `$metadata`.
        reason: String,
    },
}

impl Tracking {
    /// Why no link can be given; `None` if one can.
    pub fn obstacle(&self) -> Option<&str> {
        match self {
            Tracking::Tracked { .. } => None,
            Tracking::Paused { reason, .. } | Tracking::Untracked { reason } => Some(reason),
        }
    }
}

impl Table {
    /// Whether rounds can be read.
    pub fn is_tracked(&self) -> bool {
        matches!(self.tracking, Tracking::Tracked { .. })
    }

    /// Position of a column by the name that the database uses.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The columns that must be read of a row, in order, if these are asked for: also the key and what the given relations need, and
    /// everything if a hash of the row is wanted.
    pub fn columns_to_read(
        &self,
        asked: &[usize],
        relations: impl Iterator<Item = usize>,
        hashed: bool,
    ) -> Vec<usize> {
        let mut needed = vec![hashed; self.columns.len()];
        for &column in asked.iter().chain(&self.key) {
            needed[column] = true;
        }
        for relation in relations {
            for &(here, _) in &self.relations[relation].columns {
                needed[here] = true;
            }
        }
        (0..needed.len()).filter(|column| needed[*column]).collect()
    }
}

impl Catalog {
    /// Position of a table by schema and name as the database spells them.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<usize> {
        self.tables
            .iter()
            .position(|t| t.schema.as_deref() == schema && t.name == name)
    }
}
