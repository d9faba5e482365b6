//! A client that follows links and keeps a copy, as any client of the protocol does.
//!
//! What must hold: links are followed as they are, never taken apart (requirement 12); an exchange that failed leaves the client
//! where it was, so that it can be repeated. What is deliberately absent: any knowledge of what the answers should be (see `client`).

use std::collections::BTreeMap;
use std::io;

use crate::http::{Request, Response, Transport, target};
use crate::key::EntityKey;
use crate::model::ROOT;
use crate::page::{Entity, Item, Page, Part, read};
use crate::query::ClientQuery;

/// Why an exchange failed.
#[derive(Debug)]
pub enum Failure {
    /// There was no complete answer: the service is not there (any more).
    NoAnswer(io::Error),
    /// 503 with `Retry-After`: the service is there, but its database is not.
    Unavailable,
    /// The answer is not what it must be.
    Wrong(String),
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Failure::Wrong(text)
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoAnswer(error) => format!("no answer: {error}"),
            Failure::Unavailable => "the service is unavailable".to_owned(),
            Failure::Wrong(text) => text,
        }
    }
}

/// What an exchange led to.
#[derive(Debug)]
pub enum Turn {
    /// A page that is not the last of its round.
    Page,
    /// The last page of a round.
    Round {
        /// All items of the round, in order of arrival.
        items: Vec<(EntityKey, Item)>,
        /// The delta link.
        link: String,
    },
    /// 410: the client begins anew from the `Location`. Until the first page arrives, the copy stays as it was.
    Gone,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Follower {
    /// The defining query.
    pub query: ClientQuery,
    /// Breaks the client on purpose: it does not apply the second item of a page. For tests of the oracle.
    pub forgetful: bool,
    copy: BTreeMap<EntityKey, Entity>,
    position: Position,
}

#[derive(Clone, Debug)]
enum Position {
    /// Before a first round.
    Start { url: String },
    /// Between two rounds.
    Between { link: String },
    /// Between two pages.
    Within {
        part: Part,
        next: String,
        items: Vec<(EntityKey, Item)>,
    },
}

impl Follower {
    /// A client that has read nothing.
    pub fn new(query: ClientQuery) -> Follower {
        let position = Position::Start { url: query.url() };
        Follower {
            query,
            forgetful: false,
            copy: BTreeMap::new(),
            position,
        }
    }

    /// A client that has a copy and a delta link.
    pub fn resume(query: ClientQuery, copy: BTreeMap<EntityKey, Entity>, link: String) -> Follower {
        Follower {
            query,
            forgetful: false,
            copy,
            position: Position::Between { link },
        }
    }

    /// The copy.
    pub fn copy(&self) -> &BTreeMap<EntityKey, Entity> {
        &self.copy
    }

    /// The URL of the next request.
    pub fn url(&self) -> &str {
        match &self.position {
            Position::Start { url } => url,
            Position::Between { link } => link,
            Position::Within { next, .. } => next,
        }
    }

    /// Whether the next request begins a round.
    pub fn begins_round(&self) -> bool {
        !matches!(self.position, Position::Within { .. })
    }

    /// Whether the next URL is a link.
    pub fn has_link(&self) -> bool {
        !matches!(self.position, Position::Start { .. })
    }

    /// Sends a request for any URL with the headers of this client.
    ///
    /// # Errors
    ///
    /// There was no complete answer.
    pub fn get(&self, transport: &dyn Transport, url: &str) -> Result<Response, Failure> {
        let request = Request {
            url: resolve(url),
            headers: self.query.headers(),
        };
        transport.get(&request).map_err(Failure::NoAnswer)
    }

    /// Sends the next request and applies the answer to the copy.
    ///
    /// # Errors
    ///
    /// There was no complete answer, or none for now, or it is wrong in itself. The client has not moved.
    pub fn step(&mut self, transport: &dyn Transport) -> Result<(Turn, Response), Failure> {
        let url = self.url().to_owned();
        let response = self.get(transport, &url)?;
        if response.status == 410 {
            self.begin_anew(&response)?;
            return Ok((Turn::Gone, response));
        }
        if response.status == 503 && response.header("retry-after").is_some() {
            return Err(Failure::Unavailable);
        }
        let part = match &self.position {
            Position::Start { .. } => Part::First,
            Position::Between { .. } => Part::Delta,
            Position::Within { part, .. } => *part,
        };
        let page = self.read(&response, part, &url)?;
        if let Position::Start { .. } = self.position {
            check_preference(&response)?;
            self.copy.clear();
        }
        self.apply(&page);
        Ok((self.advance(part, page), response))
    }

    fn advance(&mut self, part: Part, page: Page) -> Turn {
        let start = Position::Start { url: String::new() };
        let mut items = match std::mem::replace(&mut self.position, start) {
            Position::Within { items, .. } => items,
            Position::Start { .. } | Position::Between { .. } => Vec::new(),
        };
        items.extend(page.items);
        if let Some(next) = page.next {
            self.position = Position::Within { part, next, items };
            return Turn::Page;
        }
        let link = page.delta.expect("a page that was read has one link");
        self.position = Position::Between { link: link.clone() };
        Turn::Round { items, link }
    }

    fn read(&self, response: &Response, part: Part, url: &str) -> Result<Page, String> {
        let page = read(response, &self.query, part)
            .map_err(|error| format!("{error}: {url}\n{:#?}\n{response:?}", self.query))?;
        match self.query.page_size {
            Some(size) if page.items.len() > size => Err(format!(
                "{} items on a page for {size}: {url}\n{response:?}",
                page.items.len()
            )),
            _ => Ok(page),
        }
    }

    fn apply(&mut self, page: &Page) {
        for (at, (key, item)) in page.items.iter().enumerate() {
            if self.forgetful && at == 1 {
                continue;
            }
            match item {
                Item::Present(entity) => {
                    self.copy.insert(key.clone(), entity.clone());
                }
                Item::Removed { .. } => {
                    self.copy.remove(key);
                }
            }
        }
    }

    /// Requirements 25 and 26.
    fn begin_anew(&mut self, response: &Response) -> Result<(), String> {
        if !self.has_link() {
            return Err(format!("410 for a first request: {response:?}"));
        }
        let location = response.header("location").ok_or("410 without Location")?;
        self.position = Position::Start {
            url: location.to_owned(),
        };
        Ok(())
    }
}

/// Requirement 4.
fn check_preference(response: &Response) -> Result<(), String> {
    let applied = response.header("preference-applied").unwrap_or("");
    if applied.contains("track-changes") {
        Ok(())
    } else {
        Err(format!("the preference was not applied: {response:?}"))
    }
}

/// The target of a link, which may be relative to the service root.
fn resolve(link: &str) -> String {
    match target(link) {
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => format!("{ROOT}{relative}"),
    }
}
