//! Reading request bodies: entities with everything nested in them, single properties, references (JSON Format 4.5, 6 to 8, 14, 15).
//!
//! What must hold: every name in the result is resolved and every value has its type; what is unknown but harmless (annotations, items
//! 54 and 55) is skipped, what is unknown and meant for the data is an error; depth and size are bounded.
//! What is deliberately absent: whether a property may be set, is required or may be `null`, and how often a relation may be bound.
//! That is known to the database, whose answer names the column.
//!
//! Control information is accepted with and without the prefix `odata.` in every version: real clients mix them (item 55).

use std::collections::{HashMap, HashSet};

use super::convert::to_value;
use super::json::{Json, Kind};
use super::page::RemovedReason;
use crate::edm::{EntityType, Member, Model, Property};
use crate::{PrimitiveType, Value};

/// Longest body. Callers may allow less.
pub const BODY_LEN_MAX_BYTES: usize = 16 << 20;

/// How deep entities may nest in entities. Each level costs another look at the text of those inside.
pub const BODY_DEPTH_MAX: usize = 16;

/// An entity in a request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EntityBody {
    /// The id, as a relative or absolute URL. `null`, which a new entity may have, counts as none.
    pub id: Option<String>,
    /// The entity tag that the client believes in, or `*`. A 4.0 service must ignore it (item 80).
    pub etag: Option<String>,
    /// Positions of properties and their values, in the order of the body.
    pub properties: Vec<(usize, Value)>,
    /// Relations to existing entities (`Nav@odata.bind`).
    pub binds: Vec<Bind>,
    /// Related entities.
    pub related: Vec<Related>,
}

/// Existing entities that a navigation property shall lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// Position of the navigation property.
    pub navigation: usize,
    /// Ids, as relative or absolute URLs: exactly one for a single-valued property, or none if it was `null`.
    pub ids: Vec<String>,
}

/// Related entities inside an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// Position of the navigation property.
    pub navigation: usize,
    /// What it holds.
    pub content: RelatedContent,
}

/// What a navigation property holds.
#[derive(Clone, Debug, PartialEq)]
pub enum RelatedContent {
    /// `null`
    Null,
    /// The content of a single-valued navigation property.
    Single(Box<Item>),
    /// The whole content of a collection-valued navigation property.
    Collection(Vec<Item>),
    /// Changes to the content of a collection-valued navigation property (`Nav@delta`).
    Delta(Vec<Item>),
}

/// An entity inside another one.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// An existing entity, by its id, unchanged.
    Reference(String),
    /// An entity; an existing one if it has an id or its key.
    Entity(EntityBody),
    /// An entity that leaves, in a delta only. It has an id or its key.
    Removed(EntityBody, Option<RemovedReason>),
}

/// Why a body cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReadError {
    /// What the caller can do about it.
    pub kind: ReadErrorKind,
    /// Where, as a path of names and positions such as `Orders/0/Amount`; empty for the body as a whole.
    pub path: String,
    /// A sentence for a person.
    pub message: String,
}

/// The kinds of unusable bodies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadErrorKind {
    /// It is no JSON in UTF-8.
    Syntax,
    /// It is longer than [`BODY_LEN_MAX_BYTES`].
    TooLong,
    /// Entities nest deeper than [`BODY_DEPTH_MAX`].
    TooDeep,
    /// There is no such property or navigation property.
    UnknownMember {
        /// Position of the entity set whose type was searched.
        set: usize,
        /// The name.
        name: String,
    },
    /// A member stands there twice.
    Duplicate,
    /// A value does not have the type, or a member not the shape, that it must have.
    Mismatch,
}

/// Reads an entity of a set.
///
/// # Errors
///
/// See [`ReadErrorKind`].
pub fn read_entity(model: &Model, set: usize, body: &[u8]) -> Result<EntityBody, ReadError> {
    let path = Path::ROOT;
    let object = members(&path, parse(body)?)?;
    let reader = EntityReader {
        model,
        set,
        depth: 0,
    };
    let (entity, removed) = reader.read(&path, object)?;
    match removed {
        None => Ok(entity),
        Some(_) => Err(path.mismatch("a removed entity cannot stand here; use DELETE")),
    }
}

/// Reads the value of a single property, `{"value":…}`.
///
/// # Errors
///
/// See [`ReadErrorKind`].
pub fn read_property(property: &Property, body: &[u8]) -> Result<Value, ReadError> {
    let path = Path::ROOT;
    let mut annotated = None;
    let mut value = None;
    for (name, json) in members(&path, parse(body)?)? {
        match Name::of(&name) {
            Name::Control("type") | Name::MemberControl("value", "type") => annotated = Some(json),
            Name::Member("value") => value = Some(json),
            Name::Member(_) => {
                let message = format!("expected the member \"value\" only, found {name:?}");
                return Err(path.mismatch(message));
            }
            Name::Control(_) | Name::MemberControl(..) | Name::Ignored => {}
        }
    }
    let value = value.ok_or_else(|| path.mismatch("the member \"value\" is missing"))?;
    typed_value(&path.then(&property.name), property, annotated, value)
}

/// Reads an entity reference, `{"@odata.id":…}`; gives the id.
///
/// # Errors
///
/// See [`ReadErrorKind`].
pub fn read_reference(body: &[u8]) -> Result<String, ReadError> {
    reference(&Path::ROOT, parse(body)?)
}

/// Reads a collection of entity references, `{"value":[{"@odata.id":…}]}`; gives the ids.
///
/// # Errors
///
/// See [`ReadErrorKind`].
pub fn read_references(body: &[u8]) -> Result<Vec<String>, ReadError> {
    let path = Path::ROOT;
    let value = members(&path, parse(body)?)?
        .into_iter()
        .find_map(|(name, json)| (name == "value").then_some(json))
        .ok_or_else(|| path.mismatch("the member \"value\" is missing"))?;
    let path = path.then("value");
    let items = array(&path, value)?.into_iter().enumerate();
    items
        .map(|(position, json)| reference(&path.then(&position.to_string()), json))
        .collect()
}

fn reference(path: &Path<'_>, json: Json<'_>) -> Result<String, ReadError> {
    let id = members(path, json)?
        .into_iter()
        .find_map(|(name, json)| (Name::of(&name) == Name::Control("id")).then_some(json));
    match id {
        Some(json) => string(&path.then("@id"), json),
        None => Err(path.mismatch("expected an entity reference such as {\"@id\":\"Set(1)\"}")),
    }
}

/// What the name of a member says (JSON Format 4.5 and 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name<'a> {
    /// `Name`
    Member(&'a str),
    /// `@type`, `@odata.type`
    Control(&'a str),
    /// `Name@type`, `Name@odata.type`
    MemberControl(&'a str, &'a str),
    /// An annotation, or an operation that an answer with full metadata advertises.
    Ignored,
}

impl Name<'_> {
    fn of(name: &str) -> Name<'_> {
        if name.starts_with('#') {
            return Name::Ignored;
        }
        let Some((member, term)) = name.split_once('@') else {
            return Name::Member(name);
        };
        let control = term.strip_prefix("odata.").unwrap_or(term);
        // Terms of vocabularies have a namespace, control information has none.
        if control.contains('.') {
            Name::Ignored
        } else if member.is_empty() {
            Name::Control(control)
        } else {
            Name::MemberControl(member, control)
        }
    }
}

/// Where in the body something is.
#[derive(Clone, Copy, Debug)]
struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    name: &'a str,
}

impl Path<'_> {
    const ROOT: Path<'static> = Path {
        parent: None,
        name: "",
    };

    fn then<'a>(&'a self, name: &'a str) -> Path<'a> {
        Path {
            parent: Some(self),
            name,
        }
    }

    fn text(&self) -> String {
        let parent = self.parent.map(Path::text).unwrap_or_default();
        match parent.is_empty() {
            true => self.name.to_owned(),
            false => format!("{parent}/{}", self.name),
        }
    }

    fn error(&self, kind: ReadErrorKind, message: impl Into<String>) -> ReadError {
        let (path, message) = (self.text(), message.into());
        let message = match path.is_empty() {
            true => format!("the request body is not valid: {message}"),
            false => format!("{path} in the request body is not valid: {message}"),
        };
        ReadError {
            kind,
            path,
            message,
        }
    }

    fn mismatch(&self, message: impl Into<String>) -> ReadError {
        self.error(ReadErrorKind::Mismatch, message)
    }
}

/// Reads entities of one set at one depth.
struct EntityReader<'m> {
    model: &'m Model,
    set: usize,
    depth: usize,
}

/// The presence of `@removed`, and the reason if it has one.
type Removal = Option<Option<RemovedReason>>;

impl<'m> EntityReader<'m> {
    fn read(
        &self,
        path: &Path<'_>,
        object: Vec<(String, Json<'_>)>,
    ) -> Result<(EntityBody, Removal), ReadError> {
        if self.depth > BODY_DEPTH_MAX {
            let message = format!("entities nest more than {BODY_DEPTH_MAX} deep");
            return Err(path.error(ReadErrorKind::TooDeep, message));
        }
        let ty = self.model.set_type(self.set);
        // An annotation may stand before or behind its property, so the types are collected first.
        let annotated: HashMap<&str, Json<'_>> = object
            .iter()
            .filter_map(|(name, json)| match Name::of(name) {
                Name::MemberControl(member, "type") => Some((member, *json)),
                _ => None,
            })
            .collect();
        let mut entity = EntityBody::default();
        let mut removal = None;
        for (name, json) in &object {
            let path = path.then(name);
            match Name::of(name) {
                Name::Ignored => {}
                Name::Control("id") => entity.id = optional_string(&path, *json)?,
                Name::Control("etag") => entity.etag = optional_string(&path, *json)?,
                Name::Control("type") => self.check_type(&path, ty, *json)?,
                Name::Control("removed") => removal = Some(removed_reason(*json)),
                Name::MemberControl(member, "bind") => {
                    let navigation = self.navigation(&path, ty, member)?;
                    let collection = ty.navigations()[navigation].collection;
                    let ids = bound_ids(&path, collection, *json)?;
                    entity.binds.push(Bind { navigation, ids });
                }
                Name::MemberControl(member, "delta") => {
                    let navigation = self.navigation(&path, ty, member)?;
                    let items = self.items(&path, ty, navigation, *json)?;
                    let content = RelatedContent::Delta(items);
                    entity.related.push(Related {
                        navigation,
                        content,
                    });
                }
                Name::Control(_) | Name::MemberControl(..) => {}
                Name::Member(member) => match ty.member(member) {
                    Some(Member::Property(position)) => {
                        let property = &ty.properties()[position];
                        let annotated = annotated.get(member).copied();
                        let value = typed_value(&path, property, annotated, *json)?;
                        entity.properties.push((position, value));
                    }
                    Some(Member::Navigation(navigation)) => {
                        let content = self.related(&path, ty, navigation, *json)?;
                        entity.related.push(Related {
                            navigation,
                            content,
                        });
                    }
                    None => return Err(self.unknown(&path, ty, member)),
                },
            }
        }
        Ok((entity, removal))
    }

    /// The content of a navigation property that is written in full.
    fn related(
        &self,
        path: &Path<'_>,
        ty: &EntityType,
        navigation: usize,
        json: Json<'_>,
    ) -> Result<RelatedContent, ReadError> {
        if ty.navigations()[navigation].collection {
            let items = self.items(path, ty, navigation, json)?;
            if items.iter().any(|item| matches!(item, Item::Removed(..))) {
                return Err(path.mismatch("removed entities can stand in a delta only"));
            }
            return Ok(RelatedContent::Collection(items));
        }
        if json.kind() == Kind::Null {
            return Ok(RelatedContent::Null);
        }
        match self.item(path, ty, navigation, json)? {
            Item::Removed(..) => Err(path.mismatch("removed entities can stand in a delta only")),
            item => Ok(RelatedContent::Single(Box::new(item))),
        }
    }

    fn items(
        &self,
        path: &Path<'_>,
        ty: &EntityType,
        navigation: usize,
        json: Json<'_>,
    ) -> Result<Vec<Item>, ReadError> {
        let items = array(path, json)?.into_iter().enumerate();
        items
            .map(|(position, json)| {
                self.item(&path.then(&position.to_string()), ty, navigation, json)
            })
            .collect()
    }

    fn item(
        &self,
        path: &Path<'_>,
        ty: &EntityType,
        navigation: usize,
        json: Json<'_>,
    ) -> Result<Item, ReadError> {
        let reader = EntityReader {
            model: self.model,
            set: ty.navigations()[navigation].target_set,
            depth: self.depth + 1,
        };
        let (mut entity, removal) = reader.read(path, members(path, json)?)?;
        if let Some(reason) = removal {
            return Ok(Item::Removed(entity, reason));
        }
        let has_content =
            !(entity.properties.is_empty() && entity.binds.is_empty() && entity.related.is_empty());
        match entity.id.take() {
            Some(id) if !has_content => Ok(Item::Reference(id)),
            id => Ok(Item::Entity(EntityBody { id, ..entity })),
        }
    }

    fn navigation(&self, path: &Path<'_>, ty: &EntityType, name: &str) -> Result<usize, ReadError> {
        ty.navigation(name)
            .ok_or_else(|| self.unknown(path, ty, name))
    }

    fn unknown(&self, path: &Path<'_>, ty: &EntityType, name: &str) -> ReadError {
        if ty.property(name).is_some() {
            return path.mismatch(format!("{name} is not a navigation property"));
        }
        let kind = ReadErrorKind::UnknownMember {
            set: self.set,
            name: name.to_owned(),
        };
        path.error(
            kind,
            format!("the type {} has no property {name:?}", ty.name()),
        )
    }

    /// The type, if somebody names it, must be the only one that there is.
    fn check_type(
        &self,
        path: &Path<'_>,
        ty: &EntityType,
        json: Json<'_>,
    ) -> Result<(), ReadError> {
        let text = string(path, json)?;
        // Either a fragment or a URL with a fragment; the hash may be missing.
        let name = text
            .rsplit_once('#')
            .map_or(text.as_str(), |(_, name)| name);
        let expected = format!("{}.{}", self.model.namespace(), ty.name());
        match name == expected {
            true => Ok(()),
            false => Err(path.mismatch(format!("expected the type #{expected}, found {text:?}"))),
        }
    }
}

/// A value with the type that the body names, or else the declared one.
fn typed_value(
    path: &Path<'_>,
    property: &Property,
    annotated: Option<Json<'_>>,
    json: Json<'_>,
) -> Result<Value, ReadError> {
    let ty = match annotated {
        None => property.ty,
        Some(annotation) => primitive_type(path, annotation)?,
    };
    let value = to_value(ty, json).map_err(|message| path.mismatch(message))?;
    if let (Value::Lexical(PrimitiveType::Decimal, text), Some(scale)) = (&value, property.scale) {
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        if fraction.trim_end_matches('0').len() > scale as usize {
            let message = format!("{text} has more than {scale} digits after the point");
            return Err(path.mismatch(message));
        }
    }
    Ok(value)
}

/// `#Int64`, `Int64`, `#Edm.Int64` or `Edm.Int64` (JSON Format 4.5.3).
fn primitive_type(path: &Path<'_>, json: Json<'_>) -> Result<PrimitiveType, ReadError> {
    let text = string(path, json)?;
    let name = text.strip_prefix('#').unwrap_or(&text);
    let name = name.strip_prefix("Edm.").unwrap_or(name);
    PrimitiveType::ALL
        .into_iter()
        .find(|ty| ty.short_name() == name)
        .ok_or_else(|| path.mismatch(format!("the type {text:?} is not supported")))
}

/// Extra members and other values are no error (items 37, 54 and 55): that `@removed` is there is what counts.
fn removed_reason(json: Json<'_>) -> Option<RemovedReason> {
    if json.kind() != Kind::Object {
        return None;
    }
    let members = json.members().ok()?;
    let (_, reason) = members.iter().find(|(name, _)| name == "reason")?;
    match reason.text() {
        "\"changed\"" => Some(RemovedReason::Changed),
        "\"deleted\"" => Some(RemovedReason::Deleted),
        _ => None,
    }
}

fn bound_ids(path: &Path<'_>, collection: bool, json: Json<'_>) -> Result<Vec<String>, ReadError> {
    if collection {
        let items = array(path, json)?.into_iter();
        return items.map(|json| string(path, json)).collect();
    }
    Ok(optional_string(path, json)?.into_iter().collect())
}

/// Checks the body as a whole.
fn parse(body: &[u8]) -> Result<Json<'_>, ReadError> {
    let path = Path::ROOT;
    if body.len() > BODY_LEN_MAX_BYTES {
        let message = format!("it is longer than {BODY_LEN_MAX_BYTES} bytes");
        return Err(path.error(ReadErrorKind::TooLong, message));
    }
    let syntax = |message: String| path.error(ReadErrorKind::Syntax, message);
    let text = std::str::from_utf8(body).map_err(|error| syntax(error.to_string()))?;
    // Some clients send a byte order mark, which a receiver may ignore (RFC 8259, section 8.1).
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Json::parse(text).map_err(|error| syntax(error.to_string()))
}

/// The members of an object, each of which must be there only once, whatever the spelling of its name.
fn members<'a>(path: &Path<'_>, json: Json<'a>) -> Result<Vec<(String, Json<'a>)>, ReadError> {
    if json.kind() != Kind::Object {
        return Err(path.mismatch(format!("expected an object, found {}", json.kind())));
    }
    let members = json
        .members()
        .map_err(|error| path.error(ReadErrorKind::Syntax, error.to_string()))?;
    let mut seen = HashSet::new();
    for (name, _) in &members {
        if !seen.insert(name.replace("@odata.", "@")) {
            let message = format!("the member {name:?} stands there twice");
            return Err(path.error(ReadErrorKind::Duplicate, message));
        }
    }
    Ok(members)
}

fn array<'a>(path: &Path<'_>, json: Json<'a>) -> Result<Vec<Json<'a>>, ReadError> {
    if json.kind() != Kind::Array {
        return Err(path.mismatch(format!("expected an array, found {}", json.kind())));
    }
    json.items()
        .map_err(|error| path.error(ReadErrorKind::Syntax, error.to_string()))
}

fn string(path: &Path<'_>, json: Json<'_>) -> Result<String, ReadError> {
    if json.kind() != Kind::String {
        return Err(path.mismatch(format!("expected a string, found {}", json.kind())));
    }
    json.string()
        .map_err(|error| path.error(ReadErrorKind::Syntax, error.to_string()))
}

fn optional_string(path: &Path<'_>, json: Json<'_>) -> Result<Option<String>, ReadError> {
    match json.kind() {
        Kind::Null => Ok(None),
        _ => string(path, json).map(Some),
    }
}
