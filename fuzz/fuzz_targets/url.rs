//! Any request target: the parser answers, and what it accepts can be printed and parsed again to the same tree.
#![no_main]

use std::fmt::{Debug, Display};

use highwater_odata::url::ast::{Arguments, Expr, Segment};
use highwater_odata::url::{self, Limits, ParseError};
use highwater_odata::{Value, literal};
use libfuzzer_sys::fuzz_target;

/// Printing puts everything in parentheses, so the second round needs more room than the first.
const PRINTED: Limits = Limits {
    depth_max: 400,
    nodes_max: 200_000,
    url_bytes_max: 1 << 22,
};

fuzz_target!(|target: &str| {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let limits = Limits::default();
    if let Ok(path) = url::parse_path(path, &limits) {
        path.segments.iter().for_each(check_keys);
    }
    let Ok(options) = url::parse_query(query.unwrap_or_default(), &limits) else {
        return;
    };
    let parse = |text: &str| url::parse_expression("again", text, &PRINTED);
    let order = options.orderby.iter().map(|item| &item.expr);
    let computed = options.compute.iter().map(|item| &item.expr);
    let aliases = options.aliases.iter().map(|(_, value)| value);
    for expr in options
        .filter
        .iter()
        .chain(order)
        .chain(computed)
        .chain(aliases)
    {
        check(expr, parse);
    }
    if let Some(search) = &options.search {
        check_again(&search.to_string(), |text| {
            url::parse_search(text, &PRINTED)
        });
    }
    // Items of these print with their options in parentheses.
    let select: Vec<String> = options.select.iter().map(ToString::to_string).collect();
    let expand: Vec<String> = options.expand.iter().map(ToString::to_string).collect();
    check_again(&select.join(","), |text| parse_option("$select", text));
    check_again(&expand.join(","), |text| parse_option("$expand", text));
});

/// An expression prints as text that has the same tree.
fn check(tree: &Expr, parse: impl Fn(&str) -> Result<Expr, ParseError>) {
    let printed = tree.to_string();
    let again = parse(&printed).unwrap_or_else(|e| panic!("{printed}: {e}"));
    // Not equality, because NaN may be in it.
    assert_eq!(format!("{again:?}"), format!("{tree:?}"), "{printed}");
}

/// A printed text is stable once it has been parsed and printed.
fn check_again<T: Display + Debug>(printed: &str, parse: impl Fn(&str) -> Result<T, ParseError>) {
    if printed.is_empty() {
        return;
    }
    let again = parse(printed).unwrap_or_else(|e| panic!("{printed}: {e}"));
    assert_eq!(again.to_string(), printed);
}

fn parse_option(name: &str, text: &str) -> Result<String, ParseError> {
    let mut query = format!("{name}=");
    for byte in text.bytes() {
        query.push_str(&format!("%{byte:02X}"));
    }
    let options = url::parse_query(&query, &PRINTED)?;
    let select = options.select.iter().map(ToString::to_string);
    let expand = options.expand.iter().map(ToString::to_string);
    Ok(select.chain(expand).collect::<Vec<_>>().join(","))
}

/// A key is written the way it is read.
fn check_keys(segment: &Segment) {
    let Segment::Name(segment) = segment else {
        return;
    };
    for value in segment.parens.iter().flat_map(Arguments::values) {
        let Expr::Literal(value) = value else {
            continue;
        };
        if matches!(value, Value::Double(v) if v.is_nan()) {
            continue;
        }
        let path = format!("/A({})", literal::format_key_literal(value.as_ref()));
        let path = url::parse_path(&path, &PRINTED).unwrap_or_else(|e| panic!("{path}: {e}"));
        let [Segment::Name(again)] = &path.segments[..] else {
            panic!("one segment");
        };
        let expected = [Arguments::Positional(vec![Expr::Literal(value.clone())])];
        assert_eq!(again.parens, expected);
    }
}
