//! How many records of a history a snapshot does not show, as SQL.
//!
//! What must hold: every part is answered by the index over `(xid, seq)`, also where there are no statistics of the history, because it
//! is new, or PostgreSQL was killed. Otherwise, each request would read all of the history.

use std::fmt::Write as _;

use highwater_sql::postgres::records_of;

use super::list;
use crate::snapshot::Position;

/// Appends the columns of [`super::Later`]. Look-ups in an index from both ends of what was visible, so that a transaction that stays open costs
/// nothing.
pub(super) fn push_later(sql: &mut String, history: Option<(i64, &Position)>, counted_max: i64) {
    let Some((history, position)) = history else {
        sql.push_str("0::bigint, NULL, 0::bigint");
        return;
    };
    let visible = &position.visible;
    let _ = write!(
        sql,
        "(SELECT pg_catalog.count(*) FROM (SELECT FROM highwater.history_{history} WHERE xid >= {} ORDER BY xid LIMIT {counted_max}) AS h), ",
        visible.xmax
    );
    if visible.xip.is_empty() {
        sql.push_str("NULL, 0::bigint");
        return;
    }
    let xip = array(&visible.xip);
    let _ = write!(
        sql,
        "(SELECT pg_catalog.string_agg(x.xid::text, ',') FROM pg_catalog.unnest({xip}) AS x(xid) \
         WHERE EXISTS (SELECT FROM highwater.history_{history} AS h WHERE h.xid = x.xid)), \
         (SELECT pg_catalog.count(*) FROM ({} LIMIT {counted_max}) AS h)",
        records_of(history, &xip, counted_max)
    );
}

fn array(xids: &[i64]) -> String {
    format!("'{{{}}}'::bigint[]", list(xids.iter()))
}

#[cfg(test)]
mod tests {
    use highwater_sql::postgres::any_after;
    use highwater_throwaway::Cluster;

    use super::*;
    use crate::snapshot::Anchor;

    #[test]
    fn nothing_reads_all_of_a_history() {
        let database = Cluster::shared().database().expect("a database");
        database
            .sql(
                "CREATE SCHEMA highwater; CREATE TABLE highwater.history_1(xid bigint NOT NULL, seq bigint NOT NULL, old text);
                 CREATE INDEX ON highwater.history_1(xid, seq);
                 INSERT INTO highwater.history_1 SELECT n, n, repeat('x', 50) FROM generate_series(1, 50000) AS n",
            )
            .expect("a history");
        let position = Position::parse("49000:49999:49000,49990", Anchor::default());
        let position = position.expect("a snapshot");
        let mut sql = "EXPLAIN SELECT ".to_owned();
        push_later(&mut sql, Some((1, &position)), 1000);
        sql.push_str(", ");
        sql.push_str(&any_after(1, &position.visible));
        let plan = database.sql(&sql).expect("a plan");
        let plan: Vec<String> = plan.into_iter().flatten().flatten().collect();
        let plan = plan.join("\n");
        assert!(!plan.contains("Seq Scan"), "{plan}");
        assert!(plan.contains("Index"), "{plan}");
    }
}
