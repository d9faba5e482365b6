//! Order and continuation: where a page begins, told by the values of the row before.
//!
//! What must hold: the order is total (the key ends it), so a continuation skips no row and repeats none. `NULL` is the
//! smallest value.

use highwater_core::query::Scope;
use highwater_core::{Catalog, Error, Expr, OrderBy};
use highwater_odata::Value;

use crate::expr::Compiler;
use crate::flavour::{Flavour, RowRef};
use crate::text::{Param, Sql};

/// One thing to order by.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// What to order by.
    pub expr: Expr,
    /// Largest first.
    pub descending: bool,
    /// Whether it is a column of the key, which is never `NULL`.
    pub is_key: bool,
}

/// The order of a query's answer: what it asks for, then the key.
pub(crate) fn terms(catalog: &Catalog, table: usize, order: &[OrderBy]) -> Vec<Term> {
    let table = &catalog.tables[table];
    let mut terms: Vec<Term> = order
        .iter()
        .map(|item| Term {
            expr: item.expr.clone(),
            descending: item.descending,
            is_key: false,
        })
        .collect();
    // What follows a key column that the query orders by already cannot be reached twice, but need not be left out either.
    terms.extend(table.key.iter().map(|&column| Term {
        expr: Expr::Column {
            scope: Scope::ROOT,
            column,
            // Keys are in the order of their stored values, whatever they mean, so that the index of the key is the order.
            ty: highwater_odata::PrimitiveType::Any,
        },
        descending: false,
        is_key: true,
    }));
    terms
}

/// Writes a condition that holds for the rows behind (or, reversed, up to) a position.
///
/// # Errors
///
/// [`Error::Unsupported`] if a term cannot be computed.
pub(crate) fn behind<F: Flavour>(
    sql: &mut Sql,
    flavour: &F,
    catalog: &Catalog,
    row: RowRef,
    terms: &[Term],
    position: &[Param],
) -> Result<(), Error> {
    let (rest, key) = terms.split_at(terms.iter().take_while(|term| !term.is_key).count());
    let (rest_values, key_values) = position.split_at(rest.len());
    let mut compiler = Compiler::new(flavour, catalog, row);
    let mut open = 0;
    for (term, value) in rest.iter().zip(rest_values) {
        // (a > x OR (a IS x AND …))
        sql.push("(");
        let null = *value == Param::Value(Value::Null);
        match (null, term.descending) {
            (true, false) => {
                compiler.order_value(sql, &term.expr)?;
                sql.push(" IS NOT NULL");
            }
            // Nothing is smaller than NULL.
            (true, true) => sql.push(F::FALSE),
            (false, false) => {
                compiler.order_value(sql, &term.expr)?;
                sql.push(" > ");
                F::order_bound(&mut compiler, sql, &term.expr, value.clone())?;
            }
            (false, true) => {
                compiler.order_value(sql, &term.expr)?;
                sql.push(" < ");
                F::order_bound(&mut compiler, sql, &term.expr, value.clone())?;
                sql.push(" OR ");
                compiler.order_value(sql, &term.expr)?;
                sql.push(" IS NULL");
            }
        }
        sql.push(" OR (");
        compiler.order_value(sql, &term.expr)?;
        sql.push(" ");
        sql.push(F::SAME);
        sql.push(" ");
        F::order_bound(&mut compiler, sql, &term.expr, value.clone())?;
        sql.push(" AND ");
        open += 1;
    }
    key_compare(sql, flavour, row, key, ">", key_values);
    for _ in 0..open {
        sql.push("))");
    }
    Ok(())
}

/// Writes a comparison of the key with a position.
pub(crate) fn key_compare<F: Flavour>(
    sql: &mut Sql,
    flavour: &F,
    row: RowRef,
    key: &[Term],
    operator: &str,
    values: &[Param],
) {
    let columns: Vec<usize> = key
        .iter()
        .filter_map(|term| match term.expr {
            Expr::Column { column, .. } => Some(column),
            _ => None,
        })
        .collect();
    let left = |sql: &mut Sql, position: usize| flavour.key_column(sql, row, columns[position]);
    let right = |sql: &mut Sql, position: usize| {
        flavour.key_bound(sql, row.table, columns[position], values[position].clone());
    };
    compare(sql, flavour, (row.table, &columns), (left, operator, right));
}

/// Writes a comparison of two keys of a table, given what writes the value of the column at a position of the key.
pub(crate) fn compare<F: Flavour>(
    sql: &mut Sql,
    flavour: &F,
    (table, key): (usize, &[usize]),
    (left, operator, right): (impl Fn(&mut Sql, usize), &str, impl Fn(&mut Sql, usize)),
) {
    let schemas = key.iter().map(|column| flavour.operators(table, *column));
    if schemas.clone().all(|schema| schema.is_none()) {
        // As a row value, so that an index of the key finds the place.
        row_value(sql, key.len(), left);
        push_operator(sql, operator, None);
        row_value(sql, key.len(), right);
        return;
    }
    // The operator of a row value cannot be named for each of its columns: (a > x OR (a = x AND …)).
    let last = key.len() - 1;
    for (position, schema) in schemas.enumerate() {
        if position == last {
            left(sql, position);
            push_operator(sql, operator, schema);
            right(sql, position);
            break;
        }
        for (before, operator, after) in [
            ("(", operator.trim_end_matches('='), " OR ("),
            ("", "=", " AND "),
        ] {
            sql.push(before);
            left(sql, position);
            push_operator(sql, operator, schema);
            right(sql, position);
            sql.push(after);
        }
    }
    for _ in 0..last {
        sql.push("))");
    }
}

/// Writes an operator, which is in this schema, with spaces around it.
pub fn push_operator(sql: &mut Sql, operator: &str, schema: Option<&str>) {
    sql.push(" ");
    match schema {
        None => sql.push(operator),
        Some(schema) => {
            for part in ["OPERATOR(", schema, ".", operator, ")"] {
                sql.push(part);
            }
        }
    }
    sql.push(" ");
}

/// Writes one value for each column of a key, as a row if there are several.
fn row_value(sql: &mut Sql, len: usize, write: impl Fn(&mut Sql, usize)) {
    sql.push(if len > 1 { "(" } else { "" });
    for position in 0..len {
        sql.push(if position == 0 { "" } else { ", " });
        write(sql, position);
    }
    sql.push(if len > 1 { ")" } else { "" });
}
