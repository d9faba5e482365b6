//! Request bodies with nested deltas that somebody else wrote.

use highwater_odata::edm::{
    Capabilities, ConformanceLevel, EntitySet, EntityType, Model, ModelParts, Navigation, Tracking,
};
use highwater_odata::payload::{EntityBody, Item, RelatedContent, RemovedReason, read_entity};
use highwater_odata::{PrimitiveType, Value};

use crate::fixture::property;

/// As much of Olingo's test model as the bodies use.
fn olingo() -> Model {
    let types = PrimitiveType::ALL
        .into_iter()
        .filter(|ty| *ty != PrimitiveType::Any);
    let all_types = types
        .enumerate()
        .map(|(source, ty)| property(&format!("Property{}", ty.short_name()), ty, source))
        .collect();
    let navigation = |name: &str, collection| Navigation {
        name: name.to_owned(),
        target_set: 1,
        collection,
        nullable: true,
        partner: None,
        constraints: vec![],
        source: 0,
    };
    let navigations = vec![
        navigation("NavPropertyETTwoPrimMany", true),
        navigation("NavPropertyETTwoPrimOne", false),
    ];
    let two = vec![
        property("PropertyInt16", PrimitiveType::Int16, 0),
        property("PropertyString", PrimitiveType::String, 1),
    ];
    let set = |name: &str, entity_type| EntitySet {
        name: name.to_owned(),
        entity_type,
        tracking: Tracking::Tracked,
        insertable: true,
        updatable: true,
        deletable: true,
        requires_etag: false,
        source: entity_type,
    };
    Model::new(ModelParts {
        namespace: "olingo.odata.test1".to_owned(),
        container: "Container".to_owned(),
        entity_types: vec![
            EntityType::new("ETAllPrim", all_types, vec![0], navigations),
            EntityType::new("ETTwoPrim", two, vec![0], vec![]),
        ],
        entity_sets: vec![set("ESAllPrim", 0), set("ESTwoPrim", 1)],
        complex_types: vec![],
        function_imports: vec![],
        capabilities: Capabilities {
            conformance: ConformanceLevel::Minimal,
            filter_functions: vec![],
            key_as_segment: false,
            query_segment: false,
            deep_insert: false,
        },
    })
    .unwrap()
}

fn check(body: &str, first_reason: Option<RemovedReason>) {
    let model = olingo();
    let entity = read_entity(&model, 0, body.as_bytes()).unwrap();
    let ty = model.set_type(0);
    let value = |name: &str| {
        let position = ty.property(name).unwrap();
        let found = entity
            .properties
            .iter()
            .find(|(property, _)| *property == position);
        found.unwrap().1.clone()
    };
    assert_eq!(entity.properties.len(), 16);
    assert_eq!(value("PropertyInt64"), Value::Integer(i64::MAX));
    assert_eq!(value("PropertyDouble"), Value::Double(-1.79e19));
    let bytes = vec![0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef];
    assert_eq!(value("PropertyBinary"), Value::Binary(bytes));

    let with = |id: Option<&str>, properties| EntityBody {
        id: id.map(str::to_owned),
        properties,
        ..EntityBody::default()
    };
    let text = |text: &str| (1, Value::String(text.to_owned()));
    let delta = RelatedContent::Delta(vec![
        Item::Removed(with(Some("ESAllPrim(32767)"), vec![]), first_reason),
        Item::Removed(
            with(Some("ESAllPrim(-365)"), vec![]),
            Some(RemovedReason::Changed),
        ),
        Item::Reference("ESAllPrim(5)".to_owned()),
        Item::Entity(with(Some("ESAllPrim(6)"), vec![text("Test String2")])),
        Item::Entity(with(
            None,
            vec![(0, Value::Integer(-365)), text("Test String2")],
        )),
    ]);
    assert_eq!(entity.related[0].content, delta);
    let one = Item::Entity(with(Some("ESTwoPrim(32767)"), vec![text("Test String")]));
    assert_eq!(
        entity.related[1].content,
        RelatedContent::Single(Box::new(one))
    );
}

#[test]
fn nested_deltas_of_olingo_are_read() {
    check(
        include_str!("../data/olingo/server-test-nested-delta.json"),
        Some(RemovedReason::Deleted),
    );
    // Items 37, 54 and 55: an unknown member and no reason are no error.
    check(
        include_str!("../data/olingo/server-test-nested-delta-error.json"),
        None,
    );
}
