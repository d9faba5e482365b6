//! Reading one page of an answer, strictly: what the standard leaves open, Highwater has decided, and other forms are defects.
//!
//! Numbers in comments are requirements of the OData protocol reference. What must hold: nothing in a page is ignored that
//! could make a client's copy wrong. What is deliberately absent: what the page means for a copy (see `client`).

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::http::Response;
use crate::key::{EntityKey, KeyPart, from_id};
use crate::query::{ClientQuery, Version};
use crate::render::{Canon, received};

/// The selected properties of an entity.
pub type Entity = BTreeMap<String, Canon>;

/// An item of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The entity is in the answer and looks like this.
    Present(Entity),
    /// The entity left the answer.
    Removed {
        /// Whether the row is gone, as opposed to outside the query.
        deleted: bool,
    },
}

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// In order.
    pub items: Vec<(EntityKey, Item)>,
    /// The link to the next page.
    pub next: Option<String>,
    /// The link to the next round.
    pub delta: Option<String>,
}

/// Which part of a round a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A first round.
    First,
    /// A later round.
    Delta,
}

/// Reads a page.
///
/// # Errors
///
/// What is wrong with it.
pub fn read(response: &Response, query: &ClientQuery, part: Part) -> Result<Page, String> {
    if response.status != 200 {
        return Err(format!("status {}", response.status));
    }
    let version = query.version;
    // Requirement 57.
    if response.header("odata-version") != Some(version.text()) {
        return Err(format!(
            "OData-Version is {:?}",
            response.header("odata-version")
        ));
    }
    let body: Json = serde_json::from_slice(&response.body).map_err(|error| error.to_string())?;
    let body = body.as_object().ok_or("the page is no object")?;
    let control = |name: &str| {
        body.get(&format!("{}{name}", version.prefix()))
            .and_then(Json::as_str)
    };
    let context = control("context").ok_or("no context")?;
    // Requirement 42.
    if (part == Part::Delta) != context.ends_with("/$delta") {
        return Err(format!("context {context:?}"));
    }
    let values = body
        .get("value")
        .and_then(Json::as_array)
        .ok_or("no value")?;
    let page = Page {
        items: values
            .iter()
            .map(|json| item(json, query))
            .collect::<Result<_, _>>()?,
        next: control("nextLink").map(str::to_owned),
        delta: control("deltaLink").map(str::to_owned),
    };
    // Requirement 6.
    if page.next.is_some() == page.delta.is_some() {
        return Err(format!(
            "next link {:?}, delta link {:?}",
            page.next, page.delta
        ));
    }
    Ok(page)
}

fn item(json: &Json, query: &ClientQuery) -> Result<(EntityKey, Item), String> {
    let object = json
        .as_object()
        .ok_or_else(|| format!("{json} is no object"))?;
    let read = match removal(object, query)? {
        Some(deleted) => removed(object, query).map(|key| (key, Item::Removed { deleted })),
        None => entity(object, query),
    };
    read.map_err(|error| format!("{error} in {json}"))
}

/// Whether the item is a removal, and then whether the row is gone.
fn removal(object: &Map<String, Json>, query: &ClientQuery) -> Result<Option<bool>, String> {
    let reason = match query.version {
        Version::V4_0 => {
            let context = object.get("@odata.context").and_then(Json::as_str);
            if !context.is_some_and(|context| context.ends_with("/$deletedEntity")) {
                return Ok(None);
            }
            object.get("reason")
        }
        Version::V4_01 => match object.get("@removed") {
            None => return Ok(None),
            Some(removed) => removed.get("reason"),
        },
    };
    match reason.and_then(Json::as_str) {
        Some("deleted") => Ok(Some(true)),
        Some("changed") => Ok(Some(false)),
        other => Err(format!("reason {other:?}")),
    }
}

fn removed(object: &Map<String, Json>, query: &ClientQuery) -> Result<EntityKey, String> {
    // Section 6.3 of the reference: `id` is a plain property in 4.0, even if the entity has a property of that name.
    let name = match query.version {
        Version::V4_0 => "id",
        Version::V4_01 => "@id",
    };
    if let Some(key) = by_id(object, name, query)? {
        return Ok(key);
    }
    key_of(&properties(object, query)?, query).ok_or_else(|| "no id and no key".to_owned())
}

fn entity(object: &Map<String, Json>, query: &ClientQuery) -> Result<(EntityKey, Item), String> {
    let mut all = properties(object, query)?;
    let by_properties = key_of(&all, query);
    let by_id = by_id(object, &format!("{}id", query.version.prefix()), query)?;
    let key = match (by_properties, by_id) {
        (Some(one), Some(other)) if one != other => {
            return Err(format!("key {one:?}, but id {other:?}"));
        }
        (one, other) => one.or(other).ok_or("no id and no key")?,
    };
    // Key properties come along although they are not selected.
    all.retain(|name, _| query.shows(name));
    // Requirement 47, and more than it asks for: changed entities are whole too.
    let missing = query
        .set
        .properties
        .iter()
        .find(|p| query.shows(&p.name) && !all.contains_key(&p.name));
    if let Some(missing) = missing {
        return Err(format!("{} is missing", missing.name));
    }
    Ok((key, Item::Present(all)))
}

/// The declared properties in an item.
fn properties(object: &Map<String, Json>, query: &ClientQuery) -> Result<Entity, String> {
    let mut all = Entity::new();
    for property in &query.set.properties {
        let Some(json) = object.get(&property.name) else {
            continue;
        };
        let annotation = format!("{}{}type", property.name, query.version.prefix());
        let annotation = object.get(&annotation).and_then(Json::as_str);
        let value = received(json, annotation, &property.ty, query.ieee754)
            .map_err(|error| format!("{}: {error}", property.name))?;
        all.insert(property.name.clone(), value);
    }
    Ok(all)
}

fn key_of(all: &Entity, query: &ClientQuery) -> Option<EntityKey> {
    let parts = query.set.key.iter().map(|name| KeyPart::of(all.get(name)?));
    Some(EntityKey(parts.collect::<Option<_>>()?))
}

fn by_id(
    object: &Map<String, Json>,
    name: &str,
    query: &ClientQuery,
) -> Result<Option<EntityKey>, String> {
    match object.get(name) {
        None => Ok(None),
        Some(Json::String(id)) => match from_id(id, &query.set) {
            Some(key) => Ok(Some(key)),
            None => Err(format!("id {id:?}")),
        },
        Some(other) => Err(format!("id {other}")),
    }
}
