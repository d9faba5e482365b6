//! `highwater serve`.
//!
//! What must hold: flags win over variables (clap sees to that), both win over `highwater.toml`, which wins over the defaults;
//! the one line on stdout appears when connections are accepted, and nothing else does. A database server that is not there yet is waited
//! for; one that goes away later is the store's business, and clients are told to come back.

use std::io::Write as _;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use highwater::postgres::Access;
use highwater::{PrepareError, Settings};

use super::database::Place;
use crate::args::{CONFIG_DEFAULT, LISTEN_DEFAULT, Profile, Serve};
use crate::config::Config;
use crate::failure::Usage;

/// How long to wait before trying again to reach a database server.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

pub(crate) fn run(args: Serve) -> anyhow::Result<()> {
    super::log_to_stderr("info")?;
    let config = config(args.config.as_deref())?;
    let listen = (args.listen).or(config.as_ref().and_then(|config| config.listen));
    let profile = (args.profile).or(config.as_ref().and_then(|config| config.profile));
    if profile == Some(Profile::Faithful) {
        return Err(Usage(
            "the profile 'faithful' reproduces the quirks of a real service, but standard OData, the only dialect of this \
             version, has none; use the profile 'exact'"
                .into(),
        )
        .into());
    }
    let mut settings = config
        .as_ref()
        .map_or_else(Settings::default, |config| config.settings.clone());
    if args.public_url.is_some() {
        settings.public_url = args.public_url;
    }

    let place = Place::existing(&args.database)?;
    super::runtime()?.block_on(async {
        let mut end = pin!(super::interrupted()?);
        let listener = super::bind(listen.unwrap_or(LISTEN_DEFAULT)).await?;
        let opening = async {
            if let Place::Postgres { access, .. } = &place {
                be_reachable(access, args.wait).await?;
            }
            let opened = highwater::open(place.as_typed(), settings).await;
            opened.map_err(|e| match (e, &config) {
                (PrepareError::Settings(e), Some(config)) => {
                    Usage(config.locate(&e).to_string()).into()
                }
                (e, _) => anyhow::Error::from(e),
            })
        };
        let service = tokio::select! {
            opened = opening => opened?,
            () = &mut end => return Ok(()),
        };
        let mut out = std::io::stdout();
        writeln!(out, "listening on http://{}", listener.local_addr()?)?;
        out.flush()?;
        highwater::serve(listener, service, end)
            .await
            .context("cannot go on serving")
    })
}

/// Waits for a database server that is not up yet, as happens when both are started at the same time.
async fn be_reachable(access: &Access, wait: Duration) -> anyhow::Result<()> {
    let begin = Instant::now();
    let mut told = String::new();
    loop {
        let Err(error) = access.connect().await else {
            return Ok(());
        };
        if begin.elapsed() + RETRY_PAUSE > wait {
            return Err(error.into());
        }
        let cause = error.to_string();
        if cause != told {
            tracing::warn!(
                cause,
                wait_s = wait.as_secs(),
                "the database cannot be reached yet; trying again"
            );
            told = cause;
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// The configuration file: the one that was named, or the one that is there.
fn config(named: Option<&Path>) -> anyhow::Result<Option<Config>> {
    let path = named.unwrap_or(Path::new(CONFIG_DEFAULT));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if named.is_none() && e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => {
            return Err(Usage(format!(
                "cannot read the configuration file {}: {e}",
                path.display()
            ))
            .into());
        }
    };
    let config = Config::parse(path, text).map_err(|e| Usage(e.to_string()))?;
    tracing::info!(file = %path.display(), "the configuration was read");
    Ok(Some(config))
}
