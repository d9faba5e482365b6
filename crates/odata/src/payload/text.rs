//! JSON as text (RFC 8259): strings, and brackets that close.

/// Appends a string with its quotes.
///
/// Most strings of a page need no escape, so the first thing is to find that out, eight bytes at a time.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.reserve(bytes.len() + 2);
    out.push(b'"');
    let clean = clean_prefix_len(bytes);
    out.extend_from_slice(&bytes[..clean]);
    if clean < bytes.len() {
        write_escaped(out, &bytes[clean..]);
    }
    out.push(b'"');
}

/// A lower bound of the number of leading bytes that need no escape, exact if no byte needs one.
fn clean_prefix_len(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES * 0x80;
    // The usual search for a zero byte. It may see one too many after a real one, and then that word is looked at again.
    let zeroes = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let quote = zeroes(word ^ (ONES * u64::from(b'"')));
        let backslash = zeroes(word ^ (ONES * u64::from(b'\\')));
        if control | quote | backslash != 0 {
            return index * 8;
        }
    }
    if tail.iter().any(|&byte| needs_escape(byte)) {
        bytes.len() - tail.len()
    } else {
        bytes.len()
    }
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Copies runs of clean bytes between the escapes.
fn write_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut run = 0;
    for (position, &byte) in bytes.iter().enumerate() {
        if !needs_escape(byte) {
            continue;
        }
        out.extend_from_slice(&bytes[run..position]);
        run = position + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            _ => {
                let [high, low] = [byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]);
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
            }
        }
    }
    out.extend_from_slice(&bytes[run..]);
}

/// Replaces the comma behind the last member or item by the bracket, or appends the bracket if there is none.
pub(crate) fn close(out: &mut Vec<u8>, bracket: u8) {
    match out.last_mut() {
        Some(last @ b',') => *last = bracket,
        _ => out.push(bracket),
    }
}

#[cfg(test)]
mod tests {
    use super::write_string;

    fn check(text: &str) {
        let mut out = Vec::new();
        write_string(&mut out, text);
        let back: String = serde_json::from_slice(&out).unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn every_byte_at_every_position_of_a_word_survives() {
        for c in (0u8..=0x7f)
            .map(char::from)
            .chain(['\u{80}', 'é', '語', '\u{2028}', '😀'])
        {
            for before in 0..18 {
                for after in [0, 1, 7, 8, 9] {
                    check(&format!("{}{c}{}", "a".repeat(before), "z".repeat(after)));
                    check(&format!(
                        "{}{c}{c}\u{7f}{}",
                        "é".repeat(before),
                        "\"".repeat(after)
                    ));
                }
            }
        }
    }

    #[test]
    fn short_escapes_are_used_where_they_exist() {
        let mut out = Vec::new();
        write_string(&mut out, "\u{0}\u{8}\t\n\u{c}\r\u{1f}\"\\/");
        assert_eq!(out, br#""\u0000\b\t\n\f\r\u001f\"\\/""#);
    }
}
