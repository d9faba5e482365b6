//! Every value is stored exactly, or refused with a sentence that names its column.

use highwater_odata::{PrimitiveType as T, Value};

use super::serving::{Served, tell};
use super::step::{delete, insert, int, lex, text, update, upsert};

const SETUP: &str = r#"
    CREATE TYPE mood AS ENUM ('sad', 'so so');
    CREATE TYPE point2 AS (x int, y text);
    CREATE DOMAIN small_amount AS numeric(5,2) CHECK (VALUE >= 0);
    CREATE DOMAIN code AS varchar(3) NOT NULL DEFAULT 'abc';
    CREATE TABLE "Odd ""Table" (
        id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        b boolean, i2 smallint, i4 integer, i8 bigint, n numeric, n2 numeric(10,2), f4 real, f8 double precision,
        t text, v varchar(3), c char(3), name name, u uuid, d date, ti time, ts timestamp, tz timestamptz, tz0 timestamptz(0), iv interval,
        by bytea, j json, jb jsonb, x xml, m mood, p point2, a int[], ta text[], r int4range, ip inet, bits bit(3), money money, ttz timetz,
        amount small_amount, code code, "Mixed ""Case" text);
"#;
const TABLE: &str = "Odd \"Table";

#[tokio::test]
async fn values_are_stored_exactly_or_refused() {
    let served = Served::new(SETUP).await;
    let long = format!("0.{}7", "1234567890".repeat(20));
    let wide = format!("{}.5", "9".repeat(300));
    let odd = "\u{1F600} \\ ' \" $1 %s \u{1} \u{FFFF}";
    for (column, value, expected) in [
        ("b", Value::Boolean(true), "true"),
        ("i2", int(-32_768), "-32768"),
        ("i4", int(2_147_483_647), "2147483647"),
        ("i8", int(i64::MIN), "-9223372036854775808"),
        ("n", lex(T::Decimal, &long), long.as_str()),
        ("n", lex(T::Decimal, &wide), &wide),
        ("n", lex(T::Decimal, "1.50"), "1.50"),
        ("n", lex(T::Decimal, "1e3"), "1000"),
        ("n", int(5), "5"),
        ("n", Value::Double(f64::NAN), "NaN"),
        ("n2", lex(T::Decimal, "19.9"), "19.90"),
        ("f4", Value::Double(f64::from(0.1_f32)), "0.1"),
        ("f4", Value::Double(f64::INFINITY), "Infinity"),
        ("f8", Value::Double(0.1), "0.1"),
        ("f8", Value::Double(-0.0), "-0"),
        ("f8", Value::Double(5e-324), "5e-324"),
        ("f8", Value::Double(f64::NAN), "NaN"),
        ("t", text(odd), odd),
        ("t", text(""), ""),
        ("v", text("äöü"), "äöü"),
        ("c", text("ab"), "ab"),
        (
            "u",
            lex(T::Guid, "0A000000-0000-0000-0000-00000000000F"),
            "0a000000-0000-0000-0000-00000000000f",
        ),
        ("d", lex(T::Date, "2024-02-29"), "2024-02-29"),
        ("d", lex(T::Date, "-0001-12-31"), "0002-12-31 BC"),
        ("d", lex(T::Date, "12024-01-01"), "12024-01-01"),
        ("d", text("infinity"), "infinity"),
        (
            "ti",
            lex(T::TimeOfDay, "23:59:59.999999"),
            "23:59:59.999999",
        ),
        ("ti", lex(T::TimeOfDay, "10:00"), "10:00:00"),
        ("ti", text("24:00:00"), "24:00:00"),
        (
            "ts",
            lex(T::DateTimeOffset, "2024-05-01T10:00:00.5+02:00"),
            "2024-05-01 08:00:00.5",
        ),
        (
            "tz",
            lex(T::DateTimeOffset, "2024-05-01T10:00:00.000001+02:00"),
            "2024-05-01 08:00:00.000001+00",
        ),
        (
            "tz",
            lex(T::DateTimeOffset, "0000-05-01T10:00Z"),
            "0001-05-01 10:00:00+00 BC",
        ),
        ("tz", text("-infinity"), "-infinity"),
        (
            "tz0",
            lex(T::DateTimeOffset, "2024-05-01T10:00:00.000Z"),
            "2024-05-01 10:00:00+00",
        ),
        ("iv", lex(T::Duration, "P1DT2H3.5S"), "1 day 02:00:03.5"),
        ("iv", lex(T::Duration, "-P1DT26H"), "-1 days -26:00:00"),
        ("iv", text("1 mon -1 days"), "1 mon -1 days"),
        ("by", Value::Binary(vec![0, 1, 255]), "\\x0001ff"),
        ("j", text("{\"a\" :  1}"), "{\"a\" :  1}"),
        ("jb", text("{\"a\" :  1.0}"), "{\"a\": 1.0}"),
        ("x", text("<a/>text"), "<a/>text"),
        ("m", text("so so"), "so so"),
        ("p", text("(1,\"a,b\")"), "(1,\"a,b\")"),
        ("a", text("{1,NULL,3}"), "{1,NULL,3}"),
        ("ta", text("{\"a b\",\"NULL\"}"), "{\"a b\",\"NULL\"}"),
        ("r", text("[1,5)"), "[1,5)"),
        ("ip", text("10.0.0.1/8"), "10.0.0.1/8"),
        ("bits", text("101"), "101"),
        ("ttz", text("10:00:00+02"), "10:00:00+02"),
        ("amount", lex(T::Decimal, "1.25"), "1.25"),
        ("code", text("xyz"), "xyz"),
        ("Mixed \"Case", text("x"), "x"),
    ] {
        let done = served.done(insert(TABLE).set(column, value.clone())).await;
        let id = done
            .strip_prefix("Created ")
            .unwrap_or_else(|| panic!("{column} {value:?}: {done}"));
        let quoted = column.replace('"', "\"\"");
        let stored = served.database.sql(&format!(
            "SET timezone = 'UTC'; SELECT \"{quoted}\"::text FROM \"Odd \"\"Table\" WHERE id = {id}"
        ));
        assert_eq!(
            stored.unwrap()[0][0].as_deref(),
            Some(expected),
            "{column} {value:?}"
        );
        // Null, where it is allowed.
        let null = served
            .done(update(TABLE, &[int(id.parse().unwrap())]).set(column, Value::Null))
            .await;
        let is_refused = column == "code";
        assert_eq!(null.starts_with("NotNull"), is_refused, "{column}: {null}");
    }
    let before = served.content("\"Odd \"\"Table\"");
    for (column, value, expected) in [
        (
            "b",
            int(1),
            "The value of b does not have the type of the column, boolean.",
        ),
        (
            "i2",
            int(32_768),
            "The value of i2 cannot be stored: the column holds -32768 to 32767.",
        ),
        (
            "i4",
            text("1"),
            "The value of i4 does not have the type of the column, integer.",
        ),
        (
            "n2",
            lex(T::Decimal, "0.001"),
            "The value of n2 cannot be stored exactly: the column keeps 2 digits after the point.",
        ),
        (
            "n2",
            lex(T::Decimal, "123456789"),
            "The value of n2 is too large: the column keeps 8 digits before the point.",
        ),
        (
            "amount",
            lex(T::Decimal, "0.001"),
            "The value of amount cannot be stored exactly: the column keeps 2 digits after the point.",
        ),
        (
            "n",
            lex(T::Decimal, "1e999999"),
            "The value of n cannot be stored: ",
        ),
        (
            "f4",
            Value::Double(0.1),
            "The value of f4 cannot be stored exactly: the column is of the type real.",
        ),
        (
            "t",
            text("a\0b"),
            "The value of t cannot be stored: PostgreSQL has no character U+0000.",
        ),
        (
            "v",
            text("abcd"),
            "The value of v is too long: the column holds 3 characters.",
        ),
        (
            "v",
            text("abc "),
            "The value of v is too long: the column holds 3 characters.",
        ),
        (
            "code",
            text("abcd"),
            "The value of code is too long: the column holds 3 characters.",
        ),
        (
            "d",
            text("tomorrow"),
            "The value of d does not have the type of the column, date.",
        ),
        (
            "d",
            lex(T::Date, "9999999-01-01"),
            "The value of d cannot be stored: ",
        ),
        (
            "tz0",
            lex(T::DateTimeOffset, "2024-05-01T10:00:00.5Z"),
            "The value of tz0 cannot be stored exactly: the column keeps 0 digits of a second.",
        ),
        (
            "iv",
            lex(T::Duration, "P99999999999D"),
            "The value of iv cannot be stored: ",
        ),
        ("iv", text("soon"), "The value of iv cannot be stored: "),
        (
            "j",
            text("{"),
            "The value of j cannot be stored: invalid input syntax for type json (The input string ended unexpectedly).",
        ),
        (
            "jb",
            text("{\"a\":\"\\u0000\"}"),
            "The value of jb cannot be stored: ",
        ),
        (
            "m",
            text("happy"),
            "The value of m cannot be stored: invalid input value for enum mood: \"happy\".",
        ),
        ("a", text("{1,x}"), "The value of a cannot be stored: "),
        (
            "bits",
            text("1011"),
            "cannot be stored: bit string length 4 does not match type bit(3).",
        ),
        (
            "u",
            text("x"),
            "The value of u does not have the type of the column, uuid.",
        ),
    ] {
        // A second value, so that it is not the only one that can be wrong.
        let step = insert(TABLE).set("i8", int(1)).set(column, value.clone());
        let found = served.done(step).await;
        // PostgreSQL 13 does not say which parameter it could not read.
        let found = found.replace(
            "(): A value cannot",
            &format!("({column}): The value of {column} cannot"),
        );
        assert!(
            found.starts_with("Type Odd \"Table(") && found.contains(expected),
            "{column} {value:?}: {found}"
        );
    }
    for (column, value, expected) in [
        (
            "amount",
            lex(T::Decimal, "-1"),
            "Check Odd \"Table(amount): A check constraint does not allow this: small_amount_check.",
        ),
        (
            "code",
            Value::Null,
            "NotNull Odd \"Table(code): domain code does not allow null values",
        ),
    ] {
        assert_eq!(
            served.done(insert(TABLE).set(column, value)).await,
            expected
        );
    }
    assert_eq!(
        served.content("\"Odd \"\"Table\""),
        before,
        "nothing was changed"
    );
}

/// What a type was declared with holds under domains and in arrays too, where PostgreSQL rounds and cuts off as silently.
#[tokio::test]
async fn what_does_not_fit_is_refused_under_domains_and_in_arrays() {
    let served = Served::new(
        "CREATE DOMAIN short AS varchar(3);
         CREATE DOMAIN shorter AS short;
         CREATE DOMAIN \"odd(9)\" AS varchar(3);
         CREATE DOMAIN stamp AS timestamptz(0);
         CREATE DOMAIN clock AS time(0);
         CREATE DOMAIN days AS interval day;
         -- Scales below zero came with version 15.
         DO $$ BEGIN EXECUTE format('CREATE DOMAIN hundreds AS numeric(5,%s)',
             CASE WHEN current_setting('server_version_num')::int < 150000 THEN 0 ELSE -2 END); END $$;
         CREATE DOMAIN cents AS numeric(5,2);
         CREATE DOMAIN prices AS numeric(5,2)[];
         CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, short short, shorter shorter, odd \"odd(9)\", stamp stamp,
             clock clock, days days, plain_days interval day, hundreds hundreds, numbers numeric(5,2)[], prices prices, cents cents[],
             names varchar(3)[], blanks char(3)[], stamps timestamp(0)[], zoned timetz(0), name name, letter \"char\");
         CREATE TABLE k (id shorter PRIMARY KEY, a numeric(5,2)[]);",
    )
    .await;
    let version = served.rows("SELECT current_setting('server_version_num')::int < 150000 AS old");
    let half = if version == ["(t)"] { "150.5" } else { "150" };
    for (column, kept, lost) in [
        ("short", text("abc"), text("abc  ")),
        ("shorter", text("ab "), text("abc ")),
        ("odd", text("abc"), text("abc ")),
        (
            "stamp",
            lex(T::DateTimeOffset, "2024-05-01T10:00:00.0Z"),
            lex(T::DateTimeOffset, "2024-05-01T10:00:00.7Z"),
        ),
        (
            "clock",
            lex(T::TimeOfDay, "10:00:00"),
            lex(T::TimeOfDay, "10:00:00.5"),
        ),
        ("days", lex(T::Duration, "P1D"), lex(T::Duration, "P1DT2H")),
        ("plain_days", text("1 mon 2 days"), text("1 mon 02:00:00")),
        ("days", text("1 mon"), text("1 mon 00:00:00.1234567")),
        ("hundreds", lex(T::Decimal, "200"), lex(T::Decimal, half)),
        ("numbers", text("{1.5,NULL,NaN}"), text("{1.005}")),
        ("prices", text("{{1.00},{2}}"), text("{1.5,1.005}")),
        ("cents", text("{1.50}"), text("{1.005}")),
        ("names", text("{abc,\"ab \"}"), text("{\"abc \"}")),
        ("blanks", text("{a,\"abc \"}"), text("{abcd}")),
        (
            "stamps",
            text("{2024-05-01 10:00:00}"),
            text("{2024-05-01 10:00:00.7}"),
        ),
        ("zoned", text("10:00:00+02"), text("10:00:00.7+02")),
        ("name", text(&"n".repeat(63)), text(&"n".repeat(64))),
        ("letter", text("a"), text("ab")),
    ] {
        let done = served.done(insert("t").set(column, kept.clone())).await;
        let id = done.strip_prefix("Created ").map(|id| id.parse().unwrap());
        let id: i64 = id.unwrap_or_else(|| panic!("{column} {kept:?}: {done}"));
        let before = served.content("t");
        for step in [
            insert("t").set(column, lost.clone()),
            update("t", &[int(id)]).set(column, lost.clone()),
        ] {
            let found = served.done(step).await;
            assert!(
                found.starts_with(&format!("Type t({column}): The value of {column} ")),
                "{column} {lost:?}: {found}"
            );
        }
        assert_eq!(served.content("t"), before, "{column} {lost:?}");
    }
    // A key in a URL that no row can have creates none and finds none.
    let wrong = [text("abc ")];
    let refused = served.done(upsert("k", &wrong)).await;
    assert!(refused.starts_with("Type k(id): "), "{refused}");
    let array = served
        .done(upsert("k", &[text("abc")]).set("a", text("{1.005}")))
        .await;
    assert_eq!(
        array,
        "Type k(a): The value of a cannot be stored exactly: the column is of the type numeric(5,2)[]."
    );
    served.sql("INSERT INTO k VALUES ('abc')");
    assert_eq!(served.done(delete("k", &wrong)).await, "NotFound");
    assert_eq!(served.content("k"), ["(abc,)"]);
    // What one step wrote is not rounded to refer to another row in the next.
    served.sql(
        "CREATE TABLE p (k numeric(5,2) PRIMARY KEY); INSERT INTO p VALUES (1);
         CREATE TABLE c (id int PRIMARY KEY, k numeric(5) REFERENCES p)",
    );
    let steps = vec![
        insert("p").set("k", lex(T::Decimal, "1.25")),
        insert("c").set("id", int(1)).from("k", 0, 0),
    ];
    let refused = tell(&served.write(steps).await.expect_err("it does not fit"));
    assert!(refused.starts_with("Type c(k): "), "{refused}");
}

/// Settings of the role or the database must not change what a value means.
#[tokio::test]
async fn settings_of_the_database_do_not_matter() {
    let served = Served::new(
        "CREATE TABLE t (id int PRIMARY KEY, tz timestamptz, ts timestamp, d date, iv interval, f real, b bytea);
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET datestyle = ''SQL, DMY''', current_database());
                     EXECUTE format('ALTER DATABASE %I SET timezone = ''Asia/Tokyo''', current_database());
                     EXECUTE format('ALTER DATABASE %I SET intervalstyle = ''sql_standard''', current_database());
                     EXECUTE format('ALTER DATABASE %I SET bytea_output = ''escape''', current_database());
                     EXECUTE format('ALTER DATABASE %I SET extra_float_digits = -10', current_database()); END $$",
    )
    .await;
    let at = lex(T::DateTimeOffset, "2024-05-03T10:00:00Z");
    let step = insert("t")
        .set("id", int(1))
        .set("tz", at.clone())
        .set("ts", at)
        .set("d", lex(T::Date, "2024-05-03"))
        .set("iv", lex(T::Duration, "-P1DT2H"))
        .set("f", Value::Double(f64::from(0.1_f32)))
        .set("b", Value::Binary(vec![255]));
    let written = served.write(vec![step]).await.unwrap().written;
    assert_eq!(written[0].etag, Some(served.etag("t", &[int(1)]).await));
    let stored = served.database.sql(
        "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1; SET bytea_output = 'hex';
         SELECT t::text FROM t",
    );
    assert_eq!(
        stored.unwrap()[0][0].as_deref(),
        Some(
            r#"(1,"2024-05-03 10:00:00+00","2024-05-03 10:00:00",2024-05-03,"-1 days -02:00:00",0.1,"\\xff")"#
        )
    );
}

/// Keys are what a query compares them with, and then exactly what was found.
#[tokio::test]
async fn keys_of_many_types() {
    let served = Served::new(
        "CREATE COLLATION fuzzy (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE n (k numeric PRIMARY KEY, v int);
         CREATE TABLE f (k float8 PRIMARY KEY, v int);
         CREATE TABLE s (k text COLLATE fuzzy PRIMARY KEY, v int);
         CREATE TABLE c (k char(5) PRIMARY KEY, v int);
         CREATE TABLE z (k timestamptz PRIMARY KEY, v int);
         CREATE TABLE i (k interval PRIMARY KEY, v int);
         CREATE TABLE b (k bytea PRIMARY KEY, v int);
         CREATE TABLE a (k int[] PRIMARY KEY, v int);",
    )
    .await;
    for (table, key) in [
        ("n", lex(T::Decimal, "1.50")),
        ("f", lex(T::Decimal, "0.1")),
        ("s", text("Äpfel")),
        ("c", text("ab")),
        ("z", lex(T::DateTimeOffset, "2024-05-01T10:00:00.25+02:00")),
        ("i", lex(T::Duration, "P1DT2H")),
        ("b", Value::Binary(vec![0, 255])),
        ("a", text("{1,2}")),
    ] {
        let key = [key];
        let what = format!("{table} {key:?}");
        let made = served
            .done(insert(table).set("k", key[0].clone()).set("v", int(1)))
            .await;
        assert!(made.starts_with("Created"), "{what}: {made}");
        let tag = served.etag(table, &key).await;
        let condition = highwater_core::store::Condition::Matches(vec![tag]);
        for step in [
            update(table, &key).set("v", int(2)).when(condition),
            upsert(table, &key).set("v", int(3)),
            delete(table, &key),
        ] {
            let done = served.done(step.clone()).await;
            assert!(
                done.starts_with("Updated") || done.starts_with("Deleted"),
                "{what} {step:?}: {done}"
            );
        }
    }
}
