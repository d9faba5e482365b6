//! What a request is going to write: steps of one transaction, and what the caller is told if the database refuses one.

use std::collections::HashMap;

use highwater_core::store::{
    Condition, Input, WriteParams, WriteResult, WriteStep, WriteVerb, Written,
};
use highwater_core::{Error, Expr};
use highwater_odata::Value;

use super::refusal::{self, Place};
use super::target::{self, Named};
use crate::dialect::odata::Exchange;
use crate::failure::Halt;
use crate::http::error::{ApiError, Code};

/// Rows that one request may look at and write.
pub(super) const STEPS_MAX: usize = 5_000;

/// Columns and what they are set to.
pub(super) type Values = Vec<(usize, Input)>;

/// Steps in the making.
pub(super) struct Draft<'x> {
    x: &'x Exchange<'x>,
    steps: Vec<WriteStep>,
    /// Of each step.
    places: Vec<Place>,
    /// By exposed table.
    scopes: HashMap<usize, Option<Expr>>,
    /// Steps that only look at an entity, by the id that names it.
    referred: HashMap<String, usize>,
}

impl<'x> Draft<'x> {
    pub(super) fn new(x: &'x Exchange<'x>) -> Draft<'x> {
        Draft {
            x,
            steps: Vec::new(),
            places: Vec::new(),
            scopes: HashMap::new(),
            referred: HashMap::new(),
        }
    }

    /// A new row. `path` says where in the body the entity is. Gives the position of the step, like the others.
    pub(super) fn insert(
        &mut self,
        collection: usize,
        values: Values,
        path: &str,
    ) -> Result<usize, Halt> {
        let place = Place {
            collection,
            path: path.to_owned(),
            ..Place::default()
        };
        self.change(place, WriteVerb::Insert { values })
    }

    /// New values for the row that the request addresses.
    pub(super) fn update(
        &mut self,
        entity: &Named,
        values: Values,
        condition: Condition,
        or_insert: bool,
    ) -> Result<usize, Halt> {
        let place = Place {
            collection: entity.collection,
            ..Place::default()
        };
        let verb = update(entity, values, condition, or_insert);
        self.change(place, verb)
    }

    /// New values for the row that an id in the request names.
    pub(super) fn relate(
        &mut self,
        entity: &Named,
        id: &str,
        values: Values,
    ) -> Result<usize, Halt> {
        let verb = update(entity, values, Condition::None, false);
        self.change(Place::named(entity, id), verb)
    }

    /// Makes sure that an entity is there (and has the expected state), so that later steps can refer to it.
    pub(super) fn check(&mut self, entity: &Named, condition: Condition) -> Result<usize, Halt> {
        let place = Place {
            collection: entity.collection,
            ..Place::default()
        };
        let verb = update(entity, Values::new(), condition, false);
        self.push(place, verb)
    }

    /// Like [`Draft::check`], for the entity that an id in the request names.
    pub(super) fn refer(&mut self, entity: &Named, id: &str) -> Result<usize, Halt> {
        if let Some(&step) = self.referred.get(id) {
            return Ok(step);
        }
        let verb = update(entity, Values::new(), Condition::None, false);
        let step = self.push(Place::named(entity, id), verb)?;
        self.referred.insert(id.to_owned(), step);
        Ok(step)
    }

    /// No row any more.
    pub(super) fn delete(&mut self, entity: &Named, condition: Condition) -> Result<usize, Halt> {
        let place = Place {
            collection: entity.collection,
            deletes: true,
            ..Place::default()
        };
        let verb = WriteVerb::Delete {
            key: inputs(&entity.key),
            condition,
        };
        self.change(place, verb)
    }

    fn change(&mut self, place: Place, verb: WriteVerb) -> Result<usize, Halt> {
        if self.x.model.collection(place.collection).read_only {
            return Err(ApiError::new(
                Code::ReadOnly,
                format!(
                    "{} can only be read, but this request would change it.",
                    self.x.model.name(place.collection)
                ),
            )
            .into());
        }
        self.push(place, verb)
    }

    fn push(&mut self, place: Place, verb: WriteVerb) -> Result<usize, Halt> {
        if self.steps.len() >= STEPS_MAX {
            return Err(ApiError::new(
                Code::BodyTooLarge,
                format!("A request can change and name at most {STEPS_MAX} entities. Split it."),
            )
            .into());
        }
        let collection = place.collection;
        let scope = match self.scopes.get(&collection) {
            Some(scope) => scope.clone(),
            None => {
                let scope = target::scope(self.x, collection)?;
                self.scopes.insert(collection, scope.clone());
                scope
            }
        };
        self.steps.push(WriteStep {
            table: self.x.model.collection(collection).table,
            verb,
            scope,
        });
        self.places.push(place);
        Ok(self.steps.len() - 1)
    }

    /// The value that an input is going to have, as far as the request alone tells.
    pub(super) fn known<'a>(&'a self, input: &'a Input) -> Option<&'a Value> {
        let (step, column) = match input {
            Input::Written { step, column } => (self.steps.get(*step)?, *column),
            Input::Value(value) => return Some(value),
            Input::Default => return None,
        };
        let (values, key) = match &step.verb {
            WriteVerb::Insert { values } => (values.as_slice(), [].as_slice()),
            WriteVerb::Update { values, key, .. } => (values.as_slice(), key.as_slice()),
            WriteVerb::Delete { .. } => return None,
        };
        let written = values.iter().find(|(other, _)| *other == column);
        let table = &self.x.model.catalog().tables[step.table];
        let part = table.key.iter().position(|&other| other == column);
        match written.map(|(_, input)| input).or_else(|| key.get(part?)) {
            Some(Input::Value(value)) => Some(value),
            Some(Input::Default | Input::Written { .. }) | None => None,
        }
    }

    /// Writes everything, or nothing.
    ///
    /// # Errors
    ///
    /// What the database refuses is a 4xx that names the property.
    pub(super) async fn write(self) -> Result<WriteResult, Halt> {
        let Draft {
            x, steps, places, ..
        } = self;
        let params = WriteParams {
            catalog: x.model.catalog().clone(),
            steps,
        };
        match x.core.store.write(params).await {
            Ok(result) => Ok(result),
            Err(Error::Constraint(violation)) => {
                Err(refusal::explain(x.model, &places, &violation).into())
            }
            Err(Error::NotFound) => Err(who_is_missing(x, &places).await?.into()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The store says only that something was not there: an entity that an id names (400), or the one that the URL addresses (404).
async fn who_is_missing(x: &Exchange<'_>, places: &[Place]) -> Result<ApiError, Halt> {
    for place in places {
        let Some((id, key)) = &place.id else {
            continue;
        };
        let rows = target::rows_by_key(place.collection, Some(key.clone()));
        if target::find(x, &rows).await?.is_none() {
            return Ok(target::no_such_id(id));
        }
    }
    let addressed = places.iter().find(|place| place.id.is_none());
    Ok(match addressed {
        Some(place) => target::not_found(x, place.collection),
        None => ApiError::new(Code::NotFound, "There is no such entity."),
    })
}

fn update(entity: &Named, values: Values, condition: Condition, or_insert: bool) -> WriteVerb {
    WriteVerb::Update {
        key: inputs(&entity.key),
        values,
        condition,
        or_insert,
    }
}

fn inputs(key: &[Value]) -> Vec<Input> {
    key.iter().cloned().map(Input::Value).collect()
}

/// What became of a step.
pub(super) fn written(mut result: WriteResult, step: usize) -> Result<Written, ApiError> {
    if step >= result.written.len() {
        return Err(ApiError::internal(
            "the store did not tell what became of a step",
        ));
    }
    Ok(result.written.swap_remove(step))
}
