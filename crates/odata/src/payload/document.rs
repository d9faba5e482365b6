//! Small payloads that are not made of rows: service document, single property, raw value (JSON Format 5 and 11, Protocol 11.2.4).

use super::entity_id::escape_segment;
use super::format::{Format, MetadataLevel};
use super::page::is_shown_by_json;
use super::plan::write_control;
use super::scalar::Encoding;
use super::text::write_string;
use crate::edm::Model;
use crate::{PrimitiveType, ValueRef, Version};

/// The service document. `context` is the URL of the metadata document.
///
/// `kind` is written for entity sets too, although it is their default: some clients look for it.
pub fn service_document(model: &Model, format: Format, context: &str) -> Vec<u8> {
    let mut out = opening(format, context);
    out.extend_from_slice(b"\"value\":[");
    let sets = model.entity_sets().iter().map(|set| {
        let url = escape_segment(&set.name);
        (set.name.as_str(), "EntitySet", url)
    });
    let functions = model.function_imports().iter().map(|function| {
        let name = escape_segment(&function.name);
        // Only 4.01 lets a call without parameters go without parentheses (Protocol 13.2.1, number 9).
        let url = match format.version {
            Version::V4_0 => name + "()",
            Version::V4_01 => name,
        };
        (function.name.as_str(), "FunctionImport", url)
    });
    let mut separator = "";
    for (name, kind, url) in sets.chain(functions) {
        out.extend_from_slice(separator.as_bytes());
        separator = ",";
        out.extend_from_slice(b"{\"name\":");
        write_string(&mut out, name);
        out.extend_from_slice(b",\"kind\":");
        write_string(&mut out, kind);
        out.extend_from_slice(b",\"url\":");
        write_string(&mut out, &url);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// The answer to a request for a single property. `null` has no body but the status 204 (Protocol 11.2.4).
pub fn property_body(
    format: Format,
    context: &str,
    declared: PrimitiveType,
    value: ValueRef<'_>,
) -> Vec<u8> {
    let mut out = opening(format, context);
    let (ty, is_named) = match value.natural_type() {
        Some(natural) if !value.fits(declared) => (natural, true),
        _ => {
            let is_full = format.metadata == MetadataLevel::Full;
            (declared, is_full && !is_shown_by_json(value, declared))
        }
    };
    if is_named && format.metadata != MetadataLevel::None {
        write_control(&mut out, format.prefix(), "type");
        let hash = match format.version {
            Version::V4_0 => "#",
            Version::V4_01 => "",
        };
        write_string(&mut out, &format!("{hash}{}", ty.short_name()));
        out.push(b',');
    }
    out.extend_from_slice(b"\"value\":");
    Encoding::new(&format).write(&mut out, value, ty);
    out.push(b'}');
    out
}

/// A value without JSON around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawValue {
    /// For `Content-Type`. Text is in UTF-8, which is only said to those who ask for it (Protocol 8.2.1).
    pub media_type: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

/// The answer to a request for `/$value`; `None` for `null`, which is 204 (Protocol 11.2.4.1).
pub fn raw_value(value: ValueRef<'_>) -> Option<RawValue> {
    let text = |body: Vec<u8>| {
        Some(RawValue {
            media_type: "text/plain",
            body,
        })
    };
    match value {
        ValueRef::Null => None,
        ValueRef::Binary(bytes) => Some(RawValue {
            media_type: "application/octet-stream",
            body: bytes.to_vec(),
        }),
        ValueRef::String(value) | ValueRef::Lexical(_, value) => text(value.as_bytes().to_vec()),
        ValueRef::Boolean(value) => text(value.to_string().into_bytes()),
        ValueRef::Integer(value) => text(value.to_string().into_bytes()),
        ValueRef::Double(f64::INFINITY) => text(b"INF".to_vec()),
        ValueRef::Double(f64::NEG_INFINITY) => text(b"-INF".to_vec()),
        ValueRef::Double(value) => text(zmij::Buffer::new().format(value).as_bytes().to_vec()),
    }
}

fn opening(format: Format, context: &str) -> Vec<u8> {
    let mut out = vec![b'{'];
    if format.metadata != MetadataLevel::None {
        write_control(&mut out, format.prefix(), "context");
        write_string(&mut out, context);
        out.push(b',');
    }
    out
}
