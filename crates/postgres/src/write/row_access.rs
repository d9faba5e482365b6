//! The statements of a write: find, insert, update and delete one row.

use highwater_core::Expr;
use highwater_core::query::{Comparison, Scope};
use highwater_core::store::Input;
use highwater_odata::Value;
use highwater_sql::postgres::{Family, Postgres};
use highwater_sql::{Alias, Compiler, RowImage, RowRef, push_operator};
use tokio_postgres::Row;

use super::Failure;
use super::statement::Statement;
use super::step::StepContext;
use crate::error::Fault;
use crate::row::{self, RowShape, Scratch};

/// A row as a statement saw or left it.
pub(super) struct Seen {
    pub(super) in_scope: bool,
    pub(super) etag: u64,
    /// In key order.
    pub(super) key: Vec<Value>,
    /// The texts of the carried columns.
    pub(super) carried: Vec<Option<String>>,
}

/// What others may still do with a row until the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// Everything.
    None,
    /// Read it and refer to it.
    Share,
    /// Read it and refer to it, unless it is changed.
    Change,
    /// Read it, unless it is changed.
    ChangeKey,
}

/// The value to store; `None` is the column's default.
pub(super) type Stored = (usize, Option<Option<String>>);

/// The row with a key, whether in scope or not.
pub(super) async fn find(
    context: StepContext<'_>,
    key: &[Input],
    lock: Lock,
) -> Result<Option<Seen>, Failure> {
    let mut statement = Statement::new(context);
    select(&mut statement, context)?;
    with_key(&mut statement, context, key)?;
    statement.sql.push(match lock {
        Lock::None => "",
        Lock::Share => " FOR SHARE OF t",
        Lock::Change => " FOR NO KEY UPDATE OF t",
        Lock::ChangeKey => " FOR UPDATE OF t",
    });
    seen(context, statement.row().await?)
}

/// The row with exactly this key.
pub(super) async fn look(
    context: StepContext<'_>,
    carried: &[Option<String>],
) -> Result<Option<Seen>, Failure> {
    let mut statement = Statement::new(context);
    select(&mut statement, context)?;
    this_row(&mut statement, context, carried);
    seen(context, statement.row().await?)
}

/// Inserts a row; `None` if a trigger prevented it. `upserts` says that it was looked for and not found.
pub(super) async fn insert(
    context: StepContext<'_>,
    values: &[Stored],
    upserts: bool,
) -> Result<Option<Seen>, Failure> {
    let given: Vec<(usize, Option<&str>)> = values
        .iter()
        .filter_map(|(column, value)| Some((*column, value.as_ref()?.as_deref())))
        .collect();
    let mut statement = Statement::new(context);
    statement.upserts = upserts;
    statement.sql.push("INSERT INTO ");
    statement.table();
    statement.sql.push(" AS t");
    if given.is_empty() {
        statement.sql.push(" DEFAULT VALUES");
    } else {
        for (position, (column, _)) in given.iter().enumerate() {
            statement.sql.push(if position == 0 { " (" } else { ", " });
            statement.sql.name(&context.table().columns[*column].name);
        }
        for (position, (column, value)) in given.into_iter().enumerate() {
            statement
                .sql
                .push(if position == 0 { ") VALUES (" } else { ", " });
            statement.value(column, value);
        }
        statement.sql.push(")");
    }
    returning(statement, context).await
}

/// Which row to change or to delete.
#[derive(Clone, Copy)]
pub(super) enum Which<'k> {
    /// The one that was found: the texts of its carried columns.
    Found(&'k [Option<String>]),
    /// The one with this key, if it is in scope.
    InScope(&'k [Input]),
}

/// Changes a row; `None` if there is none or a trigger prevented it.
pub(super) async fn update(
    context: StepContext<'_>,
    which: Which<'_>,
    values: &[Stored],
) -> Result<Option<Seen>, Failure> {
    let mut statement = Statement::new(context);
    statement.sql.push("UPDATE ");
    only(&mut statement, context);
    statement.table();
    statement.sql.push(" AS t");
    for (position, (column, value)) in values.iter().enumerate() {
        statement
            .sql
            .push(if position == 0 { " SET " } else { ", " });
        statement.sql.name(&context.table().columns[*column].name);
        statement.sql.push(" = ");
        match value {
            Some(value) => statement.value(*column, value.as_deref()),
            None => statement.sql.push("DEFAULT"),
        }
    }
    which_row(&mut statement, context, which)?;
    returning(statement, context).await
}

/// Deletes a row and says what it was; `None` if there is none or a trigger prevented it.
pub(super) async fn delete(
    context: StepContext<'_>,
    which: Which<'_>,
) -> Result<Option<Seen>, Failure> {
    let mut statement = Statement::new(context);
    statement.sql.push("DELETE FROM ");
    only(&mut statement, context);
    statement.table();
    statement.sql.push(" AS t");
    which_row(&mut statement, context, which)?;
    returning(statement, context).await
}

async fn returning(
    mut statement: Statement<'_>,
    context: StepContext<'_>,
) -> Result<Option<Seen>, Failure> {
    statement.sql.push(" RETURNING ");
    columns(&mut statement, context)?;
    seen(context, statement.row().await?)
}

/// Rows of descendants are not the table's own.
fn only(statement: &mut Statement<'_>, context: StepContext<'_>) {
    if context.work.schema.layouts[context.step.table].only {
        statement.sql.push("ONLY ");
    }
}

fn select(statement: &mut Statement<'_>, context: StepContext<'_>) -> Result<(), Failure> {
    statement.sql.push("SELECT ");
    columns(statement, context)?;
    statement.sql.push(" FROM ");
    only(statement, context);
    statement.table();
    statement.sql.push(" AS t");
    Ok(())
}

/// Whether the row is in scope, all its columns as a payload shows them, and the texts of those that are carried.
fn columns(statement: &mut Statement<'_>, context: StepContext<'_>) -> Result<(), Failure> {
    match &context.step.scope {
        Some(scope) => predicate(statement, context, scope)?,
        None => statement.sql.push("true"),
    }
    let layout = &context.work.schema.layouts[context.step.table];
    for (column, form) in context.table().columns.iter().zip(&layout.columns) {
        statement.sql.push(", t.");
        statement.sql.name(&column.name);
        if form.family == Family::Other {
            statement.sql.push("::pg_catalog.text");
        }
    }
    for &column in context.carried() {
        statement.sql.push(", t.");
        statement.sql.name(&context.table().columns[column].name);
        statement.sql.push("::pg_catalog.text");
    }
    Ok(())
}

/// What a statement that returns [`columns`] gave.
fn seen(context: StepContext<'_>, row: Option<Row>) -> Result<Option<Seen>, Failure> {
    let Some(row) = row else { return Ok(None) };
    let schema = context.work.schema;
    let shape = RowShape::whole(&schema.catalog, &schema.layouts, context.step.table);
    let decode = || -> Result<Seen, Fault> {
        shape.check(&row, 1)?;
        let mut scratch = Scratch::default();
        let values = shape.values(&row, 1, None, &mut scratch, Vec::new())?;
        let carried = (0..context.carried().len())
            .map(|position| Ok(row::text(&row, 1 + shape.len() + position)?.map(str::to_owned)))
            .collect::<Result<_, Fault>>()?;
        Ok(Seen {
            in_scope: row::truth(&row, 0)?,
            etag: shape.etag(&values, &mut Vec::new()).unwrap_or_default(),
            key: (context.table().key.iter())
                .map(|&column| values[column].to_owned())
                .collect(),
            carried,
        })
    };
    match decode() {
        Ok(seen) => Ok(Some(seen)),
        Err(fault) => Err(Failure::Told(fault.tell())),
    }
}

fn which_row(
    statement: &mut Statement<'_>,
    context: StepContext<'_>,
    which: Which<'_>,
) -> Result<(), Failure> {
    match which {
        Which::Found(carried) => this_row(statement, context, carried),
        Which::InScope(key) => {
            with_key(statement, context, key)?;
            if let Some(scope) = &context.step.scope {
                statement.sql.push(" AND ");
                predicate(statement, context, scope)?;
            }
        }
    }
    Ok(())
}

/// ` WHERE` it has the key, compared as a query does it.
fn with_key(
    statement: &mut Statement<'_>,
    context: StepContext<'_>,
    key: &[Input],
) -> Result<(), Failure> {
    for (position, (&column, input)) in context.table().key.iter().zip(key).enumerate() {
        statement
            .sql
            .push(if position == 0 { " WHERE " } else { " AND " });
        match input {
            Input::Value(value) => {
                let ty = context.table().columns[column].ty;
                let equal = Expr::Compare(
                    Comparison::Eq,
                    Box::new(Expr::Column {
                        scope: Scope::ROOT,
                        column,
                        ty,
                    }),
                    Box::new(Expr::Literal(value.clone())),
                );
                predicate(statement, context, &equal)?;
            }
            Input::Written {
                step,
                column: source,
            } => {
                let text = context.written(*step, *source)?;
                statement.sql.push("t.");
                statement.sql.name(&context.table().columns[column].name);
                push_operator(&mut statement.sql, "=", operators(context, column));
                statement.value(column, text);
            }
            Input::Default => {
                return Err(
                    highwater_core::Error::Internal("a key cannot be a default".into()).into(),
                );
            }
        }
    }
    Ok(())
}

/// ` WHERE` it is exactly this row. The carried columns begin with the key.
fn this_row(statement: &mut Statement<'_>, context: StepContext<'_>, carried: &[Option<String>]) {
    let layout = &context.work.schema.layouts[context.step.table];
    for (position, (&column, text)) in context.table().key.iter().zip(carried).enumerate() {
        let name = &context.table().columns[column].name;
        statement.sql.push(if position == 0 {
            " WHERE t."
        } else {
            " AND t."
        });
        statement.sql.name(name);
        push_operator(&mut statement.sql, "=", operators(context, column));
        statement.value(column, text.as_deref());
        if layout.columns[column].coarse {
            statement.sql.push(" AND t.");
            statement.sql.name(name);
            statement.sql.push("::pg_catalog.text COLLATE \"C\" = ");
            let text = text.clone().map_or(Value::Null, Value::String);
            statement.sql.bind(highwater_sql::Param::Value(text));
            statement.sql.push("::pg_catalog.text");
        }
    }
}

/// The schema of the operators that compare a column, if they have to be named with it.
fn operators(context: StepContext<'_>, column: usize) -> Option<&str> {
    let layout = &context.work.schema.layouts[context.step.table];
    layout.columns[column].operators.as_deref()
}

fn predicate(
    statement: &mut Statement<'_>,
    context: StepContext<'_>,
    expr: &Expr,
) -> Result<(), Failure> {
    let schema = context.work.schema;
    let flavour = Postgres {
        catalog: &schema.catalog,
        layouts: &schema.layouts,
        as_of: None,
        letters: None,
    };
    let row = RowRef {
        table: context.step.table,
        alias: Alias::Named("t"),
        image: RowImage::Table,
    };
    Compiler::new(&flavour, &schema.catalog, row).predicate(&mut statement.sql, expr)?;
    Ok(())
}
