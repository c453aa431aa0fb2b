//! The inputs that are worth changing further: one for each way in which a target has answered, the shortest of them.

use std::collections::BTreeMap;

use clawmesh_lab::SplitMix64;

/// The most ways to answer that are told apart.
const ANSWERS_MAX: usize = 4_096;
/// A longer input that brings nothing but a new answer is not kept: it would slow down everything that comes of it.
const INPUT_BYTES_MAX: usize = 64 * 1_024;
/// Where answers that begin the same are no longer told apart.
const KIND_BYTES_MAX: usize = 120;
/// How many of the newest inputs are preferred.
const NEWEST: usize = 16;

/// What was answered, and to what.
#[derive(Debug, Default)]
pub struct Pool {
    /// The corpus, which is always worth changing.
    corpus: Vec<Vec<u8>>,
    inputs: Vec<Vec<u8>>,
    by_answer: BTreeMap<String, usize>,
}

impl Pool {
    /// Takes an input of the corpus.
    pub fn keep(&mut self, input: Vec<u8>) {
        self.corpus.push(input);
    }

    /// Takes an input with its answer; true when nothing was answered like that before.
    pub fn take(&mut self, answer: &str, input: &[u8]) -> bool {
        let kind = kind_of(answer);
        if let Some(at) = self.by_answer.get(&kind) {
            let held = &mut self.inputs[*at];
            if input.len() < held.len() {
                *held = input.to_vec();
            }
            return false;
        }
        if self.inputs.len() >= ANSWERS_MAX || (input.len() > INPUT_BYTES_MAX && !self.inputs.is_empty()) {
            return false;
        }
        self.by_answer.insert(kind, self.inputs.len());
        self.inputs.push(input.to_vec());
        true
    }

    /// Any of them, those of the corpus and the newest ones more often; empty as long as there is none.
    #[must_use]
    pub fn any(&self, rng: &mut SplitMix64) -> &[u8] {
        if rng.chance(40) && !self.corpus.is_empty() {
            return &self.corpus[index(rng, self.corpus.len())];
        }
        let count = self.inputs.len();
        let among = if rng.chance(40) { count.min(NEWEST) } else { count };
        if among == 0 {
            return &[];
        }
        &self.inputs[count - 1 - index(rng, among)]
    }

    /// How many ways to answer there were.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.by_answer.len()
    }
}

/// A number below `count`, for lists.
pub fn index(rng: &mut SplitMix64, count: usize) -> usize {
    usize::try_from(rng.below(count.max(1) as u64)).unwrap_or(0)
}

/// The beginning of the answer without what follows from the input alone: numbers, ids, and what is quoted from it.
fn kind_of(answer: &str) -> String {
    let mut kind = String::with_capacity(KIND_BYTES_MAX);
    let (mut quoted, mut escaped) = (false, false);
    for c in answer.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                quoted = !quoted;
                kind.push(c);
            }
            _ if quoted || !c.is_ascii() || c.is_ascii_control() => {}
            _ if c.is_ascii_digit() && kind.ends_with('#') => {}
            _ if c.is_ascii_digit() => kind.push('#'),
            _ => kind.push(c),
        }
        if kind.len() >= KIND_BYTES_MAX {
            break;
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_in_a_new_way_is_kept_and_of_each_way_the_shortest() {
        let mut pool = Pool::default();
        assert!(pool.take("`id` has at most 128 bytes, not 200", b"long one"));
        assert!(!pool.take("`id` has at most 128 bytes, not 129", b"short"));
        assert!(!pool.take("`id` has at most 128 bytes, not 130", b"longest of all"));
        assert!(pool.take("`id` is missing", b"x"));
        let mut rng = SplitMix64::new(1);
        let seen: std::collections::BTreeSet<&[u8]> = (0..100).map(|_| pool.any(&mut rng)).collect();
        assert_eq!(seen, [&b"short"[..], b"x"].into());
        assert_eq!(pool.answers(), 2);
        pool.keep(b"seed".to_vec());
        assert!((0..100).any(|_| pool.any(&mut rng) == b"seed"));
    }

    #[test]
    fn what_is_quoted_from_the_input_makes_no_new_answer() {
        assert_eq!(kind_of(r#"no method "abc" here, 17"#), kind_of(r#"no method "xyz" here, 4"#));
    }
}
