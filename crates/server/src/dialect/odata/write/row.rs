//! One row in the making: values of properties, and those that follow from relations.
//!
//! What must hold: what the service computes is never set, the key of an existing entity never changes (requirement 86), and
//! a property and a relation that say different things are refused rather than one of them being believed.

use highwater_core::Relation;
use highwater_core::store::Input;
use highwater_odata::Value;
use highwater_odata::payload::EntityBody;

use super::draft::{Draft, Values};
use crate::dialect::odata::Exchange;
use crate::http::error::{ApiError, Code};

/// Values for one row.
pub(super) struct RowDraft<'x> {
    x: &'x Exchange<'x>,
    pub(super) collection: usize,
    /// Where in the body the entity is; empty for the entity itself.
    pub(super) path: String,
    /// The key, if the URL gives it: then it is fixed.
    fixed_key: Option<Vec<Value>>,
    values: Values,
}

impl<'x> RowDraft<'x> {
    /// A row that does not exist yet.
    pub(super) fn new(
        x: &'x Exchange<'x>,
        collection: usize,
        body: &EntityBody,
        path: &str,
    ) -> RowDraft<'x> {
        RowDraft::with(x, collection, body, path, None)
    }

    /// A row whose key the URL gives. The body's idea of the key is ignored.
    pub(super) fn with_key(
        x: &'x Exchange<'x>,
        collection: usize,
        body: &EntityBody,
        key: &[Value],
    ) -> RowDraft<'x> {
        RowDraft::with(x, collection, body, "", Some(key.to_vec()))
    }

    fn with(
        x: &'x Exchange<'x>,
        collection: usize,
        body: &EntityBody,
        path: &str,
        fixed_key: Option<Vec<Value>>,
    ) -> RowDraft<'x> {
        let table = x.model.table(collection);
        let columns = &x.model.collection(collection).columns;
        let is_fixed = |column| fixed_key.is_some() && table.key.contains(&column);
        let values = body
            .properties
            .iter()
            .map(|(property, value)| (columns[*property], value))
            .filter(|(column, _)| !table.columns[*column].computed && !is_fixed(*column))
            .map(|(column, value)| (column, Input::Value(value.clone())))
            .collect();
        RowDraft {
            x,
            collection,
            path: path.to_owned(),
            fixed_key,
            values,
        }
    }

    /// Whether the row is new.
    pub(super) fn is_new(&self) -> bool {
        self.fixed_key.is_none()
    }

    /// Makes columns follow from a relation.
    ///
    /// # Errors
    ///
    /// 400 if a property or another relation contradicts, or if the key would change.
    pub(super) fn relate(
        &mut self,
        draft: &Draft<'_>,
        values: Values,
        navigation: &str,
    ) -> Result<(), ApiError> {
        for (column, input) in values {
            self.set(draft, column, input, navigation)?;
        }
        Ok(())
    }

    fn set(
        &mut self,
        draft: &Draft<'_>,
        column: usize,
        input: Input,
        navigation: &str,
    ) -> Result<(), ApiError> {
        let known = draft.known(&input);
        let key = &self.x.model.table(self.collection).key;
        if let (Some(fixed), Some(part)) = (
            &self.fixed_key,
            key.iter().position(|&other| other == column),
        ) {
            return match known == Some(&fixed[part]) {
                true => Ok(()),
                false => Err(self.key_is_fixed(column, navigation)),
            };
        }
        let Some((_, stated)) = self.values.iter_mut().find(|(other, _)| *other == column) else {
            self.values.push((column, input));
            return Ok(());
        };
        let agrees = match &*stated {
            // Serialisers write null for what nobody has set.
            Input::Value(Value::Null) | Input::Default => true,
            stated => *stated == input || (known.is_some() && draft.known(stated) == known),
        };
        if !agrees {
            return Err(self.contradiction(column, navigation));
        }
        *stated = input;
        Ok(())
    }

    /// Ends a relation.
    ///
    /// # Errors
    ///
    /// 400 if the entity must be related.
    pub(super) fn unrelate(
        &mut self,
        relation: &Relation,
        navigation: &str,
    ) -> Result<(), ApiError> {
        for (column, input) in cleared(self.x, self.collection, relation, navigation)? {
            match self.values.iter_mut().find(|(other, _)| *other == column) {
                None => self.values.push((column, input)),
                Some((_, stated)) if *stated == input => {}
                Some(_) => return Err(self.contradiction(column, navigation)),
            }
        }
        Ok(())
    }

    /// Sets everything that was not mentioned to its default: `PUT` (requirement 86).
    pub(super) fn replace(&mut self) {
        let table = self.x.model.table(self.collection);
        for &column in &self.x.model.collection(self.collection).columns {
            let is_settable = !table.columns[column].computed && !table.key.contains(&column);
            if is_settable && self.values.iter().all(|(other, _)| *other != column) {
                self.values.push((column, Input::Default));
            }
        }
    }

    /// The values, if nothing is missing that the database could not ask for itself.
    ///
    /// # Errors
    ///
    /// 400 for a `null` where there must be none, and for a key that nobody gives: some databases would store it.
    pub(super) fn finish(self) -> Result<Values, ApiError> {
        for (column, input) in &self.values {
            if *input == Input::Value(Value::Null) && !is_nullable(self.x, self.collection, *column)
            {
                return Err(self.required(*column));
            }
        }
        let table = self.x.model.table(self.collection);
        let missing = table.key.iter().find(|&&column| {
            self.is_new()
                && !table.columns[column].has_default
                && self.values.iter().all(|(other, _)| *other != column)
        });
        match missing {
            Some(&column) => Err(self.required(column)),
            None => Ok(self.values),
        }
    }

    fn required(&self, column: usize) -> ApiError {
        required(self.x, self.collection, column, &self.path)
    }

    fn contradiction(&self, column: usize, navigation: &str) -> ApiError {
        let name = property_name(self.x, self.collection, column);
        ApiError::new(
            Code::InvalidBody,
            format!(
                "{name} and {navigation} relate the entity to different ones. Leave {name} out."
            ),
        )
        .target(target(&self.path, name))
    }

    fn key_is_fixed(&self, column: usize, navigation: &str) -> ApiError {
        let name = property_name(self.x, self.collection, column);
        ApiError::new(
            Code::InvalidBody,
            format!("{navigation} cannot change: {name} is part of the key. Delete the entity and create another one."),
        )
        .target(target(&self.path, navigation))
    }
}

/// What ends a relation that starts with foreign keys in a table: `null` in all columns that can have it.
///
/// # Errors
///
/// 400 if there is none.
pub(super) fn cleared(
    x: &Exchange<'_>,
    collection: usize,
    relation: &Relation,
    navigation: &str,
) -> Result<Values, ApiError> {
    let columns = relation.columns.iter().map(|&(here, _)| here);
    let values: Values = columns
        .filter(|&column| is_nullable(x, collection, column))
        .map(|column| (column, Input::Value(Value::Null)))
        .collect();
    if values.is_empty() {
        return Err(ApiError::new(
            Code::RequiredValue,
            format!(
                "An entity of {} must be related by {navigation}. Relate it to another entity instead, or delete it.",
                x.model.name(collection)
            ),
        )
        .target(navigation));
    }
    Ok(values)
}

/// Whether a client may set a property to `null`.
pub(super) fn is_nullable(x: &Exchange<'_>, collection: usize, column: usize) -> bool {
    let table = x.model.table(collection);
    table.columns[column].nullable && !table.key.contains(&column)
}

/// The error for a value that is missing, or `null`.
pub(super) fn required(x: &Exchange<'_>, collection: usize, column: usize, path: &str) -> ApiError {
    let name = property_name(x, collection, column);
    ApiError::new(
        Code::RequiredValue,
        format!(
            "{name} in {} needs a value that is not null.",
            x.model.name(collection)
        ),
    )
    .target(target(path, name))
}

fn property_name<'x>(x: &Exchange<'x>, collection: usize, column: usize) -> &'x str {
    match x.model.property_of_column(collection, column) {
        Some(property) => &x.model.properties(collection)[property].name,
        None => &x.model.table(collection).columns[column].name,
    }
}

fn target(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}/{name}"),
    }
}
