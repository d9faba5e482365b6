//! A database, and a store that serves it.

use std::sync::Arc;

use highwater_core::store::{WriteParams, WriteResult, WriteStep};
use highwater_core::{Catalog, Error, Store as _};
use highwater_odata::Value;
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::{Cluster, Database};

use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};

use super::step::{Step, update};

/// A served database of its own.
pub(crate) struct Served {
    pub(crate) database: Database<'static>,
    pub(crate) store: Arc<PostgresStore>,
}

impl Served {
    pub(crate) async fn new(setup: &str) -> Served {
        let database = Cluster::shared().database().expect("a database");
        database.sql(setup).expect("the setup is valid");
        let url = database.url();
        Served::at(database, &url, 8).await
    }

    /// With so many connections, as whoever the URL says.
    pub(crate) async fn at(database: Database<'static>, url: &str, connections: usize) -> Served {
        let options = Options {
            connections,
            ..Options::default()
        };
        let store = PostgresStore::open(url, options)
            .await
            .expect("the store opens");
        Served {
            database,
            store: Arc::new(store),
        }
    }

    pub(crate) async fn catalog(&self) -> Arc<Catalog> {
        self.store.catalog().await.expect("the catalog")
    }

    pub(crate) async fn write(&self, steps: Vec<Step>) -> Result<WriteResult, Error> {
        let catalog = self.catalog().await;
        let steps = steps.into_iter().map(|step| step.bind(&catalog)).collect();
        self.write_bound(catalog, steps).await
    }

    pub(crate) async fn write_bound(
        &self,
        catalog: Arc<Catalog>,
        steps: Vec<WriteStep>,
    ) -> Result<WriteResult, Error> {
        self.store.write(WriteParams { catalog, steps }).await
    }

    /// A write that goes on beside the test.
    pub(crate) fn start(
        self: &Arc<Self>,
        steps: Vec<Step>,
    ) -> JoinHandle<Result<WriteResult, Error>> {
        let served = Arc::clone(self);
        tokio::spawn(async move { served.write(steps).await })
    }

    /// Waits until a condition holds in the database.
    pub(crate) async fn until(&self, condition: &str) {
        let client = self.connect().await;
        let question = format!("SELECT ({condition})::bool");
        loop {
            let row = client.query_one(&question, &[]).await;
            if row.expect("the condition is valid").get(0) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Another program.
    pub(crate) async fn connect(&self) -> Client {
        let connected = tokio_postgres::connect(&self.database.url(), NoTls).await;
        let (client, connection) = connected.expect("the database is there");
        tokio::spawn(connection);
        client
    }

    /// What the only step did: its outcome, and the key afterwards.
    pub(crate) async fn done(&self, step: Step) -> String {
        match self.write(vec![step]).await {
            Ok(result) => {
                let written = &result.written[0];
                let key: Vec<String> = written.key.iter().map(show).collect();
                format!("{:?} {}", written.outcome, key.join(","))
            }
            Err(error) => tell(&error),
        }
    }

    /// The entity tag of a row, as the writing side computes it.
    pub(crate) async fn etag(&self, table: &str, key: &[Value]) -> u64 {
        let result = self.write(vec![update(table, key)]).await;
        result.expect("the row exists").written[0]
            .etag
            .expect("it has a tag")
    }

    /// The rows of a query, each as PostgreSQL's text of a row.
    pub(crate) fn rows(&self, query: &str) -> Vec<String> {
        let rows = self.database.sql(&format!(
            "SELECT whole_row::text FROM ({query}) AS whole_row"
        ));
        let rows = rows.unwrap_or_else(|error| panic!("{error:?}: {query}"));
        rows.into_iter()
            .map(|row| row[0].clone().unwrap_or_default())
            .collect()
    }

    /// All rows of a table.
    pub(crate) fn content(&self, table: &str) -> Vec<String> {
        self.rows(&format!("SELECT * FROM {table} ORDER BY 1"))
    }

    pub(crate) fn sql(&self, statements: &str) {
        if let Err(error) = self.database.sql(statements) {
            panic!("{error:?}: {statements}");
        }
    }
}

/// Connections of the store that wait for a lock.
pub(crate) const WAITING: &str = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'highwater' AND state = 'active' AND wait_event_type = 'Lock'";

/// The kind of an error, and for a violation also what is concerned.
pub(crate) fn tell(error: &Error) -> String {
    match error {
        Error::Constraint(violation) => format!(
            "{:?} {}({}): {}",
            violation.kind,
            violation.table,
            violation.columns.join(","),
            violation.message
        ),
        other => {
            let debug = format!("{other:?}");
            let kind = debug.split('(').next().unwrap_or_default();
            match other {
                Error::NotFound | Error::PreconditionFailed | Error::SchemaChanged => kind.into(),
                other => format!("{kind}: {other}"),
            }
        }
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => format!("'{text}'"),
        Value::Integer(number) => number.to_string(),
        Value::Lexical(_, text) => text.clone(),
        other => format!("{other:?}"),
    }
}
