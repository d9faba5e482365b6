//! What expressions mean and how they are refused.

use highwater_odata::url::ast::{Expr, PathRoot, PathSegment};
use highwater_odata::url::{self, Limits, ParseError, ParseErrorKind};
use highwater_odata::{PrimitiveType, Value};

fn filter(text: &str) -> Result<Expr, ParseError> {
    url::parse_expression("$filter", text, &Limits::default())
}

/// Input and the same with all parentheses.
#[track_caller]
fn check(input: &str, expected: &str) {
    let tree = filter(input).unwrap_or_else(|e| panic!("{input}: {e}"));
    assert_eq!(tree.to_string(), expected, "{input}");
    assert_eq!(filter(expected), Ok(tree), "{expected} means the same");
}

#[test]
fn operators_bind_as_in_url_conventions_5_1_1_16() {
    for (input, expected) in [
        ("a or b and c", "(a or (b and c))"),
        ("a and b or c", "((a and b) or c)"),
        ("a or b or c", "(a or b or c)"),
        ("a and b and c", "(a and b and c)"),
        ("(a and b) and c", "((a and b) and c)"),
        ("a and (b and c)", "(a and (b and c))"),
        ("a or b and c or d", "(a or (b and c) or d)"),
        ("a and b eq c", "(a and (b eq c))"),
        ("a eq b and c", "((a eq b) and c)"),
        ("a eq b lt c", "(a eq (b lt c))"),
        ("a lt b eq c", "((a lt b) eq c)"),
        ("a eq b ne c", "((a eq b) ne c)"),
        ("a gt b add c", "(a gt (b add c))"),
        ("a add b mul c", "(a add (b mul c))"),
        ("a mul b add c", "((a mul b) add c)"),
        ("a sub b sub c", "((a sub b) sub c)"),
        ("a div b divby c mod d", "(((a div b) divby c) mod d)"),
        ("not a eq b", "((not a) eq b)"),
        ("not a and b", "((not a) and b)"),
        ("not a in (1,2)", "(not (a in (1,2)))"),
        ("not a has Ns.Color'Red'", "(not (a has Ns.Color'Red'))"),
        ("not contains(a,'x') and b", "((not contains(a,'x')) and b)"),
        ("not not a", "(not (not a))"),
        ("not(a)", "(not a)"),
        ("not (a) eq b", "((not a) eq b)"),
        ("-a mul b", "((-a) mul b)"),
        ("-a has b", "(-(a has b))"),
        ("- a", "(-a)"),
        ("-(-a)", "(-(-a))"),
        ("--a", "(-(-a))"),
        ("a mul -b", "(a mul (-b))"),
        ("a mul -b add c", "((a mul (-b)) add c)"),
        ("a eq not b", "(a eq (not b))"),
        ("a and not b or c", "((a and (not b)) or c)"),
        ("-1", "-1"),
        ("- 1", "(-(1))"),
        ("-(1)", "(-(1))"),
        ("--1", "(-(-1))"),
        ("a sub -1", "(a sub -1)"),
        ("a in (1,2) eq true", "((a in (1,2)) eq true)"),
        ("a in (1) in (true)", "((a in (1)) in (true))"),
        ("a in ((1),(2 add 3))", "(a in (1,(2 add 3)))"),
        ("a  eq\tb", "(a eq b)"),
        ("( ( a ) )", "a"),
        (
            "Name Eq 'x' OR Price LT 2",
            "((Name eq 'x') or (Price lt 2))",
        ),
        ("(a)and(b)", "(a and b)"),
        // Words are operators only where an operator can stand.
        ("and eq or", "(and eq or)"),
        ("not eq 5", "(not eq 5)"),
        ("in/eq in in", "(in/eq in in)"),
        ("has has has", "(has has has)"),
        ("android and orange", "(android and orange)"),
        ("notice", "notice"),
        ("-INFO", "(-INFO)"),
    ] {
        check(input, expected);
    }
}

#[test]
fn operands_are_recognised() {
    for (input, expected) in [
        ("TRUE", "true"),
        ("null", "null"),
        ("Null", "Null"),
        ("+5", "5"),
        ("9223372036854775808", "9223372036854775808"),
        ("0.10", "0.10"),
        ("1e3", "1e3"),
        ("1.5E-2", "1.5e-2"),
        ("-INF", "-INF"),
        ("'O''Neil'", "'O''Neil'"),
        ("''", "''"),
        ("duration'P1DT2H'", "duration'P1DT2H'"),
        ("Duration'p1d'", "duration'P1D'"),
        ("binary'Zg=='", "binary'Zg'"),
        (
            "01234567-89ab-cdef-0123-456789abcdef",
            "01234567-89ab-cdef-0123-456789abcdef",
        ),
        (
            "a1234567-89ab-cdef-0123-456789abcdef",
            "a1234567-89ab-cdef-0123-456789abcdef",
        ),
        ("2012-02-29", "2012-02-29"),
        ("-0001-01-01", "-0001-01-01"),
        ("12:30", "12:30"),
        ("12:30:15.250", "12:30:15.250"),
        ("2012-02-29t23:59z", "2012-02-29T23:59Z"),
        ("2012-02-29T23:59:00.5+01:00", "2012-02-29T23:59:00.5+01:00"),
        // A plus sign that was sent as it is arrives as a space.
        ("2012-02-29T23:59:00 01:00", "2012-02-29T23:59:00+01:00"),
        ("Ns.Color'Red,Blue'", "Ns.Color'Red,Blue'"),
        (
            "geography'SRID=0;Point(1 2)'",
            "geography'SRID=0;Point(1 2)'",
        ),
        ("ToLower( Name )", "tolower(Name)"),
        ("now( )", "now()"),
        ("geo.distance(a,b)", "geo.distance(a,b)"),
        ("substring(a,1)", "substring(a,1)"),
        ("cast(Edm.Int32)", "cast(Edm.Int32)"),
        (
            "cast( a , Collection(Edm.String) )",
            "cast(a,Collection(Edm.String))",
        ),
        ("isof(cast(a,Ns.T),Ns.U)", "isof(cast(a,Ns.T),Ns.U)"),
        ("case(a gt 0:1,true:-1)", "case((a gt 0) : 1,true : -1)"),
        ("a/b/c", "a/b/c"),
        ("a/Ns.T/b", "a/Ns.T/b"),
        ("$it/a", "$it/a"),
        ("$this", "$this"),
        ("$it/null", "$it/null"),
        ("$root/Customers('x')/Name", "$root/Customers('x')/Name"),
        ("@p", "@p"),
        ("@p/Price", "@p/Price"),
        (
            "@Core.Messages/any(m:m/severity eq 'error')",
            "@Core.Messages/any(m:(m/severity eq 'error'))",
        ),
        ("Price/@Measures.Unit#q", "Price/@Measures.Unit#q"),
        ("Items(1)", "Items(1)"),
        ("Items(A=1,B='x')/Name", "Items(A=1,B='x')/Name"),
        ("Ns.Fn(a=1)(2)", "Ns.Fn(a=1)(2)"),
        ("Items/$count", "Items/$count"),
        (
            "Items/$count($filter=a eq 1;search=x y)",
            "Items/$count($filter=(a eq 1);$search=(x AND y))",
        ),
        (
            "Items/$filter(a eq 1)(2)/$count",
            "Items/$filter((a eq 1))(2)/$count",
        ),
        ("Items/any()", "Items/any()"),
        ("Items/Any( x : x/a eq 1 )", "Items/any(x:(x/a eq 1))"),
        (
            "Items/all(x:x/Parts/any(y:y/b gt x/b))",
            "Items/all(x:x/Parts/any(y:(y/b gt x/b)))",
        ),
        ("any eq 1", "(any eq 1)"),
        (
            "a in [1,\"two\\u0041\",'three']",
            "(a in (1,'twoA','three'))",
        ),
        ("a in @p", "(a in @p)"),
        ("a in ()", "(a in ())"),
        ("[[],{},[1, 2 add 3]]", "[[],{},[1,(2 add 3)]]"),
        (
            "{\"a\":[1,'}'],\"b\":{\"c\":\"\\\"}\"}}",
            "{\"a\":[1,'}'],\"b\":{\"c\":\"\\\"}\"}}",
        ),
        ("Größe eq 1", "(Größe eq 1)"),
    ] {
        check(input, expected);
    }
}

#[test]
fn numbers_keep_their_digits() {
    for (input, expected) in [
        ("9223372036854775807", Value::Integer(i64::MAX)),
        ("-9223372036854775808", Value::Integer(i64::MIN)),
        ("9223372036854775808", decimal("9223372036854775808")),
        ("-0.30", decimal("-0.30")),
        ("007.50", decimal("7.50")),
        ("3e0", Value::Double(3.0)),
        ("INF", Value::Double(f64::INFINITY)),
    ] {
        assert_eq!(filter(input).unwrap(), Expr::Literal(expected), "{input}");
    }
}

fn decimal(text: &str) -> Value {
    Value::Lexical(PrimitiveType::Decimal, text.to_owned())
}

#[test]
fn errors_say_what_to_do() {
    for (input, expected) in [
        (
            "",
            "expected an expression, found the end at position 0 of $filter",
        ),
        (
            "concat(a,b",
            "expected ')' after the argument list, found the end at position 10 of $filter",
        ),
        (
            "concat(a,b eq 'x'",
            "expected ')' after the argument list, found the end at position 17 of $filter",
        ),
        (
            "(a eq 1",
            "expected ')' or an operator inside the parentheses, found the end at position 7 of $filter",
        ),
        (
            "a eq",
            "expected an expression, found the end at position 4 of $filter",
        ),
        (
            "a eq eq eq",
            "expected an expression, found the end at position 10 of $filter",
        ),
        (
            "a = 1",
            "expected an operator or the end, found '= 1' at position 2 of $filter",
        ),
        (
            "a eq 1)",
            "expected an operator or the end, found ')' at position 6 of $filter",
        ),
        (
            "a eq 'x",
            "the text in single quotes never ends: a quote inside is written twice at position 5 of $filter",
        ),
        (
            "a eq \"x\"",
            "expected an expression: text is written in single quotes at position 5 of $filter",
        ),
        (
            "a eq 5x",
            "expected a number, date, time or guid, found '5x' at position 5 of $filter",
        ),
        (
            "a eq 2012-02-30",
            "'2012-02-30' is not a valid Edm.Date: that month has days 1 to 29 at position 5 of $filter",
        ),
        (
            "a eq 1e999",
            "'1e999' is not a valid Edm.Double: the number is too large for the type at position 5 of $filter",
        ),
        (
            "a eq guid'x'",
            "'guid' is no literal prefix of OData 4: dates, times and guids are written bare, text in quotes alone at position 5 of $filter",
        ),
        (
            "length(a,b)",
            "'length' takes 1 argument, not 2 at position 0 of $filter",
        ),
        (
            "substring(a)",
            "'substring' takes 2 or 3 arguments, not 1 at position 0 of $filter",
        ),
        (
            "now(1)",
            "'now' takes no arguments, not 1 at position 0 of $filter",
        ),
        (
            "length(s=a)",
            "the arguments of 'length' have no names at position 0 of $filter",
        ),
        (
            "any(x:x)",
            "'any' needs a collection in front of it, as in Orders/any(o:...) at position 3 of $filter",
        ),
        (
            "a/any(x)",
            "expected ':' after the lambda variable, found ')' at position 7 of $filter",
        ),
        (
            "a/",
            "expected a name after '/', found the end at position 2 of $filter",
        ),
        (
            "a/$value",
            "expected a name, '$count' or '$filter(...)' after '/', found '$value' at position 2 of $filter",
        ),
        (
            "$root",
            "expected '/' and an entity set after '$root', found the end at position 5 of $filter",
        ),
        (
            "$filter",
            "expected an expression, found '$filter' at position 0 of $filter",
        ),
        (
            "Ns.T",
            "expected '/' or '(' after the qualified name 'Ns.T', found the end at position 4 of $filter",
        ),
        (
            "a in 5",
            "expected a list such as (1,2,3), a collection or an alias after 'in' at position 5 of $filter",
        ),
        (
            "a in (1,)",
            "expected an expression, found ')' at position 8 of $filter",
        ),
        (
            "case(a)",
            "expected ':' between condition and result in 'case', found ')' at position 6 of $filter",
        ),
        (
            "cast(a,5)",
            "expected a type name such as Edm.String, found '5)' at position 7 of $filter",
        ),
        (
            "{\"a\":[}",
            "unbalanced bracket in the JSON object at position 6 of $filter",
        ),
        (
            "[\"\\q\"]",
            "expected a JSON string with valid escapes at position 1 of $filter",
        ),
    ] {
        let error = filter(input).expect_err(input);
        assert_eq!(error.to_string(), expected, "{input}");
        assert_eq!(error.kind(), ParseErrorKind::Syntax);
    }
}

#[test]
fn an_alias_in_a_path_keeps_its_name() {
    let Expr::Path(path) = filter("@p/a").unwrap() else {
        panic!("an alias starts a path");
    };
    assert_eq!(path.root, PathRoot::Alias("p".to_owned()));
    assert!(matches!(&path.segments[..], [PathSegment::Name(name)] if name.name == "a"));
}
