//! A throw-away SQLite database.
//!
//! What must hold: the served database is a file that outside programs open with SQLite alone; each program of a number has the
//! same settings on both databases.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use highwater_sqlite::retention::prune_step;
use rusqlite::backup::Backup as Copying;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, ffi};
use tempfile::TempDir;

use crate::flavour::{Flavour, SQLITE};
use crate::http::Transport;
use crate::lab::{Backup, Cell, Lab, Outcome, Outside, Which};
use crate::serving::Server;
use crate::values::quote;

/// A served database, its shadow and their copies, in a directory that is deleted at the end.
pub struct SqliteLab {
    /// Stopped before the directory is deleted.
    server: Box<dyn Server>,
    is_open: bool,
    was_open: bool,
    /// Connections to the two databases that read for the oracle.
    readers: Mutex<[Option<Connection>; 2]>,
    backups: usize,
    journal_mode: &'static str,
    foreign_keys: ForeignKeys,
    directory: TempDir,
}

/// Which outside programs enforce foreign keys. (SQLite leaves that to each connection.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKeys {
    /// None.
    Off,
    /// All.
    On,
    /// Some. What SQLite then does about rows that others left without a parent depends on details such as triggers.
    Mixed,
}

impl SqliteLab {
    /// An empty database for the given kind of server.
    ///
    /// # Panics
    ///
    /// If there is no place for temporary files.
    pub fn new(server: impl Server + 'static) -> SqliteLab {
        let mut directory = tempfile::tempdir().expect("a directory for temporary files exists");
        directory.disable_cleanup(std::env::var_os("HIGHWATER_KEEP").is_some());
        SqliteLab {
            server: Box::new(server),
            is_open: false,
            was_open: false,
            readers: Mutex::new([None, None]),
            backups: 0,
            journal_mode: "WAL",
            foreign_keys: ForeignKeys::Off,
            directory,
        }
    }

    /// The same without a write-ahead log, which is what SQLite does unless told otherwise.
    pub fn with_rollback_journal(self) -> SqliteLab {
        SqliteLab {
            journal_mode: "DELETE",
            ..self
        }
    }

    /// The same with other outside programs.
    pub fn with_foreign_keys(self, foreign_keys: ForeignKeys) -> SqliteLab {
        SqliteLab {
            foreign_keys,
            ..self
        }
    }

    fn backup_path(&self, backup: Backup, which: Which) -> PathBuf {
        let name = self.path(which);
        name.with_extension(format!("backup-{}", backup.0))
    }

    /// Where a database is.
    pub fn path(&self, which: Which) -> PathBuf {
        self.directory.path().join(match which {
            Which::Served => "served.sqlite",
            Which::Shadow => "shadow.sqlite",
        })
    }

    /// The served database as an argument of the program.
    pub fn served(&self) -> String {
        let path = self.path(Which::Served);
        path.into_os_string()
            .into_string()
            .expect("the path of a temporary file is UTF-8")
    }

    fn with_reader<T>(&self, which: Which, then: impl FnOnce(&Connection) -> T) -> T {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = readers[which as usize].get_or_insert_with(|| connect(&self.path(which)));
        then(reader)
    }
}

const BOTH: [Which; 2] = [Which::Served, Which::Shadow];

/// A connection that does not wait for the disk: no test needs to survive a loss of power.
fn connect(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("the temporary file can be opened");
    connection
        .execute_batch("PRAGMA synchronous = OFF")
        .expect("the setting is known");
    connection
}

impl Lab for SqliteLab {
    fn flavour(&self) -> &'static Flavour {
        &SQLITE
    }

    fn create(&mut self, ddl: &[String]) {
        for which in BOTH {
            let connection = connect(&self.path(which));
            connection
                .pragma_update(None, "journal_mode", self.journal_mode)
                .expect("the journal mode is known");
            for statement in ddl {
                if let Err(error) = connection.execute_batch(statement) {
                    panic!("{error}: {statement}");
                }
            }
        }
    }

    fn outside(&self, which: Which, number: usize) -> Box<dyn Outside> {
        let foreign_keys = match self.foreign_keys {
            ForeignKeys::Off => false,
            ForeignKeys::On => true,
            ForeignKeys::Mixed => number.is_multiple_of(2),
        };
        Box::new(Program::new(&self.path(which), number, foreign_keys))
    }

    fn rows(&self, which: Which, sql: &str) -> Vec<Vec<Cell>> {
        self.with_reader(which, |reader| {
            read(reader, sql).unwrap_or_else(|error| panic!("{error}: {sql}"))
        })
    }

    fn open(&mut self) -> Arc<dyn Transport> {
        self.close();
        self.is_open = true;
        if !std::mem::replace(&mut self.was_open, true) {
            self.with_reader(Which::Shadow, add_idle_triggers);
        }
        self.server.start(&self.served())
    }

    fn close(&mut self) {
        self.server.stop();
        self.is_open = false;
    }

    fn prune(&mut self) {
        const ROWS_A_STEP: u64 = 7;
        let mut connection = connect(&self.path(Which::Served));
        while prune_step(&mut connection, i64::MAX, ROWS_A_STEP).expect("the history can be pruned")
        {
        }
    }

    fn backup(&mut self) -> Backup {
        let backup = Backup(self.backups);
        self.backups += 1;
        for which in BOTH {
            let path = self.backup_path(backup, which);
            self.with_reader(which, |reader| copy(reader, &mut connect(&path)));
        }
        backup
    }

    fn restore(&mut self, backup: Backup) {
        for which in BOTH {
            let (from, to) = (self.backup_path(backup, which), self.path(which));
            if self.is_open {
                // As `.restore` of the SQLite shell does it.
                copy(&connect(&from), &mut connect(&to));
                continue;
            }
            // As somebody does it who knows that nobody uses the database.
            self.readers.lock().unwrap_or_else(PoisonError::into_inner)[which as usize] = None;
            for ending in ["-wal", "-shm"] {
                let mut name = to.clone().into_os_string();
                name.push(ending);
                // There is none after a clean end.
                let _ = std::fs::remove_file(name);
            }
            std::fs::copy(&from, &to).expect("the backup can be copied");
        }
    }

    fn restores_while_open(&self) -> bool {
        true
    }

    fn restores_itself(&self) -> bool {
        true
    }
}

/// Gives every table triggers that look at rows and count.
///
/// SQLite executes a statement differently if the table has triggers that write: it may change several rows in another order, names
/// another one of several reasons to refuse a row, and in some cases (3.54) notices only then a reference without a parent, or takes
/// back only then what a refused statement did. That is not what is to be compared; whatever else differs is what Highwater's triggers
/// themselves do.
fn add_idle_triggers(connection: &Connection) {
    const COLUMNS: &str = "SELECT s.name, group_concat('OLD.\"' || replace(c.name, '\"', '\"\"') || '\"', ', ') \
         FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c \
         WHERE s.type = 'table' AND s.name NOT LIKE 'sqlite%' GROUP BY s.name";
    let tables = read(connection, COLUMNS).expect("the schema can be read");
    connection
        .execute_batch("CREATE TABLE idle(n INTEGER PRIMARY KEY)")
        .expect("a table can be added");
    for (number, row) in tables.iter().enumerate() {
        let [Cell::Text(table), Cell::Text(old)] = row.as_slice() else {
            continue;
        };
        for (event, looked_at) in [("INSERT", "1"), ("UPDATE", old), ("DELETE", old)] {
            let sql = format!(
                "CREATE TRIGGER \"idle {number} {event}\" BEFORE {event} ON {} BEGIN \
                 INSERT INTO idle SELECT ifnull(max(n), 0) + 1 FROM idle; SELECT {looked_at}; END",
                quote(table)
            );
            connection
                .execute_batch(&sql)
                .expect("a trigger can be added");
        }
    }
}

fn copy(from: &Connection, to: &mut Connection) {
    const PAGES_A_STEP: i32 = 1000;
    let copying = Copying::new(from, to).expect("the copy begins");
    copying
        .run_to_completion(PAGES_A_STEP, std::time::Duration::ZERO, None)
        .expect("the copy is completed");
}

/// All rows of a query.
fn read(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Vec<Cell>>> {
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.column_count();
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let cells = (0..columns).map(|at| Ok(cell(row.get_ref(at)?)));
        all.push(cells.collect::<rusqlite::Result<_>>()?);
    }
    Ok(all)
}

fn cell(value: ValueRef<'_>) -> Cell {
    match value {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(v) => Cell::Int(v),
        ValueRef::Real(v) => Cell::Real(v),
        // SQLite stores any bytes as text, but no JSON string can show them.
        ValueRef::Text(v) => match String::from_utf8(v.to_vec()) {
            Ok(text) => Cell::Text(text),
            Err(error) => Cell::Blob(error.into_bytes()),
        },
        ValueRef::Blob(v) => Cell::Blob(v.to_vec()),
    }
}

/// An outside program.
struct Program {
    connection: Connection,
    path: PathBuf,
    complaint: String,
}

impl Program {
    fn new(path: &Path, number: usize, foreign_keys: bool) -> Program {
        let connection = match number {
            3 => attached(path),
            _ => connect(path),
        };
        let settings = match number {
            1 => "PRAGMA recursive_triggers = ON; PRAGMA trusted_schema = OFF",
            2 => "PRAGMA reverse_unordered_selects = ON; PRAGMA trusted_schema = OFF",
            4 => "PRAGMA recursive_triggers = ON",
            _ => "",
        };
        connection
            .execute_batch(settings)
            .expect("the settings are known");
        connection
            .pragma_update(None, "foreign_keys", foreign_keys)
            .expect("the setting is known");
        Program {
            connection,
            path: path.to_owned(),
            complaint: String::new(),
        }
    }
}

/// A connection whose own database is another one.
fn attached(path: &Path) -> Connection {
    let connection = connect(Path::new(":memory:"));
    let file = path
        .to_str()
        .expect("the path of a temporary file is UTF-8");
    connection
        .execute("ATTACH ?1 AS \"the other\"", [file])
        .expect("the file can be attached");
    connection
        .execute_batch("PRAGMA \"the other\".synchronous = OFF")
        .expect("the setting is known");
    connection
}

impl Program {
    fn attempt(&self, sql: &str) -> rusqlite::Result<Vec<Vec<Cell>>> {
        match sql {
            // It would leave any number behind as the last identity of the connection.
            "VACUUM" => read(&connect(&self.path), sql),
            _ => read(&self.connection, sql),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

impl Outside for Program {
    fn execute(&mut self, sql: &str) -> Outcome {
        let mut outcome = self.attempt(sql);
        // Where a statement has read before it writes, SQLite does not wait for another writer but expects it to be tried again.
        while matches!(&outcome, Err(error) if is_busy(error)) && self.connection.is_autocommit() {
            std::thread::yield_now();
            outcome = self.attempt(sql);
        }
        match outcome {
            Ok(_) => Outcome::Done {
                rows: self.connection.changes(),
                identity: self.connection.last_insert_rowid(),
            },
            Err(error) => {
                self.complaint = error.to_string();
                assert!(!is_busy(&error), "{error}: {sql}");
                Outcome::Refused(
                    error
                        .sqlite_error()
                        .map_or(0, |e: &ffi::Error| e.extended_code.into()),
                )
            }
        }
    }

    fn in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn complaint(&self) -> String {
        self.complaint.clone()
    }
}
