//! The key expressions of a mesh: `clawmesh/<mesh>/<node>/…`, made and read in one place.

use clawmesh_authority::{MeshId, NodeId};

/// Every key of ours, and nothing else, begins like this.
pub const OURS: &str = "clawmesh/**";

/// Every key of a mesh.
pub fn of_mesh(mesh: MeshId) -> String {
    format!("clawmesh/{mesh}/**")
}

/// Every key of a node.
pub fn of_node(mesh: MeshId, node: NodeId) -> String {
    format!("clawmesh/{mesh}/{node}/**")
}

/// The liveliness token of a node.
pub fn alive(mesh: MeshId, node: NodeId) -> String {
    format!("clawmesh/{mesh}/{node}/alive")
}

/// The liveliness tokens of all nodes.
pub fn alive_of_all(mesh: MeshId) -> String {
    format!("clawmesh/{mesh}/*/alive")
}

/// Where a node says its readings.
pub fn reading_batch(mesh: MeshId, node: NodeId) -> String {
    format!("clawmesh/{mesh}/{node}/reading/batch")
}

/// Where a node says readings of any kind.
pub fn readings_of(mesh: MeshId, node: NodeId) -> String {
    format!("clawmesh/{mesh}/{node}/reading/**")
}

/// Where all nodes say their readings.
pub fn readings_of_all(mesh: MeshId) -> String {
    format!("clawmesh/{mesh}/*/reading/**")
}

/// Where a node is asked for anything.
pub fn calls_of(mesh: MeshId, node: NodeId) -> String {
    format!("clawmesh/{mesh}/{node}/rpc/*")
}

/// Where all nodes are asked for anything.
pub fn calls_of_all(mesh: MeshId) -> String {
    format!("clawmesh/{mesh}/*/rpc/*")
}

/// Where a node takes frames.
pub fn deliver(mesh: MeshId, node: NodeId) -> String {
    format!("clawmesh/{mesh}/{node}/rpc/deliver")
}

/// Where a node says how far it has heard the asking one.
pub fn heard(mesh: MeshId, node: NodeId) -> String {
    format!("clawmesh/{mesh}/{node}/rpc/heard")
}

/// Where a node takes what is signed for it as the owner.
pub fn ask(mesh: MeshId, node: NodeId) -> String {
    format!("clawmesh/{mesh}/{node}/rpc/ask")
}

/// Where a node says what time it is.
pub fn clock(mesh: MeshId, node: NodeId) -> String {
    format!("clawmesh/{mesh}/{node}/rpc/clock")
}

/// The node a key belongs to; `None` when the key is not one of this mesh.
pub fn node_of(mesh: MeshId, key: &str) -> Option<NodeId> {
    let mut parts = key.split('/');
    let is_ours = parts.next() == Some("clawmesh") && parts.next()?.parse() == Ok(mesh);
    let node = parts.next()?.parse().ok()?;
    (is_ours && parts.next().is_some()).then_some(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mesh() -> MeshId {
        MeshId::of_name("barn")
    }

    #[test]
    fn every_key_we_make_names_its_node() {
        let node = NodeId([7; 32]);
        for key in [
            alive(mesh(), node),
            reading_batch(mesh(), node),
            deliver(mesh(), node),
            heard(mesh(), node),
            ask(mesh(), node),
            clock(mesh(), node),
        ] {
            assert_eq!(node_of(mesh(), &key), Some(node), "{key}");
            assert_eq!(node_of(MeshId::of_name("field"), &key), None, "{key}");
        }
    }

    #[test]
    fn keys_that_name_no_node_are_seen() {
        let node = NodeId([7; 32]);
        for key in [
            String::new(),
            "clawmesh".to_owned(),
            format!("clawmesh/{}", mesh()),
            format!("clawmesh/{}/{node}", mesh()),
            format!("clawmesh/{}/gate/alive", mesh()),
            format!("farm/{}/{node}/alive", mesh()),
            alive(mesh(), node).to_uppercase(),
        ] {
            assert_eq!(node_of(mesh(), &key), None, "{key}");
        }
    }

    proptest! {
        #[test]
        fn no_key_panics(key in ".{0,200}") {
            let _ = node_of(mesh(), &key);
        }
    }
}
