//! From a catalog and its settings to a [`ServiceModel`].
//!
//! The steps depend on each other in this order: entity sets get their names, then properties, then navigation properties to one
//! entity (named after properties), then those to many (named after sets and the navigation properties of the other end).

use std::collections::HashSet;
use std::sync::Arc;

use highwater_core::{Catalog, Relation, Table};
use highwater_odata::edm::{
    self, Capabilities, ComplexType, ConformanceLevel, EntitySet, EntityType, FunctionImport,
    ModelParts, Navigation, Property, ReferentialConstraint,
};
use highwater_odata::url::ast;

use super::naming::{self, Wanted};
use super::{Collection, CollectionKind, ModelError, ModelPart, ServiceModel, scope};
use crate::bind;
use crate::settings::{DEFAULT_SCHEMA, Settings, TableSettings};

/// Namespace of the only schema.
const NAMESPACE: &str = "Highwater";
/// Name of the only container, unless a table has it.
const CONTAINER: &str = "Container";

/// A table on its way to a collection.
struct Draft<'a> {
    table: usize,
    source: &'a Table,
    /// The key in the settings, and what stands there.
    settings: Option<(&'a str, &'a TableSettings)>,
    name: String,
    properties: Vec<String>,
    /// By relation; `None` where the other end is not exposed.
    navigations: Vec<Option<String>>,
}

impl<'a> Draft<'a> {
    fn settings(&self) -> Option<&'a TableSettings> {
        self.settings.map(|(_, settings)| settings)
    }

    /// How an error names the table: as the settings do.
    fn key(&self) -> String {
        match self.settings {
            Some((key, _)) => key.to_owned(),
            None => short_name(self.source),
        }
    }
}

pub(super) fn build(
    catalog: &Arc<Catalog>,
    settings: &Settings,
) -> Result<ServiceModel, ModelError> {
    check_names_exist(catalog, settings)?;
    let mut drafts = name_collections(catalog, settings)?;
    for draft in &mut drafts {
        draft.properties = name_properties(draft)?;
    }
    let drafts = name_navigations(catalog, drafts);
    let mut model = assemble(catalog, settings, &drafts)?;
    check_filters(&mut model, &drafts, settings)?;
    Ok(model)
}

/// Every table and column that the settings name must exist: a forgotten rename must not open what a filter had closed.
fn check_names_exist(catalog: &Catalog, settings: &Settings) -> Result<(), ModelError> {
    for (key, table_settings) in &settings.tables {
        let table = catalog.tables.iter().find(|table| {
            settings
                .table(table.schema.as_deref(), &table.name)
                .is_some_and(|found| std::ptr::eq(found, table_settings))
        });
        let Some(table) = table else {
            let known: Vec<String> = catalog.tables.iter().map(short_name).collect();
            return Err(ModelError {
                table: key.clone(),
                part: ModelPart::Table,
                what: format!(
                    "the database has no such table{}",
                    did_you_mean(nearest_table(key, &known))
                ),
            });
        };
        for column in table_settings.properties.keys() {
            if table.column(column).is_none() {
                let known = table.columns.iter().map(|column| column.name.as_str());
                return Err(ModelError {
                    table: key.clone(),
                    part: ModelPart::Property(column.clone()),
                    what: format!(
                        "the table has no such column{}",
                        did_you_mean(naming::nearest(column, known))
                    ),
                });
            }
        }
    }
    Ok(())
}

/// The table that was probably meant: by a name that is nearly right, or by one that only lacks its schema.
fn nearest_table<'a>(key: &str, known: &'a [String]) -> Option<&'a str> {
    let known = || known.iter().map(String::as_str);
    let in_a_schema = |name: &&str| name.split_once('.').is_some_and(|(_, name)| name == key);
    known()
        .find(in_a_schema)
        .or_else(|| naming::nearest(key, known()))
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

fn name_collections<'a>(
    catalog: &'a Catalog,
    settings: &'a Settings,
) -> Result<Vec<Draft<'a>>, ModelError> {
    let mut drafts: Vec<Draft<'_>> = catalog
        .tables
        .iter()
        .enumerate()
        .filter(|(_, table)| settings.exposes(table.schema.as_deref(), &table.name))
        // A type without properties is legal, but nothing could be read of it.
        .filter(|(_, table)| !table.columns.is_empty())
        .map(|(position, table)| Draft {
            table: position,
            source: table,
            settings: settings.entry(table.schema.as_deref(), &table.name),
            name: String::new(),
            properties: Vec::new(),
            navigations: Vec::new(),
        })
        .collect();
    let configured = |draft: &Draft<'a>| draft.settings()?.entity_set.as_deref();
    let mut seen = HashSet::new();
    for draft in &drafts {
        if let Some(name) = configured(draft) {
            check_configured(draft, ModelPart::EntitySet, name, &mut seen)?;
        }
    }
    let wanted: Vec<Wanted<'_>> = drafts
        .iter()
        .map(|draft| Wanted {
            schema: other_schema(draft.source),
            source: &draft.source.name,
            configured: configured(draft),
        })
        .collect();
    let names = naming::assign(&wanted, &mut HashSet::new());
    for (draft, name) in drafts.iter_mut().zip(names) {
        draft.name = name;
    }
    Ok(drafts)
}

fn name_properties(draft: &Draft<'_>) -> Result<Vec<String>, ModelError> {
    let configured = |column: &str| -> Option<&str> {
        draft.settings()?.properties.get(column).map(String::as_str)
    };
    let mut seen = HashSet::new();
    for column in &draft.source.columns {
        if let Some(name) = configured(&column.name) {
            let part = ModelPart::Property(column.name.clone());
            check_configured(draft, part, name, &mut seen)?;
        }
    }
    let wanted: Vec<Wanted<'_>> = draft
        .source
        .columns
        .iter()
        .map(|column| Wanted {
            schema: None,
            source: &column.name,
            configured: configured(&column.name),
        })
        .collect();
    Ok(naming::assign(&wanted, &mut HashSet::new()))
}

fn check_configured(
    draft: &Draft<'_>,
    part: ModelPart,
    name: &str,
    seen: &mut HashSet<String>,
) -> Result<(), ModelError> {
    let what = if !naming::is_usable(name) {
        format!(
            "{name:?} cannot be used as a name; start with a letter or _, go on with letters, digits or _, at most \
             {} in all, and not null, true, false, not, INF or NaN",
            edm::IDENTIFIER_LEN_MAX_CHARS
        )
    } else if !seen.insert(name.to_owned()) {
        format!("the name {name:?} is given twice; choose another")
    } else {
        return Ok(());
    };
    Err(ModelError {
        table: draft.key(),
        part,
        what,
    })
}

/// The schema, if it is not the one whose tables go by their name alone.
fn other_schema(table: &Table) -> Option<&str> {
    let schema = table.schema.as_deref();
    schema.filter(|schema| *schema != DEFAULT_SCHEMA)
}

/// The shortest key under which the settings can name a table.
fn short_name(table: &Table) -> String {
    match other_schema(table) {
        Some(schema) => format!("{schema}.{}", table.name),
        None => table.name.clone(),
    }
}

/// A navigation property that is to be named.
struct Candidate {
    relation: usize,
    /// The name if nothing stands against it.
    short: Option<String>,
    /// The name otherwise.
    long: String,
}

fn name_navigations<'a>(catalog: &Catalog, mut drafts: Vec<Draft<'a>>) -> Vec<Draft<'a>> {
    let mut by_table: Vec<Option<usize>> = vec![None; catalog.tables.len()];
    for (position, draft) in drafts.iter().enumerate() {
        // An entity type cannot refer to rows without a key, and they cannot be navigated from.
        by_table[draft.table] = (!draft.source.key.is_empty()).then_some(position);
    }
    let mut used: Vec<HashSet<String>> = Vec::new();
    for draft in &mut drafts {
        draft.navigations = vec![None; draft.source.relations.len()];
        used.push(draft.properties.iter().cloned().collect());
    }
    for owns_key in [true, false] {
        for (position, used) in used.iter_mut().enumerate() {
            let draft = &drafts[position];
            if by_table[draft.table].is_none() {
                continue;
            }
            let candidates: Vec<Candidate> = draft
                .source
                .relations
                .iter()
                .enumerate()
                .filter(|(_, relation)| relation.owns_key == owns_key)
                .filter_map(|(index, relation)| {
                    let target = &drafts[by_table[relation.target]?];
                    Some(if owns_key {
                        candidate_owning(draft, target, index, relation)
                    } else {
                        candidate_owned(draft, target, index, relation)
                    })
                })
                .collect();
            for (relation, name) in decide(candidates, used) {
                drafts[position].navigations[relation] = Some(name);
            }
        }
    }
    drafts
}

/// `ArtistId` leads to `Artist`, `ReportsTo` to `ReportsTo_Employee`.
fn candidate_owning(
    draft: &Draft<'_>,
    target: &Draft<'_>,
    index: usize,
    relation: &Relation,
) -> Candidate {
    let columns: Vec<&str> = relation
        .columns
        .iter()
        .map(|&(here, _)| draft.properties[here].as_str())
        .collect();
    let short = match columns.as_slice() {
        [column] => naming::without_id_suffix(column),
        _ => Some(target.name.as_str()),
    };
    Candidate {
        relation: index,
        short: short.map(naming::identifier),
        long: naming::identifier(&format!("{}_{}", columns.join("_"), target.name)),
    }
}

/// `Album` if albums refer to this table once, otherwise `Album_Artist`.
fn candidate_owned(
    draft: &Draft<'_>,
    child: &Draft<'_>,
    index: usize,
    relation: &Relation,
) -> Candidate {
    let keys_to_here = child
        .source
        .relations
        .iter()
        .filter(|back| back.owns_key && back.target == draft.table)
        .count();
    let is_only = keys_to_here == 1 && child.table != draft.table;
    let to_one = child.navigations[relation.inverse]
        .as_deref()
        .unwrap_or(&draft.name);
    Candidate {
        relation: index,
        short: is_only.then(|| child.name.clone()),
        long: naming::identifier(&format!("{}_{to_one}", child.name)),
    }
}

/// Nobody gets a short name that two want, so that the order of the relations decides as little as possible.
fn decide(candidates: Vec<Candidate>, used: &mut HashSet<String>) -> Vec<(usize, String)> {
    let mut wanted_by: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
    for short in candidates
        .iter()
        .filter_map(|candidate| candidate.short.as_ref())
    {
        *wanted_by.entry(short.clone()).or_default() += 1;
    }
    let (short, long): (Vec<Candidate>, Vec<Candidate>) =
        candidates.into_iter().partition(|candidate| {
            candidate
                .short
                .as_ref()
                .is_some_and(|short| wanted_by[short] == 1 && !used.contains(short))
        });
    let mut names = Vec::new();
    for candidate in short {
        let name = candidate.short.unwrap_or(candidate.long);
        used.insert(name.clone());
        names.push((candidate.relation, name));
    }
    for candidate in long {
        names.push((candidate.relation, naming::unique(&candidate.long, used)));
    }
    names
}

fn assemble(
    catalog: &Arc<Catalog>,
    settings: &Settings,
    drafts: &[Draft<'_>],
) -> Result<ServiceModel, ModelError> {
    let mut schema: HashSet<String> = drafts.iter().map(|draft| draft.name.clone()).collect();
    let mut parts = ModelParts {
        namespace: NAMESPACE.to_owned(),
        container: naming::unique(CONTAINER, &mut schema),
        entity_types: Vec::new(),
        entity_sets: Vec::new(),
        complex_types: Vec::new(),
        function_imports: Vec::new(),
        capabilities: capabilities(),
    };
    let mut set_of_table: Vec<Option<usize>> = vec![None; catalog.tables.len()];
    let keyed = drafts.iter().filter(|draft| !draft.source.key.is_empty());
    for (position, draft) in keyed.enumerate() {
        set_of_table[draft.table] = Some(position);
    }
    let mut collections = Vec::new();
    let mut by_table = vec![None; catalog.tables.len()];
    let (mut by_set, mut by_function) = (Vec::new(), Vec::new());
    for (position, draft) in drafts.iter().enumerate() {
        let read_only = draft.source.is_view
            || draft.source.key.is_empty()
            || draft.settings().is_some_and(|settings| settings.read_only);
        let kind = if draft.source.key.is_empty() {
            by_function.push(position);
            push_function(&mut parts, draft, &mut schema)
        } else {
            by_set.push(position);
            push_set(&mut parts, draft, drafts, &set_of_table, read_only)
        };
        by_table[draft.table] = Some(position);
        collections.push(Collection {
            table: draft.table,
            kind,
            columns: (0..draft.source.columns.len()).collect(),
            read_only,
            filter: parse_filter(draft, settings)?,
            scope: scope_of(draft),
        });
    }
    let edm = edm::Model::new(parts).map_err(|error| ModelError {
        table: String::new(),
        part: ModelPart::Table,
        what: error.to_string(),
    })?;
    Ok(ServiceModel {
        catalog: catalog.clone(),
        edm,
        collections,
        by_table,
        by_set,
        by_function,
    })
}

fn capabilities() -> Capabilities {
    Capabilities {
        conformance: ConformanceLevel::Intermediate,
        filter_functions: bind::filter_function_names().map(str::to_owned).collect(),
        key_as_segment: true,
        query_segment: true,
        deep_insert: true,
    }
}

fn push_function(
    parts: &mut ModelParts,
    draft: &Draft<'_>,
    schema: &mut HashSet<String>,
) -> CollectionKind {
    let type_name = naming::unique(&naming::identifier(&format!("{}Row", draft.name)), schema);
    parts
        .complex_types
        .push(ComplexType::new(type_name, properties(draft)));
    parts.function_imports.push(FunctionImport {
        name: draft.name.clone(),
        complex_type: parts.complex_types.len() - 1,
        description: draft.source.tracking.obstacle().map(str::to_owned),
        source: draft.table,
    });
    CollectionKind::Function(parts.function_imports.len() - 1)
}

fn push_set(
    parts: &mut ModelParts,
    draft: &Draft<'_>,
    drafts: &[Draft<'_>],
    set_of_table: &[Option<usize>],
    read_only: bool,
) -> CollectionKind {
    parts.entity_types.push(EntityType::new(
        draft.name.clone(),
        properties(draft),
        draft.source.key.clone(),
        navigations(draft, drafts, set_of_table),
    ));
    parts.entity_sets.push(EntitySet {
        name: draft.name.clone(),
        entity_type: parts.entity_types.len() - 1,
        tracking: match draft.source.tracking.obstacle() {
            None => edm::Tracking::Tracked,
            Some(reason) => edm::Tracking::Untracked {
                reason: reason.to_owned(),
            },
        },
        insertable: !read_only,
        updatable: !read_only,
        deletable: !read_only,
        requires_etag: false,
        source: draft.table,
    });
    CollectionKind::EntitySet(parts.entity_sets.len() - 1)
}

fn properties(draft: &Draft<'_>) -> Vec<Property> {
    draft
        .source
        .columns
        .iter()
        .zip(&draft.properties)
        .enumerate()
        .map(|(position, (column, name))| Property {
            name: name.clone(),
            ty: column.ty,
            nullable: column.nullable,
            computed: column.computed,
            has_default: column.has_default,
            scale: column.scale,
            source: position,
        })
        .collect()
}

fn navigations(
    draft: &Draft<'_>,
    drafts: &[Draft<'_>],
    set_of_table: &[Option<usize>],
) -> Vec<Navigation> {
    let named = |relation: usize| -> Option<&String> { draft.navigations[relation].as_ref() };
    let by_table = |table: usize| drafts.iter().find(|draft| draft.table == table);
    draft
        .source
        .relations
        .iter()
        .enumerate()
        .filter_map(|(index, relation)| {
            let name = named(index)?.clone();
            let target = by_table(relation.target)?;
            // Positions in the finished list count the named relations before.
            let partner = target.navigations[relation.inverse].is_some().then(|| {
                target.navigations[..relation.inverse]
                    .iter()
                    .flatten()
                    .count()
            });
            let constraints = relation
                .columns
                .iter()
                .map(|&(here, there)| ReferentialConstraint {
                    property: here,
                    referenced: there,
                });
            Some(Navigation {
                name,
                target_set: set_of_table[relation.target]?,
                collection: relation.many,
                nullable: !relation.owns_key
                    || relation
                        .columns
                        .iter()
                        .any(|&(here, _)| draft.source.columns[here].nullable),
                partner,
                constraints: if relation.owns_key {
                    constraints.collect()
                } else {
                    Vec::new()
                },
                source: index,
            })
        })
        .collect()
}

fn parse_filter(draft: &Draft<'_>, settings: &Settings) -> Result<Option<ast::Expr>, ModelError> {
    let Some(text) = draft.settings().and_then(|table| table.filter.as_deref()) else {
        return Ok(None);
    };
    bind::parse_filter(text, &settings.limits)
        .map(Some)
        .map_err(|error| filter_error(draft, error.to_string()))
}

fn filter_error(draft: &Draft<'_>, what: String) -> ModelError {
    ModelError {
        table: draft.key(),
        part: ModelPart::Filter,
        what,
    }
}

/// The filters may name each other's collections, so they are bound when all of those exist.
fn check_filters(
    model: &mut ServiceModel,
    drafts: &[Draft<'_>],
    settings: &Settings,
) -> Result<(), ModelError> {
    for (collection, draft) in drafts.iter().enumerate() {
        bind::check_fixed_filter(model, &settings.limits, collection)
            .map_err(|error| filter_error(draft, error.to_string()))?;
    }
    Ok(())
}

fn scope_of(draft: &Draft<'_>) -> u64 {
    let settings = draft.settings();
    let filter = settings.and_then(|settings| settings.filter.as_deref());
    scope::of_collection(
        &draft.name,
        draft.source,
        &draft.properties,
        filter.unwrap_or(""),
    )
}
