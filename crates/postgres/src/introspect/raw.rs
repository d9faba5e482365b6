//! The schema as PostgreSQL's catalogs tell it, before anything is concluded from it.
//!
//! What must hold: a fixed number of statements, however many tables there are; only what versions 13 to 18 have in common; every name is
//! qualified or in `pg_catalog`, which is the whole search path of the caller.

use std::collections::{BTreeSet, HashMap, HashSet};

use tokio::try_join;
use tokio_postgres::types::{Oid, Type};
use tokio_postgres::{GenericClient, Row};

/// Everything that may be served, by schema and name.
pub(super) struct RawSchema {
    pub(super) server: Server,
    pub(super) relations: Vec<RawRelation>,
    /// Those of each relation, in the order of declaration.
    pub(super) columns: HashMap<Oid, Vec<RawColumn>>,
    /// Every type of a column, and what those consist of.
    pub(super) types: HashMap<Oid, RawType>,
    /// Declared types with modifiers, as SQL.
    pub(super) declared: HashMap<(Oid, i32), Declared>,
    /// Unique indexes without predicate or expressions, valid, by relation.
    pub(super) indexes: HashMap<Oid, Vec<RawIndex>>,
    pub(super) foreign_keys: Vec<RawForeignKey>,
    /// Partitions, by root, whose rows can change without a trigger.
    pub(super) odd_partitions: HashMap<Oid, OddPartition>,
    /// Collations for which different texts can be equal.
    pub(super) fuzzy_collations: HashSet<Oid>,
}

/// A declared type as SQL, for example `character varying(20)`.
#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    /// As it was declared; a domain stays a domain.
    pub(super) whole: String,
    /// Without the domains around it, but with the modifier that one of them has.
    pub(super) base: String,
}

/// What the server says of itself.
pub(super) struct Server {
    /// `server_version_num`
    pub(super) version: i32,
    pub(super) in_recovery: bool,
    /// See [`crate::schema::Schema::letters`].
    pub(super) letters: Option<String>,
    /// Whether Highwater's tables exist, and whether this role may read them.
    pub(super) own: OwnSchema,
    /// Whether this role may change the schema `highwater`, or make it.
    pub(super) may_track: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OwnSchema {
    Absent,
    Forbidden,
    Readable,
}

/// A row of `pg_class`.
pub(super) struct RawRelation {
    pub(super) oid: Oid,
    pub(super) schema: String,
    pub(super) name: String,
    /// `pg_class.relkind`
    pub(super) kind: char,
    pub(super) unlogged: bool,
    /// Whether tables inherit from it, or did not long ago.
    pub(super) has_children: bool,
    /// Whether it inherits from another table.
    pub(super) has_parents: bool,
    /// Whether its statements cannot be captured as a whole: because of foreign-key actions on itself, by which one statement changes its own
    /// rows twice, or because the database has procedural languages besides PL/pgSQL, which can end a statement before its own triggers are
    /// called (`spi_exec -count 1 "UPDATE … RETURNING …"` of PL/Tcl).
    pub(super) is_by_row: bool,
    /// Whether somebody defined a cast between its rows and `text`.
    pub(super) has_casts: bool,
    pub(super) is_populated: bool,
    pub(super) may_use_schema: bool,
    pub(super) may_select: bool,
    pub(super) row_security: bool,
    /// Whether this role may put triggers on it.
    pub(super) may_change: bool,
    /// The extension that it belongs to.
    pub(super) extension: Option<String>,
}

/// A row of `pg_attribute`.
#[derive(Clone, Debug, Default)]
pub(super) struct RawColumn {
    pub(super) attnum: i16,
    pub(super) name: String,
    pub(super) ty: Oid,
    pub(super) modifier: i32,
    /// Without what its domain says.
    pub(super) not_null: bool,
    pub(super) has_default: bool,
    /// `pg_attribute.attidentity`: `a`, `d` or nothing.
    pub(super) identity: String,
    /// `pg_attribute.attgenerated`: `s`, `v` or nothing.
    pub(super) generated: String,
    pub(super) collation: Oid,
}

/// A row of `pg_type`.
#[derive(Clone, Debug, Default)]
pub(super) struct RawType {
    pub(super) schema: String,
    pub(super) name: String,
    /// `pg_type.typtype`
    pub(super) kind: char,
    /// Of a domain.
    pub(super) base: Oid,
    /// Of a domain: what it adds to the type below.
    pub(super) modifier: i32,
    /// Of a domain.
    pub(super) not_null: bool,
    /// Of a domain.
    pub(super) has_default: bool,
    /// Of a true array.
    pub(super) element: Option<Oid>,
    /// What a composite type or a range consists of.
    pub(super) parts: Vec<Oid>,
    /// Whether somebody defined a function for the cast to `text`.
    pub(super) casts_to_text: bool,
    /// The schema, quoted, of the operators by which B-trees compare it, if it is not `pg_catalog`.
    pub(super) operators: Option<String>,
}

/// A row of `pg_index`.
#[derive(Clone, Debug, Default)]
pub(super) struct RawIndex {
    pub(super) oid: Oid,
    pub(super) is_primary: bool,
    /// Whether it checks every row at once, as opposed to one that is deferrable.
    pub(super) is_immediate: bool,
    /// Whether it is a B-tree in which the columns compare as everywhere else.
    pub(super) is_plain: bool,
    /// The key columns in order.
    pub(super) attnums: Vec<i16>,
}

/// A row of `pg_constraint`. The other end is unique, because PostgreSQL insists.
pub(super) struct RawForeignKey {
    pub(super) child: Oid,
    pub(super) parent: Oid,
    /// Pairs of (column in the child, column in the parent).
    pub(super) attnums: Vec<(i16, i16)>,
}

/// A partition whose rows can change without a trigger.
pub(super) struct OddPartition {
    pub(super) name: String,
    pub(super) is_foreign: bool,
}

/// Reads the schema. The caller holds a transaction, so that all of it is of one moment.
pub(super) async fn read<C: GenericClient + Sync>(
    client: &C,
    server: Server,
) -> Result<RawSchema, tokio_postgres::Error> {
    let relations = read_relations(client).await?;
    let oids: Vec<Oid> = relations.iter().map(|relation| relation.oid).collect();
    let (columns, indexes, foreign_keys, odd_partitions, fuzzy_collations) = try_join!(
        read_columns(client, &oids),
        read_indexes(client, &oids),
        read_foreign_keys(client),
        read_odd_partitions(client),
        read_fuzzy_collations(client),
    )?;
    let used: BTreeSet<(Oid, i32)> = columns
        .values()
        .flatten()
        .map(|column| (column.ty, column.modifier))
        .collect();
    let (types, declared) = try_join!(read_types(client, &used), read_declared(client, &used))?;
    Ok(RawSchema {
        server,
        relations,
        columns,
        types,
        declared,
        indexes,
        foreign_keys,
        odd_partitions,
        fuzzy_collations,
    })
}

/// What the server says of itself, whatever its version.
pub(super) async fn read_server<C: GenericClient + Sync>(
    client: &C,
) -> Result<Server, tokio_postgres::Error> {
    // `to_regclass` fails for a schema that this role may not use.
    let sql = "
        SELECT current_setting('server_version_num')::int4, pg_is_in_recovery(),
            count(*) = 2, coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')), false),
            (SELECT 'pg_catalog.' || quote_ident(l.collname) FROM pg_database AS d JOIN pg_collation AS l ON l.collencoding IN (-1, d.encoding)
                WHERE d.datname = current_database() AND d.datctype IN ('C', 'POSIX')
                    AND coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') = 'c' AND l.collnamespace = 'pg_catalog'::regnamespace
                    AND l.collname IN ('und-x-icu', 'pg_c_utf8', 'C.utf8') ORDER BY l.collname DESC LIMIT 1),
            coalesce((SELECT pg_has_role(h.nspowner, 'USAGE') FROM pg_namespace AS h WHERE h.nspname = 'highwater'),
                has_database_privilege(current_database(), 'CREATE'))
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = 'highwater' AND c.relname IN ('meta', 'tracked_table') AND EXISTS (SELECT FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attname = CASE c.relname WHEN 'meta' THEN 'readable_by' ELSE 'incarnation' END)";
    let row = client.query_typed_one(sql, &[]).await?;
    let exists: bool = row.try_get(2)?;
    Ok(Server {
        version: row.try_get(0)?,
        in_recovery: row.try_get(1)?,
        letters: row.try_get(4)?,
        own: match (exists, row.try_get(3)?) {
            (true, true) => OwnSchema::Readable,
            (true, false) => OwnSchema::Forbidden,
            (false, _) => OwnSchema::Absent,
        },
        may_track: row.try_get(5)?,
    })
}

/// Partitions are left to their root; what is temporary or the system's own is nobody else's business.
async fn read_relations<C: GenericClient + Sync>(
    client: &C,
) -> Result<Vec<RawRelation>, tokio_postgres::Error> {
    let sql = r"
        SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.relpersistence = 'u',
            c.relhassubclass,
            EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid),
            EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.confrelid = c.oid
                    AND (k.confupdtype IN ('c', 'n', 'd') OR k.confdeltype IN ('c', 'n', 'd')))
                OR EXISTS (SELECT FROM pg_language AS l WHERE l.lanispl AND l.lanname <> 'plpgsql'),
            EXISTS (SELECT FROM pg_cast AS k WHERE (k.castsource, k.casttarget) IN ((c.reltype, 'text'::regtype), ('text'::regtype, c.reltype))),
            c.relispopulated,
            has_schema_privilege(n.oid, 'USAGE'),
            coalesce(has_table_privilege(c.oid, 'SELECT'), false),
            row_security_active(c.oid),
            pg_has_role(c.relowner, 'USAGE'),
            (SELECT e.extname FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
                WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.objsubid = 0
                AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e')
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition AND c.relpersistence <> 't'
            AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'highwater')
        ORDER BY n.nspname, c.relname";
    let rows = client.query_typed(sql, &[]).await?;
    rows.iter()
        .map(|row| {
            Ok(RawRelation {
                oid: row.try_get(0)?,
                schema: row.try_get(1)?,
                name: row.try_get(2)?,
                kind: letter(row, 3)?,
                unlogged: row.try_get(4)?,
                has_children: row.try_get(5)?,
                has_parents: row.try_get(6)?,
                is_by_row: row.try_get(7)?,
                has_casts: row.try_get(8)?,
                is_populated: row.try_get(9)?,
                may_use_schema: row.try_get(10)?,
                may_select: row.try_get(11)?,
                row_security: row.try_get(12)?,
                may_change: row.try_get(13)?,
                extension: row.try_get(14)?,
            })
        })
        .collect()
}

async fn read_columns<C: GenericClient + Sync>(
    client: &C,
    oids: &[Oid],
) -> Result<HashMap<Oid, Vec<RawColumn>>, tokio_postgres::Error> {
    // Since version 18, `attnotnull` is also true for a constraint that was never checked against the rows.
    let sql = "
        SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod,
            a.attnotnull AND v.conrelid IS NULL, a.atthasdef, a.attidentity::text, a.attgenerated::text, a.attcollation
        FROM unnest($1::oid[]) AS r (oid) JOIN pg_attribute AS a ON a.attrelid = r.oid
            LEFT JOIN pg_constraint AS v
                ON v.contype = 'n' AND NOT v.convalidated AND v.conrelid = a.attrelid AND v.conkey[1] = a.attnum
        WHERE a.attnum > 0 AND NOT a.attisdropped";
    let rows = client.query_typed(sql, &[(&oids, Type::OID_ARRAY)]).await?;
    let mut columns: HashMap<Oid, Vec<RawColumn>> = HashMap::with_capacity(oids.len());
    for row in rows {
        columns.entry(row.try_get(0)?).or_default().push(RawColumn {
            attnum: row.try_get(1)?,
            name: row.try_get(2)?,
            ty: row.try_get(3)?,
            modifier: row.try_get(4)?,
            not_null: row.try_get(5)?,
            has_default: row.try_get(6)?,
            identity: row.try_get(7)?,
            generated: row.try_get(8)?,
            collation: row.try_get(9)?,
        });
    }
    for columns in columns.values_mut() {
        columns.sort_by_key(|column| column.attnum);
    }
    Ok(columns)
}

async fn read_types<C: GenericClient + Sync>(
    client: &C,
    used: &BTreeSet<(Oid, i32)>,
) -> Result<HashMap<Oid, RawType>, tokio_postgres::Error> {
    let sql = "
        WITH RECURSIVE used (oid) AS (
            SELECT DISTINCT unnest($1::oid[])
            UNION
            SELECT part.oid FROM used JOIN pg_type AS t ON t.oid = used.oid CROSS JOIN LATERAL (
                SELECT t.typbasetype AS oid WHERE t.typbasetype <> 0
                UNION ALL SELECT t.typelem WHERE t.typelem <> 0
                UNION ALL SELECT a.atttypid FROM pg_attribute AS a
                    WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                UNION ALL SELECT g.rngsubtype FROM pg_range AS g WHERE g.rngtypid = t.oid) AS part)
        SELECT t.oid, n.nspname, t.typname, t.typtype::text, t.typbasetype, t.typtypmod, t.typnotnull,
            t.typdefault IS NOT NULL, t.typelem, t.typcategory = 'A',
            ARRAY(SELECT a.atttypid FROM pg_attribute AS a
                WHERE t.typrelid <> 0 AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                UNION ALL SELECT g.rngsubtype FROM pg_range AS g WHERE g.rngtypid = t.oid),
            EXISTS (SELECT FROM pg_cast AS c JOIN pg_proc AS p ON p.oid = c.castfunc
                WHERE c.castsource = t.oid AND c.casttarget = 'text'::regtype AND p.pronamespace <> 'pg_catalog'::regnamespace),
            (SELECT quote_ident(s.nspname) FROM pg_opclass AS c JOIN pg_am AS m ON m.oid = c.opcmethod
                JOIN pg_amop AS b ON b.amopfamily = c.opcfamily AND b.amoplefttype = c.opcintype AND b.amoprighttype = c.opcintype
                JOIN pg_operator AS o ON o.oid = b.amopopr JOIN pg_namespace AS s ON s.oid = o.oprnamespace
                WHERE c.opcintype = t.oid AND c.opcdefault AND m.amname = 'btree' AND b.amopstrategy = 3 AND s.nspname <> 'pg_catalog')
        FROM used JOIN pg_type AS t ON t.oid = used.oid JOIN pg_namespace AS n ON n.oid = t.typnamespace";
    let oids: Vec<Oid> = used.iter().map(|(oid, _)| *oid).collect();
    let rows = client.query_typed(sql, &[(&oids, Type::OID_ARRAY)]).await?;
    let types = rows.iter().map(|row| {
        let (element, is_array): (Oid, bool) = (row.try_get(8)?, row.try_get(9)?);
        let ty = RawType {
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            kind: letter(row, 3)?,
            base: row.try_get(4)?,
            modifier: row.try_get(5)?,
            not_null: row.try_get(6)?,
            has_default: row.try_get(7)?,
            element: (is_array && element != 0).then_some(element),
            parts: row.try_get(10)?,
            casts_to_text: row.try_get(11)?,
            operators: row.try_get(12)?,
        };
        Ok((row.try_get(0)?, ty))
    });
    types.collect()
}

async fn read_declared<C: GenericClient + Sync>(
    client: &C,
    used: &BTreeSet<(Oid, i32)>,
) -> Result<HashMap<(Oid, i32), Declared>, tokio_postgres::Error> {
    let sql = "
        WITH RECURSIVE d (ty, modifier, base, base_modifier) AS (
            SELECT u.ty, u.modifier, u.ty, u.modifier FROM unnest($1::oid[], $2::int4[]) AS u (ty, modifier)
            UNION ALL
            SELECT d.ty, d.modifier, t.typbasetype, CASE t.typtypmod WHEN -1 THEN d.base_modifier ELSE t.typtypmod END
            FROM d JOIN pg_type AS t ON t.oid = d.base WHERE t.typtype = 'd')
        SELECT d.ty, d.modifier, format_type(d.ty, d.modifier), format_type(d.base, d.base_modifier)
        FROM d JOIN pg_type AS t ON t.oid = d.base WHERE t.typtype <> 'd'";
    let (types, modifiers): (Vec<Oid>, Vec<i32>) = used.iter().copied().unzip();
    let rows = client
        .query_typed(
            sql,
            &[(&types, Type::OID_ARRAY), (&modifiers, Type::INT4_ARRAY)],
        )
        .await?;
    rows.iter()
        .map(|row| {
            let declared = Declared {
                whole: row.try_get(2)?,
                base: row.try_get(3)?,
            };
            Ok(((row.try_get(0)?, row.try_get(1)?), declared))
        })
        .collect()
}

async fn read_indexes<C: GenericClient + Sync>(
    client: &C,
    oids: &[Oid],
) -> Result<HashMap<Oid, Vec<RawIndex>>, tokio_postgres::Error> {
    let sql = "
        SELECT i.indrelid, i.indexrelid, i.indisprimary, i.indimmediate,
            m.amname = 'btree' AND NOT i.indisexclusion AND (
                SELECT bool_and(o.opcdefault AND (a.attcollation = k.coll OR k.coll = 0))
                FROM unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[]) WITH ORDINALITY AS k (attnum, class, coll, nth)
                    JOIN pg_opclass AS o ON o.oid = k.class
                    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                WHERE k.nth <= i.indnkeyatts),
            (i.indkey::int2[])[0:i.indnkeyatts - 1]
        FROM unnest($1::oid[]) AS r (oid) JOIN pg_index AS i ON i.indrelid = r.oid
            JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS m ON m.oid = c.relam
        WHERE i.indisunique AND i.indisvalid AND i.indisready AND i.indislive
            AND i.indpred IS NULL AND i.indexprs IS NULL
        ORDER BY i.indrelid, i.indexrelid";
    let rows = client.query_typed(sql, &[(&oids, Type::OID_ARRAY)]).await?;
    let mut indexes: HashMap<Oid, Vec<RawIndex>> = HashMap::new();
    for row in rows {
        indexes.entry(row.try_get(0)?).or_default().push(RawIndex {
            oid: row.try_get(1)?,
            is_primary: row.try_get(2)?,
            is_immediate: row.try_get(3)?,
            is_plain: row.try_get::<_, Option<bool>>(4)?.unwrap_or(false),
            attnums: row.try_get(5)?,
        });
    }
    Ok(indexes)
}

/// Without those that PostgreSQL made for partitions, those of periods, which relate rows that overlap, not rows that are
/// equal.
async fn read_foreign_keys<C: GenericClient + Sync>(
    client: &C,
) -> Result<Vec<RawForeignKey>, tokio_postgres::Error> {
    let sql = "
        SELECT f.conrelid, f.confrelid, f.conkey, f.confkey
        FROM pg_constraint AS f LEFT JOIN pg_index AS i ON i.indexrelid = f.conindid
        WHERE f.contype = 'f' AND f.conparentid = 0 AND NOT coalesce(i.indisexclusion, false)";
    let rows = client.query_typed(sql, &[]).await?;
    rows.iter()
        .map(|row| {
            let (own, theirs): (Vec<i16>, Vec<i16>) = (row.try_get(2)?, row.try_get(3)?);
            Ok(RawForeignKey {
                child: row.try_get(0)?,
                parent: row.try_get(1)?,
                attnums: own.into_iter().zip(theirs).collect(),
            })
        })
        .collect()
}

async fn read_odd_partitions<C: GenericClient + Sync>(
    client: &C,
) -> Result<HashMap<Oid, OddPartition>, tokio_postgres::Error> {
    let sql = "
        SELECT pg_partition_root(c.oid)::oid, n.nspname || '.' || c.relname, c.relkind = 'f'
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relispartition AND (c.relkind = 'f' OR c.relkind = 'r' AND c.relpersistence = 'u')
            AND pg_partition_root(c.oid) IS NOT NULL
        ORDER BY n.nspname DESC, c.relname DESC";
    let rows = client.query_typed(sql, &[]).await?;
    rows.iter()
        .map(|row| {
            let partition = OddPartition {
                name: row.try_get(1)?,
                is_foreign: row.try_get(2)?,
            };
            Ok((row.try_get(0)?, partition))
        })
        .collect()
}

async fn read_fuzzy_collations<C: GenericClient + Sync>(
    client: &C,
) -> Result<HashSet<Oid>, tokio_postgres::Error> {
    let sql = "SELECT oid FROM pg_collation WHERE NOT collisdeterministic";
    let rows = client.query_typed(sql, &[]).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// A value of the type `"char"`, which the statement casts to `text`.
fn letter(row: &Row, index: usize) -> Result<char, tokio_postgres::Error> {
    let text: &str = row.try_get(index)?;
    Ok(text.chars().next().unwrap_or('\0'))
}
