//! Databases that are locked, away, damaged or read-only: a clear answer, and recovery without a restart.

use highwater_server::Settings;

use crate::lab::Lab;

const NEW_CUSTOMER: &str =
    "POST Customers\nContent-Type: application/json\n\n{\"Id\":\"NEW\",\"Name\":\"N\"}";

#[tokio::test]
async fn a_locked_database_is_503_until_it_is_free() {
    let lab = Lab::new().await;
    let other = rusqlite::Connection::open(&lab.file).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    lab.check(NEW_CUSTOMER, 503, &["Busy", "retry-after: ", "!.sqlite"])
        .await;
    // Readers do not wait for writers.
    lab.check("GET Customers/$count", 200, &["\n\n3"]).await;
    other.execute_batch("ROLLBACK").unwrap();
    lab.check(NEW_CUSTOMER, 201, &[]).await;
}

#[tokio::test]
async fn a_database_that_is_away_or_damaged_is_an_error_until_it_is_back() {
    let lab = Lab::new().await;
    let delta = lab
        .send("GET Customers\nPrefer: track-changes")
        .await
        .link("deltaLink");
    lab.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let away = lab.file.with_extension("away");
    std::fs::rename(&lab.file, &away).unwrap();
    lab.check(
        "GET Customers",
        503,
        &["Unavailable", "retry-after: ", "!.sqlite"],
    )
    .await;
    lab.check("GET /health", 503, &["Unavailable"]).await;
    std::fs::write(
        &lab.file,
        "this is no database, but long enough to be looked at".repeat(100),
    )
    .unwrap();
    lab.check(
        "GET Customers",
        500,
        &["DatabaseDamaged", "!SELECT", "!.sqlite"],
    )
    .await;
    std::fs::rename(&away, &lab.file).unwrap();
    lab.check("GET Customers", 200, &["ALFKI"]).await;
    lab.check(&format!("GET {delta}"), 200, &["\"value\":[]"])
        .await;
    lab.check("GET /health", 200, &[]).await;
}

#[tokio::test]
async fn a_copy_in_the_place_of_the_file_is_the_same_database() {
    let lab = Lab::new().await;
    let delta = lab
        .send("GET Customers\nPrefer: track-changes")
        .await
        .link("deltaLink");
    lab.sql(
        "UPDATE Customers SET City = 'Rome' WHERE Id = 'ALFKI'; PRAGMA wal_checkpoint(TRUNCATE)",
    );
    let copy = lab.file.with_extension("copy");
    std::fs::copy(&lab.file, &copy).unwrap();
    std::fs::rename(&copy, &lab.file).unwrap();
    lab.check("GET Customers", 200, &["Rome"]).await;
    lab.check(&format!("GET {delta}"), 200, &["Rome", "!BOLID"])
        .await;
    lab.check("GET /health", 200, &[]).await;
}

/// Another process untracks everything and tracks it anew. Its links are good at once, whatever this process knew before.
#[tokio::test]
async fn a_link_of_another_process_is_good_after_tracking_began_anew() {
    let mut lab = Lab::new().await;
    lab.check("GET Customers", 200, &[]).await;
    let first = lab.service().clone();
    let mut other = rusqlite::Connection::open(&lab.file).unwrap();
    highwater_sqlite::tracking::untrack(&mut other, None).unwrap();
    lab.restart().await;
    let delta = lab
        .send("GET Customers\nPrefer: track-changes")
        .await
        .link("deltaLink");
    lab.sql("UPDATE Customers SET City = 'Rome' WHERE Id = 'ALFKI'");
    lab.use_service(first);
    lab.check(&format!("GET {delta}"), 200, &["Rome", "!BOLID"])
        .await;
}

#[tokio::test]
async fn what_the_database_cannot_compute_is_the_mistake_of_whoever_asks() {
    let columns: Vec<String> = (0..200).map(|n| format!("c{n} TEXT")).collect();
    let schema = format!(
        "CREATE TABLE Wide (Id INTEGER PRIMARY KEY, {});
         CREATE TABLE Tree (Id INTEGER PRIMARY KEY, Up INTEGER REFERENCES Tree(Id));",
        columns.join(", ")
    );
    let lab = Lab::with(Settings::default(), &schema).await;
    let words: Vec<String> = (0..200).map(|n| format!("w{n}")).collect();
    let metadata = lab.send("GET $metadata").await.text();
    let many = metadata
        .split("NavigationProperty Name=\"")
        .find(|text| text.contains("Type=\"Collection("))
        .and_then(|text| text.split('"').next())
        .unwrap();
    let mut nested = "Id eq 1".to_owned();
    for _ in 0..30 {
        nested = format!("x/{many}/any(x:{nested})");
    }
    let nested = nested.replacen("x/", "", 1);
    for (request, code) in [
        (
            format!("GET Wide?$search={}", words.join(" ")),
            "ExpressionTooComplex",
        ),
        (format!("GET Tree?$filter={nested}"), "ExpressionTooComplex"),
        (
            "GET Wide?$filter=matchesPattern(c1,'(')".to_owned(),
            "InvalidLiteral",
        ),
    ] {
        lab.check(&request, 400, &[code, "!retry-after"]).await;
    }
}
