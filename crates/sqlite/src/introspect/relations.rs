//! Foreign keys as relations in both directions.
//!
//! What must hold: a relation leads from every foreign key whose parent is unique, and its inverse leads back. Foreign keys that SQLite
//! itself could not use (missing parent, columns that are not unique there, wrong number of columns) are left out; nothing else
//! suffers.

use highwater_core::{Relation, Table};

use super::raw::{RawForeignKey, RawKind, RawTable};

/// Adds the relations; `raw[i]` describes `tables[i]`.
pub(super) fn add(tables: &mut [Table], raw: &[&RawTable]) {
    for child in 0..tables.len() {
        for key in &raw[child].foreign_keys {
            let Some((parent, columns)) = resolve(key, child, raw) else {
                tracing::debug!(
                    table = raw[child].name,
                    parent = key.parent,
                    "foreign key left out, because it leads nowhere"
                );
                continue;
            };
            let own_columns: Vec<usize> = columns.iter().map(|(own, _)| *own).collect();
            let one_to_one = is_unique(raw[child], &own_columns);
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
}

/// The parent table and pairs of (column in the child, column in the parent).
fn resolve(
    key: &RawForeignKey,
    child: usize,
    raw: &[&RawTable],
) -> Option<(usize, Vec<(usize, usize)>)> {
    let parent = raw
        .iter()
        .position(|t| t.kind == RawKind::Table && t.name.eq_ignore_ascii_case(&key.parent))?;
    let primary = raw[parent].primary_key();
    let implicit = key.columns.iter().all(|(_, theirs)| theirs.is_none());
    if implicit && primary.len() != key.columns.len() {
        return None;
    }
    let mut pairs = Vec::with_capacity(key.columns.len());
    for (position, (own, theirs)) in key.columns.iter().enumerate() {
        let theirs = match theirs {
            Some(name) => name.as_str(),
            None => primary.get(position)?.name.as_str(),
        };
        pairs.push((column(raw[child], own)?, column(raw[parent], theirs)?));
    }
    let theirs: Vec<usize> = pairs.iter().map(|(_, theirs)| *theirs).collect();
    is_unique(raw[parent], &theirs).then_some((parent, pairs))
}

fn column(table: &RawTable, name: &str) -> Option<usize> {
    table
        .columns
        .iter()
        .position(|c| c.name.eq_ignore_ascii_case(name))
}

/// Whether at most one row can have the same values in these columns.
fn is_unique(table: &RawTable, columns: &[usize]) -> bool {
    let cids: Vec<i64> = columns.iter().map(|c| table.columns[*c].cid).collect();
    let covered = |key: &[i64]| key.iter().all(|cid| cids.contains(cid));
    let primary: Vec<i64> = table.primary_key().iter().map(|c| c.cid).collect();
    (!primary.is_empty() && covered(&primary))
        || table
            .indexes
            .iter()
            .filter(|i| i.unique && !i.partial)
            .any(|i| covered(&i.terms.iter().map(|t| t.cid).collect::<Vec<_>>()))
}
