//! Conservation of money: several threads move money between accounts without a pause while clients page.
//!
//! No state of the database can be noted here, because it changes all the time. But every committed state has the same total, so
//! every completed round must show it; a round that mixes two states shows another. What must hold: no check waits for a time;
//! the writers write until the clients have read their rounds. What is deliberately absent: filters, which would hide accounts.

mod reader;
mod work;

use std::time::{Duration, Instant};

use crate::flavour::{Declared, Flavour, Kind};
use crate::follower::Follower;
use crate::history::published;
use crate::lab::{Lab, Outcome, Outside, Which};
use crate::model::EntitySet;
use crate::oracle::State;
use crate::query::{ClientQuery, Version};
use crate::render::Canon;
use crate::rng::Rng;
use crate::schema::{Column, Family, Schema, Table};

use reader::Reader;
pub use work::Work;

/// Accounts at first.
const ACCOUNTS: i64 = 60;
/// Money in each.
const BALANCE: i64 = 1_000;
/// Two accounts that only lingering transactions touch. Others would have to wait for them.
const RESERVED: [i64; 2] = [1_001, 1_002];
/// All money.
const TOTAL: i64 = (ACCOUNTS + 2) * BALANCE;
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

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Transactions that were committed.
    pub transactions: u64,
    /// Complete rounds, each of which shows all the money.
    pub rounds: u64,
    /// Links that were void after a crash of the database.
    pub gone: u64,
    /// Crashes of the database.
    pub crashes: usize,
}

/// Runs writers and clients at the same time.
///
/// # Errors
///
/// A round shows another total, or an account twice; a link is gone for no reason; or the copies differ from the database in the end.
pub fn run(lab: &mut dyn Lab, seed: u64, plan: Plan) -> Result<Totals, String> {
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
) -> Result<Totals, String> {
    let mut rng = Rng::new(seed);
    let schema = create(lab);
    let transport = lab.open();
    let sets = published(&*transport, &schema)?;
    let flavour = lab.flavour();
    let mut readers: Vec<Reader> = (0..plan.clients)
        .map(|number| {
            let version = [Version::V4_0, Version::V4_01][number % 2];
            let query = whole(&sets[0], version, 1 + rng.below(plan.page_max));
            Reader::new(query, plan.amid_trouble)
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
        let reading: Vec<_> = readers
            .iter_mut()
            .map(|reader| scope.spawn(move || reader.read(transport, plan, begin, work)))
            .collect();
        let outcomes: Vec<_> = reading
            .into_iter()
            .map(std::thread::ScopedJoinHandle::join)
            .collect();
        work.end();
        outcomes
            .into_iter()
            .try_for_each(|outcome| outcome.unwrap_or_else(|_| Err("a client panicked".to_owned())))
    });
    outcome?;
    for reader in &mut readers {
        reader.settle(&*transport, &work)?;
        let copy = reader.follower.copy();
        let answer = State::read(lab, &schema.tables[0], &reader.follower.query).answer();
        if *copy != answer {
            return Err(format!("the copy is {copy:?}, the database {answer:?}"));
        }
    }
    let done = work.progress().clone();
    Ok(Totals {
        transactions: done.transactions,
        rounds: done.rounds,
        gone: readers.iter().map(|reader| reader.gone).sum(),
        crashes: done.crashes.len(),
    })
}

/// Moves money between the reserved accounts in transactions that stay open while others come and go.
fn linger(program: &mut dyn Outside, mut rng: Rng, work: &Work) {
    while !work.is_over() {
        begin_lingering(program, &mut rng);
        work.wait(LINGERED);
        end_lingering(program, &mut rng);
    }
}

/// Begins a transaction that moves money between the reserved accounts.
pub(crate) fn begin_lingering(program: &mut dyn Outside, rng: &mut Rng) {
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
}

/// Ends that transaction.
pub(crate) fn end_lingering(program: &mut dyn Outside, rng: &mut Rng) {
    program.execute(rng.word(&["COMMIT", "COMMIT", "ROLLBACK"]));
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
