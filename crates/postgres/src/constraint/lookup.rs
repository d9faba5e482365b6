//! What the database knows of a constraint that an error names.

use tokio_postgres::Client;
use tokio_postgres::error::DbError;
use tokio_postgres::types::Type;

/// A constraint or a unique index.
#[derive(Debug)]
pub(super) struct Constraint {
    /// The table that has it; of a partition the root, which is what is served.
    pub(super) table: String,
    /// Its columns there. Expressions are left out.
    pub(super) columns: Vec<String>,
    /// The other end of a foreign key.
    pub(super) target: Option<Target>,
    /// The condition of a check constraint, in parentheses.
    pub(super) expression: Option<String>,
}

/// The other end of a foreign key.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) table: String,
    pub(super) columns: Vec<String>,
}

const QUESTION: &str = "
    WITH relation AS (
        SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2
    ), found AS (
        SELECT k.conrelid AS relation, k.conkey AS columns, nullif(k.confrelid, 0) AS target, k.confkey AS target_columns,
               pg_catalog.pg_get_expr(k.conbin, k.conrelid) AS expression
        FROM pg_catalog.pg_constraint k JOIN relation r ON r.oid = k.conrelid
        WHERE k.conname = $3
        UNION ALL
        SELECT i.indrelid, (i.indkey::pg_catalog.int2[])[0 : i.indnkeyatts - 1], NULL, NULL, NULL
        FROM pg_catalog.pg_index i JOIN relation r ON r.oid = i.indrelid JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        WHERE c.relname = $3
        LIMIT 1
    )
    SELECT (SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class c
            WHERE c.oid = coalesce(pg_catalog.pg_partition_root(f.relation)::pg_catalog.oid, f.relation)),
           ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(f.columns) WITH ORDINALITY AS k (number, place)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = f.relation AND a.attnum = k.number ORDER BY k.place),
           (SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class c
            WHERE c.oid = coalesce(pg_catalog.pg_partition_root(f.target)::pg_catalog.oid, f.target)),
           ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(f.target_columns) WITH ORDINALITY AS k (number, place)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = f.target AND a.attnum = k.number ORDER BY k.place),
           f.expression
    FROM found f";

/// Looks up the constraint that an error names; `None` if it names none or the database does not answer.
pub(super) async fn lookup(client: &Client, said: &DbError) -> Option<Constraint> {
    let names = [said.schema()?, said.table()?, said.constraint()?];
    let answer = client
        .query_typed(
            QUESTION,
            &[
                (&names[0], Type::TEXT),
                (&names[1], Type::TEXT),
                (&names[2], Type::TEXT),
            ],
        )
        .await;
    let rows = match answer {
        Ok(rows) => rows,
        Err(error) => {
            tracing::debug!(%error, "a constraint could not be looked up");
            return None;
        }
    };
    let row = rows.first()?;
    let target: Option<String> = row.try_get(2).ok()?;
    Some(Constraint {
        table: row.try_get(0).ok()?,
        columns: row.try_get(1).ok()?,
        target: match target {
            Some(table) => Some(Target {
                table,
                columns: row.try_get(3).ok()?,
            }),
            None => None,
        },
        expression: row.try_get(4).ok()?,
    })
}
