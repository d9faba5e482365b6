//! Why a request was not understood.

use std::fmt;

use crate::model::naming;

/// What is wrong, in words for the caller.
///
/// Boxed inside, because results that carry it are returned from everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BindError(Box<Inner>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Inner {
    kind: BindErrorKind,
    message: String,
    target: Option<String>,
    hint: Option<String>,
}

/// What kind of mistake it is, for the choice of a code and a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BindErrorKind {
    /// Against the rules of the URL in a way that the grammar alone cannot see (400).
    InvalidUrl,
    /// A literal that has no value of the type that is needed (400).
    InvalidLiteral,
    /// A name inside an option that the model does not have (400).
    UnknownProperty,
    /// An option that does not apply to what the path addresses (400).
    OptionNotAllowed,
    /// Operator, function or option does not take values of this type (400).
    TypeMismatch,
    /// More than the limits allow (400).
    TooComplex,
    /// The path addresses nothing (404).
    NotFound,
    /// Legal, but not supported (501).
    NotImplemented,
}

impl BindError {
    pub(crate) fn new(kind: BindErrorKind, message: impl Into<String>) -> BindError {
        BindError(Box::new(Inner {
            kind,
            message: message.into(),
            target: None,
            hint: None,
        }))
    }

    /// Names the option or segment that is to blame, unless something nearer to the mistake has done so.
    pub(crate) fn target(mut self, target: impl Into<String>) -> BindError {
        self.0.target.get_or_insert_with(|| target.into());
        self
    }

    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> BindError {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the known name that was probably meant.
    pub(crate) fn nearest<'a>(
        self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> BindError {
        match naming::nearest(name, known) {
            Some(known) => self.hint(format!("Did you mean {known}?")),
            None => self,
        }
    }

    /// The kind of mistake.
    pub(crate) fn kind(&self) -> BindErrorKind {
        self.0.kind
    }

    /// The option or segment that is to blame.
    pub(crate) fn target_text(&self) -> Option<&str> {
        self.0.target.as_deref()
    }
}

impl fmt::Display for BindError {
    /// The message, and what to do about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match &self.0.hint {
            Some(hint) => write!(f, " {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BindError {}

/// The shorthands that most of this module's errors are made with.
macro_rules! kinds {
    ($($name:ident => $kind:ident),+ $(,)?) => {
        $(pub(super) fn $name(message: impl Into<String>) -> BindError {
            BindError::new(BindErrorKind::$kind, message)
        })+
    };
}

kinds! {
    invalid_url => InvalidUrl,
    invalid_literal => InvalidLiteral,
    unknown_property => UnknownProperty,
    option_not_allowed => OptionNotAllowed,
    type_mismatch => TypeMismatch,
    too_complex => TooComplex,
    not_found => NotFound,
    not_implemented => NotImplemented,
}
