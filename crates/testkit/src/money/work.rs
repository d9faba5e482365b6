//! What writers, clients and troublemakers know of each other.
//!
//! What must hold: whoever waits for others is woken when all is over.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// While the database is away, a client asks again so soon.
const RETRY_AFTER: Duration = Duration::from_millis(50);
/// A crash of the database may end the links to states that were seen since the newest tick that it spared. Ticks are recorded every
/// second; on a busy machine, they come late.
const SAFE_AFTER: Duration = Duration::from_secs(10);

/// What the writers and the clients have done together.
#[derive(Default)]
pub struct Work {
    progress: Mutex<Progress>,
    moved: Condvar,
}

#[derive(Clone, Default)]
pub(super) struct Progress {
    pub(super) transactions: u64,
    pub(super) rounds: u64,
    pub(super) crashes: Vec<Crash>,
    is_over: bool,
}

/// A crash of the database.
#[derive(Clone, Copy)]
pub(super) struct Crash {
    begin: Instant,
    /// When the database was there again.
    end: Option<Instant>,
}

impl Work {
    pub(super) fn progress(&self) -> MutexGuard<'_, Progress> {
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

    pub(super) fn count_round(&self) {
        self.progress().rounds += 1;
        self.moved.notify_all();
    }

    /// Crashes the database, and starts it again: the links of the last moments may be void afterwards.
    pub fn crash(&self, crash: impl FnOnce()) {
        let begin = Instant::now();
        self.progress().crashes.push(Crash { begin, end: None });
        crash();
        if let Some(last) = self.progress().crashes.last_mut() {
            last.end = Some(Instant::now());
        }
        self.moved.notify_all();
    }

    /// Waits for a moment if the database is away, but not for its return: what it answers while it starts matters, too.
    pub(super) fn wait_out(&self) {
        let is_away = |now: &mut Progress| {
            let last = now.crashes.last();
            last.is_some_and(|crash| crash.end.is_none())
        };
        let _waited = self
            .moved
            .wait_timeout_while(self.progress(), RETRY_AFTER, is_away);
    }

    /// Whether a crash may have undone a state.
    pub(super) fn may_have_undone(&self, state: Seen) -> bool {
        self.progress().crashes.iter().any(|crash| {
            let is_before = crash.end.is_none_or(|end| state.asked <= end);
            is_before && crash.begin <= state.answered + SAFE_AFTER
        })
    }

    pub(super) fn count(&self) {
        self.progress().transactions += 1;
        self.moved.notify_all();
    }

    pub(super) fn end(&self) {
        self.progress().is_over = true;
        self.moved.notify_all();
    }

    /// Waits until others have ended so many transactions, or all is over.
    pub(super) fn wait(&self, transactions: u64) {
        let progress = self.progress();
        let until = progress.transactions + transactions;
        let _ended = self
            .moved
            .wait_while(progress, |now| now.transactions < until && !now.is_over);
    }
}

/// When a client saw the state that its round shows.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    pub(super) asked: Instant,
    pub(super) answered: Instant,
}
