//! The gate between those who write and those who wait: what of it lives in the database.
//!
//! `highwater.wake` is a sequence because sequences stand outside of transactions: a writer sees at once that somebody waits, whatever
//! its isolation level, without a lock and without a row. Its value says until when somebody waits, in milliseconds of the
//! database's clock since 1970, so that a node that dies while it waits costs the writers nothing after a while. Each arming is a new,
//! greater value; a negative one is an arming that has been answered.

/// The sequence and the function, to be run by the owner of the schema.
pub(crate) const OBJECTS: &str = "
CREATE SEQUENCE IF NOT EXISTS highwater.wake AS bigint MINVALUE -9223372036854775807 START WITH 1;

-- PREPARE TRANSACTION refuses transactions with notifications, and a full queue makes the commit fail: better no notification
-- than a write that fails because of it. Those who wait look now and then, too.
CREATE OR REPLACE FUNCTION highwater.notify() RETURNS void LANGUAGE plpgsql AS $notify$
BEGIN
    IF pg_catalog.current_setting('max_prepared_transactions') OPERATOR(pg_catalog.=) '0'
        AND pg_catalog.pg_notification_queue_usage() OPERATOR(pg_catalog.<) 0.5::pg_catalog.float8
    THEN
        PERFORM pg_catalog.pg_notify('highwater', pg_catalog.pg_sequence_last_value('highwater.wake'::pg_catalog.regclass)::pg_catalog.text);
    END IF;
END
$notify$;

REVOKE ALL ON FUNCTION highwater.notify() FROM PUBLIC;
";

/// For every capture function, **after** it has logged: a transaction that looks at the gate must have its id already. Costs less than
/// a third of a microsecond while nobody waits.
pub(crate) const CHECK: &str = "
    IF pg_catalog.pg_sequence_last_value('highwater.wake'::pg_catalog.regclass) OPERATOR(pg_catalog.>) (pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000::pg_catalog.float8) THEN
        PERFORM highwater.notify();
    END IF;
";
