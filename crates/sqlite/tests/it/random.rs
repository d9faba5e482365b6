//! Random schemas, random statements, and the oracle.
//!
//! The seed of a failing round is printed; `HIGHWATER_SEED=… cargo nextest run -p highwater-sqlite random` repeats it, and
//! `HIGHWATER_ROUNDS=…` runs more rounds.

use rusqlite::Connection;

use crate::oracle::Oracle;

const ROUNDS: u64 = 150;
const STATEMENTS: u64 = 40;

#[test]
fn random_statements_on_random_schemas() {
    if let Some(seed) = variable("HIGHWATER_SEED") {
        round(seed);
        return;
    }
    for seed in 0..variable("HIGHWATER_ROUNDS").unwrap_or(ROUNDS) {
        round(seed);
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

fn round(seed: u64) {
    let mut random = Random(seed);
    let parent = Table::random(&mut random, "t0", None);
    let child = Table::random(&mut random, "t1", Some(&parent));
    let tables = [parent, child];
    let mut setup = format!(
        "PRAGMA foreign_keys = {}; PRAGMA recursive_triggers = {};",
        random.chance(50),
        random.chance(30)
    );
    for table in &tables {
        setup.push_str(&table.sql);
    }
    if random.chance(40) {
        let table = random.pick(&tables);
        setup.push_str(&trigger(&mut random, table, &tables[1]));
    }
    // Not every combination is a schema.
    if Connection::open_in_memory()
        .unwrap()
        .execute_batch(&setup)
        .is_err()
    {
        return;
    }
    let mut oracle = Oracle::new(&format!("HIGHWATER_SEED={seed}"), &setup);
    for _ in 0..random.below(6) {
        let table = random.pick(&tables);
        oracle.run(&insert(&mut random, table));
    }
    for _ in 0..STATEMENTS {
        let table = random.pick(&tables);
        let sql = match random.below(20) {
            0 if oracle.database.is_autocommit() => "BEGIN".to_owned(),
            0 | 1 if !oracle.database.is_autocommit() => random
                .pick(&[
                    "COMMIT",
                    "ROLLBACK",
                    "SAVEPOINT s",
                    "ROLLBACK TO s",
                    "RELEASE s",
                ])
                .to_string(),
            2..=3 => format!(
                "DELETE FROM {} WHERE {}",
                table.name,
                condition(&mut random, table)
            ),
            4..=9 => update(&mut random, table),
            _ => insert(&mut random, table),
        };
        oracle.run(&sql);
    }
    if !oracle.database.is_autocommit() {
        oracle.run("COMMIT");
        if !oracle.database.is_autocommit() {
            oracle.run("ROLLBACK");
        }
    }
    oracle.verify();
}

struct Table {
    name: &'static str,
    sql: String,
    /// Columns that can be written.
    columns: Vec<String>,
}

const TYPES: &[&str] = &[
    "",
    "INT",
    "TEXT",
    "REAL",
    "NUMERIC",
    "BLOB",
    "TEXT COLLATE NOCASE",
    "TEXT COLLATE RTRIM",
    "VARCHAR(9)",
    "DATE",
];
const STRICT_TYPES: &[&str] = &["INT", "TEXT", "REAL", "ANY", "BLOB", "TEXT COLLATE NOCASE"];

impl Table {
    fn random(random: &mut Random, name: &'static str, parent: Option<&Table>) -> Table {
        let strict = random.chance(20);
        let without_rowid = random.chance(30);
        let types = if strict { STRICT_TYPES } else { TYPES };
        let mut columns = Vec::new();
        let mut definitions = Vec::new();
        for i in 0..2 + random.below(4) {
            let column = format!("c{i}");
            let mut definition = format!("{column} {}", random.pick(types));
            if random.chance(25) {
                definition.push_str(" NOT NULL");
                if random.chance(25) {
                    definition.push_str(" ON CONFLICT REPLACE");
                }
            }
            if random.chance(40) {
                definition.push_str(random.text(&[
                    " DEFAULT 1",
                    " DEFAULT 'a'",
                    " DEFAULT 2.5",
                    " DEFAULT (1 + 1)",
                ]));
            }
            if random.chance(20) {
                definition.push_str(" UNIQUE");
                if random.chance(30) {
                    definition
                        .push_str(random.text(&[" ON CONFLICT REPLACE", " ON CONFLICT IGNORE"]));
                }
            }
            columns.push(column);
            definitions.push(definition);
        }
        let key = match random.below(if without_rowid { 3 } else { 6 }) {
            0 => "PRIMARY KEY (c0)".to_owned(),
            1 => "PRIMARY KEY (c1, c0)".to_owned(),
            2 => "PRIMARY KEY (c0 COLLATE NOCASE)".to_owned(),
            _ => {
                definitions.insert(0, "id INTEGER PRIMARY KEY".to_owned());
                columns.insert(0, "id".to_owned());
                String::new()
            }
        };
        let mut all = columns.clone();
        if random.chance(30) {
            let expression = random.pick(&["c0 || c1", "c1 + 1", "lower(c0)", "coalesce(c0, c1)"]);
            let kind = random.pick(&["VIRTUAL", "STORED"]);
            let ty = if strict {
                "ANY"
            } else {
                random.text(&["", "TEXT"])
            };
            definitions.push(format!("g {ty} AS ({expression}) {kind}"));
            all.push("g".to_owned());
        }
        if !key.is_empty() {
            definitions.push(key);
        }
        if let Some((columns, parent)) = parent.and_then(Table::reference)
            && random.chance(60)
        {
            let action = |random: &mut Random| {
                random.text(&[
                    "NO ACTION",
                    "CASCADE",
                    "SET NULL",
                    "SET DEFAULT",
                    "RESTRICT",
                ])
            };
            definitions.push(format!(
                "FOREIGN KEY ({columns}) REFERENCES {parent} ON DELETE {} ON UPDATE {}",
                action(random),
                action(random)
            ));
        }
        let mut options = Vec::new();
        if strict {
            options.push("STRICT");
        }
        if without_rowid {
            options.push("WITHOUT ROWID");
        }
        let mut sql = format!(
            "CREATE TABLE {name}({}) {};",
            definitions.join(", "),
            options.join(", ")
        );
        for i in 0..random.below(3) {
            let term = |random: &mut Random| {
                let column = random.pick(&all);
                match random.below(6) {
                    0 => format!("lower({column})"),
                    1 => format!("({column} || 'x') COLLATE NOCASE"),
                    2 => format!("{column} COLLATE NOCASE DESC"),
                    3 => format!("coalesce({column}, \"nothing\")"),
                    _ => column.clone(),
                }
            };
            let mut terms = term(random);
            if random.chance(40) {
                terms = format!("{terms}, {}", term(random));
            }
            let filter = if random.chance(30) {
                format!(" WHERE {name}.c1 > 1")
            } else {
                String::new()
            };
            sql.push_str(&format!(
                "CREATE UNIQUE INDEX {name}_i{i} ON {name}({terms}){filter};"
            ));
        }
        Table { name, sql, columns }
    }

    /// Columns of a child that can refer to the key, and the key. (Only a key with the collation of its column can be referred to.)
    fn reference(&self) -> Option<(&str, String)> {
        if self.sql.contains("PRIMARY KEY (c0 COLLATE") {
            None
        } else if self.sql.contains("PRIMARY KEY (c1, c0)") {
            Some(("c0, c1", format!("{}(c1, c0)", self.name)))
        } else {
            Some(("c0", self.name.to_owned()))
        }
    }
}

/// A trigger of the application that changes something else or the same row.
fn trigger(random: &mut Random, table: &Table, other: &Table) -> String {
    let event = random.pick(&[
        "AFTER INSERT",
        "BEFORE INSERT",
        "AFTER UPDATE",
        "AFTER DELETE",
        "BEFORE DELETE",
    ]);
    let body = match random.below(4) {
        0 => format!(
            "DELETE FROM {} WHERE {}",
            other.name,
            condition(random, other)
        ),
        1 => format!("UPDATE OR IGNORE {} SET c1 = c1 WHERE 1", table.name),
        2 => insert(random, other).replace("INSERT INTO", "INSERT OR IGNORE INTO"),
        _ => format!(
            "UPDATE OR REPLACE {} SET c1 = {} WHERE {}",
            other.name,
            value(random),
            condition(random, other)
        ),
    };
    format!(
        "CREATE TRIGGER x {event} ON {} BEGIN {body}; END;",
        table.name
    )
}

const CLAUSES: &[&str] = &[
    "",
    "",
    " OR REPLACE",
    " OR REPLACE",
    " OR IGNORE",
    " OR FAIL",
    " OR ABORT",
    " OR ROLLBACK",
];

fn insert(random: &mut Random, table: &Table) -> String {
    let clause = random.pick(CLAUSES);
    let columns: Vec<_> = table
        .columns
        .iter()
        .filter(|_| random.chance(80))
        .cloned()
        .collect();
    if columns.is_empty() {
        return format!("INSERT INTO {} DEFAULT VALUES", table.name);
    }
    let mut rows = Vec::new();
    for _ in 0..1 + random.below(3) {
        let values: Vec<_> = columns.iter().map(|_| value(random)).collect();
        rows.push(format!("({})", values.join(", ")));
    }
    let upsert = match random.below(10) {
        0 => " ON CONFLICT DO NOTHING".to_owned(),
        1 => format!(" ON CONFLICT DO UPDATE SET {}", assignment(random, table)),
        _ => String::new(),
    };
    format!(
        "INSERT{clause} INTO {}({}) VALUES {}{upsert}",
        table.name,
        columns.join(", "),
        rows.join(", ")
    )
}

fn update(random: &mut Random, table: &Table) -> String {
    format!(
        "UPDATE{} {} SET {} WHERE {}",
        random.pick(CLAUSES),
        table.name,
        assignment(random, table),
        condition(random, table)
    )
}

fn assignment(random: &mut Random, table: &Table) -> String {
    let first = random.pick(&table.columns).clone();
    let mut text = format!("{first} = {}", expression(random, table));
    let second = random.pick(&table.columns).clone();
    if first != second && random.chance(40) {
        text.push_str(&format!(", {second} = {}", expression(random, table)));
    }
    text
}

fn expression(random: &mut Random, table: &Table) -> String {
    match random.below(5) {
        0 => random.pick(&table.columns).clone(),
        1 => format!("{} + 1", random.pick(&table.columns)),
        2 => format!("upper({})", random.pick(&table.columns)),
        _ => value(random),
    }
}

fn condition(random: &mut Random, table: &Table) -> String {
    match random.below(6) {
        0 => "1".to_owned(),
        1 => format!("{} IS NULL", random.pick(&table.columns)),
        2 => format!("{} > {}", random.pick(&table.columns), value(random)),
        _ => format!("{} = {}", random.pick(&table.columns), value(random)),
    }
}

/// Few values, so that they collide, of all storage classes.
fn value(random: &mut Random) -> String {
    random
        .pick(&[
            "NULL",
            "0",
            "1",
            "2",
            "3",
            "-1",
            "1.0",
            "2.5",
            "'a'",
            "'A'",
            "'b'",
            "'B '",
            "'b'",
            "'1'",
            "'2.0'",
            "x'61'",
            "x''",
            "''",
            "'ax'",
            "'nothing'",
        ])
        .to_string()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn text<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}
