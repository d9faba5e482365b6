//! Exact delta links on the data you already have.
//!
//! [`open`] makes an OData service of a SQLite file: every table with a usable primary key is tracked, whichever program writes to it,
//! and clients read it once and then follow delta links. The service is a value that answers requests; mount it in a program of
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

use std::path::Path;
use std::sync::Arc;

use highwater_core::{Catalog, Store as _, Table};
use highwater_sqlite::tracking::Policy;
use highwater_sqlite::{Options, SqliteStore};

pub use highwater_core as core;
pub use highwater_odata as odata;
pub use highwater_server as server;
pub use highwater_sqlite as sqlite;

pub use highwater_core::Error;
pub use highwater_server::listen::serve;
pub use highwater_server::model::{ModelError, ModelPart};
pub use highwater_server::{Limits, PrepareError, Profile, Service, Settings, TableSettings};

/// A service over a SQLite file, ready to answer.
///
/// Tables are tracked as the settings say; one that they do not name is tracked if it can be. The history is looked after as long as the
/// service or a clone of it lives, in a task of the runtime that this is called in.
///
/// # Errors
///
/// [`PrepareError::Settings`] if the settings do not fit the database; then nothing in it was changed. [`PrepareError::Store`] if
/// it cannot be opened, or is busy for longer than a few seconds.
pub async fn open(database: impl AsRef<Path>, settings: Settings) -> Result<Service, PrepareError> {
    let database = database.as_ref();
    // Wrong settings must not leave triggers behind, so they are checked with a store that tracks nothing new.
    let check = SqliteStore::open(database, options(&settings, Policy::Only(Vec::new()))).await?;
    let catalog = check.catalog().await?;
    Service::new(Arc::new(check), settings.clone())
        .prepare()
        .await?;

    let store =
        SqliteStore::open(database, options(&settings, policy(&settings, &catalog))).await?;
    let store = Arc::new(store);
    tokio::spawn(SqliteStore::maintain(Arc::downgrade(&store)));
    let service = Service::new(store, settings);
    service.prepare().await?;
    Ok(service)
}

fn options(settings: &Settings, tracking: Policy) -> Options {
    Options {
        tracking,
        retention: settings.retention,
        statement_timeout: settings.limits.request_time_max,
        ..Options::default()
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
    Policy::Except(tables.map(|table| table.name.clone()).collect())
}
