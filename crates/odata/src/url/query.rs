//! The query part of a URL: splitting, names, and which option gets which value.

use super::ast::{QueryOptions, RequestUrl, Segment};
use super::decode::{self, Plus};
use super::options::{Seen, SystemOption};
use super::parser::{Budget, Parse, Parser, Place, name_length};
use super::{ParseError, ParseErrorKind};

const QUERY: &str = "the query";

/// Parses a query without its question mark, percent-encoded.
pub(super) fn query(text: &str, budget: &mut Budget) -> Parse<QueryOptions> {
    budget.check_length(QUERY, text.len())?;
    let mut options = QueryOptions::default();
    let mut seen = Seen::default();
    let mut start = 0;
    for piece in text.split('&') {
        if !piece.is_empty() {
            option(piece, start, &mut options, &mut seen, budget)?;
        }
        start += piece.len() + 1;
    }
    Ok(options)
}

/// One `name=value`, which starts at `start` in the query.
fn option(
    piece: &str,
    start: usize,
    options: &mut QueryOptions,
    seen: &mut Seen,
    budget: &mut Budget,
) -> Parse<()> {
    let error = |message: String| ParseError::new(ParseErrorKind::Syntax, QUERY, start, message);
    let (name, value) = match piece.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (piece, None),
    };
    let name = decode(name, start, Plus::Space)?;
    let value_start = start + piece.len() - value.map_or(0, str::len);
    let decode_value = |plus| decode(value.unwrap_or_default(), value_start, plus);

    if let Some(option) = SystemOption::find(&name) {
        if !seen.system(option) {
            return Err(error(format!("'{}' is given twice", option.name())));
        }
        if option == SystemOption::Levels {
            return Err(error("'$levels' is only allowed inside $expand".to_owned()));
        }
        let plus = if option.is_raw() {
            Plus::Literal
        } else {
            Plus::Space
        };
        let value = decode_value(plus)?;
        let mut parser = Parser::new(Place::Named(option.name()), &value, budget);
        parser.option_value(option, options)?;
        return parser.expect_end("an operator or the end");
    }
    if name.starts_with('$') {
        return Err(error(format!("unknown system query option '{name}'")));
    }
    if let Some(alias) = name.strip_prefix('@') {
        if alias.is_empty() || name_length(alias) != alias.len() {
            return Err(error(format!(
                "'{name}' is not the name of a parameter alias"
            )));
        }
        if !seen.alias(alias) {
            return Err(error(format!("the alias '{name}' is given twice")));
        }
        let value = decode_value(Plus::Space)?;
        let mut parser = Parser::new(Place::Named(&name), &value, budget);
        let tree = parser.expr()?;
        parser.expect_end("an operator or the end")?;
        options.aliases.push((alias.to_owned(), *tree.expr));
        return Ok(());
    }
    let value = decode_value(Plus::Space)?;
    options.custom.push((name, value));
    Ok(())
}

fn decode(text: &str, start: usize, plus: Plus) -> Parse<String> {
    match decode::decode(text, plus) {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(e) => Err(ParseError::new(
            ParseErrorKind::Syntax,
            QUERY,
            start + e.position,
            e.message,
        )),
    }
}

/// Refuses combinations of path and query that no model can give a meaning to.
pub(super) fn check(url: &RequestUrl) -> Parse<()> {
    let addresses_by_id = url.path.segments.first() == Some(&Segment::Entity);
    if addresses_by_id && url.options.id.is_none() {
        let message = "'$entity' needs the query option $id";
        return Err(ParseError::new(ParseErrorKind::Syntax, QUERY, 0, message));
    }
    Ok(())
}
