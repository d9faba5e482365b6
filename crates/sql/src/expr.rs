//! Expressions.
//!
//! Two ways to write an expression: as a *value* (three-valued where it is Boolean: true, false, `NULL`) and as a *predicate*, of which
//! only truth counts (`NULL` is as good as false). The second allows plain `=` and `<`, which indexes can answer; the first
//! is needed under `not`, where `NULL` and false lead to different results.
//!
//! What must hold: the depth of the recursion is the depth of the expression, except that chains of `and` and `or` of any length
//! are written as balanced trees (databases limit the depth of what they parse).

mod navigate;

use highwater_core::query::{Comparison, Logical, Scope};
use highwater_core::{Catalog, Error, Expr};

use crate::flavour::{Flavour, RowRef, beside_null};
use crate::text::Sql;

/// Writes expressions over the rows that are in scope.
pub struct Compiler<'a, F> {
    pub(crate) flavour: &'a F,
    pub(crate) catalog: &'a Catalog,
    rows: Vec<(Scope, RowRef)>,
}

impl<'a, F: Flavour> Compiler<'a, F> {
    /// For expressions over one row.
    pub fn new(flavour: &'a F, catalog: &'a Catalog, root: RowRef) -> Self {
        Compiler {
            flavour,
            catalog,
            rows: vec![(Scope::ROOT, root)],
        }
    }

    /// Writes something that is true exactly for the rows for which the Boolean expression is true.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the database cannot compute the expression exactly.
    pub fn predicate(&mut self, sql: &mut Sql, expr: &Expr) -> Result<(), Error> {
        match expr {
            Expr::Logical(operator, ..) => self.chain(sql, expr, *operator, Self::predicate),
            Expr::Compare(operator, left, right) => self.compare(sql, *operator, left, right, true),
            Expr::In(operand, list) => self.one_of(sql, operand, list, true),
            Expr::Related {
                from,
                table,
                relation,
                scope,
                then,
            } => {
                sql.push("EXISTS (SELECT 1");
                self.navigate(sql, (*from, *table, *relation, *scope), |this, sql| {
                    sql.push(" AND ");
                    this.predicate(sql, then)
                })
            }
            _ => self.value(sql, expr),
        }
    }

    /// Writes the value of an expression.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the database cannot compute the expression exactly.
    pub fn value(&mut self, sql: &mut Sql, expr: &Expr) -> Result<(), Error> {
        match expr {
            Expr::Literal(_)
            | Expr::Column { .. }
            | Expr::Negate(_)
            | Expr::Arithmetic(..)
            | Expr::Call(..) => F::scalar(self, sql, expr),
            Expr::Not(operand) => {
                sql.push("(NOT ");
                self.value(sql, operand)?;
                sql.push(")");
                Ok(())
            }
            Expr::Logical(operator, ..) => self.chain(sql, expr, *operator, Self::value),
            Expr::Compare(operator, left, right) => {
                self.compare(sql, *operator, left, right, false)
            }
            Expr::In(operand, list) => self.one_of(sql, operand, list, false),
            Expr::Related {
                from,
                table,
                relation,
                scope,
                then,
            } => {
                // The selected value comes first in the text, so its row must be in scope already.
                let outer = self.row(*from);
                self.enter(*scope, *table, *relation);
                sql.push("(SELECT ");
                self.value(sql, then)?;
                self.related_rows(sql, outer, *relation, *scope);
                sql.push(" LIMIT 1)");
                self.rows.pop();
                Ok(())
            }
            Expr::Collection {
                quantifier,
                from,
                table,
                relation,
                scope,
                predicate,
            } => {
                let path = (*from, *table, *relation, *scope);
                self.collection(sql, *quantifier, path, predicate.as_deref())
            }
        }
    }

    /// Writes what to order by, so that the order is OData's.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the database cannot compute the expression exactly.
    pub fn order_value(&mut self, sql: &mut Sql, expr: &Expr) -> Result<(), Error> {
        F::order_value(self, sql, expr)
    }

    /// The row that a scope stands for.
    pub(crate) fn row(&self, scope: Scope) -> RowRef {
        self.rows
            .iter()
            .rev()
            .find(|(name, _)| *name == scope)
            .map(|(_, row)| *row)
            .expect("a bound expression names only rows that are in scope")
    }

    /// Something to ask with a related row in scope.
    pub(crate) fn within<T>(
        &mut self,
        (table, relation, scope): (usize, usize, Scope),
        ask: impl FnOnce(&mut Self) -> T,
    ) -> T {
        self.enter(scope, table, relation);
        let answer = ask(self);
        self.rows.pop();
        answer
    }

    /// `a and b and c …` as a balanced tree.
    fn chain(
        &mut self,
        sql: &mut Sql,
        expr: &Expr,
        operator: Logical,
        write: fn(&mut Self, &mut Sql, &Expr) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut operands = Vec::new();
        let mut pending = vec![expr];
        while let Some(next) = pending.pop() {
            match next {
                Expr::Logical(other, left, right) if *other == operator => {
                    pending.push(right);
                    pending.push(left);
                }
                operand => operands.push(operand),
            }
        }
        let name = match operator {
            Logical::And => " AND ",
            Logical::Or => " OR ",
        };
        self.balanced(sql, &operands, name, write)
    }

    fn balanced(
        &mut self,
        sql: &mut Sql,
        operands: &[&Expr],
        name: &str,
        write: fn(&mut Self, &mut Sql, &Expr) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if let [operand] = operands {
            return write(self, sql, operand);
        }
        let (left, right) = operands.split_at(operands.len() / 2);
        sql.push("(");
        self.balanced(sql, left, name, write)?;
        sql.push(name);
        self.balanced(sql, right, name, write)?;
        sql.push(")");
        Ok(())
    }

    fn compare(
        &mut self,
        sql: &mut Sql,
        operator: Comparison,
        left: &Expr,
        right: &Expr,
        only_truth: bool,
    ) -> Result<(), Error> {
        let Some(other) = beside_null(left, right) else {
            return F::compare(self, sql, (operator, left, right), only_truth);
        };
        let test = match operator {
            Comparison::Eq => " IS NULL)",
            Comparison::Ne => " IS NOT NULL)",
            _ => {
                sql.push(F::FALSE);
                return Ok(());
            }
        };
        sql.push("(");
        self.value(sql, other)?;
        sql.push(test);
        Ok(())
    }

    fn one_of(
        &mut self,
        sql: &mut Sql,
        operand: &Expr,
        list: &[Expr],
        only_truth: bool,
    ) -> Result<(), Error> {
        if list.iter().all(|item| matches!(item, Expr::Literal(_))) {
            return F::is_in(self, sql, operand, list, only_truth);
        }
        let equal = |item: &Expr| {
            Expr::Compare(
                Comparison::Eq,
                Box::new(operand.clone()),
                Box::new(item.clone()),
            )
        };
        let chain = list
            .iter()
            .map(equal)
            .reduce(|chain, next| Expr::Logical(Logical::Or, Box::new(chain), Box::new(next)));
        match chain {
            Some(chain) if only_truth => self.predicate(sql, &chain),
            Some(chain) => self.value(sql, &chain),
            None => {
                sql.push(F::FALSE);
                Ok(())
            }
        }
    }
}
