//! Hostile URLs: each is answered in linear time, on a small stack, with an error that names the limit.
//!
//! The inputs are so long that a parser with quadratic time would not come to an end while anybody waits.

use highwater_odata::url::ast::Expr;
use highwater_odata::url::{self, DEPTH_MAX, Limits, NODES_MAX, ParseErrorKind, URL_BYTES_MAX};

/// What a thread of a server may have; the parser must do with half of it even when it is not optimised.
const STACK_BYTES: usize = 512 * 1024;
/// Repetitions in the long inputs.
const MANY: usize = 200_000;

const UNBOUNDED: Limits = Limits {
    depth_max: DEPTH_MAX,
    nodes_max: u32::MAX,
    url_bytes_max: usize::MAX,
};

/// Runs `test` where deep recursion would overflow.
fn on_small_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let thread = thread.spawn(test).expect("a thread can be started");
    thread.join().expect("the test passes");
}

/// What nests, as text before and after the inner part.
const NESTS: [(&str, &str); 16] = [
    ("(", ")"),
    ("not ", ""),
    ("-", ""),
    ("not (", ")"),
    ("tolower(", ")"),
    ("cast(", ",Edm.String)"),
    ("isof(", ",Edm.String)"),
    ("case(true:", ")"),
    ("a in (", ")"),
    ("[", "]"),
    ("a(", ")"),
    ("a(b=", ")"),
    ("a/any(x:", ")"),
    ("a/$filter(", ")"),
    ("a/$count($filter=", ") gt 1"),
    ("1 add (", ")"),
];

#[test]
fn nesting_is_bounded_in_expressions() {
    on_small_stack(|| {
        for (open, close) in NESTS {
            let nest = |n: usize| format!("{}a{}", open.repeat(n), close.repeat(n));
            let error = parse(&nest(MANY)).expect_err(open);
            assert_eq!(error.kind(), ParseErrorKind::TooComplex, "{open}");
            assert!(
                error.message().starts_with("nested deeper than 100 levels"),
                "{error}"
            );
            let unclosed = open.repeat(MANY);
            assert!(parse(&unclosed).is_err(), "{open}");

            // The deepest that is accepted can also be walked: printed, copied, compared and dropped.
            let deepest = (1..=DEPTH_MAX as usize)
                .rev()
                .find_map(|n| parse(&nest(n)).ok())
                .expect("shallow nests are accepted");
            assert_eq!(deepest.clone(), deepest);
            assert!(!format!("{deepest:?}{deepest}").is_empty());
        }
    });
}

#[test]
fn a_mixture_of_everything_that_nests_is_bounded() {
    on_small_stack(|| {
        let mut text = "a".to_owned();
        for (open, close) in NESTS.iter().cycle().take(90) {
            text = format!("{open}{text}{close}");
        }
        let tree = parse(&text).expect("90 levels are few enough");
        assert_eq!(tree.clone(), tree);
    });
}

fn parse(text: &str) -> Result<Expr, url::ParseError> {
    url::parse_expression("$filter", text, &UNBOUNDED)
}

#[test]
fn nesting_is_bounded_in_options_and_paths() {
    on_small_stack(|| {
        for (input, close) in [
            ("$expand=@", ")"),
            ("$select=@", ")"),
            ("$search=@", ")"),
            ("$filter={@", "}"),
        ] {
            let open = match input {
                "$expand=@" => "a($expand=",
                "$select=@" => "a($select=",
                "$search=@" => "(",
                _ => "[{(",
            };
            let name = input.trim_end_matches('@');
            for text in [
                format!("{name}{}a{}", open.repeat(MANY), close.repeat(MANY)),
                format!("{name}{}", open.repeat(MANY)),
            ] {
                let error = url::parse_query(&text, &UNBOUNDED).expect_err(name);
                assert_eq!(error.kind(), ParseErrorKind::TooComplex, "{name}: {error}");
            }
            let deep = DEPTH_MAX as usize - 10;
            let text = format!("{name}{}a{}", open.repeat(deep), close.repeat(deep));
            if open != "[{(" {
                let options = url::parse_query(&text, &UNBOUNDED).expect(name);
                assert_eq!(options.clone(), options);
            }
        }
        let search = format!("$search={}a", "NOT ".repeat(MANY));
        let error = url::parse_query(&search, &UNBOUNDED).unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::TooComplex);

        let path = format!("A({}", "(".repeat(MANY));
        let error = url::parse_path(&path, &UNBOUNDED).unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::TooComplex);
        // As a key in key-as-segment form the text may be anything that does not exceed a limit.
        let path = format!("A/B({}", "(".repeat(MANY));
        let error = url::parse_path(&path, &UNBOUNDED).unwrap_err();
        assert_eq!(error.kind(), ParseErrorKind::TooComplex);
    });
}

/// Left-associative chains would be high trees, so they are bounded; `and`, `or` and lists are wide and only cost nodes.
#[test]
fn chains_are_wide_or_bounded() {
    on_small_stack(|| {
        for operator in ["add", "mul", "eq", "lt", "has"] {
            let chain = |n: usize| format!("a{}", format!(" {operator} a").repeat(n));
            let error = parse(&chain(MANY)).expect_err(operator);
            assert_eq!(error.kind(), ParseErrorKind::TooComplex, "{operator}");
            assert!(parse(&chain(DEPTH_MAX as usize - 1)).is_ok(), "{operator}");
        }
        // Chains inside chains add up.
        let mut text = "a".to_owned();
        for _ in 0..20 {
            text = format!("({text}{})", " add a".repeat(20));
        }
        assert_eq!(parse(&text).unwrap_err().kind(), ParseErrorKind::TooComplex);

        for text in [
            format!("a{}", " and a eq 1".repeat(MANY)),
            format!("a{}", " or a and b".repeat(MANY)),
            format!("a in (1{})", ",1".repeat(MANY)),
            format!("[1{}]", ",1".repeat(MANY)),
            format!("a{}", "/a".repeat(MANY)),
            format!("a/{}", "a".repeat(MANY)),
            format!("a{} eq 1", " ".repeat(MANY)),
            format!("a eq {}", "1".repeat(MANY)),
            format!("a eq '{}'", "''".repeat(MANY)),
            format!("{{\"a\":\"{}\"}}", "\\\"".repeat(MANY)),
        ] {
            parse(&text).unwrap_or_else(|e| panic!("{}...: {e}", &text[..20]));
        }
    });
}

#[test]
fn nodes_are_bounded() {
    let limits = Limits {
        url_bytes_max: usize::MAX,
        ..Limits::default()
    };
    let many = NODES_MAX as usize;
    for text in [
        format!("$filter=a in (1{})", ",1".repeat(many)),
        format!("$filter=a{}", " or a".repeat(many)),
        format!("$filter=a{}", "/a".repeat(many)),
        format!("$select=a{}", ",a".repeat(many)),
        format!("$expand=a{}", ",a".repeat(many)),
        format!("$select=a{}", "/a".repeat(many)),
        format!("$orderby=a{}", ",a".repeat(many)),
        format!("$search=a{}", " a".repeat(many)),
        (0..many).map(|n| format!("@a{n}=1&")).collect::<String>() + "@b=2",
    ] {
        let error = url::parse_query(&text, &limits).expect_err("too many nodes");
        assert_eq!(error.kind(), ParseErrorKind::TooComplex, "{error}");
        assert!(
            error.message().starts_with("more than 20000 operators"),
            "{error}"
        );
    }
    let path = "/a".repeat(many + 1);
    let error = url::parse_path(&path, &limits).unwrap_err();
    assert_eq!(error.kind(), ParseErrorKind::TooComplex);
    // A list that fits the nodes fits.
    let list = format!("$filter=a in (1{})", ",1".repeat(many - 10));
    assert!(url::parse_query(&list, &limits).is_ok());
}

#[test]
fn length_is_bounded() {
    let long = "a".repeat(URL_BYTES_MAX + 1);
    let limits = Limits::default();
    for error in [
        url::parse(&long, None, &limits).unwrap_err(),
        url::parse(&long[2..], Some("a=1"), &limits).unwrap_err(),
        url::parse_path(&long, &limits).unwrap_err(),
        url::parse_query(&long, &limits).unwrap_err(),
        url::parse_expression("filter", &long, &limits).unwrap_err(),
        url::parse_search(&long, &limits).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ParseErrorKind::TooLong, "{error}");
    }
    assert!(url::parse(&long[1..], None, &limits).is_ok());
}

#[test]
fn long_paths_and_queries_take_linear_time() {
    for path in [
        "/a%2F".repeat(MANY),
        "/'".repeat(MANY),
        format!("/a/$filter({}", "/'x'".repeat(MANY)),
        format!("/a('{}')", "%27%27".repeat(MANY)),
        "/a(".repeat(MANY),
    ] {
        // Whether it is accepted does not matter here.
        let _ = url::parse_path(&path, &UNBOUNDED);
    }
    for query in [
        "a=1&".repeat(MANY),
        (0..MANY).map(|n| format!("@a{n}=1&")).collect::<String>(),
        format!("$filter={}", "%28".repeat(MANY)),
        format!("$select=a{}", "(".repeat(MANY)),
        format!("$apply={}", "(".repeat(MANY)),
        format!("$search={}", " ".repeat(MANY)),
        format!("$search=a{}", " AND".repeat(MANY)),
        format!("$search={}", "\"".repeat(MANY)),
        format!("$filter={}", "a(b".repeat(MANY)),
        format!("$filter={}", "cast(Collection(".repeat(MANY)),
        format!("%FF{}", "a".repeat(MANY)),
    ] {
        let _ = url::parse_query(&query, &UNBOUNDED);
    }
}
