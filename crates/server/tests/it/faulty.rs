//! A store whose verbs fail on demand, as those of a database server do that restarts, is full of work or fails over.

use std::sync::{Arc, Mutex};

use highwater_core::store::{
    ChangesParams, ChangesResult, ReadParams, ReadResult, StoreFuture, StoreStatus, Wake,
    WriteParams, WriteResult,
};
use highwater_core::{Catalog, Epoch, Error, KeyRing, RowSink, Snapshot, Store};

/// Makes the error that every verb returns.
type Fault = fn() -> Error;

/// A store that answers as another one does, unless it has a fault.
///
/// It cannot tell at once whether something has changed, as is allowed.
pub(crate) struct FaultyStore<S> {
    inner: S,
    fault: Arc<Mutex<Option<Fault>>>,
}

/// Breaks and mends a [`FaultyStore`].
#[derive(Clone)]
pub(crate) struct Switch(Arc<Mutex<Option<Fault>>>);

impl Switch {
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.0.lock().unwrap() = fault;
    }
}

impl<S> FaultyStore<S> {
    pub(crate) fn new(inner: S) -> (FaultyStore<S>, Switch) {
        let fault = Arc::default();
        let switch = Switch(Arc::clone(&fault));
        (FaultyStore { inner, fault }, switch)
    }

    fn or_fault<'a, T: Send + 'a>(&self, answer: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        match *self.fault.lock().unwrap() {
            Some(fault) => Box::pin(async move { Err(fault()) }),
            None => answer,
        }
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn catalog(&self) -> StoreFuture<'_, Arc<Catalog>> {
        self.or_fault(self.inner.catalog())
    }

    fn epoch(&self) -> StoreFuture<'_, Epoch> {
        self.or_fault(self.inner.epoch())
    }

    fn key_ring(&self, refresh: bool) -> StoreFuture<'_, Arc<KeyRing>> {
        self.or_fault(self.inner.key_ring(refresh))
    }

    fn read(&self, params: ReadParams, sink: Box<dyn RowSink>) -> StoreFuture<'_, ReadResult> {
        self.or_fault(self.inner.read(params, sink))
    }

    fn changes(
        &self,
        params: ChangesParams,
        sink: Box<dyn RowSink>,
    ) -> StoreFuture<'_, ChangesResult> {
        self.or_fault(self.inner.changes(params, sink))
    }

    fn unchanged_since(&self, _: &Catalog, _: usize, _: &Snapshot) -> Option<bool> {
        None
    }

    fn wake(&self, after: Wake) -> StoreFuture<'_, Wake> {
        self.or_fault(self.inner.wake(after))
    }

    fn write(&self, params: WriteParams) -> StoreFuture<'_, WriteResult> {
        self.or_fault(self.inner.write(params))
    }

    fn status(&self) -> StoreFuture<'_, StoreStatus> {
        self.or_fault(self.inner.status())
    }
}
