//! Changes of signed bytes: what is said is changed and signed again, so that the rules behind the signature are reached.

use clawmesh_authority::NodeKey;
use clawmesh_authority::signed::{Purpose, Signed, seal};
use clawmesh_lab::SplitMix64;

use super::cbor;
use crate::pool::index;

/// How many keys sign: those of the first nodes of a lab, which are also those of people.
pub const KEYS: usize = 4;

/// The key number `n`, counted from 1.
#[must_use]
pub fn key(n: usize) -> NodeKey {
    clawmesh_lab::Lab::key_of(n)
}

/// Changes what is said and signs it with the key that had signed it, or with another one; sometimes for another purpose, and
/// sometimes not at all. `None` when nothing is signed here.
pub fn changed(input: &[u8], donor: &[u8], purpose: Purpose, rng: &mut SplitMix64) -> Option<Vec<u8>> {
    if rng.chance(10) {
        return cbor::changed(input, donor, rng);
    }
    let signed = Signed::parse(input).ok()?;
    let payload = signed.payload()?;
    let of_donor = Signed::parse(donor).ok();
    let donor = of_donor.as_ref().and_then(Signed::payload).unwrap_or_default();
    let payload = if rng.chance(10) { payload.to_vec() } else { cbor::changed(payload, donor, rng)? };
    let own = (1..=KEYS).find(|n| key(*n).public() == *signed.key());
    let signer = own.filter(|_| !rng.chance(15)).unwrap_or_else(|| 1 + index(rng, KEYS));
    let others = [Purpose::ENVELOPE, Purpose::REQUEST, Purpose::APPROVAL, Purpose::ANSWER, Purpose::PAIRING];
    let purpose = if rng.chance(4) { others[index(rng, others.len())] } else { purpose };
    Some(seal(&key(signer), purpose, payload))
}
