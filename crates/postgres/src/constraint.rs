//! Refused changes: which constraint, of which table and columns.
//!
//! What must hold: what PostgreSQL says is judged by its codes and fields, never by its sentences, which are in the language of the
//! server; its own words are passed on where they are the application's. PostgreSQL names a constraint but not its columns; those are looked
//! up after the transaction has ended.

mod lookup;

use highwater_core::store::{WriteStep, WriteVerb};
use highwater_core::{ConstraintKind, ConstraintViolation, Error};
use tokio_postgres::Client;
use tokio_postgres::error::DbError;

use crate::error::{is_connection_lost, translate};
use crate::schema::{Kind, Schema};
use lookup::{Constraint, lookup};

/// What was being changed when the error came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt<'a> {
    pub(crate) schema: &'a Schema,
    pub(crate) step: usize,
    pub(crate) table: usize,
}

/// When an error came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the first step.
    Begin,
    /// During this step.
    Step(usize),
    /// After the last step.
    End,
}

/// A statement that PostgreSQL refused, so that nothing was changed.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: tokio_postgres::Error,
    pub(crate) moment: Moment,
    /// Whether the statement was to insert a row that had just been looked for and not found.
    pub(crate) upserts: bool,
    /// Numbers of parameters, counted from 1, and the columns that they are for.
    pub(crate) columns: Vec<(usize, usize)>,
}

/// Where to look for what an error means.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// The steps: table and verb of each.
    pub(crate) steps: &'a [WriteStep],
    pub(crate) schema: &'a Schema,
    /// A connection on which no transaction is open; `None` if it was lost.
    pub(crate) client: Option<&'a Client>,
}

impl Refusal {
    /// An error of the transaction rather than of a step.
    pub(crate) fn outside(moment: Moment, error: tokio_postgres::Error) -> Refusal {
        Refusal {
            error,
            moment,
            upserts: false,
            columns: Vec::new(),
        }
    }

    /// Whether the same transaction may well succeed if it is done again at once.
    pub(crate) fn is_passing(&self, scene: Scene<'_>) -> bool {
        let Some(said) = self.error.as_db_error() else {
            return false;
        };
        match said.code().code() {
            "40001" | "40P01" => true,
            // Somebody else has inserted the row after we looked for it.
            "23505" => {
                let Moment::Step(step) = self.moment else {
                    return false;
                };
                if !self.upserts {
                    return false;
                }
                let table = scene.schema.table(scene.steps[step].table);
                let key = table.key.iter().map(|&c| table.columns[c].name.as_str());
                names_in_detail(said).is_none_or(|names| same_names(&names, key))
            }
            _ => false,
        }
    }

    /// The error for the caller.
    pub(crate) async fn tell(self, scene: Scene<'_>) -> Error {
        let Some(said) = self.error.as_db_error() else {
            return Error::Unavailable(format!(
                "The connection to the database was lost ({}). Nothing was changed. Try again.",
                reason(&self.error)
            ));
        };
        if is_connection_lost(&self.error) {
            return Error::Unavailable(format!(
                "The database closed the connection ({}). Nothing was changed. Try again in a moment.",
                said.message()
            ));
        }
        let code = said.code().code();
        let constraint = match (code, scene.client) {
            ("23505" | "23503" | "23001" | "23514" | "23P01", Some(client)) => {
                lookup(client, said).await
            }
            _ => None,
        };
        let Some(attempt) = scene.attempt(self.moment, said, constraint.as_ref()) else {
            return translate(&self.error);
        };
        let table = match (&constraint, said.table()) {
            (Some(constraint), _) => constraint.table.clone(),
            (None, Some(table)) => table.to_owned(),
            (None, None) => attempt.name().to_owned(),
        };
        let violation = |kind, columns: Vec<String>, message: String| {
            Error::Constraint(Box::new(ConstraintViolation {
                kind,
                step: attempt.step,
                table: table.clone(),
                columns,
                message,
            }))
        };
        let own_words = || said.message().to_owned();
        match code {
            // A trigger of the application may refuse in the name of any kind of constraint.
            "23502" => match said.column() {
                Some(column) => violation(
                    ConstraintKind::NotNull,
                    vec![column.to_owned()],
                    format!("{column} of {table} must have a value."),
                ),
                None => violation(
                    ConstraintKind::NotNull,
                    self.columns_of_domain(attempt, said),
                    own_words(),
                ),
            },
            "23505" | "23P01" | "23503" | "23001" | "23514" => match (constraint, said.constraint())
            {
                (Some(constraint), _) if code == "23503" || code == "23001" => {
                    let missing = attempt.misses_parent(scene, said, &constraint);
                    foreign_key(attempt.step, &constraint, missing)
                }
                (Some(constraint), name) => {
                    let (kind, message) = sentence(code, &constraint, name.unwrap_or_default());
                    violation(kind, constraint.columns, message)
                }
                (None, Some(name)) if code == "23514" => violation(
                    ConstraintKind::Check,
                    self.columns_of_domain(attempt, said),
                    format!("A check constraint does not allow this: {name}."),
                ),
                (None, Some(name)) => violation(
                    kind_of(code),
                    Vec::new(),
                    format!("A constraint of {table} does not allow this: {name}."),
                ),
                (None, None) => violation(kind_of(code), Vec::new(), own_words()),
            },
            "44000" => violation(ConstraintKind::Check, Vec::new(), own_words()),
            "42501" if said.routine() == Some("ExecWithCheckOptions") => violation(
                ConstraintKind::Scope,
                Vec::new(),
                format!("A policy of {table} does not allow this service to write the row."),
            ),
            "42501" => Error::ReadOnly(format!(
                "The role of the service lacks a right: {}. Grant it, if the service is to change {}.",
                said.message(),
                attempt.name()
            )),
            "428C9" => Error::ReadOnly(format!(
                "A column of {table} is computed or assigned by the database and cannot be written: {}.",
                said.message()
            )),
            "55000" | "42809" if attempt.is_no_table() => Error::ReadOnly(format!(
                "{} cannot be written: {}. Write to the tables behind it, or give it INSTEAD OF triggers.",
                attempt.name(),
                said.message()
            )),
            "57014" => Error::LimitExceeded(
                "The change took too long and was stopped. Nothing was changed. Another transaction may hold a lock, or a trigger may be slow.".into(),
            ),
            "0A000" => Error::Unsupported(format!(
                "PostgreSQL cannot do this to {}: {}.",
                attempt.name(),
                said.message()
            )),
            "54000" => violation(
                ConstraintKind::Type,
                self.column_of_parameter(attempt, said),
                format!("The row is too large: {}.", said.message()),
            ),
            _ if code.starts_with("23") => {
                violation(ConstraintKind::Check, Vec::new(), own_words())
            }
            _ if code.starts_with("22") => {
                let columns = self.column_of_parameter(attempt, said);
                let message = wrong_value(&columns, said);
                violation(ConstraintKind::Type, columns, message)
            }
            _ if is_of_application(said) => {
                violation(ConstraintKind::Trigger, Vec::new(), own_words())
            }
            _ => translate(&self.error),
        }
    }

    /// PostgreSQL says which parameter it could not read.
    fn column_of_parameter(&self, attempt: Attempt<'_>, said: &DbError) -> Vec<String> {
        let number = said.where_().and_then(|context| {
            let (_, rest) = context.split_once('$')?;
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse::<usize>().ok()
        });
        let named = said.column().map(str::to_owned);
        let column = self
            .columns
            .iter()
            .find(|(other, _)| Some(*other) == number);
        let only = match self.columns.as_slice() {
            [only] => Some(only),
            _ => None,
        };
        let table = attempt.schema.table(attempt.table);
        named
            .or_else(|| {
                column
                    .or(only)
                    .map(|(_, column)| table.columns[*column].name.clone())
            })
            .into_iter()
            .collect()
    }

    /// A domain has no columns, but a column that is of it can be the only one that was written.
    fn columns_of_domain(&self, attempt: Attempt<'_>, said: &DbError) -> Vec<String> {
        let Some(domain) = said.datatype() else {
            return Vec::new();
        };
        let facts = &attempt.schema.facts[attempt.table];
        let table = attempt.schema.table(attempt.table);
        let of_domain = |declared: &str| {
            let name = declared.rsplit_once('.').map_or(declared, |(_, name)| name);
            name.trim_matches('"') == domain
        };
        let columns: Vec<usize> = self
            .columns
            .iter()
            .map(|(_, column)| *column)
            .filter(|column| of_domain(&facts.columns[*column].declared))
            .collect();
        match columns.as_slice() {
            [column] => vec![table.columns[*column].name.clone()],
            _ => Vec::new(),
        }
    }
}

impl<'a> Scene<'a> {
    /// The step to blame: what failed at the end of the transaction belongs to the last one that wrote to the table.
    fn attempt(
        self,
        moment: Moment,
        said: &DbError,
        constraint: Option<&Constraint>,
    ) -> Option<Attempt<'a>> {
        let concerns = |number: &usize| {
            let name = &self.schema.facts[self.steps[*number].table].name;
            said.table() == Some(name)
                || constraint.is_some_and(|constraint| {
                    constraint.table == *name
                        || constraint
                            .target
                            .as_ref()
                            .is_some_and(|target| target.table == *name)
                })
        };
        let step = match moment {
            Moment::Step(step) => step,
            Moment::Begin | Moment::End => (0..self.steps.len())
                .rev()
                .find(concerns)
                .or_else(|| self.steps.len().checked_sub(1))?,
        };
        Some(Attempt {
            schema: self.schema,
            step,
            table: self.steps[step].table,
        })
    }
}

impl Attempt<'_> {
    /// A violation of the table that is being changed.
    pub(crate) fn violation(
        self,
        kind: ConstraintKind,
        columns: Vec<String>,
        message: String,
    ) -> Error {
        Error::Constraint(Box::new(ConstraintViolation {
            kind,
            step: self.step,
            table: self.name().to_owned(),
            columns,
            message,
        }))
    }

    fn name(&self) -> &str {
        &self.schema.table(self.table).name
    }

    fn is_no_table(self) -> bool {
        !matches!(
            self.schema.facts[self.table].kind,
            Kind::Table | Kind::Partitioned
        )
    }

    /// Whether a foreign key is broken because the row refers to nothing, rather than because others refer to it. The detail begins
    /// with the columns of one side or the other, in every language; without the right to read them there is none.
    fn misses_parent(self, scene: Scene<'_>, said: &DbError, constraint: &Constraint) -> bool {
        let Some(target) = &constraint.target else {
            return true;
        };
        let own = constraint.columns.iter().map(String::as_str);
        let there = target.columns.iter().map(String::as_str);
        if constraint.columns != target.columns
            && let Some(names) = names_in_detail(said)
        {
            if same_names(&names, own) {
                return true;
            }
            if same_names(&names, there) {
                return false;
            }
        }
        match scene.steps[self.step].verb {
            WriteVerb::Insert { .. } => true,
            WriteVerb::Delete { .. } => false,
            WriteVerb::Update { .. } => constraint.table == self.name(),
        }
    }
}

fn foreign_key(step: usize, constraint: &Constraint, missing: bool) -> Error {
    let referring = constraint.columns.join(", ");
    let own = &constraint.table;
    let (table, columns, message) = match &constraint.target {
        Some(target) if !missing => (
            &target.table,
            &target.columns,
            format!(
                "Rows of {own} still refer to this row of {} (by {referring}).",
                target.table
            ),
        ),
        Some(target) => (
            own,
            &constraint.columns,
            format!(
                "{referring} of {own} refers to a row of {} that does not exist.",
                target.table
            ),
        ),
        None => (
            own,
            &constraint.columns,
            format!("A foreign key of {own} does not allow this ({referring})."),
        ),
    };
    Error::Constraint(Box::new(ConstraintViolation {
        kind: ConstraintKind::ForeignKey,
        step,
        table: table.clone(),
        columns: columns.clone(),
        message,
    }))
}

fn kind_of(code: &str) -> ConstraintKind {
    match code {
        "23505" | "23P01" => ConstraintKind::Unique,
        "23503" | "23001" => ConstraintKind::ForeignKey,
        _ => ConstraintKind::Check,
    }
}

fn sentence(code: &str, constraint: &Constraint, name: &str) -> (ConstraintKind, String) {
    let table = &constraint.table;
    let columns = constraint.columns.join(", ");
    let kind = kind_of(code);
    let message = match (code, &constraint.expression) {
        ("23505", _) if columns.is_empty() => {
            format!("Another row of {table} has the same value in a unique index ({name}).")
        }
        ("23505", _) => format!("Another row of {table} has the same value of {columns}."),
        ("23P01", _) => {
            format!("Another row of {table} excludes this one by its {columns} ({name}).")
        }
        (_, Some(expression)) => {
            format!("A check constraint of {table} does not allow this: {name} {expression}.")
        }
        (_, None) => format!("A check constraint of {table} does not allow this: {name}."),
    };
    (kind, message)
}

fn wrong_value(columns: &[String], said: &DbError) -> String {
    let subject = match columns {
        [] => "A value".to_owned(),
        names => format!("The value of {}", names.join(", ")),
    };
    let detail = said
        .detail()
        .map(|detail| format!(" ({})", detail.trim_end_matches('.')))
        .unwrap_or_default();
    format!(
        "{subject} cannot be stored: {}{detail}.",
        said.message().trim_end_matches('.')
    )
}

/// What went wrong with a connection, in a few words.
pub(crate) fn reason(error: &tokio_postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

/// The columns in `Key (a, b)=(1, 2) …`, as they are written there.
fn names_in_detail(said: &DbError) -> Option<String> {
    let (_, rest) = said.detail()?.split_once('(')?;
    let (names, _) = rest.split_once(")=(")?;
    Some(names.to_owned())
}

/// Whether a list of columns in a message, some of them quoted, is this one.
fn same_names<'n>(list: &str, names: impl Iterator<Item = &'n str>) -> bool {
    let names: Vec<&str> = names.collect();
    list.replace('"', "") == names.join(", ").replace('"', "")
}

/// Classes of codes that PostgreSQL itself uses for something else than functions of the application.
const CLASSES_OF_POSTGRESQL: [&str; 31] = [
    "00", "01", "02", "03", "08", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "21", "24", "25", "26",
    "28", "2B", "2D", "34", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58", "XX",
];

/// Whether a function of the application said so: with a code of its own, or because it does not work (its statements have a context,
/// ours have none).
fn is_of_application(said: &DbError) -> bool {
    let code = said.code().code();
    match code.get(..2) {
        Some("21" | "3F" | "42") => said.where_().is_some(),
        Some("55") => code == "55000" && said.where_().is_some(),
        Some(class) => !CLASSES_OF_POSTGRESQL.contains(&class),
        None => false,
    }
}
