//! Paths inside expressions (URL Conventions 5.1.1.15): properties of related entities, and lambdas over collections.

use highwater_core::query::{Quantifier, Scope};
use highwater_core::{Expr, Function};
use highwater_odata::Value;
use highwater_odata::url::ast;

use super::env::{Binder, Env, Row};
use super::error::{BindError, invalid_url, not_implemented, too_complex, type_mismatch};
use super::operator;
use crate::model::naming;

/// Names that other versions of OData, or SQL, have for what OData 4 calls otherwise.
const FOREIGN_FUNCTIONS: [(&str, &str); 3] = [
    ("substringof", "contains(text,part)"),
    ("like", "contains, startswith, endswith or matchesPattern"),
    ("count", "Orders/$count"),
];

/// What an operand turned out to be.
pub(super) enum Reached {
    /// A primitive value.
    Value(Expr),
    /// At most one related entity.
    Entity(EntityPath),
    /// Many related entities.
    Collection(CollectionPath),
}

/// A path over relations to at most one row each.
#[derive(Clone)]
pub(super) struct EntityPath {
    links: Vec<Link>,
    /// Where it ends.
    pub(super) row: Row,
}

/// A path that ends with a relation to many rows.
pub(super) struct CollectionPath {
    base: EntityPath,
    relation: usize,
    /// The exposed table of the rows.
    pub(super) target: usize,
    /// `$filter(...)` segments so far.
    filters: Vec<ast::Expr>,
}

/// One relation on a path.
#[derive(Clone)]
struct Link {
    from: Scope,
    table: usize,
    relation: usize,
    row: Row,
}

impl<'a> Binder<'a> {
    pub(super) fn path(&mut self, env: &Env<'_>, path: &ast::Path) -> Result<Reached, BindError> {
        let mut segments = path.segments.as_slice();
        let start = match &path.root {
            ast::PathRoot::Implicit => match segments {
                [ast::PathSegment::Name(first), rest @ ..] => {
                    match env
                        .variable(&first.name)
                        .filter(|_| first.parens.is_empty())
                    {
                        Some(row) => {
                            segments = rest;
                            row
                        }
                        None => env.current,
                    }
                }
                _ => env.current,
            },
            ast::PathRoot::It => env.it.ok_or_else(|| {
                not_implemented(
                    "$it inside $expand, where it stands for the entity outside, is not supported.",
                )
            })?,
            ast::PathRoot::This => env.this,
            ast::PathRoot::Root => {
                return Err(not_implemented(
                    "$root in expressions is not supported. Read the other entity first and write its value.",
                ));
            }
            ast::PathRoot::Alias(name) => return self.aliased(env, name, segments),
        };
        let start = EntityPath {
            links: Vec::new(),
            row: start,
        };
        segments
            .iter()
            .try_fold(Reached::Entity(start), |reached, segment| {
                self.step(env, reached, segment)
            })
    }

    fn aliased(
        &mut self,
        env: &Env<'_>,
        name: &str,
        segments: &[ast::PathSegment],
    ) -> Result<Reached, BindError> {
        if !segments.is_empty() {
            return Err(not_implemented(
                "A path that begins with a parameter alias is not supported.",
            ));
        }
        let env = env.outermost();
        let value = self.alias(name, |binder, value| binder.value(&env, value))?;
        // An alias without a value is null (URL Conventions 5.3).
        Ok(Reached::Value(value.unwrap_or(Expr::Literal(Value::Null))))
    }

    fn step(
        &mut self,
        env: &Env<'_>,
        reached: Reached,
        segment: &ast::PathSegment,
    ) -> Result<Reached, BindError> {
        match (reached, segment) {
            (_, ast::PathSegment::Annotation(term)) => Err(not_implemented(format!(
                "@{term}: annotations in expressions are not supported."
            ))),
            (Reached::Value(_), segment) => Err(type_mismatch(format!(
                "{} cannot follow a primitive value.",
                segment_text(segment)
            ))
            .hint("Functions are written around their argument, as in length(Name).")),
            (Reached::Entity(path), ast::PathSegment::Name(name)) => self.member(env, path, name),
            (Reached::Entity(_), segment) => Err(type_mismatch(format!(
                "{} needs a collection in front of it, not a single entity.",
                segment_text(segment)
            ))),
            (Reached::Collection(path), segment) => self.collection(env, path, segment),
        }
    }

    fn member(
        &mut self,
        env: &Env<'_>,
        path: EntityPath,
        name: &ast::NameSegment,
    ) -> Result<Reached, BindError> {
        let model = self.context.model;
        let collection = path.row.collection;
        let plain = name.parens.is_empty();
        if plain && self.context.is_type_of(collection, &name.name) {
            return Ok(Reached::Entity(path));
        }
        if let Some(property) = model.property(collection, &name.name).filter(|_| plain) {
            let column = Expr::Column {
                scope: path.row.scope,
                column: model.collection(collection).columns[property],
                ty: model.properties(collection)[property].ty,
            };
            return Ok(Reached::Value(self.follow(path, column)?));
        }
        let Some(navigation) = model.navigation(collection, &name.name) else {
            return Err(self.unknown_member(env, collection, name));
        };
        if !plain {
            return Err(not_implemented(format!(
                "{}(...): a key inside an expression is not supported. Use any.",
                name.name
            )));
        }
        let navigation = &model.navigations(collection)[navigation];
        let target = model.target(navigation);
        if navigation.collection {
            return Ok(Reached::Collection(CollectionPath {
                base: path,
                relation: navigation.source,
                target,
                filters: Vec::new(),
            }));
        }
        let hops_max = self.context.limits.path_hops_max;
        if path.links.len() >= hops_max {
            return Err(too_complex(format!(
                "A path can follow at most {hops_max} navigation properties."
            )));
        }
        let row = Row {
            scope: self.new_scope(),
            collection: target,
        };
        let mut path = path;
        path.links.push(Link {
            from: path.row.scope,
            table: model.collection(collection).table,
            relation: navigation.source,
            row,
        });
        path.row = row;
        Ok(Reached::Entity(path))
    }

    fn unknown_member(
        &self,
        env: &Env<'_>,
        collection: usize,
        name: &ast::NameSegment,
    ) -> BindError {
        let context = self.context;
        let text = &name.name;
        if !name.parens.is_empty() {
            let lower = text.to_lowercase();
            if lower.starts_with("geo.") {
                return not_implemented(format!("The function {text} is not supported."));
            }
            let error = invalid_url(format!("There is no function {text}."));
            let known = super::function::filter_function_names();
            return match FOREIGN_FUNCTIONS.iter().find(|(name, _)| *name == lower) {
                Some((_, instead)) => error.hint(format!("OData 4 has {instead}.")),
                None => error.nearest(text, known),
            };
        }
        let error = context.unknown_member(collection, text);
        let known = context.member_names(collection).chain(env.variables());
        match naming::nearest(text, known) {
            Some(_) => error,
            None => error.hint("Text is written in single quotes."),
        }
    }

    fn collection(
        &mut self,
        env: &Env<'_>,
        mut path: CollectionPath,
        segment: &ast::PathSegment,
    ) -> Result<Reached, BindError> {
        let (quantifier, predicate) = match segment {
            ast::PathSegment::Name(name) if self.context.is_type_of(path.target, &name.name) => {
                return Ok(Reached::Collection(path));
            }
            ast::PathSegment::Filter(filter, None) => {
                path.filters.push((**filter).clone());
                return Ok(Reached::Collection(path));
            }
            ast::PathSegment::Filter(_, Some(_)) => {
                return Err(not_implemented(
                    "A key inside an expression is not supported. Use any.",
                ));
            }
            ast::PathSegment::Any(lambda) => {
                (Quantifier::Any, lambda.as_deref().map(Predicate::Lambda))
            }
            ast::PathSegment::All(lambda) => (Quantifier::All, Some(Predicate::Lambda(lambda))),
            ast::PathSegment::Count(options) => (
                Quantifier::Count,
                options.as_deref().map(Predicate::Options),
            ),
            ast::PathSegment::Name(_) | ast::PathSegment::Annotation(_) => {
                return Err(type_mismatch(format!(
                    "{} cannot follow a collection of {}.",
                    segment_text(segment),
                    self.context.model.name(path.target)
                ))
                .hint("Use any or all, as in Orders/any(o:o/Amount gt 5)."));
            }
        };
        let row = Row {
            scope: self.new_scope(),
            collection: path.target,
        };
        let mut narrowed: Vec<Expr> = self.fixed_filter(row)?.into_iter().collect();
        // The relations before the collection are levels of the tree as well.
        let predicate = self.deeper(path.base.links.len(), |binder| {
            for filter in &path.filters {
                narrowed.push(binder.condition(&env.element(row), filter)?);
            }
            match predicate {
                None => Ok(None),
                Some(Predicate::Lambda(lambda)) => {
                    let inside = env.lambda(&lambda.variable, row);
                    binder.condition(&inside, &lambda.predicate).map(Some)
                }
                Some(Predicate::Options(options)) => {
                    binder.count_options(&env.element(row), options)
                }
            }
        })?;
        let collection = Expr::Collection {
            quantifier,
            from: path.base.row.scope,
            table: self
                .context
                .model
                .collection(path.base.row.collection)
                .table,
            relation: path.relation,
            scope: row.scope,
            predicate: narrow(quantifier, narrowed, predicate).map(Box::new),
        };
        Ok(Reached::Value(self.follow(path.base, collection)?))
    }

    /// `$count($filter=...;$search=...)` (URL Conventions 5.1.1.15).
    fn count_options(
        &mut self,
        env: &Env<'_>,
        options: &ast::QueryOptions,
    ) -> Result<Option<Expr>, BindError> {
        let filter = options
            .filter
            .as_ref()
            .map(|filter| self.condition(env, filter))
            .transpose()?;
        let search = options
            .search
            .as_ref()
            .map(|search| self.search(env.current, search))
            .transpose()?;
        let only = ast::QueryOptions {
            filter: options.filter.clone(),
            search: options.search.clone(),
            ..ast::QueryOptions::default()
        };
        if *options != only {
            return Err(invalid_url(
                "Only $filter and $search can stand in the parentheses of $count.",
            ));
        }
        Ok(operator::join(
            highwater_core::query::Logical::And,
            filter.into_iter().chain(search).collect(),
        ))
    }

    /// Computes something at the end of a path: `null` if there is no related row, or none that is shown.
    pub(super) fn follow(&mut self, path: EntityPath, then: Expr) -> Result<Expr, BindError> {
        path.links.into_iter().rev().try_fold(then, |then, link| {
            let then = match self.fixed_filter(link.row)? {
                None => then,
                Some(shown) => {
                    let ty = then.ty();
                    Expr::Call(Function::Case, vec![shown, then], ty)
                }
            };
            Ok(Expr::Related {
                from: link.from,
                table: link.table,
                relation: link.relation,
                scope: link.row.scope,
                then: Box::new(then),
            })
        })
    }
}

/// What the elements of a collection are tested for.
enum Predicate<'p> {
    Lambda(&'p ast::Lambda),
    Options(&'p ast::QueryOptions),
}

/// The predicate over a collection that was narrowed before.
fn narrow(quantifier: Quantifier, narrowed: Vec<Expr>, predicate: Option<Expr>) -> Option<Expr> {
    use highwater_core::query::Logical::And;
    let Some(narrowed) = operator::join(And, narrowed) else {
        return predicate;
    };
    let Some(predicate) = predicate else {
        return Some(narrowed);
    };
    if quantifier != Quantifier::All {
        return Some(narrowed.and(predicate));
    }
    // Rows outside the collection do not count, also where the filter is null: `not narrowed or predicate` would be null there.
    let truth = || Expr::Literal(Value::Boolean(true));
    let ty = predicate.ty();
    Some(Expr::Call(
        Function::Case,
        vec![narrowed, predicate, truth(), truth()],
        ty,
    ))
}

fn segment_text(segment: &ast::PathSegment) -> &str {
    match segment {
        ast::PathSegment::Name(name) => &name.name,
        ast::PathSegment::Annotation(term) => term,
        ast::PathSegment::Count(_) => "$count",
        ast::PathSegment::Filter(..) => "$filter",
        ast::PathSegment::Any(_) => "any",
        ast::PathSegment::All(_) => "all",
    }
}
