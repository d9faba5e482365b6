//! Looking into a history.
//!
//! What must hold: a record is *after* a snapshot if its transaction is not visible there, which is `xid >= xmax` or one of `xip`: two
//! ranges of an index, never a walk from `xmin`, so a transaction that stays open for hours costs nothing. Among the records of one key
//! after a snapshot, the first by `seq` holds the state at the snapshot.
//!
//! Why rows are compared: `(k0, xid) >= ('5', 77)` can be answered by the index of the key alone and begins at the right place of it. `k0 =
//! '5' AND xid >= 77` could be answered by the index of `xid` as well, and PostgreSQL chooses that one whenever it believes that few
//! records are so young, although a million may be.

use super::{Family, Postgres, Visible};
use crate::flavour::{Alias, Flavour as _, RowImage, RowRef};
use crate::keyset::push_operator;
use crate::text::{Param, Sql};
use highwater_core::Error;
use highwater_odata::Value;

/// Above every transaction.
const XID_MAX: &str = "9223372036854775807";

/// What a key is taken from.
#[derive(Clone, Copy)]
pub(super) enum KeyOf<'a> {
    /// A current row.
    Row(RowRef),
    /// A record of the history, by its alias.
    Record(&'a str),
}

/// Where in the order of transactions a look begins or ends.
#[derive(Clone, Copy)]
enum Place {
    Xid(i64),
    /// `x.xid`
    InProgress,
    End,
}

/// The current row in a statement.
pub(super) fn current(table: usize) -> RowRef {
    RowRef {
        table,
        alias: Alias::Named("t"),
        image: RowImage::Table,
    }
}

/// An old image in a statement; the column `r` of the alias holds it.
pub(super) fn image(table: usize, alias: &'static str) -> RowRef {
    RowRef {
        table,
        alias: Alias::Named(alias),
        image: RowImage::History,
    }
}

impl<'a> Postgres<'a> {
    /// The history to look into for a table, and the snapshot to look from.
    pub(super) fn history(&self, table: usize) -> Option<(i64, &'a Visible)> {
        Some((self.layouts[table].history?, self.as_of?))
    }

    pub(super) fn history_name(&self, sql: &mut Sql, history: i64) {
        sql.push("highwater.history_");
        sql.push_number(history);
    }

    /// Writes the transactions that were in progress, as an array.
    pub(super) fn bind_xids(&self, sql: &mut Sql, xids: &[i64]) {
        let list: Vec<String> = xids.iter().map(i64::to_string).collect();
        let array = Value::String(format!("{{{}}}", list.join(",")));
        self.bind(sql, Param::Value(array), "bigint[]");
    }

    /// Writes one value of a key as text.
    fn key_text(&self, sql: &mut Sql, table: usize, key: KeyOf<'_>, position: usize) {
        match key {
            KeyOf::Row(row) => {
                let column = self.catalog.tables[table].key[position];
                let (before, after) = self.layout(table, column).key_text();
                sql.push(before);
                self.column(sql, row, column);
                sql.push(after);
                sql.push(" COLLATE \"C\"");
            }
            KeyOf::Record(alias) => {
                sql.push(alias);
                sql.push(".k");
                sql.push_number(position as i64);
            }
        }
    }

    /// Writes `(e.k0, e.k1, e.xid) >= (key…, place)`.
    fn beyond(
        &self,
        sql: &mut Sql,
        table: usize,
        key: KeyOf<'_>,
        (operator, place): (&str, Place),
    ) {
        let len = self.catalog.tables[table].key.len();
        sql.push("(");
        for position in 0..len {
            self.key_text(sql, table, KeyOf::Record("e"), position);
            sql.push(", ");
        }
        sql.push("e.xid) ");
        sql.push(operator);
        sql.push(" (");
        for position in 0..len {
            self.key_text(sql, table, key, position);
            sql.push(", ");
        }
        match place {
            Place::Xid(xid) => self.bind_number(sql, xid),
            Place::InProgress => sql.push("x.xid"),
            Place::End => sql.push(XID_MAX),
        }
        sql.push(")");
    }

    /// Writes that the record `e` is of a key.
    fn is_of(&self, sql: &mut Sql, table: usize, key: KeyOf<'_>) {
        for position in 0..self.catalog.tables[table].key.len() {
            sql.push(if position == 0 { "" } else { " AND " });
            self.key_text(sql, table, KeyOf::Record("e"), position);
            sql.push(" = ");
            self.key_text(sql, table, key, position);
        }
    }

    /// Writes the order of the index of the key, which makes PostgreSQL use it.
    fn in_index_order(&self, sql: &mut Sql, table: usize, direction: &str) {
        sql.push(" ORDER BY ");
        for position in 0..self.catalog.tables[table].key.len() {
            self.key_text(sql, table, KeyOf::Record("e"), position);
            sql.push(direction);
            sql.push(", ");
        }
        sql.push("e.xid");
        sql.push(direction);
        sql.push(", e.seq");
        sql.push(direction);
        sql.push(" LIMIT 1");
    }

    /// Writes ` FROM` the record at a place of the index of the key, or the next one there is, of whatever key: one step, however many
    /// records there are.
    fn seek(&self, sql: &mut Sql, (table, history): (usize, i64), key: KeyOf<'_>, place: Place) {
        sql.push(" FROM ");
        self.history_name(sql, history);
        sql.push(" AS e WHERE ");
        self.beyond(sql, table, key, (">=", place));
        self.in_index_order(sql, table, "");
    }

    /// Writes ` FROM` the transactions that were in progress, `x.xid`, and for each the first record `e` that it wrote of a key: `seq`, `old` and
    /// whether there is one, `hit`.
    fn of_those_in_progress(
        &self,
        sql: &mut Sql,
        (table, history): (usize, i64),
        key: KeyOf<'_>,
        xip: &[i64],
    ) {
        sql.push(" FROM unnest(");
        self.bind_xids(sql, xip);
        sql.push(") AS x(xid) CROSS JOIN LATERAL (SELECT e.seq, e.old, e.xid = x.xid AND ");
        self.is_of(sql, table, key);
        sql.push(" AS hit");
        self.seek(sql, (table, history), key, Place::InProgress);
        sql.push(") AS e WHERE e.hit");
    }

    /// Writes whether a key has records after a snapshot.
    pub(super) fn touched(
        &self,
        sql: &mut Sql,
        (table, history): (usize, i64),
        key: KeyOf<'_>,
        after: &Visible,
    ) {
        // As a value that may be absent: PostgreSQL takes a test for `NULL` to be true almost never or almost always.
        sql.push("(COALESCE((SELECT ");
        self.is_of(sql, table, key);
        self.seek(sql, (table, history), key, Place::Xid(after.xmax));
        sql.push("), false)");
        if !after.xip.is_empty() {
            sql.push(" OR COALESCE((SELECT true");
            self.of_those_in_progress(sql, (table, history), key, &after.xip);
            sql.push(" LIMIT 1), false)");
        }
        sql.push(")");
    }

    /// Writes whether a record after a snapshot is not the first of its key there.
    pub(super) fn superseded(
        &self,
        sql: &mut Sql,
        (table, history): (usize, i64),
        record: &str,
        after: &Visible,
    ) {
        let key = KeyOf::Record(record);
        let earlier = |sql: &mut Sql| {
            sql.push(" AND e.seq < ");
            sql.push(record);
            sql.push(".seq");
        };
        // The record before it in the index is nearly always one that tells, so a key with very many records costs no more.
        sql.push("(COALESCE((SELECT ");
        self.is_of(sql, table, key);
        earlier(sql);
        sql.push(" AND (e.xid = ");
        sql.push(record);
        sql.push(".xid OR e.xid >= ");
        self.bind_number(sql, after.xmax);
        sql.push(") FROM ");
        self.history_name(sql, history);
        sql.push(" AS e WHERE (");
        for alias in ["e", record] {
            for position in 0..self.catalog.tables[table].key.len() {
                self.key_text(sql, table, KeyOf::Record(alias), position);
                sql.push(", ");
            }
            sql.push(alias);
            sql.push(".xid, ");
            sql.push(alias);
            sql.push(if alias == "e" { ".seq) < (" } else { ".seq)" });
        }
        self.in_index_order(sql, table, " DESC");
        sql.push("), false) OR COALESCE((SELECT true FROM ");
        self.history_name(sql, history);
        sql.push(" AS e WHERE ");
        self.beyond(sql, table, key, (">=", Place::Xid(after.xmax)));
        sql.push(" AND ");
        self.beyond(sql, table, key, ("<=", Place::End));
        earlier(sql);
        self.in_index_order(sql, table, "");
        sql.push("), false)");
        if !after.xip.is_empty() {
            sql.push(" OR COALESCE((SELECT true");
            self.of_those_in_progress(sql, (table, history), key, &after.xip);
            earlier(sql);
            sql.push(" LIMIT 1), false)");
        }
        sql.push(")");
    }

    /// Writes a sub-query that has the first record of a key after a snapshot as its only row: `seq` and `old`. The condition `only_if` is
    /// empty or ends with ` AND `.
    pub(super) fn first(
        &self,
        sql: &mut Sql,
        (table, history): (usize, i64),
        key: KeyOf<'_>,
        after: &Visible,
        only_if: &str,
    ) {
        sql.push("(SELECT e.seq, e.old FROM ");
        if !after.xip.is_empty() {
            sql.push("(SELECT e.seq, e.old FROM ");
        }
        self.history_name(sql, history);
        sql.push(" AS e WHERE ");
        sql.push(only_if);
        // Equality tells PostgreSQL how few records those are.
        self.is_of(sql, table, key);
        sql.push(" AND ");
        self.beyond(sql, table, key, (">=", Place::Xid(after.xmax)));
        if !after.xip.is_empty() {
            sql.push(" UNION ALL SELECT e.seq, e.old");
            self.of_those_in_progress(sql, (table, history), key, &after.xip);
            sql.push(if only_if.is_empty() { "" } else { " AND " });
            sql.push(only_if.trim_end_matches(" AND "));
            sql.push(") AS e");
        }
        sql.push(" ORDER BY e.seq LIMIT 1)");
    }

    /// Writes a sub-query with all records after a snapshot, or with those that a condition on `w`, which ends with ` AND `, leaves.
    pub(super) fn recent(&self, sql: &mut Sql, history: i64, after: &Visible, only_if: &str) {
        let part = |sql: &mut Sql, separator: &str| {
            sql.push(separator);
            sql.push("SELECT w.* FROM ");
            self.history_name(sql, history);
            sql.push(" AS w WHERE ");
            sql.push(only_if);
        };
        part(sql, "(");
        sql.push("w.xid >= ");
        self.bind_number(sql, after.xmax);
        if !after.xip.is_empty() {
            part(sql, " UNION ALL ");
            sql.push("w.xid = ANY(");
            self.bind_xids(sql, &after.xip);
            sql.push(")");
        }
        sql.push(")");
    }

    /// Writes a sub-query that turns the text of an old image into a row `r`, once.
    pub(super) fn parsed(&self, sql: &mut Sql, table: usize, old: &str) {
        sql.push("(SELECT (");
        sql.push(old);
        sql.push(")::");
        self.name(sql, table);
        sql.push(" AS r OFFSET 0)");
    }

    /// Writes a sub-query with the rows of the keys that have records after the snapshot, as they were there: `r`.
    pub(super) fn images(&self, sql: &mut Sql, table: usize, history: i64, after: &Visible) {
        sql.push("(SELECT i.r FROM ");
        self.recent(sql, history, after, "");
        sql.push(" AS g CROSS JOIN LATERAL ");
        self.parsed(sql, table, "g.old");
        sql.push(" AS i WHERE g.old IS NOT NULL AND NOT ");
        self.superseded(sql, (table, history), "g", after);
        sql.push(")");
    }

    /// Writes the entities of a table at the snapshot.
    pub(super) fn state(&self, sql: &mut Sql, table: usize) {
        let Some((history, after)) = self.history(table) else {
            self.rows(sql, table);
            return;
        };
        sql.push("(SELECT ");
        self.named_columns(sql, current(table));
        sql.push(" FROM ");
        self.rows(sql, table);
        sql.push(" AS t WHERE NOT ");
        let key = KeyOf::Row(current(table));
        self.touched(sql, (table, history), key, after);
        sql.push(" UNION ALL SELECT ");
        self.named_columns(sql, image(table, "h"));
        sql.push(" FROM ");
        self.images(sql, table, history, after);
        sql.push(" AS h)");
    }

    fn named_columns(&self, sql: &mut Sql, row: RowRef) {
        for (position, column) in self.catalog.tables[row.table].columns.iter().enumerate() {
            sql.push(if position == 0 { "" } else { ", " });
            self.column(sql, row, position);
            sql.push(" AS ");
            sql.name(&column.name);
        }
    }

    /// Writes that a current row has the key of a record.
    pub(super) fn same_key(&self, sql: &mut Sql, row: RowRef, record: &str) {
        for (position, &column) in self.catalog.tables[row.table].key.iter().enumerate() {
            sql.push(if position == 0 { "" } else { " AND " });
            self.column(sql, row, column);
            push_operator(sql, "=", self.operators(row.table, column));
            self.typed_key(sql, row.table, record, position);
            if self.layout(row.table, column).coarse {
                let (before, after) = self.layout(row.table, column).key_text();
                sql.push(" AND ");
                sql.push(before);
                self.column(sql, row, column);
                sql.push(after);
                sql.push(" COLLATE \"C\" = ");
                sql.push(record);
                sql.push(".k");
                sql.push_number(position as i64);
            }
        }
    }

    /// Writes that a current row has a key that the types call equal to that of a record, whatever its text.
    pub(super) fn equal_key(&self, sql: &mut Sql, row: RowRef, record: &str) {
        for (position, &column) in self.catalog.tables[row.table].key.iter().enumerate() {
            sql.push(if position == 0 { "" } else { " AND " });
            self.column(sql, row, column);
            push_operator(sql, "=", self.operators(row.table, column));
            self.typed_key(sql, row.table, record, position);
        }
    }

    /// Writes one value of a record's key in its own type.
    pub(super) fn typed_key(&self, sql: &mut Sql, table: usize, record: &str, position: usize) {
        let layout = self.layout(table, self.catalog.tables[table].key[position]);
        sql.push("(");
        sql.push(record);
        sql.push(".k");
        sql.push_number(position as i64);
        // By way of `cstring`, text loses the collation of the history, which would keep the table's own index from being used.
        sql.push(match layout.family {
            Family::Text | Family::Other => ")::cstring::text::",
            _ => ")::",
        });
        sql.push(&layout.ty);
    }
}

/// A condition: a history has a record after a snapshot.
pub fn any_after(history: i64, after: &Visible) -> String {
    let xip = (!after.xip.is_empty()).then(|| {
        let xip: Vec<String> = after.xip.iter().map(i64::to_string).collect();
        format!("'{{{}}}'::bigint[]", xip.join(","))
    });
    any_after_xids(history, &after.xmax.to_string(), xip.as_deref())
}

/// As [`any_after`], for a snapshot that an expression tells. Unlike in a plain condition, the greatest number is always looked up in the
/// index: without statistics, PostgreSQL would expect to meet such a record soon, wherever it begins to read.
pub fn any_after_xids(history: i64, xmax: &str, xip: Option<&str>) -> String {
    let among = xip.map_or_else(String::new, |xip| {
        format!(" OR EXISTS ({})", records_of(history, xip, 1))
    });
    format!(
        "(coalesce((SELECT pg_catalog.max(xid) FROM highwater.history_{history}) >= {xmax}, false){among})"
    )
}

/// A query for the records of each of the transactions, at most so many of each; in the index, likewise.
pub fn records_of(history: i64, xip: &str, limit: i64) -> String {
    format!(
        "SELECT FROM pg_catalog.unnest({xip}) AS x(xid) CROSS JOIN LATERAL \
         (SELECT FROM highwater.history_{history} AS h WHERE h.xid = x.xid ORDER BY h.seq LIMIT {limit}) AS h"
    )
}

/// A statement that reads every old image of a table after a snapshot, to see whether it can be read, and returns their number. `None` if the
/// table is not tracked.
///
/// # Errors
///
/// See [`Sql::finish`].
pub fn old_images(
    flavour: &Postgres<'_>,
    table: usize,
    after: &Visible,
) -> Result<Option<(String, Vec<Param>)>, Error> {
    let Some(history) = flavour.layouts[table].history else {
        return Ok(None);
    };
    let mut sql = flavour.sql();
    sql.push("SELECT count(i.r) FROM ");
    flavour.recent(&mut sql, history, after, "w.old IS NOT NULL AND ");
    sql.push(" AS g CROSS JOIN LATERAL ");
    flavour.parsed(&mut sql, table, "g.old");
    sql.push(" AS i");
    sql.finish().map(Some)
}
