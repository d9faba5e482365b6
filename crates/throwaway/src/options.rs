//! How a cluster of one's own differs from the usual one.

/// Settings of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Options {
    settings: Vec<(String, String)>,
    access: Vec<String>,
}

/// What every cluster has. Nothing survives the machine, so nothing is ever written through to the disk.
const USUAL: [(&str, &str); 10] = [
    // It would take locks at moments of its own choice.
    ("autovacuum", "off"),
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("listen_addresses", "127.0.0.1"),
    ("max_connections", "200"),
    ("max_prepared_transactions", "50"),
    ("max_replication_slots", "20"),
    ("max_wal_senders", "20"),
    // The usual one since version 14.
    ("password_encryption", "scram-sha-256"),
    ("wal_level", "logical"),
];

impl Options {
    /// The usual cluster.
    pub fn new() -> Options {
        Options::default()
    }

    /// Sets a parameter of `postgresql.conf`.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Options {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a line to `pg_hba.conf`. Without any, everybody on this machine is trusted; with some, only `postgres` through the Unix
    /// socket is, and whom the lines admit.
    #[must_use]
    pub fn admit(mut self, line: &str) -> Options {
        self.access.push(line.to_owned());
        self
    }

    /// The lines to add to `postgresql.conf`; the last one of a name counts.
    pub(crate) fn configuration(&self, port: u16, socket_directory: &str) -> String {
        let usual = USUAL.iter().map(|(name, value)| (*name, *value));
        let own = self
            .settings
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let port = port.to_string();
        let place = [
            ("port", port.as_str()),
            ("unix_socket_directories", socket_directory),
        ];
        usual
            .chain(own)
            .chain(place)
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")))
            .collect()
    }

    /// The whole `pg_hba.conf`; `None` for the one that `initdb` makes.
    pub(crate) fn access(&self) -> Option<String> {
        if self.access.is_empty() {
            return None;
        }
        let first = [
            "local all postgres trust",
            "local replication postgres trust",
        ];
        let lines = first
            .into_iter()
            .chain(self.access.iter().map(String::as_str));
        Some(lines.map(|line| format!("{line}\n")).collect())
    }
}
