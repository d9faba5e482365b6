//! What every dialect needs of HTTP: headers in, headers out, bodies, and the error that a caller sees.
//!
//! What must hold: nothing here knows an entity set or a store; every parser is linear in its input and treats the input as hostile.
//! What is deliberately absent: sockets (see [`crate::listen`]) and routing.

pub(crate) mod accept;
pub(crate) mod answer;
pub(crate) mod body;
pub(crate) mod conditional;
pub(crate) mod encoding;
pub(crate) mod error;
pub(crate) mod origin;
pub(crate) mod prefer;
pub(crate) mod version;
