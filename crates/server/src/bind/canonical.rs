//! The text of a request's options under which a link keeps them.
//!
//! What must hold: the text binds to the same query again, and two requests that differ only in spelling, order or white space
//! have the same text, so that they have the same link.

use std::fmt::Display;

use highwater_odata::url::ast::{Expr, QueryOptions};
use highwater_odata::url::{self, ParseError};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::expr::url_limits;
use crate::settings::Limits;

/// Parentheses around every operator at most double the height of an expression.
const DEPTH_FACTOR: u32 = 2;

/// What the options are kept for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A tracked round: only what decides which rows and properties are in the answer (requirement 13).
    Tracking,
    /// The next page of an answer that is not tracked: everything.
    Paging,
}

/// The options of the defining query, names without `$` and aliases with `@`. `path` is the resource path, whose keys may be aliases.
pub(crate) fn canonical(
    path: &str,
    options: &QueryOptions,
    purpose: Purpose,
) -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, text: Option<String>| {
        texts.extend(text.map(|text| (name.to_owned(), text)));
    };
    put("filter", options.filter.as_ref().map(Expr::to_string));
    put("search", options.search.as_ref().map(ToString::to_string));
    put("select", sorted(&options.select));
    if purpose == Purpose::Paging {
        put("expand", sorted(&options.expand));
        put("orderby", joined(&options.orderby));
        put("top", options.top.map(|top| top.to_string()));
        put("skip", options.skip.map(|skip| skip.to_string()));
        put("count", options.count.map(|count| count.to_string()));
    }
    let aliases = used_aliases(path, options, &texts);
    texts.extend(aliases);
    texts
}

/// Parses what [`canonical`] has written.
///
/// # Errors
///
/// The limits have become stricter since.
pub(crate) fn reparse(
    texts: &[(String, String)],
    limits: &Limits,
) -> Result<QueryOptions, ParseError> {
    let query: Vec<String> = texts
        .iter()
        .map(|(name, text)| {
            let (sigil, name) = match name.strip_prefix('@') {
                Some(alias) => ("@", alias),
                None => ("$", name.as_str()),
            };
            let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
            let text = utf8_percent_encode(text, NON_ALPHANUMERIC);
            format!("{sigil}{name}={text}")
        })
        .collect();
    let mut limits = url_limits(limits);
    limits.depth_max = limits.depth_max.saturating_mul(DEPTH_FACTOR);
    // The sealed link was short enough; encoding it made it longer.
    limits.url_bytes_max = usize::MAX;
    url::parse_query(&query.join("&"), &limits)
}

fn joined<T: Display>(items: &[T]) -> Option<String> {
    let texts: Vec<String> = items.iter().map(T::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// The order of these items means nothing.
fn sorted<T: Display>(items: &[T]) -> Option<String> {
    let mut texts: Vec<String> = items.iter().map(T::to_string).collect();
    texts.sort_unstable();
    texts.dedup();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// Aliases that the path or the texts mention, directly or through each other, by name. Text in quotes may mention one by accident; then it
/// is kept for nothing.
fn used_aliases(
    path: &str,
    options: &QueryOptions,
    texts: &[(String, String)],
) -> Vec<(String, String)> {
    let mut unused: Vec<(String, String)> = options
        .aliases
        .iter()
        .map(|(name, value)| (format!("@{name}"), value.to_string()))
        .collect();
    let mut used: Vec<(String, String)> = Vec::new();
    loop {
        let (found, rest): (Vec<_>, Vec<_>) = unused.into_iter().partition(|(name, _)| {
            let mut texts = texts.iter().chain(&used);
            path.contains(name) || texts.any(|(_, text)| text.contains(name))
        });
        unused = rest;
        if found.is_empty() {
            break;
        }
        used.extend(found);
    }
    used.sort_unstable();
    used
}
