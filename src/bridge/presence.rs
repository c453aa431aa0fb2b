//! Liveliness tokens: who is there, told to the world and to the couriers.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clawmesh_authority::{Code, NodeId, Refusal};
use clawmesh_core::intake::InputBody;
use tokio::sync::watch;
use zenoh::Session;
use zenoh::sample::{Sample, SampleKind};

use crate::crowd::Change;
use crate::edge::{Edge, lock};
use crate::keys;
use crate::readings::malformed_key;
use crate::roster::Roster;

/// How long a list of tokens may take. A list that is not complete by then says nothing.
const LIST_PATIENCE: Duration = Duration::from_millis(800);

/// Keeps the roster.
pub struct Presence {
    edge: Arc<Edge>,
    roster: Mutex<Roster>,
    friends: watch::Sender<BTreeSet<NodeId>>,
}

impl Presence {
    /// Nobody is there yet.
    pub fn new(edge: Arc<Edge>) -> Self {
        let roster = Roster::new(edge.own, edge.trust.nodes(), edge.limits.strangers_max);
        Self { edge, roster: Mutex::new(roster), friends: watch::Sender::new(BTreeSet::new()) }
    }

    /// The trusted nodes that are there.
    pub fn friends(&self) -> watch::Receiver<BTreeSet<NodeId>> {
        self.friends.subscribe()
    }

    /// From now on these are the nodes that are trusted.
    pub fn follow(&self, trusted: &BTreeSet<NodeId>) {
        let mut roster = lock(&self.roster);
        roster.follow(trusted);
        self.tell_friends(&mut roster);
    }

    /// Takes an event of a token.
    pub fn take(&self, sample: &Sample) {
        let Some(node) = self.node_of(sample.key_expr().as_str()) else { return };
        let mut roster = lock(&self.roster);
        match sample.kind() {
            SampleKind::Put if !roster.appear(node) => {
                self.edge.refuse(too_many(self.edge.limits.strangers_max));
            }
            SampleKind::Put => {}
            SampleKind::Delete => roster.vanish(node),
        }
        self.tell_friends(&mut roster);
    }

    /// Once a second: compares with the tokens zenoh knows, because events may be lost while a link breaks and
    /// heals and a list is not; then tells of strangers, who wait for this moment.
    pub async fn reconcile(&self, session: &Session) {
        let asked_at = lock(&self.roster).moment();
        let tokens = self.list(session).await;
        let mut roster = lock(&self.roster);
        if let Some(tokens) = tokens {
            roster.reconcile(tokens, asked_at);
        }
        roster.begin_second();
        self.tell_friends(&mut roster);
        roster.settle_strangers(|change| self.tell(change));
    }

    async fn list(&self, session: &Session) -> Option<BTreeSet<NodeId>> {
        let query = session.liveliness().get(keys::alive_of_all(self.edge.mesh)).timeout(LIST_PATIENCE);
        let replies = query.await.ok()?;
        let mut tokens = BTreeSet::new();
        while let Ok(reply) = replies.recv_async().await {
            // An error is the patience that ran out.
            let key = reply.into_result().ok()?.key_expr().to_string();
            tokens.extend(keys::node_of(self.edge.mesh, &key));
        }
        Some(tokens)
    }

    fn tell_friends(&self, roster: &mut Roster) {
        roster.settle_friends(|change| self.tell(change));
        self.friends.send_if_modified(|known| {
            let is_new = known != roster.friends();
            if is_new {
                known.clone_from(roster.friends());
            }
            is_new
        });
    }

    fn tell(&self, change: Change) -> bool {
        self.edge.own_inputs.offer(match change {
            Change::Appeared(node) => InputBody::PeerAppeared(node),
            Change::Vanished(node) => InputBody::PeerVanished(node),
        })
    }

    fn node_of(&self, key: &str) -> Option<NodeId> {
        let node = keys::node_of(self.edge.mesh, key);
        if node.is_none() {
            self.edge.refuse(malformed_key(key));
        }
        node
    }
}

fn too_many(strangers_max: usize) -> Refusal {
    let sentence = format!(
        "more than {strangers_max} different nodes we do not trust came in this run; \
         further ones are not shown until the next"
    );
    Refusal::new(Code::LimitExceeded, "strangers", sentence)
}
