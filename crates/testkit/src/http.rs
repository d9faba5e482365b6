//! Requests and answers as a client sees them, and the ways to exchange them.
//!
//! What must hold: a transport adds nothing to a request and hides nothing of an answer. What is deliberately absent: any
//! knowledge of OData.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A request without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// An absolute URL, or an absolute path with a query.
    pub url: String,
    /// Names in lower case.
    pub headers: Vec<(&'static str, String)>,
}

/// A complete answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body without any transfer encoding.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        f.write_str(&String::from_utf8_lossy(&self.body))
    }
}

/// A way to a service.
pub trait Transport: Send + Sync {
    /// Sends a `GET` request and waits for the whole answer.
    ///
    /// # Errors
    ///
    /// The connection was refused or ended before the answer was complete: the service was killed.
    fn get(&self, request: &Request) -> io::Result<Response>;
}

/// The host that every client asks for, wherever the server listens, so that the same link gives the same answer after a restart.
pub const HOST: &str = "highwater.test";

/// One connection a request to a server in another process.
#[derive(Clone, Copy, Debug)]
pub struct Tcp {
    /// Where it listens.
    pub address: SocketAddr,
}

/// Longer than any answer of a test takes; only a server that hangs is cut off by it.
const ANSWER_MAX: Duration = Duration::from_secs(60);

impl Transport for Tcp {
    fn get(&self, request: &Request) -> io::Result<Response> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(ANSWER_MAX))?;
        stream.set_nodelay(true)?;
        let mut head = format!(
            "GET {} HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\n",
            target(&request.url)
        );
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        parse(&answer).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
    }
}

/// The path and query of a URL that may also name a host.
pub fn target(url: &str) -> &str {
    match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => url,
    }
}

/// An answer whose connection has ended; `None` if it ended too early.
fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut response = Response {
        status,
        headers,
        body: Vec::new(),
    };
    let rest = &answer[end + 4..];
    response.body = if response.header("transfer-encoding") == Some("chunked") {
        dechunk(rest)?
    } else {
        let length: usize = response.header("content-length")?.parse().ok()?;
        rest.get(..length)?.to_vec()
    };
    Some(response)
}

fn dechunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let size = std::str::from_utf8(&rest[..line]).ok()?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        rest = &rest[line + 2..];
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(..size)?);
        rest = rest.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_answer_is_no_answer() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(parse(whole.as_bytes()).unwrap().body, b"abc");
        let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked.as_bytes()).unwrap().body, b"abcde");
        assert_eq!(parse(&whole.as_bytes()[..whole.len() - 1]), None);
        assert_eq!(parse(&chunked.as_bytes()[..chunked.len() - 6]), None);
        assert_eq!(parse(b"HTTP/1.1 200"), None);
    }

    #[test]
    fn the_target_of_a_url() {
        for (url, expected) in [
            ("http://h:1/a?b=c://d", "/a?b=c://d"),
            ("https://h", "/"),
            ("/a/b?c", "/a/b?c"),
        ] {
            assert_eq!(target(url), expected);
        }
    }
}
