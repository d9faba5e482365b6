//! Every command on PostgreSQL, against throw-away clusters.

mod access;
mod admin;
mod init;
mod nodes;
mod pooler;
mod rights;
mod serve;

use highwater_throwaway::{Cluster, Database};

use crate::support::Lab;

/// A database with the tables of the template `sample`.
fn sample(lab: &Lab, rows: u32) -> Database<'static> {
    let database = Cluster::shared().database().unwrap();
    lab.ok(&[
        "init",
        &database.url(),
        "--template",
        "sample",
        "--rows",
        &rows.to_string(),
    ]);
    database
}

/// The only value of the only row.
fn value(database: &Database<'_>, sql: &str) -> String {
    let rows = database.sql(sql).unwrap();
    assert_eq!((rows.len(), rows[0].len()), (1, 1), "{sql}: {rows:?}");
    rows[0][0].clone().unwrap()
}
