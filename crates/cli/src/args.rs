//! The command line: every flag's name, help text, value name and variable, in this one place.
//!
//! What must hold: a flag that `highwater.toml` can set too has no default here, so that the precedence flag, variable, file,
//! default can be told apart (`commands::serve` applies it). What is deliberately absent: what the commands do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::{parse_listen, parse_public_url, parse_wait};

/// Where `serve` listens unless told otherwise.
pub(crate) const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// The configuration file that `serve` reads from the current directory if it is there.
pub(crate) const CONFIG_DEFAULT: &str = "highwater.toml";

const AFTER_HELP: &str = "\
Exit codes:
  0  success
  1  failure: what was asked for could not be done
  2  usage: the command line, a HIGHWATER_ variable or highwater.toml is wrong

Environment:
  HIGHWATER_LISTEN, HIGHWATER_CONFIG, HIGHWATER_PUBLIC_URL, HIGHWATER_PROFILE, HIGHWATER_WAIT
               like the flags of 'serve': a flag wins over its variable, which wins over
               highwater.toml
  HIGHWATER_LOG
               what to log on stderr: error, warn, info (the default), debug, trace, or a filter:
               'warn,highwater_server=debug'
  PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD, PGSSLMODE …
               what the postgres:// URL of a database leaves open, as for psql
  NO_COLOR     if set, nothing is coloured

Start with 'highwater demo', then 'highwater serve DATABASE' with a database of your own.";

/// How a PostgreSQL database is named, for the commands that accept one.
macro_rules! postgres_help {
    ($examples:literal) => {
        concat!(
            $examples,
            "

A PostgreSQL database is named by a URL: 'postgres://USER@HOST:PORT/NAME?OPTION=VALUE&OPTION=VALUE'.
Put it in quotes. What it leaves open comes from PGHOST, PGUSER and the other variables of libpq.
  password     in PGPASSWORD, or in ~/.pgpass or the file that PGPASSFILE names (chmod 600); not in
               the URL, which other users of the machine can see in the list of processes
  encryption   sslmode=verify-full encrypts and checks the certificate of the server;
               sslrootcert=FILE names an authority of your own; without sslmode nobody checks"
        )
    };
}

/// Exact delta links on the data you already have.
///
/// Point highwater at a SQLite file or a PostgreSQL database: every table becomes an OData entity set with change tracking. Read
/// everything once, keep the delta link, come back for exactly what changed, whichever program changed it.
#[derive(Debug, Parser)]
#[command(name = "highwater", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(Demo),
    Init(Init),
    Serve(Serve),
    Track(Track),
    Untrack(Untrack),
    Status(Status),
    Inspect(Inspect),
}

/// Watch a delta link report exactly what another program changed
///
/// Creates a sample SQLite database in a temporary directory, serves it, reads it over HTTP, changes rows with plain SQL behind the
/// server's back, follows the delta link, and explains each step. Then it keeps serving, so that you can try it
/// yourself, until you press Ctrl-C. The database is deleted at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  highwater demo
  highwater demo --once        end after the story; exit code 1 if the delta was not exact")]
pub(crate) struct Demo {
    /// End after the story instead of serving on
    ///
    /// The exit code is 1 if the copy that was kept by following links is not what a new read of the query returns.
    #[arg(long)]
    pub(crate) once: bool,

    /// Address and port to serve on; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0", value_parser = parse_listen)]
    pub(crate) listen: SocketAddr,
}

/// Create a database to play with
///
/// Creates a SQLite file, or tables in a PostgreSQL database that has none (in the first schema of the search_path, which is public by
/// default). Never touches an existing file or a schema with tables. The same template and number of rows always make the same data.
#[derive(Debug, Args)]
#[command(after_help = postgres_help!("\
Examples:
  highwater init shop.sqlite --template sample
  highwater init big.sqlite --template sample --rows 1000000
  createdb shop && highwater init postgres:///shop --template sample"))]
pub(crate) struct Init {
    /// Path of the SQLite file to create, or URL of an empty PostgreSQL database
    #[arg(value_name = "DATABASE")]
    pub(crate) database: String,

    /// Which tables to create
    #[arg(long, value_name = "NAME")]
    pub(crate) template: TemplateName,

    /// Rows in the template's main table; the other tables grow with it
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(i64).range(0..=100_000_000))]
    pub(crate) rows: i64,
}

/// The templates of `init`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TemplateName {
    /// A trading company: Customers, Employees, Products, Orders (main table), "Order Details", and a view
    Sample,
    /// A directory as in Microsoft Graph: users (main table), groups, members
    Graph,
    /// As in Microsoft Dataverse: accounts, contacts (main table), with version numbers
    Dataverse,
    /// As in Dynamics 365 Business Central: customers, items, salesOrders (main table), salesOrderLines
    BusinessCentral,
}

/// Serve a database with delta links
///
/// Every table that has a usable primary key is tracked: triggers in the database record each change, whichever program makes it.
/// Views and other tables can be read, where possible, without delta links; 'highwater status' says why.
///
/// When the service is ready it prints one line, 'listening on http://ADDRESS:PORT', on stdout. Logs go to stderr. SIGINT
/// (Ctrl-C) or SIGTERM ends it after the requests that are being answered, 10 seconds later at most.
///
/// Links are sealed with a key that is kept in the database. Every 30 days a new key takes over by itself; links that older keys have
/// sealed stay valid.
///
/// Any number of processes can serve one PostgreSQL database with the same configuration, and each answers the links of the others. A
/// server that cannot be reached at the start is waited for (--wait). When it goes away later, requests are answered 503 with Retry-After
/// until it is back.
#[derive(Debug, Args)]
#[command(after_help = postgres_help!("\
Examples:
  highwater serve shop.sqlite
  highwater serve 'postgres://highwater@db.example.com/shop?sslmode=verify-full'
  highwater serve shop.sqlite --listen 127.0.0.1:0              any free port
  highwater serve shop.sqlite --config /etc/highwater.toml --public-url https://example.com/odata/
  curl http://127.0.0.1:8080/odata/                             what is served
  curl -H 'Prefer: track-changes' http://127.0.0.1:8080/odata/Customers

highwater.example.toml in the source repository documents every setting of the configuration file."))]
pub(crate) struct Serve {
    /// SQLite file or URL of the PostgreSQL database to serve
    #[arg(value_name = "DATABASE")]
    pub(crate) database: String,

    /// Address and port to listen on; port 0 takes any free one [default: 127.0.0.1:8080]
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "HIGHWATER_LISTEN",
        hide_env_values = true,
        value_parser = parse_listen
    )]
    pub(crate) listen: Option<SocketAddr>,

    /// Configuration file [default: highwater.toml in the current directory, if there is one]
    #[arg(
        long,
        value_name = "FILE",
        env = "HIGHWATER_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,

    /// URL of the service root as clients see it, if a proxy changes it; links are built from it [default: what the
    /// request says]
    #[arg(long, value_name = "URL", env = "HIGHWATER_PUBLIC_URL", hide_env_values = true, value_parser = parse_public_url)]
    pub(crate) public_url: Option<String>,

    /// Whether to give exact guarantees or to reproduce a real service's quirks too [default: exact]
    #[arg(
        long,
        value_name = "PROFILE",
        env = "HIGHWATER_PROFILE",
        hide_env_values = true
    )]
    pub(crate) profile: Option<Profile>,

    /// How long to wait for a PostgreSQL server that cannot be reached yet, such as 30s or 5m; 0s to fail at once
    #[arg(
        long,
        value_name = "TIME",
        env = "HIGHWATER_WAIT",
        hide_env_values = true,
        default_value = "30s",
        value_parser = parse_wait
    )]
    pub(crate) wait: Duration,
}

/// How closely a dialect follows the service that it stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Profile {
    /// Every guarantee, in the dialect's wire format
    Exact,
    /// Also the documented quirks of a real service; standard OData, the only dialect of this version, has none
    Faithful,
}

/// Install change tracking without serving
///
/// 'serve' does this by itself for every table that can be tracked. Use this to begin the history earlier, or in a deployment step.
/// Tables that are tracked already stay as they are.
///
/// In PostgreSQL, this is what the owner of the tables has to run once if 'serve' is to connect as a role with fewer rights. Everything
/// is created in the schema 'highwater', except triggers whose names begin with 'highwater_'. --print-sql prints the whole script, rights
/// included, for somebody else to read and run.
#[derive(Debug, Args)]
#[command(after_help = postgres_help!("\
Examples:
  highwater track shop.sqlite                       every table that can be tracked
  highwater track shop.sqlite Orders 'Order Details'
  highwater track postgres:///shop orders sales.invoices
  highwater track postgres:///shop --print-sql --role highwater > track.sql"))]
pub(crate) struct Track {
    /// SQLite file or URL of a PostgreSQL database
    #[arg(value_name = "DATABASE")]
    pub(crate) database: String,

    /// Tables to track; SCHEMA.TABLE outside the schema public [default: every table that can be tracked]
    #[arg(value_name = "TABLE")]
    pub(crate) tables: Vec<String>,

    /// Change nothing, print the SQL that does it (PostgreSQL only)
    #[arg(long)]
    pub(crate) print_sql: bool,

    /// Role for which the printed SQL grants what serving needs
    #[arg(long, value_name = "NAME", requires = "print_sql")]
    pub(crate) role: Option<String>,
}

/// Remove change tracking, and every trace of it
///
/// Drops the triggers and the history of the tables. Delta links that were given out for them are answered 410 Gone from now on.
/// With --all the database is left as if highwater had never seen it. In a SQLite file, the removed history and keys are overwritten
/// with zeros, and their space is used again by the database (VACUUM gives it back to the disk). 'serve' tracks a table again unless
/// highwater.toml says 'track = false' for it.
#[derive(Debug, Args)]
#[command(after_help = postgres_help!("\
Examples:
  highwater untrack shop.sqlite Orders
  highwater untrack postgres:///shop --all"))]
pub(crate) struct Untrack {
    /// SQLite file or URL of a PostgreSQL database
    #[arg(value_name = "DATABASE")]
    pub(crate) database: String,

    /// Tables whose tracking and history to remove
    #[arg(
        value_name = "TABLE",
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    pub(crate) tables: Vec<String>,

    /// Everything that highwater ever created in the database: triggers, history, keys
    #[arg(long)]
    pub(crate) all: bool,
}

/// Show what is tracked, what is not and why, and how far back the history reaches
///
/// Changes nothing in the database.
#[derive(Debug, Args)]
#[command(after_help = postgres_help!("\
Examples:
  highwater status shop.sqlite
  highwater status postgres:///shop --json | jq '.tables[] | select(.tracked | not)'"))]
pub(crate) struct Status {
    /// SQLite file or URL of a PostgreSQL database
    #[arg(value_name = "DATABASE")]
    pub(crate) database: String,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show what is sealed inside a delta link or skip link
///
/// Also tells whether the service still answers the link, and why not. Works for expired links too. Needs the database that the link
/// was issued for, because it holds the keys. Changes nothing.
#[derive(Debug, Args)]
#[command(after_help = postgres_help!("\
Examples:
  highwater inspect 'http://localhost/odata/Customers?$deltatoken=AAAB...' --database shop.sqlite
  highwater inspect AAAB... --database postgres:///shop --json"))]
pub(crate) struct Inspect {
    /// The whole link, or only its token (quote it: links contain '$' and '?')
    #[arg(value_name = "LINK")]
    pub(crate) link: String,

    /// SQLite file or URL of the PostgreSQL database that the link was issued for
    #[arg(long, value_name = "DATABASE")]
    pub(crate) database: String,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
