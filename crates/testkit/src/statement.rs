//! Random statements that change rows: every form in which an application writes.
//!
//! What must hold: a statement is valid SQL for its flavour, though the database may well refuse to execute it. What is
//! deliberately absent: transactions and schema changes (see `writer`).

mod compound;
mod copy;

use crate::flavour::{Flavour, Form, Kind};
use crate::rng::Rng;
use crate::schema::{Family, Schema, Table};
use crate::values::literal;

/// The statements of one step; usually one.
pub(crate) fn statements(rng: &mut Rng, flavour: &Flavour, schema: &Schema) -> Vec<String> {
    let target = Target::random(rng, flavour, schema);
    match rng.weighted(flavour.statements) {
        Form::Insert => vec![target.insert(rng)],
        Form::Update => vec![target.update(rng)],
        Form::Delete => vec![target.delete(rng)],
        Form::InsertSelect => vec![target.insert_select(rng, schema)],
        Form::UpdateFrom => vec![target.update_from(rng)],
        Form::SwapKeys => target.swap_keys(rng),
        Form::SetRowid => vec![target.set_rowid(rng)],
        Form::Merge => vec![target.merge(rng)],
        Form::With => vec![target.with(rng, schema)],
        Form::Truncate => vec![target.truncate(rng)],
        Form::Copy => vec![target.copy(rng)],
        Form::Block => vec![target.block(rng, schema)],
        Form::Cursor => vec![target.cursor(rng)],
    }
}

/// Statements that fill all tables with a few rows each, so far as they do not collide.
pub(crate) fn filling(rng: &mut Rng, flavour: &Flavour, schema: &Schema) -> Vec<String> {
    let mut all = Vec::new();
    for table in &schema.tables {
        let target = Target {
            flavour,
            table,
            sql: table.sql(),
        };
        for _ in 0..4 + rng.below(8) {
            all.push(target.insert(rng));
        }
    }
    all
}

/// What a statement changes.
struct Target<'a> {
    flavour: &'a Flavour,
    table: &'a Table,
    /// The table's own name, or that of one of its partitions.
    sql: String,
}

impl<'a> Target<'a> {
    fn random(rng: &mut Rng, flavour: &'a Flavour, schema: &'a Schema) -> Target<'a> {
        let table = rng.pick(&schema.tables);
        let sql = match &table.family {
            Family::Partitions(leaves) if rng.chance(20) => rng.pick(leaves).clone(),
            Family::Single | Family::Tree | Family::Partitions(_) => table.sql(),
        };
        Target {
            flavour,
            table,
            sql,
        }
    }

    fn insert(&self, rng: &mut Rng) -> String {
        let (sql, table) = (&self.sql, self.table);
        let mut columns = table.written();
        if rng.chance(2) || columns.is_empty() {
            return format!("INSERT INTO {sql} DEFAULT VALUES");
        }
        if rng.chance(25) {
            columns = rng.subset(&columns, 1);
        }
        let rows: Vec<String> = (0..rng.weighted(&[(6, 1), (2, 2), (2, 4)]))
            .map(|_| format!("({})", self.values(rng, &columns)))
            .collect();
        let (clause, upsert) = self.conflict(rng);
        format!(
            "INSERT {clause}INTO {sql} AS own ({}) VALUES {}{upsert}",
            table.list(&columns),
            rows.join(", ")
        )
    }

    /// The words for conflicts before and behind an insert, never both.
    fn conflict(&self, rng: &mut Rng) -> (&'static str, String) {
        let table = self.table;
        if rng.chance(65) {
            return (rng.word(self.flavour.conflict_clauses), String::new());
        }
        let mut upsert = String::new();
        if self.flavour.chained_upserts && rng.chance(25) {
            let target = rng.pick(&table.targets);
            upsert = format!(" ON CONFLICT ({}) DO NOTHING", table.list(target));
        }
        if rng.chance(35) {
            let target = if rng.chance(50) {
                String::new()
            } else {
                format!(" ({})", table.list(rng.pick::<Vec<usize>>(&table.targets)))
            };
            return ("", format!("{upsert} ON CONFLICT{target} DO NOTHING"));
        }
        let target = table.list(rng.pick::<Vec<usize>>(&table.targets));
        let written = table.written();
        let set: Vec<String> = rng
            .subset(&written, 1)
            .into_iter()
            .map(|at| {
                let column = table.column(at);
                let value = match rng.below(3) {
                    0 => format!("excluded.{column}"),
                    1 => self.value(rng, at),
                    _ => format!("coalesce(own.{column}, excluded.{column})"),
                };
                format!("{column} = {value}")
            })
            .collect();
        let condition = if rng.chance(25) {
            format!(
                " WHERE own.{} IS NOT NULL",
                table.column(*rng.pick(&written))
            )
        } else {
            String::new()
        };
        (
            "",
            format!(
                "{upsert} ON CONFLICT ({target}) DO UPDATE SET {}{condition}",
                set.join(", ")
            ),
        )
    }

    fn update(&self, rng: &mut Rng) -> String {
        let clause = self.update_clause(rng);
        let set = self.new_values(rng);
        format!(
            "UPDATE {clause}{} SET {set}{}",
            self.sql,
            self.condition(rng)
        )
    }

    /// What an `UPDATE` sets.
    fn new_values(&self, rng: &mut Rng) -> String {
        let table = self.table;
        self.assignments(rng, |rng, at| {
            let column = table.column(at);
            let kind = table.columns[at].declared.kind;
            match rng.below(10) {
                0 | 1 if kind == Kind::Int => format!("{column} + 1"),
                2 if kind == Kind::Int => format!("9 - {column}"),
                // Bytes as text need not be UTF-8, and then no key can show them.
                3 if kind == Kind::Text => {
                    let text = self.flavour.text_argument.replace("{0}", &column);
                    format!("upper({text})")
                }
                4 => column,
                5 => table.column(self.alike(rng, at)),
                _ => self.value(rng, at),
            }
        })
    }

    fn update_from(&self, rng: &mut Rng) -> String {
        let clause = self.update_clause(rng);
        let table = self.table;
        let (sql, key) = (&self.sql, table.column(table.key[0]));
        let source = rng.below(table.columns.len());
        let declared = table.columns[source].declared;
        let source = table.column(source);
        let set = self.assignments(rng, |rng, at| {
            let fits = self.flavour.loose || table.columns[at].declared == declared;
            if fits && rng.chance(50) {
                "origin.source".to_owned()
            } else {
                self.value(rng, at)
            }
        });
        let compare = rng.word(&["=", "<", "<>"]);
        // Where keys can be NULL, several rows can be the first.
        let origin = match self.flavour.loose {
            true => format!(
                "SELECT {key} AS origin_key, max({source}) AS source FROM {sql} GROUP BY 1 ORDER BY 1 LIMIT 1"
            ),
            false => format!(
                "SELECT {key} AS origin_key, {source} AS source FROM {sql} ORDER BY {} LIMIT 1",
                table.list(&table.key)
            ),
        };
        format!(
            "UPDATE {clause}{sql} SET {set} FROM ({origin}) AS origin WHERE {sql}.{key} {compare} origin.origin_key"
        )
    }

    /// `UPDATE` knows the same clauses as `INSERT`, but they are rarer in practice, and most updates should succeed.
    fn update_clause(&self, rng: &mut Rng) -> &'static str {
        if rng.chance(40) {
            rng.word(self.flavour.conflict_clauses)
        } else {
            ""
        }
    }

    fn assignments(
        &self,
        rng: &mut Rng,
        mut value: impl FnMut(&mut Rng, usize) -> String,
    ) -> String {
        let table = self.table;
        let written = table.written();
        let mut chosen: Vec<usize> = written
            .iter()
            .copied()
            .filter(|at| rng.chance(if table.key.contains(at) { 25 } else { 45 }))
            .collect();
        if chosen.is_empty() {
            chosen.push(*rng.pick(&written));
        }
        let set: Vec<String> = chosen
            .into_iter()
            .map(|at| format!("{} = {}", table.column(at), value(rng, at)))
            .collect();
        set.join(", ")
    }

    fn delete(&self, rng: &mut Rng) -> String {
        let table = self.table;
        let condition = match rng.below(20) {
            0 => String::new(),
            1 | 2 => self.condition(rng),
            _ => {
                let at = *rng.pick(&table.key);
                format!(" WHERE {} = {}", table.column(at), self.literal(rng, at))
            }
        };
        format!("DELETE FROM {}{condition}", self.sql)
    }

    fn insert_select(&self, rng: &mut Rng, schema: &Schema) -> String {
        let table = self.table;
        let from = if rng.chance(60) {
            table
        } else {
            rng.pick(&schema.tables)
        };
        let columns = table.written();
        let sources: Vec<String> = columns
            .iter()
            .map(|at| {
                let same_table = from.sql() == table.sql();
                let key_or_often = table.key.contains(at) || rng.chance(40);
                match table.columns[*at].declared.kind {
                    Kind::Int if key_or_often && same_table => {
                        format!("{} + 3", table.column(*at))
                    }
                    _ if key_or_often || !same_table => self.value(rng, *at),
                    _ => table.column(*at),
                }
            })
            .collect();
        let clause = rng.word(self.flavour.conflict_clauses);
        let source = Target {
            flavour: self.flavour,
            table: from,
            sql: from.sql(),
        };
        // A condition is required before an upsert clause, and there is none here, but it does no harm.
        let condition = match source.condition(rng) {
            none if none.is_empty() => " WHERE true".to_owned(),
            some => some,
        };
        format!(
            "INSERT {clause}INTO {} ({}) SELECT {} FROM {}{condition}",
            self.sql,
            table.list(&columns),
            sources.join(", "),
            from.sql()
        )
    }

    /// Exchanges the keys of two rows through a third value, one statement after the other.
    fn swap_keys(&self, rng: &mut Rng) -> Vec<String> {
        let at = *rng.pick(&self.table.key);
        let (sql, column) = (&self.sql, self.table.column(at));
        let (one, two) = (self.literal(rng, at), self.literal(rng, at));
        let between = (self.flavour.between)(self.table.columns[at].declared.kind);
        [(between, one.as_str()), (&one, &two), (&two, between)]
            .into_iter()
            .map(|(new, old)| format!("UPDATE {sql} SET {column} = {new} WHERE {column} = {old}"))
            .collect()
    }

    /// Gives a row the hidden number of another one, which makes the other one vanish if conflicts are replaced.
    fn set_rowid(&self, rng: &mut Rng) -> String {
        let Some(rowid) = self.table.hidden_rowid else {
            return self.update(rng);
        };
        let (clause, sql, number) = (
            rng.word(self.flavour.conflict_clauses),
            &self.sql,
            1 + rng.below(12),
        );
        if rng.chance(50) {
            return format!(
                "UPDATE {clause}{sql} SET {rowid} = {number}{}",
                self.condition(rng)
            );
        }
        let columns = self.table.written();
        let values = self.values(rng, &columns);
        format!(
            "INSERT {clause}INTO {sql} ({rowid}, {}) VALUES ({number}, {values})",
            self.table.list(&columns)
        )
    }

    /// Takes the tables that refer to it or have its columns with it, or is refused.
    fn truncate(&self, rng: &mut Rng) -> String {
        let more = rng.word(&["", " CASCADE", " RESTART IDENTITY CASCADE"]);
        format!("TRUNCATE {}{more}", self.sql)
    }

    /// ` WHERE …`, or nothing.
    fn condition(&self, rng: &mut Rng) -> String {
        let table = self.table;
        let at = if rng.chance(60) {
            *rng.pick(&table.key)
        } else {
            *rng.pick(&table.comparable())
        };
        let column = table.column(at);
        match rng.below(12) {
            0 => String::new(),
            1 => format!(" WHERE {column} IS NULL"),
            2 | 3 => {
                let compare = rng.word(&["<", ">", "<>"]);
                format!(" WHERE {column} {compare} {}", self.literal(rng, at))
            }
            4 => format!(
                " WHERE {column} IN ({}, {})",
                self.literal(rng, at),
                self.literal(rng, at)
            ),
            5 => {
                let other = table.column(rng.below(table.columns.len()));
                let sql = table.sql();
                // Not every type has a `max`.
                let largest = match self.flavour.loose {
                    true => format!("SELECT max({column}) FROM {sql}"),
                    false => format!(
                        "SELECT {column} FROM {sql} WHERE {column} IS NOT NULL ORDER BY 1 DESC LIMIT 1"
                    ),
                };
                format!(" WHERE {column} = ({largest}) OR {other} IS NULL")
            }
            _ => format!(" WHERE {column} = {}", self.literal(rng, at)),
        }
    }

    fn values(&self, rng: &mut Rng, columns: &[usize]) -> String {
        let values: Vec<String> = columns.iter().map(|at| self.value(rng, *at)).collect();
        values.join(", ")
    }

    fn value(&self, rng: &mut Rng, at: usize) -> String {
        let column = &self.table.columns[at];
        let null = if self.table.key.contains(&at) { 2 } else { 12 };
        if rng.chance(null) {
            return "NULL".to_owned();
        }
        let kind = if column.loose && rng.chance(20) {
            Kind::Any
        } else {
            column.declared.kind
        };
        literal(rng, self.flavour, kind)
    }

    /// A value of the column's own kind.
    fn literal(&self, rng: &mut Rng, at: usize) -> String {
        literal(rng, self.flavour, self.table.columns[at].declared.kind)
    }

    /// A column whose values another one can take.
    fn alike(&self, rng: &mut Rng, at: usize) -> usize {
        let columns = &self.table.columns;
        let fitting: Vec<usize> = (0..columns.len())
            .filter(|other| self.flavour.loose || columns[*other].declared == columns[at].declared)
            .collect();
        *rng.pick(&fitting)
    }
}
