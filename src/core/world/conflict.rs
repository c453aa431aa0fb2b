//! Two statements about one key: which one holds, whatever order they arrive in.

use std::cmp::Ordering;

use clawmesh_authority::{Hlc, NodeId, Value, canonical};

/// What decides between two statements about one key.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// When it was said, in hybrid time.
    pub hlc: Hlc,
    /// The node that signed it.
    pub source: NodeId,
    /// When it was measured or seen, Unix milliseconds.
    pub origin_ms: u64,
    /// What was said.
    pub value: &'a Value,
}

/// True when `said` replaces what is `held`.
///
/// Events order by (HLC, source). One node may say two things about one key under one stamp, as when two of its
/// sensors are about it: then the later origin holds, and at last the larger encoding, so that no node needs to know
/// in which order they came. The same statement heard again replaces nothing.
#[must_use]
pub fn replaces(said: &Claim<'_>, held: Option<&Claim<'_>>) -> bool {
    held.is_none_or(|held| order(said, held).is_gt())
}

fn order(a: &Claim<'_>, b: &Claim<'_>) -> Ordering {
    let by_stamp = (a.hlc, a.source, a.origin_ms).cmp(&(b.hlc, b.source, b.origin_ms));
    by_stamp.then_with(|| canonical::encode(a.value).cmp(&canonical::encode(b.value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Said = (Hlc, NodeId, u64, Value);

    fn claim((hlc, source, origin_ms, value): &Said) -> Claim<'_> {
        Claim { hlc: *hlc, source: *source, origin_ms: *origin_ms, value }
    }

    fn resolve(said: &[Said]) -> Option<&Said> {
        said.iter().fold(None, |held, said| match replaces(&claim(said), held.map(claim).as_ref()) {
            true => Some(said),
            false => held,
        })
    }

    fn statement() -> impl Strategy<Value = Said> {
        (0_u64..3, 0_u32..2, 0_u8..3, 0_u64..2, 0_i8..3).prop_map(
            |(wall_ms, logical, node, origin_ms, value)| {
                (Hlc { wall_ms, logical }, NodeId([node; 32]), origin_ms, Value::Number(f64::from(value)))
            },
        )
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            said in prop::collection::vec(statement(), 0..20).prop_flat_map(|said| {
                (Just(said.clone()), Just(said).prop_shuffle())
            }),
        ) {
            let held = resolve(&said.0);
            prop_assert_eq!(held, resolve(&said.1));
            let newest = said.0.iter().map(|(hlc, source, ..)| (*hlc, *source)).max();
            prop_assert_eq!(held.map(|(hlc, source, ..)| (*hlc, *source)), newest);
        }
    }
}
