//! Writes: conditions, scopes, exact values, refusals that say what is wrong, and writers that meet.

mod concurrent;
mod conditions;
mod cut;
mod reads;
mod refusals;
mod relations;
mod rights;
mod rows;
mod serving;
mod step;
mod values;
