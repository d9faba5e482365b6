//! The schema that verbs work with, and the transaction in which they do.
//!
//! What must hold: a verb works with exactly the catalog that its caller bound the query to. Any doubt (another schema, another file,
//! another database in the same file) is [`Error::SchemaChanged`], and the caller binds again.

use std::sync::Arc;

use highwater_core::{Catalog, Error, Gone, Query};
use highwater_sql::Collation;
use highwater_sql::sqlite::{Sqlite, TableLayout};
use rusqlite::{Connection, Transaction};

use crate::error::Fault;
use crate::facts::{Loaded, TableFacts};
use crate::meta::Meta;
use crate::pool::{FileId, Session, allow_long_values};
use crate::snapshot::{clock, horizon, newest, schema_version};

/// A schema as it was read.
pub(crate) struct Schema {
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) facts: Vec<TableFacts>,
    pub(crate) layouts: Vec<TableLayout>,
    /// `None` if nothing is tracked.
    pub(crate) meta: Option<Meta>,
    /// The file that it was read from.
    pub(crate) file: FileId,
    /// Whether tables may wait to be tracked because the database could not be written.
    pub(crate) pending: bool,
}

/// An open read transaction.
pub(crate) struct View<'c> {
    pub(crate) transaction: Transaction<'c>,
    /// The version of the current state; 0 if nothing is tracked.
    pub(crate) clock: i64,
}

impl Schema {
    pub(crate) fn new(loaded: Loaded, meta: Option<Meta>, file: FileId, pending: bool) -> Schema {
        let layouts = loaded
            .catalog
            .tables
            .iter()
            .zip(&loaded.tables)
            .map(|(table, facts)| layout(&table.key, facts))
            .collect();
        Schema {
            catalog: Arc::new(loaded.catalog),
            facts: loaded.tables,
            layouts,
            meta,
            file,
            pending,
        }
    }

    /// Writes SQL over the state at a version (`None`: the current one).
    pub(crate) fn flavour(&self, as_of: Option<i64>) -> Sqlite<'_> {
        Sqlite {
            catalog: &self.catalog,
            layouts: &self.layouts,
            as_of,
        }
    }

    /// Begins a read transaction on the state that the schema describes.
    ///
    /// # Errors
    ///
    /// [`Error::SchemaChanged`] if it describes it no longer.
    pub(crate) fn view<'c>(
        &self,
        session: &'c Session,
        bound_to: &Arc<Catalog>,
    ) -> Result<View<'c>, Fault> {
        if !Arc::ptr_eq(bound_to, &self.catalog) || session.file != self.file {
            return Err(Error::SchemaChanged.into());
        }
        allow_long_values(&session.connection)?;
        let transaction = session.connection.unchecked_transaction()?;
        let clock = self.verify(&transaction)?;
        Ok(View { transaction, clock })
    }

    /// Checks the schema inside a transaction; the version of the current state.
    ///
    /// # Errors
    ///
    /// [`Error::SchemaChanged`] if it is another.
    pub(crate) fn verify(&self, transaction: &Transaction<'_>) -> Result<i64, Fault> {
        if u64::try_from(schema_version(transaction)?) != Ok(self.catalog.version) {
            return Err(Error::SchemaChanged.into());
        }
        let Some(meta) = &self.meta else {
            return Ok(0);
        };
        let (clock, epoch) = clock(transaction)?;
        if epoch as u64 != meta.epoch.0 {
            return Err(Error::SchemaChanged.into());
        }
        Ok(clock)
    }

    /// The version at which a query has to look into the history to see a state; `None` if no table that it looks at has changed
    /// since, so that the current rows are the state.
    ///
    /// # Errors
    ///
    /// [`Gone::Pruned`] if the history of one of them does not reach back so far.
    pub(crate) fn as_of(
        &self,
        connection: &Connection,
        query: &Query,
        version: i64,
    ) -> Result<Option<i64>, Fault> {
        let mut changed = false;
        for history in query
            .tables(&self.catalog)
            .into_iter()
            .filter_map(|table| self.layouts[table].history)
        {
            if newest(connection, history)? > version {
                changed = true;
                if horizon(connection, history)? > version {
                    return Err(Gone::Pruned.into());
                }
            }
        }
        Ok(changed.then_some(version))
    }
}

fn layout(key: &[usize], facts: &TableFacts) -> TableLayout {
    let mut collations: Vec<Collation> = facts
        .columns
        .iter()
        .map(|column| collation(&column.collation, &column.collation))
        .collect();
    let mut nullable_key = Vec::new();
    for (&column, key) in key.iter().zip(&facts.key) {
        collations[column] = collation(&facts.columns[column].collation, &key.collation);
        if key.nullable {
            nullable_key.push(column);
        }
    }
    TableLayout {
        history: facts.history_id,
        collations,
        nullable_key,
    }
}

/// How a column compares, given its own collation and that of the index that finds its values.
fn collation(own: &str, index: &str) -> Collation {
    let known = |name: &str| {
        ["BINARY", "NOCASE", "RTRIM"]
            .into_iter()
            .find(|known| known.eq_ignore_ascii_case(name))
    };
    match (known(own), known(index)) {
        (Some("BINARY"), Some("BINARY")) => Collation::Binary,
        (Some(_), Some(index)) => Collation::Coarser(index),
        _ => Collation::Foreign,
    }
}
