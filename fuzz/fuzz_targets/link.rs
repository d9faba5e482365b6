//! Any text as a link, and any payload that is sealed correctly: opening answers, and accepts only what sealing makes.
//!
//! The first byte decides which. No fuzzer forges a seal, so the decoder behind it is reached only by sealing what the fuzzer made.
#![no_main]

use std::sync::LazyLock;

use highwater_core::{KeyRing, Link, SealKey};
use libfuzzer_sys::fuzz_target;

/// A constant ring, so that inputs mean the same in every run.
static KEYS: LazyLock<KeyRing> = LazyLock::new(|| {
    let key = |id: u32| SealKey {
        id,
        secret: [id as u8; 32],
    };
    KeyRing::new(1, [key(1), key(2)]).expect("the current key is among them")
});

fuzz_target!(|data: &[u8]| {
    let Some((&choice, rest)) = data.split_first() else {
        return;
    };
    match choice % 2 {
        0 => raw(rest),
        _ => sealed(rest),
    }
});

/// What comes in from the network.
fn raw(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(link) = Link::open(text, &KEYS)
    {
        assert_eq!(link.seal(&KEYS), text);
    }
}

/// What would come in if sealing failed.
fn sealed(payload: &[u8]) {
    let text = KEYS.seal(payload);
    assert_eq!(KEYS.open(&text).as_deref(), Ok(payload));
    // One link has one text: whatever is accepted is sealed to the same bytes again.
    if let Ok(link) = Link::open(&text, &KEYS) {
        assert_eq!(link.seal(&KEYS), text, "{link:?}");
        let _ = link.has_expired(i64::MIN) | link.has_expired(i64::MAX);
    }
}
