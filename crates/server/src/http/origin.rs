//! The service root as the client sees it: what every absolute URL in an answer begins with.
//!
//! It is configured, or it follows the `Host` header, which is the client's own word and therefore checked: it ends up in links
//! that caches may store. `X-Forwarded-*` headers are deliberately ignored; behind a proxy the public URL is configured.

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

use super::error::{ApiError, Code};

/// The absolute URL of the service root, with a slash at its end.
///
/// # Errors
///
/// 400 if it is not configured and the request has no usable `Host`.
pub(crate) fn service_root(
    public_url: Option<&str>,
    mount: &str,
    parts: &Parts,
) -> Result<String, ApiError> {
    if let Some(url) = public_url {
        let slash = if url.ends_with('/') { "" } else { "/" };
        return Ok(format!("{url}{slash}"));
    }
    // An absolute-form target beats the header (RFC 9112, section 3.2.2).
    let authority = match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => {
            // More than one is a mistake or an attack on a cache (RFC 9112, section 3.2).
            let mut hosts = parts.headers.get_all(HOST).iter();
            let host = hosts.next().and_then(|value| value.to_str().ok());
            host.filter(|_| hosts.next().is_none())
        }
    };
    match authority {
        Some(authority) if is_authority(authority) => Ok(format!("http://{authority}{mount}")),
        _ => Err(ApiError::new(
            Code::InvalidHeader,
            "The Host header must name this service, for example \"localhost:8080\".",
        )
        .target("Host")),
    }
}

/// A host name or address with an optional port; nothing that would need escaping in JSON or a header.
fn is_authority(text: &str) -> bool {
    let is_plain = text.len() <= 255
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']')
        });
    let Some(authority) = text.parse::<Authority>().ok().filter(|_| is_plain) else {
        return false;
    };
    let port = &text[authority.host().len()..];
    !authority.host().is_empty() && (port.is_empty() || authority.port_u16().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn roots() {
        for (public_url, uri, host, expected) in [
            (
                None,
                "/odata/T",
                "localhost:8080",
                Some("http://localhost:8080/odata/"),
            ),
            (None, "/odata/T", "[::1]:80", Some("http://[::1]:80/odata/")),
            (
                None,
                "http://a.example/odata/T",
                "b.example",
                Some("http://a.example/odata/"),
            ),
            (
                Some("https://x.example/data"),
                "/odata/T",
                "evil\"",
                Some("https://x.example/data/"),
            ),
            (
                Some("https://x.example/data/"),
                "/odata/T",
                "",
                Some("https://x.example/data/"),
            ),
            (None, "/odata/T", "", None),
            (None, "/odata/T", "a.example/evil", None),
            (None, "/odata/T", "a.example\"", None),
            (None, "/odata/T", "a:b:c", None),
            (None, "/odata/T", "]][[::", None),
            (None, "/odata/T", "a:99999", None),
            (None, "/odata/T", "a:", None),
            (None, "/odata/T", ":80", None),
            (None, "http://h:99999/odata/T", "h", None),
            (None, "/odata/T", "user@a.example", None),
        ] {
            let mut request = Request::get(uri);
            if !host.is_empty() {
                request = request.header(HOST, host);
            }
            let (parts, ()) = request.body(()).unwrap().into_parts();
            let found = service_root(public_url, "/odata/", &parts).ok();
            assert_eq!(found.as_deref(), expected, "{uri} {host}");
        }
        let twice = Request::get("/odata/T").header(HOST, "a").header(HOST, "b");
        let (parts, ()) = twice.body(()).unwrap().into_parts();
        assert!(service_root(None, "/odata/", &parts).is_err());
    }
}
