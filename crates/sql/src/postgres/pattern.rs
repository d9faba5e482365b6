//! The pattern of `matchesPattern` as one of PostgreSQL.
//!
//! OData's patterns are those of ECMAScript (URL Conventions 5.1.1.5.8), PostgreSQL's are not: `\w` depends on a locale there, `$` and `.`
//! treat line ends otherwise, and mixing greedy with other quantifiers changes what matches. So the pattern is parsed here, by the
//! same rules as for SQLite, and what it means is written with the constructs that mean the same in both: characters, sets of
//! characters, repetition, alternatives, and looking at the next or the last character.
//!
//! What is deliberately absent: look-around and back-references (as for SQLite), and repetition of more than 255 times.

use std::fmt::Write as _;

use highwater_core::Error;
use regex_syntax::hir::{Class, ClassUnicode, Hir, HirKind, Look, Repetition};

use crate::sqlite::pattern;

/// Repetitions at most; PostgreSQL's own limit.
const REPETITIONS_MAX: u32 = 255;
/// Something that matches nowhere.
const NOWHERE: &str = "(?!)";

/// The pattern in PostgreSQL's language.
///
/// # Errors
///
/// As [`pattern`], and [`Error::Unsupported`] for what PostgreSQL has no words for.
pub(super) fn translated(text: &str) -> Result<String, Error> {
    pattern(text)?;
    let hir = regex_syntax::parse(text)
        .map_err(|error| Error::InvalidQuery(format!("The pattern is not valid: {error}.")))?;
    let mut out = String::new();
    write(&mut out, &hir)?;
    Ok(out)
}

fn write(out: &mut String, hir: &Hir) -> Result<(), Error> {
    match hir.kind() {
        HirKind::Empty => out.push_str("(?:)"),
        HirKind::Literal(literal) => match std::str::from_utf8(&literal.0) {
            Ok(text) => text.chars().for_each(|c| character(out, c)),
            Err(_) => return Err(unsupported("bytes that are no characters")),
        },
        HirKind::Class(Class::Unicode(class)) => set(out, class),
        HirKind::Class(Class::Bytes(class)) => match class.to_unicode_class() {
            Some(class) => set(out, &class),
            None => return Err(unsupported("bytes that are no characters")),
        },
        HirKind::Look(look) => assertion(out, *look)?,
        HirKind::Repetition(repetition) => repeated(out, repetition)?,
        HirKind::Capture(capture) => group(out, &capture.sub)?,
        HirKind::Concat(parts) => {
            for part in parts {
                write(out, part)?;
            }
        }
        HirKind::Alternation(parts) => {
            out.push_str("(?:");
            for (position, part) in parts.iter().enumerate() {
                out.push_str(if position == 0 { "" } else { "|" });
                write(out, part)?;
            }
            out.push(')');
        }
    }
    Ok(())
}

fn group(out: &mut String, hir: &Hir) -> Result<(), Error> {
    out.push_str("(?:");
    write(out, hir)?;
    out.push(')');
    Ok(())
}

fn repeated(out: &mut String, repetition: &Repetition) -> Result<(), Error> {
    let (min, max) = (repetition.min, repetition.max);
    if min.max(max.unwrap_or(0)) > REPETITIONS_MAX {
        return Err(unsupported("a repetition of more than 255 times"));
    }
    group(out, &repetition.sub)?;
    let done = match (min, max) {
        (0, None) => write!(out, "*"),
        (1, None) => write!(out, "+"),
        (0, Some(1)) => write!(out, "?"),
        (min, None) => write!(out, "{{{min},}}"),
        (min, Some(max)) => write!(out, "{{{min},{max}}}"),
    };
    done.expect("writing to a String cannot fail");
    Ok(())
}

fn assertion(out: &mut String, look: Look) -> Result<(), Error> {
    match look {
        Look::Start => out.push_str("\\A"),
        Look::End => out.push_str("\\Z"),
        Look::StartLF => out.push_str("(?:\\A|(?<=\\n))"),
        Look::EndLF => out.push_str("(?:\\Z|(?=\\n))"),
        Look::WordAscii | Look::WordUnicode => boundary(out, look, ["(?<=", "(?!", "(?<!", "(?="])?,
        Look::WordAsciiNegate | Look::WordUnicodeNegate => {
            boundary(out, look, ["(?<=", "(?=", "(?<!", "(?!"])?;
        }
        _ => return Err(unsupported("this kind of boundary")),
    }
    Ok(())
}

/// What stands before and what stands behind are letters of a word, or not.
fn boundary(out: &mut String, look: Look, around: [&str; 4]) -> Result<(), Error> {
    let word = match look {
        Look::WordAscii | Look::WordAsciiNegate => "[0-9A-Za-z_]".to_owned(),
        _ => {
            let mut word = String::new();
            let letters = regex_syntax::parse(r"\w")
                .map_err(|error| Error::Internal(format!("no class of letters: {error}")))?;
            write(&mut word, &letters)?;
            word
        }
    };
    for (position, part) in around.into_iter().enumerate() {
        out.push_str(match position {
            0 => "(?:",
            2 => "|",
            _ => "",
        });
        write!(out, "{part}{word})").expect("writing to a String cannot fail");
    }
    out.push(')');
    Ok(())
}

fn set(out: &mut String, class: &ClassUnicode) {
    // Text has no NUL in PostgreSQL.
    let mut ranges = class
        .ranges()
        .iter()
        .map(|range| (range.start().max('\u{1}'), range.end()))
        .filter(|(start, end)| start <= end)
        .peekable();
    if ranges.peek().is_none() {
        out.push_str(NOWHERE);
        return;
    }
    out.push('[');
    for (start, end) in ranges {
        character(out, start);
        if start < end {
            out.push('-');
            character(out, end);
        }
    }
    out.push(']');
}

fn character(out: &mut String, c: char) {
    let done = match c {
        '\0' => {
            out.push_str(NOWHERE);
            Ok(())
        }
        c if c.is_ascii_alphanumeric() => write!(out, "{c}"),
        c if u32::from(c) <= 0xffff => write!(out, "\\u{:04X}", u32::from(c)),
        c => write!(out, "\\U{:08X}", u32::from(c)),
    };
    done.expect("writing to a String cannot fail");
}

fn unsupported(what: &str) -> Error {
    Error::Unsupported(format!(
        "The pattern of matchesPattern cannot be used: {what} is not supported on PostgreSQL."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_translated_or_refused() {
        for (text, expected) in [
            ("^a+$", r"\A(?:a)+\Z"),
            ("a.b", r"a[\u0001-\u0009\u000B-\U0010FFFF]b"),
            ("(?i)k", r"[Kk\u212A]"),
            (
                "x{2,3}|[^0-9]?",
                r"(?:(?:x){2,3}|(?:[\u0001-\u002F\u003A-\U0010FFFF])?)",
            ),
            ("a\\.\\$", r"a\u002E\u0024"),
            ("(?m)^a", r"(?:\A|(?<=\n))a"),
            (
                r"(?-u:\bA)",
                r"(?:(?<=[0-9A-Za-z_])(?![0-9A-Za-z_])|(?<![0-9A-Za-z_])(?=[0-9A-Za-z_]))A",
            ),
            ("", "(?:)"),
        ] {
            assert_eq!(translated(text).unwrap(), expected, "{text}");
        }
        for text in ["a{256}", "(?=a)", r"(a)\1", "(", r"\b{start}"] {
            assert!(translated(text).is_err(), "{text}");
        }
    }
}
