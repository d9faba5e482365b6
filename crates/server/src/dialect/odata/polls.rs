//! Answers to polls that found nothing new, kept for the next poller.
//!
//! A delta link is the same for all clients at one position, and so is the answer while nothing is written: it differs only by the
//! hour, which is in the new link. So a thousand followers that poll cost one answer an hour, and for each poll the question whether
//! something was written. What must hold: an answer from here is, byte for byte, the one that would be made now.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use highwater_core::Snapshot;
use http::header::{ACCEPT, HOST, HeaderName, IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use http::{Method, Response};

use super::request::Request;
use crate::http::answer::{self, Answer};
use crate::http::body::Body;
use crate::http::version::Version;
use crate::model::ServiceModel;
use crate::service::ServiceCore;

/// Different polls that are remembered. Beyond it all are forgotten, which costs one answer each.
const POLLS_MAX: usize = 1_024;

/// What the headers below take in a key, most of the time.
const KEY_HEADERS_BYTES: usize = 128;

/// Headers that an answer depends on. Compression comes later.
static HEADERS: [HeaderName; 9] = [
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
pub(crate) struct Polls(RwLock<HashMap<Vec<u8>, Poll>>);

/// An empty page, and when it can be given again.
struct Poll {
    model: Arc<ServiceModel>,
    table: usize,
    lo: Snapshot,
    hour: i64,
    version: Version,
    answer: Answer,
}

impl Polls {
    /// The answer to a poll, if it is known and still nothing was written.
    pub(crate) fn find(&self, core: &ServiceCore, parts: &Parts) -> Option<Response<Body>> {
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
        holds.then(|| {
            let answer = poll.answer.clone();
            answer::finish_small(answer, poll.version, &parts.method, &parts.headers)
        })
    }

    /// Remembers the answer to a request that found nothing after `lo`.
    pub(super) fn keep(
        &self,
        request: &Request<'_>,
        model: &Arc<ServiceModel>,
        table: usize,
        lo: Snapshot,
        answer: &Answer,
    ) {
        let Some(key) = key(request.parts) else {
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
                hour: hour(request.now_unix_s),
                version: request.versions.response,
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
fn key(parts: &Parts) -> Option<Vec<u8>> {
    let target = parts.uri.path_and_query()?.as_str();
    if parts.method != Method::GET || !target.contains("deltatoken=") {
        return None;
    }
    let mut key = Vec::with_capacity(target.len() + KEY_HEADERS_BYTES);
    // A proxy's form of the target beats `Host`. No authority has a slash, and every path begins with one.
    if let Some(authority) = parts.uri.authority() {
        key.extend_from_slice(authority.as_str().as_bytes());
    }
    key.extend_from_slice(target.as_bytes());
    for (name, value) in &parts.headers {
        if let Some(position) = HEADERS.iter().position(|header| header == name) {
            key.extend([b'\n', position as u8]);
            key.extend_from_slice(value.as_bytes());
        }
    }
    Some(key)
}
