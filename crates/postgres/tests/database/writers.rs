//! Random statements of several sessions at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_throwaway::State;

use crate::oracle::Oracle;
use crate::random::{schema, statement};
use crate::seeds::{self, Random};

const WRITERS: u64 = 6;
const STATEMENTS: usize = 60;

#[test]
fn random_writers() {
    seeds::each(8, |seed| {
        let mut random = Random(seed);
        let setup = schema(&mut random);
        let mut oracle = Oracle::new(&setup);
        let writing = AtomicUsize::new(WRITERS as usize);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (database, writing) = (&oracle.database, &writing);
                let mut random = Random(seed * 1000 + writer);
                let mut session = database.session().unwrap();
                scope.spawn(move || {
                    session.run("SET statement_timeout = '2s'; SET lock_timeout = '200ms'; SET deadlock_timeout = '20ms'").unwrap();
                    for _ in 0..STATEMENTS {
                        let sql = statement(&mut random, session.state());
                        if !sql.contains("PREPARE") {
                            // Refused statements, deadlocks and time-outs are part of it.
                            let _ = session.run(&sql);
                        }
                    }
                    if session.state() != State::Idle {
                        let _ = session.run("COMMIT");
                    }
                    writing.fetch_sub(1, Ordering::Relaxed);
                });
            }
            while writing.load(Ordering::Relaxed) > 0 {
                oracle.remember("writers");
            }
        });
        oracle.remember("all");
        let verified = oracle.verify();
        println!("{seed}: {verified:?}");
    });
}
