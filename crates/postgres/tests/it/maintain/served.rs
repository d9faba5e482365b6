//! A database of its own, stores that serve it, and a client that follows one table.

use std::any::Any;
use std::sync::Arc;

use highwater_core::store::{ChangesParams, PageLimit, ReadParams, RowSink};
use highwater_core::{Error, Query, RemovedReason, Row, Snapshot, Store as _};
use highwater_odata::ValueRef;
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::{Cluster, Database, Options as ClusterOptions, Session};

/// The table that is followed.
const SETUP: &str = "CREATE TABLE t(id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v bigint)";

/// A database, and whoever writes to it.
pub(crate) struct Served {
    pub(crate) database: Database<'static>,
    outside: Session,
}

impl Served {
    pub(crate) fn new() -> Served {
        Served::on(Cluster::shared())
    }

    /// On a cluster where nobody else's transactions are in progress, which would be in the way of pruning.
    pub(crate) fn alone() -> Served {
        let cluster = Cluster::start(&ClusterOptions::new()).expect("a cluster");
        // It ends with the process.
        Served::on(Box::leak(Box::new(cluster)))
    }

    pub(crate) fn on(cluster: &'static Cluster) -> Served {
        let database = cluster.database().expect("a database");
        let outside = database.session().expect("a session");
        let mut served = Served { database, outside };
        served.sql(SETUP);
        served
    }

    /// A node that serves the database.
    pub(crate) async fn node(&self) -> PostgresStore {
        PostgresStore::open(&self.database.url(), Options::default())
            .await
            .expect("the store opens")
    }

    /// Another program's session.
    pub(crate) fn session(&self) -> Session {
        self.database.session().expect("a session")
    }

    pub(crate) fn sql(&mut self, statements: &str) {
        if let Err(error) = self.outside.run(statements) {
            panic!("{error}: {statements}");
        }
    }

    /// The only value of a query.
    pub(crate) fn number(&mut self, sql: &str) -> i64 {
        let rows = self.outside.run(sql).expect(sql).rows;
        let value = rows[0][0].as_deref().expect("no NULL");
        value.parse().expect("a number")
    }

    pub(crate) fn ticks(&mut self) -> i64 {
        self.number("SELECT count(*) FROM highwater.tick")
    }

    /// How many undo records there are of the followed table.
    pub(crate) fn history(&mut self) -> i64 {
        let id = self.number("SELECT id FROM highwater.tracked_table WHERE table_name = 't'");
        self.number(&format!("SELECT count(*) FROM highwater.history_{id}"))
    }

    /// Lets time pass: all that has a time was recorded so much earlier.
    pub(crate) fn age(&mut self, interval: &str) {
        self.sql(&format!(
            "UPDATE highwater.tick SET at = at - interval '{interval}';
             UPDATE highwater.seal_key SET created_at = created_at - interval '{interval}'"
        ));
    }
}

/// A copy of the followed table, and the snapshot that it shows.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) at: Snapshot,
    rows: Vec<(i64, i64)>,
}

impl Follower {
    /// Reads everything.
    pub(crate) async fn new(store: &PostgresStore) -> Follower {
        let params = ReadParams {
            catalog: store.catalog().await.expect("the catalog"),
            query: Arc::new(query(store).await),
            hi: None,
            after: None,
            limit: LIMIT,
        };
        let result = store.read(params, Box::new(Pairs::default())).await;
        let result = result.expect("a page");
        let mut follower = Follower {
            at: result.hi.expect("it is tracked"),
            rows: Vec::new(),
        };
        follower.apply(result.sink);
        follower
    }

    /// Asks for what has changed. Returns how many entities have.
    pub(crate) async fn follow(&mut self, store: &PostgresStore) -> Result<usize, Error> {
        let params = ChangesParams {
            catalog: store.catalog().await?,
            query: Arc::new(query(store).await),
            lo: self.at.clone(),
            hi: None,
            after: None,
            limit: LIMIT,
        };
        let result = store.changes(params, Box::new(Pairs::default())).await?;
        self.at = result.hi;
        Ok(self.apply(result.sink))
    }

    /// The rows as they should be, to be compared with the table itself.
    pub(crate) fn assert_shows(&mut self, served: &mut Served) {
        let rows = "SELECT id, v FROM t ORDER BY id";
        let rows = served.outside.run(rows).expect(rows).rows;
        let number = |value: &Option<String>| -> i64 { value.as_deref().unwrap().parse().unwrap() };
        let rows: Vec<_> = rows
            .iter()
            .map(|row| (number(&row[0]), number(&row[1])))
            .collect();
        self.rows.sort_unstable();
        assert_eq!(self.rows, rows);
    }

    fn apply(&mut self, sink: Box<dyn RowSink>) -> usize {
        let sink: Box<dyn Any> = sink;
        let pairs: Pairs = *sink.downcast().expect("the sink that was given");
        let count = pairs.entities.len() + pairs.removed.len();
        for id in pairs
            .removed
            .iter()
            .chain(pairs.entities.iter().map(|(id, _)| id))
        {
            self.rows.retain(|(known, _)| known != id);
        }
        self.rows.extend(pairs.entities);
        count
    }
}

const LIMIT: PageLimit = PageLimit {
    rows: 1_000_000,
    bytes: usize::MAX,
};

async fn query(store: &PostgresStore) -> Query {
    let catalog = store.catalog().await.expect("the catalog");
    let table = catalog.table(Some("public"), "t").expect("the table");
    Query {
        table,
        columns: vec![0, 1],
        filter: None,
        order: vec![],
        skip: 0,
        top: None,
        expand: vec![],
        count: false,
        etag: false,
        volatile: false,
    }
}

/// Rows of two numbers.
#[derive(Default)]
struct Pairs {
    entities: Vec<(i64, i64)>,
    removed: Vec<i64>,
}

impl RowSink for Pairs {
    fn begin(&mut self, _: Option<u64>) {}

    fn entity(&mut self, row: &Row<'_>) {
        self.entities.push((number(row, 0), number(row, 1)));
    }

    fn begin_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_entity(&mut self) {}

    fn removed(&mut self, row: &Row<'_>, _: RemovedReason) {
        self.removed.push(number(row, 0));
    }

    fn bytes(&self) -> usize {
        0
    }
}

fn number(row: &Row<'_>, column: usize) -> i64 {
    match row.values[column] {
        ValueRef::Integer(number) => number,
        ref other => panic!("{other:?} is no number"),
    }
}
