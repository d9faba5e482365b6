//! `POST` to a collection (Protocol 11.4.2; requirement 87).

use highwater_core::Error;
use highwater_odata::payload::EntityBody;

use super::draft::{Values, written};
use super::graph::{Graph, referred};
use super::represent::Representation;
use super::{body, target};
use crate::bind::Rows;
use crate::dialect::odata::Exchange;
use crate::failure::Halt;
use crate::http::answer::Answer;
use crate::http::conditional::Tags;

pub(super) async fn create(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    // The condition would be about the collection, which has no state of its own to match.
    if matches!(x.request.conditions.if_match, Some(Tags::List(_))) {
        return Err(Error::PreconditionFailed.into());
    }
    let collection = rows.last().collection;
    let body = body::entity(x, target::set(x, collection)?)?;
    let representation = Representation::prepare(x, collection, &body)?;
    let mut graph = Graph::new(x, &body).await?;
    let given = given(x, rows, &mut graph).await?;
    let step = graph.insert(collection, &body, given, "")?;
    let written = written(graph.draft.write().await?, step)?;
    Ok(representation.answer(collection, written).await)
}

/// An entity that is created by way of another one is related to it (Protocol 11.4.2.1).
pub(super) async fn given(
    x: &Exchange<'_>,
    rows: &Rows,
    graph: &mut Graph<'_>,
) -> Result<Values, Halt> {
    let Some((_, relation)) = target::relation(x, rows) else {
        return Ok(Values::new());
    };
    let source = target::source(x, rows).await?;
    let step = graph.draft.check(&source, Default::default())?;
    Ok(referred(relation, step))
}

/// A body with the key that the path gives instead of its own.
pub(super) fn with_key(x: &Exchange<'_>, rows: &Rows, body: &EntityBody) -> EntityBody {
    let step = rows.last();
    let ty = x.model.entity_type(step.collection);
    let key: Vec<usize> = ty.map_or(Vec::new(), |ty| ty.key().to_vec());
    let mut body = body.clone();
    body.properties
        .retain(|(property, _)| !key.contains(property));
    let values = step.key.iter().flatten().cloned();
    body.properties.extend(key.into_iter().zip(values));
    body
}
