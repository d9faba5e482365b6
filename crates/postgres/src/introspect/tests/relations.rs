use std::fmt::Write as _;

use highwater_throwaway::Cluster;
use tokio_postgres::Client;

use super::{client, execute, load, table};
use crate::schema::Schema;

/// One line a relation: `table(columns) -> table(columns)`, `*` before the end that is many, and its own position and that of its inverse.
fn dump(schema: &Schema) -> String {
    let mut text = String::new();
    for table in &schema.catalog.tables {
        for (position, relation) in table.relations.iter().enumerate() {
            let target = schema.table(relation.target);
            let here: Vec<&str> = relation
                .columns
                .iter()
                .map(|(c, _)| table.columns[*c].name.as_str())
                .collect();
            let there: Vec<&str> = relation
                .columns
                .iter()
                .map(|(_, c)| target.columns[*c].name.as_str())
                .collect();
            let back = &target.relations[relation.inverse];
            assert_eq!(back.inverse, position);
            assert_eq!(back.owns_key, !relation.owns_key);
            let arrow = if relation.owns_key { "->" } else { "<-" };
            let many = if relation.many { "*" } else { "" };
            writeln!(
                text,
                "{}({}) {arrow} {many}{}({})",
                table.name,
                here.join(","),
                target.name,
                there.join(",")
            )
            .unwrap();
        }
    }
    text
}

async fn check(client: &mut Client, sql: &str, expected: &[&str]) {
    execute(client, "DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    execute(client, sql).await;
    let schema = load(client).await.unwrap();
    let found = dump(&schema);
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{sql}");
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_of_tables() {
    let database = Cluster::shared().database().unwrap();
    let client = &mut client(&database, "").await;
    check(
        client,
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a)",
        &["a(id) <- *b(a)", "b(a) -> a(id)"],
    )
    .await;
    // One to one, by a unique column or by the primary key itself.
    check(
        client,
        "CREATE TABLE a (id int PRIMARY KEY);
         CREATE TABLE b (id int PRIMARY KEY REFERENCES a);
         CREATE TABLE c (id int PRIMARY KEY, a int UNIQUE REFERENCES a);
         CREATE TABLE d (id int PRIMARY KEY, a int REFERENCES a);
         CREATE UNIQUE INDEX ON d (a) WHERE id > 0",
        &[
            "a(id) <- b(id)",
            "a(id) <- c(a)",
            "a(id) <- *d(a)",
            "b(id) -> a(id)",
            "c(a) -> a(id)",
            "d(a) -> a(id)",
        ],
    )
    .await;
    // To itself; to a unique key in another order of columns; twice the same.
    check(
        client,
        "CREATE TABLE a (id int PRIMARY KEY, boss int REFERENCES a, x int, y text, UNIQUE (x, y));
         CREATE TABLE b (y text, x int, FOREIGN KEY (y, x) REFERENCES a (y, x), CONSTRAINT again FOREIGN KEY (y, x) REFERENCES a (y, x))",
        &[
            "a(boss) -> a(id)",
            "a(id) <- *a(boss)",
            "a(y,x) <- *b(y,x)",
            "b(y,x) -> a(y,x)",
        ],
    )
    .await;
    // Across schemas; column numbers are not positions.
    check(
        client,
        "CREATE SCHEMA other; CREATE TABLE other.a (id int PRIMARY KEY);
         CREATE TABLE b (gone int, a int); ALTER TABLE b DROP gone; ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES other.a NOT VALID",
        &["a(id) <- *b(a)", "b(a) -> a(id)"],
    )
    .await;
    execute(client, "DROP SCHEMA other CASCADE").await;
    // From and to partitioned tables: once each, whatever partitions there are.
    check(
        client,
        "CREATE TABLE a (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE a1 PARTITION OF a FOR VALUES FROM (0) TO (10);
         CREATE TABLE a2 PARTITION OF a FOR VALUES FROM (10) TO (20);
         CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a) PARTITION BY RANGE (id);
         CREATE TABLE b1 PARTITION OF b FOR VALUES FROM (0) TO (10);
         CREATE TABLE b2 PARTITION OF b FOR VALUES FROM (10) TO (20);
         CREATE TABLE c (a1 int REFERENCES a1)",
        &["a(id) <- *b(a)", "b(a) -> a(id)"],
    )
    .await;
}

/// A database that this project did not write.
#[tokio::test(flavor = "multi_thread")]
async fn chinook() {
    let database = Cluster::shared().database().unwrap();
    let mut client = client(&database, include_str!("chinook/tables.sql")).await;
    let schema = load(&mut client).await.unwrap();
    assert_eq!(schema.catalog.tables.len(), 11);
    assert!(schema.facts.iter().all(|facts| facts.obstacle.is_none()));
    assert_eq!(table(&schema, "playlist_track").key, [0, 1]);
    assert_eq!(table(&schema, "track").columns[8].scale, Some(2));
    assert_eq!(
        dump(&schema).lines().collect::<Vec<_>>(),
        [
            "album(artist_id) -> artist(artist_id)",
            "album(album_id) <- *track(album_id)",
            "artist(artist_id) <- *album(artist_id)",
            "customer(support_rep_id) -> employee(employee_id)",
            "customer(customer_id) <- *invoice(customer_id)",
            "employee(employee_id) <- *customer(support_rep_id)",
            "employee(reports_to) -> employee(employee_id)",
            "employee(employee_id) <- *employee(reports_to)",
            "genre(genre_id) <- *track(genre_id)",
            "invoice(customer_id) -> customer(customer_id)",
            "invoice(invoice_id) <- *invoice_line(invoice_id)",
            "invoice_line(invoice_id) -> invoice(invoice_id)",
            "invoice_line(track_id) -> track(track_id)",
            "media_type(media_type_id) <- *track(media_type_id)",
            "playlist(playlist_id) <- *playlist_track(playlist_id)",
            "playlist_track(playlist_id) -> playlist(playlist_id)",
            "playlist_track(track_id) -> track(track_id)",
            "track(track_id) <- *invoice_line(track_id)",
            "track(track_id) <- *playlist_track(track_id)",
            "track(album_id) -> album(album_id)",
            "track(media_type_id) -> media_type(media_type_id)",
            "track(genre_id) -> genre(genre_id)",
        ]
    );
}
