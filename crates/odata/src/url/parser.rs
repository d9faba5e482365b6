//! The state that all grammar rules share: a position in decoded text, and what may still be spent.
//!
//! What must hold: a rule moves forward only, apart from look-ahead over one name. Every rule that calls itself, directly or
//! not, passes through [`Parser::nested`].

use super::ast::Expr;
use super::{Limits, ParseError, ParseErrorKind};

pub(super) type Parse<T> = Result<T, ParseError>;

/// How much of a found text an error quotes, in characters.
const EXCERPT_CHARS_MAX: usize = 24;

/// What all parts of one URL share.
pub(super) struct Budget {
    pub(super) limits: Limits,
    nodes: u32,
}

impl Budget {
    pub(super) fn new(limits: &Limits) -> Self {
        Budget {
            limits: *limits,
            nodes: 0,
        }
    }

    /// Refuses text that is longer than a URL may be.
    pub(super) fn check_length(&self, place: &str, bytes: usize) -> Parse<()> {
        let max = self.limits.url_bytes_max;
        if bytes <= max {
            return Ok(());
        }
        let message =
            format!("longer than {max} bytes: shorten the URL, or POST the query to $query");
        Err(ParseError::new(
            ParseErrorKind::TooLong,
            place,
            max,
            message,
        ))
    }
}

/// An expression with its height: 1 for a leaf. Boxed, because the stack frames of the parser hold several.
pub(super) struct Tree {
    pub(super) expr: Box<Expr>,
    pub(super) height: u32,
}

/// What an error message calls the text being parsed.
#[derive(Clone, Copy)]
pub(super) enum Place<'t> {
    Named(&'t str),
    /// The text is one segment of the path.
    Segment,
}

/// A position in the decoded text of one option or path segment.
pub(super) struct Parser<'t, 'b> {
    text: &'t str,
    pub(super) pos: usize,
    place: Place<'t>,
    depth: u32,
    budget: &'b mut Budget,
}

impl<'t, 'b> Parser<'t, 'b> {
    pub(super) fn new(place: Place<'t>, text: &'t str, budget: &'b mut Budget) -> Self {
        Parser {
            text,
            pos: 0,
            place,
            depth: 0,
            budget,
        }
    }

    /// Runs a rule one level deeper.
    pub(super) fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        self.check_height(self.depth + 1)?;
        self.depth += 1;
        let result = rule(self);
        self.depth -= 1;
        result
    }

    /// Refuses a tree that is too high for a reader who recurses.
    pub(super) fn check_height(&self, height: u32) -> Parse<()> {
        let max = self.budget.limits.depth_max;
        if self.depth.max(height) <= max {
            return Ok(());
        }
        let message = format!("nested deeper than {max} levels: simplify the expression");
        Err(self.failure(ParseErrorKind::TooComplex, self.pos, message))
    }

    /// Pays for one node of a tree.
    pub(super) fn spend_node(&mut self) -> Parse<()> {
        let max = self.budget.limits.nodes_max;
        if self.budget.nodes < max {
            self.budget.nodes += 1;
            return Ok(());
        }
        let message = format!("more than {max} operators, operands and names: split the request");
        Err(self.failure(ParseErrorKind::TooComplex, self.pos, message))
    }

    /// An inner node over subtrees of which the highest has `height`.
    pub(super) fn node_over(&mut self, expr: Expr, height: u32) -> Parse<Tree> {
        self.check_height(height + 1)?;
        Ok(Tree {
            expr: Box::new(expr),
            height: height + 1,
        })
    }

    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.pos..]
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.pos).copied()
    }

    pub(super) fn at_end(&self) -> bool {
        self.pos == self.text.len()
    }

    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        if eaten {
            self.pos += 1;
        }
        eaten
    }

    /// Takes `byte`; `context` finishes the sentence "expected ')' …".
    pub(super) fn expect(&mut self, byte: u8, context: &str) -> Parse<()> {
        if self.eat(byte) {
            return Ok(());
        }
        Err(self.expected(&format!("'{}' {context}", char::from(byte))))
    }

    pub(super) fn expect_end(&mut self, context: &str) -> Parse<()> {
        self.skip_space();
        if self.at_end() {
            return Ok(());
        }
        Err(self.expected(context))
    }

    /// Takes optional white space (ABNF `BWS`).
    pub(super) fn skip_space(&mut self) {
        self.pos = self.after_space();
    }

    pub(super) fn after_space(&self) -> usize {
        let bytes = self.rest().bytes();
        self.pos + bytes.take_while(|b| matches!(b, b' ' | b'\t')).count()
    }

    /// Takes a separator with optional white space around it.
    pub(super) fn eat_separator(&mut self, byte: u8) -> bool {
        let start = self.pos;
        self.skip_space();
        if self.eat(byte) {
            self.skip_space();
            return true;
        }
        self.pos = start;
        false
    }

    /// Takes a keyword, whatever its case, that ends where a name would end.
    pub(super) fn eat_keyword(&mut self, keyword: &str) -> bool {
        let Some(found) = self.text.as_bytes().get(self.pos..self.pos + keyword.len()) else {
            return false;
        };
        if !found.eq_ignore_ascii_case(keyword.as_bytes()) {
            return false;
        }
        // An ASCII match ends on a character boundary.
        let after = &self.text[self.pos + keyword.len()..];
        if after.chars().next().is_some_and(continues_name) {
            return false;
        }
        self.pos += keyword.len();
        true
    }

    /// Takes a simple name (ABNF `odataIdentifier`), of any length.
    pub(super) fn name(&mut self) -> Option<&'t str> {
        let length = name_length(self.rest());
        if length == 0 {
            return None;
        }
        let start = self.pos;
        self.pos += length;
        Some(&self.text[start..self.pos])
    }

    pub(super) fn expect_name(&mut self, what: &str) -> Parse<&'t str> {
        self.name().ok_or_else(|| self.expected(what))
    }

    /// Takes names with dots between.
    pub(super) fn qualified_name(&mut self) -> Option<&'t str> {
        let start = self.pos;
        self.name()?;
        while self.peek() == Some(b'.') {
            let length = name_length(&self.text[self.pos + 1..]);
            if length == 0 {
                break;
            }
            self.pos += 1 + length;
        }
        Some(&self.text[start..self.pos])
    }

    /// "expected …, found …" at the current position.
    pub(super) fn expected(&self, what: &str) -> ParseError {
        let found = match excerpt(self.rest()) {
            "" => "the end".to_owned(),
            text => format!("'{text}'"),
        };
        self.error(format!("expected {what}, found {found}"))
    }

    /// A syntax error at the current position.
    pub(super) fn error(&self, message: impl Into<String>) -> ParseError {
        self.error_at(self.pos, message)
    }

    pub(super) fn error_at(&self, position: usize, message: impl Into<String>) -> ParseError {
        self.failure(ParseErrorKind::Syntax, position, message)
    }

    fn failure(
        &self,
        kind: ParseErrorKind,
        position: usize,
        message: impl Into<String>,
    ) -> ParseError {
        match self.place {
            Place::Named(name) => ParseError::new(kind, name, position, message),
            Place::Segment => {
                let place = format!("path segment '{}'", excerpt(self.text));
                ParseError::new(kind, place, position, message)
            }
        }
    }
}

/// The beginning of a text, short enough for an error message.
pub(super) fn excerpt(text: &str) -> &str {
    match text.char_indices().nth(EXCERPT_CHARS_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

/// How many bytes at the start of `text` form a simple name.
pub(super) fn name_length(text: &str) -> usize {
    let mut chars = text.char_indices();
    match chars.next() {
        Some((_, first)) if first == '_' || first.is_alphabetic() => {}
        _ => return 0,
    }
    chars
        .find(|(_, c)| !continues_name(*c))
        .map_or(text.len(), |(end, _)| end)
}

/// Whether a character can stand inside a name. Generous beyond ASCII: no name of a model can match what should not be here.
fn continues_name(c: char) -> bool {
    if c.is_ascii() {
        c == '_' || c.is_ascii_alphanumeric()
    } else {
        !c.is_whitespace() && !c.is_control()
    }
}
