//! Request bodies: media type, JSON, and what is wrong with them in words for the caller.

use highwater_odata::payload::{self, EntityBody, ReadError, ReadErrorKind};
use highwater_odata::{Value, literal};

use crate::dialect::odata::Exchange;
use crate::http::accept;
use crate::http::error::{ApiError, Code};
use crate::model::naming;

/// An entity of a set (by its position in the entity model).
pub(super) fn entity(x: &Exchange<'_>, set: usize) -> Result<EntityBody, ApiError> {
    check_json(x)?;
    payload::read_entity(x.model.edm(), set, &x.request.body.bytes)
        .map_err(|error| refuse(x, error))
}

/// `{"value":…}`
pub(super) fn property(
    x: &Exchange<'_>,
    collection: usize,
    property: usize,
) -> Result<Value, ApiError> {
    check_json(x)?;
    let property = &x.model.properties(collection)[property];
    payload::read_property(property, &x.request.body.bytes).map_err(|error| refuse(x, error))
}

/// `{"@id":…}`
pub(super) fn reference(x: &Exchange<'_>) -> Result<String, ApiError> {
    check_json(x)?;
    payload::read_reference(&x.request.body.bytes).map_err(|error| refuse(x, error))
}

/// `{"value":[{"@id":…}]}`
pub(super) fn references(x: &Exchange<'_>) -> Result<Vec<String>, ApiError> {
    check_json(x)?;
    payload::read_references(&x.request.body.bytes).map_err(|error| refuse(x, error))
}

/// The body of a `PUT` to `/$value`, in the form of the property's type.
pub(super) fn raw_value(
    x: &Exchange<'_>,
    collection: usize,
    property: usize,
) -> Result<Value, ApiError> {
    use highwater_odata::PrimitiveType as T;
    let property = &x.model.properties(collection)[property];
    let media_type = accept::body_media_type(x.headers());
    let body = &x.request.body.bytes;
    if property.ty == T::Binary
        || (property.ty == T::Any && media_type == "application/octet-stream")
    {
        return Ok(Value::Binary(body.to_vec()));
    }
    if media_type != "text/plain" {
        return Err(ApiError::new(
            Code::UnsupportedMediaType,
            "The raw value of this property is text/plain.",
        )
        .target("Content-Type"));
    }
    let text = std::str::from_utf8(body).map_err(|_| {
        ApiError::new(Code::InvalidBody, "The body must be UTF-8.").target(&property.name)
    })?;
    literal::parse_primitive(property.ty, text).map_err(|error| {
        ApiError::new(Code::InvalidBody, format!("{error}.")).target(&property.name)
    })
}

fn check_json(x: &Exchange<'_>) -> Result<(), ApiError> {
    accept::json_body(x.headers(), x.request.versions.request).map(drop)
}

fn refuse(x: &Exchange<'_>, error: ReadError) -> ApiError {
    let mut text = error.message;
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    let code = match error.kind {
        ReadErrorKind::TooLong => Code::BodyTooLarge,
        ReadErrorKind::UnknownMember { set, name } => {
            let known = x.model.edm().set_type(set).member_names();
            if let Some(nearest) = naming::nearest(&name, known) {
                text.push_str(&format!(" Did you mean {nearest}?"));
            }
            Code::UnknownProperty
        }
        ReadErrorKind::Syntax
        | ReadErrorKind::TooDeep
        | ReadErrorKind::Duplicate
        | ReadErrorKind::Mismatch => Code::InvalidBody,
    };
    let refused = ApiError::new(code, text);
    if error.path.is_empty() {
        refused
    } else {
        refused.target(error.path)
    }
}
