//! Related rows of many parents in one statement: a round trip costs more than the rows of one parent.
//!
//! The parents' values come as arrays of text and are numbered; the statement runs the query once for each parent, with its own order,
//! offset and limit, so a parent with a million related rows costs no more than the rows that are wanted of it.

use highwater_core::{Error, Query, Relation};
use highwater_odata::Value;

use super::history::{KeyOf, current, image};
use super::page::Shown;
use super::{Postgres, Visible};
use crate::expr::Compiler;
use crate::flavour::{Flavour as _, RowRef};
use crate::keyset::push_operator;
use crate::text::{Param, Sql};

/// Which related rows to read.
#[derive(Clone, Copy, Debug)]
pub struct RelatedSpec<'a> {
    /// The query of the related rows.
    pub query: &'a Query,
    /// As in [`super::PageSpec`].
    pub columns: &'a [usize],
    /// The relation from the parents to the rows.
    pub relation: &'a Relation,
    /// For each pair of columns of the relation the text of the parents' values, one for each parent.
    pub parents: &'a [Vec<Option<String>>],
    /// Rows of each parent to leave out.
    pub offset: u64,
    /// Rows of each parent at most.
    pub limit: u64,
}

impl<'a> RelatedSpec<'a> {
    fn shown(&self) -> Shown<'a> {
        Shown {
            query: self.query,
            columns: self.columns,
        }
    }
}

/// The statement that reads the related rows. It returns the number of the parent, counted from 0, then what
/// [`page`](super::page) returns; in the order of the parents, and of the query within each.
///
/// # Errors
///
/// As [`page`](super::page).
pub fn related(
    flavour: &Postgres<'_>,
    spec: &RelatedSpec<'_>,
) -> Result<(String, Vec<Param>), Error> {
    let table = spec.query.table;
    let rows_max = spec.offset.saturating_add(spec.limit);
    let mut sql = flavour.sql();
    let Some((history, after)) = flavour.history(table) else {
        sql.push("SELECT n.n - 1");
        flavour.outputs(&mut sql, spec.shown(), "c.", ", ");
        sql.push(" FROM ");
        parents(flavour, &mut sql, spec);
        sql.push(" CROSS JOIN LATERAL (");
        flavour.part(&mut sql, spec.shown(), current(table))?;
        sql.push(" FROM ");
        flavour.rows(&mut sql, table);
        sql.push(" AS t WHERE true");
        belonging(flavour, &mut sql, spec, current(table))?;
        flavour.order_of(&mut sql, spec.query, "", " ORDER BY ");
        flavour.window(&mut sql, spec.limit, spec.offset);
        sql.push(") AS c ORDER BY n.n");
        flavour.order_of(&mut sql, spec.query, "c.", ", ");
        return sql.finish();
    };
    past(flavour, &mut sql, spec, (history, after));
    sql.push("SELECT c.n - 1");
    flavour.outputs(&mut sql, spec.shown(), "c.", ", ");
    sql.push(" FROM (SELECT u.*, row_number() OVER (PARTITION BY u.n");
    flavour.order_of(&mut sql, spec.query, "u.", " ORDER BY ");
    sql.push(") AS place FROM (SELECT n.n, c.* FROM n CROSS JOIN LATERAL (");
    let mark = sql.mark();
    flavour.part(&mut sql, spec.shown(), current(table))?;
    unchanged(flavour, &mut sql, table, (history, after));
    let conditions = sql.mark();
    belonging(flavour, &mut sql, spec, current(table))?;
    flavour.order_of(&mut sql, spec.query, "", " ORDER BY ");
    flavour.window(&mut sql, rows_max, 0);
    sql.push(") AS c UNION ALL SELECT n.n, c.* FROM n CROSS JOIN LATERAL (");
    let end = sql.repeat_from(mark);
    flavour.part(&mut sql, spec.shown(), image(table, "h"))?;
    sql.push(" FROM h WHERE true");
    let _ = sql.repeat_from(conditions);
    belonging(flavour, &mut sql, spec, image(table, "h"))?;
    sql.resume(end);
    sql.push(") AS c) AS u) AS c WHERE c.place > ");
    flavour.bind_count(&mut sql, spec.offset);
    sql.push(" AND c.place <= ");
    flavour.bind_count(&mut sql, rows_max);
    sql.push(" ORDER BY c.n, c.place");
    sql.finish()
}

/// The statement that counts the related rows of each parent that has some: the number of the parent, counted from 0, and how many. The
/// columns, offset and limit of the specification do not matter.
///
/// # Errors
///
/// As [`page`](super::page).
pub fn related_count(
    flavour: &Postgres<'_>,
    spec: &RelatedSpec<'_>,
) -> Result<(String, Vec<Param>), Error> {
    let table = spec.query.table;
    let mut sql = flavour.sql();
    let Some((history, after)) = flavour.history(table) else {
        sql.push("SELECT n.n - 1, c.count FROM ");
        parents(flavour, &mut sql, spec);
        sql.push(" CROSS JOIN LATERAL (SELECT count(*) FROM ");
        flavour.rows(&mut sql, table);
        sql.push(" AS t WHERE true");
        belonging(flavour, &mut sql, spec, current(table))?;
        sql.push(") AS c(count) WHERE c.count > 0 ORDER BY n.n");
        return sql.finish();
    };
    past(flavour, &mut sql, spec, (history, after));
    sql.push("SELECT u.n - 1, count(*) FROM (SELECT n.n FROM n CROSS JOIN LATERAL (SELECT 1");
    unchanged(flavour, &mut sql, table, (history, after));
    let conditions = sql.mark();
    belonging(flavour, &mut sql, spec, current(table))?;
    sql.push(" OFFSET 0) AS c UNION ALL SELECT n.n FROM n CROSS JOIN LATERAL (SELECT 1 FROM h WHERE true");
    let end = sql.repeat_from(conditions);
    belonging(flavour, &mut sql, spec, image(table, "h"))?;
    sql.resume(end);
    sql.push(") AS c) AS u GROUP BY u.n ORDER BY u.n");
    sql.finish()
}

/// Writes the parents, `n`, and what has changed since the snapshot, `h`: the history has no index of foreign keys, so its images are made
/// once for all parents.
fn past(
    flavour: &Postgres<'_>,
    sql: &mut Sql,
    spec: &RelatedSpec<'_>,
    (history, after): (i64, &Visible),
) {
    sql.push("WITH n AS MATERIALIZED (SELECT * FROM ");
    parents(flavour, sql, spec);
    sql.push("), h AS MATERIALIZED (SELECT h.r FROM ");
    flavour.images(sql, spec.query.table, history, after);
    sql.push(" AS h) ");
}

/// Writes ` FROM` the rows that have not changed since the snapshot.
fn unchanged(
    flavour: &Postgres<'_>,
    sql: &mut Sql,
    table: usize,
    (history, after): (i64, &Visible),
) {
    sql.push(" FROM ");
    flavour.rows(sql, table);
    sql.push(" AS t WHERE NOT ");
    flavour.touched(sql, (table, history), KeyOf::Row(current(table)), after);
}

/// Writes the parents: `n.p0 …` and their number.
fn parents(flavour: &Postgres<'_>, sql: &mut Sql, spec: &RelatedSpec<'_>) {
    sql.push("unnest(");
    for (position, values) in spec.parents.iter().enumerate() {
        sql.push(if position == 0 { "" } else { ", " });
        let array = Param::Value(Value::String(array_text(values)));
        flavour.bind(sql, array, "text[]");
    }
    sql.push(") WITH ORDINALITY AS n(");
    for position in 0..spec.parents.len() {
        sql.push("p");
        sql.push_number(position as i64);
        sql.push(", ");
    }
    sql.push("n)");
}

/// Writes that a row is related to a parent and answers the query, each condition behind ` AND `.
fn belonging(
    flavour: &Postgres<'_>,
    sql: &mut Sql,
    spec: &RelatedSpec<'_>,
    row: RowRef,
) -> Result<(), Error> {
    for (position, &(_, there)) in spec.relation.columns.iter().enumerate() {
        sql.push(" AND ");
        flavour.column(sql, row, there);
        push_operator(sql, "=", flavour.operators(row.table, there));
        sql.push("(n.p");
        sql.push_number(position as i64);
        sql.push(")::");
        sql.push(&flavour.layout(row.table, there).ty);
    }
    if let Some(filter) = &spec.query.filter {
        sql.push(" AND ");
        Compiler::new(flavour, flavour.catalog, row).predicate(sql, filter)?;
    }
    Ok(())
}

/// The text of an array of texts.
fn array_text(values: &[Option<String>]) -> String {
    let mut out = String::from("{");
    for (position, value) in values.iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        let Some(value) = value else {
            out.push_str("NULL");
            continue;
        };
        out.push('"');
        for c in value.chars() {
            if matches!(c, '"' | '\\') {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_quoted() {
        let values = ["", "NULL", "a,b", "{\"\\}"].map(|text| Some(text.to_owned()));
        assert_eq!(array_text(&values), r#"{"","NULL","a,b","{\"\\}"}"#);
        assert_eq!(array_text(&[None, Some("x".into())]), r#"{NULL,"x"}"#);
        assert_eq!(array_text(&[]), "{}");
    }
}
