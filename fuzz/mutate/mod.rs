//! Changes inputs as what they are, so that what comes of them gets further than the first line of a decoder.
//! Reads an input, another one that worked, and random numbers. Writes a changed input.
//! Invariant: the same input, donor and random numbers give the same change; nothing is longer than [`INPUT_BYTES_MAX`].
//! Not here: which inputs are changed (`pool`), what they are tried on (`targets`).

mod bytes;
mod cbor;
mod json;
mod signed;
mod text;

use clawmesh_authority::signed::Purpose;
use clawmesh_lab::SplitMix64;

pub use signed::{KEYS, key};

/// The longest input that is made: more than the largest message that any decoder takes.
pub const INPUT_BYTES_MAX: usize = 1_200_000;

/// What an input is, and so how it can be changed.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Bytes.
    Bytes,
    /// A text of words and signs, like RON or the address of a peer.
    Text,
    /// A JSON document; a list of steps is one too.
    Json,
    /// CBOR, after so many bytes that say what it is. What is signed in it is changed and signed again.
    Cbor(usize),
    /// Signed bytes, after so many bytes that say what they are; they are changed and signed again.
    Signed(usize, Purpose),
}

impl Shape {
    /// Changes `input`, with parts of `donor` or without. Sometimes as mere bytes, whatever it is.
    #[must_use]
    pub fn changed(self, input: &[u8], donor: &[u8], rng: &mut SplitMix64) -> Vec<u8> {
        let times = 1 + rng.below(3);
        let mut changed = input.to_vec();
        for _ in 0..times {
            changed = if rng.chance(12) {
                bytes::changed(&changed, donor, rng)
            } else {
                self.changed_once(&changed, donor, rng)
            };
            changed.truncate(INPUT_BYTES_MAX);
        }
        changed
    }

    fn changed_once(self, input: &[u8], donor: &[u8], rng: &mut SplitMix64) -> Vec<u8> {
        let changed = match self {
            Self::Bytes => None,
            Self::Text => Some(text::changed(input, donor, rng)),
            Self::Json => json::changed(input, donor, rng),
            Self::Cbor(after) => behind(after, input, donor, |input, donor| cbor::changed(input, donor, rng)),
            Self::Signed(after, purpose) => {
                behind(after, input, donor, |input, donor| signed::changed(input, donor, purpose, rng))
            }
        };
        changed.unwrap_or_else(|| bytes::changed(input, donor, rng))
    }
}

/// Changes what stands behind the first `after` bytes.
fn behind(
    after: usize,
    input: &[u8],
    donor: &[u8],
    change: impl FnOnce(&[u8], &[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let (head, rest) = input.split_at_checked(after)?;
    let donor = donor.get(after..).unwrap_or_default();
    Some([head, &change(rest, donor)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [Shape; 5] =
        [Shape::Bytes, Shape::Text, Shape::Json, Shape::Cbor(1), Shape::Signed(0, Purpose::REQUEST)];

    #[test]
    fn a_change_is_a_function_of_its_seed() {
        for shape in SHAPES {
            let all = |seed| {
                let mut rng = SplitMix64::new(seed);
                let mut input = br#"{"a":[1,"x"]}"#.to_vec();
                (0..200).for_each(|_| input = shape.changed(&input, b"[2]", &mut rng));
                input
            };
            assert_eq!(all(7), all(7), "{shape:?}");
        }
    }

    #[test]
    fn nothing_grows_beyond_the_longest_input() {
        for shape in SHAPES {
            let mut rng = SplitMix64::new(3);
            let large = vec![b'['; INPUT_BYTES_MAX];
            (0..3).for_each(|_| assert!(shape.changed(&large, &large, &mut rng).len() <= INPUT_BYTES_MAX));
        }
    }
}
