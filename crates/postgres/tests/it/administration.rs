//! What operators see and do: tracking, its status, links that cannot be answered any more.

mod damage;
mod refusals;
mod status;
mod tracking;

use highwater_core::store::{StoreStatus, TableStatus};
use highwater_core::tracking::Policy;
use highwater_postgres::admin as commands;
use highwater_throwaway::Database;

/// A database in which `sql` was executed and then everything tracked.
async fn tracked(database: &Database<'_>, sql: &str) {
    database.sql(sql).unwrap();
    commands::track(&database.url(), &Policy::All)
        .await
        .unwrap();
}

async fn status(database: &Database<'_>) -> StoreStatus {
    commands::status(&database.url()).await.unwrap()
}

fn table<'s>(status: &'s StoreStatus, name: &str) -> &'s TableStatus {
    let found = status.tables.iter().find(|table| table.name == name);
    found.unwrap_or_else(|| panic!("{name} has no status"))
}
