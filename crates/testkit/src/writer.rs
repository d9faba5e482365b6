//! Programs that write to the database behind Highwater's back.
//!
//! Every statement also goes to the *shadow*, the same database without Highwater. What must hold: a statement has the same
//! outcome in both, and both hold the same rows afterwards; so capture neither breaks nor changes what an application does.
//! What is deliberately absent: any look at what Highwater answers.

use crate::flavour::{Flavour, Kind};
use crate::lab::{Lab, Outcome, Outside, Which};
use crate::rng::Rng;
use crate::schema::{Column, Schema};
use crate::statement::{filling, statements};
use crate::trace::Trace;
use crate::values::{WILD, literal, quote};

/// What a step did that readers may notice beside changed rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// At most rows were changed.
    Rows,
    /// The database was reorganised, or statistics were added to it.
    Maintained,
    /// The schema of a table (by its position) was changed.
    Altered(usize),
}

/// Several outside programs, at most one of them within a transaction.
pub struct Writer {
    flavour: &'static Flavour,
    programs: Vec<Program>,
    /// The program within a transaction.
    open: Option<usize>,
    savepoints: usize,
    /// Whether values are made by the database at random. Then nothing can be compared with the shadow, where others would be made.
    pub wild: bool,
    /// Whether the shadow still gets the same statements.
    has_shadow: bool,
    /// Whether no transaction is to be left open.
    pub keep_closed: bool,
    /// Whether no schema is to be changed, nor anything that looks like it.
    pub keep_schema: bool,
    /// How many statements were done, and how many were refused.
    pub counts: Counts,
}

/// How much was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Statements that the database executed.
    pub done: u64,
    /// Statements that the database refused.
    pub refused: u64,
    /// Transactions that were rolled back.
    pub rolled_back: u64,
    /// Schema changes.
    pub altered: u64,
}

struct Program {
    served: Box<dyn Outside>,
    shadow: Box<dyn Outside>,
}

impl Writer {
    /// Connects the programs to both databases.
    pub fn new(lab: &dyn Lab) -> Writer {
        let programs = (0..lab.flavour().outside_programs)
            .map(|number| Program {
                served: lab.outside(Which::Served, number),
                shadow: lab.outside(Which::Shadow, number),
            })
            .collect();
        Writer {
            flavour: lab.flavour(),
            programs,
            open: None,
            savepoints: 0,
            wild: false,
            has_shadow: true,
            keep_closed: false,
            keep_schema: false,
            counts: Counts::default(),
        }
    }

    /// Puts the first rows into the tables.
    pub fn fill(&mut self, rng: &mut Rng, schema: &Schema, trace: &mut Trace) {
        for sql in filling(rng, self.flavour, schema) {
            self.execute(0, &sql, trace);
        }
    }

    /// Does something.
    ///
    /// # Panics
    ///
    /// If a statement had another outcome than in the shadow.
    pub fn step(&mut self, rng: &mut Rng, schema: &mut Schema, trace: &mut Trace) -> Step {
        match self.open {
            Some(program) => {
                self.step_within(program, rng, schema, trace);
                Step::Rows
            }
            None => self.step_outside(rng, schema, trace),
        }
    }

    /// Ends the open transaction, if there is one.
    pub fn settle(&mut self, trace: &mut Trace) {
        if let Some(program) = self.open {
            self.execute(program, "COMMIT", trace);
            if self.open.is_some() {
                // A deferred constraint is violated.
                self.execute(program, "ROLLBACK", trace);
            }
        }
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.open.is_some()
    }

    fn step_outside(&mut self, rng: &mut Rng, schema: &mut Schema, trace: &mut Trace) -> Step {
        let program = rng.below(self.programs.len());
        match rng.weighted(&[(80, 0), (14, 1), (3, 2), (2, 3), (1, 4)]) {
            2..=4 if self.keep_schema => {}
            1 if self.keep_closed => {}
            0 => self.change_rows(program, rng, schema, trace),
            1 => {
                self.execute(program, rng.word(self.flavour.begin), trace);
                self.change_rows(program, rng, schema, trace);
            }
            2 => {
                self.execute(program, rng.word(self.flavour.maintenance), trace);
                return Step::Maintained;
            }
            3 => {
                if let Some(table) = self.alter(program, rng, schema, trace) {
                    return Step::Altered(table);
                }
            }
            _ => {
                // A schema change that never happened.
                self.execute(program, "BEGIN", trace);
                let mut changed = schema.clone();
                self.alter(program, rng, &mut changed, trace);
                self.change_rows(program, rng, &changed, trace);
                if self.open.is_some() {
                    self.execute(program, "ROLLBACK", trace);
                }
            }
        }
        Step::Rows
    }

    fn step_within(&mut self, program: usize, rng: &mut Rng, schema: &Schema, trace: &mut Trace) {
        match rng.weighted(&[(55, 0), (16, 1), (8, 2), (9, 3), (6, 4), (6, 5)]) {
            0 => self.change_rows(program, rng, schema, trace),
            1 => {
                self.execute(program, "COMMIT", trace);
            }
            2 => {
                self.execute(program, "ROLLBACK", trace);
                self.counts.rolled_back += 1;
            }
            3 => {
                self.savepoints += 1;
                self.execute(
                    program,
                    &format!("SAVEPOINT point{}", self.savepoints),
                    trace,
                );
                self.change_rows(program, rng, schema, trace);
            }
            verb if self.savepoints > 0 => {
                let point = 1 + rng.below(self.savepoints);
                let words = if verb == 4 { "ROLLBACK TO" } else { "RELEASE" };
                self.execute(program, &format!("{words} point{point}"), trace);
                self.savepoints = if verb == 4 { point } else { point - 1 };
            }
            _ => self.change_rows(program, rng, schema, trace),
        }
    }

    fn change_rows(&mut self, program: usize, rng: &mut Rng, schema: &Schema, trace: &mut Trace) {
        for mut sql in statements(rng, self.flavour, schema) {
            if self.wild {
                sql = sql.replace(WILD, self.flavour.random_number);
            }
            let outcome = self.execute(program, &sql, trace);
            match outcome {
                Outcome::Done { .. } => self.counts.done += 1,
                Outcome::Refused(_) => self.counts.refused += 1,
            }
        }
    }

    /// Changes the schema of a table; returns which, if the database did it.
    fn alter(
        &mut self,
        program: usize,
        rng: &mut Rng,
        schema: &mut Schema,
        trace: &mut Trace,
    ) -> Option<usize> {
        let at = rng.below(schema.tables.len());
        let serial = self.counts.altered;
        self.counts.altered += 1;
        let table = &mut schema.tables[at];
        let sql = table.sql();
        match rng.below(4) {
            0 => {
                let kind = Kind::Int;
                let name = format!("added {serial}");
                let default = literal(rng, kind);
                let ddl = format!(
                    "ALTER TABLE {sql} ADD COLUMN {} INTEGER DEFAULT {default}",
                    quote(&name)
                );
                self.done(program, &ddl, trace)?;
                table.columns.push(Column {
                    name,
                    kind,
                    generated: false,
                    loose: false,
                });
            }
            1 => {
                let column = rng.below(table.columns.len());
                let name = format!("renamed {serial}");
                let old = table.column(column);
                let ddl = format!("ALTER TABLE {sql} RENAME COLUMN {old} TO {}", quote(&name));
                self.done(program, &ddl, trace)?;
                table.columns[column].name = name;
            }
            2 => {
                let name = format!("table {serial}");
                self.done(
                    program,
                    &format!("ALTER TABLE {sql} RENAME TO {}", quote(&name)),
                    trace,
                )?;
                table.name = name;
            }
            _ => {
                let column = table
                    .columns
                    .iter()
                    .position(|c| c.name.starts_with("added "))?;
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
            }
        }
        Some(at)
    }

    fn done(&mut self, program: usize, sql: &str, trace: &mut Trace) -> Option<()> {
        matches!(self.execute(program, sql, trace), Outcome::Done { .. }).then_some(())
    }

    fn execute(&mut self, number: usize, sql: &str, trace: &mut Trace) -> Outcome {
        let program = &mut self.programs[number];
        let served = program.served.execute(sql);
        trace.note(format_args!("program {number}: {sql}; -- {served:?}"));
        let within = program.served.in_transaction();
        if self.has_shadow && !self.wild {
            let shadow = program.shadow.execute(sql);
            // Of several reasons to refuse a statement, each database may name another one.
            let refused = |outcome| matches!(outcome, Outcome::Refused(_));
            let both_refused = refused(served) && refused(shadow);
            if let Outcome::Refused(code) = served
                && !both_refused
                && self.flavour.overlooked.contains(&code)
            {
                self.has_shadow = false;
            } else {
                assert!(
                    served == shadow || both_refused,
                    "outcome beside that of the database without Highwater; {sql}\nserved: {served:?} {}\nshadow: {shadow:?} {}",
                    program.served.complaint(),
                    program.shadow.complaint()
                );
                assert_eq!(
                    within,
                    program.shadow.in_transaction(),
                    "transaction open after {sql}"
                );
            }
        }
        self.open = within.then_some(number);
        if !within {
            self.savepoints = 0;
        }
        served
    }

    /// Compares all rows with those of the shadow, if it got all statements.
    ///
    /// # Panics
    ///
    /// If they differ.
    pub fn compare_with_shadow(&self, lab: &dyn Lab, schema: &Schema) {
        if self.wild || !self.has_shadow {
            return;
        }
        for table in &schema.tables {
            let columns: Vec<String> = (0..table.columns.len())
                .map(|at| table.column(at))
                .collect();
            let sql = format!(
                "SELECT {0} FROM {1} ORDER BY {0}",
                columns.join(", "),
                table.sql()
            );
            let (served, shadow) = (lab.rows(Which::Served, &sql), lab.rows(Which::Shadow, &sql));
            assert_eq!(
                served, shadow,
                "rows beside those of the database without Highwater: {sql}"
            );
        }
    }
}
