//! Capture by row.
//!
//! An own version without a record is nothing special: the trigger of the statement that made it comes later. But if this transaction
//! has altered the table, it may have rewritten it (`ALTER TABLE … SET UNLOGGED`), and then every version seems to be its own; nobody can
//! tell which are, and the older links of the table end.

use super::{Function, POINTER, Target};
use crate::schema::{Capture, Kind};

pub(super) fn function(target: &Target<'_>) -> String {
    let id = target.id;
    let by_statement = target.capture == Capture::Statement;
    let old_key = target.key_texts("OLD").join(", ");
    let new_key = target.key_texts("NEW").join(", ");
    let record = target.record();
    let (image, find_image) = image(target);
    let is_of_old = target.is_of("OLD");
    let (declare, correct_if, shared, noted) = if by_statement {
        (
            format!("    state text := concat(current_setting('highwater.t{id}', true));\n"),
            "true".to_owned(),
            shared(id, &is_of_old),
            // In any session, whatever it takes a backslash for.
            format!(
                "            IF state <> '' AND strpos(state, '#') = 0 THEN
                PERFORM set_config('highwater.t{id}', regexp_replace(state, '^[^,]*', E'\\\\&#' || seq + 2), true);
            END IF;\n"
            ),
        )
    } else {
        // Every absence is written by this very function, so it knows whether there was any in this transaction.
        (
            format!("    noted text := current_setting('highwater.p{id}', true);\n"),
            "noted <> ''".to_owned(),
            String::new(),
            format!(
                "            IF coalesce(noted, '') = '' THEN
                PERFORM set_config('highwater.p{id}', 'absent', true);
            END IF;\n"
            ),
        )
    };
    let doubt = doubt(target);
    let declare = format!(
        "{declare}    image text;
    is_own boolean;
    is_gone boolean := TG_OP = 'DELETE';
    is_new boolean := TG_OP = 'INSERT';\n"
    );
    let body = format!(
        "        IF TG_OP = 'UPDATE' THEN
            is_gone := NOT ({});
            is_new := is_gone;
        END IF;
        IF TG_OP <> 'INSERT' THEN
            is_own := highwater.is_own(OLD.xmin, mine);
            IF is_own IS DISTINCT FROM false
                AND (is_own IS NULL OR highwater.is_own((SELECT c.xmin FROM pg_class AS c WHERE c.oid = TG_RELID), mine) IS DISTINCT FROM false)
                AND NOT EXISTS (SELECT FROM highwater.history_{id} AS h WHERE h.xid = mine AND {is_of_old} AND h.seq < {POINTER})
            THEN
                INSERT INTO highwater.lost(id) VALUES ({id});
            END IF;
{find_image}            IF NOT is_own THEN
                IF {correct_if} THEN
                    DELETE FROM highwater.history_{id} AS h WHERE h.xid = mine AND h.old IS NULL AND {is_of_old};
                END IF;
                {record} VALUES (mine, seq + 1, is_gone, {old_key}, {image});
{doubt}{shared}            END IF;
            IF is_gone AND is_own IS DISTINCT FROM false THEN
                {record} VALUES (mine, {POINTER}, true, {old_key}, {image});
            END IF;
        END IF;
        IF is_new THEN
            {record} VALUES (mine, seq + 2, false, {new_key}, NULL);
{noted}        END IF;\n",
        target.same_key("OLD", "NEW"),
    );
    target.function(
        "row",
        &Function {
            declare: &declare,
            begin: "",
            // PL/pgSQL remembers the types of OLD and NEW for as long as a session lasts, and refuses other ones.
            only_if: Some(target.has_known_types()),
            too_long: target
                .is_too_long("OLD")
                .zip(target.is_too_long("NEW"))
                .map(|(old, new)| format!("{old} OR {new}")),
            log: &body,
            joins: false,
            may_fail: false,
        },
    )
}

/// What to do about an own version that is in the transition tables of the outer statement, too, which will log it. That does no harm if
/// the key has its record already, and if the outer statement will not remove that.
fn shared(id: i32, is_of_old: &str) -> String {
    format!(
        "            ELSIF strpos(split_part(split_part(state, ':', 2), '@', 1), left(TG_OP, 1)) > 0
                AND strpos(split_part(state, ',', 2), left(TG_OP, 1)) = 0
                AND NOT EXISTS (SELECT FROM highwater.history_{id} AS h WHERE h.xid = mine AND {is_of_old} AND h.seq < {POINTER}
                    AND (h.old IS NOT NULL OR strpos(state, '#') = 0 OR h.seq < substring(state FROM '#([0-9]+)')::bigint))
            THEN
                state := set_config('highwater.t{id}', regexp_replace(state, '^([^,#!]*)!?', E'\\\\1!'), true);\n"
    )
}

/// The expression for the old version in the order of the columns of the table, and what has to be done before.
fn image(target: &Target<'_>) -> (&'static str, String) {
    if target.facts.kind != Kind::Partitioned {
        return ("concat(OLD)", String::new());
    }
    let known: Vec<String> = target
        .leaves
        .iter()
        .filter(|leaf| leaf.is_in_order)
        .map(|leaf| leaf.relation.to_string())
        .collect();
    let find = format!(
        "            IF NOT is_own OR is_gone THEN
                IF TG_RELID = ANY ('{{{}}}'::oid[]) THEN
                    image := concat(OLD);
                ELSE
                    EXECUTE 'SELECT concat(ROW(' || highwater.columns({}, '($1)') || '))' USING OLD INTO image;
                END IF;
            END IF;\n",
        known.join(","),
        target.facts.relation
    );
    ("image", find)
}

/// A partition that came after this function was made may have been filled before, which only its rows' creators know.
fn doubt(target: &Target<'_>) -> String {
    if target.facts.kind != Kind::Partitioned {
        return String::new();
    }
    format!(
        "                IF TG_RELID <> ALL ({}) THEN
                    INSERT INTO highwater.doubt(id, leaf) VALUES ({}, TG_RELID);
                END IF;\n",
        target.known_leaves(),
        target.id
    )
}

pub(super) fn triggers(target: &Target<'_>) -> Vec<String> {
    let (id, table) = (target.id, target.facts.qualified());
    let trigger = target.trigger("row");
    if target.capture == Capture::Row {
        return vec![
            format!(
                "CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION highwater.row_{id}()"
            ),
            format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"),
        ];
    }
    // The condition is read and compiled for every statement, so its size counts.
    vec![
        format!(
            "CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW \
             WHEN (pg_catalog.current_setting('highwater.d{id}', true) IS DISTINCT FROM pg_catalog.pg_trigger_depth()::pg_catalog.text) \
             EXECUTE FUNCTION highwater.row_{id}()"
        ),
        format!("ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}"),
    ]
}
