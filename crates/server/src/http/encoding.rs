//! Content coding of answers: `gzip` or nothing (RFC 9110, section 12.5.3).

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::prefer::split_outside_quotes;

/// Bodies up to this size are not worth compressing: they fit one packet anyway.
pub(crate) const GZIP_MIN_BYTES: usize = 1024;

/// Whether the client takes `gzip` and does not like the identity coding better.
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut identity, mut any) = (None, None, None);
    for header in headers.get_all(ACCEPT_ENCODING) {
        for item in split_outside_quotes(header.as_bytes(), b',') {
            let Ok(item) = std::str::from_utf8(item) else {
                continue;
            };
            let (coding, parameters) = item.split_once(';').unwrap_or((item, ""));
            let quality = quality(parameters);
            match coding.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = Some(quality),
                "identity" => identity = Some(quality),
                "*" => any = Some(quality),
                _ => {}
            }
        }
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// The weight in thousandths. What is not a weight counts as the default, 1: a client that names a coding wants it.
pub(crate) fn quality(parameters: &str) -> u16 {
    for parameter in parameters.split(';') {
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("q")
            && let Ok(weight) = value.trim().parse::<f32>()
            && (0.0..=1.0).contains(&weight)
        {
            return (weight * 1000.0).round() as u16;
        }
    }
    1000
}

/// Compresses a body, for speed rather than for the last per cent.
pub(crate) fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4 + 64), Compression::fast());
    encoder
        .write_all(body)
        .and_then(|()| encoder.finish())
        .map(Bytes::from)
        .expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use std::io::Read as _;

    #[test]
    fn who_gets_gzip() {
        for (input, expected) in [
            ("gzip", true),
            ("GZIP;q=0.5", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("*", true),
            ("x-gzip", true),
            ("gzip;q=0", false),
            ("*;q=0", false),
            ("gzip;q=0, *", false),
            ("br", false),
            ("", false),
            ("identity;q=1, gzip;q=0.5", false),
            ("identity;q=0.5, gzip;q=0.5", true),
            ("gzip;q=nonsense", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(input).unwrap());
            assert_eq!(accepts_gzip(&headers), expected, "{input}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn gzip_round_trip() {
        let text = b"highwater ".repeat(1000);
        let packed = gzip(&text);
        assert!(packed.len() < text.len() / 10);
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&packed[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, text);
    }
}
