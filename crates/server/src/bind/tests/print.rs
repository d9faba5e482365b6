//! Queries and expressions in a compact form, for comparison.

use std::collections::HashMap;
use std::fmt::Write as _;

use highwater_core::query::{Arithmetic, Comparison, ExpandMode, Logical, Quantifier, Scope};
use highwater_core::{Expr, Query};
use highwater_odata::context::ContextUrls;
use highwater_odata::{PrimitiveType, Value, Version};

use crate::bind::{BoundQuery, SourceRow};
use crate::model::ServiceModel;

/// The query, what the context URL names (where that is not clear from it), and why it cannot be tracked.
pub(super) fn print_bound(model: &ServiceModel, bound: &BoundQuery) -> String {
    let mut text = print_query(model, &bound.query);
    let urls = |version| ContextUrls { root: "", version };
    let name = model.name(bound.collection);
    let new = urls(Version::V4_01).collection(name, &bound.select);
    let old = urls(Version::V4_0).collection(name, &bound.select);
    if new != format!("$metadata#{name}") {
        write!(text, "\ncontext {}", &new["$metadata".len()..]).unwrap();
        if old != new {
            write!(text, " in 4.0 {}", &old["$metadata".len()..]).unwrap();
        }
    }
    let navigations = model.navigations(bound.collection);
    if bound.shape.navigations.len() != navigations.len() && !bound.shape.navigations.is_empty() {
        let names = bound
            .shape
            .navigations
            .iter()
            .map(|&n| navigations[n].name.as_str());
        write!(text, "\nlinks {}", names.collect::<Vec<_>>().join(",")).unwrap();
    }
    let shown = bound
        .shape
        .expand
        .iter()
        .map(|shape| navigations[shape.navigation].source);
    let asked = bound.query.expand.iter().map(|expand| expand.relation);
    assert!(shown.eq(asked), "shape and query name the same expansions");
    match bound.query.untrackable() {
        Some(why) if bound.query.expand.is_empty() => write!(text, "\nuntracked: {why}").unwrap(),
        _ => {}
    }
    text
}

pub(super) fn print_query(model: &ServiceModel, query: &Query) -> String {
    let table = &model.catalog().tables[query.table];
    let mut text = table.name.clone();
    if query.columns.len() != table.columns.len() {
        let names: Vec<&str> = query
            .columns
            .iter()
            .map(|&column| table.columns[column].name.as_str())
            .collect();
        write!(text, "({})", names.join(",")).unwrap();
    }
    let printer = Printer::new(model, query.table);
    if let Some(filter) = &query.filter {
        write!(text, " where {}", printer.expr(filter)).unwrap();
    }
    for (position, order) in query.order.iter().enumerate() {
        let word = if position == 0 { " order" } else { "," };
        let direction = if order.descending { " desc" } else { "" };
        write!(text, "{word} {}{direction}", printer.expr(&order.expr)).unwrap();
    }
    if query.skip > 0 {
        write!(text, " skip {}", query.skip).unwrap();
    }
    if let Some(top) = query.top {
        write!(text, " top {top}").unwrap();
    }
    if query.count {
        text.push_str(" count");
    }
    for expand in &query.expand {
        let collection = model.collection_of_table(query.table).unwrap();
        let navigation = model
            .navigation_of_relation(collection, expand.relation)
            .unwrap();
        let mode = match expand.mode {
            ExpandMode::Entities => "",
            ExpandMode::References => "/$ref",
            ExpandMode::Count => "/$count",
        };
        let name = &model.navigations(collection)[navigation].name;
        let nested = print_query(model, &expand.query);
        write!(text, " + {name}{mode} {{{nested}}}").unwrap();
    }
    text
}

/// A row whose values tell where they come from: the number of the column, plus 100.
pub(super) fn numbered_row(model: &ServiceModel, collection: usize) -> SourceRow {
    let columns = 0..model.table(collection).columns.len() as i64;
    SourceRow(columns.map(|column| Value::Integer(100 + column)).collect())
}

pub(super) fn print_value(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Boolean(value) => value.to_string(),
        Value::Integer(value) => value.to_string(),
        Value::Double(value) => format!("{value:?}d"),
        Value::String(value) => format!("'{value}'"),
        Value::Binary(bytes) => format!("{bytes:x?}"),
        Value::Lexical(ty, text) => format!("{}:{text}", ty.short_name()),
    }
}

/// Knows which table a scope belongs to.
struct Printer<'m> {
    model: &'m ServiceModel,
    tables: HashMap<Scope, usize>,
}

impl<'m> Printer<'m> {
    fn new(model: &'m ServiceModel, table: usize) -> Self {
        Printer {
            model,
            tables: HashMap::from([(Scope::ROOT, table)]),
        }
    }

    /// The printer inside a related row.
    fn inside(&self, from: Scope, table: usize, relation: usize, scope: Scope) -> Printer<'m> {
        assert_eq!(self.tables.get(&from), Some(&table), "the scope is open");
        let target = self.model.catalog().tables[table].relations[relation].target;
        let mut tables = self.tables.clone();
        assert_eq!(tables.insert(scope, target), None, "the scope is new");
        Printer {
            model: self.model,
            tables,
        }
    }

    fn navigation(&self, table: usize, relation: usize) -> &'m str {
        let collection = self.model.collection_of_table(table).unwrap();
        let navigation = self
            .model
            .navigation_of_relation(collection, relation)
            .unwrap();
        &self.model.navigations(collection)[navigation].name
    }

    fn expr(&self, expr: &Expr) -> String {
        match expr {
            Expr::Literal(value) => print_value(value),
            Expr::Column { scope, column, ty } => {
                let column = &self.model.catalog().tables[self.tables[scope]].columns[*column];
                assert_eq!(column.ty, *ty);
                match *scope {
                    Scope::ROOT => format!("[{}]", column.name),
                    Scope(number) => format!("[{number}.{}]", column.name),
                }
            }
            Expr::Not(operand) => format!("not {}", self.expr(operand)),
            Expr::Negate(operand) => format!("-{}", self.expr(operand)),
            Expr::Logical(op, left, right) => {
                let op = match op {
                    Logical::And => "and",
                    Logical::Or => "or",
                };
                format!("({} {op} {})", self.expr(left), self.expr(right))
            }
            Expr::Compare(op, left, right) => {
                let op = match op {
                    Comparison::Eq => "=",
                    Comparison::Ne => "!=",
                    Comparison::Gt => ">",
                    Comparison::Ge => ">=",
                    Comparison::Lt => "<",
                    Comparison::Le => "<=",
                };
                format!("({} {op} {})", self.expr(left), self.expr(right))
            }
            Expr::In(element, list) => {
                let list: Vec<String> = list.iter().map(|item| self.expr(item)).collect();
                format!("({} in {})", self.expr(element), list.join("|"))
            }
            Expr::Arithmetic(op, left, right, ty) => {
                let op = match op {
                    Arithmetic::Add => "+",
                    Arithmetic::Sub => "-",
                    Arithmetic::Mul => "*",
                    Arithmetic::Div => "/",
                    Arithmetic::DivBy => "divby",
                    Arithmetic::Mod => "%",
                };
                format!(
                    "({} {op} {}):{}",
                    self.expr(left),
                    self.expr(right),
                    short(*ty)
                )
            }
            Expr::Call(function, arguments, ty) => {
                let arguments: Vec<String> = arguments.iter().map(|a| self.expr(a)).collect();
                let name = format!("{function:?}").to_lowercase();
                let ty = match *ty {
                    PrimitiveType::Boolean => String::new(),
                    ty => format!(":{}", short(ty)),
                };
                format!("{name}({}){ty}", arguments.join(", "))
            }
            Expr::Related {
                from,
                table,
                relation,
                scope,
                then,
            } => {
                let inside = self.inside(*from, *table, *relation, *scope);
                let name = self.navigation(*table, *relation);
                format!("{name}#{}{{{}}}", scope.0, inside.expr(then))
            }
            Expr::Collection {
                quantifier,
                from,
                table,
                relation,
                scope,
                predicate,
            } => {
                let inside = self.inside(*from, *table, *relation, *scope);
                let name = self.navigation(*table, *relation);
                let quantifier = match quantifier {
                    Quantifier::Any => "any",
                    Quantifier::All => "all",
                    Quantifier::Count => "count",
                };
                let predicate = predicate
                    .as_ref()
                    .map_or_else(String::new, |p| inside.expr(p));
                format!("{quantifier} {name}#{}{{{predicate}}}", scope.0)
            }
        }
    }
}

fn short(ty: PrimitiveType) -> &'static str {
    ty.short_name()
}
