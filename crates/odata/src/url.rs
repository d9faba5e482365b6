//! The URL grammar (URL Conventions 4.01): request targets to syntax trees and back.
//!
//! What must hold: parsing takes time linear in the input, needs a bounded stack whatever the input, and a tree that was
//! accepted is never higher than [`Limits::depth_max`], so that whoever walks it may recurse. Decoding happens after splitting.
//! What is deliberately absent: names are text here. Whether `Products` is an entity set or a function is for the binder.
//!
//! 4.01 accepts more than 4.0 and takes nothing away, so there is one grammar for both: names of options, operators and
//! functions in any case, and options with or without `$`.
//!
//! ```
//! use highwater_odata::url::{self, Limits};
//!
//! let url = url::parse("/Products", Some("$filter=Price%20lt%2010%20or%20Name%20eq%20null"), &Limits::default())?;
//! let filter = url.options.filter.expect("the URL has one");
//! assert_eq!(filter.to_string(), "((Price lt 10) or (Name eq null))");
//! # Ok::<(), url::ParseError>(())
//! ```

pub mod ast;
mod decode;
mod error;
mod expand;
mod expr;
mod limits;
mod operand;
mod options;
mod parser;
mod path;
mod print;
mod query;
mod resource;
mod search;

use ast::{Expr, NameSegment, QueryOptions, RequestUrl, ResourcePath, Search};
use parser::{Budget, Parser, Place};

pub use error::{ParseError, ParseErrorKind};
pub use limits::{DEPTH_MAX, Limits, NODES_MAX, URL_BYTES_MAX};

/// Parses a request target: its path below the service root, and its query without the question mark, both as they were sent.
///
/// # Errors
///
/// The URL is longer or more complex than `limits` allow, is not encoded correctly, or does not follow the grammar.
pub fn parse(path: &str, query: Option<&str>, limits: &Limits) -> Result<RequestUrl, ParseError> {
    let mut budget = Budget::new(limits);
    let query = query.unwrap_or_default();
    budget.check_length("the URL", path.len().saturating_add(query.len()))?;
    let url = RequestUrl {
        path: resource::path(path, &mut budget)?,
        options: query::query(query, &mut budget)?,
    };
    query::check(&url)?;
    Ok(url)
}

/// Parses a percent-encoded path below the service root, such as an entity id without its service root.
///
/// # Errors
///
/// As for [`parse`].
pub fn parse_path(path: &str, limits: &Limits) -> Result<ResourcePath, ParseError> {
    resource::path(path, &mut Budget::new(limits))
}

/// Parses a percent-encoded query, such as the body of a request to `$query`.
///
/// # Errors
///
/// As for [`parse`].
pub fn parse_query(query: &str, limits: &Limits) -> Result<QueryOptions, ParseError> {
    query::query(query, &mut Budget::new(limits))
}

/// Parses an expression that is not part of a URL, and not percent-encoded: a filter in a configuration file. Errors call it
/// `place`.
///
/// # Errors
///
/// As for [`parse`].
pub fn parse_expression(place: &str, text: &str, limits: &Limits) -> Result<Expr, ParseError> {
    let mut budget = Budget::new(limits);
    budget.check_length(place, text.len())?;
    let mut parser = Parser::new(Place::Named(place), text, &mut budget);
    let tree = parser.expr()?;
    parser.expect_end("an operator or the end")?;
    Ok(*tree.expr)
}

/// Parses a search expression that is not percent-encoded.
///
/// # Errors
///
/// As for [`parse`].
pub fn parse_search(text: &str, limits: &Limits) -> Result<Search, ParseError> {
    let mut budget = Budget::new(limits);
    budget.check_length("$search", text.len())?;
    let mut parser = Parser::new(Place::Named("$search"), text, &mut budget);
    let (search, _) = parser.search()?;
    parser.expect_end("a word or the end")?;
    Ok(search)
}

/// Parses one path segment that is already decoded: a name with its key or parameters.
///
/// # Errors
///
/// As for [`parse`].
pub fn parse_name_segment(text: &str, limits: &Limits) -> Result<NameSegment, ParseError> {
    let mut budget = Budget::new(limits);
    budget.check_length("the path", text.len())?;
    Parser::new(Place::Segment, text, &mut budget).name_segment()
}
