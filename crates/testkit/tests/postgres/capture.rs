//! Capture alone, without any server: the history and the current rows must tell every committed state that was seen.
//!
//! At random moments, while transactions are open, the rows of each table are noted together with PostgreSQL's own snapshot. In the end
//! each of these states is computed as DESIGN section 3 defines it, and compared row by row.

use highwater_testkit::lab::Which;
use highwater_testkit::schema::{Schema, Table};
use highwater_testkit::writer::Writer;
use highwater_testkit::{Cell, Lab, PostgresLab, Rng, Trace};

/// Steps of the writers.
const STEPS: usize = 250;
/// States are noted after so many percent of the steps.
const NOTED_PERCENT: usize = 15;

/// A committed state of a table.
struct Noted {
    table: String,
    snapshot: String,
    /// What must still be the same, so that the state can be asked for.
    tracking: String,
    rows: Vec<String>,
}

/// One random history. Returns how many states were compared.
pub(crate) fn run(lab: &mut PostgresLab, seed: u64, trace: &mut Trace) -> Result<u64, String> {
    let mut rng = Rng::new(seed);
    let (mut schema, ddl) = Schema::random(&mut rng, lab.flavour());
    for statement in &ddl {
        trace.note(format_args!("{statement};"));
    }
    lab.create(&ddl);
    let mut writer = Writer::new(lab);
    writer.fill(&mut rng, &schema, trace);
    writer.settle(trace);
    lab.open();
    let mut noted = Vec::new();
    for _ in 0..STEPS {
        writer.step(&mut rng, &mut schema, trace);
        // What is locked against readers has no state that could be seen.
        if rng.chance(NOTED_PERCENT) && !writer.locks_readers_out {
            let table = rng.pick(&schema.tables);
            trace.note(format_args!(
                "state {} is that of {}",
                noted.len(),
                table.sql()
            ));
            noted.extend(note(lab, table));
        }
    }
    writer.settle(trace);
    let mut compared = 0;
    for (number, state) in noted.iter().enumerate() {
        let Some(table) = schema
            .tables
            .iter()
            .find(|table| table.sql() == state.table)
        else {
            continue;
        };
        if tracking(lab, table).as_ref() != Some(&state.tracking) {
            continue;
        }
        let told = told(lab, table, &state.snapshot);
        if told != state.rows {
            return Err(format!(
                "state {number} of {} at {} was\n{:#?}\nbut history tells\n{told:#?}",
                state.table, state.snapshot, state.rows
            ));
        }
        compared += 1;
    }
    Ok(compared)
}

/// The state of the moment; `None` if the table is not tracked.
fn note(lab: &PostgresLab, table: &Table) -> Option<Noted> {
    let tracking = tracking(lab, table)?;
    // An open transaction that has emptied or altered a table lets nobody read it; it would go on only after this.
    let locked = "SELECT FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    if !lab.rows(Which::Served, locked).is_empty() {
        return None;
    }
    let sql = format!(
        "SELECT pg_current_snapshot()::text, NULL UNION ALL SELECT NULL, row::text FROM {} AS row",
        table.rows_sql()
    );
    let mut rows = lab.rows(Which::Served, &sql).into_iter();
    let snapshot = text(rows.next()?.first()?);
    let mut rows: Vec<String> = rows.map(|row| text(&row[1])).collect();
    rows.sort();
    Some(Noted {
        table: table.sql(),
        snapshot,
        tracking,
        rows,
    })
}

/// The incarnation of a table's tracking, if its layout is the one that it was tracked with.
fn tracking(lab: &PostgresLab, table: &Table) -> Option<String> {
    let sql = format!(
        "SELECT id || ' ' || incarnation FROM highwater.tracked_table \
         WHERE relation = '{}'::regclass AND layout = highwater.layout(relation)",
        table.sql().replace('\'', "''")
    );
    let rows = lab.rows(Which::Served, &sql);
    Some(text(rows.first()?.first()?))
}

/// The rows of a table at a snapshot: the old image in the first record of each key after it, or the current row if there is none.
fn told(lab: &PostgresLab, table: &Table, snapshot: &str) -> Vec<String> {
    let tracking = tracking(lab, table).expect("the table is tracked");
    let id = tracking.split(' ').next().unwrap_or_default();
    let keys = 0..table.key.len();
    let history: Vec<String> = keys.clone().map(|at| format!("k{at}")).collect();
    let same: Vec<String> = keys
        .map(|at| {
            let column = table.column(table.key[at]);
            format!("h.k{at} = row.{column}::text COLLATE \"C\"")
        })
        .collect();
    let later = format!("NOT pg_visible_in_snapshot(h.xid::text::xid8, '{snapshot}')");
    let sql = format!(
        "SELECT row::text FROM {} AS row \
         WHERE NOT EXISTS (SELECT FROM highwater.history_{id} AS h WHERE {} AND {later}) \
         UNION ALL SELECT old FROM (SELECT DISTINCT ON ({keys}) old FROM highwater.history_{id} AS h WHERE {later} \
         ORDER BY {keys}, seq) AS first WHERE old IS NOT NULL",
        table.rows_sql(),
        same.join(" AND "),
        keys = history.join(", "),
    );
    let rows = lab.rows(Which::Served, &sql);
    let mut rows: Vec<String> = rows.iter().map(|row| text(&row[0])).collect();
    rows.sort();
    rows
}

fn text(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        other => panic!("{other:?} is no text"),
    }
}
