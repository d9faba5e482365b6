use std::sync::Arc;

use highwater_odata::context::{ContextUrls, SelectList};
use highwater_odata::payload::{
    ErrorBody, ErrorDetail, ExpandMode, ExpandShape, Format, MetadataLevel, PageEnd, PageWriter,
    Plan, PlanParams, RemovedReason, Root, Shape, Target, canonical_path, entity_id, property_body,
    raw_value, service_document,
};
use highwater_odata::{PrimitiveType, Value, ValueRef, Version};

use crate::fixture::{self, CUSTOMERS, LINES, ORDERS};

const URLS: ContextUrls<'static> = ContextUrls {
    root: "http://h/s/",
    version: Version::V4_01,
};

const VERSIONS: [Version; 2] = [Version::V4_0, Version::V4_01];

fn level(version: Version, metadata: MetadataLevel) -> Format {
    Format {
        metadata,
        ..Format::new(version)
    }
}

/// A page of a set, written by `rows`, with a line break behind each item so that a person can read it.
fn page(
    set: usize,
    root: Root,
    shape: &Shape,
    format: Format,
    rows: impl FnOnce(&mut PageWriter),
    end: PageEnd<'_>,
) -> String {
    let model = fixture::model();
    let name = &model.entity_sets()[set].name;
    let context = match root {
        Root::Collection => URLS.collection(name, &SelectList::default()),
        Root::Delta => URLS.delta(name, &SelectList::default()),
        Root::Entity => URLS.entity(name, &SelectList::default()),
        Root::References => URLS.references(),
        Root::Reference => URLS.reference(),
    };
    let plan = Plan::new(PlanParams {
        model: &model,
        target: Target::EntitySet(set),
        root,
        shape,
        format,
        context: &context,
        omit_nulls: false,
    });
    let mut writer = PageWriter::new(Arc::new(plan));
    rows(&mut writer);
    let bytes = writer.finish(end);
    serde_json::from_slice::<serde_json::Value>(&bytes).unwrap();
    String::from_utf8(bytes)
        .unwrap()
        .replace("},{", "},\n{")
        .replace(":[{", ":[\n{")
}

fn all(set: usize) -> Shape {
    Shape::all(fixture::model().set_type(set))
}

fn customer(id: i64, name: &str) -> [ValueRef<'_>; 4] {
    [
        ValueRef::Integer(id),
        ValueRef::String(name),
        ValueRef::Lexical(PrimitiveType::Decimal, "1.50"),
        ValueRef::Integer(7),
    ]
}

fn one(writer: &mut PageWriter, values: &[ValueRef<'_>], etag: Option<u64>) {
    writer.entity(values, etag);
    writer.end_entity();
}

#[test]
fn a_collection_has_its_envelope_around_the_rows() {
    for (version, expected) in [
        (
            Version::V4_0,
            r##"{"@odata.context":"http://h/s/$metadata#Customers","@odata.count":9,"value":[
{"@odata.etag":"W/\"00000000000000ff\"","ID":1,"Name":"A \"B\"","Balance":1.50,"Größe@odata.type":"#Int64","Größe":7},
{"ID":2,"Name":"","Balance":1.50,"Größe@odata.type":"#Int64","Größe":7}],"@odata.nextLink":"http://h/s/next"}"##,
        ),
        (
            Version::V4_01,
            r##"{"@context":"http://h/s/$metadata#Customers","@count":9,"value":[
{"@etag":"W/\"00000000000000ff\"","ID":1,"Name":"A \"B\"","Balance":1.50,"Größe@type":"Int64","Größe":7},
{"ID":2,"Name":"","Balance":1.50,"Größe@type":"Int64","Größe":7}],"@nextLink":"http://h/s/next"}"##,
        ),
    ] {
        let written = page(
            CUSTOMERS,
            Root::Collection,
            &all(CUSTOMERS),
            Format::new(version),
            |writer| {
                writer.begin(Some(9));
                one(writer, &customer(1, "A \"B\""), Some(255));
                one(writer, &customer(2, ""), None);
            },
            PageEnd::Next("http://h/s/next"),
        );
        assert_eq!(written, expected);
    }
}

#[test]
fn an_empty_page_is_a_page() {
    let written = page(
        CUSTOMERS,
        Root::Collection,
        &all(CUSTOMERS),
        Format::new(Version::V4_01),
        |writer| writer.begin(None),
        PageEnd::Delta("d"),
    );
    let expected = r##"{"@context":"http://h/s/$metadata#Customers","value":[],"@deltaLink":"d"}"##;
    assert_eq!(written, expected);
}

/// JSON Format 3.1: only counts and links survive without metadata.
#[test]
fn without_metadata_only_counts_and_links_are_left() {
    let mut shape = all(CUSTOMERS);
    shape.expand = vec![expand(0, ExpandMode::Entities, all(ORDERS))];
    for (version, expected) in [
        (
            Version::V4_0,
            r##"{"@odata.count":1,"value":[
{"ID":1,"Name":"A","Balance":1.50,"Größe":7,"Orders@odata.count":0,"Orders":[],"Orders@odata.nextLink":"n"}],"@odata.nextLink":"x"}"##,
        ),
        (
            Version::V4_01,
            r##"{"@count":1,"value":[
{"ID":1,"Name":"A","Balance":1.50,"Größe":7,"Orders@count":0,"Orders":[],"Orders@nextLink":"n"}],"@nextLink":"x"}"##,
        ),
    ] {
        let written = page(
            CUSTOMERS,
            Root::Collection,
            &shape,
            level(version, MetadataLevel::None),
            |writer| {
                writer.begin(Some(1));
                writer.entity(&customer(1, "A"), Some(1));
                writer.begin_expand(0, Some(0));
                writer.end_expand(0, Some("n"));
                writer.end_entity();
            },
            PageEnd::Next("x"),
        );
        assert_eq!(written, expected);
    }
}

/// Items 34, 46 and JSON Format 3.1.2.
#[test]
fn full_metadata_spells_everything_out() {
    let mut shape = all(ORDERS);
    shape.expand = vec![expand(0, ExpandMode::Entities, all(CUSTOMERS))];
    let rows = |writer: &mut PageWriter| {
        writer.begin(None);
        let order = [
            ValueRef::Integer(5),
            ValueRef::Null,
            ValueRef::Lexical(PrimitiveType::DateTimeOffset, "2024-01-01T00:00:00Z"),
        ];
        writer.entity(&order, Some(1));
        writer.begin_expand(0, None);
        one(writer, &customer(1, "A"), None);
        writer.end_expand(0, None);
        writer.end_entity();
    };
    let format = level(Version::V4_01, MetadataLevel::Full);
    let written = page(
        ORDERS,
        Root::Collection,
        &shape,
        format,
        rows,
        PageEnd::Complete,
    );
    insta::assert_snapshot!(written, @r##"
    {"@context":"http://h/s/$metadata#Orders","value":[
    {"@type":"#Shop.Order","@id":"Orders(5)","@etag":"W/\"0000000000000001\"","@editLink":"Orders(5)","ID@type":"Int64","ID":5,"CustomerID":null,"Placed@type":"DateTimeOffset","Placed":"2024-01-01T00:00:00Z","Lines@associationLink":"Orders(5)/Lines/$ref","Lines@navigationLink":"Orders(5)/Lines","Customer@associationLink":"Orders(5)/Customer/$ref","Customer@navigationLink":"Orders(5)/Customer","Customer":{"@type":"#Shop.Customer","@id":"Customers(1)","@editLink":"Customers(1)","ID@type":"Int32","ID":1,"Name":"A","Balance@type":"Decimal","Balance":1.50,"Größe@type":"Int64","Größe":7,"Orders@associationLink":"Customers(1)/Orders/$ref","Orders@navigationLink":"Customers(1)/Orders"}}]}
    "##);
}

/// Items 42, 50 and §6.3.
#[test]
fn a_delta_has_the_form_of_its_version() {
    // The key is there although nobody selected it.
    let shape = Shape {
        properties: vec![1],
        ..Shape::default()
    };
    let rows = |writer: &mut PageWriter| {
        writer.begin(None);
        one(writer, &customer(7, "new"), None);
        let gone = [
            ValueRef::Integer(3),
            ValueRef::Null,
            ValueRef::Null,
            ValueRef::Null,
        ];
        writer.removed(&gone, RemovedReason::Changed);
        writer.removed(&gone, RemovedReason::Deleted);
    };
    let cases = [
        (
            level(Version::V4_0, MetadataLevel::Minimal),
            r##"{"@odata.context":"http://h/s/$metadata#Customers/$delta","value":[
{"@odata.id":"Customers(7)","ID":7,"Name":"new"},
{"@odata.context":"#Customers/$deletedEntity","id":"Customers(3)","reason":"changed"},
{"@odata.context":"#Customers/$deletedEntity","id":"Customers(3)","reason":"deleted"}],"@odata.deltaLink":"d"}"##,
        ),
        (
            level(Version::V4_01, MetadataLevel::Minimal),
            r##"{"@context":"http://h/s/$metadata#Customers/$delta","value":[
{"ID":7,"Name":"new"},
{"@removed":{"reason":"changed"},"ID":3},
{"@removed":{"reason":"deleted"},"ID":3}],"@deltaLink":"d"}"##,
        ),
        (
            level(Version::V4_01, MetadataLevel::Full),
            r##"{"@context":"http://h/s/$metadata#Customers/$delta","value":[
{"@type":"#Shop.Customer","@id":"Customers(7)","@editLink":"Customers(7)","ID@type":"Int32","ID":7,"Name":"new"},
{"@context":"#Customers/$deletedEntity","@removed":{"reason":"changed"},"@id":"Customers(3)","ID@type":"Int32","ID":3},
{"@context":"#Customers/$deletedEntity","@removed":{"reason":"deleted"},"@id":"Customers(3)","ID@type":"Int32","ID":3}],"@deltaLink":"d"}"##,
        ),
    ];
    for (format, expected) in cases {
        let end = PageEnd::Delta("d");
        assert_eq!(
            page(CUSTOMERS, Root::Delta, &shape, format, rows, end),
            expected
        );
    }
}

/// Item 45: with the key left out, identity could not be computed.
#[test]
fn an_entity_without_its_key_has_an_id() {
    let shape = Shape {
        properties: vec![2],
        ..Shape::default()
    };
    let row = [
        ValueRef::Integer(1),
        ValueRef::String("a/'ü"),
        ValueRef::Double(1.5),
    ];
    let rows = |writer: &mut PageWriter| {
        writer.begin(None);
        one(writer, &row, None);
    };
    let format = Format::new(Version::V4_0);
    let written = page(LINES, Root::Entity, &shape, format, rows, PageEnd::Complete);
    insta::assert_snapshot!(written, @r##"{"@odata.context":"http://h/s/$metadata#Zeilen_ü/$entity","@odata.id":"Zeilen_%C3%BC(OrderID=1,Product='a%2F''%C3%BC')","Amount":1.5}"##);
}

fn expand(navigation: usize, mode: ExpandMode, shape: Shape) -> ExpandShape {
    ExpandShape {
        navigation,
        mode,
        shape,
    }
}

#[test]
fn expansions_nest() {
    let mut orders = all(ORDERS);
    orders.properties = vec![0];
    orders.expand = vec![
        expand(
            fixture::ORDER_CUSTOMER,
            ExpandMode::References,
            Shape::default(),
        ),
        expand(fixture::ORDER_LINES, ExpandMode::Count, Shape::default()),
    ];
    let mut shape = all(CUSTOMERS);
    shape.properties = vec![0];
    shape.expand = vec![expand(
        fixture::CUSTOMER_ORDERS,
        ExpandMode::Entities,
        orders,
    )];
    let mut ids = Vec::new();
    let rows = |writer: &mut PageWriter| {
        let customer = customer(1, "A");
        writer.begin(None);
        for _ in 0..2 {
            writer.entity(&customer, None);
            ids.push(writer.open_entity_id().map(str::to_owned));
            writer.begin_expand(0, Some(3));
            for id in 1..=2 {
                writer.entity(
                    &[ValueRef::Integer(id), ValueRef::Null, ValueRef::Null],
                    None,
                );
                ids.push(writer.open_entity_id().map(str::to_owned));
                writer.begin_expand(0, None);
                if id == 1 {
                    one(writer, &customer, None);
                }
                writer.end_expand(0, None);
                writer.begin_expand(1, Some(0));
                writer.end_expand(1, None);
                writer.end_entity();
            }
            writer.end_expand(0, Some("Customers(1)/Orders?$skip=2"));
            writer.end_entity();
        }
    };
    let format = Format::new(Version::V4_01);
    let written = page(
        CUSTOMERS,
        Root::Collection,
        &shape,
        format,
        rows,
        PageEnd::Complete,
    );
    insta::assert_snapshot!(written, @r##"
    {"@context":"http://h/s/$metadata#Customers","value":[
    {"ID":1,"Orders@count":3,"Orders":[
    {"ID":1,"Customer":{"@id":"Customers(1)"},"Lines@count":0},
    {"ID":2,"Customer":null,"Lines@count":0}],"Orders@nextLink":"Customers(1)/Orders?$skip=2"},
    {"ID":1,"Orders@count":3,"Orders":[
    {"ID":1,"Customer":{"@id":"Customers(1)"},"Lines@count":0},
    {"ID":2,"Customer":null,"Lines@count":0}],"Orders@nextLink":"Customers(1)/Orders?$skip=2"}]}
    "##);
    assert_eq!(ids[0].as_deref(), Some("Customers(1)"));
    assert_eq!(ids[2].as_deref(), Some("Orders(2)"));
}

#[test]
fn single_entities_and_references() {
    let row = customer(1, "A");
    let rows = |writer: &mut PageWriter| {
        writer.begin(None);
        one(writer, &row, Some(2));
    };
    let cases = [
        (
            Root::Entity,
            r##"{"@context":"http://h/s/$metadata#Customers/$entity","@etag":"W/\"0000000000000002\"","ID":1,"Name":"A","Balance":1.50,"Größe@type":"Int64","Größe":7,"@deltaLink":"d"}"##,
        ),
        (
            Root::Reference,
            r##"{"@context":"http://h/s/$metadata#$ref","@id":"Customers(1)","@deltaLink":"d"}"##,
        ),
        (
            Root::References,
            r##"{"@context":"http://h/s/$metadata#Collection($ref)","value":[
{"@id":"Customers(1)"}],"@deltaLink":"d"}"##,
        ),
    ];
    let format = Format::new(Version::V4_01);
    for (root, expected) in cases {
        let written = page(
            CUSTOMERS,
            root,
            &all(CUSTOMERS),
            format,
            rows,
            PageEnd::Delta("d"),
        );
        assert_eq!(written, expected);
    }
}

/// A value of another type than the declared one names its own, as SQLite needs it.
#[test]
fn a_value_that_does_not_fit_names_its_type() {
    let row = [
        ValueRef::String("one"),
        ValueRef::Integer(5),
        ValueRef::Double(1e20),
        ValueRef::Boolean(true),
    ];
    let big = [
        ValueRef::Integer(1 << 40),
        ValueRef::Null,
        ValueRef::Null,
        ValueRef::String("x"),
    ];
    let rows = |writer: &mut PageWriter| {
        writer.begin(None);
        one(writer, &row, None);
        one(writer, &big, None);
    };
    let format = Format {
        ieee754_compatible: true,
        ..Format::new(Version::V4_0)
    };
    let written = page(
        CUSTOMERS,
        Root::Collection,
        &all(CUSTOMERS),
        format,
        rows,
        PageEnd::Complete,
    );
    insta::assert_snapshot!(written, @r##"
    {"@odata.context":"http://h/s/$metadata#Customers","value":[
    {"ID@odata.type":"#String","ID":"one","Name@odata.type":"#Int64","Name":"5","Balance":"100000000000000000000","Größe":true},
    {"ID@odata.type":"#Int64","ID":"1099511627776","Name":null,"Balance":null,"Größe":"x"}]}
    "##);
}

#[test]
fn nulls_can_be_left_out_but_not_of_a_delta() {
    let model = fixture::model();
    let row = [
        ValueRef::Integer(1),
        ValueRef::Null,
        ValueRef::Null,
        ValueRef::Null,
    ];
    for (root, expected) in [
        (Root::Collection, r##"{"@context":"c","value":[{"ID":1}]}"##),
        (
            Root::Delta,
            r##"{"@context":"c","value":[{"ID":1,"Name":null,"Balance":null,"Größe":null}]}"##,
        ),
    ] {
        let plan = Plan::new(PlanParams {
            model: &model,
            target: Target::EntitySet(CUSTOMERS),
            root,
            shape: &all(CUSTOMERS),
            format: Format::new(Version::V4_01),
            context: "c",
            omit_nulls: true,
        });
        let mut writer = PageWriter::new(Arc::new(plan));
        writer.begin(None);
        one(&mut writer, &row, None);
        assert_eq!(writer.finish(PageEnd::Complete), expected.as_bytes());
    }
}

#[test]
fn rows_without_a_key_have_no_identity() {
    let model = fixture::model();
    let shape = Shape {
        properties: vec![0, 1],
        ..Shape::default()
    };
    let written = VERSIONS.map(|version| {
        let urls = ContextUrls { version, ..URLS };
        let plan = Plan::new(PlanParams {
            model: &model,
            target: Target::FunctionImport(0),
            root: Root::Collection,
            shape: &shape,
            format: level(version, MetadataLevel::Full),
            context: &urls.rows(&model, model.function_type(0), &SelectList::default()),
            omit_nulls: false,
        });
        let mut writer = PageWriter::new(Arc::new(plan));
        writer.begin(None);
        one(
            &mut writer,
            &[ValueRef::Integer(2024), ValueRef::Double(0.5)],
            Some(1),
        );
        String::from_utf8(writer.finish(PageEnd::Complete)).unwrap()
    });
    insta::assert_snapshot!(written.join("\n"), @r##"
    {"@odata.context":"http://h/s/$metadata#Collection(Shop.TotalsRow)","value":[{"@odata.type":"#Shop.TotalsRow","Year@odata.type":"#Int32","Year":2024,"Sum":0.5}]}
    {"@context":"http://h/s/$metadata#Collection(Shop.TotalsRow)","value":[{"@type":"#Shop.TotalsRow","Year@type":"Int32","Year":2024,"Sum":0.5}]}
    "##);
}

#[test]
fn the_service_document_names_every_set_and_function() {
    let written = VERSIONS.map(|version| {
        let format = Format::new(version);
        let bytes = service_document(&fixture::model(), format, &URLS.metadata());
        String::from_utf8(bytes).unwrap()
    });
    insta::assert_snapshot!(written.join("\n"), @r##"
    {"@odata.context":"http://h/s/$metadata","value":[{"name":"Customers","kind":"EntitySet","url":"Customers"},{"name":"Orders","kind":"EntitySet","url":"Orders"},{"name":"Zeilen_ü","kind":"EntitySet","url":"Zeilen_%C3%BC"},{"name":"Things","kind":"EntitySet","url":"Things"},{"name":"Totals","kind":"FunctionImport","url":"Totals()"}]}
    {"@context":"http://h/s/$metadata","value":[{"name":"Customers","kind":"EntitySet","url":"Customers"},{"name":"Orders","kind":"EntitySet","url":"Orders"},{"name":"Zeilen_ü","kind":"EntitySet","url":"Zeilen_%C3%BC"},{"name":"Things","kind":"EntitySet","url":"Things"},{"name":"Totals","kind":"FunctionImport","url":"Totals"}]}
    "##);
}

#[test]
fn single_values() {
    let model = fixture::model();
    let key = [Value::Integer(1), Value::String("a b/'c'".to_owned())];
    assert_eq!(
        canonical_path(&model, LINES, &key),
        "Zeilen_ü(OrderID=1,Product='a b/''c''')"
    );
    assert_eq!(
        entity_id(&model, LINES, &key),
        "Zeilen_%C3%BC(OrderID=1,Product='a%20b%2F''c''')"
    );
    let written = |version, declared, value| {
        let bytes = property_body(Format::new(version), "c", declared, value);
        String::from_utf8(bytes).unwrap()
    };
    let text = ValueRef::String("x");
    let ty = PrimitiveType::String;
    assert_eq!(
        written(Version::V4_0, ty, text),
        r##"{"@odata.context":"c","value":"x"}"##
    );
    let ty = PrimitiveType::Int32;
    assert_eq!(
        written(Version::V4_0, ty, text),
        r##"{"@odata.context":"c","@odata.type":"#String","value":"x"}"##
    );
    assert_eq!(
        written(Version::V4_01, ty, text),
        r##"{"@context":"c","@type":"String","value":"x"}"##
    );
    // Full metadata: the type of what JSON alone does not show.
    let full = |declared, value| {
        let format = level(Version::V4_01, MetadataLevel::Full);
        String::from_utf8(property_body(format, "c", declared, value)).unwrap()
    };
    for (declared, value, expected) in [
        (
            PrimitiveType::Int32,
            ValueRef::Integer(1),
            r#""@type":"Int32","value":1"#,
        ),
        (
            PrimitiveType::Decimal,
            ValueRef::Double(1.5),
            r#""@type":"Decimal","value":1.5"#,
        ),
        (
            PrimitiveType::Double,
            ValueRef::Double(1.5),
            r#""value":1.5"#,
        ),
        (PrimitiveType::String, text, r#""value":"x""#),
    ] {
        let expected = format!(r#"{{"@context":"c",{expected}}}"#);
        assert_eq!(full(declared, value), expected);
    }
    let raw = |value| raw_value(value).map(|raw| (raw.media_type, raw.body));
    let text_type = "text/plain";
    assert_eq!(raw(ValueRef::Null), None);
    assert_eq!(raw(text), Some((text_type, b"x".to_vec())));
    assert_eq!(
        raw(ValueRef::Double(f64::NEG_INFINITY)),
        Some((text_type, b"-INF".to_vec()))
    );
    assert_eq!(
        raw(ValueRef::Binary(b"\0")),
        Some(("application/octet-stream", b"\0".to_vec()))
    );
}

/// Item 81.
#[test]
fn errors_have_the_one_member_error() {
    let mut error = ErrorBody::new("Bad", "It is \"bad\".");
    let expected = r##"{"error":{"code":"Bad","message":"It is \"bad\"."}}"##;
    assert_eq!(error.to_json(), expected.as_bytes());
    error.target = Some("$filter".to_owned());
    let detail = ErrorDetail {
        code: "A".to_owned(),
        message: "b".to_owned(),
        target: None,
    };
    error.details = vec![detail.clone(), detail];
    let expected = r##"{"error":{"code":"Bad","message":"It is \"bad\".","target":"$filter","details":[{"code":"A","message":"b"},{"code":"A","message":"b"}]}}"##;
    assert_eq!(error.to_json(), expected.as_bytes());
}

/// Items 58 and 59.
#[test]
fn the_media_type_names_the_metadata_level() {
    let cases = [
        (
            Format::new(Version::V4_0),
            "application/json;odata.metadata=minimal",
        ),
        (
            Format::new(Version::V4_01),
            "application/json;metadata=minimal",
        ),
        (
            Format {
                version: Version::V4_01,
                metadata: MetadataLevel::Full,
                ieee754_compatible: true,
                exponential_decimals: true,
                streaming: true,
            },
            "application/json;metadata=full;streaming=true;IEEE754Compatible=true;ExponentialDecimals=true",
        ),
    ];
    for (format, expected) in cases {
        assert_eq!(format.content_type(), expected);
    }
}
