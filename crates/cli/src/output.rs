//! How results look on a terminal: colours where they are wanted, tables, JSON with a readable layout.

use std::fmt::Write as _;
use std::io;

/// Colours and weights, or nothing where the output is not a terminal or `NO_COLOR` is set (no-color.org).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// For what goes to stdout.
    pub(crate) fn stdout() -> Style {
        Style {
            coloured: is_coloured(&io::stdout()),
        }
    }

    pub(crate) fn heading(self, text: &str) -> String {
        self.wrap("1", text)
    }

    pub(crate) fn request(self, text: &str) -> String {
        self.wrap("1;36", text)
    }

    pub(crate) fn sql(self, text: &str) -> String {
        self.wrap("33", text)
    }

    pub(crate) fn note(self, text: &str) -> String {
        self.wrap("2", text)
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("1;32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.coloured {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Whether an output is a terminal whose user wants colours.
pub(crate) fn is_coloured(output: &impl io::IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && output.is_terminal()
}

/// How the cells of a column are lined up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Lines cells up in columns, two spaces between them, without trailing spaces.
pub(crate) fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells
            .chain([columns[column].0.chars().count()])
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    let heading: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    for row in std::iter::once(&heading).chain(rows) {
        let mut line = String::new();
        for ((cell, (_, align)), width) in row.iter().zip(columns).zip(&widths) {
            let padding = " ".repeat(width - cell.chars().count());
            match align {
                Align::Left => line.extend([cell, padding.as_str(), "  "]),
                Align::Right => line.extend([padding.as_str(), cell, "  "]),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Breaks JSON text into lines down to a depth; what is nested deeper stays on one line. Nothing else about the text changes: not the order of
/// members, not the spelling of a number.
pub(crate) fn layout_json(text: &str, depth_max: usize) -> String {
    let mut out = String::new();
    let mut depth = 0usize;
    let mut chars = text.chars().peekable();
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    while let Some(char) = chars.next() {
        match char {
            '"' => {
                out.push('"');
                let mut escaped = false;
                for char in chars.by_ref() {
                    out.push(char);
                    if char == '"' && !escaped {
                        break;
                    }
                    escaped = char == '\\' && !escaped;
                }
            }
            '{' | '[' => {
                depth += 1;
                out.push(char);
                skip_space(&mut chars);
                if depth <= depth_max && !matches!(chars.peek(), Some('}' | ']')) {
                    newline(&mut out, depth);
                }
            }
            '}' | ']' => {
                if depth <= depth_max && !out.ends_with(['{', '[']) {
                    newline(&mut out, depth.saturating_sub(1));
                }
                depth = depth.saturating_sub(1);
                out.push(char);
            }
            ',' => {
                out.push(',');
                if depth <= depth_max {
                    newline(&mut out, depth)
                } else {
                    out.push(' ')
                }
            }
            ':' => out.push_str(": "),
            char if char.is_ascii_whitespace() => {}
            char => out.push(char),
        }
    }
    out
}

fn skip_space(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(char::is_ascii_whitespace).is_some() {}
}

/// A number of bytes for people: `17 B`, `2.3 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut size = count as f64 / 1024.0;
    let mut unit = UNITS[0];
    for larger in &UNITS[1..] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    format!("{size:.1} {unit}")
}

/// An instant as people and programs read it: RFC 3339 in UTC, to the second.
pub(crate) fn instant(unix_s: i64) -> String {
    match jiff::Timestamp::from_second(unix_s) {
        Ok(instant) => instant.to_string(),
        Err(_) => format!("{unix_s} s after 1970"),
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_broken_into_lines_down_to_the_depth_and_otherwise_kept() {
        for (text, depth_max, expected) in [
            ("1.50", 2, "1.50"),
            ("{}", 2, "{}"),
            ("[ ]", 2, "[]"),
            (r#"{"a":1}"#, 0, r#"{"a": 1}"#),
            (r#"{"a":1,"b":[]}"#, 2, "{\n  \"a\": 1,\n  \"b\": []\n}"),
            (
                r#"{"z":1e400,"value":[{"a":1,"b":{"c":[1,2]}},{"a":2}]}"#,
                2,
                "{\n  \"z\": 1e400,\n  \"value\": [\n    {\"a\": 1, \"b\": {\"c\": [1, 2]}},\n    {\"a\": 2}\n  ]\n}",
            ),
            (
                r#"{"a":"x,\"{\\","b":2}"#,
                1,
                "{\n  \"a\": \"x,\\\"{\\\\\",\n  \"b\": 2\n}",
            ),
        ] {
            assert_eq!(layout_json(text, depth_max), expected, "{text}");
        }
    }

    #[test]
    fn sizes_and_instants_are_readable() {
        for (count, expected) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_500_000, "1.4 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(bytes(count), expected);
        }
        assert_eq!(instant(0), "1970-01-01T00:00:00Z");
        assert_eq!(instant(i64::MAX), "9223372036854775807 s after 1970");
        assert_eq!(hex(&[0, 255, 16]), "00ff10");
    }

    #[test]
    fn columns_line_up() {
        let rows = vec![
            vec!["Ärger".into(), "7".into()],
            vec!["x".into(), "1234".into()],
        ];
        let text = table(&[("TABLE", Align::Left), ("ROWS", Align::Right)], &rows);
        assert_eq!(text, "TABLE  ROWS\nÄrger     7\nx      1234\n");
    }
}
