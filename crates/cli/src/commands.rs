//! One module a command, and what several of them need.

pub(crate) mod database;
mod demo;
mod init;
mod inspect;
mod serve;
mod status;
mod track;

use std::net::SocketAddr;

use anyhow::{Context as _, anyhow};
use highwater::core::Epoch;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::args::Command;
use crate::failure::Usage;

/// What to log, in the words of `tracing_subscriber::EnvFilter`.
const LOG_VARIABLE: &str = "HIGHWATER_LOG";

/// Runs a command to its end.
pub(crate) fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Serve(args) => serve::run(args),
        Command::Track(args) => track::track(&args),
        Command::Untrack(args) => track::untrack(&args),
        Command::Status(args) => status::run(&args),
        Command::Inspect(args) => inspect::run(&args),
    }
}

/// An epoch as status and inspect show it.
fn epoch_text(epoch: Epoch) -> String {
    format!("{:016x}", epoch.0)
}

/// Sends the log to stderr, where it never mixes with data.
fn log_to_stderr(default: &str) -> anyhow::Result<()> {
    let wanted = std::env::var(LOG_VARIABLE).unwrap_or_default();
    let filter = if wanted.is_empty() { default } else { &wanted };
    let filter = tracing_subscriber::EnvFilter::builder()
        .parse(filter)
        .map_err(|e| {
            Usage(format!(
                "{LOG_VARIABLE} is wrong ({e}); set it to error, warn, info, debug or trace"
            ))
        })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(crate::output::is_coloured(&std::io::stderr()))
        .init();
    Ok(())
}

/// The threads that wait for the network.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads that serve requests")
}

/// Listens, or says why that is impossible.
async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| match e.kind() {
        std::io::ErrorKind::AddrInUse => anyhow!(
            "{address} is in use by another program; end that program or choose another port with --listen (port 0 takes any free one)"
        ),
        std::io::ErrorKind::AddrNotAvailable => anyhow!(
            "{address} is not an address of this machine; use 127.0.0.1, or 0.0.0.0 for all its addresses"
        ),
        std::io::ErrorKind::PermissionDenied => anyhow!(
            "this user may not listen on {address}; choose a port above 1023 with --listen"
        ),
        _ => anyhow!("cannot listen on {address}: {e}; choose another address with --listen"),
    })
}

/// Ready when the operating system asks the program to end: Ctrl-C (SIGINT) or SIGTERM.
///
/// The signals are caught from the call on, not only when the future is first polled.
fn interrupted() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot catch SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("cannot catch SIGTERM")?;
        Ok(async move {
            tokio::select! {
                _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
                _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        // If it cannot be caught, the program ends by default.
        let _ = tokio::signal::ctrl_c().await;
    })
}
