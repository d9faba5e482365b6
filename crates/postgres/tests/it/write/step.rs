//! Steps in the words of the tests.

use highwater_core::query::{Comparison, Scope};
use highwater_core::store::{Condition, Input, WriteStep, WriteVerb};
use highwater_core::{Catalog, Expr};
use highwater_odata::{PrimitiveType as T, Value};

/// A step by names; `table` is in the schema `public` unless it says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    table: String,
    verb: Verb,
    key: Vec<Input>,
    set: Vec<(String, Input)>,
    condition: Condition,
    /// Rows whose column is at least so much.
    scope: Option<(String, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    Insert,
    Update,
    Upsert,
    Delete,
}

fn step(table: &str, verb: Verb, key: &[Value]) -> Step {
    Step {
        table: table.to_owned(),
        verb,
        key: key.iter().cloned().map(Input::Value).collect(),
        set: Vec::new(),
        condition: Condition::None,
        scope: None,
    }
}

pub(crate) fn insert(table: &str) -> Step {
    step(table, Verb::Insert, &[])
}

pub(crate) fn update(table: &str, key: &[Value]) -> Step {
    step(table, Verb::Update, key)
}

pub(crate) fn upsert(table: &str, key: &[Value]) -> Step {
    step(table, Verb::Upsert, key)
}

pub(crate) fn delete(table: &str, key: &[Value]) -> Step {
    step(table, Verb::Delete, key)
}

pub(crate) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(crate) fn int(number: i64) -> Value {
    Value::Integer(number)
}

pub(crate) fn lex(ty: T, text: &str) -> Value {
    Value::Lexical(ty, text.to_owned())
}

impl Step {
    pub(crate) fn set(mut self, column: &str, value: Value) -> Step {
        self.set.retain(|(other, _)| other != column);
        self.set.push((column.to_owned(), Input::Value(value)));
        self
    }

    pub(crate) fn default(mut self, column: &str) -> Step {
        self.set.push((column.to_owned(), Input::Default));
        self
    }

    /// The value of a column, by its position, of the row that an earlier step wrote.
    pub(crate) fn from(mut self, column: &str, step: usize, source: usize) -> Step {
        let input = Input::Written {
            step,
            column: source,
        };
        self.set.push((column.to_owned(), input));
        self
    }

    /// The key is that of the row that an earlier step wrote.
    pub(crate) fn key_from(mut self, step: usize, column: usize) -> Step {
        self.key = vec![Input::Written { step, column }];
        self
    }

    pub(crate) fn when(mut self, condition: Condition) -> Step {
        self.condition = condition;
        self
    }

    pub(crate) fn within(mut self, column: &str, least: i64) -> Step {
        self.scope = Some((column.to_owned(), least));
        self
    }

    pub(crate) fn bind(self, catalog: &Catalog) -> WriteStep {
        let (schema, name) = self
            .table
            .split_once('.')
            .unwrap_or(("public", &self.table));
        let position = catalog.table(Some(schema), name).expect("the table exists");
        let table = &catalog.tables[position];
        let column = |name: &str| table.column(name).expect("the column exists");
        let values = (self.set.iter())
            .map(|(name, input)| (column(name), input.clone()))
            .collect();
        let verb = match self.verb {
            Verb::Insert => WriteVerb::Insert { values },
            Verb::Update | Verb::Upsert => WriteVerb::Update {
                key: self.key,
                values,
                condition: self.condition,
                or_insert: self.verb == Verb::Upsert,
            },
            Verb::Delete => WriteVerb::Delete {
                key: self.key,
                condition: self.condition,
            },
        };
        let scope = self.scope.map(|(name, least)| {
            let column = column(&name);
            let ty = table.columns[column].ty;
            Expr::Compare(
                Comparison::Ge,
                Box::new(Expr::Column {
                    scope: Scope::ROOT,
                    column,
                    ty,
                }),
                Box::new(Expr::Literal(Value::Integer(least))),
            )
        });
        WriteStep {
            table: position,
            verb,
            scope,
        }
    }
}
