//! The verbs that the protocols need from a database: one parameter type and one result type a verb.
//!
//! What must hold for every implementation:
//!
//! - A page is read in **one** snapshot of the database, including the check that the round can still be answered.
//! - No database transaction outlives the call: the rows are in the sink before the caller sees the result.
//! - Rows reach the sink as borrowed values, in page order, without an intermediate tree.
//!
//! What is deliberately absent: any notion of HTTP, of a dialect or of entity set names.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use highwater_odata::{Value, ValueRef};

use crate::catalog::Catalog;
use crate::error::Error;
use crate::query::{Expr, Query};
use crate::seal::KeyRing;
use crate::snapshot::{Cursor, Epoch, Snapshot};

/// A future of a store's verb.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// A database with (or without) captured changes.
pub trait Store: Send + Sync + 'static {
    /// The current schema. Cheap while it does not change.
    fn catalog(&self) -> StoreFuture<'_, Arc<Catalog>>;

    /// Identity of the database.
    fn epoch(&self) -> StoreFuture<'_, Epoch>;

    /// The keys that links are sealed with. `refresh` reads them again, because another node may have rotated them.
    fn key_ring(&self, refresh: bool) -> StoreFuture<'_, Arc<KeyRing>>;

    /// One page of a query at a snapshot: of a first round, or of an answer that is not tracked.
    fn read(&self, params: ReadParams, sink: Box<dyn RowSink>) -> StoreFuture<'_, ReadResult>;

    /// One page of the difference between two snapshots of a query.
    fn changes(
        &self,
        params: ChangesParams,
        sink: Box<dyn RowSink>,
    ) -> StoreFuture<'_, ChangesResult>;

    /// Without waiting for anything: whether `lo` is still the newest snapshot, so that a round from it is empty. `None` if
    /// that cannot be told at once; then ask [`Store::changes`].
    fn unchanged_since(&self, catalog: &Catalog, table: usize, lo: &Snapshot) -> Option<bool>;

    /// Waits until something was committed that `after` does not cover, whoever committed it: for polls that wait and for notifications,
    /// which then need not ask again and again.
    ///
    /// How to use it: call it with [`Wake::default`], which returns at once; read; call it with what the call before returned; read;
    /// and so on. A read that begins after the call returned sees everything that the returned value covers, and whatever the
    /// read cannot have seen makes the next call return.
    ///
    /// - No commit is ever missed that changed a tracked table. Others may be noticed too.
    /// - It returns within milliseconds of the commit if it waits then; at once if the commit was earlier. Where the database gives no better
    ///   means (a standby that follows another server, a connection pooler) it may take some tenths of a second.
    /// - Several commits may be reported as one, and it may return although nothing was committed: the caller has to look.
    /// - While the database is away it waits, and returns when the database is back, because something may have been committed since.
    /// - Any number may wait at the same time for the price of one. While nobody waits it costs nothing; dropping the future costs nothing
    ///   and loses nothing. Writers pay close to nothing either way.
    ///
    /// # Errors
    ///
    /// Only if the store cannot wait at all; then the caller has to look from time to time.
    fn wake(&self, after: Wake) -> StoreFuture<'_, Wake>;

    /// Several changes in one transaction: all or nothing.
    fn write(&self, params: WriteParams) -> StoreFuture<'_, WriteResult>;

    /// What an operator wants to know of each table's history.
    fn status(&self) -> StoreFuture<'_, StoreStatus>;
}

/// How much of what was committed a caller of [`Store::wake`] knows to be there. Means something only to the store that returned it, and
/// only until the process ends; the default covers nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wake(pub u64);

/// How much a page may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    /// Entities at most. At least one.
    pub rows: u64,
    /// Bytes in the sink after which no further entity is begun, so a page exceeds this by one entity at most.
    pub bytes: usize,
}

/// What [`Store::read`] needs.
#[derive(Clone, Debug)]
pub struct ReadParams {
    /// The catalog that the query was bound to.
    pub catalog: Arc<Catalog>,
    /// The query.
    pub query: Arc<Query>,
    /// The snapshot fixed by the first page; `None` on the first page.
    pub hi: Option<Snapshot>,
    /// Where the page before ended; `None` on the first page.
    pub after: Option<Cursor>,
    /// How much the page may hold.
    pub limit: PageLimit,
}

/// What [`Store::read`] found.
pub struct ReadResult {
    /// The snapshot that the page shows; `None` if the table is not tracked (then it shows the current state).
    pub hi: Option<Snapshot>,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<Cursor>,
    /// How many rows match, if the query asks for it.
    pub count: Option<u64>,
    /// The sink, filled.
    pub sink: Box<dyn RowSink>,
}

/// What [`Store::changes`] needs.
#[derive(Clone, Debug)]
pub struct ChangesParams {
    /// The catalog that the query was bound to.
    pub catalog: Arc<Catalog>,
    /// The defining query. Its `top`, `skip`, `order`, `count` and `expand` do not apply.
    pub query: Arc<Query>,
    /// The snapshot that the caller has.
    pub lo: Snapshot,
    /// The snapshot fixed by the first page of the round; `None` on the first page.
    pub hi: Option<Snapshot>,
    /// Where the page before ended; `None` on the first page.
    pub after: Option<Cursor>,
    /// How much the page may hold.
    pub limit: PageLimit,
}

/// What [`Store::changes`] found.
pub struct ChangesResult {
    /// The snapshot where the round ends.
    pub hi: Snapshot,
    /// Where the next page begins; `None` if this is the last.
    pub next: Option<Cursor>,
    /// The sink, filled.
    pub sink: Box<dyn RowSink>,
}

/// Receives the rows of a page, in order, and turns them into bytes (or whatever its owner wants).
///
/// The calls nest: `entity (begin_expand entity… end_expand)* end_entity`.
pub trait RowSink: Any + Send {
    /// Once, before anything else: the number of matching rows, if the query asks for it.
    fn begin(&mut self, count: Option<u64>);

    /// Begins an entity of the answer, or of the expansion that is open.
    fn entity(&mut self, row: &Row<'_>);

    /// Begins the related rows of the open entity. `expansion` is a position in [`Query::expand`]; `count` is the number of
    /// matching related rows, if that was asked for.
    fn begin_expand(&mut self, expansion: usize, count: Option<u64>);

    /// Ends the related rows. `more` says how many the answer skipped and shows so far, if there are more than fit.
    fn end_expand(&mut self, expansion: usize, more: Option<u64>);

    /// Ends an entity.
    fn end_entity(&mut self);

    /// An entity that left the answer. Only the key columns of `row` are set.
    fn removed(&mut self, row: &Row<'_>, reason: RemovedReason);

    /// How many bytes the sink holds, to be compared with [`PageLimit::bytes`].
    fn bytes(&self) -> usize;
}

/// A row on its way to a page.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// One value for **each** column of the table. Those that are neither in [`Query::columns`] nor part of the key may be `Null`.
    pub values: &'a [ValueRef<'a>],
    /// A hash of the whole row, if the query asks for it.
    pub etag: Option<u64>,
}

/// An empty vector with the memory of another one, for the next row. The standard library collects a vector's own iterator in place; nothing breaks
/// if it one day does not, except that every row would allocate.
#[inline]
pub fn recycle<'r>(mut values: Vec<ValueRef<'_>>) -> Vec<ValueRef<'r>> {
    values.clear();
    values.into_iter().map(|_| ValueRef::Null).collect()
}

/// Why an entity left the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedReason {
    /// The row still exists but no longer matches the query.
    Changed,
    /// The row is gone.
    Deleted,
}

/// What [`Store::write`] needs.
#[derive(Clone, Debug)]
pub struct WriteParams {
    /// The catalog that the steps were bound to.
    pub catalog: Arc<Catalog>,
    /// Done in order, in one transaction.
    pub steps: Vec<WriteStep>,
}

/// One change of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteStep {
    /// Position of the table in the catalog.
    pub table: usize,
    /// What to do.
    pub verb: WriteVerb,
    /// Rows that the caller may touch: an existing row outside it is not found, and a changed row must not leave it.
    pub scope: Option<Expr>,
}

/// The kinds of changes.
#[derive(Clone, Debug, PartialEq)]
pub enum WriteVerb {
    /// A new row. Columns that are not named get their defaults.
    Insert {
        /// Columns and values.
        values: Vec<(usize, Input)>,
    },
    /// New values for some columns of an existing row.
    Update {
        /// One for each key column, in key order.
        key: Vec<Input>,
        /// Columns and values. May be empty (then only the conditions are checked) and may change the key.
        values: Vec<(usize, Input)>,
        /// What must hold of the row.
        condition: Condition,
        /// Whether to insert the row (with the key and these values) if there is none.
        or_insert: bool,
    },
    /// No row any more.
    Delete {
        /// One for each key column, in key order.
        key: Vec<Input>,
        /// What must hold of the row.
        condition: Condition,
    },
}

/// Where a written value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The request.
    Value(Value),
    /// The column's default (`PUT` without the property).
    Default,
    /// The row that an earlier step wrote: a generated key in a deep insert.
    Written {
        /// Position of the earlier step.
        step: usize,
        /// Column of that step's table.
        column: usize,
    },
}

/// What must hold of a row before it is changed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Condition {
    /// Nothing.
    #[default]
    None,
    /// `If-Match: *`: it exists.
    Exists,
    /// `If-None-Match: *`: it does not exist.
    Absent,
    /// `If-Match`: [`Row::etag`] is one of these.
    Matches(Vec<u64>),
    /// `If-None-Match` with entity tags: [`Row::etag`] is none of these.
    MatchesNone(Vec<u64>),
}

/// What [`Store::write`] did.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteResult {
    /// One for each step.
    pub written: Vec<Written>,
}

/// What one step did.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Whether the row was created, changed or deleted.
    pub outcome: WriteOutcome,
    /// The key of the row afterwards (of a deleted row: before), in key order.
    pub key: Vec<Value>,
    /// [`Row::etag`] of what the step wrote, taken inside the transaction: a read afterwards could already see another writer's
    /// change. `None` for a deleted row.
    pub etag: Option<u64>,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// There was none before.
    Created,
    /// It existed before.
    Updated,
    /// It does not exist any more.
    Deleted,
}

/// What [`Store::status`] found.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreStatus {
    /// Identity of the database; `None` if nothing in it was ever tracked.
    pub epoch: Option<Epoch>,
    /// What an operator should know of the whole database.
    pub warnings: Vec<String>,
    /// In the order of [`Catalog::tables`], and then what the database has but cannot be read.
    pub tables: Vec<TableStatus>,
}

/// One table's history.
#[derive(Clone, Debug, PartialEq)]
pub struct TableStatus {
    /// The name as the database spells it.
    pub name: String,
    /// Whether it is a view.
    pub is_view: bool,
    /// Why it is not tracked; `None` if it is.
    pub untracked_because: Option<String>,
    /// What an operator should know although the table is tracked, such as rows that cannot be served.
    pub warnings: Vec<String>,
    /// Undo records.
    pub history_rows: u64,
    /// Bytes that they and their index use.
    pub history_bytes: u64,
    /// When the oldest snapshot that can still be answered was the current one, in seconds since 1970, where that is known.
    pub oldest_snapshot_unix_s: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again() {
        let mut values: Vec<ValueRef<'_>> = Vec::with_capacity(64);
        values.push(ValueRef::Integer(1));
        let address = values.as_ptr() as usize;
        let again = recycle(values);
        assert!(again.is_empty());
        assert_eq!(again.as_ptr() as usize, address);
    }
}
