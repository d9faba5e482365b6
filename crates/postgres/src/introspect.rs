//! From PostgreSQL's catalogs to a [`Schema`].
//!
//! Every table, view, materialized view and foreign table that this role may read becomes a table of the catalog, in every schema but
//! the system's and Highwater's own. Partitions are left to their root, which has their rows; temporary tables are nobody else's
//! business. What else is left out is told in [`Schema::left_out`]. Rights on single columns do not suffice, because a row is locked,
//! compared and remembered as a whole; a view of those columns can be served.
//!
//! What must hold: the catalog says *tracked* only if the table's `highwater.layout()` is what it was when tracking began; all is read
//! in one transaction, by a fixed number of statements; the same state gives the same [`Catalog::version`] on every node (a
//! standby is another state). What is deliberately absent: any write ([`crate::tracking`]).

mod key;
mod obstacle;
mod own;
mod raw;
mod relations;
mod signature;
mod table;
mod types;

use std::fmt::Write as _;
use std::sync::Arc;

use highwater_core::{Catalog, Error};
use tokio_postgres::{Client, GenericClient, IsolationLevel};
use xxhash_rust::xxh3::Xxh3;

use crate::error::Fault;
use crate::schema::{LeftOut, Schema};
use own::Own;
use raw::RawSchema;

pub(crate) use signature::{Signature, signature};

/// The oldest `server_version_num`: earlier ones have no `pg_snapshot`.
const VERSION_MIN: i32 = 130_000;

/// Reads the schema and what is tracked of it, in one transaction of its own.
///
/// # Errors
///
/// [`Error::Unsupported`] if the server is too old, [`Error::Unavailable`] if a newer version of Highwater tracks the database, else what
/// PostgreSQL reports.
pub(crate) async fn load(client: &mut Client) -> Result<Schema, Error> {
    load_alone(client).await.map_err(Fault::tell_own)
}

async fn load_alone(client: &mut Client) -> Result<Schema, Fault> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    let schema = load_in(&transaction).await?;
    transaction.commit().await?;
    Ok(schema)
}

/// Reads the schema and what is tracked of it, inside the caller's transaction. Its search path becomes `pg_catalog, pg_temp`.
///
/// # Errors
///
/// See [`load`].
pub(crate) async fn load_in<C: GenericClient + Sync>(transaction: &C) -> Result<Schema, Fault> {
    // Names of types are qualified only if the search path does not have them.
    transaction
        .batch_execute("SET LOCAL search_path = pg_catalog, pg_temp")
        .await?;
    let server = raw::read_server(transaction).await?;
    if server.version < VERSION_MIN {
        return Err(Error::Unsupported(format!(
            "The database is PostgreSQL {}; Highwater needs version {} or later. Upgrade the server.",
            server.version / 10_000,
            VERSION_MIN / 10_000
        ))
        .into());
    }
    let raw = raw::read(transaction, server).await?;
    let own = own::read(transaction, raw.server.own).await?;
    let signature = signature::first(transaction, own.meta.is_some()).await?;
    Ok(assemble(&raw, own, signature))
}

fn assemble(raw: &RawSchema, own: Own, signature: Signature) -> Schema {
    let (mut tables, mut layouts, mut facts) = (Vec::new(), Vec::new(), Vec::new());
    let mut left_out = Vec::new();
    for relation in &raw.relations {
        if let Some(reason) = obstacle::to_serving(raw, relation) {
            left_out.push(LeftOut {
                relation: relation.oid,
                schema: relation.schema.clone(),
                name: relation.name.clone(),
                is_view: !matches!(relation.kind, 'r' | 'p'),
                reason,
            });
            continue;
        }
        let described = table::describe(raw, relation, &own);
        tables.push(described.table);
        layouts.push(described.layout);
        facts.push(described.facts);
    }
    relations::add(&mut tables, &facts, raw);
    // The keys are left out: a rotation is no change of the schema.
    let identity = own.meta.as_ref().map(|m| (m.format, m.epoch, &m.identity));
    let in_recovery = raw.server.in_recovery;
    let version = hash(&(&tables, &layouts, &facts, &left_out, identity, in_recovery));
    Schema {
        catalog: Arc::new(Catalog { version, tables }),
        layouts,
        facts,
        left_out,
        meta: own.meta,
        in_recovery,
        signature,
        letters: raw.server.letters.clone(),
    }
}

/// A hash of everything that the debug form shows, which suffices among programs of one version.
fn hash(value: &impl std::fmt::Debug) -> u64 {
    struct Hasher(Xxh3);
    impl std::fmt::Write for Hasher {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.update(text.as_bytes());
            Ok(())
        }
    }
    let mut hasher = Hasher(Xxh3::new());
    write!(hasher, "{value:?}").expect("writing to a hasher cannot fail");
    hasher.0.digest()
}

#[cfg(test)]
mod tests;
