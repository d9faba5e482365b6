//! A client all of whose rounds are checked, and that also tries its links in other ways.
//!
//! What must hold: the database does not change while a request is answered here, so the committed state around the first
//! request of a round is the state where the round must end. What is deliberately absent: threads, and any decision about when to
//! write.

use std::rc::Rc;

use crate::follower::{Failure, Follower, Turn};
use crate::http::Transport;
use crate::lab::Lab;
use crate::oracle::{Seen, State, check_round};
use crate::query::ClientQuery;
use crate::rng::Rng;
use crate::schema::Schema;
use crate::trace::Trace;

/// Earlier delta links that a client keeps to follow them again.
const LINKS_KEPT_MAX: usize = 5;

/// What a client needs around it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The database.
    pub lab: &'a dyn Lab,
    /// The tables as they are now.
    pub schema: &'a Schema,
    /// The way to the service.
    pub transport: &'a dyn Transport,
}

/// What a request led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A page was read, and the round goes on.
    Page,
    /// A round was completed and is exact.
    Round,
    /// 410: the client begins anew from the `Location` when it is asked next.
    Gone,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    /// For the trace.
    pub number: usize,
    /// What follows the links.
    pub follower: Follower,
    /// The state of the copy before the round.
    lo: Option<Rc<State>>,
    /// The state where the round must end.
    hi: Rc<State>,
    /// Delta links with the states where they begin.
    issued: Vec<(String, Rc<State>)>,
    /// Skip links with their pages.
    pages: Vec<(String, Vec<u8>)>,
}

impl Client {
    /// A client that has read nothing.
    pub fn new(number: usize, query: ClientQuery) -> Client {
        Client {
            number,
            follower: Follower::new(query),
            lo: None,
            hi: Rc::default(),
            issued: Vec::new(),
            pages: Vec::new(),
        }
    }

    /// The position of the client's table in the schema.
    pub fn table(&self) -> usize {
        self.follower.query.table
    }

    /// The state that the client has, if it has completed a round and not begun another.
    pub fn between(&self) -> Option<&State> {
        (self.follower.has_link() && self.follower.begins_round()).then_some(&*self.hi)
    }

    /// The client's answer in the present state of the database.
    pub fn state(&self, around: Surroundings<'_>) -> State {
        State::read(
            around.lab,
            &around.schema.tables[self.table()],
            &self.follower.query,
        )
    }

    /// Forgets all links but the next one, because they may be void.
    pub fn forget_links(&mut self) {
        self.issued.clear();
        self.pages.clear();
    }

    /// Sends the next request and checks the answer.
    ///
    /// # Errors
    ///
    /// There is no answer, and the client has not moved; or what is wrong with it.
    pub fn step(
        &mut self,
        around: Surroundings<'_>,
        trace: &mut Trace,
    ) -> Result<Progress, Failure> {
        let url = self.follower.url().to_owned();
        let (begins, first) = (self.follower.begins_round(), !self.follower.has_link());
        trace.note(format_args!("client {}: GET {url}", self.number));
        let (turn, response) = self.follower.step(around.transport)?;
        if let Turn::Gone = turn {
            trace.note(format_args!("{}", String::from_utf8_lossy(&response.body)));
            self.forget_links();
            return Ok(Progress::Gone);
        }
        if begins {
            self.lo = (!first).then(|| self.hi.clone());
            self.hi = Rc::new(self.state(around));
            self.pages.clear();
        } else {
            self.pages.push((url, response.body));
        }
        let Turn::Round { items, link } = turn else {
            return Ok(Progress::Page);
        };
        let seen = Seen {
            items,
            copy: self.follower.copy().clone(),
        };
        check_round(self.lo.as_deref(), &self.hi, &seen).map_err(|error| {
            format!(
                "client {}: {error}\n{:#?}",
                self.number, self.follower.query
            )
        })?;
        if self.issued.len() == LINKS_KEPT_MAX {
            self.issued.remove(0);
        }
        self.issued.push((link, self.hi.clone()));
        Ok(Progress::Round)
    }

    /// Follows an earlier delta link again, through all pages, and checks the difference from where it begins. The client's own
    /// round is not touched. `None` if there is no such link, otherwise whether the round was completed or the link is gone.
    ///
    /// # Errors
    ///
    /// What is wrong with an answer.
    pub fn replay(
        &self,
        around: Surroundings<'_>,
        rng: &mut Rng,
        trace: &mut Trace,
    ) -> Result<Option<Progress>, Failure> {
        if self.issued.is_empty() {
            return Ok(None);
        }
        let (link, state) = rng.pick(&self.issued).clone();
        let query = self.follower.query.clone();
        let mut other = Client::new(self.number, query.clone());
        other.follower = Follower::resume(query, state.answer(), link);
        other.hi = state;
        loop {
            match other.step(around, trace)? {
                Progress::Page => {}
                end => return Ok(Some(end)),
            }
        }
    }

    /// Fetches a page again that a skip link led to. `None` if there is none, otherwise whether it is there or gone.
    ///
    /// # Errors
    ///
    /// The page is not the same.
    pub fn fetch_again(
        &self,
        around: Surroundings<'_>,
        rng: &mut Rng,
        trace: &mut Trace,
    ) -> Result<Option<Progress>, Failure> {
        if self.pages.is_empty() {
            return Ok(None);
        }
        let (url, body) = rng.pick(&self.pages);
        trace.note(format_args!("client {}: GET {url} again", self.number));
        let response = self.follower.get(around.transport, url)?;
        if response.status == 410 {
            return Ok(Some(Progress::Gone));
        }
        if response.status != 200 || response.body != *body {
            let first = String::from_utf8_lossy(body);
            return Err(format!("the page was\n{first}\nand now is\n{response:?}").into());
        }
        Ok(Some(Progress::Page))
    }

    /// Sends a link of its own with one character changed or appended, or with its end cut. `None` if there is no link.
    ///
    /// # Errors
    ///
    /// The answer is not 400.
    pub fn damage(
        &self,
        around: Surroundings<'_>,
        rng: &mut Rng,
        trace: &mut Trace,
    ) -> Result<Option<Progress>, Failure> {
        if !self.follower.has_link() {
            return Ok(None);
        }
        let link = self.follower.url();
        let token = link
            .rfind('=')
            .ok_or_else(|| format!("no token in {link}"))?
            + 1;
        let damaged = damage(link, token, rng);
        trace.note(format_args!(
            "client {}: GET {damaged}, damaged",
            self.number
        ));
        let response = self.follower.get(around.transport, &damaged)?;
        if response.status != 400 {
            return Err(format!("the damaged link {damaged} (was {link}): {response:?}").into());
        }
        Ok(Some(Progress::Page))
    }
}

fn damage(link: &str, token: usize, rng: &mut Rng) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = link.as_bytes().to_vec();
    let at = token + rng.below(link.len() - token);
    match rng.below(4) {
        0 => bytes.truncate(at),
        1 => bytes.push(*rng.pick(ALPHABET)),
        _ => {
            let others: Vec<u8> = ALPHABET
                .iter()
                .copied()
                .filter(|byte| *byte != bytes[at])
                .collect();
            bytes[at] = *rng.pick(&others);
        }
    }
    String::from_utf8(bytes).expect("a link is ASCII")
}
