//! Which entities a request is about, and what it demands of them.

use std::collections::HashMap;

use highwater_core::store::Condition;
use highwater_core::{Error, Expr, Relation};
use highwater_odata::url::ast::QueryOptions;
use highwater_odata::{Value, Version};

use crate::bind::{self, Context, Rows, Step, What};
use crate::dialect::odata::{Exchange, ids};
use crate::failure::Halt;
use crate::http::conditional::{self, Tags};
use crate::http::error::{ApiError, Code};
use crate::model::CollectionKind;

/// An entity by its key. Whether it exists is for the transaction that writes to find out.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Named {
    /// The exposed table.
    pub(super) collection: usize,
    /// In key order.
    pub(super) key: Vec<Value>,
}

/// The path to an entity by its key; without a key, to any entity of the set.
pub(super) fn rows_by_key(collection: usize, key: Option<Vec<Value>>) -> Rows {
    Rows {
        steps: vec![Step {
            collection,
            navigation: None,
            key,
            many: false,
        }],
        what: What::Entity,
        query_in_body: false,
    }
}

/// The entity that a path addresses, or `None` if there is none (in the operator's filter).
///
/// # Errors
///
/// 404 if there is no entity at a step before the last.
pub(super) async fn find(x: &Exchange<'_>, rows: &Rows) -> Result<Option<Named>, Halt> {
    let context = context(x);
    let source = x.source(rows).await?;
    let rows = Rows {
        what: What::Reference,
        ..rows.clone()
    };
    let bound = bind::bind(&context, &rows, source.as_ref(), &QueryOptions::default())?;
    let found = x.first_row(bound.query).await?;
    let collection = rows.last().collection;
    Ok(found.values.map(|values| Named {
        collection,
        key: key_of(x, collection, &values),
    }))
}

/// The entity that a path addresses. It is looked up only if the path does not give its key outright.
///
/// # Errors
///
/// 404 if it was looked up and is not there.
pub(super) async fn entity(x: &Exchange<'_>, rows: &Rows) -> Result<Named, Halt> {
    let step = rows.last();
    if let (true, Some(key)) = (rows.is_direct(), &step.key) {
        return Ok(Named {
            collection: step.collection,
            key: key.clone(),
        });
    }
    match find(x, rows).await? {
        Some(entity) => Ok(entity),
        None => Err(not_found(x, step.collection).into()),
    }
}

/// The entity that the last step of a path navigates from.
///
/// # Errors
///
/// 404 like [`entity`].
pub(super) async fn source(x: &Exchange<'_>, rows: &Rows) -> Result<Named, Halt> {
    entity(x, &source_rows(rows)).await
}

fn source_rows(rows: &Rows) -> Rows {
    Rows {
        steps: rows.sources().to_vec(),
        what: What::Entity,
        query_in_body: false,
    }
}

/// The keys of a row, in key order.
pub(super) fn key_of(x: &Exchange<'_>, collection: usize, values: &[Value]) -> Vec<Value> {
    let key = &x.model.table(collection).key;
    key.iter().map(|&column| values[column].clone()).collect()
}

/// The entities that ids in a request name, each understood once.
///
/// # Errors
///
/// 400 if an id is none, or names nothing that this service has.
pub(super) async fn resolve(
    x: &Exchange<'_>,
    ids: impl IntoIterator<Item = &str>,
) -> Result<HashMap<String, Named>, Halt> {
    let mut found = HashMap::new();
    for id in ids {
        if found.contains_key(id) {
            continue;
        }
        if id.len() > x.core.settings.limits.url_max_bytes {
            return Err(ApiError::new(
                Code::InvalidBody,
                format!(
                    "An id in the request is longer than {} bytes.",
                    x.core.settings.limits.url_max_bytes
                ),
            )
            .into());
        }
        let rows = match ids::rows_of(x, below_request(x, id)) {
            Ok(rows) => rows,
            Err(error) if error.code() == Code::NotFound => {
                // Not a 404: that would speak of the URL of the request.
                let text = format!("{id:?} names nothing that this service has.");
                return Err(ApiError::new(Code::InvalidUrl, text).target(id).into());
            }
            Err(error) => return Err(error.target(id).into()),
        };
        let named = match entity(x, &rows).await {
            Ok(named) => named,
            Err(Halt::Refused(error)) if error.code() == Code::NotFound => {
                return Err(no_such_id(id).into());
            }
            Err(error) => return Err(error),
        };
        found.insert(id.to_owned(), named);
    }
    Ok(found)
}

/// An id may also be relative to the URL of the request: `../../Orders(5)` (Protocol 11.4.6.2).
fn below_request<'i>(x: &Exchange<'_>, id: &'i str) -> &'i str {
    let levels = x.request.path.matches('/').count();
    (0..levels)
        .try_fold(id, |rest, _| rest.strip_prefix("../"))
        .unwrap_or(id)
}

/// The entity that an id names does not exist, as far as this service shows it.
pub(super) fn no_such_id(id: &str) -> ApiError {
    ApiError::new(
        Code::ReferenceConstraint,
        format!("There is no entity with the id {id:?}."),
    )
    .target(id)
}

/// The relation that the last step of a path follows, with the exposed table where it starts. `None` if the path has one step.
pub(super) fn relation<'x>(x: &Exchange<'x>, rows: &Rows) -> Option<(usize, &'x Relation)> {
    let [.., from, last] = rows.steps.as_slice() else {
        return None;
    };
    let navigation = &x.model.navigations(from.collection)[last.navigation?];
    Some((
        from.collection,
        x.model.relation(from.collection, navigation),
    ))
}

/// The exposed table whose rows say who is related.
pub(super) fn relation_owner(x: &Exchange<'_>, rows: &Rows) -> usize {
    match relation(x, rows) {
        Some((from, relation)) if relation.owns_key => from,
        _ => rows.last().collection,
    }
}

/// The operator's filter: the rows that a request may touch.
pub(super) fn scope(x: &Exchange<'_>, collection: usize) -> Result<Option<Expr>, Halt> {
    let rows = rows_by_key(collection, None);
    let bound = bind::bind(&context(x), &rows, None, &QueryOptions::default())?;
    Ok(bound.query.filter)
}

/// Aliases of the request mean nothing in what it does not bind itself.
fn context<'x>(x: &Exchange<'x>) -> Context<'x> {
    Context::new(x.model, &x.core.settings.limits, &[], x.request.now())
}

/// The position in the entity model of an exposed table that has a key.
pub(super) fn set(x: &Exchange<'_>, collection: usize) -> Result<usize, ApiError> {
    match x.model.collection(collection).kind {
        CollectionKind::EntitySet(set) => Ok(set),
        CollectionKind::Function(_) => Err(ApiError::method_not_allowed("GET, HEAD")),
    }
}

/// What the headers, and in 4.01 the body, demand of an entity (requirements 79 and 80).
///
/// # Errors
///
/// 428 if the set demands that a change names the state that it is based on, and this one does not.
pub(super) fn condition(
    x: &Exchange<'_>,
    collection: usize,
    body_etag: Option<&str>,
) -> Result<Condition, ApiError> {
    let conditions = &x.request.conditions;
    let from_headers = match (&conditions.if_match, &conditions.if_none_match) {
        // Neither an insert nor an update is left (Protocol 11.4.4).
        (Some(_), Some(Tags::Any)) => return Err(Error::PreconditionFailed.into()),
        (Some(Tags::List(tags)), Some(Tags::List(none))) => {
            let mut tags = tags.clone();
            tags.retain(|tag| !none.contains(tag));
            Condition::Matches(tags)
        }
        (Some(Tags::Any), _) => Condition::Exists,
        (Some(Tags::List(tags)), _) => Condition::Matches(tags.clone()),
        (None, Some(Tags::Any)) => Condition::Absent,
        (None, Some(Tags::List(tags))) => Condition::MatchesNone(tags.clone()),
        (None, None) => Condition::None,
    };
    // Requirement 80: in a 4.0 body it says nothing.
    let from_body = body_etag
        .filter(|tag| *tag != "*" && x.request.versions.request >= Version::V4_01)
        .map(|tag| {
            conditional::parse_tag(tag)
                .into_iter()
                .collect::<Vec<u64>>()
        });
    let condition = both(from_headers, from_body);
    let set = &x.model.edm().entity_sets()[set(x, collection)?];
    let names_state = !matches!(condition, Condition::None | Condition::MatchesNone(_));
    if set.requires_etag && !names_state {
        return Err(ApiError::new(
            Code::PreconditionRequired,
            format!(
                "Entities of {} are changed only with the header If-Match: send the ETag that you have read.",
                set.name
            ),
        )
        .target("If-Match"));
    }
    Ok(condition)
}

fn both(headers: Condition, body: Option<Vec<u64>>) -> Condition {
    let Some(mut tags) = body else {
        return headers;
    };
    match headers {
        Condition::None | Condition::Exists => {}
        // What must not exist has no state to agree with.
        Condition::Absent => return Condition::Absent,
        Condition::Matches(listed) => tags.retain(|tag| listed.contains(tag)),
        Condition::MatchesNone(listed) => tags.retain(|tag| !listed.contains(tag)),
    }
    Condition::Matches(tags)
}

pub(super) fn not_found(x: &Exchange<'_>, collection: usize) -> ApiError {
    ApiError::new(
        Code::NotFound,
        format!("There is no such entity in {}.", x.model.name(collection)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirement_80_headers_and_body_must_both_hold() {
        use Condition as C;
        for (headers, body, expected) in [
            (C::None, None, C::None),
            (C::Absent, None, C::Absent),
            (C::None, Some(vec![1]), C::Matches(vec![1])),
            (C::Exists, Some(vec![1]), C::Matches(vec![1])),
            (C::Absent, Some(vec![1]), C::Absent),
            (C::Matches(vec![1, 2]), Some(vec![1]), C::Matches(vec![1])),
            (C::Matches(vec![2]), Some(vec![1]), C::Matches(vec![])),
            (C::MatchesNone(vec![2]), Some(vec![1]), C::Matches(vec![1])),
            (C::MatchesNone(vec![1]), Some(vec![1]), C::Matches(vec![])),
            // A tag that this service never issued.
            (C::None, Some(vec![]), C::Matches(vec![])),
        ] {
            assert_eq!(
                both(headers.clone(), body.clone()),
                expected,
                "{headers:?} {body:?}"
            );
        }
    }
}
