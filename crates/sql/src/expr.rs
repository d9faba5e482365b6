//! Expressions.
//!
//! Two ways to write an expression: as a *value* (three-valued where it is Boolean: 1, 0, `NULL`) and as a *predicate*, of which
//! only truth counts (`NULL` is as good as false). The second allows plain `=` and `<`, which indexes can answer; the first
//! is needed under `not`, where `NULL` and false lead to different results.
//!
//! What must hold: the depth of the recursion is the depth of the expression, except that chains of `and` and `or` of any length
//! are written as balanced trees (databases limit the depth of what they parse).

mod navigate;

use highwater_core::query::{Arithmetic, Comparison, Function, Logical, Scope};
use highwater_core::{Catalog, Error, Expr};
use highwater_odata::{PrimitiveType, Value};

use crate::flavour::{Collation, Flavour, Kind, RowRef, Spelling};
use crate::text::{Param, Sql};

/// Writes expressions over the rows that are in scope.
pub struct Compiler<'a, F> {
    flavour: &'a F,
    catalog: &'a Catalog,
    rows: Vec<(Scope, RowRef)>,
}

/// A comparison with `null` is decided when the statement is written.
const FALSE: &str = "0";

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
            Expr::In(operand, list) => self.is_in(sql, operand, list, true),
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
            Expr::Literal(value) => {
                let kind = Kind::of(expr.ty());
                self.literal(sql, value, kind)
            }
            Expr::Column { scope, column, ty } => {
                if *ty == PrimitiveType::Boolean {
                    // A stored 2 or 'yes' is shown as such and is not `true`.
                    sql.push("(");
                    self.column(sql, *scope, *column);
                    sql.push(" = 1)");
                } else {
                    self.column(sql, *scope, *column);
                }
                Ok(())
            }
            Expr::Not(operand) => {
                sql.push("(NOT ");
                self.value(sql, operand)?;
                sql.push(")");
                Ok(())
            }
            Expr::Negate(operand) => {
                sql.push("(- ");
                if operand.ty() == PrimitiveType::Duration {
                    self.operand(sql, operand, Kind::Duration, false)?;
                } else {
                    self.value(sql, operand)?;
                }
                sql.push(")");
                Ok(())
            }
            Expr::Logical(operator, ..) => self.chain(sql, expr, *operator, Self::value),
            Expr::Compare(operator, left, right) => {
                self.compare(sql, *operator, left, right, false)
            }
            Expr::In(operand, list) => self.is_in(sql, operand, list, false),
            Expr::Arithmetic(operator, left, right, ty) => {
                self.arithmetic(sql, *operator, left, right, *ty)
            }
            Expr::Call(function, arguments, ty) => self.call(sql, *function, arguments, *ty),
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
        self.operand(sql, expr, Kind::of(expr.ty()), true)?;
        if self.needs_collation(expr) {
            sql.push(F::COLLATE_BINARY);
        }
        Ok(())
    }

    fn column(&self, sql: &mut Sql, scope: Scope, column: usize) {
        self.flavour.column(sql, self.row(scope), column);
    }

    fn row(&self, scope: Scope) -> RowRef {
        self.rows
            .iter()
            .rev()
            .find(|(name, _)| *name == scope)
            .map(|(_, row)| *row)
            .expect("a bound expression names only rows that are in scope")
    }

    fn literal(&self, sql: &mut Sql, value: &Value, kind: Kind) -> Result<(), Error> {
        let value = self.flavour.literal(value, kind)?;
        sql.bind(Param::Value(value));
        Ok(())
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
        match operator {
            Comparison::Eq => self.equal(sql, left, right, only_truth),
            Comparison::Ne => {
                if let Some(other) = beside_null(left, right) {
                    sql.push("(");
                    self.value(sql, other)?;
                    sql.push(" IS NOT NULL)");
                    return Ok(());
                }
                self.infix(sql, left, F::DIFFERENT, right, true)
            }
            Comparison::Gt => self.ordered(sql, left, ">", right, only_truth),
            Comparison::Ge => self.ordered(sql, left, ">=", right, only_truth),
            Comparison::Lt => self.ordered(sql, left, "<", right, only_truth),
            Comparison::Le => self.ordered(sql, left, "<=", right, only_truth),
        }
    }

    fn equal(
        &mut self,
        sql: &mut Sql,
        left: &Expr,
        right: &Expr,
        only_truth: bool,
    ) -> Result<(), Error> {
        if let Some(other) = beside_null(left, right) {
            sql.push("(");
            self.value(sql, other)?;
            sql.push(" IS NULL)");
            return Ok(());
        }
        let (left, right) = match (left, right) {
            (Expr::Literal(_), Expr::Column { .. }) => (right, left),
            _ => (left, right),
        };
        let constant = matches!(right, Expr::Literal(_));
        let operator = if only_truth && constant { "=" } else { F::SAME };
        if let (Expr::Column { scope, column, .. }, Expr::Literal(value)) = (left, right) {
            let kind = Kind::of_pair(left.ty(), right.ty());
            if let (Kind::Guid, true, Value::Lexical(_, text)) = (kind, only_truth, value)
                && self.is_key(*scope, *column)
            {
                self.guid_key(sql, (*scope, *column), text);
                return Ok(());
            }
            if let (Kind::Text, true, Collation::Coarser(index)) = (
                kind,
                only_truth,
                self.flavour.collation(self.row(*scope), *column),
            ) {
                // The first condition can use an index, the second is the one that OData means.
                let mark = sql.mark();
                sql.push("(");
                self.column(sql, *scope, *column);
                sql.push(" COLLATE ");
                sql.push(index);
                sql.push(" = ");
                self.literal(sql, value, kind)?;
                sql.push(" AND ");
                self.column(sql, *scope, *column);
                sql.push(F::COLLATE_BINARY);
                sql.push(" = ");
                let end = sql.repeat_from(mark);
                self.literal(sql, value, kind)?;
                sql.resume(end);
                sql.push(")");
                return Ok(());
            }
        }
        self.infix(sql, left, operator, right, true)
    }

    /// Ids are equal whatever the case of their digits. Both usual forms are looked up in the index of the key; a key in mixed case is
    /// found under the form in which it was given only.
    fn guid_key(&mut self, sql: &mut Sql, (scope, column): (Scope, usize), text: &str) {
        let forms = [
            text.to_ascii_lowercase(),
            text.to_ascii_uppercase(),
            text.to_owned(),
        ];
        sql.push("(");
        self.column(sql, scope, column);
        sql.push(" IN (");
        for (position, form) in forms.into_iter().enumerate() {
            if position > 0 {
                sql.push(", ");
            }
            sql.bind(Param::Value(Value::String(form)));
        }
        sql.push("))");
    }

    fn ordered(
        &mut self,
        sql: &mut Sql,
        left: &Expr,
        operator: &str,
        right: &Expr,
        only_truth: bool,
    ) -> Result<(), Error> {
        if beside_null(left, right).is_some() {
            sql.push(FALSE);
            return Ok(());
        }
        if !only_truth {
            sql.push("(");
        }
        // The larger side: text in a numeric column compares as larger than every number.
        let larger = if operator.starts_with('>') {
            left
        } else {
            right
        };
        let guard = match larger {
            Expr::Column { scope, column, ty } if ty.is_numeric() => Some((*scope, *column)),
            _ => None,
        };
        let guard = guard.filter(|_| !self.flavour.is_number().is_empty());
        if let Some((scope, column)) = guard {
            sql.push("(");
            self.infix(sql, left, operator, right, false)?;
            sql.push(" AND ");
            self.column(sql, scope, column);
            sql.push(self.flavour.is_number());
            sql.push(")");
        } else {
            self.infix(sql, left, operator, right, false)?;
        }
        if !only_truth {
            sql.push(" IS TRUE)");
        }
        Ok(())
    }

    fn infix(
        &mut self,
        sql: &mut Sql,
        left: &Expr,
        operator: &str,
        right: &Expr,
        keep_foreign: bool,
    ) -> Result<(), Error> {
        let kind = Kind::of_pair(left.ty(), right.ty());
        sql.push("(");
        self.operand(sql, left, kind, keep_foreign)?;
        if kind == Kind::Text && (self.needs_collation(left) || self.needs_collation(right)) {
            sql.push(F::COLLATE_BINARY);
        }
        sql.push(" ");
        sql.push(operator);
        sql.push(" ");
        self.operand(sql, right, kind, keep_foreign)?;
        sql.push(")");
        Ok(())
    }

    /// Writes a value in its comparable form. A stored value that is not of the kind becomes `NULL`, or is kept as it is if
    /// `keep_foreign`: two different ones must not be equal.
    fn operand(
        &mut self,
        sql: &mut Sql,
        expr: &Expr,
        kind: Kind,
        keep_foreign: bool,
    ) -> Result<(), Error> {
        if let Expr::Literal(value) = expr {
            if let Some(function) = self.flavour.comparable(kind) {
                sql.push(function);
                sql.push("(");
                self.literal(sql, value, kind)?;
                sql.push(")");
                return Ok(());
            }
            return self.literal(sql, value, kind);
        }
        let Some(function) = self.flavour.comparable(kind) else {
            if let Expr::Column { scope, column, .. } = expr {
                // A Boolean column too: an index of it can be used, and a stored 2 is neither true nor false.
                self.column(sql, *scope, *column);
                return Ok(());
            }
            return self.value(sql, expr);
        };
        if keep_foreign {
            sql.push("COALESCE(");
        }
        let mark = sql.mark();
        sql.push(function);
        sql.push("(");
        self.value(sql, expr)?;
        sql.push(")");
        if keep_foreign {
            sql.push(", ");
            let end = sql.repeat_from(mark);
            self.value(sql, expr)?;
            sql.resume(end);
            sql.push(")");
        }
        Ok(())
    }

    /// Whether the text of an expression would otherwise compare by a column's collation.
    fn needs_collation(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Column { scope, column, .. } => {
                self.flavour.collation(self.row(*scope), *column) != Collation::Binary
            }
            Expr::Related { then, .. } => Kind::of(then.ty()) == Kind::Text,
            _ => false,
        }
    }

    fn is_key(&self, scope: Scope, column: usize) -> bool {
        let row = self.row(scope);
        self.catalog.tables[row.table].key.contains(&column)
    }

    fn is_in(
        &mut self,
        sql: &mut Sql,
        operand: &Expr,
        list: &[Expr],
        only_truth: bool,
    ) -> Result<(), Error> {
        let constants = list.iter().all(|item| matches!(item, Expr::Literal(_)));
        if !constants {
            let mut chain: Option<Expr> = None;
            for item in list {
                let equal = Expr::Compare(
                    Comparison::Eq,
                    Box::new(operand.clone()),
                    Box::new(item.clone()),
                );
                chain = Some(match chain {
                    None => equal,
                    Some(chain) => Expr::Logical(Logical::Or, Box::new(chain), Box::new(equal)),
                });
            }
            return match chain {
                Some(chain) if only_truth => self.predicate(sql, &chain),
                Some(chain) => self.value(sql, &chain),
                None => {
                    sql.push(FALSE);
                    Ok(())
                }
            };
        }
        let nulls = list.iter().any(is_null);
        let kind =
            list.iter()
                .filter(|item| !is_null(item))
                .fold(Kind::of(operand.ty()), |kind, item| match kind {
                    Kind::Text => Kind::of(item.ty()),
                    kind => kind,
                });
        sql.push("((");
        let mark = sql.mark();
        self.operand(sql, operand, kind, true)?;
        if kind == Kind::Text && self.needs_collation(operand) {
            sql.push(F::COLLATE_BINARY);
        }
        sql.push(" IN (");
        let mut first = true;
        for item in list.iter().filter(|item| !is_null(item)) {
            if !first {
                sql.push(", ");
            }
            first = false;
            self.operand(sql, item, kind, false)?;
        }
        sql.push(")");
        if !only_truth {
            sql.push(" IS TRUE");
        }
        sql.push(")");
        if nulls {
            sql.push(" OR ");
            let end = sql.repeat_from(mark);
            self.value(sql, operand)?;
            sql.resume(end);
            sql.push(" IS NULL");
        }
        sql.push(")");
        Ok(())
    }

    fn arithmetic(
        &mut self,
        sql: &mut Sql,
        operator: Arithmetic,
        left: &Expr,
        right: &Expr,
        ty: PrimitiveType,
    ) -> Result<(), Error> {
        let spelling = self
            .flavour
            .arithmetic(operator, left.ty(), right.ty(), ty)?;
        self.spell(sql, spelling, &[left, right])
    }

    fn call(
        &mut self,
        sql: &mut Sql,
        function: Function,
        arguments: &[Expr],
        ty: PrimitiveType,
    ) -> Result<(), Error> {
        if function == Function::Case {
            sql.push("CASE");
            for pair in arguments.chunks_exact(2) {
                sql.push(" WHEN ");
                self.predicate(sql, &pair[0])?;
                sql.push(" THEN ");
                self.value(sql, &pair[1])?;
            }
            sql.push(" END");
            return Ok(());
        }
        let spelling = self.flavour.function(function, arguments, ty)?;
        let arguments: Vec<&Expr> = arguments.iter().collect();
        self.spell(sql, spelling, &arguments)
    }

    fn spell(
        &mut self,
        sql: &mut Sql,
        spelling: Spelling,
        arguments: &[&Expr],
    ) -> Result<(), Error> {
        match spelling {
            Spelling::Call(name, extra) => {
                sql.push(name);
                sql.push("(");
                for (position, argument) in arguments.iter().enumerate() {
                    if position > 0 {
                        sql.push(", ");
                    }
                    self.value(sql, argument)?;
                }
                if let Some(extra) = extra {
                    sql.push(", ");
                    sql.bind(Param::Value(extra));
                }
                sql.push(")");
            }
            Spelling::Infix(name) => {
                sql.push("(");
                for (position, argument) in arguments.iter().enumerate() {
                    if position > 0 {
                        sql.push(name);
                    }
                    self.value(sql, argument)?;
                }
                sql.push(")");
            }
            Spelling::InfixReal(name) => {
                sql.push("(");
                for (position, argument) in arguments.iter().enumerate() {
                    if position > 0 {
                        sql.push(name);
                    }
                    sql.push("CAST(");
                    self.value(sql, argument)?;
                    sql.push(" AS REAL)");
                }
                sql.push(")");
            }
            Spelling::Constant(value) => sql.bind(Param::Value(value)),
        }
        Ok(())
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(Value::Null))
}

/// The other operand, if one is the constant `null`.
fn beside_null<'e>(left: &'e Expr, right: &'e Expr) -> Option<&'e Expr> {
    if is_null(right) {
        Some(left)
    } else if is_null(left) {
        Some(right)
    } else {
        None
    }
}
