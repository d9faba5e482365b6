//! The answer to a request that has changed an entity (Protocol 8.2.8.7, 11.4.1.5 and 11.4.2; requirements 64, 65 and 87).
//!
//! What must hold: everything that can be wrong with the answer is found before anything is written. Once it is written the
//! request has succeeded, so an entity that cannot be read back (because somebody was faster, or the database is busy) is left
//! out: 204 with its id.
//!
//! Values are never left out because of `omit-values`: of what was changed, none may be (requirement 64).

use std::sync::Arc;

use highwater_core::store::{WriteOutcome, Written};
use highwater_odata::Value;
use highwater_odata::payload::{
    self, ETag, EntityBody, Item, PageEnd, Plan, PlanParams, RelatedContent, Root, Target,
};
use highwater_odata::url::ast::{ExpandItem, ExpandMode, ExpandTarget, QueryOptions};
use http::StatusCode;
use http::header::{ETAG, HeaderName, LOCATION};

use super::target;
use crate::bind;
use crate::dialect::odata::nested::nested_links;
use crate::dialect::odata::page::PageSink;
use crate::dialect::odata::{Exchange, entity};
use crate::failure::Halt;
use crate::http::accept::JsonFormat;
use crate::http::answer::Answer;
use crate::http::error::{ApiError, Code};
use crate::http::prefer::{Applied, Return};

/// The header that names an entity where no body does (Protocol 8.3.4).
pub(super) const ODATA_ENTITY_ID: HeaderName = HeaderName::from_static("odata-entityid");

/// How an entity is going to be shown.
pub(super) struct Representation<'x> {
    x: &'x Exchange<'x>,
    format: JsonFormat,
    /// Of the request, with what a deep insert expands besides.
    options: QueryOptions,
}

impl<'x> Representation<'x> {
    /// Checks everything that could keep an answer with the entity from being written. `nested` is the body of a new entity: the
    /// answer shows at least what was nested there (requirement 87).
    ///
    /// # Errors
    ///
    /// 4xx for options that do not apply and formats that do not exist.
    pub(super) fn prepare(
        x: &'x Exchange<'x>,
        collection: usize,
        nested: &EntityBody,
    ) -> Result<Representation<'x>, Halt> {
        let format = x.json_format()?;
        let depth_max = x.core.settings.limits.expand_depth_max;
        if depth(nested) > depth_max {
            return Err(ApiError::new(
                Code::InvalidBody,
                format!(
                    "Entities can be nested {depth_max} deep. Create the inner ones with requests of their own."
                ),
            )
            .into());
        }
        let mut options = x.request.url.options.clone();
        expand_nested(x, collection, nested, &mut options.expand);
        let rows = target::rows_by_key(collection, None);
        bind::bind(&x.context(), &rows, None, &options)?;
        Ok(Representation { x, format, options })
    }

    /// The answer for what became of the entity.
    pub(super) async fn answer(self, collection: usize, written: Written) -> Answer {
        let x = self.x;
        let is_new = written.outcome == WriteOutcome::Created;
        let options = &x.request.url.options;
        let preferred = x.request.prefer.returns;
        let shaped = !options.select.is_empty() || !options.expand.is_empty();
        let wanted = match preferred {
            Some(wanted) => wanted == Return::Representation,
            None => is_new || shaped,
        };
        let id = entity_url(x, collection, &written.key);
        let page = match wanted {
            true => self.read(collection, written.key.clone()).await,
            false => None,
        };
        let answer = match &page {
            Some(page) => Answer {
                status: match is_new {
                    true => StatusCode::CREATED,
                    false => StatusCode::OK,
                },
                ..Answer::ok(&self.format.content_type(), page.body.clone())
            },
            None => Answer::empty(StatusCode::NO_CONTENT).header(ODATA_ENTITY_ID, &id),
        };
        let answer = match is_new {
            true => answer.header(LOCATION, &id),
            false => answer,
        };
        // Without a body it is the tag of what was written, not of what somebody else may have made of it since.
        let etag = page.as_ref().map_or(written.etag, |page| page.etag);
        let answer = match etag {
            Some(tag) => answer.header(ETAG, &ETag(tag).to_string()),
            None => answer,
        };
        match preferred {
            Some(preference) if wanted == page.is_some() => applied(answer, preference),
            _ => answer,
        }
    }

    async fn read(&self, collection: usize, key: Vec<Value>) -> Option<Page> {
        match self.try_read(collection, key).await {
            Ok(page) => page,
            Err(halt) => {
                tracing::warn!(?halt, "what was written could not be read back");
                None
            }
        }
    }

    async fn try_read(&self, collection: usize, key: Vec<Value>) -> Result<Option<Page>, Halt> {
        let x = self.x;
        let rows = target::rows_by_key(collection, Some(key));
        let mut bound = bind::bind(&x.context(), &rows, None, &self.options)?;
        entity::want_etags(x, &mut bound, self.format.payload.metadata);
        bound.query.etag = true;
        let links = nested_links(x, &bound, &self.options);
        let plan = Plan::new(PlanParams {
            model: x.model.edm(),
            target: Target::EntitySet(target::set(x, collection)?),
            root: Root::Entity,
            shape: &bound.shape,
            format: self.format.payload,
            context: &x.urls().entity(x.model.name(collection), &bound.select),
            omit_nulls: false,
        });
        let sink = PageSink::new(Arc::new(plan), Arc::new(links));
        let page = PageSink::from_store(x.read_one(bound.query, Box::new(sink)).await?);
        Ok((page.items() > 0).then(|| Page {
            etag: page.first_etag(),
            body: page.finish(PageEnd::Complete),
        }))
    }
}

/// An entity that was read back.
struct Page {
    etag: Option<u64>,
    body: Vec<u8>,
}

/// The absolute URL of an entity.
pub(super) fn entity_url(x: &Exchange<'_>, collection: usize, key: &[Value]) -> String {
    let relative = match target::set(x, collection) {
        Ok(set) => payload::entity_id(x.model.edm(), set, key),
        // Rows without a key cannot be written, so there is none to name.
        Err(_) => String::new(),
    };
    format!("{}{relative}", x.request.root)
}

/// Says that a preference was honoured.
pub(super) fn applied(answer: Answer, preference: Return) -> Answer {
    let mut applied = Applied::default();
    applied.returns(preference);
    answer.applied(&applied)
}

/// How deep entities are nested in an entity.
fn depth(body: &EntityBody) -> usize {
    inner_entities(body)
        .map(|(_, inner)| 1 + inner.map_or(0, depth))
        .max()
        .unwrap_or(0)
}

/// What is nested in an entity, by navigation property: entities, or nothing to look into.
fn inner_entities(body: &EntityBody) -> impl Iterator<Item = (usize, Option<&EntityBody>)> {
    body.related.iter().flat_map(|related| {
        let items = match &related.content {
            RelatedContent::Null => &[],
            RelatedContent::Single(item) => std::slice::from_ref(&**item),
            RelatedContent::Collection(items) | RelatedContent::Delta(items) => items.as_slice(),
        };
        items.iter().map(|item| match item {
            Item::Entity(inner) => (related.navigation, Some(inner)),
            Item::Reference(_) | Item::Removed(..) => (related.navigation, None),
        })
    })
}

/// Expands what is nested in a body, unless the client has already said how.
fn expand_nested(
    x: &Exchange<'_>,
    collection: usize,
    body: &EntityBody,
    items: &mut Vec<ExpandItem>,
) {
    for (navigation, inner) in inner_entities(body) {
        let declared = &x.model.navigations(collection)[navigation];
        let named = items.iter().position(|item| match &item.target {
            ExpandTarget::Path(path) => path.contains(&declared.name),
            ExpandTarget::Star | ExpandTarget::Value => false,
        });
        let position = named.unwrap_or_else(|| {
            items.push(ExpandItem {
                target: ExpandTarget::Path(vec![declared.name.clone()]),
                mode: ExpandMode::Entities,
                options: Box::default(),
            });
            items.len() - 1
        });
        if let (Some(inner), ExpandMode::Entities) = (inner, items[position].mode) {
            let target = x.model.target(declared);
            expand_nested(x, target, inner, &mut items[position].options.expand);
        }
    }
}
