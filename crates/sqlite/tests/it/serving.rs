//! A database file, other programs that write to it, and a store that serves it.

use std::any::Any;
use std::sync::Arc;

use highwater_core::query::{Comparison, Expand, ExpandMode, Scope};
use highwater_core::store::{
    ChangesParams, PageLimit, ReadParams, RowSink, WriteParams, WriteResult, WriteStep,
};
use highwater_core::{
    Catalog, Cursor, Error, Expr, OrderBy, Query, RemovedReason, Row, Snapshot, Store,
};
use highwater_odata::{PrimitiveType, Value};
use highwater_sqlite::{Options, SqliteStore};
use rusqlite::Connection;

/// A served database in a directory of its own.
pub(crate) struct Served {
    runtime: tokio::runtime::Runtime,
    pub(crate) store: SqliteStore,
    /// Another program.
    pub(crate) outside: Connection,
    pub(crate) path: std::path::PathBuf,
    _directory: tempfile::TempDir,
}

/// What a sink got: one line an entity.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<String>,
    pub(crate) count: Option<u64>,
    begun: bool,
    open: Vec<String>,
}

impl Served {
    pub(crate) fn new(setup: &str) -> Served {
        Served::with(setup, Options::default())
    }

    pub(crate) fn with(setup: &str, options: Options) -> Served {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("data.sqlite");
        let outside = Connection::open(&path).expect("a new database");
        outside
            .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF")
            .expect("WAL mode");
        outside
            .execute_batch(setup)
            .expect("the setup is valid SQL");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let store = runtime
            .block_on(SqliteStore::open(&path, options))
            .expect("the store opens");
        Served {
            runtime,
            store,
            outside,
            path,
            _directory: directory,
        }
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// Opens the file anew, as after a restart of the service.
    pub(crate) fn reopen(&mut self, options: Options) -> Result<(), Error> {
        self.store = self
            .runtime
            .block_on(SqliteStore::open(&self.path, options))?;
        Ok(())
    }

    pub(crate) fn sql(&self, statements: &str) {
        if let Err(error) = self.outside.execute_batch(statements) {
            panic!("{error}: {statements}");
        }
    }

    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.block_on(self.store.catalog()).expect("the catalog")
    }

    /// All columns of all rows of a table.
    pub(crate) fn query(&self, table: &str) -> Query {
        let catalog = self.catalog();
        let table = catalog.table(None, table).expect("the table exists");
        Query {
            table,
            columns: (0..catalog.tables[table].columns.len()).collect(),
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

    pub(crate) fn column(&self, table: &str, column: &str) -> Expr {
        self.column_in(Scope::ROOT, table, column)
    }

    pub(crate) fn column_in(&self, scope: Scope, table: &str, column: &str) -> Expr {
        let catalog = self.catalog();
        let table = &catalog.tables[catalog.table(None, table).expect("the table exists")];
        let column = table.column(column).expect("the column exists");
        Expr::Column {
            scope,
            column,
            ty: table.columns[column].ty,
        }
    }

    pub(crate) fn relation(&self, table: &str, target: &str) -> usize {
        let catalog = self.catalog();
        let table = &catalog.tables[catalog.table(None, table).expect("the table exists")];
        let target = catalog.table(None, target).expect("the target exists");
        let mut relations = table.relations.iter();
        relations
            .position(|relation| relation.target == target)
            .expect("a relation")
    }

    pub(crate) fn expand(&self, from: &str, to: &str) -> Expand {
        Expand {
            relation: self.relation(from, to),
            query: self.query(to),
            mode: ExpandMode::Entities,
        }
    }

    pub(crate) fn read(
        &self,
        query: &Query,
        hi: Option<Snapshot>,
        after: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<(Lines, Option<Snapshot>, Option<Cursor>), Error> {
        let params = ReadParams {
            catalog: self.catalog(),
            query: Arc::new(query.clone()),
            hi,
            after,
            limit,
        };
        let result = self.block_on(self.store.read(params, Box::new(Lines::default())))?;
        Ok((Lines::of(result.sink), result.hi, result.next))
    }

    /// Every page of an answer; `between` runs after each of them.
    pub(crate) fn read_all(
        &self,
        query: &Query,
        rows: u64,
        mut between: impl FnMut(),
    ) -> (Vec<String>, Option<Snapshot>) {
        let limit = PageLimit {
            rows,
            bytes: usize::MAX,
        };
        let mut query = query.clone();
        let mut all = Vec::new();
        let (mut hi, mut after) = (None, None);
        loop {
            let (page, now, next) = self.read(&query, hi, after, limit).expect("a page");
            assert!(page.lines.len() as u64 <= rows);
            query.top = query.top.map(|top| top - page.lines.len() as u64);
            all.extend(page.lines);
            between();
            hi = now;
            if next.is_none() {
                return (all, hi);
            }
            after = next;
        }
    }

    pub(crate) fn changes(
        &self,
        query: &Query,
        lo: &Snapshot,
        hi: Option<Snapshot>,
        after: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<(Lines, Snapshot, Option<Cursor>), Error> {
        let params = ChangesParams {
            catalog: self.catalog(),
            query: Arc::new(query.clone()),
            lo: lo.clone(),
            hi,
            after,
            limit,
        };
        let result = self.block_on(self.store.changes(params, Box::new(Lines::default())))?;
        Ok((Lines::of(result.sink), result.hi, result.next))
    }

    /// Every page of a round; `between` runs after each of them.
    pub(crate) fn changes_all(
        &self,
        query: &Query,
        lo: &Snapshot,
        rows: u64,
        mut between: impl FnMut(),
    ) -> (Vec<String>, Snapshot) {
        let limit = PageLimit {
            rows,
            bytes: usize::MAX,
        };
        let mut all = Vec::new();
        let (mut hi, mut after) = (None, None);
        loop {
            let (page, now, next) = self.changes(query, lo, hi, after, limit).expect("a page");
            assert!(page.lines.len() as u64 <= rows);
            all.extend(page.lines);
            between();
            if next.is_none() {
                return (all, now);
            }
            (hi, after) = (Some(now), next);
        }
    }

    pub(crate) fn write(&self, steps: Vec<WriteStep>) -> Result<WriteResult, Error> {
        let params = WriteParams {
            catalog: self.catalog(),
            steps,
        };
        self.block_on(self.store.write(params))
    }
}

impl Lines {
    pub(crate) fn of(sink: Box<dyn RowSink>) -> Lines {
        let sink: Box<dyn Any> = sink;
        *sink.downcast().expect("the sink that was given")
    }

    fn put(&mut self, text: &str) {
        match self.open.last_mut() {
            Some(open) => open.push_str(text),
            None => self.lines.push(text.to_owned()),
        }
    }
}

impl RowSink for Lines {
    fn begin(&mut self, count: Option<u64>) {
        assert!(!self.begun, "begun twice");
        self.begun = true;
        self.count = count;
    }

    fn entity(&mut self, row: &Row<'_>) {
        assert!(self.begun);
        self.open.push(show_row(row));
    }

    fn begin_expand(&mut self, expansion: usize, count: Option<u64>) {
        let count = count.map_or(String::new(), |count| format!("#{count}"));
        self.put(&format!(" {expansion}{count}["));
    }

    fn end_expand(&mut self, _: usize, more: Option<u64>) {
        let more = more.map_or(String::new(), |more| format!("…{more}"));
        self.put(&format!("{more}]"));
    }

    fn end_entity(&mut self) {
        let line = self.open.pop().expect("an open entity");
        if self.open.is_empty() {
            self.lines.push(line);
        } else {
            self.put(&format!("({line})"));
        }
    }

    fn removed(&mut self, row: &Row<'_>, reason: RemovedReason) {
        let reason = match reason {
            RemovedReason::Changed => "changed",
            RemovedReason::Deleted => "deleted",
        };
        self.lines.push(format!("-{reason} {}", show_row(row)));
    }

    fn bytes(&self) -> usize {
        self.lines.iter().chain(&self.open).map(String::len).sum()
    }
}

fn show_row(row: &Row<'_>) -> String {
    let values: Vec<String> = row
        .values
        .iter()
        .map(|value| show(&value.to_owned()))
        .collect();
    values.join(",")
}

pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Double(value) => format!("{value:?}"),
        Value::String(value) => format!("'{value}'"),
        Value::Binary(value) => format!("x{value:02x?}"),
        Value::Lexical(ty, value) => format!("{}:{value}", ty.short_name()),
    }
}

pub(crate) fn lit(value: Value) -> Expr {
    Expr::Literal(value)
}

pub(crate) fn int(value: i64) -> Expr {
    lit(Value::Integer(value))
}

pub(crate) fn text(value: &str) -> Expr {
    lit(Value::String(value.into()))
}

pub(crate) fn lex(ty: PrimitiveType, value: &str) -> Expr {
    lit(Value::Lexical(ty, value.into()))
}

pub(crate) fn cmp(left: Expr, operator: Comparison, right: Expr) -> Expr {
    Expr::Compare(operator, Box::new(left), Box::new(right))
}

pub(crate) fn asc(expr: Expr) -> OrderBy {
    OrderBy {
        expr,
        descending: false,
    }
}

pub(crate) fn desc(expr: Expr) -> OrderBy {
    OrderBy {
        expr,
        descending: true,
    }
}

pub(crate) fn rows(rows: u64) -> PageLimit {
    PageLimit {
        rows,
        bytes: usize::MAX,
    }
}
