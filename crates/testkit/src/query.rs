//! Random defining queries, each with its meaning in plain SQL.
//!
//! What must hold: the OData text and the SQL text of a [`Condition`] are written by one function side by side, from the
//! standard's semantics (URL Conventions 5.1.1), and never by translating one into the other. What is deliberately absent:
//! queries that cannot be tracked.

use crate::flavour::{Flavour, Kind};
use crate::key::percent_encode;
use crate::model::{EntitySet, ROOT};
use crate::rng::Rng;
use crate::schema::{Column, Table};
use crate::values::{TEXTS, text_literal};

/// The version of the protocol that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 4.0
    V4_0,
    /// 4.01
    V4_01,
}

impl Version {
    /// As in `OData-MaxVersion`.
    pub fn text(self) -> &'static str {
        match self {
            Version::V4_0 => "4.0",
            Version::V4_01 => "4.01",
        }
    }

    /// What precedes the name of control information.
    pub fn prefix(self) -> &'static str {
        match self {
            Version::V4_0 => "@odata.",
            Version::V4_01 => "@",
        }
    }
}

/// A condition in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The text of `$filter`.
    pub odata: String,
    /// A three-valued truth expression of SQL over the table's columns.
    pub sql: String,
}

/// What a client asks for, and in which form.
#[derive(Clone, Debug)]
pub struct ClientQuery {
    /// Position of the table in the schema.
    pub table: usize,
    /// The entity set.
    pub set: EntitySet,
    /// `$filter`.
    pub filter: Option<Condition>,
    /// `$search`, and which rows it means.
    pub search: Option<Condition>,
    /// `$select`: names of properties.
    pub select: Option<Vec<String>>,
    /// `OData-MaxVersion`.
    pub version: Version,
    /// `metadata=full` instead of `minimal`.
    pub full_metadata: bool,
    /// `IEEE754Compatible=true`.
    pub ieee754: bool,
    /// `Prefer: maxpagesize`.
    pub page_size: Option<usize>,
}

impl ClientQuery {
    /// A query over a table that is published as `set`.
    pub fn random(
        rng: &mut Rng,
        flavour: &Flavour,
        table: (usize, &Table),
        set: &EntitySet,
    ) -> ClientQuery {
        let names: Vec<String> = set.properties.iter().map(|p| p.name.clone()).collect();
        let conditions = Conditions {
            flavour,
            table: table.1,
            set,
        };
        ClientQuery {
            table: table.0,
            set: set.clone(),
            filter: rng.chance(60).then(|| conditions.random(rng, 2)),
            search: if rng.chance(8) {
                conditions.search(rng)
            } else {
                None
            },
            select: rng.chance(50).then(|| rng.subset(&names, 1)),
            version: if rng.chance(50) {
                Version::V4_0
            } else {
                Version::V4_01
            },
            full_metadata: rng.chance(25),
            ieee754: rng.chance(30),
            page_size: rng.chance(85).then(|| 1 + rng.below(7)),
        }
    }

    /// Path and query of the first request.
    pub fn url(&self) -> String {
        let mut options = Vec::new();
        if let Some(filter) = &self.filter {
            options.push(format!("$filter={}", percent_encode(&filter.odata)));
        }
        if let Some(search) = &self.search {
            options.push(format!("$search={}", percent_encode(&search.odata)));
        }
        if let Some(select) = &self.select {
            let names: Vec<String> = select.iter().map(|name| percent_encode(name)).collect();
            options.push(format!("$select={}", names.join(",")));
        }
        let separator = if options.is_empty() { "" } else { "?" };
        format!(
            "{ROOT}{}{separator}{}",
            percent_encode(&self.set.name),
            options.join("&")
        )
    }

    /// The rows of the table that belong to the answer, as SQL.
    pub fn sql_condition(&self) -> String {
        let parts: Vec<String> = [&self.filter, &self.search]
            .into_iter()
            .flatten()
            .map(|condition| format!("({})", condition.sql))
            .collect();
        if parts.is_empty() {
            "TRUE".to_owned()
        } else {
            parts.join(" AND ")
        }
    }

    /// Headers of every request.
    pub fn headers(&self) -> Vec<(&'static str, String)> {
        let (prefix, preference) = match self.version {
            Version::V4_0 => ("odata.", "odata.track-changes"),
            Version::V4_01 => ("", "track-changes"),
        };
        let level = if self.full_metadata {
            "full"
        } else {
            "minimal"
        };
        let mut accept = format!("application/json;{prefix}metadata={level}");
        if self.ieee754 {
            accept.push_str(";IEEE754Compatible=true");
        }
        let mut prefer = preference.to_owned();
        if let Some(size) = self.page_size {
            prefer.push_str(&format!(",{prefix}maxpagesize={size}"));
        }
        vec![
            ("accept", accept),
            ("odata-maxversion", self.version.text().to_owned()),
            ("prefer", prefer),
        ]
    }

    /// Whether the answer shows a property.
    pub fn shows(&self, property: &str) -> bool {
        self.select
            .as_ref()
            .is_none_or(|names| names.iter().any(|name| name == property))
    }
}

/// Makes conditions over one table.
struct Conditions<'a> {
    flavour: &'a Flavour,
    table: &'a Table,
    set: &'a EntitySet,
}

impl Conditions<'_> {
    fn random(&self, rng: &mut Rng, depth: usize) -> Condition {
        if depth == 0 || rng.chance(45) {
            return self.simple(rng);
        }
        let left = self.random(rng, depth - 1);
        match rng.below(5) {
            0 => Condition {
                odata: format!("not ({})", left.odata),
                sql: format!("NOT ({})", left.sql),
            },
            verb => {
                let right = self.random(rng, depth - 1);
                let (odata, sql) = if verb < 3 {
                    ("and", "AND")
                } else {
                    ("or", "OR")
                };
                Condition {
                    odata: format!("({}) {odata} ({})", left.odata, right.odata),
                    sql: format!("(({}) {sql} ({}))", left.sql, right.sql),
                }
            }
        }
    }

    fn simple(&self, rng: &mut Rng) -> Condition {
        let at = rng.below(self.set.properties.len());
        let (property, column) = (&self.set.properties[at], &self.table.columns[at]);
        let (name, sql) = (&property.name, self.table.column(at));
        if rng.chance(15) {
            let (odata, not) = if rng.chance(50) {
                ("eq", "")
            } else {
                ("ne", " NOT")
            };
            return Condition {
                odata: format!("{name} {odata} null"),
                sql: format!("{sql} IS{not} NULL"),
            };
        }
        match property.ty.as_str() {
            "String" if column.declared.kind == Kind::Text => self.over_text(rng, name, &sql),
            // Where values have their type, one without a type in OData is its text.
            "String" if !self.flavour.loose => self.over_text(rng, name, &sql),
            "Byte" | "SByte" | "Int16" | "Int32" | "Int64" if column.declared.kind == Kind::Int => {
                self.over_integers(rng, name, &sql, column)
            }
            "Double" | "Single" if column.declared.kind == Kind::Real => {
                let number = rng.word(&["0.5", "1.5", "0", "-2.25", "1e300"]);
                self.compare_numbers(rng, name, &sql, number)
            }
            "Decimal" if column.declared.kind == Kind::Decimal => {
                let number = rng.word(&["1", "1.5", "19.99", "0", "-3.75"]);
                self.compare_numbers(rng, name, &sql, number)
            }
            _ if !self.flavour.loose
                && let Some(literals) = typed_literals(&property.ty) =>
            {
                let (odata, literal) = *rng.pick(literals);
                match property.ty.as_str() {
                    // It has no order.
                    "Guid" => equality(rng, name, &sql, odata, literal),
                    _ => compare(rng, name, &sql, (odata, literal), ""),
                }
            }
            "Boolean" if column.declared.kind == Kind::Bool => {
                let (odata, literal) = *rng.pick(&[("true", "TRUE"), ("false", "FALSE")]);
                // Not `IS`, which asks in SQLite whether a value is as good as true.
                let (operator, sql) = match rng.chance(60) {
                    true => ("eq", format!("coalesce({sql} = {literal}, FALSE)")),
                    false => ("ne", format!("coalesce({sql} <> {literal}, TRUE)")),
                };
                Condition {
                    odata: format!("{name} {operator} {odata}"),
                    sql,
                }
            }
            _ => Condition {
                odata: format!("{name} ne null"),
                sql: format!("{sql} IS NOT NULL"),
            },
        }
    }

    fn over_text(&self, rng: &mut Rng, name: &str, sql: &str) -> Condition {
        let text = rng.word(&TEXTS);
        let (odata, literal) = (text_literal(text), text_literal(text));
        let exact = match self.flavour.loose {
            true => format!("{sql}{}", self.flavour.exact_collation),
            false => self.flavour.text_argument.replace("{0}", sql),
        };
        if rng.chance(40) {
            return compare(rng, name, &exact, (&odata, &literal), "");
        }
        let text = self.flavour.text_argument.replace("{0}", sql);
        let position = self.flavour.position_function;
        let collation = self.flavour.exact_collation;
        match rng.below(5) {
            0 => Condition {
                odata: format!("contains({name},{odata})"),
                sql: format!("{position}({text}, {literal}) > 0"),
            },
            1 => Condition {
                odata: format!("startswith({name},{odata})"),
                sql: format!("substr({text}, 1, length({literal})){collation} = {literal}"),
            },
            2 => compare(
                rng,
                &format!("length({name})"),
                &format!("length({text})"),
                ("1", "1"),
                "",
            ),
            3 => Condition {
                odata: format!("{name} in ('a',{odata})"),
                sql: format!("coalesce({exact} IN ('a', {literal}), FALSE)"),
            },
            _ => {
                let (name, sql) = (
                    format!("concat({name},'x')"),
                    format!("({exact} || 'x'){collation}"),
                );
                compare(rng, &name, &sql, ("'ax'", "'ax'"), "")
            }
        }
    }

    fn over_integers(&self, rng: &mut Rng, name: &str, sql: &str, column: &Column) -> Condition {
        let number = (1 + rng.below(12)).to_string();
        match rng.below(10) {
            0 | 1 => Condition {
                odata: format!("{name} in (1,{number},3)"),
                sql: format!("coalesce({sql} IN (1, {number}, 3), FALSE)"),
            },
            2 => self.compare_numbers(rng, name, sql, "9007199254740993"),
            3 if !column.loose && self.table.strict => Condition {
                odata: format!("{name} mod 2 eq 0"),
                sql: format!("coalesce({sql} % 2 = 0, FALSE)"),
            },
            _ => self.compare_numbers(rng, name, sql, &number),
        }
    }

    fn compare_numbers(&self, rng: &mut Rng, name: &str, sql: &str, number: &str) -> Condition {
        let guard = self.flavour.number_condition.replace("{}", sql);
        compare(rng, name, sql, (number, number), &guard)
    }

    /// The rows in which some text contains the word, whatever the case.
    fn search(&self, rng: &mut Rng) -> Option<Condition> {
        let word = *rng.pick(&["a", "null", "Neil"]);
        let texts: Vec<String> = (0..self.set.properties.len())
            .filter(|at| {
                ["String", "PrimitiveType"].contains(&self.set.properties[*at].ty.as_str())
            })
            .map(|at| {
                let position = self.flavour.position_function;
                let column = self.table.column(at);
                let text = self.flavour.text_argument.replace("{0}", &column);
                let lower = word.to_ascii_lowercase();
                format!("coalesce({position}(lower({text}), '{lower}') > 0, FALSE)")
            })
            .collect();
        (!texts.is_empty()).then(|| Condition {
            odata: word.to_owned(),
            sql: texts.join(" OR "),
        })
    }
}

/// `eq` and `ne` treat `null` as a value; the others are false with it, so that their negation is true.
fn compare(
    rng: &mut Rng,
    name: &str,
    sql: &str,
    (odata, literal): (&str, &str),
    guard: &str,
) -> Condition {
    let (operator, word) = *rng.pick(&[
        ("gt", ">"),
        ("ge", ">="),
        ("lt", "<"),
        ("le", "<="),
        ("", ""),
    ]);
    if operator.is_empty() {
        return equality(rng, name, sql, odata, literal);
    }
    Condition {
        odata: format!("{name} {operator} {odata}"),
        sql: format!("coalesce({sql} {word} {literal}{guard}, FALSE)"),
    }
}

fn equality(rng: &mut Rng, name: &str, sql: &str, odata: &str, literal: &str) -> Condition {
    let (operator, not) = if rng.chance(60) {
        ("eq", " NOT")
    } else {
        ("ne", "")
    };
    Condition {
        odata: format!("{name} {operator} {odata}"),
        sql: format!("{sql} IS{not} DISTINCT FROM {literal}"),
    }
}

/// Literals of types that only a strict database has, in both languages.
fn typed_literals(ty: &str) -> Option<&'static [(&'static str, &'static str)]> {
    Some(match ty {
        "Date" => &[
            ("2000-01-01", "'2000-01-01'"),
            ("2024-02-29", "'2024-02-29'"),
        ],
        "DateTimeOffset" => &[
            ("2024-02-29T12:00:00Z", "'2024-02-29 12:00:00Z'"),
            ("2000-01-01T00:00:00Z", "'2000-01-01 00:00:00Z'"),
        ],
        "TimeOfDay" => &[("12:00:00", "'12:00:00'"), ("08:30:00", "'08:30:00'")],
        "Guid" => &[(
            "6f9619ff-8b86-d011-b42d-00c04fc964ff",
            "'6f9619ff-8b86-d011-b42d-00c04fc964ff'",
        )],
        _ => return None,
    })
}
