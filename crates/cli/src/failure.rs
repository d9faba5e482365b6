//! Errors on their way to the person who typed the command.
//!
//! What must hold: one line on stderr, `highwater: ` and a sentence that ends with what to do; never a backtrace, never a value's
//! debug form, never a password that was typed. Exit codes: 1 for a failure, 2 for wrong usage.

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};

use crate::password;

const FAILURE: u8 = 1;
const USAGE: u8 = 2;

/// What was asked for cannot be meant: the command line, a variable or the configuration file is wrong.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::error::Error for Usage {}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints an error of a command.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let cause = error.root_cause().downcast_ref::<io::Error>();
    if cause.is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
        // The reader of our output, such as `head`, has seen enough.
        return ExitCode::SUCCESS;
    }
    say(&one_line(&format!("{error:#}")));
    ExitCode::from(if error.is::<Usage>() { USAGE } else { FAILURE })
}

/// Prints what the parser of the command line has to say: a mistake, or the help that was asked for.
pub(crate) fn report_usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Whether the help could be printed is of no interest to anybody.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    match text.strip_prefix("error: ") {
        Some(text) => {
            say(text.trim_end());
            if let Some(variable) = blamed_variable(error) {
                say(&format!("the value comes from the variable {variable}"));
            }
        }
        // No command at all: the text is the whole help.
        None => {
            let _ = error.print();
        }
    }
    ExitCode::from(USAGE)
}

/// The variable that a wrong value comes from: the parser names only the flag.
fn blamed_variable(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let flag = argument.split([' ', '=']).next()?;
    let name = flag.strip_prefix("--")?;
    let variable = format!("HIGHWATER_{}", name.replace('-', "_").to_uppercase());
    let is_typed = std::env::args_os().any(|typed| typed.to_string_lossy().starts_with(flag));
    (!is_typed && std::env::var_os(&variable).is_some()).then_some(variable)
}

fn say(text: &str) {
    let typed = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let text = password::hidden_in(text, typed);
    // If stderr is closed, there is nobody to tell.
    let _ = writeln!(io::stderr(), "highwater: {text}");
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    words.join(" ")
}
