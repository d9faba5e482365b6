//! Bodies: requests are read whole within a limit of size and time, answers are complete before their first byte is sent.
//!
//! A complete answer cannot break off in the middle (requirement 82 never applies), and a client that reads slowly holds a buffer
//! of bounded size but no thread and no database transaction.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};

use super::error::{ApiError, Code};

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

/// Reads a whole request body.
///
/// # Errors
///
/// 413 if it is larger than the limit, 408 if it takes too long, 400 if the client breaks off.
pub(crate) async fn read<B>(
    body: B,
    length_max_bytes: usize,
    time_max: Duration,
) -> Result<Bytes, ApiError>
where
    B: http_body::Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let too_large = || {
        ApiError::new(
            Code::BodyTooLarge,
            format!("The body is larger than {length_max_bytes} bytes."),
        )
    };
    // A declared length is refused before a byte is read.
    if body.size_hint().lower() > length_max_bytes as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(time_max, Limited::new(body, length_max_bytes).collect())
        .await
        .map_err(|_| {
            ApiError::new(
                Code::RequestTimeout,
                format!(
                    "The body did not arrive within {} seconds.",
                    time_max.as_secs()
                ),
            )
        })?;
    match collected {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(ApiError::new(
            Code::InvalidBody,
            "The body could not be read to its end.",
        )
        .log(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_refused() {
        let read = |length: usize| {
            read(
                Full::new(Bytes::from(vec![b' '; length])),
                10,
                Duration::from_secs(5),
            )
        };
        assert_eq!(read(10).await.unwrap().len(), 10);
        assert_eq!(read(11).await.unwrap_err().code(), Code::BodyTooLarge);
    }
}
