//! What PostgreSQL says, as what the caller can do about it.
//!
//! What must hold: every text says what to do; none contains SQL that Highwater made, or a password. What is deliberately absent:
//! constraints that refuse a change (the writing side knows which step met them).

use highwater_core::{Error, Gone};
use tokio_postgres::error::{DbError, SqlState};

use crate::own_schema;

/// What goes wrong inside a verb: PostgreSQL's own errors are translated at its end, where nobody asks for their code any more.
#[derive(Debug)]
pub(crate) enum Fault {
    /// PostgreSQL said no, or says nothing any more.
    Postgres(tokio_postgres::Error),
    /// The caller is told this.
    Told(Error),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Fault::Postgres(error)
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

impl Fault {
    /// The error to tell.
    pub(crate) fn tell(self) -> Error {
        match self {
            Fault::Postgres(error) => translate(&error),
            Fault::Told(error) => error,
        }
    }

    /// The error to tell of what Highwater does for itself, where no request could be another one.
    pub(crate) fn tell_own(self) -> Error {
        let code = match &self {
            Fault::Postgres(error) => error.code().map_or("", SqlState::code),
            Fault::Told(_) => "",
        };
        match code {
            "57014" => Error::Unavailable(
                "PostgreSQL stopped a statement that reads or changes the schema, because it took too long. Raise statement_timeout for the role \
                 of the connection (`ALTER ROLE … SET statement_timeout`)."
                    .into(),
            ),
            code if code.starts_with(RAISED) => Error::Unsupported(format!(
                "The database refuses a change of its schema: {}. An event trigger may forbid it; disable that while the tracking begins or ends.",
                self.message()
            )),
            _ => self.tell(),
        }
    }

    fn message(&self) -> String {
        match self {
            Fault::Postgres(error) => error
                .as_db_error()
                .map_or_else(|| error.to_string(), |said| said.message().to_owned()),
            Fault::Told(error) => error.to_string(),
        }
    }
}

/// What the codes of errors begin with that somebody's PL/pgSQL raises.
const RAISED: &str = "P0";

/// The error to tell for one of PostgreSQL.
pub(crate) fn translate(error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(said) => translate_said(said),
        // The connection broke, or the server does not speak the protocol: a new connection may do.
        None => Error::Unavailable(format!(
            "The connection to the database was lost ({}). Try again; if it stays so, check that the server runs.",
            reason(error)
        )),
    }
}

/// The innermost cause; the error itself only says of which kind it is.
fn reason(error: &tokio_postgres::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn translate_said(said: &DbError) -> Error {
    let message = said.message();
    let code = said.code();
    match code.code() {
        // A hot standby that has to apply what a query still reads.
        "40001" if message.contains("recovery") => Error::Busy(
            "The standby had to stop the request to apply changes of the primary. Try again; if it happens often, raise max_standby_streaming_delay."
                .into(),
        ),
        "40001" | "40P01" => Error::Busy(
            "Another transaction changed the same rows at the same time. Try again.".into(),
        ),
        "55P03" => Error::Busy(
            "Another transaction holds a lock that the request needs. Try again later.".into(),
        ),
        "57014" => Error::LimitExceeded(
            "The request took too long and was stopped. Narrow it with $filter, select fewer rows, or create an index.".into(),
        ),
        "53100" => Error::Full(
            "The disk of the database is full. Nothing was changed. Make room and try again.".into(),
        ),
        "53200" => Error::LimitExceeded(format!(
            "The database has not enough memory for the request ({message}). Narrow it."
        )),
        "53300" => Error::Unavailable(format!(
            "The database has no free connection ({message}). Lower the number of connections of this service or others, or raise max_connections."
        )),
        "57P01" | "57P02" | "57P03" => Error::Unavailable(format!(
            "The database is stopping or starting ({message}). Try again in a moment."
        )),
        "57P05" | "25P03" => Error::Unavailable(
            "The database closed the connection because the transaction was idle for too long. Try again.".into(),
        ),
        "25006" => Error::ReadOnly(
            "The database cannot be written: it is a standby, or default_transaction_read_only is on. Write to the primary.".into(),
        ),
        "42501" => Error::Unavailable(format!(
            "The role of the service lacks a right: {message}. Grant it; highwater track --print-sql --role, run as the owner, shows what is needed."
        )),
        // The statement was made for a table that looks otherwise now: bind again.
        "42P01" | "42703" | "42704" | "42809" | "3F000" => Error::SchemaChanged,
        // Nobody else's functions are called by that name. The trigger functions of a table go with its tracking.
        "42883" if message.contains("highwater.") => own_schema::damaged(message),
        "0A000" if message.contains("during recovery") => Error::ReadOnly(
            "This is a standby, which nothing can be written to. Write to the primary.".into(),
        ),
        "0A000" if message.contains("cached plan must not change result type") => {
            Error::SchemaChanged
        }
        "54001" => Error::TooComplex("The expression is nested too deeply. Simplify it.".into()),
        "54000" | "54011" | "54023" => Error::TooComplex(format!(
            "The request is larger than PostgreSQL can compute ({message}). Ask for fewer columns or simplify the filter."
        )),
        "2201B" => Error::InvalidQuery(format!("The pattern is not valid: {message}.")),
        "XX001" | "XX002" => Error::Corrupt(format!(
            "The database is damaged ({message}). Restore it from a backup."
        )),
        code if code.starts_with("08") => Error::Unavailable(format!(
            "The connection to the database was lost ({message}). Try again."
        )),
        code if code.starts_with("53") => Error::Unavailable(format!(
            "The database lacks resources ({message}). Try again later."
        )),
        code if code.starts_with("58") => Error::Unavailable(format!(
            "Reading the database's files failed ({message}). Check the disk of the server and its log."
        )),
        // What PostgreSQL is sent is UTF-8, so it comes from the table. (A zero byte is the only other that it does not take.)
        "22021" if !message.contains("0x00") => Error::Corrupt(format!(
            "The database holds a text that is not UTF-8 ({message}), as one with the encoding SQL_ASCII accepts. Correct the row, or convert the \
             database."
        )),
        code if code.starts_with("22") => Error::InvalidQuery(format!(
            "A value in the query cannot be computed: {message}."
        )),
        code => Error::Internal(format!("PostgreSQL, {code}: {message}")),
    }
}

/// Whether the connection may be what is wrong.
pub(crate) fn is_connection_lost(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        None => true,
        Some(code) => {
            code.code().starts_with("08")
                || code.code().starts_with("57P")
                || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        }
    }
}
