//! Who may do what: owners, writers and servants.

use highwater_core::tracking::{Ensured, Policy};
use highwater_throwaway::{Cluster, Database};

use super::oracle::{Oracle, run, track};

/// A database, and roles that no other test has.
struct World {
    database: Database<'static>,
    owner: String,
    servant: String,
    writer: String,
}

impl World {
    fn new() -> World {
        let database = Cluster::shared().database().unwrap();
        let role = |what: &str| format!("{what}_{}", database.name());
        let world = World {
            owner: role("owner"),
            servant: role("servant"),
            writer: role("writer"),
            database,
        };
        let World {
            owner,
            servant,
            writer,
            database,
        } = &world;
        database
            .sql(&format!(
                "CREATE ROLE {owner} LOGIN; CREATE ROLE {servant} LOGIN; CREATE ROLE {writer} LOGIN;
                 GRANT CREATE ON DATABASE {name} TO {owner}; CREATE SCHEMA app AUTHORIZATION {owner};
                 SET ROLE {owner};
                 CREATE TABLE app.t(id int PRIMARY KEY, v text, at timestamptz DEFAULT now()); INSERT INTO app.t VALUES (1, 'one'), (2, 'two');
                 CREATE TABLE app.p(id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES FROM (0) TO (10);
                 GRANT USAGE ON SCHEMA app TO {writer}; GRANT INSERT ON app.t, app.p TO {writer};
                 RESET ROLE",
                name = database.name()
            ))
            .unwrap();
        world
    }

    fn url(&self, role: &str) -> String {
        self.database
            .url()
            .replace("postgres@", &format!("{role}@"))
    }

    fn track_as(&self, role: &str, policy: &Policy) -> Result<Ensured, String> {
        run(highwater_postgres::admin::track(&self.url(role), policy)).map_err(|e| e.to_string())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let World {
            owner,
            servant,
            writer,
            ..
        } = self;
        let _ = self.database.sql(&format!(
            "DROP SCHEMA IF EXISTS highwater CASCADE; DROP OWNED BY {owner}, {servant}, {writer} CASCADE; DROP ROLE {owner}, {servant}, {writer}"
        ));
    }
}

#[test]
fn an_ordinary_owner_tracks_and_writers_need_no_rights() {
    let world = World::new();
    assert_eq!(
        world.track_as(&world.owner, &Policy::All).unwrap().tracked,
        ["app.p", "app.t"]
    );
    let mut session = world.database.session().unwrap();
    session.run(&format!("SET ROLE {}", world.writer)).unwrap();
    session
        .run("INSERT INTO app.t VALUES (3, 'three'); INSERT INTO app.p VALUES (3, 'three')")
        .unwrap();
    // Also where the short way through the triggers does not suffice.
    world
        .database
        .sql(&format!(
            "GRANT SELECT, UPDATE, DELETE, TRUNCATE ON app.t, app.p TO {}",
            world.writer
        ))
        .unwrap();
    for sql in [
        "INSERT INTO app.t VALUES (3, 'x') ON CONFLICT (id) DO UPDATE SET v = 'conflict'",
        "WITH d AS (DELETE FROM app.t WHERE id = 3 RETURNING *) INSERT INTO app.t SELECT * FROM d",
        "CREATE FUNCTION pg_temp.f() RETURNS text LANGUAGE plpgsql AS $$ BEGIN UPDATE app.t SET v = v || '+' WHERE id = 1; RETURN 'f'; END $$; UPDATE app.t SET v = pg_temp.f() WHERE id = 2; UPDATE app.p SET id = id + 1",
        "TRUNCATE app.t, app.p; INSERT INTO app.t VALUES (3, 'three'); INSERT INTO app.p VALUES (3, 'three')",
    ] {
        session.run(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    world.database.sql("DELETE FROM highwater.history_1; DELETE FROM highwater.history_2; INSERT INTO app.t VALUES (4); INSERT INTO app.p VALUES (4)").unwrap();
    assert!(session.run("SELECT * FROM highwater.meta").is_err());
    assert!(session.run("SELECT highwater.notify()").is_err());
    let rows = world.database.sql("SELECT (SELECT count(*) FROM highwater.history_1) + (SELECT count(*) FROM highwater.history_2)").unwrap();
    assert_eq!(rows, [[Some("2".to_owned())]]);
    // Another owner's tables are left alone.
    world
        .database
        .sql("CREATE TABLE public.others(id int PRIMARY KEY)")
        .unwrap();
    assert_eq!(
        world.track_as(&world.owner, &Policy::All).unwrap(),
        Ensured::default()
    );
    world
        .database
        .sql(&format!("GRANT SELECT ON public.others TO {}", world.owner))
        .unwrap();
    assert_eq!(
        world.track_as(&world.owner, &Policy::All).unwrap(),
        Ensured::default()
    );
    let refused = world
        .track_as(&world.owner, &Policy::Only(vec!["others".into()]))
        .unwrap_err();
    assert!(refused.contains("Only its owner"), "{refused}");
    assert_eq!(track(&world.database).tracked, ["others"]);
}

#[test]
fn what_print_sql_says_is_enough_to_serve() {
    let world = World::new();
    // The servant sees nothing yet; the owner prints.
    let script = run(highwater_postgres::admin::print_sql(
        &world.url(&world.owner),
        &Policy::All,
        Some(&world.servant),
    ))
    .unwrap();
    let mut owner = world.database.session().unwrap();
    owner
        .run(&format!(
            "SET SESSION AUTHORIZATION {}; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
            world.owner
        ))
        .unwrap();
    owner
        .run(&script)
        .unwrap_or_else(|e| panic!("{e}\n{script}"));
    // Once is enough, and a second time does no harm.
    assert!(owner.run(&script).is_err());
    owner.run("ROLLBACK").unwrap();
    assert_eq!(
        world.track_as(&world.owner, &Policy::All).unwrap(),
        Ensured::default()
    );
    assert_eq!(
        world.track_as(&world.servant, &Policy::All).unwrap(),
        Ensured::default()
    );

    let again = run(highwater_postgres::admin::print_sql(
        &world.url(&world.owner),
        &Policy::All,
        Some(&world.servant),
    ))
    .unwrap();
    assert!(!again.contains("CREATE TABLE"), "{again}");
    owner.run(&again).unwrap_or_else(|e| panic!("{e}\n{again}"));

    let mut servant = world.database.session().unwrap();
    servant
        .run(&format!("SET SESSION AUTHORIZATION {}", world.servant))
        .unwrap();
    for sql in [
        "SELECT * FROM app.t; SELECT * FROM app.p",
        "SELECT highwater.layout(relation) = layout FROM highwater.tracked_table",
        "SELECT identity = highwater.identity() FROM highwater.meta",
        "SELECT * FROM highwater.history_1; DELETE FROM highwater.history_2 WHERE xid < 5",
        "INSERT INTO highwater.tick(snapshot, nonce) VALUES (pg_current_snapshot(), 5)",
        "UPDATE highwater.tracked_table SET horizon = 5 WHERE id = 1",
        "SELECT setval('highwater.wake', 5); SELECT highwater.notify()",
        "INSERT INTO highwater.seal_key VALUES (5, sha256('x')); UPDATE highwater.meta SET current_key = 5",
    ] {
        servant.run(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    assert!(servant.run("DROP TABLE highwater.tick").is_err());
    assert!(servant.run("UPDATE app.t SET v = 'x'").is_err());

    // Tables that the owner tracks later are readable at once.
    owner
        .run("CREATE TABLE app.later(id int PRIMARY KEY)")
        .unwrap();
    assert_eq!(
        world.track_as(&world.servant, &Policy::All).unwrap(),
        Ensured::default()
    );
    assert_eq!(
        world.track_as(&world.owner, &Policy::All).unwrap().tracked,
        ["app.later"]
    );
    servant.run("SELECT * FROM highwater.history_3").unwrap();
    // The owner's table changes: the servant cannot renew its tracking, and leaves it alone.
    owner.run("ALTER TABLE app.t ADD x int").unwrap();
    assert_eq!(
        world.track_as(&world.servant, &Policy::All).unwrap(),
        Ensured::default()
    );
    assert_eq!(
        world.track_as(&world.owner, &Policy::All).unwrap().renewed,
        ["app.t"]
    );
    drop((owner, servant));
}

/// Row-level security hides rows from `TRUNCATE`'s capture, and from nothing else.
#[test]
fn row_level_security() {
    let world = World::new();
    world.database.sql("ALTER TABLE app.t ENABLE ROW LEVEL SECURITY; ALTER TABLE app.t FORCE ROW LEVEL SECURITY; CREATE POLICY p ON app.t USING (id > 1) WITH CHECK (true)").unwrap();
    track(&world.database);
    world
        .database
        .sql(&format!("GRANT ALL ON app.t TO {}", world.writer))
        .unwrap();
    let mut oracle = Oracle::of(Cluster::shared().database().unwrap());
    assert!(oracle.tracks_nothing());
    oracle.remember("nothing");
    let mut session = world.database.session().unwrap();
    session.run(&format!("SET ROLE {}", world.writer)).unwrap();
    session.run("INSERT INTO app.t VALUES (5, 'x'); UPDATE app.t SET v = 'y'; DELETE FROM app.t WHERE id = 5").unwrap();
    session.run("TRUNCATE app.t").unwrap();
}
