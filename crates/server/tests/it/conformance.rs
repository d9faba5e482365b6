//! Sentences of the standard that were once broken, one by one.

use crate::lab::Lab;

async fn check_all(lab: &Lab, cases: &[(&str, u16, &[&str])]) {
    for (request, status, texts) in cases {
        lab.check(request, *status, texts).await;
    }
}

#[tokio::test]
async fn requirement_60_a_character_set_is_named_to_those_who_name_it() {
    let lab = Lab::new().await;
    let value = "GET Customers('ALFKI')/Name/$value";
    let plain = "content-type: text/plain\n";
    let named = "content-type: text/plain;charset=utf-8\n";
    for (accept, expected) in [
        ("", plain),
        ("\nAccept: */*", plain),
        ("\nAccept: text/plain", plain),
        ("\nAccept: application/json;charset=utf-8", plain),
        ("\nAccept: text/plain;charset=utf-8", named),
        ("\nAccept: text/*;charset=UTF-8", named),
    ] {
        lab.check(&format!("{value}{accept}"), 200, &[expected])
            .await;
    }
    lab.check(
        "GET Files(1)/Content/$value\nAccept: */*;charset=utf-8",
        200,
        &["content-type: application/octet-stream\n"],
    )
    .await;
}

/// Protocol 8.2.4: a tag does not match an entity that does not exist.
#[tokio::test]
async fn requirement_79_a_tag_does_not_match_what_does_not_exist() {
    let lab = Lab::new().await;
    let stale = "If-Match: W/\"0000000000000000\"\nContent-Type: application/json";
    let any = "If-Match: *\nContent-Type: application/json";
    let body = r#"{"Name":"x"}"#;
    for (line, header, status) in [
        ("PATCH Customers('NEW')", stale, 412),
        ("PUT Customers('NEW')", stale, 412),
        ("PATCH Customers('NEW')", any, 404),
        ("DELETE Customers('NEW')", stale, 404),
        ("PATCH Orders(4)/Customer", stale, 404),
    ] {
        lab.check(&format!("{line}\n{header}\n\n{body}"), status, &[])
            .await;
    }
    let tagged = r#"{"Name":"x","@etag":"W/\"0000000000000000\""}"#;
    let request = format!("PATCH Customers('NEW')\nContent-Type: application/json\n\n{tagged}");
    lab.check(&request, 412, &[]).await;
    lab.check(
        &format!("PATCH Customers('BOLID')/Orders(99)\n{stale}\n\n{{\"Amount\":1}}"),
        412,
        &[],
    )
    .await;
    lab.check("GET Customers/$count", 200, &["\n3"]).await;
}

/// Protocol 11.4.4: with `If-Match` nothing is inserted, with `If-None-Match: *` nothing is updated.
#[tokio::test]
async fn requirement_79_both_conditions_count() {
    let lab = Lab::new().await;
    let etag = lab
        .send("GET Customers('ALFKI')")
        .await
        .header("etag")
        .to_owned();
    let body = r#"{"Name":"x"}"#;
    for (key, if_match, if_none_match, status) in [
        ("ALFKI", "*", "*", 412),
        ("NEW", "*", "*", 412),
        ("ALFKI", etag.as_str(), "*", 412),
        ("ALFKI", etag.as_str(), etag.as_str(), 412),
        ("ALFKI", etag.as_str(), "W/\"0000000000000000\"", 204),
    ] {
        let request = format!(
            "PATCH Customers('{key}')\nIf-Match: {if_match}\nIf-None-Match: {if_none_match}\nContent-Type: application/json\n\n{body}"
        );
        lab.check(&request, status, &[]).await;
    }
}

/// `If-Match` holds for an answer with related entities too, although a tag cannot vouch for all of it.
#[tokio::test]
async fn requirement_79_reading_with_related_entities() {
    let lab = Lab::new().await;
    let etag = lab
        .send("GET Customers('ALFKI')")
        .await
        .header("etag")
        .to_owned();
    for (header, status) in [
        (format!("If-Match: {etag}"), 200),
        ("If-Match: W/\"0000000000000000\"".to_owned(), 412),
        (format!("If-None-Match: {etag}"), 200),
    ] {
        let request = format!("GET Customers('ALFKI')?$expand=Orders\n{header}");
        lab.check(&request, status, &["!\netag: "]).await;
    }
}

#[tokio::test]
async fn requirement_83_an_id_that_would_be_ignored_is_refused() {
    let lab = Lab::new().await;
    let refused = &["QueryOptionNotAllowed", "\"target\":\"$id\""][..];
    check_all(
        &lab,
        &[
            ("GET Customers?$id=Customers('ALFKI')", 400, refused),
            ("GET Customers('ALFKI')?$id=Orders(1)", 400, refused),
            ("GET Customers/$count?id=1", 400, refused),
            ("GET Orders(1)/Customer/$ref?$id=Orders(1)", 400, refused),
            ("GET Customers('ALFKI')/Name?$id=Orders(1)", 400, refused),
            ("GET $entity?$id=Orders(1)", 200, &["\"Id\":1"]),
        ],
    )
    .await;
}

/// What the pages show of other sets is not of the state in which they began.
#[tokio::test]
async fn requirement_70_isolation_is_refused_where_it_cannot_be_kept() {
    let lab = Lab::new().await;
    let isolated = "Isolation: snapshot";
    for (target, status) in [
        ("Customers", 200),
        ("Customers?$top=2&$skip=1", 200),
        ("Customers('ALFKI')/Orders?$orderby=Amount", 200),
        ("Customers?$expand=Orders", 412),
        ("Customers?$filter=Orders/any()", 412),
        ("Orders?$orderby=Customer/Name", 412),
        ("Cities", 412),
    ] {
        lab.check(&format!("GET {target}\n{isolated}"), status, &[])
            .await;
    }
}

/// JSON Format 4.5.3.
#[tokio::test]
async fn full_metadata_names_every_type_that_json_does_not_show() {
    let lab = Lab::new().await;
    let full = "Accept: application/json;metadata=full";
    for (target, text) in [
        (
            "Customers('ALFKI')",
            r#""Balance@type":"Decimal","Balance":10.5"#,
        ),
        (
            "Customers('ALFKI')/Balance",
            r#""@type":"Decimal","value":10.5"#,
        ),
        ("Orders(1)", r#""Amount":10.5"#),
        ("Orders(1)", r#"!Amount@type"#),
        ("Orders(1)/Id", r#""@type":"Int64","value":1"#),
    ] {
        lab.check(&format!("GET {target}\n{full}"), 200, &[text])
            .await;
    }
}

/// Protocol 13.2.1, number 9: duration literals without prefix, positions from the end.
#[tokio::test]
async fn literals_and_functions_as_4_01_has_them() {
    let lab = Lab::with(
        highwater_server::Settings::default(),
        "CREATE TABLE Days (Id INTEGER PRIMARY KEY, Day DATETIME, Name TEXT);
         INSERT INTO Days VALUES (1, '2024-02-28 00:00:00', 'Wednesday');",
    )
    .await;
    for filter in [
        "Day add 'P1D' eq 2024-02-29T00:00:00Z",
        "Day add duration'P1D' eq 2024-02-29T00:00:00Z",
        "Day sub 2024-02-27T00:00:00Z eq 'P1D'",
        "'PT12H' mul 2 eq duration'P1D'",
        "totalseconds('PT1M') eq 60",
        "substring(Name,-3) eq 'day'",
        "substring(Name,-3,2) eq 'da'",
        "substring(Name,-30) eq Name",
        "cast('1',Edm.Int64) eq Id and cast('2024-02-28',Edm.Date) eq date(Day)",
    ] {
        let request = format!("GET Days/$count?$filter={filter}\nOData-MaxVersion: 4.0");
        lab.check(&request, 200, &["\n1"]).await;
    }
}

/// URL Conventions 4.3.4: key properties that refer to the entity in front may be left out.
#[tokio::test]
async fn keys_that_the_path_implies() {
    let lab = Lab::new().await;
    let milk = &[r#""OrderId":1,"Line":2,"Product":"Milk""#][..];
    check_all(
        &lab,
        &[
            ("GET Orders(1)/Items(2)", 200, milk),
            ("GET Orders(1)/Items(Line=2)", 200, milk),
            ("GET Orders(1)/Items(OrderId=1,Line=2)", 200, milk),
            ("GET Customers('ALFKI')/Orders(1)/Items(2)", 200, milk),
            ("GET Orders(1)/Items(2)/Product/$value", 200, &["\nMilk"]),
            ("GET Orders(1)/Items(OrderId=3,Line=1)", 404, &[]),
            ("GET Orders(1)/Items(9)", 404, &[]),
            ("GET Orders(1)/Items(OrderId=1)", 400, &["InvalidUrl"]),
            ("GET Orders(1)/Items(Line=2,Line=2)", 400, &["InvalidUrl"]),
            ("GET Items(2)", 400, &["InvalidUrl"]),
            ("GET Items(Line=2)", 400, &["InvalidUrl"]),
            ("DELETE Orders(1)/Items(2)", 204, &[]),
            ("GET Orders(1)/Items/$count", 200, &["\n1"]),
        ],
    )
    .await;
}
