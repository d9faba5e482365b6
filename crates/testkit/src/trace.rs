//! What a run did, told only if it fails.

use std::collections::VecDeque;
use std::fmt;

/// Lines kept for the report.
const LINES_MAX: usize = 80;

/// The last things that a run did.
#[derive(Debug)]
pub struct Trace {
    /// How to repeat the run.
    repeat: String,
    lines: VecDeque<String>,
    verbose: bool,
}

impl Trace {
    /// Begins the record of a run that the command `repeat` repeats.
    pub fn new(repeat: String) -> Trace {
        let verbose = std::env::var_os("HIGHWATER_TRACE").is_some();
        Trace {
            repeat,
            lines: VecDeque::new(),
            verbose,
        }
    }

    /// Records a line.
    pub fn note(&mut self, line: fmt::Arguments<'_>) {
        if self.lines.len() == LINES_MAX && !self.verbose {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_string());
    }

    /// The last lines, and how to repeat the run.
    pub fn report(&self) -> String {
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        format!(
            "{}\n\nthe run failed; repeat it with:\n    {}",
            lines.join("\n"),
            self.repeat
        )
    }
}
