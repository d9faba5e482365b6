//! The whole of introspection, against a real database.

mod change;
mod keys;
mod kinds;
mod relations;
mod rights;
mod types;
mod versions;

use highwater_core::Table;
use highwater_throwaway::Database;
use tokio_postgres::{Client, NoTls};

use super::load;
use crate::schema::{LeftOut, Schema, TableFacts};

/// A connection to a database of its own, in which `sql` was executed.
async fn client(database: &Database<'_>, sql: &str) -> Client {
    let client = connect(&database.url()).await;
    execute(&client, sql).await;
    client
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn execute(client: &Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql).await {
        panic!("{error:?}: {sql}");
    }
}

/// `table` is in the schema `public` unless it says otherwise.
fn position(schema: &Schema, table: &str) -> Option<usize> {
    let (schema_name, name) = table.split_once('.').unwrap_or(("public", table));
    schema.catalog.table(Some(schema_name), name)
}

fn table<'s>(schema: &'s Schema, name: &str) -> &'s Table {
    let position = position(schema, name).unwrap_or_else(|| panic!("{name} is not in the catalog"));
    schema.table(position)
}

fn facts<'s>(schema: &'s Schema, name: &str) -> &'s TableFacts {
    let position = position(schema, name).unwrap_or_else(|| panic!("{name} is not in the catalog"));
    &schema.facts[position]
}

fn left_out<'s>(schema: &'s Schema, name: &str) -> &'s LeftOut {
    let found = schema.left_out.iter().find(|out| out.name == name);
    found.unwrap_or_else(|| panic!("{name} is not left out"))
}

fn reason(table: &Table) -> &str {
    table.tracking.obstacle().unwrap_or("tracked")
}
