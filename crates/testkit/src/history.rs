//! Random histories: several clients read while several programs write, and every round is checked.
//!
//! What must hold: a run depends on its seed alone. What is deliberately absent: threads (see `money`) and processes that are
//! killed (see `kill`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::{Client, Progress, Surroundings};
use crate::follower::{Failure, Follower};
use crate::http::Transport;
use crate::lab::Lab;
use crate::model::{EntitySet, discover};
use crate::money::whole;
use crate::query::{ClientQuery, Version};
use crate::rng::Rng;
use crate::schema::Schema;
use crate::trace::Trace;
use crate::writer::{Step, Writer};

/// How much a run does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Steps of writers and clients together.
    pub steps: usize,
    /// Clients at the same time.
    pub clients: usize,
    /// Whether the writers let the database make random values; then a link may end early, because a row may have been removed
    /// without a trace.
    pub wild: bool,
    /// Whether one of the clients forgets things, so that the run must fail.
    pub forgetful: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            steps: 400,
            clients: 5,
            wild: false,
            forgetful: false,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Complete rounds, all of them exact.
    pub rounds: u64,
    /// Pages of these rounds.
    pub pages: u64,
    /// Statements that changed rows.
    pub statements: u64,
    /// Statements that the database refused.
    pub refused: u64,
    /// Links that were void after a schema change.
    pub gone: u64,
    /// Delta links that were followed again.
    pub replays: u64,
    /// Pages that were fetched again.
    pub fetched_again: u64,
    /// Damaged links that were refused.
    pub damaged: u64,
    /// Restarts of the server side.
    pub restarts: u64,
    /// Answers that there was none because a table was locked even against readers.
    pub unavailable: u64,
}

impl Totals {
    /// Adds the totals of another run.
    pub fn add(&mut self, other: &Totals) {
        self.rounds += other.rounds;
        self.pages += other.pages;
        self.statements += other.statements;
        self.refused += other.refused;
        self.gone += other.gone;
        self.replays += other.replays;
        self.fetched_again += other.fetched_again;
        self.damaged += other.damaged;
        self.restarts += other.restarts;
        self.unavailable += other.unavailable;
    }
}

/// One random history on a fresh lab.
///
/// # Errors
///
/// What the service got wrong.
///
/// # Panics
///
/// If Highwater changes what an outside program does.
pub fn run(lab: &mut dyn Lab, seed: u64, plan: Plan, trace: &mut Trace) -> Result<Totals, String> {
    let mut rng = Rng::new(seed);
    let (schema, ddl) = Schema::random(&mut rng, lab.flavour());
    for statement in &ddl {
        trace.note(format_args!("{statement};"));
    }
    lab.create(&ddl);
    let mut writer = Writer::new(lab);
    writer.wild = plan.wild;
    if rng.chance(80) {
        writer.fill(&mut rng, &schema, trace);
        writer.settle(trace);
    }
    let transport = lab.open();
    let (seen_sets, seen_schema) = (discover(&*transport)?, format!("{:?}", schema.tables));
    let mut history = History {
        lab,
        transport,
        writer,
        schema,
        clients: Vec::new(),
        unseen: 0,
        seen_sets,
        seen_schema,
        totals: Totals::default(),
        rng,
    };
    for number in 0..plan.clients {
        let query = history.query(trace)?;
        let mut client = Client::new(number, query);
        client.follower.forgetful = plan.forgetful && number == 0;
        history.clients.push((client, Fate::Valid));
    }
    for _ in 0..plan.steps {
        history.step(trace)?;
    }
    history.finish(trace)?;
    let (counts, mut totals) = (history.writer.counts, history.totals);
    totals.statements = counts.done;
    totals.refused = counts.refused;
    Ok(totals)
}

struct History<'a> {
    lab: &'a mut dyn Lab,
    transport: Arc<dyn Transport>,
    writer: Writer,
    schema: Schema,
    clients: Vec<(Client, Fate)>,
    /// Steps since the last request that may have changed the number by which the database counts changes of its schema.
    unseen: usize,
    /// What the service published last, and the tables at that time.
    seen_sets: Vec<EntitySet>,
    seen_schema: String,
    totals: Totals,
    rng: Rng,
}

/// How long what the service publishes may be out of date.
const NOTICED_MAX: Duration = Duration::from_secs(20);

/// What is to become of a client's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They lead on.
    Valid,
    /// They may be void: the table was rewritten; or another table was changed, and this one refers to it or its triggers do, so that SQLite has rewritten them; or
    /// the number by which SQLite counts changes of the schema went on by several, so that it cannot be told what happened; or the table
    /// was emptied by a program that did not see all its rows.
    Doubtful,
    /// They must be void: the table itself was changed.
    Void,
}

impl History<'_> {
    fn step(&mut self, trace: &mut Trace) -> Result<(), String> {
        match self
            .rng
            .weighted(&[(50, 0), (41, 1), (3, 2), (3, 3), (2, 4), (1, 5)])
        {
            0 => self.write(trace),
            verb @ (1..=4) => {
                let number = self.rng.below(self.clients.len());
                match verb {
                    1 => return self.read(number, trace),
                    _ if self.clients[number].1 != Fate::Valid => {}
                    _ if self.writer.locks_readers_out => {}
                    _ => return self.probe(number, verb, trace),
                }
            }
            // A table that was changed has to be tracked anew, for which the server would wait in vain.
            _ if self.writer.in_transaction()
                && (self.writer.keep_closed
                    || self.writer.locks_readers_out
                    || !self.lab.flavour().many_writers) => {}
            _ => {
                trace.note(format_args!("restart"));
                self.totals.restarts += 1;
                self.transport = self.lab.open();
                if self.lab.crashes() {
                    self.writer.notice_crash(trace);
                    self.doubt(|_| true);
                    let clients = self.clients.iter_mut();
                    clients.for_each(|(client, _)| client.forget_links());
                }
                self.seen_sets = discover(&*self.transport)?;
                self.seen_schema = format!("{:?}", self.schema.tables);
                self.writer.keep_schema = false;
                self.writer.keep_closed = false;
            }
        }
        Ok(())
    }

    fn write(&mut self, trace: &mut Trace) {
        let step = self.writer.step(&mut self.rng, &mut self.schema, trace);
        let spreads = self.lab.flavour().changes_spread;
        let altered = match step {
            Step::Rows => {
                self.doubt_emptied();
                return;
            }
            Step::Maintained(_) if spreads => None,
            Step::Maintained(table) => {
                self.doubt(|client| client.table() == table);
                return;
            }
            Step::Altered(table) => Some(table),
        };
        if !spreads {
            // What the service publishes is to be seen to change, one change after the other.
            self.writer.keep_schema = true;
        }
        // The server has to write before it can answer again, for which it would wait in vain for an open transaction.
        self.writer.keep_closed = true;
        self.unseen += 1;
        for (client, fate) in &mut self.clients {
            *fate = match *fate {
                _ if altered == Some(client.table()) => Fate::Void,
                Fate::Valid if spreads && (altered.is_some() || self.unseen > 1) => Fate::Doubtful,
                other => other,
            };
        }
    }

    /// A table may have been emptied, or will be when a transaction ends, by somebody who did not see all its rows.
    fn doubt_emptied(&mut self) {
        if !self.writer.emptied_unseen {
            return;
        }
        self.writer.emptied_unseen = self.writer.in_transaction();
        self.doubt(|_| true);
    }

    /// Some links may be void.
    fn doubt(&mut self, whose: impl Fn(&Client) -> bool) {
        for (client, fate) in &mut self.clients {
            if *fate == Fate::Valid && whose(client) {
                *fate = Fate::Doubtful;
            }
        }
    }

    /// Waits until the service publishes another schema than before the last change, and tracks all tables again. (A link of a changed
    /// table is void at once; but what is published may be a moment old.)
    fn await_schema(&mut self, trace: &mut Trace) -> Result<(), String> {
        if !self.writer.keep_schema {
            return Ok(());
        }
        self.writer.settle(trace);
        let begin = Instant::now();
        let schema = format!("{:?}", self.schema.tables);
        loop {
            let sets = discover(&*self.transport)?;
            let is_seen = schema == self.seen_schema || sets != self.seen_sets;
            if is_seen && sets.iter().all(|set| is_tracked(&*self.transport, set)) {
                self.seen_sets = sets;
                self.seen_schema = schema;
                self.writer.keep_schema = false;
                self.writer.keep_closed = false;
                return Ok(());
            }
            if begin.elapsed() > NOTICED_MAX {
                let untracked = sets.iter().filter(|set| !is_tracked(&*self.transport, set));
                let untracked: Vec<&str> = untracked.map(|set| set.name.as_str()).collect();
                return Err(match is_seen {
                    true => format!("these are not tracked again: {untracked:?}"),
                    false => "the service does not notice that the schema is another".to_owned(),
                });
            }
            std::thread::yield_now();
        }
    }

    fn read(&mut self, number: usize, trace: &mut Trace) -> Result<(), String> {
        if self.rng.chance(30) {
            self.await_schema(trace)?;
        }
        let waits = self.writer.locks_readers_out && self.rng.chance(80);
        if waits || (self.writer.keep_closed && self.lab.flavour().many_writers) {
            // Others than the one that changed the schema may be within transactions. And nobody can read a table that is locked.
            self.writer.settle(trace);
            self.doubt_emptied();
        }
        let around = Surroundings {
            lab: self.lab,
            schema: &self.schema,
            transport: &*self.transport,
        };
        if !self.writer.in_transaction() {
            self.writer.keep_closed &= self.writer.keep_schema;
            self.unseen = 0;
        }
        let (client, fate) = &mut self.clients[number];
        if *fate == Fate::Void && !client.follower.has_link() {
            return self.replace(number, trace);
        }
        let progress = match client.step(around, trace) {
            Err(Failure::Unavailable) if self.writer.locks_readers_out => {
                self.totals.unavailable += 1;
                return Ok(());
            }
            progress => progress?,
        };
        match (*fate, progress) {
            (Fate::Void, Progress::Gone) => {
                self.totals.gone += 1;
                return self.replace(number, trace);
            }
            (Fate::Void, _) => return Err("the link of a changed table was answered".to_owned()),
            (Fate::Doubtful, Progress::Gone) => self.totals.gone += 1,
            (Fate::Valid, Progress::Gone) if self.writer.wild => self.totals.gone += 1,
            (Fate::Valid, Progress::Gone) => return Err("a link is gone for no reason".to_owned()),
            (Fate::Valid | Fate::Doubtful, Progress::Page) => self.totals.pages += 1,
            (Fate::Valid | Fate::Doubtful, Progress::Round) => {
                self.totals.pages += 1;
                self.totals.rounds += 1;
            }
        }
        *fate = Fate::Valid;
        Ok(())
    }

    /// Puts a client with another query in the place of one whose table is not the same any more.
    fn replace(&mut self, number: usize, trace: &mut Trace) -> Result<(), String> {
        let query = self.query(trace)?;
        trace.note(format_args!(
            "client {number} begins anew with {}",
            query.url()
        ));
        self.clients[number] = (Client::new(number, query), Fate::Valid);
        Ok(())
    }

    fn probe(&mut self, number: usize, verb: i32, trace: &mut Trace) -> Result<(), String> {
        let around = Surroundings {
            lab: self.lab,
            schema: &self.schema,
            transport: &*self.transport,
        };
        let (client, rng) = (&self.clients[number].0, &mut self.rng);
        let (counter, done) = match verb {
            2 => (&mut self.totals.replays, client.replay(around, rng, trace)?),
            3 => (
                &mut self.totals.fetched_again,
                client.fetch_again(around, rng, trace)?,
            ),
            _ => (&mut self.totals.damaged, client.damage(around, rng, trace)?),
        };
        match done {
            None => {}
            Some(Progress::Gone) if self.writer.wild => {}
            Some(Progress::Gone) => return Err("an earlier link is gone for no reason".to_owned()),
            Some(Progress::Page | Progress::Round) => *counter += 1,
        }
        Ok(())
    }

    /// Lets every client complete its round and read another one, which brings all copies to the final state.
    fn finish(&mut self, trace: &mut Trace) -> Result<(), String> {
        self.writer.settle(trace);
        self.doubt_emptied();
        self.writer.compare_with_shadow(self.lab, &self.schema);
        for number in 0..self.clients.len() {
            while self.clients[number].1 != Fate::Valid
                || !self.clients[number].0.follower.begins_round()
            {
                self.read(number, trace)?;
            }
            let rounds = self.totals.rounds;
            while self.totals.rounds < rounds + 2 {
                self.read(number, trace)?;
            }
        }
        Ok(())
    }

    fn query(&mut self, trace: &mut Trace) -> Result<ClientQuery, String> {
        self.await_schema(trace)?;
        random_query(self.lab, &*self.transport, &self.schema, &mut self.rng)
    }
}

/// Whether a service gives links for an entity set.
fn is_tracked(transport: &dyn Transport, set: &EntitySet) -> bool {
    let query = whole(set, Version::V4_01, 1);
    let mut follower = Follower::new(query);
    follower.step(transport).is_ok()
}

/// A random query for a random table, as the service publishes it now.
///
/// # Errors
///
/// See [`published`].
pub fn random_query(
    lab: &dyn Lab,
    transport: &dyn Transport,
    schema: &Schema,
    rng: &mut Rng,
) -> Result<ClientQuery, String> {
    let sets = published(transport, schema)?;
    let at = rng.below(schema.tables.len());
    Ok(ClientQuery::random(
        rng,
        lab.flavour(),
        (at, &schema.tables[at]),
        &sets[at],
    ))
}

/// The entity sets in the order of the schema's tables.
///
/// # Errors
///
/// The service does not publish exactly these tables with exactly these columns.
pub fn published(transport: &dyn Transport, schema: &Schema) -> Result<Vec<EntitySet>, String> {
    let sets = discover(transport)?;
    let mut by_name: Vec<usize> = (0..schema.tables.len()).collect();
    by_name.sort_by_key(|at| (schema.tables[*at].schema, &schema.tables[*at].name));
    if sets.len() != by_name.len() {
        return Err(format!("{} tables, but {sets:?}", by_name.len()));
    }
    let mut ordered = vec![None; sets.len()];
    for (set, at) in sets.into_iter().zip(by_name) {
        let columns = &schema.tables[at].columns;
        if set.properties.len() != columns.len() || set.key.is_empty() {
            return Err(format!("{columns:?}, but {set:?}"));
        }
        ordered[at] = Some(set);
    }
    Ok(ordered.into_iter().flatten().collect())
}
