//! Tables that have the columns of an earlier one, and whose rows are also rows of that one.
//!
//! What must hold: the table has the same key as the earlier one, in the same columns.

use super::{Column, Family, Schema, Table};
use crate::flavour::{Declared, Kind};
use crate::rng::Rng;
use crate::values::quote;

/// A table that inherits from one of the schema; `None` if there is none that allows it.
pub(super) fn table(rng: &mut Rng, schema: &mut Schema, name: &str) -> Option<Table> {
    let parents: Vec<usize> = (0..schema.tables.len())
        .filter(|at| !matches!(schema.tables[*at].family, Family::Partitions(_)))
        .collect();
    let parent = &mut schema.tables[*(!parents.is_empty()).then(|| rng.pick(&parents))?];
    parent.family = Family::Tree;
    let mut table = parent.clone();
    table.name = name.to_owned();
    table.unlogged = false;
    // Only what is computed from other columns is inherited, not what is numbered.
    for at in &table.key {
        table.columns[*at].generated = false;
    }
    let own = Column {
        name: "the child's own".to_owned(),
        declared: Declared {
            sql: "TEXT",
            kind: Kind::Text,
            strict: true,
            comparable: true,
        },
        generated: false,
        loose: false,
    };
    let mut definitions = vec![format!("PRIMARY KEY ({})", table.list(&table.key))];
    if !table.columns.iter().any(|column| column.name == own.name) {
        definitions.insert(0, format!("{} TEXT", quote(&own.name)));
        table.columns.push(own);
    }
    table.targets = vec![table.key.clone()];
    table.ddl = vec![format!(
        "CREATE TABLE {} ({}) INHERITS ({})",
        table.sql(),
        definitions.join(", "),
        parent.sql()
    )];
    Some(table)
}
