//! The oracle: a round is the difference between two snapshots of one query (DESIGN section 1), computed here from what the
//! database itself says, without Highwater.
//!
//! What must hold: [`difference`] is the table of that section, line by line, and [`check_round`] accepts nothing else.
//! What is deliberately absent: how rows and pages were read.

use std::collections::BTreeMap;

use crate::key::{EntityKey, KeyPart};
use crate::lab::{Cell, Lab, Which};
use crate::page::{Entity, Item};
use crate::query::ClientQuery;
use crate::render::expected;
use crate::schema::Table;

/// The answer to one client's query in one committed state, with the rows that do not belong to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    rows: BTreeMap<EntityKey, Row>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    entity: Entity,
    matches: bool,
}

impl State {
    /// Reads the last committed state.
    pub fn read(lab: &dyn Lab, table: &Table, query: &ClientQuery) -> State {
        let columns: Vec<String> = (0..table.columns.len())
            .map(|at| table.column(at))
            .collect();
        let sql = format!(
            "SELECT {}, {} FROM {}",
            columns.join(", "),
            query.sql_condition(),
            table.rows_sql()
        );
        let mut state = State::default();
        for cells in lab.rows(Which::Served, &sql) {
            let (condition, cells) = cells.split_last().expect("a condition was selected");
            state.insert(cells, is_true(condition), query);
        }
        state
    }

    fn insert(&mut self, cells: &[Cell], matches: bool, query: &ClientQuery) {
        let entity: Entity = query
            .set
            .properties
            .iter()
            .zip(cells)
            .map(|(property, cell)| (property.name.clone(), expected(cell, &property.ty)))
            .collect();
        let key: Option<Vec<KeyPart>> = query
            .set
            .key
            .iter()
            .map(|name| KeyPart::of(entity.get(name)?))
            .collect();
        // A row whose key contains NULL is no entity.
        let Some(key) = key else {
            return;
        };
        let shown = entity
            .into_iter()
            .filter(|(name, _)| query.shows(name))
            .collect();
        let row = Row {
            entity: shown,
            matches,
        };
        let twin = self.rows.insert(EntityKey(key), row);
        assert!(twin.is_none(), "two rows with one key");
    }

    /// The entities of the answer.
    pub fn answer(&self) -> BTreeMap<EntityKey, Entity> {
        let matching = self.rows.iter().filter(|(_, row)| row.matches);
        matching
            .map(|(key, row)| (key.clone(), row.entity.clone()))
            .collect()
    }
}

fn is_true(cell: &Cell) -> bool {
    match cell {
        Cell::Bool(v) => *v,
        Cell::Int(v) => *v != 0,
        _ => false,
    }
}

/// What a round from `lo` to `hi` contains; a first round has no `lo`.
pub fn difference(lo: Option<&State>, hi: &State) -> BTreeMap<EntityKey, Item> {
    let before = lo.map(State::answer).unwrap_or_default();
    let after = hi.answer();
    let mut items = BTreeMap::new();
    for (key, entity) in &after {
        if before.get(key) != Some(entity) {
            items.insert(key.clone(), Item::Present(entity.clone()));
        }
    }
    for key in before.keys() {
        if !after.contains_key(key) {
            let deleted = !hi.rows.contains_key(key);
            items.insert(key.clone(), Item::Removed { deleted });
        }
    }
    items
}

/// What a client saw in a complete round.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// In the order of arrival.
    pub items: Vec<(EntityKey, Item)>,
    /// The client's copy afterwards.
    pub copy: BTreeMap<EntityKey, Entity>,
}

/// Checks a complete round.
///
/// # Errors
///
/// How the round differs from the difference of the two states.
pub fn check_round(lo: Option<&State>, hi: &State, seen: &Seen) -> Result<(), String> {
    let wanted = difference(lo, hi);
    let mut got: BTreeMap<&EntityKey, &Item> = BTreeMap::new();
    for (key, item) in &seen.items {
        if let Some(earlier) = got.insert(key, item) {
            return Err(format!("{key:?} came twice: {earlier:?}, then {item:?}"));
        }
    }
    for (key, item) in &wanted {
        match got.get(key) {
            None => return Err(format!("{key:?} is missing: {item:?}")),
            Some(other) if *other != item => {
                return Err(format!("{key:?} came as {other:?}, not as {item:?}"));
            }
            Some(_) => {}
        }
    }
    if let Some((key, item)) = got.iter().find(|(key, _)| !wanted.contains_key(**key)) {
        return Err(format!("{key:?} is superfluous: {item:?}"));
    }
    let answer = hi.answer();
    if seen.copy != answer {
        return Err(format!(
            "the copy is {:?}, the answer {answer:?}",
            seen.copy
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::Canon;

    fn key(number: u32) -> EntityKey {
        EntityKey(vec![KeyPart::Bare(number.to_string())])
    }

    fn entity(text: &str) -> Entity {
        let value = Canon::Value {
            ty: "String".into(),
            text: text.into(),
        };
        Entity::from([("p".to_owned(), value)])
    }

    fn state(rows: &[(u32, &str, bool)]) -> State {
        let rows = rows.iter().map(|(number, text, matches)| {
            (
                key(*number),
                Row {
                    entity: entity(text),
                    matches: *matches,
                },
            )
        });
        State {
            rows: rows.collect(),
        }
    }

    fn present(number: u32, text: &str) -> (EntityKey, Item) {
        (key(number), Item::Present(entity(text)))
    }

    fn removed(number: u32, deleted: bool) -> (EntityKey, Item) {
        (key(number), Item::Removed { deleted })
    }

    /// Every line of the table in DESIGN section 1, by row: 1 enters by insert, 2 by a change; 3 changes; 4 stays; 5 leaves;
    /// 6 is deleted; 7, 8 and 9 never match.
    fn every_line() -> (State, State, Vec<(EntityKey, Item)>) {
        let lo = state(&[
            (2, "b", false),
            (3, "c", true),
            (4, "d", true),
            (5, "e", true),
            (6, "f", true),
            (7, "g", false),
            (8, "h", false),
        ]);
        let hi = state(&[
            (1, "a", true),
            (2, "b", true),
            (3, "C", true),
            (4, "d", true),
            (5, "E", false),
            (7, "G", false),
            (9, "i", false),
        ]);
        let round = vec![
            present(1, "a"),
            present(2, "b"),
            present(3, "C"),
            removed(5, false),
            removed(6, true),
        ];
        (lo, hi, round)
    }

    #[test]
    fn the_difference_follows_the_definition() {
        let (lo, hi, round) = every_line();
        assert_eq!(difference(Some(&lo), &hi), round.into_iter().collect());
        assert_eq!(difference(Some(&hi), &hi), BTreeMap::new());
        assert_eq!(difference(None, &lo).len(), 4);
    }

    #[test]
    fn every_kind_of_defect_is_found() {
        let (lo, hi, round) = every_line();
        let copy = hi.answer();
        let check = |items: Vec<(EntityKey, Item)>, copy: &BTreeMap<EntityKey, Entity>| {
            check_round(
                Some(&lo),
                &hi,
                &Seen {
                    items,
                    copy: copy.clone(),
                },
            )
        };
        assert_eq!(check(round.clone(), &copy), Ok(()));
        for lost in 0..round.len() {
            let mut items = round.clone();
            items.remove(lost);
            assert!(check(items, &copy).unwrap_err().contains("missing"));
        }
        for (extra, complaint) in [
            (present(1, "a"), "twice"),
            (present(4, "d"), "superfluous"),
            (removed(7, false), "superfluous"),
            (removed(8, true), "superfluous"),
            (removed(99, true), "superfluous"),
        ] {
            let mut items = round.clone();
            items.push(extra);
            assert!(check(items, &copy).unwrap_err().contains(complaint));
        }
        for (at, wrong) in [
            (2, present(3, "c")),
            (3, removed(5, true)),
            (4, removed(6, false)),
        ] {
            let mut items = round.clone();
            items[at] = wrong;
            assert!(check(items, &copy).unwrap_err().contains("came as"));
        }
        let mut stale = copy;
        stale.insert(key(6), entity("f"));
        assert!(check(round, &stale).unwrap_err().contains("copy"));
    }
}
