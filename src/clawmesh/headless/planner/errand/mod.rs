//! One wish on its way to an owner: wait for its cause, attach what was measured, sign, ask, and perhaps ask again.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clawmesh_authority::proposal::{EVIDENCE_BYTES_MAX, EVIDENCE_MAX};
use clawmesh_authority::{
    Answer, Body, Capability, Code, ContentHash, HlcClock, Maker, MeshId, Mind, NodeId, NodeKey, Proposal,
    Refusal, Request, RequestBody, envelope, request,
};
use clawmesh_core::intake::SourceId;
use clawmesh_core::planner::Wish;
use clawmesh_core::replay::CommitWatch;
use clawmesh_twin::site::Plan;

use super::PlannerWays;
use crate::moments::unix_ms;

/// The name under which this planner proposes.
pub const PLANNER: &str = "dryness";
/// How often an owner is asked before a wish is given up.
const TRIES_MAX: u32 = 4;
/// The wait before the second try; each later one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long a wish waits for its cause to be durable.
const COMMIT_PATIENCE: Duration = Duration::from_secs(5);
/// How soon it is looked again whether it is.
const COMMIT_NAP: Duration = Duration::from_millis(50);
/// The longest sentence of an owner that is passed on, in characters.
const SENTENCE_CHARACTERS_MAX: usize = 512;

/// A wish and how far it has come.
pub struct Errand {
    wish: Wish,
    /// Composed once: whoever was asked before and whose answer was lost sees that it is the same proposal.
    proposal: Option<Proposal>,
    tries: u32,
    due: Instant,
    durable_by: Instant,
}

/// What became of one look at an errand.
pub enum Outcome {
    /// The owner has it.
    Done,
    /// It is to be looked at again.
    Later(Box<Errand>),
    /// It was refused, or given up.
    Refused(Refusal),
}

impl Errand {
    /// A wish that has just come.
    pub fn new(wish: Wish, now: Instant) -> Self {
        Self { wish, proposal: None, tries: 0, due: now, durable_by: now + COMMIT_PATIENCE }
    }

    /// True when it is time to look at it.
    pub fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    fn refused(&self, code: Code, sentence: &str) -> Outcome {
        let sentence: String = sentence.chars().take(SENTENCE_CHARACTERS_MAX).collect();
        let sentence = format!("what is wished for {}: {sentence}", self.wish.zone);
        Outcome::Refused(Refusal::new(code, SourceId::Planner, sentence))
    }

    fn again(mut self, now: Instant, code: Code, sentence: &str) -> Outcome {
        self.tries += 1;
        if self.tries >= TRIES_MAX {
            return self.refused(code, sentence);
        }
        self.due = now + FIRST_WAIT * 2_u32.pow(self.tries - 1);
        Outcome::Later(Box::new(self))
    }
}

/// Who goes on errands: with the key of this node, in its mesh, for its site.
pub struct Envoy {
    key: NodeKey,
    mesh: MeshId,
    site: ContentHash,
    /// The nodes on which the site mounts its sensors.
    mounted_on: BTreeMap<Capability, NodeId>,
    commits: CommitWatch,
    /// Requests are stamped later than the wish and than one another: an owner takes each time of a signer once.
    clock: HlcClock,
    ways: PlannerWays,
}

impl Envoy {
    /// An envoy of the node with this key.
    pub fn new(
        key: NodeKey,
        mesh: MeshId,
        site: ContentHash,
        plan: &Plan,
        commits: CommitWatch,
        ways: PlannerWays,
    ) -> Self {
        let mounted = |sensor: &clawmesh_twin::site::Sensor| {
            let node = plan.nodes.iter().find(|node| node.name == sensor.node)?;
            Some((Capability::new(&sensor.capability).ok()?, node.id.as_deref()?.parse().ok()?))
        };
        let mounted_on = plan.sensors.iter().filter_map(mounted).collect();
        Self { key, mesh, site, mounted_on, commits, clock: HlcClock::default(), ways }
    }

    /// Goes as far as it can get now.
    pub fn go(&mut self, mut errand: Errand, now: Instant) -> Outcome {
        if self.commits.committed() < errand.wish.cause {
            return self.wait_for_cause(errand, now);
        }
        let proposal = match errand.proposal.take() {
            Some(proposal) => proposal,
            None => match self.compose(&errand.wish) {
                Ok(proposal) => proposal,
                Err(sentence) => return errand.again(now, Code::EvidenceUnresolved, &sentence),
            },
        };
        let request = self.seal(&errand.wish, proposal.clone());
        let answer = (self.ways.ask)(proposal.owner, request);
        errand.proposal = Some(proposal);
        match answer {
            Answer::Taken { words, .. } => {
                tracing::info!("proposed for {}: {words}", errand.wish.zone);
                Outcome::Done
            }
            // An earlier try got through, and its answer did not.
            Answer::Refused { code: Code::Duplicate, .. } if errand.tries > 0 => Outcome::Done,
            Answer::Refused { code: code @ (Code::Busy | Code::Replayed), sentence, .. } => {
                errand.again(now, code, &sentence)
            }
            Answer::Refused { code, rule, sentence } => errand.refused(code, &format!("{sentence} ({rule})")),
        }
    }

    /// Nothing is asked before the journal holds what it follows from.
    fn wait_for_cause(&self, mut errand: Errand, now: Instant) -> Outcome {
        if let Some(why) = self.commits.failure() {
            return errand.refused(Code::JournalUnavailable, &why);
        }
        if now >= errand.durable_by {
            let sentence = "the journal did not write its cause down in time";
            return errand.refused(Code::JournalUnavailable, sentence);
        }
        errand.due = now + COMMIT_NAP;
        Outcome::Later(Box::new(errand))
    }

    /// The proposal of a wish, with what was measured.
    fn compose(&self, wish: &Wish) -> Result<Proposal, String> {
        let evidence = self.evidence(&wish.evidence_of)?;
        Ok(Proposal {
            mesh: self.mesh,
            owner: wish.owner,
            site: self.site,
            maker: Maker {
                node: self.key.id(),
                mind: Mind::Utility { name: PLANNER.to_owned() },
                term: Some(wish.term),
            },
            steps: wish.steps.clone(),
            reason: wish.reason.clone(),
            evidence: evidence.into_iter().map(Into::into).collect(),
            made: wish.made,
        })
    }

    /// Signed readings of these sensors, of the nodes on which the site mounts them. Without one of the first sensor the
    /// owner would only refuse; of the others it takes what there is.
    fn evidence(&self, sensors: &[Capability]) -> Result<Vec<Vec<u8>>, String> {
        let mut evidence: Vec<Vec<u8>> = Vec::new();
        for (place, sensor) in sensors.iter().enumerate() {
            let known = (self.ways.evidence)(sensor);
            let mut usable = known.into_iter().filter(|envelope| self.is_of(sensor, envelope)).peekable();
            if place == 0 && usable.peek().is_none() {
                return Err(format!("there is no signed reading of {sensor} here"));
            }
            for envelope in usable {
                if !evidence.contains(&envelope) {
                    evidence.push(envelope);
                }
            }
        }
        evidence.truncate(EVIDENCE_MAX);
        Ok(evidence)
    }

    /// True for an envelope with a reading of `sensor`, signed by the node the site mounts it on. One that does not open
    /// would spoil the whole proposal.
    fn is_of(&self, sensor: &Capability, bytes: &[u8]) -> bool {
        if bytes.len() > EVIDENCE_BYTES_MAX {
            return false;
        }
        let Ok(opened) = envelope::open(bytes, self.mesh) else { return false };
        let Body::Readings(batch) = &opened.statement.body else { return false };
        let is_mounted = self.mounted_on.get(sensor) == Some(&opened.source);
        is_mounted && batch.0.iter().any(|reading| reading.sensor == *sensor)
    }

    /// The request, later than every one before.
    fn seal(&mut self, wish: &Wish, proposal: Proposal) -> Vec<u8> {
        let wall_ms = unix_ms();
        self.clock.observe(wish.made, wall_ms);
        let request = Request {
            mesh: self.mesh,
            owner: wish.owner,
            body: RequestBody::Propose(proposal),
            made: self.clock.stamp(wall_ms),
        };
        request::seal(&self.key, &request)
    }
}
