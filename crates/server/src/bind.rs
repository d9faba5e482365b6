//! From the names in a URL to the positions in a model: the step at which a request is understood or refused.
//!
//! [`resolve`] decides what a path addresses, [`bind`] turns the system query options into a [`highwater_core::Query`] with what
//! a payload writer has to know ([`highwater_odata::payload::Shape`]), [`canonical`] is the text under which a link keeps the options.
//!
//! What must hold: whatever is bound was understood completely. What the service cannot do is 501, what it does not know is 400
//! or 404 with the nearest known name, and no part of a request is ignored unless the standard says so. Work and depth are
//! bounded by [`crate::Limits`], with aliases and `$levels` written out. The operator's row filter is part of everything that
//! leaves this module.
//! What is deliberately absent: HTTP, SQL, and rows.
//!
//! Specification: URL Conventions 4.01, sections 4 and 5.

mod canonical;
mod env;
mod error;
mod expand;
mod expr;
mod function;
mod key;
mod literal;
mod operator;
mod options;
mod path;
mod resource;
mod search;
mod select;
mod steps;

pub(crate) use canonical::{Purpose, canonical, reparse};
pub(crate) use error::{BindError, BindErrorKind};
pub(crate) use expr::{check_fixed_filter, parse_filter, url_limits};
pub(crate) use function::filter_function_names;
pub(crate) use options::{BoundQuery, Context, bind};
pub(crate) use resource::{Resource, Rows, Step, What, resolve};
pub(crate) use steps::{SourceRow, blank, lookup, source_from_key};

#[cfg(test)]
mod tests;
