//! Just enough of SQLite's grammar to take expressions out of `CREATE INDEX` and `CREATE TABLE` statements.
//!
//! SQLite keeps the text of these statements and tells by pragma *that* an index has an expression, but not which. The triggers
//! have to compute it for the new row, so it is cut out of the text. What must hold: a text that is not understood gives `None`,
//! and the table is then not tracked; nothing is ever guessed.

/// A piece of an SQL text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'a> {
    kind: Kind,
    text: &'a str,
    /// Whether white space or a comment stands before it.
    spaced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A keyword or a bare identifier.
    Word,
    /// `"…"`: an identifier, or a string if there is no such column.
    DoubleQuoted,
    /// `[…]` or `` `…` ``
    Quoted,
    /// `'…'`, `x'…'` or a number.
    Literal,
    /// Anything else, one character at a time.
    Symbol,
}

impl Token<'_> {
    fn is_symbol(self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    fn is_word(self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// The name, if the token can be an identifier.
    fn identifier(self) -> Option<String> {
        let inner = || &self.text[1..self.text.len() - 1];
        match self.kind {
            Kind::Word => Some(self.text.to_owned()),
            Kind::DoubleQuoted => Some(inner().replace("\"\"", "\"")),
            Kind::Quoted if self.text.starts_with('`') => Some(inner().replace("``", "`")),
            Kind::Quoted => Some(inner().to_owned()),
            Kind::Literal | Kind::Symbol => None,
        }
    }
}

/// Splits a text into tokens; `None` if a quote or a comment is not closed.
fn tokenize(sql: &str) -> Option<Vec<Token<'_>>> {
    let bytes = sql.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut spaced = false;
    while at < bytes.len() {
        let start = at;
        let rest = &sql[at..];
        let (kind, len) = match bytes[at] {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c => {
                at += 1;
                spaced = true;
                continue;
            }
            b'-' if rest.starts_with("--") => {
                at += rest.find('\n').unwrap_or(rest.len());
                spaced = true;
                continue;
            }
            b'/' if rest.starts_with("/*") => {
                // SQLite accepts a comment that the end of the text closes.
                at += rest[2..].find("*/").map_or(rest.len(), |end| end + 4);
                spaced = true;
                continue;
            }
            b'\'' => (Kind::Literal, quoted_len(rest, b'\'')?),
            b'x' | b'X' if bytes.get(at + 1) == Some(&b'\'') => {
                (Kind::Literal, 1 + quoted_len(&rest[1..], b'\'')?)
            }
            b'"' => (Kind::DoubleQuoted, quoted_len(rest, b'"')?),
            b'`' => (Kind::Quoted, quoted_len(rest, b'`')?),
            b'[' => (Kind::Quoted, rest.find(']')? + 1),
            b'0'..=b'9' => (Kind::Literal, number_len(rest)),
            b'.' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                (Kind::Literal, number_len(rest))
            }
            b if is_word_byte(b) => (
                Kind::Word,
                rest.bytes().take_while(|b| is_word_byte(*b)).count(),
            ),
            _ => (Kind::Symbol, 1),
        };
        at += len;
        tokens.push(Token {
            kind,
            text: &sql[start..at],
            spaced,
        });
        spaced = false;
    }
    Some(tokens)
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Length of a quoted token; the quote itself is doubled inside.
fn quoted_len(text: &str, quote: u8) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        at += bytes.get(at..)?.iter().position(|b| *b == quote)? + 1;
        if bytes.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// Length of a number: digits with `_`, a fraction, an exponent, or hexadecimal digits.
fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let exponent_sign = matches!(byte, b'+' | b'-')
            && matches!(bytes[at - 1], b'e' | b'E')
            && !text.starts_with("0x")
            && !text.starts_with("0X");
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_') || exponent_sign {
            at += 1;
        } else {
            break;
        }
    }
    at
}

/// Writes tokens as text again. Comments are gone: one that the end of the statement closed would swallow what follows.
fn render<'a>(tokens: impl IntoIterator<Item = (&'a str, bool)>) -> String {
    let mut text = String::new();
    for (token, spaced) in tokens {
        if spaced && !text.is_empty() {
            text.push(' ');
        }
        text.push_str(token);
    }
    text
}

fn plain(tokens: &[Token<'_>]) -> String {
    render(tokens.iter().map(|t| (t.text, t.spaced)))
}

/// The tokens between the parenthesis at `open` and its partner, split at the commas of that level, and the position after it.
fn list<'t, 's>(tokens: &'t [Token<'s>], open: usize) -> Option<(Vec<&'t [Token<'s>]>, usize)> {
    let mut items = Vec::new();
    let mut depth = 0usize;
    let mut start = open + 1;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is_symbol("(") {
            depth += 1;
        } else if token.is_symbol(")") {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                items.push(&tokens[start..at]);
                return Some((items, at + 1));
            }
        } else if token.is_symbol(",") && depth == 1 {
            items.push(&tokens[start..at]);
            start = at + 1;
        }
    }
    None
}

/// What a `CREATE INDEX` statement says about its rows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IndexText {
    /// The indexed expressions, without `ASC` and `DESC`.
    pub(super) terms: Vec<String>,
    /// The condition of a partial index.
    pub(super) filter: Option<String>,
}

/// Takes a `CREATE INDEX` statement apart.
pub(super) fn index_text(sql: &str) -> Option<IndexText> {
    let tokens = tokenize(sql)?;
    let open = tokens.iter().position(|t| t.is_symbol("("))?;
    let (items, end) = list(&tokens, open)?;
    let terms = items
        .into_iter()
        .map(|item| match item {
            [term @ .., last] if last.is_word("ASC") || last.is_word("DESC") => plain(term),
            term => plain(term),
        })
        .collect();
    let filter = match &tokens[end..] {
        [] => None,
        [first, filter @ ..] if first.is_word("WHERE") && !filter.is_empty() => Some(plain(filter)),
        _ => return None,
    };
    Some(IndexText { terms, filter })
}

/// The expression of a generated column, from the `CREATE TABLE` statement.
pub(super) fn generated_text(table_sql: &str, column: &str) -> Option<String> {
    let tokens = tokenize(table_sql)?;
    let open = tokens.iter().position(|t| t.is_symbol("("))?;
    let (definitions, _) = list(&tokens, open)?;
    let definition = definitions.into_iter().find(|definition| {
        definition
            .first()
            .and_then(|t| t.identifier())
            .is_some_and(|name| name.eq_ignore_ascii_case(column))
    })?;
    // `AS` at the level of the definition can be nothing else: in `CAST` and in checks it stands inside parentheses.
    let mut depth = 0usize;
    for (at, token) in definition.iter().enumerate() {
        if token.is_symbol("(") {
            if depth == 0 && at > 0 && definition[at - 1].is_word("AS") {
                let mut inside = 0usize;
                for (end, token) in definition.iter().enumerate().skip(at) {
                    if token.is_symbol("(") {
                        inside += 1;
                    } else if token.is_symbol(")") {
                        inside -= 1;
                        if inside == 0 {
                            return Some(plain(&definition[at + 1..end]));
                        }
                    }
                }
                return None;
            }
            depth += 1;
        } else if token.is_symbol(")") {
            depth = depth.checked_sub(1)?;
        }
    }
    None
}

/// An expression over the columns of one table that means the same wherever these columns are in scope under their own names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expression {
    pub(super) sql: String,
    /// Positions of the columns that it names (and perhaps of some that it does not).
    pub(super) columns: Vec<usize>,
}

/// Makes the meaning of an expression explicit: `table.column` becomes the column, and `"text"` that names no column the string
/// that SQLite takes it for.
pub(super) fn expression(text: &str, table: &str, columns: &[&str]) -> Option<Expression> {
    let tokens = tokenize(text)?;
    let position = |name: &str| columns.iter().position(|c| c.eq_ignore_ascii_case(name));
    let mut used = Vec::new();
    let mut out: Vec<(String, bool)> = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let next = tokens.get(at);
        let Some(name) = token.identifier() else {
            out.push((token.text.to_owned(), token.spaced));
            continue;
        };
        if next.is_some_and(|t| t.is_symbol(".")) {
            if !name.eq_ignore_ascii_case(table) {
                return None;
            }
            // A space keeps what stood before apart from the column.
            out.push((String::new(), true));
            at += 1;
            continue;
        }
        let previous = at.checked_sub(2).map(|p| tokens[p]);
        let is_name_of_other = next.is_some_and(|t| t.is_symbol("("))
            || previous.is_some_and(|t| t.is_word("COLLATE") || t.is_word("AS"));
        let text = match position(&name) {
            _ if is_name_of_other => token.text.to_owned(),
            Some(column) => {
                if !used.contains(&column) {
                    used.push(column);
                }
                token.text.to_owned()
            }
            None if token.kind == Kind::DoubleQuoted => literal(&name),
            None if token.kind == Kind::Quoted => return None,
            None => token.text.to_owned(),
        };
        out.push((text, token.spaced));
    }
    used.sort_unstable();
    Some(Expression {
        sql: render(out.iter().map(|(text, spaced)| (text.as_str(), *spaced))),
        columns: used,
    })
}

/// A default as SQLite stores its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DefaultText {
    pub(super) sql: String,
    pub(super) stability: Stability,
}

/// What is known of a value that is computed twice in one statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stability {
    /// It is the same.
    Stable,
    /// It differs, but so randomly that it never meets the value of another row.
    Random,
    /// Nothing.
    Unknown,
}

/// Functions that give the same value throughout a statement. (So does the time: SQLite looks at the clock once a step.)
const STABLE_FUNCTIONS: [&str; 32] = [
    "abs",
    "cast",
    "char",
    "coalesce",
    "concat",
    "date",
    "datetime",
    "format",
    "hex",
    "ifnull",
    "iif",
    "json",
    "json_array",
    "json_object",
    "julianday",
    "length",
    "lower",
    "ltrim",
    "max",
    "min",
    "nullif",
    "printf",
    "quote",
    "replace",
    "round",
    "rtrim",
    "strftime",
    "substr",
    "time",
    "trim",
    "unixepoch",
    "upper",
];

/// Makes the meaning of a default explicit. `None` if the default is `NULL`.
///
/// A bare or double-quoted word is a string to SQLite, except for a few keywords.
pub(super) fn default(text: &str) -> Option<DefaultText> {
    let Some(tokens) = tokenize(text) else {
        return Some(DefaultText {
            sql: text.to_owned(),
            stability: Stability::Unknown,
        });
    };
    let keywords = [
        "CURRENT_TIME",
        "CURRENT_DATE",
        "CURRENT_TIMESTAMP",
        "TRUE",
        "FALSE",
    ];
    match &tokens[..] {
        [only] if only.is_word("NULL") => None,
        [only] if matches!(only.kind, Kind::Word | Kind::DoubleQuoted | Kind::Quoted) => {
            let sql = if keywords.iter().any(|k| only.is_word(k)) {
                only.text.to_owned()
            } else {
                literal(&only.identifier()?)
            };
            Some(DefaultText {
                sql,
                stability: Stability::Stable,
            })
        }
        _ => Some(DefaultText {
            sql: plain(&tokens),
            stability: stability(&tokens),
        }),
    }
}

fn stability(tokens: &[Token<'_>]) -> Stability {
    let functions = || {
        tokens
            .windows(2)
            .filter(|w| w[1].is_symbol("("))
            .filter_map(|w| w[0].identifier())
    };
    let compact = tokens
        .iter()
        .map(|t| t.text)
        .collect::<String>()
        .to_ascii_lowercase();
    if functions().all(|f| STABLE_FUNCTIONS.contains(&f.to_ascii_lowercase().as_str())) {
        Stability::Stable
    } else if functions().any(|f| f.eq_ignore_ascii_case("randomblob"))
        || matches!(compact.as_str(), "random()" | "abs(random())")
    {
        Stability::Random
    } else {
        Stability::Unknown
    }
}

/// Quotes a text as an SQL string.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn index_statements() {
        let check = |sql: &str, terms: &[&str], filter: Option<&str>| {
            let found = index_text(sql).unwrap_or_else(|| panic!("{sql}"));
            assert_eq!(found.terms, terms, "{sql}");
            assert_eq!(found.filter.as_deref(), filter, "{sql}");
        };
        check("CREATE UNIQUE INDEX i ON t(a)", &["a"], None);
        check(
            "CREATE UNIQUE INDEX i ON t(a DESC, b asc)",
            &["a", "b"],
            None,
        );
        check(
            "CREATE UNIQUE INDEX \"i(\" ON [t)] ( lower(a, ',)'), b || \"c\"\"\" ) WHERE x = ')' -- end",
            &["lower(a, ',)')", "b || \"c\"\"\""],
            Some("x = ')'"),
        );
        check(
            "CREATE UNIQUE INDEX `i` ON t(/* ( */ a --)\n, [b,c] COLLATE NOCASE DESC)WHERE(a>1)",
            &["a", "[b,c] COLLATE NOCASE"],
            Some("(a>1)"),
        );
        check(
            "CREATE INDEX i ON t(a->>'$.x', 1.5e+3 + -.5)",
            &["a->>'$.x'", "1.5e+3 + -.5"],
            None,
        );
        for broken in [
            "CREATE INDEX i ON t(a",
            "CREATE INDEX i ON t('a)",
            "x",
            "i(a) y",
            "i(a) WHERE",
        ] {
            assert_eq!(index_text(broken), None, "{broken}");
        }
    }

    #[test]
    fn generated_columns() {
        let sql = "CREATE TABLE \"t\"(a INT CHECK (a > (1)), \"g\" TEXT GENERATED ALWAYS AS (cast(a as text) || ')') STORED, \
                   h AS(a+1), CHECK (g <> h), z INT DEFAULT (1) AS ((a)) UNIQUE)";
        for (column, expected) in [
            ("G", Some("cast(a as text) || ')'")),
            ("h", Some("a+1")),
            ("z", Some("(a)")),
            ("a", None),
            ("nowhere", None),
        ] {
            assert_eq!(generated_text(sql, column).as_deref(), expected, "{column}");
        }
    }

    #[test]
    fn expressions() {
        let columns = ["a", "b c", "Ünï", "text", "end"];
        let check = |text: &str, expected: Option<(&str, &[usize])>| {
            let found = expression(text, "t", &columns);
            let found = found.as_ref().map(|e| (e.sql.as_str(), &e.columns[..]));
            assert_eq!(found, expected, "{text}");
        };
        check("lower(A)||\"b c\"", Some(("lower(A)||\"b c\"", &[0, 1])));
        check("t.a>T.[b c]", Some(("a> [b c]", &[0, 1])));
        check("\"no such\" || a", Some(("'no such' || a", &[0])));
        check("\"it's\"", Some(("'it''s'", &[])));
        check(
            "cast(a AS text) COLLATE \"nocase\"",
            Some(("cast(a AS text) COLLATE \"nocase\"", &[0])),
        );
        check(
            "case when a then 1 end",
            Some(("case when a then 1 end", &[0, 4])),
        );
        check("\"lower\"(Ünï)", Some(("\"lower\"(Ünï)", &[2])));
        check("a /* \" */ + 1", Some(("a + 1", &[0])));
        check("x'00' || 1.5", Some(("x'00' || 1.5", &[])));
        check("other.a", None);
        check("[nowhere]", None);
        check("'open", None);
    }

    #[test]
    fn defaults() {
        use Stability::{Random, Stable, Unknown};
        for (text, expected) in [
            ("5", Some(("5", Stable))),
            ("-5", Some(("-5", Stable))),
            ("'a''b'", Some(("'a''b'", Stable))),
            ("\"x y\"", Some(("'x y'", Stable))),
            ("abc", Some(("'abc'", Stable))),
            ("TRUE", Some(("TRUE", Stable))),
            ("current_timestamp", Some(("current_timestamp", Stable))),
            ("NULL", None),
            ("1+2", Some(("1+2", Stable))),
            ("datetime('now')", Some(("datetime('now')", Stable))),
            (
                "lower(hex(randomblob(4)))",
                Some(("lower(hex(randomblob(4)))", Random)),
            ),
            ("random()", Some(("random()", Random))),
            ("abs(random()) % 3", Some(("abs(random()) % 3", Unknown))),
            ("next_id()", Some(("next_id()", Unknown))),
            ("x'00'", Some(("x'00'", Stable))),
        ] {
            let found = default(text);
            assert_eq!(
                found.as_ref().map(|d| (d.sql.as_str(), d.stability)),
                expected,
                "{text}"
            );
        }
    }
}
