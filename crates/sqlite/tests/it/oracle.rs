//! The oracle of capture: it remembers the whole content of every tracked table at every committed version, and afterwards
//! demands that history and current rows give each of these states back, value by value and storage class by storage class.
//!
//! A twin database without tracking gets the same statements: tracking must change neither their results nor the rows.

use std::collections::BTreeMap;

use highwater_sqlite::facts::{Loaded, history_table, quote};
use highwater_sqlite::tracking::Policy;
use highwater_sqlite::{introspect, meta, tracking};
use rusqlite::types::Value;
use rusqlite::{Connection, TransactionBehavior};

/// A value that can be compared and sorted. Keys are normalised, because 1 and 1.0 are one key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell {
    Null,
    Integer(i64),
    /// By its bits: exactness includes the sign of zero.
    Real(u64),
    Text(String),
    Blob(Vec<u8>),
}

impl Cell {
    fn of(value: Value) -> Cell {
        match value {
            Value::Null => Cell::Null,
            Value::Integer(v) => Cell::Integer(v),
            Value::Real(v) => Cell::Real(v.to_bits()),
            Value::Text(v) => Cell::Text(v),
            Value::Blob(v) => Cell::Blob(v),
        }
    }

    fn as_key(&self) -> Cell {
        match self {
            Cell::Real(bits) if f64::from_bits(*bits).fract() == 0.0 => {
                Cell::Integer(f64::from_bits(*bits) as i64)
            }
            other => other.clone(),
        }
    }
}

type Row = Vec<Cell>;
type Rows = BTreeMap<Row, Row>;

/// A database under test with its twin.
pub(crate) struct Oracle {
    name: String,
    pub(crate) database: Connection,
    twin: Connection,
    is_alone: bool,
    loaded: Loaded,
    /// Content of each tracked table at each version.
    states: BTreeMap<i64, BTreeMap<String, Rows>>,
    log: Vec<String>,
}

impl Oracle {
    /// Prepares both databases with the same statements and tracks every table of one.
    pub(crate) fn new(name: &str, setup: &str) -> Oracle {
        Oracle::on(name, setup, Connection::open_in_memory().unwrap())
    }

    /// The same on a given connection to an empty database.
    pub(crate) fn on(name: &str, setup: &str, mut database: Connection) -> Oracle {
        let twin = Connection::open_in_memory().unwrap();
        for connection in [&database, &twin] {
            add_functions(connection);
            connection
                .execute_batch(setup)
                .unwrap_or_else(|e| panic!("{name}: {setup}: {e}"));
        }
        tracking::ensure(&mut database, &Policy::All).unwrap();
        let loaded = introspect::load(&database).unwrap();
        let mut oracle = Oracle {
            name: name.to_owned(),
            database,
            twin,
            is_alone: false,
            loaded,
            states: BTreeMap::new(),
            log: vec![setup.to_owned()],
        };
        for table in &oracle.loaded.catalog.tables {
            assert!(
                table.is_view || table.is_tracked(),
                "{name}: {:?}",
                table.tracking
            );
        }
        oracle.remember();
        oracle
    }

    /// Runs a statement (or several) on both databases and remembers the committed state.
    ///
    /// Any `BEFORE` trigger makes one difference in SQLite, and from there on the twin is not compared any more: values are converted before
    /// it. A row that does not have the types of a `STRICT` table, or no integer as its `INTEGER PRIMARY KEY`, is refused for this before
    /// any other reason counts, which `OR IGNORE`, `OR FAIL` or `OR ROLLBACK` would have treated otherwise; and the statement is
    /// undone as a whole, which SQLite otherwise forgets in a transaction. And where the result of an `UPDATE` depends on the order of the
    /// rows, which SQLite does not promise, it may be another order.
    pub(crate) fn run(&mut self, sql: &str) {
        self.log.push(sql.to_owned());
        let tracked = self.database.execute_batch(sql);
        let untracked = self.twin.execute_batch(sql);
        if let Err(error) = &tracked
            && ["cannot store", "datatype mismatch"]
                .iter()
                .any(|e| error.to_string().contains(e))
        {
            self.is_alone = true;
        }
        if !self.is_alone {
            // Of several violations SQLite may name another one when a table has triggers.
            let same = tracked.is_ok() == untracked.is_ok()
                && self.database.is_autocommit() == self.twin.is_autocommit();
            self.is_alone = sql.starts_with("UPDATE") && !(same && self.equals_twin());
            assert!(
                same || self.is_alone,
                "{tracked:?}, {untracked:?}\n{}",
                self.story()
            );
        }
        if self.database.is_autocommit() {
            self.remember();
        } else {
            self.content(&self.database);
        }
    }

    /// Demands that each remembered state can be told from history and current rows.
    pub(crate) fn verify(&mut self) {
        let read = self.database.unchecked_transaction().unwrap();
        for (position, table) in self.loaded.catalog.tables.iter().enumerate() {
            let Some(id) = self.loaded.tables[position].history_id else {
                continue;
            };
            let current = rows_of(&read, &self.loaded, position);
            let history = history_of(&read, id, &self.loaded, position);
            let horizon = self.horizon(&table.name);
            for (&version, state) in self.states.range(horizon..) {
                let told = state_at(version, &history, &current);
                let expected = &state[&table.name];
                assert_eq!(
                    &told,
                    expected,
                    "{} at {version} differs\n{history:#?}\n{}",
                    table.name,
                    self.story()
                );
            }
        }
        read.commit().unwrap();
    }

    /// How many versions are remembered.
    pub(crate) fn versions(&self) -> usize {
        self.states.len()
    }

    /// Where the history of a table begins.
    pub(crate) fn horizon(&self, table: &str) -> i64 {
        self.database
            .query_row(
                "SELECT max(horizon, coalesce(lost, 0)) FROM highwater_table, highwater_clock WHERE name = ?1",
                [table],
                |r| r.get(0),
            )
            .unwrap()
    }

    /// Stops comparing with the twin, because the statements to come have random results.
    pub(crate) fn leave_twin(&mut self) {
        self.is_alone = true;
    }

    /// The database without tracking.
    pub(crate) fn twin(&self) -> &Connection {
        &self.twin
    }

    /// Remembers the committed state.
    pub(crate) fn remember(&mut self) {
        let read =
            rusqlite::Transaction::new_unchecked(&self.database, TransactionBehavior::Deferred)
                .unwrap();
        let version = meta::clock(&read).unwrap();
        let state = self.content(&read);
        read.commit().unwrap();
        if let Some(known) = self.states.insert(version, state) {
            assert_eq!(
                known,
                self.states[&version],
                "changed unseen\n{}",
                self.story()
            );
        }
    }

    fn equals_twin(&self) -> bool {
        let tables = self.loaded.catalog.tables.iter().enumerate();
        tables
            .filter(|(_, table)| table.is_tracked())
            .all(|(position, _)| {
                rows_of(&self.database, &self.loaded, position)
                    == rows_of(&self.twin, &self.loaded, position)
            })
    }

    /// The rows of the tracked tables, which must be those of the twin.
    fn content(&self, read: &Connection) -> BTreeMap<String, Rows> {
        let mut content = BTreeMap::new();
        for (position, table) in self.loaded.catalog.tables.iter().enumerate() {
            if table.is_tracked() {
                let rows = rows_of(read, &self.loaded, position);
                if !self.is_alone {
                    let twin = rows_of(&self.twin, &self.loaded, position);
                    assert_eq!(
                        rows,
                        twin,
                        "{} differs from the twin\n{}",
                        table.name,
                        self.story()
                    );
                }
                content.insert(table.name.clone(), rows);
            }
        }
        content
    }

    fn story(&self) -> String {
        format!("{}:\n{}", self.name, self.log.join(";\n"))
    }
}

/// The rows that have a key.
fn rows_of(connection: &Connection, loaded: &Loaded, position: usize) -> Rows {
    let table = &loaded.catalog.tables[position];
    let columns: Vec<_> = table.columns.iter().map(|c| quote(&c.name)).collect();
    let sql = format!("SELECT {} FROM {}", columns.join(", "), quote(&table.name));
    let mut statement = connection.prepare(&sql).unwrap();
    let rows = statement
        .query_map([], |row| {
            (0..columns.len())
                .map(|i| Ok(Cell::of(row.get(i)?)))
                .collect::<rusqlite::Result<Row>>()
        })
        .unwrap();
    let mut found = Rows::new();
    for row in rows {
        let row = row.unwrap();
        let key = key_of(&row, &table.key);
        if !key.contains(&Cell::Null) {
            assert!(
                found.insert(key, row).is_none(),
                "the key of {} is not unique",
                table.name
            );
        }
    }
    found
}

fn key_of(row: &Row, key: &[usize]) -> Row {
    key.iter().map(|column| row[*column].as_key()).collect()
}

type Record = (i64, Row, Option<Row>);

fn history_of(connection: &Connection, id: i64, loaded: &Loaded, position: usize) -> Vec<Record> {
    let table = &loaded.catalog.tables[position];
    let columns: Vec<_> = (0..table.columns.len()).map(|i| format!("c{i}")).collect();
    let sql = format!(
        "SELECT version, present, nonce, {} FROM {} ORDER BY version",
        columns.join(", "),
        history_table(id)
    );
    let mut statement = connection.prepare(&sql).unwrap();
    let records = statement
        .query_map([], |row| {
            let cells = (0..columns.len())
                .map(|i| Ok(Cell::of(row.get(3 + i)?)))
                .collect::<rusqlite::Result<Row>>()?;
            let _: i64 = row.get(2)?;
            let key = key_of(&cells, &table.key);
            assert!(!key.contains(&Cell::Null), "a record without a key");
            let present: i64 = row.get(1)?;
            assert!(present == 0 || present == 1);
            Ok((row.get(0)?, key, (present == 1).then_some(cells)))
        })
        .unwrap();
    records.map(Result::unwrap).collect()
}

/// The definition: the image in the first record after the version, or the current row.
fn state_at(version: i64, history: &[Record], current: &Rows) -> Rows {
    let mut state = current.clone();
    let mut decided = std::collections::BTreeSet::new();
    for (_, key, image) in history.iter().filter(|(at, ..)| *at > version) {
        if !decided.insert(key) {
            continue;
        }
        match image {
            Some(row) => state.insert(key.clone(), row.clone()),
            None => state.remove(key),
        };
    }
    state
}

/// A collation and a function that belong to "the application".
fn add_functions(connection: &Connection) {
    connection
        .create_scalar_function(
            "twice",
            1,
            rusqlite::functions::FunctionFlags::SQLITE_DETERMINISTIC
                | rusqlite::functions::FunctionFlags::SQLITE_UTF8,
            |context| Ok(context.get::<String>(0)?.repeat(2)),
        )
        .unwrap();
}

/// Runs a case: setup, then each statement, verifying at the end.
pub(crate) fn check(name: &str, setup: &str, statements: &[&str]) {
    let mut oracle = Oracle::new(name, setup);
    for sql in statements {
        oracle.run(sql);
    }
    oracle.verify();
}
