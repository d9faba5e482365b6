//! Triggers of the application that contain their statements. They run in the same statements as those of Highwater.

use super::{Schema, Table};
use crate::flavour::Flavour;
use crate::rng::Rng;
use crate::values::literal;

/// Triggers of all tables.
pub(super) fn random(rng: &mut Rng, flavour: &Flavour, schema: &Schema) -> Vec<String> {
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
            let value = literal(rng, flavour, table.columns[chosen[1]].declared.kind);
            let row = same_key(table, "NEW");
            ddl.push(format!(
                "CREATE TRIGGER \"touch {number}\" AFTER UPDATE OF {watched} ON {sql} BEGIN \
                 UPDATE {sql} SET {touched} = {value} WHERE {row}; END"
            ));
        }
        if rng.chance(20) {
            let at = *rng.pick(&table.written());
            let column = table.column(at);
            let value = literal(rng, flavour, table.columns[at].declared.kind);
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
                    true => literal(rng, flavour, next.columns[*at].declared.kind),
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
