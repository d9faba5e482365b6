//! Begins, renews and ends the tracking of tables.
//!
//! What must hold: each table is brought in order in one transaction of its own, which waits for a lock on the table only for a moment, so that the
//! application's writers never queue up behind it; any number of nodes may do so at once ([`own_schema::LOCK`] puts them in a row). What
//! is tracked and in order is left alone, and nothing is written if everything is. A table whose layout has changed begins anew with
//! another incarnation and an empty history, which ends its links; new partitions are taken in without that, if possible. When the tracking of the last table is ended on purpose, there is no trace
//! left of Highwater; if the tables just went away, its keys stay, so that links are answered with *gone*.
//!
//! What is deliberately absent: how changes are captured ([`crate::capture`]); what can be tracked ([`crate::introspect`]).

mod install;
mod script;
mod survey;

pub(crate) use highwater_core::tracking::{Ensured, Policy};
pub(crate) use script::print_sql;

use std::time::Duration;

use highwater_core::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::error::Fault;
use crate::own_schema::{self, State, UPGRADES, Upgrade};
use crate::schema::{Schema, is_called};
use crate::{capture, meta};
pub(crate) use survey::is_wanted;
use survey::{Registration, Survey};

/// How long a short attempt waits for a lock that the application holds. Meanwhile the application's writers wait behind it.
const SHORT_LOCK_TIMEOUT_MS: u32 = 200;
/// How long a long attempt waits: PostgreSQL needs a second to notice that its own autovacuum is in the way, and to stop it.
const LONG_LOCK_TIMEOUT_MS: u32 = 1200;
/// How long an attempt waits that comes after others that have waited in vain.
const GLANCE_LOCK_TIMEOUT_MS: u32 = 20;
/// How many attempts a thorough effort makes before the table is left for the next time. The last one is long.
const LOCK_ATTEMPTS_MAX: u32 = 10;
/// After so long without a statement, a transaction of ours is taken to have lost its node.
const ABANDONED_MS: u32 = 30_000;
/// How often the database may change while it is looked at.
const SURVEYS_MAX: u32 = 5;

/// How hard it is tried to get the tables that are to be changed, which the application may have locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Somebody waits for the tables that the policy names: several attempts, and an error if one of these resists.
    Thorough,
    /// Requests wait: one short attempt.
    Short,
    /// The same again, later: one long attempt.
    Again,
    /// Requests have waited for another table already: one attempt that hardly waits.
    Glance,
}

impl Effort {
    fn attempts(self) -> u32 {
        match self {
            Effort::Thorough => LOCK_ATTEMPTS_MAX,
            Effort::Short | Effort::Again | Effort::Glance => 1,
        }
    }

    fn lock_timeout_ms(self, is_last: bool) -> u32 {
        match self {
            Effort::Thorough if is_last => LONG_LOCK_TIMEOUT_MS,
            Effort::Again => LONG_LOCK_TIMEOUT_MS,
            Effort::Thorough | Effort::Short => SHORT_LOCK_TIMEOUT_MS,
            Effort::Glance => GLANCE_LOCK_TIMEOUT_MS,
        }
    }

    /// The effort for the next table, after one has resisted.
    fn after_resistance(self) -> Effort {
        match self {
            Effort::Thorough => Effort::Thorough,
            Effort::Short | Effort::Again | Effort::Glance => Effort::Glance,
        }
    }
}

/// What came of an effort.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) ensured: Ensured,
    /// What there is, if all is in order.
    pub(crate) schema: Option<Schema>,
    /// Whether something could be tracked and is not, for whatever reason, so that another effort is worth it.
    pub(crate) is_incomplete: bool,
}

/// Brings the tracking of all tables in order. Does nothing on a hot standby.
///
/// # Errors
///
/// [`Error::Unsupported`] if a named table cannot be tracked and [`Error::Busy`] if the application keeps it locked, but only of a thorough
/// effort; [`Error::Unavailable`] if a newer version of Highwater tracks the database, else what PostgreSQL reports.
pub(crate) async fn ensure(
    client: &mut Client,
    policy: &Policy,
    effort: Effort,
) -> Result<Outcome, Error> {
    ensure_now(client, policy, effort)
        .await
        .map_err(Fault::tell_own)
}

async fn ensure_now(
    client: &mut Client,
    policy: &Policy,
    effort: Effort,
) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    for _ in 0..SURVEYS_MAX {
        let survey = survey(client).await?;
        if survey.schema.in_recovery {
            outcome.schema = Some(survey.schema);
            return Ok(outcome);
        }
        if effort == Effort::Thorough {
            check_named(&survey, policy)?;
        }
        let steps = steps(&survey, policy);
        if steps.is_empty() && survey.is_identified {
            sort(&mut outcome.ensured);
            outcome.schema = Some(survey.schema);
            return Ok(outcome);
        }
        if survey.is_absent || !survey.is_identified {
            match prepare(client, UPGRADES).await {
                Ok(()) => continue,
                Err(fault) if survey.is_absent => {
                    excuse(fault, OWN_SCHEMA, matches!(policy, Policy::Only(_)), effort)?;
                    break;
                }
                Err(fault) => return Err(fault),
            }
        }
        let (mut has_changed, mut has_resisted) = (false, false);
        let mut patience = effort;
        for step in &steps {
            match carry_out(client, Task::Step(&survey, step), patience).await {
                Ok(Done::Yes) => note(&mut outcome.ensured, &survey, step),
                Ok(Done::Quietly) => note_quiet(&mut outcome.ensured, &survey, step),
                Ok(Done::Obsolete) => has_changed = true,
                Err(fault) => {
                    let (what, is_named) = subject(&survey, step, policy);
                    excuse(fault, &what, is_named, effort)?;
                    has_resisted = true;
                    patience = effort.after_resistance();
                }
            }
        }
        if has_resisted && !has_changed {
            break;
        }
        // Looks again: what was done for one table may have changed what another one is.
    }
    outcome.is_incomplete = true;
    sort(&mut outcome.ensured);
    Ok(outcome)
}

/// Ends the tracking of the named tables, or of all. Returns the names of those that were tracked.
///
/// # Errors
///
/// [`Error::Unsupported`] if a named table does not exist or this role may not end its tracking, [`Error::Unavailable`] if a newer version
/// of Highwater tracks the database, [`Error::Busy`] if the application keeps a table locked, else what PostgreSQL reports.
pub(crate) async fn untrack(
    client: &mut Client,
    tables: Option<&[String]>,
) -> Result<Vec<String>, Error> {
    untrack_now(client, tables).await.map_err(Fault::tell_own)
}

async fn untrack_now(client: &mut Client, tables: Option<&[String]>) -> Result<Vec<String>, Fault> {
    let fault = match untrack_in_order(client, tables).await {
        Err(fault) if tables.is_none() && own_schema::is_damage(&fault) => fault,
        done => return done,
    };
    let reason = fault.tell_own();
    tracing::warn!(%reason, "Highwater's tables are damaged; they are removed as they are");
    carry_out(client, Task::Remove, Effort::Thorough).await?;
    Ok(Vec::new())
}

async fn untrack_in_order(
    client: &mut Client,
    tables: Option<&[String]>,
) -> Result<Vec<String>, Fault> {
    let survey = survey(client).await?;
    if survey.schema.in_recovery {
        return Err(Error::ReadOnly(
            "This is a standby, which nothing can be written to. Run the command on the primary; the standby follows."
                .into(),
        )
        .into());
    }
    for name in tables.unwrap_or_default() {
        if !survey.registered.iter().any(|r| goes_by(r, name)) {
            survey.find(name)?;
        }
    }
    if !survey.owns_schema && !survey.registered.is_empty() {
        return Err(Error::Unsupported(
            "Only the owner of the schema highwater can end the tracking. Connect as that role."
                .into(),
        )
        .into());
    }
    let mut untracked = Vec::new();
    for registration in &survey.registered {
        if tables.is_none_or(|names| names.iter().any(|name| goes_by(registration, name))) {
            let step = Step::Forget(registration.id);
            carry_out(client, Task::Step(&survey, &step), Effort::Thorough).await?;
            untracked.push(registration.label());
        }
    }
    if !survey.is_absent {
        carry_out(client, Task::Finish, Effort::Thorough).await?;
    }
    untracked.sort();
    untracked.dedup();
    Ok(untracked)
}

fn goes_by(registration: &Registration, name: &str) -> bool {
    is_called(&registration.schema, &registration.name, name)
}

/// Something that is not in order, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// Begin the tracking of the table at this position of the catalog, instead of those registrations.
    Track(usize, Vec<i32>),
    /// Take the new partitions of the table at this position into this registration.
    Extend(usize, i32),
    /// Remove this registration and its remains.
    Forget(i32),
}

enum Done {
    Yes,
    /// Without an effect on any link.
    Quietly,
    /// The database is not as it was surveyed.
    Obsolete,
}

/// Refuses a policy that names what is neither tracked nor can be. Whoever finds it tracked need not be able to begin that.
fn check_named(survey: &Survey, policy: &Policy) -> Result<(), Fault> {
    let Policy::Only(names) = policy else {
        return Ok(());
    };
    for name in names {
        let position = survey.find(name)?;
        if survey.schema.facts[position].tracked.is_some() {
            continue;
        }
        if let Some(reason) = survey.obstacle(position) {
            return Err(Error::Unsupported(format!("{name} cannot be tracked. {reason}")).into());
        }
    }
    Ok(())
}

fn steps(survey: &Survey, policy: &Policy) -> Vec<Step> {
    let mut steps = Vec::new();
    // Tables that are gone or have become a partition. First, because what is left of them is part of the layout of the partitioned table.
    // One that this role may not read any more, or not serve for another reason, keeps its history: others may serve it.
    let gone = survey.registered.iter().filter(|r| {
        r.may_forget
            && survey.position_of(r).is_none()
            && !survey
                .schema
                .left_out
                .iter()
                .any(|l| l.relation == r.relation)
    });
    if survey.owns_schema {
        steps.extend(gone.map(|r| Step::Forget(r.id)));
    }
    for position in 0..survey.schema.facts.len() {
        let before = survey.registrations_of(position);
        if before.iter().any(|r| survey.is_in_order(position, r)) && before.len() == 1 {
            continue;
        }
        let ids: Vec<i32> = before.iter().map(|r| r.id).collect();
        if let [registration] = before.as_slice()
            && survey.is_extended(position, registration)
            && survey.may_change(position)
        {
            steps.push(Step::Extend(position, registration.id));
            continue;
        }
        if survey.obstacle(position).is_none()
            && (!ids.is_empty() || is_wanted(&survey.schema.facts[position], policy))
        {
            steps.push(Step::Track(position, ids));
        } else if survey.may_change(position) && !survey.schema.facts[position].row_security {
            // Row-level security is in the way of this role only.
            steps.extend(ids.into_iter().map(Step::Forget));
        }
    }
    steps
}

fn note(ensured: &mut Ensured, survey: &Survey, step: &Step) {
    match step {
        Step::Track(position, before) if before.is_empty() => {
            ensured.tracked.push(survey.label(*position))
        }
        Step::Track(position, _) | Step::Extend(position, _) => {
            ensured.renewed.push(survey.label(*position))
        }
        Step::Forget(id) => ensured
            .forgotten
            .extend(survey.registration(*id).map(Registration::label)),
    }
}

/// What has no effect on any link.
fn note_quiet(ensured: &mut Ensured, survey: &Survey, step: &Step) {
    if let Step::Extend(position, _) = step {
        ensured.extended.push(survey.label(*position));
    }
}

fn sort(ensured: &mut Ensured) {
    for list in [
        &mut ensured.tracked,
        &mut ensured.renewed,
        &mut ensured.extended,
        &mut ensured.forgotten,
    ] {
        list.sort();
        list.dedup();
    }
}

const OWN_SCHEMA: &str = "the schema highwater";

/// What a step is about, and whether somebody waits for it by name.
fn subject(survey: &Survey, step: &Step, policy: &Policy) -> (String, bool) {
    match step {
        Step::Track(position, _) | Step::Extend(position, _) => {
            let is_named = matches!(policy, Policy::Only(names) if names.iter().any(|n| survey.find(n).ok() == Some(*position)));
            (format!("the table {}", survey.label(*position)), is_named)
        }
        Step::Forget(id) => {
            let name = survey.registration(*id).map(Registration::label);
            let name = name.unwrap_or_default();
            (format!("what is left of the table {name}"), false)
        }
    }
}

/// What resists (the application has it locked, an event trigger forbids changes of the schema) does not keep the rest from being tracked
/// and served, unless somebody waits for it by name.
fn excuse(fault: Fault, what: &str, is_named: bool, effort: Effort) -> Result<(), Fault> {
    let Fault::Postgres(error) = &fault else {
        return Err(fault);
    };
    let Some(said) = error.as_db_error() else {
        return Err(fault);
    };
    let reason = said.message();
    if is_named && effort == Effort::Thorough {
        return Err(fault);
    }
    // Once is enough for everybody but who looks for more.
    let told = "tracking cannot be brought in order for now; trying again later";
    match effort {
        Effort::Thorough | Effort::Short => tracing::warn!(what, reason, "{told}"),
        Effort::Again | Effort::Glance => tracing::debug!(what, reason, "{told}"),
    }
    Ok(())
}

/// Looks what there is, after Highwater's own tables were brought up to date if they are older.
async fn survey(client: &mut Client) -> Result<Survey, Fault> {
    loop {
        if let Some(survey) = Survey::take(client).await? {
            return Ok(survey);
        }
        prepare(client, UPGRADES).await?;
    }
}

/// Makes Highwater's own tables, or brings them up to date.
pub(crate) async fn prepare(client: &mut Client, upgrades: &[Upgrade]) -> Result<(), Fault> {
    carry_out(client, Task::Prepare(upgrades), Effort::Thorough).await?;
    Ok(())
}

async fn prepare_in(write: &Transaction<'_>, upgrades: &[Upgrade]) -> Result<Done, Fault> {
    own_schema::bring_up_to_date(write, upgrades).await?;
    if !meta::is_identified(write).await? {
        meta::identify(write).await?;
    }
    Ok(Done::Yes)
}

/// Drops the schema if nothing is tracked any more.
async fn finish_in(write: &Transaction<'_>) -> Result<Done, Fault> {
    if own_schema::state(write).await? != State::Absent {
        let sql = "SELECT EXISTS (SELECT FROM highwater.registered)";
        let is_used: bool = write.query_typed_one(sql, &[]).await?.try_get(0)?;
        if !is_used {
            write.batch_execute("DROP SCHEMA highwater CASCADE").await?;
        }
    }
    Ok(Done::Yes)
}

/// What is done in a transaction of its own.
#[derive(Clone, Copy)]
enum Task<'t> {
    Prepare(&'t [Upgrade]),
    Step(&'t Survey, &'t Step),
    Finish,
    /// Removes the schema in whatever state, and with it everything that depends on it.
    Remove,
}

impl Task<'_> {
    async fn work(self, write: &Transaction<'_>) -> Result<Done, Fault> {
        // Another node may have upgraded or dropped the tables since the survey.
        if matches!(self, Task::Step(..)) && own_schema::state(write).await? != State::Current {
            return Ok(Done::Obsolete);
        }
        match self {
            Task::Prepare(upgrades) => prepare_in(write, upgrades).await,
            Task::Step(survey, Step::Track(position, before)) => {
                install::track(write, survey, *position, before).await
            }
            Task::Step(survey, Step::Extend(position, id)) => {
                install::extend(write, survey, *position, *id).await
            }
            Task::Step(_, Step::Forget(id)) => install::forget(write, *id).await,
            Task::Finish => finish_in(write).await,
            Task::Remove => {
                own_schema::remove(write).await?;
                Ok(Done::Yes)
            }
        }
    }
}

/// Does a task, and begins it again if others hold the locks that it needs.
async fn carry_out(client: &mut Client, task: Task<'_>, effort: Effort) -> Result<Done, Fault> {
    let mut attempts_left = effort.attempts();
    loop {
        attempts_left -= 1;
        let is_last = attempts_left == 0;
        let write = begin(client, effort.lock_timeout_ms(is_last)).await?;
        match task.work(&write).await {
            Ok(done) => {
                write.commit().await?;
                return Ok(done);
            }
            Err(Fault::Postgres(error)) if is_locked(&error) && !is_last => {
                write.rollback().await?;
                // Those who waited behind the attempt go first.
                tokio::time::sleep(Duration::from_millis(u64::from(SHORT_LOCK_TIMEOUT_MS))).await;
            }
            Err(fault) => return Err(fault),
        }
    }
}

fn is_locked(error: &tokio_postgres::Error) -> bool {
    matches!(
        error.code(),
        Some(&SqlState::LOCK_NOT_AVAILABLE | &SqlState::T_R_DEADLOCK_DETECTED)
    )
}

/// A transaction that no other node's changes of the tracking run beside, and which sees what others have committed while it waited.
async fn begin(client: &mut Client, lock_timeout_ms: u32) -> Result<Transaction<'_>, Fault> {
    let write = client
        .build_transaction()
        .isolation_level(IsolationLevel::ReadCommitted)
        .read_only(false)
        .start()
        .await?;
    // Other nodes are quick, so there is no limit for them; one whose machine is gone loses the lock after a while. Then only short waits.
    write
        .batch_execute(&format!(
            "SET LOCAL search_path = pg_catalog, pg_temp; SET LOCAL client_min_messages = warning;
             SET LOCAL idle_in_transaction_session_timeout = {ABANDONED_MS}; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0;
             SELECT pg_advisory_xact_lock({}); SET LOCAL lock_timeout = {lock_timeout_ms}",
            own_schema::LOCK
        ))
        .await?;
    Ok(write)
}

/// Statements that remove the remains of a registration.
fn remains(id: i32) -> Vec<String> {
    let mut sql = capture::drop_all(id);
    sql.push(format!(
        "DELETE FROM highwater.sentinel WHERE relation IN (SELECT relation FROM highwater.registered WHERE id = {id})"
    ));
    for table in ["lost", "doubt", "registered"] {
        sql.push(format!("DELETE FROM highwater.{table} WHERE id = {id}"));
    }
    sql
}
