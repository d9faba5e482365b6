//! Bodies: requests are read whole within a limit of size and time, answers are complete before their first byte is sent.
//!
//! A complete answer cannot break off in the middle (requirement 82 never applies), and a client that reads slowly holds a buffer
//! of bounded size but no thread and no database transaction.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::{ApiError, Code};

/// All request bodies that are in memory at the same time, those that are small not counted.
const BODIES_MAX_BYTES: usize = 256 * 1024 * 1024;
/// What every connection may hold besides.
const SMALL_BODY_MAX_BYTES: usize = 64 * 1024;
/// How exactly they are counted.
const ROOM_UNIT_BYTES: usize = 1024;

/// The body of every answer.
pub type Body = Full<Bytes>;

/// Refuses a body that is compressed: unpacking is left out, and with it bodies that are small only until they are unpacked.
///
/// # Errors
///
/// 415 with the codings that are taken (RFC 9110, section 15.5.16).
pub(crate) fn check_coding(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_plain = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_plain {
        return Ok(());
    }
    Err(ApiError::new(
        Code::UnsupportedMediaType,
        "The body is compressed. Send it as it is, without Content-Encoding.",
    )
    .target("Content-Encoding")
    .accept_encoding("identity"))
}

/// Room for the request bodies that are in memory at the same time.
///
/// Without it, as many clients as there are connections could each send almost all of the largest body, and wait.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

/// A whole body, and its part of the room while it is in use.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// Enough for at least one body of the given length.
    pub(crate) fn new(length_max_bytes: usize) -> Room {
        let bytes = BODIES_MAX_BYTES.max(length_max_bytes);
        Room(Arc::new(Semaphore::new(
            (bytes / ROOM_UNIT_BYTES).min(Semaphore::MAX_PERMITS),
        )))
    }

    /// Makes sure that a body of the given length has its part; `false` if there is no room left.
    fn grow(&self, part: &mut Option<OwnedSemaphorePermit>, length_bytes: usize) -> bool {
        let has = part.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let needs = length_bytes.saturating_sub(SMALL_BODY_MAX_BYTES) / ROOM_UNIT_BYTES;
        let Ok(more @ 1..) = u32::try_from(needs.saturating_sub(has)) else {
            return true;
        };
        let Ok(more) = self.0.clone().try_acquire_many_owned(more) else {
            return false;
        };
        match part {
            Some(part) => part.merge(more),
            None => *part = Some(more),
        }
        true
    }
}

impl Received {
    /// No body.
    pub(crate) fn nothing() -> Received {
        Received {
            bytes: Bytes::new(),
            _room: None,
        }
    }
}

/// Reads a whole request body.
///
/// # Errors
///
/// 413 if it is larger than the limit, 408 if it takes too long, 400 if the client breaks off, 503 if there is no room.
pub(crate) async fn read<B>(
    body: B,
    length_max_bytes: usize,
    time_max: Duration,
    room: &Room,
) -> Result<Received, ApiError>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // A declared length is refused before a byte is read.
    if body.size_hint().lower() > length_max_bytes as u64 {
        return Err(too_large(length_max_bytes));
    }
    tokio::time::timeout(time_max, collect(body, length_max_bytes, room))
        .await
        .unwrap_or_else(|_| {
            Err(ApiError::new(
                Code::RequestTimeout,
                format!(
                    "The body did not arrive within {} seconds.",
                    time_max.as_secs()
                ),
            ))
        })
}

async fn collect<B>(body: B, length_max_bytes: usize, room: &Room) -> Result<Received, ApiError>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut body = pin!(Limited::new(body, length_max_bytes));
    let mut bytes = BytesMut::new();
    let mut part = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if error.is::<LengthLimitError>() {
                return too_large(length_max_bytes);
            }
            ApiError::new(Code::InvalidBody, "The body could not be read to its end.")
                .log(error.to_string())
        })?;
        // Trailers mean nothing here.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        bytes.put(data);
        if !room.grow(&mut part, bytes.len()) {
            return Err(ApiError::new(
                Code::Busy,
                "Too many large bodies are being received at the same time. Try again later, or send smaller ones.",
            ));
        }
    }
    Ok(Received {
        bytes: bytes.freeze(),
        _room: part,
    })
}

fn too_large(length_max_bytes: usize) -> ApiError {
    ApiError::new(
        Code::BodyTooLarge,
        format!("The body is larger than {length_max_bytes} bytes."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::{Context, Poll};

    /// A body that comes in pieces.
    struct Pieces(usize);

    impl http_body::Body for Pieces {
        type Data = Bytes;
        type Error = std::io::Error;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<std::io::Result<http_body::Frame<Bytes>>>> {
            let piece = self.0.min(10_000);
            self.0 -= piece;
            let frame = http_body::Frame::data(Bytes::from(vec![b' '; piece]));
            Poll::Ready((piece > 0).then_some(Ok(frame)))
        }
    }

    async fn check(length: usize, length_max: usize, room: &Room) -> Result<Received, Code> {
        read(Pieces(length), length_max, Duration::from_secs(5), room)
            .await
            .map_err(|error| error.code())
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let room = Room::new(0);
        assert_eq!(check(10, 10, &room).await.unwrap().bytes.len(), 10);
        assert_eq!(check(11, 10, &room).await.unwrap_err(), Code::BodyTooLarge);
        assert_eq!(
            check(30_001, 30_000, &room).await.unwrap_err(),
            Code::BodyTooLarge
        );
    }

    #[tokio::test]
    async fn all_bodies_together_have_a_limit_and_small_ones_always_fit() {
        let room = Room(Arc::new(Semaphore::new(1_000)));
        let large = 600 * ROOM_UNIT_BYTES;
        let first = check(large, large, &room).await.unwrap();
        assert_eq!(first.bytes.len(), large);
        assert_eq!(check(large, large, &room).await.unwrap_err(), Code::Busy);
        drop(first);
        let _again = check(large, large, &room).await.unwrap();
        let small = SMALL_BODY_MAX_BYTES;
        let mut kept = Vec::new();
        for _ in 0..100 {
            kept.push(check(small, small, &room).await.unwrap());
        }
    }
}
