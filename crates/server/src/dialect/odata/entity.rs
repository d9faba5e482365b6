//! Single entities and references to them (Protocol 11.2.1, 11.2.8; requirements 78 and 79).

use std::sync::Arc;

use highwater_core::Query;
use highwater_odata::payload::{ETag, MetadataLevel, PageEnd, Root};
use http::StatusCode;
use http::header::ETAG;

use super::nested::nested_links;
use super::page::{NestedLinks, PageSink};
use super::round::plan;
use super::{Exchange, ids};
use crate::bind::{self, BoundQuery, Rows, What};
use crate::failure::Halt;
use crate::http::answer::{Answer, Caching};
use crate::http::conditional::Verdict;
use crate::http::error::{ApiError, Code};
use crate::http::prefer::{Applied, OmitValues};

pub(super) async fn read(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let format = x.json_format()?;
    let source = x.source(rows).await?;
    let options = &x.request.url.options;
    let mut bound = bind::bind(&x.context(), rows, source.as_ref(), options)?;
    let root = match rows.what {
        What::Reference => Root::Reference,
        _ => Root::Entity,
    };
    want_etags(x, &mut bound, format.payload.metadata);
    bound.query.etag = root == Root::Entity;
    let links = match bound.query.expand.is_empty() {
        true => NestedLinks::default(),
        false => nested_links(x, &bound, options),
    };
    let expands = !bound.query.expand.is_empty();
    let plan = plan(x, &bound, root, format);
    let sink = PageSink::new(Arc::new(plan), Arc::new(links));
    let page = PageSink::from_store(x.read_one(bound.query, Box::new(sink)).await?);
    if page.items() == 0 {
        return missing(x, rows);
    }
    let tag = page.first_etag();
    match tag.map(|tag| x.request.conditions.verdict(tag)) {
        Some(Verdict::Failed) => return Err(highwater_core::Error::PreconditionFailed.into()),
        Some(Verdict::NotModified) if !expands => {
            return Ok(
                tagged(Answer::empty(StatusCode::NOT_MODIFIED), tag).caching(Caching::NoCache)
            );
        }
        _ => {}
    }
    let mut applied = Applied::default();
    if x.request.prefer.omit_values == Some(OmitValues::Nulls) && root == Root::Entity {
        applied.omit_values(OmitValues::Nulls);
    }
    let answer = Answer::ok(&format.content_type(), page.finish(PageEnd::Complete))
        .applied(&applied)
        .caching(Caching::NoCache);
    // The tag says nothing about related entities, so it cannot vouch for an answer that shows them.
    Ok(tagged(answer, tag.filter(|_| !expands)))
}

fn tagged(answer: Answer, etag: Option<u64>) -> Answer {
    match etag {
        Some(tag) => answer.header(ETAG, &ETag(tag).to_string()),
        None => answer,
    }
}

/// `$entity?$id=…` (Protocol 11.2.2).
pub(super) async fn read_by_id(x: &Exchange<'_>) -> Result<Answer, Halt> {
    let id = x.request.url.options.id.as_deref().unwrap_or_default();
    let rows = ids::rows_of(x, id).map_err(|error| error.target("$id"))?;
    read(x, &rows).await
}

/// The answer where there is no entity: a navigation property without a related entity is 204, everything else 404
/// (requirement 84).
pub(super) fn missing(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let step = rows.last();
    if step.navigation.is_some() && step.key.is_none() {
        return Ok(Answer::empty(StatusCode::NO_CONTENT));
    }
    Err(ApiError::new(
        Code::NotFound,
        format!(
            "There is no such entity in {}.",
            x.model.name(step.collection)
        ),
    )
    .into())
}

/// Asks for the entity tags of entities that clients can change, at every level, where the answer can show them
/// (requirement 45).
pub(super) fn want_etags(x: &Exchange<'_>, bound: &mut BoundQuery, level: MetadataLevel) {
    if level != MetadataLevel::None {
        want(x, &mut bound.query);
    }
}

fn want(x: &Exchange<'_>, query: &mut Query) {
    let collection = x.model.collection_of_table(query.table);
    query.etag = collection.is_some_and(|it| !x.model.collection(it).read_only);
    for expand in &mut query.expand {
        if expand.mode == highwater_core::ExpandMode::Entities {
            want(x, &mut expand.query);
        }
    }
}
