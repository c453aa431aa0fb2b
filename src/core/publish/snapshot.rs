//! The world as readers see it: plain rows, made by the tick, never waited for.

use std::sync::Arc;

use clawmesh_authority::leadership::{Activity, Term};
use clawmesh_authority::{
    Code, ContentHash, Hlc, NodeId, OperatorId, ProposalReport, Role, Tier, Unit, Value,
};
use serde::{Deserialize, Serialize};

use crate::alarms::{Priority, Standing};
use crate::guests::GuestsPicture;
use crate::intake::LinkState;
use crate::publish::waiting::Waiting;

/// One picture of the world. Times are Unix milliseconds by this node's estimate of wall time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The tick it was taken at, after all its systems ran.
    pub tick: u64,
    /// Wall time at that tick.
    pub wall_ms: u64,
    /// This node.
    pub node: NodeView,
    /// How the link to the mesh stands.
    pub link: LinkState,
    /// Who leads the planning.
    pub lead: LeadView,
    /// Why the stop is latched, if it is.
    pub stop: Option<String>,
    /// Other nodes, by id.
    pub peers: Vec<PeerView>,
    /// Sensors, by node and capability.
    pub sensors: Vec<SensorView>,
    /// The site, if somebody has drawn it.
    pub site: Option<SiteView>,
    /// The people this node knows, by name.
    pub people: Vec<PersonView>,
    /// Every actuator this node drives, by capability.
    pub actuators: Vec<ActuatorView>,
    /// Proposals: those whose home is here and copies of others, by home and place.
    pub proposals: Vec<ProposalView>,
    /// Beliefs, by key.
    pub beliefs: Vec<BeliefView>,
    /// Refusals, by code and sender.
    pub refusals: Vec<RefusalView>,
    /// The newest digest.
    pub digest: Option<DigestView>,
    /// Alarms, the most urgent first, of those the newest first.
    pub alarms: Vec<AlarmView>,
    /// Nodes of the wire protocol and what they told; their own protocol shows it.
    #[serde(skip)]
    pub guests: GuestsPicture,
}

/// This node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its id.
    pub id: NodeId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// The name of its mesh.
    pub mesh: String,
    /// The version of its software.
    pub version: String,
    /// Which run of it this is.
    pub epoch: u64,
    /// Its ticks per second.
    pub hz: u32,
}

/// Who leads the planning, as this node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeadView {
    /// What this node does about it.
    pub activity: Activity,
    /// Who leads; nobody, while nobody does or the one who does cannot be reached.
    pub leader: Option<LeaderView>,
}

/// A node that leads the planning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderView {
    /// Its id.
    pub id: NodeId,
    /// Its name, once it has described itself.
    pub name: Option<String>,
    /// Its role, once it has described itself.
    pub role: Option<String>,
    /// In which term.
    pub term: Option<Term>,
}

/// Another node as seen from here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PeerView {
    /// Its id.
    pub id: NodeId,
    /// The name it gives itself, once it has described itself.
    pub name: Option<String>,
    /// The role it gives itself.
    pub role: Option<String>,
    /// The version of its software.
    pub version: Option<String>,
    /// True when its statements are taken here.
    pub trusted: bool,
    /// `alive`, `suspect`, `lost` or `left`.
    pub liveness: String,
    /// Milliseconds since a statement of it was admitted.
    pub heard_age_ms: Option<u64>,
    /// Its clock minus ours when last heard, milliseconds; includes the way.
    pub clock_offset_ms: Option<i64>,
    /// Statements on its stream lane that never reached us.
    pub stream_skipped: u64,
    /// How many sensors it has.
    pub sensors: usize,
}

/// A sensor and what it last said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SensorView {
    /// The node it is mounted on.
    pub node: NodeId,
    /// The name of that node.
    pub node_name: Option<String>,
    /// Its capability.
    pub sensor: String,
    /// The quantity in words.
    pub quantity: Option<String>,
    /// The last value.
    pub value: Option<f64>,
    /// The unit.
    pub unit: Option<Unit>,
    /// What the value is worth.
    pub tier: Option<Tier>,
    /// When it was measured, by the origin's clock.
    pub origin_ms: Option<u64>,
    /// Milliseconds since it was measured.
    pub age_ms: Option<u64>,
    /// The time between two samples when all is well, milliseconds.
    pub period_ms: Option<u32>,
    /// How many samples were taken.
    pub samples: u64,
    /// What is wrong with it: `stale`, `stuck`, `out_of_range`, `future`, `undescribed`, `silent`, `untrusted`.
    pub flags: Vec<String>,
}

/// A person this node knows by their key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonView {
    /// Who, by the key.
    pub id: OperatorId,
    /// The name people use.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The person they stand for.
    pub stands_for: Option<OperatorId>,
    /// True when their key counts for nothing.
    pub is_revoked: bool,
}

/// The site and how it is out of order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteView {
    /// Its name.
    pub name: String,
    /// The plan by its content; owner and proposer must hold the same.
    pub site_hash: ContentHash,
    /// The policy by its content, if this node has one.
    pub policy_hash: Option<ContentHash>,
    /// How it is out of order, one sentence each; empty when it is well.
    pub modes: Vec<String>,
}

/// An actuator and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActuatorView {
    /// Its capability.
    pub actuator: String,
    /// The guest it is on, if it is on one.
    #[serde(default)]
    pub guest: Option<String>,
    /// `on` or `off`, as its hardware says, or for one on a guest a sensor of ours; absent while that is unknown.
    pub position: Option<String>,
    /// True while its hardware answers, or the guest is connected.
    pub answers: bool,
    /// True while a hand holds it.
    pub local_control: bool,
    /// Who has exclusive control of it, if anybody has.
    #[serde(default)]
    pub control: Option<ControlView>,
    /// True while it is in the safe state that the site declares, as its hardware says.
    pub is_safe: bool,
    /// Why it could not be made safe, if it could not.
    pub unsafe_because: Option<String>,
    /// Milliseconds since it came to stand so.
    pub since_ms: u64,
}

/// Exclusive control of an actuator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlView {
    /// Who has it.
    pub by: OperatorId,
    /// What they are called.
    pub name: String,
    /// Why, in their words.
    pub why: String,
    /// For how long yet, milliseconds.
    pub left_ms: u64,
    /// Who has asked for it, and has it soon unless they say no.
    pub wanted_by: Option<OperatorId>,
}

/// A proposal as its home sees it, or said it last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProposalView {
    /// The node where its state lives.
    pub home: NodeId,
    /// The name of that node.
    pub home_name: Option<String>,
    /// True when its home is this node; anything else is a copy.
    pub is_own: bool,
    /// Milliseconds since the home said so; 0 for our own.
    pub age_ms: u64,
    /// What it waits for, until it has ended.
    #[serde(default)]
    pub waiting: Option<Waiting>,
    /// The report.
    #[serde(flatten)]
    pub report: ProposalReport,
}

/// What the world holds for one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BeliefView {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
    /// The unit, for numbers that have one.
    pub unit: Option<Unit>,
    /// What it is worth.
    pub tier: Tier,
    /// Who said it.
    pub source: NodeId,
    /// When it was said in hybrid time; the later one wins.
    pub hlc: Hlc,
    /// When it was seen, by the origin's clock.
    pub origin_ms: u64,
    /// Milliseconds since it was seen; absent while the time is not known.
    pub age_ms: Option<u64>,
    /// The sensor it rests on, as `node/capability`.
    pub supported_by: Option<String>,
}

/// How often one sender was refused with one code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RefusalView {
    /// The code.
    pub code: Code,
    /// The sender.
    pub from: String,
    /// How often.
    pub count: u64,
    /// The last sentence.
    pub sentence: String,
    /// Milliseconds since the last one.
    pub age_ms: u64,
}

/// An alarm: what a person has to look at, until a person has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmView {
    /// Its key, by which people act on it.
    pub key: String,
    /// How soon a person has to look.
    pub priority: Priority,
    /// How it stands: `unacknowledged`, `returned`, `acknowledged` or `shelved`.
    pub state: Standing,
    /// True while it is the case.
    pub is_active: bool,
    /// True when somebody has acknowledged it since it rang.
    pub is_acknowledged: bool,
    /// What is the case and what to do.
    pub sentence: String,
    /// How often it came.
    pub count: u64,
    /// When it rang last, Unix milliseconds.
    pub raised_ms: u64,
    /// Milliseconds since it rang last.
    pub age_ms: u64,
    /// Milliseconds since it is over; absent while it is the case.
    pub cleared_age_ms: Option<u64>,
    /// Who acknowledged it, as they called themselves.
    pub acknowledged_by: Option<String>,
    /// Milliseconds until it comes off the shelf, while it is on it.
    pub shelved_for_ms: Option<u64>,
    /// Who shelved it, as they called themselves.
    pub shelved_by: Option<String>,
    /// The longest time it may be shelved, milliseconds; 0 when it may not.
    pub shelf_ms_max: u64,
}

/// The newest digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestView {
    /// The tick it was taken at.
    pub tick: u64,
    /// Over all types, 16 hexadecimal characters.
    pub total: String,
}

/// Takes snapshots; called from the tick, so it must not wait.
pub trait SnapshotSink: Send + Sync + 'static {
    /// Takes the newest snapshot; the one before it may be forgotten.
    fn publish(&self, snapshot: Arc<Snapshot>);
}
