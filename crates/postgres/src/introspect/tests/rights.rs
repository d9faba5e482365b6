use highwater_throwaway::Cluster;

use super::{client, connect, facts, left_out, load, position, reason, table};

#[tokio::test(flavor = "multi_thread")]
async fn an_ordinary_role_sees_what_it_may_read() {
    let database = Cluster::shared().database().unwrap();
    let role = format!("{}_reader", database.name());
    let owner = client(
        &database,
        &format!(
            "CREATE ROLE {role} LOGIN;
             CREATE SCHEMA closed; CREATE SCHEMA open; GRANT USAGE ON SCHEMA open TO {role};
             CREATE TABLE closed.a (id int PRIMARY KEY); GRANT SELECT ON closed.a TO {role};
             CREATE TABLE open.b (id int PRIMARY KEY); GRANT SELECT ON open.b TO {role};
             CREATE TABLE open.c (id int PRIMARY KEY, secret text); GRANT SELECT (id) ON open.c TO {role};
             CREATE TABLE open.d (id int PRIMARY KEY); GRANT SELECT ON open.d TO PUBLIC; ALTER TABLE open.d ENABLE ROW LEVEL SECURITY;
             CREATE TABLE open.e (id int PRIMARY KEY, b int REFERENCES open.b, c int REFERENCES open.c); GRANT SELECT ON open.e TO {role};
             CREATE TABLE open.f (id int PRIMARY KEY);"
        ),
    )
    .await;
    let mut reader = connect(&database.url().replace("postgres@", &format!("{role}@"))).await;
    let who: String = reader
        .query_one("SELECT current_user::text", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(who, role);
    let schema = load(&mut reader).await.unwrap();
    let names: Vec<&str> = schema
        .catalog
        .tables
        .iter()
        .map(|t| t.name.as_str())
        .collect();
    assert_eq!(names, ["b", "d", "e"]);
    for (name, because) in [
        ("a", "`GRANT USAGE ON SCHEMA \"closed\"`"),
        ("c", "`GRANT SELECT ON \"open\".\"c\"`"),
        ("f", "`GRANT SELECT ON \"open\".\"f\"`"),
    ] {
        let left_out = left_out(&schema, name);
        assert!(left_out.reason.contains(because), "{}", left_out.reason);
    }
    assert!(facts(&schema, "open.d").row_security);
    assert!(reason(table(&schema, "open.d")).contains("Row-level security"));
    assert!(!facts(&schema, "open.b").row_security);
    // Relations to what it may not read are no relations for it.
    assert_eq!(table(&schema, "open.e").relations.len(), 1);

    // Highwater's tables are there, but not for this role.
    super::execute(&owner, "CREATE SCHEMA highwater; CREATE TABLE highwater.meta (readable_by int); CREATE TABLE highwater.tracked_table (incarnation int)").await;
    let schema = load(&mut reader).await.unwrap();
    assert!(schema.meta.is_none());
    assert!(reason(table(&schema, "open.b")).contains("may not read the schema highwater"));
    assert!(position(&schema, "highwater.meta").is_none());
    drop(owner);
}
