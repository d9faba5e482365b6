//! The oracle suite on SQLite, in this process. The kill suite needs the program and runs in the tests of its package.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use highwater_testkit::http::{Request, Response, Transport};
use highwater_testkit::serving::Server;
use highwater_testkit::sqlite_lab::ForeignKeys;
use highwater_testkit::{InProcess, SqliteLab, history, money, restore, seeds};
use serde_json::{Value as Json, json};

fn lab() -> SqliteLab {
    SqliteLab::new(InProcess::default())
}

/// Shown by `cargo nextest run --no-capture`.
#[allow(clippy::print_stdout, reason = "the figures of a test")]
fn tell(figures: &impl std::fmt::Debug) {
    println!("{figures:#?}");
}

/// Random schemas, writers and clients. About 40 rounds a run.
#[test]
fn every_round_of_a_random_history_is_exact() {
    let all = Mutex::new(history::Totals::default());
    seeds::each(120, |seed, trace| {
        let wild = seed % 7 == 0;
        let foreign_keys = match seed % 3 {
            _ if wild => ForeignKeys::Mixed,
            0 => ForeignKeys::Off,
            _ => ForeignKeys::On,
        };
        let mut lab = lab().with_foreign_keys(foreign_keys);
        if seed % 5 == 0 {
            lab = lab.with_rollback_journal();
        }
        let plan = history::Plan {
            wild,
            ..history::Plan::default()
        };
        let totals = history::run(&mut lab, seed, plan, trace)?;
        all.lock().unwrap().add(&totals);
        Ok(())
    });
    tell(&all.into_inner().unwrap());
}

#[test]
fn no_round_mixes_two_states_while_others_write() {
    let plan = money::Plan {
        writers: 3,
        clients: 3,
        rounds: 60,
        page_max: 9,
        time: Duration::ZERO,
        // SQLite has one writer at a time.
        lingers: false,
        amid_trouble: false,
    };
    seeds::each(2, |seed, _| {
        tell(&money::run(&mut lab(), seed, plan)?);
        Ok(())
    });
}

#[test]
fn links_survive_a_restored_backup_only_if_their_state_did() {
    let all = Mutex::new(restore::Totals::default());
    seeds::each(60, |seed, trace| {
        let totals = restore::run_restored(&mut lab(), seed, seed % 2 == 0, trace)?;
        all.lock().unwrap().add(&totals);
        Ok(())
    });
    tell(&all.into_inner().unwrap());
}

#[test]
fn links_survive_pruning_only_if_their_history_did() {
    let all = Mutex::new(restore::Totals::default());
    seeds::each(40, |seed, trace| {
        let totals = restore::run_pruned(&mut lab(), seed, trace)?;
        all.lock().unwrap().add(&totals);
        Ok(())
    });
    tell(&all.into_inner().unwrap());
}

/// A defect that the product does not have, put into its answers.
#[derive(Clone, Copy, Debug)]
enum Defect {
    /// A change is lost.
    Lost,
    /// An entity comes twice.
    Twice,
    /// An unchanged value is another one.
    Altered,
    /// A removal has the other reason.
    Reason,
}

/// A server some of whose answers have a defect.
struct Defective {
    inner: InProcess,
    defect: Defect,
    /// How many answers were spoilt.
    spoilt: Arc<AtomicU64>,
}

impl Server for Defective {
    fn start(&mut self, database: &str) -> Arc<dyn Transport> {
        Arc::new(Spoiling {
            inner: self.inner.start(database),
            defect: self.defect,
            spoilt: self.spoilt.clone(),
        })
    }

    fn stop(&mut self) {
        self.inner.stop();
    }
}

struct Spoiling {
    inner: Arc<dyn Transport>,
    defect: Defect,
    spoilt: Arc<AtomicU64>,
}

impl Transport for Spoiling {
    fn get(&self, request: &Request) -> std::io::Result<Response> {
        let mut response = self.inner.get(request)?;
        if let Ok(mut page) = serde_json::from_slice::<Json>(&response.body)
            && self.spoil(&mut page).is_some()
        {
            self.spoilt.fetch_add(1, Ordering::Relaxed);
            response.body = serde_json::to_vec(&page).expect("a value can be written");
        }
        Ok(response)
    }
}

impl Spoiling {
    /// Puts the defect into the page, if there is a place for it.
    fn spoil(&self, page: &mut Json) -> Option<()> {
        let items = page.get_mut("value")?.as_array_mut()?;
        match self.defect {
            Defect::Lost => items.pop().map(drop),
            Defect::Twice => {
                let last = items.last()?.clone();
                items.push(last);
                Some(())
            }
            Defect::Altered => {
                let entity = items.iter_mut().filter_map(Json::as_object_mut).next()?;
                let (_, value) = entity
                    .iter_mut()
                    .find(|(name, value)| !name.contains('@') && value.is_number())?;
                *value = json!(31_337);
                Some(())
            }
            Defect::Reason => {
                let object = items.iter_mut().filter_map(Json::as_object_mut).next()?;
                let object = match object.contains_key("@removed") {
                    true => object.get_mut("@removed")?.as_object_mut()?,
                    false => object,
                };
                let reason = object.get_mut("reason")?;
                *reason = if *reason == json!("deleted") {
                    json!("changed")
                } else {
                    json!("deleted")
                };
                Some(())
            }
        }
    }
}

/// The oracle itself must be able to fail: each defect is found in every run where it occurs. (A single one may be in a round that
/// a schema change ends before it can be checked.)
#[test]
fn a_defect_does_not_escape_the_oracle() {
    for defect in [Defect::Lost, Defect::Twice, Defect::Altered, Defect::Reason] {
        let found = AtomicU64::new(0);
        seeds::each(6, |seed, trace| {
            let spoilt = Arc::default();
            let server = Defective {
                inner: InProcess::default(),
                defect,
                spoilt: Arc::clone(&spoilt),
            };
            let outcome = history::run(
                &mut SqliteLab::new(server),
                seed,
                history::Plan::default(),
                trace,
            );
            match (spoilt.load(Ordering::Relaxed), outcome) {
                (0..3, Ok(_)) => Ok(()),
                (0, Err(error)) => Err(error),
                (_, Err(_)) => {
                    found.fetch_add(1, Ordering::Relaxed);
                    Ok(())
                }
                (spoilt, Ok(_)) => Err(format!(
                    "{spoilt} answers with the defect {defect:?} were accepted"
                )),
            }
        });
        assert!(found.into_inner() > 0, "{defect:?} never occurred");
    }
}

#[test]
fn a_client_that_forgets_a_change_is_found() {
    let found = AtomicU64::new(0);
    seeds::each(4, |seed, trace| {
        let plan = history::Plan {
            forgetful: true,
            ..history::Plan::default()
        };
        if history::run(&mut lab(), seed, plan, trace).is_err() {
            found.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    });
    assert!(found.into_inner() > 0);
}
