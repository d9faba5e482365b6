//! Making and opening links (DESIGN section 5).
//!
//! What must hold: a link is made from what the request said and where the round stands, and from nothing else, so the same
//! page always carries the same next link; a link that is void is told apart from one that was never good; and whoever gets a 410
//! also gets the URL to start again.
//! What is deliberately absent: how a link is sealed (`highwater_core::seal`) and what an answer looks like.
//!
//! Lifetimes: the round fixes the hour of issue with its first page, and every link of the round inherits it, so pages can be
//! cached for as long as their links live. Hours are whole: a thousand followers who poll at the same position within an hour get
//! the same link.

use std::fmt::Write as _;
use std::time::Duration;

use highwater_core::link::{Dialect, Position};
use highwater_core::{Epoch, Gone, Link, LinkError, Store};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::failure::code_of_gone;
use crate::http::error::{ApiError, Code};

/// A link is refused by HTTP itself if it is longer; longer queries have to do without.
pub(crate) const URL_MAX_BYTES: usize = 60 * 1024;

/// What stays as it is in a path segment: `pchar` without `%` (RFC 3986, section 3.3).
pub(crate) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// What stays as it is in the name or value of an option: `qchar-no-AMP-EQ` of the OData ABNF, without `+`, which some read as a space.
pub(crate) const OPTION: &AsciiSet = &SEGMENT.remove(b'/').remove(b'?').add(b'=').add(b';');

/// When a link is issued and until when it is answered, in hours since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) issued_h: u32,
    pub(crate) expires_h: u32,
}

impl Life {
    /// The life of the links of a round that begins now. It is never shorter than the retention: the whole last hour counts.
    pub(crate) fn starting(now_unix_s: i64, retention: Duration) -> Life {
        let issued_h = u32::try_from(now_unix_s.div_euclid(3600)).unwrap_or(0);
        let retention_h = u32::try_from(retention.as_secs().div_ceil(3600)).unwrap_or(u32::MAX);
        Life {
            issued_h,
            expires_h: issued_h.saturating_add(retention_h),
        }
    }

    /// The life that a link has already.
    pub(crate) fn of(link: &Link) -> Life {
        Life {
            issued_h: link.issued_h,
            expires_h: link.expires_h,
        }
    }

    /// Seconds until the links of this life are no longer answered.
    pub(crate) fn left_s(self, now_unix_s: i64) -> u64 {
        let end_s = (i64::from(self.expires_h) + 1) * 3600;
        u64::try_from(end_s - now_unix_s).unwrap_or(0)
    }
}

/// The resource path of a request as links carry it: every segment percent-encoded in one way, no slash at the end.
///
/// Decoding the whole path would lose the difference between a slash inside a key and one between segments.
pub(crate) fn canonical_path(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for segment in raw.trim_end_matches('/').split('/') {
        if !out.is_empty() {
            out.push('/');
        }
        let decoded: Vec<u8> = percent_decode_str(segment).collect();
        out.extend(percent_encoding::percent_encode(&decoded, SEGMENT));
    }
    out
}

/// The URL of a sealed link. A format that the client fixed with `$format` stays fixed for the round's next pages.
pub(crate) fn link_url(
    root: &str,
    path: &str,
    format_option: Option<&str>,
    name: &str,
    sealed: &str,
) -> String {
    let mut url = String::with_capacity(root.len() + path.len() + name.len() + sealed.len() + 2);
    url.push_str(root);
    url.push_str(path);
    url.push('?');
    if let Some(format) = format_option {
        let _ = write!(url, "$format={}&", utf8_percent_encode(format, OPTION));
    }
    url.push_str(name);
    url.push('=');
    url.push_str(sealed);
    url
}

/// The URL of a first round of a defining query.
pub(crate) fn baseline_url(root: &str, path: &str, options: &[(String, String)]) -> String {
    let mut url = format!("{root}{path}");
    for (position, (name, value)) in options.iter().enumerate() {
        url.push(if position == 0 { '?' } else { '&' });
        // Parameter aliases have their own sigil.
        if !name.starts_with('@') {
            url.push('$');
        }
        let _ = write!(
            url,
            "{}={}",
            utf8_percent_encode(name, OPTION),
            utf8_percent_encode(value, OPTION)
        );
    }
    url
}

/// What a link must agree with before it is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    pub(crate) epoch: Epoch,
    /// Of the tracking of the table; 0 if it is not tracked. `None` if there is no such set any more.
    pub(crate) incarnation: Option<u64>,
    /// Of what the service shows of the set. `None` if it does not show all that the link names.
    pub(crate) scope: Option<u64>,
    pub(crate) now_unix_s: i64,
}

/// Why a link leads nowhere any more.
///
/// The order decides which of several reasons a client is told: the one that explains the others.
pub(crate) fn check(link: &Link, expected: &Expected) -> Result<(), Gone> {
    if link.epoch != expected.epoch {
        return Err(Gone::Restored);
    }
    if expected.incarnation != Some(link.incarnation) {
        return Err(Gone::Recreated);
    }
    if expected.scope != Some(link.scope) {
        return Err(Gone::ScopeChanged);
    }
    if link.has_expired(expected.now_unix_s) {
        return Err(Gone::Expired);
    }
    Ok(())
}

/// The two kinds of links, by the option that carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Skip,
    Delta,
}

impl Kind {
    /// The system query option.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Kind::Skip => "$skiptoken",
            Kind::Delta => "$deltatoken",
        }
    }
}

/// Opens a link that came with the given (canonical) path.
///
/// # Errors
///
/// 400 if it was never issued for this path and option, 410 if it was issued by another database or an incompatible version (then
/// all that is known for a new start is the path), and what the store says if it cannot read its keys.
pub(crate) async fn open(
    store: &dyn Store,
    root: &str,
    path: &str,
    kind: Kind,
    sealed: &str,
) -> Result<Link, OpenFailure> {
    let mut outcome = Link::open(sealed, &*store.key_ring(false).await?);
    if outcome == Err(LinkError::Gone(Gone::Restored)) {
        // A key that this process does not know yet: another process may have rotated.
        outcome = Link::open(sealed, &*store.key_ring(true).await?);
    }
    let link = match outcome {
        Ok(link) => link,
        Err(LinkError::Damaged) => return Err(damaged(kind).into()),
        Err(LinkError::Gone(reason)) => {
            return Err(gone(reason, &baseline_url(root, path, &[])).into());
        }
    };
    let fits = match (&link.position, kind) {
        (Position::Read { .. } | Position::Changes { .. }, Kind::Skip) => true,
        (Position::Delta { .. }, Kind::Delta) => true,
        (Position::Read { .. } | Position::Changes { .. } | Position::Delta { .. }, _) => false,
    };
    if !fits || link.path != path || link.dialect != Dialect::OData {
        return Err(damaged(kind).into());
    }
    Ok(link)
}

/// Why [`open`] failed.
#[derive(Debug)]
pub(crate) enum OpenFailure {
    /// The link.
    Link(ApiError),
    /// The store.
    Store(highwater_core::Error),
}

impl From<ApiError> for OpenFailure {
    fn from(error: ApiError) -> Self {
        OpenFailure::Link(error)
    }
}

impl From<highwater_core::Error> for OpenFailure {
    fn from(error: highwater_core::Error) -> Self {
        OpenFailure::Store(error)
    }
}

/// 400: not a link, or not one for this URL.
pub(crate) fn damaged(kind: Kind) -> ApiError {
    ApiError::new(
        Code::InvalidLink,
        "The link is damaged or was made for another URL. Use it exactly as it was received.",
    )
    .target(kind.option())
}

/// 410 with the URL of a new first round (requirement 25).
pub(crate) fn gone(reason: Gone, baseline: &str) -> ApiError {
    let mut text = reason.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    ApiError::new(
        code_of_gone(reason),
        format!("{text}. Read the entity set anew from the URL in the Location header."),
    )
    .location(baseline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        for (raw, expected) in [
            ("Products", "Products"),
            ("Products/", "Products"),
            ("Products('a%2Fb')/Orders", "Products('a%2Fb')/Orders"),
            ("Products(%27a%27)", "Products('a')"),
            ("N%C3%A4me", "N%C3%A4me"),
            ("P(A=1,B='%25')", "P(A=1,B='%25')"),
            ("a b|c", "a%20b%7Cc"),
        ] {
            assert_eq!(canonical_path(raw), expected, "{raw}");
        }
    }

    #[test]
    fn a_baseline_can_be_requested_as_it_is() {
        let options = [
            ("filter".to_owned(), "Name eq 'a&b=c+d;#é'".to_owned()),
            ("select".to_owned(), "A,B".to_owned()),
            ("@p".to_owned(), "1".to_owned()),
        ];
        let url = baseline_url("http://h/odata/", "T", &options);
        assert_eq!(
            url,
            "http://h/odata/T?$filter=Name%20eq%20'a%26b%3Dc%2Bd%3B%23%C3%A9'&$select=A,B&@p=1"
        );
        assert!(url.parse::<http::Uri>().is_ok());
        assert_eq!(
            baseline_url("http://h/odata/", "T", &[]),
            "http://h/odata/T"
        );
    }

    #[test]
    fn lives_last_at_least_as_long_as_the_retention_and_change_by_the_hour() {
        let retention = Duration::from_secs(90 * 60);
        let at = |now_s| Life::starting(now_s, retention);
        assert_eq!(at(7200), at(7200 + 3599));
        assert_ne!(at(7200), at(10_800));
        for now_s in [7200, 7201, 10_799] {
            assert!(at(now_s).left_s(now_s) >= retention.as_secs(), "{now_s}");
        }
        let forever = Life::starting(7200, Duration::from_secs(u64::MAX));
        assert_eq!(forever.expires_h, u32::MAX);
        assert_eq!(Life::starting(-5, retention).issued_h, 0);
    }

    #[test]
    fn the_first_reason_that_explains_the_others_is_told() {
        let link = Link {
            dialect: Dialect::OData,
            epoch: Epoch(1),
            incarnation: 2,
            scope: 3,
            path: "T".to_owned(),
            options: Vec::new(),
            page_size: None,
            track: true,
            position: Position::Delta {
                lo: highwater_core::Snapshot(vec![1]),
            },
            issued_h: 10,
            expires_h: 20,
        };
        let good = Expected {
            epoch: Epoch(1),
            incarnation: Some(2),
            scope: Some(3),
            now_unix_s: 21 * 3600 - 1,
        };
        for (expected, outcome) in [
            (good, Ok(())),
            (
                Expected {
                    now_unix_s: 21 * 3600,
                    ..good
                },
                Err(Gone::Expired),
            ),
            (
                Expected {
                    scope: Some(4),
                    now_unix_s: i64::MAX,
                    ..good
                },
                Err(Gone::ScopeChanged),
            ),
            (
                Expected {
                    incarnation: None,
                    scope: None,
                    ..good
                },
                Err(Gone::Recreated),
            ),
            (
                Expected {
                    epoch: Epoch(9),
                    incarnation: None,
                    ..good
                },
                Err(Gone::Restored),
            ),
        ] {
            assert_eq!(check(&link, &expected), outcome, "{expected:?}");
        }
        let error = gone(Gone::Pruned, "http://h/odata/T");
        assert_eq!(error.code(), Code::LinkPruned);
        assert_eq!(error.headers()["location"], "http://h/odata/T");
    }
}
