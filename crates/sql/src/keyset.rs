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

/// Writes a comparison of the key with a position. As a row value, so that an index of the key finds the place.
pub(crate) fn key_compare<F: Flavour>(
    sql: &mut Sql,
    flavour: &F,
    row: RowRef,
    key: &[Term],
    operator: &str,
    values: &[Param],
) {
    if key.len() > 1 {
        sql.push("(");
    }
    for (position, term) in key.iter().enumerate() {
        if position > 0 {
            sql.push(", ");
        }
        if let Expr::Column { column, .. } = term.expr {
            flavour.key_column(sql, row, column);
        }
    }
    sql.push(if key.len() > 1 { ") " } else { " " });
    sql.push(operator);
    sql.push(if key.len() > 1 { " (" } else { " " });
    for (position, (term, value)) in key.iter().zip(values).enumerate() {
        if position > 0 {
            sql.push(", ");
        }
        if let Expr::Column { column, .. } = term.expr {
            flavour.key_bound(sql, row.table, column, value.clone());
        }
    }
    if key.len() > 1 {
        sql.push(")");
    }
}
