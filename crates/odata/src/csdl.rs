//! Metadata documents: the model as CSDL XML and CSDL JSON, for 4.0 and 4.01.
//!
//! What must hold: both formats say the same, because what is not plain structure (the annotations) is decided once for both.
//! What is deliberately absent: reading of metadata documents, derived types, enumerations, and everything else that a database
//! schema does not have.

pub mod json;
pub mod xml;

mod annotation;

use crate::PrimitiveType;
use crate::edm::{EntityType, Navigation};

/// Digits of a second that temporal values may have. Without it they would be limited to whole seconds (CSDL 4.01, section 7.2.3).
const TEMPORAL_PRECISION_DIGITS: u32 = 12;

/// Whether values of the type have fractions of a second.
const fn has_precision(ty: PrimitiveType) -> bool {
    matches!(
        ty,
        PrimitiveType::DateTimeOffset | PrimitiveType::Duration | PrimitiveType::TimeOfDay
    )
}

/// Names of the properties here and there that a referential constraint may relate: it must be declared where at most one entity is
/// related, and both properties must have the same type (CSDL 4.01, section 8.5). Databases are not that strict.
fn legal_constraints<'a>(
    ty: &'a EntityType,
    target: &'a EntityType,
    navigation: &Navigation,
) -> Vec<(&'a str, &'a str)> {
    let pairs = navigation.constraints.iter().map(|constraint| {
        (
            &ty.properties()[constraint.property],
            &target.properties()[constraint.referenced],
        )
    });
    let legal = pairs
        .clone()
        .all(|(property, referenced)| property.ty == referenced.ty);
    if navigation.collection || !legal {
        return Vec::new();
    }
    pairs
        .map(|(property, referenced)| (property.name.as_str(), referenced.name.as_str()))
        .collect()
}
