//! Names of committed states.

/// A committed state of the **whole** database, in an encoding that only its store understands.
///
/// It names a state, never a table's state, so that one link can cover several entity sets at one instant. It includes what the
/// store needs to notice that the database was restored from a backup in the meantime.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot(pub Vec<u8>);

/// A position inside a round, in an encoding that only its store understands: the last thing that the page before examined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Cursor(pub Vec<u8>);

/// Identity of a database incarnation. A database that is created anew gets another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Epoch(pub u64);
