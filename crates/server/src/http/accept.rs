//! Content negotiation: `Accept` and `$format` (Protocol 7 and 8.2.1; JSON Format 3; requirements 58 to 61).
//!
//! What must hold: a media range with a parameter that this service does not know is not acceptable (it is never ignored), and the
//! answer names the metadata level that was used, and no other parameter that was not asked for.

use http::HeaderMap;
use http::header::ACCEPT;

use highwater_odata::Version;
use highwater_odata::payload::{self, MetadataLevel};

use super::encoding::quality;
use super::error::{ApiError, Code};
use super::prefer::split_outside_quotes;

/// Media ranges that are looked at; more than any real client sends.
const RANGES_MAX: usize = 64;

/// How a JSON answer is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonFormat {
    /// Version and format parameters.
    pub(crate) payload: payload::Format,
    /// Whether to name the character set.
    pub(crate) charset: bool,
}

impl JsonFormat {
    /// Without any parameter.
    pub(crate) fn new(version: Version) -> JsonFormat {
        JsonFormat {
            payload: payload::Format::new(version),
            charset: false,
        }
    }

    /// The `Content-Type` of the answer (requirements 58 to 60).
    pub(crate) fn content_type(&self) -> String {
        let mut text = self.payload.content_type();
        if self.charset {
            text.push_str(";charset=utf-8");
        }
        text
    }

    fn from_parameters(parameters: &[(String, String)], version: Version) -> Option<JsonFormat> {
        let mut format = JsonFormat::new(version);
        let payload = &mut format.payload;
        for (name, value) in parameters {
            let flag = match value.as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            };
            match name.strip_prefix("odata.").unwrap_or(name) {
                "metadata" => {
                    payload.metadata = match value.as_str() {
                        "none" => MetadataLevel::None,
                        "minimal" => MetadataLevel::Minimal,
                        "full" => MetadataLevel::Full,
                        _ => return None,
                    }
                }
                "streaming" => payload.streaming = flag?,
                "ieee754compatible" => payload.ieee754_compatible = flag?,
                "exponentialdecimals" => payload.exponential_decimals = flag?,
                "charset" if is_utf8(value) => format.charset = true,
                _ => return None,
            }
        }
        Some(format)
    }
}

fn is_utf8(charset: &str) -> bool {
    matches!(charset, "utf-8" | "utf8")
}

/// What a resource can be answered as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    Json,
    Xml,
}

impl Offer {
    fn media_type(self) -> (&'static str, &'static str) {
        match self {
            Offer::Json => ("application", "json"),
            Offer::Xml => ("application", "xml"),
        }
    }

    fn with(self, parameters: &[(String, String)], version: Version) -> Option<Format> {
        match self {
            Offer::Json => JsonFormat::from_parameters(parameters, version).map(Format::Json),
            Offer::Xml => parameters
                .iter()
                .all(|(name, value)| name == "charset" && is_utf8(value))
                .then_some(Format::Xml),
        }
    }
}

/// What it was agreed to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Json(JsonFormat),
    Xml,
}

/// Chooses among the offers (the first is the default) by `$format`, else by `Accept`.
///
/// # Errors
///
/// 406 if none is acceptable.
pub(crate) fn negotiate(
    offers: &[Offer],
    format_option: Option<&str>,
    headers: &HeaderMap,
    version: Version,
) -> Result<Format, ApiError> {
    let chosen = match format_option {
        Some(text) => by_option(offers, text, version),
        None => by_header(offers, headers, version),
    };
    chosen.ok_or_else(|| {
        let names: Vec<String> = offers
            .iter()
            .map(|offer| {
                let (kind, subtype) = offer.media_type();
                format!("{kind}/{subtype}")
            })
            .collect();
        ApiError::new(
            Code::NotAcceptable,
            format!(
                "This resource is available as {} only, with the format parameters that OData defines for it.",
                names.join(" or ")
            ),
        )
        .target(if format_option.is_some() { "$format" } else { "Accept" })
    })
}

/// Like [`negotiate`] for resources that have no other form than JSON.
pub(crate) fn negotiate_json(
    format_option: Option<&str>,
    headers: &HeaderMap,
    version: Version,
) -> Result<JsonFormat, ApiError> {
    match negotiate(&[Offer::Json], format_option, headers, version)? {
        Format::Json(format) => Ok(format),
        Format::Xml => unreachable!("only JSON was offered"),
    }
}

fn by_option(offers: &[Offer], text: &str, version: Version) -> Option<Format> {
    // The abbreviations take no parameters (Protocol 11.2.11).
    let abbreviated = match text.trim().to_ascii_lowercase().as_str() {
        "json" => Some(Offer::Json),
        "xml" => Some(Offer::Xml),
        _ => None,
    };
    if let Some(offer) = abbreviated {
        return offers
            .contains(&offer)
            .then(|| offer.with(&[], version))
            .flatten();
    }
    let range = MediaRange::parse(text)?;
    offers
        .iter()
        .find(|offer| offer.media_type() == (range.kind.as_str(), range.subtype.as_str()))
        .and_then(|offer| offer.with(&range.parameters, version))
}

fn by_header(offers: &[Offer], headers: &HeaderMap, version: Version) -> Option<Format> {
    let ranges = accepted(headers);
    let is_silent = headers
        .get_all(ACCEPT)
        .iter()
        .all(|value| value.as_bytes().trim_ascii().is_empty());
    if is_silent {
        return offers.first().and_then(|offer| offer.with(&[], version));
    }
    // The best weight wins; among equals the more specific range, then the earlier offer.
    let mut best: Option<((u16, u8), Format)> = None;
    for offer in offers {
        for range in &ranges {
            let Some(format) = range.matched(*offer, version) else {
                continue;
            };
            let rank = (range.quality, range.specificity());
            if range.quality > 0 && best.as_ref().is_none_or(|(top, _)| rank > *top) {
                best = Some((rank, format));
            }
        }
    }
    best.map(|(_, format)| format)
}

/// The media ranges of `Accept`.
fn accepted(headers: &HeaderMap) -> Vec<MediaRange> {
    let mut ranges = Vec::new();
    for header in headers.get_all(ACCEPT) {
        ranges.extend(
            split_outside_quotes(header.as_bytes(), b',')
                .filter_map(|item| MediaRange::parse(std::str::from_utf8(item).ok()?))
                .take(RANGES_MAX),
        );
    }
    ranges
}

/// The `Content-Type` of a raw value. There is one form only, so nothing is refused; the character set is named for a client that
/// names it (requirement 60: `Content-Type` must not hold one that `Accept` did not hold).
pub(crate) fn raw_content_type(media_type: &str, headers: &HeaderMap) -> String {
    let asks = |range: &MediaRange| {
        range.covers(media_type)
            && range
                .parameters
                .iter()
                .any(|(name, value)| name == "charset" && is_utf8(value))
    };
    match media_type.starts_with("text/") && accepted(headers).iter().any(asks) {
        true => format!("{media_type};charset=utf-8"),
        false => media_type.to_owned(),
    }
}

#[derive(Debug)]
struct MediaRange {
    kind: String,
    subtype: String,
    parameters: Vec<(String, String)>,
    quality: u16,
}

impl MediaRange {
    /// Everything in lower case: names and values of format parameters are case-insensitive (JSON Format 3).
    fn parse(text: &str) -> Option<MediaRange> {
        let mut parts = split_outside_quotes(text.as_bytes(), b';')
            .filter_map(|part| std::str::from_utf8(part).ok());
        let name = parts.next()?.to_ascii_lowercase();
        let (kind, subtype) = name.split_once('/')?;
        let mut parameters = Vec::new();
        let mut weight = 1000;
        for part in parts {
            let lower = part.to_ascii_lowercase();
            let (name, value) = lower.split_once('=').unwrap_or((&lower, ""));
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name == "q" {
                // RFC 9110, section 12.4.2: what follows the weight is an extension; nobody uses it.
                weight = quality(part);
                break;
            }
            parameters.push((name.to_owned(), value.to_owned()));
        }
        Some(MediaRange {
            kind: kind.trim().to_owned(),
            subtype: subtype.trim().to_owned(),
            parameters,
            quality: weight,
        })
    }

    fn matched(&self, offer: Offer, version: Version) -> Option<Format> {
        let (kind, subtype) = offer.media_type();
        let fits = match (self.kind.as_str(), self.subtype.as_str()) {
            ("*", "*") => true,
            (k, "*") => k == kind,
            (k, s) => k == kind && s == subtype,
        };
        fits.then(|| offer.with(&self.parameters, version))
            .flatten()
    }

    /// Whether a media type without parameters is in the range.
    fn covers(&self, media_type: &str) -> bool {
        let (kind, subtype) = media_type.split_once('/').unwrap_or((media_type, ""));
        (self.kind == "*" || self.kind == kind) && (self.subtype == "*" || self.subtype == subtype)
    }

    fn specificity(&self) -> u8 {
        match (self.kind.as_str(), self.subtype.as_str()) {
            ("*", _) => 0,
            (_, "*") => 1,
            _ if self.parameters.is_empty() => 2,
            _ => 3,
        }
    }
}

/// Whether a request body says that it is JSON, and how it writes numbers.
///
/// # Errors
///
/// 415 for anything else.
pub(crate) fn json_body(headers: &HeaderMap, version: Version) -> Result<JsonFormat, ApiError> {
    let refuse = |what: &str| {
        ApiError::new(
            Code::UnsupportedMediaType,
            format!(
                "{what} Send application/json in UTF-8, with no other parameters than those that OData defines."
            ),
        )
        .target("Content-Type")
    };
    let value = headers
        .get(http::header::CONTENT_TYPE)
        .ok_or_else(|| refuse("The request has a body but no Content-Type."))?;
    value
        .to_str()
        .ok()
        .and_then(MediaRange::parse)
        .filter(|range| range.kind == "application" && range.subtype == "json")
        .and_then(|range| JsonFormat::from_parameters(&range.parameters, version))
        .ok_or_else(|| refuse("The body has a media type that this resource does not take."))
}

/// The media type of a request body, in lower case and without parameters; empty if there is none.
pub(crate) fn body_media_type(headers: &HeaderMap) -> String {
    headers
        .get(http::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(MediaRange::parse)
        .map(|range| format!("{}/{}", range.kind, range.subtype))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(accept: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
        }
        headers
    }

    /// The content type of the answer, or 406.
    fn check(offers: &[Offer], option: Option<&str>, accept: &str, expected: &str) {
        let found = match negotiate(offers, option, &headers(accept), Version::V4_01) {
            Ok(Format::Json(format)) => format.content_type(),
            Ok(other) => format!("{other:?}"),
            Err(error) => error.code().status().as_u16().to_string(),
        };
        assert_eq!(found, expected, "{option:?} {accept}");
    }

    #[test]
    fn requirements_59_to_61_json() {
        let minimal = "application/json;metadata=minimal";
        for (accept, expected) in [
            ("", minimal),
            (" ", minimal),
            ("*/*", minimal),
            ("application/*;q=0.1", minimal),
            ("application/json", minimal),
            ("APPLICATION/JSON; OData.Metadata=Minimal", minimal),
            (
                "application/json;odata.metadata=full",
                "application/json;metadata=full",
            ),
            (
                "application/json;metadata=none",
                "application/json;metadata=none",
            ),
            (
                "application/json;metadata=\"none\"",
                "application/json;metadata=none",
            ),
            (
                "application/json;odata.streaming=true",
                "application/json;metadata=minimal;streaming=true",
            ),
            ("application/json;streaming=false", minimal),
            (
                "application/json;IEEE754Compatible=true;charset=UTF-8",
                "application/json;metadata=minimal;IEEE754Compatible=true;charset=utf-8",
            ),
            (
                "application/json;ExponentialDecimals=true",
                "application/json;metadata=minimal;ExponentialDecimals=true",
            ),
            // A parameter that is not known makes the range unacceptable; another range may still do.
            ("application/json;foo=bar", "406"),
            ("application/json;foo=bar, */*;q=0.1", minimal),
            ("application/json;metadata=some", "406"),
            ("application/json;charset=iso-8859-1", "406"),
            ("application/xml", "406"),
            ("text/html,application/xhtml+xml,*/*;q=0.8", minimal),
            ("application/json;q=0", "406"),
            ("application/atom+xml;q=1, application/json;q=0.2", minimal),
            (
                "application/json;metadata=full;q=0.5, application/json;metadata=none;q=0.9",
                "application/json;metadata=none",
            ),
            (
                "*/*, application/json;metadata=none",
                "application/json;metadata=none",
            ),
            ("nonsense", "406"),
        ] {
            check(&[Offer::Json], None, accept, expected);
        }
    }

    #[test]
    fn format_option_beats_accept() {
        let both = &[Offer::Xml, Offer::Json][..];
        for (offers, option, accept, expected) in [
            (
                both,
                "json",
                "application/xml",
                "application/json;metadata=minimal",
            ),
            (both, "XML", "", "Xml"),
            (
                both,
                "application/json;odata.metadata=full",
                "",
                "application/json;metadata=full",
            ),
            (both, "json;metadata=full", "", "406"),
            (both, "atom", "", "406"),
            (both, "*/*", "", "406"),
            (&[Offer::Json], "xml", "", "406"),
        ] {
            check(offers, Some(option), accept, expected);
        }
    }

    #[test]
    fn requirement_98_metadata_is_xml_by_default() {
        let both = &[Offer::Xml, Offer::Json];
        for (accept, expected) in [
            ("", "Xml"),
            ("*/*", "Xml"),
            ("application/json", "application/json;metadata=minimal"),
            ("application/xml", "Xml"),
            ("application/*", "Xml"),
            (
                "application/json;q=0.9, application/xml;q=0.8",
                "application/json;metadata=minimal",
            ),
        ] {
            check(both, None, accept, expected);
        }
    }

    #[test]
    fn names_follow_the_version() {
        let mut format = JsonFormat::new(Version::V4_0);
        format.payload.streaming = true;
        assert_eq!(
            format.content_type(),
            "application/json;odata.metadata=minimal;odata.streaming=true"
        );
    }

    #[test]
    fn request_bodies() {
        for (value, expected) in [
            ("application/json", true),
            (
                "application/json; odata.metadata=minimal; charset=utf-8",
                true,
            ),
            ("application/json; IEEE754Compatible=true", true),
            ("application/json; x=1", false),
            ("application/xml", false),
            ("text/plain", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("content-type", HeaderValue::from_str(value).unwrap());
            assert_eq!(
                json_body(&headers, Version::V4_01).is_ok(),
                expected,
                "{value}"
            );
        }
        assert!(json_body(&HeaderMap::new(), Version::V4_01).is_err());
    }
}
