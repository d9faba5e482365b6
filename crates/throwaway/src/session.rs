//! Just enough of PostgreSQL's protocol (version 3.0, "Simple Query" and `COPY`) for tests: no client library stands between a test
//! and what PostgreSQL says.
//!
//! What is deliberately absent: passwords, TLS, prepared statements; whoever tests these uses a real client.

use std::fmt;
use std::io::{BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A row: each value in PostgreSQL's text form, `None` for `NULL`.
pub type Row = Vec<Option<String>>;

/// A connection as `postgres`, through the Unix socket.
#[derive(Debug)]
pub struct Session {
    stream: BufReader<UnixStream>,
    state: State,
}

/// What a session is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No transaction.
    Idle,
    /// A transaction.
    Open,
    /// A transaction in which a statement was refused, so that nothing but its end is accepted.
    Failed,
    /// The connection is gone.
    Lost,
}

/// What PostgreSQL answered to statements that it executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The types (`pg_type.oid`) of the columns of the last statement that returns rows.
    pub types: Vec<u32>,
    /// The rows of all statements.
    pub rows: Vec<Row>,
    /// What the last statement says that it did, such as `UPDATE 3`.
    pub tag: String,
}

impl Answer {
    /// How many rows the last statement touched.
    pub fn count(&self) -> u64 {
        let number = self.tag.rsplit(' ').next();
        number.and_then(|text| text.parse().ok()).unwrap_or(0)
    }
}

/// Why PostgreSQL did not execute a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The `SQLSTATE`; `08006` if the connection was lost.
    pub code: String,
    /// The message.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for Refusal {}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Refusal {
            code: "08006".to_owned(),
            message: error.to_string(),
        }
    }
}

impl Session {
    /// Connects.
    pub(crate) fn connect(socket: &Path, database: &str) -> Result<Session, Refusal> {
        const VERSION: u32 = 196_608;
        let mut session = Session {
            stream: BufReader::new(UnixStream::connect(socket)?),
            state: State::Idle,
        };
        let settings = format!("user\0postgres\0database\0{database}\0\0");
        session.send(
            None,
            &[&VERSION.to_be_bytes(), settings.as_bytes()].concat(),
        )?;
        session.receive("").map(|_| session)
    }

    /// What the session is in the middle of.
    pub fn state(&self) -> State {
        self.state
    }

    /// Executes statements, separated by semicolons.
    ///
    /// # Errors
    ///
    /// PostgreSQL refuses one of them, or the connection was lost.
    pub fn run(&mut self, sql: &str) -> Result<Answer, Refusal> {
        self.copy(sql, "")
    }

    /// Executes `COPY … FROM STDIN` with the given input.
    ///
    /// # Errors
    ///
    /// PostgreSQL refuses it, or the connection was lost.
    pub fn copy(&mut self, sql: &str, input: &str) -> Result<Answer, Refusal> {
        let outcome = self
            .send(Some(b'Q'), &[sql.as_bytes(), b"\0"].concat())
            .and_then(|()| self.receive(input));
        if matches!(&outcome, Err(refusal) if refusal.code == "08006") {
            self.state = State::Lost;
        }
        outcome
    }

    fn send(&mut self, kind: Option<u8>, body: &[u8]) -> Result<(), Refusal> {
        const LENGTH_BYTES: usize = 4;
        let length = u32::try_from(body.len() + LENGTH_BYTES).map_err(std::io::Error::other)?;
        let mut message: Vec<u8> = kind.into_iter().collect();
        message.extend(length.to_be_bytes());
        message.extend(body);
        Ok(self.stream.get_mut().write_all(&message)?)
    }

    /// Reads until the server waits for the next statement.
    fn receive(&mut self, input: &str) -> Result<Answer, Refusal> {
        let mut answer = Answer::default();
        let mut failure = None;
        loop {
            let (kind, body) = match self.message() {
                Ok(message) => message,
                // The reason came before the end.
                Err(error) => {
                    self.state = State::Lost;
                    return Err(failure.unwrap_or_else(|| error.into()));
                }
            };
            match kind {
                b'T' => answer.types = types(&body).unwrap_or_default(),
                b'D' => answer.rows.extend(row(&body)),
                b'C' => answer.tag = text(&body),
                b'E' => failure = Some(refusal(&body)),
                b'G' => {
                    self.send(Some(b'd'), input.as_bytes())?;
                    self.send(Some(b'c'), b"")?;
                }
                b'R' if body != [0; 4] => {
                    return Err(std::io::Error::other("PostgreSQL asks for a password").into());
                }
                b'Z' => {
                    self.state = match body.as_slice() {
                        b"T" => State::Open,
                        b"E" => State::Failed,
                        _ => State::Idle,
                    };
                    return failure.map_or(Ok(answer), Err);
                }
                _ => {}
            }
        }
    }

    fn message(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        const LENGTH_BYTES: usize = 4;
        let mut head = [0; 1 + LENGTH_BYTES];
        self.stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = (u32::from_be_bytes(length) as usize).saturating_sub(LENGTH_BYTES);
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((kind, body))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without it, the log would tell of a lost connection.
        let _ = self.send(Some(b'X'), b"");
    }
}

/// The types of a `RowDescription`; `None` if it is cut short.
fn types(body: &[u8]) -> Option<Vec<u32>> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut types = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        // After the name: table (4 bytes), column (2), type (4), size (2), modifier (4), format (2).
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (field, after) = rest.get(end + 1..)?.split_first_chunk::<18>()?;
        types.push(u32::from_be_bytes([field[6], field[7], field[8], field[9]]));
        rest = after;
    }
    Some(types)
}

/// The values of a `DataRow`; `None` if it is cut short.
fn row(body: &[u8]) -> Option<Row> {
    let (count, mut rest) = body.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        // A negative length means `NULL`.
        let value = match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => None,
            Ok(length) => {
                let (value, after) = rest.split_at_checked(length)?;
                rest = after;
                Some(String::from_utf8_lossy(value).into_owned())
            }
        };
        values.push(value);
    }
    Some(values)
}

/// Text that ends with a zero byte.
fn text(body: &[u8]) -> String {
    let text = body.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// The code and the message of an `ErrorResponse`.
fn refusal(body: &[u8]) -> Refusal {
    let field = |kind: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        let found = fields.find_map(|field| field.strip_prefix(&[kind]));
        found.map_or_else(String::new, text)
    };
    Refusal {
        code: field(b'C'),
        message: field(b'M'),
    }
}
