//! One page of the difference between two snapshots of a query.
//!
//! The undo records of the round are walked in the order `(xid, seq)`. A record that is not the first of its key after `lo` is
//! superseded: the first one stands for the key, so each key is met once and no page groups or sorts (DESIGN section 4). The statement
//! returns, for every record,
//!
//! ```text
//! xid · seq · superseded · in the answer at lo · exists at hi · in the answer at hi · the columns at lo · the columns at hi
//! ```
//!
//! Where two keys that are the same number in a payload can have different texts (`1` and `1.0`), there follow, for a record whose key is no more,
//!
//! ```text
//! whether the row that has an equal key now is in the answer at hi · its columns
//! ```
//!
//! so that it can be reported behind the removal: its own record may have come before, if another transaction wrote it.
//!
//! Superseded records are returned too, with `NULL` behind `superseded`: the reader counts what it has examined, and so bounds the work
//! of a page.
//!
//! What must hold: the records of the round are those of transactions that are not visible in `lo` and visible in `hi`. The statement
//! names these as a few ranges of `xid`, each of which an index answers in order; what a transaction that is still in progress has
//! written is stepped over, not read.

use highwater_core::{Error, Query};

use super::history::{KeyOf, current, image};
use super::{Family, Postgres, Visible};
use crate::expr::Compiler;
use crate::flavour::{Alias, Flavour as _, RowImage, RowRef};
use crate::text::{Param, Sql};

/// Transactions in progress at the end of a round that are stepped over; what others have written is read and left out.
const HOLES_MAX: usize = 8;

/// Values that a statement of PostgreSQL returns at most, some left aside for those that are not columns.
const VALUES_MAX: usize = 1_650;

/// Which records to walk.
#[derive(Clone, Copy, Debug)]
pub struct DeltaSpec<'a> {
    /// The defining query.
    pub query: &'a Query,
    /// Columns to read, the key among them; see [`super::PageSpec::columns`] for their form.
    pub columns: &'a [usize],
    /// The snapshot that the caller has.
    pub lo: &'a Visible,
    /// The snapshot where the round ends. [`Postgres::as_of`] is the same, unless this is what the transaction sees.
    pub hi: &'a Visible,
    /// `xid` and `seq` of the last record that was examined.
    pub after: Option<(i64, i64)>,
    /// Records to examine at most.
    pub limit: u64,
}

/// The statement that walks the records.
///
/// # Errors
///
/// [`Error::Unsupported`] or [`Error::TooComplex`], see [`Compiler`] and [`Sql::finish`];
/// [`Error::Internal`] if the table is not tracked.
pub fn delta(flavour: &Postgres<'_>, spec: &DeltaSpec<'_>) -> Result<(String, Vec<Param>), Error> {
    let table = spec.query.table;
    let history = flavour.layouts[table]
        .history
        .ok_or_else(|| Error::Internal("a round over a table that is not tracked".into()))?;
    let before = image(table, "b");
    let later = image(table, "m");
    let now = current(table);
    let filter = spec.query.filter.as_ref();

    let mut sql = flavour.sql();
    sql.push("SELECT r.xid, r.seq, r.superseded, NOT r.superseded AND r.old IS NOT NULL");
    let mark = sql.mark();
    let judge = |sql: &mut Sql, row: RowRef| -> Result<(), Error> {
        if let Some(filter) = filter {
            sql.push(" AND ");
            Compiler::new(flavour, flavour.catalog, row).predicate(sql, filter)?;
        }
        Ok(())
    };
    judge(&mut sql, before)?;
    // Not a column of the key: a composite value with a NULL in it `IS NOT NULL` is false.
    let exists_now = |sql: &mut Sql| sql.push("t.tableoid IS NOT NULL");
    if flavour.as_of.is_some() {
        sql.push(", CASE WHEN n.seq IS NULL THEN ");
        exists_now(&mut sql);
        sql.push(" ELSE n.old IS NOT NULL END, CASE WHEN n.seq IS NULL THEN ");
        exists_now(&mut sql);
        let end = sql.repeat_from(mark);
        judge(&mut sql, now)?;
        sql.push(" ELSE n.old IS NOT NULL");
        let _ = sql.repeat_from(mark);
        judge(&mut sql, later)?;
        sql.resume(end);
        sql.push(" END");
    } else {
        sql.push(", ");
        exists_now(&mut sql);
        sql.push(", ");
        exists_now(&mut sql);
        let end = sql.repeat_from(mark);
        judge(&mut sql, now)?;
        sql.resume(end);
    }
    for &column in spec.columns {
        sql.push(", ");
        flavour.shown(&mut sql, before, column);
    }
    for &column in spec.columns {
        sql.push(", ");
        if flavour.as_of.is_some() {
            sql.push("CASE WHEN n.seq IS NULL THEN ");
            flavour.shown(&mut sql, now, column);
            sql.push(" ELSE ");
            flavour.shown(&mut sql, later, column);
            sql.push(" END");
        } else {
            flavour.shown(&mut sql, now, column);
        }
    }
    let respelled = RowRef {
        table,
        alias: Alias::Named("q"),
        image: RowImage::Table,
    };
    let has_respelled = has_numbers_as_key(flavour, table) && spec.columns.len() * 3 < VALUES_MAX;
    if has_respelled {
        sql.push(", q.tableoid IS NOT NULL");
        let end = sql.repeat_from(mark);
        judge(&mut sql, respelled)?;
        sql.resume(end);
        for &column in spec.columns {
            sql.push(", ");
            flavour.shown(&mut sql, respelled, column);
        }
    }
    sql.push(" FROM (SELECT r.*, ");
    flavour.superseded(&mut sql, (table, history), "r", spec.lo);
    sql.push(" AS superseded FROM ");
    walk(flavour, &mut sql, spec, history);
    sql.push(" AS r ORDER BY r.xid, r.seq OFFSET 0) AS r LEFT JOIN LATERAL ");
    flavour.parsed(&mut sql, table, "CASE WHEN NOT r.superseded THEN r.old END");
    sql.push(" AS b ON true");
    if let Some(hi) = flavour.as_of {
        sql.push(" LEFT JOIN LATERAL ");
        let key = KeyOf::Record("r");
        flavour.first(&mut sql, (table, history), key, hi, "NOT r.superseded AND ");
        sql.push(" AS n ON true LEFT JOIN LATERAL ");
        flavour.parsed(&mut sql, table, "n.old");
        sql.push(" AS m ON true");
    }
    sql.push(" LEFT JOIN LATERAL (SELECT t.*, t.tableoid FROM ");
    flavour.rows(&mut sql, table);
    sql.push(" AS t WHERE NOT r.superseded AND ");
    flavour.same_key(&mut sql, now, "r");
    sql.push(" LIMIT 1) AS t ON true");
    if has_respelled {
        sql.push(" LEFT JOIN LATERAL (SELECT q.*, q.tableoid FROM ");
        flavour.rows(&mut sql, table);
        sql.push(" AS q WHERE NOT r.superseded AND r.old IS NOT NULL AND t.tableoid IS NULL AND ");
        flavour.equal_key(&mut sql, respelled, "r");
        if let Some(hi) = flavour.as_of {
            sql.push(" AND NOT ");
            flavour.touched(&mut sql, (table, history), KeyOf::Row(respelled), hi);
        }
        sql.push(" LIMIT 1) AS q ON true");
    }
    sql.push(" ORDER BY r.xid, r.seq");
    sql.finish()
}

/// Whether two keys with different texts can be the same number in a payload.
fn has_numbers_as_key(flavour: &Postgres<'_>, table: usize) -> bool {
    flavour.catalog.tables[table].key.iter().any(|&column| {
        let layout = flavour.layout(table, column);
        layout.coarse && matches!(layout.family, Family::Numeric | Family::Float)
    })
}

/// Writes a sub-query with the records of the round behind the cursor, as many as are to be examined, in their order.
fn walk(flavour: &Postgres<'_>, sql: &mut Sql, spec: &DeltaSpec<'_>, history: i64) {
    let (first_xid, _) = spec.after.unwrap_or((i64::MIN, 0));
    // Transactions that `lo` saw in progress and that have ended since, one by one …
    let late: Vec<i64> = spec
        .lo
        .xip
        .iter()
        .copied()
        .filter(|xid| *xid >= first_xid && sees(spec.hi, *xid))
        .collect();
    // … and all that began after it, up to `hi`, without those that had not ended there.
    let mut holes: Vec<i64> = spec
        .hi
        .xip
        .iter()
        .copied()
        .filter(|xid| *xid >= spec.lo.xmax.max(first_xid))
        .collect();
    let unread = holes.split_off(holes.len().min(HOLES_MAX));
    let mut ranges = Vec::with_capacity(holes.len() + 1);
    let mut from = spec.lo.xmax.max(first_xid);
    for hole in holes {
        ranges.push((from, hole));
        from = hole + 1;
    }
    ranges.push((from, spec.hi.xmax));
    ranges.retain(|(from, to)| from < to);

    let parts = ranges.len() + usize::from(!late.is_empty());
    if parts == 0 {
        sql.push("(SELECT w.* FROM ");
        flavour.history_name(sql, history);
        sql.push(" AS w WHERE false)");
        return;
    }
    let end = |sql: &mut Sql| {
        if let Some((xid, seq)) = spec.after {
            sql.push(" AND (w.xid, w.seq) > (");
            flavour.bind_number(sql, xid);
            sql.push(", ");
            flavour.bind_number(sql, seq);
            sql.push(")");
        }
        sql.push(" ORDER BY w.xid, w.seq");
        flavour.window(sql, spec.limit, 0);
        sql.push(")");
    };
    let begin = |sql: &mut Sql| {
        sql.push("(SELECT w.* FROM ");
        flavour.history_name(sql, history);
        sql.push(" AS w WHERE ");
    };
    if parts > 1 {
        sql.push("(SELECT w.* FROM (");
    }
    let mut separator = "";
    if !late.is_empty() {
        begin(sql);
        sql.push("w.xid = ANY(");
        flavour.bind_xids(sql, &late);
        sql.push(")");
        end(sql);
        separator = " UNION ALL ";
    }
    for (position, &(from, to)) in ranges.iter().enumerate() {
        sql.push(std::mem::replace(&mut separator, " UNION ALL "));
        begin(sql);
        sql.push("w.xid >= ");
        flavour.bind_number(sql, from);
        sql.push(" AND w.xid < ");
        flavour.bind_number(sql, to);
        if position + 1 == ranges.len() && !unread.is_empty() {
            sql.push(" AND w.xid <> ALL(");
            flavour.bind_xids(sql, &unread);
            sql.push(")");
        }
        end(sql);
    }
    if parts > 1 {
        sql.push(") AS w ORDER BY w.xid, w.seq");
        flavour.window(sql, spec.limit, 0);
        sql.push(")");
    }
}

/// Whether a transaction is visible.
fn sees(snapshot: &Visible, xid: i64) -> bool {
    xid < snapshot.xmax && snapshot.xip.binary_search(&xid).is_err()
}
