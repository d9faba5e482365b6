//! `cargo xtask tidy`: what the compiler and clippy do not check.
//!
//! Each rule is a function from a file to its first violation; a rule stands next to the reason for it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

/// A file that one has to search inside is two files.
const RUST_LINES_MAX: usize = 700;
/// What is larger does not belong into a repository that everybody clones.
const FILE_MAX_BYTES: usize = 2 * 1024 * 1024;

/// A file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    bytes: Vec<u8>,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Unless it is binary.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let files = files(root)?;
    let machine_paths = machine_paths(root);
    let mut found: Vec<String> = Vec::new();
    for file in &files {
        let violations = [
            size(file),
            length(file),
            module_documentation(file),
            unfinished(file),
            machine_path(file, &machine_paths),
            link(file, root),
        ];
        found.extend(
            violations
                .into_iter()
                .flatten()
                .map(|violation| format!("{}: {violation}", file.path)),
        );
    }
    if !found.is_empty() {
        bail!("not tidy:\n  {}", found.join("\n  "));
    }
    println!("tidy: {} files", files.len());
    Ok(())
}

/// Everything that is or would be committed.
fn files(root: &Path) -> anyhow::Result<Vec<File>> {
    let output = Command::new("git")
        .current_dir(root)
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .output()
        .context("cannot start git, which lists the files")?;
    if !output.status.success() {
        bail!(
            "git ls-files failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files = Vec::new();
    for path in names.split_terminator('\0') {
        // Deleted but not yet committed.
        if root.join(path).is_file() {
            let bytes = std::fs::read(root.join(path)).with_context(|| path.to_owned())?;
            files.push(File {
                path: path.to_owned(),
                bytes,
            });
        }
    }
    if files.is_empty() {
        bail!("git lists no files");
    }
    Ok(files)
}

fn size(file: &File) -> Option<String> {
    let bytes = file.bytes.len();
    (bytes > FILE_MAX_BYTES).then(|| format!("{bytes} bytes; at most {FILE_MAX_BYTES}"))
}

fn length(file: &File) -> Option<String> {
    let lines = file.text().filter(|_| file.is_rust())?.lines().count();
    (lines > RUST_LINES_MAX)
        .then(|| format!("{lines} lines; split it by topic (at most {RUST_LINES_MAX})"))
}

/// Every module says what it is for, except those that only re-export (`mod.rs`) or only test their parent.
fn module_documentation(file: &File) -> Option<String> {
    let is_module = file.is_rust()
        && file.path.contains("/src/")
        && !file.path.contains("/tests/")
        && !file.path.ends_with("/mod.rs")
        && !file.path.ends_with("/tests.rs");
    let text = file.text().filter(|_| is_module)?;
    (!text.starts_with("//!")).then(|| "does not begin with //! and what it is for".to_owned())
}

fn unfinished(file: &File) -> Option<String> {
    let text = file.text().filter(|_| file.is_rust())?;
    let marks = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[ig", "nore"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
    ];
    marks
        .iter()
        .find_map(|mark| Some(format!("line {} has {mark}", line_with(text, mark)?)))
}

/// Paths that exist only for the person who wrote the file.
fn machine_paths(root: &Path) -> Vec<String> {
    let mut paths = vec![
        concat!("/ho", "me/").to_owned(),
        concat!("/Us", "ers/").to_owned(),
        concat!("/ro", "ot/").to_owned(),
    ];
    // A checkout right below the root folder would have too common a name to look for.
    if root.components().count() > 2 {
        paths.push(format!("{}/", root.display()));
    }
    paths
}

fn machine_path(file: &File, machine_paths: &[String]) -> Option<String> {
    let text = file.text().filter(|_| file.path != "Cargo.lock")?;
    machine_paths.iter().find_map(|path| {
        // In the middle of a URL or of another path it is only a name.
        let begins = |line: &str| {
            line.match_indices(path.as_str()).any(|(at, _)| {
                !line[..at]
                    .ends_with(|before: char| before.is_alphanumeric() || ")/.}_-".contains(before))
            })
        };
        let line = text.lines().position(begins)? + 1;
        Some(format!("line {line} names a path of one machine, {path}"))
    })
}

/// A relative link of a document leads somewhere.
fn link(file: &File, root: &Path) -> Option<String> {
    let text = file.text().filter(|_| file.path.ends_with(".md"))?;
    let folder = root.join(&file.path).parent()?.to_owned();
    text.split("](").skip(1).find_map(|rest| {
        let target = rest.split([')', ' ']).next()?.split('#').next()?;
        let is_relative = !target.is_empty() && !target.contains(':') && !target.starts_with('/');
        (is_relative && !folder.join(target).exists())
            .then(|| format!("links to {target}, which is not there"))
    })
}

fn line_with(text: &str, needle: &str) -> Option<usize> {
    text.lines()
        .position(|line| line.contains(needle))
        .map(|line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        run(&crate::root()).unwrap();
    }

    #[test]
    fn each_rule_finds_its_violation() {
        let folder = crate::root();
        let file = |path: &str, text: &str| File {
            path: path.to_owned(),
            bytes: text.into(),
        };
        let paths = machine_paths(&folder);
        for (file, rule) in [
            (file("a.bin", &" ".repeat(FILE_MAX_BYTES + 1)), "bytes"),
            (file("a.rs", &"\n".repeat(RUST_LINES_MAX + 1)), "lines"),
            (file("a/src/b.rs", "fn a() {}"), "//!"),
            (
                file("a.rs", &format!("\n{}!()", concat!("to", "do"))),
                "line 2 has",
            ),
            (
                file("a.md", &format!("see {}ada/x", concat!("/ho", "me/"))),
                "path of one machine",
            ),
            (file("a.md", "[x](no/such.md#part)"), "no/such.md"),
        ] {
            let violations = [
                size(&file),
                length(&file),
                module_documentation(&file),
                unfinished(&file),
                machine_path(&file, &paths),
                link(&file, &folder),
            ];
            let found: Vec<String> = violations.into_iter().flatten().collect();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(rule), "{found:?}");
        }
        let fine = file(
            "a.md",
            "[a](Cargo.toml#x) [b](https://example.com/) [c](#here) [d](/odata/)",
        );
        assert_eq!(link(&fine, &folder), None);
    }
}
