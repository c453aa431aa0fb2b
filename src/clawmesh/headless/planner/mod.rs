//! The planner of a node: thinks about dry zones, and brings what the tick wishes to the owners of the valves.
//! Reads the newest snapshot, the wishes of the tick, signed readings. Writes thoughts and refusals into the inbox, and signed
//! requests.
//! Invariant: it remembers nothing about a zone: what it thinks follows from one snapshot, and what it asks for from one
//! wish; nothing is asked before the journal holds what it follows from; it only ever proposes.
//! Not here: scoring (`plugins/brain`), when to wish (`core`), whether a proposal may go on (`authority`), the way to other
//! nodes (`bridge`).

mod errand;
mod outlook;
#[cfg(test)]
mod scenario;
pub mod wiring;
pub mod wishes;

use std::collections::VecDeque;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant};

use clawmesh_authority::{Answer, Capability, ContentHash, MeshId, NodeId, NodeKey, Refusal};
use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::replay::CommitWatch;
use clawmesh_gateway::SnapshotFeed;
use clawmesh_twin::site::Plan;

use super::worker::{Ends, Worker};
use crate::moments::now;
use errand::{Envoy, Errand, Outcome};
use outlook::Outlook;
use wishes::{WISHES_MAX, WishBook};

/// The time from one round of thinking to the next.
const ROUND: Duration = Duration::from_secs(2);
/// How long the thread sleeps at most before it looks whether it should end.
const NAP: Duration = Duration::from_millis(50);
/// How long the thread may take to end: it may be asking somebody who does not answer.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// The ways from a planner to the rest of the mesh.
pub struct PlannerWays {
    /// The newest signed envelopes that hold a reading of a sensor, one of each node that has one.
    pub evidence: Box<dyn Fn(&Capability) -> Vec<Vec<u8>> + Send>,
    /// Asks an owner with a signed request. It may wait for up to 10 s, and says `BUSY` when nobody answered by then.
    pub ask: Box<dyn Fn(NodeId, Vec<u8>) -> Answer + Send>,
}

/// What a planner is made of.
pub struct PlannerPorts {
    /// The key of this node.
    pub key: NodeKey,
    /// Its mesh.
    pub mesh: MeshId,
    /// The site.
    pub plan: Plan,
    /// The site by its content.
    pub site: ContentHash,
    /// The newest picture of the world.
    pub snapshots: SnapshotFeed,
    /// Where thoughts and refusals enter the tick.
    pub inbox: InboxHandle,
    /// How far the journal is durable.
    pub commits: CommitWatch,
    /// What the tick wishes.
    pub wishes: WishBook,
}

/// Begins to think, and to ask for what is wished.
///
/// # Errors
/// When the system gives no thread.
pub fn start(ports: PlannerPorts, ways: PlannerWays) -> std::io::Result<Worker> {
    let work = Work::new(ports, ways);
    Ok(Worker::start("planner", move |ends| work.run(ends))?.with_patience(CLOSE_PATIENCE))
}

struct Work {
    outlook: Outlook,
    envoy: Envoy,
    snapshots: SnapshotFeed,
    inbox: InboxHandle,
    wishes: WishBook,
    errands: VecDeque<Errand>,
    thinks_at: Instant,
}

impl Work {
    fn new(ports: PlannerPorts, ways: PlannerWays) -> Self {
        let PlannerPorts { key, mesh, plan, site, snapshots, inbox, commits, wishes } = ports;
        Self {
            outlook: Outlook::of(&plan),
            envoy: Envoy::new(key, mesh, site, &plan, commits, ways),
            snapshots,
            inbox,
            wishes,
            errands: VecDeque::new(),
            thinks_at: now(),
        }
    }

    fn run(mut self, ends: &Ends) {
        while !ends.is_asked() {
            if now() >= self.thinks_at {
                self.think();
                self.thinks_at = now() + ROUND;
            }
            self.take_wishes();
            self.go_on_errands();
        }
    }

    /// One round: a thought of every zone, from the newest snapshot and nothing else.
    fn think(&self) {
        let Some((snapshot, age_ms)) = self.snapshots.look() else { return };
        let thoughts = self.outlook.think(&snapshot, age_ms);
        self.offer(InputBody::Thoughts(thoughts));
    }

    /// Takes a wish as soon as there is one. What is too much stays in the queue, and what finds no place there is told.
    fn take_wishes(&mut self) {
        if self.errands.len() >= WISHES_MAX {
            return thread::sleep(NAP);
        }
        match self.wishes.0.recv_timeout(NAP) {
            Ok(wish) => self.errands.push_back(Errand::new(wish, now())),
            Err(RecvTimeoutError::Timeout) => {}
            // The tick is gone; so are we in a moment.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(NAP),
        }
    }

    fn go_on_errands(&mut self) {
        for _ in 0..self.errands.len() {
            let Some(errand) = self.errands.pop_front() else { return };
            if !errand.is_due(now()) {
                self.errands.push_back(errand);
                continue;
            }
            match self.envoy.go(errand, now()) {
                Outcome::Done => {}
                Outcome::Later(errand) => self.errands.push_back(*errand),
                Outcome::Refused(refusal) => self.tell(refusal),
            }
        }
    }

    /// What was refused is seen by everybody who looks at this node.
    fn tell(&self, refusal: Refusal) {
        tracing::warn!("{refusal}");
        self.offer(InputBody::Refused { refusal, count: 1 });
    }

    fn offer(&self, body: InputBody) {
        if let Err(refusal) = self.inbox.offer_own(SourceId::Planner, body, None) {
            tracing::warn!("{refusal}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, sync_channel};

    use clawmesh_authority::{Code, request};
    use clawmesh_core::intake::{InboxLimits, Inboxes, doors};
    use clawmesh_core::planner::Wishes as _;
    use clawmesh_core::publish::{Snapshot, SnapshotSink as _};
    use clawmesh_gateway::snapshot_feed;
    use clawmesh_lab::Lab;

    use wishes::WishPort;

    struct Rig {
        feeder: clawmesh_gateway::SnapshotFeeder,
        port: WishPort,
        inboxes: Inboxes,
        commits: CommitWatch,
        ports: PlannerPorts,
    }

    fn plan() -> Plan {
        scenario::site_of(Lab::id_of(1), Lab::id_of(2)).1
    }

    fn rig() -> Rig {
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (feeder, snapshots) = snapshot_feed();
        let (port, book) = wishes::wishes(inbox.clone());
        let commits = CommitWatch::default();
        let ports = PlannerPorts {
            key: NodeKey::from_secret(&[1; 32]),
            mesh: MeshId::of_name("farm"),
            plan: plan(),
            site: ContentHash([9; 32]),
            snapshots,
            inbox,
            commits: commits.clone(),
            wishes: book,
        };
        Rig { feeder, port, inboxes, commits, ports }
    }

    fn snapshot() -> Arc<Snapshot> {
        let mut lab = Lab::seeded(1).with_nodes(["center"]);
        lab.run_ticks(10);
        lab.snapshot("center")
    }

    /// Ways to an owner who refuses everything and tells the test what was asked.
    fn ways() -> (PlannerWays, Receiver<Vec<u8>>) {
        let (tell, told) = sync_channel(64);
        let ask = move |_, bytes| {
            tell.send(bytes).unwrap();
            Answer::Refused { code: Code::Frozen, rule: "a-rule".to_owned(), sentence: "no".to_owned() }
        };
        let evidence = |_: &Capability| Vec::new();
        (PlannerWays { evidence: Box::new(evidence), ask: Box::new(ask) }, told)
    }

    fn bodies(inboxes: &Inboxes) -> Vec<InputBody> {
        inboxes.take_state(99).into_iter().map(|(input, _)| input.body).collect()
    }

    #[test]
    fn a_round_is_one_thought_of_every_zone_and_none_before_there_is_a_picture() {
        let Rig { feeder, inboxes, ports, .. } = rig();
        let work = Work::new(ports, ways().0);
        work.think();
        assert_eq!(bodies(&inboxes), []);
        feeder.publish(snapshot());
        work.think();
        let round = bodies(&inboxes);
        let [InputBody::Thoughts(thoughts)] = round.as_slice() else { panic!("{round:?}") };
        assert_eq!(thoughts.len(), 4);
        assert!(thoughts.iter().all(|thought| !thought.irrigate), "nothing is known of any zone");
    }

    #[test]
    fn a_running_planner_thinks_and_asks_and_tells_what_was_refused() {
        let Rig { feeder, port, inboxes, commits, ports } = rig();
        let key = ports.key.clone();
        feeder.publish(snapshot());
        commits.commit(1);
        // What is wished for nothing in particular needs no evidence.
        let steps = vec![clawmesh_authority::Step {
            actuator: Capability::new("actuator:valve:valve-flower").unwrap(),
            operation: "open".to_owned(),
            parameters: [].into(),
        }];
        let wish = clawmesh_core::planner::Wish {
            steps,
            reason: "why not".to_owned(),
            ..scenario::wish_for("z-any")
        };
        port.wish(wish).unwrap();
        let (ways, told) = ways();
        let planner = start(ports, ways).unwrap();
        let request = request::open(&told.recv().unwrap()).unwrap();
        assert_eq!(*request.signer(), key.public());
        drop(planner);
        let heard = bodies(&inboxes);
        assert!(matches!(heard.first(), Some(InputBody::Thoughts(_))), "{heard:?}");
        let refused = heard.iter().find_map(|body| match body {
            InputBody::Refused { refusal, .. } => Some(refusal.code),
            _ => None,
        });
        assert_eq!(refused, Some(Code::Frozen), "{heard:?}");
        assert!(told.try_recv().is_err(), "a refusal is an answer, and nobody is asked twice");
    }

    #[test]
    fn errands_in_hand_are_bounded_and_the_rest_waits_in_the_queue() {
        let Rig { port, ports, .. } = rig();
        let mut work = Work::new(ports, ways().0);
        for n in 0..WISHES_MAX {
            port.wish(clawmesh_core::planner::Wish { cause: 9, ..scenario::wish_for(&format!("z-{n}")) })
                .unwrap();
            work.take_wishes();
        }
        for n in 0..WISHES_MAX {
            port.wish(scenario::wish_for(&format!("z-more-{n}"))).unwrap();
            work.take_wishes();
        }
        assert_eq!(work.errands.len(), WISHES_MAX);
        assert!(port.wish(scenario::wish_for("z-one-too-many")).is_err());
    }
}
