//! Wrong usage: exit code 2, one line that says what to do, and nothing is touched.

use crate::support::Lab;

#[test]
fn wrong_usage_is_exit_code_2() {
    let lab = Lab::new();
    lab.ok(&["init", "a.sqlite", "--template", "sample", "--rows", "1"]);
    for (arguments, part) in [
        (&["frobnicate"][..], "unrecognized subcommand 'frobnicate'"),
        (&["sync"], "unrecognized subcommand 'sync'"),
        (&["serve"], "required arguments were not provided"),
        (
            &["serve", "a.sqlite", "--listen", "8080"],
            "\"8080\" is not an address and a port",
        ),
        (
            &["serve", "a.sqlite", "--public-url", "example.com"],
            "cannot be the public URL",
        ),
        (
            &["serve", "a.sqlite", "--profile", "faithful"],
            "use the profile 'exact'",
        ),
        (
            &["serve", "a.sqlite", "--profile", "loose"],
            "[possible values: exact, faithful]",
        ),
        (
            &["serve", "a.sqlite", "--config", "none.toml"],
            "cannot read the configuration file none.toml",
        ),
        (
            &["serve", "postgres://u:secret@h/d?sslmode=perhaps"],
            "sslmode",
        ),
        (
            &[
                "status",
                "postgres://u:secret@h/d",
                "postgres://u:secret@h/d",
            ],
            "unexpected argument 'postgres://u@h/d'",
        ),
        (
            &["status", "mysql://u:secret@h/d"],
            "not a kind of database",
        ),
        (
            &["serve", "a.sqlite", "--wait", "long"],
            "\"long\" is not a span of time",
        ),
        (
            &["track", "a.sqlite", "--print-sql"],
            "--print-sql is for PostgreSQL",
        ),
        (
            &["track", "a.sqlite", "--role", "r"],
            "required arguments were not provided",
        ),
        (&["track", ""], "the path of the database is empty"),
        (
            &["untrack", "a.sqlite"],
            "required arguments were not provided",
        ),
        (
            &["untrack", "a.sqlite", "Orders", "--all"],
            "cannot be used with",
        ),
        (
            &["init", "b.sqlite", "--template", "nothing"],
            "[possible values: sample, graph, dataverse, business-central]",
        ),
        (
            &["init", "b.sqlite", "--template", "sample", "--rows", "-1"],
            "unexpected argument '-1'",
        ),
        (
            &["init", "b.sqlite", "--template", "sample", "--rows", "many"],
            "invalid value 'many'",
        ),
        (
            &["inspect", "http://h/odata/A", "--database", "a.sqlite"],
            "put it in quotes",
        ),
        (
            &["status", "host=127.0.0.1 password=secret"],
            "postgres://USER@HOST:PORT/NAME",
        ),
        (
            &["status", "pwu:secret@127.0.0.1:40001/a"],
            "postgres://USER@HOST:PORT/NAME",
        ),
        (
            &["serve", "postgres:/pwu:secret@127.0.0.1:40001/a"],
            "postgres://USER@HOST:PORT/NAME",
        ),
        (
            &["track", "postgres:pwu:secret@127.0.0.1:40001/a", "--role"],
            "a value is required",
        ),
        (
            &["init", "pwu:secret@127.0.0.1/a", "--template", "sample"],
            "postgres://USER@HOST:PORT/NAME",
        ),
        (
            &[
                "status",
                "postgres:///a?host=127.0.0.1&user=pwu;password=secret",
            ],
            "Separate options by &",
        ),
    ] {
        let outcome = lab.run(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome:?}");
        assert!(
            outcome.stderr.starts_with("highwater: "),
            "{arguments:?}: {outcome:?}"
        );
        assert!(
            outcome.stderr.contains(part),
            "{arguments:?}: expected {part:?} in {outcome:?}"
        );
        assert!(!outcome.stderr.contains("secret"), "{outcome:?}");
        assert!(!outcome.stderr.contains("variable"), "{outcome:?}");
        assert_eq!(outcome.stdout, "");
    }
    assert!(!lab.path("b.sqlite").exists());
    assert_eq!(lab.run(&[]).code, Some(2));
}

#[test]
fn a_database_that_cannot_be_used_is_exit_code_1() {
    let lab = Lab::new();
    lab.write("text.sqlite", &"this is not a database\n".repeat(100));
    for arguments in [
        &["serve", "none.sqlite"][..],
        &["track", "none.sqlite"],
        &["untrack", "none.sqlite", "--all"],
        &["status", "none.sqlite"],
        &["inspect", "AAAA", "--database", "none.sqlite"],
    ] {
        lab.run(arguments)
            .assert_fails(1, "there is no file none.sqlite");
    }
    assert!(!lab.path("none.sqlite").exists());
    for arguments in [
        &["serve", "text.sqlite"][..],
        &["track", "text.sqlite"],
        &["untrack", "text.sqlite", "--all"],
        &["status", "text.sqlite"],
        &["inspect", "AAAA", "--database", "text.sqlite"],
    ] {
        lab.run(arguments)
            .assert_fails(1, "is not a SQLite database");
    }
    lab.run(&["status", "."]).assert_fails(1, "is a directory");
}

#[test]
fn a_wrong_variable_is_wrong_usage() {
    let lab = Lab::new();
    lab.ok(&["init", "a.sqlite", "--template", "sample", "--rows", "1"]);
    for (name, value, part) in [
        (
            "HIGHWATER_LISTEN",
            "here",
            "\"here\" is not an address and a port",
        ),
        (
            "HIGHWATER_LISTEN",
            "here",
            "comes from the variable HIGHWATER_LISTEN",
        ),
        (
            "HIGHWATER_PROFILE",
            "loose",
            "comes from the variable HIGHWATER_PROFILE",
        ),
        ("HIGHWATER_PROFILE", "faithful", "use the profile 'exact'"),
        (
            "HIGHWATER_PUBLIC_URL",
            "ftp://x/",
            "cannot be the public URL",
        ),
        (
            "HIGHWATER_CONFIG",
            "none.toml",
            "cannot read the configuration file none.toml",
        ),
        ("HIGHWATER_LOG", "a=b=c", "HIGHWATER_LOG is wrong"),
        ("HIGHWATER_WAIT", "long", "\"long\" is not a span of time"),
        (
            "HIGHWATER_WAIT",
            "long",
            "comes from the variable HIGHWATER_WAIT",
        ),
    ] {
        let output = lab
            .command(&["serve", "a.sqlite"])
            .env(name, value)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {stderr}");
        assert!(stderr.contains(part), "{name}: {stderr}");
    }
}
