//! How the changes of a table are captured: undo records, written by triggers in the transaction of the change.
//!
//! # What an undo record must say
//!
//! For each key that a transaction touches, the record with the smallest `seq` among the transaction's records of that key must show the row
//! as it was **before the transaction**, or its absence. Row locks and unique indexes order the transactions that touch one key, and a record is
//! written after the change, so `seq` orders their records too. More records of the key, after the first, are harmless.
//!
//! `seq` is the position in the write-ahead log from before the records are written, counted on from there. A record takes more than
//! twenty bytes of the log, so whatever is captured later, in this transaction or in one that waited for it, begins behind all of them.
//! (Only the transaction that begins the tracking may write none, with `wal_level = minimal`; nobody has a link from before it.) A sequence
//! would do as well, but it would change what `lastval()` tells the application.
//!
//! A row that a transaction took away has a record with `gone`, so that rows that are no longer there can be found without a look at all
//! records. Usually that is an image like any other. If this transaction made the version, an image might become the first record of the
//! key and is not what was before the transaction: then it has the last of all numbers, [`POINTER`], and serves to find the key only.
//!
//! # Two ways to write them
//!
//! *By row* ([`row`]): an `AFTER … FOR EACH ROW` trigger sees the old version with its `xmin`. If this transaction made that version,
//! the key has its record already, or somebody else will write it; else the version **is** the row before the transaction. The only
//! trouble is that a statement inside a trigger or function may be captured before the statement around it: it may find a key free
//! because the outer statement has just removed the row, and write "absent" first. Therefore an image removes what the same
//! transaction wrote about the absence of its key.
//!
//! *By statement* ([`statement`]): `AFTER … FOR EACH STATEMENT` triggers with transition tables cost a third, but see no `xmin`. The old
//! versions of one statement are those from before the statement, which suffices as long as statements are captured one after the
//! other. So each statement announces itself (`BEFORE … FOR EACH STATEMENT`, `highwater.statement_begins()` in `own_schema/functions.sql`), and while one
//! statement is under way on the table, every row that belongs to another statement is captured by row: `WHEN` compares the
//! announcement with the row's own operation and trigger depth. Rows that need it because of that:
//!
//! - of statements in functions that a statement calls (also from defaults, generated columns, policies), and in application triggers;
//! - of foreign-key actions that hit the table that the statement changes: PostgreSQL appends them to the transition tables of the outer
//!   statement. If such a row version was made by this transaction, nobody can tell whether the statement made it; the trigger marks the
//!   announcement, and the older links of the table end (`highwater.lost`). That takes one statement that changes a table both
//!   directly and through a foreign key, and the same row twice;
//! - of logical replication and of parents in an inheritance tree, which fire no statement triggers of the table at all.
//!
//! `INSERT … ON CONFLICT DO UPDATE`, `MERGE` and `WITH` announce several operations for one statement. They are told from nested ones by the
//! call stack (`PG_CONTEXT`): that of a nested one has everything that the outer one's has, and more, so its length tells.
//!
//! All triggers are `ENABLE ALWAYS`: `session_replication_role = replica` switches capture off for nobody.
//!
//! # What must hold for every writer
//!
//! Nothing here may make a write fail. Key columns are named in the functions, so each function asks first whether they still have their
//! names (PL/pgSQL plans a statement when it is first reached); after a change of the table nothing is logged until tracking begins anew, and
//! nothing need be, because `highwater.layout()` ends all older links. The functions run with the rights of those who track and with a
//! search path of their own, so writers need no rights on the schema and cannot put functions of their own in between.
//!
//! What is deliberately absent: which tables are tracked, and when ([`crate::tracking`]).

mod row;
mod statement;
mod truncate;

use highwater_sql::postgres::{ColumnLayout, Family};

use crate::connect::OUTPUT_SETTINGS;
use crate::schema::{Capture, Kind, TableFacts, quote};

/// The version of everything here. It grows with every change of what is captured; then tracking begins anew, but an older program leaves
/// the work of a newer one alone.
pub(crate) const VERSION: i32 = 2;

/// Keys that are longer, all together, are not logged; this leaves room for the rest of an entry of an index.
const KEY_BYTES_MAX: usize = 2000;

/// In any encoding of PostgreSQL.
const BYTES_OF_CHARACTER_MAX: usize = 4;

/// The `seq` of a record that says which key is gone, and never what was there.
const POINTER: i64 = i64::MAX;

/// Begins the name of every trigger and is followed by what it does.
pub(crate) const TRIGGER_PREFIX: &str = "highwater_";

/// A table to capture.
#[derive(Clone, Debug)]
pub(crate) struct Target<'a> {
    /// Of its tracking.
    pub(crate) id: i32,
    /// The table.
    pub(crate) facts: &'a TableFacts,
    /// One for each column of the table.
    pub(crate) columns: &'a [ColumnLayout],
    /// How its changes are captured.
    pub(crate) capture: Capture,
    /// Its partitions on all levels; empty for a table that is not partitioned.
    pub(crate) leaves: Vec<Leaf>,
}

/// A table below a partitioned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) relation: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    /// Whether its columns have the order of the root's.
    pub(crate) is_in_order: bool,
}

/// The statements that make the history of a table. That of an `UNLOGGED` table is an ordinary one, because without the write-ahead log
/// its records would have no numbers; that a crash empties the table, the sentinel tells.
pub(crate) fn history(target: &Target<'_>) -> Vec<String> {
    let id = target.id;
    let columns = target
        .key_names()
        .map(|k| format!("{k} text COLLATE \"C\" NOT NULL, "));
    let mut sql = vec![
        format!(
            "CREATE TABLE highwater.history_{id}(xid bigint NOT NULL, seq bigint NOT NULL, gone boolean NOT NULL, {}old text)",
            columns.collect::<String>()
        ),
        format!("CREATE INDEX history_{id}_xid ON highwater.history_{id}(xid, seq)"),
        format!("CREATE INDEX history_{id}_gone ON highwater.history_{id}(xid) WHERE gone"),
        format!(
            "CREATE INDEX history_{id}_key ON highwater.history_{id}({}, xid, seq)",
            target.key_list()
        ),
        // Else a publication of all tables would refuse to have records deleted, and with them what the application does.
        format!("ALTER TABLE highwater.history_{id} REPLICA IDENTITY FULL"),
    ];
    if target.facts.unlogged {
        sql.push(format!(
            "INSERT INTO highwater.sentinel VALUES ({}) ON CONFLICT DO NOTHING",
            target.facts.relation
        ));
    }
    sql
}

/// The statements that make the functions and triggers of a table. Its history exists already.
pub(crate) fn triggers(target: &Target<'_>) -> Vec<String> {
    let mut sql = vec![row::function(target)];
    if target.capture == Capture::Statement {
        sql.extend(statement::functions(target));
        sql.extend(statement::triggers(target));
    }
    sql.extend(row::triggers(target));
    sql.push(truncate::function(target));
    let tables = target.leaves.iter().map(Leaf::qualified);
    sql.extend(truncate::triggers(
        target,
        std::iter::once(target.facts.qualified()).chain(tables),
    ));
    sql
}

/// The statements that take new partitions into the capture of a table. (The row triggers are there already: PostgreSQL made them.)
pub(crate) fn extend(target: &Target<'_>, new: &[u32]) -> Vec<String> {
    let mut sql = vec![row::function(target), truncate::function(target)];
    let tables = target
        .leaves
        .iter()
        .filter(|leaf| new.contains(&leaf.relation));
    sql.extend(truncate::triggers(target, tables.map(Leaf::qualified)));
    sql
}

/// The statements that remove the functions and the history of a table, and with the functions all triggers.
pub(crate) fn drop_all(id: i32) -> Vec<String> {
    let functions = ["begin", "row", "insert", "update", "delete", "truncate"];
    let mut sql: Vec<String> = functions
        .iter()
        .map(|name| format!("DROP FUNCTION IF EXISTS highwater.{name}_{id}() CASCADE"))
        .collect();
    sql.push(format!("DROP TABLE IF EXISTS highwater.history_{id}"));
    sql
}

impl Leaf {
    fn qualified(&self) -> String {
        format!("{}.{}", quote(&self.schema), quote(&self.name))
    }
}

impl Target<'_> {
    /// The name of a trigger. PostgreSQL gives those of a partitioned table to its partitions, which may have been tracked on their own
    /// before they were attached; and it would not attach a table that has a trigger of that name.
    fn trigger(&self, what: &str) -> String {
        match self.facts.kind {
            Kind::Partitioned => format!("{TRIGGER_PREFIX}{what}_{}", self.id),
            _ => format!("{TRIGGER_PREFIX}{what}"),
        }
    }

    /// The numbers of the partitions that are known, as an array.
    fn known_leaves(&self) -> String {
        let known = self.leaves.iter().map(|leaf| leaf.relation.to_string());
        format!("'{{{}}}'::oid[]", known.collect::<Vec<_>>().join(","))
    }

    /// `k0`, `k1`, …: the columns of the key in the history.
    fn key_names(&self) -> impl Iterator<Item = String> {
        (0..self.facts.key.len()).map(|i| format!("k{i}"))
    }

    /// `k0, k1`
    fn key_list(&self) -> String {
        self.key_names().collect::<Vec<_>>().join(", ")
    }

    /// `INSERT INTO` the history, up to the values.
    fn record(&self) -> String {
        format!(
            "INSERT INTO highwater.history_{}(xid, seq, gone, {}, old)",
            self.id,
            self.key_list()
        )
    }

    /// The key of a row of a relation (or of `OLD`, `NEW`), as the history spells it.
    fn key_texts(&self, row: &str) -> Vec<String> {
        self.texts(|name| format!("{row}.{name}"))
    }

    /// The key of the only one of two rows that there is, or of both if they have the same.
    fn key_texts_of_either(&self, one: &str, other: &str) -> Vec<String> {
        self.texts(|name| format!("coalesce({one}.{name}, {other}.{name})"))
    }

    /// The texts of the values that `value` gives for the names of the key's columns.
    fn texts(&self, value: impl Fn(&str) -> String) -> Vec<String> {
        let lengths = self.lengths();
        let texts = self.facts.key.iter().enumerate().map(|(position, k)| {
            let (before, after) = self.columns[k.column].key_text();
            // Not even if the column has just got another type may a text be too long for the index.
            let length = lengths.as_ref().map_or(String::new(), |lengths| {
                format!("::varchar({})", lengths[position])
            });
            let value = value(&quote(&k.name));
            format!("{before}{value}{after}{length} COLLATE \"C\"")
        });
        texts.collect()
    }

    /// That a record of the history (`h`) has the key of a row.
    pub(crate) fn is_of(&self, row: &str) -> String {
        let equal = self
            .key_names()
            .zip(self.key_texts(row))
            .map(|(k, text)| format!("h.{k} = {text}"));
        equal.collect::<Vec<_>>().join(" AND ")
    }

    /// That two rows have the same key, for the history. Texts can be compared whatever types the columns have by now.
    fn same_key(&self, one: &str, other: &str) -> String {
        let equal = self
            .key_texts(one)
            .into_iter()
            .zip(self.key_texts(other))
            .map(|(one, other)| format!("{one} = {other}"));
        equal.collect::<Vec<_>>().join(" AND ")
    }

    /// That there is no such row in an outer join. (`IS NULL` would be true of a composite value whose fields are all `NULL`, too.)
    fn is_absent(&self, row: &str) -> String {
        format!(
            "{row}.{} IS NOT DISTINCT FROM NULL",
            quote(&self.facts.key[0].name)
        )
    }

    /// How many characters the text of each value of the key has at most; `None` if they could be too many for an entry of the index.
    fn lengths(&self) -> Option<Vec<usize>> {
        let lengths = self.facts.key.iter().map(|k| {
            let declared = &self.facts.columns[k.column].declared;
            match self.columns[k.column].family {
                Family::Boolean | Family::Integer | Family::Float => Some(32),
                Family::Uuid | Family::Date | Family::Time => Some(40),
                Family::Timestamp | Family::TimestampTz => Some(40),
                Family::Interval => Some(100),
                Family::Text => modifiers(declared, "character varying")?.first().copied(),
                // Digits on both sides of the point, the point and the sign.
                Family::Numeric => Some(modifiers(declared, "numeric")?.iter().sum::<usize>() + 3),
                Family::Bytea | Family::Other => None,
            }
        });
        let lengths: Vec<usize> = lengths.collect::<Option<_>>()?;
        (lengths.iter().sum::<usize>() <= KEY_BYTES_MAX / BYTES_OF_CHARACTER_MAX).then_some(lengths)
    }

    /// That the key of a row is too long for the index of the history; `None` if it cannot be. The index of the table itself takes
    /// 2,704 bytes, after compression and in the type's own form; ours is of text.
    fn is_too_long(&self, row: &str) -> Option<String> {
        if self.lengths().is_some() {
            return None;
        }
        let texts = self.key_texts(row);
        let bytes = texts.iter().map(|text| format!("octet_length({text})"));
        let bytes = bytes.collect::<Vec<_>>().join(" + ");
        Some(format!("{bytes} > {KEY_BYTES_MAX}"))
    }

    /// That the columns of the key still have their names.
    fn is_as_known(&self) -> String {
        let columns = self.facts.key.iter().map(|k| {
            format!(
                "(pg_identify_object_as_address(1259, {}, {})).object_names[3] = {}",
                self.facts.relation,
                k.attnum,
                literal(&k.name)
            )
        });
        columns.collect::<Vec<_>>().join(" AND ")
    }

    /// That the columns of the key still have their types, as far as the snapshot of the transaction shows.
    fn has_known_types(&self) -> String {
        let others = self.facts.key.iter();
        let others = others.map(|k| format!("a.attnum = {} AND a.atttypid <> {}", k.attnum, k.ty));
        format!(
            "NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = {} AND ({}))",
            self.facts.relation,
            others.collect::<Vec<_>>().join(" OR ")
        )
    }

    /// A trigger function of the table.
    fn function(&self, name: &str, function: &Function<'_>) -> String {
        let Function {
            declare,
            begin,
            only_if,
            too_long,
            log,
            joins,
            may_fail,
        } = function;
        let id = self.id;
        let log = match too_long {
            Some(too_long) => format!(
                "        IF {too_long} THEN
            INSERT INTO highwater.lost(id) VALUES ({id});
        ELSE\n{log}        END IF;\n"
            ),
            None => (*log).to_owned(),
        };
        // The plan of the first call, for one row perhaps, is the plan of all later ones.
        let joins = if *joins {
            " SET enable_nestloop = off"
        } else {
            ""
        };
        let settings: String = self
            .settings()
            .map(|(k, v)| format!(" SET {k} = '{v}'"))
            .collect();
        let (attempt, rescue) = match may_fail {
            true => (
                "    BEGIN\n",
                format!(
                    "    EXCEPTION WHEN OTHERS THEN
        INSERT INTO highwater.lost(id) VALUES ({id});
    END;\n"
                ),
            ),
            false => ("", String::new()),
        };
        let text = format!(
            "#variable_conflict use_variable
DECLARE
    mine bigint;
    seq bigint;
{declare}BEGIN
{begin}{attempt}    IF {}{} THEN
        mine := pg_current_xact_id()::text::bigint;
        seq := pg_current_wal_insert_lsn() - '0/0';
{log}    END IF;
{rescue}{}    RETURN NULL;
END
",
            self.is_as_known(),
            only_if
                .as_ref()
                .map_or(String::new(), |condition| format!(" AND {condition}")),
            crate::wake::ddl::CHECK,
        );
        let tag = tag_outside(&text);
        format!(
            "CREATE OR REPLACE FUNCTION highwater.{name}_{id}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER \
             SET search_path = pg_catalog, pg_temp{settings}{joins} AS {tag}\n{text}{tag}",
        )
    }

    /// Settings on which the text of a row depends: only these, because each costs every call of a function.
    fn settings(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        OUTPUT_SETTINGS.into_iter().filter(|(setting, _)| {
            self.columns.iter().any(|column| match column.family {
                Family::Boolean
                | Family::Integer
                | Family::Numeric
                | Family::Text
                | Family::Uuid
                | Family::Time => false,
                Family::Float => *setting == "extra_float_digits",
                Family::Date | Family::Timestamp => *setting == "DateStyle",
                Family::TimestampTz => matches!(*setting, "DateStyle" | "TimeZone"),
                Family::Interval => *setting == "IntervalStyle",
                Family::Bytea => *setting == "bytea_output",
                Family::Other => column.ty != r#""pg_catalog"."jsonb""#,
            })
        })
    }
}

/// What distinguishes one trigger function from another.
struct Function<'a> {
    /// Declarations of variables besides `mine`, the transaction, and `seq`, after which the numbers of its records begin.
    declare: &'a str,
    /// What it does in any case.
    begin: &'a str,
    /// What else must hold than that the key still has its names; otherwise nothing need be logged.
    only_if: Option<String>,
    /// Whether a key is too long to be indexed; `None` if none can be. Then older links end.
    too_long: Option<String>,
    /// What it does then.
    log: &'a str,
    /// Whether it joins as many rows as a statement has changed.
    joins: bool,
    /// Whether it could fail, which the application must not notice: then older links end.
    may_fail: bool,
}

/// The numbers in the parentheses of a type; `None` if it is another type or has none.
fn modifiers(declared: &str, name: &str) -> Option<Vec<usize>> {
    let numbers = declared.strip_prefix(name)?.strip_prefix('(')?;
    let numbers = numbers.strip_suffix(')')?.split(',');
    numbers
        .map(|number| number.trim().trim_start_matches('-').parse().ok())
        .collect()
}

/// Quotes a string for SQL.
pub(crate) fn literal(text: &str) -> String {
    if text.contains('\\') {
        format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
    } else {
        format!("'{}'", text.replace('\'', "''"))
    }
}

/// A dollar quote that the text does not contain: names of tables may look like anything.
fn tag_outside(text: &str) -> String {
    let mut tag = "$highwater$".to_owned();
    while text.contains(tag.trim_end_matches('$')) {
        tag.insert(tag.len() - 1, '_');
    }
    tag
}
