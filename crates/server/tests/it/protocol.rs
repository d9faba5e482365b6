//! Versions, negotiation, methods, errors: what does not depend on the resource.

use crate::lab::Lab;
use highwater_server::Settings;

#[tokio::test]
async fn roots() {
    let lab = Lab::new().await;
    for (request, status, texts) in [
        ("GET /", 200, &["/odata/"][..]),
        ("POST /", 405, &["allow: GET, HEAD\n"]),
        ("GET /health", 200, &[r#"{"status":"ok"}"#]),
        ("GET /elsewhere", 404, &["/odata/"]),
        ("GET /odatax", 404, &[]),
        (
            "GET /odata",
            200,
            &[r##"{"@context":"http://h/odata/$metadata","value":["##],
        ),
        (
            "GET /odata/",
            200,
            &[
                r#"{"name":"Customers","kind":"EntitySet","url":"Customers"}"#,
                r#"{"name":"Cities","kind":"FunctionImport","url":"Cities"}"#,
            ],
        ),
        ("GET ?$top=1", 400, &["QueryOptionNotAllowed"]),
        (
            "GET $metadata",
            200,
            &[
                "content-type: application/xml\n",
                "Version=\"4.01\"",
                "etag: W/\"",
            ],
        ),
        (
            "GET $metadata\nOData-MaxVersion: 4.0",
            200,
            &["Version=\"4.0\"", "odata-version: 4.0\n"],
        ),
        (
            "GET $metadata?$format=json",
            200,
            &["content-type: application/json\n", "\"$Version\":\"4.01\""],
        ),
        (
            "GET $metadata\nAccept: application/json",
            200,
            &["\"$Version\""],
        ),
        ("GET $metadata\nAccept: text/html", 406, &["NotAcceptable"]),
        ("GET $metadata?$schemaversion=*", 200, &[]),
        (
            "GET $metadata?$schemaversion=7",
            404,
            &["\"target\":\"$schemaversion\""],
        ),
        ("GET Customers?$schemaversion=7", 404, &[]),
        ("GET Customers?$schemaversion=*", 200, &[]),
        ("DELETE $metadata", 405, &["allow: GET, HEAD\n"]),
        ("POST $batch\n\n{}", 501, &["NotImplemented"]),
        ("GET $all", 501, &[]),
        ("GET $crossjoin(Customers,Orders)", 501, &[]),
    ] {
        lab.check(request, status, texts).await;
    }
    let etag = lab.send("GET $metadata").await.header("etag").to_owned();
    lab.check(&format!("GET $metadata\nIf-None-Match: {etag}"), 304, &[])
        .await;
}

#[tokio::test]
async fn requirements_56_to_62_and_81_to_84_whatever_is_asked() {
    let lab = Lab::new().await;
    let error = "{\"error\":{\"code\":\"";
    for (request, status, texts) in [
        (
            "GET Customers\nOData-MaxVersion: 3.0",
            400,
            &[
                error,
                "UnsupportedVersion",
                "odata-version: 4.01\n",
                "content-language: en\n",
            ][..],
        ),
        (
            "GET Customers\nOData-MaxVersion: x",
            400,
            &["InvalidHeader"],
        ),
        (
            "GET Customers\nOData-Version: 5.0",
            400,
            &["UnsupportedVersion"],
        ),
        (
            "GET Customers\nOData-MaxVersion: 06.2831852000",
            200,
            &["odata-version: 4.01\n"],
        ),
        (
            "GET Nothing\nOData-MaxVersion: 4.0",
            404,
            &["odata-version: 4.0\n"],
        ),
        (
            "GET Customers\nAccept: application/xml",
            406,
            &["NotAcceptable", "\"target\":\"Accept\""],
        ),
        ("GET Customers\nAccept: application/json;foo=bar", 406, &[]),
        (
            "GET Customers?$format=json\nAccept: application/xml",
            200,
            &[],
        ),
        (
            "GET Customers?$format=application/json;metadata=full",
            200,
            &["metadata=full"],
        ),
        (
            "GET Customers?$format=atom",
            406,
            &["\"target\":\"$format\""],
        ),
        (
            "GET Customers\nAccept: application/json;charset=utf-8",
            200,
            &["metadata=minimal;charset=utf-8\n"],
        ),
        (
            "GET Customers\nAccept: application/json;odata.streaming=true",
            200,
            &["metadata=minimal;streaming=true\n"],
        ),
        ("GET Customers?$unknown=1", 400, &["$unknown"]),
        ("GET Customers?unknown=1", 400, &["UnknownQueryOption"]),
        (
            "GET Customers?$apply=aggregate($count as C)",
            501,
            &["NotImplemented"],
        ),
        ("GET Customers?$compute=1 add 1 as X", 501, &[]),
        ("GET Customers?$top=-1", 400, &[error]),
        ("GET Customers?$top=1&$top=2", 400, &[error]),
        ("GET Customers?$filter=", 400, &[error]),
        ("GET Customers?$filter=Name eq 'x", 400, &["position"]),
        ("GET Customers?$filter=Name eq 5", 400, &["TypeMismatch"]),
        ("GET Customers?$filter=Name eq '%ff'", 400, &[error]),
        ("GET Customers?$filter=Name eq '%zz'", 400, &[error]),
        ("GET Customers(%27ALFKI%27)", 200, &[]),
        ("GET Customers\nIsolation: snapshot", 200, &[]),
        (
            "GET Cities\nIsolation: snapshot",
            412,
            &["IsolationNotSupported"],
        ),
        ("GET Cities\nOData-Isolation: snapshot", 412, &[]),
        ("GET Customers\nIsolation: serializable", 412, &[]),
        (
            "GET Customers\nPrefer: respond-async, wait=10",
            200,
            &["!preference-applied"],
        ),
        ("OPTIONS Customers", 405, &["allow: GET, HEAD, POST\n"]),
        (
            "TRACE Customers('ALFKI')",
            405,
            &["allow: GET, HEAD, PATCH, PUT, DELETE\n"],
        ),
        (
            "POST Cities\nContent-Type: application/json\n\n{}",
            405,
            &["allow: GET, HEAD\n"],
        ),
        ("POST Customers/$count", 405, &["allow: GET, HEAD\n"]),
    ] {
        lab.check(request, status, texts).await;
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let lab = Lab::new().await;
    for target in [
        "Customers",
        "Customers('ALFKI')",
        "Customers('ALFKI')/Name",
        "Customers('ALFKI')/Name/$value",
        "Customers/$count",
        "Customers/$ref",
        "$metadata",
        "",
        "Nothing",
        "/",
        "/health",
    ] {
        let get = lab.send(&format!("GET {target}")).await;
        let head = lab.send(&format!("HEAD {target}")).await;
        assert_eq!(
            (head.status, &head.headers),
            (get.status, &get.headers),
            "{target}"
        );
        assert!(head.body.is_empty(), "{target}");
        assert!(!get.body.is_empty(), "{target}");
    }
}

#[tokio::test]
async fn large_answers_are_compressed_for_those_who_want_it() {
    let lab = Lab::new().await;
    let plain = lab.send("GET $metadata").await;
    let packed = lab.send("GET $metadata\nAccept-Encoding: gzip").await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert_eq!(packed.header("etag"), plain.header("etag"));
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(
        &mut flate2::read::GzDecoder::new(&packed.body[..]),
        &mut unpacked,
    )
    .unwrap();
    assert_eq!(unpacked, plain.body);
    let small = lab
        .send("GET Customers/$count\nAccept-Encoding: gzip")
        .await;
    assert_eq!(small.header("content-encoding"), "");
}

#[tokio::test]
async fn sizes_are_limited() {
    let mut settings = Settings::default();
    settings.limits.url_max_bytes = 1000;
    settings.limits.body_max_bytes = 2000;
    let lab = Lab::with_settings(settings).await;
    let long = "x".repeat(1000);
    lab.check(
        &format!("GET Customers?$filter=Name eq '{long}'"),
        414,
        &["UrlTooLong", "$query"],
    )
    .await;
    let body =
        format!("POST Customers/$query\nContent-Type: text/plain\n\n$filter=Name eq '{long}'");
    lab.check(&body, 200, &["\"value\":[]"]).await;
    let longer = "x".repeat(2000);
    let body =
        format!("POST Customers/$query\nContent-Type: text/plain\n\n$filter=Name eq '{longer}'");
    lab.check(&body, 413, &["BodyTooLarge"]).await;
    let nested = format!("{}true{}", "(".repeat(900), ")".repeat(900));
    let body = format!("POST Customers/$query\nContent-Type: text/plain\n\n$filter={nested}");
    lab.check(&body, 400, &["ExpressionTooComplex"]).await;
}

#[tokio::test]
async fn the_public_url_is_what_links_begin_with() {
    let settings = Settings {
        public_url: Some("https://example.com/data".to_owned()),
        ..Settings::default()
    };
    let lab = Lab::with_settings(settings).await;
    let context = r##""@context":"https://example.com/data/$metadata#Customers""##;
    lab.check("GET Customers", 200, &[context]).await;
    lab.check(
        "GET Customers\nPrefer: maxpagesize=1",
        200,
        &["\"@nextLink\":\"https://example.com/data/Customers?$skiptoken="],
    )
    .await;
}
