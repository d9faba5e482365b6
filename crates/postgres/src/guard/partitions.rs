//! Whether a page has met partitions that its snapshot does not know.
//!
//! What must hold: `ATTACH PARTITION` waits neither for a reader nor for its snapshot, so every statement of a transaction reads from the
//! partitions that there are when it begins. Those that the guard knows cannot go, because they are locked; but one that comes in
//! between brings rows of which no history tells. So the last statement of a page compares what there is with what the snapshot
//! shows. What is deliberately absent: tables that inherit, which are read with `ONLY`.

use highwater_core::Error;
use tokio_postgres::Client;

use super::{Question, list};
use crate::error::Fault;
use crate::schema::Kind;

impl Question<'_> {
    /// Whether a table of the query has partitions, so that a page has to ask [`Self::confirm`].
    pub(crate) fn has_partitions(&self) -> bool {
        self.partitioned().next().is_some()
    }

    fn partitioned(&self) -> impl Iterator<Item = u32> {
        let facts = self.tables.iter().map(|table| &self.schema.facts[*table]);
        facts
            .filter(|facts| facts.kind == Kind::Partitioned)
            .map(|facts| facts.relation)
    }

    /// Makes sure that everything that the transaction has read came from partitions that its snapshot knows: after the last row was read.
    ///
    /// # Errors
    ///
    /// [`Error::SchemaChanged`] if it did not.
    pub(crate) async fn confirm(&self, client: &Client) -> Result<(), Fault> {
        if !self.has_partitions() {
            return Ok(());
        }
        // The function looks at what is committed now, the table pg_inherits shows what the snapshot sees.
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_catalog.unnest('{{{}}}'::regclass[]) AS r(root) CROSS JOIN LATERAL pg_catalog.pg_partition_tree(r.root) AS t \
             WHERE t.relid <> r.root AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = t.relid AND i.inhparent = t.parentrelid))",
            list(self.partitioned())
        );
        let has_others: bool = client.query_typed_one(&sql, &[]).await?.try_get(0)?;
        if has_others {
            return Err(Error::SchemaChanged.into());
        }
        Ok(())
    }
}
