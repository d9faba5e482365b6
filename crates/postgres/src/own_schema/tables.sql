-- Everything that is Highwater's own. Format 1.
CREATE SCHEMA highwater;

CREATE TABLE highwater.meta(
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    format integer NOT NULL,
    readable_by integer NOT NULL,
    epoch bigint NOT NULL,
    identity text NOT NULL,
    current_key integer NOT NULL
);

CREATE TABLE highwater.seal_key(
    id integer PRIMARY KEY,
    secret bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- "started" tells which run of the server recorded it. "cut" is there if the server had crashed before: of the links that name an older
-- tick, only those hold that show nothing that is not in it.
CREATE TABLE highwater.tick(
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    snapshot pg_snapshot NOT NULL,
    nonce bigint NOT NULL,
    started timestamptz NOT NULL DEFAULT pg_catalog.pg_postmaster_start_time(),
    cut pg_snapshot
);
CREATE INDEX tick_cut ON highwater.tick(id) WHERE cut IS NOT NULL;

-- What is tracked. "layout" is what highwater.layout() said when tracking began (empty: begin anew), "leaves" are the partitions that
-- there were. "capture" is the version of the triggers and functions, "digest" that of their text. "files" are the files that it was last
-- seen with (highwater.files).
CREATE TABLE highwater.registered(
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    relation oid NOT NULL UNIQUE,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    incarnation bigint NOT NULL,
    layout text NOT NULL,
    leaves oid[] NOT NULL,
    capture integer NOT NULL,
    digest text NOT NULL,
    horizon bigint NOT NULL,
    files text
);

-- A transaction whose changes could not be captured says so here: older links of the table end. (To change the row of the table instead
-- could make the transaction wait for others, or fail.)
--
-- This table and the next have no key, because a sequence for it would change what lastval() tells the application. The replica identity lets
-- rows be deleted if somebody publishes all tables.
CREATE TABLE highwater.lost(
    id integer NOT NULL
);
CREATE INDEX lost_id ON highwater.lost(id);
ALTER TABLE highwater.lost REPLICA IDENTITY FULL;

-- A row of a partition that nobody knew yet was changed: whether it was captured when it came in, cannot be told.
CREATE TABLE highwater.doubt(
    id integer NOT NULL,
    leaf oid NOT NULL
);
ALTER TABLE highwater.doubt REPLICA IDENTITY FULL;

-- A crash empties this table together with the tables that are UNLOGGED. The row 0 stands for the database (highwater.settle).
CREATE UNLOGGED TABLE highwater.sentinel(
    relation oid PRIMARY KEY
);

CREATE VIEW highwater.tracked_table AS
SELECT r.id, r.relation, r.schema_name, r.table_name,
    r.incarnation + (SELECT pg_catalog.count(*) FROM highwater.lost AS l WHERE l.id = r.id) AS incarnation,
    r.layout, r.horizon
FROM highwater.registered AS r;
