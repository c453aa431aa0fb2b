//! Signed envelopes, from their first byte.

use clawmesh_authority::canonical;
use clawmesh_authority::envelope::{
    ENVELOPES_PER_DELIVERY_MAX, Opened, claimed_signer, open, read_journaled, seal, split,
};
use clawmesh_authority::signed::Purpose;

use super::{MIB, Seed, Target, is_brief, promised, samples, spoiled};
use crate::mutate::{KEYS, Shape, key};

pub(super) const TARGET: Target = Target {
    name: "envelope",
    promise: "what opens was sealed so by a key that is ours, byte for byte, and opens no more when any byte is changed; \
              a delivery is cut into what it was put together from",
    shapes: &[Shape::Signed(0, Purpose::ENVELOPE)],
    seeds,
    check,
    memory_bytes_max: MIB,
    memory_per_byte: 256,
};

/// The longest sentence of a refusal: it may name a key of an observation or a sensor, which have bounds of their own.
const SENTENCE_BYTES_MAX: usize = 2_048;

fn seeds() -> Vec<Seed> {
    let alone = samples::statements().into_iter().map(|(name, said)| (name, seal(&key(1), &said)));
    let mut seeds: Vec<Seed> = alone.collect();
    let delivery = seeds.iter().take(3).flat_map(|(_, envelope)| envelope.clone()).collect();
    seeds.push(("delivery", delivery));
    seeds
}

fn check(input: &[u8]) -> Result<String, String> {
    let (opened, journaled) = (open(input, samples::mesh()), read_journaled(input));
    if let Ok(journaled) = &journaled {
        promised(claimed_signer(input) == Some(journaled.source), || {
            "an envelope is from another signer than its first bytes say".to_owned()
        })?;
    }
    let cut = cut_apart(input)?;
    let refusal = match opened {
        Ok(opened) => {
            promised(cut == Some(1), || "what opens is not one envelope of a delivery".to_owned())?;
            // By their bytes: a reading that is no number is not equal to itself.
            let bytes = |opened: &Opened| (opened.source, canonical::encode(&opened.statement));
            let is_same = journaled.is_ok_and(|journaled| bytes(&journaled) == bytes(&opened));
            promised(is_same, || "the journal reads something else".to_owned())?;
            let signer = (1..=KEYS).map(key).find(|key| key.id() == opened.source);
            let signer = signer.ok_or_else(|| format!("{} has signed nothing", opened.source))?;
            promised(seal(&signer, &opened.statement) == input, || {
                "what opens is not what its signer seals: one statement has two encodings".to_owned()
            })?;
            promised(open(&spoiled(input), samples::mesh()).is_err(), || {
                "an envelope with a changed byte opens".to_owned()
            })?;
            return Ok(format!("opened {:?}", std::mem::discriminant(&opened.statement.body)));
        }
        Err(refusal) => refusal,
    };
    is_brief(&refusal.sentence, SENTENCE_BYTES_MAX)?;
    Ok(format!("{} {:?} {refusal}", journaled.is_ok(), cut.map(|count| count.min(2))))
}

/// Cuts the input as a delivery: into how many, if it is one.
fn cut_apart(input: &[u8]) -> Result<Option<usize>, String> {
    match split(input) {
        Ok(envelopes) => {
            promised(envelopes.concat() == input, || "cutting a delivery loses some of it".to_owned())?;
            promised(envelopes.len() <= ENVELOPES_PER_DELIVERY_MAX, || {
                format!("a delivery of {} envelopes is taken", envelopes.len())
            })?;
            Ok(Some(envelopes.len()))
        }
        Err(refusal) => is_brief(&refusal.sentence, SENTENCE_BYTES_MAX).map(|()| None),
    }
}
