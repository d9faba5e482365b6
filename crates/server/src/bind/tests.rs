//! Requests and what they are bound to, as text.
//!
//! Each file in `tests/` has one case after the other: the request on a line, then the result, indented. A line that begins with
//! `#` says what the cases after it are about. `HIGHWATER_BLESS=1` writes the results as they are now; read the difference.

mod print;

use std::fmt::Write as _;
use std::sync::Arc;

use highwater_core::Catalog;
use highwater_odata::url;

use super::*;
use crate::model::ServiceModel;
use crate::model::fixture::{chinook, nasty};
use crate::settings::{Limits, Settings, TableSettings};
use print::{print_bound, print_query, print_value};

/// The time that `now()` means in all cases.
const NOW: &str = "2024-05-06T07:08:09.5Z";

/// A service to ask.
struct Service {
    model: ServiceModel,
    limits: Limits,
}

impl Service {
    fn new(catalog: &Arc<Catalog>, settings: Settings) -> Service {
        Service {
            model: ServiceModel::build(catalog, &settings).unwrap(),
            limits: settings.limits,
        }
    }

    /// The outcome of a request, as text.
    fn ask(&self, request: &str) -> String {
        let (path, query) = match request.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (request, None),
        };
        let encode = |text: &str| text.replace(' ', "%20").replace('"', "%22");
        let parsed = url::parse(
            &encode(path),
            query.map(encode).as_deref(),
            &url_limits(&self.limits),
        );
        let url = match parsed {
            Ok(url) => url,
            Err(error) => return format!("syntax: {error}"),
        };
        let now = NOW.parse().unwrap();
        let context = Context::new(&self.model, &self.limits, &url.options.aliases, now);
        let resource = match resolve(&context, &url.path) {
            Ok(Resource::Rows(rows)) => rows,
            Ok(other) => return format!("{other:?}"),
            Err(error) => return show_error(&error),
        };
        match self.ask_rows(&context, &resource, &url.options) {
            Ok(text) => text,
            Err(error) => show_error(&error),
        }
    }

    fn ask_rows(
        &self,
        context: &Context<'_>,
        rows: &Rows,
        options: &url::ast::QueryOptions,
    ) -> Result<String, BindError> {
        let mut text = String::new();
        let mut source: Option<SourceRow> = None;
        let known = source_from_key(&self.model, rows);
        for index in 0..rows.sources().len() {
            let query = lookup(context, rows, index, source.as_ref())?;
            writeln!(text, "via {}", print_query(&self.model, &query)).unwrap();
            source = Some(print::numbered_row(
                &self.model,
                rows.steps[index].collection,
            ));
        }
        if let Some(known) = &known {
            let values: Vec<String> = known.0.iter().map(print_value).collect();
            writeln!(text, "from ({})", values.join(",")).unwrap();
        }
        let source = known.or(source);
        let bound = bind(context, rows, source.as_ref(), options)?;
        // Whatever can be bound can be kept in a link and bound again.
        for purpose in [Purpose::Tracking, Purpose::Paging] {
            let kept = canonical("", options, purpose);
            let again = reparse(&kept, &self.limits).expect("canonical text is valid");
            assert_eq!(canonical("", &again, purpose), kept);
            if purpose == Purpose::Paging {
                let context = Context {
                    aliases: &again.aliases,
                    ..context.clone()
                };
                let again = bind(&context, rows, source.as_ref(), &again)?;
                // As text, because NaN does not equal itself.
                assert_eq!(format!("{again:?}"), format!("{bound:?}"), "{kept:?}");
            }
        }
        if rows.query_in_body {
            text.push_str("$query ");
        }
        match rows.what {
            What::Collection => {}
            What::Property(property) | What::PropertyValue(property) => {
                let name = &self.model.properties(rows.last().collection)[property].name;
                let bare = matches!(rows.what, What::PropertyValue(_));
                write!(text, "{}{name} of ", if bare { "value " } else { "" }).unwrap();
            }
            what => write!(text, "{what:?} of ").unwrap(),
        }
        text.push_str(&print_bound(&self.model, &bound));
        Ok(text)
    }
}

fn show_error(error: &BindError) -> String {
    let target = error
        .target_text()
        .map_or_else(String::new, |target| format!(" [{target}]"));
    format!("{:?}{target}: {error}", error.kind())
}

/// Compares a file with what the service says now.
#[track_caller]
fn check(service: &Service, file: &str, cases: &str) {
    let mut now = String::new();
    for line in cases.lines() {
        if line.starts_with(char::is_whitespace) {
            continue;
        }
        writeln!(now, "{line}").unwrap();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        for result in service.ask(line).lines() {
            writeln!(now, "    {result}").unwrap();
        }
    }
    if now == cases {
        return;
    }
    if std::env::var_os("HIGHWATER_BLESS").is_some() {
        let path = format!("{}/src/bind/tests/{file}", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, now).unwrap();
        return;
    }
    let differing: String = now
        .lines()
        .filter(|line| !cases.lines().any(|old| old == *line))
        .fold(String::new(), |text, line| text + line + "\n");
    panic!("tests/{file} differs (HIGHWATER_BLESS=1 accepts):\n{differing}");
}

/// Chinook, with nothing hidden.
fn open() -> Service {
    Service::new(&chinook(), Settings::default())
}

/// Tables with difficult names and every type.
fn odd() -> Service {
    Service::new(&nasty(), Settings::default())
}

/// Chinook, with rows that nobody may see.
fn narrowed() -> Service {
    let mut settings = Settings::default();
    for (table, filter) in [
        ("Artist", "Name ne 'Hidden'"),
        ("Track", "GenreId eq 1 or Album/Title eq 'x'"),
    ] {
        settings.tables.insert(
            table.to_owned(),
            TableSettings {
                filter: Some(filter.to_owned()),
                ..TableSettings::default()
            },
        );
    }
    Service::new(&chinook(), settings)
}

/// Chinook, with limits that are easy to reach.
fn strict() -> Service {
    let settings = Settings {
        limits: Limits {
            filter_depth_max: 8,
            filter_nodes_max: 40,
            expand_depth_max: 2,
            expand_nodes_max: 5,
            path_hops_max: 2,
            ..Limits::default()
        },
        ..Settings::default()
    };
    Service::new(&chinook(), settings)
}

macro_rules! cases {
    ($($name:ident: $service:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            let file = concat!(stringify!($name), ".txt");
            check(&$service(), file, include_str!(concat!("tests/", stringify!($name), ".txt")));
        })+
    };
}

cases! {
    paths: open,
    odd_paths: odd,
    filters: open,
    types: odd,
    functions: odd,
    related: open,
    shapes: open,
    expands: open,
    row_filters: narrowed,
    limits: strict,
}

#[test]
fn requests_that_differ_only_in_spelling_have_the_same_text() {
    let text = |query: &str, purpose| {
        let options = url::parse_query(query, &url::Limits::default()).unwrap();
        let parts: Vec<String> = canonical("", &options, purpose)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        parts.join("&")
    };
    let both = |query: &str| [Purpose::Tracking, Purpose::Paging].map(|p| text(query, p));
    for (query, tracking, paging) in [
        ("", "", ""),
        (
            "$select=b,a,b&$filter=a%20eq%201",
            "filter=(a eq 1)&select=a,b",
            "filter=(a eq 1)&select=a,b",
        ),
        (
            "FILTER=((a%20EQ%201))&select=a,%20b",
            "filter=(a eq 1)&select=a,b",
            "filter=(a eq 1)&select=a,b",
        ),
        (
            "$top=5&$skip=1&$count=true&$orderby=a,b%20desc&$expand=Y,X($top=1)&$search=x%20y",
            "search=(x AND y)",
            "search=(x AND y)&expand=X($top=1),Y&orderby=a,b desc&top=5&skip=1&count=true",
        ),
        (
            "@c=1&@b=@c&@a=2&@unused=3&$filter=x%20eq%20@b&$orderby=@a",
            "filter=(x eq @b)&@b=@c&@c=1",
            "filter=(x eq @b)&orderby=@a&@a=2&@b=@c&@c=1",
        ),
        ("$format=json&custom=1&$skiptoken=x", "", ""),
    ] {
        assert_eq!(both(query), [tracking, paging], "{query}");
    }
}

#[test]
fn a_wide_filter_becomes_a_shallow_tree() {
    fn depth(expr: &highwater_core::Expr) -> usize {
        match expr {
            highwater_core::Expr::Logical(_, left, right) => 1 + depth(left).max(depth(right)),
            _ => 1,
        }
    }
    let service = open();
    let terms: Vec<String> = (0..1_000).map(|n| format!("AlbumId eq {n}")).collect();
    let filter = url::parse_expression("$filter", &terms.join(" or "), &url::Limits::default());
    let options = url::ast::QueryOptions {
        filter: Some(filter.unwrap()),
        ..url::ast::QueryOptions::default()
    };
    let context = Context::new(&service.model, &service.limits, &[], NOW.parse().unwrap());
    let path = url::parse_path("Album", &url::Limits::default()).unwrap();
    let Ok(Resource::Rows(rows)) = resolve(&context, &path) else {
        panic!("an entity set is a path to rows");
    };
    let bound = bind(&context, &rows, None, &options).unwrap();
    assert_eq!(depth(&bound.query.filter.unwrap()), 11);
}

#[test]
fn aliases_that_double_each_other_are_refused_at_once() {
    let mut query = "Album?$filter=@a0".to_owned();
    for n in 0..60 {
        write!(query, "&@a{n}=@a{next} or @a{next}", next = n + 1).unwrap();
    }
    query.push_str("&@a60=true");
    assert_eq!(
        open().ask(&query),
        "TooComplex [$filter]: The expression is nested deeper than 100 levels, aliases written out. Simplify it."
    );
}

#[test]
fn an_id_belongs_to_the_address_of_one_entity() {
    assert_eq!(
        open().ask("Album?$id=x"),
        "OptionNotAllowed [$id]: $id does not apply to a collection. Leave it out."
    );
    assert!(open().ask("Album(1)?$id=x").starts_with("Entity of Album"));
}

#[test]
fn literals_that_aliases_multiply_are_refused() {
    let mut query = "Album?$filter=length(@a0) lt 0".to_owned();
    for n in 0..6 {
        write!(query, "&@a{n}=concat(@a{next},@a{next})", next = n + 1).unwrap();
    }
    let refused = |kind: &str| {
        format!(
            "TooComplex [{kind}]: The literals are longer than 262144 bytes in all, aliases written out. Split the request."
        )
    };
    let ask = |bytes: usize| open().ask(&format!("{query}&@a6='{}'", "x".repeat(bytes)));
    assert!(ask(4096).starts_with("Album where (length(concat("));
    assert_eq!(ask(4097), refused("$filter"));
    // A word is looked for in every column.
    let search = format!("Customer?$search={}", "x".repeat(60_000));
    assert_eq!(open().ask(&search), refused("$search"));
}

#[test]
fn a_source_that_may_be_hidden_is_looked_up_each_time() {
    let path = url::parse_path("Artist(1)/Album", &url::Limits::default()).unwrap();
    for (service, known) in [(open(), true), (narrowed(), false)] {
        let context = Context::new(&service.model, &service.limits, &[], NOW.parse().unwrap());
        let Ok(Resource::Rows(rows)) = resolve(&context, &path) else {
            panic!("a navigation is a path to rows");
        };
        assert_eq!(source_from_key(&service.model, &rows).is_some(), known);
    }
}
