//! CSDL JSON (CSDL JSON 4.01).

use super::annotation::{self, Annotation, Expression, VOCABULARIES};
use super::{TEMPORAL_PRECISION_DIGITS, has_precision};
use crate::edm::{EntitySet, EntityType, FunctionImport, Model, Navigation, Property};
use crate::payload::text::{close, write_string};
use crate::{PrimitiveType, Version};

/// The metadata document of a service in JSON.
pub fn metadata_document(model: &Model, version: Version) -> Vec<u8> {
    let mut json = Json { out: Vec::new() };
    json.object(|json| {
        json.text("$Version", version.as_str());
        let container = format!("{}.{}", model.namespace(), model.container());
        json.text("$EntityContainer", &container);
        json.member_object("$Reference", references);
        json.member_object(model.namespace(), |json| schema(json, model, version));
    });
    json.out
}

fn references(json: &mut Json) {
    for vocabulary in VOCABULARIES {
        // The reference is to the JSON form, which stands beside the XML form.
        let url = vocabulary.url.replace(".xml", ".json");
        json.member_object(&url, |json| {
            json.member("$Include");
            json.array(|json| {
                json.object(|json| {
                    json.text("$Namespace", vocabulary.namespace);
                    json.text("$Alias", vocabulary.alias);
                });
                json.out.push(b',');
            });
            json.out.push(b',');
        });
    }
}

fn schema(json: &mut Json, model: &Model, version: Version) {
    for ty in model.entity_types() {
        json.member_object(ty.name(), |json| entity_type(json, model, ty));
    }
    for ty in model.complex_types() {
        json.member_object(ty.name(), |json| {
            json.text("$Kind", "ComplexType");
            for it in ty.properties() {
                property(json, it, it.nullable);
            }
        });
    }
    for (position, import) in model.function_imports().iter().enumerate() {
        json.member(&import.name);
        json.array(|json| {
            json.object(|json| {
                json.text("$Kind", "Function");
                json.flag("$IsComposable");
                json.member_object("$ReturnType", |json| {
                    let row = model.function_type(position).name();
                    json.flag("$Collection");
                    json.text("$Type", &format!("{}.{row}", model.namespace()));
                });
            });
            json.out.push(b',');
        });
        json.out.push(b',');
    }
    json.member_object(model.container(), |json| {
        json.text("$Kind", "EntityContainer");
        for set in model.entity_sets() {
            json.member_object(&set.name, |json| entity_set(json, model, set));
        }
        for import in model.function_imports() {
            json.member_object(&import.name, |json| function_import(json, model, import));
        }
        annotations(json, annotation::of_container(model, version));
    });
}

fn entity_type(json: &mut Json, model: &Model, ty: &EntityType) {
    json.text("$Kind", "EntityType");
    if !ty.key().is_empty() {
        json.member("$Key");
        json.array(|json| {
            for &position in ty.key() {
                write_string(&mut json.out, &ty.properties()[position].name);
                json.out.push(b',');
            }
        });
        json.out.push(b',');
    }
    for (position, it) in ty.properties().iter().enumerate() {
        property(json, it, ty.is_nullable(position));
    }
    for it in ty.navigations() {
        navigation_property(json, model, ty, it);
    }
}

/// `$Nullable` is left out where it is `false`, `$Type` for strings and `$Scale` where it is not limited: the defaults of this format
/// (and of this one only).
fn property(json: &mut Json, property: &Property, nullable: bool) {
    json.member_object(&property.name, |json| {
        if property.ty != PrimitiveType::String {
            json.text("$Type", property.ty.name());
        }
        if nullable {
            json.flag("$Nullable");
        }
        if let (PrimitiveType::Decimal, Some(scale)) = (property.ty, property.scale) {
            json.number("$Scale", scale);
        }
        if has_precision(property.ty) {
            json.number("$Precision", TEMPORAL_PRECISION_DIGITS);
        }
        annotations(json, annotation::of_property(property));
    });
}

fn navigation_property(json: &mut Json, model: &Model, ty: &EntityType, navigation: &Navigation) {
    let target = model.set_type(navigation.target_set);
    json.member_object(&navigation.name, |json| {
        json.text("$Kind", "NavigationProperty");
        json.text("$Type", &format!("{}.{}", model.namespace(), target.name()));
        if navigation.collection {
            json.flag("$Collection");
        } else if navigation.nullable {
            json.flag("$Nullable");
        }
        if let Some(partner) = navigation.partner {
            json.text("$Partner", &target.navigations()[partner].name);
        }
        let constraints = super::legal_constraints(ty, target, navigation);
        if !constraints.is_empty() {
            json.member_object("$ReferentialConstraint", |json| {
                for (property, referenced) in constraints {
                    json.text(property, referenced);
                }
            });
        }
    });
}

fn entity_set(json: &mut Json, model: &Model, set: &EntitySet) {
    let ty = &model.entity_types()[set.entity_type];
    json.flag("$Collection");
    json.text("$Type", &format!("{}.{}", model.namespace(), ty.name()));
    if !ty.navigations().is_empty() {
        json.member_object("$NavigationPropertyBinding", |json| {
            for navigation in ty.navigations() {
                let target = &model.entity_sets()[navigation.target_set].name;
                json.text(&navigation.name, target);
            }
        });
    }
    annotations(json, annotation::of_set(set, ty));
}

fn function_import(json: &mut Json, model: &Model, import: &FunctionImport) {
    json.text("$Kind", "FunctionImport");
    json.text(
        "$Function",
        &format!("{}.{}", model.namespace(), import.name),
    );
    json.flag("$IncludeInServiceDocument");
    annotations(json, annotation::of_function_import(import));
}

fn annotations<'a>(json: &mut Json, annotations: impl IntoIterator<Item = Annotation<'a>>) {
    for annotation in annotations {
        json.member(&format!(
            "@{}.{}",
            annotation.vocabulary.alias, annotation.term
        ));
        expression(json, &annotation.value);
        json.out.push(b',');
    }
}

fn expression(json: &mut Json, value: &Expression<'_>) {
    match value {
        Expression::Bool(true) => json.out.extend_from_slice(b"true"),
        Expression::Bool(false) => json.out.extend_from_slice(b"false"),
        Expression::String(text) | Expression::EnumMember(_, text) => {
            write_string(&mut json.out, text);
        }
        Expression::Strings(items)
        | Expression::PropertyPaths(items)
        | Expression::NavigationPropertyPaths(items) => json.array(|json| {
            for item in items {
                write_string(&mut json.out, item);
                json.out.push(b',');
            }
        }),
        Expression::Record(properties) => json.object(|json| {
            for (property, value) in properties {
                json.member(property);
                expression(json, value);
                json.out.push(b',');
            }
        }),
    }
}

/// Writes JSON. As in a page, every member and item has a comma behind it, which the closing bracket overwrites.
struct Json {
    out: Vec<u8>,
}

impl Json {
    fn object(&mut self, content: impl FnOnce(&mut Json)) {
        self.out.push(b'{');
        content(self);
        close(&mut self.out, b'}');
    }

    fn array(&mut self, content: impl FnOnce(&mut Json)) {
        self.out.push(b'[');
        content(self);
        close(&mut self.out, b']');
    }

    fn member(&mut self, name: &str) {
        write_string(&mut self.out, name);
        self.out.push(b':');
    }

    fn member_object(&mut self, name: &str, content: impl FnOnce(&mut Json)) {
        self.member(name);
        self.object(content);
        self.out.push(b',');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.member(name);
        write_string(&mut self.out, text);
        self.out.push(b',');
    }

    fn number(&mut self, name: &str, number: u32) {
        self.member(name);
        self.out
            .extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        self.out.push(b',');
    }

    fn flag(&mut self, name: &str) {
        self.member(name);
        self.out.extend_from_slice(b"true,");
    }
}
