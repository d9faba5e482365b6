//! Random schemas: every kind of key, column, constraint and application trigger that a store must survive.
//!
//! What must hold: the same random numbers give the same schema, and [`Schema`] describes what the statements create,
//! also after a schema change. What is deliberately absent: rows, and what Highwater makes of the schema.

use crate::flavour::{Declared, Flavour, Kind};
use crate::rng::Rng;
use crate::values::{literal, name, quote};

/// The tables that a run works with.
#[derive(Clone, Debug)]
pub struct Schema {
    /// In the order of creation.
    pub tables: Vec<Table>,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// The name, unquoted.
    pub name: String,
    /// In the order of declaration.
    pub columns: Vec<Column>,
    /// Positions of the key columns in key order.
    pub key: Vec<usize>,
    /// Column lists that an upsert can name.
    pub targets: Vec<Vec<usize>>,
    /// Whether every value has its declared type.
    pub strict: bool,
    /// A name by which statements can set a unique number of the row that is no column.
    pub hidden_rowid: Option<&'static str>,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// The name, unquoted.
    pub name: String,
    /// What it is filled with.
    pub kind: Kind,
    /// Whether the database computes it.
    pub generated: bool,
    /// Whether the writers put values of other types into it now and then.
    pub loose: bool,
}

impl Table {
    /// The name, quoted.
    pub fn sql(&self) -> String {
        quote(&self.name)
    }

    /// The name of a column, quoted.
    pub fn column(&self, at: usize) -> String {
        quote(&self.columns[at].name)
    }

    /// Positions of the columns that a statement may set.
    pub fn written(&self) -> Vec<usize> {
        (0..self.columns.len())
            .filter(|at| !self.columns[*at].generated)
            .collect()
    }
}

/// How the key of a table is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyForm {
    Rowid,
    Autoincrement,
    DescendingInteger,
    Single(Kind),
    Composite,
    UniqueOnly,
}

impl Schema {
    /// A schema of one to three tables, and the statements that create it.
    pub fn random(rng: &mut Rng, flavour: &Flavour) -> (Schema, Vec<String>) {
        let mut schema = Schema { tables: Vec::new() };
        let mut ddl = Vec::new();
        let mut names = Vec::new();
        for _ in 0..1 + rng.below(3) {
            let name = name(rng, &mut names);
            let mut draft = Draft::new(rng, flavour, name);
            draft.add_key(rng);
            draft.add_columns(rng);
            draft.add_references(rng, &schema);
            draft.add_constraints(rng);
            ddl.push(draft.create_table());
            ddl.extend(draft.indexes(rng, schema.tables.len()));
            schema.tables.push(draft.table);
        }
        if flavour.inline_triggers {
            ddl.extend(triggers(rng, &schema));
        }
        (schema, ddl)
    }
}

/// A table while it is put together.
struct Draft<'a> {
    flavour: &'a Flavour,
    table: Table,
    used: Vec<String>,
    /// Definitions of columns, then of constraints.
    parts: Vec<String>,
    constraints: Vec<String>,
    without_rowid: bool,
}

impl<'a> Draft<'a> {
    fn new(rng: &mut Rng, flavour: &'a Flavour, name: String) -> Draft<'a> {
        let table = Table {
            name,
            columns: Vec::new(),
            key: Vec::new(),
            targets: Vec::new(),
            strict: !flavour.loose || rng.chance(25),
            hidden_rowid: None,
        };
        Draft {
            flavour,
            table,
            used: Vec::new(),
            parts: Vec::new(),
            constraints: Vec::new(),
            without_rowid: flavour.rowid_tables && rng.chance(30),
        }
    }

    /// Adds a column and returns its position.
    fn push(&mut self, rng: &mut Rng, kind: Kind, generated: bool, definition: &str) -> usize {
        let loose = self.flavour.loose && !self.table.strict && !generated && rng.chance(40);
        // A generated column called like a keyword makes Highwater give up on indexes that use the keyword.
        let name = if generated {
            "the computed".to_owned()
        } else {
            name(rng, &mut self.used)
        };
        self.parts.push(format!("{} {definition}", quote(&name)));
        self.table.columns.push(Column {
            name,
            kind,
            generated,
            loose,
        });
        self.table.columns.len() - 1
    }

    fn declared(&self, rng: &mut Rng, kind: Option<Kind>) -> Declared {
        let fitting: Vec<Declared> = self
            .flavour
            .types
            .iter()
            .filter(|t| !(self.flavour.loose && self.table.strict) || t.strict)
            .filter(|t| kind.is_none_or(|kind| t.kind == kind))
            .copied()
            .collect();
        *rng.pick(&fitting)
    }

    fn add_key(&mut self, rng: &mut Rng) {
        let mut forms = vec![
            (2, KeyForm::Rowid),
            (3, KeyForm::Single(Kind::Int)),
            (4, KeyForm::Single(Kind::Text)),
            (1, KeyForm::Single(Kind::Blob)),
            (4, KeyForm::Composite),
            (2, KeyForm::UniqueOnly),
        ];
        if self.flavour.loose {
            forms.push((1, KeyForm::Single(Kind::Any)));
            forms.push((1, KeyForm::Single(Kind::Real)));
            forms.push((2, KeyForm::Autoincrement));
            forms.push((1, KeyForm::DescendingInteger));
        }
        let form = rng.weighted(&forms);
        if form == KeyForm::Autoincrement || form == KeyForm::UniqueOnly {
            self.without_rowid = false;
        }
        let has_alias = matches!(form, KeyForm::Rowid | KeyForm::Autoincrement);
        if self.flavour.rowid_tables && !self.without_rowid && !has_alias {
            self.table.hidden_rowid = Some("rowid");
        }
        let conflict = rng.word(self.flavour.constraint_clauses);
        match form {
            KeyForm::Rowid => self.single(
                rng,
                Kind::Int,
                "INTEGER",
                &format!(" PRIMARY KEY{conflict}"),
            ),
            KeyForm::Autoincrement => {
                let clause = format!(" PRIMARY KEY{conflict} AUTOINCREMENT");
                self.single(rng, Kind::Int, "INTEGER", &clause);
            }
            KeyForm::DescendingInteger => {
                self.single(
                    rng,
                    Kind::Int,
                    "INTEGER",
                    &format!(" PRIMARY KEY DESC{conflict}"),
                );
            }
            KeyForm::Single(kind) => {
                let declared = self.declared(rng, Some(kind));
                let collation = self.collation(rng, kind);
                let null = if rng.chance(50) { " NOT NULL" } else { "" };
                let clause = format!("{collation}{null} PRIMARY KEY{conflict}");
                self.single(rng, kind, declared.sql, &clause);
            }
            KeyForm::UniqueOnly => {
                let declared = self.declared(rng, Some(Kind::Int));
                self.single(
                    rng,
                    Kind::Int,
                    declared.sql,
                    &format!(" NOT NULL UNIQUE{conflict}"),
                );
            }
            KeyForm::Composite => self.composite(rng, conflict),
        }
        // A key that is not where the columns begin.
        if rng.chance(25) {
            self.table.columns.rotate_right(1);
            self.parts.rotate_right(1);
            let columns = self.table.columns.len();
            for at in &mut self.table.key {
                *at = (*at + 1) % columns;
            }
        }
        self.table.targets.push(self.table.key.clone());
    }

    fn single(&mut self, rng: &mut Rng, kind: Kind, declared: &str, clause: &str) {
        let at = self.push(rng, kind, false, &format!("{declared}{clause}"));
        self.table.key = vec![at];
    }

    fn composite(&mut self, rng: &mut Rng, conflict: &str) {
        for kind in [Kind::Int, Kind::Text] {
            let declared = self.declared(rng, Some(kind));
            let collation = self.collation(rng, kind);
            let null = if rng.chance(70) { " NOT NULL" } else { "" };
            self.push(
                rng,
                kind,
                false,
                &format!("{}{collation}{null}", declared.sql),
            );
        }
        self.table.key = if rng.chance(50) {
            vec![1, 0]
        } else {
            vec![0, 1]
        };
        let columns: Vec<String> = self
            .table
            .key
            .iter()
            .map(|at| self.table.column(*at))
            .collect();
        self.constraints
            .push(format!("PRIMARY KEY ({}){conflict}", columns.join(", ")));
    }

    fn collation(&self, rng: &mut Rng, kind: Kind) -> &'static str {
        if kind == Kind::Text {
            rng.word(self.flavour.collations)
        } else {
            ""
        }
    }

    fn add_columns(&mut self, rng: &mut Rng) {
        for _ in 0..1 + rng.below(5) {
            let declared = self.declared(rng, None);
            let collation = self.collation(rng, declared.kind);
            let conflict = rng.word(self.flavour.constraint_clauses);
            let value = literal(rng, declared.kind);
            let clause = match rng.below(11) {
                0 | 1 => format!(" DEFAULT {value}"),
                2 | 3 => format!(" NOT NULL{conflict} DEFAULT {value}"),
                4 => format!(" UNIQUE{conflict}"),
                _ => String::new(),
            };
            self.push(
                rng,
                declared.kind,
                false,
                &format!("{}{collation}{clause}", declared.sql),
            );
        }
        if rng.chance(35) {
            self.add_generated(rng);
        }
    }

    fn add_generated(&mut self, rng: &mut Rng) {
        let at = rng.below(self.table.columns.len());
        let from = self.table.column(at);
        // Bytes as text need not be UTF-8. In a key, such text could not be told from the bytes themselves.
        let text = match self.table.columns[at].kind {
            Kind::Text => self.flavour.text_argument.replace("{0}", &from),
            _ => format!("hex({from})"),
        };
        let stored = if self.flavour.loose && rng.chance(50) {
            "VIRTUAL"
        } else {
            "STORED"
        };
        let (kind, declared, expression) = if rng.chance(50) {
            (
                Kind::Int,
                "INTEGER",
                format!("length(cast({from} AS TEXT)) + 1"),
            )
        } else {
            (Kind::Text, "TEXT", format!("lower({text}) || '!'"))
        };
        self.push(
            rng,
            kind,
            true,
            &format!("{declared} GENERATED ALWAYS AS ({expression}) {stored}"),
        );
    }

    fn add_references(&mut self, rng: &mut Rng, schema: &Schema) {
        if !rng.chance(60) {
            return;
        }
        let own = (self.table.key.len() == 1).then_some(&self.table);
        let parents: Vec<&Table> = schema
            .tables
            .iter()
            .chain(own)
            .filter(|parent| parent.key.len() == 1)
            .collect();
        if parents.is_empty() {
            return;
        }
        let parent = *rng.pick(&parents);
        let (target, key, kind) = (
            parent.sql(),
            parent.column(parent.key[0]),
            parent.columns[parent.key[0]].kind,
        );
        let declared = self.declared(rng, Some(kind));
        let actions = [
            "CASCADE",
            "SET NULL",
            "SET DEFAULT",
            "RESTRICT",
            "NO ACTION",
            "CASCADE",
        ];
        let (on_delete, on_update) = (rng.word(&actions), rng.word(&actions));
        let default = if rng.chance(50) {
            format!(" DEFAULT {}", literal(rng, kind))
        } else {
            String::new()
        };
        let deferred = if rng.chance(30) {
            " DEFERRABLE INITIALLY DEFERRED"
        } else {
            ""
        };
        self.push(
            rng,
            kind,
            false,
            &format!(
                "{}{default} REFERENCES {target} ({key}) ON DELETE {on_delete} ON UPDATE {on_update}{deferred}",
                declared.sql
            ),
        );
    }

    fn add_constraints(&mut self, rng: &mut Rng) {
        let plain = self.table.written();
        if rng.chance(25) && plain.len() > 2 {
            let columns = rng.subset(&plain, 2);
            // Two constraints over the same columns must not say different things.
            let is_key = self.table.key.iter().all(|at| columns.contains(at));
            let conflict = if is_key && columns.len() == self.table.key.len() {
                ""
            } else {
                rng.word(self.flavour.constraint_clauses)
            };
            self.constraints
                .push(format!("UNIQUE ({}){conflict}", self.list(&columns)));
            self.table.targets.push(columns);
        }
        if rng.chance(20) {
            let at = *rng.pick(&plain);
            let column = self.table.column(at);
            let value = literal(rng, self.table.columns[at].kind);
            self.constraints
                .push(format!("CHECK ({column} IS NULL OR {column} <> {value})"));
        }
    }

    fn list(&self, columns: &[usize]) -> String {
        let names: Vec<String> = columns.iter().map(|at| self.table.column(*at)).collect();
        names.join(", ")
    }

    fn create_table(&self) -> String {
        let mut options = Vec::new();
        if self.without_rowid {
            options.push("WITHOUT ROWID");
        }
        if self.flavour.loose && self.table.strict {
            options.push("STRICT");
        }
        let parts: Vec<&str> = self
            .parts
            .iter()
            .chain(&self.constraints)
            .map(String::as_str)
            .collect();
        format!(
            "CREATE TABLE {} ({}) {}",
            self.table.sql(),
            parts.join(", "),
            options.join(", ")
        )
    }

    /// Unique indexes of every form that can make a row vanish without its key being named.
    fn indexes(&mut self, rng: &mut Rng, number: usize) -> Vec<String> {
        let mut ddl = Vec::new();
        let columns: Vec<usize> = (0..self.table.columns.len()).collect();
        // Highwater announces that it does not track a table with a key over an expression over a generated number.
        let usable = |at: &usize| {
            let column = &self.table.columns[*at];
            !column.generated || column.kind == Kind::Text
        };
        let understood: Vec<usize> = columns.iter().copied().filter(usable).collect();
        for index in 0..rng.below(3) {
            let at = *rng.pick(&columns);
            let column = self.table.column(at);
            let form = match rng.below(6) {
                0 => {
                    self.table.targets.push(vec![at]);
                    format!("({column})")
                }
                1 => format!("({column}{})", rng.word(self.flavour.collations)),
                2 => format!(
                    "({column} DESC, {})",
                    self.table.column(*rng.pick(&columns))
                ),
                3 => {
                    let kind = self.table.columns[at].kind;
                    format!("({column}) WHERE {column} > {}", literal(rng, kind))
                }
                4 => {
                    let column = self.table.column(*rng.pick(&understood));
                    format!("(lower(cast({column} AS TEXT)))")
                }
                _ => {
                    let column = self.table.column(*rng.pick(&understood));
                    let other = self.table.column(*rng.pick(&understood));
                    format!("(coalesce({column}, {other}), {other}) WHERE {other} IS NOT NULL")
                }
            };
            let name = quote(&format!("unique {number}.{index}"));
            ddl.push(format!(
                "CREATE UNIQUE INDEX {name} ON {} {form}",
                self.table.sql()
            ));
        }
        ddl
    }
}

/// Triggers of the application, which run in the same statements as those of Highwater.
fn triggers(rng: &mut Rng, schema: &Schema) -> Vec<String> {
    let mut ddl = Vec::new();
    for (number, table) in schema.tables.iter().enumerate() {
        let sql = table.sql();
        let plain: Vec<usize> = table
            .written()
            .into_iter()
            .filter(|at| !table.key.contains(at))
            .collect();
        if rng.chance(25) && plain.len() > 1 {
            let chosen = rng.subset(&plain, 2);
            let (watched, touched) = (table.column(chosen[0]), table.column(chosen[1]));
            let value = literal(rng, table.columns[chosen[1]].kind);
            let row = same_key(table, "NEW");
            ddl.push(format!(
                "CREATE TRIGGER \"touch {number}\" AFTER UPDATE OF {watched} ON {sql} BEGIN \
                 UPDATE {sql} SET {touched} = {value} WHERE {row}; END"
            ));
        }
        if rng.chance(20) {
            let at = *rng.pick(&table.written());
            let column = table.column(at);
            let value = literal(rng, table.columns[at].kind);
            let how = rng.word(&["IGNORE", "ABORT, 'no'", "FAIL, 'no'", "ROLLBACK, 'no'"]);
            let event = rng.word(&["INSERT", "UPDATE"]);
            let when = rng.word(&["BEFORE", "AFTER"]);
            ddl.push(format!(
                "CREATE TRIGGER \"refuse {number}\" {when} {event} ON {sql} WHEN NEW.{column} = {value} \
                 BEGIN SELECT RAISE({how}); END"
            ));
        }
        let Some(next) = schema.tables.get(number + 1) else {
            continue;
        };
        if rng.chance(30) {
            let event = rng.word(&["INSERT", "UPDATE", "DELETE"]);
            let row = if event == "DELETE" { "OLD" } else { "NEW" };
            let or = rng.word(&["", "OR REPLACE ", "OR IGNORE "]);
            let source = table.column(rng.below(table.columns.len()));
            let targets: Vec<String> = next.written().iter().map(|at| next.column(*at)).collect();
            let values: Vec<String> = next
                .written()
                .iter()
                .map(|at| match next.key.contains(at) || rng.chance(70) {
                    true => literal(rng, next.columns[*at].kind),
                    false => format!("{row}.{source}"),
                })
                .collect();
            ddl.push(format!(
                "CREATE TRIGGER \"copy {number}\" AFTER {event} ON {sql} BEGIN \
                 INSERT {or}INTO {} ({}) VALUES ({}); END",
                next.sql(),
                targets.join(", "),
                values.join(", ")
            ));
        }
    }
    ddl
}

fn same_key(table: &Table, row: &str) -> String {
    let parts: Vec<String> = table
        .key
        .iter()
        .map(|at| format!("{0} IS {row}.{0}", table.column(*at)))
        .collect();
    parts.join(" AND ")
}
