//! A client's copy of a query, kept by reading pages: what every program that follows delta links does.

use std::collections::BTreeMap;

use anyhow::Context as _;
use serde_json::{Map, Value};

/// Rows by their key.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Copy {
    rows: BTreeMap<String, Map<String, Value>>,
}

/// What a page said besides its rows.
#[derive(Debug)]
pub(super) struct Page {
    /// What happened to which key, in the order of the page.
    pub(super) entries: Vec<Entry>,
    /// Where the next round begins, if this page is the last.
    pub(super) delta_link: Option<String>,
}

/// One entity of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Why it was removed; `None` if it was added or changed.
    pub(super) removed: Option<String>,
}

impl Copy {
    /// Takes over what a page says. `key` is the name of the key property.
    pub(super) fn apply(&mut self, page: &str, key: &str) -> anyhow::Result<Page> {
        let mut page: Map<String, Value> =
            serde_json::from_str(page).context("a page is not a JSON object")?;
        let Some(Value::Array(entities)) = page.remove("value") else {
            anyhow::bail!("a page has no array 'value'");
        };
        let mut entries = Vec::new();
        for entity in entities {
            let Value::Object(mut row) = entity else {
                anyhow::bail!("an entity is not an object");
            };
            let removed = row.remove("@removed");
            let key = row
                .get(key)
                .and_then(Value::as_str)
                .context("an entity has no key")?
                .to_owned();
            row.retain(|name, _| !name.starts_with('@'));
            if removed.is_none() {
                self.rows.insert(key.clone(), row);
            } else {
                self.rows.remove(&key);
            }
            let removed =
                removed.map(|removed| removed["reason"].as_str().unwrap_or_default().to_owned());
            entries.push(Entry { key, removed });
        }
        let delta_link = page
            .get("@deltaLink")
            .and_then(Value::as_str)
            .map(str::to_owned);
        Ok(Page {
            entries,
            delta_link,
        })
    }

    /// How many rows the copy has.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_takes_rows_over_and_lets_them_go() {
        let mut copy = Copy::default();
        let page = copy
            .apply(
                r#"{"value":[{"id":"a","n":1},{"@id":"x","id":"b","n":2}],"@nextLink":"n"}"#,
                "id",
            )
            .unwrap();
        assert_eq!((copy.len(), page.delta_link), (2, None));
        let page = copy
            .apply(r#"{"value":[{"@removed":{"reason":"deleted"},"id":"a"},{"id":"b","n":3}],"@deltaLink":"d"}"#, "id")
            .unwrap();
        assert_eq!(
            page.entries[0],
            Entry {
                key: "a".into(),
                removed: Some("deleted".into())
            }
        );
        assert_eq!(
            page.entries[1],
            Entry {
                key: "b".into(),
                removed: None
            }
        );
        assert_eq!(page.delta_link.as_deref(), Some("d"));
        let mut fresh = Copy::default();
        fresh
            .apply(r#"{"value":[{"id":"b","n":3}]}"#, "id")
            .unwrap();
        assert_eq!(copy, fresh);
        for broken in ["[]", "{}", r#"{"value":[1]}"#, r#"{"value":[{"n":1}]}"#] {
            assert!(copy.apply(broken, "id").is_err(), "{broken}");
        }
    }
}
