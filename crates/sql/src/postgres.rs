//! PostgreSQL: where its rows and their old images are, and how it spells things.

/// What must be known of a table beyond the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableLayout {
    /// Id of its history; `None` if it is not tracked.
    pub history: Option<i64>,
    /// Whether the table has descendants whose rows are not its own, so that it is read with `ONLY`.
    pub only: bool,
    /// One for each column of the catalog.
    pub columns: Vec<ColumnLayout>,
}

/// What must be known of a column beyond the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnLayout {
    /// Its type, or the type below it if that is a domain, as SQL that can stand behind `::`: qualified, quoted, without modifiers.
    pub ty: String,
    /// How its values behave.
    pub family: Family,
    /// Whether values with different texts can be equal for the type (`numeric`, `citext`, non-deterministic collations …), so that what an
    /// index finds has to be compared as text again.
    pub coarse: bool,
}

/// How values of a type behave, and in which form they leave the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `boolean`
    Boolean,
    /// `smallint`, `integer`, `bigint`
    Integer,
    /// `numeric`
    Numeric,
    /// `real`, `double precision`
    Float,
    /// `text`, `varchar` and `name`
    Text,
    /// `uuid`
    Uuid,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `timestamp without time zone`, taken as UTC
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// `interval`
    Interval,
    /// `bytea`
    Bytea,
    /// Everything else: leaves the database as text, and compares as text.
    Other,
}

/// Which transactions are visible in a snapshot: those below `xmax` that are not in `xip`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visible {
    /// The first transaction that had not begun.
    pub xmax: i64,
    /// Those below `xmax` that had not ended, ascending.
    pub xip: Vec<i64>,
}
