//! Capture of `TRUNCATE`: every row is logged before it goes.
//!
//! The snapshot of a transaction that is not `READ COMMITTED` may miss rows that it truncates, row-level security may hide some, and to log
//! a large table would take long where `TRUNCATE` is used because it does not: then the older links of the table end instead. So they do if
//! somebody else is just altering the root of a partition that is truncated on its own, because without us that would not matter.

use super::{Function, Target, literal};
use crate::schema::Kind;

/// Tables that use more than this are not logged.
const LOGGED_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub(super) fn function(target: &Target<'_>) -> String {
    let (id, relation) = (target.id, target.facts.relation);
    let (only, of_leaf) = if target.facts.kind == Kind::Partitioned {
        // A row of a partition is selected through the root, which converts it.
        (
            "",
            " WHERE o.tableoid IN (SELECT t.relid FROM pg_partition_tree($2) AS t)",
        )
    } else {
        ("ONLY ", "")
    };
    // By number, because the table may have another name by now.
    let log = format!(
        "{} SELECT $1, $3 + row_number() OVER (), true, {}, (o.*)::text FROM {only}",
        target.record(),
        target.key_texts("o").join(", "),
    );
    let is_long = match target.is_too_long("o") {
        Some(is_too_long) => format!(
            "                EXECUTE 'SELECT EXISTS (SELECT FROM {only}' || {relation}::oid::regclass || {} INTO is_long;
                IF is_long THEN
                    INSERT INTO highwater.lost(id) VALUES ({id});
                    RETURN NULL;
                END IF;\n",
            literal(&format!(" AS o WHERE {is_too_long})"))
        ),
        None => String::new(),
    };
    let body = format!(
        "        IF current_setting('transaction_isolation') <> 'read committed' OR row_security_active({relation}::oid)
            OR (SELECT sum(pg_table_size(c.oid)) > {LOGGED_BYTES_MAX} FROM pg_class AS c
                WHERE c.oid = TG_RELID OR c.oid IN (SELECT t.relid FROM pg_partition_tree(TG_RELID) AS t)) THEN
            INSERT INTO highwater.lost(id) VALUES ({id});
        ELSE
            BEGIN
{is_long}                EXECUTE {} || {relation}::oid::regclass || ' AS o{of_leaf}' USING mine, TG_RELID, seq;
            EXCEPTION WHEN undefined_table OR lock_not_available OR deadlock_detected THEN
                INSERT INTO highwater.lost(id) VALUES ({id});
            END;
        END IF;\n",
        literal(&log),
    );
    target.function(
        "truncate",
        &Function {
            declare: "    is_long boolean;\n",
            begin: "",
            only_if: None,
            too_long: None,
            log: &body,
            joins: false,
        },
    )
}

/// For the table itself and for each of its partitions, which can be truncated on their own.
pub(super) fn triggers(target: &Target<'_>, tables: impl Iterator<Item = String>) -> Vec<String> {
    let (id, trigger) = (target.id, target.trigger("truncate"));
    tables
        .flat_map(|table| {
            [
                format!(
                    "CREATE TRIGGER {trigger} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION highwater.truncate_{id}()"
                ),
                format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"),
            ]
        })
        .collect()
}
