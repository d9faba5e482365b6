//! Creating, changing and deleting.

use highwater_server::{Settings, TableSettings};

use crate::lab::Lab;

const JSON: &str = "Content-Type: application/json";

/// A request with a JSON body.
pub(crate) fn with_body(line: &str, body: &str) -> String {
    format!("{line}\n{JSON}\n\n{body}")
}

#[tokio::test]
async fn creating() {
    let lab = Lab::new().await;
    for (line, body, status, texts) in [
        (
            "POST Customers",
            r#"{"Id":"NEW","Name":"Newcomer"}"#,
            201,
            &[
                "location: http://h/odata/Customers('NEW')\n",
                "etag: W/\"",
                r##""@context":"http://h/odata/$metadata#Customers/$entity""##,
                r#""Id":"NEW","Name":"Newcomer","City":null,"Balance":0"#,
            ][..],
        ),
        (
            "POST Customers",
            r#"{"Id":"NEW","Name":"Again"}"#,
            409,
            &["EntityExists"],
        ),
        (
            "POST Customers\nPrefer: return=minimal",
            r#"{"Id":"N2","Name":"X","Balance":1234567890123.45}"#,
            204,
            &[
                "preference-applied: return=minimal\n",
                "location: http://h/odata/Customers('N2')\n",
                "odata-entityid: http://h/odata/Customers('N2')\n",
            ],
        ),
        (
            "POST Customers?$select=Name",
            r#"{"Id":"N3","Name":"Y"}"#,
            201,
            &["#Customers(Name)/$entity", "!Balance"],
        ),
        // A key that the database makes.
        (
            "POST Orders",
            r#"{"Amount":5}"#,
            201,
            &["location: http://h/odata/Orders(5)\n", r#""Id":5"#],
        ),
        (
            "POST Customers('ALFKI')/Orders",
            r#"{"Id":77}"#,
            201,
            &[
                "location: http://h/odata/Orders(77)\n",
                r#""CustomerId":"ALFKI""#,
            ],
        ),
        ("POST Customers('NOBODY')/Orders", r#"{"Id":78}"#, 404, &[]),
        (
            "POST Orders(1)/Customer",
            r#"{"Id":"Z","Name":"Z"}"#,
            405,
            &["allow: GET, HEAD, PATCH, PUT, DELETE\n"],
        ),
        // Computed values are ignored.
        (
            "POST Items",
            r#"{"OrderId":2,"Line":9,"Product":"P","Twice":1000}"#,
            201,
            &["Items(OrderId=2,Line=9)", r#""Quantity":1,"Twice":2"#],
        ),
        // What the database refuses names the property.
        (
            "POST Customers",
            r#"{"Id":"N4"}"#,
            400,
            &["RequiredValue", r#""target":"Name""#],
        ),
        (
            "POST Customers",
            r#"{"Id":"N4","Name":null}"#,
            400,
            &["RequiredValue", r#""target":"Name""#],
        ),
        (
            "POST Orders",
            r#"{"Number":"A-1"}"#,
            409,
            &["UniqueConstraint", r#""target":"Number""#],
        ),
        (
            "POST Customers",
            r#"{"Id":"N4","Name":"X","Balance":12345678901234567890.12}"#,
            400,
            &["InvalidValue", r#""target":"Balance""#],
        ),
        (
            "POST Items",
            r#"{"OrderId":2,"Line":1,"Product":""}"#,
            400,
            &["CheckConstraint"],
        ),
        (
            "POST Orders",
            r#"{"CustomerId":"NOBODY"}"#,
            400,
            &["ReferenceConstraint"],
        ),
        // What is no entity of the set.
        (
            "POST Customers",
            r#"{"Id":"N5","Nmae":"X"}"#,
            400,
            &["UnknownProperty", "Did you mean Name?"],
        ),
        (
            "POST Customers",
            r#"{"Id":5,"Name":"X"}"#,
            400,
            &["InvalidBody", r#""target":"Id""#],
        ),
        ("POST Customers", "[]", 400, &["InvalidBody"]),
        ("POST Customers", "{", 400, &["InvalidBody"]),
        ("POST Customers", "", 400, &["InvalidBody"]),
        (
            "POST Customers?$filter=true",
            r#"{"Id":"N6","Name":"X"}"#,
            400,
            &["QueryOptionNotAllowed"],
        ),
        (
            "POST Customers?$select=Nothing",
            r#"{"Id":"N6","Name":"X"}"#,
            400,
            &["UnknownProperty"],
        ),
        (
            "POST Customers\nAccept: text/html",
            r#"{"Id":"N6","Name":"X"}"#,
            406,
            &[],
        ),
        // None of the refused ones was written.
        (
            "GET Customers/$count?$filter=startswith(Id,'N')",
            "",
            200,
            &["\n\n3"],
        ),
    ] {
        lab.check(&with_body(line, body), status, texts).await;
    }
    lab.check("POST Customers\n\n{}", 415, &["UnsupportedMediaType"])
        .await;
    lab.check("POST Customers\nContent-Type: text/plain\n\n{}", 415, &[])
        .await;
    for coding in ["gzip", "br", "identity, gzip"] {
        let request = format!(
            "POST Customers\nContent-Type: application/json\nContent-Encoding: {coding}\n\n{{}}"
        );
        let texts = ["UnsupportedMediaType", "accept-encoding: identity\n"];
        lab.check(&request, 415, &texts).await;
    }
    lab.check("GET Customers('N2')/Balance", 200, &["1234567890123.45"])
        .await;
}

#[tokio::test]
async fn requirements_79_80_85_86_changing() {
    let lab = Lab::new().await;
    let etag = lab
        .send("GET Customers('ALFKI')")
        .await
        .header("etag")
        .to_owned();
    let stale = "W/\"0000000000000000\"";
    let with_etag = |tag: &str| format!("PATCH Customers('ALFKI')\nIf-Match: {tag}");
    for (line, body, status, texts) in [
        (
            with_etag(stale),
            r#"{"City":"X"}"#.to_owned(),
            412,
            &["PreconditionFailed"][..],
        ),
        (
            with_etag(&etag),
            r#"{"City":"Bonn"}"#.to_owned(),
            204,
            &[
                "odata-entityid: http://h/odata/Customers('ALFKI')\n",
                "!location",
            ],
        ),
        (with_etag(&etag), r#"{"City":"Köln"}"#.to_owned(), 412, &[]),
        (with_etag("*"), r#"{"City":"Köln"}"#.to_owned(), 204, &[]),
        // Requirement 80: the tag in the body counts in 4.01 only.
        (
            "PATCH Customers('ALFKI')\nOData-Version: 4.01".to_owned(),
            format!("{{\"@etag\":{},\"City\":\"x\"}}", serde_json::json!(etag)),
            412,
            &[],
        ),
        (
            "PATCH Customers('ALFKI')\nOData-Version: 4.01".to_owned(),
            r#"{"@etag":"*","City":"x"}"#.to_owned(),
            204,
            &[],
        ),
        (
            "PATCH Customers('ALFKI')\nOData-Version: 4.0".to_owned(),
            format!(
                "{{\"@odata.etag\":{},\"City\":\"y\"}}",
                serde_json::json!(etag)
            ),
            204,
            &[],
        ),
        // PATCH merges, keys and computed values are ignored.
        (
            "PATCH Customers('ALFKI')\nPrefer: return=representation".to_owned(),
            r#"{"Id":"OTHER","City":"Ulm"}"#.to_owned(),
            200,
            &[
                r#""Id":"ALFKI","Name":"Alfreds","City":"Ulm","Balance":10.5"#,
                "preference-applied: return=representation\n",
            ],
        ),
        (
            "PATCH Customers('ALFKI')?$select=City".to_owned(),
            r#"{}"#.to_owned(),
            200,
            &["Ulm", "!Alfreds"],
        ),
        (
            "PATCH Customers('ALFKI')?$select=City\nPrefer: return=minimal".to_owned(),
            r#"{}"#.to_owned(),
            204,
            &[],
        ),
        (
            "PATCH Customers('ALFKI')".to_owned(),
            r#"{"@id":"Customers('BOLID')","City":"z"}"#.to_owned(),
            400,
            &["InvalidBody"],
        ),
        (
            "PATCH Customers('ALFKI')".to_owned(),
            r#"{"@id":"Customers('ALFKI')","City":"z"}"#.to_owned(),
            204,
            &[],
        ),
        (
            "PATCH Customers('ALFKI')".to_owned(),
            r#"{"Name":null}"#.to_owned(),
            400,
            &["RequiredValue", r#""target":"Name""#],
        ),
        // PUT replaces.
        (
            "PUT Customers('ALFKI')\nPrefer: return=representation".to_owned(),
            r#"{"Name":"Put"}"#.to_owned(),
            200,
            &[r#""Id":"ALFKI","Name":"Put","City":null,"Balance":0"#],
        ),
        (
            "PUT Customers('ALFKI')".to_owned(),
            r#"{"City":"x"}"#.to_owned(),
            400,
            &["RequiredValue"],
        ),
        // Requirement 85: upsert.
        (
            "PATCH Customers('UP')".to_owned(),
            r#"{"Name":"Upserted"}"#.to_owned(),
            201,
            &["location: http://h/odata/Customers('UP')\n", "Upserted"],
        ),
        (
            "PUT Customers('UP2')\nPrefer: return=minimal".to_owned(),
            r#"{"Name":"Upserted"}"#.to_owned(),
            204,
            &[
                "location: http://h/odata/Customers('UP2')\n",
                "odata-entityid",
            ],
        ),
        (
            "PATCH Customers('UP3')\nIf-Match: *".to_owned(),
            r#"{"Name":"x"}"#.to_owned(),
            404,
            &[],
        ),
        (
            "PATCH Customers('UP4')\nIf-None-Match: *".to_owned(),
            r#"{"Name":"x"}"#.to_owned(),
            201,
            &[],
        ),
        (
            "PATCH Customers('UP4')\nIf-None-Match: *".to_owned(),
            r#"{"Name":"y"}"#.to_owned(),
            412,
            &[],
        ),
        // Through a navigation property.
        (
            "PATCH Orders(3)/Customer".to_owned(),
            r#"{"City":"Vigo"}"#.to_owned(),
            204,
            &[],
        ),
        (
            "GET Customers('BOLID')/City/$value".to_owned(),
            String::new(),
            200,
            &["\n\nVigo"],
        ),
        (
            "PATCH Orders(4)/Customer".to_owned(),
            r#"{"City":"Vigo"}"#.to_owned(),
            404,
            &[],
        ),
        (
            "PATCH Customers('BOLID')/Orders(3)".to_owned(),
            r#"{"Amount":1}"#.to_owned(),
            204,
            &[],
        ),
        (
            "PATCH Customers('BOLID')/Orders(1)".to_owned(),
            r#"{"Amount":1}"#.to_owned(),
            409,
            &[],
        ),
        // Whole collections are for later.
        (
            "PATCH Customers".to_owned(),
            r##"{"@context":"#$delta","value":[]}"##.to_owned(),
            501,
            &["NotImplemented"],
        ),
        ("DELETE Customers".to_owned(), String::new(), 501, &[]),
    ] {
        lab.check(&with_body(&line, &body), status, texts).await;
    }
}

#[tokio::test]
async fn changing_properties() {
    let lab = Lab::new().await;
    for (request, status, texts) in [
        (
            with_body("PUT Customers('ALFKI')/City", r#"{"value":"Bonn"}"#),
            204,
            &[][..],
        ),
        (
            "GET Customers('ALFKI')/City/$value".to_owned(),
            200,
            &["\n\nBonn"],
        ),
        (
            with_body(
                "PATCH Customers('ALFKI')/City\nPrefer: return=representation",
                r#"{"value":"Ulm"}"#,
            ),
            200,
            &[
                r#""value":"Ulm"}"#,
                "preference-applied: return=representation",
            ],
        ),
        ("DELETE Customers('ALFKI')/City".to_owned(), 204, &[]),
        ("GET Customers('ALFKI')/City".to_owned(), 204, &[]),
        (
            "PUT Customers('ALFKI')/City/$value\nContent-Type: text/plain\n\nKöln".to_owned(),
            204,
            &[],
        ),
        (
            "GET Customers('ALFKI')/City/$value".to_owned(),
            200,
            &["\n\nKöln"],
        ),
        (
            "PUT Customers('ALFKI')/Balance/$value\nContent-Type: text/plain\n\nmany".to_owned(),
            400,
            &["\"target\":\"Balance\""],
        ),
        (
            "PUT Files(2)/Content/$value\nContent-Type: application/octet-stream\n\nbytes"
                .to_owned(),
            204,
            &[],
        ),
        (
            "GET Files(2)/Content/$value".to_owned(),
            200,
            &["\n\nbytes"],
        ),
        (
            "DELETE Customers('ALFKI')/Name".to_owned(),
            400,
            &["RequiredValue"],
        ),
        (
            with_body("PUT Customers('ALFKI')/Id", r#"{"value":"X"}"#),
            400,
            &["part of the key"],
        ),
        (
            with_body("PUT Items(OrderId=1,Line=1)/Twice", r#"{"value":1}"#),
            400,
            &["computed"],
        ),
        (
            with_body("PUT Customers('NOBODY')/City", r#"{"value":"X"}"#),
            404,
            &[],
        ),
        (
            with_body("PUT Customers('ALFKI')/City", r#"{"value":5}"#),
            400,
            &["InvalidBody"],
        ),
        (
            with_body("PUT Customers('ALFKI')/City", r#"{"City":"X"}"#),
            400,
            &[],
        ),
        (
            with_body(
                "PUT Customers('ALFKI')/City\nIf-Match: W/\"0000000000000000\"",
                r#"{"value":"X"}"#,
            ),
            412,
            &[],
        ),
        (
            with_body("POST Customers('ALFKI')/City", r#"{"value":"X"}"#),
            405,
            &["allow: GET, HEAD, PUT, PATCH, DELETE\n"],
        ),
    ] {
        lab.check(&request, status, texts).await;
    }
}

#[tokio::test]
async fn requirement_91_deleting_reaches_the_rounds() {
    let lab = Lab::new().await;
    let items = lab
        .send("GET Items\nPrefer: track-changes")
        .await
        .link("deltaLink");
    for (request, status, texts) in [
        ("DELETE Customers('ALFKI')", 409, &["StillReferenced"][..]),
        (
            "DELETE Orders(1)\nIf-Match: W/\"0000000000000000\"",
            412,
            &[],
        ),
        ("DELETE Orders(1)", 204, &[]),
        ("DELETE Orders(1)", 404, &[]),
        ("DELETE Orders(99)", 404, &[]),
        ("DELETE Customers('CHOPS')", 204, &[]),
        ("DELETE Orders(3)/Customer", 409, &[]),
    ] {
        lab.check(request, status, texts).await;
    }
    // The database cascades.
    let round = lab.check(&format!("GET {items}"), 200, &["deleted"]).await;
    assert_eq!(round.items().len(), 2);
}

#[tokio::test]
async fn the_operator_decides_what_can_be_written() {
    let mut settings = Settings::default();
    settings.tables.insert(
        "Customers".to_owned(),
        TableSettings {
            filter: Some("Balance ge 0".to_owned()),
            ..TableSettings::default()
        },
    );
    settings.tables.insert(
        "Files".to_owned(),
        TableSettings {
            read_only: true,
            ..TableSettings::default()
        },
    );
    let lab = Lab::with_settings(settings).await;
    for (request, status, texts) in [
        ("GET Customers('CHOPS')".to_owned(), 404, &[][..]),
        (
            with_body("PATCH Customers('CHOPS')\nIf-Match: *", r#"{"Name":"x"}"#),
            404,
            &[],
        ),
        ("DELETE Customers('CHOPS')".to_owned(), 404, &[]),
        (
            with_body("POST Customers", r#"{"Id":"OUT","Name":"x","Balance":-5}"#),
            403,
            &["OutOfScope"],
        ),
        (
            with_body("PATCH Customers('ALFKI')", r#"{"Balance":-5}"#),
            403,
            &["OutOfScope"],
        ),
        (
            with_body("PATCH Customers('ALFKI')", r#"{"Balance":5}"#),
            204,
            &[],
        ),
        (
            with_body(
                "POST Orders",
                r#"{"Customer@odata.bind":"Customers('CHOPS')"}"#,
            ),
            400,
            &["ReferenceConstraint"],
        ),
        (
            with_body("POST Files", r#"{"Id":9}"#),
            405,
            &["allow: GET, HEAD\n"],
        ),
        ("DELETE Files(1)".to_owned(), 405, &["allow: GET, HEAD\n"]),
        (
            with_body("PUT Files(1)/Anything", r#"{"value":"X"}"#),
            405,
            &[],
        ),
    ] {
        lab.check(&request, status, texts).await;
    }
}
