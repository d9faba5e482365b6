//! Writes: several changes in one transaction, all or nothing.
//!
//! What must hold: conditions and scopes are checked in the transaction that writes, against the row as it is there, and a row is locked
//! before its entity tag is compared. A value is stored exactly or refused. What fails leaves no trace, and says which step failed and
//! which columns are concerned. Only if the connection is cut during `COMMIT` nobody knows what happened, and then the error says so.
//!
//! A transaction that only met others at a bad moment (deadlock, two upserts of one key) is done again, a few times.
//!
//! What is deliberately absent: an order of the steps. PostgreSQL checks most foreign keys at the end of each statement, so rows that
//! others refer to have to be written first; only deferrable ones are checked at the end of the transaction.

mod kept;
mod row_access;
mod statement;
mod step;
mod transaction;

use std::sync::Arc;

use highwater_core::Error;
use highwater_core::store::{Input, WriteParams, WriteResult, WriteStep, WriteVerb, Written};
use tokio_postgres::Client;

use crate::constraint::{Attempt, Moment, Refusal, Scene, reason};
use crate::error::is_connection_lost;
use crate::pool::Pool;
use crate::schema::Schema;

/// How often a transaction that met others at a bad moment is tried.
const ATTEMPTS_MAX: usize = 5;

/// Makes the changes.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::PreconditionFailed`], [`Error::Constraint`], [`Error::ReadOnly`], [`Error::SchemaChanged`],
/// [`Error::Busy`], and whatever PostgreSQL says.
pub(crate) async fn write(
    pool: &Arc<Pool>,
    schema: &Schema,
    params: &WriteParams,
) -> Result<WriteResult, Error> {
    if !Arc::ptr_eq(&params.catalog, &schema.catalog) {
        return Err(Error::SchemaChanged);
    }
    let carried = carried(schema, params);
    let scene = |client| Scene {
        steps: &params.steps,
        schema,
        client,
    };
    let mut attempts = 0;
    loop {
        attempts += 1;
        let session = pool.session().await?;
        let work = Work {
            client: &session,
            schema,
            params,
            carried: &carried,
        };
        let failure = match work.attempt(pool.settings()).await {
            Ok(result) => {
                session.done();
                return Ok(result);
            }
            Err(failure) => failure,
        };
        let again = attempts < ATTEMPTS_MAX && failure.is_passing(scene(None));
        // A connection that was kept may have been cut since it was used, without anybody noticing.
        let stale = failure.is_lost_at_once() && session.is_reused();
        if session.batch_execute("ROLLBACK").await.is_err() {
            drop(session);
            if stale {
                // The next one is new, so this ends. It has nothing to do with the attempts that are worth while.
                pool.forget_idle();
                attempts -= 1;
                continue;
            }
            return Err(failure.tell(scene(None)).await);
        }
        if again {
            session.done();
            continue;
        }
        let error = failure.tell(scene(Some(&session))).await;
        session.done();
        return Err(error);
    }
}

/// What a transaction is to do.
#[derive(Clone, Copy)]
struct Work<'a> {
    client: &'a Client,
    schema: &'a Schema,
    params: &'a WriteParams,
    /// For each step the columns whose values are needed afterwards: the key, and what other steps ask for.
    carried: &'a [Vec<usize>],
}

/// What a step did.
struct Done {
    written: Written,
    /// The texts of the carried columns of the row after the step; empty if there is no row.
    carried: Vec<Option<String>>,
}

/// Why a transaction did not happen.
enum Failure {
    /// The caller is told this.
    Told(Error),
    /// PostgreSQL refused a statement, or says nothing any more. Nothing was changed.
    Refused(Refusal),
    /// The connection was cut during `COMMIT`.
    Unknown(tokio_postgres::Error),
}

impl Work<'_> {
    async fn attempt(&self, settings: &str) -> Result<WriteResult, Failure> {
        let mut done: Vec<Done> = Vec::with_capacity(self.params.steps.len());
        let has_triggers = transaction::begin(self, settings).await?;
        for number in 0..self.params.steps.len() {
            let next = self.step(number, &done).execute().await?;
            done.push(next);
        }
        if has_triggers {
            transaction::look_again(self, &mut done).await?;
        }
        transaction::commit(self).await?;
        Ok(WriteResult {
            written: done.into_iter().map(|done| done.written).collect(),
        })
    }

    fn step<'s>(&'s self, number: usize, done: &'s [Done]) -> step::StepContext<'s> {
        step::StepContext {
            work: self,
            step: &self.params.steps[number],
            number,
            done,
        }
    }

    fn attempt_of(&self, number: usize) -> Attempt<'_> {
        Attempt {
            schema: self.schema,
            step: number,
            table: self.params.steps[number].table,
        }
    }
}

impl Failure {
    /// Whether the connection was gone before the first step.
    fn is_lost_at_once(&self) -> bool {
        matches!(self, Failure::Refused(refusal) if refusal.moment == Moment::Begin && is_connection_lost(&refusal.error))
    }

    fn is_passing(&self, scene: Scene<'_>) -> bool {
        matches!(self, Failure::Refused(refusal) if refusal.is_passing(scene))
    }

    /// The error for the caller.
    async fn tell(self, scene: Scene<'_>) -> Error {
        match self {
            Failure::Told(error) => error,
            Failure::Refused(refusal) => refusal.tell(scene).await,
            Failure::Unknown(error) => Error::Unavailable(format!(
                "The connection to the database was lost while the change was being committed ({}), so it is not known whether it was made. Look before you try again.",
                reason(&error)
            )),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Told(error)
    }
}

/// Columns whose values are needed after each step.
fn carried(schema: &Schema, params: &WriteParams) -> Vec<Vec<usize>> {
    let mut carried: Vec<Vec<usize>> = params
        .steps
        .iter()
        .map(|step| schema.table(step.table).key.clone())
        .collect();
    for step in &params.steps {
        for input in inputs(step) {
            if let Input::Written { step, column } = input
                && let Some(columns) = carried.get_mut(*step)
                && !columns.contains(column)
            {
                columns.push(*column);
            }
        }
    }
    carried
}

fn inputs(step: &WriteStep) -> impl Iterator<Item = &Input> {
    let (key, values): (&[Input], &[(usize, Input)]) = match &step.verb {
        WriteVerb::Insert { values } => (&[], values),
        WriteVerb::Update { key, values, .. } => (key, values),
        WriteVerb::Delete { key, .. } => (key, &[]),
    };
    key.iter().chain(values.iter().map(|(_, input)| input))
}
