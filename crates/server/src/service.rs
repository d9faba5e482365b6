//! The service: one value that turns requests into answers, for whatever carries HTTP.
//!
//! What must hold: [`Service::call`] always answers, it never panics on any request, and it does its waiting in the store, never
//! in a lock. The model of what is served follows the database: it is made anew when the schema has changed.
//! What is deliberately absent: sockets (see [`crate::listen`]), authentication and TLS.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use highwater_core::Store;
use http::{Method, Request, Response};
use jiff::Timestamp;

use crate::dialect::odata;
use crate::http::answer::{self, Answer};
pub use crate::http::body::Body;
use crate::http::body::Room;
use crate::http::error::{ApiError, Code};
use crate::http::version::Versions;
use crate::links;
use crate::model::{ModelError, ServiceModel};
use crate::settings::Settings;

/// Where the standard dialect is mounted.
pub const ODATA_MOUNT: &str = "/odata/";

/// What a body of a request may fail with.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// An OData service over a store.
///
/// Cloning is cheap, and all clones are the same service. It is a [`hyper::service::Service`] and a [`tower_service::Service`], so
/// hyper and axum can serve it (`Router::fallback_service`). [`crate::listen::serve`] does that with sensible limits.
#[derive(Clone)]
pub struct Service(Arc<ServiceCore>);

/// What the dialects see of the service.
pub(crate) struct ServiceCore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Settings,
    pub(crate) polls: odata::Polls,
    pub(crate) room: Room,
    model: RwLock<Option<Arc<ServiceModel>>>,
    clock: Clock,
}

type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

/// Why a service cannot be made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] highwater_core::Error),
    /// The settings do not fit the database.
    #[error(transparent)]
    Settings(#[from] ModelError),
}

impl Service {
    /// A service over a store. Nothing is read before the first request or [`Service::prepare`].
    pub fn new(store: Arc<dyn Store>, settings: Settings) -> Service {
        Service::with_clock(store, settings, || Timestamp::now().as_second())
    }

    /// A service that takes the time (in seconds since 1970) from the caller, for tests of what happens much later.
    pub fn with_clock(
        store: Arc<dyn Store>,
        settings: Settings,
        now_unix_s: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Service {
        Service(Arc::new(ServiceCore {
            store,
            room: Room::new(settings.limits.body_max_bytes),
            settings,
            polls: odata::Polls::default(),
            model: RwLock::new(None),
            clock: Box::new(now_unix_s),
        }))
    }

    /// The settings that the service was made with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Reads the schema of the database and checks the settings against it, so that mistakes show before the first request.
    ///
    /// # Errors
    ///
    /// See [`PrepareError`]. The service still works afterwards if the cause goes away.
    pub async fn prepare(&self) -> Result<(), PrepareError> {
        self.0.build_model().await.map(drop)
    }

    /// Answers a request.
    pub async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body,
        B::Error: Into<BodyError>,
    {
        let (parts, body) = request.into_parts();
        match self.0.polls.find(&self.0, &parts) {
            Some(response) => response,
            None => self.answer(parts, body).await,
        }
    }

    async fn answer<B>(&self, parts: http::request::Parts, body: B) -> Response<Body>
    where
        B: http_body::Body,
        B::Error: Into<BodyError>,
    {
        let negotiated = Versions::negotiate(&parts.headers);
        let version = negotiated.as_ref().unwrap_or(&Versions::DEFAULT).response;
        let outcome = match negotiated {
            Ok(versions) => self.in_time(&parts, body, versions).await,
            Err(error) => Err(error),
        };
        let answer = outcome.unwrap_or_else(|error| {
            report(&parts, &error);
            Answer::from(&error)
        });
        answer::finish(answer, version, &parts.method, &parts.headers).await
    }

    /// Answers, or gives up when it takes too long. A change is never given up: nobody could tell whether it was made.
    async fn in_time<B>(
        &self,
        parts: &http::request::Parts,
        body: B,
        versions: Versions,
    ) -> Result<Answer, ApiError>
    where
        B: http_body::Body,
        B::Error: Into<BodyError>,
    {
        let answering = self.route(parts, body, versions);
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return answering.await;
        }
        let time_max = self.settings().limits.request_time_max;
        match tokio::time::timeout(time_max, answering).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ApiError::new(
                Code::LimitExceeded,
                format!(
                    "The request took longer than {} seconds. Ask for less, or for fewer rows a page.",
                    time_max.as_secs()
                ),
            )),
        }
    }

    async fn route<B>(
        &self,
        parts: &http::request::Parts,
        body: B,
        versions: Versions,
    ) -> Result<Answer, ApiError>
    where
        B: http_body::Body,
        B::Error: Into<BodyError>,
    {
        let core = &*self.0;
        check_length(parts, core.settings.limits.url_max_bytes)?;
        match parts.uri.path() {
            "/" => only_get(&parts.method).map(|()| welcome()),
            "/health" => {
                only_get(&parts.method)?;
                core.build_model().await.map_err(unavailable)?;
                Ok(Answer::ok("application/json", r#"{"status":"ok"}"#))
            }
            path => match path.strip_prefix(ODATA_MOUNT.trim_end_matches('/')) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                    let rest = rest.strip_prefix('/').unwrap_or(rest);
                    odata::answer(core, parts, rest, body, versions).await
                }
                _ => Err(ApiError::new(
                    Code::NotFound,
                    format!("There is nothing here. The service root is {ODATA_MOUNT}."),
                )),
            },
        }
    }
}

/// Links are this service's own and may be longer than what clients may write.
fn check_length(parts: &http::request::Parts, length_max_bytes: usize) -> Result<(), ApiError> {
    let target = parts.uri.path_and_query().map_or("", |it| it.as_str());
    let is_link = target.contains("deltatoken=") || target.contains("skiptoken=");
    if target.len() <= length_max_bytes || (is_link && target.len() <= links::URL_MAX_BYTES) {
        return Ok(());
    }
    Err(ApiError::new(
        Code::UrlTooLong,
        format!(
            "The URL is longer than {length_max_bytes} bytes. Send a long query in the body of POST …/$query."
        ),
    ))
}

fn only_get(method: &Method) -> Result<(), ApiError> {
    if matches!(*method, Method::GET | Method::HEAD) {
        Ok(())
    } else {
        Err(ApiError::method_not_allowed("GET, HEAD"))
    }
}

/// For people who open the root in a browser.
fn welcome() -> Answer {
    Answer::ok(
        "application/json",
        format!(r#"{{"service":"Highwater","odata":"{ODATA_MOUNT}","health":"/health"}}"#),
    )
}

/// Puts into the log what an operator should know of an error.
fn report(parts: &http::request::Parts, error: &ApiError) {
    let status = error.code().status().as_u16();
    let path = parts.uri.path();
    match error.log_text() {
        Some(cause) if status >= 500 => {
            tracing::error!(status, method = %parts.method, path, cause, "a request failed");
        }
        cause => {
            tracing::debug!(status, method = %parts.method, path, cause, code = ?error.code(), "a request was refused");
        }
    }
}

fn unavailable(error: PrepareError) -> ApiError {
    match error {
        PrepareError::Store(error) => error.into(),
        PrepareError::Settings(error) => ApiError::new(
            Code::Unavailable,
            "The settings of the service do not fit its database any more. Its operator finds the cause in the log.",
        )
        .log(error.to_string()),
    }
}

impl ServiceCore {
    /// The time in seconds since 1970.
    pub(crate) fn now_unix_s(&self) -> i64 {
        (self.clock)()
    }

    /// The model of what is served, perhaps of a moment ago: the store says so when it is too old.
    pub(crate) async fn model(&self) -> Result<Arc<ServiceModel>, ApiError> {
        match self.cached_model() {
            Some(model) => Ok(model),
            None => self.fresh_model().await,
        }
    }

    /// The model, if one was made.
    pub(crate) fn cached_model(&self) -> Option<Arc<ServiceModel>> {
        self.model
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The model of the schema as it is now.
    pub(crate) async fn fresh_model(&self) -> Result<Arc<ServiceModel>, ApiError> {
        self.build_model().await.map_err(unavailable)
    }

    async fn build_model(&self) -> Result<Arc<ServiceModel>, PrepareError> {
        let catalog = self.store.catalog().await?;
        // Not by the version: a copy that took the place of the file has the same, but the store wants the catalog of that file.
        if let Some(model) = self.cached_model()
            && Arc::ptr_eq(model.catalog(), &catalog)
        {
            return Ok(model);
        }
        // Two requests may do this at once; both come to the same model.
        let model = Arc::new(ServiceModel::build(&catalog, &self.settings)?);
        *self.model.write().unwrap_or_else(PoisonError::into_inner) = Some(model.clone());
        Ok(model)
    }
}

/// A future that owns everything it needs.
pub type ResponseFuture =
    Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send + 'static>>;

impl<B> hyper::service::Service<Request<B>> for Service
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        // Most requests are polls that find nothing new. They need not even the memory of a request that has to wait.
        if let Some(response) = self.0.polls.find(&self.0, &parts) {
            return Box::pin(std::future::ready(Ok(response)));
        }
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(parts, body).await) })
    }
}

impl<B> tower_service::Service<Request<B>> for Service
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BodyError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        hyper::service::Service::call(self, request)
    }
}
