//! Sets, entities, properties, relations.

use crate::lab::Lab;

#[tokio::test]
async fn collections() {
    let lab = Lab::new().await;
    let minimal = "content-type: application/json;metadata=minimal\n";
    for (request, status, texts) in [
        (
            "GET Customers",
            200,
            &[
                minimal,
                "odata-version: 4.01\n",
                "vary: Accept, Accept-Encoding, OData-MaxVersion, Prefer\n",
                r#"{"@context":"http://h/odata/$metadata#Customers","value":[{"@etag":"W/"#,
                r#""Id":"ALFKI","Name":"Alfreds","City":"Berlin","Balance":10.5}"#,
                r#""Id":"CHOPS","Name":"Chop-suey","City":null,"Balance":-1"#,
                "!Link",
            ][..],
        ),
        (
            "GET Customers\nOData-MaxVersion: 4.0",
            200,
            &[
                "content-type: application/json;odata.metadata=minimal\n",
                "odata-version: 4.0\n",
                r#"{"@odata.context":"http://h/odata/$metadata#Customers""#,
            ],
        ),
        (
            "GET Customers?$select=Name&$filter=City eq 'Berlin'",
            200,
            &[
                r##"#Customers(Name)","value":[{"@id":"Customers('ALFKI')","@etag":"##,
                r#""Name":"Alfreds"}]}"#,
            ],
        ),
        (
            "GET Customers?select=Name&orderby=Name desc&top=1",
            200,
            &[r#""Name":"Chop-suey"}]}"#],
        ),
        (
            "GET Customers?$count=true&$skip=2",
            200,
            &[r#""@count":3,"value":[{"@etag""#],
        ),
        (
            "GET Customers?$expand=Orders($select=Number;$orderby=Id desc)&$top=1",
            200,
            &[
                r##"#Customers(Orders(Number))""##,
                r#""Orders":[{"@id":"Orders(2)","@etag":"#,
                r#""Number":"A-1"}]"#,
            ],
        ),
        (
            "GET Customers\nAccept: application/json;metadata=none",
            200,
            &[r#"{"value":[{"Id":"ALFKI""#, "!etag\":"],
        ),
        (
            "GET Customers('ALFKI')/Orders?$filter=Amount gt 1",
            200,
            &[
                r##"$metadata#Orders","value":[{"##,
                r#""Id":1"#,
                r#"!"Id":2"#,
            ],
        ),
        ("GET Customers('NOBODY')/Orders", 404, &["NotFound"]),
        (
            "GET Customers/$count",
            200,
            &["content-type: text/plain\n", "\n\n3"],
        ),
        ("GET Customers/$count?$filter=City ne null", 200, &["\n\n2"]),
        ("GET Customers('ALFKI')/Orders/$count", 200, &["\n\n2"]),
        (
            "GET Customers/$ref",
            200,
            &[r#"$metadata#Collection($ref)","value":[{"@id":"Customers('ALFKI')"},"#],
        ),
        (
            "GET Customers('ALFKI')/Orders/$ref",
            200,
            &[r#"[{"@id":"Orders(1)"},{"@id":"Orders(2)"}]"#],
        ),
        (
            "GET Cities",
            200,
            &[
                "Collection(Highwater.CitiesRow)",
                r#"{"City":"Berlin","Inhabitants@type":"Int64","Inhabitants":1}"#,
            ],
        ),
        ("GET Cities()", 200, &[r#""City":"Berlin""#]),
        (
            "GET Cities?$filter=City eq 'Madrid'",
            200,
            &["!Berlin", "Madrid"],
        ),
        (
            "POST Customers/$query\nContent-Type: text/plain\n\n$filter=City%20eq%20'Berlin'&$select=Id",
            200,
            &[r#""Id":"ALFKI"}]}"#],
        ),
        ("GET Customers/$query", 405, &["allow: POST\n"]),
        (
            "POST Customers/$query\nContent-Type: application/json\n\n{}",
            415,
            &["UnsupportedMediaType"],
        ),
        (
            "GET Customers\nPrefer: omit-values=nulls",
            200,
            &["preference-applied: omit-values=nulls\n", "!:null"],
        ),
    ] {
        lab.check(request, status, texts).await;
    }
}

#[tokio::test]
async fn entities() {
    let lab = Lab::new().await;
    for (request, status, texts) in [
        (
            "GET Customers('ALFKI')",
            200,
            &[
                "etag: W/\"",
                r##"{"@context":"http://h/odata/$metadata#Customers/$entity","@etag":"W/"##,
                r#""Id":"ALFKI","Name":"Alfreds","City":"Berlin","Balance":10.5}"#,
            ][..],
        ),
        ("GET Customers(Id='ALFKI')", 200, &["Alfreds"]),
        ("GET Customers/ALFKI", 200, &["Alfreds"]),
        (
            "GET Items(OrderId=1,Line=2)",
            200,
            &["Milk", r#""Twice":2"#],
        ),
        ("GET Items(Line=2,OrderId=1)", 200, &["Milk"]),
        ("GET Items(1)", 400, &["OrderId=value,Line=value"]),
        (
            "GET Orders('1')",
            400,
            &["Numbers are written without quotes"],
        ),
        ("GET Customers('NOBODY')", 404, &["NotFound"]),
        ("GET Custoomers", 404, &["Did you mean Customers?"]),
        (
            "GET Customers?$filter=Nmae eq 'x'",
            400,
            &[
                "UnknownProperty",
                "Did you mean Name?",
                "\"target\":\"$filter\"",
            ],
        ),
        (
            "GET Orders(1)/Customer",
            200,
            &[r##"#Customers/$entity""##, "Alfreds"],
        ),
        ("GET Orders(4)/Customer", 204, &[]),
        ("GET Orders(99)/Customer", 404, &[]),
        (
            "GET Orders(1)/Customer/Name",
            200,
            &[r##"#Customers('ALFKI')/Name","value":"Alfreds"}"##],
        ),
        (
            "GET Orders(1)?$expand=Customer($select=Name),Items",
            200,
            &[r#""Customer":{"@id":"Customers('ALFKI')""#, r#""Items":[{"#],
        ),
        (
            "GET Orders(4)?$expand=Customer",
            200,
            &[r#""Customer":null"#],
        ),
        ("GET Customers('ALFKI')/Orders(2)", 200, &["A-2"]),
        ("GET Customers('ALFKI')/Orders(3)", 404, &[]),
        (
            "GET Customers('ALFKI')/$ref",
            200,
            &[r##"$metadata#$ref","@id":"Customers('ALFKI')"}"##],
        ),
        (
            "GET Orders(1)/Customer/$ref",
            200,
            &[r#""@id":"Customers('ALFKI')"}"#],
        ),
        ("GET $entity?$id=Customers('ALFKI')", 200, &["Alfreds"]),
        (
            "GET $entity?$id=http://h/odata/Customers('ALFKI')&$select=Name",
            200,
            &["Alfreds", "!Berlin"],
        ),
        (
            "GET $entity?$id=http://elsewhere/Customers('ALFKI')",
            400,
            &["\"target\":\"$id\""],
        ),
        ("GET $entity", 400, &["$id"]),
        (
            "GET Customers('ALFKI')\nAccept: application/json;odata.metadata=full",
            200,
            &[
                r##""@type":"#Highwater.Customers""##,
                r#""@id":"Customers('ALFKI')""#,
                r#""@editLink":"Customers('ALFKI')""#,
                r#""Orders@navigationLink":"Customers('ALFKI')/Orders""#,
            ],
        ),
        (
            "GET Customers('ALFKI')\nAccept: application/json;IEEE754Compatible=true",
            200,
            &[r#""Balance":"10.5""#, ";IEEE754Compatible=true"],
        ),
    ] {
        lab.check(request, status, texts).await;
    }
}

#[tokio::test]
async fn properties() {
    let lab = Lab::new().await;
    for (request, status, texts) in [
        (
            "GET Customers('ALFKI')/Name",
            200,
            &[
                "etag: W/\"",
                r##"{"@context":"http://h/odata/$metadata#Customers('ALFKI')/Name","value":"Alfreds"}"##,
            ][..],
        ),
        ("GET Customers('CHOPS')/City", 204, &[]),
        ("GET Customers('CHOPS')/City/$value", 204, &[]),
        (
            "GET Customers('ALFKI')/City/$value",
            200,
            &["content-type: text/plain", "\n\nBerlin"],
        ),
        (
            "GET Customers('ALFKI')/City/$value\nAccept: application/json",
            200,
            &["\n\nBerlin"],
        ),
        ("GET Customers('ALFKI')/Balance/$value", 200, &["\n\n10.5"]),
        (
            "GET Files(1)/Content/$value",
            200,
            &["content-type: application/octet-stream"],
        ),
        ("GET Files(1)/Content", 200, &[r#""value":"AP8"#]),
        ("GET Files(1)/Anything", 200, &[r#""value":"text""#]),
        ("GET Customers('ALFKI')/Nme", 404, &["Did you mean Name?"]),
        ("GET Customers('NOBODY')/Name", 404, &[]),
        (
            "GET Customers('ALFKI')/Name?$filter=true",
            400,
            &["QueryOptionNotAllowed"],
        ),
        ("GET Customers('ALFKI')/Name/Length", 404, &[]),
    ] {
        lab.check(request, status, texts).await;
    }
}

#[tokio::test]
async fn requirement_79_conditional_reading() {
    let lab = Lab::new().await;
    let etag = lab
        .send("GET Customers('ALFKI')")
        .await
        .header("etag")
        .to_owned();
    for (target, header, status) in [
        ("Customers('ALFKI')", format!("If-None-Match: {etag}"), 304),
        ("Customers('ALFKI')", "If-None-Match: *".to_owned(), 304),
        (
            "Customers('ALFKI')",
            "If-None-Match: W/\"0\"".to_owned(),
            200,
        ),
        ("Customers('ALFKI')", format!("If-Match: {etag}"), 200),
        ("Customers('ALFKI')", "If-Match: W/\"0\"".to_owned(), 412),
        ("Customers('ALFKI')", "If-Match: nonsense".to_owned(), 400),
        (
            "Customers('ALFKI')/Name",
            format!("If-None-Match: {etag}"),
            304,
        ),
        (
            "Customers('ALFKI')/Name/$value",
            format!("If-None-Match: {etag}"),
            304,
        ),
        // The tag cannot vouch for what is expanded.
        (
            "Customers('ALFKI')?$expand=Orders",
            format!("If-None-Match: {etag}"),
            200,
        ),
        // It is the tag of the whole entity, whatever is selected.
        (
            "Customers('ALFKI')?$select=City",
            format!("If-None-Match: {etag}"),
            304,
        ),
    ] {
        let reply = lab
            .check(&format!("GET {target}\n{header}"), status, &[])
            .await;
        if status == 304 {
            assert_eq!(reply.header("etag"), etag);
            assert!(reply.body.is_empty());
        }
    }
    lab.sql("UPDATE Customers SET City = 'Bonn' WHERE Id = 'ALFKI'");
    let request = format!("GET Customers('ALFKI')?$select=Name\nIf-None-Match: {etag}");
    lab.check(&request, 200, &[]).await;
}

#[tokio::test]
async fn nested_collections_are_cut_and_can_be_read_on() {
    let lab = Lab::new().await;
    for request in [
        "GET Customers?$filter=Id eq 'ALFKI'&$expand=Orders($select=Id;$filter=Id gt 0)\nPrefer: maxpagesize=1",
        "GET Customers('ALFKI')?$expand=Orders($select=Id;$filter=Id gt 0)\nPrefer: maxpagesize=1",
    ] {
        let reply = lab.check(request, 200, &[]).await;
        let json = reply.json();
        let parent = match json.get("value") {
            Some(value) => value[0].clone(),
            None => json,
        };
        let link = parent["Orders@nextLink"].as_str().unwrap().to_owned();
        assert_eq!(
            link,
            "http://h/odata/Customers('ALFKI')/Orders?$filter=(Id%20gt%200)&$select=Id&$skip=1"
        );
        lab.check(&format!("GET {link}"), 200, &[r#""Id":2"#, r#"!"Id":1"#])
            .await;
    }
}
