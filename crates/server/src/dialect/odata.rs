//! The standard dialect: OData 4.01 and 4.0 in JSON.
//!
//! A request is taken apart once ([`request`]), then bound to the model; if the schema of the database has changed since the model was
//! made, it is bound again. From there on every kind of resource has a module.
//!
//! What must hold: an answer shows one state of the database, whatever happens meanwhile; what is not supported is refused.
//! What is deliberately absent: batch requests, asynchronous processing and delta links on single entities, all of which a
//! service may leave out.
//!
//! Specification: Protocol 4.01, sections 7 to 11; requirements 1 to 103 in the project's protocol reference.

mod collection;
mod entity;
mod follow;
mod ids;
mod nested;
mod page;
mod polls;
mod property;
mod request;
mod root;
mod round;
mod write;

use std::sync::Arc;

use highwater_core::store::{PageLimit, ReadParams};
use highwater_core::{Error, Query, RowSink};
use highwater_odata::context::ContextUrls;
use http::request::Parts;
use http::{HeaderMap, Method};

use crate::bind::{self, Context, Resource, Rows, SourceRow, What};
use crate::failure::Halt;
use crate::http::accept::{self, JsonFormat};
use crate::http::answer::Answer;
use crate::http::error::{ApiError, Code};
use crate::http::prefer::OmitValues;
use crate::http::version::Versions;
use crate::model::ServiceModel;
use crate::service::{BodyError, ServiceCore};
use page::RowCatcher;
use request::Request;

pub(crate) use polls::Polls;

/// How often a request is bound before the schema is said to change too often.
const BINDINGS_MAX: usize = 4;

const READ_METHODS: &str = "GET, HEAD";

/// Answers a request for the path below the service root.
pub(crate) async fn answer<B>(
    core: &ServiceCore,
    parts: &Parts,
    path: &str,
    body: B,
    versions: Versions,
) -> Result<Answer, ApiError>
where
    B: http_body::Body,
    B::Error: Into<BodyError>,
{
    let request = Request::read(core, parts, path, body, versions).await?;
    let mut model = core.model().await?;
    for _ in 0..BINDINGS_MAX {
        let exchange = Exchange {
            core,
            request: &request,
            model: &model,
        };
        let refused = match exchange.answer().await {
            Ok(answer) => return Ok(answer),
            Err(Halt::SchemaChanged) => None,
            Err(Halt::Refused(error)) if is_about_names(&error) => Some(error),
            Err(Halt::Refused(error)) => return Err(error),
            Err(Halt::Gone(reason)) => return Err(Error::Gone(reason).into()),
        };
        // A name that is unknown, a body that does not fit or a link that is void may be so only in a model that is too old.
        let fresh = core.fresh_model().await?;
        let is_new = !Arc::ptr_eq(&fresh, &model);
        model = fresh;
        if let (Some(error), false) = (refused, is_new) {
            return Err(error);
        }
    }
    Err(Error::SchemaChanged.into())
}

fn is_about_names(error: &ApiError) -> bool {
    matches!(
        error.code(),
        Code::NotFound
            | Code::UnknownProperty
            | Code::InvalidUrl
            | Code::TypeMismatch
            | Code::InvalidLiteral
            | Code::InvalidBody
            | Code::RequiredValue
            | Code::MethodNotAllowed
            | Code::LinkRecreated
            | Code::LinkRestored
            | Code::LinkScopeChanged
    )
}

/// A request and the model that it is bound to.
#[derive(Clone, Copy)]
struct Exchange<'a> {
    core: &'a ServiceCore,
    request: &'a Request<'a>,
    model: &'a Arc<ServiceModel>,
}

impl<'a> Exchange<'a> {
    async fn answer(&self) -> Result<Answer, Halt> {
        let options = &self.request.url.options;
        if options.skiptoken.is_some() || options.deltatoken.is_some() {
            self.allow_reading()?;
            return follow::follow(self).await;
        }
        match bind::resolve(&self.context(), &self.request.url.path)? {
            Resource::ServiceDocument => {
                self.be_current().await?;
                root::service_document(self)
            }
            Resource::Metadata => {
                self.be_current().await?;
                root::metadata(self)
            }
            Resource::Batch => Err(ApiError::new(
                Code::NotImplemented,
                "Batch requests are not supported. Send the requests one by one.",
            )
            .into()),
            Resource::EntityById => {
                self.allow_reading()?;
                entity::read_by_id(self).await
            }
            Resource::Rows(rows) => match self.request.method {
                Method::GET | Method::HEAD => self.read(&rows).await,
                _ => write::write(self, &rows).await,
            },
        }
    }

    /// For answers that come from the model alone, so that no verb of the store finds out that it is too old.
    async fn be_current(&self) -> Result<(), Halt> {
        let fresh = self.core.fresh_model().await?;
        if Arc::ptr_eq(&fresh, self.model) {
            Ok(())
        } else {
            Err(Halt::SchemaChanged)
        }
    }

    async fn read(&self, rows: &Rows) -> Result<Answer, Halt> {
        // The binder lets it pass for `$entity?$id=…`; where the path itself says which entity is meant, it would be ignored.
        if rows.what == What::Entity && self.request.url.options.id.is_some() {
            return Err(ApiError::new(
                Code::QueryOptionNotAllowed,
                "$id does not apply to an entity that the path addresses. Leave it out, or read $entity?$id=…",
            )
            .target("$id")
            .into());
        }
        match rows.what {
            What::Collection | What::References => collection::read(self, rows).await,
            What::Count => collection::count(self, rows).await,
            What::Entity | What::Reference => entity::read(self, rows).await,
            What::Property(position) => property::read(self, rows, position).await,
            What::PropertyValue(_) => property::read_raw(self, rows).await,
        }
    }

    /// `POST …/$query` reads as well; it arrives here as a `GET`.
    fn allow_reading(&self) -> Result<(), ApiError> {
        match self.request.method {
            Method::GET | Method::HEAD => Ok(()),
            _ => Err(ApiError::method_not_allowed(READ_METHODS)),
        }
    }

    /// Whether `null`s are left out. Answers to changes show all values that were changed (requirement 64), so they show all.
    fn omits_nulls(&self) -> bool {
        self.request.prefer.omit_values == Some(OmitValues::Nulls) && self.allow_reading().is_ok()
    }

    fn context(&self) -> Context<'_> {
        Context::new(
            self.model,
            &self.core.settings.limits,
            &self.request.url.options.aliases,
            self.request.now(),
        )
    }

    fn headers(&self) -> &'a HeaderMap {
        &self.request.parts.headers
    }

    fn urls(&self) -> ContextUrls<'_> {
        ContextUrls {
            root: &self.request.root,
            version: self.request.versions.response,
        }
    }

    /// How a JSON answer is written.
    fn json_format(&self) -> Result<JsonFormat, ApiError> {
        accept::negotiate_json(
            self.request.url.options.format.as_deref(),
            self.headers(),
            self.request.versions.response,
        )
    }

    /// The entity that the last step of a path navigates from, looked up step by step. `None` if there is no such step.
    async fn source(&self, rows: &Rows) -> Result<Option<SourceRow>, Halt> {
        self.source_in(&self.context(), rows).await
    }

    /// As [`Self::source`], for a path that does not take its aliases from the request.
    async fn source_in(
        &self,
        context: &Context<'_>,
        rows: &Rows,
    ) -> Result<Option<SourceRow>, Halt> {
        let mut source = None;
        for index in 0..rows.sources().len() {
            let query = bind::lookup(context, rows, index, source.as_ref())?;
            let found = self.first_row(query).await?;
            let Some(values) = found.values else {
                let step = &rows.steps[index];
                return Err(ApiError::new(
                    Code::NotFound,
                    format!(
                        "There is no such entity in {}.",
                        self.model.name(step.collection)
                    ),
                )
                .into());
            };
            source = Some(SourceRow(values));
        }
        Ok(source)
    }

    /// Asks the store for at most one row (and the count, if the query wants it).
    async fn first_row(&self, query: Query) -> Result<RowCatcher, Halt> {
        let sink = self.read_one(query, Box::<RowCatcher>::default()).await?;
        Ok(RowCatcher::from_store(sink))
    }

    /// Asks the store for at most one row.
    async fn read_one(
        &self,
        query: Query,
        sink: Box<dyn RowSink>,
    ) -> Result<Box<dyn RowSink>, Halt> {
        let params = ReadParams {
            catalog: self.model.catalog().clone(),
            query: Arc::new(query),
            hi: None,
            after: None,
            limit: PageLimit {
                // There is one row; this is for the collections inside it.
                rows: round::rows_a_page(self, self.request.prefer.max_page_size.map(|it| it.0)),
                bytes: self.core.settings.limits.page_max_bytes,
            },
        };
        Ok(self.core.store.read(params, sink).await?.sink)
    }
}
