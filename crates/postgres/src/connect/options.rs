//! What a URL leaves open: libpq's environment variables, then its defaults.

use std::path::{Path, PathBuf};
use std::time::Duration;

use highwater_core::Error;

use super::tls::{Security, SecurityOptions};
use super::url::Parts;
use super::{Access, CONNECT_TIMEOUT, Host, Place, Wanted, config};

/// Options and the environment variables that set them.
const OPTIONS: [(&str, &str); 16] = [
    ("host", "PGHOST"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("application_name", "PGAPPNAME"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("options", "PGOPTIONS"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
];

/// Options of libpq that change nothing here.
const WITHOUT_EFFECT: [&str; 9] = [
    "client_encoding",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslsni",
];

/// Variables of libpq that say where the server is or how to be sure of it, and cannot be followed: better an error than another server.
const REFUSED_VARIABLES: [&str; 12] = [
    "PGSERVICE",
    "PGHOSTADDR",
    "PGREQUIRESSL",
    "PGREQUIREPEER",
    "PGREQUIREAUTH",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLCERTMODE",
    "PGSSLMINPROTOCOLVERSION",
    "PGSSLMAXPROTOCOLVERSION",
    "PGLOADBALANCEHOSTS",
    "PGGSSDELEGATION",
];

const PORT: u16 = 5432;
/// Where distributions put the server's socket.
const SOCKET_DIRECTORIES: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// Even a time-out of less is raised to this, as libpq does: one second is easily too short by rounding.
const CONNECT_TIMEOUT_MIN_S: u64 = 2;

/// What surrounds the process; tests bring their own.
pub(super) struct Environment<'e> {
    pub(super) variable: &'e dyn Fn(&str) -> Option<String>,
    pub(super) home: Option<PathBuf>,
}

impl Environment<'_> {
    pub(super) fn of_process() -> Environment<'static> {
        Environment {
            variable: &|name| std::env::var(name).ok(),
            home: std::env::home_dir(),
        }
    }
}

/// Options under libpq's names.
pub(super) struct Options<'e> {
    parts: Parts,
    /// Whether the URL says nothing of the port, so that a wrong one is the variable's.
    is_port_of_environment: bool,
    environment: &'e Environment<'e>,
}

impl<'e> Options<'e> {
    /// # Errors
    ///
    /// [`Error::Unsupported`] if the URL has an option that is not known, or a variable is set that cannot be followed.
    pub(super) fn new(
        mut parts: Parts,
        environment: &'e Environment<'e>,
    ) -> Result<Options<'e>, Error> {
        for name in parts.keys() {
            let known = OPTIONS.iter().any(|(option, _)| option == name);
            if !known && !WITHOUT_EFFECT.contains(&name.as_str()) {
                // Behind a password it may be the rest of that, after an & that was not escaped.
                let what = if parts.contains_key("password") {
                    "An option".to_owned()
                } else {
                    format!("The option \"{name}\"")
                };
                return Err(Error::Unsupported(format!(
                    "{what} in the URL of the database is not supported. Leave it out."
                )));
            }
        }
        let set = |variable: &str| {
            (environment.variable)(variable).is_some_and(|value| !value.is_empty())
        };
        if let Some(variable) = REFUSED_VARIABLES.into_iter().find(|variable| set(variable)) {
            return Err(Error::Unsupported(format!(
                "The variable {variable} is set, which is not supported. Unset it, and say in the URL of the database how to connect."
            )));
        }
        let is_port_of_environment = !parts.contains_key("port");
        for (option, variable) in OPTIONS {
            if !parts.contains_key(option)
                && let Some(value) = (environment.variable)(variable)
                && !value.is_empty()
            {
                parts.insert(option.to_owned(), value);
            }
        }
        Ok(Options {
            parts,
            is_port_of_environment,
            environment,
        })
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parts.get(name).map(String::as_str)
    }

    pub(super) fn access(&self) -> Result<Access, String> {
        let user = match self.get("user") {
            Some(user) => user.to_owned(),
            None => (self.environment.variable)("USER")
                .or_else(|| (self.environment.variable)("LOGNAME"))
                .ok_or("Nothing says which user to connect as. Name one in the URL (postgres://user@…) or in PGUSER.")?,
        };
        let database = self.get("dbname").unwrap_or(&user).to_owned();
        let connect_timeout = match self.get("connect_timeout").map(str::parse::<u64>) {
            None | Some(Ok(0)) => CONNECT_TIMEOUT,
            Some(Ok(seconds)) => Duration::from_secs(seconds.max(CONNECT_TIMEOUT_MIN_S)),
            Some(Err(_)) => return Err("connect_timeout is not a number of seconds.".into()),
        };
        if let Some(negotiation) = self.get("sslnegotiation")
            && negotiation != "postgres"
        {
            return Err("Only sslnegotiation=postgres is supported.".into());
        }
        Ok(Access {
            hosts: self.hosts()?,
            config: config(self, &user, &database)?,
            user,
            database,
            has_password: self.get("password").is_some(),
            password_file: self
                .get("passfile")
                .map(PathBuf::from)
                .or_else(|| self.in_home(".pgpass")),
            security: self.security()?,
            wanted: self.wanted()?,
            connect_timeout,
        })
    }

    fn hosts(&self) -> Result<Vec<Host>, String> {
        let ports = match self.get("port") {
            None => Vec::new(),
            Some(ports) => ports
                .split(',')
                .map(|text| port(text).ok_or_else(|| self.wrong_port()))
                .collect::<Result<Vec<u16>, _>>()?,
        };
        let port_of = |position: usize| match ports.len() {
            1 => ports[0],
            _ => ports.get(position).copied().unwrap_or(PORT),
        };
        let Some(hosts) = self.get("host") else {
            return Ok(vec![Host {
                place: default_place(port_of(0)),
                port: port_of(0),
            }]);
        };
        let hosts: Vec<Host> = hosts
            .split(',')
            .enumerate()
            .map(|(position, host)| {
                let port = port_of(position);
                let place = match host {
                    "" => default_place(port),
                    path if path.starts_with('/') => Place::Unix(PathBuf::from(path)),
                    name => Place::Tcp(name.to_owned()),
                };
                Host { place, port }
            })
            .collect();
        if ports.len() > 1 && ports.len() != hosts.len() {
            return Err(format!(
                "The URL of the database names {} hosts but {} ports. Name one port, or one for each host.",
                hosts.len(),
                ports.len()
            ));
        }
        Ok(hosts)
    }

    fn wrong_port(&self) -> String {
        if self.is_port_of_environment {
            return "PGPORT is not a number from 1 to 65535, or several with commas between them. Correct it.".to_owned();
        }
        // Not quoted: it may be a piece of a password that was not escaped.
        "A port in the URL of the database is not a number from 1 to 65535. If it belongs to a password, write / as %2F and @ as %40 there."
            .to_owned()
    }

    fn security(&self) -> Result<Security, String> {
        let default_roots = self.in_home(".postgresql/root.crt");
        Security::new(&SecurityOptions {
            mode: self.get("sslmode"),
            roots: self.get("sslrootcert"),
            default_roots: default_roots.as_deref().filter(|path| path.exists()),
            certificate: self.get("sslcert").map(Path::new),
            key: self.get("sslkey").map(Path::new),
        })
    }

    fn wanted(&self) -> Result<Wanted, String> {
        Ok(match self.get("target_session_attrs").unwrap_or("any") {
            "any" => Wanted::Any,
            "read-write" => Wanted::ReadWrite,
            "read-only" => Wanted::ReadOnly,
            "primary" => Wanted::Primary,
            "standby" => Wanted::Standby,
            "prefer-standby" => Wanted::PreferStandby,
            other => {
                return Err(format!(
                    "target_session_attrs={other} is not known. Use any, read-write, read-only, primary, standby or prefer-standby."
                ));
            }
        })
    }

    fn in_home(&self, path: &str) -> Option<PathBuf> {
        Some(self.environment.home.as_ref()?.join(path))
    }
}

fn port(text: &str) -> Option<u16> {
    match text {
        "" => Some(PORT),
        text => text.parse().ok().filter(|port| *port != 0),
    }
}

/// The socket of a server on this machine if there is one, else the network.
fn default_place(port: u16) -> Place {
    SOCKET_DIRECTORIES
        .iter()
        .map(Path::new)
        .find(|directory| directory.join(format!(".s.PGSQL.{port}")).exists())
        .map_or_else(
            || Place::Tcp("localhost".to_owned()),
            |directory| Place::Unix(directory.to_owned()),
        )
}

/// libpq calls a server behind one of these sockets `localhost` in the password file.
pub(super) fn is_default_socket(directory: &Path) -> bool {
    SOCKET_DIRECTORIES
        .iter()
        .any(|path| Path::new(path) == directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(url: &str, variables: &[(&str, &str)]) -> Result<Access, Error> {
        let variables: Vec<(String, String)> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Access::parse_in(
            url,
            &Environment {
                variable: &move |wanted| {
                    let found = variables.iter().find(|(name, _)| name == wanted);
                    found.map(|(_, value)| value.clone())
                },
                home: None,
            },
        )
    }

    #[test]
    fn the_environment_fills_what_the_url_leaves_open() {
        let check = |url: &str, variables: &[(&str, &str)], expected: &str| {
            let access = access(url, variables).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(access.to_string(), expected);
            assert_eq!(format!("{access:?}"), format!("Access({expected})"));
        };
        check(
            "postgres://ann:secret@db:1/shop",
            &[("PGUSER", "bob"), ("PGHOST", "other"), ("PGPORT", "9")],
            "postgres://ann@db:1/shop",
        );
        check(
            "postgres://",
            &[("PGUSER", "bob"), ("PGHOST", "other"), ("PGPORT", "9")],
            "postgres://bob@other:9/bob",
        );
        check(
            "postgres://a,b,/c",
            &[("USER", "eve"), ("PGDATABASE", "shop")],
            "postgres://eve@a:5432,b:5432,localhost:5432/c",
        );
        check(
            "postgres://a:1,[::1]:2/shop",
            &[("USER", "eve")],
            "postgres://eve@a:1,[::1]:2/shop",
        );
        check(
            "postgres:///shop?host=/run/pg&port=7&user=ann&password=secret",
            &[],
            "postgres://ann@/run/pg:7/shop",
        );
    }

    #[test]
    fn options_that_cannot_be_followed_are_refused() {
        let check = |url: &str, expected: &str| {
            let error = access(url, &[("USER", "eve")]).unwrap_err().to_string();
            assert!(error.contains(expected), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        };
        check("postgres://a?sslcrl=x", "sslcrl");
        check("postgres://a?sslmode=maybe", "sslmode");
        check(
            "postgres://a?target_session_attrs=x",
            "target_session_attrs",
        );
        check("postgres://a?connect_timeout=soon", "connect_timeout");
        check("postgres://a,b,c:1?port=1,2", "3 hosts but 2 ports");
        check("postgres://ann:secret/x", "port");
        check(
            "postgres://a?sslmode=require&sslrootcert=system",
            "verify-full",
        );
        check("postgres://a?sslnegotiation=direct", "sslnegotiation");
    }

    #[test]
    fn variables_that_cannot_be_followed_are_refused() {
        for (variable, value, expected) in [
            ("PGPORT", "abc", Some("PGPORT is not a number")),
            ("PGSERVICE", "shop", Some("PGSERVICE")),
            ("PGSERVICE", "", None),
            ("PGHOSTADDR", "127.0.0.1", Some("PGHOSTADDR")),
        ] {
            let refused = access("postgres://a", &[("USER", "eve"), (variable, value)]).err();
            let refused = refused.map(|error| error.to_string());
            match expected {
                Some(part) => assert!(
                    refused.as_ref().is_some_and(|r| r.contains(part)),
                    "{variable}: {refused:?}"
                ),
                None => assert_eq!(refused, None),
            }
        }
        let error = access("postgres://a:x/b", &[("PGPORT", "1")]).unwrap_err();
        assert!(error.to_string().contains("in the URL"), "{error}");
    }

    #[test]
    fn what_may_be_a_password_is_not_quoted() {
        let error = access("postgres://a/b?password=top&secret=1", &[]).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn nothing_says_who_connects() {
        let error = access("postgres://a/b", &[]).unwrap_err().to_string();
        assert!(error.contains("PGUSER"), "{error}");
    }
}
