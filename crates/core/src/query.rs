//! The defining query, bound to a catalog: every name resolved, every type known.
//!
//! What must hold: a query means the same on the current rows and on the old images in the history, so it can be asked of any
//! snapshot. Whether it can be *tracked* is a question to the query alone ([`Query::untrackable`]).

use std::collections::BTreeSet;

use highwater_odata::{PrimitiveType, Value};

use crate::catalog::{Catalog, Table};

/// An entity set narrowed and shaped by the system query options.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Position of the table in the catalog.
    pub table: usize,
    /// Columns that the answer shows, ascending. A store reads the key columns as well.
    pub columns: Vec<usize>,
    /// Which rows belong to the answer: `$filter`, `$search`, key predicates and the caller's row scope, all together.
    pub filter: Option<Expr>,
    /// `$orderby`; rows that it leaves equal, and all rows where it is empty, are in key order.
    pub order: Vec<OrderBy>,
    /// How many of the first rows to leave out.
    pub skip: u64,
    /// How many rows the whole answer has at most.
    pub top: Option<u64>,
    /// Related rows to nest in each row.
    pub expand: Vec<Expand>,
    /// Whether to count all matching rows, before `skip` and `top`.
    pub count: bool,
    /// Whether [`crate::Row::etag`] is wanted.
    pub etag: bool,
    /// Whether the query mentions the current time, so that its answer changes although no row does.
    pub volatile: bool,
}

/// One `$orderby` item.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderBy {
    /// What to order by.
    pub expr: Expr,
    /// Largest first. `null` counts as smaller than any value.
    pub descending: bool,
}

/// Related rows nested in each row of the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Expand {
    /// Position in the relations of the query's table.
    pub relation: usize,
    /// What the related rows look like. Its table is the target of the relation.
    pub query: Query,
    /// Whether rows, references or only the number are wanted.
    pub mode: ExpandMode,
}

/// What an expanded navigation property shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpandMode {
    /// The entities.
    Entities,
    /// `$expand=Nav/$ref`: their ids.
    References,
    /// `$expand=Nav/$count`: only how many.
    Count,
}

/// Names the row that a column belongs to: the row of the query, or one introduced by a navigation inside the expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scope(pub u32);

impl Scope {
    /// The row of the query itself.
    pub const ROOT: Scope = Scope(0);
}

/// An expression over a row, following OData's semantics for `null` (URL Conventions 5.1.1).
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A constant.
    Literal(Value),
    /// A column of the row that `scope` names.
    Column {
        /// Which row.
        scope: Scope,
        /// Position in the columns of that row's table.
        column: usize,
        /// The column's type.
        ty: PrimitiveType,
    },
    /// `not` of a Boolean.
    Not(Box<Expr>),
    /// `-` of a number or duration.
    Negate(Box<Expr>),
    /// `and`, `or`.
    Logical(Logical, Box<Expr>, Box<Expr>),
    /// `eq`, `ne`, `gt`, `ge`, `lt`, `le`.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// `in` with a list of expressions.
    In(Box<Expr>, Vec<Expr>),
    /// `add`, `sub`, `mul`, `div`, `divby`, `mod`.
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>, PrimitiveType),
    /// A built-in function.
    Call(Function, Vec<Expr>, PrimitiveType),
    /// An expression over the single row at the other end of a relation; `null` if there is none.
    Related {
        /// The row where the path starts.
        from: Scope,
        /// Table of that row.
        table: usize,
        /// Position in the relations of that table.
        relation: usize,
        /// Name of the related row inside `then`.
        scope: Scope,
        /// What to compute there.
        then: Box<Expr>,
    },
    /// `any`, `all` or `$count` over the rows at the other end of a relation.
    Collection {
        /// What to compute.
        quantifier: Quantifier,
        /// The row where the path starts.
        from: Scope,
        /// Table of that row.
        table: usize,
        /// Position in the relations of that table.
        relation: usize,
        /// Name of the related row inside `predicate`.
        scope: Scope,
        /// What each related row is tested for; `None` is always true.
        predicate: Option<Box<Expr>>,
    },
}

/// How the rows of a collection are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantifier {
    /// True if the predicate holds for at least one.
    Any,
    /// True if the predicate holds for each.
    All,
    /// For how many the predicate holds.
    Count,
}

/// Boolean connectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logical {
    /// `and`
    And,
    /// `or`
    Or,
}

/// Comparison operators. With `null`: `eq` and `ne` treat it as a value, the others are false.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `eq`
    Eq,
    /// `ne`
    Ne,
    /// `gt`
    Gt,
    /// `ge`
    Ge,
    /// `lt`
    Lt,
    /// `le`
    Le,
}

/// Arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `add`
    Add,
    /// `sub`
    Sub,
    /// `mul`
    Mul,
    /// `div`: truncates if both operands are whole numbers.
    Div,
    /// `divby`: never truncates.
    DivBy,
    /// `mod`
    Mod,
}

/// Built-in functions (URL Conventions 5.1.1.5 to 5.1.1.11), all `null` if an argument that they use is `null`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after the OData functions")]
pub enum Function {
    Concat,
    Contains,
    EndsWith,
    IndexOf,
    Length,
    StartsWith,
    Substring,
    MatchesPattern,
    ToLower,
    ToUpper,
    Trim,
    Date,
    Day,
    FractionalSeconds,
    Hour,
    MaxDateTime,
    MinDateTime,
    Minute,
    Month,
    /// Fixed when the request is bound, so it never reaches a store.
    Now,
    Second,
    Time,
    TotalOffsetMinutes,
    TotalSeconds,
    Year,
    Ceiling,
    Floor,
    Round,
    /// To the type of the call; `null` where the value has no such form.
    Cast,
    /// Conditions and results in turn; the first whose condition is true.
    Case,
    /// `$search`: whether the first argument (text) contains the second, whatever the case.
    SearchMatches,
}

impl Expr {
    /// The type of the value; [`PrimitiveType::Any`] for `null` and for columns without a declared type.
    pub fn ty(&self) -> PrimitiveType {
        match self {
            Expr::Literal(value) => value.as_ref().natural_type().unwrap_or(PrimitiveType::Any),
            Expr::Column { ty, .. } | Expr::Arithmetic(_, _, _, ty) | Expr::Call(_, _, ty) => *ty,
            Expr::Not(_) | Expr::Logical(..) | Expr::Compare(..) | Expr::In(..) => {
                PrimitiveType::Boolean
            }
            Expr::Negate(operand) => operand.ty(),
            Expr::Related { then, .. } => then.ty(),
            Expr::Collection {
                quantifier: Quantifier::Count,
                ..
            } => PrimitiveType::Int64,
            Expr::Collection { .. } => PrimitiveType::Boolean,
        }
    }

    /// `a and b`.
    pub fn and(self, other: Expr) -> Expr {
        Expr::Logical(Logical::And, Box::new(self), Box::new(other))
    }

    /// Adds the relations that navigations in the expression follow.
    fn add_relations(&self, relations: &mut BTreeSet<(usize, usize)>) {
        let mut pending = vec![self];
        while let Some(expr) = pending.pop() {
            match expr {
                Expr::Literal(_) | Expr::Column { .. } => {}
                Expr::Not(operand) | Expr::Negate(operand) => pending.push(operand),
                Expr::Logical(_, left, right)
                | Expr::Compare(_, left, right)
                | Expr::Arithmetic(_, left, right, _) => pending.extend([&**left, &**right]),
                Expr::In(operand, list) => {
                    pending.push(operand);
                    pending.extend(list);
                }
                Expr::Call(_, arguments, _) => pending.extend(arguments),
                Expr::Related {
                    table,
                    relation,
                    then,
                    ..
                } => {
                    relations.insert((*table, *relation));
                    pending.push(then);
                }
                Expr::Collection {
                    table,
                    relation,
                    predicate,
                    ..
                } => {
                    relations.insert((*table, *relation));
                    pending.extend(predicate.as_deref());
                }
            }
        }
    }

    /// Whether the value depends on other rows than the one it is computed for.
    pub fn reads_related_rows(&self) -> bool {
        match self {
            Expr::Related { .. } | Expr::Collection { .. } => true,
            Expr::Literal(_) | Expr::Column { .. } => false,
            Expr::Not(a) | Expr::Negate(a) => a.reads_related_rows(),
            Expr::Logical(_, a, b) | Expr::Compare(_, a, b) | Expr::Arithmetic(_, a, b, _) => {
                a.reads_related_rows() || b.reads_related_rows()
            }
            Expr::In(a, list) => {
                a.reads_related_rows() || list.iter().any(Expr::reads_related_rows)
            }
            Expr::Call(_, arguments, _) => arguments.iter().any(Expr::reads_related_rows),
        }
    }
}

impl Query {
    /// The tables whose rows the answer depends on.
    pub fn tables(&self, catalog: &Catalog) -> BTreeSet<usize> {
        let followed = self.relations().into_iter();
        let target = |(table, relation): (usize, usize)| {
            let table: &Table = &catalog.tables[table];
            table.relations[relation].target
        };
        followed.map(target).chain([self.table]).collect()
    }

    /// The relations that the answer depends on: tables, and positions in their relations.
    pub fn relations(&self) -> BTreeSet<(usize, usize)> {
        let mut relations = BTreeSet::new();
        self.add_relations(&mut relations);
        relations
    }

    fn add_relations(&self, relations: &mut BTreeSet<(usize, usize)>) {
        let order = self.order.iter().map(|item| &item.expr);
        for expr in self.filter.iter().chain(order) {
            expr.add_relations(relations);
        }
        for expand in &self.expand {
            relations.insert((self.table, expand.relation));
            expand.query.add_relations(relations);
        }
    }

    /// Why no delta link can be given for this query, whatever its table; `None` if one can.
    ///
    /// A filter that looks at related rows changes its answer when those rows change, which the history of one table cannot
    /// tell; `$expand` likewise. `$top` and `$skip` would leave the client with less than the delta link covers.
    pub fn untrackable(&self) -> Option<&'static str> {
        if !self.expand.is_empty() {
            return Some("$expand cannot be tracked");
        }
        if self.filter.as_ref().is_some_and(Expr::reads_related_rows) {
            return Some("a filter over related entities cannot be tracked");
        }
        if self.order.iter().any(|item| item.expr.reads_related_rows()) {
            return Some("an order over related entities cannot be tracked");
        }
        if self.volatile {
            return Some("a query that mentions now() cannot be tracked");
        }
        if self.skip > 0 || self.top.is_some_and(|top| top > 0) {
            return Some("$top and $skip cannot be tracked, only $top=0");
        }
        None
    }
}
