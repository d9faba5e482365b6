//! Relations by `$ref` (Protocol 11.4.6; requirement 91).
//!
//! A relation is a foreign key in one of its ends, so each of these is an update of one row (or of several, where many refer to one).
//! Conditions are about the entity that the path navigates from, whichever end has the foreign key. Whatever already is as
//! the request wants it stays that way, with 204.

use std::any::Any;
use std::sync::Arc;

use highwater_core::Relation;
use highwater_core::store::{Condition, PageLimit, ReadParams, RemovedReason, Row, RowSink};
use highwater_odata::{Value, ValueRef, Version};
use http::StatusCode;

use super::draft::{Draft, STEPS_MAX};
use super::graph::{adopt, must_be_in, referring};
use super::target::{self, Named};
use super::{body, row, update};
use crate::bind::{self, Context, Rows, What};
use crate::dialect::odata::Exchange;
use crate::failure::Halt;
use crate::http::answer::Answer;
use crate::http::error::{ApiError, Code};

/// What a path to `$ref` is about.
struct Relating<'x> {
    relation: &'x Relation,
    navigation: &'x str,
    /// The entity that it starts at.
    source: Named,
    /// What the request demands of that entity.
    condition: Condition,
}

impl<'x> Relating<'x> {
    async fn of(x: &'x Exchange<'_>, rows: &Rows) -> Result<Relating<'x>, Halt> {
        let (Some((from, relation)), Some(navigation)) =
            (target::relation(x, rows), rows.last().navigation)
        else {
            return Err(ApiError::method_not_allowed("GET, HEAD").into());
        };
        Ok(Relating {
            relation,
            navigation: &x.model.navigations(from)[navigation].name,
            source: target::source(x, rows).await?,
            condition: target::condition(x, from, None)?,
        })
    }
}

/// `POST` to a collection of references: one more.
pub(super) async fn add(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let id = body::reference(x)?;
    let relating = Relating::of(x, rows).await?;
    let mut draft = Draft::new(x);
    let step = draft.check(&relating.source, relating.condition)?;
    let named = named(x, rows, &id).await?;
    adopt(x, &mut draft, relating.relation, &named, &id, step)?;
    done(draft).await
}

/// `PUT` to a collection of references: these and no others.
pub(super) async fn set_all(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let ids = body::references(x)?;
    let relating = Relating::of(x, rows).await?;
    let all = target::resolve(x, ids.iter().map(String::as_str)).await?;
    let mut draft = Draft::new(x);
    let step = draft.check(&relating.source, relating.condition)?;
    for other in members(x, rows).await? {
        if all.values().all(|named| *named != other) {
            update::release(
                x,
                &mut draft,
                relating.relation,
                relating.navigation,
                &other,
            )?;
        }
    }
    for (id, named) in &all {
        must_be_in(x, rows.last().collection, named, id)?;
        adopt(x, &mut draft, relating.relation, named, id, step)?;
    }
    done(draft).await
}

/// `PUT` to the reference of a single-valued navigation property.
pub(super) async fn set(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let id = body::reference(x)?;
    let relating = Relating::of(x, rows).await?;
    let named = named(x, rows, &id).await?;
    let mut draft = Draft::new(x);
    if relating.relation.owns_key {
        let step = draft.refer(&named, &id)?;
        let mut row = row::RowDraft::with_key(
            x,
            relating.source.collection,
            &Default::default(),
            &relating.source.key,
        );
        row.relate(
            &draft,
            referring(relating.relation, step),
            relating.navigation,
        )?;
        draft.update(&relating.source, row.finish()?, relating.condition, false)?;
        return done(draft).await;
    }
    let step = draft.check(&relating.source, relating.condition)?;
    if let Some(other) = target::find(x, rows).await?
        && other != named
    {
        update::release(
            x,
            &mut draft,
            relating.relation,
            relating.navigation,
            &other,
        )?;
    }
    adopt(x, &mut draft, relating.relation, &named, &id, step)?;
    done(draft).await
}

/// `DELETE` of the reference of a single-valued navigation property, or of one member of a collection (`Orders(5)/$ref`, 4.01).
pub(super) async fn remove(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let relating = Relating::of(x, rows).await?;
    let mut draft = Draft::new(x);
    if relating.relation.owns_key {
        let values = row::cleared(
            x,
            relating.source.collection,
            relating.relation,
            relating.navigation,
        )?;
        draft.update(&relating.source, values, relating.condition, false)?;
        return done(draft).await;
    }
    draft.check(&relating.source, relating.condition)?;
    match target::find(x, rows).await? {
        Some(other) => {
            update::release(
                x,
                &mut draft,
                relating.relation,
                relating.navigation,
                &other,
            )?;
        }
        None if rows.last().key.is_some() => {
            return Err(target::not_found(x, rows.last().collection).into());
        }
        None => {}
    }
    done(draft).await
}

/// `DELETE` on a collection of references: the one that `$id` names (4.0), or all (4.01).
pub(super) async fn remove_from(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    if let Some(id) = &x.request.url.options.id {
        let named = named(x, rows, id).await?;
        let mut rows = rows.clone();
        if let Some(step) = rows.steps.last_mut() {
            step.key = Some(named.key);
            step.many = false;
        }
        return remove(x, &rows).await;
    }
    if x.request.versions.request == Version::V4_0 {
        return Err(ApiError::new(
            Code::InvalidUrl,
            "Name the reference to remove with the query option $id.",
        )
        .target("$id")
        .into());
    }
    let relating = Relating::of(x, rows).await?;
    let mut draft = Draft::new(x);
    draft.check(&relating.source, relating.condition)?;
    for other in members(x, rows).await? {
        update::release(
            x,
            &mut draft,
            relating.relation,
            relating.navigation,
            &other,
        )?;
    }
    done(draft).await
}

async fn done(draft: Draft<'_>) -> Result<Answer, Halt> {
    draft.write().await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// What an id means, if it can be related by the last step of a path.
async fn named(x: &Exchange<'_>, rows: &Rows, id: &str) -> Result<Named, Halt> {
    let mut found = target::resolve(x, [id]).await?;
    let named = found
        .remove(id)
        .ok_or_else(|| ApiError::internal("an id was not resolved"))?;
    must_be_in(x, rows.last().collection, &named, id)?;
    Ok(named)
}

/// All entities that a path to a collection addresses.
async fn members(x: &Exchange<'_>, rows: &Rows) -> Result<Vec<Named>, Halt> {
    let collection = rows.last().collection;
    let context = Context::new(x.model, &x.core.settings.limits, &[], x.request.now());
    let source = x.source(rows).await?;
    let rows = Rows {
        what: What::References,
        ..rows.clone()
    };
    let bound = bind::bind(&context, &rows, source.as_ref(), &Default::default())?;
    let mut params = ReadParams {
        catalog: x.model.catalog().clone(),
        query: Arc::new(bound.query),
        hi: None,
        after: None,
        limit: PageLimit {
            rows: STEPS_MAX as u64 + 1,
            bytes: usize::MAX,
        },
    };
    let mut sink: Box<dyn RowSink> = Box::<RowList>::default();
    loop {
        let result = x.core.store.read(params.clone(), sink).await?;
        let list = RowList::from_store(result.sink);
        // More than a request may write: the draft will say so.
        if result.next.is_none() || list.rows.len() > STEPS_MAX {
            let rows = list.rows.iter();
            return Ok(rows
                .map(|values| Named {
                    collection,
                    key: target::key_of(x, collection, values),
                })
                .collect());
        }
        (params.hi, params.after) = (result.hi, result.next);
        sink = Box::new(list);
    }
}

/// Keeps all rows.
#[derive(Debug, Default)]
struct RowList {
    rows: Vec<Vec<Value>>,
}

impl RowList {
    fn from_store(sink: Box<dyn RowSink>) -> RowList {
        let sink: Box<dyn Any> = sink;
        *sink
            .downcast()
            .expect("a store gives back the sink that it was given")
    }
}

impl RowSink for RowList {
    fn begin(&mut self, _: Option<u64>) {}

    fn entity(&mut self, row: &Row<'_>) {
        self.rows
            .push(row.values.iter().map(ValueRef::to_owned).collect());
    }

    fn begin_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_expand(&mut self, _: usize, _: Option<u64>) {}

    fn end_entity(&mut self) {}

    fn removed(&mut self, _: &Row<'_>, _: RemovedReason) {}

    fn bytes(&self) -> usize {
        0
    }
}
