//! Foreign keys as relations in both directions.
//!
//! What must hold: a relation leads from every foreign key between two tables of the catalog, and its inverse leads back. Their order
//! follows from the names of the tables and the order of columns, so that it is the same on every node and after dump and reload.

use std::collections::HashMap;

use highwater_core::{Relation, Table};

use super::raw::RawSchema;
use crate::schema::TableFacts;

/// Adds the relations; `facts[i]` describes `tables[i]`.
pub(super) fn add(tables: &mut [Table], facts: &[TableFacts], raw: &RawSchema) {
    let positions: HashMap<u32, usize> = facts
        .iter()
        .enumerate()
        .map(|(position, facts)| (facts.relation, position))
        .collect();
    // Child, pairs of columns, parent: this is what they are sorted by.
    type Resolved = (usize, Vec<(usize, usize)>, usize);
    let mut resolved: Vec<Resolved> = raw
        .foreign_keys
        .iter()
        .filter_map(|key| {
            // Partitions, and what this role may not read, are not in the catalog.
            let child = *positions.get(&key.child)?;
            let parent = *positions.get(&key.parent)?;
            let pairs = key.attnums.iter().map(|(own, theirs)| {
                Some((
                    position(&facts[child], *own)?,
                    position(&facts[parent], *theirs)?,
                ))
            });
            Some((child, pairs.collect::<Option<_>>()?, parent))
        })
        .collect();
    resolved.sort();
    resolved.dedup();
    for (child, columns, parent) in resolved {
        let own: Vec<usize> = columns.iter().map(|(own, _)| *own).collect();
        let one_to_one = is_unique(&facts[child], &own, raw);
        let forward = tables[child].relations.len();
        // The inverse in the same table comes right after.
        let backward = tables[parent].relations.len() + usize::from(parent == child);
        let reversed = columns
            .iter()
            .map(|(own, theirs)| (*theirs, *own))
            .collect();
        tables[child].relations.push(Relation {
            target: parent,
            columns,
            many: false,
            inverse: backward,
            owns_key: true,
        });
        tables[parent].relations.push(Relation {
            target: child,
            columns: reversed,
            many: !one_to_one,
            inverse: forward,
            owns_key: false,
        });
    }
}

fn position(facts: &TableFacts, attnum: i16) -> Option<usize> {
    facts.columns.iter().position(|c| c.attnum == attnum)
}

/// Whether at most one row can have the same values in these columns.
fn is_unique(facts: &TableFacts, columns: &[usize], raw: &RawSchema) -> bool {
    let attnums: Vec<i16> = columns.iter().map(|c| facts.columns[*c].attnum).collect();
    let indexes = raw.indexes.get(&facts.relation);
    indexes
        .into_iter()
        .flatten()
        .filter(|index| index.is_plain)
        .any(|index| index.attnums.iter().all(|attnum| attnums.contains(attnum)))
}
