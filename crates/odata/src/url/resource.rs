//! Resource paths (URL Conventions 4): segments, keys and parameters.
//!
//! What must hold: the path is split before it is decoded, so that an encoded slash belongs to its segment. Where the grammar
//! alone cannot tell a key from a name, the segment keeps both readings.

use std::borrow::Cow;

use super::ast::{Arguments, Expr, KeySegment, NameSegment, ResourcePath, Segment};
use super::decode::{self, Plus};
use super::parser::{Budget, Parse, Parser, Place, excerpt};
use super::{ParseError, ParseErrorKind};

const PATH: &str = "the path";

/// Parses a path below the service root, percent-encoded, with or without its first slash.
pub(super) fn path(text: &str, budget: &mut Budget) -> Parse<ResourcePath> {
    budget.check_length(PATH, text.len())?;
    let text = text.strip_suffix('/').unwrap_or(text);
    let mut path = ResourcePath::default();
    if text.is_empty() {
        return Ok(path);
    }
    let at = usize::from(text.starts_with('/'));
    let mut pieces = Pieces { text, at };
    while let Some((start, segment)) = pieces.next_segment()? {
        if segment.is_empty() {
            return Err(error(start, "expected a name between two slashes"));
        }
        let parsed = self::segment(&segment, path.segments.last(), budget)?;
        path.segments.push(parsed);
    }
    Ok(path)
}

fn error(position: usize, message: impl Into<String>) -> ParseError {
    ParseError::new(ParseErrorKind::Syntax, PATH, position, message)
}

/// The segments of a path that is still encoded.
struct Pieces<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Pieces<'t> {
    /// The start and the decoded text of the next segment.
    ///
    /// The condition in `$filter(...)` may contain slashes that nobody encoded (ABNF `filterInPath`), so that segment goes on
    /// until its parentheses are closed.
    fn next_segment(&mut self) -> Parse<Option<(usize, Cow<'t, str>)>> {
        if self.at > self.text.len() {
            return Ok(None);
        }
        let start = self.at;
        let mut decoded = self.next_piece()?;
        if decoded.starts_with("$filter(") {
            let mut scan = Balance::default();
            while !scan.is_closed_after(&decoded) && self.at <= self.text.len() {
                let more = self.next_piece()?;
                let joined = decoded.to_mut();
                joined.push('/');
                joined.push_str(&more);
            }
        }
        Ok(Some((start, decoded)))
    }

    fn next_piece(&mut self) -> Parse<Cow<'t, str>> {
        let rest = &self.text[self.at..];
        let length = rest.find('/').unwrap_or(rest.len());
        let start = self.at;
        self.at += length + 1;
        decode::decode(&rest[..length], Plus::Literal)
            .map_err(|e| error(start + e.position, e.message))
    }
}

/// Counts parentheses outside of quotes, going on where it stopped.
#[derive(Default)]
struct Balance {
    scanned: usize,
    open: usize,
    quoted: bool,
}

impl Balance {
    fn is_closed_after(&mut self, text: &str) -> bool {
        for byte in text[self.scanned..].bytes() {
            match byte {
                // A doubled quote closes and opens again, which comes to the same.
                b'\'' => self.quoted = !self.quoted,
                b'(' if !self.quoted => self.open += 1,
                b')' if !self.quoted => self.open = self.open.saturating_sub(1),
                _ => {}
            }
        }
        self.scanned = text.len();
        self.open == 0 && !self.quoted
    }
}

fn segment(text: &str, before: Option<&Segment>, budget: &mut Budget) -> Parse<Segment> {
    check_order(text, before)?;
    let mut parser = Parser::new(Place::Segment, text, budget);
    parser.spend_node()?;
    if text.starts_with('$') {
        return parser.system_path_segment(before.is_none());
    }
    match parser.name_segment() {
        // Type casts and bound operations need something in front of them; the container's members are not qualified.
        Ok(name) if before.is_none() && name.is_qualified() => {
            Err(parser.error_at(0, "a path cannot start with a qualified name"))
        }
        Ok(name) => Ok(Segment::Name(name)),
        // Only a name can come first; everything later may be a key in key-as-segment form.
        Err(not_a_name) if before.is_some() && not_a_name.kind() == ParseErrorKind::Syntax => {
            Ok(Segment::Key(KeySegment {
                text: text.to_owned(),
                not_a_name,
            }))
        }
        Err(error) => Err(error),
    }
}

/// Refuses what can never follow, whatever the model.
fn check_order(text: &str, before: Option<&Segment>) -> Parse<()> {
    let previous = match before {
        Some(Segment::Metadata) => "$metadata",
        Some(Segment::Batch) => "$batch",
        Some(Segment::Query) => "$query",
        Some(Segment::Count) if text != "$query" => "$count",
        Some(Segment::Ref) if text != "$query" => "$ref",
        Some(Segment::Value) if text != "$query" => "$value",
        Some(Segment::CrossJoin(_)) if text != "$query" => "$crossjoin",
        _ => return Ok(()),
    };
    let place = format!("path segment '{}'", excerpt(text));
    let message = format!("nothing may follow '{previous}'");
    Err(ParseError::new(ParseErrorKind::Syntax, place, 0, message))
}

impl Parser<'_, '_> {
    /// `$metadata` and the like. These names are case-sensitive, and a key value that starts with `$` has to be put in
    /// parentheses.
    fn system_path_segment(&mut self, first: bool) -> Parse<Segment> {
        let segment = match self.text() {
            "$metadata" if first => Segment::Metadata,
            "$batch" if first => Segment::Batch,
            "$entity" if first => Segment::Entity,
            "$all" if first => Segment::All,
            "$count" if !first => Segment::Count,
            "$ref" if !first => Segment::Ref,
            "$value" if !first => Segment::Value,
            "$query" if !first => Segment::Query,
            "$each" if !first => Segment::Each,
            text if first && text.starts_with("$crossjoin(") => {
                self.pos = "$crossjoin".len();
                return self.crossjoin();
            }
            text if !first && text.starts_with("$filter(") => {
                self.pos = "$filter".len();
                let (condition, key) = self.filter_segment(Parser::constant)?;
                self.expect_end("the end of the segment")?;
                return Ok(Segment::Filter(*condition.expr, key));
            }
            _ => return Err(self.error("no system resource of this name can stand here")),
        };
        Ok(segment)
    }

    fn crossjoin(&mut self) -> Parse<Segment> {
        self.expect(b'(', "before the entity sets")?;
        let mut sets = Vec::new();
        loop {
            self.spend_node()?;
            self.skip_space();
            sets.push(self.expect_name("the name of an entity set")?.to_owned());
            if !self.eat_separator(b',') {
                break;
            }
        }
        self.skip_space();
        self.expect(b')', "or ',' after the entity set")?;
        self.expect_end("the end of the segment")?;
        Ok(Segment::CrossJoin(sets))
    }

    pub(super) fn name_segment(&mut self) -> Parse<NameSegment> {
        let Some(name) = self.qualified_name() else {
            return Err(self.expected("a name"));
        };
        let mut segment = NameSegment {
            name: name.to_owned(),
            parens: Vec::new(),
            text: self.text().to_owned(),
        };
        self.parens(&mut segment, Parser::constant)?;
        if !self.at_end() {
            return Err(self.expected("the end of the segment"));
        }
        Ok(segment)
    }
}

impl NameSegment {
    /// Whether the name has a dot: a type cast, or an operation with its namespace.
    pub fn is_qualified(&self) -> bool {
        self.name.contains('.')
    }
}

impl Arguments {
    /// The values, whether they have names or not.
    pub fn values(&self) -> impl Iterator<Item = &Expr> {
        let (positional, named) = match self {
            Arguments::Empty => (&[][..], &[][..]),
            Arguments::Positional(values) => (&values[..], &[][..]),
            Arguments::Named(values) => (&[][..], &values[..]),
        };
        positional
            .iter()
            .chain(named.iter().map(|(_, value)| value))
    }
}
