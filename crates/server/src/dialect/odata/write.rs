//! Changing data: entities, properties and relations (Protocol 11.4; requirements 79, 80, 84 to 88 and 91).
//!
//! A body is read ([`body`]) and becomes steps of one transaction ([`graph`], [`row`], [`draft`]); what the database refuses is told in
//! the words of the service ([`refusal`]), and what it accepts is read back as the client wants to see it ([`represent`]).
//!
//! What must hold: a request is understood and checked as a whole before anything is written, and then written in one transaction
//! of the store: all or nothing. Nothing outside the operator's row filter can be changed or related. Once written,
//! a request never fails: an answer that cannot be read back is left out.
//! What is deliberately absent: deep updates, changes of whole collections, and actions.

mod body;
mod create;
mod draft;
mod graph;
mod property;
mod reference;
mod refusal;
mod represent;
mod row;
mod target;
mod update;

use http::Method;

use super::Exchange;
use crate::bind::{Rows, What};
use crate::failure::Halt;
use crate::http::answer::Answer;
use crate::http::error::{ApiError, Code};

/// Answers a request with a method that changes something.
pub(super) async fn write(x: &Exchange<'_>, rows: &Rows) -> Result<Answer, Halt> {
    let allowed = allowed_methods(x, rows);
    let method = x.request.method.as_str();
    if !allowed.split(", ").any(|name| name == method) {
        return Err(refuse(x, rows, allowed).into());
    }
    check_options(x, rows)?;
    match (rows.what, &x.request.method) {
        (What::Collection, _) => create::create(x, rows).await,
        (What::Entity, &Method::DELETE) => update::delete(x, rows).await,
        (What::Entity, _) => update::update(x, rows).await,
        (What::Property(property), &Method::DELETE) => property::clear(x, rows, property).await,
        (What::Property(property), _) => property::put(x, rows, property).await,
        (What::PropertyValue(property), &Method::DELETE) => {
            property::clear(x, rows, property).await
        }
        (What::PropertyValue(property), _) => property::put_raw(x, rows, property).await,
        (What::References, &Method::POST) => reference::add(x, rows).await,
        (What::References, &Method::PUT) => reference::set_all(x, rows).await,
        (What::References, _) => reference::remove_from(x, rows).await,
        (What::Reference, &Method::DELETE) => reference::remove(x, rows).await,
        (What::Reference, _) => reference::set(x, rows).await,
        (What::Count, _) => Err(refuse(x, rows, allowed).into()),
    }
}

/// What can be done with what the path addresses, for `Allow`.
fn allowed_methods(x: &Exchange<'_>, rows: &Rows) -> &'static str {
    let last = rows.last();
    if is_read_only(x, rows) {
        return "GET, HEAD";
    }
    let is_member = last.many || last.key.is_some();
    match rows.what {
        What::Collection => "GET, HEAD, POST",
        What::Entity => "GET, HEAD, PATCH, PUT, DELETE",
        What::Property(_) => "GET, HEAD, PUT, PATCH, DELETE",
        What::PropertyValue(_) => "GET, HEAD, PUT, DELETE",
        What::Count => "GET, HEAD",
        What::References | What::Reference if rows.is_direct() => "GET, HEAD",
        What::References => "GET, HEAD, POST, PUT, DELETE",
        What::Reference if is_member => "GET, HEAD, DELETE",
        What::Reference => "GET, HEAD, PUT, DELETE",
    }
}

/// Relations are stored at one of their ends; the other end may be read-only.
fn is_read_only(x: &Exchange<'_>, rows: &Rows) -> bool {
    let written = match rows.what {
        What::References | What::Reference => target::relation_owner(x, rows),
        _ => rows.last().collection,
    };
    x.model.collection(written).read_only
}

fn refuse(x: &Exchange<'_>, rows: &Rows, allowed: &'static str) -> ApiError {
    let changes_collection = rows.what == What::Collection
        && !is_read_only(x, rows)
        && matches!(
            x.request.method,
            Method::PATCH | Method::PUT | Method::DELETE
        );
    if changes_collection {
        return ApiError::new(
            Code::NotImplemented,
            "Changing a whole collection at once is not supported. Change its entities one by one.",
        );
    }
    ApiError::method_not_allowed(allowed)
}

/// Requests that change something take only the options that shape their answer.
fn check_options(x: &Exchange<'_>, rows: &Rows) -> Result<(), ApiError> {
    let deletes = x.request.method == Method::DELETE;
    let allowed: &[&str] = match rows.what {
        What::Collection | What::Entity if !deletes => {
            &["$select", "$expand", "$format", "$schemaversion"]
        }
        What::References if deletes => &["$id", "$format", "$schemaversion"],
        _ => &["$format", "$schemaversion"],
    };
    match x
        .request
        .url
        .options
        .system_names()
        .find(|name| !allowed.contains(name))
    {
        None => Ok(()),
        Some(name) => Err(ApiError::new(
            Code::QueryOptionNotAllowed,
            format!("{name} does not apply to this request. Leave it out."),
        )
        .target(name)),
    }
}
