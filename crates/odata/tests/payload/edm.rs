use highwater_odata::PrimitiveType;
use highwater_odata::edm::{
    Capabilities, ComplexType, ConformanceLevel, EntitySet, EntityType, FunctionImport, Member,
    Model, ModelError, ModelParts, Navigation, Property, ReferentialConstraint, Tracking,
    is_identifier,
};

use crate::fixture::{self, CUSTOMERS, property};

fn set(name: &str, entity_type: usize) -> EntitySet {
    EntitySet {
        name: name.to_owned(),
        entity_type,
        tracking: Tracking::Tracked,
        insertable: true,
        updatable: true,
        deletable: true,
        requires_etag: false,
        source: 0,
    }
}

fn id() -> Property {
    property("ID", PrimitiveType::Int32, 0)
}

fn navigation(name: &str, target_set: usize, partner: Option<usize>) -> Navigation {
    Navigation {
        name: name.to_owned(),
        target_set,
        collection: false,
        nullable: true,
        partner,
        constraints: vec![],
        source: 0,
    }
}

fn two_types(first: Vec<Navigation>, second: Vec<Navigation>) -> ModelParts {
    ModelParts {
        namespace: "N.M".to_owned(),
        container: "Container".to_owned(),
        entity_types: vec![
            EntityType::new("A", vec![id()], vec![0], first),
            EntityType::new("B", vec![id()], vec![0], second),
        ],
        entity_sets: vec![set("As", 0), set("Bs", 1)],
        complex_types: vec![ComplexType::new("Row", vec![id()])],
        function_imports: vec![FunctionImport {
            name: "Rows".to_owned(),
            complex_type: 0,
            description: None,
            source: 0,
        }],
        capabilities: Capabilities {
            conformance: ConformanceLevel::Minimal,
            filter_functions: vec![],
            key_as_segment: false,
            query_segment: false,
            deep_insert: false,
        },
    }
}

#[test]
fn names_lead_to_positions() {
    let model = fixture::model();
    assert_eq!(model.entity_set("Customers"), Some(CUSTOMERS));
    assert_eq!(model.entity_set("customers"), None);
    assert_eq!(model.function_import("Totals"), Some(0));
    let ty = model.set_type(CUSTOMERS);
    assert_eq!(ty.member("Name"), Some(Member::Property(1)));
    assert_eq!(ty.member("Orders"), Some(Member::Navigation(0)));
    assert_eq!(
        (ty.property("Orders"), ty.navigation("Orders")),
        (None, Some(0))
    );
    assert_eq!(
        (ty.property("Name"), ty.navigation("Name")),
        (Some(1), None)
    );
    assert_eq!(model.function_type(0).property("Sum"), Some(1));
    let names: Vec<&str> = ty.member_names().collect();
    assert_eq!(names, ["ID", "Name", "Balance", "Größe", "Orders"]);
}

#[test]
fn identifiers() {
    let longest = "a".repeat(128);
    for name in ["a", "_", "_1", "Größe", "名前", &longest] {
        assert!(is_identifier(name), "{name}");
    }
    let too_long = "ü".repeat(129);
    for name in [
        "", "1a", "a b", "a-b", "a.b", "$a", "a\u{301}", "½", &too_long,
    ] {
        assert!(!is_identifier(name), "{name}");
    }
}

#[test]
fn an_inconsistent_model_is_refused() {
    let check = |parts: ModelParts, expected: &str| {
        assert_eq!(Model::new(parts).unwrap_err().to_string(), expected);
    };
    let good = || {
        two_types(
            vec![navigation("B", 1, Some(0))],
            vec![navigation("A", 0, Some(0))],
        )
    };
    assert!(Model::new(good()).is_ok());

    let mut parts = good();
    parts.entity_sets[1].name = "As".to_owned();
    check(parts, "the name \"As\" is used twice in the container");

    let mut parts = good();
    parts.function_imports[0].name = "As".to_owned();
    check(parts, "the name \"As\" is used twice in the container");

    let mut parts = good();
    parts.container = "A".to_owned();
    check(parts, "the name \"A\" is used twice in the schema");

    let mut parts = good();
    parts.entity_types[0] = EntityType::new("A", vec![id(), id()], vec![0], vec![]);
    check(parts, "the name \"ID\" is used twice in A");

    let mut parts = good();
    parts.entity_types[0] =
        EntityType::new("A", vec![id()], vec![0], vec![navigation("ID", 1, None)]);
    check(parts, "the name \"ID\" is used twice in A");

    let mut parts = good();
    parts.namespace = "N..M".to_owned();
    assert_eq!(
        Model::new(parts).unwrap_err(),
        ModelError::IllegalName(String::new())
    );

    let mut parts = two_types(vec![], vec![]);
    parts.entity_types[1] = EntityType::new("B", vec![id()], vec![], vec![]);
    check(parts, "the type of entity set \"Bs\" has no key");

    let bad = "refers to something that does not exist or does not fit";
    let mut parts = good();
    parts.entity_sets[1].entity_type = 0;
    check(parts, &format!("Bs {bad}"));

    let mut parts = good();
    parts.function_imports[0].complex_type = 1;
    check(parts, &format!("Rows {bad}"));

    let parts = two_types(vec![navigation("B", 2, None)], vec![]);
    check(parts, &format!("A/B {bad}"));

    // Partners must point at each other.
    let parts = two_types(
        vec![navigation("B", 1, Some(0))],
        vec![navigation("A", 0, None)],
    );
    check(parts, &format!("A/B {bad}"));
    let parts = two_types(
        vec![navigation("B", 1, Some(0))],
        vec![navigation("B2", 1, Some(0))],
    );
    check(parts, &format!("A/B {bad}"));

    let constraints = vec![ReferentialConstraint {
        property: 0,
        referenced: 1,
    }];
    let constrained = Navigation {
        constraints,
        ..navigation("B", 1, None)
    };
    check(two_types(vec![constrained], vec![]), &format!("A/B {bad}"));
}
