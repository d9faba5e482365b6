//! `PATCH`, `PUT` and `DELETE` of an entity, and upserts (Protocol 11.4.3 to 11.4.5; requirements 85, 86, 88 and 91).
//!
//! With `If-Match` an update never inserts (requirement 79): `*` makes it an update of something that is not there (404), and an
//! entity tag does not match something that is not there (412; Protocol 8.2.4). An entity that the operator's filter hides is
//! answered the same way. For `DELETE` it is 404 whatever the condition says: that is how the request would be answered without it
//! (RFC 9110, section 13.2.1).

use highwater_core::store::Condition;
use highwater_core::{Error, Relation};
use highwater_odata::Version;
use highwater_odata::payload::{EntityBody, Item, RelatedContent};
use http::{Method, StatusCode};

use super::draft::{Draft, written};
use super::graph::Graph;
use super::represent::Representation;
use super::row::{self, RowDraft};
use super::target::{self, Named};
use super::{body, create};
use crate::bind::{Rows, Step};
use crate::dialect::odata::Exchange;
use crate::failure::Halt;
use crate::http::answer::Answer;
use crate::http::error::{ApiError, Code};

pub(super) async fn update(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let step = rows.last();
    let collection = step.collection;
    let body = body::entity(x, target::set(x, collection)?)?;
    check_related(x, collection, &body)?;
    let condition = target::condition(x, collection, body.etag.as_deref())?;
    let representation = Representation::prepare(x, collection, &EntityBody::default())?;
    let entity = if rows.is_direct() {
        target::entity(x, rows).await?
    } else {
        match target::find(x, rows).await? {
            Some(entity) => entity,
            None if step.key.is_some() && !forbids_insert(&condition) => {
                return insert_related(x, rows, &body).await;
            }
            None if step.key.is_some() => return Err(absent(x, collection, &condition)),
            // Requirement 85: nothing is created at the end of a single-valued navigation property.
            None => return Err(target::not_found(x, collection).into()),
        }
    };
    check_id(x, &entity, body.id.as_deref()).await?;
    let mut graph = Graph::new(x, &body).await?;
    for (relation, name, other) in replaced(x, &entity, &body).await? {
        release(x, &mut graph.draft, relation, name, &other)?;
    }
    let is_upsert = rows.is_direct();
    let or_insert = is_upsert && !forbids_insert(&condition);
    let mut row = RowDraft::with_key(x, collection, &body, &entity.key);
    graph.parents(&mut row, &body)?;
    if x.request.method == Method::PUT {
        row.replace();
    }
    let values = row.finish()?;
    let step = graph
        .draft
        .update(&entity, values, condition.clone(), or_insert)?;
    graph.children(collection, &body, step, "")?;
    let result = match graph.draft.write().await {
        Err(Halt::Refused(error)) if is_upsert && error.code() == Code::NotFound => {
            return Err(absent(x, collection, &condition));
        }
        result => result?,
    };
    Ok(representation
        .answer(collection, written(result, step)?)
        .await)
}

/// The answer if an upsert may not insert.
fn absent(x: &Exchange<'_>, collection: usize, condition: &Condition) -> Halt {
    match condition {
        Condition::Matches(_) => Error::PreconditionFailed.into(),
        _ => target::not_found(x, collection).into(),
    }
}

/// An upsert by way of another entity, to which the new one is related.
async fn insert_related(x: &Exchange<'_>, rows: &Rows, body: &EntityBody) -> Result<Answer, Halt> {
    let collection = rows.last().collection;
    let body = create::with_key(x, rows, body);
    let representation = Representation::prepare(x, collection, &body)?;
    let mut graph = Graph::new(x, &body).await?;
    let given = create::given(x, rows, &mut graph).await?;
    let step = graph.insert(collection, &body, given, "")?;
    let written = written(graph.draft.write().await?, step)?;
    Ok(representation.answer(collection, written).await)
}

fn forbids_insert(condition: &Condition) -> bool {
    matches!(condition, Condition::Exists | Condition::Matches(_))
}

pub(super) async fn delete(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let condition = target::condition(x, rows.last().collection, None)?;
    let entity = target::entity(x, rows).await?;
    let mut draft = Draft::new(x);
    draft.delete(&entity, condition)?;
    draft.write().await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// An id in the body may repeat which entity is meant, but not say something else.
async fn check_id(x: &Exchange<'_>, entity: &Named, id: Option<&str>) -> Result<(), Halt> {
    let named = target::resolve(x, id).await?;
    match named.values().all(|named| named == entity) {
        true => Ok(()),
        false => Err(ApiError::new(
            Code::InvalidBody,
            "The @id in the body names another entity than the URL. Leave it out.",
        )
        .target("@id")
        .into()),
    }
}

/// Requirement 88: relations may change with an entity, related entities may not. (4.01 allows that, and calls it a deep update;
/// this service does not have it.)
fn check_related(x: &Exchange<'_>, collection: usize, body: &EntityBody) -> Result<(), ApiError> {
    for related in &body.related {
        let name = &x.model.navigations(collection)[related.navigation].name;
        if x.request.versions.request == Version::V4_0 {
            return Err(ApiError::new(
                Code::InvalidBody,
                format!(
                    "Related entities cannot stand in an update. Change the relation with {name}@odata.bind, \
                     and the related entities with requests of their own."
                ),
            )
            .target(name));
        }
        let is_relation_only = match &related.content {
            RelatedContent::Null => true,
            RelatedContent::Single(item) => matches!(&**item, Item::Reference(_)),
            RelatedContent::Collection(_) | RelatedContent::Delta(_) => false,
        };
        if !is_relation_only {
            return Err(ApiError::new(
                Code::NotImplemented,
                format!(
                    "Changing related entities together with an entity (deep update) is not supported. Change the \
                     relation with {name}@odata.bind or {name}/$ref, and the related entities with requests of their own."
                ),
            )
            .target(name));
        }
    }
    Ok(())
}

/// The entities at the other end of single-valued navigation properties that change, where it is the other end that says who is
/// related: they have to be told.
async fn replaced<'x>(
    x: &'x Exchange<'_>,
    entity: &Named,
    body: &EntityBody,
) -> Result<Vec<(&'x Relation, &'x str, Named)>, Halt> {
    let bound = body
        .binds
        .iter()
        .map(|bind| (bind.navigation, bind.ids.first()));
    let related = body.related.iter().map(|related| match &related.content {
        RelatedContent::Single(item) => match &**item {
            Item::Reference(id) => (related.navigation, Some(id)),
            Item::Entity(_) | Item::Removed(..) => (related.navigation, None),
        },
        _ => (related.navigation, None),
    });
    let mut found = Vec::new();
    for (navigation, id) in bound.chain(related) {
        let declared = &x.model.navigations(entity.collection)[navigation];
        let relation = x.model.relation(entity.collection, declared);
        if relation.owns_key || relation.many {
            continue;
        }
        let mut rows = target::rows_by_key(entity.collection, Some(entity.key.clone()));
        rows.steps.push(Step {
            collection: x.model.target(declared),
            navigation: Some(navigation),
            key: None,
            many: false,
        });
        let Some(other) = find_related(x, &rows).await? else {
            continue;
        };
        let named = target::resolve(x, id.map(String::as_str)).await?;
        if named.values().all(|named| *named != other) {
            found.push((relation, declared.name.as_str(), other));
        }
    }
    Ok(found)
}

/// Like [`target::find`], and nothing is related to an entity that does not exist: it may be about to be created.
async fn find_related(x: &Exchange<'_>, rows: &Rows) -> Result<Option<Named>, Halt> {
    match target::find(x, rows).await {
        Err(Halt::Refused(error)) if error.code() == Code::NotFound => Ok(None),
        found => found,
    }
}

/// Makes the entity at the other end of a relation refer to nothing any more.
pub(super) fn release(
    x: &Exchange<'_>,
    draft: &mut Draft<'_>,
    relation: &Relation,
    navigation: &str,
    other: &Named,
) -> Result<(), Halt> {
    let inverse = &x.model.table(other.collection).relations[relation.inverse];
    let values = row::cleared(x, other.collection, inverse, navigation)?;
    draft
        .update(other, values, Condition::None, false)
        .map(drop)
}
