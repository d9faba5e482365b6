//! Service document and metadata (Protocol 11.1; requirements 97 to 100).

use highwater_odata::csdl;
use highwater_odata::payload::{self, ETag};
use http::header::ETAG;
use http::{Method, StatusCode};

use super::{Exchange, READ_METHODS};
use crate::failure::Halt;
use crate::http::accept::{self, Format, Offer};
use crate::http::answer::{Answer, Caching};
use crate::http::conditional::Verdict;
use crate::http::error::{ApiError, Code};

pub(super) fn service_document(x: &Exchange<'_>) -> Result<Answer, Halt> {
    check(x)?;
    let format = x.json_format()?;
    let body = payload::service_document(x.model.edm(), format.payload, &x.urls().metadata());
    Ok(Answer::ok(&format.content_type(), body).caching(Caching::NoCache))
}

pub(super) fn metadata(x: &Exchange<'_>) -> Result<Answer, Halt> {
    check(x)?;
    let version = x.request.versions.response;
    let format = accept::negotiate(
        &[Offer::Xml, Offer::Json],
        x.request.url.options.format.as_deref(),
        x.headers(),
        version,
    )?;
    let (media_type, body) = match format {
        // Metadata documents have no metadata level.
        Format::Json(_) => (
            "application/json",
            csdl::json::metadata_document(x.model.edm(), version),
        ),
        Format::Xml => (
            "application/xml",
            csdl::xml::metadata_document(x.model.edm(), version),
        ),
    };
    let etag = xxhash_rust::xxh3::xxh3_64(&body);
    let answer = match x.request.conditions.verdict(etag) {
        Verdict::Proceed => Answer::ok(media_type, body),
        Verdict::NotModified => Answer::empty(StatusCode::NOT_MODIFIED),
        Verdict::Failed => {
            return Err(ApiError::new(
                Code::PreconditionFailed,
                "The metadata document has changed.",
            )
            .into());
        }
    };
    Ok(answer
        .header(ETAG, &ETag(etag).to_string())
        .caching(Caching::NoCache))
}

/// Methods and options that these two have in common.
fn check(x: &Exchange<'_>) -> Result<(), ApiError> {
    if !matches!(x.request.method, Method::GET | Method::HEAD) {
        return Err(ApiError::method_not_allowed(READ_METHODS));
    }
    let options = &x.request.url.options;
    match options
        .system_names()
        .find(|name| !matches!(*name, "$format" | "$schemaversion"))
    {
        None => Ok(()),
        Some(name) => Err(ApiError::new(
            Code::QueryOptionNotAllowed,
            format!("{name} does not apply to this resource. Leave it out."),
        )
        .target(name)),
    }
}
