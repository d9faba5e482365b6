//! Why a URL was refused, and where.

use std::fmt;

/// What went wrong, where, and what was expected there. The text is meant for the caller of the service.
///
/// One pointer wide, so that the parser's stack frames stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    kind: ParseErrorKind,
    place: String,
    position: usize,
    message: String,
}

/// What kind of refusal it is, for the choice of a status code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseErrorKind {
    /// The text does not follow the grammar (400).
    Syntax,
    /// The expression is nested deeper, or has more parts, than the limits allow (400).
    TooComplex,
    /// The URL is longer than the limits allow (414).
    TooLong,
}

impl ParseError {
    pub(crate) fn new(
        kind: ParseErrorKind,
        place: impl Into<String>,
        position: usize,
        message: impl Into<String>,
    ) -> Self {
        ParseError(Box::new(Details {
            kind,
            place: place.into(),
            position,
            message: message.into(),
        }))
    }

    /// What kind of refusal it is.
    pub fn kind(&self) -> ParseErrorKind {
        self.0.kind
    }

    /// Where: the name of the option as the specification spells it (`$filter`), the alias (`@p`), `path segment 'x'`, `the path`
    /// or `the query`.
    pub fn place(&self) -> &str {
        &self.0.place
    }

    /// Byte offset in the decoded text of that place; in the text as sent where decoding itself failed.
    pub fn position(&self) -> usize {
        self.0.position
    }

    /// What is wrong, without the position.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details {
            place,
            position,
            message,
            ..
        } = &*self.0;
        write!(f, "{message} at position {position} of {place}")
    }
}

impl std::error::Error for ParseError {}
