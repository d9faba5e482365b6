//! `COPY … FROM STDIN`.
//!
//! What must hold: the first line is the statement, all others are its input.

use super::Target;
use crate::rng::Rng;

impl Target<'_> {
    /// One to five rows.
    pub(super) fn copy(&self, rng: &mut Rng) -> String {
        let columns = self.table.written();
        let mut text = format!(
            "COPY {} ({}) FROM STDIN\n",
            self.sql,
            self.table.list(&columns)
        );
        for _ in 0..1 + rng.below(5) {
            let fields: Vec<String> = columns
                .iter()
                .map(|at| field(&self.value(rng, *at)))
                .collect();
            text.push_str(&fields.join("\t"));
            text.push('\n');
        }
        text
    }
}

/// The text form of a literal.
fn field(literal: &str) -> String {
    if literal == "NULL" {
        return "\\N".to_owned();
    }
    let text = match literal
        .strip_prefix('\'')
        .and_then(|rest| rest.strip_suffix('\''))
    {
        None => literal.to_owned(),
        Some(quoted) => quoted.replace("''", "'"),
    };
    text.replace('\\', "\\\\")
        .replace('\t', "\\t")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn literals_become_fields() {
        for (literal, expected) in [
            ("NULL", "\\N"),
            ("12", "12"),
            ("'O''Neil'", "O'Neil"),
            ("'\\x00'", "\\\\x00"),
            ("'tab\tline\n'", "tab\\tline\\n"),
        ] {
            assert_eq!(field(literal), expected, "{literal}");
        }
    }
}
