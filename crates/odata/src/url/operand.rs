//! Operands of `commonExpr`: literals, lists, JSON, parentheses and built-in functions.
//!
//! What must hold: a whole number that fits `i64` and a number with an exponent have their own representation; every other
//! number keeps its digits. What comes before `(` is a built-in function if its name is one, otherwise the start of a path.

use super::ast::{Arguments, Expr, ForeignLiteral, Function, PathRoot};
use super::parser::{Parse, Parser, Tree};
use super::path::name_only;
use crate::literal::{self, scan};
use crate::{PrimitiveType, Value};

/// Name, function, and how many arguments it takes.
const FUNCTIONS: [(&str, Function, usize, usize); 33] = [
    ("concat", Function::Concat, 2, 2),
    ("contains", Function::Contains, 2, 2),
    ("endswith", Function::EndsWith, 2, 2),
    ("indexof", Function::IndexOf, 2, 2),
    ("length", Function::Length, 1, 1),
    ("startswith", Function::StartsWith, 2, 2),
    ("substring", Function::Substring, 2, 3),
    ("matchespattern", Function::MatchesPattern, 2, 2),
    ("tolower", Function::ToLower, 1, 1),
    ("toupper", Function::ToUpper, 1, 1),
    ("trim", Function::Trim, 1, 1),
    ("hassubset", Function::HasSubset, 2, 2),
    ("hassubsequence", Function::HasSubsequence, 2, 2),
    ("date", Function::Date, 1, 1),
    ("day", Function::Day, 1, 1),
    ("fractionalseconds", Function::FractionalSeconds, 1, 1),
    ("hour", Function::Hour, 1, 1),
    ("maxdatetime", Function::MaxDateTime, 0, 0),
    ("mindatetime", Function::MinDateTime, 0, 0),
    ("minute", Function::Minute, 1, 1),
    ("month", Function::Month, 1, 1),
    ("now", Function::Now, 0, 0),
    ("second", Function::Second, 1, 1),
    ("time", Function::Time, 1, 1),
    ("totaloffsetminutes", Function::TotalOffsetMinutes, 1, 1),
    ("totalseconds", Function::TotalSeconds, 1, 1),
    ("year", Function::Year, 1, 1),
    ("ceiling", Function::Ceiling, 1, 1),
    ("floor", Function::Floor, 1, 1),
    ("round", Function::Round, 1, 1),
    ("geo.distance", Function::GeoDistance, 2, 2),
    ("geo.intersects", Function::GeoIntersects, 2, 2),
    ("geo.length", Function::GeoLength, 1, 1),
];

impl Function {
    /// The name as the specification spells it in lower case.
    pub fn name(self) -> &'static str {
        let entry = FUNCTIONS.iter().find(|(_, f, _, _)| *f == self);
        entry.expect("every function is in the table").0
    }

    /// The names of all built-in functions, `cast`, `isof` and `case` included, for hints.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let special = ["cast", "isof", "case"];
        FUNCTIONS.iter().map(|(name, ..)| *name).chain(special)
    }
}

impl Parser<'_, '_> {
    pub(super) fn operand(&mut self) -> Parse<Tree> {
        self.spend_node()?;
        match self.peek() {
            Some(b'(') => self.parenthesised(),
            Some(b'[') => self.list(b'[', b']'),
            Some(b'{') => self.json_object(),
            Some(b'\'') => Ok(leaf(Expr::Literal(Value::String(self.string()?)))),
            Some(b'"') => {
                Err(self.error("expected an expression: text is written in single quotes"))
            }
            Some(b'$' | b'@') => self.rooted_path(),
            Some(b'0'..=b'9' | b'+' | b'-') => self.digits(),
            _ => self.word(),
        }
    }

    fn parenthesised(&mut self) -> Parse<Tree> {
        self.pos += 1;
        self.skip_space();
        let tree = self.expr()?;
        self.skip_space();
        self.expect(b')', "or an operator inside the parentheses")?;
        Ok(tree)
    }

    /// `(a,b)` or `[a,b]`; inside, strings may also be written the JSON way.
    pub(super) fn list(&mut self, open: u8, close: u8) -> Parse<Tree> {
        self.expect(open, "before the list")?;
        self.skip_space();
        let mut items = Vec::new();
        let mut height = 0;
        if !self.eat(close) {
            loop {
                let item = self.list_item()?;
                height = height.max(item.height);
                items.push(*item.expr);
                if !self.eat_separator(b',') {
                    break;
                }
            }
            self.skip_space();
            self.expect(close, "or ',' in the list")?;
        }
        self.node_over(Expr::List(items), height)
    }

    fn list_item(&mut self) -> Parse<Tree> {
        if self.peek() != Some(b'"') {
            return self.expr();
        }
        self.spend_node()?;
        let start = self.pos;
        let length = json_string_length(self.rest())
            .ok_or_else(|| self.error("expected '\"' at the end of the JSON string"))?;
        self.pos += length;
        let quoted = &self.text()[start..self.pos];
        match serde_json::from_str(quoted) {
            Ok(text) => Ok(leaf(Expr::Literal(Value::String(text)))),
            Err(_) => Err(self.error_at(start, "expected a JSON string with valid escapes")),
        }
    }

    /// `{...}` with balanced brackets; nothing else is checked.
    fn json_object(&mut self) -> Parse<Tree> {
        let start = self.pos;
        let mut closers = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.pos += json_string_length(self.rest())
                        .ok_or_else(|| self.error("expected '\"' at the end of the JSON string"))?;
                    continue;
                }
                b'\'' => {
                    self.string()?;
                    continue;
                }
                b'{' => closers.push(b'}'),
                b'[' => closers.push(b']'),
                b'(' => closers.push(b')'),
                b'}' | b']' | b')' => {
                    let fits = closers.pop() == Some(byte);
                    if !fits {
                        return Err(self.error("unbalanced bracket in the JSON object"));
                    }
                }
                _ => {}
            }
            self.pos += 1;
            self.check_height(closers.len() as u32)?;
            if closers.is_empty() {
                let text = self.text()[start..self.pos].to_owned();
                return Ok(leaf(Expr::Json(text)));
            }
        }
        Err(self.expected("'}' at the end of the JSON object"))
    }

    /// A string in single quotes, where two of them stand for one.
    pub(super) fn string(&mut self) -> Parse<String> {
        let start = self.pos;
        let mut text = String::new();
        self.expect(b'\'', "before the text")?;
        loop {
            let rest = self.rest();
            let Some(length) = memchr::memchr(b'\'', rest.as_bytes()) else {
                let message =
                    "the text in single quotes never ends: a quote inside is written twice";
                return Err(self.error_at(start, message));
            };
            text.push_str(&rest[..length]);
            self.pos += length + 1;
            if !self.eat(b'\'') {
                return Ok(text);
            }
            text.push('\'');
        }
    }

    /// A literal that starts with a digit or a sign, or a guid.
    fn digits(&mut self) -> Parse<Tree> {
        let rest = self.rest();
        let (value, length) = match scan::guid(rest).or_else(|| scan::date_or_time(rest)) {
            Some((ty, length)) => {
                // A plus sign that was not percent-encoded arrives as a space.
                let text = rest[..length].replace(' ', "+");
                (literal::parse_primitive(ty, &text), length)
            }
            None => {
                let length = scan::number(rest);
                if length == 0 {
                    return Err(self.expected("a number"));
                }
                (number(&rest[..length]), length)
            }
        };
        let value = value.map_err(|e| self.error(e.to_string()))?;
        self.finish_literal(value, length)
    }

    fn finish_literal(&mut self, value: Value, length: usize) -> Parse<Tree> {
        let start = self.pos;
        self.pos += length;
        let next = self.rest().chars().next();
        if next.is_some_and(|c| c == '_' || c.is_alphanumeric()) {
            self.pos = start;
            return Err(self.expected("a number, date, time or guid"));
        }
        Ok(leaf(Expr::Literal(value)))
    }

    /// An operand that starts with a letter.
    fn word(&mut self) -> Parse<Tree> {
        if scan::guid(self.rest()).is_some() {
            return self.digits();
        }
        let start = self.pos;
        let Some(name) = self.qualified_name() else {
            return Err(self.expected("an expression"));
        };
        match self.peek() {
            Some(b'\'') => self.prefixed_literal(name, start),
            Some(b'(') => self.call(name, start),
            Some(b'/') => self.path_from_name(name),
            _ => match keyword_literal(name) {
                Some(value) => Ok(leaf(Expr::Literal(value))),
                // A type cast leads somewhere, and a function has parentheses.
                None if name.contains('.') => {
                    Err(self.expected(&format!("'/' or '(' after the qualified name '{name}'")))
                }
                None => self.path_from_name(name),
            },
        }
    }

    fn path_from_name(&mut self, name: &str) -> Parse<Tree> {
        self.path(PathRoot::Implicit, Some(name_only(name)))
    }

    /// `name'...'`
    fn prefixed_literal(&mut self, name: &str, start: usize) -> Parse<Tree> {
        let text = self.string()?;
        let typed = |ty| {
            literal::parse_primitive(ty, &text)
                .map(|value| leaf(Expr::Literal(value)))
                .map_err(|e| self.error_at(start, e.to_string()))
        };
        let foreign = match () {
            () if name.eq_ignore_ascii_case("duration") => return typed(PrimitiveType::Duration),
            () if name.eq_ignore_ascii_case("binary") => return typed(PrimitiveType::Binary),
            () if name.eq_ignore_ascii_case("geography") => ForeignLiteral::Geography(text),
            () if name.eq_ignore_ascii_case("geometry") => ForeignLiteral::Geometry(text),
            () if name.contains('.') => ForeignLiteral::Enum {
                type_name: name.to_owned(),
                members: text,
            },
            () => {
                let message = format!(
                    "'{name}' is no literal prefix of OData 4: dates, times and guids are written bare, text in quotes alone"
                );
                return Err(self.error_at(start, message));
            }
        };
        Ok(leaf(Expr::Foreign(Box::new(foreign))))
    }

    /// `name(`: a built-in function, or a path that starts with a function or a key.
    fn call(&mut self, name: &str, start: usize) -> Parse<Tree> {
        let is = |candidate: &str| name.eq_ignore_ascii_case(candidate);
        if let Some(function) = FUNCTIONS.iter().find(|(candidate, ..)| is(candidate)) {
            return self.function(function, start);
        }
        match () {
            () if is("cast") => self.type_function("cast"),
            () if is("isof") => self.type_function("isof"),
            () if is("case") => self.case(),
            () if is("any") || is("all") => {
                let message = format!(
                    "'{name}' needs a collection in front of it, as in Orders/{name}(o:...)"
                );
                Err(self.error_at(self.pos, message))
            }
            () => self.path_from_name(name),
        }
    }

    fn function(
        &mut self,
        &(name, function, min, max): &(&str, Function, usize, usize),
        start: usize,
    ) -> Parse<Tree> {
        let (arguments, height) = self.arguments(Parser::expr)?;
        let arguments = match arguments {
            Arguments::Empty => Vec::new(),
            Arguments::Positional(arguments) => arguments,
            Arguments::Named(_) => {
                let message = format!("the arguments of '{name}' have no names");
                return Err(self.error_at(start, message));
            }
        };
        if !(min..=max).contains(&arguments.len()) {
            let message = wrong_number(name, min, max, arguments.len());
            return Err(self.error_at(start, message));
        }
        self.node_over(Expr::Call(function, arguments), height)
    }

    /// `cast(T)`, `cast(e,T)` and the same with `isof`.
    fn type_function(&mut self, name: &str) -> Parse<Tree> {
        self.pos += 1;
        self.skip_space();
        let start = self.pos;
        let (operand, height) = match self.type_name() {
            Some(ty) if self.eat_close() => {
                return Ok(leaf(type_expr(name, None, ty)));
            }
            _ => {
                self.pos = start;
                let operand = self.expr()?;
                (operand.expr, operand.height)
            }
        };
        self.skip_space();
        self.expect(b',', &format!("and a type name in '{name}'"))?;
        self.skip_space();
        let Some(ty) = self.type_name() else {
            return Err(self.expected("a type name such as Edm.String"));
        };
        self.skip_space();
        self.expect(b')', &format!("after the type name in '{name}'"))?;
        self.node_over(type_expr(name, Some(operand), ty), height)
    }

    fn eat_close(&mut self) -> bool {
        self.skip_space();
        self.eat(b')')
    }

    /// A type name, which may be unqualified, or `Collection(...)` of one.
    fn type_name(&mut self) -> Option<String> {
        let name = self.qualified_name()?;
        if name == "Collection" && self.eat(b'(') {
            let item = self.qualified_name()?;
            return self.eat(b')').then(|| format!("Collection({item})"));
        }
        Some(name.to_owned())
    }

    /// `case(condition:result,...)`
    fn case(&mut self) -> Parse<Tree> {
        self.pos += 1;
        self.skip_space();
        let mut branches = Vec::new();
        let mut height = 0;
        loop {
            let condition = self.expr()?;
            self.skip_space();
            self.expect(b':', "between condition and result in 'case'")?;
            self.skip_space();
            let result = self.expr()?;
            height = height.max(condition.height).max(result.height);
            branches.push((*condition.expr, *result.expr));
            if !self.eat_separator(b',') {
                break;
            }
        }
        self.skip_space();
        self.expect(b')', "or ',' in 'case'")?;
        self.node_over(Expr::Case(branches), height)
    }
}

pub(super) fn leaf(expr: Expr) -> Tree {
    Tree {
        expr: Box::new(expr),
        height: 1,
    }
}

fn wrong_number(function: &str, min: usize, max: usize, given: usize) -> String {
    let takes = match (min, max) {
        (0, 0) => "no arguments".to_owned(),
        (1, 1) => "1 argument".to_owned(),
        (min, max) if min == max => format!("{min} arguments"),
        (min, max) => format!("{min} or {max} arguments"),
    };
    format!("'{function}' takes {takes}, not {given}")
}

fn type_expr(function: &str, operand: Option<Box<Expr>>, ty: String) -> Expr {
    match function {
        "cast" => Expr::Cast(operand, ty),
        _ => Expr::IsOf(operand, ty),
    }
}

fn keyword_literal(name: &str) -> Option<Value> {
    Some(match name {
        "null" => Value::Null,
        "INF" => Value::Double(f64::INFINITY),
        "NaN" => Value::Double(f64::NAN),
        name if name.eq_ignore_ascii_case("true") => Value::Boolean(true),
        name if name.eq_ignore_ascii_case("false") => Value::Boolean(false),
        _ => return None,
    })
}

/// A numeric literal: an integer if it fits, a double if it says so by its exponent, otherwise a decimal with all its digits.
fn number(text: &str) -> Result<Value, literal::LiteralError> {
    if text.ends_with("INF") || text.bytes().any(|b| matches!(b, b'e' | b'E')) {
        return literal::parse_primitive(PrimitiveType::Double, text);
    }
    match text.parse() {
        Ok(integer) => Ok(Value::Integer(integer)),
        Err(_) => literal::parse_primitive(PrimitiveType::Decimal, text),
    }
}

/// The length of the JSON string at the start of `text`, its quotes included.
fn json_string_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}
