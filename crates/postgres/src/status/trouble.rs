//! What keeps the history from being short, or rounds from being answered: warnings for the whole database.
//!
//! Nobody has to be a superuser: what other sessions do is seen by what it does to the current snapshot.

use tokio_postgres::{GenericClient, Row};

use crate::error::Fault;
use crate::own_schema;
use crate::schema::Schema;

/// A transaction, or a pause of the maintenance, that takes longer is worth a warning.
const LONG_S: i64 = 3600;

pub(super) async fn warnings<C: GenericClient + Sync>(
    client: &C,
    schema: &Schema,
) -> Result<Vec<String>, Fault> {
    let look = format!("{LOOK}, {}", own_schema::PUBLICATIONS);
    let row = client.query_typed_one(&look, &[]).await?;
    let mut warnings = Vec::new();
    warnings.extend(identity(&row, schema)?);
    warnings.extend(maintenance(&row, schema)?);
    if !schema.in_recovery {
        warnings.extend(transactions(&row)?);
        warnings.extend(vacuum(&row)?);
        warnings.extend(read_only(&row)?);
        let publications: Option<String> = row.try_get(10)?;
        warnings.extend(publications.map(|names| own_schema::published(&names)));
    }
    Ok(warnings)
}

/// One row, so that everything is of one moment.
const LOOK: &str = "
    SELECT highwater.identity() = (SELECT m.identity FROM highwater.meta AS m),
        extract(epoch FROM clock_timestamp() - (SELECT max(k.at) FROM highwater.tick AS k))::int8,
        (SELECT count(*) FROM highwater.tracked_table) > 0,
        coalesce((SELECT bool_and(has_table_privilege(c.oid, 'DELETE')) FROM pg_class AS c
            WHERE c.relnamespace = 'highwater'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^history_[0-9]+$'), true),
        (SELECT extract(epoch FROM clock_timestamp() - min(k.at))::int8 FROM highwater.tick AS k
            WHERE pg_snapshot_xmax(k.snapshot) > pg_snapshot_xmin(pg_current_snapshot())),
        (SELECT extract(epoch FROM clock_timestamp() - min(p.prepared))::int8 FROM pg_prepared_xacts AS p WHERE p.database = current_database()),
        (SELECT p.gid FROM pg_prepared_xacts AS p WHERE p.database = current_database() ORDER BY p.prepared LIMIT 1),
        (SELECT string_agg(s.slot_name, ', ' ORDER BY s.slot_name) FROM pg_replication_slots AS s
            WHERE NOT s.active AND (s.xmin IS NOT NULL OR s.catalog_xmin IS NOT NULL)),
        current_setting('autovacuum')::bool, current_setting('default_transaction_read_only')::bool";

/// What may keep tables from being tracked. Whether it does, only an attempt tells.
pub(super) async fn event_triggers<C: GenericClient + Sync>(
    client: &C,
) -> Result<Option<String>, Fault> {
    let sql = "SELECT string_agg(quote_ident(e.evtname), ', ' ORDER BY e.evtname) FROM pg_event_trigger AS e \
         WHERE e.evtenabled <> 'D' AND e.evtevent IN ('ddl_command_start', 'ddl_command_end')";
    let names: Option<String> = client.query_typed_one(sql, &[]).await?.try_get(0)?;
    Ok(names.map(|names| {
        format!(
            "Event triggers are called when the schema changes ({names}). If one of them forbids that, tables cannot be tracked: disable it while the \
             tracking begins. The log of `highwater serve`, and `highwater track`, say what it answers."
        )
    }))
}

fn identity(row: &Row, schema: &Schema) -> Result<Option<String>, Fault> {
    let is_same: Option<bool> = row.try_get(0)?;
    Ok((is_same == Some(false) && !schema.in_recovery).then(|| {
        "The database was restored, copied or promoted after tracking began, so old links end; `highwater serve` or `highwater track` begins \
         anew for all tables."
            .to_owned()
    }))
}

fn maintenance(row: &Row, schema: &Schema) -> Result<Option<String>, Fault> {
    let (pause_s, is_tracked): (Option<i64>, bool) = (row.try_get(1)?, row.try_get(2)?);
    let may_prune: bool = row.try_get(3)?;
    let Some(pause_s) = pause_s.filter(|pause_s| is_tracked && *pause_s > LONG_S) else {
        return Ok(None);
    };
    let pause = hours(pause_s);
    Ok(Some(if schema.in_recovery {
        format!(
            "The newest state that this standby can serve is {pause} old; check that it follows its primary, and that a `highwater serve` \
             runs on that."
        )
    } else {
        let rights = if may_prune {
            ""
        } else {
            " (the role of this connection lacks the right to prune; use one that owns the schema highwater)"
        };
        format!(
            "Nobody has maintained the history for {pause}, so that nothing is pruned; keep a `highwater serve` running{rights}."
        )
    }))
}

fn transactions(row: &Row) -> Result<Vec<String>, Fault> {
    let mut warnings = Vec::new();
    let (prepared_s, gid): (Option<i64>, Option<String>) = (row.try_get(5)?, row.try_get(6)?);
    let running_s: Option<i64> = row.try_get(4)?;
    if let (Some(prepared_s), Some(gid)) = (prepared_s.filter(|age_s| *age_s > LONG_S), gid) {
        warnings.push(format!(
            "The prepared transaction {gid:?} has been waiting for {}; it keeps deleted records from being vacuumed. COMMIT PREPARED or \
             ROLLBACK PREPARED it.",
            hours(prepared_s)
        ));
    } else if let Some(running_s) = running_s.filter(|age_s| *age_s > LONG_S) {
        warnings.push(format!(
            "A transaction that writes has been open for about {}; it keeps deleted records from being vacuumed. Find it in \
             pg_stat_activity (ORDER BY xact_start) and end it.",
            hours(running_s)
        ));
    }
    let slots: Option<String> = row.try_get(7)?;
    warnings.extend(slots.map(|slots| {
        format!(
            "Nobody reads from the replication slots {slots}, which keep deleted records from being vacuumed; drop them with \
             pg_drop_replication_slot() if they are not needed any more."
        )
    }));
    Ok(warnings)
}

fn vacuum(row: &Row) -> Result<Option<String>, Fault> {
    let is_on: bool = row.try_get(8)?;
    Ok((!is_on).then(|| {
        "Autovacuum is switched off, so that pruned records keep their space; switch it on."
            .to_owned()
    }))
}

fn read_only(row: &Row) -> Result<Option<String>, Fault> {
    let is_on: bool = row.try_get(9)?;
    Ok(is_on.then(|| {
        "default_transaction_read_only is on, so that a `highwater serve` with this role does no maintenance: nothing is pruned, no tick is \
         recorded. Switch it off for the role, or keep another `highwater serve` running."
            .to_owned()
    }))
}

fn hours(seconds: i64) -> String {
    match seconds / 3600 {
        hours @ 0..48 => format!("{hours} h"),
        hours => format!("{} days", hours / 24),
    }
}
