//! Connections to a PostgreSQL server, from a URL and what libpq's environment variables add to it.
//!
//! What must hold: a password is in no message, log or `Debug` form; encryption and the check of a certificate, once asked for, are never
//! given up in silence. What is deliberately absent: service files (`pg_service.conf`), Kerberos, certificate revocation lists, and
//! libpq's `key=value` strings: options that cannot be followed are refused, not ignored.

mod options;
mod passfile;
mod tls;
mod url;

use std::fmt;
use std::future::poll_fn;
use std::path::PathBuf;
use std::time::Duration;

use highwater_core::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{ChannelBinding, SslMode as Encryption};
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::options::{Environment, Options};
use self::tls::Security;

/// How long connecting to one host may take, if `connect_timeout` does not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection on which nothing was heard for so long is asked whether it is still there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// How often it is asked again.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// After so many questions without an answer the connection is taken for dead.
const KEEPALIVE_RETRIES: u32 = 3;
/// Data that is not acknowledged for so long means that the connection is dead.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(60);

/// Makes every connection of ours write values in one form, whatever the role, the database or the server prefers. A transaction of a
/// pooled connection repeats it with `SET LOCAL`, because what lies behind a connection pooler may be another session each time.
pub(crate) const OUTPUT_SETTINGS: [(&str, &str); 7] = [
    ("DateStyle", "ISO"),
    ("TimeZone", "UTC"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("xmloption", "content"),
    ("lc_monetary", "C"),
];

/// Makes every connection of ours read texts, such as old images, as they were written. (What is written with [`OUTPUT_SETTINGS`] can be read
/// in one way only, but for these.)
const INPUT_SETTINGS: [(&str, &str); 1] = [("array_nulls", "on")];

/// The settings of every connection of ours.
pub(crate) fn settings() -> impl Iterator<Item = (&'static str, &'static str)> {
    OUTPUT_SETTINGS.into_iter().chain(INPUT_SETTINGS)
}

/// Where a database is and how to get in.
#[derive(Clone)]
pub struct Access {
    hosts: Vec<Host>,
    /// Everything but the host.
    config: Config,
    user: String,
    database: String,
    /// `None` if it has to be looked up in the password file.
    has_password: bool,
    password_file: Option<PathBuf>,
    security: Security,
    wanted: Wanted,
    connect_timeout: Duration,
}

/// One server of several.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Host {
    place: Place,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// A name or an address.
    Tcp(String),
    /// The directory of a socket.
    Unix(PathBuf),
}

/// `target_session_attrs`: which of several servers to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Any,
    ReadWrite,
    ReadOnly,
    Primary,
    Standby,
    PreferStandby,
}

impl Access {
    /// Reads a `postgres://` or `postgresql://` URL. What it leaves open comes from libpq's environment variables, then from libpq's
    /// defaults; the password from the URL, else `PGPASSWORD`, else the password file (`PGPASSFILE` or `~/.pgpass`).
    ///
    /// `sslmode` is `prefer` unless something else is said: encrypted if the server can, without a check of its certificate.
    /// `verify-full` is what protects against somebody in between; it trusts the authorities in `sslrootcert` (a file, or `system`),
    /// else those in `~/.postgresql/root.crt`, else those of the system.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the URL or a variable cannot be followed.
    pub fn parse(url: &str) -> Result<Access, Error> {
        Access::parse_in(url, &Environment::of_process())
    }

    fn parse_in(url: &str, environment: &Environment<'_>) -> Result<Access, Error> {
        let options = Options::new(url::parse(url)?, environment)?;
        options.access().map_err(Error::Unsupported)
    }

    /// Opens a connection with a session of its own, which ends when the client is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if no server lets us in.
    pub async fn connect(&self) -> Result<Client, Error> {
        self.connect_listening(|_| {}).await
    }

    /// As [`Self::connect`]; what the server says without being asked, such as notifications, is handed over.
    ///
    /// # Errors
    ///
    /// As [`Self::connect`].
    pub async fn connect_listening(
        &self,
        told: impl FnMut(AsyncMessage) + Clone + Send + 'static,
    ) -> Result<Client, Error> {
        let client = self.open(told).await?;
        // To compile a statement takes longer than to run it, and few run twice.
        let mut settings = String::from("SET jit = off;");
        for (name, value) in self::settings() {
            settings.push_str(&format!("SET {name} = '{value}';"));
        }
        client
            .batch_execute(&settings)
            .await
            .map_err(|error| crate::error::translate(&error))?;
        Ok(client)
    }

    /// A connection with the settings that the server chose: for transactions that bring their own.
    pub(crate) async fn open(
        &self,
        told: impl FnMut(AsyncMessage) + Clone + Send + 'static,
    ) -> Result<Client, Error> {
        let mut failures = Vec::new();
        let mut second_choice = None;
        for host in &self.hosts {
            let client = match self.connect_to(host, told.clone()).await {
                Ok(client) => client,
                Err(failure) => {
                    failures.push(failure);
                    continue;
                }
            };
            match self.suits(&client).await {
                Ok(true) => return Ok(client),
                Ok(false) if self.wanted == Wanted::PreferStandby => {
                    second_choice.get_or_insert(client);
                }
                Ok(false) => failures.push(format!(
                    "{host} is not what target_session_attrs asks for ({}).",
                    self.wanted
                )),
                Err(error) => failures.push(self.explain(host, &error)),
            }
        }
        second_choice.ok_or_else(|| Error::Unavailable(failures.join(" ")))
    }

    /// Stops what a connection is doing, on the server too. Nothing is said of the outcome.
    pub(crate) async fn cancel(&self, token: tokio_postgres::CancelToken) {
        let cancelled = async {
            match self.security.connector() {
                Some(connector) => token.cancel_query(connector).await,
                None => token.cancel_query(NoTls).await,
            }
        };
        if let Ok(Err(error)) = tokio::time::timeout(self.connect_timeout, cancelled).await {
            tracing::debug!(%error, "a statement that nobody waits for could not be cancelled");
        }
    }

    async fn connect_to(
        &self,
        host: &Host,
        told: impl FnMut(AsyncMessage) + Send + 'static,
    ) -> Result<Client, String> {
        let mut config = self.config.clone();
        config.port(host.port);
        let connector = match &host.place {
            Place::Tcp(name) => {
                config.host(name);
                config.ssl_mode(self.security.encryption());
                self.security.connector()
            }
            Place::Unix(directory) => {
                config.host_path(directory);
                config.ssl_mode(Encryption::Disable);
                None
            }
        };
        if !self.has_password
            && let Some(file) = &self.password_file
            && let Some(password) =
                passfile::password(file, &host.place, host.port, &self.database, &self.user)
        {
            config.password(password);
        }
        let connecting = async {
            match connector {
                Some(connector) => connect_through(&config, connector, told).await,
                None => {
                    let (client, connection) = config.connect(NoTls).await?;
                    drive(connection, told);
                    Ok(client)
                }
            }
        };
        match tokio::time::timeout(self.connect_timeout, connecting).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(error)) => Err(self.explain(host, &error)),
            Err(_) => Err(format!(
                "{host} does not answer within {} s. Check the address, the port and the firewall, or whether the server is overloaded.",
                self.connect_timeout.as_secs()
            )),
        }
    }

    async fn suits(&self, client: &Client) -> Result<bool, tokio_postgres::Error> {
        let (question, expected) = match self.wanted {
            Wanted::Any => return Ok(true),
            Wanted::ReadWrite => ("SHOW transaction_read_only", "off"),
            Wanted::ReadOnly => ("SHOW transaction_read_only", "on"),
            Wanted::Primary => ("SELECT pg_catalog.pg_is_in_recovery()", "f"),
            Wanted::Standby | Wanted::PreferStandby => {
                ("SELECT pg_catalog.pg_is_in_recovery()", "t")
            }
        };
        let answer = client.simple_query(question).await?;
        Ok(answer.iter().any(|message| {
            matches!(message, tokio_postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some(expected))
        }))
    }

    /// Why a host does not let us in, and what to do.
    fn explain(&self, host: &Host, error: &tokio_postgres::Error) -> String {
        let (user, database) = (&self.user, &self.database);
        if let Some(said) = error.as_db_error() {
            let message = said.message();
            return match *said.code() {
                SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                    format!(
                        "{host} does not let the user \"{user}\" in: {message}. Check the user, the password (in PGPASSWORD or the password file) and the server's pg_hba.conf."
                    )
                }
                SqlState::INVALID_CATALOG_NAME => format!(
                    "There is no database \"{database}\" on {host}. Check the name in the URL, or create it."
                ),
                SqlState::TOO_MANY_CONNECTIONS => format!(
                    "{host} has no free connection: {message}. Lower the number of connections of this service or others, or raise max_connections."
                ),
                SqlState::CANNOT_CONNECT_NOW => {
                    format!("{host} is starting or stopping: {message}.")
                }
                SqlState::INSUFFICIENT_PRIVILEGE => format!(
                    "{host} does not let the user \"{user}\" connect to the database \"{database}\": {message}. Grant the right with GRANT CONNECT ON DATABASE."
                ),
                _ => format!("{host} refuses the connection: {message}."),
            };
        }
        let cause = innermost(error);
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return match io.kind() {
                std::io::ErrorKind::ConnectionRefused => format!(
                    "Nothing listens at {host}. Check that PostgreSQL runs there and accepts connections (listen_addresses)."
                ),
                std::io::ErrorKind::NotFound => format!(
                    "There is no socket of PostgreSQL at {host}. Check the directory and the port, and that the server runs."
                ),
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => format!(
                    "{host} closed the connection. It may be stopping, or something else than PostgreSQL listens there."
                ),
                _ => format!("{host} cannot be reached: {io}."),
            };
        }
        if let Some(refused) = cause.downcast_ref::<rustls::Error>() {
            return tls::explain(&host.to_string(), refused);
        }
        let said = cause.to_string();
        if said == "server does not support TLS" {
            return format!(
                "{host} does not offer encryption, but sslmode demands it. Turn on ssl on the server, or use another sslmode if the network is safe."
            );
        }
        if said == "password missing" {
            return format!(
                "{host} wants a password of the user \"{user}\". Set PGPASSWORD, or put it into the password file (~/.pgpass), which only its owner may be able to read."
            );
        }
        format!("{host} cannot be used: {said}.")
    }
}

async fn connect_through(
    config: &Config,
    connector: MakeRustlsConnect,
    told: impl FnMut(AsyncMessage) + Send + 'static,
) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(connector).await?;
    drive(connection, told);
    Ok(client)
}

/// Lets a connection work until its client is dropped or it is cut.
fn drive<S, T>(
    mut connection: Connection<S, T>,
    mut told: impl FnMut(AsyncMessage) + Send + 'static,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(message)) => told(message),
                Some(Err(error)) => {
                    tracing::debug!(%error, "a connection to PostgreSQL was cut");
                    return;
                }
                None => return,
            }
        }
    });
}

fn innermost<'e>(
    error: &'e (dyn std::error::Error + 'static),
) -> &'e (dyn std::error::Error + 'static) {
    let mut cause = error;
    loop {
        // An I/O error that carries another does not always name it as its source.
        let inner = cause
            .downcast_ref::<std::io::Error>()
            .and_then(|io| io.get_ref())
            .map(|inner| inner as &(dyn std::error::Error + 'static));
        match inner.or_else(|| cause.source()) {
            Some(next) => cause = next,
            None => return cause,
        }
    }
}

/// Like the URL, without a password and without options.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "postgres://{}@", self.user)?;
        for (number, host) in self.hosts.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{host}")?;
        }
        write!(f, "/{}", self.database)
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Access({self})")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(name) if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Place::Tcp(name) => write!(f, "{name}:{}", self.port),
            Place::Unix(directory) => write!(f, "{}:{}", directory.display(), self.port),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wanted::Any => "any",
            Wanted::ReadWrite => "read-write",
            Wanted::ReadOnly => "read-only",
            Wanted::Primary => "primary",
            Wanted::Standby => "standby",
            Wanted::PreferStandby => "prefer-standby",
        })
    }
}

fn config(options: &Options<'_>, user: &str, database: &str) -> Result<Config, String> {
    let mut config = Config::new();
    config
        .user(user)
        .dbname(database)
        .application_name(options.get("application_name").unwrap_or("highwater"))
        .keepalives_idle(KEEPALIVE_IDLE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .keepalives_retries(KEEPALIVE_RETRIES)
        .tcp_user_timeout(UNACKNOWLEDGED_MAX);
    if let Some(more) = options.get("options") {
        config.options(more);
    }
    if let Some(password) = options.get("password") {
        config.password(password);
    }
    config.channel_binding(match options.get("channel_binding").unwrap_or("prefer") {
        "disable" => ChannelBinding::Disable,
        "prefer" => ChannelBinding::Prefer,
        "require" => ChannelBinding::Require,
        other => {
            return Err(format!(
                "channel_binding={other} is not known. Use disable, prefer or require."
            ));
        }
    });
    Ok(config)
}
