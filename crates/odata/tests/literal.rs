//! Lexical forms of primitive values: what is accepted, what is refused and with which words.

use highwater_odata::PrimitiveType::{self, *};
use highwater_odata::literal::{format_key_literal, parse_primitive};
use highwater_odata::{Value, ValueRef};

#[track_caller]
fn accepts(ty: PrimitiveType, text: &str, expected: Value) {
    assert_eq!(parse_primitive(ty, text), Ok(expected), "{text} as {ty}");
}

#[test]
fn numbers() {
    for (ty, text, value) in [
        (Byte, "255", 255),
        (Byte, "+0", 0),
        (SByte, "-128", -128),
        (Int16, "32767", 32767),
        (Int32, "-2147483648", i32::MIN.into()),
        (Int64, "9223372036854775807", i64::MAX),
        (Int64, "007", 7),
    ] {
        accepts(ty, text, Value::Integer(value));
    }
    for (ty, text, value) in [
        (Double, "1.5", 1.5),
        (Double, "-2E-3", -0.002),
        (Double, "-INF", f64::NEG_INFINITY),
        (Double, "0.1", 0.1),
        (Single, "3.4e38", 3.4e38),
        (Decimal, "INF", f64::INFINITY),
    ] {
        accepts(ty, text, Value::Double(value));
    }
    assert!(matches!(parse_primitive(Double, "NaN"), Ok(Value::Double(v)) if v.is_nan()));
}

#[test]
fn decimals_keep_their_digits_and_lose_their_exponent() {
    for (text, plain) in [
        ("0", "0"),
        ("-0.00", "-0.00"),
        ("+1.50", "1.50"),
        ("007", "7"),
        ("000.10", "0.10"),
        ("1e3", "1000"),
        ("1.5e1", "15"),
        ("1.25e1", "12.5"),
        ("-12.5E-3", "-0.0125"),
        ("1e-1", "0.1"),
        (
            "123456789012345678901234567890.123456789",
            "123456789012345678901234567890.123456789",
        ),
    ] {
        accepts(Decimal, text, Value::Lexical(Decimal, plain.to_owned()));
    }
}

#[test]
fn dates_and_times_follow_the_calendar() {
    for (ty, text) in [
        (Date, "2000-02-29"),
        (Date, "2400-02-29"),
        (Date, "0000-02-29"),
        (Date, "-0004-02-29"),
        (Date, "12345-12-31"),
        (TimeOfDay, "00:00"),
        (TimeOfDay, "23:59:59.123456789012"),
        (DateTimeOffset, "2012-02-29T12:00Z"),
        (DateTimeOffset, "2012-02-29T12:00:01.5-23:59"),
        (Duration, "P1D"),
        (Duration, "-PT0.5S"),
        (Duration, "P1DT2H3M4.5S"),
        (Duration, "PT3M"),
        (Duration, "PT1H4S"),
        (Guid, "01234567-89AB-cdef-0123-456789abcdef"),
    ] {
        accepts(ty, text, Value::Lexical(ty, text.to_owned()));
    }
    let moment = Value::Lexical(DateTimeOffset, "2012-02-29T12:00Z".to_owned());
    accepts(DateTimeOffset, "2012-02-29t12:00z", moment);
}

#[test]
fn binary_in_all_spellings() {
    for (text, bytes) in [
        ("", &[][..]),
        ("Zg==", b"f"),
        ("Zg", b"f"),
        ("_-8=", &[0xFF, 0xEF]),
        ("_-8", &[0xFF, 0xEF]),
        ("/+8=", &[0xFF, 0xEF]),
    ] {
        accepts(Binary, text, Value::Binary(bytes.to_vec()));
    }
}

#[test]
fn wrong_values_are_refused_with_a_reason() {
    for (ty, text, reason) in [
        (Boolean, "TRUE", "write true or false"),
        (Byte, "256", "the range is 0 to 255"),
        (Byte, "-1", "the range is 0 to 255"),
        (
            Int64,
            "9223372036854775808",
            "the range is -9223372036854775808 to 9223372036854775807",
        ),
        (Int32, "1.0", "write a whole number"),
        (Int32, "", "write a whole number"),
        (Int32, "+-1", "write a whole number"),
        (Int32, "１", "write a whole number"),
        (Double, "1.", "write a number such as 1.5, -2e3, INF or NaN"),
        (
            Double,
            "inf",
            "write a number such as 1.5, -2e3, INF or NaN",
        ),
        (Double, "1e400", "the number is too large for the type"),
        (Single, "1e39", "the number is too large for the type"),
        (Decimal, ".5", "write a number such as 1.5 or -20"),
        (
            Decimal,
            "1e401",
            "the exponent must lie between -400 and 400",
        ),
        (
            Decimal,
            "1e99999999999",
            "the exponent must lie between -400 and 400",
        ),
        (Date, "2012-2-29", "write YYYY-MM-DD"),
        (Date, "02012-02-29", "write YYYY-MM-DD"),
        (Date, "1900-02-29", "that month has days 1 to 28"),
        (Date, "2012-00-01", "there is no month 0"),
        (Date, "2012-04-31", "that month has days 1 to 30"),
        (Date, "2012-04-31T", "write YYYY-MM-DD"),
        (TimeOfDay, "24:00:00", "there is no hour 24"),
        (TimeOfDay, "23:60", "there is no minute 60"),
        (TimeOfDay, "23:59:60", "there is no second 60"),
        (TimeOfDay, "23:59:59.", "a fraction has 1 to 12 digits"),
        (
            TimeOfDay,
            "23:59:59.1234567890123",
            "a fraction has 1 to 12 digits",
        ),
        (
            TimeOfDay,
            "1:00",
            "write HH:MM:SS with an optional fraction",
        ),
        (
            DateTimeOffset,
            "2012-02-29",
            "write YYYY-MM-DDTHH:MM:SS followed by Z or an offset such as +01:00",
        ),
        (
            DateTimeOffset,
            "2012-02-29T12:00",
            "write YYYY-MM-DDTHH:MM:SS followed by Z or an offset such as +01:00",
        ),
        (
            DateTimeOffset,
            "2012-02-29T12:00+24:00",
            "in the offset, there is no hour 24",
        ),
        (
            DateTimeOffset,
            "2012-02-30T12:00Z",
            "that month has days 1 to 29",
        ),
        (
            Duration,
            "P",
            "write for instance P1DT2H3M4.5S, without years and months",
        ),
        (
            Duration,
            "PT",
            "write for instance P1DT2H3M4.5S, without years and months",
        ),
        (
            Duration,
            "P1Y",
            "write for instance P1DT2H3M4.5S, without years and months",
        ),
        (
            Duration,
            "PT1M2H",
            "write for instance P1DT2H3M4.5S, without years and months",
        ),
        (
            Duration,
            "PT1.S",
            "write for instance P1DT2H3M4.5S, without years and months",
        ),
        (
            Guid,
            "0123456789abcdef0123456789abcdef",
            "write 32 hexadecimal digits as 00000000-0000-0000-0000-000000000000",
        ),
        (Binary, "Z", "write base64url without line breaks"),
        (Binary, "Zg==\n", "write base64url without line breaks"),
        (Binary, "Zh==", "write base64url without line breaks"),
    ] {
        let error = parse_primitive(ty, text).expect_err(text).to_string();
        assert_eq!(error, format!("'{text}' is not a valid {ty}: {reason}"));
    }
    let long = "x".repeat(1000);
    let error = parse_primitive(Date, &long).unwrap_err().to_string();
    assert!(error.len() < 100, "{error}");
}

#[test]
fn key_literals_are_encoded_for_a_path_segment() {
    for (value, expected) in [
        (ValueRef::Integer(-5), "-5"),
        (ValueRef::Double(1.5), "1.5e0"),
        (ValueRef::Double(f64::NEG_INFINITY), "-INF"),
        (ValueRef::String("O'Neil"), "'O''Neil'"),
        (
            ValueRef::String("a/b c%d?#é+&;"),
            "'a%2Fb%20c%25d%3F%23%C3%A9%2B%26%3B'",
        ),
        (ValueRef::String("(x),=:@$*!~"), "'(x),=:@$*!~'"),
        (ValueRef::Binary(b"f\xFF"), "binary'Zv8'"),
        (ValueRef::Boolean(true), "true"),
        (ValueRef::Lexical(Decimal, "1.50"), "1.50"),
        (ValueRef::Lexical(Duration, "P1D"), "duration'P1D'"),
        (
            ValueRef::Lexical(DateTimeOffset, "2012-02-29T12:00:00+01:00"),
            "2012-02-29T12:00:00%2B01:00",
        ),
    ] {
        assert_eq!(format_key_literal(value), expected);
    }
}
