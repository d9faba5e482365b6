//! `cargo xtask licences`: every dependency may be used under a licence on the list.
//!
//! `deny.toml` says the same for cargo-deny, which also knows security advisories but needs the internet; this needs only
//! what cargo has already downloaded. A test keeps both lists equal.

use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::cargo;

/// Licences (SPDX identifiers) that ask for no more than the notice that comes with them.
const ALLOWED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Zlib",
];

pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let packages = packages(root)?;
    let refused: Vec<String> = packages
        .iter()
        .filter_map(|package| Some(format!("{}: {}", package.name, refusal(package)?)))
        .collect();
    if !refused.is_empty() {
        bail!(
            "licences that are not on the list in xtask/src/licences.rs:\n  {}",
            refused.join("\n  ")
        );
    }
    println!("licences: {} packages, all allowed", packages.len());
    Ok(())
}

struct Package {
    name: String,
    licence: Option<String>,
}

fn packages(root: &Path) -> anyhow::Result<Vec<Package>> {
    let output = cargo()
        .current_dir(root)
        .args([
            "metadata",
            "--format-version",
            "1",
            "--all-features",
            "--locked",
        ])
        .output()
        .context("cannot start cargo metadata")?;
    if !output.status.success() {
        bail!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    packages
        .iter()
        .map(|package| {
            let name = text(&package["name"]).context("a package without a name")?;
            Ok(Package {
                name,
                licence: text(&package["license"]),
            })
        })
        .collect()
}

/// Why a package may not be used; `None` if it may.
fn refusal(package: &Package) -> Option<String> {
    let Some(licence) = &package.licence else {
        return Some("it names no licence".to_owned());
    };
    match is_allowed(licence) {
        Some(true) => None,
        Some(false) => Some(licence.clone()),
        None => Some(format!("{licence} is not an SPDX expression")),
    }
}

/// Whether an SPDX licence expression can be fulfilled with [`ALLOWED`] licences; `None` if it is none.
///
/// `OR` binds weaker than `AND`, `AND` weaker than `WITH` (SPDX specification 2.3, annex D). Old manifests write `/` for `OR`.
fn is_allowed(expression: &str) -> Option<bool> {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut tokens: Vec<&str> = spaced.split_whitespace().rev().collect();
    let allowed = any_of(&mut tokens)?;
    tokens.is_empty().then_some(allowed)
}

/// The tokens are in reverse, so that the next one is the last.
fn any_of(tokens: &mut Vec<&str>) -> Option<bool> {
    let mut allowed = all_of(tokens)?;
    while tokens.pop_if(|token| *token == "OR").is_some() {
        allowed |= all_of(tokens)?;
    }
    Some(allowed)
}

fn all_of(tokens: &mut Vec<&str>) -> Option<bool> {
    let mut allowed = single(tokens)?;
    while tokens.pop_if(|token| *token == "AND").is_some() {
        allowed &= single(tokens)?;
    }
    Some(allowed)
}

fn single(tokens: &mut Vec<&str>) -> Option<bool> {
    let token = tokens.pop()?;
    match token {
        "(" => {
            let allowed = any_of(tokens)?;
            (tokens.pop()? == ")").then_some(allowed)
        }
        ")" | "AND" | "OR" | "WITH" => None,
        licence if tokens.pop_if(|token| *token == "WITH").is_some() => {
            let exception = tokens.pop()?;
            Some(ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        licence => Some(ALLOWED.contains(&licence)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_decided_by_their_structure() {
        for (expression, expected) in [
            ("MIT", Some(true)),
            ("GPL-3.0-only", Some(false)),
            ("MIT OR GPL-3.0-only", Some(true)),
            ("MIT/Apache-2.0", Some(true)),
            ("MIT AND GPL-3.0-only", Some(false)),
            ("ISC AND (Apache-2.0 OR GPL-3.0-only)", Some(true)),
            ("GPL-3.0-only OR MIT AND ISC", Some(true)),
            ("(GPL-3.0-only OR MIT) AND GPL-2.0-only", Some(false)),
            ("Apache-2.0 WITH LLVM-exception OR GPL-3.0-only", Some(true)),
            ("MIT WITH LLVM-exception", Some(false)),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT)", None),
            ("MIT MIT", None),
        ] {
            assert_eq!(is_allowed(expression), expected, "{expression}");
        }
    }

    #[test]
    fn cargo_deny_has_the_same_list() {
        let text = std::fs::read_to_string(crate::root().join("deny.toml")).unwrap();
        let list = text
            .split("allow = [")
            .nth(1)
            .unwrap()
            .split(']')
            .next()
            .unwrap();
        let list: Vec<&str> = list
            .split(',')
            .map(|item| item.trim().trim_matches('"'))
            .collect();
        assert_eq!(list[..ALLOWED.len()], ALLOWED);
    }

    #[test]
    fn every_dependency_is_allowed() {
        run(&crate::root()).unwrap();
    }
}
