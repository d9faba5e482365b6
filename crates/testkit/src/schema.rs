//! Random schemas: every kind of key, column, constraint and application trigger that a store must survive.
//!
//! What must hold: the same random numbers give the same schema, and [`Schema`] describes what the statements create,
//! also after a schema change. What is deliberately absent: rows, and what Highwater makes of the schema.

mod draft;
mod inheriting;
mod partitions;
mod trigger_functions;
mod triggers;

use draft::Draft;

use crate::flavour::{Declared, Flavour, TableForm};
use crate::rng::Rng;
use crate::values::{name, quote};

/// The tables that a run works with.
#[derive(Clone, Debug)]
pub struct Schema {
    /// In the order of creation.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// The schema, unquoted; empty where there are none.
    pub schema: &'static str,
    /// The name, unquoted.
    pub name: String,
    /// In the order of declaration.
    pub columns: Vec<Column>,
    /// Positions of the key columns in key order.
    pub key: Vec<usize>,
    /// Column lists that an upsert can name.
    pub targets: Vec<Vec<usize>>,
    /// Whether every value has its declared type.
    pub strict: bool,
    /// A name by which statements can set a unique number of the row that is no column.
    pub hidden_rowid: Option<&'static str>,
    /// Whether a crash of the database empties it.
    pub unlogged: bool,
    /// Its relations to other tables.
    pub family: Family,
    /// The statements that create it as it was at first.
    pub ddl: Vec<String>,
}

/// What rows a table has beside its own, or in other tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Nothing of the sort.
    #[default]
    Single,
    /// The table has the columns of others, or others have its columns. Only its own rows are served.
    Tree,
    /// All its rows are in other tables, whose quoted names these are. They are not served on their own.
    Partitions(Vec<String>),
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// The name, unquoted.
    pub name: String,
    /// What it was declared with.
    pub declared: Declared,
    /// Whether the database computes it.
    pub generated: bool,
    /// Whether the writers put values of other types into it now and then.
    pub loose: bool,
}

impl Table {
    /// The name, quoted and qualified.
    pub fn sql(&self) -> String {
        qualified(self.schema, &self.name)
    }

    /// What a query names so that it reads the rows of this entity set and no others.
    pub fn rows_sql(&self) -> String {
        let only = if self.family == Family::Tree {
            "ONLY "
        } else {
            ""
        };
        format!("{only}{}", self.sql())
    }

    /// The name of a column, quoted.
    pub fn column(&self, at: usize) -> String {
        quote(&self.columns[at].name)
    }

    /// Positions of the columns that a statement may set.
    pub fn written(&self) -> Vec<usize> {
        (0..self.columns.len())
            .filter(|at| !self.columns[*at].generated)
            .collect()
    }

    /// Positions of the columns that can be compared.
    pub fn comparable(&self) -> Vec<usize> {
        (0..self.columns.len())
            .filter(|at| self.columns[*at].declared.comparable)
            .collect()
    }

    /// The names of columns as a list.
    pub fn list(&self, columns: &[usize]) -> String {
        let names: Vec<String> = columns.iter().map(|at| self.column(*at)).collect();
        names.join(", ")
    }
}

/// A quoted name with its schema, if there are schemas.
pub(crate) fn qualified(schema: &str, name: &str) -> String {
    match schema {
        "" => quote(name),
        _ => format!("{}.{}", quote(schema), quote(name)),
    }
}

impl Schema {
    /// A schema of one to three tables, and the statements that create it.
    pub fn random(rng: &mut Rng, flavour: &Flavour) -> (Schema, Vec<String>) {
        let mut schema = Schema { tables: Vec::new() };
        let mut ddl: Vec<String> = flavour
            .preamble
            .iter()
            .map(|sql| (*sql).to_owned())
            .collect();
        let mut names = Vec::new();
        for number in 0..1 + rng.below(3) {
            let name = name(rng, &mut names);
            let form = rng.weighted(flavour.tables);
            let table = match form {
                TableForm::Inheriting => inheriting::table(rng, &mut schema, &name),
                _ => None,
            };
            let table = table.unwrap_or_else(|| {
                let mut draft = Draft::new(rng, flavour, form, name);
                draft.add_key(rng);
                draft.add_columns(rng);
                draft.add_references(rng, &schema);
                draft.add_constraints(rng);
                draft.finish(rng, number)
            });
            ddl.extend(table.ddl.iter().cloned());
            schema.tables.push(table);
        }
        ddl.extend(match flavour.trigger_functions {
            true => trigger_functions::random(rng, flavour, &schema),
            false => triggers::random(rng, flavour, &schema),
        });
        (schema, ddl)
    }
}
