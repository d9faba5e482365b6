//! From what went wrong below to what the caller is told.
//!
//! What must hold: texts that name SQL, files or defects go to the log only.

use highwater_core::{ConstraintKind, Error, Gone};
use highwater_odata::url::{ParseError, ParseErrorKind};

use crate::bind::{BindError, BindErrorKind};
use crate::http::error::{ApiError, Code};
use crate::links::OpenFailure;

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The caller gets an error.
    Refused(ApiError),
    /// The schema changed since the model was made. Bind the request again to a new one.
    SchemaChanged,
    /// The round cannot be answered any more. Whoever knows its query says where to start again.
    Gone(Gone),
}

impl From<Gone> for Halt {
    fn from(reason: Gone) -> Self {
        Halt::Gone(reason)
    }
}

impl From<ApiError> for Halt {
    fn from(error: ApiError) -> Self {
        Halt::Refused(error)
    }
}

impl From<BindError> for Halt {
    fn from(error: BindError) -> Self {
        Halt::Refused(error.into())
    }
}

impl From<ParseError> for Halt {
    fn from(error: ParseError) -> Self {
        Halt::Refused(error.into())
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        match error {
            Error::SchemaChanged => Halt::SchemaChanged,
            Error::Gone(reason) => Halt::Gone(reason),
            error => Halt::Refused(error.into()),
        }
    }
}

impl From<OpenFailure> for Halt {
    fn from(failure: OpenFailure) -> Self {
        match failure {
            OpenFailure::Link(error) => error.into(),
            OpenFailure::Store(error) => error.into(),
        }
    }
}

impl From<ParseError> for ApiError {
    fn from(error: ParseError) -> Self {
        let code = match error.kind() {
            ParseErrorKind::Syntax => Code::InvalidUrl,
            ParseErrorKind::TooComplex => Code::ExpressionTooComplex,
            ParseErrorKind::TooLong => Code::UrlTooLong,
        };
        let place = error.place().to_owned();
        ApiError::new(code, error.to_string()).target(place)
    }
}

impl From<BindError> for ApiError {
    fn from(error: BindError) -> Self {
        let code = match error.kind() {
            BindErrorKind::InvalidUrl => Code::InvalidUrl,
            BindErrorKind::InvalidLiteral => Code::InvalidLiteral,
            BindErrorKind::UnknownProperty => Code::UnknownProperty,
            BindErrorKind::OptionNotAllowed => Code::QueryOptionNotAllowed,
            BindErrorKind::TypeMismatch => Code::TypeMismatch,
            BindErrorKind::TooComplex => Code::ExpressionTooComplex,
            BindErrorKind::NotFound => Code::NotFound,
            BindErrorKind::NotImplemented => Code::NotImplemented,
        };
        let mapped = ApiError::new(code, error.to_string());
        match error.target_text() {
            Some(target) => mapped.target(target),
            None => mapped,
        }
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        match error {
            // Whoever can try again does so before it gets here.
            Error::SchemaChanged => ApiError::new(
                Code::Unavailable,
                "The schema of the database changes too often at the moment. Try again.",
            ),
            Error::Gone(reason) => ApiError::new(code_of_gone(reason), text),
            // These name files, which are nobody's business but the operator's.
            Error::Busy(_) => ApiError::new(
                Code::Busy,
                "Another program holds the database locked. Try again later.",
            )
            .log(text),
            Error::Unavailable(_) => ApiError::new(
                Code::Unavailable,
                "The database cannot be used at the moment. Try again later; the cause is in the log of the service.",
            )
            .log(text),
            Error::ReadOnly(_) => ApiError::new(Code::ReadOnly, text),
            Error::Full(_) => ApiError::new(
                Code::StorageFull,
                "The disk or the database is full. Nothing was changed. Try again when there is room.",
            )
            .log(text),
            Error::Corrupt(_) => ApiError::new(
                Code::DatabaseDamaged,
                "The database is damaged, or the file is no database. What to do is in the log of the service.",
            )
            .log(text),
            Error::NotFound => ApiError::new(Code::NotFound, "There is no such entity."),
            Error::PreconditionFailed => ApiError::new(
                Code::PreconditionFailed,
                "The entity does not have the expected state. Read it again before you change it.",
            ),
            Error::Constraint(violation) => ApiError::new(code_of_constraint(violation.kind), text),
            Error::Unsupported(_) => ApiError::new(Code::NotImplemented, text),
            Error::InvalidQuery(_) => ApiError::new(Code::InvalidLiteral, text),
            Error::TooComplex(_) => ApiError::new(Code::ExpressionTooComplex, text),
            Error::LimitExceeded(_) => ApiError::new(Code::LimitExceeded, text.clone()).log(text),
            Error::Internal(_) => ApiError::internal(text),
        }
    }
}

/// The code for a link that leads nowhere any more.
pub(crate) fn code_of_gone(reason: Gone) -> Code {
    match reason {
        Gone::Expired => Code::LinkExpired,
        Gone::Pruned => Code::LinkPruned,
        Gone::Restored => Code::LinkRestored,
        Gone::Recreated => Code::LinkRecreated,
        Gone::ScopeChanged => Code::LinkScopeChanged,
        Gone::Format => Code::LinkFormat,
    }
}

/// The code for a change that the database refused.
pub(crate) fn code_of_constraint(kind: ConstraintKind) -> Code {
    match kind {
        ConstraintKind::Unique => Code::UniqueConstraint,
        ConstraintKind::NotNull => Code::RequiredValue,
        ConstraintKind::ForeignKey => Code::ReferenceConstraint,
        ConstraintKind::Check => Code::CheckConstraint,
        ConstraintKind::Type => Code::InvalidValue,
        ConstraintKind::Scope => Code::OutOfScope,
        ConstraintKind::Trigger => Code::RefusedByDatabase,
    }
}
