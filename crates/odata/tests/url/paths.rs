//! Resource paths: how they are split, decoded and refused.

use highwater_odata::url::ast::Segment;
use highwater_odata::url::{self, Limits};

/// A path and its segments, each in a short notation.
#[track_caller]
fn check_path(input: &str, expected: &str) {
    let path =
        url::parse_path(input, &Limits::default()).unwrap_or_else(|e| panic!("{input}: {e}"));
    let segments: Vec<String> = path.segments.iter().map(describe).collect();
    assert_eq!(segments.join(" | "), expected, "{input}");
}

fn describe(segment: &Segment) -> String {
    match segment {
        Segment::Name(name) => name.to_string(),
        Segment::Key(key) => format!("key {}", key.text),
        Segment::Filter(condition, key) => {
            let key = key.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("$filter {condition} {key}")
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn paths_are_split_before_they_are_decoded() {
    for (input, expected) in [
        ("", ""),
        ("/", ""),
        ("/Products", "Products"),
        ("Products/", "Products"),
        ("Products(1)", "Products(1)"),
        ("Products(-1)", "Products(-1)"),
        ("Products()", "Products()"),
        ("Products( 'a''b' )", "Products('a''b')"),
        ("Products('a%2Fb')/Name", "Products('a/b') | Name"),
        ("Products('a+b')", "Products('a+b')"),
        ("Products%28%27x%27%29", "Products('x')"),
        ("Lines(A=1,B='x')", "Lines(A=1,B='x')"),
        ("Lines(A=1, B='x')", "Lines(A=1,B='x')"),
        ("Lines(A=@p,B=@q)", "Lines(A=@p,B=@q)"),
        ("Products(@p)", "Products(@p)"),
        (
            "Products(01234567-89ab-cdef-0123-456789abcdef)",
            "Products(01234567-89ab-cdef-0123-456789abcdef)",
        ),
        (
            "Events(2012-02-29T23:59:00+01:00)",
            "Events(2012-02-29T23:59:00+01:00)",
        ),
        ("Products/42/Name", "Products | key 42 | Name"),
        ("Products/a%2Fb", "Products | key a/b"),
        ("Products/O'Neil", "Products | key O'Neil"),
        ("Products/plain", "Products | plain"),
        (
            "Products/Ns.Type(1)/Ns.Act",
            "Products | Ns.Type(1) | Ns.Act",
        ),
        ("F(p=1)(2)", "F(p=1)(2)"),
        ("Products/$count", "Products | Count"),
        ("Products(1)/Name/$value", "Products(1) | Name | Value"),
        ("Products(1)/Category/$ref", "Products(1) | Category | Ref"),
        (
            "Products/$filter(@f)/$each/Ns.Act",
            "Products | $filter @f  | Each | Ns.Act",
        ),
        (
            "Products/$filter(Category/Name eq 'a)/b')(1)/Name",
            "Products | $filter (Category/Name eq 'a)/b') (1) | Name",
        ),
        (
            "Products/$filter(Category%2FName eq 'x')",
            "Products | $filter (Category/Name eq 'x') ",
        ),
        ("Products/$query", "Products | Query"),
        ("Products/$count/$query", "Products | Count | Query"),
        ("$metadata", "Metadata"),
        ("$batch", "Batch"),
        ("$all/Ns.Type", "All | Ns.Type"),
        (
            "$crossjoin(A,B)/$query",
            "CrossJoin([\"A\", \"B\"]) | Query",
        ),
    ] {
        check_path(input, expected);
    }
}

#[test]
fn impossible_paths_are_refused() {
    for (input, expected) in [
        (
            "///",
            "expected a name between two slashes at position 1 of the path",
        ),
        (
            "A//B",
            "expected a name between two slashes at position 2 of the path",
        ),
        (
            "42",
            "expected a name, found '42' at position 0 of path segment '42'",
        ),
        (
            "A(",
            "expected an expression, found the end at position 2 of path segment 'A('",
        ),
        (
            "A(1",
            "expected ')' after the argument list, found the end at position 3 of path segment 'A(1'",
        ),
        (
            "A(b)",
            "expected a literal or an alias such as @p, found 'b)' at position 2 of path segment 'A(b)'",
        ),
        (
            "A(b=c)",
            "expected a literal or an alias such as @p, found 'c)' at position 4 of path segment 'A(b=c)'",
        ),
        (
            "A('a/b')",
            "the text in single quotes never ends: a quote inside is written twice at position 2 of path segment 'A('a'",
        ),
        (
            "A(1)(2)(3)",
            "expected the end of the segment, found '(3)' at position 7 of path segment 'A(1)(2)(3)'",
        ),
        (
            "Ns.Act",
            "a path cannot start with a qualified name at position 0 of path segment 'Ns.Act'",
        ),
        (
            "$count",
            "no system resource of this name can stand here at position 0 of path segment '$count'",
        ),
        (
            "A/$metadata",
            "no system resource of this name can stand here at position 0 of path segment '$metadata'",
        ),
        (
            "A/$COUNT",
            "no system resource of this name can stand here at position 0 of path segment '$COUNT'",
        ),
        (
            "$metadata/A",
            "nothing may follow '$metadata' at position 0 of path segment 'A'",
        ),
        (
            "A/$count/B",
            "nothing may follow '$count' at position 0 of path segment 'B'",
        ),
        (
            "A/$value/$value",
            "nothing may follow '$value' at position 0 of path segment '$value'",
        ),
        (
            "A/$filter(b eq 1",
            "expected ')' after the condition of '$filter', found the end at position 14 of path segment '$filter(b eq 1'",
        ),
    ] {
        let error = url::parse_path(input, &Limits::default()).expect_err(input);
        assert_eq!(error.to_string(), expected, "{input}");
    }
    let error = url::parse("$entity", Some("$format=json"), &Limits::default()).unwrap_err();
    assert_eq!(error.message(), "'$entity' needs the query option $id");
}
