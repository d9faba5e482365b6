//! Random numbers that are the same on every machine and in every version, so that a printed seed repeats a run.
//!
//! This is `SplitMix64`. No crate is used because none promises the same sequence for ever.

/// A seeded source of random numbers.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts the sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// An independent sequence, so that more draws in one part of a test do not change what another part does.
    pub fn fork(&mut self) -> Rng {
        Rng(self.bits())
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end - 1`. The bias of the remainder does not matter here.
    ///
    /// # Panics
    ///
    /// If `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.bits() % end as u64) as usize
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the items.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// One of the words. (As [`Rng::pick`], for types that it cannot infer.)
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn word(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    /// One of the items, each as often as its weight says.
    ///
    /// # Panics
    ///
    /// If the weights add up to nothing.
    pub fn weighted<T: Copy>(&mut self, items: &[(usize, T)]) -> T {
        let mut at = self.below(items.iter().map(|(weight, _)| weight).sum());
        for (weight, item) in items {
            if at < *weight {
                return *item;
            }
            at -= weight;
        }
        unreachable!("the position is smaller than the sum of the weights")
    }

    /// Some of the items in their order, at least `min` of them.
    pub fn subset<T: Clone>(&mut self, items: &[T], min: usize) -> Vec<T> {
        let mut wanted = min + self.below(items.len() - min + 1);
        let mut left = items.len();
        let mut chosen = Vec::new();
        for item in items {
            if self.below(left) < wanted {
                chosen.push(item.clone());
                wanted -= 1;
            }
            left -= 1;
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_names_one_sequence() {
        let mut rng = Rng::new(1);
        let drawn = [rng.bits(), rng.bits()];
        assert_eq!(drawn, [0x910a_2dec_8902_5cc1, 0xbeeb_8da1_658e_ec67]);
    }

    #[test]
    fn a_subset_keeps_order_and_minimum() {
        let mut rng = Rng::new(2);
        for _ in 0..200 {
            let chosen = rng.subset(&[1, 2, 3, 4], 1);
            assert!(!chosen.is_empty() && chosen.is_sorted());
        }
    }
}
