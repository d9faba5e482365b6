//! A new key seals links from time to time. What older ones have sealed can be opened for ever.

use std::sync::Arc;
use std::time::Duration;

use highwater_core::{Error, SealKey};
use tokio_postgres::Transaction;
use tokio_postgres::types::Type;

use super::{Step, step};
use crate::error::Fault;
use crate::pool::Pool;

/// How long a key seals new links until another one succeeds it.
const KEY_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Lets a new key seal if the current one is too old. Returns whether this node has made one.
///
/// # Errors
///
/// Whatever the database says.
pub(super) async fn rotate(pool: &Arc<Pool>) -> Result<bool, Error> {
    let rotated = step(pool, Step::Key, async |write| {
        // A key from the future was made while the clock was wrong; it is succeeded as well.
        let sql = "SELECT EXISTS (SELECT FROM highwater.meta AS m JOIN highwater.seal_key AS k ON k.id = m.current_key \
            WHERE pg_catalog.abs(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - k.created_at)) >= $1)";
        let age_max_s = KEY_AGE_MAX.as_secs_f64();
        let row = write
            .query_typed_one(sql, &[(&age_max_s, Type::FLOAT8)])
            .await?;
        let is_old = row.try_get(0)?;
        if is_old {
            add(write).await?;
        }
        Ok(is_old)
    });
    Ok(rotated.await? == Some(true))
}

async fn add(write: &Transaction<'_>) -> Result<(), Fault> {
    let sql =
        "INSERT INTO highwater.seal_key(id, secret) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
    let id = loop {
        let key = SealKey::generate();
        let id = key.id.cast_signed();
        let secret = key.secret.as_slice();
        let inserted = write
            .execute_typed(sql, &[(&id, Type::INT4), (&secret, Type::BYTEA)])
            .await?;
        if inserted == 1 {
            break id;
        }
    };
    let sql = "UPDATE highwater.meta SET current_key = $1";
    write.execute_typed(sql, &[(&id, Type::INT4)]).await?;
    Ok(())
}
