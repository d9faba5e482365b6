//! A database, other programs that write to it, and a store that serves it.

use std::any::Any;
use std::sync::Arc;

use highwater_core::query::{Comparison, Expand, ExpandMode, Scope};
use highwater_core::store::{ChangesParams, PageLimit, ReadParams, RowSink};
use highwater_core::{
    Catalog, Cursor, Error, Expr, OrderBy, Query, RemovedReason, Row, Snapshot, Store,
};
use highwater_odata::{Value, ValueRef};
use highwater_postgres::{Options, PostgresStore};
use highwater_throwaway::{Cluster, Database};

/// A served database of its own.
pub(crate) struct Served {
    pub(crate) store: PostgresStore,
    pub(crate) database: Database<'static>,
}

/// What a sink got: one line an entity.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<String>,
    pub(crate) count: Option<u64>,
    begun: bool,
    open: Vec<String>,
    bytes: usize,
}

/// A page of a first round.
pub(crate) type Page = (Lines, Option<Snapshot>, Option<Cursor>);
/// A page of a later round.
pub(crate) type Delta = (Lines, Snapshot, Option<Cursor>);

impl Served {
    pub(crate) async fn new(setup: &str) -> Served {
        Served::with(setup, Options::default()).await
    }

    pub(crate) async fn with(setup: &str, options: Options) -> Served {
        let database = Cluster::shared().database().unwrap();
        database
            .sql(setup)
            .unwrap_or_else(|error| panic!("{error}: {setup}"));
        let store = PostgresStore::open(&database.url(), options).await.unwrap();
        Served { store, database }
    }

    /// Another program's statements.
    pub(crate) fn sql(&self, statements: &str) {
        if let Err(error) = self.database.sql(statements) {
            panic!("{error}: {statements}");
        }
    }

    pub(crate) async fn query(&self, table: &str) -> Query {
        query(&self.store.catalog().await.unwrap(), table)
    }

    pub(crate) async fn read(
        &self,
        query: &Query,
        hi: Option<Snapshot>,
        after: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<Page, Error> {
        read(&self.store, query, hi, after, limit).await
    }

    /// Every page of an answer; `between` runs after each of them.
    pub(crate) async fn read_all(
        &self,
        query: &Query,
        rows: u64,
        mut between: impl FnMut(),
    ) -> (Vec<String>, Option<Snapshot>) {
        let mut query = query.clone();
        let mut all = Vec::new();
        let (mut hi, mut after) = (None, None);
        loop {
            let (page, now, next) = self.read(&query, hi, after, limit(rows)).await.unwrap();
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

    pub(crate) async fn changes(
        &self,
        query: &Query,
        lo: &Snapshot,
        hi: Option<Snapshot>,
        after: Option<Cursor>,
        limit: PageLimit,
    ) -> Result<Delta, Error> {
        changes(&self.store, query, lo, hi, after, limit).await
    }

    /// Every page of a round, sorted; `between` runs after each of them.
    pub(crate) async fn changes_all(
        &self,
        query: &Query,
        lo: &Snapshot,
        rows: u64,
        mut between: impl FnMut(),
    ) -> (Vec<String>, Snapshot) {
        let mut all = Vec::new();
        let (mut hi, mut after) = (None, None);
        loop {
            let page = self.changes(query, lo, hi, after, limit(rows)).await;
            let (page, now, next) = page.unwrap();
            assert!(page.lines.len() as u64 <= rows);
            all.extend(page.lines);
            between();
            if next.is_none() {
                all.sort();
                return (all, now);
            }
            (hi, after) = (Some(now), next);
        }
    }
}

pub(crate) async fn read(
    store: &PostgresStore,
    query: &Query,
    hi: Option<Snapshot>,
    after: Option<Cursor>,
    limit: PageLimit,
) -> Result<Page, Error> {
    let params = ReadParams {
        catalog: store.catalog().await?,
        query: Arc::new(query.clone()),
        hi,
        after,
        limit,
    };
    let result = store.read(params, Box::new(Lines::default())).await?;
    Ok((Lines::of(result.sink), result.hi, result.next))
}

pub(crate) async fn changes(
    store: &PostgresStore,
    query: &Query,
    lo: &Snapshot,
    hi: Option<Snapshot>,
    after: Option<Cursor>,
    limit: PageLimit,
) -> Result<Delta, Error> {
    let params = ChangesParams {
        catalog: store.catalog().await?,
        query: Arc::new(query.clone()),
        lo: lo.clone(),
        hi,
        after,
        limit,
    };
    let result = store.changes(params, Box::new(Lines::default())).await?;
    Ok((Lines::of(result.sink), result.hi, result.next))
}

/// All columns of all rows of a table of the schema `public`.
pub(crate) fn query(catalog: &Catalog, table: &str) -> Query {
    let table = catalog
        .table(Some("public"), table)
        .unwrap_or_else(|| panic!("there is no table {table}"));
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

/// A column of the row of a query.
pub(crate) fn column(catalog: &Catalog, table: &str, column: &str) -> Expr {
    let table = &catalog.tables[query(catalog, table).table];
    let column = table.column(column).unwrap();
    Expr::Column {
        scope: Scope::ROOT,
        column,
        ty: table.columns[column].ty,
    }
}

/// All rows of a table that a foreign key leads to.
pub(crate) fn expand(catalog: &Catalog, from: &str, to: &str) -> Expand {
    let (from, to) = (query(catalog, from), query(catalog, to));
    let mut relations = catalog.tables[from.table].relations.iter();
    Expand {
        relation: relations.position(|r| r.target == to.table).unwrap(),
        query: to,
        mode: ExpandMode::Entities,
    }
}

impl Lines {
    fn of(sink: Box<dyn RowSink>) -> Lines {
        let sink: Box<dyn Any> = sink;
        *sink.downcast().expect("the sink that was given")
    }

    fn put(&mut self, text: &str) {
        self.bytes += text.len();
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
        let line = show_row(row);
        self.bytes += line.len();
        self.open.push(line);
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
            self.bytes -= line.len();
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
        self.bytes
    }
}

fn show_row(row: &Row<'_>) -> String {
    let values: Vec<String> = row.values.iter().map(show).collect();
    values.join(",")
}

fn show(value: &ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "-".into(),
        ValueRef::Boolean(value) => value.to_string(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Double(value) => format!("{value:?}"),
        ValueRef::String(value) => format!("'{value}'"),
        ValueRef::Binary(value) => format!("x{value:02x?}"),
        ValueRef::Lexical(ty, value) => format!("{}:{value}", ty.short_name()),
    }
}

pub(crate) fn int(value: i64) -> Expr {
    Expr::Literal(Value::Integer(value))
}

pub(crate) fn cmp(left: Expr, operator: Comparison, right: Expr) -> Expr {
    Expr::Compare(operator, Box::new(left), Box::new(right))
}

pub(crate) fn ordered(expr: Expr, descending: bool) -> OrderBy {
    OrderBy { expr, descending }
}

pub(crate) fn limit(rows: u64) -> PageLimit {
    PageLimit {
        rows,
        bytes: usize::MAX,
    }
}
