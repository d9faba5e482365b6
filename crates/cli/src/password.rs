//! Passwords in the URLs of databases, and how not to show them.
//!
//! What must hold: what [`hidden`] returns holds no password, also if the URL is misspelled; rather too much is left out than too little.

/// What a URL begins with that may hold a password.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Parameters of a URL that hold a password.
const PARAMETERS: [&str; 2] = ["password", "sslpassword"];

/// A URL of a database without its passwords; any other text as it is.
pub(crate) fn hidden(database: &str) -> String {
    let Some((scheme, rest)) = SCHEMES
        .iter()
        .find_map(|scheme| Some((scheme, database.strip_prefix(scheme)?)))
    else {
        return database.to_owned();
    };
    // A password that should have been percent-encoded may hold any character, so the last `@` decides and not the first.
    let (user, rest) = match rest.rsplit_once('@') {
        Some((login, rest)) => (login.split(':').next(), rest),
        None => (None, rest),
    };
    let (place, options) = match rest.split_once('?') {
        Some((place, options)) => (place, Some(options)),
        None => (rest, None),
    };
    let mut shown = (*scheme).to_owned();
    if let Some(user) = user {
        shown.extend([user, "@"]);
    }
    shown.push_str(place);
    let mut separator = '?';
    for option in options.into_iter().flat_map(|options| options.split('&')) {
        if !PARAMETERS.contains(&option.split('=').next().unwrap_or(option)) {
            shown.push(separator);
            shown.push_str(option);
            separator = '&';
        }
    }
    shown
}

/// Names in libpq's `name=value` strings that such a string usually begins with.
const KEYWORDS: [&str; 9] = [
    "host", "hostaddr", "port", "dbname", "user", "password", "service", "sslmode", "options",
];

/// Whether a text looks like something else than a URL that names a database and may hold a password: a misspelled URL, one without its
/// beginning (`user:password@host`), or a `name=value` string of libpq.
pub(crate) fn may_be_held_by(database: &str) -> bool {
    let lower = database.trim_start().to_ascii_lowercase();
    let is_misspelled = ["postgres:", "postgresql:"]
        .iter()
        .any(|scheme| lower.starts_with(scheme));
    let has_password = lower
        .split("password")
        .skip(1)
        .any(|rest| rest.trim_start().starts_with('='));
    let has_keyword = lower
        .split_once('=')
        .is_some_and(|(name, _)| KEYWORDS.contains(&name.trim_end()));
    // The user's name has no slash; a path may have an @.
    let has_login = lower
        .rsplit_once('@')
        .and_then(|(login, _)| login.split_once(':'))
        .is_some_and(|(user, rest)| !user.contains('/') && !rest.starts_with("//"));
    is_misspelled || has_password || has_keyword || has_login
}

/// A text that may quote what was typed, without the passwords that were typed.
pub(crate) fn hidden_in(text: &str, typed: impl IntoIterator<Item = String>) -> String {
    typed.into_iter().fold(text.to_owned(), |text, argument| {
        let shown = match SCHEMES.iter().any(|scheme| argument.starts_with(scheme)) {
            false if may_be_held_by(&argument) => "…".to_owned(),
            _ => hidden(&argument),
        };
        match shown == argument {
            true => text,
            false => text.replace(&argument, &shown),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_left_and_everything_else_is() {
        for (url, expected) in [
            ("shop.sqlite", "shop.sqlite"),
            ("dir/u:p@x.sqlite", "dir/u:p@x.sqlite"),
            ("postgres://", "postgres://"),
            ("postgres://h:5432/d", "postgres://h:5432/d"),
            (
                "postgres://u@h/d?sslmode=require",
                "postgres://u@h/d?sslmode=require",
            ),
            ("postgres://u:secret@h:1/d", "postgres://u@h:1/d"),
            (
                "postgresql://u:secret@/d?host=/tmp",
                "postgresql://u@/d?host=/tmp",
            ),
            ("postgres://:secret@h/d", "postgres://@h/d"),
            ("postgres://u:sec@ret@h/d", "postgres://u@h/d"),
            ("postgres://u:s/e?c#r@h/d", "postgres://u@h/d"),
            ("postgres://h/d?password=secret", "postgres://h/d"),
            (
                "postgres://h/d?a=1&password=secret&sslpassword=secret&b=2",
                "postgres://h/d?a=1&b=2",
            ),
        ] {
            assert_eq!(hidden(url), expected);
            assert!(!hidden(url).contains("secret"));
        }
    }

    #[test]
    fn what_may_hold_a_password_is_recognised() {
        for (text, expected) in [
            ("host=127.0.0.1 password=secret", true),
            ("dbname = shop", true),
            (" password = secret", true),
            ("u:secret@127.0.0.1:40001/a", true),
            ("postgres:/u:secret@h/d", true),
            ("postgres:u:secret@h/d", true),
            ("Postgres://u:secret@h/d", true),
            ("u:sec://ret@h/d", true),
            ("shop.sqlite", false),
            ("C:/data/shop.sqlite", false),
            ("dir/u:p@x.sqlite", false),
            ("me@home.sqlite", false),
            ("mysql://u:p@h/d", false),
        ] {
            assert_eq!(may_be_held_by(text), expected, "{text}");
        }
        let typed = ["status", "u:secret@h"].map(str::to_owned);
        assert_eq!(hidden_in("no 'u:secret@h'", typed), "no '…'");
    }

    #[test]
    fn what_was_typed_is_quoted_without_its_password() {
        let typed = ["serve", "postgres://u:my secret@h/d", "x"].map(str::to_owned);
        assert_eq!(
            hidden_in("cannot use 'postgres://u:my secret@h/d', serve x", typed),
            "cannot use 'postgres://u@h/d', serve x"
        );
    }
}
