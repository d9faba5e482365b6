//! The grammar of a connection URL, as libpq has it: `postgres://user:password@host:port,host:port/database?option=value&…`.
//!
//! What must hold: an error quotes nothing that could be a part of a password.

use std::collections::BTreeMap;

use highwater_core::Error;
use percent_encoding::percent_decode_str;

/// The parts of a URL under the names that libpq gives them. Several hosts (and their ports) are separated by commas.
pub(super) type Parts = BTreeMap<String, String>;

/// # Errors
///
/// [`Error::Unsupported`] if it is no such URL.
pub(super) fn parse(url: &str) -> Result<Parts, Error> {
    let rest = url
        .strip_prefix("postgres://")
        .or_else(|| url.strip_prefix("postgresql://"))
        .ok_or_else(|| refuse("The URL of a database begins with postgres:// or postgresql://."))?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    // Else it would become a part of a name, and names are quoted in errors.
    if rest.to_ascii_lowercase().contains("password=") {
        return Err(refuse(
            "The URL of the database has an option before its ?. Write the options behind it, as ?name=value&name=value.",
        ));
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    if database.contains('@') {
        return Err(refuse(
            "The URL of the database has a / before its @. Write a / in a user name or password as %2F.",
        ));
    }
    let (credentials, hosts) = match authority.split_once('@') {
        Some((credentials, hosts)) => (Some(credentials), hosts),
        None => (None, authority),
    };
    let mut parts = Parts::new();
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        put(&mut parts, "user", user)?;
        put(&mut parts, "password", password.unwrap_or_default())?;
    }
    put_hosts(&mut parts, hosts)?;
    put(&mut parts, "dbname", database)?;
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = option.split_once('=').ok_or_else(|| {
            refuse("An option in the URL of the database has no value. Write it as name=value.")
        })?;
        if value.contains('=') {
            return Err(refuse(
                "An option in the URL of the database has a second =. Separate options by &, and write an = in a value as %3D.",
            ));
        }
        put(&mut parts, &decode(name)?, value)?;
    }
    Ok(parts)
}

fn put_hosts(parts: &mut Parts, hosts: &str) -> Result<(), Error> {
    if hosts.is_empty() {
        return Ok(());
    }
    let mut names = Vec::new();
    let mut ports = Vec::new();
    for host in hosts.split(',') {
        let (name, port) = if let Some(bracketed) = host.strip_prefix('[') {
            let (address, rest) = bracketed.split_once(']').ok_or_else(|| {
                refuse("An address in the URL of the database has no closing bracket.")
            })?;
            (address, rest.strip_prefix(':').unwrap_or(rest))
        } else {
            host.split_once(':').unwrap_or((host, ""))
        };
        names.push(decode(name)?);
        ports.push(decode(port)?);
    }
    if hosts.contains('@') {
        return Err(refuse(
            "The URL of the database has more than one @. Write an @ in a user name or password as %40.",
        ));
    }
    parts.insert("host".to_owned(), names.join(","));
    if ports.iter().any(|port| !port.is_empty()) {
        parts.insert("port".to_owned(), ports.join(","));
    }
    Ok(())
}

/// An empty value is as good as none.
fn put(parts: &mut Parts, name: &str, value: &str) -> Result<(), Error> {
    if !value.is_empty() {
        parts.insert(name.to_owned(), decode(value)?);
    }
    Ok(())
}

fn decode(text: &str) -> Result<String, Error> {
    let mut escapes = text.split('%').skip(1);
    if !escapes.all(|rest| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit())) {
        return Err(refuse(
            "A % in the URL of the database is not followed by two hexadecimal digits. Write a % itself as %25.",
        ));
    }
    match percent_decode_str(text).decode_utf8() {
        Ok(text) if !text.contains('\0') => Ok(text.into_owned()),
        _ => Err(refuse(
            "A part of the URL of the database is not valid UTF-8 text once its % escapes are replaced.",
        )),
    }
}

fn refuse(why: &str) -> Error {
    Error::Unsupported(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_all_forms() {
        let check = |url: &str, expected: &[(&str, &str)]| {
            let parts = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
            let parts: Vec<(&str, &str)> = parts.iter().map(|(k, v)| (&**k, &**v)).collect();
            assert_eq!(parts, expected, "{url}");
        };
        check("postgres://", &[]);
        check("postgresql:///shop", &[("dbname", "shop")]);
        check("postgres://db", &[("host", "db")]);
        check(
            "postgres://ann:s%40c%2Fr%25t@db:5433/shop",
            &[
                ("dbname", "shop"),
                ("host", "db"),
                ("password", "s@c/r%t"),
                ("port", "5433"),
                ("user", "ann"),
            ],
        );
        check(
            "postgres://ann@a,b:2,[::1]:3/",
            &[("host", "a,b,::1"), ("port", ",2,3"), ("user", "ann")],
        );
        check(
            "postgres://%2Fvar%2Frun/shop?sslmode=disable&host=%2Ftmp",
            &[("dbname", "shop"), ("host", "/tmp"), ("sslmode", "disable")],
        );
        check(
            "postgres://ann:a:b@db",
            &[("host", "db"), ("password", "a:b"), ("user", "ann")],
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for url in [
            "mysql://db",
            "postgres://ann:top/secret@db/shop",
            "postgres://ann:top@secret@db/shop",
            "postgres://[::1",
            "postgres://db/shop?sslmode",
            "postgres://ann:secret%ff@db/shop",
            "postgres://ann:secret%zz@db/shop",
            "postgres://ann:secret%@db/shop",
            "postgres://db/shop%2",
            "postgres:///shop?host=db&user=ann;password=secret",
            "postgres:///shop;password=secret",
            "postgres://db/shop?sslmode=require;Password=secret",
        ] {
            let error = parse(url).unwrap_err().to_string();
            assert!(
                !error.contains("top") && !error.contains("secret"),
                "{url}: {error}"
            );
        }
    }
}
