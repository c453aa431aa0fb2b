//! Follows `trust.ron` and the papers while the node runs: what people at the console change reaches the bridge and the tick
//! at once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::{Code, NodeId, Refusal};
use clawmesh_bridge::Trust;
use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};

use super::stamp::Stamp;
use super::worker::{Ends, Worker};
use crate::config::state_dir::StateDir;
use crate::config::trust_file;

/// How often the file is looked at; a change is to be known in half a second.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// Starts following. `configured` are the nodes that `node.ron` and the command line name, and `known` those that are trusted
/// now. Of a node that was removed the bridge hears first, so that nothing of it comes in after the tick knows of it; of one
/// that was added the tick, so that nothing of it comes in before.
pub fn start(
    dir: StateDir,
    configured: BTreeSet<NodeId>,
    known: BTreeSet<NodeId>,
    told: Followed,
) -> std::io::Result<Worker> {
    let papers = Stamp::of(&dir.papers_file());
    let follower = Follower { dir, configured, known, seen: None, papers, is_told: true, told };
    Worker::start("trust", move |ends| follower.run(ends))
}

/// Who hears of a change.
pub struct Followed {
    /// The bridge to our own nodes.
    pub bridge: Arc<Trust>,
    /// The links to existing nodes; they ask the bridge's list again.
    pub links: Box<dyn Fn() + Send>,
    /// The tick.
    pub inbox: InboxHandle,
}

struct Follower {
    dir: StateDir,
    configured: BTreeSet<NodeId>,
    known: BTreeSet<NodeId>,
    /// The file as it was when it was last read.
    seen: Option<Stamp>,
    /// The papers as they were when the bridge was last told of them.
    papers: Stamp,
    /// False while the tick has had no place for the news.
    is_told: bool,
    told: Followed,
}

impl Follower {
    fn run(mut self, ends: &Ends) {
        while ends.sleep(LOOK_EVERY) {
            self.look();
        }
    }

    fn look(&mut self) {
        let papers = Stamp::of(&self.dir.papers_file());
        if self.papers != papers {
            self.papers = papers;
            self.told.bridge.look_at_papers();
        }
        let stamp = Stamp::of(&self.dir.trust_file());
        if self.seen.as_ref() != Some(&stamp) {
            self.read();
            self.seen = Some(stamp);
        }
        if !self.is_told {
            let body = InputBody::TrustChanged(self.known.clone());
            self.is_told = self.told.inbox.offer_own(SourceId::Runner, body, None).is_ok();
            if self.is_told {
                self.tell_edges(&self.known);
            }
        }
    }

    fn read(&mut self) {
        let list = match trust_file::load(&self.dir) {
            Ok(list) => list,
            Err(fault) => {
                return self.refuse(&format!("{fault}; until then the nodes trusted before stay trusted"));
            }
        };
        self.told.bridge.set_parts(list.parts());
        let trusted = list.applied_to(self.configured.clone());
        if trusted == self.known {
            return;
        }
        tracing::info!("{} other nodes are trusted now, {} before", trusted.len(), self.known.len());
        self.tell_edges(&trusted.intersection(&self.known).copied().collect());
        self.known = trusted;
        self.is_told = false;
    }

    fn tell_edges(&self, trusted: &BTreeSet<NodeId>) {
        if self.told.bridge.nodes() != *trusted {
            self.told.bridge.set(trusted);
            (self.told.links)();
        }
    }

    fn refuse(&self, sentence: &str) {
        tracing::error!("{sentence}");
        let refusal = Refusal::new(Code::InvalidParams, "trust.ron", sentence);
        if let Err(refusal) =
            self.told.inbox.offer_own(SourceId::Runner, InputBody::Refused { refusal, count: 1 }, None)
        {
            tracing::warn!("{refusal}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::SystemTime;

    use clawmesh_core::intake::{InboxLimits, Inboxes, doors};

    use super::*;
    use crate::config::durable_file::write_atomic;
    use crate::config::error::ConfigError;

    fn node(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn set(nodes: &[u8]) -> BTreeSet<NodeId> {
        nodes.iter().map(|n| node(*n)).collect()
    }

    fn change(state: &StateDir, change: impl FnOnce(&mut trust_file::TrustList)) {
        trust_file::update::<_, ConfigError>(state, |list| {
            change(list);
            Ok(())
        })
        .unwrap();
    }

    /// Follows from a node that `node.ron` names, with room for so many news.
    fn follower(state: &StateDir, room: usize) -> (Follower, Inboxes) {
        followed_by(state, room, Box::new(|| ()))
    }

    fn followed_by(state: &StateDir, room: usize, links: Box<dyn Fn() + Send>) -> (Follower, Inboxes) {
        let (inbox, inboxes) = doors(InboxLimits { state_inputs_max: room, ..InboxLimits::default() });
        let bridge = Arc::new(Trust::of(node(9), &set(&[1])));
        let (dir, configured, known) = (state.clone(), set(&[1]), set(&[1]));
        (
            Follower {
                papers: Stamp::default(),
                dir,
                configured,
                known,
                seen: None,
                is_told: true,
                told: Followed { bridge, links, inbox },
            },
            inboxes,
        )
    }

    fn told(inboxes: &Inboxes) -> Vec<InputBody> {
        inboxes.take_state(9).into_iter().map(|(input, _)| input.body).collect()
    }

    #[test]
    fn a_change_is_told_once_to_the_bridge_and_to_the_tick() {
        let (_dir, state) = StateDir::temporary();
        let (mut follower, inboxes) = follower(&state, 9);
        follower.look();
        assert_eq!(told(&inboxes), [], "there is no list, and that is no change");
        change(&state, |list| drop(list.add(node(2), None, SystemTime::UNIX_EPOCH)));
        for _ in 0..3 {
            follower.look();
        }
        assert_eq!(told(&inboxes), [InputBody::TrustChanged(set(&[1, 2]))]);
        assert_eq!(follower.told.bridge.nodes(), set(&[1, 2]));
        change(&state, |list| drop(list.remove(node(1), SystemTime::UNIX_EPOCH)));
        follower.look();
        assert_eq!(told(&inboxes), [InputBody::TrustChanged(set(&[2]))], "node.ron does not bring it back");
        fs::remove_file(state.trust_file()).unwrap();
        follower.look();
        assert_eq!(follower.told.bridge.nodes(), set(&[1]));
    }

    #[test]
    fn a_damaged_list_is_told_once_and_changes_nothing_until_it_is_mended() {
        let (_dir, state) = StateDir::temporary();
        let (mut follower, inboxes) = follower(&state, 9);
        write_atomic(&state.trust_file(), b"[(").unwrap();
        for _ in 0..3 {
            follower.look();
        }
        let told_of = told(&inboxes);
        let [InputBody::Refused { refusal, .. }] = &told_of[..] else { panic!("{told_of:?}") };
        assert!(refusal.sentence.contains("stay trusted"), "{refusal}");
        assert_eq!(follower.told.bridge.nodes(), set(&[1]));
        fs::remove_file(state.trust_file()).unwrap();
        change(&state, |list| drop(list.remove(node(1), SystemTime::UNIX_EPOCH)));
        follower.look();
        assert_eq!(told(&inboxes), [InputBody::TrustChanged(set(&[]))]);
    }

    #[test]
    fn who_is_added_comes_in_when_the_tick_knows_and_who_is_removed_is_shut_out_before() {
        let (_dir, state) = StateDir::temporary();
        let heard = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (mut follower, inboxes) = followed_by(&state, 1, Box::new(|| ()));
        let (bridge, notes) = (Arc::clone(&follower.told.bridge), Arc::clone(&heard));
        follower.told.links = Box::new(move || notes.lock().unwrap().push(bridge.nodes()));
        // There is no place for news now.
        follower.told.inbox.offer_own(SourceId::Runner, InputBody::Rearmed, None).unwrap();
        change(&state, |list| {
            drop(list.remove(node(1), SystemTime::UNIX_EPOCH));
            drop(list.add(node(2), None, SystemTime::UNIX_EPOCH));
        });
        follower.look();
        assert_eq!(*heard.lock().unwrap(), [set(&[])], "the links ask again and find nobody");
        assert_eq!(told(&inboxes), [InputBody::Rearmed]);
        follower.look();
        assert_eq!(told(&inboxes), [InputBody::TrustChanged(set(&[2]))]);
        assert_eq!(*heard.lock().unwrap(), [set(&[]), set(&[2])]);
        follower.look();
        assert_eq!(heard.lock().unwrap().len(), 2, "each change once");
    }

    #[test]
    fn a_full_inbox_is_told_later_and_the_bridge_at_once() {
        let (_dir, state) = StateDir::temporary();
        let (mut follower, inboxes) = follower(&state, 1);
        follower.told.inbox.offer_own(SourceId::Runner, InputBody::Rearmed, None).unwrap();
        change(&state, |list| drop(list.remove(node(1), SystemTime::UNIX_EPOCH)));
        follower.look();
        assert_eq!(follower.told.bridge.nodes(), set(&[]));
        assert_eq!(told(&inboxes), [InputBody::Rearmed]);
        follower.look();
        assert_eq!(told(&inboxes), [InputBody::TrustChanged(set(&[]))]);
    }
}
