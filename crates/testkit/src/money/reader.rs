//! A client that reads rounds, and asks again while the service is away.
//!
//! What must hold: every completed round shows all the money, and no account twice; a link is void only if a crash of the database may
//! have undone its state.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::work::{Seen, Work};
use super::{Plan, check_total};
use crate::follower::{Failure, Follower, Turn};
use crate::http::Transport;
use crate::key::EntityKey;
use crate::query::ClientQuery;

/// How long the service may be away.
const TROUBLE_MAX: Duration = Duration::from_secs(60);

/// A client.
pub(super) struct Reader {
    pub(super) follower: Follower,
    /// The state of its link.
    seen: Option<Seen>,
    amid_trouble: bool,
    failing_since: Option<Instant>,
    /// Links that were void.
    pub(super) gone: u64,
}

impl Reader {
    pub(super) fn new(query: ClientQuery, amid_trouble: bool) -> Reader {
        Reader {
            follower: Follower::new(query),
            seen: None,
            amid_trouble,
            failing_since: None,
            gone: 0,
        }
    }

    /// Reads rounds until there were enough.
    pub(super) fn read(
        &mut self,
        transport: &dyn Transport,
        plan: Plan,
        begin: Instant,
        work: &Work,
    ) -> Result<(), String> {
        let mut rounds = 0;
        while rounds < plan.rounds || begin.elapsed() < plan.time {
            if self.step(transport, work)? {
                rounds += 1;
                work.count_round();
            }
        }
        Ok(())
    }

    /// Reads the last changes, when there are no writers any more.
    pub(super) fn settle(&mut self, transport: &dyn Transport, work: &Work) -> Result<(), String> {
        // A round that is under way shows the state when it began.
        while !self.follower.begins_round() {
            self.step(transport, work)?;
        }
        while !self.step(transport, work)? {}
        Ok(())
    }

    /// Sends a request; says whether it completed a round.
    fn step(&mut self, transport: &dyn Transport, work: &Work) -> Result<bool, String> {
        let begins = self.follower.begins_round();
        let asked = Instant::now();
        let turn = match self.follower.step(transport) {
            Err(Failure::NoAnswer(_) | Failure::Unavailable) if self.amid_trouble => {
                let since = *self.failing_since.get_or_insert_with(Instant::now);
                if since.elapsed() > TROUBLE_MAX {
                    return Err("the service does not come back".to_owned());
                }
                work.wait_out();
                return Ok(false);
            }
            Err(failure) => return Err(failure.into()),
            Ok((Turn::Gone, response)) => {
                // Until its next round begins, it has no state that anything could undo.
                let undone = self
                    .seen
                    .take()
                    .is_some_and(|seen| work.may_have_undone(seen));
                if !undone {
                    return Err(format!("a link is gone for no reason: {response:?}"));
                }
                self.gone += 1;
                Turn::Gone
            }
            Ok((turn, _)) => {
                if begins {
                    let answered = Instant::now();
                    self.seen = Some(Seen { asked, answered });
                }
                turn
            }
        };
        self.failing_since = None;
        let Turn::Round { items, .. } = turn else {
            return Ok(false);
        };
        let keys: BTreeSet<&EntityKey> = items.iter().map(|(key, _)| key).collect();
        if keys.len() < items.len() {
            return Err(format!("an account came twice: {items:?}"));
        }
        check_total(&self.follower)?;
        Ok(true)
    }
}
