//! Backups that are restored, and history that is forgotten.
//!
//! What must hold: a link whose state is in the past of the restored database goes on and is exact; any other is 410 and says
//! where to begin anew, and the new first round is exact (DESIGN section 3). What is deliberately absent: a link that is
//! answered wrongly is never excused. If what is restored is not the database itself but a copy of it, no link goes on.

use std::sync::Arc;

use crate::client::{Client, Progress, Surroundings};
use crate::history::random_query;
use crate::http::Transport;
use crate::lab::{Lab, Which};
use crate::oracle::State;
use crate::rng::Rng;
use crate::schema::Schema;
use crate::trace::Trace;
use crate::writer::{Step, Writer};

/// Clients in a run.
const CLIENTS: usize = 4;

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Complete rounds, all of them exact.
    pub rounds: u64,
    /// Links that were void.
    pub gone: u64,
}

impl Totals {
    /// Adds the totals of another run.
    pub fn add(&mut self, other: &Totals) {
        self.rounds += other.rounds;
        self.gone += other.gone;
    }
}

struct Run<'a> {
    lab: &'a mut dyn Lab,
    transport: Arc<dyn Transport>,
    schema: Schema,
    rng: Rng,
    clients: Vec<Client>,
    totals: Totals,
}

impl<'a> Run<'a> {
    fn new(lab: &'a mut dyn Lab, seed: u64, trace: &mut Trace) -> Result<Run<'a>, String> {
        let mut rng = Rng::new(seed);
        let (schema, ddl) = Schema::random(&mut rng, lab.flavour());
        for statement in &ddl {
            trace.note(format_args!("{statement};"));
        }
        lab.create(&ddl);
        let transport = lab.open();
        let mut run = Run {
            lab,
            transport,
            schema,
            rng,
            clients: Vec::new(),
            totals: Totals::default(),
        };
        let mut writer = Writer::new(run.lab);
        writer.fill(&mut run.rng, &run.schema, trace);
        for number in 0..CLIENTS {
            let query = random_query(run.lab, &*run.transport, &run.schema, &mut run.rng)?;
            run.clients.push(Client::new(number, query));
        }
        Ok(run)
    }

    /// Changes rows, but no schema: restoring an older schema is a schema change of its own.
    fn write(&mut self, steps: usize, trace: &mut Trace) {
        let mut writer = Writer::new(self.lab);
        writer.keep_schema = true;
        for _ in 0..steps {
            let step = writer.step(&mut self.rng, &mut self.schema, trace);
            assert_eq!(step, Step::Rows, "the writer keeps the schema");
        }
        writer.settle(trace);
    }

    /// Lets a client send so many requests.
    fn read(&mut self, number: usize, requests: usize, trace: &mut Trace) -> Result<(), String> {
        for _ in 0..requests {
            if self.request(number, trace)? == Progress::Gone {
                return Err("a link is gone for no reason".to_owned());
            }
        }
        Ok(())
    }

    /// Lets a client complete a round.
    fn read_round(&mut self, number: usize, trace: &mut Trace) -> Result<(), String> {
        loop {
            match self.request(number, trace)? {
                Progress::Page => {}
                Progress::Round => return Ok(()),
                Progress::Gone => return Err("a link is gone for no reason".to_owned()),
            }
        }
    }

    fn request(&mut self, number: usize, trace: &mut Trace) -> Result<Progress, String> {
        let around = Surroundings {
            lab: self.lab,
            schema: &self.schema,
            transport: &*self.transport,
        };
        let progress = self.clients[number].step(around, trace)?;
        self.totals.rounds += u64::from(progress == Progress::Round);
        self.totals.gone += u64::from(progress == Progress::Gone);
        Ok(progress)
    }

    /// Expects 410 from a client's link, and an exact first round from its `Location`.
    fn expect_gone(&mut self, number: usize, trace: &mut Trace) -> Result<(), String> {
        let url = self.clients[number].follower.url().to_owned();
        let progress = self.request(number, trace)?;
        if progress != Progress::Gone {
            return Err(format!(
                "client {number}: a void link was answered: {url}: {progress:?}"
            ));
        }
        self.read_round(number, trace)?;
        self.read_round(number, trace)
    }

    /// What a client's query is answered at the moment.
    fn answer(&self, number: usize) -> State {
        let around = Surroundings {
            lab: self.lab,
            schema: &self.schema,
            transport: &*self.transport,
        };
        self.clients[number].state(around)
    }

    /// All rows of all tables.
    fn contents(&self) -> String {
        let rows = self.schema.tables.iter().map(|table| {
            let sql = format!("SELECT * FROM {}", table.rows_sql());
            format!("{:?}", self.lab.rows(Which::Served, &sql))
        });
        rows.collect::<Vec<_>>().join("\n")
    }
}

/// Restores a backup while the server is stopped or, if `open`, while it runs; then lets the database take another course.
///
/// # Errors
///
/// A link was answered wrongly, or not although it could have been.
pub fn run_restored(
    lab: &mut dyn Lab,
    seed: u64,
    open: bool,
    trace: &mut Trace,
) -> Result<Totals, String> {
    let mut run = Run::new(lab, seed, trace)?;
    for number in 0..CLIENTS {
        run.read_round(number, trace)?;
    }
    let steps = run.rng.below(10);
    run.write(steps, trace);
    // Some clients are within a round when the backup is made.
    for number in 0..CLIENTS {
        let requests = run.rng.below(3);
        run.read(number, requests, trace)?;
    }
    trace.note(format_args!("backup"));
    let backup = run.lab.backup();
    let at_backup = run.clients.clone();
    let answers: Vec<_> = (0..CLIENTS).map(|number| run.answer(number)).collect();
    let contents = run.contents();

    let steps = 1 + run.rng.below(25);
    run.write(steps, trace);
    if run.contents() == contents {
        // The writers did nothing, so there are no two courses. (Records may have been written, so links may be void.)
        return Ok(run.totals);
    }
    let mut void = Vec::new();
    // The first client is not heard of until after the restoration.
    for (number, answer) in answers.iter().enumerate().skip(1) {
        while !run.clients[number].follower.begins_round() {
            run.read(number, 1, trace)?;
        }
        // Only a client whose answer has changed since the backup is sure to get a link to a state that will never have been.
        if run.answer(number) != *answer {
            let requests = 1 + run.rng.below(3);
            run.read(number, requests, trace)?;
            void.push(number);
        }
    }

    if !open {
        run.lab.close();
    }
    trace.note(format_args!("restore"));
    run.lab.restore(backup);
    if !open {
        run.transport = run.lab.open();
    }
    let steps = run.rng.below(40);
    run.write(steps, trace);
    for (number, earlier) in at_backup.into_iter().enumerate() {
        if void.contains(&number) {
            run.expect_gone(number, trace)?;
        }
        run.clients[number] = earlier;
        if run.lab.restores_itself() {
            // Links from before the backup go on.
            run.read_round(number, trace)?;
            run.read_round(number, trace)?;
        } else {
            run.expect_gone(number, trace)?;
        }
    }
    Ok(run.totals)
}

/// Forgets the history, and expects the links that need it to be void and all others to live on.
///
/// # Errors
///
/// A link was answered wrongly, or not although it could have been.
pub fn run_pruned(lab: &mut dyn Lab, seed: u64, trace: &mut Trace) -> Result<Totals, String> {
    let mut run = Run::new(lab, seed, trace)?;
    for number in 0..CLIENTS {
        run.read_round(number, trace)?;
    }
    for _ in 0..4 {
        let steps = run.rng.below(12);
        run.write(steps, trace);
        for number in 0..CLIENTS {
            let requests = run.rng.below(3);
            run.read(number, requests, trace)?;
        }
        trace.note(format_args!("prune"));
        run.lab.prune();
        for number in 0..CLIENTS {
            let around = Surroundings {
                lab: run.lab,
                schema: &run.schema,
                transport: &*run.transport,
            };
            let client = &run.clients[number];
            let unchanged = client.between() == Some(&client.state(around));
            let within = !client.follower.begins_round();
            match run.request(number, trace)? {
                // The answer is the same, but rows may have changed and changed back, or columns that are not shown.
                Progress::Gone => {
                    run.read_round(number, trace)?;
                    run.read_round(number, trace)?;
                }
                Progress::Round => {}
                Progress::Page if within => {}
                Progress::Page if unchanged => {
                    return Err("an empty round has two pages".to_owned());
                }
                Progress::Page => {}
            }
        }
    }
    // Everybody is up to date and nothing happens: links live on, however often the history is forgotten.
    for number in 0..CLIENTS {
        while !run.clients[number].follower.begins_round() {
            run.request(number, trace)?;
        }
        if run.clients[number].follower.has_link() {
            run.request(number, trace)?;
        }
        while !run.clients[number].follower.begins_round()
            || !run.clients[number].follower.has_link()
        {
            run.request(number, trace)?;
        }
    }
    for _ in 0..2 {
        run.lab.prune();
        for number in 0..CLIENTS {
            run.read_round(number, trace)?;
        }
    }
    Ok(run.totals)
}
