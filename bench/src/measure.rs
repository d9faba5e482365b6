//! How things are compared: in turn, several times, by the median of the ratios.

use std::time::Instant;

use anyhow::Result;

/// One row of the table.
pub struct Line {
    /// What was compared.
    pub what: String,
    /// Medians.
    pub measured: String,
    /// What the project wants.
    pub aim: &'static str,
}

/// A comparison and the name that selects it.
pub type Comparison = (&'static str, fn() -> Result<Vec<Line>>);

const ROUNDS: usize = 7;

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How long work takes.
pub fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// The ratio of two measurements taken in turn, and both medians.
pub fn compare(
    mut a: impl FnMut() -> Result<f64>,
    mut b: impl FnMut() -> Result<f64>,
) -> Result<(f64, f64, f64)> {
    let (mut of_a, mut of_b, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    a()?;
    b()?;
    for _ in 0..ROUNDS {
        let (x, y) = (a()?, b()?);
        of_a.push(x);
        of_b.push(y);
        ratios.push(x / y);
    }
    Ok((median(ratios), median(of_a), median(of_b)))
}
