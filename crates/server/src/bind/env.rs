//! What a name inside an expression can refer to, and what may still be spent.

use highwater_core::query::Scope;
use highwater_odata::url::ast;

use super::error::{BindError, invalid_url, too_complex};
use super::options::Context;

/// All literals of a request together, aliases written out: expressions that concatenate them make values of this size for every
/// row.
pub(super) const LITERALS_MAX_BYTES: usize = 256 * 1024;

/// A row that an expression can talk about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) scope: Scope,
    /// The exposed table that it belongs to.
    pub(super) collection: usize,
}

/// What names mean at one place of an expression. Lambdas nest on the stack of the binder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Env<'e> {
    /// Where a path starts that does not say so.
    pub(super) current: Row,
    /// `$it`: the row that the path of the request addresses. `None` where that is another row than those of the query.
    pub(super) it: Option<Row>,
    /// `$this`: the element of the collection that is being filtered.
    pub(super) this: Row,
    /// The variable of the innermost lambda.
    pub(super) variable: Option<(&'e str, Row)>,
    /// What is around that lambda.
    pub(super) outer: Option<&'e Env<'e>>,
}

impl<'e> Env<'e> {
    /// An expression over the rows of a query.
    pub(super) fn root(collection: usize, is_addressed: bool) -> Env<'e> {
        let row = Row {
            scope: Scope::ROOT,
            collection,
        };
        Env {
            current: row,
            it: is_addressed.then_some(row),
            this: row,
            variable: None,
            outer: None,
        }
    }

    /// Inside `variable:...`.
    pub(super) fn lambda(&'e self, variable: &'e str, row: Row) -> Env<'e> {
        Env {
            variable: Some((variable, row)),
            outer: Some(self),
            ..*self
        }
    }

    /// Inside `Collection/$count($filter=...)`, where paths start at the element.
    pub(super) fn element(&'e self, row: Row) -> Env<'e> {
        Env {
            current: row,
            this: row,
            variable: None,
            outer: Some(self),
            ..*self
        }
    }

    /// What a parameter alias sees: it is written outside of all lambdas.
    pub(super) fn outermost(&self) -> Env<'e> {
        let mut env = *self;
        while let Some(outer) = env.outer {
            env = *outer;
        }
        env
    }

    pub(super) fn variable(&self, name: &str) -> Option<Row> {
        let mut env = Some(self);
        while let Some(at) = env {
            match at.variable {
                Some((variable, row)) if variable == name => return Some(row),
                _ => env = at.outer,
            }
        }
        None
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = &'e str> {
        let mut env = Some(*self);
        std::iter::from_fn(move || {
            let at = env?;
            env = at.outer.copied();
            Some(at.variable)
        })
        .flatten()
        .map(|(name, _)| name)
    }
}

/// The state of one request while it is bound.
pub(super) struct Binder<'a> {
    pub(super) context: &'a Context<'a>,
    /// Whether the time of the request was asked for.
    pub(super) volatile: bool,
    /// Whether the text at hand is the operator's, who sees all rows.
    pub(super) is_operator: bool,
    /// Expansions so far.
    pub(super) expands: usize,
    nodes: usize,
    literals_bytes: usize,
    depth: usize,
    scopes: u32,
    /// Aliases that are being resolved, to notice when one needs itself.
    open_aliases: Vec<&'a str>,
}

impl<'a> Binder<'a> {
    pub(super) fn new(context: &'a Context<'a>) -> Binder<'a> {
        Binder {
            context,
            volatile: false,
            is_operator: false,
            expands: 0,
            nodes: 0,
            literals_bytes: 0,
            depth: 0,
            scopes: 0,
            open_aliases: Vec::new(),
        }
    }

    /// A name for one more row. Unique in the whole request, although a query would do.
    pub(super) fn new_scope(&mut self) -> Scope {
        self.scopes += 1;
        Scope(self.scopes)
    }

    /// Pays for one node and goes one level deeper. The parser has limits of its own; aliases get around them.
    pub(super) fn nested<T>(
        &mut self,
        bind: impl FnOnce(&mut Self) -> Result<T, BindError>,
    ) -> Result<T, BindError> {
        let limits = self.context.limits;
        self.nodes += 1;
        if self.nodes > limits.filter_nodes_max {
            return Err(too_complex(format!(
                "The expressions have more than {} parts, aliases written out. Split the request.",
                limits.filter_nodes_max
            )));
        }
        if self.depth >= limits.filter_depth_max {
            return Err(too_complex(format!(
                "The expression is nested deeper than {} levels, aliases written out. Simplify it.",
                limits.filter_depth_max
            )));
        }
        self.depth += 1;
        let result = bind(self);
        self.depth -= 1;
        result
    }

    /// Pays for a literal. The parser bounds only what is written once.
    pub(super) fn pay_literal(&mut self, bytes: usize) -> Result<(), BindError> {
        self.literals_bytes = self.literals_bytes.saturating_add(bytes);
        if self.literals_bytes > LITERALS_MAX_BYTES {
            return Err(too_complex(format!(
                "The literals are longer than {LITERALS_MAX_BYTES} bytes in all, aliases written out. Split the request."
            )));
        }
        Ok(())
    }

    /// Goes several levels deeper at once.
    pub(super) fn deeper<T>(
        &mut self,
        levels: usize,
        bind: impl FnOnce(&mut Self) -> Result<T, BindError>,
    ) -> Result<T, BindError> {
        self.depth += levels;
        let result = bind(self);
        self.depth -= levels;
        result
    }

    /// Binds the operator's text: it has no part in the client's budget, and no row is hidden from it.
    pub(super) fn as_operator<T>(
        &mut self,
        bind: impl FnOnce(&mut Self) -> Result<T, BindError>,
    ) -> Result<T, BindError> {
        let saved = (self.nodes, self.literals_bytes, self.depth);
        (self.nodes, self.literals_bytes, self.depth) = (0, 0, 0);
        self.is_operator = true;
        let result = bind(self);
        self.is_operator = false;
        (self.nodes, self.literals_bytes, self.depth) = saved;
        result
    }

    /// Binds what an alias stands for; `None` if it stands for nothing, which means `null`.
    pub(super) fn alias<T>(
        &mut self,
        name: &str,
        bind: impl FnOnce(&mut Self, &'a ast::Expr) -> Result<T, BindError>,
    ) -> Result<Option<T>, BindError> {
        if self.is_operator {
            return Err(invalid_url(format!(
                "There is no value for @{name} in a fixed filter. Write the value itself."
            )));
        }
        if self.open_aliases.contains(&name) {
            return Err(invalid_url(format!(
                "The parameter alias @{name} refers to itself."
            )));
        }
        let Some((name, value)) = self.context.alias(name) else {
            return Ok(None);
        };
        self.open_aliases.push(name);
        let result = bind(self, value);
        self.open_aliases.pop();
        result.map(Some)
    }
}
