//! Query options: names, values, nesting and percent-encoding.

use highwater_odata::url::ast::{Expr, QueryOptions};
use highwater_odata::url::{self, Limits, ParseError};

fn query(text: &str) -> Result<QueryOptions, ParseError> {
    url::parse_query(text, &Limits::default())
}

#[test]
fn errors_of_options_name_the_option() {
    for (input, expected) in [
        (
            "$filter=a%20eq%20(",
            "expected an expression, found the end at position 6 of $filter",
        ),
        (
            "$FILTER=",
            "expected an expression, found the end at position 0 of $filter",
        ),
        (
            "$top=ten",
            "expected a whole number, 0 or more, for $top, found 'ten' at position 0 of $top",
        ),
        (
            "$top=-1",
            "expected a whole number, 0 or more, for $top, found '-1' at position 0 of $top",
        ),
        (
            "$count=1",
            "expected true or false, found '1' at position 0 of $count",
        ),
        (
            "$orderby=a ascending",
            "expected an operator or the end, found 'ascending' at position 2 of $orderby",
        ),
        (
            "$select=",
            "expected a property name, found the end at position 0 of $select",
        ),
        (
            "$select=a,,b",
            "expected a property name, found ',b' at position 2 of $select",
        ),
        (
            "$expand=a($top=1",
            "expected ')' or ';' after the option, found the end at position 8 of $expand",
        ),
        (
            "$expand=a($format=json)",
            "'$format' is not allowed here at position 2 of $expand",
        ),
        (
            "$expand=a($top=1;top=2)",
            "'$top' is given twice at position 9 of $expand",
        ),
        (
            "$expand=a(b=2)",
            "unknown query option 'b' at position 2 of $expand",
        ),
        (
            "$expand=a/$ref(@p=1)",
            "parameter aliases are not allowed here at position 7 of $expand",
        ),
        (
            "$compute=a mul 2",
            "expected 'as' and a name after the expression, found the end at position 7 of $compute",
        ),
        (
            "$levels=2",
            "'$levels' is only allowed inside $expand at position 0 of the query",
        ),
        (
            "$top=1&$foo=2",
            "unknown system query option '$foo' at position 7 of the query",
        ),
        (
            "$top=1&%24Top=2",
            "'$top' is given twice at position 7 of the query",
        ),
        (
            "@p=1&@p=2",
            "the alias '@p' is given twice at position 5 of the query",
        ),
        (
            "@1=1",
            "'@1' is not the name of a parameter alias at position 0 of the query",
        ),
        (
            "@p=",
            "expected an expression, found the end at position 0 of @p",
        ),
        (
            "$search=(a",
            "expected ')' after the search terms in parentheses, found the end at position 2 of $search",
        ),
        (
            "$search=\"a",
            "expected '\"' at the end of the phrase at position 0 of $search",
        ),
        (
            "$filter",
            "expected an expression, found the end at position 0 of $filter",
        ),
    ] {
        let error = query(input).expect_err(input);
        assert_eq!(error.to_string(), expected, "{input}");
    }
}

#[test]
fn options_of_every_kind() {
    let options = query(
        "filter=a eq 1&$OrderBy=b desc, c,d asc&Top=5&skip=99999999999999999999&$count=TRUE&$index=-2\
         &$apply=groupby((a),aggregate(b with sum as c))&$deltatoken=x&$id=Products(1)&$schemaversion=*\
         &@p=1 add 2&@q=[1,2]&@r={\"a\":1}&$compute=a mul 2 as twice&$search=a NOT b OR \"c d\"",
    )
    .unwrap();
    let order: Vec<String> = options.orderby.iter().map(ToString::to_string).collect();
    assert_eq!(order, ["b desc", "c", "d"]);
    assert_eq!(options.top, Some(5));
    assert_eq!(options.skip, Some(u64::MAX));
    assert_eq!(options.count, Some(true));
    assert_eq!(options.index, Some(-2));
    assert_eq!(
        options.apply.as_deref(),
        Some("groupby((a),aggregate(b with sum as c))")
    );
    assert_eq!(options.compute[0].to_string(), "(a mul 2) as twice");
    assert_eq!(
        options.search.as_ref().unwrap().to_string(),
        "((a AND NOT b) OR \"c d\")"
    );
    assert_eq!(options.alias("p").unwrap().to_string(), "(1 add 2)");
    assert_eq!(options.alias("q").unwrap().to_string(), "[1,2]");
    assert_eq!(
        options.alias("r"),
        Some(&Expr::Json("{\"a\":1}".to_owned()))
    );
    let names: Vec<&str> = options.system_names().collect();
    let expected = [
        "$apply",
        "$compute",
        "$count",
        "$deltatoken",
        "$filter",
        "$id",
        "$index",
        "$orderby",
        "$schemaversion",
        "$search",
        "$skip",
        "$top",
    ];
    assert_eq!(names, expected);
    assert_eq!(query("").unwrap(), QueryOptions::default());
    assert_eq!(query("&&").unwrap(), QueryOptions::default());
}

#[test]
fn select_and_expand_nest() {
    for (input, expected) in [
        ("*", "*"),
        ("a, b", "a,b"),
        ("Ns.*", "Ns.*"),
        ("Ns.T/a/b", "Ns.T/a/b"),
        ("Ns.Fn(p,q)", "Ns.Fn(p,q)"),
        ("@Core.Messages(top=5)", "@Core.Messages($top=5)"),
        (
            "a(select=b,c;$filter=d eq ';)')",
            "a($filter=(d eq ';)');$select=b,c)",
        ),
    ] {
        let items = query(&format!("$select={input}")).unwrap().select;
        let printed: Vec<String> = items.iter().map(ToString::to_string).collect();
        assert_eq!(printed.join(","), expected, "{input}");
    }
    for (input, expected) in [
        ("a,b/c", "a,b/c"),
        ("*,*/$ref,*(levels=max)", "*,*/$ref,*($levels=max)"),
        ("a/Ns.T($levels=3)", "a/Ns.T($levels=3)"),
        ("a/$count($search=x)", "a/$count($search=x)"),
        ("a/$ref($top=1)", "a/$ref($top=1)"),
        ("$value", "$value"),
        (
            "a(@p=$this;$filter=@p/x eq y)",
            "a($filter=(@p/x eq y);@p=$this)",
        ),
        (
            "a($expand=b($expand=c($top=1;$orderby=x desc,y);$select=d);$count=true)",
            "a($expand=b($select=d;$expand=c($orderby=x desc,y;$top=1));$count=true)",
        ),
    ] {
        let items = query(&format!("$expand={input}")).unwrap().expand;
        let printed: Vec<String> = items.iter().map(ToString::to_string).collect();
        assert_eq!(printed.join(","), expected, "{input}");
    }
}

#[test]
fn search_words_are_operators_only_between_operands() {
    for (input, expected) in [
        ("a", "a"),
        ("a b", "(a AND b)"),
        ("a AND b OR c", "((a AND b) OR c)"),
        ("a OR b AND c", "(a OR (b AND c))"),
        ("a OR b OR c", "(a OR b OR c)"),
        ("NOT a AND b", "(NOT a AND b)"),
        ("NOT (a b)", "NOT (a AND b)"),
        ("(a OR b) c", "((a OR b) AND c)"),
        ("NOT NOT a", "NOT NOT a"),
        ("NOT", "\"NOT\""),
        ("AND OR", "(\"AND\" AND \"OR\")"),
        ("not and or", "(not AND and AND or)"),
        ("\"a b\" c", "(\"a b\" AND c)"),
        ("Daniel's 08/15", "(Daniel's AND 08/15)"),
        ("'\"half'", "'\"half'"),
        (" a ", "a"),
    ] {
        let search = url::parse_search(input, &Limits::default());
        assert_eq!(search.unwrap().to_string(), expected, "{input}");
    }
}

#[test]
fn percent_encoding_is_undone_after_splitting() {
    let options = query("%24filter=a%20eq%20'x%26y%3Dz%2B'&c%26d=e%3Df&flag&=v").unwrap();
    assert_eq!(options.filter.unwrap().to_string(), "(a eq 'x&y=z+')");
    let custom = [("c&d", "e=f"), ("flag", ""), ("", "v")];
    let custom = custom.map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(options.custom, custom);

    let options =
        query("$filter=a+eq+'b+c'&$format=application/atom+xml&$skiptoken=a+b%20c").unwrap();
    assert_eq!(options.filter.unwrap().to_string(), "(a eq 'b c')");
    assert_eq!(options.format.as_deref(), Some("application/atom+xml"));
    assert_eq!(options.skiptoken.as_deref(), Some("a+b c"));

    for (input, expected) in [
        (
            "$filter=%",
            "expected two hexadecimal digits after '%' at position 8 of the query",
        ),
        (
            "$filter=a%2",
            "expected two hexadecimal digits after '%' at position 9 of the query",
        ),
        (
            "$filter=a%+1",
            "expected two hexadecimal digits after '%' at position 9 of the query",
        ),
        (
            "$top=1&a=%zz",
            "expected two hexadecimal digits after '%' at position 9 of the query",
        ),
        (
            "%FF=1",
            "the percent-encoded bytes are not UTF-8 at position 0 of the query",
        ),
        (
            "$filter='%41%C3%28'",
            "the percent-encoded bytes are not UTF-8 at position 12 of the query",
        ),
        (
            "$filter='%ED%A0%80'",
            "the percent-encoded bytes are not UTF-8 at position 9 of the query",
        ),
        (
            "$filter='%C0%AF'",
            "the percent-encoded bytes are not UTF-8 at position 9 of the query",
        ),
    ] {
        assert_eq!(
            query(input).expect_err(input).to_string(),
            expected,
            "{input}"
        );
    }
    for (input, expected) in [
        (
            "/Products('%",
            "expected two hexadecimal digits after '%' at position 11 of the path",
        ),
        (
            "/A/%FF",
            "the percent-encoded bytes are not UTF-8 at position 3 of the path",
        ),
    ] {
        let error = url::parse_path(input, &Limits::default()).expect_err(input);
        assert_eq!(error.to_string(), expected, "{input}");
    }
    // Encoded twice is not decoded twice.
    let options = query("$filter=a eq '%2541'").unwrap();
    assert_eq!(options.filter.unwrap().to_string(), "(a eq '%41')");
}
