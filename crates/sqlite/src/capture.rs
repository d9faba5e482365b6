//! Capture: triggers that write an undo record for every changed row, for every writer (DESIGN section 3).
//!
//! [`shape`] finds out how the rows of a table are identified and which unique keys can make a `REPLACE` delete *other* rows;
//! [`ddl`] turns that into a history table and its triggers; [`tokens`] cuts expressions out of the schema's SQL.
//!
//! What must hold:
//!
//! - For each key that a transaction changes there is a record, and the first one shows the state before the transaction. Further
//!   records do no harm.
//! - No statement of a trigger can fail: an `OR` clause of the application's statement applies to them too.
//! - A table whose rows could vanish unseen is not tracked, and says why.
//!
//! Known limits, each of them documented for users:
//!
//! - A connection that switches triggers off (`SQLITE_DBCONFIG_ENABLE_TRIGGER`) or writes `sqlite_schema` directly is not seen.
//! - Temporary triggers fire before all others. One that changes, after an insert, the very row that was inserted hides the insert
//!   if the row's integer key was chosen by SQLite.
//! - What a `BEFORE UPDATE` trigger does to the key of the very row that is being updated is undefined in SQLite too.
//! - `INSERT OR REPLACE INTO t(rowid, …) VALUES (random(), …)`: SQLite computes a rowid expression twice, and the triggers see
//!   another value than the table. For an `INTEGER PRIMARY KEY` this is noticed and the old links end (see [`ddl`]); for the
//!   hidden rowid of a table with another key it is not.

pub(crate) mod ddl;
pub(crate) mod shape;
mod tokens;
