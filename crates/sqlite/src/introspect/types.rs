//! From a declared type to an affinity and to the type of a property.
//!
//! SQLite stores any value in any column (unless the table is `STRICT`), so the property's type is what the declaration *promises*;
//! a value that breaks the promise names its own type in the payload. The first row that applies decides:
//!
//! | the declared type | property |
//! | --- | --- |
//! | contains `BOOL` | `Edm.Boolean` |
//! | begins with `DATETIME` or `TIMESTAMP` | `Edm.DateTimeOffset` |
//! | is `DATE` | `Edm.Date` |
//! | is `TIME` (with or without more words or a precision) | `Edm.TimeOfDay` |
//! | is `UUID`, `GUID` or `UNIQUEIDENTIFIER` | `Edm.Guid` |
//! | is `JSON` or `JSONB` | `Edm.String` |
//! | contains `INT` | `Edm.Int64` |
//! | contains `CHAR`, `CLOB` or `TEXT` | `Edm.String` |
//! | contains `BLOB` or `BINARY`, or is `BYTEA` | `Edm.Binary` |
//! | contains `REAL`, `FLOA` or `DOUB` | `Edm.Double` |
//! | contains `DEC`, `NUMERIC`, `MONEY` or `NUMBER` | `Edm.Decimal`, with the scale if one is declared |
//! | anything else, `ANY`, none | `Edm.PrimitiveType` |
//!
//! A key may neither be of an abstract type nor a floating-point number (CSDL 4.01, section 6.5). A key column that would be
//! `Edm.PrimitiveType` becomes `Edm.Int64` if SQLite turns what looks like a number into one, otherwise `Edm.String`; one that would
//! be `Edm.Double` becomes `Edm.Decimal`.
//! One that would be `Edm.DateTimeOffset` becomes `Edm.String`: `2024-01-01` and `2024-01-01 00:00:00` are two keys to SQLite, but one point in
//! time, and two entities with the same key would be one to every client.

use highwater_odata::PrimitiveType;

use crate::facts::Affinity;

/// The type affinity of a declared type: <https://sqlite.org/datatype3.html#determination_of_column_affinity>.
pub(crate) fn affinity(declared: &str, strict: bool) -> Affinity {
    let declared = declared.to_ascii_uppercase();
    let has = |word: &str| declared.contains(word);
    if has("INT") {
        Affinity::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Affinity::Text
    } else if has("BLOB") || declared.is_empty() || (strict && declared == "ANY") {
        Affinity::Blob
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// The type of a property, and the digits after the point if it is `Edm.Decimal` and they are limited.
pub(crate) fn property_type(declared: &str) -> (PrimitiveType, Option<u32>) {
    let declared = declared.trim().to_ascii_uppercase();
    let name_len = declared
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(declared.len());
    let first = &declared[..name_len];
    let has = |word: &str| declared.contains(word);
    let ty = if has("BOOL") {
        PrimitiveType::Boolean
    } else if first.starts_with("DATETIME") || first.starts_with("TIMESTAMP") {
        PrimitiveType::DateTimeOffset
    } else if first == "DATE" {
        PrimitiveType::Date
    } else if first == "TIME" || first == "TIMETZ" {
        PrimitiveType::TimeOfDay
    } else if matches!(first, "UUID" | "GUID" | "UNIQUEIDENTIFIER") {
        PrimitiveType::Guid
    } else if matches!(first, "JSON" | "JSONB") {
        PrimitiveType::String
    } else if has("INT") {
        PrimitiveType::Int64
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        PrimitiveType::String
    } else if has("BLOB") || has("BINARY") || first == "BYTEA" {
        PrimitiveType::Binary
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        PrimitiveType::Double
    } else if has("DEC") || has("NUMERIC") || has("MONEY") || has("NUMBER") {
        return (PrimitiveType::Decimal, scale(&declared));
    } else {
        PrimitiveType::Any
    };
    (ty, None)
}

/// The type of a key property.
pub(crate) fn key_type(ty: PrimitiveType, affinity: Affinity) -> PrimitiveType {
    match ty {
        PrimitiveType::Any if matches!(affinity, Affinity::Integer | Affinity::Numeric) => {
            PrimitiveType::Int64
        }
        PrimitiveType::Any | PrimitiveType::DateTimeOffset => PrimitiveType::String,
        PrimitiveType::Double => PrimitiveType::Decimal,
        other => other,
    }
}

/// `s` of `(p, s)`; a lone precision means no digits after the point.
fn scale(declared: &str) -> Option<u32> {
    let (_, arguments) = declared.split_once('(')?;
    let (arguments, _) = arguments.split_once(')')?;
    match arguments.split_once(',') {
        Some((_, scale)) => scale.trim().parse().ok(),
        None => arguments.trim().parse::<u32>().ok().map(|_| 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types() {
        use Affinity as A;
        use PrimitiveType as T;
        for (declared, affinity_expected, type_expected, scale_expected) in [
            ("", A::Blob, T::Any, None),
            ("ANY", A::Numeric, T::Any, None),
            ("INTEGER", A::Integer, T::Int64, None),
            ("unsigned big int", A::Integer, T::Int64, None),
            ("BOOLEAN", A::Numeric, T::Boolean, None),
            ("bool", A::Numeric, T::Boolean, None),
            ("DATETIME", A::Numeric, T::DateTimeOffset, None),
            ("datetime2(7)", A::Numeric, T::DateTimeOffset, None),
            (
                "TIMESTAMP WITH TIME ZONE",
                A::Numeric,
                T::DateTimeOffset,
                None,
            ),
            ("DATE", A::Numeric, T::Date, None),
            ("TIME(3)", A::Numeric, T::TimeOfDay, None),
            ("uuid", A::Numeric, T::Guid, None),
            ("UNIQUEIDENTIFIER", A::Numeric, T::Guid, None),
            ("JSON", A::Numeric, T::String, None),
            ("NVARCHAR(160)", A::Text, T::String, None),
            ("CHARINT", A::Integer, T::Int64, None),
            ("BLOB", A::Blob, T::Binary, None),
            ("VARBINARY(16)", A::Numeric, T::Binary, None),
            ("DOUBLE PRECISION", A::Real, T::Double, None),
            ("FLOAT", A::Real, T::Double, None),
            ("NUMERIC(10,2)", A::Numeric, T::Decimal, Some(2)),
            ("DECIMAL(10)", A::Numeric, T::Decimal, Some(0)),
            ("DECIMAL", A::Numeric, T::Decimal, None),
            ("MONEY", A::Numeric, T::Decimal, None),
            ("NUM", A::Numeric, T::Any, None),
            ("STRING", A::Numeric, T::Any, None),
        ] {
            assert_eq!(affinity(declared, false), affinity_expected, "{declared}");
            assert_eq!(
                property_type(declared),
                (type_expected, scale_expected),
                "{declared}"
            );
        }
        assert_eq!(affinity("ANY", true), A::Blob);
    }
}
