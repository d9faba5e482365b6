//! JSON payloads: writing answers and reading request bodies (JSON Format 4.01).
//!
//! What must hold: whole numbers and decimals never pass through a float on either side; a page goes from borrowed values to bytes
//! without a tree in between; everything that is written can be read back here as the same values.
//! What is deliberately absent: links (the caller makes them), media type negotiation, reading of delta answers.

pub mod document;
pub mod error;
pub mod etag;
pub mod format;
pub mod page;
pub mod plan;
pub mod reader;

mod convert;
mod entity_id;
mod json;
mod scalar;

pub(crate) mod text;

pub use document::{RawValue, property_body, raw_value, service_document};
pub use entity_id::{canonical_path, entity_id};
pub use error::{ErrorBody, ErrorDetail};
pub use etag::ETag;
pub use format::{Format, MetadataLevel};
pub use page::{PageEnd, PageWriter, RemovedReason};
pub use plan::{ExpandMode, ExpandShape, Plan, PlanParams, Root, Shape, Target};
pub use reader::{
    Bind, EntityBody, Item, ReadError, ReadErrorKind, Related, RelatedContent, read_entity,
    read_property, read_reference, read_references,
};
