//! Roles that may not everything, policies, and databases that cannot be written.

use highwater_core::Error;
use highwater_throwaway::{Cluster, Database, Options};

use super::serving::{Served, tell};
use super::step::{delete, insert, int, update};

/// A database served as a role of its own, which may do what the grants say.
async fn served_as(database: Database<'static>, setup: &str) -> Served {
    let role = format!("role_{}", database.name());
    let setup = setup.replace("ROLE", &role);
    database
        .sql(&format!("CREATE ROLE {role} LOGIN; {setup}"))
        .unwrap_or_else(|error| panic!("{error:?}"));
    let url = database.url().replace("postgres@", &format!("{role}@"));
    Served::at(database, &url, 4).await
}

#[tokio::test]
async fn rights_that_are_missing_are_named() {
    let database = Cluster::shared().database().unwrap();
    let served = served_as(
        database,
        "CREATE TABLE readable (id int PRIMARY KEY); GRANT SELECT ON readable TO ROLE; INSERT INTO readable VALUES (1);
         CREATE TABLE erasable (id int PRIMARY KEY); GRANT SELECT, DELETE ON erasable TO ROLE; INSERT INTO erasable VALUES (1);
         CREATE TABLE addable (id int PRIMARY KEY, r int REFERENCES readable); GRANT SELECT, INSERT ON addable TO ROLE;
         CREATE TABLE own (id int PRIMARY KEY, owner text); GRANT ALL ON own TO ROLE; ALTER TABLE own ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON own USING (owner = current_user); INSERT INTO own VALUES (1, 'ROLE'), (2, 'another');",
    )
    .await;
    let refused = served
        .done(update("readable", &[int(1)]).set("id", int(2)))
        .await;
    assert_eq!(
        refused,
        "ReadOnly: The role of the service lacks a right: permission denied for table readable. Grant it, if the service is to change readable."
    );
    for (step, expected) in [
        (delete("erasable", &[int(1)]), "Deleted 1"),
        // Referring to a row does not demand the right to change it.
        (update("readable", &[int(1)]), "Updated 1"),
        (
            insert("addable").set("id", int(1)).set("r", int(1)),
            "Created 1",
        ),
        (update("own", &[int(1)]).set("id", int(3)), "Updated 3"),
        (update("own", &[int(2)]).set("id", int(4)), "NotFound"),
        (delete("own", &[int(2)]), "NotFound"),
        (
            insert("own").set("id", int(5)),
            "Scope own(): A policy of own does not allow this service to write the row.",
        ),
    ] {
        assert_eq!(served.done(step.clone()).await, expected, "{step:?}");
    }
    served.sql(&format!("DROP OWNED BY role_{0}", served.database.name()));
}

#[tokio::test]
async fn a_database_that_cannot_be_written_says_so() {
    let served = Served::new("CREATE TABLE t (id int PRIMARY KEY)").await;
    let name = served.database.name();
    served.sql(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ));
    // New connections have the setting.
    let url = served.database.url();
    let Served { database, .. } = served;
    let served = Served::at(database, &url, 2).await;
    let error = served
        .write(vec![insert("t").set("id", int(1))])
        .await
        .unwrap_err();
    assert!(matches!(error, Error::ReadOnly(_)), "{}", tell(&error));
    assert!(
        error.to_string().contains("Write to the primary"),
        "{error}"
    );
}

#[tokio::test]
async fn a_standby_names_the_primary() {
    let own = Cluster::start(&Options::new()).unwrap();
    let primary: &'static Cluster = Box::leak(Box::new(own));
    let database = primary.database().unwrap();
    database.sql("CREATE TABLE t (id int PRIMARY KEY)").unwrap();
    let name = database.name().to_owned();
    let standby = primary.standby(&Options::new()).unwrap();
    standby.catch_up(primary).unwrap();
    let served = Served::at(database, &standby.url(&name), 2).await;
    let error = served
        .write(vec![insert("t").set("id", int(1))])
        .await
        .unwrap_err();
    assert_eq!(
        tell(&error),
        "ReadOnly: The database cannot be written: it is a standby, or default_transaction_read_only is on. Write to the primary."
    );
}
