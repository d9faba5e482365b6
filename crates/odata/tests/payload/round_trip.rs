//! Whatever the writer emits is JSON, and the reader finds the same values in it.

use std::sync::Arc;

use highwater_odata::payload::{
    Format, MetadataLevel, PageEnd, PageWriter, Plan, PlanParams, Root, Shape, Target, read_entity,
};
use highwater_odata::{PrimitiveType, Value, ValueRef, Version};
use proptest::prelude::*;

use crate::fixture::{self, THINGS};

fn formats() -> impl Strategy<Value = Format> {
    (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(old, full, ieee754_compatible, exponential_decimals)| Format {
            version: if old { Version::V4_0 } else { Version::V4_01 },
            metadata: if full {
                MetadataLevel::Full
            } else {
                MetadataLevel::Minimal
            },
            ieee754_compatible,
            exponential_decimals,
            streaming: false,
        },
    )
}

/// Strings with more than their share of what JSON has to escape.
fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        '\0',
        '\u{1}',
        '\u{8}',
        '\t',
        '\n',
        '\u{c}',
        '\r',
        '\u{1f}',
        '"',
        '\\',
        '/',
        '\u{7f}',
        '\u{80}',
        '\u{2028}',
        '\u{d7ff}',
        '\u{e000}',
        '\u{fffd}',
        '\u{ffff}',
        '😀',
        '\u{10ffff}',
    ]);
    prop::collection::vec(
        prop_oneof![3 => nasty, 1 => any::<char>(), 3 => prop::char::range('a', 'z')],
        0..40,
    )
    .prop_map(String::from_iter)
}

fn lexical(ty: PrimitiveType, pattern: &str) -> BoxedStrategy<Value> {
    proptest::string::string_regex(pattern)
        .unwrap()
        .prop_map(move |text| Value::Lexical(ty, text))
        .boxed()
}

fn value() -> impl Strategy<Value = Value> {
    use PrimitiveType as T;
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Boolean),
        any::<i64>().prop_map(Value::Integer),
        (-130_i64..70_000).prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Double),
        any::<f32>().prop_map(|number| Value::Double(number.into())),
        prop::sample::select(vec![
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            -0.0,
            1e21,
            5e-324
        ])
        .prop_map(Value::Double),
        text().prop_map(Value::String),
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Value::Binary),
        lexical(T::Decimal, "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?"),
        lexical(T::Date, "-?[1-9][0-9]{3}-0[1-9]-[012][1-8]"),
        lexical(
            T::TimeOfDay,
            "[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,12})?"
        ),
        lexical(
            T::DateTimeOffset,
            "[1-9][0-9]{3}-0[1-9]-[012][1-8]T[01][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|\\+0[0-9]:30)"
        ),
        lexical(
            T::Duration,
            "-?P[0-9]{1,3}DT[0-9]{1,3}H[0-9]{1,3}M[0-9]{1,3}\\.[0-9]{1,9}S"
        ),
        lexical(
            T::Guid,
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
        ),
    ]
}

/// Whether two values are one, although a declared type may give a number another form.
fn same(written: &Value, read: &Value) -> bool {
    match (written, read) {
        (Value::Double(a), Value::Double(b)) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Value::Integer(a), Value::Double(b)) => *a as f64 == *b && a.unsigned_abs() <= 1 << 53,
        (Value::Integer(a), Value::Lexical(PrimitiveType::Decimal, b)) => a.to_string() == *b,
        (Value::Double(a), Value::Lexical(PrimitiveType::Decimal, b)) => b.parse() == Ok(*a),
        _ => written == read,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_value_in_every_property_comes_back(
        values in prop::collection::vec(value(), PrimitiveType::ALL.len() + 1),
        key in text(),
        format in formats(),
    ) {
        let model = fixture::model();
        let ty = model.set_type(THINGS);
        let mut values = values;
        values[0] = Value::String(key);
        let plan = Plan::new(PlanParams {
            model: &model,
            target: Target::EntitySet(THINGS),
            root: Root::Entity,
            shape: &Shape::all(ty),
            format,
            context: "http://h/$metadata#Things/$entity",
            omit_nulls: false,
        });
        let row: Vec<ValueRef<'_>> = values.iter().map(Value::as_ref).collect();
        let mut writer = PageWriter::new(Arc::new(plan));
        writer.begin(None);
        writer.entity(&row, Some(1));
        writer.end_entity();
        let body = writer.finish(PageEnd::Complete);
        let entity = read_entity(&model, THINGS, &body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)));
        prop_assert_eq!(entity.properties.len(), values.len());
        for (position, read) in &entity.properties {
            prop_assert!(
                same(&values[*position], read),
                "{}: {:?} came back as {:?} from {}",
                ty.properties()[*position].name, values[*position], read, String::from_utf8_lossy(&body)
            );
        }
    }
}
