//! One consistent look at a database: its tables, what tracking each of them would take, and what is there.
//!
//! What must hold: a table is *sound* only if every object of its capture exists with exactly the text that this version would
//! create now, its history is younger than the table (which was not created anew since), its triggers are younger than all others of the
//! table (SQLite fires the youngest first), its fingerprint is that of the table's present schema, and nothing was written to it while
//! the schema changed unseen. Everything else is not tracked.

use std::collections::HashMap;

use rusqlite::Connection;
use xxhash_rust::xxh3::Xxh3;

use crate::capture::ddl::{self, Object, ObjectKind};
use crate::capture::shape::{self, KeyColumn, Shape};
use crate::facts::{LeftOut, history_table, quote};
use crate::failure::Failure;
use crate::introspect::raw::{self, RawObject, RawSchema, RawTable};
use crate::meta::{self, Inspected};
use crate::snapshot::newest;

/// What was found.
pub(crate) struct Survey {
    /// `PRAGMA schema_version`.
    pub(crate) version: u64,
    /// By name.
    pub(crate) tables: Vec<Surveyed>,
    pub(crate) left_out: Vec<LeftOut>,
    /// Tracked tables that are not sound, or do not exist any more: what is left of their capture must go.
    pub(crate) unsound: Vec<Registered>,
    /// Whether Highwater's own tables are there and complete.
    pub(crate) has_meta: bool,
    /// Highwater's objects that belong to no sound table.
    pub(crate) leftovers: Vec<RawObject>,
    /// Whether this version of the schema is the one that was inspected last (or nothing is tracked).
    pub(crate) is_noted: bool,
}

/// A table, and what is known of its tracking.
pub(crate) struct Surveyed {
    pub(crate) raw: RawTable,
    /// The usable key, if there is one.
    pub(crate) key: Option<Vec<KeyColumn>>,
    /// What is needed to track it, or why that is impossible.
    pub(crate) shape: Result<Shape, String>,
    pub(crate) health: Health,
}

/// The state of a table's tracking.
pub(crate) enum Health {
    Sound {
        id: i64,
        incarnation: u64,
    },
    /// Its capture is sound now, but since the last inspection the schema was changed several times. `REPLACE` may have removed rows because
    /// of a unique index that is gone again, if the table was written to, or the triggers may have been away for a while.
    Doubtful {
        id: i64,
        reason: String,
    },
    Absent {
        reason: String,
    },
}

/// A row of `highwater_table`.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) incarnation: i64,
    pub(crate) fingerprint: String,
}

/// So many changes of the schema, seen at once, cast doubt on every table: they suffice to drop the five triggers that each tracked table has
/// at least and to create them again, as programs do around a bulk load.
const CHANGES_TRUSTED_MAX: i32 = 10;

impl Survey {
    /// Looks. The caller holds a transaction.
    pub(crate) fn of(connection: &Connection) -> Result<Survey, Failure> {
        Survey::after(connection, None)
    }

    /// Looks again at a database that was in order when its schema had this version.
    pub(crate) fn after(connection: &Connection, seen: Option<u64>) -> Result<Survey, Failure> {
        let has_meta = meta::load(connection)?.is_some();
        let schema = raw::read(connection)?;
        let registered = if has_meta {
            read_registered(connection)?
        } else {
            Vec::new()
        };
        let mut survey = Survey::judge(schema, registered, has_meta);
        if has_meta {
            survey.doubt(connection, meta::inspected(connection)?, seen);
        }
        Ok(survey)
    }

    fn judge(schema: RawSchema, registered: Vec<Registered>, has_meta: bool) -> Survey {
        let RawSchema {
            version,
            tables,
            left_out,
            objects,
            collations,
        } = schema;
        let existing = Existing::of(&objects);
        let mut unsound = Vec::new();
        let mut sound = Vec::new();
        let mut by_name: HashMap<String, Registered> = registered
            .into_iter()
            .map(|r| (r.name.clone(), r))
            .collect();
        let mut surveyed = Vec::new();
        for raw in tables {
            let analysed = shape::key_of(&raw, &collations);
            let (key, shape) = match analysed {
                Ok(key) => (Some(key.clone()), shape::shape_of(&raw, key)),
                Err(reason) => (None, Err(reason)),
            };
            let registered = by_name.remove(&raw.name);
            let health = match (&shape, registered) {
                (Err(reason), registered) => {
                    unsound.extend(registered);
                    Health::Absent {
                        reason: reason.clone(),
                    }
                }
                (Ok(_), None) => Health::Absent {
                    reason: NOT_TRACKED.to_owned(),
                },
                (Ok(shape), Some(registered)) => {
                    let wanted = ddl::objects(shape, registered.id);
                    if existing.is_sound(&raw, &wanted, &registered) {
                        sound.push(wanted);
                        Health::Sound {
                            id: registered.id,
                            incarnation: registered.incarnation.cast_unsigned(),
                        }
                    } else {
                        unsound.push(registered);
                        Health::Absent {
                            reason: needs_renewal(&raw.name),
                        }
                    }
                }
            };
            surveyed.push(Surveyed {
                raw,
                key,
                shape,
                health,
            });
        }
        unsound.extend(by_name.into_values());
        unsound.sort_by_key(|r| r.id);
        let leftovers = existing.leftovers(&sound);
        Survey {
            version,
            tables: surveyed,
            left_out,
            unsound,
            has_meta,
            leftovers,
            is_noted: true,
        }
    }

    /// A single change of the schema can be seen. Of several, the last may hide what the first did.
    fn doubt(&mut self, connection: &Connection, inspected: Option<Inspected>, seen: Option<u64>) {
        // The file has 32 bits for the version.
        let since = |version: u32| (self.version as u32).wrapping_sub(version) as i32;
        let changes = inspected.map(|at| since(at.schema_version as u32));
        self.is_noted = changes == Some(0);
        // A copy that SQLite's backup made begins to count anew: it is a state of the database, with nothing hidden in it.
        if changes.is_some_and(|changes| changes <= 1) {
            return;
        }
        // To restore a backup over the database is one change, but the note is as old as the backup.
        if seen.is_some_and(|seen| matches!(since(seen as u32), 0 | 1)) {
            return;
        }
        let trusted = inspected.filter(|_| changes.is_some_and(|n| n < CHANGES_TRUSTED_MAX));
        for surveyed in &mut self.tables {
            if let Health::Sound { id, .. } = surveyed.health
                && !trusted.is_some_and(|at| newest(connection, id).is_ok_and(|it| it <= at.clock))
            {
                surveyed.health = Health::Doubtful {
                    id,
                    reason: needs_renewal(&surveyed.raw.name),
                };
            }
        }
    }
}

/// The same for all tables, so that a status can say it once.
const NOT_TRACKED: &str =
    "Tracking is not switched on; `highwater serve` or `highwater track` begins it.";

fn needs_renewal(table: &str) -> String {
    format!(
        "The table or its triggers were changed after tracking began; run `highwater track` for {} to begin anew.",
        quote(table)
    )
}

/// Identity of a table's schema and of its capture. Another fingerprint ends all links.
pub(crate) fn fingerprint(raw: &RawTable, wanted: &[Object]) -> String {
    let mut hash = Xxh3::new();
    let mut add = |text: &str| {
        hash.update(&(text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    };
    add(&raw.name);
    add(&raw.sql);
    for index in raw.indexes.iter().filter(|i| i.unique) {
        add(index.sql.as_deref().unwrap_or_default());
    }
    for object in wanted {
        add(&object.sql);
    }
    format!("{:032x}", hash.digest128())
}

fn read_registered(connection: &Connection) -> rusqlite::Result<Vec<Registered>> {
    connection
        .prepare("SELECT id, name, incarnation, fingerprint FROM main.highwater_table ORDER BY id")?
        .query_map([], |row| {
            Ok(Registered {
                id: row.get(0)?,
                name: row.get(1)?,
                incarnation: row.get(2)?,
                fingerprint: row.get(3)?,
            })
        })?
        .collect()
}

/// The objects in the schema, by name and by table.
struct Existing<'a> {
    by_name: HashMap<&'a str, &'a RawObject>,
    /// Age of each table. (A trigger may have the name of a table.)
    tables: HashMap<&'a str, i64>,
    /// Age of the youngest trigger of each table (name in lower case) that is not ours.
    youngest_foreign: HashMap<String, i64>,
}

impl<'a> Existing<'a> {
    fn of(objects: &'a [RawObject]) -> Existing<'a> {
        let mut youngest_foreign = HashMap::new();
        for object in objects {
            if object.kind == "trigger" && !meta::is_own_part(&object.name) {
                // The objects come in the order of creation.
                youngest_foreign.insert(object.table.to_ascii_lowercase(), object.rowid);
            }
        }
        let by_name = objects.iter().map(|o| (o.name.as_str(), o)).collect();
        let tables = objects.iter().filter(|o| o.kind == "table");
        Existing {
            by_name,
            tables: tables.map(|o| (o.name.as_str(), o.rowid)).collect(),
            youngest_foreign,
        }
    }

    fn is_sound(&self, raw: &RawTable, wanted: &[Object], registered: &Registered) -> bool {
        let youngest = self
            .youngest_foreign
            .get(&raw.name.to_ascii_lowercase())
            .copied();
        let age = |name: &str| self.tables.get(name).copied();
        registered.fingerprint == fingerprint(raw, wanted)
            && age(&raw.name) < age(&history_table(registered.id))
            && wanted.iter().all(|object| {
                self.by_name.get(object.name.as_str()).is_some_and(|found| {
                    found.sql == object.sql
                        && (object.kind != ObjectKind::Trigger
                            || youngest.is_none_or(|foreign| foreign < found.rowid))
                })
            })
    }

    /// Highwater's histories and triggers that no sound table wants.
    fn leftovers(&self, sound: &[Vec<Object>]) -> Vec<RawObject> {
        let wanted = |name: &str| sound.iter().flatten().any(|o| o.name == name);
        let mut leftovers: Vec<RawObject> = self
            .by_name
            .values()
            .filter(|o| match o.kind.as_str() {
                "trigger" | "index" => meta::is_own_part(&o.name),
                "table" => meta::is_own_table(&o.name) && o.name.starts_with("highwater_history_"),
                _ => false,
            })
            .filter(|o| !wanted(&o.name))
            .map(|o| (*o).clone())
            .collect();
        leftovers.sort_by_key(|o| o.rowid);
        leftovers
    }
}
