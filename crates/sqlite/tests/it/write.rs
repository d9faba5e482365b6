//! Writes: conditions, scopes, exact values, and refusals that say what is wrong.

use highwater_core::query::Comparison;
use highwater_core::store::{Condition, Input, WriteOutcome, WriteStep, WriteVerb};
use highwater_core::{ConstraintKind, Error, Expr};
use highwater_odata::{PrimitiveType as T, Value};

use crate::serving::{Served, cmp, int, show};

const SETUP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'new', mail TEXT UNIQUE, age INTEGER CHECK (age >= 0));
    CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer (id), total DECIMAL(10,2), at DATETIME, paid BOOLEAN);
    CREATE TABLE line (purchase INTEGER REFERENCES purchase (id) ON DELETE CASCADE, nr INTEGER, ref GUID, PRIMARY KEY (purchase, nr)) WITHOUT ROWID;
    CREATE TABLE strict (id TEXT PRIMARY KEY, n INTEGER) STRICT;
    CREATE TABLE word (k TEXT PRIMARY KEY COLLATE NOCASE, v);
    CREATE TABLE guarded (id INTEGER PRIMARY KEY);
    CREATE TRIGGER guard BEFORE INSERT ON guarded WHEN NEW.id > 9 BEGIN SELECT RAISE(ABORT, 'too large for us'); END;
    CREATE TRIGGER skip BEFORE INSERT ON guarded WHEN NEW.id < 0 BEGIN SELECT RAISE(IGNORE); END;
    CREATE VIEW rich AS SELECT * FROM customer;
    INSERT INTO customer VALUES (1,'Ann','ann@x',30),(2,'Bob',NULL,NULL);
    INSERT INTO purchase VALUES (10,1,5.25,'2024-05-01 10:00:00',1);
    INSERT INTO word VALUES ('Abc',1);";

fn values(served: &Served, table: &str, values: &[(&str, Value)]) -> Vec<(usize, Input)> {
    let catalog = served.catalog();
    let table = &catalog.tables[catalog.table(None, table).expect("it exists")];
    values
        .iter()
        .map(|(column, value)| {
            (
                table.column(column).expect("it exists"),
                Input::Value(value.clone()),
            )
        })
        .collect()
}

fn step(served: &Served, table: &str, verb: WriteVerb) -> WriteStep {
    WriteStep {
        table: served.catalog().table(None, table).expect("it exists"),
        verb,
        scope: None,
    }
}

fn insert(served: &Served, table: &str, set: &[(&str, Value)]) -> WriteStep {
    let values = values(served, table, set);
    step(served, table, WriteVerb::Insert { values })
}

fn update(
    served: &Served,
    table: &str,
    key: &[Value],
    set: &[(&str, Value)],
    condition: Condition,
    or_insert: bool,
) -> WriteStep {
    let verb = WriteVerb::Update {
        key: key.iter().cloned().map(Input::Value).collect(),
        values: values(served, table, set),
        condition,
        or_insert,
    };
    step(served, table, verb)
}

fn delete(served: &Served, table: &str, key: &[Value], condition: Condition) -> WriteStep {
    let key = key.iter().cloned().map(Input::Value).collect();
    step(served, table, WriteVerb::Delete { key, condition })
}

fn content(served: &Served, table: &str) -> Vec<String> {
    served.read_all(&served.query(table), 100, || {}).0
}

fn string(text: &str) -> Value {
    Value::String(text.into())
}

#[test]
fn rows_are_inserted_updated_upserted_and_deleted() {
    let served = Served::new(SETUP);
    let done = |step: WriteStep, outcome: WriteOutcome, key: &str| {
        let result = served.write(vec![step]).unwrap();
        assert_eq!(result.written[0].outcome, outcome);
        let found: Vec<String> = result.written[0].key.iter().map(show).collect();
        assert_eq!(found.join(","), key);
    };
    done(
        insert(&served, "customer", &[("name", string("Cy"))]),
        WriteOutcome::Created,
        "3",
    );
    done(insert(&served, "customer", &[]), WriteOutcome::Created, "4");
    done(
        update(
            &served,
            "customer",
            &[Value::Integer(2)],
            &[("age", Value::Integer(4))],
            Condition::None,
            false,
        ),
        WriteOutcome::Updated,
        "2",
    );
    done(
        update(
            &served,
            "customer",
            &[Value::Integer(2)],
            &[("id", Value::Integer(5))],
            Condition::Exists,
            false,
        ),
        WriteOutcome::Updated,
        "5",
    );
    done(
        update(
            &served,
            "customer",
            &[Value::Integer(7)],
            &[("name", string("Di"))],
            Condition::None,
            true,
        ),
        WriteOutcome::Created,
        "7",
    );
    done(
        update(
            &served,
            "customer",
            &[Value::Integer(7)],
            &[],
            Condition::None,
            true,
        ),
        WriteOutcome::Updated,
        "7",
    );
    done(
        delete(&served, "customer", &[Value::Integer(4)], Condition::None),
        WriteOutcome::Deleted,
        "4",
    );
    assert_eq!(
        content(&served, "customer"),
        [
            "1,'Ann','ann@x',30",
            "3,'Cy',-,-",
            "5,'Bob',-,4",
            "7,'Di',-,-"
        ]
    );
    // PUT: what is not given gets its default.
    let mut put = update(
        &served,
        "customer",
        &[Value::Integer(1)],
        &[],
        Condition::None,
        false,
    );
    if let WriteVerb::Update { values, .. } = &mut put.verb {
        *values = vec![
            (1, Input::Default),
            (2, Input::Default),
            (3, Input::Value(Value::Integer(1))),
        ];
    }
    done(put, WriteOutcome::Updated, "1");
    assert_eq!(content(&served, "customer")[0], "1,'new',-,1");
    // Keys with another collation are the same byte by byte only.
    let missing = served.write(vec![delete(
        &served,
        "word",
        &[string("ABC")],
        Condition::None,
    )]);
    assert!(matches!(missing, Err(Error::NotFound)));
    done(
        delete(&served, "word", &[string("Abc")], Condition::None),
        WriteOutcome::Deleted,
        "'Abc'",
    );
}

#[test]
fn values_are_stored_in_the_forms_of_sqlite() {
    let served = Served::new(SETUP);
    let lexical = |ty, text: &str| Value::Lexical(ty, text.into());
    let set = [
        ("id", Value::Integer(11)),
        ("customer", Value::Integer(1)),
        ("total", lexical(T::Decimal, "19.90")),
        (
            "at",
            lexical(T::DateTimeOffset, "2024-05-01T12:00:00.5+02:00"),
        ),
        ("paid", Value::Boolean(false)),
    ];
    served
        .write(vec![insert(&served, "purchase", &set)])
        .unwrap();
    let stored: String = served
        .outside
        .query_row(
            "SELECT total || ' ' || typeof(total) || ' ' || at || ' ' || paid || ' ' || typeof(paid) FROM purchase WHERE id = 11",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(stored, "19.9 real 2024-05-01 10:00:00.500 0 integer");
    let too_long = [
        ("customer", Value::Integer(1)),
        ("total", lexical(T::Decimal, "0.12345678901234567890")),
    ];
    let error = served
        .write(vec![insert(&served, "purchase", &too_long)])
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "The value of total cannot be stored exactly: SQLite keeps about 15 digits."
    );
}

#[test]
fn a_deep_insert_is_one_transaction() {
    let served = Served::new(SETUP);
    let steps = |mail: &str| {
        // The line comes before the purchase that it refers to.
        let mut purchase = insert(&served, "purchase", &[("id", Value::Integer(20))]);
        if let WriteVerb::Insert { values } = &mut purchase.verb {
            values.push((1, Input::Written { step: 0, column: 0 }));
        }
        vec![
            insert(&served, "customer", &[("mail", string(mail))]),
            insert(
                &served,
                "line",
                &[("purchase", Value::Integer(20)), ("nr", Value::Integer(1))],
            ),
            purchase,
        ]
    };
    let error = served.write(steps("ann@x")).unwrap_err();
    assert!(matches!(error, Error::Constraint(_)), "{error}");
    assert_eq!(content(&served, "line").len(), 0, "nothing was changed");
    let written = served.write(steps("cy@x")).unwrap().written;
    let keys: Vec<_> = written.into_iter().map(|written| written.key).collect();
    assert_eq!(
        keys,
        [
            vec![Value::Integer(3)],
            vec![Value::Integer(20), Value::Integer(1)],
            vec![Value::Integer(20)]
        ]
    );
    assert_eq!(content(&served, "purchase")[1], "20,3,-,-,-");
}

#[test]
fn refusals_name_the_columns() {
    let served = Served::new(SETUP);
    let check = |step: WriteStep, kind: ConstraintKind, columns: &[&str], message: &str| {
        let before: Vec<_> = ["customer", "purchase"]
            .map(|table| content(&served, table))
            .into();
        match served.write(vec![step]) {
            Err(Error::Constraint(violation)) => {
                assert_eq!(violation.message, message);
                assert_eq!(
                    (violation.kind, violation.columns.as_slice()),
                    (
                        kind,
                        &columns.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>()[..]
                    ),
                    "{message}"
                );
            }
            other => panic!("{message}: {other:?}"),
        }
        let after: Vec<_> = ["customer", "purchase"]
            .map(|table| content(&served, table))
            .into();
        assert_eq!(before, after);
    };
    check(
        insert(&served, "customer", &[("id", Value::Integer(1))]),
        ConstraintKind::Unique,
        &["id"],
        "Another row of customer has the same value of id.",
    );
    check(
        insert(&served, "customer", &[("mail", string("ann@x"))]),
        ConstraintKind::Unique,
        &["mail"],
        "Another row of customer has the same value of mail.",
    );
    check(
        insert(&served, "word", &[("k", string("ABC"))]),
        ConstraintKind::Unique,
        &["k"],
        "Another row of word has the same value of k.",
    );
    check(
        insert(&served, "customer", &[("name", Value::Null)]),
        ConstraintKind::NotNull,
        &["name"],
        "name of customer must have a value.",
    );
    check(
        update(
            &served,
            "customer",
            &[Value::Integer(1)],
            &[("age", Value::Integer(-1))],
            Condition::None,
            false,
        ),
        ConstraintKind::Check,
        &[],
        "A check constraint of customer does not allow this: age >= 0.",
    );
    check(
        insert(&served, "purchase", &[("customer", Value::Integer(99))]),
        ConstraintKind::ForeignKey,
        &["customer"],
        "customer of purchase refers to a row of customer that does not exist.",
    );
    check(
        delete(&served, "customer", &[Value::Integer(1)], Condition::None),
        ConstraintKind::ForeignKey,
        &["id"],
        "Rows of purchase still refer to this row of customer (by customer).",
    );
    check(
        insert(
            &served,
            "strict",
            &[("id", string("x")), ("n", string("many"))],
        ),
        ConstraintKind::Type,
        &["n"],
        "The value does not have the type of the column: cannot store TEXT value in INTEGER column strict.n.",
    );
    check(
        insert(&served, "customer", &[("id", string("one"))]),
        ConstraintKind::Type,
        &["id"],
        "The key of customer must be a whole number.",
    );
    check(
        insert(&served, "guarded", &[("id", Value::Integer(10))]),
        ConstraintKind::Trigger,
        &[],
        "too large for us",
    );
    check(
        insert(&served, "guarded", &[("id", Value::Integer(-1))]),
        ConstraintKind::Trigger,
        &[],
        "A trigger of guarded ignored the change.",
    );
    let view = served.write(vec![insert(&served, "rich", &[("id", Value::Integer(50))])]);
    assert!(matches!(view, Err(Error::ReadOnly(_))));
}

#[test]
fn conditions_and_scopes() {
    let served = Served::new(SETUP);
    let one = [Value::Integer(1)];
    let none = [Value::Integer(99)];
    let age = [("age", Value::Integer(31))];
    let adults = |served: &Served| -> Option<Expr> {
        Some(cmp(
            served.column("customer", "age"),
            Comparison::Ge,
            int(18),
        ))
    };
    let check = |step: WriteStep, expected: &str| {
        let found = match served.write(vec![step]) {
            Ok(result) => format!("{:?}", result.written[0].outcome),
            Err(Error::NotFound) => "NotFound".into(),
            Err(Error::PreconditionFailed) => "PreconditionFailed".into(),
            Err(Error::Constraint(violation)) => format!("{:?}", violation.kind),
            Err(other) => panic!("{other}"),
        };
        assert_eq!(found, expected);
    };
    let upsert = |key: &[Value], condition| update(&served, "customer", key, &age, condition, true);
    let patch = |key: &[Value], condition| update(&served, "customer", key, &age, condition, false);
    check(patch(&none, Condition::None), "NotFound");
    check(patch(&none, Condition::Exists), "NotFound");
    check(upsert(&none, Condition::Exists), "PreconditionFailed");
    check(
        upsert(&none, Condition::Matches(vec![1])),
        "PreconditionFailed",
    );
    check(upsert(&none, Condition::Absent), "Created");
    check(upsert(&one, Condition::Absent), "PreconditionFailed");
    check(
        patch(&one, Condition::Matches(vec![1])),
        "PreconditionFailed",
    );
    check(patch(&one, Condition::MatchesNone(vec![1])), "Updated");
    check(
        delete(
            &served,
            "customer",
            &[Value::Integer(2)],
            Condition::Matches(vec![1]),
        ),
        "PreconditionFailed",
    );

    let scoped = |mut step: WriteStep| {
        step.scope = adults(&served);
        step
    };
    check(scoped(patch(&one, Condition::None)), "Updated");
    check(
        scoped(patch(&[Value::Integer(2)], Condition::None)),
        "NotFound",
    );
    check(
        scoped(upsert(&[Value::Integer(2)], Condition::None)),
        "NotFound",
    );
    check(
        scoped(delete(
            &served,
            "customer",
            &[Value::Integer(2)],
            Condition::None,
        )),
        "NotFound",
    );
    let child = [("age", Value::Integer(5))];
    check(
        scoped(update(
            &served,
            "customer",
            &one,
            &child,
            Condition::None,
            false,
        )),
        "Scope",
    );
    check(scoped(insert(&served, "customer", &child)), "Scope");
    check(scoped(insert(&served, "customer", &age)), "Created");
    assert_eq!(content(&served, "customer")[0], "1,'Ann','ann@x',31");
}

#[test]
fn what_is_written_is_in_the_next_round() {
    let served = Served::new(SETUP);
    let query = served.query("customer");
    let lo = served.read_all(&query, 10, || {}).1.unwrap();
    served
        .write(vec![
            insert(&served, "customer", &[("name", string("Cy"))]),
            update(
                &served,
                "customer",
                &[Value::Integer(1)],
                &[("name", string("Anne"))],
                Condition::None,
                false,
            ),
            delete(&served, "customer", &[Value::Integer(2)], Condition::None),
        ])
        .unwrap();
    let (found, _) = served.changes_all(&query, &lo, 1, || {});
    assert_eq!(
        found,
        ["3,'Cy',-,-", "1,'Anne','ann@x',30", "-deleted 2,-,-,-"]
    );
}
