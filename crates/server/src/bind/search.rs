//! `$search` (URL Conventions 5.1.7): which columns a word is looked for in, and what `NOT` means where they are null.

use highwater_core::query::{Comparison, Logical};
use highwater_core::{Expr, Function};
use highwater_odata::url::ast;
use highwater_odata::{PrimitiveType, Value};

use super::env::{Binder, Row};
use super::error::BindError;
use super::operator;

impl Binder<'_> {
    /// Whether a row matches: each word must be part of the text of some property, whatever the case.
    pub(super) fn search(&mut self, row: Row, search: &ast::Search) -> Result<Expr, BindError> {
        self.nested(|binder| match search {
            ast::Search::Word(text) | ast::Search::Phrase(text) => binder.word(row, text),
            ast::Search::Not(inner) => {
                let found = binder.search(row, inner)?;
                // A row in which a property is null does not contain the word there: `not null` would hide it.
                let found = Expr::Compare(
                    Comparison::Eq,
                    Box::new(found),
                    Box::new(Expr::Literal(Value::Boolean(true))),
                );
                Ok(Expr::Not(Box::new(found)))
            }
            ast::Search::And(parts) => binder.searches(row, Logical::And, parts),
            ast::Search::Or(parts) => binder.searches(row, Logical::Or, parts),
        })
    }

    fn searches(
        &mut self,
        row: Row,
        op: Logical,
        parts: &[ast::Search],
    ) -> Result<Expr, BindError> {
        let bound = parts
            .iter()
            .map(|part| self.search(row, part))
            .collect::<Result<Vec<Expr>, BindError>>()?;
        Ok(operator::join(op, bound).unwrap_or(Expr::Literal(Value::Boolean(op == Logical::And))))
    }

    /// Text properties, and those without a declared type as far as their values are text.
    fn word(&mut self, row: Row, text: &str) -> Result<Expr, BindError> {
        let model = self.context.model;
        let properties = model.properties(row.collection);
        let columns = &model.collection(row.collection).columns;
        // Once for every column, and before the copies are made.
        self.pay_literal(text.len().saturating_mul(columns.len()))?;
        let found = properties
            .iter()
            .zip(columns)
            .filter_map(|(property, &column)| {
                let value = Expr::Column {
                    scope: row.scope,
                    column,
                    ty: property.ty,
                };
                let value = match property.ty {
                    PrimitiveType::String => value,
                    PrimitiveType::Any => operator::cast(value, PrimitiveType::String),
                    _ => return None,
                };
                let word = Expr::Literal(Value::String(text.to_owned()));
                Some(Expr::Call(
                    Function::SearchMatches,
                    vec![value, word],
                    PrimitiveType::Boolean,
                ))
            });
        let found = operator::join(Logical::Or, found.collect());
        Ok(found.unwrap_or(Expr::Literal(Value::Boolean(false))))
    }
}
