//! Programs that write to the database behind Highwater's back.
//!
//! Every statement also goes to the *shadow*, the same database without Highwater. What must hold: a statement has the same
//! outcome in both, and both hold the same rows afterwards; so capture neither breaks nor changes what an application does.
//! What is deliberately absent: any look at what Highwater answers.

mod alter;

use crate::flavour::Flavour;
use crate::lab::{Lab, Outcome, Outside, Which};
use crate::rng::Rng;
use crate::schema::Schema;
use crate::statement::{filling, statements};
use crate::trace::Trace;
use crate::values::WILD;

/// What a step did that readers may notice beside changed rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// At most rows were changed.
    Rows,
    /// The database, or a table (by its position), was reorganised, or statistics were added to it.
    Maintained(usize),
    /// The schema of a table (by its position) was changed.
    Altered(usize),
}

/// Several outside programs. Unless the flavour says otherwise, at most one of them is within a transaction.
pub struct Writer {
    flavour: &'static Flavour,
    programs: Vec<Program>,
    /// Names of prepared transactions.
    prepared: Vec<String>,
    /// Whether values are made by the database at random. Then nothing can be compared with the shadow, where others would be made.
    pub wild: bool,
    /// Whether the shadow still gets the same statements.
    has_shadow: bool,
    /// Whether no transaction is to be left open.
    pub keep_closed: bool,
    /// Whether no schema is to be changed, nor anything that looks like it.
    pub keep_schema: bool,
    /// Whether a program that saw older rows has emptied a table since this was last set to false. Capture may not know all rows that
    /// it removed.
    pub emptied_unseen: bool,
    /// Whether a table may be locked even against readers, until no transaction is open.
    pub locks_readers_out: bool,
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
    /// Transactions that were prepared.
    pub prepared: u64,
}

/// Whether a statement empties a table for a program that may not see all its rows.
fn empties_unseen(sql: &str, program: &dyn Outside) -> bool {
    sql.starts_with("TRUNCATE") && program.sees_the_past()
}

impl Counts {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Counts) {
        self.done += other.done;
        self.refused += other.refused;
        self.rolled_back += other.rolled_back;
        self.altered += other.altered;
        self.prepared += other.prepared;
    }
}

struct Program {
    served: Box<dyn Outside>,
    shadow: Box<dyn Outside>,
    /// How many savepoints the open transaction has.
    savepoints: usize,
}

impl Writer {
    /// Connects the programs to both databases.
    pub fn new(lab: &dyn Lab) -> Writer {
        let programs = (0..lab.flavour().outside_programs)
            .map(|number| Program {
                served: lab.outside(Which::Served, number),
                shadow: lab.outside(Which::Shadow, number),
                savepoints: 0,
            })
            .collect();
        Writer {
            flavour: lab.flavour(),
            programs,
            prepared: Vec::new(),
            wild: false,
            has_shadow: true,
            keep_closed: false,
            keep_schema: false,
            emptied_unseen: false,
            locks_readers_out: false,
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
        let step = self.do_step(rng, schema, trace);
        self.locks_readers_out &= self.in_transaction();
        step
    }

    fn do_step(&mut self, rng: &mut Rng, schema: &mut Schema, trace: &mut Trace) -> Step {
        let program = match self.open() {
            Some(program) if !self.flavour.many_writers => program,
            _ => rng.below(self.programs.len()),
        };
        if self.programs[program].served.in_transaction() {
            self.step_within(program, rng, schema, trace);
            return Step::Rows;
        }
        self.step_outside(program, rng, schema, trace)
    }

    /// Ends all open transactions.
    pub fn settle(&mut self, trace: &mut Trace) {
        while let Some(program) = self.open() {
            self.execute(program, "COMMIT", trace);
            if self.programs[program].served.in_transaction() {
                // A deferred constraint is violated.
                self.execute(program, "ROLLBACK", trace);
            }
        }
        while let Some(name) = self.prepared.pop() {
            self.execute(0, &format!("COMMIT PREPARED '{name}'"), trace);
        }
        self.locks_readers_out = false;
    }

    /// Lets every program notice that its connection is lost. (Otherwise, only one statement of a group may be refused.)
    pub fn notice_crash(&mut self, trace: &mut Trace) {
        for program in 0..self.programs.len() {
            self.execute(program, "SELECT 1", trace);
        }
    }

    /// Whether a transaction is open.
    pub fn in_transaction(&self) -> bool {
        self.open().is_some() || !self.prepared.is_empty()
    }

    /// A program within a transaction.
    fn open(&self) -> Option<usize> {
        let mut programs = self.programs.iter();
        programs.position(|program| program.served.in_transaction())
    }

    fn step_outside(
        &mut self,
        program: usize,
        rng: &mut Rng,
        schema: &mut Schema,
        trace: &mut Trace,
    ) -> Step {
        let can_end = !self.programs[0].served.in_transaction();
        if !self.prepared.is_empty() && can_end && rng.chance(30) {
            let name = self.prepared.swap_remove(rng.below(self.prepared.len()));
            let word = rng.word(&["COMMIT", "COMMIT", "ROLLBACK"]);
            // Not everybody may end it.
            self.execute(0, &format!("{word} PREPARED '{name}'"), trace);
            return Step::Rows;
        }
        match rng.weighted(&[(80, 0), (14, 1), (3, 2), (2, 3), (1, 4)]) {
            2..=4 if self.keep_schema => {}
            1 if self.keep_closed => {}
            0 => self.change_rows(program, rng, schema, trace),
            1 => {
                self.execute(program, rng.word(self.flavour.begin), trace);
                self.change_rows(program, rng, schema, trace);
            }
            2 => {
                let at = rng.below(schema.tables.len());
                let table = schema.tables[at].sql();
                let sql = rng.word(self.flavour.maintenance).replace("{}", &table);
                self.execute(program, &sql, trace);
                return Step::Maintained(at);
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
                if self.programs[program].served.in_transaction() {
                    self.execute(program, "ROLLBACK", trace);
                }
            }
        }
        Step::Rows
    }

    fn step_within(&mut self, program: usize, rng: &mut Rng, schema: &Schema, trace: &mut Trace) {
        let savepoints = self.programs[program].savepoints;
        let has_failed = self.programs[program].served.has_failed();
        let verb = match has_failed {
            false => rng.weighted(&[(55, 0), (16, 1), (8, 2), (9, 3), (6, 4), (6, 5), (4, 6)]),
            // All else would be refused.
            true if savepoints > 0 => rng.weighted(&[(3, 4), (1, 1)]),
            true => rng.weighted(&[(2, 2), (1, 1)]),
        };
        match verb {
            0 => self.change_rows(program, rng, schema, trace),
            1 => {
                self.execute(program, "COMMIT", trace);
            }
            2 => {
                self.execute(program, "ROLLBACK", trace);
                self.counts.rolled_back += 1;
            }
            3 => {
                let point = savepoints + 1;
                self.execute(program, &format!("SAVEPOINT point{point}"), trace);
                self.programs[program].savepoints = point;
                self.change_rows(program, rng, schema, trace);
            }
            4 | 5 if savepoints > 0 => {
                let point = 1 + rng.below(savepoints);
                let (words, left) = match verb {
                    4 => ("ROLLBACK TO", point),
                    _ => ("RELEASE", point - 1),
                };
                self.execute(program, &format!("{words} point{point}"), trace);
                self.programs[program].savepoints = left;
            }
            6 if self.flavour.prepared_transactions => {
                let name = format!("prepared {}", self.counts.prepared);
                self.counts.prepared += 1;
                let sql = format!("PREPARE TRANSACTION '{name}'");
                if let Outcome::Done { .. } = self.execute(program, &sql, trace) {
                    self.prepared.push(name);
                }
            }
            _ => self.change_rows(program, rng, schema, trace),
        }
    }

    fn change_rows(&mut self, program: usize, rng: &mut Rng, schema: &Schema, trace: &mut Trace) {
        for mut sql in statements(rng, self.flavour, schema) {
            if self.wild {
                sql = sql.replace(WILD, self.flavour.random_number);
            }
            if self.keep_schema && empties_unseen(&sql, &*self.programs[program].served) {
                continue;
            }
            let outcome = self.execute(program, &sql, trace);
            match outcome {
                Outcome::Done { .. } => self.counts.done += 1,
                Outcome::Refused(_) => self.counts.refused += 1,
            }
        }
    }

    fn execute(&mut self, number: usize, sql: &str, trace: &mut Trace) -> Outcome {
        let shadowed = self.has_shadow && !self.wild;
        let program = &mut self.programs[number];
        let shadow = shadowed.then(|| program.shadow.execute(sql));
        // A statement that has to wait for other programs is refused soon, because nobody else can go on in the meantime. Whether it
        // has to, the shadow tells: who waits for Highwater only must get through.
        let blocked = self.flavour.blocked.map(Outcome::Refused);
        let must_pass = shadow.is_some() && shadow != blocked;
        program.served.be_patient(must_pass);
        self.emptied_unseen |= empties_unseen(sql, &*program.served);
        self.locks_readers_out |= sql.starts_with("TRUNCATE");
        let served = program.served.execute(sql);
        let complaint = match served {
            Outcome::Done { .. } => String::new(),
            Outcome::Refused(_) => program.served.complaint(),
        };
        trace.note(format_args!(
            "program {number}: {sql}; -- {served:?} {complaint}"
        ));
        let within = program.served.in_transaction();
        if !within {
            program.savepoints = 0;
        }
        if let Some(shadow) = shadow {
            self.compare(number, sql, served, shadow);
        }
        served
    }

    /// Checks that a statement had the same outcome in both databases.
    fn compare(&mut self, number: usize, sql: &str, served: Outcome, shadow: Outcome) {
        let program = &self.programs[number];
        // Of several reasons to refuse a statement, each database may name another one.
        let both_refused = matches!((served, shadow), (Outcome::Refused(_), Outcome::Refused(_)));
        let is_in = |codes: &[i64], outcome| matches!(outcome, Outcome::Refused(code) if codes.contains(&code));
        let overlooked = is_in(self.flavour.overlooked, served)
            || is_in(self.flavour.fickle, served)
            || is_in(self.flavour.fickle, shadow);
        if overlooked && !both_refused {
            self.has_shadow = false;
            return;
        }
        assert!(
            served == shadow || both_refused,
            "outcome beside that of the database without Highwater; {sql}\nserved: {served:?} {}\nshadow: {shadow:?} {}",
            program.served.complaint(),
            program.shadow.complaint()
        );
        assert_eq!(
            program.served.in_transaction(),
            program.shadow.in_transaction(),
            "transaction open after {sql}"
        );
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
            let columns: Vec<usize> = (0..table.columns.len()).collect();
            let sql = format!("SELECT {} FROM {}", table.list(&columns), table.rows_sql());
            let [served, shadow] = [Which::Served, Which::Shadow].map(|which| {
                let rows = lab.rows(which, &sql).into_iter();
                let mut rows: Vec<String> = rows.map(|row| format!("{row:?}")).collect();
                rows.sort();
                rows
            });
            assert_eq!(
                served, shadow,
                "rows beside those of the database without Highwater: {sql}"
            );
        }
    }
}
