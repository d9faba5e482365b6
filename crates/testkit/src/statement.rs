//! Random statements that change rows: every form in which an application writes.
//!
//! What must hold: a statement is valid SQL for its flavour, though the database may well refuse to execute it. What is
//! deliberately absent: transactions and schema changes (see `writer`).

use crate::flavour::{Flavour, Kind};
use crate::rng::Rng;
use crate::schema::{Schema, Table};
use crate::values::literal;

/// The statements of one step; usually one.
pub(crate) fn statements(rng: &mut Rng, flavour: &Flavour, schema: &Schema) -> Vec<String> {
    let table = rng.pick(&schema.tables);
    let form = rng.weighted(&[(14, 0), (12, 1), (5, 2), (3, 3), (3, 4), (2, 5), (2, 6)]);
    match form {
        0 => vec![insert(rng, flavour, table)],
        1 => vec![update(rng, flavour, table)],
        2 => vec![delete(rng, table)],
        3 => vec![insert_select(rng, flavour, table, schema)],
        4 => vec![update_from(rng, flavour, table)],
        5 => swap_keys(rng, table),
        _ => vec![set_rowid(rng, flavour, table)],
    }
}

/// Statements that fill all tables with a few rows each, so far as they do not collide.
pub(crate) fn filling(rng: &mut Rng, flavour: &Flavour, schema: &Schema) -> Vec<String> {
    let mut all = Vec::new();
    for table in &schema.tables {
        for _ in 0..4 + rng.below(8) {
            all.push(insert(rng, flavour, table));
        }
    }
    all
}

fn insert(rng: &mut Rng, flavour: &Flavour, table: &Table) -> String {
    if rng.chance(2) {
        return format!("INSERT INTO {} DEFAULT VALUES", table.sql());
    }
    let mut columns = table.written();
    if rng.chance(25) {
        columns = rng.subset(&columns, 1);
    }
    let rows: Vec<String> = (0..rng.weighted(&[(6, 1), (2, 2), (2, 4)]))
        .map(|_| format!("({})", values(rng, table, &columns)))
        .collect();
    let (clause, upsert) = conflict(rng, flavour, table);
    format!(
        "INSERT {clause}INTO {} ({}) VALUES {}{upsert}",
        table.sql(),
        list(table, &columns),
        rows.join(", ")
    )
}

/// The words for conflicts before and behind an insert, never both.
fn conflict(rng: &mut Rng, flavour: &Flavour, table: &Table) -> (&'static str, String) {
    if rng.chance(65) {
        return (rng.word(flavour.conflict_clauses), String::new());
    }
    let mut upsert = String::new();
    if rng.chance(25) {
        let target = rng.pick(&table.targets);
        upsert = format!(" ON CONFLICT ({}) DO NOTHING", list(table, target));
    }
    if rng.chance(35) {
        let target = if rng.chance(50) {
            String::new()
        } else {
            format!(" ({})", list(table, rng.pick::<Vec<usize>>(&table.targets)))
        };
        return ("", format!("{upsert} ON CONFLICT{target} DO NOTHING"));
    }
    let target = list(table, rng.pick::<Vec<usize>>(&table.targets));
    let written = table.written();
    let set: Vec<String> = rng
        .subset(&written, 1)
        .into_iter()
        .map(|at| {
            let column = table.column(at);
            let value = match rng.below(3) {
                0 => format!("excluded.{column}"),
                1 => value(rng, table, at),
                _ => format!("coalesce({}.{column}, excluded.{column})", table.sql()),
            };
            format!("{column} = {value}")
        })
        .collect();
    let condition = if rng.chance(25) {
        format!(
            " WHERE {}.{} IS NOT NULL",
            table.sql(),
            table.column(*rng.pick(&written))
        )
    } else {
        String::new()
    };
    (
        "",
        format!(
            "{upsert} ON CONFLICT ({target}) DO UPDATE SET {}{condition}",
            set.join(", ")
        ),
    )
}

fn update(rng: &mut Rng, flavour: &Flavour, table: &Table) -> String {
    let clause = update_clause(rng, flavour);
    let set = assignments(rng, table, |rng, at| {
        let column = table.column(at);
        match rng.below(10) {
            0 | 1 if table.columns[at].kind == Kind::Int => format!("{column} + 1"),
            2 if table.columns[at].kind == Kind::Int => format!("9 - {column}"),
            // Bytes as text need not be UTF-8, and then no key can show them.
            3 if table.columns[at].kind == Kind::Text => {
                format!("upper({})", flavour.text_argument.replace("{0}", &column))
            }
            4 => column,
            5 => table.column(rng.below(table.columns.len())),
            _ => value(rng, table, at),
        }
    });
    format!(
        "UPDATE {clause}{} SET {set}{}",
        table.sql(),
        condition(rng, table)
    )
}

fn update_from(rng: &mut Rng, flavour: &Flavour, table: &Table) -> String {
    let clause = update_clause(rng, flavour);
    let (sql, key) = (table.sql(), table.column(table.key[0]));
    let source = table.column(rng.below(table.columns.len()));
    let set = assignments(rng, table, |rng, at| {
        if rng.chance(50) {
            "origin.source".to_owned()
        } else {
            value(rng, table, at)
        }
    });
    let compare = rng.word(&["=", "<", "<>"]);
    format!(
        "UPDATE {clause}{sql} SET {set} FROM (SELECT {key} AS origin_key, max({source}) AS source FROM {sql} \
         GROUP BY 1 ORDER BY 1 LIMIT 1) AS origin WHERE {sql}.{key} {compare} origin.origin_key"
    )
}

/// `UPDATE` knows the same clauses as `INSERT`, but they are rarer in practice, and most updates should succeed.
fn update_clause(rng: &mut Rng, flavour: &Flavour) -> &'static str {
    if rng.chance(40) {
        rng.word(flavour.conflict_clauses)
    } else {
        ""
    }
}

fn assignments(
    rng: &mut Rng,
    table: &Table,
    mut value: impl FnMut(&mut Rng, usize) -> String,
) -> String {
    let written = table.written();
    let mut chosen: Vec<usize> = written
        .iter()
        .copied()
        .filter(|at| rng.chance(if table.key.contains(at) { 25 } else { 45 }))
        .collect();
    if chosen.is_empty() {
        chosen.push(*rng.pick(&written));
    }
    let set: Vec<String> = chosen
        .into_iter()
        .map(|at| format!("{} = {}", table.column(at), value(rng, at)))
        .collect();
    set.join(", ")
}

fn delete(rng: &mut Rng, table: &Table) -> String {
    let condition = match rng.below(20) {
        0 => String::new(),
        1 | 2 => condition(rng, table),
        _ => {
            let at = *rng.pick(&table.key);
            format!(
                " WHERE {} = {}",
                table.column(at),
                literal(rng, table.columns[at].kind)
            )
        }
    };
    format!("DELETE FROM {}{condition}", table.sql())
}

fn insert_select(rng: &mut Rng, flavour: &Flavour, table: &Table, schema: &Schema) -> String {
    let from = if rng.chance(60) {
        table
    } else {
        rng.pick(&schema.tables)
    };
    let columns = table.written();
    let sources: Vec<String> = columns
        .iter()
        .map(|at| {
            let same_table = from.name == table.name;
            let key_or_often = table.key.contains(at) || rng.chance(40);
            match table.columns[*at].kind {
                Kind::Int if key_or_often && same_table => format!("{} + 3", table.column(*at)),
                _ if key_or_often || !same_table => value(rng, table, *at),
                _ => table.column(*at),
            }
        })
        .collect();
    let clause = rng.word(flavour.conflict_clauses);
    // A condition is required before an upsert clause, and there is none here, but it does no harm.
    let condition = match condition(rng, from) {
        none if none.is_empty() => " WHERE true".to_owned(),
        some => some,
    };
    format!(
        "INSERT {clause}INTO {} ({}) SELECT {} FROM {}{condition}",
        table.sql(),
        list(table, &columns),
        sources.join(", "),
        from.sql()
    )
}

/// Exchanges the keys of two rows through a third value, one statement after the other.
fn swap_keys(rng: &mut Rng, table: &Table) -> Vec<String> {
    let at = *rng.pick(&table.key);
    let (sql, column, kind) = (table.sql(), table.column(at), table.columns[at].kind);
    let (one, two) = (literal(rng, kind), literal(rng, kind));
    let between = match kind {
        Kind::Blob => "x'deadbeef'",
        Kind::Text => "'between'",
        _ => "-77",
    };
    [(between, one.as_str()), (&one, &two), (&two, between)]
        .into_iter()
        .map(|(new, old)| format!("UPDATE {sql} SET {column} = {new} WHERE {column} = {old}"))
        .collect()
}

/// Gives a row the hidden number of another one, which makes the other one vanish if conflicts are replaced.
fn set_rowid(rng: &mut Rng, flavour: &Flavour, table: &Table) -> String {
    let Some(rowid) = table.hidden_rowid else {
        return update(rng, flavour, table);
    };
    let (clause, sql, number) = (
        rng.word(flavour.conflict_clauses),
        table.sql(),
        1 + rng.below(12),
    );
    if rng.chance(50) {
        return format!(
            "UPDATE {clause}{sql} SET {rowid} = {number}{}",
            condition(rng, table)
        );
    }
    let columns = table.written();
    let values = values(rng, table, &columns);
    format!(
        "INSERT {clause}INTO {sql} ({rowid}, {}) VALUES ({number}, {values})",
        list(table, &columns)
    )
}

/// ` WHERE …`, or nothing.
fn condition(rng: &mut Rng, table: &Table) -> String {
    let at = if rng.chance(60) {
        *rng.pick(&table.key)
    } else {
        rng.below(table.columns.len())
    };
    let (column, kind) = (table.column(at), table.columns[at].kind);
    match rng.below(12) {
        0 => String::new(),
        1 => format!(" WHERE {column} IS NULL"),
        2 | 3 => {
            let compare = rng.word(&["<", ">", "<>"]);
            format!(" WHERE {column} {compare} {}", literal(rng, kind))
        }
        4 => format!(
            " WHERE {column} IN ({}, {})",
            literal(rng, kind),
            literal(rng, kind)
        ),
        5 => {
            let other = table.column(rng.below(table.columns.len()));
            format!(
                " WHERE {column} = (SELECT max({column}) FROM {}) OR {other} IS NULL",
                table.sql()
            )
        }
        _ => format!(" WHERE {column} = {}", literal(rng, kind)),
    }
}

fn values(rng: &mut Rng, table: &Table, columns: &[usize]) -> String {
    let values: Vec<String> = columns.iter().map(|at| value(rng, table, *at)).collect();
    values.join(", ")
}

fn value(rng: &mut Rng, table: &Table, at: usize) -> String {
    let column = &table.columns[at];
    let null = if table.key.contains(&at) { 2 } else { 12 };
    if rng.chance(null) {
        return "NULL".to_owned();
    }
    let kind = if column.loose && rng.chance(20) {
        Kind::Any
    } else {
        column.kind
    };
    literal(rng, kind)
}

fn list(table: &Table, columns: &[usize]) -> String {
    let names: Vec<String> = columns.iter().map(|at| table.column(*at)).collect();
    names.join(", ")
}
