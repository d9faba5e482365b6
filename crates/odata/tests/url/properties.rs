//! Properties of the URL parser: printing and parsing are inverse, and nothing panics.

use highwater_odata::url::ast::{
    Arguments, Binary, Expr, ForeignLiteral, Function, Lambda, Logical, NameSegment, Path,
    PathRoot, PathSegment, QueryOptions, Search, Unary,
};
use highwater_odata::url::{self, Limits};
use highwater_odata::{PrimitiveType, Value, literal};
use proptest::collection::vec;
use proptest::prelude::*;

/// Printing puts parentheses around everything, which costs depth.
const LIMITS: Limits = Limits {
    depth_max: 400,
    nodes_max: 100_000,
    url_bytes_max: 1 << 20,
};

fn name() -> impl Strategy<Value = String> + Clone {
    // No word of the grammar starts with these letters.
    "[P_Ä][a-z0-9_]{0,4}"
}

fn qualified_name() -> impl Strategy<Value = String> {
    (name(), name()).prop_map(|(namespace, name)| format!("{namespace}.{name}"))
}

fn type_name() -> impl Strategy<Value = String> {
    prop_oneof![
        name(),
        qualified_name(),
        qualified_name().prop_map(|item| format!("Collection({item})")),
    ]
}

fn lexical(ty: PrimitiveType, pattern: &'static str) -> impl Strategy<Value = Value> {
    pattern.prop_map(move |text| Value::Lexical(ty, text))
}

/// Every value that a literal can have. NaN is left out because it does not equal itself.
fn value() -> impl Strategy<Value = Value> {
    use PrimitiveType as T;
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>()
            .prop_filter("equal to itself", |v| !v.is_nan())
            .prop_map(Value::Double),
        ".{0,8}".prop_map(Value::String),
        "['(),;%+& ]{0,6}".prop_map(Value::String),
        vec(any::<u8>(), 0..6).prop_map(Value::Binary),
        lexical(T::Decimal, r"-?(0|[1-9][0-9]{0,30})\.[0-9]{1,30}"),
        lexical(T::Decimal, "-?[1-9][0-9]{19,40}"),
        lexical(
            T::Guid,
            "[0-9a-fA-F]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
        ),
        lexical(T::Date, "-?[0-9]{4}-0[1-9]-[12][0-8]"),
        lexical(
            T::TimeOfDay,
            r"[01][0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]{1,12})?)?"
        ),
        lexical(
            T::DateTimeOffset,
            r"[0-9]{4}-1[0-2]-[12][0-8]T2[0-3]:[0-5][0-9]:[0-5][0-9](\.[0-9]{1,12})?(Z|[+-]0[0-9]:[0-5][0-9])"
        ),
        lexical(
            T::Duration,
            r"-?P[0-9]{1,3}D(T[0-9]{1,2}H([0-9]{1,2}M)?([0-9]{1,2}(\.[0-9]{1,3})?S)?)?"
        ),
    ]
}

fn foreign() -> impl Strategy<Value = Expr> {
    let literal = prop_oneof![
        (qualified_name(), ".{0,6}")
            .prop_map(|(type_name, members)| ForeignLiteral::Enum { type_name, members }),
        ".{0,6}".prop_map(ForeignLiteral::Geography),
        ".{0,6}".prop_map(ForeignLiteral::Geometry),
    ];
    literal.prop_map(|literal| Expr::Foreign(Box::new(literal)))
}

fn search() -> impl Strategy<Value = Search> {
    let leaf = prop_oneof![
        "[a-zÄ0-9][a-z'/*]{0,5}".prop_map(Search::Word),
        "[^\"]{1,6}".prop_map(Search::Phrase),
        "['\"]{0,3}".prop_map(Search::Phrase),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Search::Not(Box::new(part))),
            vec(inner.clone(), 2..4).prop_map(Search::And),
            vec(inner, 2..4).prop_map(Search::Or),
        ]
    })
}

fn named(name: String, parens: Vec<Arguments>) -> NameSegment {
    NameSegment {
        name,
        parens,
        text: String::new(),
    }
}

fn arguments(inner: BoxedStrategy<Expr>) -> impl Strategy<Value = Arguments> {
    prop_oneof![
        Just(Arguments::Empty),
        vec(inner.clone(), 1..3).prop_map(Arguments::Positional),
        vec((name(), inner), 1..3).prop_map(Arguments::Named),
    ]
}

fn path_segment(inner: BoxedStrategy<Expr>) -> BoxedStrategy<PathSegment> {
    let parens = vec(arguments(inner.clone()), 0..3);
    let lambda = (name(), inner.clone()).prop_map(|(variable, predicate)| {
        Box::new(Lambda {
            variable,
            predicate,
        })
    });
    let count = (
        proptest::option::of(inner.clone()),
        proptest::option::of(search()),
    );
    prop_oneof![
        (prop_oneof![name(), qualified_name()], parens)
            .prop_map(|(name, parens)| PathSegment::Name(named(name, parens))),
        name().prop_map(PathSegment::Annotation),
        Just(PathSegment::Count(None)),
        count.prop_filter_map("at least one option", |(filter, search)| {
            let options = QueryOptions {
                filter,
                search,
                ..QueryOptions::default()
            };
            let some = options.system_names().next().is_some();
            some.then(|| PathSegment::Count(Some(Box::new(options))))
        }),
        (inner.clone(), proptest::option::of(arguments(inner)))
            .prop_map(|(condition, key)| PathSegment::Filter(Box::new(condition), key)),
        Just(PathSegment::Any(None)),
        lambda
            .clone()
            .prop_map(|lambda| PathSegment::Any(Some(lambda))),
        lambda.prop_map(PathSegment::All),
    ]
    .boxed()
}

fn path(inner: BoxedStrategy<Expr>) -> impl Strategy<Value = Path> {
    let first = prop_oneof![
        name().prop_map(|name| PathSegment::Name(named(name, Vec::new()))),
        (qualified_name(), arguments(inner.clone()))
            .prop_map(|(name, arguments)| PathSegment::Name(named(name, vec![arguments]))),
        qualified_name().prop_map(PathSegment::Annotation),
    ];
    let rest = vec(path_segment(inner.clone()), 0..3);
    let implicit = (first, rest.clone()).prop_map(|(first, rest)| {
        let mut segments = vec![first];
        segments.extend(rest);
        (PathRoot::Implicit, segments)
    });
    let root = prop_oneof![
        Just(PathRoot::It),
        Just(PathRoot::This),
        name().prop_map(PathRoot::Alias),
    ];
    let from_root = vec(path_segment(inner), 1..3).prop_map(|rest| (PathRoot::Root, rest));
    prop_oneof![implicit, (root, rest), from_root]
        .prop_map(|(root, segments)| Path { root, segments })
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        4 => value().prop_map(Expr::Literal),
        1 => foreign(),
        3 => name().prop_map(|name| Expr::Path(Path {
            root: PathRoot::Implicit,
            segments: vec![PathSegment::Name(named(name, Vec::new()))],
        })),
        1 => type_name().prop_map(|ty| Expr::Cast(None, ty)),
        1 => Just(Expr::Json("{\"a\":[1,'}'],\"b\":\"\\\"{\"}".to_owned())),
        1 => Just(Expr::Call(Function::Now, Vec::new())),
    ]
}

fn expr() -> impl Strategy<Value = Expr> {
    use Binary as B;
    let binary = proptest::sample::select(vec![
        B::Eq,
        B::Ne,
        B::Gt,
        B::Ge,
        B::Lt,
        B::Le,
        B::Has,
        B::Add,
        B::Sub,
        B::Mul,
        B::Div,
        B::DivBy,
        B::Mod,
    ]);
    leaf().prop_recursive(4, 48, 4, move |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        let list = vec(inner.clone(), 0..4).prop_map(Expr::List);
        let collection = prop_oneof![list.clone(), path(inner.clone()).prop_map(Expr::Path)];
        let unary = prop_oneof![Just(Unary::Not), Just(Unary::Negate)];
        let logical = prop_oneof![Just(Logical::And), Just(Logical::Or)];
        prop_oneof![
            (unary, boxed.clone()).prop_map(|(unary, a)| Expr::Unary(unary, a)),
            (logical, vec(inner.clone(), 2..4))
                .prop_map(|(logical, all)| Expr::Logical(logical, all)),
            (binary.clone(), boxed.clone(), boxed.clone())
                .prop_map(|(binary, a, b)| Expr::Binary(binary, a, b)),
            (boxed.clone(), collection).prop_map(|(a, b)| Expr::In(a, Box::new(b))),
            list,
            vec(inner.clone(), 2..4).prop_map(|all| Expr::Call(Function::Substring, all)),
            inner
                .clone()
                .prop_map(|a| Expr::Call(Function::GeoLength, vec![a])),
            (proptest::option::of(boxed.clone()), type_name())
                .prop_map(|(a, ty)| Expr::Cast(a, ty)),
            (boxed, type_name()).prop_map(|(a, ty)| Expr::IsOf(Some(a), ty)),
            vec((inner.clone(), inner.clone()), 1..3).prop_map(Expr::Case),
            path(inner).prop_map(Expr::Path),
        ]
    })
}

/// Words and signs of the grammar in any order: far more likely to get somewhere than random characters.
fn soup() -> impl Strategy<Value = String> {
    let token = proptest::sample::select(vec![
        "a",
        "b/",
        "Ns.T",
        "(",
        ")",
        ",",
        ";",
        ":",
        "=",
        "'x'",
        "'",
        "\"",
        "[",
        "]",
        "{",
        "}",
        "@p",
        "@Ns.T#q",
        "$it",
        "$root/",
        "$count",
        "$filter(",
        "$filter=",
        "$expand=",
        "$search=",
        "/any(x:",
        "/all(",
        "cast(",
        "case(",
        "now()",
        "substring(",
        " and ",
        " or ",
        "not ",
        "-",
        " eq ",
        " in ",
        " has ",
        " add ",
        "1",
        "2.5",
        "1e9",
        "12:30",
        "2012-02-30",
        "2012-02-29T10:00Z",
        "01234567-89ab-cdef-0123-456789abcdef",
        "null",
        "INF",
        "*",
        "/",
        "$ref",
        "%",
        "%27",
        "%C3",
        "+",
        "&",
        " ",
        " desc",
        " as c",
        "geo.length(",
        "duration'P1D'",
        "binary'Zg'",
        "é",
    ]);
    vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_expressions_parse_to_the_same_tree(tree in expr()) {
        let text = tree.to_string();
        let parsed = url::parse_expression("$filter", &text, &LIMITS);
        prop_assert_eq!(parsed.as_ref(), Ok(&tree), "{}", text);
    }

    #[test]
    fn printed_searches_parse_to_the_same_tree(tree in search()) {
        let text = tree.to_string();
        let parsed = url::parse_search(&text, &LIMITS);
        prop_assert_eq!(parsed.as_ref(), Ok(&tree), "{}", text);
    }

    #[test]
    fn whatever_parses_can_be_printed_and_parsed_again(text in soup()) {
        if let Ok(tree) = url::parse_expression("$filter", &text, &Limits::default()) {
            let printed = tree.to_string();
            let again = url::parse_expression("$filter", &printed, &LIMITS);
            // Not equality, because NaN may be in it.
            prop_assert_eq!(format!("{again:?}"), format!("{:?}", Ok::<_, ()>(tree)), "{}", printed);
        }
    }

    #[test]
    fn nothing_panics(path in soup(), query in soup(), noise in ".{0,40}") {
        for option in ["filter", "orderby", "select", "expand", "search", "compute", "apply", "@x"] {
            let _ = url::parse(&path, Some(&format!("{option}={query}")), &Limits::default());
        }
        let _ = url::parse(&path, Some(&query), &Limits::default());
        let _ = url::parse(&noise, Some(&noise), &Limits::default());
    }

    #[test]
    fn key_literals_survive_the_path(value in value()) {
        let path = format!("/Set({})", literal::format_key_literal(value.as_ref()));
        let parsed = url::parse_path(&path, &Limits::default()).unwrap();
        let [url::ast::Segment::Name(segment)] = &parsed.segments[..] else {
            panic!("{path} has one segment");
        };
        prop_assert_eq!(&segment.parens[..], &[Arguments::Positional(vec![Expr::Literal(value)])], "{}", path);
    }
}
