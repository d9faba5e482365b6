//! Whether a column keeps a value as it is, where only PostgreSQL can tell.
//!
//! Values of most types are refused before they are sent ([`crate::input`]). What cannot be read there is asked for: elements of arrays, intervals in
//! PostgreSQL's own words, and what an earlier step wrote to a column of another type. The question is not what is in the row
//! afterwards, because triggers of the application may change that.

use highwater_core::store::{Input, WriteVerb};
use highwater_core::{ConstraintKind, Error};
use highwater_sql::postgres::Family;

use super::Failure;
use super::statement::Statement;
use super::step::StepContext;
use crate::row;

/// Refuses values that would be rounded or cut off in silence.
pub(super) async fn check(context: StepContext<'_>) -> Result<(), Failure> {
    let mut statement = Statement::new(context);
    let mut asked = Vec::new();
    for (column, input) in inputs(context) {
        let facts = &context.facts().columns[column];
        let family = context.work.schema.layouts[context.step.table].columns[column].family;
        let is_open = match input {
            Input::Default => false,
            Input::Value(_) => matches!(family, Family::Interval | Family::Other),
            Input::Written { .. } => true,
        };
        if is_open
            && let Some(unmodified) = &facts.unmodified
            && let Some(Some(text)) = context.stored_one(column, input)?
        {
            statement.sql.push(match asked.is_empty() {
                true => "SELECT ",
                false => ", ",
            });
            statement.is_kept(column, unmodified, &facts.declared, &text);
            asked.push(column);
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let row = statement.row().await?;
    let row = row.ok_or_else(|| Error::Internal("PostgreSQL does not answer a question".into()))?;
    for (position, column) in asked.into_iter().enumerate() {
        if !row::truth(&row, position).map_err(|fault| Failure::Told(fault.tell()))? {
            let name = context.table().columns[column].name.clone();
            let message = format!(
                "The value of {name} cannot be stored exactly: the column is of the type {}.",
                context.facts().columns[column].declared
            );
            let violation = context
                .attempt()
                .violation(ConstraintKind::Type, vec![name], message);
            return Err(violation.into());
        }
    }
    Ok(())
}

/// What the step may store. Keys that only say which row is meant are compared as they are.
fn inputs(context: StepContext<'_>) -> impl Iterator<Item = (usize, &Input)> {
    let (key, values): (&[Input], &[(usize, Input)]) = match &context.step.verb {
        WriteVerb::Insert { values } => (&[], values),
        WriteVerb::Update {
            key,
            values,
            or_insert,
            ..
        } => (if *or_insert { key } else { &[] }, values),
        WriteVerb::Delete { .. } => (&[], &[]),
    };
    let key_columns = context.table().key.iter().copied();
    let values = values.iter().map(|(column, input)| (*column, input));
    key_columns.zip(key).chain(values)
}
