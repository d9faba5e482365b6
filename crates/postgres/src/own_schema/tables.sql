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

CREATE TABLE highwater.tick(
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    snapshot pg_snapshot NOT NULL,
    nonce bigint NOT NULL
);

-- What is tracked. "layout" is what highwater.layout() said when tracking began (empty: begin anew); "capture" is a digest of
-- the triggers and functions, so that another version of Highwater notices that they are not its own.
CREATE TABLE highwater.registered(
    id integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    relation oid NOT NULL UNIQUE,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    incarnation bigint NOT NULL,
    layout text NOT NULL,
    capture text NOT NULL,
    leaves oid[] NOT NULL,
    horizon bigint NOT NULL
);

-- A transaction whose changes could not be captured says so here: older links of the table end. (To change the row of the table instead
-- could make the transaction wait for others, or fail.)
CREATE TABLE highwater.lost(
    seq bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id integer NOT NULL
);
CREATE INDEX lost_id ON highwater.lost(id);

-- A row of a partition that nobody knew yet was changed: whether it was captured when it came in, cannot be told.
CREATE TABLE highwater.doubt(
    seq bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id integer NOT NULL,
    leaf oid NOT NULL
);

-- A crash empties this table together with the histories that are UNLOGGED.
CREATE UNLOGGED TABLE highwater.sentinel(
    relation oid PRIMARY KEY
);

CREATE VIEW highwater.tracked_table AS
SELECT r.id, r.relation, r.schema_name, r.table_name,
    r.incarnation + (SELECT pg_catalog.count(*) FROM highwater.lost AS l WHERE l.id = r.id) AS incarnation,
    r.layout, r.horizon
FROM highwater.registered AS r;
