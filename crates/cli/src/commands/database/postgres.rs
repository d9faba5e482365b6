//! A PostgreSQL database that operators look after: a connection for each task.

use anyhow::anyhow;
use highwater::core::store::{StoreStatus, TableStatus};
use highwater::core::tracking::{Ensured, Policy};
use highwater::core::{Gone, KeyRing, Snapshot};
use highwater::postgres::admin;
use tokio::runtime::Runtime;

use super::{Administration, Seal};

/// A PostgreSQL database.
pub(super) struct Postgres {
    url: String,
    runtime: Runtime,
}

impl Postgres {
    /// Connects to nothing yet.
    pub(super) fn new(url: &str) -> anyhow::Result<Postgres> {
        Ok(Postgres {
            url: url.to_owned(),
            runtime: crate::commands::runtime()?,
        })
    }
}

impl Administration for Postgres {
    fn status(&mut self) -> anyhow::Result<StoreStatus> {
        Ok(self.runtime.block_on(admin::status(&self.url))?)
    }

    fn tables(&mut self) -> anyhow::Result<Vec<TableStatus>> {
        Ok(self.runtime.block_on(admin::tables(&self.url))?)
    }

    fn track(&mut self, policy: &Policy) -> anyhow::Result<Ensured> {
        Ok(self.runtime.block_on(admin::track(&self.url, policy))?)
    }

    fn print_sql(&mut self, policy: &Policy, role: Option<&str>) -> anyhow::Result<String> {
        let script = admin::print_sql(&self.url, policy, role);
        Ok(self.runtime.block_on(script)?)
    }

    fn untrack(&mut self, tables: Option<&[String]>) -> anyhow::Result<Vec<String>> {
        Ok(self.runtime.block_on(admin::untrack(&self.url, tables))?)
    }

    fn seal(&mut self) -> anyhow::Result<Option<Seal>> {
        let Some(meta) = self.runtime.block_on(admin::meta(&self.url))? else {
            return Ok(None);
        };
        let keys = KeyRing::new(meta.current_key, meta.keys).ok_or_else(|| {
            anyhow!("the key that seals is missing from highwater.seal_key; restore the table from a backup")
        })?;
        let epoch = meta.epoch;
        Ok(Some(Seal { epoch, keys }))
    }

    fn gone(&mut self, incarnation: u64, snapshots: &[&Snapshot]) -> anyhow::Result<Option<Gone>> {
        let gone = admin::gone(&self.url, incarnation, snapshots);
        Ok(self.runtime.block_on(gone)?)
    }

    fn describe(&self, snapshot: &Snapshot) -> Option<String> {
        Some(admin::describe_snapshot(snapshot))
    }
}
