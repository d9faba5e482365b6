//! The statements that begin the tracking, for somebody else to run.

use highwater_core::Error;
use highwater_core::tracking::Policy;
use tokio_postgres::Client;

use super::survey::Survey;
use super::{Step, check_named, install, steps};
use crate::error::Fault;
use crate::own_schema;
use crate::schema::quote;

/// What [`super::ensure`] would do, as a script for `psql` that the owner of the tables runs in one transaction, and the rights
/// that `role` needs to serve. The script fails without a trace if the database has changed in the meantime, if it was run already, or if there
/// are triggers of Highwater's that nobody knows of. Whether a new partition can be taken in without an end of links, only
/// `highwater track` finds out; the script begins the tracking of such a table anew.
///
/// # Errors
///
/// As [`super::ensure`].
pub(crate) async fn print_sql(
    client: &mut Client,
    policy: &Policy,
    role: Option<&str>,
) -> Result<String, Error> {
    print_now(client, policy, role)
        .await
        .map_err(Fault::tell_own)
}

async fn print_now(
    client: &mut Client,
    policy: &Policy,
    role: Option<&str>,
) -> Result<String, Fault> {
    let Some(survey) = Survey::take_for_another(client).await? else {
        // What is tracked would have to be read from older tables, so that this cannot be said by one script.
        return Err(Error::Unsupported(
            "The database is tracked by an older version of Highwater. Run highwater track with this version as the owner of the schema \
             highwater, who can see what is to be done."
                .into(),
        )
        .into());
    };
    check_named(&survey, policy)?;
    let mut script = format!(
        "BEGIN;\nSET LOCAL search_path = pg_catalog, pg_temp;\nSELECT pg_advisory_xact_lock({});\nSET LOCAL lock_timeout = '5s';\n",
        own_schema::LOCK
    );
    let mut push = |statement: &str| {
        script.push_str(statement.trim_end());
        if !statement.trim_end().ends_with(';') {
            script.push(';');
        }
        script.push('\n');
    };
    if survey.is_absent {
        push(&own_schema::create_script());
        push(&own_schema::fill_script());
    }
    let mut next = survey.registered.iter().map(|r| r.id).max().unwrap_or(0) + 1;
    for step in steps(&survey, policy) {
        let (position, before) = match step {
            Step::Track(position, before) => (position, before),
            Step::Extend(position, id) => (position, vec![id]),
            Step::Forget(id) => {
                push(&super::remains(id).join(";\n"));
                continue;
            }
        };
        for id in before {
            push(&super::remains(id).join(";\n"));
        }
        for statement in install::statements(&survey, position, next) {
            push(&statement);
        }
        next += 1;
    }
    push(&format!(
        "SELECT setval(pg_get_serial_sequence('highwater.registered', 'id'), {}, true)",
        next.max(2) - 1
    ));
    if let Some(role) = role {
        push(&own_schema::grants(role));
        let trackable = survey.schema.facts.iter().filter(|f| f.obstacle.is_none());
        let mut usable: Option<&str> = None;
        // Tables are sorted by schema.
        for facts in trackable {
            if usable != Some(&facts.schema) {
                push(&format!(
                    "GRANT USAGE ON SCHEMA {} TO {}",
                    quote(&facts.schema),
                    quote(role)
                ));
                usable = Some(&facts.schema);
            }
            push(&format!(
                "GRANT SELECT ON {} TO {}",
                facts.qualified(),
                quote(role)
            ));
        }
    }
    push("COMMIT");
    Ok(script)
}
