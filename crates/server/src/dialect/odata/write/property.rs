//! Changing one property (Protocol 11.4.9; requirement 91).

use highwater_core::store::Input;
use highwater_odata::Value;
use http::StatusCode;

use super::represent::{ODATA_ENTITY_ID, applied, entity_url};
use super::row::{is_nullable, required};
use super::target::{self, Named};
use super::{body, draft::Draft};
use crate::bind::{Rows, What};
use crate::dialect::odata::{Exchange, property};
use crate::failure::Halt;
use crate::http::answer::Answer;
use crate::http::error::{ApiError, Code};
use crate::http::prefer::Return;

/// `PUT` and, in 4.01, `PATCH` with `{"value":…}`.
pub(super) async fn put(x: &Exchange<'_>, rows: &Rows, property: usize) -> Result<Answer, Halt> {
    let value = body::property(x, rows.last().collection, property)?;
    set(x, rows, property, value).await
}

/// `PUT` to `/$value`.
pub(super) async fn put_raw(
    x: &Exchange<'_>,
    rows: &Rows,
    property: usize,
) -> Result<Answer, Halt> {
    let value = body::raw_value(x, rows.last().collection, property)?;
    set(x, rows, property, value).await
}

/// `DELETE`, of the property or its value: it becomes `null`.
pub(super) async fn clear(x: &Exchange<'_>, rows: &Rows, property: usize) -> Result<Answer, Halt> {
    write(x, rows, property, Value::Null).await?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

async fn set(x: &Exchange<'_>, rows: &Rows, property: usize, value: Value) -> Result<Answer, Halt> {
    let preferred = x.request.prefer.returns;
    let format = match (preferred, rows.what) {
        (Some(Return::Representation), What::Property(_)) => Some(x.json_format()?),
        _ => None,
    };
    let entity = write(x, rows, property, value).await?;
    let id = entity_url(x, entity.collection, &entity.key);
    let minimal = Answer::empty(StatusCode::NO_CONTENT).header(ODATA_ENTITY_ID, &id);
    let Some(format) = format else {
        return Ok(match preferred {
            Some(Return::Minimal) => applied(minimal, Return::Minimal),
            Some(Return::Representation) | None => minimal,
        });
    };
    let rows = Rows {
        what: rows.what,
        ..target::rows_by_key(entity.collection, Some(entity.key))
    };
    Ok(match property::show(x, &rows, property, format).await {
        Ok(Some(answer)) => applied(answer, Return::Representation),
        Ok(None) => minimal,
        // It is written: that it cannot be shown is no failure.
        Err(halt) => {
            tracing::warn!(?halt, "what was written could not be read back");
            minimal
        }
    })
}

async fn write(
    x: &Exchange<'_>,
    rows: &Rows,
    property: usize,
    value: Value,
) -> Result<Named, Halt> {
    let collection = rows.last().collection;
    let column = x.model.collection(collection).columns[property];
    check_settable(x, collection, column)?;
    if value == Value::Null && !is_nullable(x, collection, column) {
        return Err(required(x, collection, column, "").into());
    }
    let condition = target::condition(x, collection, None)?;
    let entity = target::entity(x, rows).await?;
    let mut draft = Draft::new(x);
    let values = vec![(column, Input::Value(value))];
    draft.update(&entity, values, condition, false)?;
    draft.write().await?;
    Ok(entity)
}

/// What an update of the entity ignores (requirement 86) is here all that was asked for, so it is refused.
fn check_settable(x: &Exchange<'_>, collection: usize, column: usize) -> Result<(), ApiError> {
    let table = x.model.table(collection);
    let why = if table.key.contains(&column) {
        "it is part of the key. Delete the entity and create another one"
    } else if table.columns[column].computed {
        "it is computed from other properties. Set those"
    } else {
        return Ok(());
    };
    Err(ApiError::new(
        Code::InvalidBody,
        format!("This property cannot be set: {why}."),
    ))
}
