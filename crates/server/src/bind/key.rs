//! Key predicates (URL Conventions 4.3): literals become values of the key properties.

use highwater_core::Expr;
use highwater_core::query::{Comparison, Logical, Scope};
use highwater_odata::Value;
use highwater_odata::url::ast::{self, Arguments};

use super::error::{BindError, invalid_literal, invalid_url, not_found};
use super::expr::show;
use super::literal;
use super::operator;
use super::options::Context;
use crate::model::ServiceModel;

/// The values of a key predicate in key order. `implied` has, in key order, the values that the path in front of it already says;
/// they may be left out.
///
/// # Errors
///
/// Too few, too many or unknown parts, or a literal that is no value of its property's type.
pub(super) fn key_values(
    context: &Context<'_>,
    collection: usize,
    arguments: &Arguments,
    implied: &[Option<Value>],
) -> Result<Vec<Value>, BindError> {
    let names = key_names(context.model, collection);
    let is_implied = |position: usize| implied.get(position).is_some_and(Option::is_some);
    let written: Vec<Option<&ast::Expr>> = match arguments {
        Arguments::Positional(values) if values.len() == 1 => {
            let open: Vec<usize> = (0..names.len()).filter(|it| !is_implied(*it)).collect();
            let position = match open.as_slice() {
                [only] => *only,
                _ if names.len() == 1 => 0,
                _ => return Err(wrong_parts(context.model, collection, &names)),
            };
            let given = |it| (it == position).then_some(&values[0]);
            (0..names.len()).map(given).collect()
        }
        Arguments::Named(parts) => in_key_order(context.model, collection, &names, parts)?,
        Arguments::Empty | Arguments::Positional(_) => {
            return Err(wrong_parts(context.model, collection, &names));
        }
    };
    written
        .into_iter()
        .enumerate()
        .map(|(position, expr)| match expr {
            Some(expr) => {
                let value = context.literal(expr)?;
                convert(context.model, collection, position, &value, &show(expr))
            }
            None => implied
                .get(position)
                .cloned()
                .flatten()
                .ok_or_else(|| wrong_parts(context.model, collection, &names)),
        })
        .collect()
}

/// One key value that is a whole path segment (`Set/key`, URL Conventions 4.3.6).
pub(super) fn key_value_from_text(
    model: &ServiceModel,
    collection: usize,
    position: usize,
    text: &str,
) -> Result<Value, BindError> {
    let column = model.table(collection).key[position];
    let ty = model.table(collection).columns[column].ty;
    literal::from_text(text, ty).ok_or_else(|| {
        let name = model.name(collection);
        not_found(format!(
            "{text:?} is neither a key of {name}, which is {ty}, nor anything else that can follow a collection."
        ))
        .target(name)
        .hint("A property needs the key of its entity in front of it.")
    })
}

/// The condition that a row has this key.
pub(super) fn key_filter(
    model: &ServiceModel,
    collection: usize,
    key: &[Value],
    scope: Scope,
) -> Option<Expr> {
    let table = model.table(collection);
    let parts = table.key.iter().zip(key).map(|(&column, value)| {
        Expr::Compare(
            Comparison::Eq,
            Box::new(Expr::Column {
                scope,
                column,
                ty: table.columns[column].ty,
            }),
            Box::new(Expr::Literal(value.clone())),
        )
    });
    operator::join(Logical::And, parts.collect())
}

/// Names of the key properties in key order.
fn key_names(model: &ServiceModel, collection: usize) -> Vec<&str> {
    let properties = model.properties(collection);
    model
        .entity_type(collection)
        .into_iter()
        .flat_map(|ty| ty.key())
        .map(|&property| properties[property].name.as_str())
        .collect()
}

fn in_key_order<'p>(
    model: &ServiceModel,
    collection: usize,
    names: &[&str],
    parts: &'p [(String, ast::Expr)],
) -> Result<Vec<Option<&'p ast::Expr>>, BindError> {
    if let Some((unknown, _)) = parts
        .iter()
        .find(|(name, _)| !names.contains(&name.as_str()))
    {
        return Err(wrong_parts(model, collection, names).nearest(unknown, names.iter().copied()));
    }
    let is_twice = |name: &str| parts.iter().filter(|(part, _)| part == name).count() > 1;
    if names.iter().any(|name| is_twice(name)) {
        return Err(wrong_parts(model, collection, names));
    }
    let written = |name: &&str| {
        let found = parts.iter().find(|(part, _)| part == name);
        found.map(|(_, value)| value)
    };
    Ok(names.iter().map(written).collect())
}

fn wrong_parts(model: &ServiceModel, collection: usize, names: &[&str]) -> BindError {
    let name = model.name(collection);
    let form = match names {
        [only] => format!("{name}(value) or {name}({only}=value)"),
        names => {
            let parts: Vec<String> = names.iter().map(|name| format!("{name}=value")).collect();
            format!("{name}({})", parts.join(","))
        }
    };
    invalid_url(format!("The key of {name} is written as {form}.")).target(name)
}

fn convert(
    model: &ServiceModel,
    collection: usize,
    position: usize,
    value: &Value,
    written: &str,
) -> Result<Value, BindError> {
    let column = model.table(collection).key[position];
    let ty = model.table(collection).columns[column].ty;
    let name = model.name(collection);
    if *value == Value::Null {
        return Err(invalid_literal("A key value cannot be null.").target(name));
    }
    literal::coerce_exactly(value, ty).ok_or_else(|| {
        let error = invalid_literal(format!(
            "{written} is no value for the key property {}, which is {ty}.",
            key_names(model, collection)[position]
        ));
        match (ty, value) {
            (highwater_odata::PrimitiveType::String, _) => {
                error.hint("Text is written in single quotes.")
            }
            (ty, Value::String(_)) if ty.is_numeric() => {
                error.hint("Numbers are written without quotes.")
            }
            _ => error,
        }
        .target(name)
    })
}
