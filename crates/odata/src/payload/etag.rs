//! Entity tags: a hash of an entity's state in the form of HTTP (RFC 9110, section 8.8.3).
//!
//! They are weak, because one state has many representations (Protocol 8.3.2).

use std::fmt;
use std::str::FromStr;

/// The state of an entity, as a weak entity tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ETag(pub u64);

/// The text is not an entity tag that this service could have issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignETag;

impl ETag {
    /// Appends the tag as a JSON string. Pages have one in each row, so this takes no detour over a formatted text.
    pub(crate) fn write_json(self, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        out.extend_from_slice(b"\"W/\\\"");
        for byte in self.0.to_be_bytes() {
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        }
        out.extend_from_slice(b"\\\"\"");
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "W/\"{:016x}\"", self.0)
    }
}

impl FromStr for ETag {
    type Err = ForeignETag;

    /// Also accepts the strong form: clients that copy only the quoted part exist, and comparison is weak anyway.
    fn from_str(text: &str) -> Result<ETag, ForeignETag> {
        let digits = text
            .strip_prefix("W/")
            .unwrap_or(text)
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .ok_or(ForeignETag)?;
        let canonical = digits.len() == 16
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !canonical {
            return Err(ForeignETag);
        }
        u64::from_str_radix(digits, 16)
            .map(ETag)
            .map_err(|_| ForeignETag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for state in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            let text = ETag(state).to_string();
            assert_eq!(text.parse(), Ok(ETag(state)));
            assert_eq!(text[2..].parse(), Ok(ETag(state)));
            let mut json = Vec::new();
            ETag(state).write_json(&mut json);
            assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text);
        }
    }

    #[test]
    fn other_tags_are_foreign() {
        for text in [
            "",
            "*",
            "W/\"\"",
            "W/\"1\"",
            "0000000000000001",
            "W/\"000000000000000A\"",
            "W/\"+000000000000001\"",
            "W/\"0000000000000001",
        ] {
            assert_eq!(text.parse::<ETag>(), Err(ForeignETag), "{text}");
        }
    }
}
