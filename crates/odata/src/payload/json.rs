//! JSON as it came: objects and arrays taken apart one level at a time, scalars still text.
//!
//! What must hold: numbers keep their text, members keep their order, and nothing is built for what nobody asks for. The text was
//! checked as a whole before, so only what that check leaves open (unpaired surrogates) can still fail.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A JSON value as text without white space around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Json<'a>(&'a str);

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Boolean(bool),
    Number,
    String,
    Array,
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Null => "null",
            Kind::Boolean(_) => "a Boolean",
            Kind::Number => "a number",
            Kind::String => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        })
    }
}

impl<'a> Json<'a> {
    /// Checks that the text is one JSON value.
    pub(super) fn parse(text: &'a str) -> Result<Json<'a>, serde_json::Error> {
        serde_json::from_str::<&RawValue>(text).map(Json::from)
    }

    pub(super) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't') => Kind::Boolean(true),
            Some(b'f') => Kind::Boolean(false),
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    /// The text, which is that of the number if it is one.
    pub(super) fn text(self) -> &'a str {
        self.0
    }

    /// The content of a string.
    pub(super) fn string(self) -> Result<String, serde_json::Error> {
        serde_json::from_str(self.0)
    }

    /// The items of an array.
    pub(super) fn items(self) -> Result<Vec<Json<'a>>, serde_json::Error> {
        let items: Vec<&RawValue> = serde_json::from_str(self.0)?;
        Ok(items.into_iter().map(Json::from).collect())
    }

    /// The members of an object, in order and with repeated names, if any.
    pub(super) fn members(self) -> Result<Vec<(String, Json<'a>)>, serde_json::Error> {
        let Members(members) = serde_json::from_str(self.0)?;
        Ok(members)
    }
}

impl<'a> From<&'a RawValue> for Json<'a> {
    fn from(raw: &'a RawValue) -> Self {
        Json(raw.get())
    }
}

struct Members<'a>(Vec<(String, Json<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, Json::from(value)));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
