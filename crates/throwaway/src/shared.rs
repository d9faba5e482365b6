//! The cluster that all tests of a run share.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::OnceLock;

use crate::binaries::Binaries;
use crate::cluster::{Cluster, initdb};
use crate::directory::Making;
use crate::error::Error;
use crate::options::Options;
use crate::owner::Owner;

/// So long waits the shared cluster for the next test.
const GRACE_SECONDS: u32 = 8;

impl Cluster {
    /// The cluster that all processes of a run share. It is started if it does not run, and ends some seconds after its last user.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed or does not start; the text says why.
    pub fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| join().unwrap_or_else(|error| panic!("{error}")))
    }
}

fn join() -> Result<Cluster, Error> {
    let (binaries, owner, options) = (Binaries::find()?, Owner::of_this_process()?, Options::new());
    // Everything that makes a cluster another one.
    let mut hasher = DefaultHasher::new();
    (
        binaries.folder(),
        options.configuration(0, ""),
        initdb(&binaries),
    )
        .hash(&mut hasher);
    let name = format!(
        "highwater-postgres-{}-{:08x}",
        owner.caller,
        hasher.finish() as u32
    );
    let making = Making {
        binaries: &binaries,
        owner: &owner,
        options: &options,
        command: initdb(&binaries),
        grace_seconds: GRACE_SECONDS,
    };
    let (place, watchdog) = making.join_or_start(&std::env::temp_dir().join(name))?;
    Ok(Cluster::with_others(binaries, owner, place, watchdog))
}
