//! How the rows of a table are identified, and which unique keys can make a `REPLACE` delete other rows.
//!
//! What must hold: every way in which two rows can be in conflict is in [`Shape::unique`]; a table for which that cannot be
//! established has no shape but a reason.

use std::collections::{BTreeSet, HashSet};

use super::tokens::{self, Expression, Stability};
use crate::facts::{Affinity, KeyFacts, quote};
use crate::introspect::raw::{IndexOrigin, RawColumn, RawIndex, RawKind, RawTable};
use crate::introspect::types::affinity;

/// A table with more columns is not tracked: SQLite's own limit is 2,000 for a result, and a round compares two images of a row.
pub(crate) const TRACKED_COLUMNS_MAX: usize = 990;

/// A trackable table.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) table: String,
    pub(crate) columns: Vec<ShapeColumn>,
    /// The columns that identify a row, in key order.
    pub(crate) key: Vec<KeyColumn>,
    /// Whether the key is the rowid.
    pub(crate) key_is_rowid: bool,
    /// Whether SQL can address the rowid.
    pub(crate) has_rowid: bool,
    /// Everything that must be unique, the key included.
    pub(crate) unique: Vec<UniqueKey>,
}

#[derive(Debug)]
pub(crate) struct ShapeColumn {
    pub(crate) name: String,
    pub(crate) affinity: Affinity,
    /// The value in the new row. Carefully made for key columns only.
    pub(crate) new: New,
}

/// A value of the row that an `INSERT` or `UPDATE` is about to store, as a `BEFORE` trigger can know it.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) sql: String,
    /// Whether something else may be stored: a default that is another one each time it is computed.
    pub(crate) unstable: bool,
    /// The stored columns that it depends on.
    pub(crate) columns: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
pub(crate) struct KeyColumn {
    pub(crate) column: usize,
    pub(crate) facts: KeyFacts,
}

/// A unique key. Two rows are in conflict if all terms are equal and the stored row meets the filter. (That the new row must meet it
/// too is left out: a superfluous record does no harm.)
#[derive(Debug)]
pub(crate) struct UniqueKey {
    /// Whether it says no more than that no two rows have the same key.
    pub(crate) is_key: bool,
    pub(crate) terms: Vec<UniqueTerm>,
    /// Condition on the stored row.
    pub(crate) filter: Option<String>,
    /// An update that assigns none of these columns makes no conflict; `None` if that is not known. The rowid has no position.
    pub(crate) columns: Option<BTreeSet<usize>>,
}

#[derive(Debug)]
pub(crate) enum UniqueTerm {
    /// A stored column, which may stand for its default in the new row.
    Column {
        column: usize,
        new: String,
        collation: String,
    },
    /// SQL of the value in the stored row, in the scope of the table alone, and in the new row.
    Expression {
        stored: String,
        new: String,
        collation: String,
    },
    /// The rowid, as it is addressed.
    Rowid(String),
}

/// The usable key of a table: the primary key, or else the smallest unique constraint over columns that cannot be `NULL`.
pub(crate) fn key_of(
    table: &RawTable,
    collations: &HashSet<String>,
) -> Result<Vec<KeyColumn>, String> {
    match table.kind {
        RawKind::View => {
            return Err("A view cannot be tracked, because its rows have no identity; track the tables behind it.".to_owned());
        }
        RawKind::Virtual => {
            return Err(
                "A virtual table cannot be tracked, because SQLite does not allow triggers on it."
                    .to_owned(),
            );
        }
        RawKind::Table => {}
    }
    let key = primary_key(table).or_else(|| smallest_unique(table)).ok_or_else(|| {
        "The table has no primary key and no unique index over columns that are NOT NULL; add one of them to have it tracked."
            .to_owned()
    })?;
    for part in &key {
        if !collations.contains(&part.facts.collation.to_ascii_uppercase()) {
            return Err(format!(
                "The key uses the collation {}, which only the application that created the table knows; give the key a built-in collation to have the table tracked.",
                quote(&part.facts.collation)
            ));
        }
    }
    Ok(key)
}

/// Analyses a table that has a usable key.
pub(crate) fn shape_of(table: &RawTable, key: Vec<KeyColumn>) -> Result<Shape, String> {
    if table.columns.len() > TRACKED_COLUMNS_MAX {
        return Err(format!(
            "The table has more than {TRACKED_COLUMNS_MAX} columns; split it to have it tracked."
        ));
    }
    let columns = Columns::of(table);
    let alias = table.rowid_alias().map(|column| quote(&column.name));
    let key_is_rowid = alias.is_some();
    let rowid = alias.or_else(|| rowid_name(table).map(str::to_owned));
    let mut unique = Vec::new();
    if let Some(rowid) = &rowid {
        unique.push(UniqueKey {
            is_key: key_is_rowid,
            terms: vec![UniqueTerm::Rowid(rowid.clone())],
            filter: None,
            columns: Some(BTreeSet::new()),
        });
    }
    for index in table.indexes.iter().filter(|i| i.unique) {
        unique.push(columns.unique_key(index, is_plain_key(index, table, &key))?);
    }
    Ok(Shape {
        table: table.name.clone(),
        columns: (0..table.columns.len())
            .map(|column| columns.shape(column, key.iter().any(|k| k.column == column)))
            .collect::<Result<_, _>>()?,
        key,
        key_is_rowid,
        has_rowid: rowid.is_some(),
        unique,
    })
}

/// A name by which SQL can address the rowid.
pub(crate) fn rowid_name(table: &RawTable) -> Option<&'static str> {
    if table.kind != RawKind::Table || table.without_rowid {
        return None;
    }
    ["rowid", "_rowid_", "oid"].into_iter().find(|name| {
        !table
            .columns
            .iter()
            .any(|c| c.name.eq_ignore_ascii_case(name))
    })
}

fn primary_key(table: &RawTable) -> Option<Vec<KeyColumn>> {
    let columns = table.primary_key();
    if columns.is_empty() {
        return None;
    }
    let alias = table.rowid_alias().is_some();
    let index = table
        .indexes
        .iter()
        .find(|i| i.origin == IndexOrigin::PrimaryKey);
    let key = columns.into_iter().map(|column| {
        let collation = index
            .and_then(|i| i.terms.iter().find(|t| t.cid == column.cid))
            .map_or_else(|| column.collation.clone(), |t| t.collation.clone());
        let nullable = !alias && !table.without_rowid && !column.not_null;
        key_column(table, column, collation, nullable)
    });
    key.collect()
}

fn smallest_unique(table: &RawTable) -> Option<Vec<KeyColumn>> {
    let usable = table
        .indexes
        .iter()
        .filter(|i| i.unique && !i.partial)
        .filter_map(|index| {
            let columns = index.terms.iter().map(|term| {
                let column = table
                    .columns
                    .iter()
                    .find(|c| c.cid == term.cid && c.not_null)?;
                key_column(table, column, term.collation.clone(), false)
            });
            columns.collect::<Option<Vec<_>>>()
        });
    usable.min_by_key(|key| (key.len(), key.iter().map(|k| k.column).collect::<Vec<_>>()))
}

fn key_column(
    table: &RawTable,
    column: &RawColumn,
    collation: String,
    nullable: bool,
) -> Option<KeyColumn> {
    Some(KeyColumn {
        column: table.columns.iter().position(|c| c.cid == column.cid)?,
        facts: KeyFacts {
            collation,
            nullable,
        },
    })
}

/// Whether an index says no more than that the key is unique. (If it compares otherwise than by bytes, it does say more: another
/// row than the one with the same key can be in the way.)
fn is_plain_key(index: &RawIndex, table: &RawTable, key: &[KeyColumn]) -> bool {
    !index.partial
        && index.terms.iter().all(|term| term.collation.eq_ignore_ascii_case("BINARY"))
        // Not only the other way round: an index may have some columns of the key, or one of them twice.
        && key.iter().all(|k| index.terms.iter().any(|t| t.cid == table.columns[k.column].cid))
}

/// The columns of a table as expressions over the row that is about to be stored.
struct Columns<'a> {
    table: &'a RawTable,
    names: Vec<&'a str>,
}

impl<'a> Columns<'a> {
    fn of(table: &'a RawTable) -> Columns<'a> {
        Columns {
            table,
            names: table.columns.iter().map(|c| c.name.as_str()).collect(),
        }
    }

    fn shape(&self, column: usize, is_key: bool) -> Result<ShapeColumn, String> {
        let raw = &self.table.columns[column];
        // Only key columns are needed; a generated column elsewhere need not be understood.
        let new = is_key.then(|| self.new_value(column)).transpose()?;
        Ok(ShapeColumn {
            name: raw.name.clone(),
            affinity: affinity(&raw.declared, self.table.strict),
            new: new.unwrap_or_else(|| New {
                sql: new_column(&raw.name),
                unstable: false,
                columns: BTreeSet::new(),
            }),
        })
    }

    /// What will be stored in a column.
    ///
    /// `REPLACE` puts the default in the place of a `NULL` that a `NOT NULL` column refuses, after the `BEFORE` triggers ran.
    fn new_value(&self, column: usize) -> Result<New, String> {
        let raw = &self.table.columns[column];
        let name = new_column(&raw.name);
        if raw.generated {
            return self.generated(raw);
        }
        let default = raw.not_null.then_some(raw.default.as_deref()).flatten();
        Ok(match default.and_then(tokens::default) {
            None => New {
                sql: name,
                unstable: false,
                columns: BTreeSet::from([column]),
            },
            Some(default) if default.stability == Stability::Unknown => {
                return Err(format!(
                    "The column {} is part of a unique key and has a default that is not the same each time, so rows that REPLACE removes could be missed; change the default to have the table tracked.",
                    quote(&raw.name)
                ));
            }
            Some(default) => New {
                sql: format!("coalesce({name}, {})", default.sql),
                unstable: default.stability == Stability::Random,
                columns: BTreeSet::from([column]),
            },
        })
    }

    /// What will be stored in a generated column.
    ///
    /// `NEW.column` will not do: SQLite computes it before `REPLACE` puts in defaults, and in an update from those columns only that
    /// the trigger mentions.
    fn generated(&self, column: &RawColumn) -> Result<New, String> {
        let what = format!("generated column {}", quote(&column.name));
        let text = tokens::generated_text(&self.table.sql, &column.name);
        let expression = self.expression(text.as_deref(), &what)?;
        self.on_new(&expression, &what)
    }

    /// An expression of the schema, understood.
    fn expression(&self, text: Option<&str>, what: &str) -> Result<Expression, String> {
        text.and_then(|text| tokens::expression(text, &self.table.name, &self.names))
            .ok_or_else(|| not_understood(what))
    }

    /// An expression on the new row.
    fn on_new(&self, expression: &Expression, what: &str) -> Result<New, String> {
        let mut row = Vec::new();
        let mut unstable = false;
        let mut columns = BTreeSet::new();
        for &column in &expression.columns {
            let raw = &self.table.columns[column];
            let mut new = self.new_value(column)?;
            if raw.generated {
                new.sql = match affinity(&raw.declared, self.table.strict) {
                    Affinity::Blob => new.sql,
                    // What TEXT affinity does to a value; `CAST` would change blobs as well.
                    Affinity::Text => format!(
                        "(SELECT iif(typeof(v) = 'blob', v, v || '') FROM (SELECT {} AS v))",
                        new.sql
                    ),
                    _ => return Err(not_understood(what)),
                };
            }
            unstable |= new.unstable;
            columns.extend(new.columns);
            row.push(format!("{} AS {}", new.sql, quote(&raw.name)));
        }
        let sql = if row.is_empty() {
            format!("({})", expression.sql)
        } else {
            format!(
                "(SELECT {} FROM (SELECT {}))",
                expression.sql,
                row.join(", ")
            )
        };
        Ok(New {
            sql,
            unstable,
            columns,
        })
    }

    fn unique_key(&self, index: &RawIndex, is_key: bool) -> Result<UniqueKey, String> {
        let what = format!("index {}", quote(&index.name));
        let needs_text = index.partial || index.terms.iter().any(|t| t.cid < 0);
        let text = index
            .sql
            .as_deref()
            .filter(|_| needs_text)
            .and_then(tokens::index_text);
        let filter = if index.partial {
            let text = text.as_ref().and_then(|t| t.filter.as_deref());
            Some(self.expression(text, &what)?)
        } else {
            None
        };
        let mut columns = BTreeSet::new();
        let mut terms = Vec::new();
        for (at, term) in index.terms.iter().enumerate() {
            let column = self.table.columns.iter().position(|c| c.cid == term.cid);
            let collation = term.collation.clone();
            let (term, new_columns) = match column {
                Some(column) if !self.table.columns[column].generated => {
                    let new = self.new_value(column)?;
                    let (new, columns) = (new.sql, new.columns);
                    (
                        UniqueTerm::Column {
                            column,
                            new,
                            collation,
                        },
                        columns,
                    )
                }
                Some(column) => {
                    let stored = quote(&self.table.columns[column].name);
                    let new = self.new_value(column)?;
                    let (new, columns) = (new.sql, new.columns);
                    (
                        UniqueTerm::Expression {
                            stored,
                            new,
                            collation,
                        },
                        columns,
                    )
                }
                None => {
                    let text = text
                        .as_ref()
                        .and_then(|t| t.terms.get(at))
                        .map(String::as_str);
                    let expression = self.expression(text, &what)?;
                    let stored = format!("({})", expression.sql);
                    let new = self.on_new(&guarded(expression, filter.as_ref()), &what)?;
                    let (new, columns) = (new.sql, new.columns);
                    (
                        UniqueTerm::Expression {
                            stored,
                            new,
                            collation,
                        },
                        columns,
                    )
                }
            };
            terms.push(term);
            columns.extend(new_columns);
        }
        let columns = self.filter_columns(filter.as_ref()).map(|of_filter| {
            columns.extend(of_filter);
            columns
        });
        let filter = filter.map(|f| format!("({})", f.sql));
        Ok(UniqueKey {
            is_key,
            terms,
            filter,
            columns,
        })
    }

    /// The stored columns that a condition depends on; `None` if that is not known.
    fn filter_columns(&self, filter: Option<&Expression>) -> Option<BTreeSet<usize>> {
        let named = filter.map_or(&[][..], |f| &f.columns);
        let plain = named.iter().all(|c| !self.table.columns[*c].generated);
        plain.then(|| named.iter().copied().collect())
    }
}

/// An expression that is `NULL` where the filter does not hold: SQLite does not compute the expressions of a partial index then, and
/// they might fail (`json_extract(a, …) WHERE json_valid(a)`).
fn guarded(expression: Expression, filter: Option<&Expression>) -> Expression {
    let Some(filter) = filter else {
        return expression;
    };
    let mut columns = expression.columns;
    columns.extend(&filter.columns);
    columns.sort_unstable();
    columns.dedup();
    Expression {
        sql: format!("CASE WHEN {} THEN {} END", filter.sql, expression.sql),
        columns,
    }
}

fn new_column(name: &str) -> String {
    format!("NEW.{}", quote(name))
}

fn not_understood(what: &str) -> String {
    format!(
        "The {what} is part of a unique key in a form that Highwater does not understand, so rows that REPLACE removes could be missed; simplify or drop the key to have the table tracked."
    )
}
