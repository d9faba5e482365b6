//! Which seeds a test tries, and what it tells when one fails.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::trace::Trace;

/// Calls `run` with each seed, several at a time. To be called on the thread of a test, whose name it tells if a run fails.
///
/// # Panics
///
/// If a run fails or panics.
pub fn each(runs_default: u64, run: impl Fn(u64, &mut Trace) -> Result<(), String> + Sync) {
    let runs = variable("HIGHWATER_ORACLE_RUNS");
    let (first, count) = match variable("HIGHWATER_SEED") {
        Some(seed) => (seed, runs.unwrap_or(1)),
        None => (1, runs.unwrap_or(runs_default)),
    };
    let repeat = repeat_command();
    let next = AtomicU64::new(first);
    let failure: Mutex<Option<String>> = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first.saturating_add(count) {
                        return;
                    }
                    let mut trace = Trace::new(format!("HIGHWATER_SEED={seed} {repeat}"));
                    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, &mut trace)));
                    let outcome = outcome.unwrap_or_else(|panic| Err(text_of(&*panic)));
                    if let Err(error) = outcome {
                        let report =
                            format!("{error}\n\nwhat happened before:\n{}", trace.report());
                        failure
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .get_or_insert(report);
                        // The others need not begin another one.
                        next.store(u64::MAX / 2, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    if let Some(report) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        panic!("{report}");
    }
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn repeat_command() -> String {
    // Both are what cargo and the test harness say about the running test.
    let package =
        std::env::var("CARGO_PKG_NAME").unwrap_or_else(|_| "highwater-testkit".to_owned());
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("…");
    format!("cargo nextest run -p {package} -E 'test(={test})'")
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic")
        .to_owned()
}
