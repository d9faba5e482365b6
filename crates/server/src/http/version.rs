//! Version negotiation: `OData-Version` and `OData-MaxVersion` (Protocol 8.1.5 and 8.2.7; requirements 56 to 58).

use http::HeaderMap;
use http::header::HeaderName;

use super::error::{ApiError, Code};

pub(crate) use highwater_odata::Version;

/// The versions of one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Versions {
    /// Of the answer.
    pub(crate) response: Version,
    /// Of the request's body, if it has one.
    pub(crate) request: Version,
}

impl Versions {
    /// What an answer carries if the request does not say anything, or nothing that makes sense: the highest version at the first
    /// publication of this service (requirement 57).
    pub(crate) const DEFAULT: Versions = Versions {
        response: Version::V4_01,
        request: Version::V4_01,
    };

    /// Reads the headers of a request.
    ///
    /// # Errors
    ///
    /// 400 for versions that are malformed or that this service does not speak.
    pub(crate) fn negotiate(headers: &HeaderMap) -> Result<Versions, ApiError> {
        let response = match header(headers, &MAX_VERSION)? {
            None => Version::V4_01,
            Some(number) if number < FOUR => {
                return Err(unsupported("OData-MaxVersion", "at least 4.0"));
            }
            Some(number) if number < FOUR_01 => Version::V4_0,
            Some(_) => Version::V4_01,
        };
        let request = match header(headers, &VERSION)? {
            None => response,
            Some(FOUR) => Version::V4_0,
            Some(FOUR_01) => Version::V4_01,
            Some(_) => return Err(unsupported("OData-Version", "4.0 or 4.01")),
        };
        Ok(Versions { response, request })
    }
}

/// A version number: whole part, and the fraction as digits compared from the left, so that 4.01 is less than 4.1.
type Number = (u64, u64);
const FOUR: Number = (4, 0);
const FOUR_01: Number = (4, FRACTION_SCALE / 100);
/// The fraction is kept to ten digits; the ABNF allows any number, such as `06.2831852000`.
const FRACTION_DIGITS: usize = 10;
const FRACTION_SCALE: u64 = 10_u64.pow(FRACTION_DIGITS as u32);

const MAX_VERSION: HeaderName = HeaderName::from_static("odata-maxversion");
const VERSION: HeaderName = HeaderName::from_static("odata-version");

fn header(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Number>, ApiError> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .and_then(|text| parse(text.trim()))
        .map(Some)
        .ok_or_else(|| {
            ApiError::new(
                Code::InvalidHeader,
                format!("{name} must be a version number such as 4.01."),
            )
            .target(name.as_str())
        })
}

fn parse(text: &str) -> Option<Number> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| {
        !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit())
    };
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let kept = &fraction[..fraction.len().min(FRACTION_DIGITS)];
    let scaled = kept.parse::<u64>().ok()? * 10_u64.pow((FRACTION_DIGITS - kept.len()) as u32);
    Some((whole.parse().unwrap_or(u64::MAX), scaled))
}

fn unsupported(name: &'static str, expected: &str) -> ApiError {
    ApiError::new(
        Code::UnsupportedVersion,
        format!("This service speaks OData 4.0 and 4.01; {name} must be {expected}."),
    )
    .target(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn requirements_56_to_58() {
        use Version::{V4_0, V4_01};
        for (max, own, expected) in [
            ("", "", Some((V4_01, V4_01))),
            ("4.0", "", Some((V4_0, V4_0))),
            ("4", "", Some((V4_0, V4_0))),
            ("4.00", "", Some((V4_0, V4_0))),
            ("4.01", "", Some((V4_01, V4_01))),
            ("4.010", "", Some((V4_01, V4_01))),
            ("4.1", "", Some((V4_01, V4_01))),
            ("4.001", "", Some((V4_0, V4_0))),
            ("06.2831852000", "", Some((V4_01, V4_01))),
            ("5.0", "", Some((V4_01, V4_01))),
            ("99999999999999999999", "", Some((V4_01, V4_01))),
            (" 4.01 ", "", Some((V4_01, V4_01))),
            ("4.0", "4.01", Some((V4_0, V4_01))),
            ("", "4.0", Some((V4_01, V4_0))),
            ("3.0", "", None),
            ("4.01;NetFx", "", None),
            ("-4", "", None),
            ("4.", "", None),
            (".4", "", None),
            ("", "5.0", None),
            ("", "3.0", None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("odata-maxversion", max), ("odata-version", own)] {
                if !value.is_empty() {
                    headers.insert(name, HeaderValue::from_str(value).unwrap());
                }
            }
            let found = Versions::negotiate(&headers)
                .ok()
                .map(|v| (v.response, v.request));
            assert_eq!(found, expected, "{max:?} {own:?}");
        }
    }
}
