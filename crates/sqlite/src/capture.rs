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
//! What is not captured, or ends links although nothing was lost:
//!
//! - A connection that switches triggers off (`SQLITE_DBCONFIG_ENABLE_TRIGGER`) or writes `sqlite_schema` directly is not seen.
//! - Temporary triggers fire before all others. One that changes, after an insert, the very row that was inserted may hide the insert.
//! - What a `BEFORE UPDATE` trigger does to the key of the very row that is being updated is undefined in SQLite too.
//! - `INSERT INTO t(id) VALUES (random())`: SQLite computes a rowid in `VALUES` twice, and the triggers see another one than the table
//!   gets. For an `INTEGER PRIMARY KEY` this is noticed and ends all older links, because `OR REPLACE` could have removed a row (see
//!   [`ddl`]); a bound parameter, `VALUES` with several rows and `SELECT` do not have this effect. For the hidden rowid of a table with
//!   another key it is not noticed.
//!
//! What any trigger changes for the application, ours included:
//!
//! - Values are converted before `BEFORE` triggers. A row that has not the types of a `STRICT` table, or no integer as its `INTEGER
//!   PRIMARY KEY`, is refused even if `OR IGNORE` would have passed over it for another reason; the same if the expression of a
//!   unique index fails for it.
//! - Rows may be updated in another order, which can decide whether `UPDATE t SET unique_column = …` meets a duplicate on its way.
//! - With `PRAGMA recursive_triggers`, `REPLACE` of a row that foreign key actions are deleting in the same statement is refused.

pub(crate) mod ddl;
pub(crate) mod shape;
mod tokens;
