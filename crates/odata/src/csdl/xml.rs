//! CSDL XML (CSDL XML 4.01).

use std::io;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::annotation::{self, Annotation, Expression, VOCABULARIES};
use super::{TEMPORAL_PRECISION_DIGITS, has_precision};
use crate::edm::{EntitySet, EntityType, FunctionImport, Model, Navigation, Property};
use crate::{PrimitiveType, Version};

const EDMX_NAMESPACE: &str = "http://docs.oasis-open.org/odata/ns/edmx";
const EDM_NAMESPACE: &str = "http://docs.oasis-open.org/odata/ns/edm";

type Xml = Writer<Vec<u8>>;

/// The metadata document of a service in XML.
pub fn metadata_document(model: &Model, version: Version) -> Vec<u8> {
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    document(&mut xml, model, version).expect("writing to memory never fails");
    xml.into_inner()
}

fn document(xml: &mut Xml, model: &Model, version: Version) -> io::Result<()> {
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("utf-8"), None)))?;
    let root = [
        ("Version", version.as_str()),
        ("xmlns:edmx", EDMX_NAMESPACE),
    ];
    element(xml, "edmx:Edmx", &root, |xml| {
        for vocabulary in VOCABULARIES {
            element(xml, "edmx:Reference", &[("Uri", vocabulary.url)], |xml| {
                let include = [
                    ("Namespace", vocabulary.namespace),
                    ("Alias", vocabulary.alias),
                ];
                empty(xml, "edmx:Include", &include)
            })?;
        }
        element(xml, "edmx:DataServices", &[], |xml| {
            let attributes = [("xmlns", EDM_NAMESPACE), ("Namespace", model.namespace())];
            element(xml, "Schema", &attributes, |xml| {
                schema(xml, model, version)
            })
        })
    })
}

fn schema(xml: &mut Xml, model: &Model, version: Version) -> io::Result<()> {
    for ty in model.entity_types() {
        entity_type(xml, model, ty)?;
    }
    for ty in model.complex_types() {
        element(xml, "ComplexType", &[("Name", ty.name())], |xml| {
            let mut properties = ty.properties().iter();
            properties.try_for_each(|it| property(xml, it, it.nullable))
        })?;
    }
    for (position, import) in model.function_imports().iter().enumerate() {
        let attributes = [("Name", import.name.as_str()), ("IsComposable", "true")];
        element(xml, "Function", &attributes, |xml| {
            let row = model.function_type(position).name();
            let ty = format!("Collection({}.{row})", model.namespace());
            empty(xml, "ReturnType", &[("Type", &ty), ("Nullable", "false")])
        })?;
    }
    element(
        xml,
        "EntityContainer",
        &[("Name", model.container())],
        |xml| {
            for set in model.entity_sets() {
                entity_set(xml, model, set)?;
            }
            for import in model.function_imports() {
                function_import(xml, model, import)?;
            }
            annotations(xml, annotation::of_container(model, version))
        },
    )
}

fn entity_type(xml: &mut Xml, model: &Model, ty: &EntityType) -> io::Result<()> {
    element(xml, "EntityType", &[("Name", ty.name())], |xml| {
        if !ty.key().is_empty() {
            element(xml, "Key", &[], |xml| {
                let mut key = ty.key().iter();
                key.try_for_each(|&position| {
                    let name = ty.properties()[position].name.as_str();
                    empty(xml, "PropertyRef", &[("Name", name)])
                })
            })?;
        }
        for (position, it) in ty.properties().iter().enumerate() {
            property(xml, it, ty.is_nullable(position))?;
        }
        for it in ty.navigations() {
            navigation_property(xml, model, ty, it)?;
        }
        Ok(())
    })
}

/// `Nullable` is left out where it is `true`, the default of this format (and of this one only).
fn property(xml: &mut Xml, property: &Property, nullable: bool) -> io::Result<()> {
    let mut attributes = vec![
        ("Name", property.name.as_str()),
        ("Type", property.ty.name()),
    ];
    if !nullable {
        attributes.push(("Nullable", "false"));
    }
    let scale = property.scale.map(|scale| scale.to_string());
    if property.ty == PrimitiveType::Decimal {
        // Without it a decimal would have no digits after the point.
        attributes.push(("Scale", scale.as_deref().unwrap_or("variable")));
    }
    let precision = TEMPORAL_PRECISION_DIGITS.to_string();
    if has_precision(property.ty) {
        attributes.push(("Precision", &precision));
    }
    match annotation::of_property(property) {
        None => empty(xml, "Property", &attributes),
        Some(it) => element(xml, "Property", &attributes, |xml| {
            annotations(xml, vec![it])
        }),
    }
}

fn navigation_property(
    xml: &mut Xml,
    model: &Model,
    ty: &EntityType,
    navigation: &Navigation,
) -> io::Result<()> {
    let target = model.set_type(navigation.target_set);
    let target_name = format!("{}.{}", model.namespace(), target.name());
    let target_name = match navigation.collection {
        true => format!("Collection({target_name})"),
        false => target_name,
    };
    let mut attributes = vec![("Name", navigation.name.as_str()), ("Type", &target_name)];
    if !navigation.collection && !navigation.nullable {
        attributes.push(("Nullable", "false"));
    }
    if let Some(partner) = navigation.partner {
        attributes.push(("Partner", &target.navigations()[partner].name));
    }
    let constraints = super::legal_constraints(ty, target, navigation);
    if constraints.is_empty() {
        return empty(xml, "NavigationProperty", &attributes);
    }
    element(xml, "NavigationProperty", &attributes, |xml| {
        let mut constraints = constraints.iter();
        constraints.try_for_each(|(property, referenced)| {
            let attributes = [("Property", *property), ("ReferencedProperty", *referenced)];
            empty(xml, "ReferentialConstraint", &attributes)
        })
    })
}

fn entity_set(xml: &mut Xml, model: &Model, set: &EntitySet) -> io::Result<()> {
    let ty = &model.entity_types()[set.entity_type];
    let type_name = format!("{}.{}", model.namespace(), ty.name());
    let attributes = [("Name", set.name.as_str()), ("EntityType", &type_name)];
    element(xml, "EntitySet", &attributes, |xml| {
        for navigation in ty.navigations() {
            let target = model.entity_sets()[navigation.target_set].name.as_str();
            let attributes = [("Path", navigation.name.as_str()), ("Target", target)];
            empty(xml, "NavigationPropertyBinding", &attributes)?;
        }
        annotations(xml, annotation::of_set(set, ty))
    })
}

fn function_import(xml: &mut Xml, model: &Model, import: &FunctionImport) -> io::Result<()> {
    let function = format!("{}.{}", model.namespace(), import.name);
    let attributes = [
        ("Name", import.name.as_str()),
        ("Function", &function),
        ("IncludeInServiceDocument", "true"),
    ];
    element(xml, "FunctionImport", &attributes, |xml| {
        annotations(xml, annotation::of_function_import(import))
    })
}

/// Terms carry their full namespace here although an alias is declared: some clients look for the text.
fn annotations(xml: &mut Xml, annotations: Vec<Annotation<'_>>) -> io::Result<()> {
    for annotation in annotations {
        let term = format!("{}.{}", annotation.vocabulary.namespace, annotation.term);
        let namespace = annotation.vocabulary.namespace;
        expression(
            xml,
            "Annotation",
            ("Term", &term),
            namespace,
            &annotation.value,
        )?;
    }
    Ok(())
}

/// Writes an annotation or a property of a record: constants as attributes, everything else as content.
fn expression(
    xml: &mut Xml,
    tag: &'static str,
    name: (&'static str, &str),
    namespace: &str,
    value: &Expression<'_>,
) -> io::Result<()> {
    match value {
        Expression::Bool(true) => empty(xml, tag, &[name, ("Bool", "true")]),
        Expression::Bool(false) => empty(xml, tag, &[name, ("Bool", "false")]),
        Expression::String(text) => empty(xml, tag, &[name, ("String", text)]),
        Expression::EnumMember(ty, member) => {
            let member = format!("{namespace}.{ty}/{member}");
            empty(xml, tag, &[name, ("EnumMember", &member)])
        }
        Expression::Strings(items) => collection(xml, tag, name, "String", items),
        Expression::PropertyPaths(items) => collection(xml, tag, name, "PropertyPath", items),
        Expression::NavigationPropertyPaths(items) => {
            collection(xml, tag, name, "NavigationPropertyPath", items)
        }
        Expression::Record(properties) => element(xml, tag, &[name], |xml| {
            element(xml, "Record", &[], |xml| {
                let mut properties = properties.iter();
                properties.try_for_each(|(property, value)| {
                    let name = ("Property", *property);
                    expression(xml, "PropertyValue", name, namespace, value)
                })
            })
        }),
    }
}

fn collection(
    xml: &mut Xml,
    tag: &'static str,
    name: (&'static str, &str),
    item: &'static str,
    items: &[&str],
) -> io::Result<()> {
    element(xml, tag, &[name], |xml| {
        if items.is_empty() {
            return empty(xml, "Collection", &[]);
        }
        element(xml, "Collection", &[], |xml| {
            items.iter().try_for_each(|text| {
                let text = legal(text);
                xml.create_element(item)
                    .write_text_content(BytesText::new(&text))?;
                Ok(())
            })
        })
    })
}

fn element(
    xml: &mut Xml,
    tag: &'static str,
    attributes: &[(&str, &str)],
    content: impl FnOnce(&mut Xml) -> io::Result<()>,
) -> io::Result<()> {
    let mut element = xml.create_element(tag);
    for (name, value) in attributes {
        element = element.with_attribute((*name, legal(value).as_str()));
    }
    element.write_inner_content(content)?;
    Ok(())
}

fn empty(xml: &mut Xml, tag: &'static str, attributes: &[(&str, &str)]) -> io::Result<()> {
    let mut element = xml.create_element(tag);
    for (name, value) in attributes {
        element = element.with_attribute((*name, legal(value).as_str()));
    }
    element.write_empty()?;
    Ok(())
}

/// Replaces the characters that XML 1.0 cannot represent at all: a description may mention a table whose name has them.
fn legal(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => ' ',
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}
