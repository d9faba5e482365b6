//! What a service shows of a catalog, and under which names.
//!
//! A [`ServiceModel`] joins two numberings: the catalog's (tables, columns, relations) and that of the entity model (sets,
//! properties, navigation properties). Readers and writers of requests go through it in both directions.
//!
//! What must hold: it is immutable and belongs to one catalog; every exposed table is one `Collection`; property `p` of a
//! collection shows column `Collection::columns[p]`; a navigation property exists only between exposed tables with keys.
//! What is deliberately absent: requests, and rows.

mod build;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod naming;
mod scope;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use highwater_core::{Catalog, Relation, Table};
use highwater_odata::edm::{ComplexType, EntityType, Model, Navigation, Property};
use highwater_odata::url::ast;

/// What a service shows of a catalog.
#[derive(Debug)]
pub struct ServiceModel {
    catalog: Arc<Catalog>,
    edm: Model,
    collections: Vec<Collection>,
    /// By table.
    by_table: Vec<Option<usize>>,
    /// By entity set of the entity model.
    by_set: Vec<usize>,
    /// By function import of the entity model.
    by_function: Vec<usize>,
}

/// A table that is exposed: an entity set, or the result of a function if its rows have no key.
#[derive(Debug)]
pub(crate) struct Collection {
    /// Position in the catalog.
    pub(crate) table: usize,
    /// What it is in the entity model.
    pub(crate) kind: CollectionKind,
    /// Columns by property.
    pub(crate) columns: Vec<usize>,
    /// Whether clients may only read it.
    pub(crate) read_only: bool,
    /// The operator's row filter. It was bound once, so it binds.
    pub(crate) filter: Option<ast::Expr>,
    /// Hash of everything besides the request and the foreign keys that decides what is shown and how it is named.
    pub(crate) scope: u64,
}

/// What an exposed table is in the entity model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CollectionKind {
    /// Position in the entity sets.
    EntitySet(usize),
    /// Position in the function imports.
    Function(usize),
}

/// Why a service cannot be made of a catalog and its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// The table, as [`crate::Settings::tables`] names it.
    pub table: String,
    /// Which of its settings is to blame.
    pub part: ModelPart,
    /// What is wrong and what to do.
    pub what: String,
}

/// The setting of a table that a [`ModelError`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPart {
    /// The table as such.
    Table,
    /// [`crate::TableSettings::entity_set`]
    EntitySet,
    /// [`crate::TableSettings::filter`]
    Filter,
    /// The entry of [`crate::TableSettings::properties`] for this column.
    Property(String),
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ModelError { table, part, what } = self;
        match part {
            ModelPart::Table => write!(f, "table {table:?}: {what}"),
            ModelPart::EntitySet => write!(f, "entity set of table {table:?}: {what}"),
            ModelPart::Filter => write!(f, "filter of table {table:?}: {what}"),
            ModelPart::Property(column) => {
                write!(
                    f,
                    "property of column {column:?} of table {table:?}: {what}"
                )
            }
        }
    }
}

impl std::error::Error for ModelError {}

impl ServiceModel {
    /// Names everything that the settings expose, and checks their row filters.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the settings name something that does not exist, a name that is illegal or taken, or a filter that
    /// does not fit its table.
    pub fn build(
        catalog: &Arc<Catalog>,
        settings: &crate::Settings,
    ) -> Result<ServiceModel, ModelError> {
        build::build(catalog, settings)
    }

    /// The catalog that the model belongs to.
    pub fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// What metadata and payloads show.
    pub fn edm(&self) -> &Model {
        &self.edm
    }

    /// The name of the entity set or function that shows a table; `None` if the table is not exposed.
    pub fn name_of_table(&self, table: usize) -> Option<&str> {
        Some(self.name(self.collection_of_table(table)?))
    }

    /// All exposed tables, in the order of the catalog.
    pub(crate) fn collections(&self) -> &[Collection] {
        &self.collections
    }

    /// One exposed table.
    pub(crate) fn collection(&self, collection: usize) -> &Collection {
        &self.collections[collection]
    }

    /// The exposed table by its position in the catalog.
    pub(crate) fn collection_of_table(&self, table: usize) -> Option<usize> {
        self.by_table[table]
    }

    /// The exposed table by the name of its entity set or function.
    pub(crate) fn collection_named(&self, name: &str) -> Option<usize> {
        self.edm
            .entity_set(name)
            .map(|set| self.by_set[set])
            .or_else(|| Some(self.by_function[self.edm.function_import(name)?]))
    }

    /// The name of the entity set or function.
    pub(crate) fn name(&self, collection: usize) -> &str {
        match self.collections[collection].kind {
            CollectionKind::EntitySet(set) => &self.edm.entity_sets()[set].name,
            CollectionKind::Function(function) => &self.edm.function_imports()[function].name,
        }
    }

    /// The table.
    pub(crate) fn table(&self, collection: usize) -> &Table {
        &self.catalog.tables[self.collections[collection].table]
    }

    /// The type of the entities; `None` if the rows have no key.
    pub(crate) fn entity_type(&self, collection: usize) -> Option<&EntityType> {
        match self.collections[collection].kind {
            CollectionKind::EntitySet(set) => Some(self.edm.set_type(set)),
            CollectionKind::Function(_) => None,
        }
    }

    /// The type of rows without a key; `None` if they have one.
    pub(crate) fn row_type(&self, collection: usize) -> Option<&ComplexType> {
        match self.collections[collection].kind {
            CollectionKind::EntitySet(_) => None,
            CollectionKind::Function(function) => Some(self.edm.function_type(function)),
        }
    }

    /// The structural properties.
    pub(crate) fn properties(&self, collection: usize) -> &[Property] {
        match self.collections[collection].kind {
            CollectionKind::EntitySet(set) => self.edm.set_type(set).properties(),
            CollectionKind::Function(function) => self.edm.function_type(function).properties(),
        }
    }

    /// Position of a structural property by its name.
    pub(crate) fn property(&self, collection: usize, name: &str) -> Option<usize> {
        match self.collections[collection].kind {
            CollectionKind::EntitySet(set) => self.edm.set_type(set).property(name),
            CollectionKind::Function(function) => self.edm.function_type(function).property(name),
        }
    }

    /// Position of the property that shows a column.
    #[allow(
        dead_code,
        reason = "for writes, whose refusals name columns of the database"
    )]
    pub(crate) fn property_of_column(&self, collection: usize, column: usize) -> Option<usize> {
        self.collections[collection]
            .columns
            .iter()
            .position(|&shown| shown == column)
    }

    /// The navigation properties; none if the rows have no key.
    pub(crate) fn navigations(&self, collection: usize) -> &[Navigation] {
        self.entity_type(collection)
            .map_or(&[], EntityType::navigations)
    }

    /// Position of a navigation property by its name.
    pub(crate) fn navigation(&self, collection: usize, name: &str) -> Option<usize> {
        self.entity_type(collection)?.navigation(name)
    }

    /// The exposed table that a navigation property leads to.
    pub(crate) fn target(&self, navigation: &Navigation) -> usize {
        self.by_set[navigation.target_set]
    }

    /// The relation behind a navigation property.
    pub(crate) fn relation(&self, collection: usize, navigation: &Navigation) -> &Relation {
        &self.table(collection).relations[navigation.source]
    }

    /// Position of the navigation property behind which a relation is, if it is exposed.
    #[cfg(test)]
    pub(crate) fn navigation_of_relation(
        &self,
        collection: usize,
        relation: usize,
    ) -> Option<usize> {
        self.navigations(collection)
            .iter()
            .position(|navigation| navigation.source == relation)
    }
}
