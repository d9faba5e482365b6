//! Related rows of many parents in one statement: a round trip costs more than the rows of one parent.
//!
//! The parents' values come as arrays of text and are numbered; the statement runs the query once for each parent, with its own order,
//! offset and limit, so a parent with a million related rows costs no more than the rows that are wanted of it.

use highwater_core::{Error, Query, Relation};
use highwater_odata::Value;

use super::Postgres;
use super::history::current;
use super::page::Shown;
use crate::expr::Compiler;
use crate::flavour::Flavour as _;
use crate::text::{Param, Sql};

/// Which related rows to read.
#[derive(Clone, Copy, Debug)]
pub struct RelatedSpec<'a> {
    /// The query of the related rows.
    pub query: &'a Query,
    /// As in [`super::PageSpec`].
    pub columns: &'a [usize],
    /// As in [`super::PageSpec`].
    pub texts: &'a [usize],
    /// The relation from the parents to the rows.
    pub relation: &'a Relation,
    /// For each pair of columns of the relation the text of the parents' values, one for each parent.
    pub parents: &'a [Vec<Option<String>>],
    /// Rows of each parent to leave out.
    pub offset: u64,
    /// Rows of each parent at most.
    pub limit: u64,
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
    let row = current(spec.query.table);
    let mut sql = flavour.sql();
    let shown = Shown {
        query: spec.query,
        columns: spec.columns,
        texts: spec.texts,
    };
    sql.push("SELECT n.n - 1");
    flavour.outputs(&mut sql, shown, "c.", ", ");
    sql.push(" FROM ");
    parents(flavour, &mut sql, spec);
    sql.push(" CROSS JOIN LATERAL (");
    flavour.part(&mut sql, shown, row)?;
    belonging(flavour, &mut sql, spec)?;
    flavour.order_of(&mut sql, spec.query, "", " ORDER BY ");
    flavour.window(&mut sql, spec.limit, spec.offset);
    sql.push(") AS c ORDER BY n.n");
    flavour.order_of(&mut sql, spec.query, "c.", ", ");
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
    let mut sql = flavour.sql();
    sql.push("SELECT n.n - 1, c.count FROM ");
    parents(flavour, &mut sql, spec);
    sql.push(" CROSS JOIN LATERAL (SELECT count(*)");
    belonging(flavour, &mut sql, spec)?;
    sql.push(") AS c(count) WHERE c.count > 0 ORDER BY n.n");
    sql.finish()
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

/// Writes ` FROM` the related rows of a parent `WHERE` they answer the query.
fn belonging(flavour: &Postgres<'_>, sql: &mut Sql, spec: &RelatedSpec<'_>) -> Result<(), Error> {
    let table = spec.query.table;
    let row = current(table);
    sql.push(" FROM ");
    flavour.state(sql, table);
    sql.push(" AS t WHERE true");
    for (position, &(_, there)) in spec.relation.columns.iter().enumerate() {
        sql.push(" AND ");
        flavour.column(sql, row, there);
        sql.push(" = (n.p");
        sql.push_number(position as i64);
        sql.push(")::");
        sql.push(&flavour.layout(table, there).ty);
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
