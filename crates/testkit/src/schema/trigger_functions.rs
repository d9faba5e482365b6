//! Triggers of the application that call functions. They run in the same statements as those of Highwater, before and after them in
//! the order of names, and the statements within them are captured too.

use super::{Schema, Table, qualified};
use crate::flavour::Flavour;
use crate::rng::Rng;
use crate::values::literal;

/// Triggers of all tables.
pub(super) fn random(rng: &mut Rng, flavour: &Flavour, schema: &Schema) -> Vec<String> {
    let mut ddl = Vec::new();
    for (number, table) in schema.tables.iter().enumerate() {
        let writing = Writing {
            flavour,
            table,
            number,
        };
        if rng.chance(25) {
            ddl.extend(writing.touch(rng));
        }
        if rng.chance(15) {
            ddl.extend(writing.refuse(rng));
        }
        if rng.chance(15) {
            ddl.extend(writing.alter_new(rng));
        }
        if rng.chance(12) {
            ddl.extend(writing.replace());
        }
        let Some(next) = schema.tables.get(number + 1) else {
            continue;
        };
        if rng.chance(30) {
            ddl.extend(writing.copy(rng, next));
        }
        if rng.chance(20) {
            ddl.extend(writing.sweep(rng, next));
        }
    }
    ddl
}

/// Triggers of one table.
struct Writing<'a> {
    flavour: &'a Flavour,
    table: &'a Table,
    number: usize,
}

impl Writing<'_> {
    /// A function with the body, and a trigger that calls it.
    fn trigger(&self, name: &str, when: &str, level: &str, body: &str) -> [String; 2] {
        let name = format!("{name} {}", self.number);
        let function = qualified("public", &name);
        [
            format!(
                "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $body$ BEGIN {body} END $body$"
            ),
            format!(
                "CREATE TRIGGER \"{name}\" {when} ON {} FOR EACH {level} EXECUTE FUNCTION {function}()",
                self.table.sql()
            ),
        ]
    }

    /// The columns that are no part of the key.
    fn plain(&self) -> Vec<usize> {
        let written = self.table.written().into_iter();
        written.filter(|at| !self.table.key.contains(at)).collect()
    }

    fn literal(&self, rng: &mut Rng, table: &Table, at: usize) -> String {
        literal(rng, self.flavour, table.columns[at].declared.kind)
    }

    /// A change of a column changes another one of the same row, in a statement of its own.
    fn touch(&self, rng: &mut Rng) -> Vec<String> {
        let plain = self.plain();
        if plain.len() < 2 {
            return Vec::new();
        }
        let chosen = rng.subset(&plain, 2);
        let (watched, touched) = (self.table.column(chosen[0]), self.table.column(chosen[1]));
        let value = self.literal(rng, self.table, chosen[1]);
        let body = format!(
            "UPDATE {} SET {touched} = {value} WHERE {}; RETURN NULL;",
            self.table.sql(),
            same_key(self.table)
        );
        let name = rng.word(&["a touch", "touch"]);
        let when = format!("AFTER UPDATE OF {watched}");
        self.trigger(name, &when, "ROW", &body).into()
    }

    /// Some rows are refused, or left out without a word.
    fn refuse(&self, rng: &mut Rng) -> Vec<String> {
        let comparable = self.table.comparable();
        let at = *rng.pick(&comparable);
        let (column, value) = (self.table.column(at), self.literal(rng, self.table, at));
        let event = rng.word(&["INSERT", "UPDATE"]);
        let (when, then) = *rng.pick(&[
            ("BEFORE", "RETURN NULL;"),
            ("BEFORE", "RAISE 'no';"),
            ("AFTER", "RAISE 'no';"),
        ]);
        let body = format!("IF NEW.{column} = {value} THEN {then} END IF; RETURN NEW;");
        self.trigger("refuse", &format!("{when} {event}"), "ROW", &body)
            .into()
    }

    /// A row is changed on its way into the table.
    fn alter_new(&self, rng: &mut Rng) -> Vec<String> {
        let plain = self.plain();
        if plain.is_empty() {
            return Vec::new();
        }
        let at = *rng.pick(&plain);
        let (column, value) = (self.table.column(at), self.literal(rng, self.table, at));
        let event = rng.word(&["INSERT", "UPDATE", "INSERT OR UPDATE"]);
        let body = format!("NEW.{column} := {value}; RETURN NEW;");
        self.trigger("alter", &format!("BEFORE {event}"), "ROW", &body)
            .into()
    }

    /// An inserted row takes the place of the one with its key.
    fn replace(&self) -> Vec<String> {
        let body = format!(
            "DELETE FROM {} WHERE {}; RETURN NEW;",
            self.table.sql(),
            same_key(self.table)
        );
        self.trigger("replace", "BEFORE INSERT", "ROW", &body)
            .into()
    }

    /// A change of this table inserts a row into the next one.
    fn copy(&self, rng: &mut Rng, next: &Table) -> Vec<String> {
        let event = rng.word(&["INSERT", "UPDATE", "DELETE"]);
        let values: Vec<String> = next
            .written()
            .into_iter()
            .map(|at| self.literal(rng, next, at))
            .collect();
        let upsert = rng.word(&[" ON CONFLICT DO NOTHING", " ON CONFLICT DO NOTHING", ""]);
        let body = format!(
            "INSERT INTO {} ({}) VALUES ({}){upsert}; RETURN NULL;",
            next.sql(),
            next.list(&next.written()),
            values.join(", ")
        );
        let level = rng.word(&["ROW", "STATEMENT"]);
        self.trigger("copy", &format!("AFTER {event}"), level, &body)
            .into()
    }

    /// A statement on this table changes many rows of the next one, or removes them.
    fn sweep(&self, rng: &mut Rng, next: &Table) -> Vec<String> {
        let key = next.key[0];
        let condition = format!(
            "WHERE {} <> {}",
            next.column(key),
            self.literal(rng, next, key)
        );
        let event = rng.word(&["UPDATE", "DELETE", "TRUNCATE"]);
        let statement = match next.written().iter().find(|at| !next.key.contains(at)) {
            Some(at) if event != "TRUNCATE" => format!(
                "UPDATE {} SET {} = {} {condition}",
                next.sql(),
                next.column(*at),
                self.literal(rng, next, *at)
            ),
            _ => format!("DELETE FROM {} {condition}", next.sql()),
        };
        let when = rng.word(&["BEFORE", "AFTER"]);
        let body = format!("{statement}; RETURN NULL;");
        self.trigger("sweep", &format!("{when} {event}"), "STATEMENT", &body)
            .into()
    }
}

fn same_key(table: &Table) -> String {
    let parts: Vec<String> = table
        .key
        .iter()
        .map(|at| format!("{0} = NEW.{0}", table.column(*at)))
        .collect();
    parts.join(" AND ")
}
