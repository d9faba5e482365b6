//! A connection that cannot be stalled by its reader, and whose every error has a body.
//!
//! Two things that hyper leaves to the transport:
//!
//! - A client that stops reading would hold the answer in memory for ever. Here it has to take [`PROGRESS_MIN_BYTES`] in every
//!   [`PROGRESS_TIME_MAX`], or the connection ends.
//! - A head that hyper cannot parse (a URL beyond its limit or with bytes that no URL has) never reaches the service: hyper
//!   answers it with a bare status. Clients of OData are promised an error object, so that answer is exchanged here, and the rest of
//!   what the client is still sending is drained for a moment, because closing a socket with unread input would destroy the
//!   answer on its way.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::http::error::{ApiError, Code};

/// What a client has to read of an answer in [`PROGRESS_TIME_MAX`].
const PROGRESS_MIN_BYTES: usize = 64 * 1024;
/// See [`PROGRESS_MIN_BYTES`].
const PROGRESS_TIME_MAX: Duration = Duration::from_secs(30);
/// How much of a refused request is read and dropped.
const DRAIN_MAX_BYTES: usize = 4 * 1024 * 1024;
/// For how long.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);
/// Longest answer that hyper makes by itself.
const BARE_ANSWER_MAX_BYTES: usize = 512;

/// See the module.
pub(super) struct Guarded<T> {
    stream: T,
    /// Runs while the client does not take what there is to write.
    stalled: Option<Pin<Box<Sleep>>>,
    /// Taken by the client since `stalled` was set.
    taken_bytes: usize,
    /// Whether the request line that hyper reads now has come to its end.
    is_line_read: bool,
    /// The answer that stands for hyper's own.
    replacement: Vec<u8>,
    /// Of the request that was refused.
    drain: Option<Drain>,
}

struct Drain {
    left_bytes: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Guarded<T> {
    pub(super) fn new(stream: T) -> Guarded<T> {
        Guarded {
            stream,
            stalled: None,
            taken_bytes: 0,
            is_line_read: false,
            replacement: Vec::new(),
            drain: None,
        }
    }

    /// Watches over the outcome of a write.
    fn watch(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(written)) => {
                // An answer: what is read next is another request.
                self.is_line_read = false;
                self.taken_bytes += written;
                if self.taken_bytes >= PROGRESS_MIN_BYTES {
                    self.stalled = None;
                }
                Poll::Ready(Ok(written))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                let taken_bytes = &mut self.taken_bytes;
                let timer = self.stalled.get_or_insert_with(|| {
                    *taken_bytes = 0;
                    Box::pin(tokio::time::sleep(PROGRESS_TIME_MAX))
                });
                ready!(timer.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client does not read its answer",
                )))
            }
        }
    }

    /// Writes what is left of the replacement.
    fn poll_replacement(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.replacement.is_empty() {
            let outcome = Pin::new(&mut self.stream).poll_write(cx, &self.replacement);
            let written = ready!(self.watch(cx, outcome))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.replacement.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if !self.is_line_read {
            self.is_line_read = buf.filled()[before..].contains(&b'\n');
        }
        outcome
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_replacement(cx))?;
        if let Some(answer) = replacement(buf, self.is_line_read) {
            self.replacement = answer;
            self.drain = Some(Drain {
                left_bytes: DRAIN_MAX_BYTES,
                deadline: Box::pin(tokio::time::sleep_until(Instant::now() + DRAIN_TIME_MAX)),
            });
            return Poll::Ready(Ok(buf.len()));
        }
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_replacement(cx))?;
        // hyper's own answer is a single buffer: a head without a body.
        if let [only] = bufs
            && is_bare_error(only)
        {
            return self.poll_write(cx, only);
        }
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        // Everything that there was to write is with the operating system: the client is not behind.
        self.stalled = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(cx))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        let this = &mut *self;
        let mut scratch = [0; 16 * 1024];
        while let Some(drain) = &mut this.drain {
            let mut buffer = ReadBuf::new(&mut scratch);
            let outcome = Pin::new(&mut this.stream).poll_read(cx, &mut buffer);
            let read = buffer.filled().len();
            match outcome {
                Poll::Pending => {
                    ready!(drain.deadline.as_mut().poll(cx));
                    this.drain = None;
                }
                Poll::Ready(Ok(())) if read > 0 && drain.left_bytes > read => {
                    drain.left_bytes -= read;
                }
                Poll::Ready(_) => this.drain = None,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether this is the head of an error that the service did not make: each answer of the service names its version.
fn is_bare_error(head: &[u8]) -> bool {
    head.len() <= BARE_ANSWER_MAX_BYTES
        && head.starts_with(b"HTTP/1.1 4")
        && head.ends_with(b"\r\n\r\n")
        && !contains_ignoring_case(head, b"odata-version:")
}

fn contains_ignoring_case(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len())
        .any(|window| window.eq_ignore_ascii_case(wanted))
}

/// hyper tells a head that is too long in one way, whatever part of it is: before the end of its first line it is the URL.
fn replacement(head: &[u8], is_line_read: bool) -> Option<Vec<u8>> {
    if !is_bare_error(head) {
        return None;
    }
    let error = match head.get(9..12)? {
        b"431" if is_line_read => ApiError::new(
            Code::HeadersTooLarge,
            "The headers are more, or longer, than this service reads. Send fewer.",
        ),
        b"414" | b"431" => ApiError::new(
            Code::UrlTooLong,
            "The URL is longer than this service reads. Send a long query in the body of POST …/$query.",
        ),
        _ => ApiError::new(
            Code::InvalidUrl,
            "The request is not HTTP/1.1: its target or its headers hold bytes that must be percent-encoded.",
        ),
    };
    let body = error.body();
    let mut answer = format!(
        "HTTP/1.1 {}\r\nOData-Version: 4.01\r\nContent-Type: application/json\r\nContent-Language: en\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        error.code().status(),
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_errors_are_replaced() {
        for (head, expected) in [
            (
                "HTTP/1.1 414 URI Too Long\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
                Some("HTTP/1.1 414 URI Too Long\r\n"),
            ),
            (
                "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n",
                Some("HTTP/1.1 414 URI Too Long\r\n"),
            ),
            (
                "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n",
                Some("HTTP/1.1 400 Bad Request\r\n"),
            ),
            (
                "HTTP/1.1 404 Not Found\r\nOData-Version: 4.01\r\n\r\n",
                None,
            ),
            (
                "HTTP/1.1 404 Not Found\r\nodata-version: 4.01\r\n\r\n",
                None,
            ),
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None),
            ("HTTP/1.1 4 is how the body begins", None),
        ] {
            let found = replacement(head.as_bytes(), false).map(|a| String::from_utf8(a).unwrap());
            assert_eq!(found.is_some(), expected.is_some(), "{head}");
            if let (Some(found), Some(expected)) = (found, expected) {
                assert!(found.starts_with(expected), "{found}");
                assert!(found.contains("{\"error\":{\"code\":"), "{found}");
            }
        }
        let head = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\n\r\n";
        let found = String::from_utf8(replacement(head, true).unwrap()).unwrap();
        assert!(found.starts_with("HTTP/1.1 431 "), "{found}");
    }
}
