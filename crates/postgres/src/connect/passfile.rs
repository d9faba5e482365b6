//! libpq's password file: lines of `host:port:database:user:password`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use super::Place;

/// The password of the first line that matches. A file that others than its owner can use is ignored, as libpq does.
pub(super) fn password(
    file: &Path,
    place: &Place,
    port: u16,
    database: &str,
    user: &str,
) -> Option<String> {
    let opened = std::fs::File::open(file).ok()?;
    if !is_private(&opened) {
        tracing::warn!(
            file = %file.display(),
            "the password file is ignored, because it is not a plain file that only its owner can use; chmod 0600 it"
        );
        return None;
    }
    let directory;
    let host = match place {
        Place::Tcp(name) => name.as_str(),
        Place::Unix(path) if super::options::is_default_socket(path) => "localhost",
        Place::Unix(path) => {
            directory = path.to_string_lossy();
            &directory
        }
    };
    let wanted = [host, &port.to_string(), database, user];
    BufReader::new(opened)
        .lines()
        .map_while(Result::ok)
        .find_map(|line| matching(&line, &wanted))
}

#[cfg(unix)]
fn is_private(file: &std::fs::File) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o077 == 0)
}

#[cfg(not(unix))]
fn is_private(file: &std::fs::File) -> bool {
    file.metadata().is_ok_and(|data| data.is_file())
}

/// The password of a line, if its first fields are those wanted.
fn matching(line: &str, wanted: &[&str]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut rest = line;
    for wanted in wanted {
        let (field, after) = field(rest)?;
        rest = after;
        if field.raw != "*" && field.text != *wanted {
            return None;
        }
    }
    // The password ends with the line; a colon in it need not be escaped.
    let password = unescape(rest.strip_suffix('\r').unwrap_or(rest));
    (!password.is_empty()).then_some(password)
}

struct Field<'l> {
    /// As it is written: an escaped asterisk is no wildcard.
    raw: &'l str,
    text: String,
}

/// The field up to the next colon, and what follows it.
fn field(line: &str) -> Option<(Field<'_>, &str)> {
    let mut escaped = false;
    let end = line.find(|letter| match letter {
        _ if escaped => {
            escaped = false;
            false
        }
        '\\' => {
            escaped = true;
            false
        }
        letter => letter == ':',
    })?;
    let raw = &line[..end];
    let field = Field {
        raw,
        text: unescape(raw),
    };
    Some((field, &line[end + 1..]))
}

fn unescape(text: &str) -> String {
    let mut letters = text.chars();
    let mut out = String::with_capacity(text.len());
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => out.extend(letters.next()),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_match_as_in_libpq() {
        let check = |line: &str, expected: Option<&str>| {
            let found = matching(line, &["db", "5432", "shop", "ann"]);
            assert_eq!(found.as_deref(), expected, "{line}");
        };
        check("db:5432:shop:ann:secret", Some("secret"));
        check("*:*:*:*:secret", Some("secret"));
        check("db:*:shop:ann:se\\:cr\\\\et:x", Some("se:cr\\et:x"));
        check("db:5433:shop:ann:secret", None);
        check("\\*:5432:shop:ann:secret", None);
        check("\\db:5432:shop:ann:secret", Some("secret"));
        check("#db:5432:shop:ann:secret", None);
        check("db:5432:shop:ann:", None);
        check("db:5432:shop", None);
        check("", None);
        check("db:5432:shop:ann:secret\r", Some("secret"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_ignored() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pgpass");
        std::fs::write(&file, "other:*:*:*:x\nlocalhost:*:*:ann:secret\n").unwrap();
        for (mode, place, expected) in [
            (0o600, Place::Tcp("localhost".into()), Some("secret")),
            (0o600, Place::Unix("/tmp".into()), Some("secret")),
            (0o600, Place::Unix("/srv".into()), None),
            (0o640, Place::Tcp("localhost".into()), None),
            (0o604, Place::Tcp("localhost".into()), None),
        ] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            let found = password(&file, &place, 1, "shop", "ann");
            assert_eq!(found.as_deref(), expected, "{mode:o} {place:?}");
        }
        let nowhere = directory.path().join("none");
        assert_eq!(
            password(&nowhere, &Place::Tcp("localhost".into()), 1, "shop", "ann"),
            None
        );
    }
}
