//! The smallest HTTP/1.1 client that reads a response with `Content-Length` over a kept connection, so that the client costs as
//! little as possible of what is measured.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};
use memchr::memmem;

/// A kept connection.
pub struct Client {
    stream: BufReader<TcpStream>,
    host: String,
    body: Vec<u8>,
}

impl Client {
    /// Connects to `host:port`.
    pub fn connect(host: &str) -> Result<Client> {
        let stream = TcpStream::connect(host).with_context(|| format!("connecting to {host}"))?;
        stream.set_nodelay(true)?;
        let stream = BufReader::with_capacity(256 * 1024, stream);
        Ok(Client {
            stream,
            host: host.to_owned(),
            body: Vec::new(),
        })
    }

    /// Sends `GET target` with further header lines (each ending in CRLF) and returns the body of a 200 response.
    pub fn get(&mut self, target: &str, headers: &str) -> Result<&[u8]> {
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
            self.host
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        let mut length = 0;
        let mut ok = false;
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("the server closed the connection");
            }
            if line == "\r\n" {
                break;
            }
            if line.starts_with("HTTP/1.1 ") {
                ok = line.starts_with("HTTP/1.1 200");
            } else if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body)?;
        if !ok {
            bail!("{target}: {}", String::from_utf8_lossy(&self.body));
        }
        Ok(&self.body)
    }
}

/// The path and query of an absolute URL.
pub fn target(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("/", |at| &rest[at..])
}

/// The value of a string member of a JSON object, where the value has no escapes (as links have none).
pub fn member<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    let opening = format!("\"{name}\":\"");
    // Links stand at the end of a page, so search from there.
    let value = &json[memmem::rfind(json, opening.as_bytes())? + opening.len()..];
    std::str::from_utf8(&value[..memchr::memchr(b'"', value)?]).ok()
}

/// How many times `needle` occurs.
pub fn occurrences(haystack: &[u8], needle: &str) -> usize {
    memmem::find_iter(haystack, needle).count()
}
