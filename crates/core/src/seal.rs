//! Sealing: authenticated encryption of links with a ring of keys.
//!
//! A sealed link is URL-safe base64 (no padding) of
//!
//! ```text
//! key id (4 bytes) ‖ AES-256-GCM-SIV(payload) with its 16-byte tag ‖ CRC-32 of everything before (4 bytes)
//! ```
//!
//! *Why GCM-SIV with a constant nonce:* the same link must be sealed to the same bytes (DESIGN section 5), so that an HTTP
//! cache can serve it to all followers. GCM-SIV stays secure when a nonce repeats; all that it reveals is whether two links are equal, and that is
//! what we want.
//!
//! *Why a checksum beside the tag:* a damaged link and a link of another database both fail to decrypt, but the first is the
//! client's mistake (400) and the second is a database that was replaced (410, start again). A changed bit anywhere, the key id
//! included, fails the checksum; an intact link with an unknown key was made elsewhere. The checksum protects nothing: a
//! forger who gets it right still fails the tag.
//!
//! What must hold: keys are never deleted, only succeeded, so an old link can always be told from a forged one.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A sealed link is refused unread if it is longer than this.
pub const SEALED_LEN_MAX_BYTES: usize = 64 * 1024;

const KEY_ID_LEN: usize = 4;
const CHECKSUM_LEN: usize = 4;
const CONTEXT: &[u8] = b"highwater link";

/// A secret key and its random name.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey {
    /// Random, so that keys of different databases hardly ever share one.
    pub id: u32,
    /// AES-256 key.
    pub secret: [u8; 32],
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl SealKey {
    /// Makes a new key from the operating system's random numbers.
    pub fn generate() -> SealKey {
        use aws_lc_rs::rand::SecureRandom as _;
        let random = SystemRandom::new();
        let mut id = [0; KEY_ID_LEN];
        let mut secret = [0; 32];
        random
            .fill(&mut id)
            .expect("the operating system provides random numbers");
        random
            .fill(&mut secret)
            .expect("the operating system provides random numbers");
        SealKey {
            id: u32::from_be_bytes(id),
            secret,
        }
    }
}

/// The keys of a database: one seals, all open.
#[derive(Debug)]
pub struct KeyRing {
    current: u32,
    keys: BTreeMap<u32, LessSafeKey>,
}

/// Why a sealed text could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not something that this product ever made, or damaged on the way.
    #[error("the link is damaged; use it exactly as it was received")]
    Damaged,
    /// Intact, but sealed with a key that this database does not have.
    #[error("the link was issued for another database")]
    UnknownKey,
}

impl KeyRing {
    /// Builds a ring; `current` is the id of the key that seals.
    ///
    /// Returns `None` if `current` is not among the keys.
    pub fn new(current: u32, keys: impl IntoIterator<Item = SealKey>) -> Option<KeyRing> {
        let keys: BTreeMap<_, _> = keys
            .into_iter()
            .map(|key| {
                let unbound = UnboundKey::new(&AES_256_GCM_SIV, &key.secret)
                    .expect("a 32-byte secret is an AES-256 key");
                (key.id, LessSafeKey::new(unbound))
            })
            .collect();
        keys.contains_key(&current)
            .then_some(KeyRing { current, keys })
    }

    /// Seals a payload with the current key. The same payload and key give the same text.
    pub fn seal(&self, payload: &[u8]) -> String {
        self.seal_with(self.current, payload)
    }

    /// Seals a payload with the key that sealed another text, as long as the ring has it: what continues a text then stays the same
    /// when another key takes over meanwhile.
    pub fn seal_like(&self, sealed: &str, payload: &[u8]) -> String {
        let id = key_id(sealed).filter(|id| self.keys.contains_key(id));
        self.seal_with(id.unwrap_or(self.current), payload)
    }

    fn seal_with(&self, id: u32, payload: &[u8]) -> String {
        let key = &self.keys[&id];
        let mut sealed = Vec::with_capacity(KEY_ID_LEN + payload.len() + 16 + CHECKSUM_LEN);
        sealed.extend_from_slice(&id.to_be_bytes());
        let mut body = payload.to_vec();
        key.seal_in_place_append_tag(nonce(), Aad::from(CONTEXT), &mut body)
            .expect("a link is far below the limit of AES-GCM-SIV");
        sealed.extend_from_slice(&body);
        let checksum = crc32fast::hash(&sealed);
        sealed.extend_from_slice(&checksum.to_be_bytes());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// Opens a sealed text.
    ///
    /// # Errors
    ///
    /// See [`OpenError`].
    pub fn open(&self, text: &str) -> Result<Vec<u8>, OpenError> {
        if text.len() > SEALED_LEN_MAX_BYTES {
            return Err(OpenError::Damaged);
        }
        let sealed = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| OpenError::Damaged)?;
        let (body, checksum) = sealed
            .split_last_chunk::<CHECKSUM_LEN>()
            .ok_or(OpenError::Damaged)?;
        if crc32fast::hash(body) != u32::from_be_bytes(*checksum) {
            return Err(OpenError::Damaged);
        }
        let (id, encrypted) = body
            .split_first_chunk::<KEY_ID_LEN>()
            .ok_or(OpenError::Damaged)?;
        let key = self
            .keys
            .get(&u32::from_be_bytes(*id))
            .ok_or(OpenError::UnknownKey)?;
        let mut encrypted = encrypted.to_vec();
        let payload = key
            .open_in_place(nonce(), Aad::from(CONTEXT), &mut encrypted)
            .map_err(|_| OpenError::Damaged)?;
        Ok(payload.to_vec())
    }
}

/// The id of the key that sealed a text, if it is one.
fn key_id(sealed: &str) -> Option<u32> {
    let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
    let (id, _) = bytes.split_first_chunk::<KEY_ID_LEN>()?;
    Some(u32::from_be_bytes(*id))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> (KeyRing, SealKey) {
        let key = SealKey {
            id: 7,
            secret: [1; 32],
        };
        (KeyRing::new(7, [key.clone()]).unwrap(), key)
    }

    #[test]
    fn every_changed_cut_or_appended_byte_is_damage() {
        let (ring, _) = ring();
        let sealed = ring.seal(b"some payload of a link");
        assert_eq!(ring.open(&sealed).unwrap(), b"some payload of a link");
        for position in 0..sealed.len() {
            for replacement in [b'A', b'z', b'0', b'-', b'_', b'=', b'%', b' '] {
                let mut bytes = sealed.clone().into_bytes();
                if bytes[position] == replacement {
                    continue;
                }
                bytes[position] = replacement;
                let text = String::from_utf8(bytes).unwrap();
                assert_eq!(ring.open(&text), Err(OpenError::Damaged), "{text}");
            }
            assert_eq!(ring.open(&sealed[..position]), Err(OpenError::Damaged));
            assert_eq!(ring.open(&sealed[position + 1..]), Err(OpenError::Damaged));
        }
        for appended in ["A", "=", "AAAA", " "] {
            assert_eq!(
                ring.open(&format!("{sealed}{appended}")),
                Err(OpenError::Damaged)
            );
        }
    }

    #[test]
    fn rotation_keeps_old_links_and_another_ring_knows_them_as_foreign() {
        let (old, key) = ring();
        let sealed = old.seal(b"x");
        let rotated = KeyRing::new(
            9,
            [
                key,
                SealKey {
                    id: 9,
                    secret: [2; 32],
                },
            ],
        )
        .unwrap();
        assert_eq!(rotated.open(&sealed).unwrap(), b"x");
        assert_ne!(rotated.seal(b"x"), sealed);
        assert_eq!(rotated.seal_like(&sealed, b"x"), sealed);
        assert_eq!(rotated.seal_like("no link", b"x"), rotated.seal(b"x"));
        let foreign = KeyRing::new(
            9,
            [SealKey {
                id: 9,
                secret: [2; 32],
            }],
        )
        .unwrap();
        assert_eq!(foreign.open(&sealed), Err(OpenError::UnknownKey));
        assert_eq!(foreign.seal_like(&sealed, b"x"), foreign.seal(b"x"));
    }

    #[test]
    fn sealing_is_deterministic() {
        let (ring, _) = ring();
        assert_eq!(ring.seal(b"same"), ring.seal(b"same"));
    }
}
