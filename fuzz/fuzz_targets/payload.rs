//! Any body of a request: the readers answer, and what they read can be written and is read again as the same values.
//!
//! The first byte decides which reader.
#![no_main]

use std::sync::{Arc, LazyLock};

use highwater_odata::edm::{
    Capabilities, ConformanceLevel, EntitySet, EntityType, Model, ModelParts, Navigation, Property,
    Tracking,
};
use highwater_odata::payload::{
    EntityBody, Format, Item, MetadataLevel, PageEnd, PageWriter, Plan, PlanParams, RelatedContent,
    Root, Shape, Target, property_body, read_entity, read_property, read_reference,
    read_references,
};
use highwater_odata::{PrimitiveType, Value, ValueRef, Version};
use libfuzzer_sys::fuzz_target;

/// A property of each type, and a relation to many and to one of the same set.
static MODEL: LazyLock<Model> = LazyLock::new(model);

const THINGS: usize = 0;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    match choice % 4 {
        0 => {
            if let Ok(entity) = read_entity(&MODEL, THINGS, body) {
                check(&entity);
            }
        }
        1 => {
            for property in MODEL.set_type(THINGS).properties() {
                if let Ok(value) = read_property(property, body) {
                    check_property(property, &value);
                }
            }
        }
        2 => {
            let _ = read_reference(body);
        }
        _ => {
            let _ = read_references(body);
        }
    }
});

/// An entity and everything inside it comes back in every format.
fn check(entity: &EntityBody) {
    for version in [Version::V4_0, Version::V4_01] {
        for ieee754_compatible in [false, true] {
            let format = Format {
                metadata: MetadataLevel::Full,
                ieee754_compatible,
                exponential_decimals: ieee754_compatible,
                ..Format::new(version)
            };
            check_in(entity, format);
        }
    }
    for item in entity
        .related
        .iter()
        .flat_map(|related| items(&related.content))
    {
        if let Item::Entity(inner) | Item::Removed(inner, _) = item {
            check(inner);
        }
    }
}

fn check_in(entity: &EntityBody, format: Format) {
    let ty = MODEL.set_type(THINGS);
    let mut row = vec![ValueRef::Null; ty.properties().len()];
    for (position, value) in &entity.properties {
        row[*position] = value.as_ref();
    }
    // A row has a key; what a client sent need not.
    if !matches!(row[0], ValueRef::String(_)) {
        row[0] = ValueRef::String("");
    }
    let plan = Plan::new(PlanParams {
        model: &MODEL,
        target: Target::EntitySet(THINGS),
        root: Root::Entity,
        shape: &Shape::all(ty),
        format,
        context: "http://h/$metadata#Things/$entity",
        omit_nulls: false,
    });
    let mut writer = PageWriter::new(Arc::new(plan));
    writer.begin(None);
    writer.entity(&row, Some(1));
    writer.end_entity();
    let body = writer.finish(PageEnd::Complete);
    let shown = String::from_utf8_lossy(&body);
    let again =
        read_entity(&MODEL, THINGS, &body).unwrap_or_else(|error| panic!("{error}: {shown}"));
    assert_eq!(again.properties.len(), row.len(), "{shown}");
    for (position, value) in &again.properties {
        assert!(
            same(row[*position], value.as_ref()),
            "{:?} came back as {value:?} from {shown}",
            row[*position]
        );
    }
}

fn check_property(property: &Property, value: &Value) {
    let format = Format::new(Version::V4_01);
    let body = property_body(format, "http://h/$metadata#x", property.ty, value.as_ref());
    let shown = String::from_utf8_lossy(&body);
    let again = read_property(property, &body).unwrap_or_else(|error| panic!("{error}: {shown}"));
    assert!(
        same(value.as_ref(), again.as_ref()),
        "{value:?} came back as {again:?} from {shown}"
    );
}

/// Equality, except that a declared type may give a number another form, and that no NaN is another one.
fn same(written: ValueRef<'_>, read: ValueRef<'_>) -> bool {
    use PrimitiveType::Decimal;
    match (written, read) {
        (ValueRef::Double(a), ValueRef::Double(b)) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (ValueRef::Integer(a), ValueRef::Double(b)) => a as f64 == b,
        (ValueRef::Integer(a), ValueRef::Lexical(Decimal, b)) => a.to_string() == b,
        (ValueRef::Double(a), ValueRef::Lexical(Decimal, b)) => b.parse() == Ok(a),
        _ => written == read,
    }
}

fn items(content: &RelatedContent) -> &[Item] {
    match content {
        RelatedContent::Null => &[],
        RelatedContent::Single(item) => std::slice::from_ref(item),
        RelatedContent::Collection(items) | RelatedContent::Delta(items) => items,
    }
}

fn model() -> Model {
    let property = |name: String, ty, source| Property {
        name,
        ty,
        nullable: true,
        computed: false,
        has_default: false,
        scale: None,
        source,
    };
    let navigation = |name: &str, collection, partner| Navigation {
        name: name.to_owned(),
        target_set: THINGS,
        collection,
        nullable: true,
        partner: Some(partner),
        constraints: Vec::new(),
        source: 0,
    };
    let types = PrimitiveType::ALL.into_iter().enumerate();
    let properties =
        types.map(|(position, ty)| property(format!("A{}", ty.short_name()), ty, position + 1));
    let thing = EntityType::new(
        "Thing",
        std::iter::once(property("Key".to_owned(), PrimitiveType::String, 0))
            .chain(properties)
            .collect(),
        vec![0],
        vec![navigation("Parts", true, 1), navigation("Whole", false, 0)],
    );
    Model::new(ModelParts {
        namespace: "Shop".to_owned(),
        container: "Container".to_owned(),
        entity_types: vec![thing],
        entity_sets: vec![EntitySet {
            name: "Things".to_owned(),
            entity_type: 0,
            tracking: Tracking::Tracked,
            insertable: true,
            updatable: true,
            deletable: true,
            requires_etag: false,
            source: 0,
        }],
        complex_types: Vec::new(),
        function_imports: Vec::new(),
        capabilities: Capabilities {
            conformance: ConformanceLevel::Intermediate,
            filter_functions: Vec::new(),
            key_as_segment: false,
            query_segment: true,
            deep_insert: true,
        },
    })
    .expect("the model is consistent")
}
