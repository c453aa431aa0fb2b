//! Signer, epoch and sequence of a stream-lane envelope, without decoding its readings. Pure.
//!
//! The stream lane carries thousands of envelopes a second and its marks need three fields of each. The edge
//! has checked form and signature before the envelope reached the journal; this is no substitute for that.

use minicbor::Decoder;
use minicbor::data::Type;

/// What a mark needs to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance<'b> {
    /// The raw public key of the signer.
    pub key: &'b [u8; 32],
    /// The run of the signer.
    pub epoch: u64,
    /// The statement within the run.
    pub sequence: u64,
}

/// COSE's label of the key id in a header.
const KEY_ID: i64 = 4;

/// Reads just enough of an envelope; `None` when it is none.
pub fn glance(bytes: &[u8]) -> Option<Glance<'_>> {
    let mut sealed = Decoder::new(bytes);
    (sealed.array().ok()?? == 4).then_some(())?;
    let protected = sealed.bytes().ok()?;
    sealed.skip().ok()?;
    let mut statement = Decoder::new(sealed.bytes().ok()?);
    (statement.array().ok()?? == 5).then_some(())?;
    statement.skip().ok()?;
    let (epoch, sequence) = (statement.u64().ok()?, statement.u64().ok()?);
    Some(Glance { key: key_id(protected)?, epoch, sequence })
}

fn key_id(protected: &[u8]) -> Option<&[u8; 32]> {
    let mut header = Decoder::new(protected);
    for _ in 0..header.map().ok()?? {
        let label = header.i64().ok()?;
        if label == KEY_ID && header.datatype().ok()? == Type::Bytes {
            return header.bytes().ok()?.try_into().ok();
        }
        header.skip().ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::envelope::{read_journaled, seal};
    use clawmesh_authority::{
        Body, Capability, Hlc, KeyId as _, MeshId, NodeId, NodeKey, Reading, ReadingBatch, Statement, Tier,
        Unit,
    };
    use proptest::prelude::*;

    fn envelope(secret: [u8; 32], epoch: u64, sequence: u64, readings: usize) -> Vec<u8> {
        let reading = Reading {
            sensor: Capability::new("sensor:soil-moisture:zone-1").unwrap(),
            value: 31.5,
            unit: Unit::Percent,
            origin_ms: 1_730_000_000_000,
            sequence: 7,
            tier: Tier::T2,
        };
        let body = Body::Readings(ReadingBatch(vec![reading; readings]));
        let statement =
            Statement { mesh: MeshId::of_name("barn"), epoch, sequence, hlc: Hlc::default(), body };
        seal(&NodeKey::from_secret(&secret), &statement)
    }

    proptest! {
        #[test]
        fn a_glance_agrees_with_reading_all_of_it(secret: [u8; 32], epoch: u64, sequence: u64, readings in 0_usize..20) {
            let bytes = envelope(secret, epoch, sequence, readings);
            let (opened, seen) = (read_journaled(&bytes).unwrap(), glance(&bytes).unwrap());
            prop_assert_eq!(NodeId::of_public_key(seen.key), opened.source);
            prop_assert_eq!((seen.epoch, seen.sequence), (opened.statement.epoch, opened.statement.sequence));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, cut in 0_usize..200) {
            let _ = glance(&bytes);
            let whole = envelope([1; 32], 1, 1, 1);
            let _ = glance(&whole[..cut.min(whole.len())]);
        }
    }
}
