use highwater_odata::payload::{
    Bind, EntityBody, Item, ReadErrorKind, Related, RelatedContent, RemovedReason, read_entity,
    read_property, read_reference, read_references, reader::BODY_LEN_MAX_BYTES,
};
use highwater_odata::{PrimitiveType, Value};

use crate::fixture::{self, CUSTOMERS, LINES, ORDERS, THINGS};

fn customer(body: &str) -> EntityBody {
    read_entity(&fixture::model(), CUSTOMERS, body.as_bytes()).unwrap()
}

fn with_id(id: i64) -> EntityBody {
    EntityBody {
        properties: vec![(0, Value::Integer(id))],
        ..EntityBody::default()
    }
}

fn related(navigation: usize, content: RelatedContent) -> Vec<Related> {
    vec![Related {
        navigation,
        content,
    }]
}

#[test]
fn both_spellings_of_control_information_are_read() {
    let expected = EntityBody {
        id: Some("Customers(1)".to_owned()),
        etag: Some("W/\"1\"".to_owned()),
        properties: vec![(0, Value::Integer(1)), (3, Value::Integer(5))],
        binds: vec![Bind {
            navigation: 0,
            ids: vec!["Orders(1)".to_owned(), "/s/Orders(2)".to_owned()],
        }],
        related: vec![],
    };
    for prefix in ["@", "@odata."] {
        let body = r##"{"@context":"http://h/$metadata#Customers/$entity","@type":"#Shop.Customer",
            "@id":"Customers(1)","@etag":"W/\"1\"","@editLink":"Customers(1)",
            "ID":1,"Größe":5,"Größe@type":"Int64","Orders@bind":["Orders(1)","/s/Orders(2)"],
            "Orders@navigationLink":"x","Orders@associationLink":"x"}"##
            .replace('@', prefix);
        assert_eq!(customer(&body), expected);
    }
}

/// Items 54 and 55, and what an answer with full metadata has when it is sent back.
#[test]
fn unknown_annotations_are_skipped() {
    let body = r##"{"@Core.ContentID":"1","@odata.whatever":[{}],"ID":1,"ID@Some.Term":{"a":[1]},
        "#Shop.Ship":{"target":"x"},"Nothing@Measures.Unit":"cm","@removedish":1}"##;
    assert_eq!(customer(body), with_id(1));
}

#[test]
fn entities_nest_in_every_form() {
    let one = RelatedContent::Collection(vec![
        Item::Entity(with_id(5)),
        Item::Reference("Orders(6)".to_owned()),
        Item::Entity(EntityBody {
            id: Some("Orders(7)".to_owned()),
            ..with_id(7)
        }),
    ]);
    let delta = RelatedContent::Delta(vec![
        Item::Removed(
            EntityBody {
                id: Some("Orders(5)".to_owned()),
                ..EntityBody::default()
            },
            Some(RemovedReason::Changed),
        ),
        Item::Removed(with_id(6), Some(RemovedReason::Deleted)),
        Item::Removed(with_id(7), None),
        Item::Removed(with_id(8), None),
        Item::Reference("Orders(9)".to_owned()),
    ]);
    let cases = [
        (
            r#"{"Orders":[{"ID":5},{"@id":"Orders(6)"},{"@odata.id":"Orders(7)","ID":7}]}"#,
            related(0, one),
        ),
        (
            r##"{"Orders@delta":[{"@removed":{"reason":"changed"},"@id":"Orders(5)"},
                {"ID":6,"@odata.removed":{"x":1,"reason":"deleted"}},{"@removed":{},"ID":7},
                {"@removed":null,"ID":"8"},{"@odata.context":"#x","@odata.id":"Orders(9)"}]}"##,
            related(0, delta.clone()),
        ),
        (
            r#"{"Orders":[]}"#,
            related(0, RelatedContent::Collection(vec![])),
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(customer(body).related, expected, "{body}");
    }
    let order = |body: &str| read_entity(&fixture::model(), ORDERS, body.as_bytes()).unwrap();
    assert_eq!(
        order(r#"{"Customer":null}"#).related,
        related(0, RelatedContent::Null)
    );
    assert_eq!(
        order(r#"{"Customer":{"@id":"Customers(1)"}}"#).related,
        related(
            0,
            RelatedContent::Single(Box::new(Item::Reference("Customers(1)".to_owned())))
        )
    );
    let bind = |ids: Vec<String>| vec![Bind { navigation: 0, ids }];
    assert_eq!(
        order(r#"{"Customer@odata.bind":"Customers(1)"}"#).binds,
        bind(vec!["Customers(1)".to_owned()])
    );
    assert_eq!(order(r#"{"Customer@bind":null}"#).binds, bind(vec![]));
}

/// One property of every type: `A` and the type's name.
#[test]
fn values_are_taken_exactly_or_refused() {
    use Value as V;
    let model = fixture::model();
    let read = |name: &str, json: &str| {
        let body = format!("{{\"{name}\":{json}}}");
        read_entity(&model, THINGS, body.as_bytes()).map(|entity| entity.properties[0].1.clone())
    };
    let lexical = |ty, text: &str| V::Lexical(ty, text.to_owned());
    let decimal = |text| lexical(PrimitiveType::Decimal, text);
    let accepted = [
        ("AInt64", "9223372036854775807", V::Integer(i64::MAX)),
        ("AInt64", "\"-9223372036854775808\"", V::Integer(i64::MIN)),
        ("AInt64", "-0", V::Integer(0)),
        ("AByte", "255", V::Integer(255)),
        ("ASByte", "-128", V::Integer(-128)),
        ("AInt16", "32767", V::Integer(32767)),
        (
            "ADecimal",
            "0.10000000000000000000000000001",
            decimal("0.10000000000000000000000000001"),
        ),
        (
            "ADecimal",
            "\"1234567890123456789012345678901234567890\"",
            decimal("1234567890123456789012345678901234567890"),
        ),
        ("ADecimal", "1.50", decimal("1.50")),
        ("ADecimal", "1.5e3", decimal("1500")),
        ("ADouble", "0.1", V::Double(0.1)),
        ("ADouble", "1", V::Double(1.0)),
        ("ADouble", "\"-INF\"", V::Double(f64::NEG_INFINITY)),
        ("ASingle", "0.1", V::Double(f64::from(0.1_f32))),
        (
            "AString",
            "\"\\ud83d\\ude00\\u0000\"",
            V::String("😀\0".to_owned()),
        ),
        ("ABinary", "\"-_8=\"", V::Binary(vec![0xfb, 0xff])),
        ("ABinary", "\"-_8\"", V::Binary(vec![0xfb, 0xff])),
        ("ABinary", "\"+/8=\"", V::Binary(vec![0xfb, 0xff])),
        ("ABoolean", "true", V::Boolean(true)),
        (
            "ADate",
            "\"2024-02-29\"",
            lexical(PrimitiveType::Date, "2024-02-29"),
        ),
        (
            "ADateTimeOffset",
            "\"2024-02-29T12:30:00Z\"",
            lexical(PrimitiveType::DateTimeOffset, "2024-02-29T12:30:00Z"),
        ),
        (
            "APrimitiveType",
            "9007199254740993",
            V::Integer(9_007_199_254_740_993),
        ),
        (
            "APrimitiveType",
            "9223372036854775808",
            decimal("9223372036854775808"),
        ),
        ("APrimitiveType", "1.5", V::Double(1.5)),
        ("APrimitiveType", "\"x\"", V::String("x".to_owned())),
        ("AGuid", "null", V::Null),
    ];
    for (name, json, expected) in accepted {
        assert_eq!(read(name, json), Ok(expected), "{name}: {json}");
    }
    let refused = [
        ("AByte", "256"),
        ("AByte", "-1"),
        ("AInt16", "32768"),
        ("AInt32", "2147483648"),
        ("AInt32", "1.0"),
        ("AInt32", "\"1\""),
        ("AInt64", "9223372036854775808"),
        ("AInt64", "1e3"),
        ("AInt64", "true"),
        ("ADecimal", "\"INF\""),
        ("ADecimal", "\"1,5\""),
        ("ADouble", "1e999"),
        ("ADouble", "\"1.5\""),
        ("ASingle", "1e39"),
        ("AString", "1"),
        ("AString", "\"\\ud800\""),
        ("AString", "[\"a\"]"),
        ("ABinary", "\"a\""),
        ("ABinary", "\"a b\""),
        ("ABoolean", "\"true\""),
        ("ABoolean", "1"),
        ("ADate", "\"2023-02-29\""),
        ("ADate", "\"\""),
        ("ADateTimeOffset", "\"2024-02-29T12:30:00\""),
        ("ATimeOfDay", "\"25:00:00\""),
        ("AGuid", "\"x\""),
        ("ADuration", "\"1 day\""),
        ("APrimitiveType", "{}"),
    ];
    for (name, json) in refused {
        let error = read(name, json).unwrap_err();
        assert_eq!(error.path, name, "{json}");
        assert_ne!(error.kind, ReadErrorKind::TooDeep, "{json}");
    }
}

#[test]
fn the_scale_of_a_decimal_is_kept() {
    let read = |json: &str| {
        let body = format!("{{\"Balance\":{json}}}");
        read_entity(&fixture::model(), CUSTOMERS, body.as_bytes())
    };
    for json in ["1", "1.5", "1.50", "1.5000", "1e2", "150e-2"] {
        assert!(read(json).is_ok(), "{json}");
    }
    for json in ["1.505", "1e-3", "\"0.001\""] {
        assert!(read(json).is_err(), "{json}");
    }
}

#[test]
fn a_type_that_the_body_names_wins() {
    let value = |body: &str| customer(body).properties.pop().unwrap().1;
    for annotation in ["Int64", "#Int64", "Edm.Int64", "#Edm.Int64"] {
        let body = format!(r#"{{"Name":5,"Name@odata.type":"{annotation}"}}"#);
        assert_eq!(value(&body), Value::Integer(5));
    }
    assert_eq!(
        value(r#"{"Größe@type":"Date","Größe":"2024-01-01"}"#),
        Value::Lexical(PrimitiveType::Date, "2024-01-01".to_owned())
    );
}

#[test]
fn errors_name_the_place_and_the_remedy() {
    let nested_too_deep = r#"{"Lines":[{"Order":"#.repeat(20) + "{}" + &"}]}".repeat(20);
    let cases = [
        (
            CUSTOMERS,
            "",
            "",
            "the request body is not valid: EOF while parsing a value at line 1 column 0",
        ),
        (
            CUSTOMERS,
            "{\"ID\":1}x",
            "",
            "the request body is not valid: trailing characters at line 1 column 9",
        ),
        (
            CUSTOMERS,
            "[]",
            "",
            "the request body is not valid: expected an object, found an array",
        ),
        (
            CUSTOMERS,
            r#"{"ID":1,"ID":2}"#,
            "",
            "the request body is not valid: the member \"ID\" stands there twice",
        ),
        (
            CUSTOMERS,
            r#"{"@id":"1","@odata.id":"2"}"#,
            "",
            "the request body is not valid: the member \"@odata.id\" stands there twice",
        ),
        (
            CUSTOMERS,
            r#"{"Nmae":1}"#,
            "Nmae",
            "Nmae in the request body is not valid: the type Customer has no property \"Nmae\"",
        ),
        (
            CUSTOMERS,
            r#"{"Name@odata.bind":"x"}"#,
            "Name@odata.bind",
            "Name@odata.bind in the request body is not valid: Name is not a navigation property",
        ),
        (
            CUSTOMERS,
            r#"{"Orders":[{},{"Lines":[{"Amount":"x"}]}]}"#,
            "Orders/1/Lines/0/Amount",
            "Orders/1/Lines/0/Amount in the request body is not valid: expected a number, \"INF\", \"-INF\" or \"NaN\" for Edm.Double, found \"x\"",
        ),
        (
            CUSTOMERS,
            r#"{"Orders":{}}"#,
            "Orders",
            "Orders in the request body is not valid: expected an array, found an object",
        ),
        (
            CUSTOMERS,
            r#"{"Orders":[{"@removed":{},"ID":1}]}"#,
            "Orders",
            "Orders in the request body is not valid: removed entities can stand in a delta only",
        ),
        (
            CUSTOMERS,
            r##"{"@type":"#Shop.Order"}"##,
            "@type",
            "@type in the request body is not valid: expected the type #Shop.Customer, found \"#Shop.Order\"",
        ),
        (
            CUSTOMERS,
            r#"{"@removed":{}}"#,
            "",
            "the request body is not valid: a removed entity cannot stand here; use DELETE",
        ),
        (
            CUSTOMERS,
            r#"{"Name@type":"Collection(String)","Name":[]}"#,
            "Name",
            "Name in the request body is not valid: the type \"Collection(String)\" is not supported",
        ),
        (
            LINES,
            r#"{"Order":[]}"#,
            "Order",
            "Order in the request body is not valid: expected an object, found an array",
        ),
    ];
    for (set, body, path, message) in cases {
        let error = read_entity(&fixture::model(), set, body.as_bytes()).unwrap_err();
        assert_eq!(
            (error.path.as_str(), error.message.as_str()),
            (path, message),
            "{body}"
        );
    }
    let error = read_entity(&fixture::model(), ORDERS, nested_too_deep.as_bytes()).unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::TooDeep);
}

#[test]
fn hostile_bodies_are_refused_in_bounded_time() {
    let model = fixture::model();
    let kind = |body: &[u8]| read_entity(&model, CUSTOMERS, body).unwrap_err().kind;
    assert_eq!(kind(b"{\"Name\":\"\xff\"}"), ReadErrorKind::Syntax);
    assert_eq!(kind(&b"[".repeat(1 << 20)), ReadErrorKind::Syntax);
    let deep = [
        b"{\"Name\":".to_vec(),
        b"[".repeat(1 << 20),
        b"]".repeat(1 << 20),
        b"}".to_vec(),
    ];
    assert_eq!(kind(&deep.concat()), ReadErrorKind::Mismatch);
    assert_eq!(
        kind(&vec![b' '; BODY_LEN_MAX_BYTES + 1]),
        ReadErrorKind::TooLong
    );
    let magic = br#"{"Name":{"$serde_json::private::Number":"1"}}"#;
    assert_eq!(kind(magic), ReadErrorKind::Mismatch);
    let bom = "\u{feff}{\"ID\":1}";
    assert_eq!(customer(bom), with_id(1));
}

#[test]
fn properties_and_references() {
    let model = fixture::model();
    let id = &model.set_type(CUSTOMERS).properties()[0];
    let read = |body: &str| read_property(id, body.as_bytes());
    assert_eq!(read(r#"{"@context":"x","value":5}"#), Ok(Value::Integer(5)));
    assert_eq!(
        read(r#"{"value":null,"@odata.type":"x"}"#)
            .unwrap_err()
            .path,
        "ID"
    );
    assert_eq!(
        read(r##"{"value":"x","@odata.type":"#String"}"##),
        Ok(Value::String("x".to_owned()))
    );
    assert!(read(r#"{"value":5,"other":1}"#).is_err());
    assert!(read("{}").is_err());
    assert!(read("5").is_err());
    for body in [
        r#"{"@id":"Orders(1)"}"#,
        r#"{"@odata.id":"Orders(1)","@odata.context":"x"}"#,
    ] {
        assert_eq!(read_reference(body.as_bytes()).as_deref(), Ok("Orders(1)"));
    }
    assert!(read_reference(br#"{"id":"Orders(1)"}"#).is_err());
    let many = br#"{"@context":"x","value":[{"@id":"a"},{"@odata.id":"b"}]}"#;
    assert_eq!(
        read_references(many),
        Ok(vec!["a".to_owned(), "b".to_owned()])
    );
    let error = read_references(br#"{"value":[{"@id":"a"},{}]}"#).unwrap_err();
    assert_eq!(error.path, "value/1");
}
