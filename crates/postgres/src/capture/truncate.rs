//! Capture of `TRUNCATE`: every row is logged before it goes.
//!
//! What must hold: nothing is read but what is being truncated, because a lock on anything else could stop the application. Where rows cannot
//! be logged, for whatever reason, the older links of the table end instead: the snapshot of a transaction that is not `READ COMMITTED` may
//! miss rows that it truncates; row-level security may hide some; who tracks may have lost the right to read them; and to log a large
//! table would take long where `TRUNCATE` is used because it does not.

use super::{Function, Target, literal};
use crate::schema::Kind;

/// Tables that use more than this are not logged.
const LOGGED_BYTES_MAX: u64 = 256 * 1024 * 1024;

pub(super) fn function(target: &Target<'_>) -> String {
    let (id, relation) = (target.id, target.facts.relation);
    // Like any image, that of a partition's row has the order of the root's columns. It is a row without a type, to whose text nobody can
    // make a cast.
    let log = format!(
        "EXECUTE {} || columns || ')) FROM ONLY ' || leaf || ' AS o' USING mine, seq;",
        literal(&format!(
            "{} SELECT $1, $2 + row_number() OVER (), true, {}, concat(ROW(",
            target.record(),
            target.key_texts("o").join(", "),
        )),
    );
    let log = match target.is_too_long("o") {
        Some(is_too_long) => format!(
            "EXECUTE 'SELECT EXISTS (SELECT FROM ONLY ' || leaf || {} INTO is_long;
                IF is_long THEN
                    INSERT INTO highwater.lost(id) VALUES ({id});
                ELSE
                    {log}
                END IF;",
            literal(&format!(" AS o WHERE {is_too_long})"))
        ),
        None => log,
    };
    // Whether rows of partitions that nobody knows yet were the table's before, cannot be told.
    let doubt = if target.facts.kind == Kind::Partitioned {
        format!(
            "        INSERT INTO highwater.doubt(id, leaf)
        SELECT {id}, t.relid FROM pg_partition_tree(TG_RELID) AS t
        WHERE t.isleaf AND t.relid <> ALL ({}) AND pg_relation_size(t.relid) > 0;\n",
            target.known_leaves()
        )
    } else {
        String::new()
    };
    let body = format!(
        "{doubt}        IF current_setting('transaction_isolation') <> 'read committed'
            OR (SELECT sum(pg_table_size(c.oid)) > {LOGGED_BYTES_MAX} FROM pg_class AS c
                WHERE c.oid = TG_RELID OR c.oid IN (SELECT t.relid FROM pg_partition_tree(TG_RELID) AS t)) THEN
            INSERT INTO highwater.lost(id) VALUES ({id});
        ELSE
            columns := highwater.columns({relation}, 'o');
            FOR leaf IN SELECT TG_RELID::regclass UNION SELECT t.relid FROM pg_partition_tree(TG_RELID) AS t LOOP
                IF row_security_active(leaf) THEN
                    INSERT INTO highwater.lost(id) VALUES ({id});
                END IF;
                seq := pg_current_wal_insert_lsn() - '0/0';
                {log}
            END LOOP;
        END IF;\n",
    );
    target.function(
        "truncate",
        &Function {
            declare: "    columns text;\n    leaf regclass;\n    is_long boolean;\n",
            begin: "",
            only_if: None,
            too_long: None,
            log: &body,
            joins: false,
            may_fail: true,
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
