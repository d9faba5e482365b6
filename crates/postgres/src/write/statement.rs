//! A statement under construction, with what its parameters stand for.

use futures_util::TryStreamExt as _;
use highwater_odata::Value;
use highwater_sql::postgres::{Family, Postgres};
use highwater_sql::{Flavour as _, Param, Sql};
use tokio_postgres::{Client, Row};

use super::Failure;
use super::step::StepContext;
use crate::bind::bound;
use crate::constraint::{Moment, Refusal};

/// A statement of a step.
pub(super) struct Statement<'a> {
    pub(super) sql: Sql,
    context: StepContext<'a>,
    /// Numbers of parameters, counted from 1, and the columns that they are for.
    columns: Vec<(usize, usize)>,
    /// Whether it inserts the row that an upsert did not find.
    pub(super) upserts: bool,
}

impl<'a> Statement<'a> {
    pub(super) fn new(context: StepContext<'a>) -> Statement<'a> {
        Statement {
            sql: Sql::limited(Postgres::PLACEHOLDER, Postgres::PARAMS_MAX),
            context,
            columns: Vec::new(),
            upserts: false,
        }
    }

    /// Appends the name of the step's table.
    pub(super) fn table(&mut self) {
        let facts = &self.context.work.schema.facts[self.context.step.table];
        self.sql.push(&facts.qualified());
    }

    /// Appends a value in PostgreSQL's text form, of the type of a column without its modifiers: a cast to those would round and cut off.
    pub(super) fn value(&mut self, column: usize, text: Option<&str>) {
        let layout = &self.context.work.schema.layouts[self.context.step.table].columns[column];
        let value = text.map_or(Value::Null, |text| Value::String(text.to_owned()));
        // A timestamp without time zone is one in UTC, and PostgreSQL would ignore an offset in its text.
        let utc = layout.family == Family::Timestamp;
        self.sql.push(if utc { "(" } else { "" });
        self.sql.bind(Param::Value(value));
        self.columns.push((self.sql.mark(), column));
        self.sql.push("::");
        self.sql.push(if utc {
            "pg_catalog.timestamptz AT TIME ZONE 'UTC')"
        } else {
            &layout.ty
        });
    }

    /// Appends whether a value is the same after it was made to fit a declared type.
    pub(super) fn is_kept(&mut self, column: usize, unmodified: &str, declared: &str, text: &str) {
        for cast in [
            format!("::{unmodified}::{declared}::{unmodified} IS NOT DISTINCT FROM "),
            format!("::{unmodified}"),
        ] {
            self.sql.bind(Param::Value(Value::String(text.to_owned())));
            self.columns.push((self.sql.mark(), column));
            self.sql.push(&cast);
        }
    }

    /// The row that the statement gives, if it gives one.
    pub(super) async fn row(self) -> Result<Option<Row>, Failure> {
        let (text, params) = self.sql.finish()?;
        let found = rows(self.context.work.client, &text, &params).await;
        let rows = found.map_err(|error| {
            Failure::Refused(Refusal {
                error,
                moment: Moment::Step(self.context.number),
                upserts: self.upserts,
                columns: self.columns,
            })
        })?;
        Ok(rows.into_iter().next())
    }
}

/// Executes a statement without a name, which a pooler need not remember.
pub(super) async fn rows(
    client: &Client,
    text: &str,
    params: &[Param],
) -> Result<Vec<Row>, tokio_postgres::Error> {
    client
        .query_typed_raw(text, bound(params))
        .await?
        .try_collect()
        .await
}
