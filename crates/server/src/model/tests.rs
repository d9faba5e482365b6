use std::fmt::Write as _;

use super::fixture::{self, chinook, nasty};
use super::*;
use crate::settings::{Settings, TableSettings};

/// One line a collection: properties with their columns where the names differ, then navigation properties.
fn describe(model: &ServiceModel) -> String {
    let mut text = String::new();
    for (collection, shown) in model.collections().iter().enumerate() {
        let table = model.table(collection);
        write!(text, "{}", model.name(collection)).unwrap();
        if model.name(collection) != table.name {
            write!(text, " <- {}", table.name).unwrap();
        }
        text.push(':');
        for (property, column) in model.properties(collection).iter().zip(&shown.columns) {
            if property.name != table.columns[*column].name {
                write!(
                    text,
                    " {}<-{:?}",
                    property.name, table.columns[*column].name
                )
                .unwrap();
            }
        }
        for navigation in model.navigations(collection) {
            let target = model.name(model.target(navigation));
            let many = if navigation.collection { "*" } else { "" };
            write!(text, " {}->{target}{many}", navigation.name).unwrap();
            let partner = navigation.partner.expect("both ends are exposed");
            let back = &model.navigations(model.target(navigation))[partner];
            assert_eq!(model.target(back), collection, "{}", navigation.name);
            assert_eq!(
                back.source,
                model.relation(collection, navigation).inverse,
                "{}",
                navigation.name
            );
        }
        text.push('\n');
    }
    text
}

fn with(table: &str, settings: TableSettings) -> Settings {
    let mut all = Settings::default();
    all.tables.insert(table.to_owned(), settings);
    all
}

#[test]
fn chinook_gets_the_names_that_one_expects() {
    let model = ServiceModel::build(&chinook(), &Settings::default()).unwrap();
    assert_eq!(
        describe(&model),
        "\
Album: Artist->Artist Track->Track*
Artist: Album->Album*
Customer: SupportRep->Employee Invoice->Invoice*
Employee: Customer->Customer* ReportsTo_Employee->Employee Employee_ReportsTo_Employee->Employee*
Genre: Track->Track*
Invoice: Customer->Customer InvoiceLine->InvoiceLine*
InvoiceLine: Invoice->Invoice Track->Track
MediaType: Track->Track*
Playlist: PlaylistTrack->PlaylistTrack*
PlaylistTrack: Playlist->Playlist Track->Track
Track: InvoiceLine->InvoiceLine* PlaylistTrack->PlaylistTrack* Album->Album Genre->Genre MediaType->MediaType
"
    );
    let employee = model.collection_named("Employee").unwrap();
    let boss = model.navigation(employee, "ReportsTo_Employee").unwrap();
    assert!(model.navigations(employee)[boss].nullable);
    assert_eq!(model.edm().container(), "Container");
}

#[test]
fn nasty_names_become_identifiers_and_clashes_are_resolved() {
    let model = ServiceModel::build(&nasty(), &Settings::default()).unwrap();
    assert_eq!(
        describe(&model),
        "\
Types:
Order_Details <- Order Details: order_id<-\"order id\" line_no<-\"line no\" unit_price<-\"unit price\" null_<-\"null\" a_b_2<-\"a b\"
Größe: _2nd<-\"2nd\"
Day:
Untyped:
Person: boss_id_Person->Person Person_boss_id_Person->Person* home->Place work->Place Place->Place*
Place: Person_home->Person* Person_work->Person* mayor_Person->Person
Country: City->City*
City: Country->Country
Log:
Container:
"
    );
    assert_eq!(model.edm().container(), "Container_2");
    let log = model.collection_named("Log").unwrap();
    assert_eq!(model.row_type(log).unwrap().name(), "LogRow");
    assert!(model.collection(log).read_only);
}

#[test]
fn a_link_survives_what_does_not_change_its_page() {
    let scope = |settings: &Settings| {
        let model = ServiceModel::build(&chinook(), settings).unwrap();
        let album = model.collection_named("Album");
        let album = album.or_else(|| model.collection_named("Albums")).unwrap();
        model.collection(album).scope
    };
    let plain = scope(&Settings::default());
    let mut table = TableSettings {
        read_only: true,
        ..TableSettings::default()
    };
    assert_eq!(scope(&with("Album", table.clone())), plain);
    assert_eq!(
        scope(&with(
            "Artist",
            TableSettings {
                filter: Some("ArtistId gt 5".into()),
                ..TableSettings::default()
            }
        )),
        plain
    );
    table.filter = Some("AlbumId gt 5".to_owned());
    let filtered = scope(&with("Album", table.clone()));
    table
        .properties
        .insert("Title".to_owned(), "Name".to_owned());
    let renamed = scope(&with("Album", table.clone()));
    table.entity_set = Some("Albums".to_owned());
    let moved = scope(&with("Album", table));
    let all = [plain, filtered, renamed, moved];
    for (position, scope) in all.iter().enumerate() {
        assert!(!all[position + 1..].contains(scope), "{position}");
    }
}

#[test]
fn hidden_tables_take_their_navigation_with_them() {
    let mut settings = with(
        "Artist",
        TableSettings {
            expose: false,
            ..TableSettings::default()
        },
    );
    let model = ServiceModel::build(&chinook(), &settings).unwrap();
    assert!(model.collection_named("Artist").is_none());
    assert!(describe(&model).starts_with("Album: Track->Track*\n"));
    settings.expose_unlisted = false;
    settings
        .tables
        .insert("Album".to_owned(), TableSettings::default());
    let model = ServiceModel::build(&chinook(), &settings).unwrap();
    assert_eq!(describe(&model), "Album:\n");
    assert_eq!(model.name_of_table(0), Some("Album"));
    assert_eq!(model.name_of_table(1), None);
}

#[test]
fn configured_names_are_taken_as_they_are_or_refused() {
    let named = |entity_set: &str| TableSettings {
        entity_set: Some(entity_set.to_owned()),
        ..TableSettings::default()
    };
    let property = |column: &str, name: &str| TableSettings {
        properties: [(column.to_owned(), name.to_owned())].into(),
        ..TableSettings::default()
    };
    let filter = |text: &str| TableSettings {
        filter: Some(text.to_owned()),
        ..TableSettings::default()
    };
    let check = |table: &str, settings: TableSettings, expected: &str| {
        let error = ServiceModel::build(&chinook(), &with(table, settings)).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        "Albun",
        named("A"),
        "table \"Albun\": the database has no such table; did you mean \"Album\"?",
    );
    check(
        "Album",
        named("my albums"),
        "entity set of table \"Album\": \"my albums\" cannot be used as a name; start with a letter or _, go on with letters, \
         digits or _, at most 128 in all, and not null, true, false, not, INF or NaN",
    );
    check(
        "Album",
        property("Titel", "T"),
        "property of column \"Titel\" of table \"Album\": the table has no such column; did you mean \"Title\"?",
    );
    check(
        "Album",
        property("Title", "true"),
        "property of column \"Title\" of table \"Album\": \"true\" cannot be used as a name; start with a letter or _, go on with letters, digits or _, at most 128 in all, and not null, true, false, not, INF or NaN",
    );
    check(
        "Album",
        filter("AlbumId gt"),
        "filter of table \"Album\": expected an expression, found the end at position 10 of the filter",
    );
    check(
        "Album",
        filter("Titel eq 'x'"),
        "filter of table \"Album\": Album has no property Titel. Did you mean Title?",
    );
    check(
        "Album",
        filter("AlbumId"),
        "filter of table \"Album\": AlbumId must be true or false, but it is Edm.Int64. Compare it with something, as in Name eq 'x'.",
    );
    check(
        "Invoice",
        filter("InvoiceDate lt now()"),
        "filter of table \"Invoice\": now() cannot be used in a fixed filter: what a client may see would change although no row does.",
    );
    check(
        "Album",
        filter("AlbumId eq @a"),
        "filter of table \"Album\": There is no value for @a in a fixed filter. Write the value itself.",
    );

    let mut twice = with("Album", named("X"));
    twice.tables.insert("Artist".to_owned(), named("X"));
    let error = ServiceModel::build(&chinook(), &twice).unwrap_err();
    assert_eq!(error.part, ModelPart::EntitySet);
    assert_eq!(error.what, "the name \"X\" is given twice; choose another");

    // Another table gives way, and its properties and navigation follow.
    let taken = ServiceModel::build(&chinook(), &with("Album", named("Track"))).unwrap();
    assert_eq!(taken.name_of_table(10), Some("Track_2"));
    let renamed =
        ServiceModel::build(&chinook(), &with("Album", property("ArtistId", "ByID"))).unwrap();
    assert!(describe(&renamed).starts_with("Album: ByID<-\"ArtistId\" By->Artist Track->Track*\n"));
}

/// Two tables of one name in different schemas, and how the settings tell them apart.
#[test]
fn the_settings_name_tables_of_other_schemas_with_their_schema() {
    let in_schema = |schema: &str, name: &str| highwater_core::Table {
        schema: Some(schema.to_owned()),
        ..fixture::table(name, "id! Int64")
    };
    let catalog = fixture::catalog(vec![
        in_schema("public", "t"),
        in_schema("s", "t"),
        in_schema("s", "u"),
    ]);
    let named = |key: &str| {
        with(
            key,
            TableSettings {
                entity_set: Some("Things".to_owned()),
                ..TableSettings::default()
            },
        )
    };
    for (key, expected) in [
        ("public.t", "Things s_t s_u"),
        ("t", "Things s_t s_u"),
        ("s.t", "t Things s_u"),
        ("s.u", "t s_t Things"),
    ] {
        let model = ServiceModel::build(&catalog, &named(key)).unwrap();
        let names: Vec<&str> = (0..3).filter_map(|t| model.name_of_table(t)).collect();
        assert_eq!(names.join(" "), expected, "{key}");
    }
    for (key, nearest) in [("u", "s.u"), ("s.tt", "s.t")] {
        let error = ServiceModel::build(&catalog, &named(key)).unwrap_err();
        assert_eq!(error.table, key);
        let expected = format!("the database has no such table; did you mean {nearest:?}?");
        assert_eq!(error.what, expected, "{key}");
    }
    let mut wrong = named("t");
    wrong.tables.get_mut("t").unwrap().entity_set = Some("1 2".to_owned());
    let error = ServiceModel::build(&catalog, &wrong).unwrap_err();
    assert_eq!(error.table, "t", "as the settings name it");
}
