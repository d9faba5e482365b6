//! The error that a caller sees, and the one that the log sees.
//!
//! Every error has a stable [`Code`], and the code decides the status: an error with status 200, or one code with two statuses,
//! cannot be written. The message for the caller says what to do; what helps only an operator travels beside it
//! ([`ApiError::log`]) and never reaches the wire.
//!
//! Specification: Protocol 9.3 and 9.4, JSON Format 21.1 (requirement 81).

use bytes::Bytes;
use highwater_odata::payload::{ErrorBody, ErrorDetail};
use http::header::{ACCEPT_ENCODING, ALLOW, HeaderValue, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

/// The catalogue of errors: the name is the `code` on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Code {
    // What the caller wrote is not OData.
    InvalidUrl,
    InvalidHeader,
    InvalidBody,
    InvalidLiteral,
    UnsupportedVersion,
    // What the caller wrote does not fit this service.
    UnknownProperty,
    UnknownQueryOption,
    QueryOptionNotAllowed,
    TypeMismatch,
    ExpressionTooComplex,
    InvalidLink,
    LinkOptionsFixed,
    // The database refused a value.
    RequiredValue,
    CheckConstraint,
    ReferenceConstraint,
    InvalidValue,
    RefusedByDatabase,
    UniqueConstraint,
    StillReferenced,
    EntityExists,
    // Not for this caller, or not there.
    ReadOnly,
    OutOfScope,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    RequestTimeout,
    // Links that were good once. The names are those of `highwater_core::Gone`.
    LinkExpired,
    LinkPruned,
    LinkRestored,
    LinkRecreated,
    LinkScopeChanged,
    LinkFormat,
    // Conditions and sizes.
    PreconditionFailed,
    IsolationNotSupported,
    BodyTooLarge,
    UrlTooLong,
    HeadersTooLarge,
    UnsupportedMediaType,
    PreconditionRequired,
    // Not the caller's fault.
    InternalError,
    DatabaseDamaged,
    NotImplemented,
    Busy,
    Unavailable,
    StorageFull,
    LimitExceeded,
}

impl Code {
    /// The status that goes with the code.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Code::InvalidUrl
            | Code::InvalidHeader
            | Code::InvalidBody
            | Code::InvalidLiteral
            | Code::UnsupportedVersion
            | Code::UnknownProperty
            | Code::UnknownQueryOption
            | Code::QueryOptionNotAllowed
            | Code::TypeMismatch
            | Code::ExpressionTooComplex
            | Code::InvalidLink
            | Code::LinkOptionsFixed
            | Code::RequiredValue
            | Code::CheckConstraint
            | Code::ReferenceConstraint
            | Code::InvalidValue
            | Code::RefusedByDatabase => StatusCode::BAD_REQUEST,
            Code::ReadOnly | Code::OutOfScope => StatusCode::FORBIDDEN,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Code::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Code::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Code::UniqueConstraint | Code::StillReferenced | Code::EntityExists => {
                StatusCode::CONFLICT
            }
            Code::LinkExpired
            | Code::LinkPruned
            | Code::LinkRestored
            | Code::LinkRecreated
            | Code::LinkScopeChanged
            | Code::LinkFormat => StatusCode::GONE,
            Code::PreconditionFailed | Code::IsolationNotSupported => {
                StatusCode::PRECONDITION_FAILED
            }
            Code::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Code::UrlTooLong => StatusCode::URI_TOO_LONG,
            Code::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Code::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Code::PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
            Code::InternalError | Code::DatabaseDamaged => StatusCode::INTERNAL_SERVER_ERROR,
            Code::NotImplemented => StatusCode::NOT_IMPLEMENTED,
            Code::Busy | Code::Unavailable | Code::StorageFull | Code::LimitExceeded => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Seconds that a client should wait before it asks again; `None` if that would be of no use.
    fn retry_after_s(self) -> Option<u32> {
        match self {
            // Another program finishes a transaction.
            Code::Busy => Some(2),
            // A database restarts, or a standby takes over: seconds rather than minutes. A client that comes too early is told again.
            Code::Unavailable => Some(5),
            // The same request takes as long again while the database has as much to do.
            Code::LimitExceeded => Some(10),
            // Somebody has to make room.
            Code::StorageFull => Some(60),
            _ => None,
        }
    }
}

/// Longest text of an error. What a caller wrote may be quoted in it, and that may be as long as a body.
const TEXT_LEN_MAX_BYTES: usize = 2_000;

/// An answer that says why there is no other.
///
/// Boxed inside, because results that carry it are returned from everywhere.
#[derive(Clone, Debug)]
pub(crate) struct ApiError(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    message: String,
    target: Option<String>,
    details: Vec<Detail>,
    log: Option<String>,
    headers: HeaderMap,
}

/// One of several things that are wrong.
#[derive(Clone, Debug)]
struct Detail {
    message: String,
    target: String,
}

impl ApiError {
    /// An error with a message for the caller: full sentences that say what to do.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> ApiError {
        let mut headers = HeaderMap::new();
        if let Some(wait_s) = code.retry_after_s() {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait_s));
        }
        ApiError(Box::new(Inner {
            code,
            message: shortened(message.into()),
            target: None,
            details: Vec::new(),
            log: None,
            headers,
        }))
    }

    /// A defect: a fixed text for the caller, the rest for the log.
    pub(crate) fn internal(log: impl Into<String>) -> ApiError {
        ApiError::new(
            Code::InternalError,
            "The service failed to answer. The cause is in its log.",
        )
        .log(log)
    }

    /// A method that the resource does not have (requirement 84).
    pub(crate) fn method_not_allowed(allowed: &'static str) -> ApiError {
        let mut error = ApiError::new(
            Code::MethodNotAllowed,
            format!("This resource allows only {allowed}."),
        );
        error
            .0
            .headers
            .insert(ALLOW, HeaderValue::from_static(allowed));
        error
    }

    /// Names the part of the request, or the property, that is to blame.
    pub(crate) fn target(mut self, target: impl Into<String>) -> ApiError {
        self.0.target = Some(shortened(target.into()));
        self
    }

    /// Adds one more thing that is wrong.
    pub(crate) fn detail(
        mut self,
        target: impl Into<String>,
        message: impl Into<String>,
    ) -> ApiError {
        self.0.details.push(Detail {
            message: shortened(message.into()),
            target: shortened(target.into()),
        });
        self
    }

    /// Adds what only an operator should read.
    pub(crate) fn log(mut self, text: impl Into<String>) -> ApiError {
        self.0.log = Some(shortened(text.into()));
        self
    }

    /// Says where to go instead. A location that no header can carry is left out.
    pub(crate) fn location(mut self, url: &str) -> ApiError {
        if let Ok(value) = HeaderValue::from_str(url) {
            self.0.headers.insert(LOCATION, value);
        }
        self
    }

    /// Says which content codings a body may have.
    pub(crate) fn accept_encoding(mut self, codings: &'static str) -> ApiError {
        let codings = HeaderValue::from_static(codings);
        self.0.headers.insert(ACCEPT_ENCODING, codings);
        self
    }

    /// The code.
    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// The text for the log, if the error is worth an operator's attention.
    pub(crate) fn log_text(&self) -> Option<&str> {
        self.0.log.as_deref()
    }

    /// Headers that belong to the error.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// The JSON body. It is the same in every version and at every metadata level.
    pub(crate) fn body(&self) -> Bytes {
        let inner = &*self.0;
        // A variant's name is its code on the wire: the catalogue has no second list to keep in step.
        let code = format!("{:?}", inner.code);
        let details = inner.details.iter().map(|detail| ErrorDetail {
            code: code.clone(),
            message: detail.message.clone(),
            target: Some(detail.target.clone()),
        });
        let body = ErrorBody {
            target: inner.target.clone(),
            details: details.collect(),
            ..ErrorBody::new(code.clone(), &inner.message)
        };
        Bytes::from(body.to_json())
    }
}

fn shortened(mut text: String) -> String {
    if text.len() > TEXT_LEN_MAX_BYTES {
        text.truncate(text.floor_char_boundary(TEXT_LEN_MAX_BYTES));
        text.push('…');
        text.shrink_to_fit();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_cannot_make_an_answer_long() {
        let long = "é".repeat(1 << 20);
        let error = ApiError::new(Code::InvalidBody, format!("x{long}"))
            .target(&long)
            .detail(&long, &long);
        assert!(error.body().len() < 10_000, "{}", error.body().len());
        assert!(std::str::from_utf8(&error.body()).is_ok());
        assert!(error.log(long).log_text().unwrap().len() < 3_000);
    }

    #[test]
    fn an_error_body_has_the_shape_of_requirement_81() {
        let error = ApiError::new(Code::UnknownProperty, "There is no \"Nme\"; try \"Name\".")
            .target("$filter")
            .detail("Nme", "unknown");
        assert_eq!(
            error.body(),
            r#"{"error":{"code":"UnknownProperty","message":"There is no \"Nme\"; try \"Name\".","target":"$filter","details":[{"code":"UnknownProperty","message":"unknown","target":"Nme"}]}}"#
        );
        assert_eq!(error.code().status(), 400);
    }

    #[test]
    fn what_is_for_the_log_stays_off_the_wire() {
        let error = ApiError::internal("secret detail");
        assert_eq!(error.log_text(), Some("secret detail"));
        let body = String::from_utf8(error.body().to_vec()).unwrap();
        assert!(!body.contains("secret"), "{body}");
    }

    #[test]
    fn errors_that_pass_say_when_to_come_back() {
        for (code, expected) in [
            (Code::Busy, Some("2")),
            (Code::Unavailable, Some("5")),
            (Code::LimitExceeded, Some("10")),
            (Code::StorageFull, Some("60")),
            (Code::NotFound, None),
            (Code::LinkRestored, None),
            (Code::InternalError, None),
        ] {
            let error = ApiError::new(code, "x");
            let wait = error.headers().get(RETRY_AFTER);
            assert_eq!(wait.map(|wait| wait.to_str().unwrap()), expected);
            assert_eq!(wait.is_some(), code.status() == 503, "{code:?}");
        }
        assert_eq!(
            ApiError::method_not_allowed("GET, HEAD").headers()[ALLOW],
            "GET, HEAD"
        );
    }
}
