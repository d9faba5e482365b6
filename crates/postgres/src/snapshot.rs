//! Names of committed states: PostgreSQL's own snapshots.
//!
//! What must hold: the encoding is canonical, so the same state at the same anchor gives the same link; whether a transaction is
//! visible is decided as PostgreSQL decides it (`pg_visible_in_snapshot`). Only top-level transactions that write are named.

use highwater_core::link::{Reader, put_uint};
use highwater_core::{Gone, Snapshot};
use highwater_sql::postgres::Visible;

/// A committed state of the whole database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Which transactions are visible.
    pub(crate) visible: Visible,
    /// The newest tick when the snapshot was taken, which a database that was set back in time does not have, or has with another nonce.
    pub(crate) anchor: Anchor,
}

/// A tick of the maintenance: its id and its random nonce. Both are 0 if there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Anchor {
    pub(crate) tick: u64,
    pub(crate) nonce: u32,
}

impl Position {
    /// Reads PostgreSQL's text of a snapshot: `xmin:xmax:xip,…`. `None` if it is none.
    pub(crate) fn parse(text: &str, anchor: Anchor) -> Option<Position> {
        let mut parts = text.split(':');
        let _xmin: i64 = parts.next()?.parse().ok()?;
        let xmax = parts.next()?.parse().ok()?;
        let list = parts.next()?;
        if parts.next().is_some() {
            return None;
        }
        let mut xip = Vec::new();
        for xid in list.split(',').filter(|xid| !xid.is_empty()) {
            xip.push(xid.parse().ok()?);
        }
        xip.sort_unstable();
        xip.dedup();
        Some(Position {
            visible: Visible { xmax, xip },
            anchor,
        })
    }

    /// The oldest transaction that is not visible: everything below it is.
    pub(crate) fn xmin(&self) -> i64 {
        *self.visible.xip.first().unwrap_or(&self.visible.xmax)
    }

    /// Whether every transaction that is visible in `other` is visible here too.
    pub(crate) fn contains(&self, other: &Position) -> bool {
        let (mine, theirs) = (&self.visible, &other.visible);
        theirs.xmax <= mine.xmax
            && mine
                .xip
                .iter()
                .all(|xid| *xid >= theirs.xmax || theirs.xip.binary_search(xid).is_ok())
    }

    /// The form that links carry.
    pub(crate) fn encode(&self) -> Snapshot {
        let mut out = Vec::with_capacity(16);
        put_uint(&mut out, self.anchor.tick);
        out.extend_from_slice(&self.anchor.nonce.to_be_bytes());
        put_uint(&mut out, self.visible.xmax.unsigned_abs());
        // Distances from `xmax` downwards: in-progress transactions are mostly young.
        let mut previous = self.visible.xmax;
        for xid in self.visible.xip.iter().rev() {
            put_uint(&mut out, previous.abs_diff(*xid));
            previous = *xid;
        }
        Snapshot(out)
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`Gone::Format`] for anything else, which a sealed link can only hold if another version of Highwater made it.
    pub(crate) fn decode(snapshot: &Snapshot) -> Result<Position, Gone> {
        Position::decode_bytes(&snapshot.0).ok_or(Gone::Format)
    }

    fn decode_bytes(bytes: &[u8]) -> Option<Position> {
        let mut reader = Reader(bytes);
        let tick = reader.uint()?;
        let mut nonce = [0; 4];
        for byte in &mut nonce {
            *byte = reader.byte()?;
        }
        let xmax = i64::try_from(reader.uint()?).ok()?;
        let mut xip = Vec::new();
        let mut previous = xmax;
        while !reader.0.is_empty() {
            let distance = i64::try_from(reader.uint()?).ok()?;
            previous = previous.checked_sub(distance)?;
            if distance == 0 || previous < 0 {
                return None;
            }
            xip.push(previous);
        }
        xip.reverse();
        Some(Position {
            visible: Visible { xmax, xip },
            anchor: Anchor {
                tick,
                nonce: u32::from_be_bytes(nonce),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANCHOR: Anchor = Anchor {
        tick: 300,
        nonce: 0xdead_beef,
    };

    fn position(text: &str) -> Position {
        Position::parse(text, ANCHOR).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn snapshots_survive_encoding_and_have_one_encoding() {
        for text in [
            "5:5:",
            "10:20:10,14,15",
            "1:9000000000:1,8999999999",
            "3:4:3",
        ] {
            let position = position(text);
            let encoded = position.encode();
            assert_eq!(Position::decode(&encoded), Ok(position), "{text}");
            let Snapshot(mut bytes) = encoded;
            bytes.push(0);
            assert_eq!(Position::decode(&Snapshot(bytes)), Err(Gone::Format));
        }
        for text in ["", "5", "5:5", "a:b:", "1:2:3:4", "1:2:x"] {
            assert_eq!(Position::parse(text, ANCHOR), None, "{text}");
        }
    }

    #[test]
    fn one_snapshot_contains_another_if_it_sees_all_that_the_other_sees() {
        for (mine, theirs, expected) in [
            ("10:10:", "10:10:", true),
            ("12:12:", "10:10:", true),
            ("10:10:", "12:12:", false),
            ("9:12:9", "10:10:", false),
            ("9:12:9", "9:10:9", true),
            ("9:12:9", "8:10:8,9", true),
            ("11:14:11", "10:10:", true),
            ("11:14:11", "12:12:", false),
        ] {
            assert_eq!(
                position(mine).contains(&position(theirs)),
                expected,
                "{mine} contains {theirs}"
            );
        }
    }
}
