//! A throw-away database with a service, and requests as text.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use highwater_server::{Service, Settings};
use highwater_sqlite::{Options, SqliteStore};
use http_body_util::{BodyExt as _, Full};

/// Customers with orders, orders with items, and things that a database also has.
const SCHEMA: &str = "
    CREATE TABLE Customers (
        Id TEXT PRIMARY KEY NOT NULL,
        Name TEXT NOT NULL,
        City TEXT,
        Balance DECIMAL(10,2) NOT NULL DEFAULT 0);
    CREATE TABLE Orders (
        Id INTEGER PRIMARY KEY,
        CustomerId TEXT REFERENCES Customers(Id),
        Amount REAL,
        Number TEXT UNIQUE);
    CREATE TABLE Items (
        OrderId INTEGER NOT NULL REFERENCES Orders(Id) ON DELETE CASCADE,
        Line INTEGER NOT NULL,
        Product TEXT NOT NULL CHECK (length(Product) > 0),
        Quantity INTEGER NOT NULL DEFAULT 1,
        Twice INTEGER GENERATED ALWAYS AS (Quantity * 2),
        PRIMARY KEY (OrderId, Line));
    CREATE TABLE Files (Id INTEGER PRIMARY KEY, Content BLOB, Anything);
    CREATE VIEW Cities AS SELECT City, count(*) AS Inhabitants FROM Customers GROUP BY City ORDER BY City;
    INSERT INTO Customers VALUES
        ('ALFKI', 'Alfreds', 'Berlin', 10.5), ('BOLID', 'Bolido', 'Madrid', 0), ('CHOPS', 'Chop-suey', NULL, -1);
    INSERT INTO Orders VALUES
        (1, 'ALFKI', 10.5, 'A-1'), (2, 'ALFKI', NULL, 'A-2'), (3, 'BOLID', 99, 'B-1'), (4, NULL, 1, NULL);
    INSERT INTO Items (OrderId, Line, Product, Quantity) VALUES
        (1, 1, 'Tea', 2), (1, 2, 'Milk', 1), (3, 1, 'Tea', 7);
    INSERT INTO Files VALUES (1, x'00ff', 'text'), (2, NULL, 5);
";

/// When the tests begin, in seconds since 1970; the beginning of an hour.
pub(crate) const START_UNIX_S: i64 = 1_700_000_000 / 3600 * 3600;

pub(crate) struct Lab {
    service: Option<Service>,
    pub(crate) file: std::path::PathBuf,
    _folder: tempfile::TempDir,
    clock: Arc<AtomicI64>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Bytes,
}

impl Lab {
    pub(crate) async fn new() -> Lab {
        Lab::with(Settings::default(), SCHEMA).await
    }

    pub(crate) async fn with_settings(settings: Settings) -> Lab {
        Lab::with(settings, SCHEMA).await
    }

    pub(crate) async fn with(settings: Settings, schema: &str) -> Lab {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lab.sqlite");
        let connection = rusqlite::Connection::open(&file).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection.execute_batch(schema).unwrap();
        drop(connection);
        let clock = Arc::new(AtomicI64::new(START_UNIX_S));
        Lab {
            service: Some(service(&file, settings, &clock).await),
            file,
            _folder: folder,
            clock,
        }
    }

    /// The service that runs now.
    pub(crate) fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// From now on, requests go to this service.
    pub(crate) fn use_service(&mut self, service: Service) {
        self.service = Some(service);
    }

    /// Ends the service and begins another one over the same file.
    pub(crate) async fn restart(&mut self) {
        self.restart_after(|_| {}).await;
    }

    /// Does something to the file while no service runs.
    pub(crate) async fn restart_after(&mut self, change: impl FnOnce(&std::path::Path)) {
        let settings = self.service.take().unwrap().settings().clone();
        change(&self.file);
        self.restart_with(settings).await;
    }

    pub(crate) async fn restart_with(&mut self, settings: Settings) {
        self.service = None;
        self.service = Some(service(&self.file, settings, &self.clock).await);
    }

    /// Changes the database behind the service's back.
    pub(crate) fn sql(&self, statements: &str) {
        let connection = rusqlite::Connection::open(&self.file).unwrap();
        connection.execute_batch(statements).unwrap();
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: i64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Sends a request: the first line is method and target (below the service root unless it begins with `/` or `http:`), then come
    /// headers, and after an empty line the body.
    pub(crate) async fn send(&self, request: &str) -> Reply {
        let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
        let mut lines = head.lines().map(str::trim);
        let line = lines.next().unwrap();
        let (method, target) = line.split_once(' ').unwrap_or((line, ""));
        let target = match target {
            absolute if absolute.starts_with("http:") => {
                absolute.strip_prefix("http://h").unwrap().to_owned()
            }
            rooted if rooted.starts_with('/') => rooted.to_owned(),
            relative => format!("/odata/{relative}"),
        };
        let target = target.replace(' ', "%20");
        let mut builder = http::Request::builder()
            .method(method)
            .uri(target)
            .header("host", "h");
        for line in lines {
            let (name, value) = line.split_once(':').unwrap();
            builder = builder.header(name.trim(), value.trim());
        }
        let body = Full::new(Bytes::from(body.trim().to_owned()));
        let request = builder.body(body).unwrap();
        let (parts, body) = self.service().call(request).await.into_parts();
        Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    /// Sends a request and compares the answer: the status, and texts that head or body must have, or with `!` before must not.
    #[track_caller]
    pub(crate) fn check<'a>(
        &'a self,
        request: &'a str,
        status: u16,
        texts: &'a [&'a str],
    ) -> impl Future<Output = Reply> + 'a {
        let place = std::panic::Location::caller();
        async move {
            let reply = self.send(request).await;
            let shown = reply.text();
            assert_eq!(reply.status, status, "{place}\n{request}\n\n{shown}");
            for text in texts {
                let (wanted, text) = match text.strip_prefix('!') {
                    Some(text) => (false, text),
                    None => (true, *text),
                };
                assert_eq!(
                    shown.contains(text),
                    wanted,
                    "{place}\n{request}\n\n{text:?} in\n{shown}"
                );
            }
            reply
        }
    }
}

impl Reply {
    /// Head and body as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {}\n", value.to_str().unwrap_or("?")));
        }
        text + "\n" + &String::from_utf8_lossy(&self.body)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.text()))
    }

    /// A link of the body: `nextLink`, `deltaLink`.
    pub(crate) fn link(&self, name: &str) -> String {
        let json = self.json();
        let link = json
            .get(format!("@{name}"))
            .or_else(|| json.get(format!("@odata.{name}")));
        match link.and_then(serde_json::Value::as_str) {
            Some(link) => link.to_owned(),
            None => panic!("no {name} in\n{}", self.text()),
        }
    }

    /// The items of the body, each as text.
    pub(crate) fn items(&self) -> Vec<String> {
        let json = self.json();
        let items = json["value"].as_array().unwrap();
        items.iter().map(ToString::to_string).collect()
    }
}

async fn service(file: &std::path::Path, settings: Settings, clock: &Arc<AtomicI64>) -> Service {
    let options = Options {
        retention: settings.retention,
        busy_timeout: std::time::Duration::from_millis(50),
        ..Options::default()
    };
    let store = SqliteStore::open(file, options).await.unwrap();
    let clock = clock.clone();
    Service::with_clock(Arc::new(store), settings, move || {
        clock.load(Ordering::SeqCst)
    })
}
