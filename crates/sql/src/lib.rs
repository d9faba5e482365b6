//! Compiles a defining query to SQL text and parameters.
//!
//! What must hold:
//!
//! - Every value of a request is a bound parameter, and every name of a database goes through [`Sql::name`]: SQL injection is
//!   impossible by construction.
//! - An expression means the same on a current row and on an old image in the history ([`RowImage`]), so the two ends of a round
//!   are judged by one text.
//! - `null` follows OData (URL Conventions 5.1.1.1), not SQL: `eq` and `ne` treat it as a value, the other comparisons are
//!   false, and so is their negation's opposite.
//!
//! What is deliberately absent: connections, and the values that come back.

mod expr;
mod flavour;
mod keyset;
pub mod postgres;
pub mod sqlite;
mod text;

pub use expr::Compiler;
pub use flavour::{Alias, Flavour, RowImage, RowRef};
pub use keyset::{Term, push_operator};
pub use sqlite::Collation;
pub use text::{Param, Sql};
