//! Who wanted to connect and was refused, with the reason, for people who look for it. Nothing of it is proven: anybody can
//! claim any id.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use clawmesh_authority::NodeId;
use clawmesh_gateway::KnockView;
use clawmesh_wire::Refusal;

use super::host::lock;

/// The most nodes we trust, and the most others, of whom it is remembered.
const EACH_MAX: usize = 64;

/// Those who were refused last. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Knocks(Arc<Mutex<Refused>>);

#[derive(Debug, Default)]
struct Refused {
    /// Apart from each other, so that no crowd of strangers hides a node that we trust.
    trusted: BTreeMap<NodeId, KnockView>,
    others: BTreeMap<NodeId, KnockView>,
}

impl Knocks {
    /// Somebody who claims to be `id` was refused.
    pub fn refused(&self, id: NodeId, is_trusted: bool, refusal: &Refusal, at_ms: u64) {
        let (code, sentence) = (refusal.code.as_str().to_owned(), refusal.message.clone());
        let knock = KnockView { id, code, sentence, at_ms };
        let mut refused = lock(&self.0);
        let Refused { trusted, others } = &mut *refused;
        let (into, out_of) = if is_trusted { (trusted, others) } else { (others, trusted) };
        out_of.remove(&id);
        into.insert(id, knock);
        while into.len() > EACH_MAX {
            let oldest = into.values().min_by_key(|knock| knock.at_ms).map(|knock| knock.id);
            let Some(oldest) = oldest else { break };
            into.remove(&oldest);
        }
    }

    /// A node has shown who it is.
    pub fn came_in(&self, id: &NodeId) {
        let mut refused = lock(&self.0);
        refused.trusted.remove(id);
        refused.others.remove(id);
    }

    /// All of them, those we trust first.
    #[must_use]
    pub fn all(&self) -> Vec<KnockView> {
        let refused = lock(&self.0);
        refused.trusted.values().chain(refused.others.values()).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use clawmesh_wire::Code;

    use super::*;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    #[test]
    fn the_last_word_to_each_is_remembered_until_it_is_connected() {
        let knocks = Knocks::default();
        for code in [Code::UntrustedPeer, Code::AuthFailed] {
            knocks.refused(node(1), code == Code::AuthFailed, &Refusal::new(code, "no"), 5);
        }
        let all = knocks.all();
        assert_eq!((all.len(), all[0].code.as_str()), (1, "AUTH_FAILED"));
        knocks.came_in(&node(1));
        assert!(knocks.all().is_empty());
    }

    #[test]
    fn a_crowd_of_strangers_has_a_bound_and_hides_nobody_we_trust() {
        let knocks = Knocks::default();
        let no = Refusal::new(Code::UntrustedPeer, "no");
        knocks.refused(node(255), true, &Refusal::new(Code::MeshIdMismatch, "no"), 1);
        for n in 0..200 {
            knocks.refused(node(n), false, &no, 2 + u64::from(n));
        }
        let all = knocks.all();
        assert_eq!((all.len(), all[0].id), (EACH_MAX + 1, node(255)));
        assert!(all.iter().any(|knock| knock.id == node(199)) && all.iter().all(|knock| knock.id != node(0)));
    }
}
