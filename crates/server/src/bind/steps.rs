//! The entities on the way to what a path addresses: how to look them up one after the other.

use highwater_core::query::{Comparison, Logical, Scope};
use highwater_core::{Expr, Query};
use highwater_odata::Value;

use super::env::{Binder, Env};
use super::error::BindError;
use super::key;
use super::operator;
use super::options::Context;
use super::resource::Rows;
use crate::model::ServiceModel;

/// An entity that a path navigates from: one value for each column of its table. Only those that the next step's relation needs
/// have to be right.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SourceRow(pub(crate) Vec<Value>);

/// The query for the entity that step `index` of a path addresses; at most one row matches. If none does, the path addresses
/// nothing (404).
///
/// `source` is the row that the step before addressed; `None` for the first step.
///
/// # Errors
///
/// None that a path which [`super::resolve`] has accepted could cause.
pub(crate) fn lookup(
    context: &Context<'_>,
    rows: &Rows,
    index: usize,
    source: Option<&SourceRow>,
) -> Result<Query, BindError> {
    let mut binder = Binder::new(context);
    let conditions = conditions(&mut binder, rows, index, source)?;
    let collection = rows.steps[index].collection;
    let mut columns: Vec<usize> = needed_columns(context.model, rows, index).collect();
    columns.sort_unstable();
    Ok(Query {
        table: context.model.collection(collection).table,
        columns,
        filter: operator::join(Logical::And, conditions),
        order: Vec::new(),
        skip: 0,
        top: None,
        expand: Vec::new(),
        count: false,
        etag: false,
        volatile: false,
    })
}

/// The source of the last step if its key alone tells the related rows, so that they can be asked for (and tracked) without
/// looking it up. `None` if it does not, if the path goes further, or if the operator's filter may hide the source one day.
pub(crate) fn source_from_key(model: &ServiceModel, rows: &Rows) -> Option<SourceRow> {
    let [source, _] = rows.steps.as_slice() else {
        return None;
    };
    let table = model.table(source.collection);
    let is_always_shown = model.collection(source.collection).filter.is_none();
    if !is_always_shown || !needed_columns(model, rows, 0).all(|c| table.key.contains(&c)) {
        return None;
    }
    let mut row = blank(model, source.collection);
    for (&column, value) in table.key.iter().zip(source.key.as_ref()?) {
        row.0[column] = value.clone();
    }
    Some(row)
}

/// An entity that nothing is known of: relations lead from it to nothing.
pub(crate) fn blank(model: &ServiceModel, collection: usize) -> SourceRow {
    SourceRow(vec![Value::Null; model.table(collection).columns.len()])
}

/// Columns of a step's table that the relation of the next step starts at.
fn needed_columns<'m>(
    model: &'m ServiceModel,
    rows: &Rows,
    index: usize,
) -> impl Iterator<Item = usize> + 'm {
    let collection = rows.steps[index].collection;
    rows.steps
        .get(index + 1)
        .and_then(|next| next.navigation)
        .map(|navigation| model.relation(collection, &model.navigations(collection)[navigation]))
        .into_iter()
        .flat_map(|relation| relation.columns.iter().map(|&(here, _)| here))
}

/// What the rows of a step must fulfil: the operator's filter, the key, and the relation to the step before.
pub(super) fn conditions(
    binder: &mut Binder<'_>,
    rows: &Rows,
    index: usize,
    source: Option<&SourceRow>,
) -> Result<Vec<Expr>, BindError> {
    let model = binder.context.model;
    let step = &rows.steps[index];
    let env = Env::root(step.collection, true);
    let mut conditions: Vec<Expr> = binder.fixed_filter(env.current)?.into_iter().collect();
    if let Some(key) = &step.key {
        conditions.extend(key::key_filter(model, step.collection, key, Scope::ROOT));
    }
    let Some(navigation) = step.navigation else {
        return Ok(conditions);
    };
    let from = rows.steps[index - 1].collection;
    let relation = model.relation(from, &model.navigations(from)[navigation]);
    let source = source.expect("a step that navigates has the row that it navigates from");
    let table = model.table(step.collection);
    for &(here, there) in &relation.columns {
        let value = &source.0[here];
        conditions.push(match value {
            // null relates to nothing, not to other nulls.
            Value::Null => Expr::Literal(Value::Boolean(false)),
            value => Expr::Compare(
                Comparison::Eq,
                Box::new(Expr::Column {
                    scope: Scope::ROOT,
                    column: there,
                    ty: table.columns[there].ty,
                }),
                Box::new(Expr::Literal(value.clone())),
            ),
        });
    }
    Ok(conditions)
}
