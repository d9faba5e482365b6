//! What there is: tables, registrations, and rights, as one transaction sees them.

use std::collections::{HashMap, HashSet};

use highwater_core::Error;
use highwater_core::tracking::Policy;
use tokio_postgres::types::{Oid, Type};
use tokio_postgres::{Client, IsolationLevel, Transaction};

use crate::capture::{self, Leaf, Target};
use crate::error::Fault;
use crate::introspect;
use crate::own_schema::{self, State};
use crate::schema::{Capture, Kind, Schema, TableFacts, is_called, label};

/// What there is.
pub(super) struct Survey {
    pub(super) schema: Schema,
    /// Whether there is no schema `highwater`.
    pub(super) is_absent: bool,
    /// Whether the database is the one that its identity was noted of. (True if nothing was noted.)
    pub(super) is_identified: bool,
    /// Whether this role may change Highwater's tables, or make them.
    pub(super) owns_schema: bool,
    /// In the order of creation.
    pub(super) registered: Vec<Registration>,
    /// By relation: what `highwater.layout()` says now.
    pub(super) layouts: Layouts,
    /// Relations that this role may change.
    owned: HashSet<Oid>,
    /// By root.
    leaves: HashMap<Oid, Vec<Leaf>>,
}

/// A row of `highwater.registered`.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    pub(super) id: i32,
    pub(super) relation: Oid,
    pub(super) schema: String,
    pub(super) name: String,
    /// Whether its relation exists.
    pub(super) exists: bool,
    /// Whether its relation does not exist any more or is this role's.
    pub(super) may_forget: bool,
    /// Whether its relation is what it was.
    is_unchanged: bool,
    /// Whether its relation is what it was but for new partitions.
    is_extended: bool,
    leaves: Vec<Oid>,
    capture: i32,
    digest: String,
}

impl Registration {
    pub(super) fn label(&self) -> String {
        label(&self.schema, &self.name)
    }
}

impl Survey {
    /// `None` if Highwater's tables have an older format.
    pub(super) async fn take(client: &mut Client) -> Result<Option<Survey>, Fault> {
        let read = client
            .build_transaction()
            .isolation_level(IsolationLevel::RepeatableRead)
            .read_only(true)
            .start()
            .await?;
        let survey = Survey::take_in(&read).await?;
        read.commit().await?;
        Ok(survey)
    }

    /// As it would look to the owner of everything.
    pub(super) async fn take_for_another(client: &mut Client) -> Result<Option<Survey>, Fault> {
        let Some(mut survey) = Survey::take(client).await? else {
            return Ok(None);
        };
        survey.owns_schema = true;
        survey.owned = survey
            .schema
            .facts
            .iter()
            .map(|facts| facts.relation)
            .collect();
        Ok(Some(survey))
    }

    async fn take_in(read: &Transaction<'_>) -> Result<Option<Survey>, Fault> {
        let state = own_schema::state(read).await?;
        if let State::Older(_) = state {
            return Ok(None);
        }
        let schema = introspect::load_in(read).await?;
        let relations: Vec<Oid> = schema.facts.iter().map(|facts| facts.relation).collect();
        let mut survey = Survey {
            is_absent: state == State::Absent,
            is_identified: true,
            owns_schema: owns_schema(read).await?,
            registered: Vec::new(),
            layouts: HashMap::new(),
            owned: owned(read, &relations).await?,
            leaves: leaves(read, &schema).await?,
            schema,
        };
        if !survey.is_absent {
            survey.is_identified =
                survey.schema.in_recovery || crate::meta::is_identified(read).await?;
            (survey.registered, survey.layouts) = registered(read).await?;
            let others = relations
                .into_iter()
                .filter(|relation| !survey.layouts.contains_key(relation));
            let others = layouts(read, &others.collect::<Vec<_>>()).await?;
            survey.layouts.extend(others);
        }
        Ok(Some(survey))
    }

    /// Position of a table by a name that a person gave.
    pub(super) fn find(&self, name: &str) -> Result<usize, Fault> {
        let facts = &self.schema.facts;
        let position = facts
            .iter()
            .position(|f| is_called(&f.schema, &f.name, name));
        if let Some(position) = position {
            return Ok(position);
        }
        if let Some(left_out) = self
            .schema
            .left_out
            .iter()
            .find(|l| is_called(&l.schema, &l.name, name))
        {
            return Err(
                Error::Unsupported(format!("{name} is not served. {}", left_out.reason)).into(),
            );
        }
        let names: Vec<String> = facts.iter().map(TableFacts::label).take(20).collect();
        Err(Error::Unsupported(format!(
            "There is no table {name} (tables outside of the schema public are named schema.table); the database has {}.",
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        ))
        .into())
    }

    pub(super) fn label(&self, position: usize) -> String {
        self.schema.facts[position].label()
    }

    pub(super) fn registration(&self, id: i32) -> Option<&Registration> {
        self.registered.iter().find(|r| r.id == id)
    }

    /// Why a table cannot be tracked by this role.
    pub(super) fn obstacle(&self, position: usize) -> Option<String> {
        let facts = &self.schema.facts[position];
        if let Some(obstacle) = &facts.obstacle {
            return Some(obstacle.clone());
        }
        if self.may_change(position) {
            return None;
        }
        Some(
            if !self.owned.contains(&facts.relation) {
                "Only its owner can begin that; run the statements that `highwater track --print-sql` shows as the owner."
            } else if self.is_absent {
                "The role of this connection may not create the schema highwater; `GRANT CREATE ON DATABASE` to it."
            } else {
                "Another role owns the schema highwater; only that role can begin that, if it is a member of the table's owner."
            }
            .into(),
        )
    }

    /// Whether this role may put triggers on a table.
    pub(super) fn may_change(&self, position: usize) -> bool {
        self.owns_schema && self.owned.contains(&self.schema.facts[position].relation)
    }

    /// Registrations of a table: of itself, and of one of its name that is gone.
    pub(super) fn registrations_of(&self, position: usize) -> Vec<&Registration> {
        let facts = &self.schema.facts[position];
        let of = |r: &&Registration| {
            r.relation == facts.relation
                || !r.exists && (&r.schema, &r.name) == (&facts.schema, &facts.name)
        };
        self.registered.iter().filter(of).collect()
    }

    /// The table that a registration is about.
    pub(super) fn position_of(&self, registration: &Registration) -> Option<usize> {
        (0..self.schema.facts.len()).find(|position| {
            self.registrations_of(*position)
                .iter()
                .any(|r| r.id == registration.id)
        })
    }

    /// Whether a table is captured as this program would.
    pub(super) fn is_in_order(&self, position: usize, registration: &Registration) -> bool {
        let facts = &self.schema.facts[position];
        registration.relation == facts.relation
            && registration.is_unchanged
            && facts.obstacle.is_none()
            && self.is_by_me(registration, &self.target(position, 0))
    }

    /// Whether a table is captured as this program would, but for new partitions.
    pub(super) fn is_extended(&self, position: usize, registration: &Registration) -> bool {
        let facts = &self.schema.facts[position];
        let mut target = self.target(position, 0);
        target
            .leaves
            .retain(|leaf| registration.leaves.contains(&leaf.relation));
        registration.relation == facts.relation
            && registration.is_extended
            && facts.obstacle.is_none()
            && registration.capture == capture::VERSION
            && self.is_by_me(registration, &target)
    }

    /// The partitions that are not known to a registration.
    pub(super) fn new_leaves(&self, position: usize, id: i32) -> Vec<Oid> {
        let registration = self.registration(id);
        let leaves = self
            .target(position, 0)
            .leaves
            .into_iter()
            .map(|leaf| leaf.relation);
        leaves
            .filter(|leaf| registration.is_none_or(|r| !r.leaves.contains(leaf)))
            .collect()
    }

    fn is_by_me(&self, registration: &Registration, target: &Target<'_>) -> bool {
        match registration.capture.cmp(&capture::VERSION) {
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => {
                // By row is never wrong, so links need not end if it is no longer necessary.
                let by_row = || Target {
                    capture: Capture::Row,
                    ..target.clone()
                };
                registration.digest == digest(target)
                    || target.capture != Capture::Row && registration.digest == digest(&by_row())
            }
            // A newer program looks after it.
            std::cmp::Ordering::Greater => true,
        }
    }

    /// What has to be captured of a table.
    pub(super) fn target(&self, position: usize, id: i32) -> Target<'_> {
        let facts = &self.schema.facts[position];
        Target {
            id,
            facts,
            columns: &self.schema.layouts[position].columns,
            capture: facts.capture,
            leaves: self
                .leaves
                .get(&facts.relation)
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// A digest of how a table is captured. (The number of the tracking in the target should be 0.)
pub(super) fn digest(target: &Target<'_>) -> String {
    let mut sql = capture::history(target);
    sql.extend(capture::triggers(target));
    format!(
        "{:032x}",
        xxhash_rust::xxh3::xxh3_128(sql.join(";").as_bytes())
    )
}

/// Whether a policy is for tracking a table.
pub(crate) fn is_wanted(facts: &TableFacts, policy: &Policy) -> bool {
    let named = |names: &[String]| {
        names
            .iter()
            .any(|name| is_called(&facts.schema, &facts.name, name))
    };
    match policy {
        Policy::All => true,
        Policy::Only(names) => named(names),
        Policy::Except(names) => !named(names),
    }
}

async fn owns_schema(read: &Transaction<'_>) -> Result<bool, Fault> {
    let sql = "SELECT coalesce((SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace AS n WHERE n.nspname = 'highwater'), \
         has_database_privilege(current_database(), 'CREATE'))";
    Ok(read.query_typed_one(sql, &[]).await?.try_get(0)?)
}

async fn owned(read: &Transaction<'_>, relations: &[Oid]) -> Result<HashSet<Oid>, Fault> {
    let sql = "SELECT c.oid FROM pg_class AS c WHERE c.oid = ANY ($1) AND pg_has_role(c.relowner, 'USAGE')";
    let rows = read
        .query_typed(sql, &[(&relations, Type::OID_ARRAY)])
        .await?;
    Ok(rows
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()?)
}

type Layouts = HashMap<Oid, Option<String>>;

/// What is registered, and the layouts of these relations now.
async fn registered(read: &Transaction<'_>) -> Result<(Vec<Registration>, Layouts), Fault> {
    // A layout costs more than all the rest.
    let sql = "SELECT r.id, r.relation, r.schema_name, r.table_name, c.oid IS NOT NULL, now.layout, \
         coalesce(r.layout = now.layout, false), \
         r.leaves <> '{}' AND r.layout <> now.layout AND coalesce(r.layout = highwater.layout(r.relation, r.leaves), false), \
         r.leaves, r.capture, r.digest, coalesce(pg_has_role(c.relowner, 'USAGE'), true) \
         FROM highwater.registered AS r LEFT JOIN pg_class AS c ON c.oid = r.relation \
         CROSS JOIN LATERAL (SELECT highwater.layout(r.relation) AS layout OFFSET 0) AS now ORDER BY r.id";
    let rows = read.query_typed(sql, &[]).await?;
    let mut registered = Vec::with_capacity(rows.len());
    let mut layouts = HashMap::with_capacity(rows.len());
    for row in rows {
        let relation = row.try_get(1)?;
        layouts.insert(relation, row.try_get(5)?);
        registered.push(Registration {
            id: row.try_get(0)?,
            relation,
            schema: row.try_get(2)?,
            name: row.try_get(3)?,
            exists: row.try_get(4)?,
            is_unchanged: row.try_get(6)?,
            is_extended: row.try_get(7)?,
            leaves: row.try_get(8)?,
            capture: row.try_get(9)?,
            digest: row.try_get(10)?,
            may_forget: row.try_get(11)?,
        });
    }
    Ok((registered, layouts))
}

async fn layouts(read: &Transaction<'_>, relations: &[Oid]) -> Result<Layouts, Fault> {
    if relations.is_empty() {
        return Ok(Layouts::new());
    }
    let sql = "SELECT r, highwater.layout(r) FROM unnest($1) AS r";
    let rows = read
        .query_typed(sql, &[(&relations, Type::OID_ARRAY)])
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect()
}

async fn leaves(read: &Transaction<'_>, schema: &Schema) -> Result<HashMap<Oid, Vec<Leaf>>, Fault> {
    let roots: Vec<Oid> = schema
        .facts
        .iter()
        .filter(|f| f.kind == Kind::Partitioned)
        .map(|f| f.relation)
        .collect();
    let mut leaves: HashMap<Oid, Vec<Leaf>> = HashMap::new();
    if roots.is_empty() {
        return Ok(leaves);
    }
    let names = |relation: &str| {
        format!(
            "(SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute AS a WHERE a.attrelid = {relation} AND a.attnum > 0 AND NOT a.attisdropped)"
        )
    };
    let sql = format!(
        "SELECT root, c.oid, n.nspname::text, c.relname::text, {} = {} \
         FROM unnest($1) AS root CROSS JOIN LATERAL pg_partition_tree(root) AS t \
         JOIN pg_class AS c ON c.oid = t.relid JOIN pg_namespace AS n ON n.oid = c.relnamespace \
         WHERE t.relid <> root ORDER BY c.oid",
        names("c.oid"),
        names("root")
    );
    for row in read.query_typed(&sql, &[(&roots, Type::OID_ARRAY)]).await? {
        leaves.entry(row.try_get(0)?).or_default().push(Leaf {
            relation: row.try_get(1)?,
            schema: row.try_get(2)?,
            name: row.try_get(3)?,
            is_in_order: row.try_get(4)?,
        });
    }
    Ok(leaves)
}
