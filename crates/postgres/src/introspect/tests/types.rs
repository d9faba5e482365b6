use highwater_sql::postgres::Family;
use highwater_throwaway::Cluster;

use super::{client, facts, load, position, table};
use crate::schema::Supply;

const PREPARE: &str = r#"
    CREATE SCHEMA "Other Schema";
    CREATE TYPE mood AS ENUM ('sad', 'ok');
    CREATE TYPE "Other Schema"."Mood ""x""" AS ENUM ('sad', 'ok');
    CREATE TYPE point3 AS (x int, y int, z int);
    CREATE TYPE priced AS (what text, price numeric);
    CREATE TYPE span AS RANGE (subtype = float8);
    CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%');
    CREATE DOMAIN work_email AS email NOT NULL;
    CREATE DOMAIN money2 AS numeric(12, 2) DEFAULT 0;
    CREATE DOMAIN money3 AS money2 CHECK (VALUE > 0);
    CREATE DOMAIN tags AS text[];
    CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TYPE public.date AS ENUM ('first', 'second');
"#;

#[tokio::test(flavor = "multi_thread")]
async fn types_of_columns() {
    // (declaration, property, family, type without domains, whether texts of equal values may differ)
    let cases = [
        (
            "boolean",
            "Boolean",
            "Boolean",
            r#""pg_catalog"."bool""#,
            false,
        ),
        (
            "smallint",
            "Int16",
            "Integer",
            r#""pg_catalog"."int2""#,
            false,
        ),
        (
            "integer",
            "Int32",
            "Integer",
            r#""pg_catalog"."int4""#,
            false,
        ),
        (
            "bigint",
            "Int64",
            "Integer",
            r#""pg_catalog"."int8""#,
            false,
        ),
        (
            "numeric",
            "Decimal",
            "Numeric",
            r#""pg_catalog"."numeric""#,
            true,
        ),
        (
            "numeric(10,2)",
            "Decimal 2",
            "Numeric",
            r#""pg_catalog"."numeric""#,
            true,
        ),
        (
            "numeric(5)",
            "Decimal 0",
            "Numeric",
            r#""pg_catalog"."numeric""#,
            true,
        ),
        ("real", "Single", "Float", r#""pg_catalog"."float4""#, true),
        (
            "double precision",
            "Double",
            "Float",
            r#""pg_catalog"."float8""#,
            true,
        ),
        ("text", "String", "Text", r#""pg_catalog"."text""#, false),
        (
            "varchar(7)",
            "String",
            "Text",
            r#""pg_catalog"."varchar""#,
            false,
        ),
        ("name", "String", "Text", r#""pg_catalog"."name""#, false),
        (
            "text COLLATE nocase",
            "String",
            "Text",
            r#""pg_catalog"."text""#,
            true,
        ),
        (
            r#"text COLLATE "C""#,
            "String",
            "Text",
            r#""pg_catalog"."text""#,
            false,
        ),
        (
            "char(3)",
            "String",
            "Other",
            r#""pg_catalog"."bpchar""#,
            false,
        ),
        (
            r#""char""#,
            "String",
            "Other",
            r#""pg_catalog"."char""#,
            false,
        ),
        ("uuid", "Guid", "Uuid", r#""pg_catalog"."uuid""#, false),
        (
            "pg_catalog.date",
            "Date",
            "Date",
            r#""pg_catalog"."date""#,
            false,
        ),
        ("time", "TimeOfDay", "Time", r#""pg_catalog"."time""#, false),
        (
            "time(2)",
            "TimeOfDay",
            "Time",
            r#""pg_catalog"."time""#,
            false,
        ),
        (
            "timestamp",
            "DateTimeOffset",
            "Timestamp",
            r#""pg_catalog"."timestamp""#,
            false,
        ),
        (
            "timestamptz(3)",
            "DateTimeOffset",
            "TimestampTz",
            r#""pg_catalog"."timestamptz""#,
            false,
        ),
        (
            "interval",
            "Duration",
            "Interval",
            r#""pg_catalog"."interval""#,
            true,
        ),
        ("bytea", "Binary", "Bytea", r#""pg_catalog"."bytea""#, false),
        (
            "timetz",
            "String",
            "Other",
            r#""pg_catalog"."timetz""#,
            true,
        ),
        ("json", "String", "Other", r#""pg_catalog"."json""#, true),
        ("jsonb", "String", "Other", r#""pg_catalog"."jsonb""#, true),
        ("xml", "String", "Other", r#""pg_catalog"."xml""#, true),
        ("inet", "String", "Other", r#""pg_catalog"."inet""#, false),
        ("money", "String", "Other", r#""pg_catalog"."money""#, false),
        ("bit(3)", "String", "Other", r#""pg_catalog"."bit""#, false),
        ("oid", "String", "Other", r#""pg_catalog"."oid""#, false),
        ("point", "String", "Other", r#""pg_catalog"."point""#, true),
        (
            "tsvector",
            "String",
            "Other",
            r#""pg_catalog"."tsvector""#,
            true,
        ),
        (
            "int4range",
            "String",
            "Other",
            r#""pg_catalog"."int4range""#,
            false,
        ),
        (
            "numrange",
            "String",
            "Other",
            r#""pg_catalog"."numrange""#,
            true,
        ),
        ("span", "String", "Other", r#""public"."span""#, true),
        ("mood", "String", "Other", r#""public"."mood""#, false),
        (
            r#""Other Schema"."Mood ""x""""#,
            "String",
            "Other",
            r#""Other Schema"."Mood ""x""""#,
            false,
        ),
        (
            "public.date",
            "String",
            "Other",
            r#""public"."date""#,
            false,
        ),
        ("point3", "String", "Other", r#""public"."point3""#, true),
        ("int[]", "String", "Other", r#""pg_catalog"."_int4""#, false),
        ("mood[]", "String", "Other", r#""public"."_mood""#, false),
        (
            "numeric(4,1)[]",
            "String",
            "Other",
            r#""pg_catalog"."_numeric""#,
            true,
        ),
        (
            "char(3)[]",
            "String",
            "Other",
            r#""pg_catalog"."_bpchar""#,
            true,
        ),
        ("email", "String", "Text", r#""pg_catalog"."text""#, false),
        (
            "work_email",
            "String",
            "Text",
            r#""pg_catalog"."text""#,
            false,
        ),
        (
            "money2",
            "Decimal 2",
            "Numeric",
            r#""pg_catalog"."numeric""#,
            true,
        ),
        (
            "money3",
            "Decimal 2",
            "Numeric",
            r#""pg_catalog"."numeric""#,
            true,
        ),
        ("tags", "String", "Other", r#""pg_catalog"."_text""#, false),
    ];
    let columns: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(i, (declared, ..))| format!("c{i} {declared}"))
        .collect();
    let database = Cluster::shared().database().unwrap();
    let mut client = client(&database, PREPARE).await;
    super::execute(&client, &format!("CREATE TABLE t ({})", columns.join(", "))).await;
    let schema = load(&mut client).await.unwrap();
    let columns = &table(&schema, "t").columns;
    let layouts = &schema.layouts[position(&schema, "t").unwrap()].columns;
    assert_eq!((columns.len(), layouts.len()), (cases.len(), cases.len()));
    for ((declared, property, family, ty, coarse), (column, layout)) in
        cases.iter().zip(columns.iter().zip(layouts))
    {
        let scale = column.scale.map_or(String::new(), |s| format!(" {s}"));
        let found = (
            format!("{:?}{scale}", column.ty),
            format!("{:?}", layout.family),
            layout.ty.as_str(),
            layout.coarse,
        );
        assert_eq!(
            found,
            ((*property).into(), (*family).into(), *ty, *coarse),
            "{declared}"
        );
        // It must be possible to use it, whatever the search path.
        let sql = format!(
            "SET search_path = pg_catalog; SELECT NULL::{}; RESET search_path",
            layout.ty
        );
        super::execute(&client, &sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_columns() {
    use Supply as S;
    // (declaration, nullable, computed, has a default, supply)
    let cases = [
        ("int", true, false, false, S::None),
        ("int NOT NULL", false, false, false, S::None),
        ("int DEFAULT 1", true, false, true, S::Default),
        ("serial", false, false, true, S::Default),
        (
            "int GENERATED ALWAYS AS IDENTITY",
            false,
            true,
            true,
            S::IdentityAlways,
        ),
        (
            "int GENERATED ALWAYS AS (1 + 1) STORED",
            true,
            true,
            true,
            S::Expression,
        ),
        ("work_email", false, false, false, S::None),
        ("money3", true, false, true, S::Default),
    ];
    let columns: Vec<String> = cases
        .iter()
        .enumerate()
        .map(|(i, (declared, ..))| format!("c{i} {declared}"))
        .collect();
    let database = Cluster::shared().database().unwrap();
    let mut client = client(&database, PREPARE).await;
    let sql = format!(
        "CREATE TABLE t (gone int, {}); ALTER TABLE t DROP gone;
         CREATE TABLE u (c int GENERATED BY DEFAULT AS IDENTITY)",
        columns.join(", ")
    );
    super::execute(&client, &sql).await;
    let schema = load(&mut client).await.unwrap();
    let (columns, facts_of) = (&table(&schema, "t").columns, &facts(&schema, "t").columns);
    for (i, (declared, nullable, computed, has_default, supply)) in cases.iter().enumerate() {
        let (column, facts) = (&columns[i], &facts_of[i]);
        assert_eq!(
            (
                column.nullable,
                column.computed,
                column.has_default,
                facts.supply
            ),
            (*nullable, *computed, *has_default, *supply),
            "{declared}"
        );
        assert_eq!(facts.not_null, !nullable, "{declared}");
        // The first was dropped.
        assert_eq!(usize::try_from(facts.attnum).unwrap(), i + 2);
    }
    assert_eq!(facts(&schema, "u").columns[0].supply, S::Identity);
    let declared: Vec<&str> = facts_of.iter().map(|c| c.declared.as_str()).collect();
    assert_eq!(declared[6..], ["public.work_email", "public.money3"]);
    let base: Vec<&str> = facts_of.iter().map(|c| c.base.as_str()).collect();
    assert_eq!(base[6..], ["text", "numeric(12,2)"]);
    let unmodified = facts_of[7].unmodified.as_deref();
    assert_eq!(unmodified, Some(r#""pg_catalog"."numeric""#));
}

#[tokio::test(flavor = "multi_thread")]
async fn types_of_extensions() {
    let database = Cluster::shared().database().unwrap();
    let mut client = client(&database, "CREATE SCHEMA extra").await;
    for extension in ["citext", "hstore", "ltree"] {
        let sql = format!("CREATE EXTENSION {extension} SCHEMA extra");
        if client.batch_execute(&sql).await.is_err() {
            // A package of the server alone.
            return;
        }
    }
    let sql = "CREATE TABLE t (a extra.citext PRIMARY KEY, b extra.hstore, c extra.ltree, d extra.citext[])";
    super::execute(&client, sql).await;
    let schema = load(&mut client).await.unwrap();
    let layouts = &schema.layouts[position(&schema, "t").unwrap()].columns;
    let types: Vec<&str> = layouts.iter().map(|layout| layout.ty.as_str()).collect();
    assert_eq!(
        types,
        [
            r#""extra"."citext""#,
            r#""extra"."hstore""#,
            r#""extra"."ltree""#,
            r#""extra"."_citext""#
        ]
    );
    assert!(
        layouts
            .iter()
            .all(|layout| layout.coarse && layout.family == Family::Other)
    );
    assert_eq!(facts(&schema, "t").obstacle, None);
}
