//! Where the random numbers of a rollout come from: a seed that nobody can choose, and streams of numbers out of it.

use std::f64::consts::TAU;

const SEED_CONTEXT: &str = "clawmesh/seed/v1";

/// The seed of the card of a proposal: fixed by the proposal and by the owner's nonce, so that neither who proposes
/// nor who simulates can look for one that they like.
#[must_use]
pub fn seed_of(proposal_hash: &[u8; 32], nonce: &[u8; 32]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(SEED_CONTEXT);
    hasher.update(proposal_hash).update(nonce);
    *hasher.finalize().as_bytes()
}

/// Random numbers that are a function of a seed, a label and an index.
///
/// The generator is xoshiro256** (Blackman and Vigna, 2018). Each subject draws from a stream of its own, so that one
/// more draw for the water moves nobody who walks.
#[derive(Debug, Clone)]
pub struct Stream {
    state: [u64; 4],
}

impl Stream {
    /// The stream of rollout `index` for what `label` names.
    #[must_use]
    pub fn new(seed: &[u8; 32], label: &str, index: u32) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(seed);
        hasher.update(&index.to_le_bytes()).update(label.as_bytes());
        let hash = hasher.finalize();
        let mut state = [0; 4];
        for (word, bytes) in state.iter_mut().zip(hash.as_bytes().chunks_exact(8)) {
            *word = bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        }
        // All zeros is the one state that the generator never leaves.
        state[0] |= u64::from(state == [0; 4]);
        Self { state }
    }

    fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let (c2, d2) = (c ^ a, d ^ b);
        self.state = [a ^ d2, b ^ c2, c2 ^ (b << 17), d2.rotate_left(45)];
        result
    }

    /// A number from `low` on and below `high`.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        // 53 bits fill the mantissa exactly.
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        low + (high - low) * unit
    }

    /// A number of about a normal distribution, never further than six `sigma` from `mean`: the sum of twelve uniform
    /// numbers (Irwin and Hall), which needs no logarithm.
    pub fn normal(&mut self, mean: f64, sigma: f64) -> f64 {
        let sum: f64 = (0..12).map(|_| self.uniform(0.0, 1.0)).sum();
        mean + sigma * (sum - 6.0)
    }

    /// A point of a disc around `(0, 0)`, every place in it equally likely.
    pub fn in_disc(&mut self, radius: f64) -> (f64, f64) {
        let from_centre = radius * self.uniform(0.0, 1.0).sqrt();
        let (sine, cosine) = libm::sincos(self.uniform(0.0, TAU));
        (from_centre * cosine, from_centre * sine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn another_proposal_or_another_nonce_gives_another_seed() {
        let seed = seed_of(&[1; 32], &[2; 32]);
        assert_eq!(seed, seed_of(&[1; 32], &[2; 32]));
        assert_ne!(seed, seed_of(&[1; 32], &[3; 32]));
        assert_ne!(seed, seed_of(&[2; 32], &[2; 32]));
        assert_ne!(seed, seed_of(&[2; 32], &[1; 32]));
    }

    #[test]
    fn the_numbers_of_a_seed_are_the_same_for_ever() {
        let mut stream = Stream::new(&[7; 32], "water", 3);
        let numbers: Vec<u64> = (0..3).map(|_| stream.next()).collect();
        assert_eq!(numbers, PINNED);
    }

    /// Changing them changes every card that was ever made.
    const PINNED: [u64; 3] =
        [18_268_520_705_011_472_970, 3_837_353_815_445_069_751, 17_450_539_896_619_563_043];

    #[test]
    fn streams_differ_by_seed_label_and_index() {
        let first = |seed, label, index| Stream::new(&[seed; 32], label, index).next();
        let all = [first(1, "a", 0), first(2, "a", 0), first(1, "b", 0), first(1, "a", 1)];
        let different: std::collections::BTreeSet<u64> = all.into_iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn normal_numbers_have_their_mean_and_their_sigma() {
        let mut stream = Stream::new(&[1; 32], "normal", 0);
        let numbers: Vec<f64> = (0..20_000).map(|_| stream.normal(10.0, 2.0)).collect();
        let mean = numbers.iter().sum::<f64>() / 20_000.0;
        let variance = numbers.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / 20_000.0;
        assert!((mean - 10.0).abs() < 0.05 && (variance - 4.0).abs() < 0.15, "{mean} {variance}");
    }

    proptest! {
        #[test]
        fn draws_stay_in_their_bounds(seed: [u8; 32], index: u32, radius in 0.0..1e4_f64) {
            let mut stream = Stream::new(&seed, "bounds", index);
            for _ in 0..50 {
                let number = stream.uniform(-2.0, 3.0);
                prop_assert!((-2.0..3.0).contains(&number));
                let (east, north) = stream.in_disc(radius);
                prop_assert!(libm::hypot(east, north) <= radius * (1.0 + 1e-12));
                prop_assert!((stream.normal(0.0, 1.0)).abs() <= 6.0);
            }
        }
    }
}
