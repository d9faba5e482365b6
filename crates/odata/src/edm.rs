//! The entity model: what a service shows, by names that are legal in URLs and metadata (CSDL 4.01, sections 5 to 14).
//!
//! What must hold: a [`Model`] is immutable and consistent. Every name is an identifier, unique where the standard wants it to be,
//! every position is in range, and partners point at each other, so writers of payloads and metadata check nothing.
//! What is deliberately absent: tables, columns and everything else that is behind the service. The `source` numbers are the
//! caller's own and mean nothing here except that a row's values are found under them.

use std::collections::HashMap;

use crate::PrimitiveType;

/// Longest name (CSDL 4.01, section 15.2).
pub const IDENTIFIER_LEN_MAX_CHARS: usize = 128;

/// What a service shows.
#[derive(Clone, Debug)]
pub struct Model {
    parts: ModelParts,
    sets_by_name: HashMap<String, usize>,
    functions_by_name: HashMap<String, usize>,
}

/// The content of a [`Model`] before it is checked.
#[derive(Clone, Debug)]
pub struct ModelParts {
    /// Namespace of the only schema, such as `Highwater`; may have dots.
    pub namespace: String,
    /// Name of the only container, without the namespace.
    pub container: String,
    /// Types of entities and rows.
    pub entity_types: Vec<EntityType>,
    /// Collections of entities, in the order of the service document. At most one for each type.
    pub entity_sets: Vec<EntitySet>,
    /// Rows without a key.
    pub complex_types: Vec<ComplexType>,
    /// Collections of rows without a key.
    pub function_imports: Vec<FunctionImport>,
    /// What the service can do with all of them.
    pub capabilities: Capabilities,
}

/// The type of the entities of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityType {
    name: String,
    properties: Vec<Property>,
    key: Vec<usize>,
    navigations: Vec<Navigation>,
    members: HashMap<String, Member>,
}

/// What a name means inside an entity type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Member {
    /// Position in [`EntityType::properties`].
    Property(usize),
    /// Position in [`EntityType::navigations`].
    Navigation(usize),
}

/// A type of rows that cannot be addressed.
#[derive(Clone, Debug, PartialEq)]
pub struct ComplexType {
    name: String,
    properties: Vec<Property>,
    members: HashMap<String, usize>,
}

/// A structural property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The name in URLs and payloads.
    pub name: String,
    /// The declared type.
    pub ty: PrimitiveType,
    /// Whether `null` is a value. Ignored for key properties, which never are.
    pub nullable: bool,
    /// Whether the value is computed on every write, so that no client may set it (`Core.Computed`).
    pub computed: bool,
    /// Whether an insert without it gets a value (`Core.ComputedDefaultValue`).
    pub has_default: bool,
    /// Digits after the point of an `Edm.Decimal`, if limited.
    pub scale: Option<u32>,
    /// The caller's number: where a row that is given to a payload writer holds the value.
    pub source: usize,
}

/// A navigation property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Navigation {
    /// The name in URLs and payloads.
    pub name: String,
    /// Position of the only set that it leads to in [`Model::entity_sets`].
    pub target_set: usize,
    /// Whether it leads to many entities instead of at most one.
    pub collection: bool,
    /// Whether there may be no related entity. Means nothing for collections.
    pub nullable: bool,
    /// Position of the opposite direction in the navigations of the target's type.
    pub partner: Option<usize>,
    /// Properties here that repeat properties there. Empty for collections.
    pub constraints: Vec<ReferentialConstraint>,
    /// The caller's number for the relation.
    pub source: usize,
}

/// A property that always equals one of the related entity (CSDL 4.01, section 8.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferentialConstraint {
    /// Position in the properties of the type that has the navigation property.
    pub property: usize,
    /// Position in the properties of the type that it leads to.
    pub referenced: usize,
}

/// A collection of addressable entities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntitySet {
    /// The name in URLs and payloads.
    pub name: String,
    /// Position in [`Model::entity_types`].
    pub entity_type: usize,
    /// Whether delta links are given.
    pub tracking: Tracking,
    /// Whether `POST` is possible.
    pub insertable: bool,
    /// Whether `PATCH` and `PUT` are possible.
    pub updatable: bool,
    /// Whether `DELETE` is possible.
    pub deletable: bool,
    /// Whether a change without `If-Match` is refused with 428 (`Core.OptimisticConcurrency`).
    pub requires_etag: bool,
    /// The caller's number for what is behind the set.
    pub source: usize,
}

/// Whether delta links are given for a set (`Capabilities.ChangeTracking`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// Yes, with `$filter` over any property. Expanded navigation properties are never tracked.
    Tracked,
    /// No.
    Untracked {
        /// Why, as a full sentence for a person.
        reason: String,
    },
}

/// Rows without a key, as the result of a function without parameters: an entity set would need a key (CSDL 4.01, section 13.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionImport {
    /// The name in URLs, and of the function itself.
    pub name: String,
    /// Position in [`Model::complex_types`].
    pub complex_type: usize,
    /// What a person should know, such as why the rows are not an entity set.
    pub description: Option<String>,
    /// The caller's number for what is behind the function.
    pub source: usize,
}

/// What a service can do, for the annotations of its container (Capabilities vocabulary).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Which level of the standard's conformance chapter is reached.
    pub conformance: ConformanceLevel,
    /// Names of the functions that `$filter` knows.
    pub filter_functions: Vec<String>,
    /// Whether `Set/key` means `Set(key)`.
    pub key_as_segment: bool,
    /// Whether `POST …/$query` is understood.
    pub query_segment: bool,
    /// Whether a new entity may contain related new entities.
    pub deep_insert: bool,
}

/// `Capabilities.ConformanceLevelType`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConformanceLevel {
    /// Protocol 13.1.1 and 13.2.1
    Minimal,
    /// Protocol 13.1.2 and 13.2.2
    Intermediate,
    /// Protocol 13.1.3 and 13.2.3
    Advanced,
}

/// Why a model cannot be built. The text names the culprit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The name is not an identifier.
    #[error(
        "{0:?} is not a legal name: use a letter or _, then letters, digits or _, at most 128 in all"
    )]
    IllegalName(String),
    /// Two things that share a scope have the same name.
    #[error("the name {name:?} is used twice in {scope}")]
    DuplicateName {
        /// Where.
        scope: String,
        /// Which.
        name: String,
    },
    /// Something points at nothing, or in the wrong direction.
    #[error("{0} refers to something that does not exist or does not fit")]
    BadReference(String),
    /// The type of an entity set has no key.
    #[error("the type of entity set {0:?} has no key")]
    NoKey(String),
}

impl Model {
    /// Checks the parts and builds the look-up tables.
    ///
    /// # Errors
    ///
    /// See [`ModelError`].
    pub fn new(parts: ModelParts) -> Result<Model, ModelError> {
        check(&parts)?;
        let sets = parts.entity_sets.iter().map(|set| &set.name);
        let functions = parts.function_imports.iter().map(|function| &function.name);
        Ok(Model {
            sets_by_name: index(sets),
            functions_by_name: index(functions),
            parts,
        })
    }

    /// Namespace of the only schema.
    pub fn namespace(&self) -> &str {
        &self.parts.namespace
    }

    /// Name of the only container, without the namespace.
    pub fn container(&self) -> &str {
        &self.parts.container
    }

    /// Types of entities.
    pub fn entity_types(&self) -> &[EntityType] {
        &self.parts.entity_types
    }

    /// Collections of entities.
    pub fn entity_sets(&self) -> &[EntitySet] {
        &self.parts.entity_sets
    }

    /// Types of rows without a key.
    pub fn complex_types(&self) -> &[ComplexType] {
        &self.parts.complex_types
    }

    /// Collections of rows without a key.
    pub fn function_imports(&self) -> &[FunctionImport] {
        &self.parts.function_imports
    }

    /// What the service can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.parts.capabilities
    }

    /// Position of an entity set by its name.
    pub fn entity_set(&self, name: &str) -> Option<usize> {
        self.sets_by_name.get(name).copied()
    }

    /// Position of a function import by its name.
    pub fn function_import(&self, name: &str) -> Option<usize> {
        self.functions_by_name.get(name).copied()
    }

    /// The type of the entities of a set.
    pub fn set_type(&self, set: usize) -> &EntityType {
        &self.parts.entity_types[self.parts.entity_sets[set].entity_type]
    }

    /// The type of the rows of a function import.
    pub fn function_type(&self, function: usize) -> &ComplexType {
        &self.parts.complex_types[self.parts.function_imports[function].complex_type]
    }
}

impl EntityType {
    /// A type; it is checked when the model is built. `key` has positions of properties, in key order.
    pub fn new(
        name: impl Into<String>,
        properties: Vec<Property>,
        key: Vec<usize>,
        navigations: Vec<Navigation>,
    ) -> EntityType {
        let properties_by_name = properties
            .iter()
            .enumerate()
            .map(|(position, property)| (property.name.clone(), Member::Property(position)));
        let navigations_by_name = navigations
            .iter()
            .enumerate()
            .map(|(position, navigation)| (navigation.name.clone(), Member::Navigation(position)));
        EntityType {
            name: name.into(),
            members: properties_by_name.chain(navigations_by_name).collect(),
            properties,
            key,
            navigations,
        }
    }

    /// The name without the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Structural properties.
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// Positions of the key properties, in key order.
    pub fn key(&self) -> &[usize] {
        &self.key
    }

    /// Navigation properties.
    pub fn navigations(&self) -> &[Navigation] {
        &self.navigations
    }

    /// What a name means. Names are case-sensitive (Protocol 13.2.1, number 8).
    pub fn member(&self, name: &str) -> Option<Member> {
        self.members.get(name).copied()
    }

    /// Position of a structural property by its name.
    pub fn property(&self, name: &str) -> Option<usize> {
        match self.member(name)? {
            Member::Property(position) => Some(position),
            Member::Navigation(_) => None,
        }
    }

    /// Position of a navigation property by its name.
    pub fn navigation(&self, name: &str) -> Option<usize> {
        match self.member(name)? {
            Member::Navigation(position) => Some(position),
            Member::Property(_) => None,
        }
    }

    /// Whether a property can be `null`: key properties cannot, whatever they declare.
    pub fn is_nullable(&self, property: usize) -> bool {
        self.properties[property].nullable && !self.key.contains(&property)
    }

    /// Names of all members, to suggest the nearest one.
    pub fn member_names(&self) -> impl Iterator<Item = &str> {
        let properties = self
            .properties
            .iter()
            .map(|property| property.name.as_str());
        let navigations = self
            .navigations
            .iter()
            .map(|navigation| navigation.name.as_str());
        properties.chain(navigations)
    }
}

impl ComplexType {
    /// A type; it is checked when the model is built.
    pub fn new(name: impl Into<String>, properties: Vec<Property>) -> ComplexType {
        ComplexType {
            name: name.into(),
            members: index(properties.iter().map(|property| &property.name)),
            properties,
        }
    }

    /// The name without the namespace.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Structural properties.
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// Position of a property by its name.
    pub fn property(&self, name: &str) -> Option<usize> {
        self.members.get(name).copied()
    }
}

impl Tracking {
    /// Whether delta links are given.
    pub fn is_tracked(&self) -> bool {
        matches!(self, Tracking::Tracked)
    }
}

/// Whether a text can be the name of anything in a model.
///
/// A little stricter than the standard, which also allows combining marks and non-ASCII digits after the first character: whoever
/// makes names can do without them, and this rule needs no Unicode tables.
pub fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|c| c.is_alphabetic() || c.is_ascii_digit() || c == '_')
        && text.chars().count() <= IDENTIFIER_LEN_MAX_CHARS
}

fn index<'a>(names: impl Iterator<Item = &'a String>) -> HashMap<String, usize> {
    names
        .enumerate()
        .map(|(position, name)| (name.clone(), position))
        .collect()
}

/// Checks everything that [`Model`] promises.
fn check(parts: &ModelParts) -> Result<(), ModelError> {
    for part in parts.namespace.split('.') {
        check_name(part)?;
    }
    check_scope("the schema", schema_children(parts))?;
    check_scope("the container", container_children(parts))?;
    let mut types_in_use = vec![false; parts.entity_types.len()];
    for set in &parts.entity_sets {
        let (Some(ty), Some(in_use)) = (
            parts.entity_types.get(set.entity_type),
            types_in_use.get_mut(set.entity_type),
        ) else {
            return Err(ModelError::BadReference(set.name.clone()));
        };
        if std::mem::replace(in_use, true) {
            return Err(ModelError::BadReference(set.name.clone()));
        }
        if ty.key.is_empty() {
            return Err(ModelError::NoKey(set.name.clone()));
        }
    }
    for ty in &parts.entity_types {
        check_scope(&ty.name, ty.member_names())?;
        if ty.key.iter().any(|&key| key >= ty.properties.len()) {
            return Err(ModelError::BadReference(ty.name.clone()));
        }
        for (position, navigation) in ty.navigations.iter().enumerate() {
            if !navigation_fits(parts, ty, position, navigation) {
                let path = format!("{}/{}", ty.name, navigation.name);
                return Err(ModelError::BadReference(path));
            }
        }
    }
    for ty in &parts.complex_types {
        check_scope(&ty.name, ty.properties.iter().map(|p| p.name.as_str()))?;
    }
    for function in &parts.function_imports {
        if function.complex_type >= parts.complex_types.len() {
            return Err(ModelError::BadReference(function.name.clone()));
        }
    }
    Ok(())
}

/// Types, functions and the container share one scope (CSDL 4.01, section 5).
fn schema_children(parts: &ModelParts) -> impl Iterator<Item = &str> {
    let entity_types = parts.entity_types.iter().map(|ty| ty.name.as_str());
    let complex_types = parts.complex_types.iter().map(|ty| ty.name.as_str());
    let functions = parts.function_imports.iter().map(|f| f.name.as_str());
    entity_types
        .chain(complex_types)
        .chain(functions)
        .chain([parts.container.as_str()])
}

fn container_children(parts: &ModelParts) -> impl Iterator<Item = &str> {
    let sets = parts.entity_sets.iter().map(|set| set.name.as_str());
    sets.chain(parts.function_imports.iter().map(|f| f.name.as_str()))
}

fn check_scope<'a>(scope: &str, names: impl Iterator<Item = &'a str>) -> Result<(), ModelError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        check_name(name)?;
        if !seen.insert(name) {
            return Err(ModelError::DuplicateName {
                scope: scope.to_owned(),
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), ModelError> {
    if is_identifier(name) {
        Ok(())
    } else {
        Err(ModelError::IllegalName(name.to_owned()))
    }
}

fn navigation_fits(
    parts: &ModelParts,
    ty: &EntityType,
    position: usize,
    navigation: &Navigation,
) -> bool {
    let Some(target_set) = parts.entity_sets.get(navigation.target_set) else {
        return false;
    };
    let Some(target) = parts.entity_types.get(target_set.entity_type) else {
        return false;
    };
    let partner_fits = navigation.partner.is_none_or(|partner| {
        target.navigations.get(partner).is_some_and(|back| {
            back.partner == Some(position)
                && parts
                    .entity_sets
                    .get(back.target_set)
                    .and_then(|set| parts.entity_types.get(set.entity_type))
                    .is_some_and(|back_target| back_target.name == ty.name)
        })
    });
    let constraints_fit = navigation.constraints.iter().all(|constraint| {
        !navigation.collection
            && constraint.property < ty.properties.len()
            && constraint.referenced < target.properties.len()
    });
    partner_fits && constraints_fit
}
