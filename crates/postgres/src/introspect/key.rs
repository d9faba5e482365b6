//! The key of a table: by which rows are addressed, and by which the history knows them.
//!
//! What must hold: the choice is the same on every node and after dump and reload.

use tokio_postgres::types::Oid;

use super::raw::{RawColumn, RawIndex, RawRelation};
use super::types::Types;
use crate::schema::{KeyColumn, quote};

/// A usable key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) index: Oid,
    /// In key order.
    pub(super) columns: Vec<KeyColumn>,
    /// Why the history cannot know rows by it, as a full sentence.
    pub(super) obstacle: Option<String>,
}

/// The primary key, or else the smallest unique constraint over columns that cannot be `NULL`.
///
/// # Errors
///
/// Why there is none, as a full sentence.
pub(super) fn choose(
    relation: &RawRelation,
    columns: &[RawColumn],
    indexes: &[RawIndex],
    types: Types<'_>,
) -> Result<Key, String> {
    let mut candidates: Vec<(&RawIndex, Vec<KeyColumn>)> = indexes
        .iter()
        .filter(|index| index.is_plain)
        .filter_map(|index| Some((index, key_columns(index, columns)?)))
        .collect();
    candidates.sort_by_cached_key(|(index, key)| {
        (
            !index.is_immediate,
            !index.is_primary,
            key.len(),
            key.iter().map(|k| k.column).collect::<Vec<_>>(),
            index.oid,
        )
    });
    let Some((index, key)) = candidates.into_iter().next() else {
        return Err(missing(relation, indexes));
    };
    let obstacle = if index.is_immediate {
        text_obstacle(&key, columns, types)
    } else {
        Some(format!(
            "Its key {} is DEFERRABLE, so that two rows may share it inside a transaction; make the constraint NOT DEFERRABLE, \
             or add a unique index over columns that are NOT NULL.",
            list(&key)
        ))
    };
    Ok(Key {
        index: index.oid,
        columns: key,
        obstacle,
    })
}

/// The columns of an index; `None` if one of them may be `NULL`.
fn key_columns(index: &RawIndex, columns: &[RawColumn]) -> Option<Vec<KeyColumn>> {
    let key = index.attnums.iter().map(|attnum| {
        let position = columns.iter().position(|c| c.attnum == *attnum)?;
        let column = &columns[position];
        column.not_null.then(|| KeyColumn {
            column: position,
            attnum: *attnum,
            name: column.name.clone(),
            ty: column.ty,
        })
    });
    key.collect()
}

fn missing(relation: &RawRelation, indexes: &[RawIndex]) -> String {
    let table = quote(&relation.name);
    if indexes.iter().any(|index| index.is_primary) {
        return format!(
            "The primary key of {table} does not compare its columns for equality (WITHOUT OVERLAPS, or an index of another kind); \
             add a unique index over columns that are NOT NULL."
        );
    }
    format!(
        "It has no primary key, and no unique index over columns that are NOT NULL; add one, for example with \
         `ALTER TABLE {table} ADD PRIMARY KEY (…)`."
    )
}

/// Keys are compared by their text when they are looked up in the history.
fn text_obstacle(key: &[KeyColumn], columns: &[RawColumn], types: Types<'_>) -> Option<String> {
    key.iter().find_map(|k| {
        let base = types.resolve(columns[k.column].ty, columns[k.column].modifier).base;
        base.casts_to_text.then(|| {
            format!(
                "The type {} of its key column {} has a cast to text of its own, which may give two values the same text; \
                 use another key, or drop the cast.",
                quote(&base.name),
                quote(&k.name)
            )
        })
    })
}

fn list(key: &[KeyColumn]) -> String {
    let names: Vec<String> = key.iter().map(|k| quote(&k.name)).collect();
    format!("({})", names.join(", "))
}
