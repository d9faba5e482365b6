//! System query options (URL Conventions 5.1): from syntax to a query and to what a payload shows of it.

use highwater_core::query::{Logical, OrderBy};
use highwater_core::{Expand, Expr, Query};
use highwater_odata::context::SelectList;
use highwater_odata::payload::Shape;
use highwater_odata::url::ast::{self, QueryOptions};
use highwater_odata::{PrimitiveType, Value};

use super::env::{Binder, Env};
use super::error::{
    BindError, invalid_literal, invalid_url, not_implemented, option_not_allowed, type_mismatch,
    unknown_property,
};
use super::expr::show;
use super::operator;
use super::resource::{Rows, What};
use super::select::{Selected, select};
use super::steps::{self, SourceRow};
use crate::model::ServiceModel;
use crate::settings::Limits;

/// More rows than any table has: what a store can count to.
const ROWS_MAX: u64 = i64::MAX as u64;
/// How many aliases in a row may stand for each other in a key.
const KEY_ALIASES_MAX: usize = 8;

/// What binding needs besides the syntax.
#[derive(Clone, Debug)]
pub(crate) struct Context<'a> {
    /// What names mean.
    pub(crate) model: &'a ServiceModel,
    /// What a request may ask for.
    pub(crate) limits: &'a Limits,
    /// Parameter aliases of the request ([`QueryOptions::aliases`]).
    pub(crate) aliases: &'a [(String, ast::Expr)],
    /// What `now()` means, as `Edm.DateTimeOffset`.
    pub(super) now: String,
}

/// A request for rows that was understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BoundQuery {
    /// What a store is asked. [`Query::etag`] is left to the caller, here and in nested queries.
    pub(crate) query: Query,
    /// The exposed table that the rows are of.
    pub(crate) collection: usize,
    /// What the payload shows; its expansions are those of the query, in the same order.
    pub(crate) shape: Shape,
    /// What the context URL names.
    pub(crate) select: SelectList,
}

impl<'a> Context<'a> {
    /// For a request that came at a certain time.
    pub(crate) fn new(
        model: &'a ServiceModel,
        limits: &'a Limits,
        aliases: &'a [(String, ast::Expr)],
        now: jiff::Timestamp,
    ) -> Context<'a> {
        Context {
            model,
            limits,
            aliases,
            now: format!("{now:.6}"),
        }
    }

    /// For the operator's own expressions, which have neither aliases nor a time.
    pub(super) fn without_request(model: &'a ServiceModel, limits: &'a Limits) -> Context<'a> {
        Context::new(model, limits, &[], jiff::Timestamp::UNIX_EPOCH)
    }

    /// The name and value of a parameter alias.
    pub(super) fn alias(&self, name: &str) -> Option<(&'a str, &'a ast::Expr)> {
        self.aliases
            .iter()
            .find(|(known, _)| known == name)
            .map(|(known, value)| (known.as_str(), value))
    }

    /// The value of a literal, or of an alias for one.
    pub(super) fn literal(&self, expr: &ast::Expr) -> Result<Value, BindError> {
        let mut expr = expr;
        for _ in 0..KEY_ALIASES_MAX {
            expr = match expr {
                ast::Expr::Literal(value) => return Ok(value.clone()),
                ast::Expr::Path(ast::Path {
                    root: ast::PathRoot::Alias(name),
                    segments,
                }) if segments.is_empty() => match self.alias(name) {
                    Some((_, value)) => value,
                    None => return Ok(Value::Null),
                },
                other => {
                    return Err(invalid_literal(format!(
                        "A key value must be a literal, but {} is none.",
                        show(other)
                    ))
                    .hint("Text is written in single quotes."));
                }
            };
        }
        Err(invalid_url(
            "Too many parameter aliases stand for each other.",
        ))
    }

    /// Whether a qualified name is that of the type of a collection's rows: a cast to it changes nothing.
    pub(super) fn is_type_of(&self, collection: usize, name: &str) -> bool {
        let Some((namespace, name)) = name.rsplit_once('.') else {
            return false;
        };
        let ty = match self.model.entity_type(collection) {
            Some(ty) => Some(ty.name()),
            None => self.model.row_type(collection).map(|ty| ty.name()),
        };
        namespace == self.model.edm().namespace() && ty == Some(name)
    }

    /// Names of properties and navigation properties.
    pub(super) fn member_names(&self, collection: usize) -> impl Iterator<Item = &'a str> {
        let model = self.model;
        let properties = model.properties(collection).iter().map(|p| p.name.as_str());
        let navigations = model
            .navigations(collection)
            .iter()
            .map(|n| n.name.as_str());
        properties.chain(navigations)
    }

    /// The error for a name that a collection's rows do not have.
    pub(super) fn unknown_member(&self, collection: usize, name: &str) -> BindError {
        if name.contains('.') {
            return unknown_property(format!("There is no type or function {name}."));
        }
        unknown_property(format!(
            "{} has no property {name}.",
            self.model.name(collection)
        ))
        .nearest(name, self.member_names(collection))
    }
}

/// Binds the options of a request.
///
/// `source` is the entity that the last step of the path navigates from; it is needed if there is one.
///
/// # Errors
///
/// See [`super::BindErrorKind`]; the target is the option to blame.
pub(crate) fn bind(
    context: &Context<'_>,
    rows: &Rows,
    source: Option<&SourceRow>,
    options: &QueryOptions,
) -> Result<BoundQuery, BindError> {
    check_allowed(rows.what, options)?;
    let step = rows.last();
    let collection = step.collection;
    let mut binder = Binder::new(context);
    let mut conditions = steps::conditions(&mut binder, rows, rows.steps.len() - 1, source)?;
    let nothing = QueryOptions::default();
    // The standard wants the number of a collection to be unaffected by the other options (Protocol 11.2.10).
    let ignored_for_count = QueryOptions {
        filter: options.filter.clone(),
        search: options.search.clone(),
        ..QueryOptions::default()
    };
    let options = match rows.what {
        What::Collection | What::Entity | What::References => options,
        What::Count => &ignored_for_count,
        What::Reference | What::Property(_) | What::PropertyValue(_) => &nothing,
    };
    let mut bound = binder.query(collection, options, true, 0)?;
    conditions.extend(bound.query.filter.take());
    bound.query.filter = operator::join(Logical::And, conditions);
    bound.query.volatile = binder.volatile;
    match rows.what {
        What::Collection | What::Entity => {}
        What::References | What::Reference => {
            bound.query.columns.clear();
            bound.shape = Shape::default();
        }
        What::Count => {
            bound.query.columns.clear();
            bound.query.count = true;
            bound.query.top = Some(0);
        }
        What::Property(property) | What::PropertyValue(property) => {
            bound.query.columns = vec![context.model.collection(collection).columns[property]];
            bound.shape.properties = vec![property];
            bound.shape.navigations.clear();
        }
    }
    Ok(bound)
}

/// Refuses the options that do not apply to what the path addresses.
fn check_allowed(what: What, options: &QueryOptions) -> Result<(), BindError> {
    check_supported(options)?;
    let (allowed, address): (&[&str], &str) = match what {
        What::Collection => (
            &[
                "$filter", "$search", "$orderby", "$select", "$expand", "$top", "$skip", "$count",
            ],
            "a collection",
        ),
        What::References => (
            &["$filter", "$search", "$orderby", "$top", "$skip", "$count"],
            "references",
        ),
        What::Count => (
            &["$filter", "$search", "$orderby", "$expand", "$top", "$skip"],
            "$count",
        ),
        // That of the entity, if it was addressed by `$entity`.
        What::Entity => (&["$select", "$expand", "$id"], "a single entity"),
        What::Reference => (&[], "a single reference"),
        What::Property(_) | What::PropertyValue(_) => (&[], "a property"),
    };
    // What the request as a whole is asked for, whatever it addresses.
    let general = ["$format", "$schemaversion", "$skiptoken", "$deltatoken"];
    let wrong = options
        .system_names()
        .find(|name| !allowed.contains(name) && !general.contains(name));
    match wrong {
        None => Ok(()),
        Some(name) => Err(option_not_allowed(format!(
            "{name} does not apply to {address}. Leave it out."
        ))
        .target(name)),
    }
}

/// Refuses what this service does not implement.
fn check_supported(options: &QueryOptions) -> Result<(), BindError> {
    if options.apply.is_some() {
        return Err(not_implemented("$apply is not supported.").target("$apply"));
    }
    if !options.compute.is_empty() {
        return Err(not_implemented("$compute is not supported.").target("$compute"));
    }
    if options.index.is_some() {
        return Err(not_implemented(
            "$index is not supported: no collection of this service is ordered by position.",
        )
        .target("$index"));
    }
    Ok(())
}

impl Binder<'_> {
    /// A query over all rows of a collection that are shown, at some level of `$expand`.
    pub(super) fn query(
        &mut self,
        collection: usize,
        options: &QueryOptions,
        is_addressed: bool,
        depth: usize,
    ) -> Result<BoundQuery, BindError> {
        let env = Env::root(collection, is_addressed);
        let mut conditions = Vec::new();
        if let Some(filter) = &options.filter {
            let bound = self.condition(&env, filter);
            conditions.push(bound.map_err(|error| error.target("$filter"))?);
        }
        if let Some(search) = &options.search {
            let bound = self.search(env.current, search);
            conditions.push(bound.map_err(|error| error.target("$search"))?);
        }
        let order = self
            .order(&env, &options.orderby)
            .map_err(|error| error.target("$orderby"))?;
        let selected = select(self.context, collection, &options.select)
            .map_err(|error| error.target("$select"))?;
        let expanded = self
            .expand(collection, &options.expand, depth)
            .map_err(|error| error.target("$expand"))?;
        let model = self.context.model;
        let mut columns: Vec<usize> = selected
            .properties
            .iter()
            .map(|&property| model.collection(collection).columns[property])
            .collect();
        columns.sort_unstable();
        let navigations = match selected.explicit {
            true => selected.navigations.clone(),
            false => (0..model.navigations(collection).len()).collect(),
        };
        let mut expand = Vec::new();
        let mut shape = Shape {
            properties: selected.properties.clone(),
            navigations,
            expand: Vec::new(),
        };
        let mut select = SelectList {
            selected: selected_names(model, collection, &selected),
            expanded: Vec::new(),
        };
        for item in expanded {
            expand.push(Expand {
                relation: item.relation,
                query: item.bound.query,
                mode: item.mode,
            });
            shape.expand.push(item.shape);
            select.expanded.extend(item.name);
        }
        Ok(BoundQuery {
            query: Query {
                table: model.collection(collection).table,
                columns,
                filter: operator::join(Logical::And, conditions),
                order,
                skip: options.skip.unwrap_or(0).min(ROWS_MAX),
                top: options.top.map(|top| top.min(ROWS_MAX)),
                expand,
                count: options.count.unwrap_or(false),
                etag: false,
                volatile: false,
            },
            collection,
            shape,
            select,
        })
    }

    fn order(
        &mut self,
        env: &Env<'_>,
        items: &[ast::OrderByItem],
    ) -> Result<Vec<OrderBy>, BindError> {
        items
            .iter()
            .map(|item| {
                let expr: Expr = self.value(env, &item.expr)?;
                if expr.ty() == PrimitiveType::Binary {
                    return Err(type_mismatch(format!(
                        "{} is Edm.Binary, which has no order.",
                        show(&item.expr)
                    )));
                }
                Ok(OrderBy {
                    expr,
                    descending: item.descending,
                })
            })
            .collect()
    }
}

/// What the context URL repeats of `$select`, in an order that does not depend on how it was written.
fn selected_names(model: &ServiceModel, collection: usize, selected: &Selected) -> Vec<String> {
    if !selected.explicit {
        return Vec::new();
    }
    let all = selected.all.then(|| "*".to_owned());
    let properties = selected
        .properties
        .iter()
        .filter(|_| !selected.all)
        .map(|&property| model.properties(collection)[property].name.clone());
    let navigations = selected
        .navigations
        .iter()
        .map(|&navigation| model.navigations(collection)[navigation].name.clone());
    let operations = selected
        .operations
        .then(|| format!("{}.*", model.edm().namespace()));
    all.into_iter()
        .chain(properties)
        .chain(navigations)
        .chain(operations)
        .collect()
}
