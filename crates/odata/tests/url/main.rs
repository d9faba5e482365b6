//! The URL grammar: the OASIS cases, tables of inputs and outcomes, limits, and properties of random trees.

mod abnf;
mod expressions;
mod limits;
mod options;
mod paths;
mod properties;
