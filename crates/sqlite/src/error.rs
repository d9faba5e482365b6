//! What SQLite says, as what the caller can do about it.
//!
//! What must hold: every text says what to do and names the database (except where clients are shown the text); none contains SQL
//! that Highwater made.

use std::path::Path;

use highwater_core::{Error, Gone};
use rusqlite::ErrorCode;
use rusqlite::ffi;

use crate::failure::Failure;

/// What goes wrong inside a task: SQLite's own errors are translated where the path of the database is known.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite said no.
    Sqlite(rusqlite::Error),
    /// The caller is told this.
    Told(Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Fault::Sqlite(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Told(error)
    }
}

impl From<Gone> for Fault {
    fn from(gone: Gone) -> Self {
        Fault::Told(Error::Gone(gone))
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(error) => Fault::Sqlite(error),
            Failure::Refused(text) => Fault::Told(Error::Unsupported(text)),
        }
    }
}

impl Fault {
    /// The error to tell.
    pub(crate) fn tell(self, path: &Path) -> Error {
        match self {
            Fault::Sqlite(error) => translate(error, path),
            Fault::Told(error) => error,
        }
    }
}

fn translate(error: rusqlite::Error, path: &Path) -> Error {
    let path = path.display();
    let (cause, said) = match &error {
        rusqlite::Error::SqliteFailure(cause, message) => {
            (cause, message.clone().unwrap_or_else(|| cause.to_string()))
        }
        rusqlite::Error::SqlInputError { error, msg, .. } => (error, msg.clone()),
        other => return Error::Internal(format!("SQLite, {path}: {other}")),
    };
    match cause.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Error::Busy(format!(
            "Another program holds the database {path} locked. Try again later."
        )),
        ErrorCode::ReadOnly if cause.extended_code == ffi::SQLITE_READONLY_DBMOVED => {
            Error::Unavailable(format!(
                "The file {path} was replaced while it was in use. Try again."
            ))
        }
        ErrorCode::ReadOnly => Error::ReadOnly(format!(
            "The database cannot be written ({said}). Give the service write access to the file and its directory."
        )),
        ErrorCode::DiskFull => Error::Full(format!(
            "The disk or the database {path} is full. Nothing was changed. Make room and try again."
        )),
        ErrorCode::DatabaseCorrupt => Error::Corrupt(format!(
            "The database {path} is damaged ({said}). Restore it from a backup, or try SQLite's .recover command on a copy."
        )),
        ErrorCode::NotADatabase => Error::Corrupt(format!(
            "The file {path} is not a SQLite database (or is encrypted)."
        )),
        ErrorCode::CannotOpen => Error::Unavailable(format!(
            "The database {path} cannot be opened. Check that the service may read the file and, for a database in WAL mode, write to its directory."
        )),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            Error::Unavailable(format!(
                "The service may not open the database {path}. Check the permissions of the file."
            ))
        }
        ErrorCode::SystemIoFailure => Error::Unavailable(format!(
            "Reading or writing the database {path} failed ({said}). Check the disk."
        )),
        ErrorCode::OperationInterrupted => Error::LimitExceeded(
            "The request took too long and was stopped. Narrow it with $filter, select fewer rows, or create an index.".into(),
        ),
        ErrorCode::OutOfMemory | ErrorCode::TooBig => {
            Error::LimitExceeded(format!("The request needs too much memory ({said})."))
        }
        ErrorCode::SchemaChanged => Error::SchemaChanged,
        _ if said.starts_with("no such collation sequence")
            || said.starts_with("no such function")
            || said.starts_with("unknown function")
            || said.starts_with("no such module") =>
        {
            Error::Unsupported(format!(
                "The database uses something that only its own program provides: {said}."
            ))
        }
        _ if said.starts_with("too many columns") => Error::Unsupported(
            "The table has too many columns to compare them all. Name the ones that you need with $select, and order by fewer.".into(),
        ),
        _ if said.starts_with("Expression tree is too large")
            || said.starts_with("parser stack overflow") =>
        {
            Error::TooComplex("The expression is nested too deeply. Simplify it.".into())
        }
        _ => Error::Internal(format!("SQLite, {path}: {said}")),
    }
}

/// Whether the connection may be what is wrong, so that it should not be used again.
pub(crate) fn spoils_connection(error: &Error) -> bool {
    matches!(
        error,
        Error::Unavailable(_)
            | Error::Corrupt(_)
            | Error::Internal(_)
            | Error::Full(_)
            | Error::ReadOnly(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sqlite_says_becomes_what_to_do() {
        let check = |code: i32, said: &str, expected: &str| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(said.into()));
            let told = Fault::from(error).tell(Path::new("a.sqlite"));
            let kind = format!("{told:?}");
            let kind = kind.split(['(', ' ']).next().unwrap_or_default().to_owned();
            assert_eq!(format!("{kind}: {told}"), expected);
        };
        check(
            ffi::SQLITE_BUSY,
            "database is locked",
            "Busy: Another program holds the database a.sqlite locked. Try again later.",
        );
        check(
            ffi::SQLITE_READONLY,
            "attempt to write a readonly database",
            "ReadOnly: The database cannot be written (attempt to write a readonly database). Give the service write access to the file and its directory.",
        );
        check(
            ffi::SQLITE_READONLY_DBMOVED,
            "attempt to write a readonly database",
            "Unavailable: The file a.sqlite was replaced while it was in use. Try again.",
        );
        check(
            ffi::SQLITE_FULL,
            "database or disk is full",
            "Full: The disk or the database a.sqlite is full. Nothing was changed. Make room and try again.",
        );
        check(
            ffi::SQLITE_CORRUPT,
            "database disk image is malformed",
            "Corrupt: The database a.sqlite is damaged (database disk image is malformed). Restore it from a backup, or try SQLite's .recover command on a copy.",
        );
        check(
            ffi::SQLITE_IOERR_READ,
            "disk I/O error",
            "Unavailable: Reading or writing the database a.sqlite failed (disk I/O error). Check the disk.",
        );
        check(
            ffi::SQLITE_INTERRUPT,
            "interrupted",
            "LimitExceeded: The request took too long and was stopped. Narrow it with $filter, select fewer rows, or create an index.",
        );
        check(
            ffi::SQLITE_ERROR,
            "no such collation sequence: german",
            "Unsupported: The database uses something that only its own program provides: no such collation sequence: german.",
        );
        check(
            ffi::SQLITE_ERROR,
            "Expression tree is too large (maximum depth 1000)",
            "TooComplex: The expression is nested too deeply. Simplify it.",
        );
    }
}
