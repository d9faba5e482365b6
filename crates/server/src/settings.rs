//! Everything that can be configured for a service.
//!
//! A plain value: the command line fills it from flags and `highwater.toml`, a library user with struct update syntax.
//!
//! What must hold: the default of every field is safe for a service on an open network, and no field needs another to be set.
//! What is deliberately absent: parsing of files, and where the service listens.

use std::collections::BTreeMap;
use std::time::Duration;

/// Rows a page unless the client prefers another number (`Prefer: maxpagesize`).
pub const PAGE_SIZE_DEFAULT_ROWS: u32 = 1_000;
/// Rows a page at most, whatever the client prefers.
pub const PAGE_SIZE_MAX_ROWS: u32 = 50_000;
/// Size of a page after which no further entity is begun, whatever the number of rows.
pub const PAGE_MAX_BYTES: usize = 8 * 1024 * 1024;
/// How long the history is kept, and so how long a link lives: 7 days.
pub const RETENTION_DEFAULT_S: u64 = 7 * 24 * 60 * 60;
/// Length of the request target (path and query).
pub const URL_MAX_BYTES: usize = 64 * 1024;
/// Size of a request body.
pub const BODY_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Levels of nesting in `$filter`, `$orderby` and `$search`.
pub const FILTER_DEPTH_MAX: usize = 100;
/// Operators, functions, literals and path segments in all expressions of a request together, aliases written out.
pub const FILTER_NODES_MAX: usize = 5_000;
/// Levels of `$expand`, `$levels` included.
pub const EXPAND_DEPTH_MAX: usize = 6;
/// Navigation properties in all `$expand` options of a request together, with `*` and `$levels` written out.
pub const EXPAND_NODES_MAX: usize = 64;
/// Related rows a nested collection shows before it is cut with a next link of its own.
pub const EXPAND_PAGE_MAX_ROWS: u32 = 1_000;
/// Navigation segments in a resource path.
pub const PATH_HOPS_MAX: usize = 16;
/// How long a request may take from its last header to the last byte of the answer.
pub const REQUEST_MAX_S: u64 = 60;
/// How long a client may take to send the headers of a request.
pub const HEADERS_MAX_S: u64 = 15;
/// Connections at the same time.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Connections to a database server at the same time.
pub const DATABASE_CONNECTIONS_MAX: usize = 10;

/// The schema whose tables go by their name alone.
pub const DEFAULT_SCHEMA: &str = "public";

/// How a service names, narrows and limits what it serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The service root as clients see it, for instance `https://example.com/odata/`, where a proxy changes it. `None`: the
    /// `Host` header of each request.
    pub public_url: Option<String>,
    /// How faithful the dialects are to the services that they stand in for.
    pub profile: Profile,
    /// Rows a page if the client has no preference. At least one.
    pub page_size_rows: u32,
    /// Rows a page at most. Larger preferences are lowered to it.
    pub page_size_max_rows: u32,
    /// How long the history is kept and links are answered.
    pub retention: Duration,
    /// What a request may ask for.
    pub limits: Limits,
    /// Whether tables that [`Settings::tables`] does not name are served.
    pub expose_unlisted: bool,
    /// What differs for single tables, by the table's name as the database spells it. Where a database has several schemas, this is
    /// `schema.name`, and a name alone means the table in [`DEFAULT_SCHEMA`].
    pub tables: BTreeMap<String, TableSettings>,
}

/// How close a dialect stays to the service that it stands in for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// The guarantees of Highwater in the wire format of the dialect.
    #[default]
    Exact,
}

/// What one request may ask for. Beyond a limit it is refused with an error that names the limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Length of path and query: 414 beyond it.
    pub url_max_bytes: usize,
    /// Size of the body: 413 beyond it.
    pub body_max_bytes: usize,
    /// Size of a page after which no further entity is begun.
    pub page_max_bytes: usize,
    /// See [`FILTER_DEPTH_MAX`].
    pub filter_depth_max: usize,
    /// See [`FILTER_NODES_MAX`].
    pub filter_nodes_max: usize,
    /// See [`EXPAND_DEPTH_MAX`].
    pub expand_depth_max: usize,
    /// See [`EXPAND_NODES_MAX`].
    pub expand_nodes_max: usize,
    /// See [`EXPAND_PAGE_MAX_ROWS`].
    pub expand_page_max_rows: u32,
    /// See [`PATH_HOPS_MAX`].
    pub path_hops_max: usize,
    /// How long a request may take.
    pub request_time_max: Duration,
    /// How long a client may take to send its headers.
    pub headers_time_max: Duration,
    /// Connections at the same time.
    pub connections_max: usize,
    /// Connections to a database server at the same time; requests wait for a free one. A database in a file does not count them. Only the
    /// program that opens the database looks at it.
    pub database_connections_max: usize,
}

/// What differs for one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSettings {
    /// Whether the table is served at all.
    pub expose: bool,
    /// Whether its changes are to be captured. Only the program that prepares the database looks at it.
    pub track: bool,
    /// Whether clients may only read it.
    pub read_only: bool,
    /// Name of the entity set; `None`: made from the table's name.
    pub entity_set: Option<String>,
    /// Names of properties by column, as the database spells it. Others are made from the column's name.
    pub properties: BTreeMap<String, String>,
    /// The rows that the service shows, as the text of an OData `$filter`. Nothing outside it can be read, counted, reached by
    /// navigation or written.
    pub filter: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            public_url: None,
            profile: Profile::Exact,
            page_size_rows: PAGE_SIZE_DEFAULT_ROWS,
            page_size_max_rows: PAGE_SIZE_MAX_ROWS,
            retention: Duration::from_secs(RETENTION_DEFAULT_S),
            limits: Limits::default(),
            expose_unlisted: true,
            tables: BTreeMap::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            url_max_bytes: URL_MAX_BYTES,
            body_max_bytes: BODY_MAX_BYTES,
            page_max_bytes: PAGE_MAX_BYTES,
            filter_depth_max: FILTER_DEPTH_MAX,
            filter_nodes_max: FILTER_NODES_MAX,
            expand_depth_max: EXPAND_DEPTH_MAX,
            expand_nodes_max: EXPAND_NODES_MAX,
            expand_page_max_rows: EXPAND_PAGE_MAX_ROWS,
            path_hops_max: PATH_HOPS_MAX,
            request_time_max: Duration::from_secs(REQUEST_MAX_S),
            headers_time_max: Duration::from_secs(HEADERS_MAX_S),
            connections_max: CONNECTIONS_MAX,
            database_connections_max: DATABASE_CONNECTIONS_MAX,
        }
    }
}

impl Default for TableSettings {
    fn default() -> Self {
        TableSettings {
            expose: true,
            track: true,
            read_only: false,
            entity_set: None,
            properties: BTreeMap::new(),
            filter: None,
        }
    }
}

impl Settings {
    /// What differs for a table, if anything.
    pub fn table(&self, schema: Option<&str>, name: &str) -> Option<&TableSettings> {
        self.entry(schema, name).map(|(_, table)| table)
    }

    /// Whether a table is served.
    pub fn exposes(&self, schema: Option<&str>, name: &str) -> bool {
        self.table(schema, name)
            .map_or(self.expose_unlisted, |table| table.expose)
    }

    /// What differs for a table, with the key under which it stands in [`Settings::tables`].
    pub(crate) fn entry(&self, schema: Option<&str>, name: &str) -> Option<(&str, &TableSettings)> {
        let find = |key: &str| {
            let (key, table) = self.tables.get_key_value(key)?;
            Some((key.as_str(), table))
        };
        let qualified = schema.and_then(|schema| find(&format!("{schema}.{name}")));
        match schema {
            None | Some(DEFAULT_SCHEMA) => qualified.or_else(|| find(name)),
            Some(_) => qualified,
        }
    }
}
