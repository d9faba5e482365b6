//! One page of the difference between two snapshots of a query.
//!
//! The undo records after the cursor are walked in the order of their versions. A record that is not the first of its key
//! after `lo` is superseded: the first one stands for the key, so each key is met once and no page groups or sorts
//! (DESIGN section 4). The statement returns, for every record,
//!
//! ```text
//! version · superseded · in the answer at lo · exists at hi · in the answer at hi · the columns at lo · the columns at hi
//! ```
//!
//! Superseded records are returned too: the reader counts what it has examined, and so bounds the work of a page.

use highwater_core::{Error, Query};

use super::{Sqlite, history_name, page};
use crate::expr::Compiler;
use crate::flavour::{Alias, Flavour, RowImage, RowRef};
use crate::text::{Param, Sql};

/// Which records to walk.
#[derive(Clone, Copy, Debug)]
pub struct DeltaSpec<'a> {
    /// The defining query.
    pub query: &'a Query,
    /// Columns to read, the key among them.
    pub columns: &'a [usize],
    /// The snapshot that the caller has.
    pub lo: i64,
    /// The snapshot where the round ends.
    pub hi: i64,
    /// Version of the last record that was examined.
    pub after: i64,
}

/// The statement that walks the records. [`Sqlite::as_of`] tells whether `hi` is the current state.
///
/// # Errors
///
/// [`Error::Unsupported`] or [`Error::TooComplex`], see [`Compiler`] and [`Sql::finish`];
/// [`Error::Internal`] if the table is not tracked.
pub fn delta(flavour: &Sqlite<'_>, spec: &DeltaSpec<'_>) -> Result<(String, Vec<Param>), Error> {
    let table = spec.query.table;
    let history = flavour.layouts[table]
        .history
        .ok_or_else(|| Error::Internal("a round over a table that is not tracked".into()))?;
    let record = image(table, "r");
    let later = image(table, "n");
    let now = page::current(table);
    let key = flavour.catalog.tables[table].key[0];
    let filter = spec.query.filter.as_ref();
    let by_image = flavour.as_of.is_some();

    let mut sql = flavour.sql();
    sql.push("SELECT r.version, ");
    flavour.touched(&mut sql, record, history, spec.lo, true);
    sql.push(", r.present = 1");
    let mark = sql.mark();
    let judge = |sql: &mut Sql, row| -> Result<(), Error> {
        if let Some(filter) = filter {
            sql.push(" AND ");
            Compiler::new(flavour, flavour.catalog, row).predicate(sql, filter)?;
        }
        Ok(())
    };
    judge(&mut sql, record)?;
    let exists_now = |sql: &mut Sql| {
        flavour.column(sql, now, key);
        sql.push(" IS NOT NULL");
    };
    if by_image {
        sql.push(", CASE WHEN n.version IS NULL THEN ");
        exists_now(&mut sql);
        sql.push(" ELSE n.present = 1 END, CASE WHEN n.version IS NULL THEN ");
        exists_now(&mut sql);
        let end = sql.repeat_from(mark);
        judge(&mut sql, now)?;
        sql.push(" ELSE n.present = 1");
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
        flavour.column(&mut sql, record, column);
    }
    for &column in spec.columns {
        sql.push(", ");
        if by_image {
            sql.push("CASE WHEN n.version IS NULL THEN ");
            flavour.column(&mut sql, now, column);
            sql.push(" ELSE ");
            flavour.column(&mut sql, later, column);
            sql.push(" END");
        } else {
            flavour.column(&mut sql, now, column);
        }
    }
    sql.push(" FROM ");
    history_name(&mut sql, history);
    sql.push(" AS r");
    if by_image {
        sql.push(" LEFT JOIN ");
        history_name(&mut sql, history);
        sql.push(" AS n ON n.version = (SELECT min(e.version) FROM ");
        history_name(&mut sql, history);
        sql.push(" AS e WHERE ");
        flavour.same_key_in_history(&mut sql, image(table, "e"), record);
        sql.push(" AND e.version > ");
        sql.bind_integer(spec.hi);
        sql.push(")");
    }
    sql.push(" LEFT JOIN ");
    sql.name(&flavour.catalog.tables[table].name);
    sql.push(" AS t ON ");
    flavour.same_key(&mut sql, now, record);
    sql.push(" WHERE r.version > ");
    sql.bind_integer(spec.after);
    sql.push(" AND r.version <= ");
    sql.bind_integer(spec.hi);
    flavour.has_key(&mut sql, record);
    sql.push(" ORDER BY r.version");
    sql.finish()
}

fn image(table: usize, alias: &'static str) -> RowRef {
    RowRef {
        table,
        alias: Alias::Named(alias),
        image: RowImage::History,
    }
}
