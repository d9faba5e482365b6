//! `highwater.toml`: reading it, checking it, and saying exactly where it is wrong.
//!
//! What must hold: every error names the file and the line; a key that this version does not know is an error, never ignored.
//! What is deliberately absent: defaults (they are the library's, [`Settings::default`]) and flags.
//!
//! Some mistakes show only beside the database: an unknown table, a filter that does not fit, a name that is taken. The service
//! finds them, and [`Config::locate`] brings them back to a line.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater::{Limits, ModelError, ModelPart, Settings, TableSettings};
use serde::Deserialize;
use toml::Spanned;

use crate::args::Profile;

/// What a configuration file says.
#[derive(Debug)]
pub(crate) struct Config {
    path: PathBuf,
    text: String,
    /// Where to listen.
    pub(crate) listen: Option<SocketAddr>,
    /// Which profile.
    pub(crate) profile: Option<Profile>,
    /// Everything that the service itself wants to know.
    pub(crate) settings: Settings,
    tables: BTreeMap<String, TableSpans>,
}

/// Where in the file a table's settings are.
#[derive(Debug, Default)]
struct TableSpans {
    name: Range<usize>,
    entity_set: Option<Range<usize>>,
    filter: Option<Range<usize>>,
    /// By column.
    properties: BTreeMap<String, Range<usize>>,
}

/// A mistake in a configuration file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    path: PathBuf,
    line: usize,
    message: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path.display(), self.line, self.message)
    }
}

impl Config {
    /// Parses the text of a configuration file. `path` is only for error texts.
    ///
    /// # Errors
    ///
    /// Anything that can be wrong without looking at the database.
    pub(crate) fn parse(path: &Path, text: String) -> Result<Config, ConfigError> {
        let error = |span: &Range<usize>, message: String| ConfigError {
            path: path.to_owned(),
            line: line_of(&text, span.start),
            message,
        };
        let file: File = match toml::from_str(&text) {
            Ok(file) => file,
            Err(e) => return Err(error(&e.span().unwrap_or(0..0), plain_message(e.message()))),
        };

        let mut settings = Settings {
            public_url: file.public_url.map(|url| url.0),
            limits: file.limits.into_limits(),
            ..Settings::default()
        };
        set(&mut settings.retention, file.retention.map(|span| span.0));
        set(
            &mut settings.page_size_max_rows,
            file.page_size_max.map(|rows| rows.0),
        );
        set(&mut settings.expose_unlisted, file.expose_unlisted);
        if let Some(page_size) = file.page_size {
            settings.page_size_rows = page_size.get_ref().0;
            if settings.page_size_rows > settings.page_size_max_rows {
                let max = settings.page_size_max_rows;
                let message =
                    format!("page_size must not be greater than page_size_max, which is {max}");
                return Err(error(&page_size.span(), message));
            }
        } else {
            settings.page_size_rows = settings.page_size_rows.min(settings.page_size_max_rows);
        }

        let mut tables = BTreeMap::new();
        for (name, table) in file.tables {
            let spans = TableSpans {
                name: name.span(),
                entity_set: table.entity_set.as_ref().map(Spanned::span),
                filter: table.filter.as_ref().map(Spanned::span),
                properties: (table.properties.keys())
                    .map(|column| (column.get_ref().clone(), column.span()))
                    .collect(),
            };
            let name = name.into_inner();
            settings.tables.insert(name.clone(), table.into_settings());
            tables.insert(name, spans);
        }
        Ok(Config {
            path: path.to_owned(),
            listen: file.listen.map(|listen| listen.0),
            profile: file.profile,
            settings,
            tables,
            text,
        })
    }

    /// What the service finds wrong with a table's settings, at the line where that setting is.
    pub(crate) fn locate(&self, error: &ModelError) -> ConfigError {
        let spans = self.tables.get(&error.table);
        let span = spans.map(|spans| {
            let own = match &error.part {
                ModelPart::Table => None,
                ModelPart::EntitySet => spans.entity_set.clone(),
                ModelPart::Filter => spans.filter.clone(),
                ModelPart::Property(column) => spans.properties.get(column).cloned(),
            };
            own.unwrap_or_else(|| spans.name.clone())
        });
        self.error(&span.unwrap_or(0..0), error.to_string())
    }

    fn error(&self, span: &Range<usize>, message: String) -> ConfigError {
        ConfigError {
            path: self.path.clone(),
            line: line_of(&self.text, span.start),
            message,
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = &text.as_bytes()[..offset.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// The parser's words, in those of the documentation and on one line.
fn plain_message(message: &str) -> String {
    let message = message
        .replace("unknown field", "unknown key")
        .replace("duplicate field", "duplicate key")
        .replace("expected i64", "expected a whole number")
        .replace("expected a boolean", "expected true or false")
        .replace("expected a map", "expected a table")
        .replace("wanted string or table", "expected a string");
    let lines: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("; ")
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// The file as it is written; each field is documented in `highwater.example.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<Listen>,
    public_url: Option<PublicUrl>,
    profile: Option<Profile>,
    retention: Option<Span>,
    page_size: Option<Spanned<Positive>>,
    page_size_max: Option<Positive>,
    expose_unlisted: Option<bool>,
    #[serde(default)]
    limits: FileLimits,
    #[serde(default)]
    tables: BTreeMap<Spanned<String>, FileTable>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct FileLimits {
    url_max_bytes: Option<Positive>,
    body_max_bytes: Option<Positive>,
    page_max_bytes: Option<Positive>,
    filter_depth_max: Option<Positive>,
    filter_nodes_max: Option<Positive>,
    expand_depth_max: Option<Positive>,
    expand_nodes_max: Option<Positive>,
    expand_page_max_rows: Option<Positive>,
    path_hops_max: Option<Positive>,
    request_time_max: Option<Span>,
    headers_time_max: Option<Span>,
    connections_max: Option<Positive>,
    database_connections_max: Option<Positive>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
struct FileTable {
    entity_set: Option<Spanned<String>>,
    expose: Option<bool>,
    track: Option<bool>,
    read_only: Option<bool>,
    filter: Option<Spanned<String>>,
    #[serde(default)]
    properties: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl FileLimits {
    fn into_limits(self) -> Limits {
        let mut limits = Limits::default();
        let size = |value: Option<Positive>| value.map(|value| value.0 as usize);
        let time = |value: Option<Span>| value.map(|value| value.0);
        set(&mut limits.url_max_bytes, size(self.url_max_bytes));
        set(&mut limits.body_max_bytes, size(self.body_max_bytes));
        set(&mut limits.page_max_bytes, size(self.page_max_bytes));
        set(&mut limits.filter_depth_max, size(self.filter_depth_max));
        set(&mut limits.filter_nodes_max, size(self.filter_nodes_max));
        set(&mut limits.expand_depth_max, size(self.expand_depth_max));
        set(&mut limits.expand_nodes_max, size(self.expand_nodes_max));
        set(
            &mut limits.expand_page_max_rows,
            self.expand_page_max_rows.map(|rows| rows.0),
        );
        set(&mut limits.path_hops_max, size(self.path_hops_max));
        set(&mut limits.request_time_max, time(self.request_time_max));
        set(&mut limits.headers_time_max, time(self.headers_time_max));
        set(&mut limits.connections_max, size(self.connections_max));
        set(
            &mut limits.database_connections_max,
            size(self.database_connections_max),
        );
        limits
    }
}

impl FileTable {
    fn into_settings(self) -> TableSettings {
        let mut settings = TableSettings {
            entity_set: self.entity_set.map(Spanned::into_inner),
            filter: self.filter.map(Spanned::into_inner),
            properties: (self.properties.into_iter())
                .map(|(column, property)| (column.into_inner(), property.into_inner()))
                .collect(),
            ..TableSettings::default()
        };
        set(&mut settings.expose, self.expose);
        set(&mut settings.track, self.track);
        set(&mut settings.read_only, self.read_only);
        settings
    }
}

/// A whole number above zero.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct Positive(u32);

impl TryFrom<i64> for Positive {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        match u32::try_from(number) {
            Ok(number) if number > 0 => Ok(Positive(number)),
            _ => Err(format!(
                "{number} is out of range; write a number from 1 to {}",
                u32::MAX
            )),
        }
    }
}

/// A span of time, such as `7d`.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Span(Duration);

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match parse_duration(&text) {
            Some(duration) if !duration.is_zero() => Ok(Span(duration)),
            _ => Err(format!(
                "{text:?} is not a span of time; write a whole number above 0 and a unit: \"30s\", \"15m\", \"12h\" or \"7d\""
            )),
        }
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_s = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 60 * 60,
        b'd' => 24 * 60 * 60,
        _ => return None,
    };
    let number = text[..text.len() - 1].trim_end();
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = number.parse::<u32>().ok()?;
    Some(Duration::from_secs(u64::from(number) * unit_s))
}

/// Accepts a span of time, which may be none at all.
pub(crate) fn parse_wait(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| {
        format!(
            "{text:?} is not a span of time; write a whole number and a unit: \"0s\", \"30s\" or \"5m\""
        )
    })
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Listen(SocketAddr);

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_listen(&text).map(Listen)
    }
}

/// Accepts an address and a port; of all names, only `localhost` needs nobody to resolve it.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    numeric.parse().map_err(|_| {
        format!("{text:?} is not an address and a port; write for instance \"127.0.0.1:8080\"")
    })
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct PublicUrl(String);

impl TryFrom<String> for PublicUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse_public_url(&text).map(PublicUrl)
    }
}

/// Accepts what can be the beginning of links; says what is wrong with anything else.
pub(crate) fn parse_public_url(url: &str) -> Result<String, String> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let is_plain = url
        .bytes()
        .all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'"'));
    if has_host && is_plain {
        return Ok(url.to_owned());
    }
    Err(format!(
        "{url:?} cannot be the public URL; write for instance \"https://example.com/odata/\", without '?', '#' or spaces"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("f.toml"), text.to_owned()).map_err(|e| e.to_string())
    }

    #[test]
    fn every_mistake_names_file_and_line() {
        for (text, expected) in [
            (
                "listen = 5",
                "f.toml:1: invalid type: integer `5`, expected a string",
            ),
            (
                "\nlisten = \"here\"",
                "f.toml:2: \"here\" is not an address and a port; write for instance \"127.0.0.1:8080\"",
            ),
            ("profile = 1", "f.toml:1: expected a string"),
            (
                "limits = 5",
                "f.toml:1: invalid type: integer `5`, expected a table",
            ),
            (
                "tables = 5",
                "f.toml:1: invalid type: integer `5`, expected a table",
            ),
            (
                "[tables]\nOrders = 5",
                "f.toml:2: invalid type: integer `5`, expected a table",
            ),
            (
                "expose_unlisted = \"yes\"",
                "f.toml:1: invalid type: string \"yes\", expected true or false",
            ),
            (
                "public_url = \"example.com\"",
                "f.toml:1: \"example.com\" cannot be the public URL",
            ),
            (
                "public_url = \"https:///x\"",
                "f.toml:1: \"https:///x\" cannot be the public URL",
            ),
            (
                "public_url = \"https://a/?b\"",
                "f.toml:1: \"https://a/?b\" cannot be the public URL",
            ),
            (
                "profile = \"exactly\"",
                "f.toml:1: unknown variant `exactly`, expected `exact` or `faithful`",
            ),
            (
                "\n\nretention = \"soon\"",
                "f.toml:3: \"soon\" is not a span of time",
            ),
            (
                "retention = \"0d\"",
                "f.toml:1: \"0d\" is not a span of time",
            ),
            (
                "retention = \"+7d\"",
                "f.toml:1: \"+7d\" is not a span of time",
            ),
            (
                "retention = \"7ä\"",
                "f.toml:1: \"7ä\" is not a span of time",
            ),
            ("retention = \"\"", "f.toml:1: \"\" is not a span of time"),
            (
                "retention = 7",
                "f.toml:1: invalid type: integer `7`, expected a string",
            ),
            (
                "# c\nretension = \"7d\"",
                "f.toml:2: unknown key `retension`, expected one of `listen`",
            ),
            (
                "page_size = 0",
                "f.toml:1: 0 is out of range; write a number from 1 to 4294967295",
            ),
            ("page_size = -1", "f.toml:1: -1 is out of range"),
            (
                "page_size_max = 10\npage_size = 11",
                "f.toml:2: page_size must not be greater than page_size_max, which is 10",
            ),
            ("page_size = 1\npage_size = 2", "f.toml:2: duplicate key"),
            ("page_size = ", "f.toml:1: "),
            (
                "[limits]\nbody_max_bytes = \"big\"",
                "f.toml:2: invalid type: string \"big\", expected a whole number",
            ),
            ("[limits]\nbody_max = 1", "f.toml:2: unknown key `body_max`"),
            (
                "[limits]\n\nrequest_time_max = \"1 week\"",
                "f.toml:3: \"1 week\" is not a span of time",
            ),
            (
                "[tables.A]\n[tables.B]\nreadonly = true",
                "f.toml:3: unknown key `readonly`",
            ),
            (
                "[tables.A]\nread_only = 1",
                "f.toml:2: invalid type: integer `1`, expected true or false",
            ),
            (
                "[tables.A.properties]\n\"a b\" = 1",
                "f.toml:2: invalid type: integer `1`, expected a string",
            ),
            ("[table.A]", "f.toml:1: unknown key `table`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.starts_with(expected),
                "{text:?}\n  gave      {error}\n  expected  {expected}"
            );
            assert!(!error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn what_the_service_refuses_is_brought_back_to_its_line() {
        let config = parse(
            "[tables.A]\nexpose = true\nentity_set = \"As\"\nfilter = \"x\"\n\n[tables.A.properties]\na = \"b\"\n\"c d\" = \"e\"\n[tables.B]\n",
        )
        .unwrap();
        for (table, part, line) in [
            ("A", ModelPart::Table, 1),
            ("A", ModelPart::EntitySet, 3),
            ("A", ModelPart::Filter, 4),
            ("A", ModelPart::Property("a".into()), 7),
            ("A", ModelPart::Property("c d".into()), 8),
            ("A", ModelPart::Property("not in the file".into()), 1),
            ("B", ModelPart::Filter, 9),
            ("not in the file", ModelPart::Table, 1),
        ] {
            let error = ModelError {
                table: table.into(),
                part,
                what: "is wrong".into(),
            };
            let text = config.locate(&error).to_string();
            assert!(text.starts_with(&format!("f.toml:{line}: ")), "{text}");
        }
    }

    #[test]
    fn what_the_file_says_reaches_the_settings_and_the_rest_keeps_its_default() {
        let config = parse(
            r#"
            listen = "[::1]:0"
            public_url = "https://example.com/odata/"
            profile = "exact"
            retention = "36h"
            page_size = 10
            page_size_max = 20
            expose_unlisted = false
            [limits]
            filter_depth_max = 5
            headers_time_max = "3 s"
            database_connections_max = 3
            [tables."Order Details"]
            entity_set = "Lines"
            read_only = true
            filter = "Quantity gt 1"
            [tables."Order Details".properties]
            "Unit Price" = "Price"
            "#,
        )
        .unwrap();
        let expected = Settings {
            public_url: Some("https://example.com/odata/".into()),
            retention: Duration::from_secs(36 * 3600),
            page_size_rows: 10,
            page_size_max_rows: 20,
            expose_unlisted: false,
            limits: Limits {
                filter_depth_max: 5,
                headers_time_max: Duration::from_secs(3),
                database_connections_max: 3,
                ..Limits::default()
            },
            tables: BTreeMap::from([(
                "Order Details".into(),
                TableSettings {
                    entity_set: Some("Lines".into()),
                    read_only: true,
                    filter: Some("Quantity gt 1".into()),
                    properties: BTreeMap::from([("Unit Price".into(), "Price".into())]),
                    ..TableSettings::default()
                },
            )]),
            ..Settings::default()
        };
        assert_eq!(config.settings, expected);
        assert_eq!(config.listen, Some("[::1]:0".parse().unwrap()));
        assert_eq!(config.profile, Some(Profile::Exact));

        assert_eq!(parse("").unwrap().settings, Settings::default());
        // A lower maximum lowers the default too.
        assert_eq!(
            parse("page_size_max = 5").unwrap().settings.page_size_rows,
            5
        );
    }

    /// Every option of the example file stands in a comment with its default or an example; both forms must be right.
    #[test]
    fn the_example_file_is_right_as_it_is_and_with_every_option_switched_on() {
        let text = include_str!("../../../highwater.example.toml");
        assert_eq!(parse(text).unwrap().settings, Settings::default());

        let switched_on: Vec<&str> = (text.lines())
            .map(|line| {
                line.strip_prefix('#')
                    .filter(|rest| !rest.starts_with(' '))
                    .unwrap_or(line)
            })
            .collect();
        let config = parse(&switched_on.join("\n")).unwrap();
        let documented = Settings {
            tables: config.settings.tables.clone(),
            public_url: config.settings.public_url.clone(),
            ..Settings::default()
        };
        assert_eq!(
            config.settings, documented,
            "the example file must show the defaults"
        );
        assert_eq!(config.listen, Some(crate::args::LISTEN_DEFAULT));
        assert!(config.settings.public_url.is_some());
        let table = &config.settings.tables["Order Details"];
        assert!(
            table.entity_set.is_some() && table.filter.is_some() && !table.properties.is_empty()
        );
    }
}
