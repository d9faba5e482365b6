//! An answer in the making, and what every answer has in common.

use bytes::Bytes;
use highwater_odata::Version;
use http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, HeaderName,
    HeaderValue, VARY,
};
use http::{HeaderMap, Method, Response, StatusCode};

use super::body::Body;
use super::encoding;
use super::error::ApiError;

/// What decides about the bytes of an answer besides its URL (requirement 11; Protocol 8.3.8).
const VARY_ALL: HeaderValue =
    HeaderValue::from_static("Accept, Accept-Encoding, OData-MaxVersion, Prefer");
/// Larger bodies are compressed on a thread of their own.
const INLINE_GZIP_MAX_BYTES: usize = 64 * 1024;

/// Status, headers and the whole body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// For how long an answer may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    /// It may be stale at once.
    NoCache,
    /// It never changes while the link that it answers lives.
    Immutable { left_s: u64 },
}

impl Answer {
    /// An answer without a body.
    pub(crate) fn empty(status: StatusCode) -> Answer {
        Answer {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// 200 with a body.
    pub(crate) fn ok(content_type: &str, body: impl Into<Bytes>) -> Answer {
        Answer {
            body: body.into(),
            ..Answer::empty(StatusCode::OK)
        }
        .header(CONTENT_TYPE, content_type)
    }

    /// Sets a header. A value that no header can carry is left out: only texts of this service and checked URLs get here.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Answer {
        match HeaderValue::from_str(value) {
            Ok(value) => {
                self.headers.insert(name, value);
            }
            Err(_) => tracing::error!(%name, value, "a header value is not legal"),
        }
        self
    }

    /// Sets `Cache-Control`.
    pub(crate) fn caching(self, caching: Caching) -> Answer {
        match caching {
            Caching::NoCache => self.header(CACHE_CONTROL, "no-cache"),
            Caching::Immutable { left_s } => {
                self.header(CACHE_CONTROL, &format!("max-age={left_s}, immutable"))
            }
        }
    }

    /// Sets `Preference-Applied`, unless nothing was applied.
    pub(crate) fn applied(self, applied: &super::prefer::Applied) -> Answer {
        match applied.value() {
            Some(value) => self.header(HeaderName::from_static("preference-applied"), value),
            None => self,
        }
    }
}

impl From<&ApiError> for Answer {
    fn from(error: &ApiError) -> Self {
        let mut answer = Answer {
            status: error.code().status(),
            headers: error.headers().clone(),
            body: error.body(),
        };
        answer
            .headers
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
            .headers
            .insert(CONTENT_LANGUAGE, HeaderValue::from_static("en"));
        answer
    }
}

/// Adds what every answer has, compresses the body if the client takes it, and leaves it out for `HEAD`.
pub(crate) async fn finish(
    answer: Answer,
    version: Version,
    method: &Method,
    request_headers: &HeaderMap,
) -> Response<Body> {
    if answer.body.len() <= INLINE_GZIP_MAX_BYTES || !is_compressed(&answer, request_headers) {
        return finish_small(answer, version, method, request_headers);
    }
    let body = answer.body.clone();
    let compressed = tokio::task::spawn_blocking(move || encoding::gzip(&body))
        .await
        .expect("compression does not panic");
    respond(answer, Some(compressed), version, method)
}

/// As [`finish`], here and now.
pub(crate) fn finish_small(
    answer: Answer,
    version: Version,
    method: &Method,
    request_headers: &HeaderMap,
) -> Response<Body> {
    let compressed = is_compressed(&answer, request_headers).then(|| encoding::gzip(&answer.body));
    respond(answer, compressed, version, method)
}

fn is_compressed(answer: &Answer, request_headers: &HeaderMap) -> bool {
    answer.body.len() > encoding::GZIP_MIN_BYTES && encoding::accepts_gzip(request_headers)
}

fn respond(
    mut answer: Answer,
    compressed: Option<Bytes>,
    version: Version,
    method: &Method,
) -> Response<Body> {
    let headers = &mut answer.headers;
    headers.insert(
        HeaderName::from_static("odata-version"),
        HeaderValue::from_static(version.as_str()),
    );
    headers.insert(VARY, VARY_ALL);
    let mut body = answer.body;
    if let Some(compressed) = compressed {
        body = compressed;
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let bodiless = matches!(
        answer.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    );
    if !bodiless {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    if bodiless || method == Method::HEAD {
        body = Bytes::new();
    }
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
