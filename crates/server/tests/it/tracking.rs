//! Rounds, links, and what becomes of them.

use highwater_server::{Settings, TableSettings};

use crate::lab::{Lab, Reply};

/// Begins to track and gives the answer that has the delta link.
async fn begin(lab: &Lab, target: &str) -> Reply {
    lab.check(
        &format!("GET {target}\nPrefer: track-changes"),
        200,
        &[
            "preference-applied: track-changes\n",
            "@deltaLink",
            "!@nextLink",
        ],
    )
    .await
}

#[tokio::test]
async fn requirements_1_to_6_asking_for_tracking() {
    let lab = Lab::new().await;
    for (request, texts) in [
        ("GET Customers", &["!Link", "!preference-applied"][..]),
        (
            "GET Customers\nPrefer: track-changes",
            &[
                "preference-applied: track-changes\n",
                "\"@deltaLink\":\"http://h/odata/Customers?$deltatoken=",
            ],
        ),
        (
            "GET Customers\nPrefer: odata.track-changes\nOData-MaxVersion: 4.0",
            &[
                "preference-applied: odata.track-changes\n",
                "\"@odata.deltaLink\":\"",
            ],
        ),
        (
            "GET Customers?$top=0\nPrefer: track-changes",
            &["\"value\":[],\"@deltaLink\""],
        ),
        (
            "GET Customers?$filter=City eq 'Berlin'&$select=Name&$orderby=Name&$count=true\nPrefer: track-changes",
            &["@count\":1", "@deltaLink"],
        ),
        (
            "GET Customers?$search=berlin\nPrefer: track-changes",
            &["Alfreds", "!Bolido", "@deltaLink"],
        ),
        (
            "GET Customers('ALFKI')/Orders\nPrefer: track-changes",
            &["@deltaLink\":\"http://h/odata/Customers('ALFKI')/Orders?$deltatoken="],
        ),
        // What cannot be tracked is answered all the same.
        (
            "GET Customers?$expand=Orders\nPrefer: track-changes",
            &["!Link", "!preference-applied"],
        ),
        (
            "GET Customers?$filter=Orders/any()\nPrefer: track-changes",
            &["!Link", "!preference-applied"],
        ),
        ("GET Customers?$top=1\nPrefer: track-changes", &["!Link"]),
        ("GET Customers?$skip=1\nPrefer: track-changes", &["!Link"]),
        ("GET Cities\nPrefer: track-changes", &["!Link"]),
        (
            "GET Orders(1)/Items\nPrefer: track-changes",
            &["@deltaLink"],
        ),
        (
            "GET Customers('ALFKI')\nPrefer: track-changes",
            &["!Link", "!preference-applied"],
        ),
        ("GET Customers/$ref\nPrefer: track-changes", &["!Link"]),
        (
            "GET Customers\nPrefer: track-changes\nAccept: application/json;metadata=none",
            &["!Link", "!preference-applied"],
        ),
    ] {
        lab.check(request, 200, texts).await;
    }
}

#[tokio::test]
async fn requirements_18_to_51_a_round_in_both_versions() {
    let lab = Lab::new().await;
    let begun = begin(&lab, "Customers?$filter=City eq 'Berlin'&$select=Name").await;
    let link = begun.link("deltaLink");
    lab.sql(
        "INSERT INTO Customers VALUES ('NEW', 'Newcomer', 'Berlin', 0), ('FAR', 'Far away', 'Rome', 0);
         UPDATE Customers SET City = 'Berlin' WHERE Id = 'CHOPS';
         UPDATE Customers SET Balance = 99 WHERE Id = 'ALFKI';
         UPDATE Customers SET City = 'Bonn' WHERE Id = 'ALFKI';",
    );
    let shown = lab
        .check(
            &format!("GET {link}"),
            200,
            &[
                r##"{"@context":"http://h/odata/$metadata#Customers(Name)/$delta","value":["##,
                r#""Id":"NEW","Name":"Newcomer"}"#,
                r#""Id":"CHOPS","Name":"Chop-suey"}"#,
                r#"{"@removed":{"reason":"changed"},"Id":"ALFKI"}"#,
                "!Far away",
                "!@nextLink",
                "cache-control: no-cache\n",
            ],
        )
        .await;
    assert_eq!(shown.items().len(), 3);
    lab.check(
        &format!("GET {link}\nOData-MaxVersion: 4.0"),
        200,
        &[
            r##"{"@odata.context":"http://h/odata/$metadata#Customers(Name)/$delta","value":["##,
            r##"{"@odata.context":"#Customers/$deletedEntity","id":"Customers('ALFKI')","reason":"changed"}"##,
            r#""@odata.id":"Customers('NEW')""#,
        ],
    )
    .await;
    lab.check(
        &format!("GET {}", link.replace("?", "/$count?")),
        200,
        &["content-type: text/plain\n", "\n\n3"],
    )
    .await;
    // A second look from where the first one ended.
    let next = shown.link("deltaLink");
    lab.sql("DELETE FROM Customers WHERE Id = 'NEW'");
    let shown = lab
        .check(
            &format!("GET {next}\nPrefer: odata.track-changes"),
            200,
            &[
                r#"[{"@removed":{"reason":"deleted"},"Id":"NEW"}]"#,
                "preference-applied: odata.track-changes\n",
            ],
        )
        .await;
    // Nothing new: an empty page, and the same link while the hour lasts.
    let next = shown.link("deltaLink");
    let empty = lab
        .check(&format!("GET {next}"), 200, &[r#""value":[],"@deltaLink""#])
        .await;
    assert_eq!(empty.link("deltaLink"), next);
    lab.check(
        &format!("GET {}", next.replace("?", "/$count?")),
        200,
        &["\n\n0"],
    )
    .await;
    lab.wait(3600);
    let later = lab.check(&format!("GET {next}"), 200, &[]).await;
    assert_ne!(later.link("deltaLink"), next);
}

#[tokio::test]
async fn requirements_5_6_14_23_pages_show_one_state() {
    let lab = Lab::new().await;
    let mut page = lab
        .check(
            "GET Orders?$select=Id,Amount\nPrefer: track-changes, maxpagesize=2",
            200,
            &[
                "preference-applied: track-changes, maxpagesize=2\n",
                "@nextLink",
                "!@deltaLink",
            ],
        )
        .await;
    let first_link = page.link("nextLink");
    lab.sql("UPDATE Orders SET Amount = Amount + 1000; DELETE FROM Orders WHERE Id = 4; INSERT INTO Orders VALUES (5, NULL, 5, NULL);");
    let mut items = page.items();
    while page.text().contains("@nextLink") {
        let request = format!("GET {}", page.link("nextLink"));
        page = lab
            .check(&request, 200, &["!preference-applied", "immutable"])
            .await;
        items.extend(page.items());
    }
    assert_eq!(items.len(), 4);
    assert!(items.iter().all(|item| !item.contains("100")), "{items:?}");
    assert!(items[3].contains("\"Id\":4"), "{items:?}");
    // The same page again, with another size.
    let again = lab
        .check(
            &format!("GET {first_link}\nPrefer: maxpagesize=1"),
            200,
            &["preference-applied: maxpagesize=1\n"],
        )
        .await;
    assert_eq!(again.items(), items[2..3]);
    // The later round in pages.
    let delta = page.link("deltaLink");
    let mut page = lab
        .check(
            &format!("GET {delta}\nPrefer: maxpagesize=1"),
            200,
            &["$metadata#Orders(Id,Amount)/$delta", "@nextLink"],
        )
        .await;
    let mut changes = page.items();
    lab.sql("DELETE FROM Orders WHERE Id = 1");
    while page.text().contains("@nextLink") {
        let request = format!("GET {}", page.link("nextLink"));
        page = lab.check(&request, 200, &["/$delta", "immutable"]).await;
        let repeated = lab.send(&request).await;
        assert_eq!(repeated.body, page.body);
        changes.extend(page.items());
    }
    // NULL + 1000 is NULL: order 2 has not changed.
    assert_eq!(changes.len(), 4, "{changes:?}");
    assert!(
        changes
            .iter()
            .any(|item| item.contains("\"Id\":1") && item.contains("1010.5"))
    );
}

#[tokio::test]
async fn links_that_were_never_good_are_400() {
    let lab = Lab::new().await;
    let delta = begin(&lab, "Customers").await.link("deltaLink");
    let (base, token) = delta.split_once("$deltatoken=").unwrap();
    let skip = lab
        .send("GET Customers\nPrefer: maxpagesize=1")
        .await
        .link("nextLink");
    let skip_token = skip.split_once('=').unwrap().1;
    let bad = [
        format!("{base}$deltatoken={token}A"),
        format!("{base}$deltatoken=A{token}"),
        format!("{base}$deltatoken={}", &token[1..]),
        format!("{base}$deltatoken={}", &token[..token.len() - 1]),
        format!("{base}$deltatoken=latest"),
        format!("{base}$skiptoken={token}"),
        format!("{base}$deltatoken={skip_token}"),
        format!("{base}$deltatoken={token}&$skiptoken={skip_token}"),
        delta.replace("Customers", "Orders"),
        delta.replace("Customers?", "Customers/$ref?"),
        skip.replace("Customers?", "Customers/$count?"),
        delta.replace("Customers?", "Customers('ALFKI')?"),
        delta.replace("Customers?", "?"),
        format!("{delta}&"),
        format!("{skip}&"),
        delta.replace("?", "?&"),
    ];
    for link in bad {
        lab.check(&format!("GET {link}"), 400, &["InvalidLink"])
            .await;
    }
    for added in [
        "$filter=true",
        "$select=Name",
        "$count=true",
        "$top=1",
        "filter=true",
        "@a=1",
    ] {
        lab.check(&format!("GET {delta}&{added}"), 400, &["LinkOptionsFixed"])
            .await;
        lab.check(&format!("GET {skip}&{added}"), 400, &["LinkOptionsFixed"])
            .await;
    }
    for (link, added, status) in [
        (&delta, "$format=json", 200),
        (&delta, "$format=application/json;metadata=full", 200),
        (&delta, "$format=application/json;metadata=none", 406),
        (&delta, "x=1", 400),
    ] {
        lab.check(&format!("GET {link}&{added}"), status, &[]).await;
    }
    lab.check(
        &format!("GET {}", delta.replace("$deltatoken", "deltaToken")),
        200,
        &[],
    )
    .await;
    lab.check(&format!("DELETE {delta}"), 405, &[]).await;
    // Spelled differently by a client library, the path is the same.
    let nested = begin(&lab, "Customers('ALFKI')/Orders")
        .await
        .link("deltaLink");
    lab.check(&format!("GET {}", nested.replace("'", "%27")), 200, &[])
        .await;
}

#[tokio::test]
async fn requirements_25_to_27_links_that_were_good_once_are_410() {
    let mut lab = Lab::new().await;
    let target = "Customers?$filter=City eq 'Berlin'&$select=Name";
    let delta = begin(&lab, target).await.link("deltaLink");
    let location =
        "location: http://h/odata/Customers?$filter=(City%20eq%20'Berlin')&$select=Name\n";
    // Its own life.
    lab.wait(7 * 24 * 3600 + 3600);
    lab.check(&format!("GET {delta}"), 410, &["LinkExpired", location])
        .await;
    lab.wait(-2 * 3600);
    lab.check(&format!("GET {delta}"), 200, &[]).await;
    // What the service shows.
    let mut narrowed = Settings::default();
    narrowed.tables.insert(
        "Customers".to_owned(),
        TableSettings {
            filter: Some("Balance ge 0".to_owned()),
            ..TableSettings::default()
        },
    );
    lab.restart_with(narrowed).await;
    lab.check(
        &format!("GET {delta}"),
        410,
        &["LinkScopeChanged", location],
    )
    .await;
    lab.restart_with(Settings::default()).await;
    lab.check(&format!("GET {delta}"), 200, &[]).await;
    // The table.
    lab.sql("ALTER TABLE Customers ADD COLUMN Extra TEXT");
    lab.check(&format!("GET {delta}"), 410, &["LinkRecreated", location])
        .await;
    let delta = begin(&lab, target).await.link("deltaLink");
    lab.check(&format!("GET {delta}"), 200, &[]).await;
    lab.sql("PRAGMA foreign_keys = OFF; DROP TABLE Customers");
    lab.check(&format!("GET {delta}"), 410, &["LinkRecreated", location])
        .await;
    lab.check("GET Customers", 404, &[]).await;
    // The link of a request can be read anew from the location.
    let other = Lab::new().await;
    other
        .check(
            &format!("GET {delta}"),
            410,
            &["LinkRestored", "location: http://h/odata/Customers\n"],
        )
        .await;
}

/// A path goes through other tables than the one whose changes are followed, and their keys and foreign keys decide where it leads.
#[tokio::test]
async fn a_link_is_410_when_its_path_leads_elsewhere() {
    let parents = |key: &str| {
        format!(
            "PRAGMA foreign_keys = OFF; DROP TABLE IF EXISTS p;
             CREATE TABLE p (id INTEGER NOT NULL UNIQUE, other INTEGER NOT NULL UNIQUE, PRIMARY KEY ({key}));
             INSERT INTO p VALUES (1, 2), (2, 1);"
        )
    };
    let children = |key: &str| {
        format!(
            "DROP TABLE IF EXISTS c; CREATE TABLE c (id INTEGER PRIMARY KEY, a INTEGER REFERENCES p({key}));
             INSERT INTO c VALUES (10, 1), (11, 2), (12, 1);"
        )
    };
    let both = parents("id") + &children("id");
    let mut lab = Lab::with(Settings::default(), &both).await;
    let delta = begin(&lab, "p(1)/c").await.link("deltaLink");
    let follow = format!("GET {delta}");
    lab.check(&follow, 200, &[]).await;
    lab.sql(&parents("other"));
    lab.check("GET p(1)/c", 200, &["\"id\":11", "!\"id\":10"])
        .await;
    let location = "location: http://h/odata/p(1)/c\n";
    lab.check(&follow, 410, &["LinkScopeChanged", location])
        .await;
    lab.sql(&parents("id"));
    lab.check(&follow, 200, &["\"value\":[]"]).await;

    // Without tracking, related entities count too.
    for target in ["p?$expand=c", "p?$filter=c/any(x:x/a gt 0)"] {
        lab.sql(&children("id"));
        let page = lab
            .send(&format!("GET {target}\nPrefer: maxpagesize=1"))
            .await;
        let next = format!("GET {}", page.link("nextLink"));
        lab.check(&next, 200, &[]).await;
        lab.sql(&children("other"));
        lab.check(&next, 410, &["LinkScopeChanged"]).await;
    }
    let page = lab.send("GET c?$expand=a_p\nPrefer: maxpagesize=1").await;
    let next = format!("GET {}", page.link("nextLink"));
    lab.check(&next, 200, &[]).await;
    let mut narrowed = Settings::default();
    narrowed.tables.insert(
        "p".to_owned(),
        TableSettings {
            filter: Some("id eq 1".to_owned()),
            ..TableSettings::default()
        },
    );
    lab.restart_with(narrowed).await;
    lab.check(&next, 410, &["LinkScopeChanged"]).await;
}

#[tokio::test]
async fn a_restored_backup_voids_the_links_issued_since() {
    let mut lab = Lab::new().await;
    let kept = begin(&lab, "Customers").await.link("deltaLink");
    lab.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let backup = std::fs::read(&lab.file).unwrap();
    lab.sql("UPDATE Customers SET City = 'Bonn'");
    let lost = lab.send(&format!("GET {kept}")).await.link("deltaLink");
    lab.restart_after(|file| {
        std::fs::write(file, &backup).unwrap();
        for extension in ["sqlite-wal", "sqlite-shm"] {
            let _ = std::fs::remove_file(file.with_extension(extension));
        }
    })
    .await;
    lab.check(
        &format!("GET {lost}"),
        410,
        &["LinkRestored", "location: http://h/odata/Customers\n"],
    )
    .await;
    lab.check(&format!("GET {kept}"), 200, &["\"value\":[]"])
        .await;
}

#[tokio::test]
async fn links_survive_a_restart() {
    let mut lab = Lab::new().await;
    let delta = begin(&lab, "Customers").await.link("deltaLink");
    let skip = lab
        .send("GET Customers?$select=Name\nPrefer: maxpagesize=2")
        .await
        .link("nextLink");
    lab.restart().await;
    lab.sql("DELETE FROM Customers WHERE Id = 'CHOPS'");
    lab.check(&format!("GET {delta}"), 200, &["deleted"]).await;
    lab.check(&format!("GET {skip}"), 200, &["\"value\":[{", "CHOPS"])
        .await;
    assert!(delta.len() < 300, "{}", delta.len());
}

#[tokio::test]
async fn the_schema_may_change_between_requests() {
    let lab = Lab::new().await;
    lab.check("GET Customers", 200, &[]).await;
    lab.sql("CREATE TABLE Later (Id INTEGER PRIMARY KEY, X TEXT); INSERT INTO Later VALUES (1, 'there')");
    lab.check(
        "GET Later\nPrefer: track-changes",
        200,
        &["there", "@deltaLink"],
    )
    .await;
    lab.sql("ALTER TABLE Later RENAME COLUMN X TO Y");
    lab.check("GET Later?$select=Y", 200, &["there"]).await;
    lab.check("GET Later?$select=X", 400, &["UnknownProperty"])
        .await;
    lab.check("GET $metadata", 200, &["Name=\"Y\"", "!Name=\"X\""])
        .await;
}

#[tokio::test]
async fn untracked_answers_are_paged_too() {
    let lab = Lab::new().await;
    for (target, pages) in [
        ("Cities", 3),
        ("Customers?$expand=Orders", 3),
        ("Customers?$top=2&$skip=1", 2),
        ("Customers?$top=2&$orderby=Name desc", 2),
        ("Customers/$ref", 3),
        ("Customers?$count=true&$orderby=City", 3),
        ("Orders(1)/Customer/Orders", 2),
    ] {
        let mut page = lab
            .check(&format!("GET {target}\nPrefer: maxpagesize=1"), 200, &[])
            .await;
        let mut items = page.items();
        let mut seen = 1;
        while page.text().contains("@nextLink\":\"http://h/odata/")
            && page.json().get("@nextLink").is_some()
        {
            let request = format!("GET {}", page.link("nextLink"));
            page = lab.check(&request, 200, &["!@count"]).await;
            items.extend(page.items());
            seen += 1;
        }
        assert_eq!((seen, items.len()), (pages, pages), "{target}");
        let whole = lab.send(&format!("GET {target}")).await.items();
        if !target.contains("expand") {
            assert_eq!(items, whole, "{target}");
        }
    }
    // A format that was fixed in the URL stays.
    let page = lab
        .send("GET Customers?$format=application/json;metadata=none\nPrefer: maxpagesize=2")
        .await;
    let link = page.link("nextLink");
    assert!(
        link.contains("?$format=application/json%3Bmetadata%3Dnone&$skiptoken="),
        "{link}"
    );
    lab.check(&format!("GET {link}"), 200, &["metadata=none\n"])
        .await;
}

#[tokio::test]
async fn a_poll_that_found_nothing_is_remembered_until_something_is_written() {
    let lab = Lab::new().await;
    let delta = begin(&lab, "Customers?$select=Name")
        .await
        .link("deltaLink");
    let poll = format!("GET {delta}");
    let first = lab.check(&poll, 200, &["\"value\":[]"]).await;
    for _ in 0..2 {
        let again = lab.send(&poll).await;
        assert_eq!((again.text(), again.status), (first.text(), 200));
    }
    // Each kind of answer is remembered for itself.
    for _ in 0..2 {
        lab.check(
            &format!("{poll}\nOData-MaxVersion: 4.0"),
            200,
            &["\"@odata.deltaLink\""],
        )
        .await;
        lab.check(
            &format!("{poll}\nAccept: application/json;metadata=full"),
            200,
            &["metadata=full"],
        )
        .await;
        lab.check(&format!("{poll}\nAccept: text/html"), 406, &[])
            .await;
        lab.check(&format!("{poll}\nIsolation: strange"), 412, &[])
            .await;
        lab.check(
            &format!("{poll}\nPrefer: track-changes"),
            200,
            &["preference-applied"],
        )
        .await;
        lab.check(&poll, 200, &["!preference-applied"]).await;
        lab.check(&format!("HEAD {delta}"), 200, &[]).await;
    }
    lab.sql("UPDATE Orders SET Amount = 5");
    lab.check(&poll, 200, &["\"value\":[]"]).await;
    lab.sql("UPDATE Customers SET Name = 'Changed' WHERE Id = 'ALFKI'");
    lab.check(&poll, 200, &["Changed"]).await;
    lab.sql("UPDATE Customers SET Name = 'Alfreds' WHERE Id = 'ALFKI'");
    lab.check(&poll, 200, &["\"value\":[]"]).await;
    lab.sql("ALTER TABLE Customers ADD COLUMN Extra");
    lab.check(&poll, 410, &["LinkRecreated"]).await;
}

#[tokio::test]
async fn a_remembered_answer_is_compressed_for_who_takes_that() {
    let lab = Lab::new().await;
    let long = "x".repeat(1200);
    let delta = begin(&lab, &format!("Customers?$filter=Name%20ne%20'{long}'"))
        .await
        .link("deltaLink");
    let first = lab.send(&format!("GET {delta}")).await;
    for _ in 0..2 {
        let plain = lab.send(&format!("GET {delta}")).await;
        assert_eq!(plain.headers, first.headers);
        assert_eq!(plain.body, first.body);
        let packed = lab
            .send(&format!("GET {delta}\nAccept-Encoding: gzip"))
            .await;
        assert_eq!(packed.header("content-encoding"), "gzip");
        assert!(packed.body.len() < first.body.len());
    }
}

#[tokio::test]
async fn requirement_50_a_follower_of_a_part_sees_the_key_from_the_first_round_on_and_no_entity_tag()
 {
    let lab = Lab::new().await;
    let first = begin(&lab, "Customers?$select=Name").await;
    assert!(
        first.items().iter().all(|item| item.contains("\"Id\":")),
        "{}",
        first.text()
    );
    lab.sql("UPDATE Customers SET Name = 'New' WHERE Id = 'ALFKI'");
    let later = lab.send(&format!("GET {}", first.link("deltaLink"))).await;
    assert!(
        later.text().contains("\"Id\":\"ALFKI\",\"Name\":\"New\""),
        "{}",
        later.text()
    );
    for answer in [first, later] {
        assert!(!answer.text().contains("@etag"), "{}", answer.text());
    }
    // Who sees everything gets every change, so the tag is never out of date.
    assert!(begin(&lab, "Customers").await.text().contains("@etag"));
}

#[tokio::test]
async fn aliases_in_the_path_travel_with_the_link() {
    let lab = Lab::new().await;
    let first = begin(&lab, "Customers(@k)/Orders?@k='ALFKI'&@unused=1").await;
    lab.sql("UPDATE Orders SET CustomerId = 'ALFKI'");
    let later = lab.send(&format!("GET {}", first.link("deltaLink"))).await;
    assert_eq!(later.status, 200, "{}", later.text());
    assert!(!later.items().is_empty(), "{}", later.text());
    let page = lab
        .send("GET Customers(@k)/Orders?@k='ALFKI'\nPrefer: maxpagesize=1")
        .await;
    let next = lab.send(&format!("GET {}", page.link("nextLink"))).await;
    assert_eq!(next.status, 200, "{}", next.text());
}
