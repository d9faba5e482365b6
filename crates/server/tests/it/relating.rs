//! Related entities: written together, bound to each other, and taken apart.

use crate::lab::Lab;
use crate::writing::with_body;

#[tokio::test]
async fn requirement_87_deep_inserts_and_relations() {
    let lab = Lab::new().await;
    for (line, body, status, texts) in [
        // Both directions, three levels, keys from the database.
        (
            "POST Customers",
            r#"{"Id":"DEEP","Name":"D","Orders":[{"Amount":1,"Items":[{"Line":1,"Product":"A"},{"Line":2,"Product":"B"}]},{"Amount":2}]}"#,
            201,
            &[
                r##"#Customers(Orders(Items()))/$entity"##,
                r#""CustomerId":"DEEP","Amount":1"#,
                r#""Product":"B""#,
            ][..],
        ),
        (
            "POST Orders\nOData-Version: 4.0",
            r#"{"Id":50,"Customer":{"Id":"INNER","Name":"I"}}"#,
            201,
            &[r#""CustomerId":"INNER""#, r#""Customer":{"#],
        ),
        // All or nothing.
        (
            "POST Customers",
            r#"{"Id":"HALF","Name":"H","Orders":[{"Id":51},{"Number":"A-1"}]}"#,
            409,
            &["UniqueConstraint"],
        ),
        ("GET Customers('HALF')", "", 404, &[]),
        ("GET Orders(51)", "", 404, &[]),
        // Existing entities by reference, in the forms of both versions.
        (
            "POST Orders",
            r#"{"Id":60,"Customer@odata.bind":"Customers('BOLID')"}"#,
            201,
            &[r#""CustomerId":"BOLID""#],
        ),
        (
            "POST Orders",
            r#"{"Id":61,"Customer":{"@id":"http://h/odata/Customers('BOLID')"}}"#,
            201,
            &[r#""CustomerId":"BOLID""#],
        ),
        (
            "POST Orders",
            r#"{"Id":62,"Customer@odata.bind":"Customers('NOBODY')"}"#,
            400,
            &["ReferenceConstraint"],
        ),
        (
            "POST Orders",
            r#"{"Id":62,"Customer@odata.bind":"Orders(1)"}"#,
            400,
            &["entities of Customers"],
        ),
        (
            "POST Orders",
            r#"{"Id":62,"Customer@odata.bind":"http://elsewhere/Customers('BOLID')"}"#,
            400,
            &["InvalidUrl"],
        ),
        (
            "POST Customers",
            r#"{"Id":"TAKER","Name":"T","Orders@odata.bind":["Orders(3)","Orders(4)"]}"#,
            201,
            &[],
        ),
        ("GET Customers('TAKER')/Orders/$count", "", 200, &["\n\n2"]),
        (
            "PATCH Orders(1)",
            r#"{"Customer@odata.bind":"Customers('TAKER')"}"#,
            204,
            &[],
        ),
        (
            "PATCH Orders(2)",
            r#"{"Customer":{"@id":"Customers('TAKER')"}}"#,
            204,
            &[],
        ),
        ("GET Customers('TAKER')/Orders/$count", "", 200, &["\n\n4"]),
        ("PATCH Orders(2)", r#"{"Customer":null}"#, 204, &[]),
        ("GET Orders(2)/Customer", "", 204, &[]),
        (
            "PATCH Orders(2)",
            r#"{"Customer":{"Name":"deep"}}"#,
            501,
            &["NotImplemented"],
        ),
        ("PATCH Customers('TAKER')", r#"{"Orders":[]}"#, 501, &[]),
        // $ref
        (
            "POST Customers('ALFKI')/Orders/$ref",
            r#"{"@odata.id":"Orders(2)"}"#,
            204,
            &[],
        ),
        (
            "POST Customers('ALFKI')/Orders/$ref",
            r#"{"@odata.id":"Orders(2)"}"#,
            204,
            &[],
        ),
        ("GET Orders(2)/Customer/Id/$value", "", 200, &["\n\nALFKI"]),
        (
            "DELETE Customers('ALFKI')/Orders/$ref?$id=Orders(2)",
            "",
            204,
            &[],
        ),
        (
            "DELETE Customers('ALFKI')/Orders/$ref?$id=Orders(2)",
            "",
            404,
            &[],
        ),
        (
            "PUT Orders(2)/Customer/$ref",
            r#"{"@id":"Customers('ALFKI')"}"#,
            204,
            &[],
        ),
        ("DELETE Customers('ALFKI')/Orders(2)/$ref", "", 204, &[]),
        (
            "PUT Orders(2)/Customer/$ref",
            r#"{"@id":"Customers('ALFKI')"}"#,
            204,
            &[],
        ),
        ("DELETE Orders(2)/Customer/$ref", "", 204, &[]),
        ("DELETE Orders(2)/Customer/$ref", "", 204, &[]),
        ("GET Orders(2)/Customer", "", 204, &[]),
        ("DELETE Customers('ALFKI')/Orders/$ref", "", 204, &[]),
        // A relation that is part of a key cannot end.
        (
            "DELETE Orders(1)/Items(OrderId=1,Line=1)/$ref",
            "",
            400,
            &["RequiredValue"],
        ),
        ("POST Customers/$ref", "{}", 405, &["allow: GET, HEAD\n"]),
        ("PUT Orders(2)/Customer/$ref", "{}", 400, &["InvalidBody"]),
    ] {
        lab.check(&with_body(line, body), status, texts).await;
    }
}
