//! The frame around the steps: how a transaction begins, what it looks at again, and how it ends.

use highwater_core::Error;
use highwater_core::store::WriteOutcome;
use highwater_odata::Value;
use highwater_sql::postgres::Postgres;
use highwater_sql::{Flavour as _, Param, Sql};
use tokio_postgres::error::Severity;

use super::{Done, Failure, Work};
use crate::constraint::{Moment, Refusal};
use crate::row;
use crate::schema::Kind;
use crate::write::row_access::look;

/// Begins a transaction and checks that the tables are as the schema says, in one round trip. From here on nobody can alter them.
/// Tells whether triggers of the application may change the rows that are written.
pub(super) async fn begin(work: &Work<'_>, settings: &str) -> Result<bool, Failure> {
    let mut tables: Vec<usize> = work.params.steps.iter().map(|step| step.table).collect();
    // A fixed order, so that two writers never wait for each other here.
    tables.sort_unstable();
    tables.dedup();
    // Policies of the application hold for this service as for anybody else. A standby must say that it is one.
    let mut begin =
        format!("BEGIN ISOLATION LEVEL READ COMMITTED;{settings}SET LOCAL row_security = on;");
    if work.params.steps.len() > 1 {
        // Rows that refer to each other can be written in any order, where the application has allowed that.
        begin.push_str("SET CONSTRAINTS ALL DEFERRED;");
    }
    for &table in &tables {
        let facts = &work.schema.facts[table];
        if facts.has_rows() {
            begin.push_str(&format!(
                "LOCK TABLE ONLY {} IN ACCESS SHARE MODE;",
                facts.qualified()
            ));
        }
    }
    let (question, params) = is_as_known(work, &tables)?;
    let (begun, known) = futures_util::future::join(
        work.client.batch_execute(&begin),
        super::statement::rows(work.client, &question, &params),
    )
    .await;
    begun.map_err(|error| Failure::Refused(Refusal::outside(Moment::Begin, error)))?;
    let known = known.map_err(|error| Failure::Refused(Refusal::outside(Moment::Begin, error)))?;
    let Some(row) = known.first() else {
        return Err(Error::Internal("PostgreSQL does not answer a question".into()).into());
    };
    let truth = |position| row::truth(row, position).map_err(|fault| Failure::Told(fault.tell()));
    match truth(0)? {
        true => truth(1),
        false => Err(Error::SchemaChanged.into()),
    }
}

/// Asks whether the tables are the ones of the schema, and whether any of them or their partitions has triggers of the application,
/// which come and go without changing the schema.
fn is_as_known(work: &Work<'_>, tables: &[usize]) -> Result<(String, Vec<Param>), Error> {
    let mut sql = Sql::limited(Postgres::PLACEHOLDER, Postgres::PARAMS_MAX);
    sql.push("SELECT true");
    for &table in tables {
        let facts = &work.schema.facts[table];
        let relation = i64::from(facts.relation);
        match &facts.tracked {
            Some(tracked) => {
                sql.push(" AND highwater.layout(");
                sql.push_number(relation);
                sql.push("::pg_catalog.oid) IS NOT DISTINCT FROM ");
                sql.bind(Param::Value(Value::String(tracked.layout.clone())));
                sql.push("::pg_catalog.text");
            }
            None => {
                sql.push(" AND pg_catalog.to_regclass(");
                sql.bind(Param::Value(Value::String(facts.qualified())));
                sql.push("::pg_catalog.text) IS NOT DISTINCT FROM ");
                sql.push_number(relation);
                sql.push("::pg_catalog.regclass");
            }
        }
    }
    sql.push(
        ", EXISTS (SELECT 1 FROM pg_catalog.pg_trigger WHERE NOT tgisinternal AND tgfoid NOT IN (SELECT p.oid FROM pg_catalog.pg_proc AS p \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace WHERE p.oid = tgfoid AND n.nspname = 'highwater') AND tgrelid IN (",
    );
    for (position, &table) in tables.iter().enumerate() {
        let facts = &work.schema.facts[table];
        sql.push(if position == 0 { "" } else { " UNION ALL " });
        sql.push("SELECT ");
        sql.push_number(i64::from(facts.relation));
        sql.push("::pg_catalog.oid");
        if facts.kind == Kind::Partitioned {
            sql.push(" UNION ALL SELECT relid FROM pg_catalog.pg_partition_tree(");
            sql.push_number(i64::from(facts.relation));
            sql.push("::pg_catalog.regclass)");
        }
    }
    sql.push("))");
    sql.finish()
}

/// Triggers of the application may have changed the rows again after they were written: what was written is what is there now.
pub(super) async fn look_again(work: &Work<'_>, done: &mut [Done]) -> Result<(), Failure> {
    let steps = &work.params.steps;
    // Deferred ones change rows now rather than during the commit.
    work.client
        .batch_execute("SET CONSTRAINTS ALL IMMEDIATE")
        .await
        .map_err(|error| Failure::Refused(Refusal::outside(Moment::End, error)))?;
    for number in 0..steps.len() {
        let (before, rest) = done.split_at_mut(number);
        let Some(own) = rest.first_mut() else { break };
        let step = work.step(number, before);
        if own.written.outcome == WriteOutcome::Deleted || step.table().key.is_empty() {
            continue;
        }
        // What is not there any more was deleted or got another key by a trigger or a later step.
        if let Some(seen) = look(step, &own.carried).await? {
            step.check_scope(seen.in_scope)?;
            own.written.etag = Some(seen.etag);
        }
    }
    Ok(())
}

/// Ends the transaction for good.
pub(super) async fn commit(work: &Work<'_>) -> Result<(), Failure> {
    let lost_before = work.client.is_closed();
    let Err(error) = work.client.batch_execute("COMMIT").await else {
        return Ok(());
    };
    // An error of the lowest severity has ended the transaction; a graver one ends the connection at any moment.
    let refused = error
        .as_db_error()
        .is_some_and(|said| said.parsed_severity() == Some(Severity::Error));
    if refused || lost_before {
        Err(Failure::Refused(Refusal::outside(Moment::End, error)))
    } else {
        Err(Failure::Unknown(error))
    }
}
