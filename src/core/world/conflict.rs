//! Two statements about one key: which one holds, whatever order they arrive in.

use clawmesh_authority::{Hlc, NodeId};

/// True when a statement at (`hlc`, `source`) replaces the one at `held`.
///
/// The same statement heard again replaces nothing, so applying in any order ends in the same belief.
#[must_use]
pub fn replaces(hlc: Hlc, source: NodeId, held: Option<(Hlc, NodeId)>) -> bool {
    held.is_none_or(|held| (hlc, source) > held)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn resolve(said: &[(Hlc, NodeId)]) -> Option<(Hlc, NodeId)> {
        said.iter().fold(None, |held, (hlc, source)| match replaces(*hlc, *source, held) {
            true => Some((*hlc, *source)),
            false => held,
        })
    }

    fn statement() -> impl Strategy<Value = (Hlc, NodeId)> {
        (0_u64..5, 0_u32..3, 0_u8..4)
            .prop_map(|(wall_ms, logical, node)| (Hlc { wall_ms, logical }, NodeId([node; 32])))
    }

    proptest! {
        #[test]
        fn the_order_of_arrival_does_not_matter(
            said in prop::collection::vec(statement(), 0..20).prop_flat_map(|said| {
                (Just(said.clone()), Just(said).prop_shuffle())
            }),
        ) {
            prop_assert_eq!(resolve(&said.0), resolve(&said.1));
            prop_assert_eq!(resolve(&said.0), said.0.iter().copied().max());
        }
    }
}
