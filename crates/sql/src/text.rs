//! SQL text that grows together with its parameters.
//!
//! What must hold: nothing that a request or a database contains reaches the text except through [`Sql::name`] (quoted) and
//! [`Sql::bind`] (a placeholder).

use highwater_core::Error;
use highwater_odata::Value;

/// Parameters of one statement at most, unless it is said otherwise: the limit of SQLite, which is the smallest.
const PARAMS_MAX: usize = 32_766;

/// A value that is bound to a placeholder.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    /// A constant.
    Value(Value),
    /// Text of the database that is not UTF-8, byte for byte.
    Text(Vec<u8>),
    /// The value of this column of the row that an expansion belongs to; it changes with every execution.
    Parent(usize),
}

/// A statement under construction.
#[derive(Clone, Debug)]
pub struct Sql {
    text: String,
    params: Vec<Param>,
    /// Number of the next placeholder, counted from 0; behind `params.len()` only while a fragment is repeated.
    next: usize,
    placeholder: char,
    params_max: usize,
}

impl Sql {
    /// An empty statement whose placeholders are this character and a number.
    pub fn new(placeholder: char) -> Sql {
        Sql::limited(placeholder, PARAMS_MAX)
    }

    /// As [`Sql::new`], for a database with another limit of the number of parameters.
    pub fn limited(placeholder: char, params_max: usize) -> Sql {
        Sql {
            text: String::with_capacity(512),
            params: Vec::new(),
            next: 0,
            placeholder,
            params_max,
        }
    }

    /// Appends text that Highwater itself wrote.
    pub fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends a number that Highwater itself computed.
    pub fn push_number(&mut self, number: i64) {
        use std::fmt::Write as _;
        write!(self.text, "{number}").expect("writing to a String cannot fail");
    }

    /// Appends a name of the database, quoted.
    pub fn name(&mut self, name: &str) {
        self.text.push('"');
        for (position, part) in name.split('"').enumerate() {
            if position > 0 {
                self.text.push_str("\"\"");
            }
            self.text.push_str(part);
        }
        self.text.push('"');
    }

    /// Appends a placeholder for a value.
    pub fn bind(&mut self, param: Param) {
        use std::fmt::Write as _;
        if self.next == self.params.len() {
            self.params.push(param);
        } else {
            debug_assert_eq!(
                self.params[self.next], param,
                "a repeated fragment is the same"
            );
        }
        self.next += 1;
        write!(self.text, "{}{}", self.placeholder, self.next)
            .expect("writing to a String cannot fail");
    }

    /// Appends a placeholder for a whole number.
    pub fn bind_integer(&mut self, value: i64) {
        self.bind(Param::Value(Value::Integer(value)));
    }

    /// Marks the place from which parameters can be used again ([`Sql::repeat_from`]).
    pub fn mark(&self) -> usize {
        self.next
    }

    /// The fragment that follows binds the same parameters as the one that began at the mark, so they are sent once. The caller ends
    /// it with [`Sql::resume`] and what this returns. Repetitions nest.
    #[must_use]
    pub fn repeat_from(&mut self, mark: usize) -> usize {
        std::mem::replace(&mut self.next, mark)
    }

    /// Ends a repetition.
    pub fn resume(&mut self, next: usize) {
        self.next = next;
    }

    /// The finished statement.
    ///
    /// # Errors
    ///
    /// [`Error::TooComplex`] if the request needs more parameters than a statement can have.
    pub fn finish(self) -> Result<(String, Vec<Param>), Error> {
        if self.params.len() > self.params_max {
            return Err(Error::TooComplex(format!(
                "The query has {} values; at most {} are possible. Split it into several queries.",
                self.params.len(),
                self.params_max
            )));
        }
        Ok((self.text, self.params))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted() {
        for (name, quoted) in [
            ("a", "\"a\""),
            ("", "\"\""),
            ("\"", "\"\"\"\""),
            ("a\"; DROP TABLE b; --", "\"a\"\"; DROP TABLE b; --\""),
            ("select", "\"select\""),
            ("Zürich [x] `y` 'z'", "\"Zürich [x] `y` 'z'\""),
        ] {
            let mut sql = Sql::new('?');
            sql.name(name);
            assert_eq!(sql.finish().unwrap().0, quoted);
        }
    }

    #[test]
    fn a_repeated_fragment_uses_its_parameters_again() {
        let mut sql = Sql::new('?');
        sql.bind_integer(1);
        let mark = sql.mark();
        sql.bind_integer(2);
        let end = sql.repeat_from(mark);
        sql.bind_integer(2);
        sql.resume(end);
        sql.bind_integer(3);
        let (text, params) = sql.finish().unwrap();
        assert_eq!(text, "?1?2?2?3");
        assert_eq!(params.len(), 3);
    }
}
