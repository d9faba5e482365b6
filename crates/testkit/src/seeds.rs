//! Which seeds a test tries, and what it tells when one fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::trace::Trace;

/// Calls `run` with each seed, several at a time.
///
/// `test` is the name of the test, for the command that repeats a failed run.
///
/// # Panics
///
/// If a run fails.
pub fn each(test: &str, runs_default: u64, run: impl Fn(u64, &mut Trace) -> Result<(), String> + Sync) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) = match number("HIGHWATER_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("HIGHWATER_ORACLE_RUNS").unwrap_or(runs_default)),
    };
    let next = AtomicU64::new(first);
    let failure = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let mut trace = Trace::new(format!(
                        "HIGHWATER_SEED={seed} cargo nextest run -p highwater-testkit -E 'test(={test})'"
                    ));
                    if let Err(error) = run(seed, &mut trace) {
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                        let report = trace.report();
                        failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(format!(
                            "{error}\n\nwhat happened before:\n{report}"
                        ));
                    }
                }
            });
        }
    });
    if let Some(report) = failure.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        panic!("{report}");
    }
}
