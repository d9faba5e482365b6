//! How the one task of a node learns of commits.
//!
//! What must hold: `known` is the snapshot that the newest announced number covers. It moves on only together with an announcement,
//! or if there is nothing in the new snapshot that was not in the old one.

use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::session::{Means, Session, Why};
use crate::error::Fault;
use crate::snapshot::Position;

/// How long the connection stays open after the last caller has left: the next one usually comes soon.
const LINGER: Duration = Duration::from_secs(30);
/// An arming is renewed well before it ends.
const RENEWAL: Duration = Duration::from_secs(10);
/// The pause between hearing of a commit and the next arming grows between these while every arming is answered soon.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// An arming that was not answered for so long shows that there is little to hear.
const QUIET: Duration = Duration::from_millis(250);
/// While a transaction is open that may have been too early for the gate, the pauses between two looks grow between these.
const LOOK_MIN: Duration = Duration::from_millis(20);
const LOOK_MAX: Duration = Duration::from_millis(200);
/// Between two looks where there are no notifications.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// The same on a standby, where ticks arrive about once a second.
const STANDBY_LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// After so long it is found out again whether there are notifications now: tracking began, rights were granted, the standby was
/// promoted.
const MEANS_AGE_MAX: Duration = Duration::from_secs(60);

/// A snapshot, and the transactions of our own that came before it.
pub(super) struct Covered {
    pub(super) snapshot: Position,
    pub(super) own: Vec<i64>,
}

/// Listens until nobody has waited for a while.
pub(super) async fn by_notifications(shared: &Shared, session: Session) -> Result<(), Fault> {
    let mut follower = Follower {
        shared,
        session,
        known: None,
        known_at: Instant::now(),
        early: Vec::new(),
    };
    let mut pause = PAUSE_MIN;
    loop {
        if !shared.somebody_waits() {
            tokio::select! {
                () = shared.begun.notified() => {}
                heard = follower.session.hear() => follower.answer(&heard?).await?,
                () = tokio::time::sleep(LINGER) => return Ok(()),
            }
            continue;
        }
        // They tell of commits that the snapshot after the arming shows.
        follower.session.overhear();
        let armed = Instant::now();
        if !follower.stand_armed().await? {
            continue;
        }
        pause = match armed.elapsed() {
            quiet if quiet >= QUIET => PAUSE_MIN,
            _ => (pause * 2).min(PAUSE_MAX),
        };
        tokio::time::sleep(pause).await;
    }
}

struct Follower<'a> {
    shared: &'a Shared,
    session: Session,
    /// `None` at the beginning, when anything may have been committed.
    known: Option<Position>,
    /// When it was last compared with a new snapshot.
    known_at: Instant,
    /// Transactions in progress that may have looked at the gate before it was armed.
    early: Vec<i64>,
}

impl Follower<'_> {
    /// Arms the gate and waits for a notification. Returns whether there was one; else nobody waits any more.
    async fn stand_armed(&mut self) -> Result<bool, Fault> {
        let mut look_in = self.arm().await?;
        let mut armed = Instant::now();
        let mut look_at = armed + look_in;
        loop {
            tokio::select! {
                biased;
                heard = self.session.hear() => {
                    let heard = heard?;
                    if is_arming(&heard).is_some() {
                        self.answer(&heard).await?;
                        return Ok(true);
                    }
                }
                () = tokio::time::sleep_until(look_at) => {
                    if !self.shared.somebody_waits() {
                        return Ok(false);
                    }
                    look_in = if armed.elapsed() >= RENEWAL {
                        armed = Instant::now();
                        self.arm().await?
                    } else {
                        self.look().await?;
                        if self.early.is_empty() { self.shared.safety } else { (look_in * 3 / 2).min(LOOK_MAX) }
                    };
                    look_at = Instant::now() + look_in;
                }
            }
        }
    }

    /// Arms the gate, and returns when to look.
    async fn arm(&mut self) -> Result<Duration, Fault> {
        let now = self.session.arm().await?;
        self.early.clone_from(&now.snapshot.visible.xip);
        self.compare(now);
        Ok(if self.early.is_empty() {
            self.shared.safety
        } else {
            LOOK_MIN
        })
    }

    /// Wakes all, now that a notification was heard.
    async fn answer(&mut self, heard: &str) -> Result<(), Fault> {
        let Some(arming) = is_arming(heard) else {
            return Ok(());
        };
        let now = self.session.disarm(arming).await?;
        self.announce(now.snapshot);
        Ok(())
    }

    async fn look(&mut self) -> Result<(), Fault> {
        let now = self.session.look().await?;
        let before = self.early.len();
        let in_progress = &now.snapshot.visible.xip;
        self.early.retain(|xid| in_progress.contains(xid));
        if self.early.len() < before {
            self.announce(now.snapshot);
        } else if self.known_at.elapsed() >= self.shared.safety {
            self.compare(now);
        }
        Ok(())
    }

    /// Wakes all if there is anything new.
    fn compare(&mut self, now: Covered) {
        let is_news = match &self.known {
            Some(known) => shows_more(&now.snapshot, known, &now.own),
            None => true,
        };
        if is_news {
            self.announce(now.snapshot);
        } else {
            self.known = Some(now.snapshot);
            self.known_at = Instant::now();
        }
    }

    fn announce(&mut self, now: Position) {
        self.known = Some(now);
        self.known_at = Instant::now();
        self.shared.announce();
    }
}

/// The arming that a notification answers; `None` if the notification is something else.
fn is_arming(heard: &str) -> Option<i64> {
    heard.parse().ok()
}

/// Whether a transaction has ended between two snapshots that is not one of our own.
fn shows_more(now: &Position, known: &Position, own: &[i64]) -> bool {
    let (now, known) = (&now.visible, &known.visible);
    let begun_since = known.xmax..now.xmax;
    known
        .xip
        .iter()
        .copied()
        .chain(begun_since)
        .any(|xid| xid < now.xmax && now.xip.binary_search(&xid).is_err() && !own.contains(&xid))
}

/// Looks again and again while somebody waits.
pub(super) async fn by_looks(shared: &Shared, session: Session) -> Result<(), Fault> {
    let interval = match session.means {
        Means::Looks(Why::Standby) => STANDBY_LOOK_INTERVAL,
        _ => LOOK_INTERVAL,
    };
    let opened = Instant::now();
    let mut known = None;
    loop {
        if !shared.somebody_waits() {
            tokio::select! {
                () = shared.begun.notified() => {}
                () = tokio::time::sleep(LINGER) => return Ok(()),
            }
            continue;
        }
        let mark = session.mark().await?;
        if known.as_ref() != Some(&mark) {
            known = Some(mark);
            shared.announce();
        }
        if opened.elapsed() >= MEANS_AGE_MAX {
            return Ok(());
        }
        tokio::time::sleep(interval).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Anchor;

    #[test]
    fn news_is_what_ended_since_but_for_our_own() {
        let check = |known: &str, now: &str, own: &[i64], expected: bool| {
            let [known_position, now_position] =
                [known, now].map(|text| Position::parse(text, Anchor::default()).expect(text));
            assert_eq!(
                shows_more(&now_position, &known_position, own),
                expected,
                "{known} → {now}"
            );
        };
        check("10:10:", "10:10:", &[], false);
        check("10:10:", "11:11:", &[], true);
        check("10:10:", "11:11:", &[10], false);
        check("10:10:", "12:12:", &[10, 11], false);
        check("10:10:", "12:12:", &[10], true);
        // Begun, not ended.
        check("10:10:", "10:12:10", &[11], false);
        check("8:10:8", "8:10:8", &[], false);
        check("8:10:8", "10:10:", &[], true);
        check("8:12:8,9", "8:12:8", &[], true);
        check("8:12:8,9", "8:14:8,9,12", &[13], false);
    }
}
