//! Random statements of several sessions at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use highwater_throwaway::{Cluster, Session, State};

use super::oracle::{Oracle, track};
use super::random::{schema, statement};
use super::seeds::{self, Random};

const WRITERS: u64 = 6;
const STATEMENTS: usize = 60;

/// Tracking that begins while others write is exact from its first snapshot on.
#[test]
fn tracking_begins_among_writers() {
    seeds::each(4, |seed| {
        let mut random = Random(seed);
        let database = Cluster::shared().database().unwrap();
        database.sql(&schema(&mut random)).unwrap();
        let writing = AtomicUsize::new(WRITERS as usize);
        let mut oracle = std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let mut session = database.session().unwrap();
                let (mut random, writing) = (Random(seed * 1000 + writer), &writing);
                scope.spawn(move || {
                    write(&mut session, &mut random);
                    writing.fetch_sub(1, Ordering::Relaxed);
                });
            }
            let ensured = track(&database);
            assert!(!ensured.tracked.is_empty(), "{ensured:?}");
            let mut oracle = Oracle::of(database);
            while writing.load(Ordering::Relaxed) > 0 {
                oracle.remember("writers");
            }
            oracle
        });
        oracle.remember("all");
        println!("{seed}: {:?}", oracle.verify());
    });
}

/// Refused statements, deadlocks and time-outs are part of it.
fn write(session: &mut Session, random: &mut Random) {
    session.run("SET statement_timeout = '2s'; SET lock_timeout = '200ms'; SET deadlock_timeout = '20ms'").unwrap();
    for _ in 0..STATEMENTS {
        let sql = statement(random, session.state());
        if !sql.contains("PREPARE") {
            let _ = session.run(&sql);
        }
    }
    if session.state() != State::Idle {
        let _ = session.run("COMMIT");
    }
}

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
                    write(&mut session, &mut random);
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
