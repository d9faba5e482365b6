//! `$search` (URL Conventions 5.1.7): words and phrases with `NOT`, `AND` and `OR`, in falling precedence.
//!
//! The three words are operators only where one makes sense: `AND OR` asks for two words, `NOT NOT` excludes the word `NOT`.

use super::ast::Search;
use super::parser::{Parse, Parser};

impl Parser<'_, '_> {
    pub(super) fn search(&mut self) -> Parse<(Search, u32)> {
        self.skip_space();
        self.nested(Self::search_or)
    }

    fn search_or(&mut self) -> Parse<(Search, u32)> {
        let (first, mut height) = self.search_and()?;
        let mut alternatives = vec![first];
        while self.eat_connective("OR") {
            let (next, next_height) = self.search_and()?;
            height = height.max(next_height);
            alternatives.push(next);
        }
        self.search_node(alternatives, height, Search::Or)
    }

    fn search_and(&mut self) -> Parse<(Search, u32)> {
        let (first, mut height) = self.search_unary()?;
        let mut parts = vec![first];
        loop {
            let start = self.pos;
            let explicit = self.eat_connective("AND");
            self.skip_space();
            let spaced = self.pos > start;
            let done = matches!(self.peek(), None | Some(b')' | b';'));
            if !explicit && (done || !spaced || self.at_connective("OR")) {
                self.pos = start;
                break;
            }
            let (next, next_height) = self.search_unary()?;
            height = height.max(next_height);
            parts.push(next);
        }
        self.search_node(parts, height, Search::And)
    }

    /// A node over two or more parts, or the only part itself.
    fn search_node(
        &mut self,
        mut parts: Vec<Search>,
        height: u32,
        node: fn(Vec<Search>) -> Search,
    ) -> Parse<(Search, u32)> {
        if parts.len() == 1 {
            return Ok((parts.remove(0), height));
        }
        self.check_height(height + 1)?;
        Ok((node(parts), height + 1))
    }

    fn search_unary(&mut self) -> Parse<(Search, u32)> {
        self.spend_node()?;
        match self.peek() {
            Some(b'(') => {
                self.pos += 1;
                let inner = self.search()?;
                self.skip_space();
                self.expect(b')', "after the search terms in parentheses")?;
                Ok(inner)
            }
            Some(b'"') => Ok((Search::Phrase(self.phrase()?), 1)),
            // Half-typed input that a client passed on as it was (ABNF `searchExpr-incomplete`).
            Some(b'\'') => Ok((Search::Phrase(self.string()?), 1)),
            _ if self.at_connective("NOT") => {
                self.pos += "NOT".len();
                self.skip_space();
                let (operand, height) = self.nested(Self::search_unary)?;
                self.check_height(height + 1)?;
                Ok((Search::Not(Box::new(operand)), height + 1))
            }
            _ => Ok((Search::Word(self.search_word()?), 1)),
        }
    }

    fn phrase(&mut self) -> Parse<String> {
        let text = &self.rest()[1..];
        match text.find('"') {
            Some(0) => Err(self.error("expected text between the double quotes")),
            Some(length) => {
                self.pos += length + 2;
                Ok(text[..length].to_owned())
            }
            None => Err(self.error("expected '\"' at the end of the phrase")),
        }
    }

    fn search_word(&mut self) -> Parse<String> {
        let rest = self.rest();
        let length = rest
            .find(|c: char| c.is_whitespace() || "()\";".contains(c))
            .unwrap_or(rest.len());
        if length == 0 {
            return Err(self.expected("a word or a phrase in double quotes"));
        }
        self.pos += length;
        Ok(rest[..length].to_owned())
    }

    /// Takes an operator between two operands, with the space after it.
    fn eat_connective(&mut self, word: &str) -> bool {
        let start = self.pos;
        self.skip_space();
        if self.pos > start && self.at_connective(word) {
            self.pos += word.len();
            self.skip_space();
            return true;
        }
        self.pos = start;
        false
    }

    /// Whether `word` comes next and is followed by something that it can apply to.
    fn at_connective(&self, word: &str) -> bool {
        let Some(after) = self.rest().strip_prefix(word) else {
            return false;
        };
        let operand = after.trim_start_matches([' ', '\t']);
        let spaced = operand.len() < after.len() || operand.starts_with('(');
        spaced && !matches!(operand.bytes().next(), None | Some(b')' | b';'))
    }
}
