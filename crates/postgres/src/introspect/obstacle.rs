//! Why a relation is not served, or not tracked: full sentences that say what would help.

use super::key::Key;
use super::own::{Own, Registered};
use super::raw::{OwnSchema, RawColumn, RawRelation, RawSchema, Server};
use super::types::Types;
use crate::schema::quote;

/// Why a relation is left out of the catalog; `None` if it is not.
pub(super) fn to_serving(raw: &RawSchema, relation: &RawRelation) -> Option<String> {
    let RawRelation { schema, name, .. } = relation;
    let whole = format!("{}.{}", quote(schema), quote(name));
    if let Some(extension) = &relation.extension {
        return Some(format!(
            "It belongs to the extension {}; create a view of it to have it served.",
            quote(extension)
        ));
    }
    if !relation.may_use_schema {
        return Some(format!(
            "The role of this connection may not use its schema; `GRANT USAGE ON SCHEMA {}` to that role to have it served.",
            quote(schema)
        ));
    }
    if !relation.may_select {
        return Some(format!(
            "The role of this connection may not read it as a whole; `GRANT SELECT ON {whole}` to that role to have it served \
             (rights on single columns do not suffice; a view of those columns does)."
        ));
    }
    if relation.kind == 'm' && !relation.is_populated {
        return Some(format!(
            "It has no rows yet; `REFRESH MATERIALIZED VIEW {whole}` to have it served."
        ));
    }
    if !raw.server.in_recovery {
        return None;
    }
    if relation.unlogged {
        return Some(
            "It is UNLOGGED, so a standby does not have its rows; ask the primary.".into(),
        );
    }
    let partition = raw.odd_partitions.get(&relation.oid)?;
    (!partition.is_foreign).then(|| {
        format!(
            "Its partition {} is UNLOGGED, so a standby does not have its rows; ask the primary.",
            partition.name
        )
    })
}

/// Why the changes of a relation cannot be tracked; `None` if they can be.
pub(super) fn to_tracking(
    raw: &RawSchema,
    relation: &RawRelation,
    columns: &[RawColumn],
    key: &Result<Key, String>,
    types: Types<'_>,
) -> Option<String> {
    match relation.kind {
        'v' => {
            return Some("A view cannot be tracked, because its rows have no identity; track the tables behind it.".into());
        }
        'm' => {
            return Some("A materialized view cannot be tracked, because it is filled without triggers; track the tables behind it.".into());
        }
        'f' => {
            return Some("A foreign table cannot be tracked, because its rows change in another database; serve that database.".into());
        }
        _ => {}
    }
    match key {
        Err(reason) => return Some(reason.clone()),
        Ok(Key {
            obstacle: Some(reason),
            ..
        }) => return Some(reason.clone()),
        Ok(_) => {}
    }
    if relation.row_security {
        return Some(
            "Row-level security decides which rows the role of this connection sees, and that can change without a change of any row; \
             give the role BYPASSRLS to have the table tracked, and let the service filter."
                .into(),
        );
    }
    if relation.has_casts {
        return Some(
            "Its rows have a user-defined cast to or from text, but are kept as text; drop the cast to have the table tracked."
                .into(),
        );
    }
    if let Some(partition) = raw.odd_partitions.get(&relation.oid) {
        return Some(if partition.is_foreign {
            format!(
                "Its partition {} is a foreign table, whose rows change in another database without a trigger here; detach it to have the rest tracked.",
                partition.name
            )
        } else {
            format!(
                "Its partition {} is UNLOGGED, so that a crash empties it without a trace; `ALTER TABLE … SET LOGGED` to have the table tracked.",
                partition.name
            )
        });
    }
    if columns.len() > COLUMNS_MAX {
        return Some(format!(
            "It has {} columns, and PostgreSQL cannot compare more than {COLUMNS_MAX} in one statement with what they were; divide the table \
             to have it tracked.",
            columns.len()
        ));
    }
    columns.iter().find_map(|column| {
        if column.generated == "v" {
            return Some(format!(
                "Its column {} is VIRTUAL, so that PostgreSQL does not have its value in the row before a change; make it STORED to have the table tracked.",
                quote(&column.name)
            ));
        }
        let ty = types.unreadable(column.ty)?;
        Some(format!(
            "Its column {} holds the type {ty}, whose values cannot always be read back from their text; \
             change the column's type (to text, for example) to have the table tracked.",
            quote(&column.name)
        ))
    })
}

/// A statement returns 1,664 values at most, and a round needs every column twice, and some more.
const COLUMNS_MAX: usize = 800;

/// Why a table that could be tracked is not: the same for all of them, so that a status can say it once.
const NOT_TRACKED: &str =
    "Tracking is not switched on; `highwater serve` or `highwater track` begins it.";
const NOT_OWNED: &str = "Tracking is not switched on, and the role of this connection cannot begin it, because it does not own the table; \
     connect as the owner with `highwater track`, or let the owner run what `highwater track --print-sql` shows.";
const NOT_OWNED_SCHEMA: &str = "Tracking is not switched on, and the role of this connection cannot begin it, because another role owns \
     the schema highwater; `highwater track` by a role that is a member of both owners begins it.";
const NOT_CREATED: &str = "Tracking is not switched on, and the role of this connection cannot begin it, because it may not create the \
     schema highwater; `GRANT CREATE ON DATABASE` to that role, or let another one run what `highwater track --print-sql` shows.";
const FORBIDDEN: &str = "The role of this connection may not read the schema highwater, where the history is; \
     `highwater track --print-sql` shows what to grant.";

/// What this role lacks to begin the tracking of a table; `None` if it lacks nothing.
pub(super) fn to_beginning(server: &Server, relation: &RawRelation) -> Option<&'static str> {
    match (server.own, relation.may_change, server.may_track) {
        (_, true, true) => None,
        (_, false, _) => Some(NOT_OWNED),
        (OwnSchema::Absent, true, false) => Some(NOT_CREATED),
        (_, true, false) => Some(NOT_OWNED_SCHEMA),
    }
}

/// Why a table that could be tracked is not; `None` if it is.
pub(super) fn in_practice(server: &Server, relation: &RawRelation, own: &Own) -> Option<String> {
    match (own.state, own.registered.get(&relation.oid)) {
        (OwnSchema::Forbidden, _) => Some(FORBIDDEN.to_owned()),
        (
            _,
            Some(Registered {
                is_in_order: true, ..
            }),
        ) => None,
        (
            _,
            Some(Registered {
                is_extended: true, ..
            }),
        ) => Some(format!(
            "New partitions wait to be taken in by `highwater serve` or `highwater track`{}.",
            by_whom(server, relation)
        )),
        (_, Some(_)) => Some(format!(
            "The table or its triggers were changed after tracking began; `highwater serve` or `highwater track`{} begins anew for {}.",
            by_whom(server, relation),
            quote(&relation.name)
        )),
        (_, None) => Some(
            to_beginning(server, relation)
                .unwrap_or(NOT_TRACKED)
                .to_owned(),
        ),
    }
}

fn by_whom(server: &Server, relation: &RawRelation) -> &'static str {
    if to_beginning(server, relation).is_some() {
        " as the owner"
    } else {
        ""
    }
}
