//! Conservation of money: several threads move money between accounts without a pause while clients page.
//!
//! No state of the database can be noted here, because it changes all the time. But every committed state has the same total, so
//! every completed round must show it; a round that mixes two states shows another. What must hold: nothing waits for a time;
//! the writers write until the clients have read their rounds. What is deliberately absent: filters, which would hide accounts.

use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::{Client, Surroundings};
use crate::flavour::{Declared, Flavour, Kind};
use crate::follower::{Failure, Follower, Turn};
use crate::history::published;
use crate::http::Transport;
use crate::key::EntityKey;
use crate::lab::{Lab, Outcome, Outside, Which};
use crate::model::EntitySet;
use crate::query::{ClientQuery, Version};
use crate::render::Canon;
use crate::rng::Rng;
use crate::schema::{Column, Family, Schema, Table};

/// Accounts at first.
const ACCOUNTS: i64 = 60;
/// Money in each.
const BALANCE: i64 = 1_000;
/// Two accounts that only lingering transactions touch. Others would have to wait for them.
const RESERVED: [i64; 2] = [1_001, 1_002];
/// All money.
const TOTAL: i64 = (ACCOUNTS + 2) * BALANCE;
/// How long the service may be away.
const TROUBLE_MAX: Duration = Duration::from_secs(60);
/// So many transactions of others a lingering one lets pass before it ends.
const LINGERED: u64 = 50;

/// How much a run does.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Programs that write at the same time.
    pub writers: usize,
    /// Clients that read at the same time.
    pub clients: usize,
    /// Rounds that each client reads at least.
    pub rounds: usize,
    /// Entities on a page at most; each client has a size of its own.
    pub page_max: usize,
    /// How long they read at least.
    pub time: Duration,
    /// Whether one more program keeps transactions open, in which it has written, while the others end many.
    pub lingers: bool,
    /// Whether requests may fail for a while, because something is restarted meanwhile.
    pub amid_trouble: bool,
}

/// Creates the accounts in both databases; gives the schema.
pub fn create(lab: &mut dyn Lab) -> Schema {
    let mut ddl = vec![
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER NOT NULL)"
            .to_owned(),
    ];
    for id in (1..=ACCOUNTS).chain(RESERVED) {
        ddl.push(format!(
            "INSERT INTO accounts VALUES ({id}, 'owner {id}', {BALANCE})"
        ));
    }
    lab.create(&ddl);
    let column = |name: &str, sql, kind| Column {
        name: name.into(),
        declared: Declared {
            sql,
            kind,
            strict: true,
            comparable: true,
        },
        generated: false,
        loose: false,
    };
    let table = Table {
        schema: "",
        name: "accounts".into(),
        columns: vec![
            column("id", "INTEGER", Kind::Int),
            column("owner", "TEXT", Kind::Text),
            column("balance", "INTEGER", Kind::Int),
        ],
        key: vec![0],
        targets: vec![vec![0]],
        strict: true,
        hidden_rowid: None,
        unlogged: false,
        family: Family::Single,
        ddl: Vec::new(),
    };
    Schema {
        tables: vec![table],
    }
}

/// A query over the whole set.
pub fn whole(set: &EntitySet, version: Version, page_size: usize) -> ClientQuery {
    ClientQuery {
        table: 0,
        set: set.clone(),
        filter: None,
        search: None,
        select: None,
        version,
        full_metadata: false,
        ieee754: false,
        page_size: Some(page_size),
    }
}

/// Runs writers and clients at the same time. Returns how many transactions and rounds there were.
///
/// # Errors
///
/// A round shows another total, or an account twice; or the copies differ from the database in the end.
pub fn run(lab: &mut dyn Lab, seed: u64, plan: Plan) -> Result<(u64, u64), String> {
    run_amid(lab, seed, plan, |_, _| {})
}

/// The same while `trouble` goes on in another thread; it is to end when the work is over, and to leave everything running.
///
/// # Errors
///
/// See [`run`].
pub fn run_amid(
    lab: &mut dyn Lab,
    seed: u64,
    plan: Plan,
    trouble: impl FnOnce(&Work, Rng) + Send,
) -> Result<(u64, u64), String> {
    let mut rng = Rng::new(seed);
    let schema = create(lab);
    let transport = lab.open();
    let sets = published(&*transport, &schema)?;
    let flavour = lab.flavour();
    let mut clients: Vec<Client> = (0..plan.clients)
        .map(|number| {
            let version = if number % 2 == 0 {
                Version::V4_0
            } else {
                Version::V4_01
            };
            Client::new(
                number,
                whole(&sets[0], version, 1 + rng.below(plan.page_max)),
            )
        })
        .collect();
    let mut writers: Vec<(Box<dyn Outside>, Rng)> = (0..plan.writers)
        .map(|number| (lab.outside(Which::Served, number), rng.fork()))
        .collect();
    let (mut lingering, lingering_rng) = (lab.outside(Which::Served, plan.writers), rng.fork());
    let work = Work::default();
    let outcome = std::thread::scope(|scope| {
        let (work, transport) = (&work, &*transport);
        let begin = Instant::now();
        for (program, rng) in &mut writers {
            scope.spawn(move || {
                program.be_patient(true);
                while !work.is_over() {
                    if transfer(&mut **program, flavour, rng) {
                        work.count();
                    }
                }
            });
        }
        if plan.lingers {
            scope.spawn(move || linger(&mut *lingering, lingering_rng, work));
        }
        let troubling_rng = rng.fork();
        scope.spawn(move || trouble(work, troubling_rng));
        let reading: Vec<_> = clients
            .iter_mut()
            .map(|client| {
                let follower = &mut client.follower;
                scope.spawn(move || read_rounds(follower, transport, plan, begin, work))
            })
            .collect();
        let outcomes: Vec<_> = reading
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        work.end();
        outcomes.into_iter().try_fold(0, |rounds, outcome| {
            let outcome = outcome.unwrap_or_else(|_| Err("a client panicked".to_owned()));
            Ok(rounds + outcome?)
        })
    });
    let rounds: u64 = outcome.map_err(|error: String| error)?;
    let around = Surroundings {
        lab,
        schema: &schema,
        transport: &*transport,
    };
    for client in &mut clients {
        settle(client, around)?;
    }
    Ok((work.transactions(), rounds))
}

/// What the writers and the clients have done together.
#[derive(Default)]
pub struct Work {
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    transactions: u64,
    rounds: u64,
    is_over: bool,
}

impl Work {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the clients have read enough.
    pub fn is_over(&self) -> bool {
        self.progress().is_over
    }

    /// Waits until the clients have completed so many more rounds, or all is over.
    pub fn wait_for_rounds(&self, rounds: u64) {
        let progress = self.progress();
        let until = progress.rounds + rounds;
        let _ended = self
            .moved
            .wait_while(progress, |now| now.rounds < until && !now.is_over);
    }

    fn count_round(&self) {
        self.progress().rounds += 1;
        self.moved.notify_all();
    }

    fn transactions(&self) -> u64 {
        self.progress().transactions
    }

    fn count(&self) {
        self.progress().transactions += 1;
        self.moved.notify_all();
    }

    fn end(&self) {
        self.progress().is_over = true;
        self.moved.notify_all();
    }

    /// Waits until others have ended so many transactions, or all is over.
    fn wait(&self, transactions: u64) {
        let progress = self.progress();
        let until = progress.transactions + transactions;
        let _ended = self
            .moved
            .wait_while(progress, |now| now.transactions < until && !now.is_over);
    }
}

/// Reads the last changes of a client without writers beside it, and compares its copy with the database.
fn settle(client: &mut Client, around: Surroundings<'_>) -> Result<(), String> {
    // A round that is under way shows the state when it began.
    let mut rounds = if client.follower.begins_round() { 1 } else { 2 };
    while rounds > 0 {
        match client.follower.step(around.transport)?.0 {
            Turn::Page => {}
            Turn::Gone => return Err("a link is gone for no reason".to_owned()),
            Turn::Round { .. } => rounds -= 1,
        }
    }
    let (copy, answer) = (client.follower.copy(), client.state(around).answer());
    if *copy == answer {
        return Ok(());
    }
    Err(format!("the copy is {copy:?}, the database {answer:?}"))
}

/// Reads rounds until there were enough; returns how many.
fn read_rounds(
    follower: &mut Follower,
    transport: &dyn Transport,
    plan: Plan,
    begin: Instant,
    work: &Work,
) -> Result<u64, String> {
    let mut done = 0;
    let mut failing_since = None;
    while done < plan.rounds as u64 || begin.elapsed() < plan.time {
        let turn = match follower.step(transport) {
            Ok((Turn::Gone, response)) => {
                return Err(format!("a link is gone for no reason: {response:?}"));
            }
            Ok((turn, _)) => turn,
            Err(Failure::NoAnswer(_) | Failure::Unavailable) if plan.amid_trouble => {
                let since = *failing_since.get_or_insert_with(Instant::now);
                if since.elapsed() > TROUBLE_MAX {
                    return Err("the service does not come back".to_owned());
                }
                std::thread::yield_now();
                continue;
            }
            Err(failure) => return Err(failure.into()),
        };
        failing_since = None;
        match turn {
            Turn::Page | Turn::Gone => {}
            Turn::Round { items, .. } => {
                done += 1;
                work.count_round();
                let keys: BTreeSet<&EntityKey> = items.iter().map(|(key, _)| key).collect();
                if keys.len() < items.len() {
                    return Err(format!("an account came twice: {items:?}"));
                }
                check_total(follower)?;
            }
        }
    }
    Ok(done)
}

/// Moves money between the reserved accounts in transactions that stay open while others come and go.
fn linger(program: &mut dyn Outside, mut rng: Rng, work: &Work) {
    while !work.is_over() {
        let [from, to] = RESERVED;
        let amount = 1 + rng.below(100);
        for sql in [
            "BEGIN".to_owned(),
            format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
            "SAVEPOINT between".to_owned(),
            format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"),
        ] {
            program.execute(&sql);
        }
        work.wait(LINGERED);
        program.execute(rng.word(&["COMMIT", "COMMIT", "ROLLBACK"]));
    }
}

/// Checks that a copy is of one committed state.
///
/// # Errors
///
/// The money is not all there.
pub fn check_total(follower: &Follower) -> Result<(), String> {
    let total: i64 = follower
        .copy()
        .values()
        .filter_map(|entity| whole_number(entity.get("balance")?))
        .sum();
    if total == TOTAL {
        return Ok(());
    }
    Err(format!("the total is {total}: {:?}", follower.copy()))
}

fn whole_number(canon: &Canon) -> Option<i64> {
    let Canon::Value { text, .. } = canon else {
        return None;
    };
    let (digits, zeros) = text.split_once('e').unwrap_or((text, "0"));
    Some(digits.parse::<i64>().ok()? * 10_i64.pow(zeros.parse().ok()?))
}

/// One transaction that keeps the total. Returns whether it was committed.
pub fn transfer(program: &mut dyn Outside, flavour: &Flavour, rng: &mut Rng) -> bool {
    let mut account = || 1 + rng.below(ACCOUNTS as usize + 20);
    let (from, to) = (account(), account());
    let amount = 1 + rng.below(100);
    let balance = |id| format!("SELECT balance FROM accounts WHERE id = {id}");
    let steps = match rng.below(10) {
        // A new account.
        0 if from != to => vec![
            format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
            format!("INSERT INTO accounts VALUES ({to}, 'new', {amount})"),
        ],
        // The end of one. Nobody may change it between the two statements that matter, so the first one locks it.
        1 if from != to => vec![
            format!("UPDATE accounts SET owner = owner WHERE id = {from}"),
            format!(
                "UPDATE accounts SET balance = balance + ({}) WHERE id = {to}",
                balance(from)
            ),
            format!("DELETE FROM accounts WHERE id = {from}"),
        ],
        // A new number.
        2 => vec![format!("UPDATE accounts SET id = {to} WHERE id = {from}")],
        // Two accounts exchange their numbers.
        3 if from != to => vec![
            format!("UPDATE accounts SET id = -1 WHERE id = {from}"),
            format!("UPDATE accounts SET id = {from} WHERE id = {to}"),
            format!("UPDATE accounts SET id = {to} WHERE id = -1"),
        ],
        _ => vec![
            format!("UPDATE accounts SET balance = balance - {amount} WHERE id = {from}"),
            format!("UPDATE accounts SET balance = balance + {amount} WHERE id = {to}"),
        ],
    };
    if !matches!(program.execute(flavour.begin_write), Outcome::Done { .. }) {
        return false;
    }
    let whole = steps
        .iter()
        .all(|sql| matches!(program.execute(sql), Outcome::Done { rows: 1, .. }));
    // Now and then a transaction that would have been fine is given up.
    if whole && !rng.chance(10) && matches!(program.execute("COMMIT"), Outcome::Done { .. }) {
        return true;
    }
    if program.in_transaction() {
        program.execute("ROLLBACK");
    }
    false
}
