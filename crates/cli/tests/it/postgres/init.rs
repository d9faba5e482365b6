//! `highwater init postgres://…`.

use highwater_throwaway::{Cluster, Row};

use crate::support::Lab;

/// The template's tables are those of SQLite, with the same rows.
#[test]
fn every_template_is_the_same_as_in_sqlite() {
    let lab = Lab::new();
    for template in ["sample", "graph", "dataverse", "business-central"] {
        let database = Cluster::shared().database().unwrap();
        let url = database.url();
        let file = format!("{template}.sqlite");
        for place in [&url, &file] {
            lab.ok(&["init", place, "--template", template, "--rows", "300"]);
        }
        let sqlite = rusqlite::Connection::open(lab.path(&file)).unwrap();
        let names = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name";
        let mut names = sqlite.prepare(names).unwrap();
        let names: Vec<String> = names
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let there = database
            .sql("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname COLLATE \"C\"")
            .unwrap();
        assert_eq!(
            there.into_iter().flatten().flatten().collect::<Vec<_>>(),
            names
        );
        for name in names {
            let select = format!("SELECT * FROM \"{name}\" ORDER BY 1, 2");
            let columns: Vec<String> = {
                let statement = sqlite.prepare(&select).unwrap();
                statement.column_names().map(str::to_owned).collect()
            };
            let declared = database
                .sql(&format!("SELECT attname FROM pg_attribute WHERE attrelid = '\"{name}\"'::regclass AND attnum > 0 ORDER BY attnum"))
                .unwrap();
            assert_eq!(
                declared.into_iter().flatten().flatten().collect::<Vec<_>>(),
                columns,
                "{name}"
            );
            // A view's numbers differ in their last digits.
            if name != "Order Totals" {
                let rows = database.sql(&select.replace("ORDER BY 1, 2", "")).unwrap();
                let (rows, expected) = (sorted(rows), sorted(sqlite_rows(&sqlite, &select)));
                assert_eq!(rows.len(), expected.len(), "{template} {name}");
                for (row, expected) in rows.iter().zip(&expected) {
                    assert_eq!(row, expected, "{template} {name}");
                }
            }
        }
    }
}

/// Rows of SQLite with values as PostgreSQL spells them, as far as the templates need it.
fn sqlite_rows(db: &rusqlite::Connection, select: &str) -> Vec<Row> {
    use rusqlite::types::ValueRef;
    let mut statement = db.prepare(select).unwrap();
    let columns = statement.column_count();
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        rows.push(
            (0..columns)
                .map(|column| match row.get_ref(column).unwrap() {
                    ValueRef::Null => None,
                    ValueRef::Integer(value) => Some(value.to_string()),
                    ValueRef::Real(value) => Some(value.to_string()),
                    ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Blob(_) => panic!("no template has blobs"),
                })
                .collect(),
        );
    }
    rows
}

/// Values in one spelling: instants, numbers and truth values differ between the two.
fn sorted(rows: Vec<Row>) -> Vec<Vec<Option<String>>> {
    let spell = |value: String| match value.as_str() {
        "t" => "1".to_owned(),
        "f" => "0".to_owned(),
        text if text.len() > 19 && text.ends_with("+00") => {
            text.replace(' ', "T").replace("+00", "Z")
        }
        text => match text.parse::<f64>() {
            Ok(number) => number.to_string(),
            Err(_) => value,
        },
    };
    let mut rows: Vec<Vec<Option<String>>> = rows
        .into_iter()
        .map(|row| row.into_iter().map(|value| value.map(spell)).collect())
        .collect();
    rows.sort();
    rows
}

#[test]
fn a_schema_with_tables_is_left_alone_and_a_failure_leaves_nothing() {
    let lab = Lab::new();
    let database = Cluster::shared().database().unwrap();
    let url = database.url();
    let printed = lab.ok(&["init", &url, "--template", "graph", "--rows", "5"]);
    assert_eq!(
        printed,
        format!("filled {url}; now run: highwater serve '{url}'\n")
    );
    lab.run(&["init", &url, "--template", "sample"])
        .assert_fails(1, "has tables already");
    let orders = "SELECT to_regclass('\"Orders\"') IS NULL";
    assert_eq!(super::value(&database, orders), "t");

    // Another schema of the same database is another place.
    database.sql("CREATE SCHEMA other").unwrap();
    let there = format!("{url}?options=-csearch_path%3Dother");
    lab.ok(&["init", &there, "--template", "sample", "--rows", "5"]);
    let count = "SELECT count(*) FROM other.\"Orders\"";
    assert_eq!(super::value(&database, count), "5");
    // Writers go on where the rows end.
    database
        .sql("INSERT INTO other.\"Orders\" (\"CustomerID\", \"OrderDate\") VALUES ('C0001', now())")
        .unwrap();

    let nowhere = format!("{url}?options=-csearch_path%3Dnowhere");
    lab.run(&["init", &nowhere, "--template", "sample"])
        .assert_fails(1, "names no schema");
    lab.run(&["init", &format!("{url}x"), "--template", "sample"])
        .assert_fails(1, "There is no database");
}

#[test]
fn rows_of_the_dataverse_template_get_version_numbers() {
    let lab = Lab::new();
    let database = Cluster::shared().database().unwrap();
    lab.ok(&[
        "init",
        &database.url(),
        "--template",
        "dataverse",
        "--rows",
        "10",
    ]);
    let rows = database
        .sql(
            "UPDATE accounts SET name = 'A' WHERE accountnumber = 'ACC-000001';
             INSERT INTO contacts (contactid, lastname, createdon, modifiedon) VALUES (gen_random_uuid(), 'New', now(), now());
             SELECT versionnumber FROM accounts WHERE name = 'A' UNION ALL SELECT versionnumber FROM contacts WHERE lastname = 'New'",
        )
        .unwrap();
    // 10 accounts and 10 contacts came before.
    assert_eq!(rows, [[Some("21".to_owned())], [Some("22".to_owned())]]);
}
