//! OData 4.01 and 4.0 as pure functions: URL grammar, literals, entity model, metadata documents and payloads.
//!
//! What must hold: every parser is linear in its input, bounded in depth, and never panics on any input.
//! What is deliberately absent: I/O, SQL, HTTP types and knowledge of where rows come from.

pub mod context;
pub mod csdl;
pub mod edm;
pub mod literal;
pub mod payload;
pub mod primitive;
pub mod url;
pub mod value;
pub mod version;

pub use primitive::PrimitiveType;
pub use value::{Value, ValueRef};
pub use version::Version;
