//! Every value arrives exactly, whatever its type.

use highwater_core::Store as _;

use super::serving::{Served, limit};

/// Types, values as SQL writes them, and what a payload is to show.
const VALUES: &[(&str, &[(&str, &str)])] = &[
    (
        "boolean",
        &[("true", "true"), ("false", "false"), ("NULL", "-")],
    ),
    ("smallint", &[("-32768", "-32768"), ("32767", "32767")]),
    ("integer", &[("-2147483648", "-2147483648"), ("0", "0")]),
    (
        "bigint",
        &[
            ("-9223372036854775808", "-9223372036854775808"),
            ("9007199254740993", "9007199254740993"),
        ],
    ),
    (
        "numeric",
        &[
            ("0", "Decimal:0"),
            ("1.0", "Decimal:1.0"),
            ("1.00", "Decimal:1.00"),
            (
                "-0.000000000000000000000001",
                "Decimal:-0.000000000000000000000001",
            ),
            (
                "123456789012345678901234567890.123456789",
                "Decimal:123456789012345678901234567890.123456789",
            ),
            ("1e40", "Decimal:10000000000000000000000000000000000000000"),
            ("10000", "Decimal:10000"),
            ("'NaN'", "NaN"),
        ],
    ),
    (
        "numeric(10,2)",
        &[
            ("1.5", "Decimal:1.50"),
            ("-99999999.99", "Decimal:-99999999.99"),
        ],
    ),
    (
        "real",
        &[
            ("0.1", "0.10000000149011612"),
            ("'-Infinity'", "-inf"),
            ("'NaN'", "NaN"),
        ],
    ),
    (
        "double precision",
        &[
            ("0.1", "0.1"),
            ("'-0'", "-0.0"),
            ("1e300", "1e300"),
            ("'Infinity'", "inf"),
            ("'NaN'", "NaN"),
        ],
    ),
    (
        "text",
        &[("''", "''"), ("E'a\\n\\u00fc\\U0001F600'", "'a\nü😀'")],
    ),
    ("varchar(5)", &[("'ab '", "'ab '")]),
    ("name", &[("'n'", "'n'")]),
    (
        "uuid",
        &[(
            "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
            "Guid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        )],
    ),
    (
        "date",
        &[
            ("'2024-02-29'", "Date:2024-02-29"),
            ("'0001-01-01'", "Date:0001-01-01"),
            ("'0001-12-31 BC'", "Date:0000-12-31"),
            ("'4713-01-01 BC'", "Date:-4712-01-01"),
            ("'5874897-12-31'", "Date:5874897-12-31"),
            ("'infinity'", "'infinity'"),
        ],
    ),
    (
        "time",
        &[
            ("'23:59:59.999999'", "TimeOfDay:23:59:59.999999"),
            ("'00:00'", "TimeOfDay:00:00:00"),
            ("'24:00'", "'24:00:00'"),
        ],
    ),
    (
        "timestamp",
        &[
            (
                "'2024-02-29 12:30:00.5'",
                "DateTimeOffset:2024-02-29T12:30:00.5Z",
            ),
            ("'-infinity'", "'-infinity'"),
        ],
    ),
    (
        "timestamptz",
        &[
            (
                "'2024-02-29 12:30:00+02'",
                "DateTimeOffset:2024-02-29T10:30:00Z",
            ),
            (
                "'0001-01-01 00:00:00+00 BC'",
                "DateTimeOffset:0000-01-01T00:00:00Z",
            ),
        ],
    ),
    (
        "interval",
        &[
            ("'1 day 02:00:03.5'", "Duration:P1DT2H3.5S"),
            ("'0'", "Duration:PT0S"),
            ("'-25 hours'", "Duration:-PT25H"),
            ("'1 mon'", "'1 mon'"),
            ("'1 day -1 hour'", "'1 day -01:00:00'"),
        ],
    ),
    ("bytea", &[("'\\x00ff'", "x[00, ff]"), ("''", "x[]")]),
    (
        "jsonb",
        &[("'{\"b\": 1, \"a\": [null]}'", "'{\"a\": [null], \"b\": 1}'")],
    ),
    (
        "json",
        &[(
            "'{\"b\":1,  \"a\":\"\\u0000\"}'",
            "'{\"b\":1,  \"a\":\"\\u0000\"}'",
        )],
    ),
    ("integer[]", &[("'{1,NULL,3}'", "'{1,NULL,3}'")]),
    ("int4range", &[("'[1,5)'", "'[1,5)'")]),
    ("inet", &[("'10.0.0.1/8'", "'10.0.0.1/8'")]),
    ("timetz", &[("'12:00+02'", "'12:00:00+02'")]),
    ("money", &[("12.5", "'$12.50'")]),
    ("xml", &[("'<a/>'", "'<a/>'")]),
    ("bit varying(8)", &[("B'0101'", "'0101'")]),
    ("mood", &[("'sad'", "'sad'")]),
    ("positive", &[("7", "7")]),
    ("pair", &[("ROW(1,'x,y')", "'(1,\"x,y\")'")]),
];

#[tokio::test]
async fn values_of_every_type_are_exact() {
    let mut setup = String::from(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
         CREATE TYPE pair AS (a integer, b text);",
    );
    for (number, (ty, values)) in VALUES.iter().enumerate() {
        setup.push_str(&format!(
            "CREATE TABLE t{number} (id integer PRIMARY KEY, v {ty});"
        ));
        for (id, (sql, _)) in values.iter().enumerate() {
            setup.push_str(&format!("INSERT INTO t{number} VALUES ({id}, {sql});"));
        }
    }
    let served = Served::new(&setup).await;
    for (number, (ty, values)) in VALUES.iter().enumerate() {
        let query = served.query(&format!("t{number}")).await;
        let expected: Vec<String> = values
            .iter()
            .enumerate()
            .map(|(id, (_, shown))| format!("{id},{shown}"))
            .collect();
        let (found, hi) = served.read_all(&query, 2, || {}).await;
        assert_eq!(found, expected, "{ty}");
        let lo = hi.unwrap_or_else(|| panic!("{ty} is not tracked"));

        // The same values again are no change; each of them comes back from the history.
        served.sql(&format!(
            "UPDATE t{number} SET v = v; UPDATE t{number} SET v = NULL;"
        ));
        let mut query_of_past = query.clone();
        query_of_past.columns = vec![1];
        let (past, _, _) = served
            .read(&query_of_past, Some(lo.clone()), None, limit(100))
            .await
            .unwrap();
        assert_eq!(past.lines, expected, "{ty} as it was");
        served.sql(&format!("TRUNCATE t{number}; {}", inserts(number, values)));
        let (changed, _) = served.changes_all(&query, &lo, 3, || {}).await;
        assert_eq!(changed, [""; 0], "{ty}");
    }
    assert!(served.store.catalog().await.is_ok());
}

fn inserts(number: usize, values: &[(&str, &str)]) -> String {
    let rows: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(id, (sql, _))| format!("({id}, {sql})"))
        .collect();
    rows.iter()
        .map(|row| format!("INSERT INTO t{number} VALUES {row};"))
        .collect()
}

/// Keys of these types are found again behind a page, and in the history.
#[tokio::test]
async fn keys_of_every_type() {
    for (ty, keys) in [
        ("boolean", ["false", "true"]),
        ("bigint", ["-5", "9007199254740993"]),
        ("numeric", ["-1.50", "'NaN'"]),
        ("real", ["0.1", "'Infinity'"]),
        ("double precision", ["'-Infinity'", "1e-300"]),
        ("text", ["'A\"b\\'", "'é'"]),
        (
            "uuid",
            [
                "'00000000-0000-0000-0000-000000000001'",
                "'ffffffff-0000-0000-0000-000000000001'",
            ],
        ),
        ("date", ["'0002-01-01 BC'", "'infinity'"]),
        ("time", ["'00:00:00.000001'", "'24:00'"]),
        ("timestamp", ["'-infinity'", "'0044-03-15 12:00:00.5 BC'"]),
        ("timestamptz", ["'2024-02-29 12:30:00.25+02'", "'infinity'"]),
        ("interval", ["'1 day -1 hour'", "'1 mon'"]),
        ("bytea", ["''", "'\\x00ff'"]),
        ("jsonb", ["'[]'", "'{\"a\": 1}'"]),
        ("integer[]", ["'{}'", "'{1,2}'"]),
        ("mood", ["'sad'", "'glad'"]),
        ("positive", ["1", "2"]),
        ("inet", ["'10.0.0.1'", "'10.0.0.1/8'"]),
        ("char(3)", ["'a'", "'ab'"]),
    ] {
        let served = Served::new(&format!(
            "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN positive AS integer;
             CREATE TABLE t (k {ty} PRIMARY KEY, v integer);
             INSERT INTO t VALUES ({}, 1), ({}, 2);",
            keys[0], keys[1]
        ))
        .await;
        let query = served.query("t").await;
        let (first, hi) = served.read_all(&query, 1, || {}).await;
        assert_eq!(first.len(), 2, "{ty}: {first:?}");
        if ty == "real" {
            // As a key it is a decimal: what is between 0.1 and the nearest number of the type must not show.
            assert!(first[0].starts_with("0.1,"), "{first:?}");
        }
        let lo = hi.unwrap_or_else(|| panic!("a table with a key of the type {ty} is not tracked"));
        served.sql("UPDATE t SET v = v + 10");
        let (changed, hi) = served.changes_all(&query, &lo, 1, || {}).await;
        let mut expected: Vec<String> = first
            .iter()
            .map(|line| line.replace(",1", ",11").replace(",2", ",12"))
            .collect();
        if ty == "interval" || ty == "integer[]" {
            // The keys hold commas or digits of their own.
            assert_eq!(changed.len(), 2, "{ty}: {changed:?}");
        } else {
            expected.sort();
            assert_eq!(changed, expected, "{ty}");
        }
        let (as_of, _, _) = served
            .read(&query, Some(lo.clone()), None, limit(10))
            .await
            .unwrap();
        assert_eq!(as_of.lines, first, "{ty} as it was");
        served.sql("DELETE FROM t");
        let (gone, _) = served.changes_all(&query, &hi, 1, || {}).await;
        assert_eq!(gone.len(), 2, "{ty}: {gone:?}");
        assert!(
            gone.iter().all(|line| line.starts_with("-deleted ")),
            "{ty}: {gone:?}"
        );
    }
}
