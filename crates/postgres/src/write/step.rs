//! One step: what has to hold before it, what it does, and what has to hold afterwards.

use highwater_core::store::{Condition, Input, WriteOutcome, WriteStep, WriteVerb, Written};
use highwater_core::{ConstraintKind, Error, Table};

use super::row_access::{Lock, Seen, Stored, Which, delete, find, insert, update};
use super::{Done, Failure, Work, kept};
use crate::constraint::Attempt;
use crate::input::Target;
use crate::schema::{Kind, Supply, TableFacts};

/// One step and everything that it needs to know.
#[derive(Clone, Copy)]
pub(super) struct StepContext<'a> {
    pub(super) work: &'a Work<'a>,
    pub(super) step: &'a WriteStep,
    pub(super) number: usize,
    /// What the steps before did.
    pub(super) done: &'a [Done],
}

impl<'a> StepContext<'a> {
    pub(super) async fn execute(self) -> Result<Done, Failure> {
        if self.facts().kind == Kind::MaterializedView {
            return Err(Error::ReadOnly(format!(
                "{} is a materialized view and cannot be written; write to the tables behind it.",
                self.table().name
            ))
            .into());
        }
        kept::check(self).await?;
        match &self.step.verb {
            WriteVerb::Insert { values } => self.insert(&self.stored(values)?, false).await,
            WriteVerb::Update {
                key,
                values,
                condition,
                or_insert,
            } => {
                self.check_key(key)?;
                self.update(key, values, condition, *or_insert).await
            }
            WriteVerb::Delete { key, condition } => {
                self.check_key(key)?;
                self.delete(key, condition).await
            }
        }
    }

    async fn insert(self, values: &[Stored], upserts: bool) -> Result<Done, Failure> {
        for (column, value) in values {
            self.check_identity(*column, value.is_some())?;
        }
        let after = insert(self, values, upserts).await?;
        let after = after.ok_or_else(|| self.ignored())?;
        self.check_scope(after.in_scope)?;
        Ok(done(WriteOutcome::Created, after))
    }

    async fn update(
        self,
        key: &[Input],
        values: &[(usize, Input)],
        condition: &Condition,
        or_insert: bool,
    ) -> Result<Done, Failure> {
        let values = self.changed(key, values)?;
        let blind = !or_insert && is_certain(condition) && !values.is_empty();
        if blind && let Some(after) = update(self, Which::InScope(key), &values).await? {
            self.check_scope(after.in_scope)?;
            return Ok(done(WriteOutcome::Updated, after));
        }
        let Some(found) = self.find(key, self.lock(&values, condition)).await? else {
            // If-Match never creates anything (Protocol 11.4.4); If-None-Match holds of a row that does not exist.
            return match condition {
                _ if !or_insert => Err(Error::NotFound.into()),
                Condition::Exists | Condition::Matches(_) => Err(Error::PreconditionFailed.into()),
                Condition::None | Condition::Absent | Condition::MatchesNone(_) => {
                    self.insert(&self.with_key(key, values)?, true).await
                }
            };
        };
        check(condition, found.etag)?;
        if blind {
            return Err(self.ignored().into());
        }
        let after = if values.is_empty() {
            found
        } else {
            let after = update(self, Which::Found(&found.carried), &values).await?;
            after.ok_or_else(|| self.ignored())?
        };
        self.check_scope(after.in_scope)?;
        Ok(done(WriteOutcome::Updated, after))
    }

    async fn delete(self, key: &[Input], condition: &Condition) -> Result<Done, Failure> {
        let blind = is_certain(condition);
        if blind && let Some(before) = delete(self, Which::InScope(key)).await? {
            return Ok(deleted(before));
        }
        let lock = if blind { Lock::None } else { Lock::ChangeKey };
        let Some(found) = self.find(key, lock).await? else {
            return Err(Error::NotFound.into());
        };
        check(condition, found.etag)?;
        if !blind && let Some(before) = delete(self, Which::Found(&found.carried)).await? {
            return Ok(deleted(before));
        }
        Err(self.ignored().into())
    }

    /// What must stay as it is until the transaction ends. A row that is only referred to needs no lock, since the foreign key holds it;
    /// a lock would demand the right to change it.
    fn lock(self, values: &[Stored], condition: &Condition) -> Lock {
        let changes_key = values
            .iter()
            .any(|(column, _)| self.table().key.contains(column));
        match values {
            [] if is_certain(condition) && self.step.scope.is_none() => Lock::None,
            [] => Lock::Share,
            _ if changes_key => Lock::ChangeKey,
            _ => Lock::Change,
        }
    }

    /// The row with a key, if it exists and is in scope.
    async fn find(self, key: &[Input], lock: Lock) -> Result<Option<Seen>, Failure> {
        match find(self, key, lock).await? {
            // An upsert must not reveal by its failure that there is a row outside the scope.
            Some(found) if !found.in_scope => Err(Error::NotFound.into()),
            found => Ok(found),
        }
    }

    fn check_key(self, key: &[Input]) -> Result<(), Error> {
        let table = self.table();
        if table.key.is_empty() || table.key.len() != key.len() {
            return Err(Error::Unsupported(format!(
                "Rows of {} cannot be addressed: it has no usable key.",
                table.name
            )));
        }
        Ok(())
    }

    /// The values to store of those that an update names. A key column that is set to what it is stays out of the statement: some
    /// can never be set.
    fn changed(self, key: &[Input], values: &[(usize, Input)]) -> Result<Vec<Stored>, Error> {
        let mut changed = Vec::with_capacity(values.len());
        for (column, input) in values {
            let position = self.table().key.iter().position(|other| other == column);
            if position.is_some_and(|position| key.get(position) == Some(input)) {
                continue;
            }
            let value = self.stored_one(*column, input)?;
            self.check_identity(*column, value.is_some())?;
            changed.push((*column, value));
        }
        Ok(changed)
    }

    fn stored(self, values: &[(usize, Input)]) -> Result<Vec<Stored>, Error> {
        values
            .iter()
            .map(|(column, input)| Ok((*column, self.stored_one(*column, input)?)))
            .collect()
    }

    /// The text to store; `None` is the column's default.
    pub(super) fn stored_one(
        self,
        column: usize,
        input: &Input,
    ) -> Result<Option<Option<String>>, Error> {
        let table = self.table();
        let facts = &self.facts().columns[column];
        let computed = table.columns[column].computed && facts.supply != Supply::IdentityAlways;
        if computed || facts.supply == Supply::Expression {
            return Err(Error::ReadOnly(format!(
                "{} of {} is computed by the database and cannot be written.",
                table.columns[column].name, table.name
            )));
        }
        let value = match input {
            Input::Default => return Ok(None),
            Input::Written { step, column } => {
                return Ok(Some(self.written(*step, *column)?.map(str::to_owned)));
            }
            Input::Value(value) => value,
        };
        let target = Target {
            column: &table.columns[column],
            layout: &self.work.schema.layouts[self.step.table].columns[column],
            facts,
        };
        target.text(value).map(Some).map_err(|reason| {
            let name = table.columns[column].name.clone();
            let message = format!("The value of {name} {reason}.");
            self.attempt()
                .violation(ConstraintKind::Type, vec![name], message)
        })
    }

    /// The value of a column of a row that an earlier step wrote.
    pub(super) fn written(self, step: usize, column: usize) -> Result<Option<&'a str>, Error> {
        let text = || {
            let position = self
                .work
                .carried
                .get(step)?
                .iter()
                .position(|c| *c == column)?;
            self.done.get(step)?.carried.get(position)
        };
        text()
            .map(|text| text.as_deref())
            .ok_or_else(|| Error::Internal("a step refers to a row that was not written".into()))
    }

    /// The key's values too, unless the other values set them already.
    fn with_key(self, key: &[Input], mut values: Vec<Stored>) -> Result<Vec<Stored>, Error> {
        for (&column, input) in self.table().key.iter().zip(key) {
            let stored = self.stored_one(column, input)?;
            match values.iter_mut().find(|(other, _)| *other == column) {
                Some((_, value)) => *value = stored,
                None => values.push((column, stored)),
            }
        }
        Ok(values)
    }

    fn check_identity(self, column: usize, is_given: bool) -> Result<(), Error> {
        let table = self.table();
        let facts = &self.facts().columns[column];
        if is_given && facts.supply == Supply::IdentityAlways {
            return Err(Error::ReadOnly(format!(
                "{} of {} is always assigned by the database (GENERATED ALWAYS AS IDENTITY). Leave it out.",
                table.columns[column].name, table.name
            )));
        }
        Ok(())
    }

    /// A changed row must not leave the scope.
    pub(super) fn check_scope(self, in_scope: bool) -> Result<(), Error> {
        if in_scope {
            return Ok(());
        }
        let message = format!(
            "The row of {} would be outside what this service shows.",
            self.table().name
        );
        Err(self
            .attempt()
            .violation(ConstraintKind::Scope, Vec::new(), message))
    }

    fn ignored(self) -> Error {
        let message = format!("A trigger of {} ignored the change.", self.table().name);
        self.attempt()
            .violation(ConstraintKind::Trigger, Vec::new(), message)
    }

    pub(super) fn attempt(self) -> Attempt<'a> {
        self.work.attempt_of(self.number)
    }

    pub(super) fn facts(self) -> &'a TableFacts {
        &self.work.schema.facts[self.step.table]
    }

    pub(super) fn table(self) -> &'a Table {
        self.work.schema.table(self.step.table)
    }

    /// Columns whose values are needed afterwards, those of the key first.
    pub(super) fn carried(self) -> &'a [usize] {
        &self.work.carried[self.number]
    }
}

/// Whether a condition says nothing of a row but that it exists.
fn is_certain(condition: &Condition) -> bool {
    matches!(condition, Condition::None | Condition::Exists)
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

fn done(outcome: WriteOutcome, after: Seen) -> Done {
    Done {
        written: Written {
            outcome,
            key: after.key,
            etag: Some(after.etag),
        },
        carried: after.carried,
    }
}

fn deleted(before: Seen) -> Done {
    Done {
        written: Written {
            outcome: WriteOutcome::Deleted,
            key: before.key,
            etag: None,
        },
        carried: Vec::new(),
    }
}
