//! Names of entity sets, properties and navigation properties, made from names that a database may spell in any way.
//!
//! What must hold: every name is a `SimpleIdentifier` (CSDL 4.01, section 15.2) that the URL grammar can tell from a keyword;
//! names in one namespace differ; and the outcome depends on the names alone, so that a restart, or a new table beside the
//! others, does not rename what clients already use. A name that needs no change therefore always keeps it, and only those
//! that had to be changed give way to each other.
//!
//! A table outside the default schema is always `schema_table`, never the table's name alone while that happens to be free: a table of
//! the same name in another schema must not rename it. Only if there is a table `schema_table` too does one of the two have to give way,
//! and then it is the one that needed a prefix.

use std::borrow::Cow;
use std::collections::HashSet;

use highwater_odata::edm::{IDENTIFIER_LEN_MAX_CHARS, is_identifier};

/// Words that an expression could not tell from a literal or an operator if they were property names.
const RESERVED: [&str; 6] = ["null", "true", "false", "inf", "nan", "not"];

/// A name to be given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    /// The schema of a table outside the default one.
    pub(crate) schema: Option<&'a str>,
    /// How the database spells it.
    pub(crate) source: &'a str,
    /// What the operator decided, if anything. Already checked by [`is_usable`].
    pub(crate) configured: Option<&'a str>,
}

/// Gives each wanted name its identifier. Names in `used` are avoided, and those given are added to it.
///
/// The configured names must differ from each other and from `used`.
pub(crate) fn assign(wanted: &[Wanted<'_>], used: &mut HashSet<String>) -> Vec<String> {
    let mut names: Vec<Option<String>> = vec![None; wanted.len()];
    for (name, wanted) in names.iter_mut().zip(wanted) {
        if let Some(configured) = wanted.configured {
            used.insert(configured.to_owned());
            *name = Some(configured.to_owned());
        }
    }
    for has_prefix in [false, true] {
        for (name, wanted) in names.iter_mut().zip(wanted) {
            if name.is_none() && wanted.schema.is_some() == has_prefix {
                *name = Some(wanted.plain().into_owned())
                    .filter(|plain| is_usable(plain) && used.insert(plain.clone()));
            }
        }
    }
    names
        .into_iter()
        .zip(wanted)
        .map(|(name, wanted)| name.unwrap_or_else(|| unique(&identifier(&wanted.plain()), used)))
        .collect()
}

impl<'a> Wanted<'a> {
    /// The name if it were an identifier and free.
    fn plain(&self) -> Cow<'a, str> {
        match self.schema {
            None => Cow::Borrowed(self.source),
            Some(schema) => Cow::Owned(format!("{schema}_{}", self.source)),
        }
    }
}

/// The identifier itself, or with the first number that makes it unique. Adds it to `used`.
pub(crate) fn unique(identifier: &str, used: &mut HashSet<String>) -> String {
    let numbered = (2_u64..).map(|number| {
        let suffix = format!("_{number}");
        let kept = IDENTIFIER_LEN_MAX_CHARS - suffix.len();
        identifier.chars().take(kept).collect::<String>() + &suffix
    });
    let name = std::iter::once(identifier.to_owned())
        .chain(numbered)
        .find(|name| !used.contains(name))
        .expect("finitely many names are used");
    used.insert(name.clone());
    name
}

/// The nearest usable identifier: every other character becomes `_`.
pub(crate) fn identifier(source: &str) -> String {
    // A leading digit stays behind a `_`; the empty name needs one letter as well.
    let missing = source.chars().next().is_none_or(|c| c.is_ascii_digit());
    let mut name: String = missing
        .then_some('_')
        .into_iter()
        .chain(source.chars().map(|c| if is_legal(c) { c } else { '_' }))
        .take(IDENTIFIER_LEN_MAX_CHARS)
        .collect();
    if is_reserved(&name) {
        name.push('_');
    }
    name
}

/// Whether a name can be used as it is.
pub(crate) fn is_usable(name: &str) -> bool {
    is_identifier(name) && !is_reserved(name)
}

/// What a foreign key column says about the row that it refers to: `ArtistId` is the id of an `Artist`. `None` if it says
/// nothing, because it does not end like an id or is nothing but that.
pub(crate) fn without_id_suffix(column: &str) -> Option<&str> {
    ["_id", "_ID", "_Id", "Id", "ID"]
        .into_iter()
        .find_map(|suffix| column.strip_suffix(suffix))
        .filter(|stem| !stem.is_empty())
}

/// The known name that was probably meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    // About one letter in three may be wrong; beyond that a hint confuses more than it helps.
    let tolerated = (lower.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
}

fn is_reserved(name: &str) -> bool {
    RESERVED.iter().any(|word| name.eq_ignore_ascii_case(word))
}

/// Whether a character may stand in an identifier, though perhaps not at its beginning.
fn is_legal(c: char) -> bool {
    c == '_' || c.is_alphabetic() || c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sources: &[&str], expected: &[&str]) {
        let wanted: Vec<Wanted<'_>> = sources
            .iter()
            .map(|source| {
                let (source, configured) = match source.split_once("=>") {
                    Some((source, configured)) => (source, Some(configured)),
                    None => (*source, None),
                };
                let (schema, source) = match source.split_once("::") {
                    Some((schema, source)) => (Some(schema), source),
                    None => (None, source),
                };
                Wanted {
                    schema,
                    source,
                    configured,
                }
            })
            .collect();
        assert_eq!(assign(&wanted, &mut HashSet::new()), expected);
    }

    #[test]
    fn names_are_identifiers_and_differ() {
        check(&["Album", "Order Details"], &["Album", "Order_Details"]);
        check(&["a b", "a_b", "a.b"], &["a_b_2", "a_b", "a_b_3"]);
        check(&["a b=>x", "x", "x y"], &["x", "x_2", "x_y"]);
        check(&["Größe", "名前", "ё"], &["Größe", "名前", "ё"]);
        check(&["1st", "", "!", "-a"], &["_1st", "_", "__2", "_a"]);
        check(
            &["null", "TRUE", "not", "NaN"],
            &["null_", "TRUE_", "not_", "NaN_"],
        );
        check(&["null_", "null"], &["null_", "null__2"]);
        check(&["A", "a"], &["A", "a"]);
        check(&["x²", "x\u{301}", "x'\"%/"], &["x_", "x__2", "x____"]);
        let long = "x".repeat(130);
        let (kept, numbered) = (&long[..128], format!("{}_2", &long[..126]));
        check(&[&long, &long[..129]], &[kept, &numbered]);
    }

    #[test]
    fn a_schema_is_part_of_the_name_whatever_else_there_is() {
        check(&["orders", "sales::orders"], &["orders", "sales_orders"]);
        check(&["sales::orders"], &["sales_orders"]);
        check(
            &["hr::orders", "sales::orders", "orders"],
            &["hr_orders", "sales_orders", "orders"],
        );
        check(&["1::a b", "s::", "é::ü"], &["_1_a_b", "s_", "é_ü"]);
        // The one that needed a prefix gives way.
        check(
            &["sales::orders", "sales_orders", "sales::a b"],
            &["sales_orders_2", "sales_orders", "sales_a_b"],
        );
        check(&["a::b_c", "a_b::c"], &["a_b_c", "a_b_c_2"]);
        check(&["s::t=>t", "t"], &["t", "t_2"]);
    }

    #[test]
    fn the_stem_of_a_foreign_key() {
        for (column, expected) in [
            ("ArtistId", Some("Artist")),
            ("SupportRepId", Some("SupportRep")),
            ("artist_id", Some("artist")),
            ("ARTIST_ID", Some("ARTIST")),
            ("ArtistID", Some("Artist")),
            ("ReportsTo", None),
            ("Id", None),
            ("_id", None),
            ("paid", None),
        ] {
            assert_eq!(without_id_suffix(column), expected, "{column}");
        }
    }

    #[test]
    fn the_nearest_name() {
        let known = ["Name", "Milliseconds", "UnitPrice", "AlbumId", "Größe"];
        for (name, expected) in [
            ("name", Some("Name")),
            ("Nmae", Some("Name")),
            ("Title", None),
            ("Miliseconds", Some("Milliseconds")),
            ("unit_price", Some("UnitPrice")),
            ("Grösse", Some("Größe")),
            ("", None),
        ] {
            assert_eq!(nearest(name, known), expected, "{name}");
        }
    }
}
