//! Writes of every kind, as a table of exchanges: what they answer, what they leave behind, and that the next round shows it.

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
    CREATE TABLE Label (Word TEXT PRIMARY KEY, Weight REAL NOT NULL DEFAULT 1);
    INSERT INTO Person VALUES (1, 'Ada', 'A', NULL), (2, 'Ben', 'B', 1), (3, 'Cyd', NULL, 1);
    INSERT INTO Passport VALUES ('P1', 1), ('P2', NULL);
    INSERT INTO Badge VALUES ('B2', 2);
    INSERT INTO Country VALUES ('DE', 1, 'North'), ('DE', 2, 'South');
    INSERT INTO City VALUES (1, 'DE', 1), (2, NULL, NULL);
    INSERT INTO Label VALUES ('old', 2);
";

#[tokio::test]
async fn probe() {
    let lab = lab().await;
    for line in ["GET $metadata\nAccept: application/json"] {
        println!("{}", lab.send(line).await.text());
    }
    panic!();
}

async fn lab() -> Lab {
    Lab::with(Settings::default(), SCHEMA).await
}
