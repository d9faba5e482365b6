//! Hashes of what decides the meaning of a request besides the request: settings, names, types, keys, and foreign keys.
//!
//! What must hold: if a link would show other rows or other properties than when it was issued, although neither the database that it is of
//! nor the tracking of its table is another, then a hash that the link carries is another (requirement 27). What is deliberately absent: what a
//! store sees to, above all the schema of the table whose changes the link is for (its incarnation).

use highwater_core::Table;

use super::ServiceModel;

/// Of one exposed table: its names, its types, its key, and the operator's filter.
pub(super) fn of_collection(name: &str, table: &Table, properties: &[String], filter: &str) -> u64 {
    let mut parts = Parts::default();
    parts.push(name);
    for (column, property) in table.columns.iter().zip(properties) {
        for part in [&column.name, property, column.ty.name()] {
            parts.push(part);
        }
    }
    parts.push("");
    for &column in &table.key {
        parts.push(&table.columns[column].name);
    }
    parts.push("");
    parts.push(filter);
    parts.hash()
}

impl ServiceModel {
    /// Of one direction of a foreign key, with the exposed table that it leads to.
    pub(crate) fn scope_of_relation(&self, table: usize, relation: usize) -> u64 {
        let tables = &self.catalog.tables;
        let found = &tables[table].relations[relation];
        let mut parts = Parts::default();
        // Navigation properties have their names from here, and links name those.
        let collection = self.by_table[table];
        if let Some(collection) = collection {
            parts.push(self.name(collection));
            let mut navigations = self.navigations(collection).iter();
            let name = navigations.find(|navigation| navigation.source == relation);
            parts.push(name.map_or("", |navigation| &navigation.name));
        }
        for &(here, there) in &found.columns {
            parts.push(&tables[table].columns[here].name);
            parts.push(&tables[found.target].columns[there].name);
        }
        let target = self.by_table[found.target];
        let target = target.map_or(0, |target| self.collections[target].scope);
        parts.hash() ^ target.rotate_left(1)
    }
}

/// Zero bytes end each part, so that no two different lists of parts give the same bytes (names hold none).
#[derive(Default)]
struct Parts(String);

impl Parts {
    fn push(&mut self, part: &str) {
        self.0.push_str(part);
        self.0.push('\0');
    }

    fn hash(&self) -> u64 {
        xxhash_rust::xxh3::xxh3_64(self.0.as_bytes())
    }
}
