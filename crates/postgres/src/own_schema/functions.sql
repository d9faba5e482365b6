-- Which database this is: system, database, Highwater's tables in it, timeline. What a standby computes for the timeline comes late, so it
-- takes what the primary wrote.
CREATE OR REPLACE FUNCTION highwater.identity() RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $highwater$
BEGIN
    RETURN concat_ws('/',
        (SELECT system_identifier FROM pg_control_system()),
        (SELECT oid FROM pg_database WHERE datname = current_database()),
        'highwater.meta'::regclass::oid,
        CASE WHEN pg_is_in_recovery()
            THEN (SELECT split_part(m.identity, '/', 4) FROM highwater.meta AS m)
            ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8)
        END);
END
$highwater$;

-- Whether the newest tick was recorded in this run of the server and since its last crash: only then may a new link name it. A server that
-- is set back to a copy of its files gets a tick that nobody has heard of, so links of what was undone are told from others.
CREATE OR REPLACE FUNCTION highwater.is_settled() RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $highwater$
BEGIN
    -- UNLOGGED tables cannot be read on a standby, and what it shows is on the primary's disk already.
    IF pg_is_in_recovery() THEN
        RETURN true;
    END IF;
    RETURN EXISTS (SELECT FROM highwater.sentinel AS s WHERE s.relation = 0)
        AND coalesce((SELECT t.started = pg_postmaster_start_time() FROM highwater.tick AS t ORDER BY t.id DESC LIMIT 1), false);
END
$highwater$;

-- Makes it so. A crash may lose the end of transactions that were seen already (with synchronous_commit = off, and of those that were rolled
-- back in any case), and their numbers are used again: a link that shows them as ended would miss the changes of others. The newest
-- tick that is still there proves that nothing is lost of what it shows.
CREATE OR REPLACE FUNCTION highwater.settle() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $highwater$
DECLARE
    cut pg_snapshot;
BEGIN
    -- The lock of all who record ticks.
    PERFORM pg_advisory_xact_lock($LOCKS, $TICK);
    IF highwater.is_settled() THEN
        PERFORM highwater.note_files();
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM highwater.sentinel AS s WHERE s.relation = 0) THEN
        -- A table that was UNLOGGED for a while is empty now, whatever it is by now; but it has got other files since.
        INSERT INTO highwater.lost(id)
        SELECT r.id FROM highwater.registered AS r WHERE (r.files = highwater.files(r.relation)) IS NOT TRUE;
        cut := coalesce((SELECT t.snapshot FROM highwater.tick AS t ORDER BY t.id DESC LIMIT 1), '1:1:');
        INSERT INTO highwater.sentinel(relation) VALUES (0);
    END IF;
    PERFORM highwater.note_files();
    INSERT INTO highwater.tick(snapshot, nonce, cut) VALUES (pg_current_snapshot(), (random() * 4294967295)::bigint, cut);
END
$highwater$;

-- The numbers of the files of a table and its partitions; NULL if one of these is UNLOGGED. (TRUNCATE, CLUSTER and VACUUM FULL give a table
-- another file, too, so this is no part of its layout.)
CREATE OR REPLACE FUNCTION highwater.files(relation oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $highwater$
BEGIN
    RETURN (WITH RECURSIVE tree(relation) AS (
            SELECT files.relation
            UNION ALL
            SELECT i.inhrelid FROM tree JOIN pg_inherits AS i ON i.inhparent = tree.relation JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE c.relispartition
        )
        SELECT CASE WHEN bool_and(c.relpersistence = 'p') THEN string_agg(c.relfilenode::text, ' ' ORDER BY c.oid) END
        FROM tree JOIN pg_class AS c ON c.oid = tree.relation);
END
$highwater$;

-- Remembers them, so that a crash which is noticed later is known to have found these.
CREATE OR REPLACE FUNCTION highwater.note_files() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $highwater$
BEGIN
    UPDATE highwater.registered AS r SET files = now.files
    FROM (SELECT n.id, highwater.files(n.relation) AS files FROM highwater.registered AS n) AS now
    WHERE now.id = r.id AND now.files IS DISTINCT FROM r.files;
END
$highwater$;

-- A digest of everything on which the exactness of a table's history depends; NULL if there is no such table. Instead of what a row of a
-- catalog says, its xmin is taken: it shows every change, also one that was taken back. It is left out where harmless commands change the
-- row, such as CLUSTER or REINDEX CONCURRENTLY. With "leaves", as if the table had no other partitions than those.
--
-- This runs for every request: mind the cost of each part. (The concatenation operator is several times faster than concat_ws. Each catalog
-- has an index for what is asked of it here, but where tables are few, PostgreSQL thinks that to read all of it were cheaper.)
CREATE OR REPLACE FUNCTION highwater.layout(relation oid, leaves oid[] DEFAULT NULL) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $highwater$
DECLARE
    described text;
    part text;
    types oid[];
    row_type oid;
    kind "char";
    persistence "char";
    has_descendants boolean;
BEGIN
    SELECT n.nspname::text || ' ' || c.relname::text || ' ' || c.relkind::text || c.relpersistence::text, c.relkind, c.relpersistence, c.relhassubclass, c.reltype
    INTO described, kind, persistence, has_descendants, row_type
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.oid = relation;
    IF described IS NULL OR persistence = 'u' AND pg_is_in_recovery() THEN
        RETURN NULL;
    END IF;
    -- Dropped columns, too: one that came and went has left its values in old images.
    SELECT string_agg(a.xmin::text || ' ' || a.attname::text, ' '), array_agg(a.atttypid)
    INTO part, types
    FROM (SELECT a.xmin, a.attname, a.atttypid FROM pg_attribute AS a
        WHERE a.attrelid = relation AND a.attnum > 0 ORDER BY a.attnum) AS a;
    described := described || ' ' || coalesce(part, '');
    -- A constraint keeps its number when its index is built anew, and that which is being built is not valid yet.
    SELECT string_agg(u.number::text, ' ' ORDER BY u.number)
    INTO part
    FROM pg_index AS i CROSS JOIN LATERAL (SELECT coalesce(
            (SELECT k.oid FROM pg_constraint AS k WHERE k.conrelid = relation AND k.conindid = i.indexrelid AND k.contype IN ('p', 'u')),
            i.indexrelid) AS number) AS u
    WHERE i.indrelid = relation AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL;
    described := described || ' ' || coalesce(part, '');
    -- By name: to see whose functions they call would take a third of the time again, and the application's own with such a name only
    -- end links when they come and go.
    SELECT string_agg(t.xmin::text || ' ' || t.tgname::text, ' ')
    INTO part
    FROM (SELECT t.xmin, t.tgname FROM pg_trigger AS t
        WHERE t.tgrelid = relation AND t.tgname >= 'highwater_' AND t.tgname < 'highwater`' ORDER BY t.tgname) AS t;
    described := described || ' ' || coalesce(part, '');
    -- Transition tables have the rows of descendants, too. PostgreSQL remembers descendants that are gone, until it analyzes the table.
    IF has_descendants AND strpos(part, ' highwater_begin') > 0 THEN
        described := described || ' may be inherited';
    END IF;
    IF kind = 'p' THEN
        described := described || ' ' || coalesce(highwater.layout_of_leaves(relation, leaves), '');
    ELSIF EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = relation) THEN
        described := described || ' inherits';
    END IF;
    IF 16384 <= ANY (types) THEN
        described := described || ' ' || highwater.layout_of_types(relation);
    END IF;
    -- Casts to and from text (25), which PostgreSQL prefers to the text that a type itself gives.
    SELECT string_agg(k.oid::text, ' ' ORDER BY k.oid)
    INTO part
    FROM pg_cast AS k
    WHERE k.oid >= 16384 AND (k.castsource = 25 AND k.casttarget = ANY (types || row_type) OR k.casttarget = 25 AND k.castsource = ANY (types || row_type));
    described := described || coalesce(' casts ' || part, '');
    -- Not in one condition: a standby refuses to plan a statement that names an UNLOGGED table, even if it would not be executed.
    IF persistence = 'u' THEN
        IF NOT EXISTS (SELECT FROM highwater.sentinel AS s WHERE s.relation = layout.relation) THEN
            described := described || ' emptied';
        END IF;
    END IF;
    -- PL/Perl and others can end a statement before it is complete, which capture has to know (highwater.may_be_cut_off).
    IF EXISTS (SELECT FROM pg_language AS l WHERE l.lanispl AND l.lanname <> 'plpgsql') THEN
        described := described || ' languages';
    END IF;
    -- The encoding of the database does not matter, nor whether MD5 is allowed.
    RETURN to_hex(hashtextextended(described COLLATE "C", 0)) || to_hex(hashtextextended(described COLLATE "C", 1));
END
$highwater$;

-- What every verb asks before it reads: whether the database, its ticks and the tables are what a request takes them for. A function, because
-- PostgreSQL keeps the plans of its statements, and to plan these takes longer than to run them. For each of "anchors", the ids of ticks
-- that links name: its nonce (NULL if there is no such tick), the first cut after it, and whether any tick before it is known. For
-- each of "ids": the horizon, NULL if its tracking is another.
CREATE OR REPLACE FUNCTION highwater.look(
    anchors bigint[], ids integer[], relations oid[], incarnations bigint[],
    OUT readable_by integer, OUT epoch bigint, OUT is_same_database boolean, OUT is_settled boolean,
    OUT tick bigint, OUT nonce bigint, OUT snapshot pg_snapshot, OUT xmax bigint, OUT xip bigint[],
    OUT nonces bigint[], OUT cuts text[], OUT are_older_known boolean[], OUT horizons bigint[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $highwater$
DECLARE
    anchor bigint;
    anchor_nonce bigint;
    cut text;
    is_older_known boolean;
    horizon bigint;
BEGIN
    SELECT m.readable_by, m.epoch, m.identity = highwater.identity() INTO readable_by, epoch, is_same_database
    FROM highwater.meta AS m;
    is_settled := highwater.is_settled();
    SELECT t.id, t.nonce, t.snapshot INTO tick, nonce, snapshot
    FROM highwater.tick AS t ORDER BY t.id DESC LIMIT 1;
    xmax := pg_snapshot_xmax(snapshot)::text::bigint;
    xip := ARRAY(SELECT x::text::bigint FROM pg_snapshot_xip(snapshot) AS x);
    FOREACH anchor IN ARRAY anchors LOOP
        IF anchor = tick THEN
            anchor_nonce := nonce;
            cut := NULL;
            is_older_known := true;
        ELSE
            SELECT (SELECT t.nonce FROM highwater.tick AS t WHERE t.id = anchor),
                (SELECT t.cut::text FROM highwater.tick AS t WHERE t.id > anchor AND t.cut IS NOT NULL ORDER BY t.id LIMIT 1),
                EXISTS (SELECT FROM highwater.tick AS t WHERE t.id < anchor)
            INTO anchor_nonce, cut, is_older_known;
        END IF;
        nonces := nonces || anchor_nonce;
        cuts := cuts || cut;
        are_older_known := are_older_known || is_older_known;
    END LOOP;
    FOR i IN 1 .. cardinality(ids) LOOP
        SELECT t.horizon INTO horizon
        FROM highwater.tracked_table AS t
        WHERE t.id = ids[i] AND t.relation = relations[i] AND t.incarnation = incarnations[i] AND t.layout = highwater.layout(t.relation);
        horizons := horizons || horizon;
    END LOOP;
END
$highwater$;

-- The partitions of a table, with our triggers. Somebody can change what a column of one is generated from, which rewrites it.
CREATE OR REPLACE FUNCTION highwater.layout_of_leaves(relation oid, leaves oid[]) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $highwater$
DECLARE
    is_generated boolean := EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = layout_of_leaves.relation AND a.attnum > 0 AND a.attgenerated <> '');
BEGIN
    RETURN (WITH RECURSIVE tree(relation, attached) AS (
            SELECT i.inhrelid, i.xmin FROM pg_inherits AS i WHERE i.inhparent = layout_of_leaves.relation
            UNION ALL
            SELECT i.inhrelid, i.xmin FROM tree JOIN pg_inherits AS i ON i.inhparent = tree.relation
        )
        SELECT concat(string_agg(concat_ws(' ', tree.relation, tree.attached, c.relkind, c.relpersistence,
            (SELECT string_agg(concat_ws(' ', t.oid, t.tgenabled, t.xmin), ',' ORDER BY t.oid)
                FROM pg_trigger AS t
                WHERE t.tgrelid = tree.relation AND t.tgname >= 'highwater_' AND t.tgname < 'highwater`'),
            CASE WHEN is_generated THEN
                (SELECT string_agg(d.oid::text, ' ' ORDER BY d.oid) FROM pg_attrdef AS d
                    JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                    WHERE d.adrelid = tree.relation AND a.attgenerated <> '')
            END),
            ',' ORDER BY tree.relation) FILTER (WHERE leaves IS NULL OR c.oid = ANY (leaves)),
            -- What was a partition for a while, and was changed then, has left records of rows that the table did not have before.
            CASE WHEN EXISTS (SELECT FROM highwater.doubt AS d JOIN highwater.registered AS r ON r.id = d.id
                WHERE r.relation = layout_of_leaves.relation AND d.leaf NOT IN (SELECT tree.relation FROM tree)) THEN ' doubtful' END)
        FROM tree JOIN pg_class AS c ON c.oid = tree.relation);
END
$highwater$;

-- Whether nothing can be in a new partition but what was captured. A row that was there before it became a partition has no record, and
-- what it was replaced by has a wrong one. The latter are noted (highwater.doubt); the former cannot be if the partition was created by the
-- transaction that attached it, and each row has a record by the transaction that made it. (Rows of subtransactions are not found.)
-- "is_of" is the condition that a record, h, is of the key of a row, o.
CREATE OR REPLACE FUNCTION highwater.is_known(id integer, root oid, leaf oid, is_of text) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $highwater$
DECLARE
    has_rows boolean;
    is_known boolean;
BEGIN
    IF EXISTS (SELECT FROM highwater.doubt AS d WHERE d.id = is_known.id AND d.leaf = is_known.leaf) THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', leaf::regclass) INTO has_rows;
    IF NOT has_rows THEN
        RETURN true;
    END IF;
    -- The rows of system columns in pg_attribute are as old as the relation.
    IF (SELECT bool_or(a.xmin <> i.xmin)
        FROM pg_partition_tree(root) AS t
        JOIN pg_inherits AS i ON i.inhrelid = t.relid
        JOIN pg_attribute AS a ON a.attrelid = t.relid AND a.attnum = -6
        WHERE t.relid IN (SELECT p.relid FROM pg_partition_ancestors(leaf) AS p)
            AND t.relid <> ALL (SELECT unnest(r.leaves) FROM highwater.registered AS r WHERE r.id = is_known.id)) THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s AS o WHERE NOT EXISTS (
            SELECT FROM highwater.history_%s AS h WHERE %s AND (h.xid & 4294967295) = o.xmin::text::bigint))',
        leaf::regclass, id, is_of)
    INTO is_known;
    RETURN is_known;
END
$highwater$;

-- The types of a table's columns that are not PostgreSQL's own, and what these consist of.
CREATE OR REPLACE FUNCTION highwater.layout_of_types(relation oid) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $highwater$
BEGIN
    RETURN (WITH RECURSIVE used(type) AS (
            SELECT a.atttypid FROM pg_attribute AS a
            WHERE a.attrelid = layout_of_types.relation AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= 16384
            UNION
            SELECT part.type
            FROM used JOIN pg_type AS t ON t.oid = used.type
            CROSS JOIN LATERAL (
                SELECT t.typelem UNION ALL SELECT t.typbasetype
                UNION ALL SELECT r.rngsubtype FROM pg_range AS r WHERE r.rngtypid = t.oid
                UNION ALL SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
            ) AS part(type)
            WHERE part.type >= 16384
        )
        SELECT string_agg(concat_ws(' ', t.oid, t.typtype, t.typbasetype, t.typtypmod, t.typnotnull, t.typcollation,
            (SELECT string_agg(concat_ws(' ', e.oid, e.xmin, e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid),
            (SELECT string_agg(concat_ws(' ', k.oid, k.xmin), ',' ORDER BY k.oid) FROM pg_constraint AS k WHERE k.contypid = t.oid),
            (SELECT string_agg(concat_ws(' ', a.attnum, a.atttypid, a.atttypmod, a.xmin), ',' ORDER BY a.attnum)
                FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND t.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped),
            (SELECT string_agg(k.oid::text, ' ' ORDER BY k.oid) FROM pg_cast AS k
                WHERE k.oid >= 16384 AND (k.castsource = t.oid AND k.casttarget = 25 OR k.castsource = 25 AND k.casttarget = t.oid))),
            ',' ORDER BY t.oid)
        FROM used JOIN pg_type AS t ON t.oid = used.type);
END
$highwater$;

-- The setting highwater.t<id> names the statements of the transaction that change the table and are not captured yet; it is empty if there
-- are none:
--
--     <length of the call stack>:<letters>@<trigger depth>[!][#<seq>][,<letters>]
--
-- The letters before the @ (I, U, D) belong to one statement, whose transition tables will be captured when it ends (an INSERT with
-- ON CONFLICT DO UPDATE, a MERGE and a WITH have several). Those after the comma belong to statements inside of it, in functions or
-- triggers: their rows are captured one by one. The exclamation mark says that the outer statement's transition tables have got a row
-- version of which nobody knows whether it is older than the statement; the number, which record of an absence inside was the first. The
-- capture module of the program has the whole story.
--
-- The setting highwater.d<id> is the trigger depth of the outer statement if there is nothing inside of it, so that its rows need not be
-- captured one by one.

-- Announces a statement in all but the commonest case, which the triggers decide themselves: it is the only one.
CREATE OR REPLACE FUNCTION highwater.statement_begins(id integer, letter text, stack text, depth integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $highwater$
DECLARE
    setting text := 'highwater.t' || id;
    state text := coalesce(current_setting(setting, true), '');
    is_outer boolean := false;
BEGIN
    IF current_setting('session_replication_role') = 'replica' AND state = '' THEN
        -- What is applied from elsewhere does not announce its statements, so everything inside of it has to be captured row by row.
        state := '0:@' || depth || ',' || letter;
    ELSIF state = '' THEN
        is_outer := true;
        state := stack || ':' || letter || '@' || depth;
    ELSIF split_part(state, ':', 1) = stack AND strpos(split_part(state, '@', 1), letter) = 0 THEN
        -- The same place in the same programs: the same statement.
        is_outer := strpos(state, ',') = 0;
        state := overlay(state PLACING letter || '@' FROM strpos(state, '@') FOR 1);
    ELSE
        state := CASE WHEN strpos(state, ',') = 0 THEN state || ',' ELSE state END || letter;
    END IF;
    PERFORM set_config(setting, state, true);
    PERFORM set_config('highwater.d' || id, CASE WHEN is_outer THEN depth::text ELSE 'inside' END, true);
END
$highwater$;

-- Ends the announcement of a statement, in all but the commonest case. The answer is NULL if its rows were captured one by one; else its
-- transition tables have to be captured, after the removal of absences since the record of the number that is the answer.
CREATE OR REPLACE FUNCTION highwater.statement_ends(id integer, letter text) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $highwater$
DECLARE
    setting text := 'highwater.t' || id;
    state text := coalesce(current_setting(setting, true), '');
    inner_part text := split_part(state, ',', 2);
    outer_part text := split_part(split_part(state, ',', 1), '#', 1);
    since text := split_part(split_part(state, ',', 1), '#', 2);
    stack text := split_part(outer_part, ':', 1);
    letters text := split_part(split_part(outer_part, ':', 2), '@', 1);
    depth text := replace(split_part(outer_part, '@', 2), '!', '');
    mark text := CASE WHEN strpos(outer_part, '!') > 0 THEN '!' ELSE '' END;
    is_outer boolean := strpos(inner_part, letter) = 0;
BEGIN
    IF is_outer THEN
        IF strpos(letters, letter) = 0 OR mark <> '' THEN
            INSERT INTO highwater.lost(id) VALUES (statement_ends.id);
        END IF;
        letters := replace(letters, letter, '');
        mark := '';
        IF letter = 'I' AND letters <> '' AND since = '' THEN
            since := (pg_current_wal_insert_lsn() - '0/0')::text;
        END IF;
    ELSE
        -- Statements inside end before those around them; of equal ones any may be struck out.
        inner_part := overlay(inner_part PLACING '' FROM strpos(inner_part, letter) FOR 1);
    END IF;
    IF letters = '' AND inner_part = '' THEN
        state := '';
    ELSE
        state := concat(stack, ':', letters, '@', depth, mark, '#' || nullif(since, ''), ',' || nullif(inner_part, ''));
    END IF;
    PERFORM set_config(setting, state, true);
    PERFORM set_config('highwater.d' || id, CASE WHEN inner_part = '' THEN depth ELSE 'inside' END, true);
    RETURN CASE WHEN is_outer THEN coalesce(nullif(since, '')::bigint, 9223372036854775807) END;
END
$highwater$;

-- Whether this transaction made a row version, asked when it changes that version again: it sees no other transaction's version before that
-- one has ended. NULL if it cannot be told. Numbers of subtransactions are greater than that of their transaction. Of a version that
-- is older than 2^31 transactions, "true" may be wrong (LIMITATIONS.md).
CREATE OR REPLACE FUNCTION highwater.is_own(version xid, mine bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $highwater$
DECLARE
    distance bigint := (version::text::bigint - mine) & 4294967295;
BEGIN
    IF distance = 0 THEN
        RETURN true;
    ELSIF distance >= 2147483648 THEN
        RETURN false;
    ELSIF mine + distance < pg_snapshot_xmax(pg_current_snapshot())::text::bigint THEN
        RETURN pg_xact_status((mine + distance)::text::xid8) IS NOT DISTINCT FROM 'in progress';
    ELSIF mine < 2147483648 THEN
        RETURN true;
    END IF;
    -- A subtransaction that is younger than the snapshot, or a frozen version from more than 2^31 transactions ago.
    RETURN NULL;
END
$highwater$;

-- The columns of a row, in the order of those of the table.
CREATE OR REPLACE FUNCTION highwater.columns(relation oid, version text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $highwater$
    SELECT string_agg(version || '.' || quote_ident(a.attname), ', ' ORDER BY a.attnum)
    FROM pg_attribute AS a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped
$highwater$;
