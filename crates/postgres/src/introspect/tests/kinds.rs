use highwater_throwaway::Cluster;

use super::{client, facts, left_out, load, position, reason, table};
use crate::schema::{Capture, Kind};

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_relations() {
    let database = Cluster::shared().database().unwrap();
    let mut client = client(
        &database,
        r#"
        CREATE SCHEMA "Ünïcode ""x""";
        CREATE SCHEMA pgx;
        CREATE SCHEMA highwater;
        CREATE TABLE highwater.own (a int PRIMARY KEY);
        CREATE TABLE "Ünïcode ""x"""."Täble ""y""" ("Cölumn ""z""" int PRIMARY KEY);
        CREATE TABLE pgx.t (a int PRIMARY KEY);
        CREATE TABLE t (a int PRIMARY KEY);
        CREATE VIEW v AS SELECT * FROM t;
        CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
        CREATE MATERIALIZED VIEW empty AS SELECT * FROM t WITH NO DATA;
        CREATE UNLOGGED TABLE unlogged (a int PRIMARY KEY);
        CREATE TEMPORARY TABLE temporary (a int PRIMARY KEY);
        CREATE SEQUENCE s;
        CREATE TYPE composite AS (a int);
        CREATE FOREIGN DATA WRAPPER w;
        CREATE SERVER elsewhere FOREIGN DATA WRAPPER w;
        CREATE FOREIGN TABLE f (a int) SERVER elsewhere;
        CREATE TABLE p (a int PRIMARY KEY, b text) PARTITION BY RANGE (a);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10) PARTITION BY RANGE (a);
        CREATE TABLE p11 PARTITION OF p1 FOR VALUES FROM (0) TO (5);
        CREATE TABLE half (a int PRIMARY KEY) PARTITION BY RANGE (a);
        CREATE TABLE half0 PARTITION OF half FOR VALUES FROM (0) TO (10);
        CREATE UNLOGGED TABLE half1 PARTITION OF half FOR VALUES FROM (10) TO (20);
        CREATE TABLE far (a int NOT NULL) PARTITION BY RANGE (a);
        CREATE FOREIGN TABLE far0 PARTITION OF far FOR VALUES FROM (0) TO (10) SERVER elsewhere;
        CREATE TABLE parent (a int PRIMARY KEY);
        CREATE TABLE child (PRIMARY KEY (a)) INHERITS (parent);
        CREATE TABLE once (a int PRIMARY KEY);
        CREATE TABLE gone () INHERITS (once);
        DROP TABLE gone;
        CREATE TYPE shape AS (a int);
        CREATE TABLE typed OF shape (PRIMARY KEY (a));
        CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER application BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing();
        CREATE TRIGGER highwater_1 BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION nothing();
        "#,
    )
    .await;
    let schema = load(&mut client).await.unwrap();
    let names: Vec<(&str, &str)> = schema
        .catalog
        .tables
        .iter()
        .map(|t| (t.schema.as_deref().unwrap(), t.name.as_str()))
        .collect();
    assert_eq!(
        names,
        [
            ("pgx", "t"),
            ("public", "child"),
            ("public", "f"),
            ("public", "far"),
            ("public", "half"),
            ("public", "m"),
            ("public", "once"),
            ("public", "p"),
            ("public", "parent"),
            ("public", "t"),
            ("public", "typed"),
            ("public", "unlogged"),
            ("public", "v"),
            (r#"Ünïcode "x""#, r#"Täble "y""#),
        ]
    );
    use {Capture as C, Kind as K};
    // (name, kind, capture, whether it is a view, why it is not tracked)
    for (name, kind, capture, is_view, untracked) in [
        ("t", K::Table, C::Statement, false, "not switched on"),
        ("typed", K::Table, C::Statement, false, "not switched on"),
        ("unlogged", K::Table, C::Statement, false, "not switched on"),
        ("v", K::View, C::Statement, true, "A view cannot be tracked"),
        (
            "m",
            K::MaterializedView,
            C::Statement,
            true,
            "A materialized view cannot be tracked",
        ),
        (
            "f",
            K::Foreign,
            C::Statement,
            true,
            "A foreign table cannot be tracked",
        ),
        ("p", K::Partitioned, C::Row, false, "not switched on"),
        (
            "half",
            K::Partitioned,
            C::Row,
            false,
            "Its partition public.half1 is UNLOGGED",
        ),
        (
            "far",
            K::Partitioned,
            C::Row,
            false,
            "It has no primary key",
        ),
        ("parent", K::Table, C::Row, false, "not switched on"),
        ("child", K::Table, C::Row, false, "not switched on"),
        ("once", K::Table, C::Row, false, "not switched on"),
    ] {
        let (table, facts) = (table(&schema, name), facts(&schema, name));
        let layout = &schema.layouts[position(&schema, name).unwrap()];
        assert_eq!(
            (facts.kind, facts.capture, layout.only, table.is_view),
            (kind, capture, kind == K::Table, is_view),
            "{name}"
        );
        assert!(
            reason(table).contains(untracked),
            "{name}: {}",
            reason(table)
        );
        assert_eq!(facts.unlogged, name == "unlogged");
    }
    assert!(
        left_out(&schema, "empty")
            .reason
            .contains(r#"`REFRESH MATERIALIZED VIEW "public"."empty"`"#)
    );
    assert_eq!(schema.left_out.len(), 1);
    let strange = &schema.facts[names.len() - 1];
    assert_eq!(strange.qualified(), r#""Ünïcode ""x"""."Täble ""y""""#);
    assert_eq!(strange.key[0].name, r#"Cölumn "z""#);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_an_extension_is_left_out() {
    let database = Cluster::shared().database().unwrap();
    // There is no extension with a table in every installation, so one that is there adopts one.
    let mut client = client(
        &database,
        "CREATE TABLE spatial (a int PRIMARY KEY); ALTER EXTENSION plpgsql ADD TABLE spatial",
    )
    .await;
    let schema = load(&mut client).await.unwrap();
    assert!(schema.catalog.tables.is_empty());
    assert!(
        left_out(&schema, "spatial")
            .reason
            .contains(r#"It belongs to the extension "plpgsql""#)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_knows_no_letters_borrows_them() {
    let cluster = Cluster::shared();
    let name = format!("letters_{}", std::process::id());
    cluster
        .sql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE template0 LOCALE 'C'"),
        )
        .unwrap();
    let mut client = super::connect(&cluster.url(&name)).await;
    let letters = load(&mut client).await.unwrap().letters.unwrap();
    let lower: String = client
        .query_one(&format!("SELECT lower('\u{c4}' COLLATE {letters})"), &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(lower, "\u{e4}");
    drop(client);
    cluster
        .sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"))
        .unwrap();
    let database = cluster.database().unwrap();
    let mut client = super::client(&database, "").await;
    assert_eq!(load(&mut client).await.unwrap().letters, None);
}
