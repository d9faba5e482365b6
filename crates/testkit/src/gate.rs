//! A gate that writers pass, one piece of work after the other, unless somebody wants the database to stand still.
//!
//! What must hold: while the gate is shut, nobody is within it. What is deliberately absent: any order among the writers.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The gate. It is open at first.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    /// Writers that are within.
    inside: usize,
    is_shut: bool,
    /// How many may still pass.
    allowance: u64,
    /// How often it was shut.
    shuts: u64,
    is_over: bool,
}

impl Default for State {
    fn default() -> State {
        State {
            inside: 0,
            is_shut: false,
            allowance: u64::MAX,
            shuts: 0,
            is_over: false,
        }
    }
}

impl Gate {
    /// Does one piece of work when the gate is open; returns whether there should be another.
    pub(crate) fn pass<T>(&self, work: impl FnOnce() -> T) -> bool {
        let is_closed = |state: &State| (state.is_shut || state.allowance == 0) && !state.is_over;
        let mut state = self.wait_while(is_closed);
        state.inside += 1;
        state.allowance = state.allowance.saturating_sub(1);
        drop(state);
        let inside = Inside(self);
        work();
        drop(inside);
        !self.state().is_over
    }

    /// Lets so many pass from now on, and then none, so that writers leave something of the machine to others.
    pub(crate) fn allow(&self, passes: u64) {
        self.change(|state| state.allowance = passes);
    }

    /// Shuts the gate until the result is dropped, and waits until nobody is within.
    pub(crate) fn shut(&self) -> Shut<'_> {
        self.change(|state| {
            state.is_shut = true;
            state.shuts += 1;
        });
        drop(self.wait_while(|state| state.inside > 0));
        Shut(self)
    }

    /// Waits until the gate was shut so many times more, or all is over.
    pub(crate) fn outlast(&self, shuts: u64) {
        let until = self.state().shuts + shuts;
        drop(self.wait_while(|state| state.shuts < until && !state.is_over));
    }

    /// What tells everybody that all is over when it is dropped, also by a panic.
    pub(crate) fn end(&self) -> End<'_> {
        End(self)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, condition: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waited = self
            .moved
            .wait_while(self.state(), |state| condition(state));
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.moved.notify_all();
    }
}

/// A writer that is within.
struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.inside -= 1);
    }
}

/// A gate that is shut.
pub(crate) struct Shut<'a>(&'a Gate);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_shut = false);
    }
}

/// The end of all.
pub(crate) struct End<'a>(&'a Gate);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.change(|state| state.is_over = true);
    }
}
