//! Tables whose rows are in other tables, by the value of the first key column.
//!
//! What must hold: the key contains the column that decides. What is deliberately absent: partitions that come and go later.

use super::{Family, Table, qualified};
use crate::flavour::Kind;
use crate::rng::Rng;

/// How the rows are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Division {
    Range,
    List,
    Labels,
    Hash,
}

impl Division {
    /// Numbers are divided by value or by hash, labels by value, because their hashes are not the same in two databases, and all else
    /// by hash.
    pub(super) fn random(rng: &mut Rng, table: &Table) -> Division {
        match table.columns[table.key[0]].declared.kind {
            Kind::Int => *rng.pick(&[Division::Range, Division::List, Division::Hash]),
            Kind::Enum => Division::Labels,
            _ => Division::Hash,
        }
    }

    /// What follows the list of columns.
    pub(super) fn clause(self, table: &Table) -> String {
        let word = match self {
            Division::Range => "RANGE",
            Division::List | Division::Labels => "LIST",
            Division::Hash => "HASH",
        };
        format!("PARTITION BY {word} ({})", column(table))
    }

    fn bounds(self) -> [&'static str; 3] {
        match self {
            Division::Range => [
                "FOR VALUES FROM (MINVALUE) TO (4)",
                "FOR VALUES FROM (4) TO (9)",
                "FOR VALUES FROM (9) TO (900)",
            ],
            Division::List => [
                "FOR VALUES IN (1, 2, 3)",
                "FOR VALUES IN (4, 5, 6, 7)",
                "FOR VALUES IN (8, 9, 10, 11)",
            ],
            Division::Labels => [
                "FOR VALUES IN ('sad')",
                "FOR VALUES IN ('fine', 'Happy')",
                "FOR VALUES IN ('very happy')",
            ],
            Division::Hash => [
                "FOR VALUES WITH (MODULUS 3, REMAINDER 0)",
                "FOR VALUES WITH (MODULUS 3, REMAINDER 1)",
                "FOR VALUES WITH (MODULUS 3, REMAINDER 2)",
            ],
        }
    }
}

fn column(table: &Table) -> String {
    table.column(table.key[0])
}

/// Adds the statements that create the partitions, and their names.
pub(super) fn add(rng: &mut Rng, table: &mut Table, division: Division) {
    let mut bounds = division.bounds().to_vec();
    // Without it, some rows have no place.
    if division != Division::Hash && rng.chance(70) {
        bounds.push("DEFAULT");
    }
    let mut leaves = Vec::new();
    for (number, bounds) in bounds.iter().enumerate() {
        let leaf = qualified(table.schema, &format!("{} part {number}", table.name));
        let root = table.sql();
        match rng.below(4) {
            // With its columns at other places.
            0 => {
                table.ddl.push(format!(
                    "CREATE TABLE {leaf} (\"no longer there\" integer, LIKE {root} INCLUDING ALL EXCLUDING INDEXES)"
                ));
                table.ddl.push(format!(
                    "ALTER TABLE {leaf} DROP COLUMN \"no longer there\""
                ));
                table.ddl.push(format!(
                    "ALTER TABLE {root} ATTACH PARTITION {leaf} {bounds}"
                ));
            }
            // Divided once more.
            1 => {
                let below = qualified(table.schema, &format!("{} part {number}.0", table.name));
                table.ddl.push(format!(
                    "CREATE TABLE {leaf} PARTITION OF {root} {bounds} PARTITION BY HASH ({})",
                    column(table)
                ));
                table.ddl.push(format!(
                    "CREATE TABLE {below} PARTITION OF {leaf} FOR VALUES WITH (MODULUS 1, REMAINDER 0)"
                ));
                leaves.push(below);
            }
            _ => table
                .ddl
                .push(format!("CREATE TABLE {leaf} PARTITION OF {root} {bounds}")),
        }
        leaves.push(leaf);
    }
    table.family = Family::Partitions(leaves);
}
