//! What `$filter` means: OData's semantics on values of every kind, odd ones included.

use highwater_core::Expr;
use highwater_core::query::{Arithmetic, Comparison, Function, Logical};
use highwater_odata::{PrimitiveType as T, Value};

use crate::serving::{Served, cmp, int, lex, lit, text};

/// Filters over one table with a value of every kind in a column.
#[test]
fn filters() {
    use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
    let served = Served::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n NUMERIC, s TEXT, c TEXT COLLATE NOCASE, b BOOLEAN, w DATETIME, d DATE,
                         g UNIQUEIDENTIFIER, r REAL);
         INSERT INTO t VALUES
           (1, 5,    'Émile',  'Abc', 1,    '2024-05-01 10:00:00',       '2024-05-01', '0A000000-0000-0000-0000-00000000000F', 2.5),
           (2, 5.5,  'émile',  'abc', 0,    '2024-05-01T12:00:00+02:00', '2024-05-02', '0a000000-0000-0000-0000-00000000000f', -2.5),
           (3, NULL, NULL,     NULL,  NULL, NULL,                        NULL,         NULL,                                   NULL),
           (4, 'x',  '100%',   'abd', 2,    'soon',                      'soon',       'soon',                                 0.5),
           (5, -3,   'a_b',    'ABC', 1,    1714557600,                  '2023-12-31', '1a000000-0000-0000-0000-00000000000f', 1e300);",
    );
    let c = |name: &str| served.column("t", name);
    let not = |e: Expr| Expr::Not(Box::new(e));
    let call = |function, arguments, ty| Expr::Call(function, arguments, ty);
    let math =
        |l: Expr, op: Arithmetic, r: Expr, ty| Expr::Arithmetic(op, Box::new(l), Box::new(r), ty);
    let check = |title: &str, filter: Expr, expected: &[i64]| {
        let mut query = served.query("t");
        query.columns = vec![];
        query.filter = Some(filter);
        let (found, _) = served.read_all(&query, 2, || {});
        let found: Vec<i64> = found
            .iter()
            .map(|line| line.split(',').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(found, expected, "{title}");
    };
    check("n gt 4", cmp(c("n"), Gt, int(4)), &[1, 2]);
    check("not (n gt 4)", not(cmp(c("n"), Gt, int(4))), &[3, 4, 5]);
    check("n le 5", cmp(c("n"), Le, int(5)), &[1, 5]);
    check("n eq 5.0", cmp(c("n"), Eq, lex(T::Decimal, "5.0")), &[1]);
    check("n ne 5", cmp(c("n"), Ne, int(5)), &[2, 3, 4, 5]);
    check("not (n eq 5)", not(cmp(c("n"), Eq, int(5))), &[2, 3, 4, 5]);
    check("n eq null", cmp(c("n"), Eq, lit(Value::Null)), &[3]);
    check("n lt null", cmp(c("n"), Lt, lit(Value::Null)), &[]);
    check("c eq 'abc'", cmp(c("c"), Eq, text("abc")), &[2]);
    check("c ne 'abc'", cmp(c("c"), Ne, text("abc")), &[1, 3, 4, 5]);
    check("c gt 'Abc'", cmp(c("c"), Gt, text("Abc")), &[2, 4]);
    check(
        "c in",
        Expr::In(Box::new(c("c")), vec![text("ABC"), text("abd")]),
        &[4, 5],
    );
    check(
        "not (c in with null)",
        not(Expr::In(
            Box::new(c("c")),
            vec![text("ABC"), lit(Value::Null)],
        )),
        &[1, 2, 4],
    );
    check("b", c("b"), &[1, 5]);
    check("not b", not(c("b")), &[2, 4]);
    check(
        "b eq false",
        cmp(c("b"), Eq, lit(Value::Boolean(false))),
        &[2],
    );
    check(
        "b ne true",
        cmp(c("b"), Ne, lit(Value::Boolean(true))),
        &[2, 3, 4],
    );
    let ten = || lex(T::DateTimeOffset, "2024-05-01T11:00:00+01:00");
    check("w eq", cmp(c("w"), Eq, ten()), &[1, 2]);
    check("w ne", cmp(c("w"), Ne, ten()), &[3, 4, 5]);
    check("w ge", cmp(c("w"), Ge, ten()), &[1, 2]);
    check("w gt", cmp(c("w"), Gt, ten()), &[]);
    check("w in", Expr::In(Box::new(c("w")), vec![ten()]), &[1, 2]);
    check("d lt", cmp(c("d"), Lt, lex(T::Date, "2024-05-02")), &[1, 5]);
    let guid = || lex(T::Guid, "0A000000-0000-0000-0000-00000000000f");
    check("g eq", cmp(c("g"), Eq, guid()), &[1, 2]);
    check("g ne", cmp(c("g"), Ne, guid()), &[3, 4, 5]);
    let lower = |e| call(Function::ToLower, vec![e], T::String);
    check("tolower", cmp(lower(c("s")), Eq, text("émile")), &[1, 2]);
    let two = |f, a, b| call(f, vec![a, b], T::Boolean);
    check(
        "contains '%'",
        two(Function::Contains, c("s"), text("%")),
        &[4],
    );
    check(
        "contains '_'",
        two(Function::Contains, c("s"), text("_")),
        &[5],
    );
    check(
        "startswith",
        two(Function::StartsWith, c("s"), text("É")),
        &[1],
    );
    check(
        "endswith",
        two(Function::EndsWith, c("s"), text("mile")),
        &[1, 2],
    );
    check(
        "search",
        two(Function::SearchMatches, c("s"), text("ÉMI")),
        &[1, 2],
    );
    check(
        "matches",
        two(Function::MatchesPattern, c("s"), text("^.m.*e$")),
        &[1, 2],
    );
    let number = |f, a: Vec<Expr>| call(f, a, T::Int32);
    check(
        "length",
        cmp(number(Function::Length, vec![c("s")]), Eq, int(5)),
        &[1, 2],
    );
    check(
        "indexof",
        cmp(
            number(Function::IndexOf, vec![c("s"), text("mile")]),
            Eq,
            int(1),
        ),
        &[1, 2],
    );
    check(
        "substring",
        cmp(
            call(Function::Substring, vec![c("s"), int(1), int(2)], T::String),
            Eq,
            text("mi"),
        ),
        &[1, 2],
    );
    check(
        "substring from the end",
        cmp(
            call(
                Function::Substring,
                vec![c("s"), int(-4), int(2)],
                T::String,
            ),
            Eq,
            text("mi"),
        ),
        &[1, 2],
    );
    check(
        "substring from before the beginning",
        cmp(
            call(Function::Substring, vec![c("s"), int(-99)], T::String),
            Eq,
            c("s"),
        ),
        &[1, 2, 3, 4, 5],
    );
    check(
        "concat, trim",
        cmp(
            call(
                Function::Trim,
                vec![call(Function::Concat, vec![text(" "), c("c")], T::String)],
                T::String,
            ),
            Eq,
            text("Abc"),
        ),
        &[1],
    );
    check(
        "year",
        cmp(number(Function::Year, vec![c("d")]), Eq, int(2024)),
        &[1, 2],
    );
    check(
        "hour",
        cmp(number(Function::Hour, vec![c("w")]), Eq, int(12)),
        &[2],
    );
    check(
        "date(w)",
        cmp(
            call(Function::Date, vec![c("w")], T::Date),
            Eq,
            lex(T::Date, "2024-05-01"),
        ),
        &[1, 2],
    );
    check(
        "totaloffsetminutes",
        cmp(
            number(Function::TotalOffsetMinutes, vec![c("w")]),
            Eq,
            int(120),
        ),
        &[2],
    );
    check(
        "w add PT1H gt",
        cmp(
            math(
                c("w"),
                Arithmetic::Add,
                lex(T::Duration, "PT1H"),
                T::DateTimeOffset,
            ),
            Eq,
            lex(T::DateTimeOffset, "2024-05-01T11:00:00Z"),
        ),
        &[1, 2],
    );
    check(
        "d sub d",
        cmp(
            math(
                c("d"),
                Arithmetic::Sub,
                lex(T::Date, "2024-05-01"),
                T::Duration,
            ),
            Ge,
            lex(T::Duration, "P1D"),
        ),
        &[2],
    );
    let real = |f| call(f, vec![c("r")], T::Double);
    check(
        "round half away",
        cmp(real(Function::Round), Eq, int(-3)),
        &[2],
    );
    check("round 0.5", cmp(real(Function::Round), Eq, int(1)), &[4]);
    check("floor", cmp(real(Function::Floor), Eq, int(-3)), &[2]);
    check("ceiling", cmp(real(Function::Ceiling), Eq, int(3)), &[1]);
    check(
        "div of whole numbers",
        cmp(math(c("id"), Arithmetic::Div, int(2), T::Int64), Eq, int(2)),
        &[4, 5],
    );
    check(
        "divby",
        cmp(
            math(c("id"), Arithmetic::DivBy, int(2), T::Decimal),
            Eq,
            lex(T::Decimal, "2.5"),
        ),
        &[5],
    );
    check(
        "mod",
        cmp(math(c("id"), Arithmetic::Mod, int(2), T::Int64), Eq, int(1)),
        &[1, 3, 5],
    );
    check(
        "negate",
        cmp(Expr::Negate(Box::new(c("n"))), Eq, int(3)),
        &[5],
    );
    check(
        "cast to string",
        cmp(
            call(Function::Cast, vec![c("r")], T::String),
            Eq,
            text("2.5"),
        ),
        &[1],
    );
    check(
        "case",
        cmp(
            call(
                Function::Case,
                vec![c("b"), int(1), lit(Value::Boolean(true)), int(2)],
                T::Int64,
            ),
            Eq,
            int(1),
        ),
        &[1, 5],
    );
    let chain = (0..3000).fold(cmp(c("id"), Eq, int(5)), |chain, n| {
        let next = cmp(c("id"), Eq, int(100 + n));
        Expr::Logical(Logical::Or, Box::new(chain), Box::new(next))
    });
    check("a long chain", chain, &[5]);
    let list = (0..10_000).map(|n| int(3 * n)).collect();
    check("a long list", Expr::In(Box::new(c("id")), list), &[3]);
}
