//! What a path addresses (URL Conventions, section 4).
//!
//! A path that leads to rows becomes a list of [`Step`]s: a set, then one navigation property after the other. Every step but
//! the last addresses a single entity. A reader looks those up one by one ([`super::lookup`]), each in O(1), and then asks the
//! query for the last one.

use highwater_odata::Value;
use highwater_odata::url::ast::{Arguments, KeySegment, NameSegment, ResourcePath, Segment};

use super::error::{BindError, invalid_url, not_found, not_implemented};
use super::key;
use super::options::Context;
use crate::model::{CollectionKind, ServiceModel};

/// What a path addresses.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resource {
    /// The service root.
    ServiceDocument,
    /// `$metadata`
    Metadata,
    /// `$batch`
    Batch,
    /// `$entity`: the entity whose id is in `$id`.
    EntityById,
    /// Rows of an exposed table, or something of one of them.
    Rows(Rows),
}

/// A path that leads to rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rows {
    /// At least one. All but the last address a single entity.
    pub(crate) steps: Vec<Step>,
    /// What of the last step is wanted.
    pub(crate) what: What,
    /// Whether the path ends in `/$query`: a `POST` with the options in its body, to be answered like a `GET`.
    pub(crate) query_in_body: bool,
}

/// One part of a path: a set, or a navigation property of the entity before.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// The exposed table whose rows are addressed.
    pub(crate) collection: usize,
    /// Position in the navigation properties of the step before; `None` in the first step.
    pub(crate) navigation: Option<usize>,
    /// Values of the key properties in key order; `None` if no key was given.
    pub(crate) key: Option<Vec<Value>>,
    /// Whether many rows are addressed instead of at most one.
    pub(crate) many: bool,
}

/// What of the addressed rows is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// All of them.
    Collection,
    /// The only one.
    Entity,
    /// `/$count`: their number, as text.
    Count,
    /// `/$ref` on a collection: their ids.
    References,
    /// `/$ref` on a single entity: its id.
    Reference,
    /// A property of the only one, by its position.
    Property(usize),
    /// `/$value`: the bare value of a property.
    PropertyValue(usize),
}

impl Rows {
    /// The step that the answer is about.
    pub(crate) fn last(&self) -> &Step {
        self.steps.last().expect("a path to rows has a step")
    }

    /// The entities on the way to the last step.
    pub(crate) fn sources(&self) -> &[Step] {
        &self.steps[..self.steps.len() - 1]
    }

    /// Whether the rows are those of a set, without navigation.
    pub(crate) fn is_direct(&self) -> bool {
        self.steps.len() == 1
    }
}

/// Finds out what a path addresses.
///
/// # Errors
///
/// Not found if a name is unknown, a bad request if a key does not fit, not implemented for what this service does not have.
pub(crate) fn resolve(context: &Context<'_>, path: &ResourcePath) -> Result<Resource, BindError> {
    let (first, rest) = match path.segments.as_slice() {
        [] => return Ok(Resource::ServiceDocument),
        [Segment::Metadata] => return Ok(Resource::Metadata),
        [Segment::Batch] => return Ok(Resource::Batch),
        [Segment::Entity] => return Ok(Resource::EntityById),
        [first, rest @ ..] => (first, rest),
    };
    let name = match first {
        Segment::Name(name) => name,
        Segment::Key(key) => return Err(no_such_set(context.model, &key.text)),
        Segment::CrossJoin(_) => return Err(not_implemented("$crossjoin is not supported.")),
        Segment::All => return Err(not_implemented("$all is not supported.")),
        Segment::Metadata | Segment::Batch | Segment::Entity => {
            return Err(not_found("Nothing can follow this segment.").target(text_of(first)));
        }
        other => {
            return Err(invalid_url(format!(
                "A path cannot begin with {}.",
                text_of(other)
            )));
        }
    };
    let mut walk = Walk::start(context, name)?;
    for segment in rest {
        walk.follow(segment)?;
    }
    walk.finish().map(Resource::Rows)
}

fn no_such_set(model: &ServiceModel, name: &str) -> BindError {
    let known = (0..model.collections().len()).map(|collection| model.name(collection));
    not_found(format!("There is no entity set {name:?}."))
        .target(name)
        .nearest(name, known)
}

/// The state between two segments.
struct Walk<'a> {
    context: &'a Context<'a>,
    steps: Vec<Step>,
    /// Values of a key that is being given segment by segment.
    partial_key: Vec<Value>,
    /// What follows the last step, once something does.
    what: Option<What>,
    query_in_body: bool,
}

impl<'a> Walk<'a> {
    fn start(context: &'a Context<'a>, name: &NameSegment) -> Result<Walk<'a>, BindError> {
        let model = context.model;
        let collection = model
            .collection_named(&name.name)
            .ok_or_else(|| no_such_set(model, &name.name))?;
        let mut walk = Walk {
            context,
            steps: vec![Step {
                collection,
                navigation: None,
                key: None,
                many: true,
            }],
            partial_key: Vec::new(),
            what: None,
            query_in_body: false,
        };
        match (model.collection(collection).kind, name.parens.as_slice()) {
            (_, []) | (CollectionKind::Function(_), [Arguments::Empty]) => {}
            (CollectionKind::Function(_), _) => {
                return Err(not_found(format!(
                    "{} takes no parameters, and its rows have no key.",
                    name.name
                )));
            }
            (CollectionKind::EntitySet(_), parens) => walk.set_key(parens)?,
        }
        Ok(walk)
    }

    fn last(&self) -> &Step {
        self.steps.last().expect("a walk begins with a step")
    }

    fn set_key(&mut self, parens: &[Arguments]) -> Result<(), BindError> {
        let collection = self.last().collection;
        let [arguments] = parens else {
            return Err(invalid_url(format!(
                "{} takes one pair of parentheses.",
                self.context.model.name(collection)
            )));
        };
        let key = key::key_values(self.context, collection, arguments, &self.implied_key())?;
        self.have_key(key);
        Ok(())
    }

    /// What the path already says of the key of the last step: the properties that refer to the key of the entity before
    /// (URL Conventions 4.3.4).
    fn implied_key(&self) -> Vec<Option<Value>> {
        let model = self.context.model;
        let [.., from, last] = self.steps.as_slice() else {
            return Vec::new();
        };
        let (Some(navigation), Some(from_key)) = (last.navigation, &from.key) else {
            return Vec::new();
        };
        let declared = &model.navigations(from.collection)[navigation];
        let relation = model.relation(from.collection, declared);
        let from_columns = &model.table(from.collection).key;
        let implied = |column: &usize| {
            let (here, _) = relation.columns.iter().find(|(_, there)| there == column)?;
            let position = from_columns.iter().position(|it| it == here)?;
            Some(from_key[position].clone())
        };
        let key = &model.table(last.collection).key;
        key.iter().map(implied).collect()
    }

    fn have_key(&mut self, key: Vec<Value>) {
        let step = self.steps.last_mut().expect("a walk begins with a step");
        step.key = Some(key);
        step.many = false;
    }

    fn follow(&mut self, segment: &Segment) -> Result<(), BindError> {
        if self.query_in_body {
            return Err(not_found("Nothing can follow $query."));
        }
        if matches!(segment, Segment::Query) {
            self.query_in_body = true;
            return Ok(());
        }
        match self.what {
            None if self.last().many => self.follow_collection(segment),
            None => self.follow_entity(segment),
            Some(What::Property(property)) => match segment {
                Segment::Value => {
                    self.what = Some(What::PropertyValue(property));
                    Ok(())
                }
                _ => Err(not_found(format!(
                    "{} cannot follow a property with a primitive type; only $value can.",
                    text_of(segment)
                ))),
            },
            Some(_) => Err(not_found(format!(
                "Nothing can follow this segment, but {} does.",
                text_of(segment)
            ))),
        }
    }

    fn follow_collection(&mut self, segment: &Segment) -> Result<(), BindError> {
        if !self.partial_key.is_empty() && !matches!(segment, Segment::Name(_) | Segment::Key(_)) {
            return Err(self.key_is_incomplete());
        }
        match segment {
            Segment::Count => self.what = Some(What::Count),
            Segment::Ref => {
                self.needs_entities("$ref")?;
                self.what = Some(What::References);
            }
            Segment::Key(KeySegment { text, .. }) => self.key_segment(text)?,
            Segment::Name(name) if self.is_own_type(&name.name) && name.parens.len() <= 1 => {
                if !name.parens.is_empty() {
                    self.set_key(&name.parens)?;
                }
            }
            Segment::Name(name) => self.key_segment(&name.text)?,
            Segment::Filter(..) => {
                return Err(
                    not_implemented("$filter as a path segment is not supported.")
                        .hint("Use the query option $filter."),
                );
            }
            Segment::Each => return Err(not_implemented("$each is not supported.")),
            other => {
                return Err(not_found(format!(
                    "{} cannot follow a collection.",
                    text_of(other)
                )));
            }
        }
        Ok(())
    }

    /// `Set/key` and, for several key properties, `Set/key1/key2` (URL Conventions 4.3.6).
    fn key_segment(&mut self, text: &str) -> Result<(), BindError> {
        let collection = self.last().collection;
        self.needs_entities(text)?;
        let position = self.partial_key.len();
        let value = key::key_value_from_text(self.context.model, collection, position, text)?;
        self.partial_key.push(value);
        let expected = self.context.model.table(collection).key.len();
        if self.partial_key.len() == expected {
            let key = std::mem::take(&mut self.partial_key);
            self.have_key(key);
        }
        Ok(())
    }

    fn key_is_incomplete(&self) -> BindError {
        let name = self.context.model.name(self.last().collection);
        not_found(format!(
            "The key of {name} has more parts than the path gives."
        ))
        .target(name)
    }

    fn needs_entities(&self, what: &str) -> Result<(), BindError> {
        let collection = self.last().collection;
        match self.context.model.entity_type(collection) {
            Some(_) => Ok(()),
            None => Err(not_found(format!(
                "{what:?} cannot follow {}: its rows have no key, so they cannot be addressed.",
                self.context.model.name(collection)
            ))),
        }
    }

    fn is_own_type(&self, name: &str) -> bool {
        self.context.is_type_of(self.last().collection, name)
    }

    fn follow_entity(&mut self, segment: &Segment) -> Result<(), BindError> {
        match segment {
            Segment::Ref => self.what = Some(What::Reference),
            Segment::Value => {
                return Err(not_found(
                    "Entities of this service are not media; $value follows a property.",
                ));
            }
            Segment::Name(name) => self.follow_member(name)?,
            Segment::Key(key) => {
                return Err(not_found(format!(
                    "{:?} is neither a property nor a navigation property.",
                    key.text
                )));
            }
            other => {
                return Err(not_found(format!(
                    "{} cannot follow a single entity.",
                    text_of(other)
                )));
            }
        }
        Ok(())
    }

    fn follow_member(&mut self, name: &NameSegment) -> Result<(), BindError> {
        let model = self.context.model;
        let collection = self.last().collection;
        if self.is_own_type(&name.name) && name.parens.is_empty() {
            return Ok(());
        }
        if let Some(property) = model.property(collection, &name.name) {
            if !name.parens.is_empty() {
                return Err(not_found(format!(
                    "{} is a property and takes no parentheses.",
                    name.name
                )));
            }
            self.what = Some(What::Property(property));
            return Ok(());
        }
        let Some(navigation) = model.navigation(collection, &name.name) else {
            let known = model.entity_type(collection).into_iter();
            return Err(not_found(format!(
                "Entities of {} have no property {:?}.",
                model.name(collection),
                name.name
            ))
            .target(&name.name)
            .nearest(&name.name, known.flat_map(|ty| ty.member_names())));
        };
        if self.steps.len() > self.context.limits.path_hops_max {
            return Err(super::error::too_complex(format!(
                "A path can follow at most {} navigation properties.",
                self.context.limits.path_hops_max
            )));
        }
        let declared = &model.navigations(collection)[navigation];
        self.steps.push(Step {
            collection: model.target(declared),
            navigation: Some(navigation),
            key: None,
            many: declared.collection,
        });
        if name.parens.is_empty() {
            Ok(())
        } else if declared.collection {
            self.set_key(&name.parens)
        } else {
            Err(not_found(format!(
                "{} leads to a single entity and takes no key.",
                name.name
            )))
        }
    }

    fn finish(self) -> Result<Rows, BindError> {
        if !self.partial_key.is_empty() {
            return Err(self.key_is_incomplete());
        }
        let what = self.what.unwrap_or(if self.last().many {
            What::Collection
        } else {
            What::Entity
        });
        Ok(Rows {
            steps: self.steps,
            what,
            query_in_body: self.query_in_body,
        })
    }
}

/// A segment as it would stand in a URL, roughly: for messages.
fn text_of(segment: &Segment) -> String {
    match segment {
        Segment::Name(name) => name.name.clone(),
        Segment::Key(key) => format!("{:?}", key.text),
        Segment::Metadata => "$metadata".to_owned(),
        Segment::Batch => "$batch".to_owned(),
        Segment::Entity => "$entity".to_owned(),
        Segment::All => "$all".to_owned(),
        Segment::CrossJoin(_) => "$crossjoin".to_owned(),
        Segment::Count => "$count".to_owned(),
        Segment::Ref => "$ref".to_owned(),
        Segment::Value => "$value".to_owned(),
        Segment::Query => "$query".to_owned(),
        Segment::Each => "$each".to_owned(),
        Segment::Filter(_, _) => "$filter".to_owned(),
    }
}
