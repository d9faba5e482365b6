//! Entity tags: a hash of a whole row as a payload would show it.
//!
//! What must hold: the same values give the same hash, in every store, whatever else happens to the database.

use highwater_odata::ValueRef;
use xxhash_rust::xxh3::xxh3_64;

/// The hash of a row with these values. `bytes` is memory to use again; it is empty before and afterwards.
pub fn hash(values: &[ValueRef<'_>], bytes: &mut Vec<u8>) -> u64 {
    let mut put = |tag: u8, value: &[u8]| {
        bytes.push(tag);
        bytes.extend_from_slice(&(value.len() as u32).to_be_bytes());
        bytes.extend_from_slice(value);
    };
    for value in values {
        match value {
            ValueRef::Null => put(0, &[]),
            ValueRef::Boolean(truth) => put(1, &[u8::from(*truth)]),
            ValueRef::Integer(number) => put(2, &number.to_be_bytes()),
            ValueRef::Double(number) => put(3, &number.to_bits().to_be_bytes()),
            ValueRef::String(text) => put(4, text.as_bytes()),
            ValueRef::Binary(blob) => put(5, blob),
            ValueRef::Lexical(_, text) => put(6, text.as_bytes()),
        }
    }
    let hash = xxh3_64(bytes);
    bytes.clear();
    hash
}
