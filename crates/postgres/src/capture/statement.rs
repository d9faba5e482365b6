//! Capture by statement: transition tables of the statement that announced itself.

use super::{Function, Target};

pub(super) fn functions(target: &Target<'_>) -> Vec<String> {
    let id = target.id;
    let record = target.record();
    let old_key = target.key_texts("o").join(", ");
    let new_key = target.key_texts("n").join(", ");
    // What statements inside this one wrote about the absence of a key that this one has removed.
    let correct = format!(
        "        IF since < 9223372036854775807 THEN
            DELETE FROM highwater.history_{id} AS h USING highwater_old AS o
            WHERE h.xid = mine AND h.seq >= since AND h.old IS NULL AND {};
        END IF;\n",
        target.is_of("o")
    );
    // Then the rows of tables that inherit from this one are in the transition tables, too, as if they had been its own. The layout of the
    // table tells of these tables, unless they are gone when somebody looks.
    let inherited = format!(
        "        IF EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = {}) THEN
            INSERT INTO highwater.lost(id) VALUES ({id});
        END IF;\n",
        target.facts.relation
    );
    // One record for each key, old or new; which of the two rows there are tells what became of it.
    let updated = format!(
        "SELECT mine, seq + row_number() OVER (), {}, {}, (o.*)::text
            FROM highwater_old AS o FULL JOIN highwater_new AS n ON {}",
        target.is_absent("n"),
        target.key_texts_of_either("o", "n").join(", "),
        target.same_key("o", "n"),
    );
    vec![
        begin(id),
        function(
            target,
            "insert",
            "I",
            &["n"],
            &format!(
                "        {record} SELECT mine, seq + row_number() OVER (), false, {new_key}, NULL FROM highwater_new AS n;\n"
            ),
        ),
        function(
            target,
            "update",
            "U",
            &["o", "n"],
            &format!("{inherited}{correct}        {record} {updated};\n"),
        ),
        function(
            target,
            "delete",
            "D",
            &["o"],
            &format!(
                "{inherited}{correct}        {record} SELECT mine, seq + row_number() OVER (), true, {old_key}, (o.*)::text FROM highwater_old AS o;\n"
            ),
        ),
    ]
}

/// Announces a statement. In the commonest case it is the only one; that is decided here, without a search path and without `PERFORM`, which
/// runs a whole query, because it costs every statement.
fn begin(id: i32) -> String {
    format!(
        "CREATE FUNCTION highwater.begin_{id}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $highwater$
DECLARE
    stack pg_catalog.text;
BEGIN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    IF pg_catalog.concat(pg_catalog.current_setting('highwater.t{id}', true)) OPERATOR(pg_catalog.=) ''::pg_catalog.text
        AND pg_catalog.current_setting('session_replication_role') OPERATOR(pg_catalog.<>) 'replica'::pg_catalog.text
    THEN
        stack := pg_catalog.set_config('highwater.t{id}', pg_catalog.concat(pg_catalog.length(stack), ':', pg_catalog.left(TG_OP, 1), '@', pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.-) 1), true);
        stack := pg_catalog.set_config('highwater.d{id}', (pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.-) 1)::pg_catalog.text, true);
    ELSE
        PERFORM highwater.statement_begins({id}, pg_catalog.left(TG_OP, 1), pg_catalog.length(stack)::pg_catalog.text, pg_catalog.pg_trigger_depth() OPERATOR(pg_catalog.-) 1);
    END IF;
    RETURN NULL;
END
$highwater$"
    )
}

fn function(target: &Target<'_>, name: &str, letter: &str, rows: &[&str], log: &str) -> String {
    let id = target.id;
    // The commonest case of highwater.statement_ends(): this statement alone is under way.
    let begin = format!(
        "    IF current_setting('highwater.t{id}', true) LIKE '%:{letter}@_' THEN
        state := set_config('highwater.t{id}', '', true);
    ELSE
        since := highwater.statement_ends({id}, '{letter}');
        IF since IS NULL THEN
            RETURN NULL;
        END IF;
    END IF;\n"
    );
    let too_long: Option<Vec<String>> = rows
        .iter()
        .map(|row| {
            let table = if *row == "o" {
                "highwater_old"
            } else {
                "highwater_new"
            };
            let is_too_long = target.is_too_long(row)?;
            Some(format!(
                "EXISTS (SELECT FROM {table} AS {row} WHERE {is_too_long})"
            ))
        })
        .collect();
    target.function(
        name,
        &Function {
            declare: "    state text;\n    since bigint := 9223372036854775807;\n",
            begin: &begin,
            only_if: None,
            too_long: too_long.map(|conditions| conditions.join(" OR ")),
            log,
            joins: letter != "I",
            may_fail: false,
        },
    )
}

pub(super) fn triggers(target: &Target<'_>) -> Vec<String> {
    let (id, table) = (target.id, target.facts.qualified());
    let mut sql = vec![format!(
        "CREATE TRIGGER highwater_begin BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT \
         EXECUTE FUNCTION highwater.begin_{id}()"
    )];
    sql.push(format!(
        "ALTER TABLE {table} ENABLE ALWAYS TRIGGER highwater_begin"
    ));
    for operation in ["INSERT", "UPDATE", "DELETE"] {
        let name = operation.to_lowercase();
        let tables = match operation {
            "INSERT" => "NEW TABLE AS highwater_new",
            "UPDATE" => "OLD TABLE AS highwater_old NEW TABLE AS highwater_new",
            _ => "OLD TABLE AS highwater_old",
        };
        sql.push(format!(
            "CREATE TRIGGER highwater_{name} AFTER {operation} ON {table} REFERENCING {tables} FOR EACH STATEMENT \
             EXECUTE FUNCTION highwater.{name}_{id}()"
        ));
        sql.push(format!(
            "ALTER TABLE {table} ENABLE ALWAYS TRIGGER highwater_{name}"
        ));
    }
    sql
}
