//! Every text that `--help` prints is a reviewed snapshot.

use crate::support::Lab;

#[test]
fn help_texts_are_as_reviewed() {
    let lab = Lab::new();
    for command in [
        "", "demo", "init", "serve", "track", "untrack", "status", "inspect",
    ] {
        let arguments: Vec<&str> = [command, "--help"]
            .into_iter()
            .filter(|argument| !argument.is_empty())
            .collect();
        let name = if command.is_empty() {
            "highwater"
        } else {
            command
        };
        insta::assert_snapshot!(name, lab.ok(&arguments));
    }
}

#[test]
fn the_help_command_is_the_same() {
    let lab = Lab::new();
    assert_eq!(lab.ok(&["help", "serve"]), lab.ok(&["serve", "--help"]));
}

#[test]
fn the_short_help_fits_a_screen() {
    let text = Lab::new().ok(&["-h"]);
    assert!(text.lines().count() < 40, "{text}");
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(
        Lab::new().ok(&["--version"]),
        format!("highwater {}\n", env!("CARGO_PKG_VERSION"))
    );
}
