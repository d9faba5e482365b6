//! Why an administrative step could not be done.

use std::path::Path;

use highwater_core::Error;

use crate::error::Fault;

/// An error of SQLite, or a refusal with a sentence for the user.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// SQLite said no.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// The step makes no sense here; the text says what to do instead.
    #[error("{0}")]
    Refused(String),
}

impl Failure {
    /// The error as a sentence for the user: which database it is about and what to do.
    pub fn tell(self, path: &Path) -> Error {
        Fault::from(self).tell(path)
    }
}
