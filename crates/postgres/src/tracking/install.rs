//! Puts the capture of one table in place, or removes it.

use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::survey::{self, Survey};
use super::{Done, remains};
use crate::capture::{self, Target};
use crate::error::Fault;
use crate::own_schema::RANDOM;
use crate::schema::{Kind, quote};

/// Begins the tracking of a table, if it is still as surveyed.
pub(super) async fn track(
    write: &Transaction<'_>,
    survey: &Survey,
    position: usize,
    before: &[i32],
) -> Result<Done, Fault> {
    let facts = &survey.schema.facts[position];
    let leftovers = leftovers(write, &survey.target(position, 0)).await?;
    // To drop a trigger takes the lock that keeps readers out, too.
    let mode = if leftovers.is_empty() {
        "SHARE ROW EXCLUSIVE"
    } else {
        "ACCESS EXCLUSIVE"
    };
    // Tables that inherit from it are tracked on their own, and may be in use.
    let only = match facts.kind {
        Kind::Partitioned => "",
        _ => "ONLY ",
    };
    let lock = format!("LOCK TABLE {only}{} IN {mode} MODE", facts.qualified());
    match write.batch_execute(&lock).await {
        Err(error)
            if error
                .as_db_error()
                .is_some_and(|said| matches!(said.code().code(), "42P01" | "3F000" | "42809")) =>
        {
            return Ok(Done::Obsolete);
        }
        other => other?,
    }
    let sql = "SELECT (SELECT array_agg(r.id ORDER BY r.id) FROM highwater.registered AS r WHERE r.relation = $1 OR r.id = ANY ($2)), \
         highwater.layout($1), to_regclass($3)::oid";
    let qualified = facts.qualified();
    let row = write
        .query_typed_one(
            sql,
            &[
                (&facts.relation, Type::OID),
                (&before, Type::INT4_ARRAY),
                (&qualified, Type::TEXT),
            ],
        )
        .await?;
    let registered: Option<Vec<i32>> = row.try_get(0)?;
    let layout: Option<String> = row.try_get(1)?;
    if registered.unwrap_or_default() != before
        || Some(&layout) != survey.layouts.get(&facts.relation)
        || row.try_get::<_, Option<u32>>(2)? != Some(facts.relation)
    {
        return Ok(Done::Obsolete);
    }
    for id in before {
        forget(write, *id).await?;
    }
    write.batch_execute(&leftovers.join(";")).await?;
    let sql = "SELECT nextval(pg_get_serial_sequence('highwater.registered', 'id'))::integer";
    let id = write.query_typed_one(sql, &[]).await?.try_get(0)?;
    // An archive that was restored over a later state sets the numbers back, and leaves what it did not know.
    write
        .batch_execute(&capture::drop_all(id).join(";\n"))
        .await?;
    write
        .batch_execute(&statements(survey, position, id).join(";\n"))
        .await?;
    Ok(Done::Yes)
}

/// Everything that begins the tracking of a table.
pub(super) fn statements(survey: &Survey, position: usize, id: i32) -> Vec<String> {
    let target = survey.target(position, id);
    let facts = target.facts;
    let mut sql = capture::history(&target);
    sql.extend(capture::triggers(&target));
    let leaves: Vec<String> = target
        .leaves
        .iter()
        .map(|leaf| leaf.relation.to_string())
        .collect();
    sql.push(format!(
        "INSERT INTO highwater.registered(id, relation, schema_name, table_name, incarnation, layout, leaves, capture, digest, horizon, files) \
         OVERRIDING SYSTEM VALUE VALUES ({id}, {relation}, {}, {}, {RANDOM}, highwater.layout({relation}), '{{{}}}', {}, '{}', 0, highwater.files({relation}))",
        capture::literal(&facts.schema),
        capture::literal(&facts.name),
        leaves.join(","),
        capture::VERSION,
        survey::digest(&survey.target(position, 0)),
        relation = facts.relation,
    ));
    sql
}

/// Takes new partitions into a tracking, so that its links live on, if nothing can be lost by that.
pub(super) async fn extend(
    write: &Transaction<'_>,
    survey: &Survey,
    position: usize,
    id: i32,
) -> Result<Done, Fault> {
    let target = survey.target(position, id);
    let facts = target.facts;
    write
        .batch_execute(&format!(
            "LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE",
            facts.qualified()
        ))
        .await?;
    let layouts = "SELECT highwater.layout($1), EXISTS (SELECT FROM highwater.registered AS r WHERE r.id = $2 AND r.layout = highwater.layout($1, r.leaves))";
    let row = write
        .query_typed_one(layouts, &[(&facts.relation, Type::OID), (&id, Type::INT4)])
        .await?;
    if survey.layouts.get(&facts.relation) != Some(&row.try_get(0)?)
        || !row.try_get::<_, bool>(1)?
    {
        return Ok(Done::Obsolete);
    }
    let known = "SELECT coalesce(bool_and(highwater.is_known($1, $2, leaf, $3)), true) FROM unnest($4) AS leaf \
         JOIN pg_class AS c ON c.oid = leaf WHERE c.relkind = 'r'";
    let leaves = survey.new_leaves(position, id);
    let row = write
        .query_typed_one(
            known,
            &[
                (&id, Type::INT4),
                (&facts.relation, Type::OID),
                (&target.is_of("o"), Type::TEXT),
                (&leaves, Type::OID_ARRAY),
            ],
        )
        .await?;
    let is_known: bool = row.try_get(0)?;
    let mut sql = capture::extend(&target, &leaves);
    let leaves: Vec<String> = target
        .leaves
        .iter()
        .map(|leaf| leaf.relation.to_string())
        .collect();
    sql.push(format!(
        "UPDATE highwater.registered SET leaves = '{{{}}}', digest = '{}' WHERE id = {id}",
        leaves.join(","),
        survey::digest(&survey.target(position, 0)),
    ));
    sql.push(format!(
        "UPDATE highwater.registered SET layout = highwater.layout(relation), files = highwater.files(relation) WHERE id = {id}"
    ));
    sql.push(format!("DELETE FROM highwater.doubt WHERE id = {id}"));
    if !is_known {
        sql.push(format!("INSERT INTO highwater.lost(id) VALUES ({id})"));
    }
    write.batch_execute(&sql.join(";\n")).await?;
    Ok(if is_known { Done::Quietly } else { Done::Yes })
}

/// Removes a registration and its remains.
pub(super) async fn forget(write: &Transaction<'_>, id: i32) -> Result<Done, Fault> {
    write.batch_execute(&remains(id).join(";\n")).await?;
    Ok(Done::Yes)
}

/// Statements that drop what triggers of ours a table and its partitions have.
async fn leftovers(write: &Transaction<'_>, target: &Target<'_>) -> Result<Vec<String>, Fault> {
    let mut relations = vec![target.facts.relation];
    relations.extend(target.leaves.iter().map(|leaf| leaf.relation));
    let sql = format!(
        "SELECT n.nspname::text, c.relname::text, t.tgname::text FROM pg_trigger AS t \
         JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         JOIN pg_proc AS p ON p.oid = t.tgfoid JOIN pg_namespace AS own ON own.oid = p.pronamespace \
         WHERE t.tgrelid = ANY ($1) AND NOT t.tgisinternal AND starts_with(t.tgname, '{}') AND own.nspname = 'highwater' \
         AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.deptype IN ('P', 'S')) ",
        capture::TRIGGER_PREFIX
    );
    let rows = write
        .query_typed(&sql, &[(&relations, Type::OID_ARRAY)])
        .await?;
    let drops = rows.iter().map(|row| {
        let (schema, table, trigger): (String, String, String) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(format!(
            "DROP TRIGGER IF EXISTS {} ON {}.{}",
            quote(&trigger),
            quote(&schema),
            quote(&table)
        ))
    });
    drops.collect()
}
