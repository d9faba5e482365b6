//! What a link holds, and its encoding before it is sealed.
//!
//! A link is self-contained: any process that has the key ring can answer it, and none keeps state for a client. The query
//! travels as the text of its options and is parsed and bound again when the link comes back: names survive where positions in
//! a catalog would not, and a hostile link (if sealing ever failed) is no more than a hostile URL.
//!
//! What must hold: encoding is canonical (one link, one byte string), and decoding accepts nothing else.

use crate::error::Gone;
use crate::seal::{KeyRing, OpenError};
use crate::snapshot::{Cursor, Epoch, Snapshot};

/// Changes with every incompatible change of the encoding.
const FORMAT: u8 = 1;

/// The content of a skip link or a delta link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which dialect issued it; a link is refused by the others.
    pub dialect: Dialect,
    /// The database that it was made for.
    pub epoch: Epoch,
    /// The tracking of the table ([`crate::Tracking::Tracked`]); 0 if the table is not tracked.
    pub incarnation: u64,
    /// Hash of everything besides the request that decides which rows and columns are shown.
    pub scope: u64,
    /// Resource path below the service root, as in the first request, percent-encoded in the dialect's one way.
    pub path: String,
    /// System query options of the defining query, names without `$`, in canonical order.
    pub options: Vec<(String, String)>,
    /// Rows a page, if the client asked for a number.
    pub page_size: Option<u32>,
    /// Whether the last page carries a delta link.
    pub track: bool,
    /// How far the round has come.
    pub position: Position,
    /// Hour of issue, in hours since 1970.
    pub issued_h: u32,
    /// Last hour in which the link is answered, in hours since 1970.
    pub expires_h: u32,
}

/// The wire protocol that a link belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Standard OData.
    OData,
}

/// How far a round has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Skip link of a first round, or of an answer that is not tracked (then without `hi`).
    Read {
        /// The snapshot where the round ends.
        hi: Option<Snapshot>,
        /// Where the page before ended.
        after: Cursor,
        /// How many rows the pages before had, for `$top`.
        shown: u64,
    },
    /// Delta link: the caller has `lo`.
    Delta {
        /// The snapshot that the caller has.
        lo: Snapshot,
    },
    /// Skip link of a later round.
    Changes {
        /// The snapshot that the caller has.
        lo: Snapshot,
        /// The snapshot where the round ends.
        hi: Snapshot,
        /// Where the page before ended.
        after: Cursor,
    },
}

/// Why a link cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Never issued, or changed on the way: the caller's mistake.
    #[error("the link is damaged; use it exactly as it was received")]
    Damaged,
    /// Once valid, now void: start again with a first round.
    #[error("{0}")]
    Gone(#[from] Gone),
}

impl From<OpenError> for LinkError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Damaged => LinkError::Damaged,
            OpenError::UnknownKey => LinkError::Gone(Gone::Restored),
        }
    }
}

impl Link {
    /// Encodes and seals the link.
    pub fn seal(&self, keys: &KeyRing) -> String {
        keys.seal(&self.encode())
    }

    /// Encodes the link and seals it with the key of the link that it continues: a page carries the same next link whether or not
    /// another key has taken over since the round began.
    pub fn seal_like(&self, sealed: &str, keys: &KeyRing) -> String {
        keys.seal_like(sealed, &self.encode())
    }

    /// Opens and decodes a link. Whether it has expired is for the caller to check ([`Link::has_expired`]), who may still want to
    /// read its query.
    ///
    /// # Errors
    ///
    /// [`LinkError::Damaged`] if it is not a link, [`LinkError::Gone`] if it was made for another database or by an
    /// incompatible version.
    pub fn open(text: &str, keys: &KeyRing) -> Result<Link, LinkError> {
        Link::decode(&keys.open(text)?)
    }

    /// Whether the link's life is over at the given time in seconds since 1970.
    pub fn has_expired(&self, now_unix_s: i64) -> bool {
        now_unix_s.div_euclid(3600) > i64::from(self.expires_h)
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = vec![FORMAT, self.dialect as u8];
        out.extend_from_slice(&self.epoch.0.to_be_bytes());
        out.extend_from_slice(&self.incarnation.to_be_bytes());
        out.extend_from_slice(&self.scope.to_be_bytes());
        put_uint(&mut out, u64::from(self.issued_h));
        put_uint(
            &mut out,
            u64::from(self.expires_h.saturating_sub(self.issued_h)),
        );
        put_uint(&mut out, u64::from(self.page_size.unwrap_or(0)));
        out.push(u8::from(self.track));
        put_bytes(&mut out, self.path.as_bytes());
        put_uint(&mut out, self.options.len() as u64);
        for (name, value) in &self.options {
            put_bytes(&mut out, name.as_bytes());
            put_bytes(&mut out, value.as_bytes());
        }
        match &self.position {
            Position::Read {
                hi: None,
                after,
                shown,
            } => {
                out.push(0);
                put_bytes(&mut out, &after.0);
                put_uint(&mut out, *shown);
            }
            Position::Read {
                hi: Some(hi),
                after,
                shown,
            } => {
                out.push(1);
                put_bytes(&mut out, &hi.0);
                put_bytes(&mut out, &after.0);
                put_uint(&mut out, *shown);
            }
            Position::Delta { lo } => {
                out.push(2);
                put_bytes(&mut out, &lo.0);
            }
            Position::Changes { lo, hi, after } => {
                out.push(3);
                put_bytes(&mut out, &lo.0);
                put_bytes(&mut out, &hi.0);
                put_bytes(&mut out, &after.0);
            }
        }
        out
    }

    fn decode(bytes: &[u8]) -> Result<Link, LinkError> {
        let mut reader = Reader(bytes);
        if reader.byte().ok_or(LinkError::Damaged)? != FORMAT {
            return Err(Gone::Format.into());
        }
        let link = Link::decode_body(&mut reader).ok_or(LinkError::Damaged)?;
        if reader.0.is_empty() {
            Ok(link)
        } else {
            Err(LinkError::Damaged)
        }
    }

    fn decode_body(reader: &mut Reader<'_>) -> Option<Link> {
        let dialect = match reader.byte()? {
            0 => Dialect::OData,
            _ => return None,
        };
        let epoch = Epoch(reader.u64()?);
        let incarnation = reader.u64()?;
        let scope = reader.u64()?;
        let issued_h = u32::try_from(reader.uint()?).ok()?;
        let expires_h = issued_h.checked_add(u32::try_from(reader.uint()?).ok()?)?;
        let page_size = u32::try_from(reader.uint()?).ok()?;
        let track = match reader.byte()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let path = reader.text()?;
        let mut options = Vec::new();
        for _ in 0..reader.uint()? {
            options.push((reader.text()?, reader.text()?));
        }
        let position = match reader.byte()? {
            0 => Position::Read {
                hi: None,
                after: Cursor(reader.bytes()?.to_vec()),
                shown: reader.uint()?,
            },
            1 => Position::Read {
                hi: Some(Snapshot(reader.bytes()?.to_vec())),
                after: Cursor(reader.bytes()?.to_vec()),
                shown: reader.uint()?,
            },
            2 => Position::Delta {
                lo: Snapshot(reader.bytes()?.to_vec()),
            },
            3 => Position::Changes {
                lo: Snapshot(reader.bytes()?.to_vec()),
                hi: Snapshot(reader.bytes()?.to_vec()),
                after: Cursor(reader.bytes()?.to_vec()),
            },
            _ => return None,
        };
        Some(Link {
            dialect,
            epoch,
            incarnation,
            scope,
            path,
            options,
            page_size: (page_size > 0).then_some(page_size),
            track,
            position,
            issued_h,
            expires_h,
        })
    }
}

/// Appends an unsigned number in 7-bit groups, lowest first (LEB128). Stores use it for snapshots and cursors too.
pub fn put_uint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a byte string behind its length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_uint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Takes apart what [`put_uint`] and [`put_bytes`] wrote. Every method returns `None` where the input ends or is malformed.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A fixed-width number, highest byte first.
    pub fn u64(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    /// What [`put_uint`] wrote, in its shortest form only.
    pub fn uint(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let group = u64::from(byte & 0x7f);
            if shift == 63 && group > 1 {
                return None;
            }
            value |= group << shift;
            if byte & 0x80 == 0 {
                return (group != 0 || shift == 0).then_some(value);
            }
        }
        None
    }

    /// What [`put_bytes`] wrote.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.uint()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    /// What [`put_bytes`] wrote, if it is UTF-8.
    pub fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..40)
    }

    fn position() -> impl Strategy<Value = Position> {
        prop_oneof![
            (proptest::option::of(bytes()), bytes(), any::<u64>()).prop_map(
                |(hi, after, shown)| {
                    Position::Read {
                        hi: hi.map(Snapshot),
                        after: Cursor(after),
                        shown,
                    }
                }
            ),
            bytes().prop_map(|lo| Position::Delta { lo: Snapshot(lo) }),
            (bytes(), bytes(), bytes()).prop_map(|(lo, hi, after)| Position::Changes {
                lo: Snapshot(lo),
                hi: Snapshot(hi),
                after: Cursor(after)
            }),
        ]
    }

    prop_compose! {
        fn link()(
            numbers in any::<(u64, u64, u64)>(),
            path in ".{0,20}",
            options in proptest::collection::vec((".{0,9}", ".{0,30}"), 0..4),
            page_size in proptest::option::of(1..u32::MAX),
            track in any::<bool>(),
            position in position(),
            issued_h in 0..u32::MAX / 2,
            life_h in 0..u32::MAX / 2,
        ) -> Link {
            Link {
                dialect: Dialect::OData,
                epoch: Epoch(numbers.0),
                incarnation: numbers.1,
                scope: numbers.2,
                path,
                options,
                page_size,
                track,
                position,
                issued_h,
                expires_h: issued_h + life_h,
            }
        }
    }

    proptest! {
        #[test]
        fn a_link_survives_encoding_and_has_one_encoding(link in link()) {
            let bytes = link.encode();
            prop_assert_eq!(Link::decode(&bytes), Ok(link));
            prop_assert!(Link::decode(&bytes[..bytes.len() - 1]).is_err());
        }

        #[test]
        fn decoding_anything_accepts_only_what_encoding_makes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(link) = Link::decode(&bytes) {
                prop_assert_eq!(link.encode(), bytes);
            }
        }
    }
}
