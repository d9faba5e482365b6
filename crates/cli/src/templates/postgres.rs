//! A template in an empty schema of a PostgreSQL database: the first one of the role's `search_path`, which is `public` by default.
//!
//! What must hold: a schema that has tables is never touched; everything happens in one transaction, so nothing half-made is left.

use std::fmt::Write as _;
use std::pin::pin;

use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use futures_util::SinkExt as _;
use highwater::postgres::Access;
use tokio::runtime::Runtime;
use tokio_postgres::Transaction;

use super::Template;
use super::rows::{Rows, Value};

/// Rows that are kept until so many bytes have come together.
const BATCH_BYTES: usize = 4 << 20;

/// Creates the template's tables and rows. `name` is how errors name the database.
pub(super) fn create(
    access: &Access,
    name: &str,
    template: &Template,
    rows: i64,
) -> anyhow::Result<()> {
    let runtime = crate::commands::runtime()?;
    let mut client = runtime.block_on(access.connect())?;
    let transaction = runtime.block_on(client.transaction())?;
    runtime.block_on(be_empty(&transaction, name))?;
    let fill = || -> anyhow::Result<()> {
        let (tables, rest) = template
            .postgres
            .split_once(super::AFTER_ROWS)
            .ok_or_else(|| anyhow!("the template is not in two parts"))?;
        runtime.block_on(transaction.batch_execute(tables))?;
        let mut copies = Copies {
            runtime: &runtime,
            db: &transaction,
            tables: Vec::new(),
            kept_bytes: 0,
        };
        (template.fill)(&mut copies, rows)?;
        copies.send()?;
        runtime.block_on(transaction.batch_execute(rest))?;
        for (table, _) in copies.tables {
            runtime.block_on(transaction.batch_execute(&format!("ANALYZE \"{table}\"")))?;
        }
        Ok(())
    };
    fill().with_context(|| format!("cannot fill {name}"))?;
    runtime
        .block_on(transaction.commit())
        .with_context(|| format!("cannot fill {name}"))
}

async fn be_empty(db: &Transaction<'_>, name: &str) -> anyhow::Result<()> {
    let sql = "SELECT n.nspname, EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f'))
               FROM pg_catalog.pg_namespace n WHERE n.nspname = pg_catalog.current_schema()";
    let found = db.query_opt(sql, &[]).await?;
    let Some(row) = found else {
        bail!(
            "the search_path of this role names no schema of {name} that exists; create the schema public, or set another search_path"
        );
    };
    let (schema, is_used): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
    if is_used {
        bail!(
            "the schema {schema} of {name} has tables already and is left as it is; name an empty database, which 'createdb' makes"
        );
    }
    Ok(())
}

/// Collects rows and copies them table by table.
struct Copies<'db> {
    runtime: &'db Runtime,
    db: &'db Transaction<'db>,
    /// Each with its rows in the text format of `COPY`.
    tables: Vec<(&'static str, String)>,
    kept_bytes: usize,
}

impl Rows for Copies<'_> {
    fn insert(&mut self, table: &'static str, row: &[Value]) -> anyhow::Result<()> {
        let position = match self.tables.iter().position(|(name, _)| *name == table) {
            Some(position) => position,
            None => {
                self.tables.push((table, String::new()));
                self.tables.len() - 1
            }
        };
        let text = &mut self.tables[position].1;
        let before = text.len();
        write_row(text, row);
        self.kept_bytes += text.len() - before;
        if self.kept_bytes >= BATCH_BYTES {
            self.send()?;
        }
        Ok(())
    }
}

impl Copies<'_> {
    fn send(&mut self) -> anyhow::Result<()> {
        for (table, text) in &mut self.tables {
            let rows = Bytes::from(std::mem::take(text));
            if !rows.is_empty() {
                self.runtime.block_on(copy(self.db, table, rows))?;
            }
        }
        self.kept_bytes = 0;
        Ok(())
    }
}

async fn copy(db: &Transaction<'_>, table: &str, rows: Bytes) -> anyhow::Result<()> {
    let sink = db.copy_in(&format!("COPY \"{table}\" FROM STDIN")).await?;
    let mut sink = pin!(sink);
    sink.send(rows).await?;
    sink.finish().await?;
    Ok(())
}

/// A line of the text format of `COPY`.
fn write_row(out: &mut String, row: &[Value]) {
    for (position, value) in row.iter().enumerate() {
        if position > 0 {
            out.push('\t');
        }
        // Writing to a string cannot fail.
        let _ = match value {
            Value::Null => write!(out, "\\N"),
            Value::Boolean(value) => write!(out, "{value}"),
            Value::Integer(value) => write!(out, "{value}"),
            Value::Real(value) => write!(out, "{value}"),
            Value::Text(text) => {
                write_text(out, text);
                Ok(())
            }
        };
    }
    out.push('\n');
}

fn write_text(out: &mut String, text: &str) {
    for char in text.chars() {
        match char {
            '\\' => out.push_str("\\\\"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            char => out.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::row;
    use super::*;

    #[test]
    fn rows_are_lines_whatever_is_in_them() {
        let mut out = String::new();
        write_row(
            &mut out,
            row!["a\tb\\N\r\n", None::<i64>, -5, 0.05, 1200.0, true, ""],
        );
        assert_eq!(out, "a\\tb\\\\N\\r\\n\t\\N\t-5\t0.05\t1200\ttrue\t\n");
    }
}
