//! Whether a statement failed because of old images.
//!
//! An old image is a text, and its type can come to refuse it although the tracking is what it was: a domain gets a constraint that is `NOT
//! VALID` for the rows that there are, or one that calls a function which works in the application's session only. A link that needs such an
//! image can never be answered again.
//!
//! What must hold: what the query itself asks for and cannot be computed (a division by zero) ends no link. Both fail alike, so the images
//! are read alone, without the query, and only after something has failed.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use futures_util::future::ready;
use highwater_core::Gone;
use highwater_sql::postgres;
use tokio_postgres::Client;

use super::{Question, Seen, View, open};
use crate::bind::Statement;
use crate::error::Fault;
use crate::pool::Pool;
use crate::read::flavour;

/// What the codes of errors begin with that a value can cause, or a function that looks at it.
const OF_VALUES: [&str; 7] = ["22", "23", "2F", "38", "39", "42", "P0"];

/// What to say of a fault of statements that read old images: [`Gone::Recreated`] if these are to blame. No connection is in use for the
/// question any more.
pub(crate) async fn explain(pool: &Arc<Pool>, question: &Question<'_>, fault: Fault) -> Fault {
    if !matches!(&fault, Fault::Postgres(error) if is_of_value(error)) {
        return fault;
    }
    // What the guard says by now goes before: the schema may have changed, or a right been taken away.
    let View { session, seen, .. } = match open(pool, question).await {
        Ok(view) => view,
        Err(other) => return other,
    };
    let read = read_all(&session, question, &seen).await;
    session.commit().await;
    match read {
        Err(Fault::Postgres(error)) if is_of_value(&error) => {
            tracing::warn!(%error, "old rows cannot be read any more; links that need them have ended");
            Gone::Recreated.into()
        }
        Ok(()) | Err(_) => fault,
    }
}

fn is_of_value(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| OF_VALUES.iter().any(|begin| code.code().starts_with(begin)))
}

/// Reads all old images that the question may need, and forgets them.
async fn read_all(client: &Client, question: &Question<'_>, seen: &Seen) -> Result<(), Fault> {
    let flavour = flavour(question.schema, None);
    for after in seen.since.iter().chain(&seen.as_of) {
        for table in &question.tables {
            let Some(sql) = postgres::old_images(&flavour, *table, after)? else {
                continue;
            };
            let rows = Statement::new(sql).rows(client).await?;
            rows.try_for_each(|_| ready(Ok(()))).await?;
        }
    }
    Ok(())
}
