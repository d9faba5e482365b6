//! Conditional requests: `If-Match` and `If-None-Match` (RFC 9110, section 13; Protocol 8.2.4 and 8.2.5; requirements 78 and 79).
//!
//! Entity tags of this service are weak, depend on the state only, and are sixteen hexadecimal digits: `W/"0123456789abcdef"`.
//! OData compares them without regard to strength even for `If-Match`. A tag that this service never issued matches nothing.

use highwater_odata::payload::ETag;
use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH};

use super::error::{ApiError, Code};

/// A list of entity tags in a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tags {
    /// `*`
    Any,
    /// Those that this service may have issued.
    List(Vec<u64>),
}

impl Tags {
    fn contains(&self, tag: u64) -> bool {
        match self {
            Tags::Any => true,
            Tags::List(tags) => tags.contains(&tag),
        }
    }
}

/// The conditions of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<Tags>,
    pub(crate) if_none_match: Option<Tags>,
}

/// What the conditions of a `GET` mean for a resource with a known tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer as usual.
    Proceed,
    /// 304: the client has it already.
    NotModified,
    /// 412.
    Failed,
}

impl Conditions {
    /// Reads the headers of a request.
    ///
    /// # Errors
    ///
    /// 400 if a header is not a list of entity tags.
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Conditions, ApiError> {
        Ok(Conditions {
            if_match: tags(headers, IF_MATCH)?,
            if_none_match: tags(headers, IF_NONE_MATCH)?,
        })
    }

    /// What to do with a `GET` of a resource that has this tag.
    pub(crate) fn verdict(&self, tag: u64) -> Verdict {
        if self
            .if_match
            .as_ref()
            .is_some_and(|tags| !tags.contains(tag))
        {
            Verdict::Failed
        } else if self
            .if_none_match
            .as_ref()
            .is_some_and(|tags| tags.contains(tag))
        {
            Verdict::NotModified
        } else {
            Verdict::Proceed
        }
    }
}

fn tags(headers: &HeaderMap, name: http::HeaderName) -> Result<Option<Tags>, ApiError> {
    let mut found = None;
    for value in headers.get_all(&name) {
        let text = value.to_str().map_err(|_| malformed(&name))?.trim();
        if text == "*" {
            found = Some(Tags::Any);
            continue;
        }
        let list = parse_list(text).ok_or_else(|| malformed(&name))?;
        match found.get_or_insert(Tags::List(Vec::new())) {
            Tags::Any => {}
            Tags::List(tags) => tags.extend(list),
        }
    }
    Ok(found)
}

fn malformed(name: &http::HeaderName) -> ApiError {
    ApiError::new(
        Code::InvalidHeader,
        format!("{name} must be * or a list of entity tags such as W/\"0123456789abcdef\"."),
    )
    .target(name.as_str())
}

fn parse_list(text: &str) -> Option<Vec<u64>> {
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let quote = rest.len() - rest.strip_prefix("W/").unwrap_or(rest).len();
        let quoted = rest[quote..].strip_prefix('"')?;
        let end = quote + 1 + quoted.find('"')? + 1;
        tags.extend(parse_tag(&rest[..end]));
        rest = rest[end..].trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
}

/// Reads one entity tag, such as the `@etag` of a request body. `None` if this service never issued it.
pub(crate) fn parse_tag(text: &str) -> Option<u64> {
    text.trim().parse::<ETag>().ok().map(|tag| tag.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn tag_lists() {
        let tag = ETag(0xab).to_string();
        assert_eq!(parse_tag(&tag), Some(0xab));
        for (input, expected) in [
            ("*", Some(Tags::Any)),
            ("W/\"00000000000000ab\"", Some(Tags::List(vec![0xab]))),
            ("\"00000000000000ab\"", Some(Tags::List(vec![0xab]))),
            (
                "W/\"00000000000000ab\" , \"other, one\",,\"00000000000000cd\"",
                Some(Tags::List(vec![0xab, 0xcd])),
            ),
            ("\"00000000000000AB\"", Some(Tags::List(vec![]))),
            ("\"+0000000000000ab\"", Some(Tags::List(vec![]))),
            ("00000000000000ab", None),
            ("\"00000000000000ab", None),
            ("\"a\" \"b\"", None),
            ("W/*", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.append(IF_MATCH, HeaderValue::from_str(input).unwrap());
            let parsed = Conditions::parse(&headers)
                .ok()
                .map(|c| c.if_match.unwrap());
            assert_eq!(parsed, expected, "{input}");
        }
    }

    #[test]
    fn requirement_79_verdicts_of_a_get() {
        let list = |tag| Some(Tags::List(vec![tag]));
        for (if_match, if_none_match, expected) in [
            (None, None, Verdict::Proceed),
            (None, list(1), Verdict::NotModified),
            (None, Some(Tags::Any), Verdict::NotModified),
            (None, list(2), Verdict::Proceed),
            (list(1), None, Verdict::Proceed),
            (Some(Tags::Any), None, Verdict::Proceed),
            (list(2), None, Verdict::Failed),
            (list(2), list(1), Verdict::Failed),
        ] {
            let conditions = Conditions {
                if_match,
                if_none_match,
            };
            assert_eq!(conditions.verdict(1), expected, "{conditions:?}");
        }
    }
}
