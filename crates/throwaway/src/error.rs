//! What can go wrong, as text for the developer who runs a test.

use std::fmt;

/// Why something could not be done with a throw-away cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(pub(crate) String);

impl Error {
    /// An error of the operating system, and what was attempted.
    pub(crate) fn io(attempted: impl fmt::Display, error: &std::io::Error) -> Error {
        Error(format!("{attempted}: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// As it is told, so that a test may `unwrap` and the report can still be read.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {}
