//! `highwater init`.

use crate::support::Lab;

#[test]
fn init_creates_a_database_once() {
    let lab = Lab::new();
    let printed = lab.ok(&["init", "a.sqlite", "--template", "sample", "--rows", "50"]);
    assert_eq!(
        printed,
        "created a.sqlite; now run: highwater serve a.sqlite\n"
    );
    let before = std::fs::read(lab.path("a.sqlite")).unwrap();
    lab.run(&["init", "a.sqlite", "--template", "graph"])
        .assert_fails(1, "a.sqlite exists already");
    assert_eq!(std::fs::read(lab.path("a.sqlite")).unwrap(), before);
    lab.run(&["init", "no/such/folder.sqlite", "--template", "graph"])
        .assert_fails(1, "cannot create no/such/folder.sqlite");
}

#[test]
fn every_template_can_be_served_and_tracked() {
    let lab = Lab::new();
    for (template, main_table, rows) in [
        ("sample", "Orders", 30),
        ("graph", "users", 30),
        ("dataverse", "contacts", 30),
        ("business-central", "salesOrders", 30),
    ] {
        let file = format!("{template}.sqlite");
        lab.ok(&[
            "init",
            &file,
            "--template",
            template,
            "--rows",
            &rows.to_string(),
        ]);
        let serving = lab.serve(&[&file]);
        let page = serving.json(&format!("/odata/{main_table}"));
        assert_eq!(page["value"].as_array().unwrap().len(), rows, "{template}");
        assert!(page["@deltaLink"].is_string(), "{template}: {page}");
    }
}
