//! The OASIS grammar cases (see `../data/odata-abnf/README.md`), each given to the entry point that implements its rule.
//!
//! The cases were written for a grammar that knows the model. Names mean nothing here, so a case that must fail because of
//! what a name stands for is listed in [`LEFT_OUT`] with the others that this product decides differently, each with its reason.
//! The list is checked too: a case that passes must not be on it.

use highwater_odata::url::ast::{Expr, ForeignLiteral, QueryOptions};
use highwater_odata::url::{self, Limits};
use highwater_odata::{PrimitiveType, Value, literal};

/// Rules that the URL parser does not implement.
const RULES_LEFT_OUT: [(&str, &str); 7] = [
    (
        "context",
        "context URLs are written and read as payload text",
    ),
    ("header", "headers belong to the HTTP service"),
    ("prefer", "headers belong to the HTTP service"),
    ("preference", "headers belong to the HTTP service"),
    (
        "includeannotationspreference",
        "headers belong to the HTTP service",
    ),
    ("request-id", "headers belong to the HTTP service"),
    (
        "enumvalue",
        "no column of a served database has an enumeration type",
    ),
];

/// Cases, by rule in lower case and input, whose outcome differs here.
const LEFT_OUT: [(&str, &str, &str); 6] = [
    (
        "odatarelativeuri",
        "Products(1)/Model.BestSellingProduct/Model.BestSellingProduct",
        "only the model tells a type from a bound function",
    ),
    (
        "odatarelativeuri",
        "Categories/TheBestProduct()",
        "only the model tells a function import from a bound function",
    ),
    (
        "odatarelativeuri",
        "Categories(1)/Thumbnail/$value",
        "only the model tells a stream from another property",
    ),
    (
        "queryoptions",
        "$expand=Manager($search=a%3Bb)",
        "after decoding, as URL Conventions 2 prescribes, the semicolon separates options",
    ),
    (
        "queryoptions",
        "$format=json&$Format=atom&$format=xml&$format=text/html",
        "a system query option must not be given twice (URL Conventions 5)",
    ),
    (
        "queryoptions",
        "$format=JSON&$format=Atom&$format=XML&$format=text/html",
        "a system query option must not be given twice (URL Conventions 5)",
    ),
];

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Case {
    name: String,
    rule: String,
    input: String,
    fail_at: Option<i64>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Cases {
    test_cases: Vec<Case>,
}

/// Service roots that the absolute URLs of the cases assume, the longest first.
const SERVICE_ROOTS: [&str; 7] = [
    "http://services.odata.org/OData/OData.svc/",
    "http://serviceRoot/Model.Container/",
    "http://serviceRoot/",
    "http://host/service/",
    "http://My.Org:80/",
    "https://[2001:db8:85a3:8d3:1319:8a2e:370:7348]:8080/MyService/",
    "https://[v7.0]/MyService/",
];

#[test]
fn oasis_cases() {
    let cases: Cases = serde_json::from_str(include_str!("../data/odata-abnf/cases.json")).unwrap();
    let mut run = 0;
    let mut wrong = Vec::new();
    for case in &cases.test_cases {
        let rule = case.rule.to_ascii_lowercase();
        if RULES_LEFT_OUT.iter().any(|(left_out, _)| *left_out == rule) {
            continue;
        }
        run += 1;
        let outcome = accept(&rule, &case.input);
        let right = outcome.is_ok() == case.fail_at.is_none();
        let left_out = LEFT_OUT
            .iter()
            .any(|(left_rule, input, _)| *left_rule == rule && *input == case.input);
        if right == left_out {
            let listed = if left_out {
                "passes but is left out"
            } else {
                "fails"
            };
            wrong.push(format!(
                "{listed}: {} ({}): {:?} -> {outcome:?}",
                case.name, case.rule, case.input
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {run} cases:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(run > 400, "only {run} cases were run");
}

type Outcome = Result<(), String>;

/// Parses `input` as `rule`; names what was refused.
fn accept(rule: &str, input: &str) -> Outcome {
    use PrimitiveType as T;
    match rule {
        "boolcommonexpr" | "commonexpr" | "notexpr" | "isofexpr" => expr(input).map(drop),
        "firstmemberexpr" | "propertypathexpr" => is(&expr(input)?, |e| matches!(e, Expr::Path(_))),
        "anyexpr" => expr(&format!("Products/{input}")).map(drop),
        "stringinurl" => expr(&format!("[{input}]")).map(drop),
        // In the path, where an ampersand may be part of a text.
        "stringliteral" => path(&format!("X({input})")),
        "functionparameter" => path(&format!("X({input})")),
        "binaryliteral" => literal_of(input, |v| matches!(v, Value::Binary(_))),
        "boolean" => literal_of(input, |v| matches!(v, Value::Boolean(_))),
        "null" => literal_of(input, |v| *v == Value::Null),
        "datetimeoffsetliteral" => {
            literal_of(input, |v| matches!(v, Value::Lexical(T::DateTimeOffset, _)))
        }
        "decimalliteral" => literal_of(input, |v| matches!(v, Value::Lexical(T::Decimal, _))),
        "doubleliteral" => literal_of(input, |v| matches!(v, Value::Double(_))),
        "int16literal" | "int64literal" | "sbyteliteral" => {
            literal_of(input, |v| matches!(v, Value::Integer(_)))
        }
        // Without its prefix, a duration looks like a text; the binder knows better.
        "durationliteral" => literal_of(
            input,
            |v| matches!(v, Value::String(text) if literal::parse_primitive(T::Duration, text).is_ok()),
        ),
        "enumliteral" => is(&expr(input)?, |e| match e {
            Expr::Literal(Value::String(_)) => true,
            Expr::Foreign(foreign) => matches!(**foreign, ForeignLiteral::Enum { .. }),
            _ => false,
        }),
        "primitiveliteral" => literal_of(input, |_| true),
        rule if rule.starts_with("geography") || rule.starts_with("geometry") => {
            is(&expr(input)?, |e| matches!(e, Expr::Foreign(_)))
        }
        "booleanvalue" => value(T::Boolean, input),
        "date" => value(T::Date, input),
        "datetimeoffsetvalue" => value(T::DateTimeOffset, input),
        "decimalvalue" => value(T::Decimal, input),
        "doublevalue" => value(T::Double, input),
        "durationvalue" => value(T::Duration, input),
        "guid" => value(T::Guid, input),
        "int32value" => value(T::Int32, input),
        "int64value" => value(T::Int64, input),
        "sbytevalue" => value(T::SByte, input),
        "timeofdayvalue" => value(T::TimeOfDay, input),
        "primitivevalue" => {
            let typed = T::ALL
                .into_iter()
                .filter(|t| !matches!(t, T::String | T::Any));
            match typed
                .map(|t| value(t, input))
                .any(|outcome| outcome.is_ok())
            {
                true => Ok(()),
                false => Err("no type has this value".to_owned()),
            }
        }
        "odataidentifier" | "entitysetname" => {
            let limits = Limits::default();
            let segment = url::parse_name_segment(input, &limits).map_err(|e| e.to_string())?;
            is(&segment, |s| s.parens.is_empty() && !s.is_qualified())
        }
        "searchexpr" => is(&query(&format!("$search={input}"))?, |o| o.search.is_some()),
        "compute" | "deltatoken" | "expand" | "filter" | "orderby" | "search" | "select"
        | "skiptoken" => {
            let options = query(input)?;
            is(&options, |o| {
                o.system_names().eq([&format!("${rule}")[..]]) && o.custom.is_empty()
            })
        }
        "customqueryoption" => is(&query(input)?, |o| o.custom.len() == 1),
        "queryoptions" => query(input).map(drop),
        "systemqueryoption" => is(&query(input)?, |o| o.system_names().count() == 1),
        "resourcepath" => path(input),
        "odatarelativeuri" => relative(input),
        "odatauri" => {
            let below = SERVICE_ROOTS
                .iter()
                .find_map(|root| input.strip_prefix(root));
            relative(below.unwrap_or(input))
        }
        _ => Err(format!("no entry point for the rule {rule}")),
    }
}

fn is<T: std::fmt::Debug>(tree: &T, wanted: impl Fn(&T) -> bool) -> Outcome {
    match wanted(tree) {
        true => Ok(()),
        false => Err(format!("parsed as something else: {tree:?}")),
    }
}

fn expr(input: &str) -> Result<Expr, String> {
    let options = query(&format!("$filter={input}"))?;
    options.filter.ok_or_else(|| "no filter".to_owned())
}

fn literal_of(input: &str, wanted: impl Fn(&Value) -> bool) -> Outcome {
    is(
        &expr(input)?,
        |e| matches!(e, Expr::Literal(v) if wanted(v)),
    )
}

fn value(ty: PrimitiveType, input: &str) -> Outcome {
    literal::parse_primitive(ty, input)
        .map(drop)
        .map_err(|e| e.to_string())
}

fn query(input: &str) -> Result<QueryOptions, String> {
    url::parse_query(input, &Limits::default()).map_err(|e| e.to_string())
}

fn path(input: &str) -> Outcome {
    url::parse_path(input, &Limits::default())
        .map(drop)
        .map_err(|e| e.to_string())
}

fn relative(input: &str) -> Outcome {
    let (path, query) = match input.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (input, None),
    };
    url::parse(path, query, &Limits::default())
        .map(drop)
        .map_err(|e| e.to_string())
}
