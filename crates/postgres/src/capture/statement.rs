//! Capture by statement: transition tables of the statement that announced itself.

use super::{Function, Target};

/// Operations, with the letters that announcements use.
pub(super) const OPERATIONS: [(&str, &str); 3] =
    [("INSERT", "I"), ("UPDATE", "U"), ("DELETE", "D")];

pub(super) fn functions(target: &Target<'_>) -> Vec<String> {
    let (id, keys) = (target.id, target.key_list());
    let old_key = target.key_texts("o").join(", ");
    let new_key = target.key_texts("n").join(", ");
    let images = format!("SELECT mine, {old_key}, (o.*)::text FROM highwater_old AS o");
    let record = format!("INSERT INTO highwater.history_{id}(xid, {keys}, old)");
    // What statements inside this one wrote about the absence of a key that this one has removed.
    let correct = format!(
        "        IF since <> '' THEN
            DELETE FROM highwater.history_{id} AS h USING highwater_old AS o
            WHERE h.xid = mine AND h.seq >= since::bigint AND h.old IS NULL AND {};
        END IF;\n",
        target.is_of("o")
    );
    vec![
        function(target, "insert", "I", &format!(
            "        {record} SELECT mine, {new_key}, NULL FROM highwater_new AS n;\n"
        )),
        function(target, "update", "U", &format!(
            "{correct}        {record} {images}
        UNION ALL SELECT mine, {new_key}, NULL FROM highwater_new AS n WHERE NOT EXISTS (SELECT FROM highwater_old AS o WHERE {});\n",
            target.same_key("o", "n")
        )),
        function(target, "delete", "D", &format!("{correct}        {record} {images};\n")),
    ]
}

fn function(target: &Target<'_>, name: &str, letter: &str, log: &str) -> String {
    let id = target.id;
    let declare = format!(
        "    state text := current_setting('highwater.t{id}', true);
    since text := current_setting('highwater.p{id}', true);\n"
    );
    // The first half is the common case of highwater.statement_ends(): this statement alone is under way.
    let begin = format!(
        "    IF state LIKE '%:{letter}@_' THEN
        state := set_config('highwater.t{id}', '', true);
    ELSIF NOT highwater.statement_ends({id}, '{letter}') THEN
        RETURN NULL;
    ELSE
        since := current_setting('highwater.p{id}', true);
        state := current_setting('highwater.t{id}', true);
    END IF;
    IF since <> '' AND state = '' THEN
        PERFORM set_config('highwater.p{id}', '', true);
    END IF;\n"
    );
    target.function(
        name,
        &Function {
            declare: &declare,
            begin: &begin,
            log,
        },
    )
}

pub(super) fn triggers(target: &Target<'_>) -> Vec<String> {
    let (id, table) = (target.id, target.facts.qualified());
    let mut sql = vec![format!(
        "CREATE TRIGGER highwater_begin BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH STATEMENT \
         EXECUTE FUNCTION highwater.statement_begins('{id}')"
    )];
    sql.push(format!(
        "ALTER TABLE {table} ENABLE ALWAYS TRIGGER highwater_begin"
    ));
    for (operation, _) in OPERATIONS {
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
