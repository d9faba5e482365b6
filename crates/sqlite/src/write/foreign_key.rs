//! Which foreign key a transaction breaks. SQLite does not tell, but the transaction is still open, so the rows can be asked.

use highwater_core::store::WriteParams;
use highwater_core::{ConstraintKind, Relation};
use highwater_sql::Flavour as _;
use highwater_sql::Sql;
use highwater_sql::sqlite::Sqlite;
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, ErrorCode, params_from_iter};

use super::Done;
use crate::constraint::Attempt;
use crate::error::Fault;
use crate::schema::Schema;

/// The error of a commit.
pub(super) fn explain(
    connection: &Connection,
    schema: &Schema,
    params: &WriteParams,
    done: &[Done],
    error: rusqlite::Error,
) -> Fault {
    let refused = matches!(
        &error,
        rusqlite::Error::SqliteFailure(cause, _) if cause.code == ErrorCode::ConstraintViolation
    );
    if !refused {
        return error.into();
    }
    for (number, (step, done)) in params.steps.iter().zip(done).enumerate() {
        let attempt = Attempt {
            catalog: &schema.catalog,
            step: number,
            table: step.table,
        };
        for relation in &schema.catalog.tables[step.table].relations {
            let violation = if relation.owns_key {
                missing_parent(connection, attempt, relation, &done.after)
            } else {
                left_children(connection, attempt, relation, &done.before)
            };
            match violation {
                Ok(Some(violation)) => return violation,
                Ok(None) => {}
                Err(error) => return error.into(),
            }
        }
    }
    let attempt = Attempt {
        catalog: &schema.catalog,
        step: 0,
        table: params.steps.first().map_or(0, |step| step.table),
    };
    attempt.explain(error)
}

/// The row refers to a row that does not exist.
fn missing_parent(
    connection: &Connection,
    attempt: Attempt<'_>,
    relation: &Relation,
    row: &[Stored],
) -> rusqlite::Result<Option<Fault>> {
    let Some(reference) = reference(relation, row) else {
        return Ok(None);
    };
    let there: Vec<usize> = relation.columns.iter().map(|pair| pair.1).collect();
    if exists(connection, attempt, relation.target, &there, &reference)? {
        return Ok(None);
    }
    let own = &attempt.catalog.tables[attempt.table];
    let target = &attempt.catalog.tables[relation.target].name;
    let columns: Vec<String> = relation
        .columns
        .iter()
        .map(|pair| own.columns[pair.0].name.clone())
        .collect();
    let message = format!(
        "{} of {} refers to a row of {target} that does not exist.",
        columns.join(", "),
        own.name
    );
    Ok(Some(attempt.violation(
        ConstraintKind::ForeignKey,
        columns,
        message,
    )))
}

/// Other rows still refer to what the row was.
fn left_children(
    connection: &Connection,
    attempt: Attempt<'_>,
    relation: &Relation,
    row: &[Stored],
) -> rusqlite::Result<Option<Fault>> {
    let Some(reference) = reference(relation, row) else {
        return Ok(None);
    };
    let (here, there): (Vec<usize>, Vec<usize>) = relation.columns.iter().copied().unzip();
    if exists(connection, attempt, attempt.table, &here, &reference)?
        || !exists(connection, attempt, relation.target, &there, &reference)?
    {
        return Ok(None);
    }
    let own = &attempt.catalog.tables[attempt.table];
    let other = &attempt.catalog.tables[relation.target];
    let columns: Vec<String> = here
        .iter()
        .map(|column| own.columns[*column].name.clone())
        .collect();
    let referring: Vec<&str> = there
        .iter()
        .map(|column| other.columns[*column].name.as_str())
        .collect();
    let message = format!(
        "Rows of {} still refer to this row of {} (by {}).",
        other.name,
        own.name,
        referring.join(", ")
    );
    Ok(Some(attempt.violation(
        ConstraintKind::ForeignKey,
        columns,
        message,
    )))
}

/// The values that make a reference; `None` if there is no row, or one of them is null.
fn reference(relation: &Relation, row: &[Stored]) -> Option<Vec<Stored>> {
    relation
        .columns
        .iter()
        .map(|(here, _)| {
            row.get(*here)
                .filter(|value| **value != Stored::Null)
                .cloned()
        })
        .collect()
}

fn exists(
    connection: &Connection,
    attempt: Attempt<'_>,
    table: usize,
    columns: &[usize],
    values: &[Stored],
) -> rusqlite::Result<bool> {
    let table = &attempt.catalog.tables[table];
    let mut sql = Sql::new(Sqlite::PLACEHOLDER);
    sql.push("SELECT EXISTS (SELECT 1 FROM ");
    sql.name(&table.name);
    for (position, column) in columns.iter().enumerate() {
        sql.push(if position == 0 { " WHERE " } else { " AND " });
        sql.name(&table.columns[*column].name);
        sql.push(" = ");
        sql.bind_integer(0);
    }
    sql.push(")");
    let Ok((text, _)) = sql.finish() else {
        return Ok(false);
    };
    connection.query_row(&text, params_from_iter(values), |row| row.get(0))
}
