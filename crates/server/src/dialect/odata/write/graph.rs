//! From the body of an entity, with everything nested in it, to steps (Protocol 11.4.2; requirement 87).
//!
//! Foreign keys decide about the order: entities that a row refers to come before it, those that refer to it come after it, and
//! keys that the database makes up travel from one to the other inside the transaction ([`Input::Written`]). References to
//! existing entities are looked up there too, so that none can vanish, or leave the operator's filter, in between.

use std::collections::HashMap;

use highwater_core::Relation;
use highwater_core::store::Input;
use highwater_odata::edm::Navigation;
use highwater_odata::payload::{EntityBody, Item, RelatedContent};

use super::draft::{Draft, Values};
use super::row::RowDraft;
use super::target::{self, Named};
use crate::dialect::odata::Exchange;
use crate::failure::Halt;
use crate::http::error::{ApiError, Code};

/// Steps for a body.
pub(super) struct Graph<'x> {
    x: &'x Exchange<'x>,
    pub(super) draft: Draft<'x>,
    /// By id.
    named: HashMap<String, Named>,
}

/// A navigation property at work.
#[derive(Clone, Copy)]
struct Link<'x> {
    navigation: &'x Navigation,
    relation: &'x Relation,
    target: usize,
}

impl<'x> Graph<'x> {
    /// Finds out what the ids in a body mean.
    ///
    /// # Errors
    ///
    /// 400 for ids that mean nothing.
    pub(super) async fn new(x: &'x Exchange<'x>, body: &EntityBody) -> Result<Graph<'x>, Halt> {
        let mut ids = Vec::new();
        collect_ids(body, &mut ids);
        Ok(Graph {
            x,
            draft: Draft::new(x),
            named: target::resolve(x, ids).await?,
        })
    }

    /// A new entity and everything in it. `given` are columns that follow from the entity around it. Gives the entity's step.
    pub(super) fn insert(
        &mut self,
        collection: usize,
        body: &EntityBody,
        given: Values,
        path: &str,
    ) -> Result<usize, Halt> {
        let mut row = RowDraft::new(self.x, collection, body, path);
        row.relate(&self.draft, given, "the entity around it")?;
        self.parents(&mut row, body)?;
        let path = row.path.clone();
        let step = self.draft.insert(collection, row.finish()?, &path)?;
        self.children(collection, body, step, &path)?;
        Ok(step)
    }

    /// The entities that a row refers to.
    pub(super) fn parents(
        &mut self,
        row: &mut RowDraft<'_>,
        body: &EntityBody,
    ) -> Result<(), Halt> {
        for bind in &body.binds {
            let link = self.link(row.collection, bind.navigation);
            if !link.relation.owns_key {
                continue;
            }
            match bind.ids.first() {
                Some(id) => {
                    let step = self.refer(link, id)?;
                    row.relate(
                        &self.draft,
                        referring(link.relation, step),
                        &link.navigation.name,
                    )?;
                }
                None => self.no_parent(row, link)?,
            }
        }
        for related in &body.related {
            let link = self.link(row.collection, related.navigation);
            if !link.relation.owns_key {
                continue;
            }
            let step = match &related.content {
                RelatedContent::Single(item) => {
                    let path = inner_path(&row.path, &link.navigation.name, None);
                    match &**item {
                        Item::Reference(id) => self.refer(link, id)?,
                        Item::Entity(inner) => self.nested(link, inner, Values::new(), &path)?,
                        Item::Removed(..) => return Err(removed(&path).into()),
                    }
                }
                RelatedContent::Null => {
                    self.no_parent(row, link)?;
                    continue;
                }
                RelatedContent::Collection(_) | RelatedContent::Delta(_) => {
                    return Err(delta(&link.navigation.name).into());
                }
            };
            row.relate(
                &self.draft,
                referring(link.relation, step),
                &link.navigation.name,
            )?;
        }
        Ok(())
    }

    /// A new entity is related to nothing unless it says so, whatever serialisers write for what nobody has set.
    fn no_parent(&self, row: &mut RowDraft<'_>, link: Link<'_>) -> Result<(), ApiError> {
        match row.is_new() {
            true => Ok(()),
            false => row.unrelate(link.relation, &link.navigation.name),
        }
    }

    /// The entities that refer to the row that a step writes.
    pub(super) fn children(
        &mut self,
        collection: usize,
        body: &EntityBody,
        step: usize,
        path: &str,
    ) -> Result<(), Halt> {
        for bind in &body.binds {
            let link = self.link(collection, bind.navigation);
            if link.relation.owns_key {
                continue;
            }
            for id in &bind.ids {
                self.adopt(link, id, step)?;
            }
        }
        for related in &body.related {
            let link = self.link(collection, related.navigation);
            if link.relation.owns_key {
                continue;
            }
            let name = &link.navigation.name;
            match &related.content {
                RelatedContent::Null => {}
                RelatedContent::Single(item) => {
                    self.child(link, item, step, &inner_path(path, name, None))?;
                }
                RelatedContent::Collection(items) => {
                    for (position, item) in items.iter().enumerate() {
                        self.child(link, item, step, &inner_path(path, name, Some(position)))?;
                    }
                }
                RelatedContent::Delta(_) => return Err(delta(name).into()),
            }
        }
        Ok(())
    }

    fn child(&mut self, link: Link<'x>, item: &Item, step: usize, path: &str) -> Result<(), Halt> {
        match item {
            Item::Reference(id) => self.adopt(link, id, step),
            Item::Entity(inner) => {
                let given = referred(link.relation, step);
                self.nested(link, inner, given, path).map(drop)
            }
            Item::Removed(..) => Err(removed(path).into()),
        }
    }

    fn nested(
        &mut self,
        link: Link<'x>,
        body: &EntityBody,
        given: Values,
        path: &str,
    ) -> Result<usize, Halt> {
        if let Some(id) = &body.id {
            return Err(ApiError::new(
                Code::InvalidBody,
                format!(
                    "{path} has the id of an existing entity ({id:?}) and content. Send the id alone to relate it, \
                     or leave the id out to create an entity."
                ),
            )
            .target(path)
            .into());
        }
        self.insert(link.target, body, given, path)
    }

    /// Makes an existing entity refer to the row that a step writes.
    fn adopt(&mut self, link: Link<'x>, id: &str, step: usize) -> Result<(), Halt> {
        let named = self.named(link, id)?.clone();
        adopt(self.x, &mut self.draft, link.relation, &named, id, step)
    }

    fn refer(&mut self, link: Link<'x>, id: &str) -> Result<usize, Halt> {
        let named = self.named(link, id)?.clone();
        self.draft.refer(&named, id)
    }

    /// What an id means, if that can be related by a navigation property.
    fn named(&self, link: Link<'x>, id: &str) -> Result<&Named, ApiError> {
        let named = self
            .named
            .get(id)
            .ok_or_else(|| ApiError::internal("an id of the body was not resolved"))?;
        must_be_in(self.x, link.target, named, id)?;
        Ok(named)
    }

    fn link(&self, collection: usize, navigation: usize) -> Link<'x> {
        let x = self.x;
        let navigation = &x.model.navigations(collection)[navigation];
        Link {
            navigation,
            relation: x.model.relation(collection, navigation),
            target: x.model.target(navigation),
        }
    }
}

/// Makes an existing entity refer to the row of a step. `relation` starts at that row.
///
/// # Errors
///
/// 400 if its key would change.
pub(super) fn adopt(
    x: &Exchange<'_>,
    draft: &mut Draft<'_>,
    relation: &Relation,
    named: &Named,
    id: &str,
    step: usize,
) -> Result<(), Halt> {
    let values = referred(relation, step);
    let mut row = RowDraft::with_key(x, named.collection, &EntityBody::default(), &named.key);
    row.relate(draft, values, id)?;
    draft.relate(named, id, row.finish()?).map(drop)
}

/// Refuses entities of another set than the one that is needed.
pub(super) fn must_be_in(
    x: &Exchange<'_>,
    collection: usize,
    named: &Named,
    id: &str,
) -> Result<(), ApiError> {
    if named.collection == collection {
        return Ok(());
    }
    Err(ApiError::new(
        Code::InvalidBody,
        format!(
            "The navigation property leads to entities of {}, but {id:?} is one of {}.",
            x.model.name(collection),
            x.model.name(named.collection)
        ),
    )
    .target(id))
}

/// Foreign keys of a row that refers to the row of a step.
pub(super) fn referring(relation: &Relation, step: usize) -> Values {
    let pairs = relation.columns.iter();
    pairs
        .map(|&(here, column)| (here, Input::Written { step, column }))
        .collect()
}

/// Foreign keys of the row at the other end of a relation, which refers to the row of a step.
pub(super) fn referred(relation: &Relation, step: usize) -> Values {
    let pairs = relation.columns.iter();
    pairs
        .map(|&(column, there)| (there, Input::Written { step, column }))
        .collect()
}

fn inner_path(path: &str, name: &str, position: Option<usize>) -> String {
    let slash = if path.is_empty() { "" } else { "/" };
    match position {
        None => format!("{path}{slash}{name}"),
        Some(position) => format!("{path}{slash}{name}/{position}"),
    }
}

fn collect_ids<'b>(body: &'b EntityBody, ids: &mut Vec<&'b str>) {
    for bind in &body.binds {
        ids.extend(bind.ids.iter().map(String::as_str));
    }
    for related in &body.related {
        let items = match &related.content {
            RelatedContent::Null => continue,
            RelatedContent::Single(item) => std::slice::from_ref(&**item),
            RelatedContent::Collection(items) | RelatedContent::Delta(items) => items,
        };
        for item in items {
            match item {
                Item::Reference(id) => ids.push(id),
                Item::Entity(inner) => collect_ids(inner, ids),
                Item::Removed(..) => {}
            }
        }
    }
}

fn removed(path: &str) -> ApiError {
    ApiError::new(
        Code::InvalidBody,
        format!("{path}: removed entities cannot stand here. Use DELETE."),
    )
    .target(path)
}

fn delta(navigation: &str) -> ApiError {
    ApiError::new(
        Code::InvalidBody,
        format!("{navigation}@delta cannot stand in a new entity, which has no related entities yet. Use {navigation}."),
    )
    .target(navigation)
}
