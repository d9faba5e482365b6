//! Single properties and their raw values (Protocol 11.2.4).

use highwater_core::Error;
use highwater_odata::Value;
use highwater_odata::payload::{self, ETag};
use http::StatusCode;
use http::header::ETAG;

use super::{Exchange, entity};
use crate::bind::{self, Rows};
use crate::failure::Halt;
use crate::http::accept::{self, JsonFormat};
use crate::http::answer::{Answer, Caching};
use crate::http::conditional::Verdict;
use crate::http::error::ApiError;
use crate::model::CollectionKind;

/// What a row says about a property.
struct Found {
    value: Value,
    /// Of the entity's key properties, in key order.
    key: Vec<Value>,
    etag: Option<u64>,
}

pub(super) async fn read(x: &Exchange<'_>, rows: &Rows, position: usize) -> Result<Answer, Halt> {
    let format = x.json_format()?;
    let Some(found) = find(x, rows).await? else {
        return entity::missing(x, rows);
    };
    if let Some(answer) = not_modified(x, &found)? {
        return Ok(answer);
    }
    write(x, rows, position, format, &found)
}

/// The property as it is now, whatever the conditions of the request; `None` if there is no such entity.
pub(super) async fn show(
    x: &Exchange<'_>,
    rows: &Rows,
    position: usize,
    format: JsonFormat,
) -> Result<Option<Answer>, Halt> {
    match find(x, rows).await? {
        Some(found) => write(x, rows, position, format, &found).map(Some),
        None => Ok(None),
    }
}

fn write(
    x: &Exchange<'_>,
    rows: &Rows,
    position: usize,
    format: JsonFormat,
    found: &Found,
) -> Result<Answer, Halt> {
    if found.value == Value::Null {
        return Ok(tagged(Answer::empty(StatusCode::NO_CONTENT), found.etag));
    }
    let collection = rows.last().collection;
    let property = &x.model.properties(collection)[position];
    let CollectionKind::EntitySet(set) = x.model.collection(collection).kind else {
        return Err(ApiError::internal("a row without a key was addressed").into());
    };
    let path = payload::canonical_path(x.model.edm(), set, &found.key);
    let context = x.urls().property(&path, &property.name);
    let body = payload::property_body(format.payload, &context, property.ty, found.value.as_ref());
    let answer = Answer::ok(&format.content_type(), body);
    Ok(tagged(answer, found.etag))
}

/// `/$value`. There is no negotiation: the type of the value decides about the media type.
pub(super) async fn read_raw(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let Some(found) = find(x, rows).await? else {
        return entity::missing(x, rows);
    };
    if let Some(answer) = not_modified(x, &found)? {
        return Ok(answer);
    }
    let answer = match payload::raw_value(found.value.as_ref()) {
        Some(raw) => Answer::ok(
            &accept::raw_content_type(raw.media_type, x.headers()),
            raw.body,
        ),
        None => Answer::empty(StatusCode::NO_CONTENT),
    };
    Ok(tagged(answer, found.etag))
}

async fn find(x: &Exchange<'_>, rows: &Rows) -> Result<Option<Found>, Halt> {
    let source = x.source(rows).await?;
    let mut bound = bind::bind(&x.context(), rows, source.as_ref(), &x.request.url.options)?;
    bound.query.etag = true;
    let column = bound.query.columns.first().copied();
    let row = x.first_row(bound.query).await?;
    let (Some(values), Some(column)) = (row.values, column) else {
        return Ok(None);
    };
    let key = &x.model.table(rows.last().collection).key;
    Ok(Some(Found {
        value: values[column].clone(),
        key: key.iter().map(|&column| values[column].clone()).collect(),
        etag: row.etag,
    }))
}

/// A property has the tag of its entity.
fn not_modified(x: &Exchange<'_>, found: &Found) -> Result<Option<Answer>, Halt> {
    let Some(tag) = found.etag else {
        return Ok(None);
    };
    match x.request.conditions.verdict(tag) {
        Verdict::Proceed => Ok(None),
        Verdict::NotModified => Ok(Some(tagged(
            Answer::empty(StatusCode::NOT_MODIFIED),
            found.etag,
        ))),
        Verdict::Failed => Err(Error::PreconditionFailed.into()),
    }
}

fn tagged(answer: Answer, etag: Option<u64>) -> Answer {
    let answer = answer.caching(Caching::NoCache);
    match etag {
        Some(tag) => answer.header(ETAG, &ETag(tag).to_string()),
        None => answer,
    }
}
