//! A node of the service, and a client that follows one table through nodes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use highwater_core::link::Position;
use highwater_core::tracking::Policy;
use highwater_core::{Link, Snapshot, Store as _};
use highwater_postgres::{Options, PostgresStore};
use highwater_server::{Service, Settings};
use http_body_util::{BodyExt as _, Empty};
use serde_json::Value;

/// How long an answer may take, whatever is wrong.
const ANSWER_MAX: Duration = Duration::from_secs(20);
/// How long a client asks again.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node, without its maintenance.
pub(crate) struct Node {
    pub(crate) store: Arc<PostgresStore>,
    service: Service,
}

/// What a node answers if not with a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// 503 with `Retry-After`.
    Later(String),
    /// 410
    Gone(String),
}

impl Node {
    pub(crate) async fn new(url: &str) -> Node {
        Node::with(url, Options::default()).await
    }

    pub(crate) async fn with(url: &str, options: Options) -> Node {
        let options = Options {
            tracking: Policy::Except(vec!["log".into()]),
            ..options
        };
        let store = PostgresStore::open(url, options).await;
        let store = Arc::new(store.unwrap_or_else(|error| panic!("{error}: {url}")));
        let service = Service::new(store.clone(), Settings::default());
        service.prepare().await.unwrap();
        Node { store, service }
    }

    /// Records a tick, if one is due.
    pub(crate) async fn tick(&self) {
        self.store.maintain_once().await.unwrap();
    }

    /// Sends a request for pages of so many rows.
    pub(crate) async fn get(&self, target: &str, rows: usize) -> Result<Value, Refused> {
        let request = http::Request::builder()
            .uri(target)
            .header("host", "h")
            .header("prefer", format!("track-changes, maxpagesize={rows}"))
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answer = tokio::time::timeout(ANSWER_MAX, self.service.call(request)).await;
        let (head, body) = answer.expect("an answer in time").into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        match head.status.as_u16() {
            200 => Ok(serde_json::from_slice(&body).unwrap()),
            410 => Err(Refused::Gone(text)),
            503 => {
                assert!(head.headers.contains_key("retry-after"), "{text}");
                Err(Refused::Later(text))
            }
            status => panic!("{status} for {target}: {text}"),
        }
    }
}

/// A client's copy of the table `t`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Copy {
    pub(crate) rows: BTreeMap<i64, i64>,
    /// What to ask for next; nothing was read yet if it is empty.
    link: String,
    is_within: bool,
    /// Rows that a page may have.
    pub(crate) page_rows: usize,
}

impl Copy {
    /// A client that has read everything.
    pub(crate) async fn of(node: &Node) -> Copy {
        let mut copy = Copy::new(1000);
        copy.round(node).await.unwrap();
        copy
    }

    /// A client that has read nothing.
    pub(crate) fn new(page_rows: usize) -> Copy {
        Copy {
            page_rows,
            ..Copy::default()
        }
    }

    /// Asks for one page. Returns whether the copy is a state of the table now.
    pub(crate) async fn step(&mut self, node: &Node) -> Result<bool, Refused> {
        let target = match self.link.as_str() {
            "" => "/odata/t",
            link => link.strip_prefix("http://h").unwrap(),
        };
        let page = node.get(target, self.page_rows).await?;
        if self.link.is_empty() {
            self.rows.clear();
        }
        let link = |name: &str| {
            let link = page
                .get(format!("@{name}"))
                .or(page.get(format!("@odata.{name}")));
            link.and_then(Value::as_str).map(str::to_owned)
        };
        for item in page["value"].as_array().unwrap() {
            let removed = item.get("@removed").or(item.get("@odata.removed"));
            let id = item.get("id").and_then(Value::as_i64);
            match removed {
                Some(_) => {
                    let id = id.unwrap_or_else(|| key(item));
                    self.rows.remove(&id);
                }
                None => {
                    self.rows.insert(id.unwrap(), item["v"].as_i64().unwrap());
                }
            }
        }
        let (next, delta) = (link("nextLink"), link("deltaLink"));
        self.is_within = next.is_some();
        self.link = next.or(delta).expect("a link");
        Ok(!self.is_within)
    }

    /// Asks for the rest of a round.
    pub(crate) async fn round(&mut self, node: &Node) -> Result<(), Refused> {
        while !self.step(node).await? {}
        Ok(())
    }

    /// Asks for a round as often as it is told to try again. Returns whether the link was gone.
    pub(crate) async fn insist(&mut self, node: &Node) -> Result<(), Refused> {
        let begin = Instant::now();
        loop {
            match self.round(node).await {
                Err(Refused::Later(_)) if begin.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Forgets the link and reads everything.
    pub(crate) async fn anew(&mut self, node: &Node) {
        self.link.clear();
        self.insist(node).await.unwrap();
    }

    /// The snapshot of the copy, as PostgreSQL writes it.
    pub(crate) async fn snapshot(&self, node: &Node) -> String {
        assert!(!self.is_within);
        let (_, token) = self.link.split_once("deltatoken=").unwrap();
        let keys = node.store.key_ring(false).await.unwrap();
        let link = Link::open(token, &keys).unwrap();
        let Position::Delta { lo } = link.position else {
            panic!("{:?} is no position of a delta link", link.position);
        };
        snapshot_text(&lo)
    }
}

/// The key in the id of a removed item, such as `t(7)`.
fn key(item: &Value) -> i64 {
    let id = item.get("@id").or(item.get("@odata.id")).or(item.get("id"));
    let id = id.and_then(Value::as_str).unwrap();
    let (_, key) = id.rsplit_once('(').unwrap();
    key.trim_end_matches(')').parse().unwrap()
}

/// From `transactions before 9 except 5, 7, anchored …` to `5:9:5,7`.
fn snapshot_text(snapshot: &Snapshot) -> String {
    let text = highwater_postgres::admin::describe_snapshot(snapshot);
    let (text, _) = text.split_once(", anchored").unwrap();
    let text = text.strip_prefix("transactions before ").unwrap();
    let (xmax, xip) = text.split_once(" except ").unwrap_or((text, ""));
    let xip: Vec<&str> = xip.split(", ").filter(|xid| !xid.is_empty()).collect();
    let xmin = xip.first().unwrap_or(&xmax);
    format!("{xmin}:{xmax}:{}", xip.join(","))
}
