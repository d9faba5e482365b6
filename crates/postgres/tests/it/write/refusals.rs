//! What PostgreSQL refuses, said so that a caller can mend it.

use highwater_core::Error;

use super::serving::{Served, tell};
use super::step::{Step, delete, insert, int, text, update, upsert};

const SETUP: &str = "
    CREATE TABLE customer (id int PRIMARY KEY, name text NOT NULL DEFAULT 'new', mail text UNIQUE, age int CHECK (age >= 0), CONSTRAINT grown CHECK (age > 3 OR name <> 'Kid'));
    CREATE UNIQUE INDEX lower_name ON customer (lower(name)) WHERE age = 1;
    CREATE TABLE purchase (id int PRIMARY KEY, customer int NOT NULL REFERENCES customer, backup int REFERENCES customer ON DELETE RESTRICT);
    CREATE TABLE node (id int PRIMARY KEY, parent int REFERENCES node, late int REFERENCES node DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE pair (a int, b int, c int, d int, PRIMARY KEY (a, b), UNIQUE (c, d) DEFERRABLE INITIALLY DEFERRED, FOREIGN KEY (c, d) REFERENCES pair (a, b));
    CREATE TABLE slot (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&));
    CREATE TABLE log (customer int NOT NULL);
    INSERT INTO customer VALUES (1, 'Ann', 'ann@x', 30), (2, 'Bob', NULL, 1), (3, 'Cy', NULL, NULL);
    INSERT INTO purchase VALUES (10, 1, NULL), (11, 1, 3);
    INSERT INTO node VALUES (1, NULL, NULL), (2, 1, NULL);
    INSERT INTO pair VALUES (1, 1, NULL, NULL);
    INSERT INTO slot VALUES (1, '[1,5)');";

async fn check(served: &Served, step: Step, expected: &str) {
    let tables = "SELECT (SELECT count(*) FROM customer), (SELECT sum(age) FROM customer), (SELECT count(*) FROM purchase), (SELECT count(*) FROM node)";
    let before = served.rows(tables);
    assert_eq!(served.done(step.clone()).await, expected, "{step:?}");
    assert_eq!(served.rows(tables), before, "{step:?}");
}

#[tokio::test]
async fn refusals_name_the_columns() {
    let served = Served::new(SETUP).await;
    let customer = |id| insert("customer").set("id", int(id));
    for (step, expected) in [
        (
            customer(1),
            "Unique customer(id): Another row of customer has the same value of id.",
        ),
        (
            customer(9).set("mail", text("ann@x")),
            "Unique customer(mail): Another row of customer has the same value of mail.",
        ),
        (
            update("customer", &[int(2)]).set("mail", text("ann@x")),
            "Unique customer(mail): Another row of customer has the same value of mail.",
        ),
        (
            upsert("customer", &[int(9)]).set("mail", text("ann@x")),
            "Unique customer(mail): Another row of customer has the same value of mail.",
        ),
        (
            customer(9).set("name", text("BOB")).set("age", int(1)),
            "Unique customer(): Another row of customer has the same value in a unique index (lower_name).",
        ),
        (
            customer(9).set("name", highwater_odata::Value::Null),
            "NotNull customer(name): name of customer must have a value.",
        ),
        (
            insert("customer"),
            "NotNull customer(id): id of customer must have a value.",
        ),
        (
            customer(9).set("age", int(-1)),
            "Check customer(age): A check constraint of customer does not allow this: customer_age_check (age >= 0).",
        ),
        (
            update("customer", &[int(1)]).set("age", int(-1)),
            "Check customer(age): A check constraint of customer does not allow this: customer_age_check (age >= 0).",
        ),
        (
            customer(9).set("name", text("Kid")).set("age", int(2)),
            "Check customer(age,name): A check constraint of customer does not allow this: grown ((age > 3) OR (name <> 'Kid'::text)).",
        ),
        (
            insert("purchase")
                .set("id", int(1))
                .set("customer", int(99)),
            "ForeignKey purchase(customer): customer of purchase refers to a row of customer that does not exist.",
        ),
        (
            update("purchase", &[int(10)]).set("customer", int(99)),
            "ForeignKey purchase(customer): customer of purchase refers to a row of customer that does not exist.",
        ),
        (
            delete("customer", &[int(1)]),
            "ForeignKey customer(id): Rows of purchase still refer to this row of customer (by customer).",
        ),
        (
            delete("customer", &[int(3)]),
            "ForeignKey customer(id): Rows of purchase still refer to this row of customer (by backup).",
        ),
        (
            update("customer", &[int(1)]).set("id", int(77)),
            "ForeignKey customer(id): Rows of purchase still refer to this row of customer (by customer).",
        ),
        (
            insert("node").set("id", int(5)).set("parent", int(6)),
            "ForeignKey node(parent): parent of node refers to a row of node that does not exist.",
        ),
        (
            update("node", &[int(2)]).set("parent", int(6)),
            "ForeignKey node(parent): parent of node refers to a row of node that does not exist.",
        ),
        (
            update("node", &[int(1)]).set("id", int(6)),
            "ForeignKey node(id): Rows of node still refer to this row of node (by parent).",
        ),
        (
            delete("node", &[int(1)]),
            "ForeignKey node(id): Rows of node still refer to this row of node (by parent).",
        ),
        // What is checked during the commit.
        (
            insert("node").set("id", int(5)).set("late", int(6)),
            "ForeignKey node(late): late of node refers to a row of node that does not exist.",
        ),
        (
            insert("pair")
                .set("a", int(2))
                .set("b", int(2))
                .set("c", int(9))
                .set("d", int(9)),
            "ForeignKey pair(c,d): c, d of pair refers to a row of pair that does not exist.",
        ),
        (
            insert("slot")
                .set("id", int(2))
                .set("during", text("[4,9)")),
            "Unique slot(during): Another row of slot excludes this one by its during (slot_during_excl).",
        ),
    ] {
        check(&served, step, expected).await;
    }
    served.sql("INSERT INTO pair VALUES (3, 3, 1, 1)");
    check(
        &served,
        insert("pair")
            .set("a", int(4))
            .set("b", int(4))
            .set("c", int(1))
            .set("d", int(1)),
        "Unique pair(c,d): Another row of pair has the same value of c, d.",
    )
    .await;
}

#[tokio::test]
async fn triggers_of_the_application_have_their_say() {
    let served = Served::new(SETUP).await;
    served.sql(
        "CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            CASE NEW.id
                WHEN 100 THEN RAISE EXCEPTION 'too large for us';
                WHEN 101 THEN RAISE EXCEPTION 'no such customer' USING ERRCODE = 'check_violation';
                WHEN 102 THEN RAISE EXCEPTION 'my own code' USING ERRCODE = 'HW001';
                WHEN 103 THEN RETURN NULL;
                WHEN 104 THEN INSERT INTO log VALUES (NULL);
                WHEN 105 THEN PERFORM missing FROM nowhere;
                WHEN 106 THEN PERFORM 1 / (NEW.id - NEW.id);
                ELSE NULL;
            END CASE;
            RETURN NEW; END $$;
         CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION guard();
         CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER keep BEFORE DELETE ON customer FOR EACH ROW EXECUTE FUNCTION keep();
         CREATE TRIGGER keep BEFORE UPDATE ON node FOR EACH ROW EXECUTE FUNCTION keep();",
    );
    for (id, expected) in [
        (100, "Trigger customer(): too large for us"),
        (101, "Check customer(): no such customer"),
        (102, "Trigger customer(): my own code"),
        (
            103,
            "Trigger customer(): A trigger of customer ignored the change.",
        ),
        (
            104,
            "NotNull log(customer): customer of log must have a value.",
        ),
        (
            105,
            "Trigger customer(): relation \"nowhere\" does not exist",
        ),
        (
            106,
            "Type customer(): A value cannot be stored: division by zero.",
        ),
    ] {
        for step in [
            insert("customer").set("id", int(id)),
            upsert("customer", &[int(id)]),
        ] {
            let found = served.done(step.clone()).await;
            // With one parameter only, a wrong value can only be that one's.
            let found = found.replace(
                "Type customer(id): The value of id",
                "Type customer(): A value",
            );
            assert_eq!(found, expected, "{step:?}");
        }
    }
    for step in [
        delete("customer", &[int(2)]),
        delete("customer", &[int(2)]).when(highwater_core::store::Condition::MatchesNone(vec![1])),
    ] {
        check(
            &served,
            step,
            "Trigger customer(): A trigger of customer ignored the change.",
        )
        .await;
    }
    for step in [
        update("node", &[int(2)]).set("parent", int(1)),
        upsert("node", &[int(2)]).set("parent", int(1)),
    ] {
        check(
            &served,
            step,
            "Trigger node(): A trigger of node ignored the change.",
        )
        .await;
    }
}

#[tokio::test]
async fn another_schema_is_noticed() {
    let served = Served::new(SETUP).await;
    let step = insert("slot").set("id", int(5));
    for change in [
        "ALTER TABLE slot RENAME COLUMN during TO while",
        "ALTER TABLE slot RENAME TO slots; CREATE TABLE slot (id int PRIMARY KEY, during int4range)",
        "DROP TABLE slot",
    ] {
        let catalog = served.catalog().await;
        let bound = step.clone().bind(&catalog);
        served.sql(change);
        let refused = served.write_bound(catalog, vec![bound]).await;
        assert!(
            matches!(refused, Err(Error::SchemaChanged)),
            "{change}: {refused:?}"
        );
        if change.starts_with("ALTER") {
            assert_eq!(served.done(step.clone()).await, "Created 5", "{change}");
            served.sql("DELETE FROM slot WHERE id = 5");
        }
    }
}

#[tokio::test]
async fn a_locked_table_is_busy_not_stuck() {
    let served = Served::new(SETUP).await;
    let other = served.connect().await;
    other
        .batch_execute("BEGIN; UPDATE customer SET age = age + 1 WHERE id = 1")
        .await
        .unwrap();
    let refused = served
        .write(vec![update("customer", &[int(1)]).set("age", int(5))])
        .await;
    assert_eq!(
        tell(&refused.unwrap_err()),
        "Busy: Another transaction holds a lock that the request needs. Try again later."
    );
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(
        served
            .done(update("customer", &[int(1)]).set("age", int(5)))
            .await,
        "Updated 1"
    );
}
