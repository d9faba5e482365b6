//! The `Prefer` header (RFC 7240; Protocol 8.2.8).
//!
//! What must hold: a preference is never an error. What is malformed, unknown or cannot be honoured is ignored (requirement 3),
//! and what is honoured is echoed in the spelling that the client used (requirement 4).

use http::HeaderMap;

/// Preference names as they are echoed: with and without the `odata.` prefix of 4.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// 4.01.
    Plain,
    /// 4.0.
    Prefixed,
}

/// What a create or update answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Return {
    Representation,
    Minimal,
}

/// Which properties may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OmitValues {
    Nulls,
    Defaults,
}

/// The preferences of one request that this service knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Preferences {
    pub(crate) track_changes: Option<Spelling>,
    pub(crate) max_page_size: Option<(u32, Spelling)>,
    pub(crate) returns: Option<Return>,
    pub(crate) omit_values: Option<OmitValues>,
}

impl Preferences {
    /// Reads all `Prefer` headers of a request.
    pub(crate) fn parse(headers: &HeaderMap) -> Preferences {
        let mut found = Preferences::default();
        for header in headers.get_all("prefer") {
            for item in split_outside_quotes(header.as_bytes(), b',') {
                found.add(item);
            }
        }
        found
    }

    fn add(&mut self, item: &[u8]) {
        // Parameters (after the first semicolon) mean nothing for the preferences below.
        let Some(preference) = split_outside_quotes(item, b';').next() else {
            return;
        };
        let Ok(preference) = std::str::from_utf8(preference) else {
            return;
        };
        let (name, value) = match preference.split_once('=') {
            Some((name, value)) => (name.trim(), unquote(value.trim())),
            None => (preference.trim(), String::new()),
        };
        let lower = name.to_ascii_lowercase();
        let (name, spelling) = match lower.strip_prefix("odata.") {
            Some(rest) => (rest, Spelling::Prefixed),
            None => (lower.as_str(), Spelling::Plain),
        };
        // RFC 7240, section 2: of several instances only the first counts.
        match name {
            "track-changes" if value.is_empty() => {
                self.track_changes.get_or_insert(spelling);
            }
            "maxpagesize" => {
                if let Some(size) = positive(&value) {
                    // Requirement 63: of the two spellings the plain one wins.
                    match self.max_page_size {
                        None => self.max_page_size = Some((size, spelling)),
                        Some((_, Spelling::Prefixed)) if spelling == Spelling::Plain => {
                            self.max_page_size = Some((size, spelling));
                        }
                        Some(_) => {}
                    }
                }
            }
            "return" => {
                let wanted = match value.to_ascii_lowercase().as_str() {
                    "representation" => Return::Representation,
                    "minimal" => Return::Minimal,
                    _ => return,
                };
                self.returns.get_or_insert(wanted);
            }
            "omit-values" => {
                let wanted = match value.to_ascii_lowercase().as_str() {
                    "nulls" => OmitValues::Nulls,
                    "defaults" => OmitValues::Defaults,
                    _ => return,
                };
                self.omit_values.get_or_insert(wanted);
            }
            _ => {}
        }
    }
}

/// A positive number; one that is too large to store is as good as the largest.
fn positive(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    match text.parse::<u32>() {
        Ok(0) => None,
        Ok(number) => Some(number),
        Err(_) => Some(u32::MAX),
    }
}

fn unquote(text: &str) -> String {
    let Some(inner) = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(inner.len());
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

/// Splits a header value at a separator that is not inside a quoted string, and drops empty items.
pub(crate) fn split_outside_quotes(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    let mut escaped = false;
    value
        .split(move |&byte| {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ => return !quoted && byte == separator,
            }
            false
        })
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}

/// The `Preference-Applied` header of an answer, in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Applied(String);

impl Applied {
    /// `track-changes`, as the client spelled it.
    pub(crate) fn track_changes(&mut self, spelling: Spelling) {
        self.push(spelling, "track-changes");
    }

    /// `maxpagesize`, as the client spelled it, with the number in force.
    pub(crate) fn max_page_size(&mut self, spelling: Spelling, rows: u64) {
        self.push(spelling, &format!("maxpagesize={rows}"));
    }

    /// `return`.
    pub(crate) fn returns(&mut self, wanted: Return) {
        self.push(
            Spelling::Plain,
            match wanted {
                Return::Representation => "return=representation",
                Return::Minimal => "return=minimal",
            },
        );
    }

    /// `omit-values`.
    pub(crate) fn omit_values(&mut self, wanted: OmitValues) {
        self.push(
            Spelling::Plain,
            match wanted {
                OmitValues::Nulls => "omit-values=nulls",
                OmitValues::Defaults => "omit-values=defaults",
            },
        );
    }

    fn push(&mut self, spelling: Spelling, text: &str) {
        if !self.0.is_empty() {
            self.0.push_str(", ");
        }
        if spelling == Spelling::Prefixed {
            self.0.push_str("odata.");
        }
        self.0.push_str(text);
    }

    /// The header value, unless nothing was applied.
    pub(crate) fn value(&self) -> Option<&str> {
        (!self.0.is_empty()).then_some(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn parse(values: &[&str]) -> Preferences {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append("prefer", HeaderValue::from_str(value).unwrap());
        }
        Preferences::parse(&headers)
    }

    #[test]
    fn requirement_1_both_spellings_in_any_case() {
        use Spelling::{Plain, Prefixed};
        for (input, expected) in [
            (&["track-changes"][..], Some(Plain)),
            (&["odata.track-changes"], Some(Prefixed)),
            (&["OData.Track-Changes"], Some(Prefixed)),
            (
                &["respond-async, wait=5", "odata.track-changes ; x=1"],
                Some(Prefixed),
            ),
            (
                &["callback; url=\"http://h/a,track-changes\", return=minimal"],
                None,
            ),
            (&["foo=\"a\\\",b\", track-changes"], Some(Plain)),
            (&["track-changes=\"\""], Some(Plain)),
            (&["track-changes=yes"], None),
            (&["track changes"], None),
            (&["track-changes-please"], None),
            (&[",, ;;,"], None),
            (&["\"track-changes"], None),
        ] {
            assert_eq!(parse(input).track_changes, expected, "{input:?}");
        }
    }

    #[test]
    fn requirement_63_page_sizes() {
        use Spelling::{Plain, Prefixed};
        for (input, expected) in [
            ("maxpagesize=10", Some((10, Plain))),
            ("odata.maxpagesize=10", Some((10, Prefixed))),
            ("odata.maxpagesize=10,maxpagesize=20", Some((20, Plain))),
            ("maxpagesize=20,odata.maxpagesize=10", Some((20, Plain))),
            ("maxpagesize=20,maxpagesize=10", Some((20, Plain))),
            ("maxpagesize = \"7\"", Some((7, Plain))),
            ("maxpagesize=0", None),
            ("maxpagesize=-1", None),
            ("maxpagesize=+1", None),
            ("maxpagesize=1.5", None),
            ("maxpagesize", None),
            (
                "maxpagesize=99999999999999999999999",
                Some((u32::MAX, Plain)),
            ),
        ] {
            assert_eq!(parse(&[input]).max_page_size, expected, "{input}");
        }
    }

    #[test]
    fn requirements_64_and_65_return_and_omit_values() {
        let found = parse(&["return=representation, return=minimal, omit-values=nulls"]);
        assert_eq!(found.returns, Some(Return::Representation));
        assert_eq!(found.omit_values, Some(OmitValues::Nulls));
        assert_eq!(
            parse(&["return=everything, omit-values"]),
            Preferences::default()
        );
    }

    #[test]
    fn applied_preferences_are_echoed_as_spelled() {
        let mut applied = Applied::default();
        assert_eq!(applied.value(), None);
        applied.track_changes(Spelling::Prefixed);
        applied.max_page_size(Spelling::Plain, 5);
        assert_eq!(applied.value(), Some("odata.track-changes, maxpagesize=5"));
    }
}
