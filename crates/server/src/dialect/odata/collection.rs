//! Collections: the first page of a round, references, and counts (Protocol 11.2.6, 11.2.10, 11.3).

use highwater_core::{Query, Tracking};
use highwater_odata::payload::MetadataLevel;

use super::round::{Progress, Round, rows_a_page};
use super::{Exchange, entity};
use crate::bind::{self, BoundQuery, Rows, What};
use crate::failure::Halt;
use crate::http::answer::{Answer, Caching};
use crate::http::error::{ApiError, Code};
use crate::http::prefer::{Applied, OmitValues};
use crate::links::Life;
use crate::model::ServiceModel;

pub(super) async fn read(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let format = x.json_format()?;
    let source = x.source(rows).await?;
    let mut bound = bind::bind(&x.context(), rows, source.as_ref(), &x.request.url.options)?;
    let references = rows.what == What::References;
    if !references {
        entity::want_etags(x, &mut bound, format.payload.metadata);
    }
    if x.request.isolated && !keeps_state(x, rows, &bound) {
        return Err(ApiError::new(
            Code::IsolationNotSupported,
            "Only entity sets whose changes are tracked can be read in one state over several pages, and only without related \
             entities in $expand, $filter and $orderby.",
        )
        .target("Isolation")
        .into());
    }
    let prefer = &x.request.prefer;
    let mut applied = Applied::default();
    // Requirement 44: without metadata there is no delta link. Requirement 3: what cannot be tracked is answered all the same.
    let tracking = prefer.track_changes.filter(|_| {
        !references
            && format.payload.metadata != MetadataLevel::None
            && is_trackable(x, rows, &bound)
    });
    if let Some(spelling) = tracking {
        applied.track_changes(spelling);
    }
    if let Some((rows, spelling)) = prefer.max_page_size {
        applied.max_page_size(spelling, rows_a_page(x, Some(rows)));
    }
    if prefer.omit_values == Some(OmitValues::Nulls) {
        applied.omit_values(OmitValues::Nulls);
    }
    let scope = scope(x.model, rows, &bound.query);
    let round = Round {
        x,
        bound,
        options: &x.request.url.options,
        references,
        format,
        epoch: x.core.store.epoch().await?,
        continues: None,
        life: Life::starting(x.request.now_unix_s, x.core.settings.retention),
        track: tracking.is_some(),
        page_size: prefer.max_page_size.map(|(rows, _)| rows),
        scope,
        applied,
    };
    round.read(Progress::default()).await
}

/// `/$count`: a number as text.
pub(super) async fn count(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let source = x.source(rows).await?;
    let bound = bind::bind(&x.context(), rows, source.as_ref(), &x.request.url.options)?;
    let found = x.first_row(bound.query).await?;
    let count = found
        .count
        .ok_or_else(|| ApiError::internal("the store did not count although it was asked to"))?;
    Ok(number(count))
}

/// The answer to `/$count`.
pub(super) fn number(count: u64) -> Answer {
    // No negotiation: clients send the Accept header of their JSON requests along, and there is only one form.
    Answer::ok("text/plain", count.to_string()).caching(Caching::NoCache)
}

/// Whether a delta link can be given: for the set, for the query, and for the path to it.
fn is_trackable(x: &Exchange<'_>, rows: &Rows, bound: &BoundQuery) -> bool {
    let table = x.model.table(bound.collection);
    // A path is trackable if its keys alone decide which rows it leads to, whatever happens to the entities on the way.
    let is_fixed = rows.is_direct() || bind::source_from_key(x.model, rows).is_some();
    matches!(table.tracking, Tracking::Tracked { .. })
        && is_fixed
        && bound.query.untrackable().is_none()
}

/// Whether all pages of an answer show the same state: what is tracked does, wherever it begins and ends.
fn keeps_state(x: &Exchange<'_>, rows: &Rows, bound: &BoundQuery) -> bool {
    let mut bound = bound.clone();
    (bound.query.skip, bound.query.top) = (0, None);
    is_trackable(x, rows, &bound)
}

/// Hash of everything besides the request that decides what the rows of a path are: the settings of all the sets on it, and how it leads
/// from one to the next.
pub(super) fn scope_of_path(model: &ServiceModel, rows: &Rows) -> u64 {
    let mut hash = 0_u64;
    let mut before = None;
    for step in &rows.steps {
        if let (Some(from), Some(navigation)) = (before, step.navigation) {
            let relation = model.navigations(from)[navigation].source;
            let table = model.collection(from).table;
            hash = hash.rotate_left(7) ^ model.scope_of_relation(table, relation);
        }
        hash = hash.rotate_left(7) ^ model.collection(step.collection).scope;
        before = Some(step.collection);
    }
    hash
}

/// As [`scope_of_path`], for a query over these rows. It differs only if the query looks at related rows.
pub(super) fn scope(model: &ServiceModel, rows: &Rows, query: &Query) -> u64 {
    let related = query.relations().into_iter();
    // A sum, because the catalog may number its tables in another order one day.
    related.fold(scope_of_path(model, rows), |hash, (table, relation)| {
        hash.wrapping_add(model.scope_of_relation(table, relation))
    })
}
