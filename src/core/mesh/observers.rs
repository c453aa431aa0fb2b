//! The index over node identities; it decides nothing.

use bevy::prelude::*;

use super::components::{Node, NodeIndex};

pub(super) fn index_node(
    insert: On<Insert, Node>,
    nodes: Query<&Node>,
    mut index: ResMut<NodeIndex>,
) -> Result {
    index.0.insert(nodes.get(insert.entity)?.0, insert.entity);
    Ok(())
}

pub(super) fn unindex_node(
    discard: On<Discard, Node>,
    nodes: Query<&Node>,
    mut index: ResMut<NodeIndex>,
) -> Result {
    index.0.remove(&nodes.get(discard.entity)?.0);
    Ok(())
}
