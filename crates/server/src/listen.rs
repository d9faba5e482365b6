//! Serves a [`Service`] on a TCP listener.
//!
//! What must hold: a client that is slow, silent or gone costs a socket and a bounded buffer for a bounded time, and nothing else:
//! requests are complete before they reach the service and answers are complete before they leave it, so neither a thread nor a
//! database transaction ever waits for a client.
//! What is deliberately absent: TLS and HTTP/2, which a reverse proxy does better.

mod guard;

use std::future::Future;
use std::io;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::service::Service;
use guard::Guarded;

/// What a connection may send before its request reaches the service: the longest URL that is worth a polite answer, and headers.
const HEAD_MAX_BYTES: usize = 256 * 1024;
/// How long requests that are being answered may take after the shutdown began.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);
/// How long to wait after the operating system refused a connection, which it does when it runs out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers requests until `shutdown` is ready, then lets the requests in flight end (for [`SHUTDOWN_GRACE`] at most).
///
/// # Errors
///
/// Never because of a client: errors of single connections end only those.
pub async fn serve(
    listener: TcpListener,
    service: Service,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let limits = &service.settings().limits;
    let permits = std::sync::Arc::new(Semaphore::new(limits.connections_max.max(1)));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        // Also ends connections that are kept alive and stay idle.
        .header_read_timeout(limits.headers_time_max)
        .max_buf_size(HEAD_MAX_BYTES);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        // A connection beyond the limit waits in the backlog of the operating system.
        let next = async {
            let permit = permits
                .clone()
                .acquire_owned()
                .await
                .expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = builder.serve_connection(prepare(stream), service.clone());
        let watched = graceful.watch(connection);
        connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_GRACE, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests that took too long were cut off");
    }
    connections.shutdown().await;
    Ok(())
}

fn prepare(stream: TcpStream) -> TokioIo<Guarded<TcpStream>> {
    // Answers are written whole, so there is nothing to collect.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    TokioIo::new(Guarded::new(stream))
}
