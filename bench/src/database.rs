//! The table that everything is measured on: 239 bytes of JSON a row.

use std::path::Path;

use anyhow::Result;
use highwater_odata::edm::{
    Capabilities, ConformanceLevel, EntitySet, EntityType, Model, ModelParts, Property, Tracking,
};
use highwater_odata::payload::{Format, Plan, PlanParams, Root, Shape, Target};
use highwater_odata::{PrimitiveType, Version};
use rusqlite::{Connection, params};

/// What every row looks like.
pub const SCHEMA: &str = "CREATE TABLE people (
    id TEXT PRIMARY KEY NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    city TEXT NOT NULL,
    balance NUMERIC NOT NULL,
    modified TEXT NOT NULL
) WITHOUT ROWID";

/// Creates the table with rows 0 to `rows`.
pub fn create(path: &Path, rows: u32) -> Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.busy_timeout(std::time::Duration::from_secs(60))?;
    connection.execute_batch(SCHEMA)?;
    insert(&connection, 0..rows)?;
    Ok(connection)
}

/// Inserts rows in one transaction.
pub fn insert(connection: &Connection, rows: std::ops::Range<u32>) -> Result<()> {
    connection.execute_batch("BEGIN")?;
    let mut insert =
        connection.prepare("INSERT INTO people VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for n in rows {
        insert.execute(params![
            id(n),
            n,
            format!("Ada Lovelace the {n}th"),
            format!("ada.lovelace.{n}@analytical-engine.example"),
            ["London", "Paris", "København", "Zürich"][n as usize % 4],
            f64::from(n) + 0.25,
            "2026-11-21T10:20:30Z",
        ])?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// The key of row `n`: scattered, as uuids are.
pub fn id(n: u32) -> String {
    let scattered = (u64::from(n) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (a, b) = (scattered >> 32, scattered & 0xffff_ffff);
    format!(
        "{a:08x}-{:04x}-4{:03x}-8{:03x}-{n:012x}",
        b >> 16,
        b >> 4 & 0xfff,
        b & 0xfff
    )
}

/// Changes `count` rows spread over a table of `rows`, in one transaction.
pub fn change(connection: &Connection, rows: u32, count: u32) -> Result<()> {
    connection.execute_batch("BEGIN")?;
    let mut update = connection.prepare("UPDATE people SET balance = balance + 1 WHERE id = ?1")?;
    for n in 0..count {
        update.execute([id(
            (u64::from(n) * u64::from(rows) / u64::from(count)) as u32
        )])?;
    }
    connection.execute_batch("COMMIT")?;
    Ok(())
}

/// How the product writes the table's rows, for measuring without the product around it.
pub fn plan() -> Result<Plan> {
    use PrimitiveType as T;
    let columns = [
        ("id", T::String),
        ("number", T::Int64),
        ("name", T::String),
        ("email", T::String),
        ("city", T::String),
        ("balance", T::Decimal),
        ("modified", T::String),
    ];
    let property = |(source, (name, ty)): (usize, (&str, PrimitiveType))| Property {
        name: name.to_owned(),
        ty,
        nullable: false,
        computed: false,
        has_default: false,
        scale: None,
        source,
    };
    let properties = columns.into_iter().enumerate().map(property).collect();
    let model = Model::new(ModelParts {
        namespace: "Bench".into(),
        container: "Container".into(),
        entity_types: vec![EntityType::new("people", properties, vec![0], Vec::new())],
        entity_sets: vec![EntitySet {
            name: "people".into(),
            entity_type: 0,
            tracking: Tracking::Tracked,
            insertable: true,
            updatable: true,
            deletable: true,
            requires_etag: false,
            source: 0,
        }],
        complex_types: Vec::new(),
        function_imports: Vec::new(),
        capabilities: Capabilities {
            conformance: ConformanceLevel::Minimal,
            filter_functions: Vec::new(),
            key_as_segment: false,
            query_segment: false,
            deep_insert: false,
        },
    })?;
    Ok(Plan::new(PlanParams {
        model: &model,
        target: Target::EntitySet(0),
        root: Root::Collection,
        shape: &Shape::all(model.set_type(0)),
        format: Format::new(Version::V4_01),
        context: "http://127.0.0.1/odata/$metadata#people",
        omit_nulls: false,
    }))
}
