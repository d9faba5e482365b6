//! The program under test as a child process.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::http::{Client, member, target};

/// A running `highwater serve`, killed on drop.
pub struct Server {
    child: Child,
    /// `127.0.0.1:port`
    pub host: String,
}

impl Server {
    /// Serves a database.
    pub fn start(database: impl AsRef<OsStr>) -> Result<Server> {
        let mut child = Command::new(binary()?)
            .arg("serve")
            .arg(database)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("stdout is piped")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let host = line.trim().strip_prefix("listening on http://");
        let host = host
            .with_context(|| format!("the server said {line:?}"))?
            .to_owned();
        Ok(Server { child, host })
    }

    /// A new connection.
    pub fn client(&self) -> Result<Client> {
        Client::connect(&self.host)
    }

    /// The largest resident memory so far, in KiB.
    pub fn peak_memory_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM:"))
            .context("VmHWM")?;
        Ok(line.split_whitespace().nth(1).context("VmHWM")?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `HIGHWATER_BINARY`, or the release binary in the target folder.
fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("HIGHWATER_BINARY") {
        return Ok(path.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("bench/ is in the root")?;
    let binary = root.join("target/release/highwater");
    if !binary.exists() {
        bail!(
            "{} does not exist: run cargo build --release first",
            binary.display()
        );
    }
    Ok(binary)
}

/// Header lines of a request that begins or goes on with a round.
pub fn track(page_size: u32) -> String {
    format!("OData-MaxVersion: 4.01\r\nPrefer: track-changes,maxpagesize={page_size}\r\n")
}

/// Follows a round to its end: calls `page` with each page and returns the target of the delta link.
pub fn follow(
    client: &mut Client,
    first: &str,
    page_size: u32,
    mut page: impl FnMut(&[u8]),
) -> Result<String> {
    let headers = track(page_size);
    let mut next = first.to_owned();
    loop {
        let body = client.get(&next, &headers)?;
        page(body);
        if let Some(link) = member(body, "@deltaLink") {
            return Ok(target(link).to_owned());
        }
        next = target(member(body, "@nextLink").context("a page without a link")?).to_owned();
    }
}

/// Where the rows are.
pub const PEOPLE: &str = "/odata/people";

/// A delta link from now on, without reading anything.
pub fn delta_link_from_now(client: &mut Client) -> Result<String> {
    follow(client, &format!("{PEOPLE}?$top=0"), 1000, |_| {})
}
