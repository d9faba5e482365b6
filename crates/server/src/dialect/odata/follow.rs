//! Following links: next pages of any answer, and later rounds (Protocol 11.2.6.7 and 11.3.2; requirements 18 to 30).
//!
//! What must hold: nothing but the link decides what is read. Options beside it are refused, because a client that adds one expects
//! an effect (DESIGN section 5); only `$format` may be chosen anew.

use highwater_core::link::Position;
use highwater_core::{Gone, Link};
use highwater_odata::payload::MetadataLevel;
use highwater_odata::url::ast::QueryOptions;

use super::collection;
use super::round::{Later, Progress, Round, incarnation, is_paused, rows_a_page};
use super::{Exchange, entity};
use crate::bind::{self, Context, Resource, Rows, What};
use crate::failure::Halt;
use crate::http::answer::Answer;
use crate::http::error::{ApiError, Code};
use crate::http::prefer::{Applied, OmitValues};
use crate::links::{self, Expected, Kind, Life};

/// What may be appended to the path of a delta link (requirement 28).
const COUNT_SEGMENT: &str = "/$count";

pub(super) async fn follow(x: &Exchange<'_>) -> Result<Answer, Halt> {
    let (kind, sealed) = token(x)?;
    if has_empty_option(x) {
        return Err(links::damaged(kind).into());
    }
    let request_path = x.request.path.as_str();
    let (path, counts) = match (kind, request_path.strip_suffix(COUNT_SEGMENT)) {
        (Kind::Delta, Some(path)) => (path, true),
        _ => (request_path, false),
    };
    let link = links::open(&*x.core.store, &x.request.root, path, kind, sealed).await?;
    refuse_options(x)?;
    let baseline = links::baseline_url(&x.request.root, &link.path, &link.options);
    let continues = (kind == Kind::Skip).then_some(sealed);
    let outcome = resume(x, &link, continues, counts).await;
    outcome.map_err(|halt| match halt {
        Halt::Gone(reason) => links::gone(reason, &baseline).into(),
        halt => halt,
    })
}

async fn resume(
    x: &Exchange<'_>,
    link: &Link,
    continues: Option<&str>,
    counts: bool,
) -> Result<Answer, Halt> {
    let epoch = x.core.store.epoch().await?;
    let options =
        bind::reparse(&link.options, &x.core.settings.limits).map_err(|_| Gone::Format)?;
    let mut context = x.context();
    context.aliases = &options.aliases;
    let rows = rows_of(x, &context, counts);
    let expected = Expected {
        epoch,
        incarnation: rows
            .as_ref()
            .map(|rows| incarnation(x, rows.last().collection)),
        scope: rows
            .as_ref()
            .and_then(|rows| scope(&context, rows, &options, link.track)),
        now_unix_s: x.request.now_unix_s,
    };
    let checked = links::check(link, &expected);
    if checked == Err(Gone::Recreated)
        && rows
            .as_ref()
            .is_some_and(|rows| is_paused(x, rows.last().collection, link.incarnation))
    {
        return Err(Halt::SchemaChanged);
    }
    checked?;
    // The check has failed if there are no rows any more, or if what the link says cannot be bound.
    let rows = rows.ok_or(Gone::Recreated)?;
    let source = match bind::source_from_key(x.model, &rows) {
        Some(source) => Some(source),
        None => x.source_in(&context, &rows).await?,
    };
    let mut bound =
        bind::bind(&context, &rows, source.as_ref(), &options).map_err(|_| Gone::ScopeChanged)?;
    let format = x.json_format()?;
    let references = rows.what == What::References;
    if !references {
        entity::want_etags(x, &mut bound, format.payload.metadata);
    }
    let preferred = x.request.prefer.max_page_size;
    let mut round = Round {
        x,
        bound,
        options: &options,
        references,
        format,
        epoch,
        continues,
        life: Life::of(link),
        track: link.track,
        page_size: preferred.map(|(rows, _)| rows).or(link.page_size),
        scope: link.scope,
        applied: applied(x, link),
    };
    match link.position.clone() {
        Position::Read { hi, after, shown } => {
            let progress = Progress {
                hi,
                after: Some(after),
                shown,
            };
            round.read(progress).await
        }
        Position::Delta { lo } => {
            // A new round begins here, and its links live as long as any.
            round.life = Life::starting(x.request.now_unix_s, x.core.settings.retention);
            if counts {
                return Ok(collection::number(round.count_changes(lo).await?));
            }
            refuse_no_metadata(format.payload.metadata)?;
            round.changes(Later { lo, progress: None }).await
        }
        Position::Changes { lo, hi, after } => {
            refuse_no_metadata(format.payload.metadata)?;
            let progress = Some((hi, after));
            round.changes(Later { lo, progress }).await
        }
    }
}

/// The scope that a link to these rows would get now; `None` if none could be issued, because names in it mean nothing any more.
fn scope(context: &Context<'_>, rows: &Rows, options: &QueryOptions, track: bool) -> Option<u64> {
    let model = context.model;
    if track {
        // What is tracked looks at no related rows.
        return Some(collection::scope_of_path(model, rows));
    }
    // Which relations a query follows does not depend on the entity where its path begins, so that need not be looked up before it is known
    // that the link is good.
    let sources = rows.sources();
    let blank = sources
        .last()
        .map(|step| bind::blank(model, step.collection));
    let bound = bind::bind(context, rows, blank.as_ref(), options).ok()?;
    Some(collection::scope(model, rows, &bound.query))
}

/// The option that carries the link.
fn token<'x>(x: &'x Exchange<'_>) -> Result<(Kind, &'x str), ApiError> {
    let options = &x.request.url.options;
    match (&options.skiptoken, &options.deltatoken) {
        (Some(token), None) => Ok((Kind::Skip, token)),
        (None, Some(token)) => Ok((Kind::Delta, token)),
        _ => Err(links::damaged(Kind::Delta)),
    }
}

/// A stray `&`, which means nothing elsewhere, was not in the link as it was received.
fn has_empty_option(x: &Exchange<'_>) -> bool {
    let query = x.request.parts.uri.query().unwrap_or_default();
    !query.is_empty() && query.split('&').any(str::is_empty)
}

/// The rows that the path still leads to; `None` if it leads to nothing that a link could be for.
fn rows_of(x: &Exchange<'_>, context: &Context<'_>, counts: bool) -> Option<Rows> {
    match bind::resolve(context, &x.request.url.path) {
        Ok(Resource::Rows(mut rows)) => {
            if counts && rows.what == What::Count {
                rows.what = What::Collection;
            }
            matches!(rows.what, What::Collection | What::References).then_some(rows)
        }
        _ => None,
    }
}

fn refuse_options(x: &Exchange<'_>) -> Result<(), ApiError> {
    let options = &x.request.url.options;
    let added = options
        .system_names()
        .find(|name| !matches!(*name, "$skiptoken" | "$deltatoken" | "$format"))
        .map(str::to_owned)
        .or_else(|| options.aliases.first().map(|(name, _)| format!("@{name}")));
    match added {
        None => Ok(()),
        Some(name) => Err(ApiError::new(
            Code::LinkOptionsFixed,
            format!(
                "{name} cannot be added to a link: the link fixes its query. Use the link as it was received, or begin anew without it."
            ),
        )
        .target(name)),
    }
}

/// Requirement 44; JSON Format 3.1.3.
fn refuse_no_metadata(level: MetadataLevel) -> Result<(), ApiError> {
    if level == MetadataLevel::None {
        Err(ApiError::new(
            Code::NotAcceptable,
            "Changes cannot be written without metadata. Ask for metadata=minimal or metadata=full.",
        )
        .target("Accept"))
    } else {
        Ok(())
    }
}

/// Requirements 4, 5 and 63: tracking is confirmed where a round begins, the page size wherever it was asked for.
fn applied(x: &Exchange<'_>, link: &Link) -> Applied {
    let prefer = &x.request.prefer;
    let mut applied = Applied::default();
    if let (Some(spelling), Position::Delta { .. }) = (prefer.track_changes, &link.position) {
        applied.track_changes(spelling);
    }
    if let Some((rows, spelling)) = prefer.max_page_size {
        applied.max_page_size(spelling, rows_a_page(x, Some(rows)));
    }
    if let (Some(OmitValues::Nulls), Position::Read { .. }) = (prefer.omit_values, &link.position) {
        applied.omit_values(OmitValues::Nulls);
    }
    applied
}
