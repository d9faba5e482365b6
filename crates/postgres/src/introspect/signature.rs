//! Whether the schema is still the one that was loaded, for the price of a statement or two.
//!
//! Every change of a catalog writes a row with a new, larger `xmin`, so count and sum of a catalog's `xmin` tell two of its states
//! apart. (Transaction ids start again after 4 billion; that a sum comes out the same then is as likely as a hash collision.) While no
//! transaction at all has ended, nothing is looked at; else the cost grows with the number of columns, about 4 ms for 15,000. What a
//! query meets before the next look is found by its own guard, or by PostgreSQL.

use tokio_postgres::GenericClient;

/// A state of everything that [`super::load`] depends on.
#[derive(Clone, Debug)]
pub(crate) struct Signature {
    /// Which transactions had ended; nothing on a standby, where a snapshot does not tell.
    snapshot: Option<String>,
    /// Whether Highwater's tables are looked at too.
    with_own: bool,
    state: String,
}

impl PartialEq for Signature {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state && self.with_own == other.with_own
    }
}

impl Eq for Signature {}

/// The state as it is now, for comparison with `last`. A failure (such as a right that was taken away) may mean that it is another.
///
/// # Errors
///
/// What PostgreSQL reports.
pub(crate) async fn signature<C: GenericClient + Sync>(
    client: &C,
    last: &Signature,
) -> Result<Signature, tokio_postgres::Error> {
    read(client, last.with_own, Some(last)).await
}

/// The state as the caller's transaction sees it. `with_own` says whether Highwater's tables exist and can be read.
pub(super) async fn first<C: GenericClient + Sync>(
    client: &C,
    with_own: bool,
) -> Result<Signature, tokio_postgres::Error> {
    read(client, with_own, None).await
}

async fn read<C: GenericClient + Sync>(
    client: &C,
    with_own: bool,
    last: Option<&Signature>,
) -> Result<Signature, tokio_postgres::Error> {
    // Planning the statement below costs more than executing this one.
    let now = "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_snapshot()::text END";
    let snapshot: Option<String> = client.query_typed_one(now, &[]).await?.try_get(0)?;
    if let Some(last) = last.filter(|last| snapshot.is_some() && last.snapshot == snapshot) {
        return Ok(last.clone());
    }
    // What commits in between is looked at again the next time, because the snapshot is older.
    let own = if with_own { OWN } else { "''" };
    let sql = format!("WITH {KEPT} SELECT concat_ws(' ', {STATE}, {own})");
    Ok(Signature {
        snapshot,
        with_own,
        state: client.query_typed_one(&sql, &[]).await?.try_get(0)?,
    })
}

/// What is temporary comes and goes, and concerns nobody else.
const KEPT: &str = "
    kept AS MATERIALIZED (SELECT x.oid, x.relkind, x.xmin::text::int8 AS xmin FROM pg_catalog.pg_class AS x
        WHERE x.oid >= 16384 AND x.relpersistence <> 't' AND x.relkind <> 't')";

/// Rights are in the rows of what they are rights on, except memberships and the attributes of the role itself.
const STATE: &str = "
    pg_catalog.pg_is_in_recovery(),
    (SELECT concat_ws('.', r.oid, r.rolsuper, r.rolbypassrls) FROM pg_catalog.pg_roles AS r WHERE r.rolname = current_user),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM pg_catalog.pg_auth_members AS x),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM pg_catalog.pg_namespace AS x WHERE x.nspname !~ '^pg_(toast_)?temp_'),
    (SELECT concat_ws('.', count(*), sum(k.xmin)) FROM kept AS k),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM kept AS k JOIN pg_catalog.pg_attribute AS x ON x.attrelid = k.oid
        WHERE x.attnum > 0 AND k.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM kept AS k JOIN pg_catalog.pg_constraint AS x ON x.conrelid = k.oid),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM kept AS k JOIN pg_catalog.pg_index AS x ON x.indrelid = k.oid),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM kept AS k JOIN pg_catalog.pg_trigger AS x ON x.tgrelid = k.oid),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM kept AS k JOIN pg_catalog.pg_inherits AS x ON x.inhrelid = k.oid),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM pg_catalog.pg_type AS x WHERE x.typtype IN ('d', 'e', 'r', 'b') AND x.typcategory <> 'A'),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM pg_catalog.pg_enum AS x),
    (SELECT concat_ws('.', count(*), sum(x.xmin::text::int8)) FROM pg_catalog.pg_cast AS x)";

/// Pruning changes rows of `tracked_table` too, but nothing in them that is looked at.
const OWN: &str = "
    (SELECT concat_ws('.', m.format, m.epoch) FROM highwater.meta AS m),
    (SELECT concat_ws('.', count(*), sum(t.id), sum(t.incarnation::numeric), sum(t.relation::int8)) FROM highwater.tracked_table AS t)";
