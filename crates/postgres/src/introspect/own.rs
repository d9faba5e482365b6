//! What Highwater's own tables say of the tables of the application.

use std::collections::HashMap;

use highwater_core::{Epoch, Error, SealKey};
use tokio_postgres::types::Oid;
use tokio_postgres::{GenericClient, Row};

use super::raw::OwnSchema;
use crate::error::Fault;
use crate::meta::Meta;
use crate::own_schema;
use crate::schema::Tracked;

/// What Highwater's own tables say.
pub(super) struct Own {
    pub(super) state: OwnSchema,
    pub(super) meta: Option<Meta>,
    /// By relation.
    pub(super) registered: HashMap<Oid, Registered>,
}

/// A tracking that began once.
pub(super) struct Registered {
    pub(super) tracked: Tracked,
    /// Whether the table is still the one that it was then.
    pub(super) is_in_order: bool,
    /// Whether it is but for new partitions, which wait to be taken in.
    pub(super) is_extended: bool,
}

/// Reads Highwater's tables, if they exist and this role may.
pub(super) async fn read<C: GenericClient + Sync>(
    client: &C,
    state: OwnSchema,
) -> Result<Own, Fault> {
    let mut own = Own {
        state,
        meta: None,
        registered: HashMap::new(),
    };
    if state != OwnSchema::Readable {
        return Ok(own);
    }
    own.meta = Some(meta(client).await?);
    own.registered = registered(client).await?;
    Ok(own)
}

async fn meta<C: GenericClient + Sync>(client: &C) -> Result<Meta, Fault> {
    let sql = "SELECT format, readable_by, epoch, identity, current_key FROM highwater.meta";
    let Some(row) = client.query_typed_opt(sql, &[]).await? else {
        return Err(own_schema::damaged("the table highwater.meta is empty").into());
    };
    let (format, readable_by): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
    own_schema::check_format(format, readable_by)?;
    let keys = client
        .query_typed("SELECT id, secret FROM highwater.seal_key ORDER BY id", &[])
        .await?;
    Ok(Meta {
        format,
        epoch: Epoch(row.try_get::<_, i64>(2)?.cast_unsigned()),
        identity: row.try_get(3)?,
        current_key: row.try_get::<_, i32>(4)?.cast_unsigned(),
        keys: keys.iter().map(seal_key).collect::<Result<_, Fault>>()?,
    })
}

fn seal_key(row: &Row) -> Result<SealKey, Fault> {
    let id = row.try_get::<_, i32>(0)?.cast_unsigned();
    let secret: &[u8] = row.try_get(1)?;
    let secret = secret.try_into().map_err(|_| {
        Error::Corrupt(format!(
            "The key {id} in highwater.seal_key is damaged; restore the table from a backup."
        ))
    })?;
    Ok(SealKey { id, secret })
}

async fn registered<C: GenericClient + Sync>(
    client: &C,
) -> Result<HashMap<Oid, Registered>, Fault> {
    // In the order of creation: should a table be there twice, the last counts.
    let sql = "SELECT t.relation, t.id, t.incarnation, t.layout, t.layout = now.layout, \
         CASE WHEN t.layout <> now.layout AND r.leaves <> '{}' THEN t.layout = highwater.layout(t.relation, r.leaves) END \
         FROM highwater.tracked_table AS t JOIN highwater.registered AS r ON r.id = t.id \
         CROSS JOIN LATERAL (SELECT highwater.layout(t.relation) AS layout OFFSET 0) AS now ORDER BY t.id";
    let rows = client.query_typed(sql, &[]).await?;
    let mut registered = HashMap::with_capacity(rows.len());
    for row in rows {
        let entry = Registered {
            tracked: Tracked {
                id: i64::from(row.try_get::<_, i32>(1)?),
                incarnation: row.try_get(2)?,
                layout: row.try_get(3)?,
            },
            is_in_order: row.try_get::<_, Option<bool>>(4)?.unwrap_or(false),
            is_extended: row.try_get::<_, Option<bool>>(5)?.unwrap_or(false),
        };
        registered.insert(row.try_get(0)?, entry);
    }
    Ok(registered)
}
