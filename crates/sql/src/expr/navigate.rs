//! Paths to related rows inside an expression: sub-queries over the relation of the snapshot that is being read.

use highwater_core::query::{Quantifier, Scope};
use highwater_core::{Error, Expr};

use super::Compiler;
use crate::flavour::{Alias, Flavour, RowImage, RowRef};
use crate::text::Sql;

impl<F: Flavour> Compiler<'_, F> {
    pub(super) fn collection(
        &mut self,
        sql: &mut Sql,
        quantifier: Quantifier,
        path: (Scope, usize, usize, Scope),
        predicate: Option<&Expr>,
    ) -> Result<(), Error> {
        sql.push(match quantifier {
            Quantifier::Any => "EXISTS (SELECT 1",
            Quantifier::All => "NOT EXISTS (SELECT 1",
            Quantifier::Count => "(SELECT count(*)",
        });
        self.navigate(sql, path, |this, sql| {
            let Some(predicate) = predicate else {
                return Ok(());
            };
            sql.push(" AND ");
            if quantifier == Quantifier::All {
                sql.push("(");
                this.value(sql, predicate)?;
                sql.push(" IS NOT TRUE)");
                return Ok(());
            }
            this.predicate(sql, predicate)
        })
    }

    /// ` FROM related rows WHERE they belong to the row`, whatever else is asked of them, and `)`.
    pub(super) fn navigate(
        &mut self,
        sql: &mut Sql,
        (from, table, relation, scope): (Scope, usize, usize, Scope),
        more: impl FnOnce(&mut Self, &mut Sql) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let outer = self.row(from);
        self.enter(scope, table, relation);
        self.related_rows(sql, outer, relation, scope);
        more(self, sql)?;
        sql.push(")");
        self.rows.pop();
        Ok(())
    }

    pub(super) fn enter(&mut self, scope: Scope, table: usize, relation: usize) {
        let target = self.catalog.tables[table].relations[relation].target;
        let row = RowRef {
            table: target,
            alias: Alias::Scope(scope),
            image: RowImage::Table,
        };
        self.rows.push((scope, row));
    }

    pub(super) fn related_rows(&self, sql: &mut Sql, outer: RowRef, relation: usize, scope: Scope) {
        let relation = &self.catalog.tables[outer.table].relations[relation];
        let inner = self.row(scope);
        sql.push(" FROM ");
        self.flavour.relation(sql, inner.table);
        sql.push(" AS ");
        inner.alias.write(sql);
        for (position, (here, there)) in relation.columns.iter().enumerate() {
            sql.push(if position == 0 { " WHERE " } else { " AND " });
            self.flavour
                .related(sql, (outer, *here), (inner, *there), relation.owns_key);
        }
    }
}
