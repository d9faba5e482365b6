//! The plans that SQLite makes for pages and rounds: a page must find its rows through indexes and never sort or scan.

use highwater_core::query::{Comparison, Scope};
use highwater_core::{Expr, Query};
use highwater_odata::Value;
use highwater_sql::Param;
use highwater_sql::sqlite::{self, DeltaSpec, Driver, PageSpec};
use rusqlite::Connection;

use crate::expand::driver;
use crate::pool::FileId;
use crate::schema::Schema;
use crate::tracking::Policy;
use crate::{functions, introspect, meta, tracking};

const SETUP: &str = "
    CREATE TABLE rowid (id INTEGER PRIMARY KEY, v TEXT, parent INTEGER REFERENCES rowid (id));
    CREATE INDEX rowid_parent ON rowid (parent);
    CREATE TABLE textual (k TEXT PRIMARY KEY, v);
    CREATE TABLE nocase (k TEXT PRIMARY KEY COLLATE NOCASE, v);
    CREATE TABLE pair (a TEXT NOT NULL, b INTEGER NOT NULL, v, PRIMARY KEY (b, a)) WITHOUT ROWID;
    CREATE TABLE guid (k UNIQUEIDENTIFIER PRIMARY KEY NOT NULL, v);";

struct Planner {
    connection: Connection,
    schema: Schema,
}

impl Planner {
    fn new() -> Planner {
        let mut connection = Connection::open_in_memory().unwrap();
        functions::register(&connection).unwrap();
        connection.execute_batch(SETUP).unwrap();
        tracking::ensure(&mut connection, &Policy::All).unwrap();
        let loaded = introspect::load(&connection).unwrap();
        let meta = meta::load(&connection).unwrap();
        let schema = Schema::new(loaded, meta, FileId::default(), false);
        Planner { connection, schema }
    }

    fn query(&self, table: &str) -> Query {
        Query {
            table: self.schema.catalog.table(None, table).unwrap(),
            columns: vec![1],
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

    fn plan(&self, (sql, _): &(String, Vec<Param>)) -> Vec<String> {
        let mut statement = self
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        let mut plan = Vec::new();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            plan.push(row.get(3).unwrap());
        }
        plan
    }

    fn check(&self, title: &str, statement: &(String, Vec<Param>)) {
        let plan = self.plan(statement);
        for line in &plan {
            assert!(
                !line.starts_with("SCAN") && !line.contains("TEMP B-TREE"),
                "{title}: {plan:#?}\n{}",
                statement.0
            );
        }
    }
}

fn key(table: &str) -> (Vec<usize>, Vec<Param>) {
    let text = || Param::Text(b"x".to_vec());
    let number = || Param::Value(Value::Integer(1));
    match table {
        "rowid" => (vec![0, 1], vec![number()]),
        "pair" => (vec![0, 1, 2], vec![number(), text()]),
        _ => (vec![0, 1], vec![text()]),
    }
}

#[test]
fn pages_in_key_order_neither_scan_nor_sort() {
    let planner = Planner::new();
    for table in ["rowid", "textual", "pair", "guid"] {
        let query = planner.query(table);
        let (columns, position) = key(table);
        let spec = PageSpec {
            query: &query,
            columns: &columns,
            parent: None,
            after: Some(&position),
            upto: None,
            offset: 0,
            limit: 100,
            driver: Driver::Any,
        };
        let now = planner.schema.flavour(None);
        let then = planner.schema.flavour(Some(7));
        planner.check(table, &sqlite::page(&now, &spec).unwrap());
        planner.check(table, &sqlite::last_key(&then, &spec).unwrap());
        let bounded = PageSpec {
            upto: Some(&position),
            driver: Driver::Keys,
            ..spec
        };
        planner.check(table, &sqlite::page(&then, &bounded).unwrap());
        // The few records after the snapshot are sorted; the rows of the table are not.
        let recent = PageSpec {
            driver: Driver::Recent,
            ..spec
        };
        let plan = planner.plan(&sqlite::page(&then, &recent).unwrap());
        assert!(
            !plan.iter().any(|line| line.starts_with("SCAN")),
            "{plan:#?}"
        );
        assert!(plan.iter().any(|line| line.contains("MERGE")), "{plan:#?}");
        let sorts = plan
            .iter()
            .filter(|line| line.contains("TEMP B-TREE"))
            .count();
        assert_eq!(sorts, 1, "{plan:#?}");
    }
}

#[test]
fn rounds_walk_the_history_and_nothing_else() {
    let planner = Planner::new();
    for table in ["rowid", "textual", "nocase", "pair", "guid"] {
        let query = planner.query(table);
        let (columns, _) = key(table);
        let spec = DeltaSpec {
            query: &query,
            columns: &columns,
            lo: 3,
            hi: 9,
            after: 5,
        };
        for as_of in [None, Some(9)] {
            let flavour = planner.schema.flavour(as_of);
            planner.check(table, &sqlite::delta(&flavour, &spec).unwrap());
        }
    }
}

#[test]
fn a_key_and_a_foreign_key_are_found_by_index() {
    let planner = Planner::new();
    for table in ["rowid", "textual", "nocase", "guid"] {
        let mut query = planner.query(table);
        let (columns, _) = key(table);
        let ty = planner.schema.catalog.tables[query.table].columns[0].ty;
        let value = match table {
            "rowid" => Value::Integer(1),
            "guid" => Value::Lexical(ty, "0a000000-0000-0000-0000-00000000000f".into()),
            _ => Value::String("x".into()),
        };
        query.filter = Some(Expr::Compare(
            Comparison::Eq,
            Box::new(Expr::Column {
                scope: Scope::ROOT,
                column: 0,
                ty,
            }),
            Box::new(Expr::Literal(value)),
        ));
        let spec = PageSpec {
            query: &query,
            columns: &columns,
            parent: None,
            after: None,
            upto: None,
            offset: 0,
            limit: 2,
            driver: Driver::Any,
        };
        let plan = planner.plan(&sqlite::page(&planner.schema.flavour(None), &spec).unwrap());
        assert!(
            !plan.iter().any(|line| line.starts_with("SCAN")),
            "{table}: {plan:#?}"
        );
    }
    let query = planner.query("rowid");
    for relation in &planner.schema.catalog.tables[query.table].relations {
        for as_of in [None, Some(7)] {
            let flavour = planner.schema.flavour(as_of);
            let spec = PageSpec {
                query: &query,
                columns: &[0, 1],
                parent: Some(relation),
                after: None,
                upto: None,
                offset: 0,
                limit: 2,
                driver: driver(&planner.schema, query.table, relation),
            };
            let plan = planner.plan(&sqlite::page(&flavour, &spec).unwrap());
            assert!(
                !plan.iter().any(|line| line.starts_with("SCAN")),
                "{plan:#?}"
            );
            let plan = planner.plan(&sqlite::count(&flavour, &query, Some(relation)).unwrap());
            // The two parts of a state are searched by the foreign key, then read one after the other.
            let scans = |line: &&String| line.starts_with("SCAN") && *line != "SCAN t";
            assert_eq!(plan.iter().filter(scans).count(), 0, "{plan:#?}");
            assert!(
                plan.iter().any(|line| line.starts_with("SEARCH t USING")),
                "{plan:#?}"
            );
        }
    }
}
