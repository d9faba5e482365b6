//! Databases that are locked, away, damaged or read-only: a clear answer, and recovery without a restart.

use std::sync::Arc;

use highwater_core::{Error, Gone};
use highwater_server::{Service, Settings};
use highwater_sqlite::{Options, SqliteStore};

use crate::faulty::FaultyStore;
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

/// What a database server can do to a service, and what clients see of it: how long to wait, and no secrets.
#[tokio::test]
async fn a_store_that_fails_is_answered_by_what_a_client_can_do_about_it() {
    let mut lab = Lab::new().await;
    let inner = SqliteStore::open(&lab.file, Options::default())
        .await
        .unwrap();
    let (store, switch) = FaultyStore::new(inner);
    lab.use_service(Service::new(Arc::new(store), Settings::default()));
    let delta = lab
        .send("GET Customers\nPrefer: track-changes")
        .await
        .link("deltaLink");
    let delta = format!("GET {delta}");
    let requests = [
        "GET Customers",
        "GET Customers('ALFKI')?$expand=Orders",
        "GET Customers/$count",
        "DELETE Customers('ALFKI')",
        NEW_CUSTOMER,
        delta.as_str(),
    ];
    for (fault, status, texts) in [
        (
            (|| Error::Unavailable("host db.internal refuses".into())) as fn() -> Error,
            503,
            &["Unavailable", "retry-after: 5", "!db.internal"][..],
        ),
        (
            || Error::Busy("locked by backend 4711".into()),
            503,
            &["Busy", "retry-after: 2", "!4711"],
        ),
        (
            || Error::Full("No space left in /var/lib/postgresql".into()),
            503,
            &["StorageFull", "retry-after: 60", "!/var"],
        ),
        (
            || Error::LimitExceeded("The statement took longer than 60 s.".into()),
            503,
            &["LimitExceeded", "retry-after: 10", "60 s"],
        ),
        (
            || Error::Corrupt("could not read block 5 of base/1".into()),
            500,
            &["DatabaseDamaged", "!retry-after", "!base/1"],
        ),
        (
            || Error::Internal("SELECT secret".into()),
            500,
            &["InternalError", "!retry-after", "!secret"],
        ),
    ] {
        switch.set(Some(fault));
        for request in requests {
            lab.check(request, status, texts).await;
        }
        switch.set(None);
        lab.check(&delta, 200, &["\"value\":[]"]).await;
    }
    // Only what is read of the rows of a link can be gone, and then there is a way on.
    switch.set(Some(|| Error::Gone(Gone::Restored)));
    lab.check(&delta, 410, &["LinkRestored"]).await;
    switch.set(Some(|| Error::SchemaChanged));
    lab.check("GET Customers", 503, &["Unavailable", "retry-after: 5"])
        .await;
    switch.set(None);
    lab.sql("UPDATE Customers SET City = 'Rome' WHERE Id = 'ALFKI'");
    lab.check(&delta, 200, &["Rome", "!BOLID"]).await;
}

/// The page of a skip link never changes, also when another key seals new links meanwhile: caches and other nodes have it too.
#[tokio::test]
async fn the_page_of_a_skip_link_outlives_the_rotation_of_keys() {
    let mut lab = Lab::new().await;
    let first = "GET Customers\nPrefer: track-changes,maxpagesize=1";
    let next = lab.send(first).await.link("nextLink");
    let before = lab.send(&format!("GET {next}")).await;
    let mut other = rusqlite::Connection::open(&lab.file).unwrap();
    highwater_sqlite::meta::rotate_key(&mut other).unwrap();
    lab.restart().await;
    let after = lab.send(&format!("GET {next}")).await;
    assert_eq!(before.text(), after.text());
    assert_ne!(lab.send(first).await.link("nextLink"), next);
    let last = lab.send(&format!("GET {}", after.link("nextLink"))).await;
    let delta = last.link("deltaLink");
    lab.check(&format!("GET {delta}"), 200, &["\"value\":[]"])
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
