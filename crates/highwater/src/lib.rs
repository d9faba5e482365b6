//! Exact delta links on the data you already have.
//!
//! [`open`] makes an OData service of a database, a SQLite file or a PostgreSQL database: every table with a usable primary key is tracked,
//! whichever program writes to it, and clients read it once and then follow delta links. The service is a value that answers requests; mount it in a program of
//! your own, or let [`serve`] listen for you.
//!
//! # In axum
//!
//! ```
//! # async fn get(address: std::net::SocketAddr, target: &str) -> std::io::Result<String> {
//! #     use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//! #     let mut stream = tokio::net::TcpStream::connect(address).await?;
//! #     let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
//! #     stream.write_all(request.as_bytes()).await?;
//! #     let mut answer = String::new();
//! #     stream.read_to_string(&mut answer).await?;
//! #     Ok(answer)
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let database = folder.path().join("shop.sqlite");
//! # rusqlite::Connection::open(&database)?.execute_batch(
//! #     "CREATE TABLE Customers (Id INTEGER PRIMARY KEY, Name TEXT NOT NULL);
//! #      INSERT INTO Customers VALUES (1, 'Ada');",
//! # )?;
//! use axum::{Router, routing};
//! use tokio::net::TcpListener;
//!
//! let service = highwater::open(&database, highwater::Settings::default()).await?;
//!
//! // What is not the program's own goes to the service, which answers below `/odata/`.
//! let app = Router::new()
//!     .route("/hello", routing::get(|| async { "hello" }))
//!     .fallback_service(service);
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(async move { axum::serve(listener, app).await });
//!
//! assert!(get(address, "/hello").await?.ends_with("hello"));
//! assert!(get(address, "/odata/Customers").await?.contains("Ada"));
//! # Ok(())
//! # }
//! ```
//!
//! # In hyper
//!
//! ```
//! # async fn get(address: std::net::SocketAddr, target: &str) -> std::io::Result<String> {
//! #     use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//! #     let mut stream = tokio::net::TcpStream::connect(address).await?;
//! #     let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
//! #     stream.write_all(request.as_bytes()).await?;
//! #     let mut answer = String::new();
//! #     stream.read_to_string(&mut answer).await?;
//! #     Ok(answer)
//! # }
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let database = folder.path().join("shop.sqlite");
//! # rusqlite::Connection::open(&database)?.execute_batch(
//! #     "CREATE TABLE Customers (Id INTEGER PRIMARY KEY, Name TEXT NOT NULL);
//! #      INSERT INTO Customers VALUES (1, 'Ada');",
//! # )?;
//! use hyper::server::conn::http1;
//! use hyper_util::rt::TokioIo;
//! use tokio::net::TcpListener;
//!
//! let service = highwater::open(&database, highwater::Settings::default()).await?;
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(async move {
//!     while let Ok((stream, _)) = listener.accept().await {
//!         let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
//!         tokio::spawn(connection);
//!     }
//! });
//!
//! assert!(get(address, "/odata/Customers").await?.contains("Ada"));
//! # Ok(())
//! # }
//! ```
//!
//! What must hold: this crate joins the others and adds no behaviour. What is deliberately absent: authentication and TLS, which
//! belong to the program that mounts the service, or to a proxy before it.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use highwater_core::tracking::Policy;
use highwater_core::{Catalog, Store, Table};
use highwater_postgres::PostgresStore;
use highwater_sqlite::SqliteStore;

pub use highwater_core as core;
pub use highwater_odata as odata;
pub use highwater_postgres as postgres;
pub use highwater_server as server;
pub use highwater_sqlite as sqlite;

pub use highwater_core::Error;
pub use highwater_server::listen::serve;
pub use highwater_server::model::{ModelError, ModelPart};
pub use highwater_server::{Limits, PrepareError, Profile, Service, Settings, TableSettings};

/// A service over a database, ready to answer.
///
/// `database` is the path of a SQLite file, or a URL that begins with `postgres://` or `postgresql://`
/// ([`postgres::Access::parse`] tells what it may say and where the password comes from).
///
/// Tables are tracked as the settings say; one that they do not name is tracked if it can be. The history is looked after as long as the
/// service or a clone of it lives, in a task of the runtime that this is called in. Any number of programs may do this with one database
/// at the same time; they answer each other's links if their settings are the same.
///
/// # Errors
///
/// [`PrepareError::Settings`] if the settings do not fit the database; then nothing in it was changed. [`PrepareError::Store`] if
/// it cannot be opened or reached, or is busy for longer than a few seconds.
pub async fn open(
    database: impl AsRef<OsStr>,
    settings: Settings,
) -> Result<Service, PrepareError> {
    let database = database.as_ref();
    // Wrong settings must not leave triggers behind, so they are checked with a store that tracks nothing new.
    let check = Opened::open(database, &settings, Policy::Only(Vec::new())).await?;
    let catalog = check.store().catalog().await?;
    Service::new(check.store(), settings.clone())
        .prepare()
        .await?;

    let opened = Opened::open(database, &settings, policy(&settings, &catalog)).await?;
    opened.maintain();
    let service = Service::new(opened.store(), settings);
    service.prepare().await?;
    Ok(service)
}

/// Whether `database` is a URL of a PostgreSQL database for [`open`], and not the path of a file.
pub fn is_postgres_url(database: impl AsRef<OsStr>) -> bool {
    database.as_ref().to_str().is_some_and(|text| {
        ["postgres://", "postgresql://"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
    })
}

/// A store of either kind.
enum Opened {
    Sqlite(Arc<SqliteStore>),
    Postgres(Arc<PostgresStore>),
}

impl Opened {
    async fn open(
        database: &OsStr,
        settings: &Settings,
        tracking: Policy,
    ) -> Result<Opened, Error> {
        let retention = settings.retention;
        let statement_timeout = settings.limits.request_time_max;
        Ok(match database.to_str() {
            Some(url) if is_postgres_url(url) => {
                let options = highwater_postgres::Options {
                    tracking,
                    retention,
                    statement_timeout,
                    connections: settings.limits.database_connections_max,
                };
                Opened::Postgres(Arc::new(PostgresStore::open(url, options).await?))
            }
            _ => {
                let options = highwater_sqlite::Options {
                    tracking,
                    retention,
                    statement_timeout,
                    ..highwater_sqlite::Options::default()
                };
                Opened::Sqlite(Arc::new(
                    SqliteStore::open(Path::new(database), options).await?,
                ))
            }
        })
    }

    fn store(&self) -> Arc<dyn Store> {
        match self {
            Opened::Sqlite(store) => store.clone(),
            Opened::Postgres(store) => store.clone(),
        }
    }

    /// Looks after the history until the store is dropped.
    fn maintain(&self) {
        match self {
            Opened::Sqlite(store) => {
                tokio::spawn(SqliteStore::maintain(Arc::downgrade(store)));
            }
            Opened::Postgres(store) => {
                tokio::spawn(PostgresStore::maintain(Arc::downgrade(store)));
            }
        }
    }
}

/// Every table that can be tracked, without those that are not served or not to be tracked.
fn policy(settings: &Settings, catalog: &Catalog) -> Policy {
    let unwanted = |table: &&Table| {
        let schema = table.schema.as_deref();
        let own = settings.table(schema, &table.name);
        !settings.exposes(schema, &table.name) || own.is_some_and(|own| !own.track)
    };
    let tables = catalog.tables.iter().filter(unwanted);
    let names = tables.map(|table| match &table.schema {
        Some(schema) => format!("{schema}.{}", table.name),
        None => table.name.clone(),
    });
    Policy::Except(names.collect())
}
