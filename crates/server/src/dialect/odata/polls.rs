//! Answers to polls that found nothing new, kept for the next poller.
//!
//! A delta link is the same for all clients at one position, and so is the answer while nothing is written: it differs only by the
//! hour, which is in the new link. So a thousand followers that poll cost one answer an hour, and for each poll the question whether
//! something was written. What must hold: an answer from here is, byte for byte, the one that would be made now.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use highwater_core::Snapshot;
use http::Method;
use http::header::{ACCEPT, HOST, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;

use crate::http::answer::Answer;
use crate::model::ServiceModel;
use crate::service::ServiceCore;

/// Different polls that are remembered. Beyond it all are forgotten, which costs one answer each.
const POLLS_MAX: usize = 1_024;

/// Headers that an answer depends on. Compression comes later.
const HEADERS: [HeaderName; 9] = [
    HOST,
    ACCEPT,
    HeaderName::from_static("odata-maxversion"),
    HeaderName::from_static("odata-version"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("isolation"),
    HeaderName::from_static("odata-isolation"),
    IF_MATCH,
    IF_NONE_MATCH,
];

/// The answers, by everything in a request that they depend on.
#[derive(Default)]
pub(crate) struct Polls(RwLock<HashMap<String, Poll>>);

/// An empty page, and when it can be given again.
struct Poll {
    model: Arc<ServiceModel>,
    table: usize,
    lo: Snapshot,
    hour: i64,
    answer: Answer,
}

impl Polls {
    /// The answer to a poll, if it is known and still nothing was written.
    pub(super) fn find(&self, core: &ServiceCore, parts: &Parts) -> Option<Answer> {
        let key = key(parts)?;
        let model = core.cached_model()?;
        let polls = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let poll = polls.get(&key)?;
        let holds = poll.hour == hour(core.now_unix_s())
            && Arc::ptr_eq(&poll.model, &model)
            && core
                .store
                .unchanged_since(model.catalog(), poll.table, &poll.lo)
                == Some(true);
        holds.then(|| poll.answer.clone())
    }

    /// Remembers the answer to a poll that found nothing after `lo`.
    pub(super) fn keep(
        &self,
        parts: &Parts,
        model: &Arc<ServiceModel>,
        table: usize,
        lo: Snapshot,
        now_unix_s: i64,
        answer: &Answer,
    ) {
        let Some(key) = key(parts) else {
            return;
        };
        let mut polls = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if polls.len() >= POLLS_MAX {
            polls.clear();
        }
        polls.insert(
            key,
            Poll {
                model: model.clone(),
                table,
                lo,
                hour: hour(now_unix_s),
                answer: answer.clone(),
            },
        );
    }
}

/// Links are sealed by the hour.
fn hour(unix_s: i64) -> i64 {
    unix_s.div_euclid(3600)
}

/// Everything that the answer to a poll depends on. `None` if this is no poll.
fn key(parts: &Parts) -> Option<String> {
    let query = parts.uri.query()?;
    if parts.method != Method::GET || !query.contains("deltatoken=") {
        return None;
    }
    let mut key = parts.uri.to_string();
    for (position, name) in HEADERS.iter().enumerate() {
        for value in parts.headers.get_all(name) {
            let _ = write!(key, "\n{position}{}", value.to_str().ok()?);
        }
    }
    Some(key)
}
