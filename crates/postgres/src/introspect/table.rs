//! One relation: what every store tells of it, what the SQL compiler needs, and what only this crate needs.

use highwater_core::{Column, Table, Tracking};
use highwater_sql::postgres::{ColumnLayout, TableLayout};

use super::key::{self, Key};
use super::obstacle;
use super::own::Own;
use super::raw::{RawColumn, RawRelation, RawSchema};
use super::types::{self, Types};
use crate::schema::{Capture, ColumnFacts, Kind, Supply, TableFacts, Tracked};

/// A relation, from three sides.
pub(super) struct Described {
    pub(super) table: Table,
    pub(super) layout: TableLayout,
    pub(super) facts: TableFacts,
}

struct DescribedColumn {
    column: Column,
    layout: ColumnLayout,
    facts: ColumnFacts,
}

pub(super) fn describe(raw: &RawSchema, relation: &RawRelation, own: &Own) -> Described {
    let types = Types {
        types: &raw.types,
        fuzzy_collations: &raw.fuzzy_collations,
    };
    let raw_columns = raw
        .columns
        .get(&relation.oid)
        .map_or(&[][..], Vec::as_slice);
    let indexes = raw
        .indexes
        .get(&relation.oid)
        .map_or(&[][..], Vec::as_slice);
    let key = key::choose(relation, raw_columns, indexes, types);
    let obstacle = obstacle::to_tracking(raw, relation, raw_columns, &key, types);
    let untracked = obstacle
        .clone()
        .or_else(|| obstacle::in_practice(&raw.server, relation, own));
    let registered = own.registered.get(&relation.oid);
    let tracked = registered
        .filter(|_| untracked.is_none())
        .map(|registered| registered.tracked.clone());
    let paused = registered
        .filter(|registered| registered.is_extended && obstacle.is_none())
        .map(|registered| registered.tracked.incarnation);
    let (key_index, key) = match key {
        Ok(Key { index, columns, .. }) => (Some(index), columns),
        Err(_) => (None, Vec::new()),
    };
    let described = raw_columns.iter().enumerate().map(|(position, column)| {
        let is_key = key.iter().any(|k| k.column == position);
        describe_column(raw, column, is_key, types)
    });
    let mut columns = Vec::with_capacity(raw_columns.len());
    let mut layouts = Vec::with_capacity(raw_columns.len());
    let mut facts = Vec::with_capacity(raw_columns.len());
    for described in described {
        columns.push(described.column);
        layouts.push(described.layout);
        facts.push(described.facts);
    }
    Described {
        table: Table {
            schema: Some(relation.schema.clone()),
            name: relation.name.clone(),
            is_view: !matches!(relation.kind, 'r' | 'p'),
            columns,
            key: key.iter().map(|k| k.column).collect(),
            relations: Vec::new(),
            tracking: tracking(untracked, tracked.as_ref(), paused),
        },
        layout: TableLayout {
            history: tracked.as_ref().map(|tracked| tracked.id),
            only: relation.kind == 'r',
            columns: layouts,
        },
        facts: TableFacts {
            relation: relation.oid,
            schema: relation.schema.clone(),
            name: relation.name.clone(),
            kind: kind(relation),
            capture: capture(relation),
            unlogged: relation.unlogged,
            row_security: relation.row_security,
            key,
            key_index,
            columns: facts,
            obstacle,
            tracked,
        },
    }
}

fn tracking(untracked: Option<String>, tracked: Option<&Tracked>, paused: Option<i64>) -> Tracking {
    match (untracked, tracked, paused) {
        (None, Some(tracked), _) => Tracking::Tracked {
            incarnation: tracked.incarnation.cast_unsigned(),
        },
        (Some(reason), None, Some(incarnation)) => Tracking::Paused {
            incarnation: incarnation.cast_unsigned(),
            reason,
        },
        (reason, _, _) => Tracking::Untracked {
            reason: reason.unwrap_or_default(),
        },
    }
}

fn kind(relation: &RawRelation) -> Kind {
    match relation.kind {
        'p' => Kind::Partitioned,
        'v' => Kind::View,
        'm' => Kind::MaterializedView,
        'f' => Kind::Foreign,
        _ => Kind::Table,
    }
}

fn capture(relation: &RawRelation) -> Capture {
    if relation.kind == 'p' || relation.has_children || relation.has_parents || relation.is_by_row {
        Capture::Row
    } else {
        Capture::Statement
    }
}

fn describe_column(
    raw: &RawSchema,
    column: &RawColumn,
    is_key: bool,
    types: Types<'_>,
) -> DescribedColumn {
    let resolved = types.resolve(column.ty, column.modifier);
    let (mut ty, _) = types::property_type(resolved.base);
    if is_key {
        ty = types::key_type(ty);
    }
    let supply = supply(column, resolved.has_default);
    let not_null = column.not_null || resolved.not_null;
    let declared = raw.declared.get(&(column.ty, column.modifier));
    let declared = declared.cloned().unwrap_or_default();
    DescribedColumn {
        column: Column {
            name: column.name.clone(),
            ty,
            nullable: !not_null,
            computed: matches!(supply, Supply::Expression | Supply::IdentityAlways),
            has_default: supply != Supply::None,
            scale: types::scale(resolved.base, resolved.modifier),
        },
        layout: types.layout(column, resolved.base),
        facts: ColumnFacts {
            attnum: column.attnum,
            declared: declared.whole,
            base: declared.base,
            unmodified: types.unmodified(&resolved),
            not_null,
            supply,
        },
    }
}

fn supply(column: &RawColumn, domain_has_default: bool) -> Supply {
    match column.identity.as_str() {
        "a" => Supply::IdentityAlways,
        "d" => Supply::Identity,
        _ if !column.generated.is_empty() => Supply::Expression,
        _ if column.has_default || domain_has_default => Supply::Default,
        _ => Supply::None,
    }
}
