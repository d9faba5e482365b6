//! What a page looks like, decided once for all its rows: names already encoded, links already cut into pieces.
//!
//! What must hold: writing a row looks up nothing by name and decides nothing that is the same for every row.

use super::entity_id::{IdTemplate, escape_segment};
use super::format::{Format, MetadataLevel};
use super::scalar::Encoding;
use super::text::write_string;
use crate::edm::{EntityType, Model, Property};
use crate::{PrimitiveType, Version};

/// What to write, for [`Plan::new`].
#[derive(Clone, Copy, Debug)]
pub struct PlanParams<'a> {
    /// The model.
    pub model: &'a Model,
    /// Where the rows come from.
    pub target: Target,
    /// What the outermost object is.
    pub root: Root,
    /// Which properties are shown.
    pub shape: &'a Shape,
    /// Version and media type.
    pub format: Format,
    /// The context URL ([`crate::context`]).
    pub context: &'a str,
    /// Whether `null`s are left out (`omit-values=nulls`). Delta payloads keep them always (Protocol 8.2.8.6).
    pub omit_nulls: bool,
}

/// Where rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Position in [`Model::entity_sets`].
    EntitySet(usize),
    /// Position in [`Model::function_imports`].
    FunctionImport(usize),
}

/// What the outermost object of a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Root {
    /// A collection of entities, or of rows without a key.
    Collection,
    /// Changes of a collection (JSON Format 15).
    Delta,
    /// One entity.
    Entity,
    /// A collection of entity references (JSON Format 14).
    References,
    /// One entity reference.
    Reference,
}

/// Which properties of an entity are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Positions of structural properties, ascending.
    pub properties: Vec<usize>,
    /// Positions of the navigation properties whose links are part of the answer with full metadata: those that `$select` names,
    /// or all without `$select`. Expanded ones always have a link.
    pub navigations: Vec<usize>,
    /// Related entities inside the entity.
    pub expand: Vec<ExpandShape>,
}

/// A navigation property with its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandShape {
    /// Position of the navigation property.
    pub navigation: usize,
    /// What is shown.
    pub mode: ExpandMode,
    /// Which properties of the related entities are shown.
    pub shape: Shape,
}

/// What an expanded navigation property shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpandMode {
    /// The entities.
    Entities,
    /// Only their ids.
    References,
    /// Only how many they are.
    Count,
}

/// A compiled [`PlanParams`]. It can be kept and used for any number of payloads.
#[derive(Debug)]
pub struct Plan {
    pub(super) root: Root,
    pub(super) version: Version,
    pub(super) level: MetadataLevel,
    pub(super) prefix: &'static str,
    pub(super) encoding: Encoding,
    pub(super) omit_nulls: bool,
    /// The opening of the payload: `{"@context":"…",`.
    pub(super) opening: Vec<u8>,
    /// What a removed entity begins with, up to the reason or id.
    pub(super) removed: Vec<u8>,
    /// The key properties, for removed entities.
    pub(super) key: Vec<Column>,
    /// The root is the first.
    pub(super) nodes: Vec<Node>,
}

/// How the entities at one place of the payload are written.
#[derive(Debug)]
pub(super) struct Node {
    /// Only the id is wanted.
    pub(super) reference: bool,
    /// `"@type":"…",` or nothing.
    pub(super) type_name: Vec<u8>,
    /// `None` for rows without a key.
    pub(super) id: Option<IdTemplate>,
    pub(super) id_wanted: bool,
    pub(super) etag_wanted: bool,
    /// `"@editLink":"` or `"@readLink":"`, if wanted.
    pub(super) entity_link: Option<Vec<u8>>,
    pub(super) columns: Vec<Column>,
    /// Navigation properties with a link and no content.
    pub(super) links: Vec<Links>,
    pub(super) expansions: Vec<Expansion>,
}

/// A structural property.
#[derive(Debug)]
pub(super) struct Column {
    /// Where a row holds the value.
    pub(super) source: usize,
    pub(super) ty: PrimitiveType,
    /// `"Name":`
    pub(super) member: Vec<u8>,
    /// `"Name@type":"`, up to the name of the type.
    pub(super) annotation: Vec<u8>,
}

/// The two links of a navigation property.
#[derive(Debug)]
pub(super) struct Links {
    /// `"Orders@associationLink":"`
    pub(super) association: Vec<u8>,
    /// `"Orders@navigationLink":"`
    pub(super) navigation: Vec<u8>,
    /// `/Orders`
    pub(super) segment: Vec<u8>,
}

/// A navigation property with its content.
#[derive(Debug)]
pub(super) struct Expansion {
    pub(super) collection: bool,
    pub(super) mode: ExpandMode,
    /// Position of the related entities' node.
    pub(super) node: usize,
    pub(super) links: Option<Links>,
    /// `"Orders@count":`
    pub(super) count: Vec<u8>,
    /// `"Orders":`
    pub(super) member: Vec<u8>,
    /// `"Orders@nextLink":`
    pub(super) next: Vec<u8>,
}

impl Shape {
    /// All structural properties and the links of all navigation properties: what a request without `$select` shows.
    pub fn all(ty: &EntityType) -> Shape {
        Shape {
            properties: (0..ty.properties().len()).collect(),
            navigations: (0..ty.navigations().len()).collect(),
            expand: Vec::new(),
        }
    }
}

impl Plan {
    /// Compiles.
    pub fn new(params: PlanParams<'_>) -> Plan {
        let mut compiler = Compiler {
            model: params.model,
            format: params.format,
            delta: params.root == Root::Delta,
            nodes: Vec::new(),
        };
        let reference = matches!(params.root, Root::References | Root::Reference);
        let key = match params.target {
            Target::EntitySet(set) => {
                compiler.entity(set, params.shape, reference);
                let ty = params.model.set_type(set);
                let column = |&position: &usize| compiler.column(&ty.properties()[position]);
                ty.key().iter().map(column).collect()
            }
            Target::FunctionImport(function) => {
                compiler.row(function, params.shape);
                Vec::new()
            }
        };
        Plan {
            root: params.root,
            version: params.format.version,
            level: params.format.metadata,
            prefix: params.format.prefix(),
            encoding: Encoding::new(&params.format),
            omit_nulls: params.omit_nulls && params.root != Root::Delta,
            opening: opening(&params),
            removed: removed(&params),
            key,
            nodes: compiler.nodes,
        }
    }
}

/// `{"@context":"…",`, first in every payload that has it (JSON Format 4.5.1).
fn opening(params: &PlanParams<'_>) -> Vec<u8> {
    let mut out = vec![b'{'];
    if params.format.metadata != MetadataLevel::None {
        write_control(&mut out, params.format.prefix(), "context");
        write_string(&mut out, params.context);
        out.push(b',');
    }
    out
}

/// What a removed entity begins with. 4.0 wants a context in each, 4.01 with full metadata only (JSON Format 15.3). The context is
/// relative to that of the payload.
fn removed(params: &PlanParams<'_>) -> Vec<u8> {
    let Target::EntitySet(set) = params.target else {
        return Vec::new();
    };
    let mut out = vec![b'{'];
    let context_wanted = match params.format.version {
        Version::V4_0 => true,
        Version::V4_01 => params.format.metadata == MetadataLevel::Full,
    };
    if context_wanted {
        let name = &params.model.entity_sets()[set].name;
        write_control(&mut out, params.format.prefix(), "context");
        write_string(&mut out, &format!("#{name}/$deletedEntity"));
        out.push(b',');
    }
    out
}

/// Collects the nodes.
struct Compiler<'a> {
    model: &'a Model,
    format: Format,
    delta: bool,
    nodes: Vec<Node>,
}

impl Compiler<'_> {
    /// Adds the node for entities of a set, and those of everything inside them; gives its position.
    fn entity(&mut self, set: usize, shape: &Shape, reference: bool) -> usize {
        let model = self.model;
        let ty = model.set_type(set);
        let full = self.format.metadata == MetadataLevel::Full;
        // Identity has to be visible: by the key in every delta (Protocol 11.3 with Errata; #324), elsewhere by the key or an id.
        let properties = match self.delta {
            true => with_key(&shape.properties, ty.key()),
            false => shape.properties.clone(),
        };
        let has_key = ty.key().iter().all(|key| properties.contains(key));
        let id_wanted = match self.format.metadata {
            MetadataLevel::None => false,
            MetadataLevel::Minimal => {
                !has_key || (self.delta && self.format.version == Version::V4_0)
            }
            MetadataLevel::Full => true,
        };
        let entity_set = &model.entity_sets()[set];
        let link_kind = match entity_set.updatable || entity_set.deletable {
            true => "editLink",
            false => "readLink",
        };
        let linked = shape.navigations.iter().filter(|navigation| {
            let expanded = |expand: &ExpandShape| expand.navigation == **navigation;
            full && !shape.expand.iter().any(expanded)
        });
        let position = self.nodes.len();
        self.nodes.push(Node {
            reference,
            type_name: self.type_name(ty.name()),
            id: Some(IdTemplate::new(model, set)),
            id_wanted,
            etag_wanted: self.format.metadata != MetadataLevel::None,
            entity_link: full.then(|| self.control_text(link_kind)),
            columns: self.columns(ty.properties(), &properties),
            links: linked
                .map(|&navigation| self.links(&ty.navigations()[navigation].name))
                .collect(),
            expansions: Vec::new(),
        });
        let expansions = shape
            .expand
            .iter()
            .map(|expand| self.expansion(ty, expand))
            .collect();
        self.nodes[position].expansions = expansions;
        position
    }

    /// Adds the node for the rows of a function import.
    fn row(&mut self, function: usize, shape: &Shape) {
        let ty = self.model.function_type(function);
        self.nodes.push(Node {
            reference: false,
            type_name: self.type_name(ty.name()),
            id: None,
            id_wanted: false,
            etag_wanted: false,
            entity_link: None,
            columns: self.columns(ty.properties(), &shape.properties),
            links: Vec::new(),
            expansions: Vec::new(),
        });
    }

    fn expansion(&mut self, ty: &EntityType, expand: &ExpandShape) -> Expansion {
        let navigation = &ty.navigations()[expand.navigation];
        let reference = expand.mode == ExpandMode::References;
        let node = self.entity(navigation.target_set, &expand.shape, reference);
        let name = &navigation.name;
        let full = self.format.metadata == MetadataLevel::Full;
        Expansion {
            collection: navigation.collection,
            mode: expand.mode,
            node,
            links: full.then(|| self.links(name)),
            count: self.member_control(name, "count"),
            member: member(name),
            next: self.member_control(name, "nextLink"),
        }
    }

    fn columns(&self, properties: &[Property], shown: &[usize]) -> Vec<Column> {
        let shown = shown.iter().map(|&position| &properties[position]);
        shown.map(|property| self.column(property)).collect()
    }

    fn column(&self, property: &Property) -> Column {
        let mut annotation = self.member_control(&property.name, "type");
        annotation.push(b'"');
        // Built-in types are written with the hash in 4.0 and without it in 4.01 (JSON Format 4.5.3).
        if self.format.version == Version::V4_0 {
            annotation.push(b'#');
        }
        Column {
            source: property.source,
            ty: property.ty,
            member: member(&property.name),
            annotation,
        }
    }

    fn links(&self, name: &str) -> Links {
        let link = |kind| {
            let mut out = self.member_control(name, kind);
            out.push(b'"');
            out
        };
        Links {
            association: link("associationLink"),
            navigation: link("navigationLink"),
            segment: format!("/{}", escape_segment(name)).into_bytes(),
        }
    }

    /// `"@type":"#Highwater.Customer",` with full metadata. No type here has derived types, so nothing else ever needs it.
    fn type_name(&self, name: &str) -> Vec<u8> {
        if self.format.metadata != MetadataLevel::Full {
            return Vec::new();
        }
        let mut out = self.control_text("type");
        out.push(b'#');
        out.extend_from_slice(format!("{}.{name}\",", self.model.namespace()).as_bytes());
        out
    }

    /// `"@name":"`
    fn control_text(&self, name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        write_control(&mut out, self.format.prefix(), name);
        out.push(b'"');
        out
    }

    /// `"Member@name":`
    fn member_control(&self, member: &str, name: &str) -> Vec<u8> {
        let prefix = self.format.prefix();
        format!("\"{member}{prefix}{name}\":").into_bytes()
    }
}

/// `"Name":`. Identifiers need no escape.
fn member(name: &str) -> Vec<u8> {
    format!("\"{name}\":").into_bytes()
}

/// Appends `"@name":`.
pub(super) fn write_control(out: &mut Vec<u8>, prefix: &str, name: &str) {
    out.push(b'"');
    out.extend_from_slice(prefix.as_bytes());
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

/// The properties and the key, ascending.
fn with_key(properties: &[usize], key: &[usize]) -> Vec<usize> {
    let mut all = [properties, key].concat();
    all.sort_unstable();
    all.dedup();
    all
}
