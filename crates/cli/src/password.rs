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

/// A text that may quote what was typed, without the passwords that were typed.
pub(crate) fn hidden_in(text: &str, typed: impl IntoIterator<Item = String>) -> String {
    typed.into_iter().fold(text.to_owned(), |text, argument| {
        let shown = hidden(&argument);
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
    fn what_was_typed_is_quoted_without_its_password() {
        let typed = ["serve", "postgres://u:my secret@h/d", "x"].map(str::to_owned);
        assert_eq!(
            hidden_in("cannot use 'postgres://u:my secret@h/d', serve x", typed),
            "cannot use 'postgres://u@h/d', serve x"
        );
    }
}
