//! Writes of every kind: what they answer, what they leave behind, and that the next round shows it.
//!
//! The exchanges stand in text files beside this one. A request is a line with method, target and body, and one line for each header;
//! the line with `=>` has the status of the answer and texts that its head or body must contain, or with `!` must not; `= text` is the
//! whole body. A line that begins with `|` continues the one before. The requests of a file go to one database, one after the other.

use highwater_server::{Settings, TableSettings};

use crate::lab::{Lab, Reply};

/// Relations of every kind: to oneself, one to one, by several columns, by part of a key, and required ones.
const SCHEMA: &str = "
    CREATE TABLE Person (
        Id INTEGER PRIMARY KEY,
        Name TEXT NOT NULL,
        Nick TEXT UNIQUE,
        BossId INTEGER REFERENCES Person(Id));
    CREATE TABLE Passport (
        Number TEXT PRIMARY KEY NOT NULL,
        PersonId INTEGER UNIQUE REFERENCES Person(Id));
    CREATE TABLE Badge (
        Code TEXT PRIMARY KEY NOT NULL,
        PersonId INTEGER NOT NULL UNIQUE REFERENCES Person(Id));
    CREATE TABLE Country (
        Code TEXT NOT NULL,
        Region INTEGER NOT NULL,
        Name TEXT,
        PRIMARY KEY (Code, Region));
    CREATE TABLE City (
        Id INTEGER PRIMARY KEY,
        CountryCode TEXT,
        CountryRegion INTEGER,
        FOREIGN KEY (CountryCode, CountryRegion) REFERENCES Country(Code, Region));
    CREATE TABLE Member (
        CityId INTEGER NOT NULL REFERENCES City(Id),
        PersonId INTEGER NOT NULL REFERENCES Person(Id),
        Since TEXT,
        PRIMARY KEY (CityId, PersonId));
    CREATE TABLE Label (Word TEXT PRIMARY KEY, Weight REAL NOT NULL DEFAULT 1);
    CREATE VIEW Names AS SELECT Name FROM Person;
    INSERT INTO Person VALUES (1, 'Ada', 'A', NULL), (2, 'Ben', 'B', 1), (3, 'Cyd', NULL, 1);
    INSERT INTO Passport VALUES ('P1', 1), ('P2', NULL);
    INSERT INTO Badge VALUES ('B2', 2);
    INSERT INTO Country VALUES ('DE', 1, 'North'), ('DE', 2, 'South');
    INSERT INTO City VALUES (1, 'DE', 1), (2, NULL, NULL);
    INSERT INTO Member VALUES (1, 1, 'ever');
    INSERT INTO Label VALUES ('old', 2);
";

/// An entity tag that no entity has.
const STALE: &str = "W/\"0000000000000000\"";

async fn lab() -> Lab {
    Lab::with(Settings::default(), SCHEMA).await
}

/// A request with a JSON body, if it has one.
fn request(line: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\n")).collect();
    match body {
        "" => format!("{line}\n{headers}"),
        body => format!("{line}\n{headers}Content-Type: application/json\n\n{body}"),
    }
}

/// Plays the exchanges of a script.
async fn play(lab: &Lab, script: &str) {
    let lines: Vec<&str> = script.lines().map(str::trim).collect();
    let script = lines.join("\n").replace("\n| ", " | ");
    let mut head: Vec<&str> = Vec::new();
    for line in script.lines() {
        let Some(answer) = line.strip_prefix("=> ") else {
            if !line.is_empty() && !line.starts_with('#') {
                head.push(line);
            }
            continue;
        };
        let (line, headers) = head.split_first().expect("a request before the answer");
        let body = [" {", " [", " null"]
            .into_iter()
            .filter_map(|begin| line.find(begin))
            .min();
        let (line, body) = line.split_at(body.unwrap_or(line.len()));
        let mut texts = answer.split(" | ");
        let status = texts.next().and_then(|status| status.parse().ok());
        let texts: Vec<&str> = texts.collect();
        let (whole, parts): (Vec<&str>, Vec<&str>) =
            texts.iter().partition(|text| text.starts_with("= "));
        let request = request(line, headers, body.trim());
        let status = status.expect("a status");
        let reply = lab.check(&request, status, &parts).await;
        for text in whole {
            assert_eq!(format!("= {}", body_of(&reply)), text, "{request}");
        }
        head.clear();
    }
    assert!(head.is_empty(), "a request without an answer: {head:?}");
}

fn body_of(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}

#[tokio::test]
async fn requirement_87_deep_inserts_in_every_direction() {
    play(&lab().await, include_str!("write/deep_insert.txt")).await;
}

#[tokio::test]
async fn requirement_87_deep_inserts_that_are_refused_leave_nothing() {
    let lab = lab().await;
    play(&lab, include_str!("write/deep_insert_refused.txt")).await;
    let nested = |levels: usize| {
        let inner = r#"{"Name":"x","Boss":"#.repeat(levels);
        format!(r#"{inner}{{"Name":"x"}}{}"#, "}".repeat(levels))
    };
    let many = vec![r#"{"Name":"y"}"#; 5_000].join(",");
    for (body, status, text) in [
        (nested(7), 400, "nested 6 deep"),
        (nested(80), 400, "InvalidBody"),
        (
            format!(r#"{{"Name":"x","Person_Boss":[{many}]}}"#),
            413,
            "at most 5000",
        ),
    ] {
        let request = request("POST Person", &[], &body);
        lab.check(&request, status, &[text]).await;
    }
    play(&lab, "GET Person/$count\n=> 200 | = 3").await;
    play(&lab, "GET Passport/$count\n=> 200 | = 2").await;
    let request = request("POST Person", &[], &nested(6));
    lab.check(&request, 201, &["\"Id\":10"]).await;
}

#[tokio::test]
async fn relations_in_bodies() {
    play(&lab().await, include_str!("write/relation.txt")).await;
}

#[tokio::test]
async fn requirement_91_references() {
    play(&lab().await, include_str!("write/reference.txt")).await;
}

#[tokio::test]
async fn requirements_85_and_86_updates_and_upserts() {
    play(&lab().await, include_str!("write/update.txt")).await;
}

#[tokio::test]
async fn what_does_not_fit_is_refused() {
    play(&lab().await, include_str!("write/misfit.txt")).await;
}

#[tokio::test]
async fn what_the_operator_hides_cannot_be_written_or_related() {
    let mut settings = Settings::default();
    let hidden = TableSettings {
        filter: Some("Name ne 'Ada'".to_owned()),
        ..TableSettings::default()
    };
    let read_only = TableSettings {
        read_only: true,
        ..TableSettings::default()
    };
    settings.tables.insert("Person".to_owned(), hidden);
    settings.tables.insert("Passport".to_owned(), read_only);
    let lab = Lab::with(settings, SCHEMA).await;
    play(&lab, include_str!("write/hidden.txt")).await;
}

#[tokio::test]
async fn requirements_79_and_80_conditions() {
    let lab = lab().await;
    let etag = lab.send("GET Label('old')").await.header("etag").to_owned();
    let strong = etag.strip_prefix("W/").unwrap();
    let in_body = |tag: &str| format!("{{\"@odata.etag\":{}}}", serde_json::Value::from(tag));
    let if_match = |tags: &str| format!("If-Match: {tags}");
    let if_none_match = |tags: &str| format!("If-None-Match: {tags}");
    let none = String::new();
    let (patch, put) = ("PATCH Label('old')", "PUT Label('old')/Weight");
    let (nothing, value) = ("{}".to_owned(), r#"{"value":7}"#.to_owned());
    for (line, header, body, status) in [
        (patch, if_match(STALE), &nothing, 412),
        (patch, if_match("\"foreign\""), &nothing, 412),
        (
            patch,
            if_none_match(&format!("{STALE}, {etag}")),
            &nothing,
            412,
        ),
        (patch, if_none_match("*"), &nothing, 412),
        // Requirement 80: in a 4.0 body the tag says nothing.
        (patch, none.clone(), &in_body(STALE), 412),
        (patch, none.clone(), &in_body("nonsense"), 412),
        (patch, if_match(&etag), &in_body(STALE), 412),
        (patch, if_match(STALE), &in_body(&etag), 412),
        (patch, "OData-Version: 4.0".to_owned(), &in_body(STALE), 204),
        (patch, none.clone(), &in_body(&etag), 204),
        (patch, none.clone(), &in_body("*"), 204),
        (patch, if_match("*"), &in_body("*"), 204),
        (patch, if_match(&etag), &nothing, 204),
        (
            patch,
            if_match(&format!("{STALE}, {strong}")),
            &nothing,
            204,
        ),
        (patch, if_none_match(STALE), &nothing, 204),
        (
            "POST Label",
            if_match(&etag),
            &r#"{"Word":"w"}"#.to_owned(),
            412,
        ),
        ("DELETE Label('old')", if_match(STALE), &none, 412),
        (put, if_match(STALE), &value, 412),
        (put, if_none_match(&etag), &value, 412),
        (put, if_match(&etag), &value, 204),
        (put, if_match(&etag), &value, 412),
    ] {
        let headers = [header.as_str()];
        let headers = if header.is_empty() { &[] } else { &headers[..] };
        lab.check(&request(line, headers, body), status, &[]).await;
    }
    // The tag of a representation is that of the new state.
    let change = request(patch, &["Prefer: return=representation"], r#"{"Weight":8}"#);
    let reply = lab.send(&change).await;
    let delete = request(
        "DELETE Label('old')",
        &[&if_match(reply.header("etag"))],
        "",
    );
    lab.check(&delete, 204, &[]).await;
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_413() {
    let mut settings = Settings::default();
    settings.limits.body_max_bytes = 20;
    let lab = Lab::with(settings, SCHEMA).await;
    let script = r#"
        POST Label {"Word":"w"}
        => 201
        POST Label {"Word":"word word word"}
        => 413 | BodyTooLarge
    "#;
    play(&lab, script).await;
}

/// A file whose format is newer for writing than for reading is read-only even for the superuser, whom permissions do not stop.
#[tokio::test]
async fn a_database_that_cannot_be_written_says_so() {
    const WRITE_FORMAT_OFFSET_BYTES: usize = 18;
    let mut lab = lab().await;
    lab.restart_after(|file| {
        let connection = rusqlite::Connection::open(file).unwrap();
        connection
            .pragma_update(None, "journal_mode", "DELETE")
            .unwrap();
        drop(connection);
        let mut bytes = std::fs::read(file).unwrap();
        bytes[WRITE_FORMAT_OFFSET_BYTES] = 3;
        std::fs::write(file, bytes).unwrap();
    })
    .await;
    let script = r#"
        GET Person(1)/Name/$value
        => 200 | = Ada
        POST Label {"Word":"w"}
        => 403 | ReadOnly
        PATCH Person(1) {"Name":"x"}
        => 403 | ReadOnly
        DELETE Passport('P2')
        => 403 | ReadOnly
        GET Person(1)/Name/$value
        => 200 | = Ada
    "#;
    play(&lab, script).await;
}

#[tokio::test]
async fn the_schema_may_change_between_two_writes() {
    let lab = lab().await;
    for (sql, script) in [
        ("", "PATCH Person(1) {\"Name\":\"x\"}\n=> 204"),
        (
            "ALTER TABLE Person ADD COLUMN Age INTEGER",
            "PATCH Person(1) {\"Age\":5}\n=> 204\nGET Person(1)/Age/$value\n=> 200 | = 5",
        ),
        (
            "ALTER TABLE Person RENAME COLUMN Age TO Years",
            "PATCH Person(1) {\"Age\":6}\n=> 400 | UnknownProperty\nPUT Person(1)/Years {\"value\":6}\n=> 204",
        ),
        (
            "CREATE TABLE Later (Id INTEGER PRIMARY KEY)",
            "POST Later {}\n=> 201 | Later(1)",
        ),
        // What was wrong a moment ago may be right now.
        (
            "DROP TABLE Label; CREATE TABLE Label (Word TEXT PRIMARY KEY, Weight TEXT)",
            "POST Label {\"Word\":\"w\",\"Weight\":\"heavy\"}\n=> 201",
        ),
        (
            "DROP TABLE Label; CREATE TABLE Label (Id INTEGER PRIMARY KEY, Word TEXT)",
            "POST Label {\"Word\":null}\n=> 201",
        ),
        (
            "DROP VIEW Names; CREATE TABLE Names (Name TEXT PRIMARY KEY)",
            "POST Names {\"Name\":\"x\"}\n=> 201",
        ),
    ] {
        lab.sql(sql);
        play(&lab, script).await;
    }
}

/// Every write, and the entities of `Person` (by id) and `Passport` that the next round must show, and no others.
#[tokio::test]
async fn every_write_shows_up_in_the_next_round() {
    let lab = lab().await;
    let tracked = |set: &str| format!("GET {set}\nPrefer: track-changes");
    let mut people = lab.send(&tracked("Person")).await.link("deltaLink");
    let mut passports = lab.send(&tracked("Passport")).await.link("deltaLink");
    for (line, body, person_ids, passport_ids) in [
        (
            "POST Person",
            r#"{"Id":10,"Name":"x"}"#,
            &["10"][..],
            &[][..],
        ),
        (
            "POST Person",
            r#"{"Id":11,"Name":"x","Boss":{"Id":12,"Name":"y"},"Passport":{"Number":"P3"}}"#,
            &["11", "12"],
            &["P3"],
        ),
        (
            "POST Person(1)/Person_Boss",
            r#"{"Id":13,"Name":"x"}"#,
            &["13"],
            &[],
        ),
        ("PATCH Person(10)", r#"{"Name":"new"}"#, &["10"], &[]),
        // The projection is the same, so the round is empty.
        ("PATCH Person(10)", r#"{"Name":"new"}"#, &[], &[]),
        (
            "PATCH Person(10)",
            r#"{"Boss@bind":"Person(1)"}"#,
            &["10"],
            &[],
        ),
        (
            "PATCH Person(10)",
            r#"{"Passport@bind":"Passport('P1')"}"#,
            &[],
            &["P1"],
        ),
        (
            "PATCH Person(10)",
            r#"{"Passport@bind":"Passport('P2')"}"#,
            &[],
            &["P1", "P2"],
        ),
        ("PUT Person(10)", r#"{"Name":"put"}"#, &["10"], &[]),
        ("PUT Person(14)", r#"{"Name":"upsert"}"#, &["14"], &[]),
        ("PUT Person(14)/Nick", r#"{"value":"n"}"#, &["14"], &[]),
        ("DELETE Person(14)/Nick/$value", "", &["14"], &[]),
        (
            "PUT Person(14)/Boss/$ref",
            r#"{"@id":"Person(2)"}"#,
            &["14"],
            &[],
        ),
        ("DELETE Person(14)/Boss/$ref", "", &["14"], &[]),
        (
            "POST Person(2)/Person_Boss/$ref",
            r#"{"@id":"Person(14)"}"#,
            &["14"],
            &[],
        ),
        (
            "PUT Person(2)/Person_Boss/$ref",
            r#"{"value":[{"@id":"Person(13)"}]}"#,
            &["13", "14"],
            &[],
        ),
        ("DELETE Person(2)/Person_Boss/$ref", "", &["13"], &[]),
        ("DELETE Person(14)", "", &["14"], &[]),
        ("DELETE Passport('P3')/Person/$ref", "", &[], &["P3"]),
        ("DELETE Passport('P3')", "", &[], &["P3"]),
    ] {
        let request = request(line, &[], body);
        let reply = lab.send(&request).await;
        let done = matches!(reply.status, 200 | 201 | 204);
        assert!(done, "{request}\n{}", reply.text());
        for (link, key, expected) in [
            (&mut people, "Id", person_ids),
            (&mut passports, "Number", passport_ids),
        ] {
            let round = lab.send(&format!("GET {link}")).await;
            let json = round.json();
            let items = json["value"].as_array().unwrap().iter();
            let mut found: Vec<String> = items
                .map(|item| item[key].to_string().trim_matches('"').to_owned())
                .collect();
            found.sort();
            assert_eq!(found, expected, "{request}\n{}", round.text());
            *link = round.link("deltaLink");
        }
    }
}

#[tokio::test]
async fn requirement_78_an_answer_without_body_has_the_tag_of_what_was_written() {
    let lab = lab().await;
    for (line, body, entity) in [
        ("PATCH Label('old')", r#"{"Weight":7}"#, "Label('old')"),
        ("PUT Person(2)", r#"{"Name":"Benno"}"#, "Person(2)"),
        ("POST Label", r#"{"Word":"new"}"#, "Label('new')"),
    ] {
        let written = lab
            .send(&request(line, &["Prefer: return=minimal"], body))
            .await;
        assert_eq!(written.status, 204, "{}", written.text());
        let read = lab.send(&format!("GET {entity}")).await;
        assert_eq!(written.header("etag"), read.header("etag"), "{line}");
    }
}
