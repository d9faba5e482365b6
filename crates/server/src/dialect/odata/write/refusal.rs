//! What the caller is told when the database refuses a change: which property, and what to do about it.
//!
//! What must hold: the database's own words are passed on only where they are the application's (a check constraint's name, a
//! trigger's message), and a status tells apart what a caller can mend alone (400) from what conflicts with other entities (409).
//! A foreign key has both sides: a reference to nothing is 400, an entity that others still refer to is 409.

use highwater_core::{ConstraintKind, ConstraintViolation};
use highwater_odata::Value;

use super::target::Named;
use crate::failure::code_of_constraint;
use crate::http::error::{ApiError, Code};
use crate::model::ServiceModel;

/// Where in a request a step comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Place {
    /// The exposed table.
    pub(super) collection: usize,
    /// Where in the body, such as `Orders/0`; empty for the entity itself.
    pub(super) path: String,
    /// If an id in the request names the entity: the id, and what it means.
    pub(super) id: Option<(String, Vec<Value>)>,
    /// Whether the row is to be deleted.
    pub(super) deletes: bool,
}

impl Place {
    pub(super) fn named(entity: &Named, id: &str) -> Place {
        Place {
            collection: entity.collection,
            id: Some((id.to_owned(), entity.key.clone())),
            ..Place::default()
        }
    }
}

/// The error for a violation of one of the steps.
pub(super) fn explain(
    model: &ServiceModel,
    places: &[Place],
    violation: &ConstraintViolation,
) -> ApiError {
    let nowhere = Place::default();
    let place = places.get(violation.step).unwrap_or(&nowhere);
    let own = &model.table(place.collection).name;
    // A cascade or a trigger may have written to another table.
    let elsewhere = (*own != violation.table)
        .then(|| {
            let tables = &model.catalog().tables;
            let table = tables.iter().position(|t| t.name == violation.table)?;
            model.collection_of_table(table)
        })
        .flatten();
    let subject = Subject::new(model, elsewhere.unwrap_or(place.collection), violation);
    let (code, text) = subject.say(place, violation);
    let prefix = match (elsewhere, place.path.as_str()) {
        (None, path) if !path.is_empty() => format!("{path}/"),
        _ => String::new(),
    };
    let target = match subject.properties.first() {
        Some(property) => format!("{prefix}{property}"),
        None if place.path.is_empty() => subject.set.to_owned(),
        None => place.path.clone(),
    };
    let error = ApiError::new(code, text).target(target);
    match subject.properties.as_slice() {
        [] | [_] => error,
        several => several.iter().fold(error, |error, property| {
            error.detail(
                format!("{prefix}{property}"),
                "This property is part of the constraint.",
            )
        }),
    }
}

/// What a violation is about, in the words of the service.
struct Subject<'m> {
    set: &'m str,
    properties: Vec<&'m str>,
    is_key: bool,
    /// Whether the properties refer to another entity.
    refers: bool,
}

impl<'m> Subject<'m> {
    fn new(model: &'m ServiceModel, collection: usize, violation: &ConstraintViolation) -> Self {
        let table = model.table(collection);
        let columns: Vec<usize> = violation
            .columns
            .iter()
            .filter_map(|name| table.column(name))
            .collect();
        let properties = columns
            .iter()
            .filter_map(|&column| model.property_of_column(collection, column))
            .map(|property| model.properties(collection)[property].name.as_str())
            .collect();
        let is_key = !columns.is_empty()
            && columns.len() == table.key.len()
            && columns.iter().all(|column| table.key.contains(column));
        let refers = table.relations.iter().any(|relation| {
            relation.owns_key
                && relation.columns.len() == columns.len()
                && relation
                    .columns
                    .iter()
                    .all(|(here, _)| columns.contains(here))
        });
        Subject {
            set: model.name(collection),
            properties,
            is_key,
            refers,
        }
    }

    fn say(&self, place: &Place, violation: &ConstraintViolation) -> (Code, String) {
        let set = self.set;
        let said = &violation.message;
        let what = match self.properties.as_slice() {
            [] => format!("The entity in {set}"),
            names => format!("{} in {set}", names.join(", ")),
        };
        match violation.kind {
            ConstraintKind::Unique if self.is_key => (
                Code::EntityExists,
                format!("There is already an entity with this key in {set}."),
            ),
            ConstraintKind::Unique => (
                Code::UniqueConstraint,
                format!("{what} must be unique, but another entity has the same value."),
            ),
            ConstraintKind::NotNull => (
                Code::RequiredValue,
                format!("{what} needs a value that is not null."),
            ),
            ConstraintKind::ForeignKey if place.deletes => (
                Code::StillReferenced,
                format!(
                    "Other entities still refer to the one in {set}. Change or delete them first."
                ),
            ),
            ConstraintKind::ForeignKey if self.properties.is_empty() || self.refers => (
                Code::ReferenceConstraint,
                format!("{what} refers to an entity that does not exist."),
            ),
            ConstraintKind::ForeignKey => (
                Code::StillReferenced,
                format!("{what} cannot change: other entities still refer to it."),
            ),
            ConstraintKind::Scope => (
                Code::OutOfScope,
                format!("The entity would not be among those that this service shows of {set}."),
            ),
            ConstraintKind::Check => (
                Code::CheckConstraint,
                format!("{what} breaks a rule of the database: {said}"),
            ),
            ConstraintKind::Type => (Code::InvalidValue, format!("{what}: {said}")),
            ConstraintKind::Trigger => (
                code_of_constraint(violation.kind),
                format!("The database refuses to change {set}: {said}"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fixture;
    use crate::settings::Settings;

    #[test]
    fn a_refusal_names_what_is_to_blame() {
        use ConstraintKind as K;
        let model = ServiceModel::build(&fixture::chinook(), &Settings::default()).unwrap();
        let collection = |name: &str| model.collection_named(name).unwrap();
        let at = |name: &str, path: &str, deletes: bool| Place {
            collection: collection(name),
            path: path.to_owned(),
            id: None,
            deletes,
        };
        let invoice = at("Invoice", "", false);
        let line = at("Invoice", "InvoiceLine/3", false);
        let places = |place: &Place| vec![Place::default(), place.clone()];
        for (place, kind, table, columns, expected) in [
            (
                &invoice,
                K::Unique,
                "Invoice",
                &["InvoiceId"][..],
                (409, "EntityExists", "InvoiceId"),
            ),
            (
                &invoice,
                K::Unique,
                "Invoice",
                &["Total"],
                (409, "UniqueConstraint", "Total"),
            ),
            (
                &line,
                K::Unique,
                "Invoice",
                &["Total"],
                (409, "UniqueConstraint", "InvoiceLine/3/Total"),
            ),
            (
                &invoice,
                K::NotNull,
                "Invoice",
                &["Total"],
                (400, "RequiredValue", "Total"),
            ),
            (
                &invoice,
                K::Check,
                "Invoice",
                &[],
                (400, "CheckConstraint", "Invoice"),
            ),
            (
                &line,
                K::Check,
                "Invoice",
                &[],
                (400, "CheckConstraint", "InvoiceLine/3"),
            ),
            (
                &invoice,
                K::Type,
                "Invoice",
                &["Total"],
                (400, "InvalidValue", "Total"),
            ),
            (
                &invoice,
                K::Scope,
                "Invoice",
                &[],
                (403, "OutOfScope", "Invoice"),
            ),
            (
                &invoice,
                K::Trigger,
                "Invoice",
                &[],
                (400, "RefusedByDatabase", "Invoice"),
            ),
            // A reference to nothing, an entity that others refer to, and one of which only the latter can be.
            (
                &invoice,
                K::ForeignKey,
                "Invoice",
                &["CustomerId"],
                (400, "ReferenceConstraint", "CustomerId"),
            ),
            (
                &invoice,
                K::ForeignKey,
                "Invoice",
                &["InvoiceId"],
                (409, "StillReferenced", "InvoiceId"),
            ),
            (
                &invoice,
                K::ForeignKey,
                "Invoice",
                &[],
                (400, "ReferenceConstraint", "Invoice"),
            ),
            (
                &at("Invoice", "", true),
                K::ForeignKey,
                "Invoice",
                &[],
                (409, "StillReferenced", "Invoice"),
            ),
            // A cascade or a trigger that reaches another table, or one that the service does not show.
            (
                &line,
                K::NotNull,
                "Track",
                &["Name"],
                (400, "RequiredValue", "Name"),
            ),
            (
                &line,
                K::NotNull,
                "Hidden",
                &["Name"],
                (400, "RequiredValue", "InvoiceLine/3"),
            ),
        ] {
            let violation = ConstraintViolation {
                kind,
                step: 1,
                table: table.to_owned(),
                columns: columns.iter().map(|column| (*column).to_owned()).collect(),
                message: "said".to_owned(),
            };
            let error = explain(&model, &places(place), &violation);
            let (status, code, target) = expected;
            assert_eq!(error.code().status().as_u16(), status, "{violation:?}");
            let body = String::from_utf8(error.body().to_vec()).unwrap();
            let wanted = [
                format!(r#""code":"{code}""#),
                format!(r#""target":"{target}""#),
            ];
            for text in wanted {
                assert!(body.contains(&text), "{violation:?} {place:?}\n{body}");
            }
        }
    }
}
