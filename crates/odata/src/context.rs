//! Context URLs: what a payload holds, in one URL (Protocol 10).
//!
//! What must hold: the fragment is not percent-encoded (JSON Format 4.5.1), so names and keys stand in it as they are.
//! What is deliberately absent: derived types, singletons and containment, which no model here has.

use std::fmt::Write as _;

use crate::Version;
use crate::edm::{ComplexType, Model};

/// Makes the context URLs of a service.
#[derive(Clone, Copy, Debug)]
pub struct ContextUrls<'a> {
    /// URL of the service, with the slash at the end.
    pub root: &'a str,
    /// Decides how expanded navigation properties appear.
    pub version: Version,
}

/// What `$select` and `$expand` name explicitly, for the parenthesis behind an entity set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelectList {
    /// Names in `$select`, `*` included; empty without `$select`.
    pub selected: Vec<String>,
    /// Expanded navigation properties. Those of which only references or the number are wanted do not belong here.
    pub expanded: Vec<ExpandedName>,
}

/// An expanded navigation property in a [`SelectList`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandedName {
    /// The name.
    pub name: String,
    /// Whether the expansion repeats itself inside (`$levels`).
    pub recursive: bool,
    /// What is selected and expanded inside.
    pub inner: SelectList,
}

impl ContextUrls<'_> {
    /// Of the service document; also the URL of the metadata document.
    pub fn metadata(&self) -> String {
        format!("{}$metadata", self.root)
    }

    /// Of a collection of entities: `#Customers(Name,Orders())`.
    pub fn collection(&self, set: &str, select: &SelectList) -> String {
        self.with_fragment(&format!("{set}{}", self.list(select)))
    }

    /// Of changes of a collection of entities: `#Customers(Name)/$delta`.
    pub fn delta(&self, set: &str, select: &SelectList) -> String {
        self.with_fragment(&format!("{set}{}/$delta", self.list(select)))
    }

    /// Of an entity: `#Customers(Name)/$entity`.
    pub fn entity(&self, set: &str, select: &SelectList) -> String {
        self.with_fragment(&format!("{set}{}/$entity", self.list(select)))
    }

    /// Of the value of a property: `#Customers('A')/Name`. `entity` is the canonical path of the entity, not percent-encoded
    /// ([`crate::payload::canonical_path`]).
    pub fn property(&self, entity: &str, property: &str) -> String {
        self.with_fragment(&format!("{entity}/{property}"))
    }

    /// Of rows without a key: `#Collection(Highwater.Report)(Name)`.
    pub fn rows(&self, model: &Model, ty: &ComplexType, select: &SelectList) -> String {
        let list = self.list(select);
        let (namespace, name) = (model.namespace(), ty.name());
        self.with_fragment(&format!("Collection({namespace}.{name}){list}"))
    }

    /// Of a collection of entity references.
    pub fn references(&self) -> String {
        self.with_fragment("Collection($ref)")
    }

    /// Of an entity reference.
    pub fn reference(&self) -> String {
        self.with_fragment("$ref")
    }

    fn with_fragment(&self, fragment: &str) -> String {
        format!("{}$metadata#{fragment}", self.root)
    }

    /// The select list with its parentheses, or nothing if it is empty.
    fn list(&self, select: &SelectList) -> String {
        let items = self.items(select);
        match items.is_empty() {
            true => items,
            false => format!("({items})"),
        }
    }

    fn items(&self, select: &SelectList) -> String {
        let mut items = select.selected.join(",");
        for expanded in &select.expanded {
            // 4.0 leaves out what has nothing selected or expanded inside (Protocol 10.9).
            if self.version == Version::V4_0 && expanded.inner == SelectList::default() {
                continue;
            }
            let separator = if items.is_empty() { "" } else { "," };
            let plus = if expanded.recursive { "+" } else { "" };
            let inner = self.items(&expanded.inner);
            write!(items, "{separator}{}{plus}({inner})", expanded.name)
                .expect("writing to a string never fails");
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn expanded(name: &str, inner: SelectList) -> ExpandedName {
        ExpandedName {
            name: name.to_owned(),
            recursive: false,
            inner,
        }
    }

    #[test]
    fn select_lists_differ_between_the_versions_as_item_42_says() {
        let plain = SelectList::default();
        let selected = SelectList {
            selected: names(&["Name", "City"]),
            expanded: vec![],
        };
        let bare_expand = SelectList {
            selected: vec![],
            expanded: vec![expanded("Orders", plain.clone())],
        };
        let both = SelectList {
            selected: names(&["Name", "Orders"]),
            expanded: vec![expanded("Orders", plain.clone())],
        };
        let nested = SelectList {
            selected: vec![],
            expanded: vec![expanded("Orders", selected.clone())],
        };
        let deep = SelectList {
            selected: names(&["*"]),
            expanded: vec![
                expanded("Orders", bare_expand.clone()),
                ExpandedName {
                    name: "Boss".to_owned(),
                    recursive: true,
                    inner: SelectList {
                        selected: names(&["Name"]),
                        expanded: vec![],
                    },
                },
            ],
        };
        let cases = [
            (&plain, "C", "C"),
            (&selected, "C(Name,City)", "C(Name,City)"),
            (&bare_expand, "C", "C(Orders())"),
            (&both, "C(Name,Orders)", "C(Name,Orders,Orders())"),
            (&nested, "C(Orders(Name,City))", "C(Orders(Name,City))"),
            (
                &deep,
                "C(*,Orders(),Boss+(Name))",
                "C(*,Orders(Orders()),Boss+(Name))",
            ),
        ];
        for (select, v4_0, v4_01) in cases {
            for (version, expected) in [(Version::V4_0, v4_0), (Version::V4_01, v4_01)] {
                let urls = ContextUrls {
                    root: "http://h/s/",
                    version,
                };
                let expected = format!("http://h/s/$metadata#{expected}");
                assert_eq!(urls.collection("C", select), expected);
                assert_eq!(urls.delta("C", select), format!("{expected}/$delta"));
                assert_eq!(urls.entity("C", select), format!("{expected}/$entity"));
            }
        }
    }

    #[test]
    fn the_other_kinds_are_as_in_protocol_10() {
        let urls = ContextUrls {
            root: "http://h/s/",
            version: Version::V4_01,
        };
        let cases = [
            (urls.metadata(), "http://h/s/$metadata"),
            (
                urls.property("Customers('A B')", "Name"),
                "http://h/s/$metadata#Customers('A B')/Name",
            ),
            (urls.references(), "http://h/s/$metadata#Collection($ref)"),
            (urls.reference(), "http://h/s/$metadata#$ref"),
        ];
        for (url, expected) in cases {
            assert_eq!(url, expected);
        }
    }
}
