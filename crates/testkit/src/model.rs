//! What a service publishes about its entity sets, read from `$metadata` as any client would.
//!
//! What must hold: properties are in the order of the columns and sets in the order of their tables' names, because the names
//! themselves may differ from those in the database. What is deliberately absent: navigation properties, annotations.

use crate::http::{Request, Transport};

/// Path of the service root.
pub const ROOT: &str = "/odata/";

/// An entity set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntitySet {
    /// The name in URLs.
    pub name: String,
    /// Names of the key properties.
    pub key: Vec<String>,
    /// In the order of `$metadata`.
    pub properties: Vec<Property>,
}

/// A property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The name.
    pub name: String,
    /// The type without `Edm.`.
    pub ty: String,
}

impl EntitySet {
    /// The type of a property.
    pub fn ty(&self, name: &str) -> Option<&str> {
        self.properties
            .iter()
            .find(|p| p.name == name)
            .map(|p| p.ty.as_str())
    }
}

/// Asks a service for its entity sets.
///
/// # Errors
///
/// The service did not answer, or not with 200.
pub fn discover(transport: &dyn Transport) -> Result<Vec<EntitySet>, String> {
    let request = Request {
        url: format!("{ROOT}$metadata"),
        headers: vec![("accept", "application/xml".to_owned())],
    };
    let response = transport.get(&request).map_err(|error| error.to_string())?;
    if response.status != 200 {
        return Err(format!("$metadata: {response:?}"));
    }
    Ok(read(&String::from_utf8_lossy(&response.body)))
}

/// Collects the sets from a document in XML. All names are identifiers, so nothing needs to be unescaped.
fn read(document: &str) -> Vec<EntitySet> {
    let mut types: Vec<EntitySet> = Vec::new();
    let mut sets = Vec::new();
    for tag in document.split('<').skip(1) {
        let element = tag.split([' ', '>', '/']).next().unwrap_or("");
        let name = attribute(tag, "Name").unwrap_or_default();
        match (element, types.last_mut()) {
            ("EntityType", _) => {
                types.push(EntitySet {
                    name,
                    key: Vec::new(),
                    properties: Vec::new(),
                });
            }
            ("PropertyRef", Some(open)) => open.key.push(name),
            ("Property", Some(open)) => {
                let ty = attribute(tag, "Type").unwrap_or_else(|| "Edm.String".to_owned());
                let ty = ty.strip_prefix("Edm.").unwrap_or(&ty).to_owned();
                open.properties.push(Property { name, ty });
            }
            ("EntitySet", _) => {
                let ty = attribute(tag, "EntityType").unwrap_or_default();
                let ty = ty.rsplit('.').next().unwrap_or("").to_owned();
                sets.push((name, ty));
            }
            _ => {}
        }
    }
    sets.into_iter()
        .filter_map(|(name, ty)| {
            let entity_type = types.iter().find(|known| known.name == ty)?;
            Some(EntitySet {
                name,
                ..entity_type.clone()
            })
        })
        .collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let open = tag.split('>').next()?;
    let at = open.find(&format!(" {name}=\""))? + name.len() + 3;
    Some(open[at..].split('"').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_keys_and_properties() {
        let document = r#"<?xml version="1.0"?><edmx:Edmx Version="4.01"><edmx:DataServices><Schema Namespace="N">
            <EntityType Name="T"><Key><PropertyRef Name="b"/></Key><Property Name="a" Type="Edm.Int64" Nullable="false"/>
            <Property Name="b" Type="Edm.PrimitiveType"/><NavigationProperty Name="n" Type="N.T"/></EntityType>
            <EntityContainer Name="C"><EntitySet Name="Ts" EntityType="N.T"><NavigationPropertyBinding Path="n" Target="Ts"/>
            </EntitySet></EntityContainer></Schema></edmx:DataServices></edmx:Edmx>"#;
        let property = |name: &str, ty: &str| Property {
            name: name.into(),
            ty: ty.into(),
        };
        let expected = EntitySet {
            name: "Ts".into(),
            key: vec!["b".into()],
            properties: vec![property("a", "Int64"), property("b", "PrimitiveType")],
        };
        assert_eq!(read(document), [expected]);
    }
}
