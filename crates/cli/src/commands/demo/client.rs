//! A client of one service over one connection: enough HTTP to read pages.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Asks for the newer format.
pub(super) const MAX_VERSION: &str = "OData-MaxVersion: 4.01";
/// Asks for a delta link.
pub(super) const TRACK: &str = "Prefer: track-changes";

/// One connection.
pub(super) struct Client {
    sender: SendRequest<Empty<Bytes>>,
    host: String,
}

impl Client {
    /// Connects to the service.
    pub(super) async fn connect(address: SocketAddr) -> anyhow::Result<Client> {
        let stream = TcpStream::connect(address)
            .await
            .context("cannot connect to the service")?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what fails shows in the answers.
        tokio::spawn(connection);
        Ok(Client {
            sender,
            host: address.to_string(),
        })
    }

    /// Reads a page. `target` is a path with its query, or a whole link of this service; `headers` are lines.
    pub(super) async fn get(&mut self, target: &str, headers: &[&str]) -> anyhow::Result<String> {
        let root = format!("http://{}", self.host);
        let target = target.strip_prefix(&root).unwrap_or(target);
        let mut request = Request::get(target).header(header::HOST, &self.host);
        for (name, value) in headers.iter().filter_map(|line| line.split_once(": ")) {
            request = request.header(name, value);
        }
        self.sender.ready().await?;
        let response = self
            .sender
            .send_request(request.body(Empty::new())?)
            .await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let body = String::from_utf8(body.to_vec()).context("the answer is not UTF-8")?;
        if !status.is_success() {
            bail!("GET {target} was answered {status}: {body}");
        }
        Ok(body)
    }
}
