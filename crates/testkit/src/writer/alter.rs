//! Schema changes.
//!
//! What must hold: the description of the schema follows exactly if the database did it.

use super::Writer;
use crate::flavour::{Alteration, Declared, Kind};
use crate::lab::Outcome;
use crate::rng::Rng;
use crate::schema::{Column, Family, Schema, Table};
use crate::trace::Trace;
use crate::values::{literal, quote};

const INTEGER: Declared = Declared {
    sql: "INTEGER",
    kind: Kind::Int,
    strict: true,
    comparable: true,
};

const TEXT: Declared = Declared {
    sql: "TEXT",
    kind: Kind::Text,
    strict: true,
    comparable: true,
};

impl Writer {
    /// Changes the schema of a table; returns which, if the database did it.
    pub(super) fn alter(
        &mut self,
        program: usize,
        rng: &mut Rng,
        schema: &mut Schema,
        trace: &mut Trace,
    ) -> Option<usize> {
        let at = rng.below(schema.tables.len());
        let serial = self.counts.altered;
        self.counts.altered += 1;
        let alteration = *rng.pick(self.flavour.alterations);
        let table = &mut schema.tables[at];
        // It would change the other tables of the tree too.
        if table.family == Family::Tree && alteration != Alteration::RenameTable {
            return None;
        }
        match alteration {
            Alteration::AddColumn => self.add_column(program, rng, table, serial, trace)?,
            Alteration::RenameColumn => {
                let column = rng.below(table.columns.len());
                let name = format!("renamed {serial}");
                let ddl = format!(
                    "ALTER TABLE {} RENAME COLUMN {} TO {}",
                    table.sql(),
                    table.column(column),
                    quote(&name)
                );
                self.done(program, &ddl, trace)?;
                table.columns[column].name = name;
            }
            Alteration::RenameTable => {
                let name = format!("table {serial}");
                let ddl = format!("ALTER TABLE {} RENAME TO {}", table.sql(), quote(&name));
                self.done(program, &ddl, trace)?;
                table.name = name;
            }
            Alteration::DropColumn => self.drop_column(program, table, trace)?,
            Alteration::ChangeType => {
                let column = table
                    .columns
                    .iter()
                    .position(|column| column.declared.kind == Kind::Int)?;
                let name = table.column(column);
                let ddl = format!(
                    "ALTER TABLE {} ALTER COLUMN {name} DROP DEFAULT, ALTER COLUMN {name} TYPE TEXT USING CAST({name} AS TEXT)",
                    table.sql()
                );
                self.done(program, &ddl, trace)?;
                table.columns[column].declared = TEXT;
            }
            Alteration::Recreate => {
                // Only as long as it is what it was at first.
                if table.ddl.is_empty() {
                    return None;
                }
                let ddl = format!("DROP TABLE {}; {}", table.sql(), table.ddl.join("; "));
                self.done(program, &ddl, trace)?;
                return Some(at);
            }
            Alteration::SwapNames => {
                let one = rng.below(table.columns.len());
                let two = (one + 1) % table.columns.len();
                if one == two {
                    return None;
                }
                let rename = format!("ALTER TABLE {} RENAME COLUMN", table.sql());
                let (a, b) = (table.column(one), table.column(two));
                let ddl = format!(
                    "{rename} {a} TO \"on its way\"; {rename} {b} TO {a}; {rename} \"on its way\" TO {b}"
                );
                self.done(program, &ddl, trace)?;
                let name = std::mem::take(&mut table.columns[one].name);
                table.columns[one].name = std::mem::replace(&mut table.columns[two].name, name);
            }
        }
        table.ddl.clear();
        Some(at)
    }

    fn add_column(
        &mut self,
        program: usize,
        rng: &mut Rng,
        table: &mut Table,
        serial: u64,
        trace: &mut Trace,
    ) -> Option<()> {
        let name = format!("added {serial}");
        let default = literal(rng, self.flavour, Kind::Int);
        let ddl = format!(
            "ALTER TABLE {} ADD COLUMN {} INTEGER DEFAULT {default}",
            table.sql(),
            quote(&name)
        );
        self.done(program, &ddl, trace)?;
        table.columns.push(Column {
            name,
            declared: INTEGER,
            generated: false,
            loose: false,
        });
        Some(())
    }

    fn drop_column(&mut self, program: usize, table: &mut Table, trace: &mut Trace) -> Option<()> {
        let column = table
            .columns
            .iter()
            .position(|c| c.name.starts_with("added "))?;
        let sql = table.sql();
        let ddl = format!("ALTER TABLE {sql} DROP COLUMN {}", table.column(column));
        // Announced: SQLite refuses it while a trigger names the column, and capture names all columns.
        if self.flavour.triggers_pin_columns {
            trace.note(format_args!("{ddl}; -- may be refused"));
            let served = &mut self.programs[program].served;
            if let Outcome::Refused(_) = served.execute(&ddl) {
                // Within a transaction, SQLite compiles the next statement as if the column were gone.
                served.execute(&format!("SELECT 1 FROM {sql}"));
                return None;
            }
            self.programs[program].shadow.execute(&ddl);
        } else {
            self.done(program, &ddl, trace)?;
        }
        table.columns.remove(column);
        Some(())
    }

    fn done(&mut self, program: usize, sql: &str, trace: &mut Trace) -> Option<()> {
        matches!(self.execute(program, sql, trace), Outcome::Done { .. }).then_some(())
    }
}
