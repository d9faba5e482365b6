//! `highwater serve`.
//!
//! What must hold: flags win over variables (clap sees to that), both win over `highwater.toml`, which wins over the defaults;
//! the one line on stdout appears when connections are accepted, and nothing else does.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use highwater::{PrepareError, Settings};

use crate::args::{CONFIG_DEFAULT, LISTEN_DEFAULT, Profile, Serve};
use crate::config::Config;
use crate::failure::Usage;

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

    let path = super::existing_sqlite_path(&args.database)?;
    super::runtime()?.block_on(async {
        let end = super::interrupted()?;
        let listener = super::bind(listen.unwrap_or(LISTEN_DEFAULT)).await?;
        let service = highwater::open(&path, settings)
            .await
            .map_err(|e| match (e, &config) {
                (PrepareError::Settings(e), Some(config)) => {
                    Usage(config.locate(&e).to_string()).into()
                }
                (e, _) => anyhow::Error::from(e),
            })?;
        let mut out = std::io::stdout();
        writeln!(out, "listening on http://{}", listener.local_addr()?)?;
        out.flush()?;
        highwater::serve(listener, service, end)
            .await
            .context("cannot go on serving")
    })
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
