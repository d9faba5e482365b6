//! The service in this process, without a network.
//!
//! What must hold: after [`Server::stop`], nothing of the service is left, although somebody may still hold a transport to it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http_body_util::BodyExt as _;

use crate::http::{HOST, Request, Response, Transport};
use crate::serving::Server;

/// The service in this process, without a network.
#[derive(Default)]
pub struct InProcess {
    running: Arc<Mutex<Option<Running>>>,
}

struct Running {
    runtime: tokio::runtime::Runtime,
    service: highwater::server::Service,
}

impl Server for InProcess {
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        self.stop();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads can be started");
        let service = runtime
            .block_on(highwater::open(
                database,
                highwater::server::Settings::default(),
            ))
            .unwrap_or_else(|error| panic!("the service cannot be opened: {error}"));
        self.running = Arc::new(Mutex::new(Some(Running { runtime, service })));
        Arc::new(Local(self.running.clone()))
    }

    fn stop(&mut self) {
        drop(
            self.running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

/// Calls the service.
struct Local(Arc<Mutex<Option<Running>>>);

impl Transport for Local {
    fn get(&self, request: &Request) -> io::Result<Response> {
        let (handle, service) = match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(running) => (running.runtime.handle().clone(), running.service.clone()),
            None => return Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
        };
        let mut builder = http::Request::builder()
            .uri(&request.url)
            .header("host", HOST);
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let request = builder
            .body(http_body_util::Empty::<bytes::Bytes>::new())
            .map_err(io::Error::other)?;
        handle.block_on(async {
            let (head, body) = service.call(request).await.into_parts();
            let body = body
                .collect()
                .await
                .map_err(io::Error::other)?
                .to_bytes()
                .to_vec();
            let headers = head.headers.iter().map(|(name, value)| {
                (
                    name.as_str().to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            });
            Ok(Response {
                status: head.status.as_u16(),
                headers: headers.collect(),
                body,
            })
        })
    }
}
