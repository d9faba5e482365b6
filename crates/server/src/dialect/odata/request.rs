//! What a request says, before anybody asks what its names mean.

use highwater_odata::url;
use highwater_odata::url::ast::{RequestUrl, Segment};
use http::request::Parts;
use http::{HeaderMap, Method};
use jiff::Timestamp;

use crate::bind;
use crate::http::body::Received;
use crate::http::conditional::Conditions;
use crate::http::error::{ApiError, Code};
use crate::http::prefer::Preferences;
use crate::http::version::Versions;
use crate::http::{accept, body, origin};
use crate::links;
use crate::service::{BodyError, ODATA_MOUNT, ServiceCore};

/// The path segment that lets a query travel in the body.
const QUERY_SEGMENT: &str = "/$query";

/// A request, taken apart.
pub(super) struct Request<'a> {
    pub(super) parts: &'a Parts,
    /// What is asked for: a `POST` to `$query` is a `GET`.
    pub(super) method: Method,
    /// Path and options, those from the body of `$query` included.
    pub(super) url: RequestUrl,
    /// The path as links carry it.
    pub(super) path: String,
    /// URL of the service, with the slash at the end.
    pub(super) root: String,
    pub(super) versions: Versions,
    pub(super) prefer: Preferences,
    pub(super) conditions: Conditions,
    /// Whether the client wants all pages to show one state (requirement 70).
    pub(super) isolated: bool,
    /// Seconds since 1970.
    pub(super) now_unix_s: i64,
    /// What a request that changes something brings.
    pub(super) body: Received,
}

impl<'a> Request<'a> {
    /// Reads everything that the client sent.
    ///
    /// # Errors
    ///
    /// 4xx for whatever is malformed, too large or too slow.
    pub(super) async fn read<B>(
        core: &ServiceCore,
        parts: &'a Parts,
        path: &str,
        body: B,
        versions: Versions,
    ) -> Result<Request<'a>, ApiError>
    where
        B: http_body::Body,
        B::Error: Into<BodyError>,
    {
        let settings = &core.settings;
        let root = origin::service_root(settings.public_url.as_deref(), ODATA_MOUNT, parts)?;
        let prefer = Preferences::parse(&parts.headers);
        let conditions = Conditions::parse(&parts.headers)?;
        let isolated = isolation(&parts.headers)?;
        let body = match parts.method {
            Method::POST | Method::PUT | Method::PATCH => {
                body::check_coding(&parts.headers)?;
                let limits = &settings.limits;
                body::read(
                    body,
                    limits.body_max_bytes,
                    limits.request_time_max,
                    &core.room,
                )
                .await?
            }
            // A body means nothing in other requests (RFC 9110, section 9.3.1).
            _ => Received::nothing(),
        };
        let asked = Asked::new(core, parts, path, &body.bytes)?;
        check_options(&asked.url)?;
        Ok(Request {
            parts,
            method: asked.method,
            path: asked.path,
            url: asked.url,
            root,
            versions,
            prefer,
            conditions,
            isolated,
            now_unix_s: core.now_unix_s(),
            body,
        })
    }

    /// The time of the request.
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_second(self.now_unix_s).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Path, options and method, wherever they were written.
struct Asked {
    method: Method,
    url: RequestUrl,
    path: String,
}

impl Asked {
    fn new(core: &ServiceCore, parts: &Parts, path: &str, body: &[u8]) -> Result<Asked, ApiError> {
        let mut limits = bind::url_limits(&core.settings.limits);
        // The length was checked before, with an exception for links.
        limits.url_bytes_max = usize::MAX;
        let query = parts.uri.query();
        let mut url = url::parse(path, query, &limits)?;
        let path = links::canonical_path(path);
        if url.path.segments.last() != Some(&Segment::Query) {
            return Ok(Asked {
                method: parts.method.clone(),
                url,
                path,
            });
        }
        if parts.method != Method::POST {
            return Err(ApiError::method_not_allowed("POST"));
        }
        check_media_type(&parts.headers)?;
        let body = std::str::from_utf8(body).map_err(|_| {
            ApiError::new(
                Code::InvalidBody,
                "The body of a request to $query must be UTF-8.",
            )
        })?;
        // Options in the URL and in the body are processed together (URL Conventions 4.17).
        let options = format!("{}&{}", query.unwrap_or_default(), body.trim());
        url.options = url::parse_query(&options, &limits)?;
        url.path.segments.pop();
        Ok(Asked {
            method: Method::GET,
            url,
            path: path
                .strip_suffix(QUERY_SEGMENT)
                .unwrap_or_default()
                .to_owned(),
        })
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), ApiError> {
    match accept::body_media_type(headers).as_str() {
        "text/plain" | "application/x-www-form-urlencoded" => Ok(()),
        _ => Err(ApiError::new(
            Code::UnsupportedMediaType,
            "The body of a request to $query must be text/plain: the query options as they would stand in a URL.",
        )
        .target("Content-Type")),
    }
}

/// `Isolation: snapshot`, also by its name of 4.0.
fn isolation(headers: &HeaderMap) -> Result<bool, ApiError> {
    let Some(value) = headers
        .get("isolation")
        .or_else(|| headers.get("odata-isolation"))
    else {
        return Ok(false);
    };
    if value.as_bytes().eq_ignore_ascii_case(b"snapshot") {
        Ok(true)
    } else {
        Err(ApiError::new(
            Code::IsolationNotSupported,
            "The only isolation level is \"snapshot\".",
        )
        .target("Isolation"))
    }
}

/// Refuses what no resource of this service has.
fn check_options(url: &RequestUrl) -> Result<(), ApiError> {
    if let Some((name, _)) = url.options.custom.first() {
        return Err(ApiError::new(
            Code::UnknownQueryOption,
            format!("There is no query option {name:?}."),
        )
        .target(name));
    }
    // Requirement 100; Protocol 11.2.12. There is only the current version, which * stands for.
    if let Some(version) = &url.options.schemaversion
        && version != "*"
    {
        return Err(ApiError::new(
            Code::NotFound,
            format!("There is no schema version {version:?}; this service has no versions of its schema."),
        )
        .target("$schemaversion"));
    }
    Ok(())
}
