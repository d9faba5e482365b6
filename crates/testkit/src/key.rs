//! Identity of an entity, from its key properties or from its id.
//!
//! What must hold: the same entity has the same [`EntityKey`] whether a payload names it by its key properties, by `@id`, by
//! the `id` of a 4.0 removal, or the database by its key columns. What is deliberately absent: ids that are not canonical.

use crate::model::EntitySet;
use crate::render::{Canon, canonical_number, duration};

/// The key values in key order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntityKey(pub Vec<KeyPart>);

/// A key value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPart {
    /// A value that is quoted in a URL.
    Quoted(String),
    /// Any other value; numbers in canonical form.
    Bare(String),
}

impl KeyPart {
    /// The key value as a payload or a row shows it; `None` for `null`, which no key has.
    pub fn of(canon: &Canon) -> Option<KeyPart> {
        match canon {
            Canon::Null => None,
            Canon::Value { ty, text } if ty == "String" => Some(KeyPart::Quoted(text.clone())),
            Canon::Value { text, .. } => Some(KeyPart::Bare(text.clone())),
        }
    }
}

/// Reads an entity id: a URL, relative or absolute, that ends in `Set(key)`.
pub fn from_id(id: &str, set: &EntitySet) -> Option<EntityKey> {
    let segment = id.rsplit('/').next()?;
    let open = segment.find('(')?;
    let predicate = segment[open + 1..].strip_suffix(')')?;
    if percent_decode(&segment[..open])? != set.name {
        return None;
    }
    let predicate = percent_decode(predicate)?;
    let mut parts = Vec::new();
    let mut rest = predicate.as_str();
    while !rest.is_empty() {
        let (name, literal) = match rest.find(['=', '\'']) {
            Some(at) if rest.as_bytes()[at] == b'=' => (Some(&rest[..at]), &rest[at + 1..]),
            _ => (None, rest),
        };
        let end = literal_end(literal);
        parts.push((name.map(str::to_owned), part(&literal[..end])));
        rest = &literal[end..];
        rest = rest.strip_prefix(',').unwrap_or(rest);
    }
    if let [(None, only)] = parts.as_slice() {
        return (set.key.len() == 1).then(|| EntityKey(vec![only.clone()]));
    }
    let values = set.key.iter().map(|wanted| {
        let found = parts.iter().find(|(name, _)| name.as_ref() == Some(wanted));
        found.map(|(_, value)| value.clone())
    });
    (parts.len() == set.key.len()).then_some(())?;
    Some(EntityKey(values.collect::<Option<_>>()?))
}

fn literal_end(literal: &str) -> usize {
    let mut quoted = false;
    for (at, c) in literal.char_indices() {
        match c {
            '\'' => quoted = !quoted,
            ',' if !quoted => return at,
            _ => {}
        }
    }
    literal.len()
}

fn part(literal: &str) -> KeyPart {
    match literal.split_once('\'') {
        Some(("", text)) => {
            let text = text.strip_suffix('\'').unwrap_or(text);
            KeyPart::Quoted(text.replace("''", "'"))
        }
        Some((prefix, text)) => {
            let text = text.strip_suffix('\'').unwrap_or(text);
            if let ("duration", Some(duration)) = (prefix, duration::of_payload(text)) {
                return KeyPart::Bare(duration);
            }
            KeyPart::Bare(text.trim_end_matches('=').to_owned())
        }
        None => KeyPart::Bare(canonical_number(literal)),
    }
}

/// Replaces `%XX`; `None` if the result is not UTF-8.
pub fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let byte = match first {
            b'%' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            other => *other,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}

/// Writes every character that is not unreserved (RFC 3986) as `%XX`.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_keys() {
        let set = |key: &[&str]| EntitySet {
            name: "T ä".into(),
            key: key.iter().map(|name| (*name).into()).collect(),
            properties: Vec::new(),
        };
        let quoted = |text: &str| KeyPart::Quoted(text.into());
        let bare = |text: &str| KeyPart::Bare(text.into());
        for (id, key, expected) in [
            ("T%20%C3%A4(1)", &["k"][..], Some(vec![bare("1")])),
            (
                "http://h/x/T%20%C3%A4(1.50)",
                &["k"],
                Some(vec![bare("15e-1")]),
            ),
            (
                "T%20%C3%A4('O''N%2F%25')",
                &["k"],
                Some(vec![quoted("O'N/%")]),
            ),
            (
                "T%20%C3%A4(k='a,b',j=2)",
                &["j", "k"],
                Some(vec![bare("2"), quoted("a,b")]),
            ),
            ("T%20%C3%A4(binary'AAE')", &["k"], Some(vec![bare("AAE")])),
            (
                "T%20%C3%A4(duration'PT26H')",
                &["k"],
                Some(vec![bare("0 days 93600. seconds")]),
            ),
            ("T%20%C3%A4('a=b')", &["k"], Some(vec![quoted("a=b")])),
            ("T%20%C3%A4('a')", &["j", "k"], None),
            ("Other(1)", &["k"], None),
            ("T%20%C3%A4", &["k"], None),
        ] {
            assert_eq!(from_id(id, &set(key)), expected.map(EntityKey), "{id}");
        }
        assert_eq!(
            percent_decode(&percent_encode("ä/'%")).as_deref(),
            Some("ä/'%")
        );
    }
}
