//! Writes: several changes in one transaction, all or nothing.
//!
//! What must hold: conditions and scopes are checked in the transaction that writes, against the row as it is there. A value is stored
//! exactly or refused. What fails leaves no trace, and says which step failed and which columns are concerned.
//!
//! Foreign keys are checked at the end of the transaction (`PRAGMA defer_foreign_keys`), so the steps of a deep insert may come
//! in any order, and the row that breaks one can still be looked for.

mod foreign_key;
mod row_access;

use highwater_core::query::{Comparison, Scope};
use highwater_core::store::{
    Condition, Input, WriteOutcome, WriteParams, WriteResult, WriteStep, WriteVerb, Written,
};
use highwater_core::{ConstraintKind, Error, Expr, etag};
use highwater_odata::{Value, ValueRef};
use rusqlite::types::Value as Stored;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::constraint::Attempt;
use crate::error::Fault;
use crate::input::to_store;
use crate::pool::Session;
use crate::row;
use crate::schema::Schema;

use row_access::{Found, delete, find, insert, key_values, update};

/// Makes the changes.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::Constraint`], [`Error::ReadOnly`], [`Error::SchemaChanged`], and
/// whatever SQLite says.
pub(crate) fn write(
    session: &mut Session,
    schema: &Schema,
    params: &WriteParams,
) -> Result<WriteResult, Fault> {
    if !std::sync::Arc::ptr_eq(&params.catalog, &schema.catalog) || session.file != schema.file {
        return Err(Error::SchemaChanged.into());
    }
    let transaction =
        Transaction::new_unchecked(&session.connection, TransactionBehavior::Immediate)?;
    schema.verify(&transaction)?;
    transaction.pragma_update(None, "defer_foreign_keys", true)?;
    let mut done: Vec<Done> = Vec::with_capacity(params.steps.len());
    for (number, step) in params.steps.iter().enumerate() {
        let context = StepContext {
            connection: &transaction,
            schema,
            step,
            attempt: Attempt {
                catalog: &schema.catalog,
                step: number,
                table: step.table,
            },
            done: &done,
        };
        let next = context.execute()?;
        done.push(next);
    }
    if let Err(error) = transaction.execute_batch("COMMIT") {
        // The transaction is still open; it ends with this function.
        return Err(foreign_key::explain(
            &transaction,
            schema,
            params,
            &done,
            error,
        ));
    }
    Ok(WriteResult {
        written: done.into_iter().map(|done| done.written).collect(),
    })
}

/// What a step did, with the exact values of the row.
pub(crate) struct Done {
    written: Written,
    /// One for each column, before the step; empty if there was no row.
    before: Vec<Stored>,
    /// One for each column, after the step; empty if there is no row.
    after: Vec<Stored>,
}

/// One step and everything that it needs to know.
#[derive(Clone, Copy)]
pub(crate) struct StepContext<'a> {
    connection: &'a Connection,
    schema: &'a Schema,
    step: &'a WriteStep,
    attempt: Attempt<'a>,
    done: &'a [Done],
}

impl StepContext<'_> {
    fn execute(self) -> Result<Done, Fault> {
        let table = &self.schema.catalog.tables[self.step.table];
        if table.is_view {
            return Err(Error::ReadOnly(format!(
                "{} is a view and cannot be written; write to the tables behind it.",
                table.name
            ))
            .into());
        }
        match &self.step.verb {
            WriteVerb::Insert { values } => {
                let values = self.stored(values)?;
                self.insert(values)
            }
            WriteVerb::Update {
                key,
                values,
                condition,
                or_insert,
            } => self.update(key, values, condition, *or_insert),
            WriteVerb::Delete { key, condition } => {
                let Some(found) = self.find(key)? else {
                    return Err(Error::NotFound.into());
                };
                check(condition, found.etag)?;
                if !delete(self, &found)? {
                    return Err(self.ignored());
                }
                Ok(Done {
                    written: Written {
                        outcome: WriteOutcome::Deleted,
                        key: key_values(self, &found.values),
                        etag: None,
                    },
                    before: found.values,
                    after: Vec::new(),
                })
            }
        }
    }

    fn insert(self, values: Vec<(usize, Option<Stored>)>) -> Result<Done, Fault> {
        let after = insert(self, values)?.ok_or_else(|| self.ignored())?;
        self.check_scope(&after)?;
        Ok(Done {
            written: Written {
                outcome: WriteOutcome::Created,
                key: key_values(self, &after),
                etag: Some(self.etag(&after)),
            },
            before: Vec::new(),
            after,
        })
    }

    fn update(
        self,
        key: &[Input],
        values: &[(usize, Input)],
        condition: &Condition,
        or_insert: bool,
    ) -> Result<Done, Fault> {
        let values = self.stored(values)?;
        let Some(found) = self.find(key)? else {
            // If-Match never creates anything (Protocol 11.4.4); If-None-Match holds of a row that does not exist.
            return match condition {
                _ if !or_insert => Err(Error::NotFound.into()),
                Condition::Exists | Condition::Matches(_) => Err(Error::PreconditionFailed.into()),
                Condition::None | Condition::Absent | Condition::MatchesNone(_) => {
                    self.insert(self.with_key(key, values)?)
                }
            };
        };
        check(condition, found.etag)?;
        let after = if values.is_empty() {
            found.values.clone()
        } else {
            update(self, &found, values)?.ok_or_else(|| self.ignored())?
        };
        self.check_scope(&after)?;
        Ok(Done {
            written: Written {
                outcome: WriteOutcome::Updated,
                key: key_values(self, &after),
                etag: Some(self.etag(&after)),
            },
            before: found.values,
            after,
        })
    }

    /// The row with a key, if it exists and is in scope.
    fn find(self, key: &[Input]) -> Result<Option<Found>, Fault> {
        let table = &self.schema.catalog.tables[self.step.table];
        if table.key.is_empty() || table.key.len() != key.len() {
            return Err(Error::Unsupported(format!(
                "Rows of {} cannot be addressed: it has no usable key.",
                table.name
            ))
            .into());
        }
        let mut condition = None;
        for (&column, input) in table.key.iter().zip(key) {
            let ty = table.columns[column].ty;
            let value = match input {
                Input::Value(value) => value.clone(),
                Input::Written { step, column } => {
                    let written = self.written(*step, *column)?;
                    row::value((&written).into(), ty).to_owned()
                }
                Input::Default => {
                    return Err(Error::Internal("a key cannot be a default".into()).into());
                }
            };
            let equal = Expr::Compare(
                Comparison::Eq,
                Box::new(Expr::Column {
                    scope: Scope::ROOT,
                    column,
                    ty,
                }),
                Box::new(Expr::Literal(value)),
            );
            condition = Some(match condition {
                None => equal,
                Some(others) => Expr::and(others, equal),
            });
        }
        let Some(condition) = condition else {
            return Err(Error::Internal("a key without columns".into()).into());
        };
        let found = find(self, &condition)?;
        match found {
            // An upsert must not reveal by its failure that there is a row outside the scope.
            Some(found) if !found.in_scope => Err(Error::NotFound.into()),
            found => Ok(found),
        }
    }

    /// The values to store; `None` is the column's default.
    fn stored(self, values: &[(usize, Input)]) -> Result<Vec<(usize, Option<Stored>)>, Fault> {
        values
            .iter()
            .map(|(column, input)| Ok((*column, self.stored_one(*column, input)?)))
            .collect()
    }

    fn stored_one(self, column: usize, input: &Input) -> Result<Option<Stored>, Fault> {
        let table = &self.schema.catalog.tables[self.step.table];
        if table.columns[column].computed {
            return Err(Error::ReadOnly(format!(
                "{} of {} is computed by the database and cannot be written.",
                table.columns[column].name, table.name
            ))
            .into());
        }
        let value = match input {
            Input::Default => return Ok(None),
            Input::Written { step, column } => return self.written(*step, *column).map(Some),
            Input::Value(value) => value,
        };
        let affinity = self.schema.facts[self.step.table].columns[column].affinity;
        to_store(value, affinity).map(Some).map_err(|reason| {
            let name = self.schema.catalog.tables[self.step.table].columns[column]
                .name
                .clone();
            let message = format!("The value of {name} {reason}.");
            self.attempt
                .violation(ConstraintKind::Type, vec![name], message)
        })
    }

    fn written(self, step: usize, column: usize) -> Result<Stored, Fault> {
        let value = self.done.get(step).and_then(|done| done.after.get(column));
        Ok(value
            .ok_or_else(|| Error::Internal("a step refers to a row that was not written".into()))?
            .clone())
    }

    /// The key's values too, unless the other values set them already.
    fn with_key(
        self,
        key: &[Input],
        mut values: Vec<(usize, Option<Stored>)>,
    ) -> Result<Vec<(usize, Option<Stored>)>, Fault> {
        let columns = &self.schema.catalog.tables[self.step.table].key;
        for (&column, input) in columns.iter().zip(key) {
            let stored = self.stored_one(column, input)?;
            match values.iter_mut().find(|(other, _)| *other == column) {
                Some((_, value)) => *value = stored,
                None => values.push((column, stored)),
            }
        }
        Ok(values)
    }

    /// A changed row must not leave the scope.
    fn check_scope(self, after: &[Stored]) -> Result<(), Fault> {
        if self.step.scope.is_none() || row_access::is_in_scope(self, after)? {
            return Ok(());
        }
        let table = &self.schema.catalog.tables[self.step.table].name;
        let message = format!("The row of {table} would be outside what this service shows.");
        Err(self
            .attempt
            .violation(ConstraintKind::Scope, Vec::new(), message))
    }

    /// The hash of a row of the step's table.
    fn etag(self, row: &[Stored]) -> u64 {
        let columns = &self.schema.catalog.tables[self.step.table].columns;
        let values = row
            .iter()
            .zip(columns)
            .map(|(stored, column)| shown_value(stored, column.ty));
        let values: Vec<Value> = values.collect();
        let shown: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        etag::hash(&shown, &mut Vec::new())
    }

    fn ignored(self) -> Fault {
        let table = &self.schema.catalog.tables[self.step.table].name;
        let message = format!("A trigger of {table} ignored the change.");
        self.attempt
            .violation(ConstraintKind::Trigger, Vec::new(), message)
    }
}

/// Of a row that exists.
fn check(condition: &Condition, etag: u64) -> Result<(), Error> {
    let holds = match condition {
        Condition::None | Condition::Exists => true,
        Condition::Absent => false,
        Condition::Matches(etags) => etags.contains(&etag),
        Condition::MatchesNone(etags) => !etags.contains(&etag),
    };
    if holds {
        Ok(())
    } else {
        Err(Error::PreconditionFailed)
    }
}

/// The value of a stored one.
pub(crate) fn shown_value(stored: &Stored, ty: highwater_odata::PrimitiveType) -> Value {
    if let (highwater_odata::PrimitiveType::DateTimeOffset, Stored::Text(text)) = (ty, stored) {
        let mut form = String::new();
        match crate::temporal::date_time_form(text, &mut form) {
            Some(true) => return Value::Lexical(ty, text.clone()),
            Some(false) => return Value::Lexical(ty, form),
            None => {}
        }
    }
    row::value(stored.into(), ty).to_owned()
}
