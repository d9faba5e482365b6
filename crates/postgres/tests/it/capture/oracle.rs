//! The proof of capture: remember what tables contained at some snapshots, and compute the same from undo records.
//!
//! State of a key at a snapshot: what its first undo record of a transaction that the snapshot does not see says; the current row if there
//! is none.

use std::collections::{BTreeMap, BTreeSet};

use highwater_core::tracking::{Ensured, Policy};
use highwater_throwaway::{Cluster, Database, Row, Session};

/// A database whose tables are tracked and watched.
pub(crate) struct Oracle {
    pub(crate) database: Database<'static>,
    /// Writes.
    pub(crate) session: Session,
    /// Only looks.
    watcher: Session,
    tables: Vec<Watched>,
    memories: Vec<Memory>,
    trace: String,
    /// `server_version_num`
    version: u32,
}

/// A tracked table.
#[derive(Clone, Debug)]
struct Watched {
    id: String,
    incarnation: String,
    /// Its name, with `ONLY`.
    name: String,
    /// Selects the key (as an array) and the text of each row.
    rows: String,
    /// Selects transaction, key, whether the row is gone, and image of each record, in order.
    records: String,
}

/// What the tables contained once: one content for each watched table.
struct Memory {
    snapshot: Snapshot,
    after: String,
    contents: Vec<(Watched, Content)>,
}

/// Texts of rows by the text of their key.
pub(crate) type Content = BTreeMap<String, String>;

struct Snapshot {
    xmax: i64,
    xip: Vec<i64>,
}

impl Snapshot {
    fn parse(text: &str) -> Snapshot {
        let mut parts = text.split(':').skip(1);
        let number = |text: &str| text.parse::<i64>().expect("a number");
        let xmax = number(parts.next().expect("xmax"));
        let list = parts.next().expect("xip").split(',');
        let xip = list.filter(|xid| !xid.is_empty()).map(number).collect();
        Snapshot { xmax, xip }
    }

    fn sees(&self, xid: i64) -> bool {
        xid < self.xmax && !self.xip.contains(&xid)
    }
}

/// Runs the future of a library call.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(future)
}

/// Begins the tracking of all tables.
pub(crate) fn track(database: &Database<'_>) -> Ensured {
    run(highwater_postgres::admin::track(
        &database.url(),
        &Policy::All,
    ))
    .expect("tracking")
}

/// Pinned as the functions of the triggers are, so that texts can be compared.
pub(crate) const SETTINGS: &str = "SET DateStyle = ISO; SET TimeZone = UTC; SET IntervalStyle = postgres; SET extra_float_digits = 1; \
    SET bytea_output = hex; SET xmloption = content; SET lc_monetary = 'C'; SET search_path = public; SET lock_timeout = '1s'";

impl Oracle {
    /// A database with these tables, all of them tracked.
    pub(crate) fn new(setup: &str) -> Oracle {
        let database = Cluster::shared().database().expect("a database");
        database
            .sql(setup)
            .unwrap_or_else(|e| panic!("{setup}\n{e}"));
        track(&database);
        Oracle::of(database)
    }

    /// Watches what is tracked already.
    pub(crate) fn of(database: Database<'static>) -> Oracle {
        let mut watcher = database.session().expect("a session");
        watcher.run(SETTINGS).expect("settings");
        let version = watcher
            .run("SHOW server_version_num")
            .expect("a version")
            .rows;
        let [version] = fields(&version[0]);
        let session = database.session().expect("a session");
        let mut oracle = Oracle {
            database,
            session,
            watcher,
            tables: Vec::new(),
            memories: Vec::new(),
            trace: String::new(),
            version: version.parse().expect("a number"),
        };
        oracle.survey();
        oracle.remember("nothing");
        oracle
    }

    /// Whether this version of PostgreSQL knows what the statement needs.
    pub(crate) fn knows(&self, sql: &str) -> bool {
        let since = [
            ("MERGE", 150_000),
            ("CONCURRENTLY", 140_000),
            ("VIRTUAL", 180_000),
        ];
        since
            .iter()
            .all(|(word, version)| self.version >= *version || !sql.contains(word))
    }

    pub(crate) fn tracks_nothing(&self) -> bool {
        self.tables.is_empty()
    }

    /// Looks which tables are tracked; new ones have no memories.
    pub(crate) fn survey(&mut self) {
        let sql = "SELECT t.id, t.incarnation, format('%I.%I', t.schema_name, t.table_name), \
             (SELECT relkind = 'p' FROM pg_class WHERE oid = t.relation), \
             (SELECT string_agg(format(CASE coalesce(nullif(y.typbasetype, 0), y.oid) WHEN 'bpchar'::regtype THEN 'rtrim(concat(t.%I))' \
                    ELSE 'concat(t.%I)' END, a.attname), ', ' ORDER BY k.position) \
                FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position) \
                JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum JOIN pg_type AS y ON y.oid = a.atttypid \
                WHERE i.indrelid = t.relation AND i.indisprimary), \
             (SELECT string_agg('h.' || attname, ', ' ORDER BY attnum) FROM pg_attribute \
                WHERE attrelid = format('highwater.history_%s', t.id)::regclass AND attname ~ '^k[0-9]+$') \
             FROM highwater.tracked_table AS t ORDER BY t.id";
        let exists = "SELECT WHERE to_regclass('highwater.tracked_table') IS NOT NULL";
        if self.watcher.run(exists).expect("an answer").rows.is_empty() {
            return;
        }
        let rows = self.watcher.run(sql).expect("tracked tables").rows;
        self.tables = rows
            .iter()
            .map(|row| {
                let [id, incarnation, table, is_root, key, names] = fields(row);
                let only = if is_root == "t" { "" } else { "ONLY " };
                Watched {
                    name: format!("{only}{table}"),
                    rows: format!("SELECT ARRAY[{key}]::text, t::text FROM {only}{table} AS t"),
                    records: format!("SELECT h.xid, ARRAY[{names}]::text, h.gone, h.old FROM highwater.history_{id} AS h ORDER BY h.seq"),
                    id,
                    incarnation,
                }
            })
            .collect();
    }

    /// Notes what happened, for a report.
    pub(crate) fn trace(&mut self, done: bool, sql: &str) {
        use std::fmt::Write as _;
        let _ = writeln!(
            self.trace,
            "{}{sql}",
            if done { "" } else { "-- refused: " }
        );
    }

    /// Executes statements, as one message each. Those that are refused are as good as others.
    pub(crate) fn try_run(&mut self, sql: &str) -> bool {
        let done = self.session.run(sql).is_ok();
        if self.session.state() == highwater_throwaway::State::Idle {
            self.remember(sql);
        }
        done
    }

    /// Executes statements that nothing may refuse.
    pub(crate) fn run(&mut self, sql: &str) {
        if !self.knows(sql) {
            return;
        }
        self.session
            .run(sql)
            .unwrap_or_else(|e| panic!("{sql}\n{e}"));
        if self.session.state() == highwater_throwaway::State::Idle {
            self.remember(sql);
        }
    }

    /// Remembers what the tables contain, at one snapshot.
    pub(crate) fn remember(&mut self, after: &str) {
        if self.tables.is_empty() {
            return;
        }
        // Before there is a snapshot: TRUNCATE would empty the tables under it.
        let names: Vec<&str> = self
            .tables
            .iter()
            .map(|table| table.name.as_str())
            .collect();
        let mut sql = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE {} IN ACCESS SHARE MODE; SELECT pg_current_snapshot(); SELECT id, incarnation FROM highwater.tracked_table ORDER BY id",
            names.join(", ")
        );
        for table in &self.tables {
            // What was removed from the schema since has no content.
            sql.push_str(&format!("; SELECT '{}' AS id; {}", table.id, table.rows));
        }
        sql.push_str("; COMMIT");
        let rows = match self.watcher.run(&sql) {
            Ok(answer) => answer.rows,
            // A prepared transaction keeps a table locked.
            Err(e) if e.code == "55P03" => {
                self.watcher.run("ROLLBACK").expect("a rollback");
                return;
            }
            Err(e) => panic!("after {after}: {e}"),
        };
        let mut rows = rows.into_iter();
        let [snapshot] = fields(&rows.next().expect("a snapshot"));
        let mut incarnations = BTreeMap::new();
        for _ in &self.tables {
            let [id, incarnation] = fields(&rows.next().expect("an incarnation"));
            incarnations.insert(id, incarnation);
        }
        let mut contents: Vec<(Watched, Content)> = Vec::new();
        for row in rows {
            if let [Some(id)] = row.as_slice() {
                let mut table = self
                    .tables
                    .iter()
                    .find(|t| t.id == *id)
                    .expect("a watched table")
                    .clone();
                table.incarnation.clone_from(&incarnations[id]);
                contents.push((table, Content::new()));
                continue;
            }
            let [key, text] = fields(&row);
            contents.last_mut().expect("a table").1.insert(key, text);
        }
        self.memories.push(Memory {
            snapshot: Snapshot::parse(&snapshot),
            after: after.to_owned(),
            contents,
        });
    }

    /// How many undo records there are, and how many snapshots are void because the capture gave up.
    pub(crate) fn verify(&mut self) -> Verified {
        let mut verified = Verified::default();
        for position in 0..self.tables.len() {
            let table = self.tables[position].clone();
            let now = self
                .watcher
                .run(&format!(
                    "SELECT incarnation FROM highwater.tracked_table WHERE id = {}",
                    table.id
                ))
                .expect("an incarnation")
                .rows;
            let [incarnation] = fields(&now[0]);
            let rows = self.watcher.run(&table.rows).expect("rows").rows;
            let current: Content = rows
                .iter()
                .map(fields::<2>)
                .map(|[key, text]| (key, text))
                .collect();
            let rows = self.watcher.run(&table.records).expect("records").rows;
            let records: Vec<Record> = rows.into_iter().map(Record::read).collect();
            verified.records += records.len();
            for memory in &self.memories {
                let Some((_, content)) = memory
                    .contents
                    .iter()
                    .find(|(t, _)| t.id == table.id && t.incarnation == incarnation)
                else {
                    verified.void +=
                        usize::from(memory.contents.iter().any(|(t, _)| t.id == table.id));
                    continue;
                };
                let computed = state(&memory.snapshot, &records, &current);
                assert_same(
                    (content, &computed, &current),
                    &table,
                    memory,
                    &records,
                    &self.trace,
                );
                verified.compared += 1;
            }
        }
        verified
    }
}

/// What [`Oracle::verify`] did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verified {
    pub(crate) records: usize,
    pub(crate) compared: usize,
    pub(crate) void: usize,
}

#[derive(Debug)]
struct Record {
    xid: i64,
    key: String,
    gone: bool,
    old: Option<String>,
}

impl Record {
    fn read(row: Row) -> Record {
        let [xid, key, gone, old] = row.try_into().expect("four fields");
        Record {
            xid: xid.expect("xid").parse().expect("a number"),
            key: key.expect("a key"),
            gone: gone.as_deref() == Some("t"),
            old,
        }
    }
}

fn state(snapshot: &Snapshot, records: &[Record], current: &Content) -> Content {
    let mut before: BTreeMap<&str, Option<&String>> = BTreeMap::new();
    for record in records.iter().filter(|record| !snapshot.sees(record.xid)) {
        before.entry(&record.key).or_insert(record.old.as_ref());
    }
    let mut state = current.clone();
    for (key, old) in before {
        match old {
            Some(old) => state.insert(key.to_owned(), old.clone()),
            None => state.remove(key),
        };
    }
    state
}

fn assert_same(
    (expected, computed, current): (&Content, &Content, &Content),
    table: &Watched,
    memory: &Memory,
    records: &[Record],
    trace: &str,
) {
    if expected == computed {
        assert_found(expected, current, table, memory, records, trace);
        return;
    }
    let mut report = format!("history {} after {}:\n", table.id, memory.after);
    for key in expected.keys().chain(computed.keys()) {
        if expected.get(key) != computed.get(key) {
            report.push_str(&format!(
                "{key}: was {:?}, computed {:?}\n",
                expected.get(key),
                computed.get(key)
            ));
            for record in records
                .iter()
                .filter(|r| r.key == *key && !memory.snapshot.sees(r.xid))
            {
                report.push_str(&format!("    {record:?}\n"));
            }
        }
    }
    panic!("{report}{trace}");
}

/// Rows that are no longer there are looked for among the records that say so.
fn assert_found(
    expected: &Content,
    current: &Content,
    table: &Watched,
    memory: &Memory,
    records: &[Record],
    trace: &str,
) {
    let gone: BTreeSet<&str> = records
        .iter()
        .filter(|record| record.gone && !memory.snapshot.sees(record.xid))
        .map(|record| record.key.as_str())
        .collect();
    for key in expected.keys() {
        assert!(
            current.contains_key(key) || gone.contains(key.as_str()),
            "history {} after {}: no record says that {key} is gone\n{trace}",
            table.id,
            memory.after
        );
    }
}

/// The fields of a row; a NULL is an empty text.
pub(crate) fn fields<const N: usize>(row: &Row) -> [String; N] {
    let texts: Vec<String> = row
        .iter()
        .map(|field| field.clone().unwrap_or_default())
        .collect();
    texts
        .try_into()
        .unwrap_or_else(|row| panic!("{N} fields expected, found {row:?}"))
}
