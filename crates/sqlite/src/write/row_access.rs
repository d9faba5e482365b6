//! The statements of a write: find, insert, update and delete one row.

use highwater_core::Expr;
use highwater_core::query::{Comparison, Scope};
use highwater_odata::{PrimitiveType, Value};
use highwater_sql::sqlite::Sqlite;
use highwater_sql::{Alias, Compiler, Flavour as _, Param, RowImage, RowRef, Sql};
use rusqlite::types::{Value as Stored, ValueRef as StoredRef};
use rusqlite::{Row, Statement};

use super::{StepContext, shown_value};
use crate::bind::bind;
use crate::error::Fault;

/// An existing row.
pub(super) struct Found {
    /// One for each column.
    pub(super) values: Vec<Stored>,
    pub(super) etag: u64,
    pub(super) in_scope: bool,
}

/// The row for which a condition holds.
pub(super) fn find(context: StepContext<'_>, condition: &Expr) -> Result<Option<Found>, Fault> {
    let flavour = context.schema.flavour(None);
    let row = current(context);
    let columns = context.schema.catalog.tables[row.table].columns.len();
    let mut sql = Sql::new(Sqlite::PLACEHOLDER);
    let mut compiler = Compiler::new(&flavour, &context.schema.catalog, row);
    sql.push("SELECT ");
    match &context.step.scope {
        Some(scope) => compiler.predicate(&mut sql, scope)?,
        None => sql.push("1"),
    }
    for column in 0..columns {
        sql.push(", ");
        flavour.column(&mut sql, row, column);
    }
    sql.push(" FROM ");
    sql.name(&context.schema.catalog.tables[row.table].name);
    sql.push(" AS t WHERE ");
    compiler.predicate(&mut sql, condition)?;
    let (text, params) = sql.finish()?;
    let mut statement = context.connection.prepare_cached(&text)?;
    bind(&mut statement, &params)?;
    let mut rows = statement.raw_query();
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let values = values(row, 1, columns)?;
    Ok(Some(Found {
        etag: context.etag(&values),
        values,
        in_scope: row.get::<_, Option<bool>>(0)?.unwrap_or(false),
    }))
}

/// Whether the row with these values is in the caller's scope.
pub(super) fn is_in_scope(context: StepContext<'_>, after: &[Stored]) -> Result<bool, Fault> {
    let table = &context.schema.catalog.tables[context.step.table];
    if table.key.is_empty() {
        return Err(highwater_core::Error::Unsupported(format!(
            "{} has no usable key, so it cannot be written under a row filter.",
            table.name
        ))
        .into());
    }
    Ok(find(context, &same_key(context, after))?.is_some_and(|found| found.in_scope))
}

/// Inserts a row; what it is then, or `None` if a trigger prevented it.
pub(super) fn insert(
    context: StepContext<'_>,
    values: Vec<(usize, Option<Stored>)>,
) -> Result<Option<Vec<Stored>>, Fault> {
    let table = &context.schema.catalog.tables[context.step.table];
    let values: Vec<(usize, Stored)> = values
        .into_iter()
        .filter_map(|(column, value)| Some((column, value?)))
        .collect();
    let mut sql = Sql::new(Sqlite::PLACEHOLDER);
    sql.push("INSERT INTO ");
    sql.name(&table.name);
    if values.is_empty() {
        sql.push(" DEFAULT VALUES");
    } else {
        for (position, (column, _)) in values.iter().enumerate() {
            sql.push(if position == 0 { " (" } else { ", " });
            sql.name(&table.columns[*column].name);
        }
        for (position, (_, value)) in values.into_iter().enumerate() {
            sql.push(if position == 0 { ") VALUES (" } else { ", " });
            sql.bind(param(value));
        }
        sql.push(")");
    }
    returning(context, sql)
}

/// Changes a row; what it is then, or `None` if a trigger prevented it.
pub(super) fn update(
    context: StepContext<'_>,
    found: &Found,
    values: Vec<(usize, Option<Stored>)>,
) -> Result<Option<Vec<Stored>>, Fault> {
    let table = &context.schema.catalog.tables[context.step.table];
    let mut sql = Sql::new(Sqlite::PLACEHOLDER);
    sql.push("UPDATE ");
    sql.name(&table.name);
    sql.push(" AS t");
    for (position, (column, value)) in values.into_iter().enumerate() {
        sql.push(if position == 0 { " SET " } else { ", " });
        sql.name(&table.columns[column].name);
        sql.push(" = ");
        match value {
            Some(value) => sql.bind(param(value)),
            None => default_value(context, &mut sql, column)?,
        }
    }
    this_row(context, &mut sql, found)?;
    returning(context, sql)
}

/// Deletes a row; `false` if a trigger prevented it.
pub(super) fn delete(context: StepContext<'_>, found: &Found) -> Result<bool, Fault> {
    let table = &context.schema.catalog.tables[context.step.table];
    let mut sql = Sql::new(Sqlite::PLACEHOLDER);
    sql.push("DELETE FROM ");
    sql.name(&table.name);
    sql.push(" AS t");
    this_row(context, &mut sql, found)?;
    let (text, params) = sql.finish()?;
    let mut statement = context.connection.prepare_cached(&text)?;
    bind(&mut statement, &params)?;
    let deleted = statement
        .raw_execute()
        .map_err(|error| context.attempt.explain(error))?;
    Ok(deleted > 0)
}

/// The key of a row, as values.
pub(super) fn key_values(context: StepContext<'_>, values: &[Stored]) -> Vec<Value> {
    let table = &context.schema.catalog.tables[context.step.table];
    table
        .key
        .iter()
        .map(|&column| shown_value(&values[column], table.columns[column].ty))
        .collect()
}

/// ` WHERE` it is exactly this row.
fn this_row(context: StepContext<'_>, sql: &mut Sql, found: &Found) -> Result<(), Fault> {
    let flavour = context.schema.flavour(None);
    let mut compiler = Compiler::new(&flavour, &context.schema.catalog, current(context));
    sql.push(" WHERE ");
    compiler.predicate(sql, &same_key(context, &found.values))?;
    Ok(())
}

/// Compares stored values, whatever they mean.
fn same_key(context: StepContext<'_>, values: &[Stored]) -> Expr {
    let key = &context.schema.catalog.tables[context.step.table].key;
    key.iter()
        .map(|&column| {
            Expr::Compare(
                Comparison::Eq,
                Box::new(Expr::Column {
                    scope: Scope::ROOT,
                    column,
                    ty: PrimitiveType::Any,
                }),
                Box::new(Expr::Literal(literal(values[column].clone()))),
            )
        })
        .reduce(Expr::and)
        .unwrap_or(Expr::Literal(Value::Boolean(false)))
}

fn current(context: StepContext<'_>) -> RowRef {
    RowRef {
        table: context.step.table,
        alias: Alias::Named("t"),
        image: RowImage::Table,
    }
}

/// Executes an insert or update of one row and returns what the row is then.
fn returning(context: StepContext<'_>, mut sql: Sql) -> Result<Option<Vec<Stored>>, Fault> {
    let table = &context.schema.catalog.tables[context.step.table];
    for (position, column) in table.columns.iter().enumerate() {
        sql.push(if position == 0 { " RETURNING " } else { ", " });
        sql.name(&column.name);
    }
    let (text, params) = sql.finish()?;
    let mut statement = context.connection.prepare_cached(&text)?;
    bind(&mut statement, &params)?;
    one_row(&mut statement, table.columns.len()).map_err(|error| context.attempt.explain(error))
}

fn one_row(statement: &mut Statement<'_>, columns: usize) -> rusqlite::Result<Option<Vec<Stored>>> {
    let mut rows = statement.raw_query();
    let found = match rows.next()? {
        Some(row) => Some(values(row, 0, columns)?),
        None => None,
    };
    // To the end: a statement that is reset before is not complete.
    while rows.next()?.is_some() {}
    Ok(found)
}

/// The expression that the declaration of a column gives, which SQLite cannot name in an `UPDATE`. It is part of the schema, not of
/// the request.
fn default_value(context: StepContext<'_>, sql: &mut Sql, column: usize) -> Result<(), Fault> {
    let table = &context.schema.catalog.tables[context.step.table];
    let default: Option<String> = context
        .connection
        .prepare_cached("SELECT dflt_value FROM pragma_table_xinfo(?1) WHERE name = ?2")?
        .query_row((&table.name, &table.columns[column].name), |row| row.get(0))?;
    match default {
        Some(expression) => {
            sql.push("(");
            sql.push(&expression);
            sql.push(")");
        }
        None => sql.push("NULL"),
    }
    Ok(())
}

fn values(row: &Row<'_>, first: usize, columns: usize) -> rusqlite::Result<Vec<Stored>> {
    (first..first + columns)
        .map(|position| {
            Ok(match row.get_ref(position)? {
                StoredRef::Null => Stored::Null,
                StoredRef::Integer(number) => Stored::Integer(number),
                StoredRef::Real(number) => Stored::Real(number),
                StoredRef::Blob(bytes) => Stored::Blob(bytes.to_vec()),
                // Text that is not UTF-8 is shown as bytes, too.
                StoredRef::Text(bytes) => match std::str::from_utf8(bytes) {
                    Ok(text) => Stored::Text(text.to_owned()),
                    Err(_) => Stored::Blob(bytes.to_vec()),
                },
            })
        })
        .collect()
}

fn param(value: Stored) -> Param {
    Param::Value(literal(value))
}

fn literal(value: Stored) -> Value {
    match value {
        Stored::Null => Value::Null,
        Stored::Integer(number) => Value::Integer(number),
        Stored::Real(number) => Value::Double(number),
        Stored::Text(text) => Value::String(text),
        Stored::Blob(bytes) => Value::Binary(bytes),
    }
}
