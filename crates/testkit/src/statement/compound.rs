//! Statements that do several things to a table, or to several tables, at once.

use super::Target;
use crate::rng::Rng;
use crate::schema::Schema;

impl Target<'_> {
    /// Rows of the table itself, or one made up, decide what becomes of the rows with their keys.
    pub(super) fn merge(&self, rng: &mut Rng) -> String {
        let table = self.table;
        let source = if rng.chance(50) {
            let columns: Vec<String> = table
                .key
                .iter()
                .map(|at| {
                    let declared = table.columns[*at].declared.sql;
                    format!(
                        "CAST({} AS {declared}) AS {}",
                        self.literal(rng, *at),
                        table.column(*at)
                    )
                })
                .collect();
            format!("SELECT {}", columns.join(", "))
        } else {
            format!(
                "SELECT {} FROM {}{}",
                table.list(&table.key),
                table.sql(),
                self.condition(rng)
            )
        };
        let on: Vec<String> = table
            .key
            .iter()
            .map(|at| format!("own.{0} = source.{0}", table.column(*at)))
            .collect();
        let mut actions = Vec::new();
        let narrower = format!(
            "AND own.{} IS NOT NULL ",
            table.column(*rng.pick(&table.key))
        );
        if rng.chance(40) {
            actions.push(format!("WHEN MATCHED {narrower}THEN DELETE"));
        }
        if rng.chance(70) {
            let set = self.assignments(rng, |rng, at| self.value(rng, at));
            actions.push(format!("WHEN MATCHED THEN UPDATE SET {set}"));
        }
        if rng.chance(60) || actions.is_empty() {
            let columns = table.written();
            let values: Vec<String> = columns
                .iter()
                .map(|at| match table.key.contains(at) && rng.chance(70) {
                    true => format!("source.{}", table.column(*at)),
                    false => self.value(rng, *at),
                })
                .collect();
            actions.push(format!(
                "WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
                table.list(&columns),
                values.join(", ")
            ));
        }
        format!(
            "MERGE INTO {} AS own USING ({source}) AS source ON {} {}",
            self.sql,
            on.join(" AND "),
            actions.join(" ")
        )
    }

    /// Statements within a statement. All see the same rows; none sees what the others do.
    pub(super) fn with(&self, rng: &mut Rng, schema: &Schema) -> String {
        let table = self.table;
        let (sql, columns) = (&self.sql, table.written());
        let other = Target::random(rng, self.flavour, schema);
        match rng.below(4) {
            // Rows are removed and come back, changed perhaps, in one statement.
            0 => {
                let values: Vec<String> = columns
                    .iter()
                    .map(|at| match table.key.contains(at) || rng.chance(50) {
                        true => table.column(*at),
                        false => self.value(rng, *at),
                    })
                    .collect();
                format!(
                    "WITH gone AS (DELETE FROM {sql}{} RETURNING *) INSERT INTO {sql} ({}) SELECT {} FROM gone",
                    self.condition(rng),
                    table.list(&columns),
                    values.join(", ")
                )
            }
            1 => format!(
                "WITH one AS ({} RETURNING 1), two AS ({} RETURNING 1) {}",
                self.update(rng),
                other.insert(rng),
                other.delete(rng)
            ),
            2 => format!(
                "WITH one AS ({} RETURNING 1) {}",
                self.insert(rng),
                other.update(rng)
            ),
            _ => format!(
                "WITH one AS ({} RETURNING 1), two AS ({} RETURNING 1) SELECT * FROM one, two",
                self.delete(rng),
                self.insert(rng)
            ),
        }
    }

    /// A block of the procedural language whose inner statements may fail without ending it.
    pub(super) fn block(&self, rng: &mut Rng, schema: &Schema) -> String {
        let mut body = String::new();
        for _ in 0..2 + rng.below(3) {
            let target = Target::random(rng, self.flavour, schema);
            let statement = match rng.below(4) {
                0 | 1 => target.insert(rng),
                2 => target.update(rng),
                _ => target.delete(rng),
            };
            body.push_str(&match rng.chance(70) {
                true => format!(
                    "BEGIN {statement}; EXCEPTION WHEN integrity_constraint_violation OR data_exception OR raise_exception THEN NULL; END; "
                ),
                false => format!("{statement}; "),
            });
        }
        format!("DO $block$ BEGIN {body}END $block$")
    }

    /// Changes or removes the first row that a cursor stands on.
    pub(super) fn cursor(&self, rng: &mut Rng) -> String {
        let sql = &self.sql;
        let change = match rng.chance(60) {
            true => format!("UPDATE {sql} SET {}", self.new_values(rng)),
            false => format!("DELETE FROM {sql}"),
        };
        format!(
            "DECLARE walk CURSOR FOR SELECT * FROM {sql}{} FOR UPDATE; FETCH walk; {change} WHERE CURRENT OF walk; CLOSE walk",
            self.condition(rng)
        )
    }
}
