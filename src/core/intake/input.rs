//! Everything that may enter the world, in plain types that a journal can hold.

use std::collections::BTreeSet;
use std::fmt;

use clawmesh_authority::transition::Round;
use clawmesh_authority::{
    AskKind, Capability, Hlc, Lane, LaneMark, NodeId, Observation, ProposalId, Refusal, Roster, SensorSpec,
    Setpoint, Tier, Unit,
};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::guests::{GuestEnd, GuestProfile};

/// Who brought an input. The order of the list is the order within a tick.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[serde(rename_all = "snake_case")]
pub enum SourceId {
    /// The wall clock of this machine.
    #[n(0)]
    Clock,
    /// What earlier runs of this node had acknowledged.
    #[n(1)]
    Journal,
    /// The process that runs the tick: stop latch, shutdown.
    #[n(2)]
    Runner,
    /// Sensors of the machine this node runs on.
    #[n(3)]
    HostSensors,
    /// The driver layer: what actuators say, and what became of commands.
    #[n(7)]
    Drivers,
    /// The pool that simulates.
    #[n(8)]
    Simulator,
    /// The planner of this node.
    #[n(9)]
    Planner,
    /// The zenoh edge itself: links, liveliness, refusals, mapped foreign samples.
    #[n(4)]
    Bridge,
    /// The edge to nodes that speak the wire protocol of existing ClawMesh nodes.
    #[n(10)]
    Guests,
    /// People and programs at the gateway.
    #[n(5)]
    Gateway,
    /// Another node, by its signature.
    #[n(6)]
    Node(#[n(0)] NodeId),
}

/// A sample this node measured or relays; it becomes a reading of one of our sensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Sample {
    /// Our sensor.
    #[n(0)]
    pub sensor: Capability,
    /// The value in `unit`.
    #[n(1)]
    pub value: f64,
    /// The unit.
    #[n(2)]
    pub unit: Unit,
    /// When it was taken, Unix milliseconds.
    #[n(3)]
    pub origin_ms: u64,
    /// What it is worth: T2 if measured here, T1 if relayed.
    #[n(4)]
    pub tier: Tier,
}

/// How our link to the mesh stands.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum LinkState {
    /// The session is being opened.
    #[n(0)]
    #[default]
    Connecting,
    /// The session is open; it listens here.
    #[n(1)]
    Open {
        /// Where other nodes can connect, for example `tcp/127.0.0.1:7447`.
        #[n(0)]
        listen: Vec<String>,
    },
    /// The session could not be opened; it is tried again.
    #[n(2)]
    Failed {
        /// One sentence: what failed and what to do.
        #[n(0)]
        sentence: String,
    },
}

/// How an actuator stands, as its hardware says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct ActuatorReport {
    /// True while the hardware answers.
    #[n(0)]
    pub answers: bool,
    /// Where it is; absent while it is on its way, or nobody can tell.
    #[n(1)]
    pub position: Option<Setpoint>,
    /// True while a hand holds it.
    #[n(2)]
    pub local_control: bool,
}

/// Why an actuator is made safe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum SafeBecause {
    /// The node has started.
    #[n(0)]
    Started,
    /// The time of what ran is over.
    #[n(1)]
    TimeIsOver,
    /// The tick did not renew its lease in time.
    #[n(2)]
    LeaseLost,
    /// The stop was latched, for the `stops`th time in this process.
    #[n(3)]
    Stopped {
        /// Which stop.
        #[n(0)]
        stops: u64,
    },
    /// The journal cannot commit.
    #[n(4)]
    JournalFailed,
    /// The tick says so.
    #[n(5)]
    Ordered(#[n(0)] String),
    /// The node ends.
    #[n(6)]
    NodeEnds,
}

impl fmt::Display for SafeBecause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Started => "the node has started",
            Self::TimeIsOver => "its time is over",
            Self::LeaseLost => "the tick did not renew its lease in time",
            Self::Stopped { .. } => "the stop is latched",
            Self::JournalFailed => "the journal cannot commit",
            Self::Ordered(why) => why,
            Self::NodeEnds => "the node ends",
        })
    }
}

/// A command of which nobody knows whether its hardware took it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct InDoubt {
    /// The actuator.
    #[n(0)]
    pub actuator: Capability,
    /// How long it was to last, milliseconds; 0 for what was to be switched off.
    #[n(1)]
    pub run_for_ms: u64,
}

/// What the driver layer saw or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum DriverReport {
    /// An actuator stands otherwise than it was told last.
    #[n(0)]
    Seen {
        /// The actuator.
        #[n(0)]
        actuator: Capability,
        /// How it stands.
        #[n(1)]
        seen: ActuatorReport,
    },
    /// The hardware took a command: an acknowledgement, and no proof.
    #[n(1)]
    Carried {
        /// The proposal.
        #[n(0)]
        proposal: ProposalId,
        /// Which of its steps.
        #[n(1)]
        step: usize,
    },
    /// A command did not reach the hardware, or the hardware did not take it.
    #[n(2)]
    NotCarried {
        /// The proposal.
        #[n(0)]
        proposal: ProposalId,
        /// Which of its steps.
        #[n(1)]
        step: usize,
        /// Why, one sentence.
        #[n(2)]
        why: String,
        /// What may have happened all the same, or still happen, if nobody knows.
        #[n(3)]
        #[serde(default)]
        in_doubt: Option<InDoubt>,
    },
    /// An actuator was made safe, or was tried to be.
    #[n(3)]
    MadeSafe {
        /// The actuator.
        #[n(0)]
        actuator: Capability,
        /// Why.
        #[n(1)]
        because: SafeBecause,
        /// What it ran for, if it ran for a proposal.
        #[n(2)]
        proposal: Option<ProposalId>,
        /// Why it is not shown to be safe, if it is not.
        #[n(3)]
        fault: Option<String>,
    },
}

/// What a person does with an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum AlarmAct {
    /// They have seen it.
    #[n(0)]
    Acknowledge,
    /// They put it aside.
    #[n(1)]
    Shelve {
        /// For so many milliseconds.
        #[n(0)]
        for_ms: u64,
    },
    /// They take it up again.
    #[n(2)]
    Unshelve,
}

/// What the planner thinks of one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Thought {
    /// The zone, by its name in the site.
    #[n(0)]
    pub zone: String,
    /// True when it is to be watered.
    #[n(1)]
    pub irrigate: bool,
    /// How pressing that is, thousandths.
    #[n(2)]
    pub urgency_permille: u16,
    /// How moist it is, thousandths by volume, rounded down; absent while that is unknown.
    #[n(3)]
    pub moisture_permille: Option<u16>,
}

/// What an input says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum InputBody {
    /// What the two clocks of the machine showed.
    #[n(0)]
    ClockSampled {
        /// The wall clock, Unix milliseconds.
        #[n(0)]
        unix_ms: u64,
        /// How long the machine has been up, asleep or not, milliseconds.
        #[n(1)]
        up_ms: u64,
    },
    /// A signed envelope of another node whose signature the edge has checked.
    #[n(1)]
    Envelope {
        /// The lane its content travels on.
        #[n(0)]
        lane: Lane,
        /// The bytes as they came.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// A state-lane envelope that an earlier run of this node had acknowledged.
    #[n(2)]
    Recovered {
        /// The bytes as they came then.
        #[n(0)]
        #[cbor(with = "minicbor::bytes")]
        bytes: Vec<u8>,
        /// The sequences of those of its frames that are still the newest about their subjects, if it holds several.
        #[n(1)]
        newest: Option<Vec<u64>>,
    },
    /// How far an earlier run had heard another node.
    #[n(3)]
    MarkRestored {
        /// The other node.
        #[n(0)]
        node: NodeId,
        /// Its state lane.
        #[n(1)]
        state: LaneMark,
        /// Its stream lane.
        #[n(2)]
        stream: LaneMark,
    },
    /// Sensors of our own that an edge brings.
    #[n(4)]
    SensorsDeclared(#[n(0)] Vec<SensorSpec>),
    /// Samples of our own sensors.
    #[n(5)]
    Sampled(#[n(0)] Vec<Sample>),
    /// A node's liveliness token appeared.
    #[n(6)]
    PeerAppeared(#[n(0)] NodeId),
    /// A node's liveliness token is gone.
    #[n(7)]
    PeerVanished(#[n(0)] NodeId),
    /// A person or program at this node's gateway saw something.
    #[n(8)]
    Recorded {
        /// What.
        #[n(0)]
        observation: Observation,
        /// When in hybrid time; the tick stamps it before the journal sees it.
        #[n(1)]
        hlc: Option<Hlc>,
    },
    /// An edge refused something, `count` times since it last said so.
    #[n(9)]
    Refused {
        /// The last of them.
        #[n(0)]
        refusal: Refusal,
        /// How many.
        #[n(1)]
        count: u64,
    },
    /// The link to the mesh changed.
    #[n(10)]
    LinkChanged(#[n(0)] LinkState),
    /// The stop is latched.
    #[n(11)]
    StopLatched {
        /// Why, one sentence.
        #[n(0)]
        reason: String,
        /// How often the latch had been set by then in this process; 0 for a stop that an earlier one left.
        #[n(1)]
        stops: u64,
    },
    /// The driver layer saw or did something.
    #[n(12)]
    Driver(#[n(0)] DriverReport),
    /// Somebody brought a signed request or a signed approval.
    #[n(13)]
    Asked {
        /// Which of the two.
        #[n(0)]
        kind: AskKind,
        /// The bytes as they came.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// A simulation has ended.
    #[n(14)]
    Simulated {
        /// Of which proposal.
        #[n(0)]
        proposal: ProposalId,
        /// Which one of it.
        #[n(1)]
        round: Round,
        /// The canonical bytes of the card, or why there is none.
        #[n(2)]
        outcome: Result<Vec<u8>, String>,
    },
    /// Something of our own that an earlier run had kept.
    #[n(15)]
    Recalled {
        /// What it is.
        #[n(0)]
        subject: String,
        /// As it was kept.
        #[n(1)]
        #[cbor(with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// A person ended the stop, and the latch is open.
    #[n(16)]
    Rearmed,
    /// A person at this node's gateway did something with an alarm.
    #[n(17)]
    AlarmHandled {
        /// The key of the alarm.
        #[n(0)]
        key: String,
        /// What they did.
        #[n(1)]
        act: AlarmAct,
        /// Who, as they call themselves; nobody checks it.
        #[n(2)]
        by: String,
    },
    /// The planner has thought: one thought of every zone it looks after.
    #[n(18)]
    Thoughts(#[n(0)] Vec<Thought>),
    /// People at this node's console trust these other nodes from now on, and nobody else. It counts from the runner only.
    #[n(19)]
    TrustChanged(#[n(0)] BTreeSet<NodeId>),
    /// This node was restored from a backup, so what it did after the backup was made is not known. It counts from the
    /// journal only, and once.
    #[n(20)]
    Restored {
        /// When, by the clock of this machine, Unix milliseconds.
        #[n(0)]
        at_unix_ms: u64,
    },
    /// A guest has connected and shown who it is.
    #[n(21)]
    GuestJoined {
        /// Who.
        #[n(0)]
        guest: NodeId,
        /// What it says of itself; the tick dates it.
        #[n(1)]
        profile: GuestProfile,
    },
    /// The connection of a guest has ended.
    #[n(22)]
    GuestLeft {
        /// Who.
        #[n(0)]
        guest: NodeId,
        /// Why, for people.
        #[n(1)]
        why: String,
        /// What that says about the guest.
        #[n(2)]
        #[cbor(default)]
        #[serde(default)]
        end: GuestEnd,
    },
    /// A guest told something, or relayed it.
    #[n(23)]
    GuestFrame {
        /// Who brought it; who made it stands in it, unproven.
        #[n(0)]
        from: NodeId,
        /// The frame, as it came.
        #[n(1)]
        json: String,
    },
    /// A guest wants something moved; the edge has judged it by the rows of the gate.
    #[n(24)]
    GuestCommand {
        /// Who.
        #[n(0)]
        from: NodeId,
        /// The parameters of its `mesh.message.forward`, as they came.
        #[n(1)]
        json: String,
    },
    /// These guests were heard since the edge said so last, whatever they said; pings are answers too.
    #[n(25)]
    GuestsHeard(#[n(0)] Vec<NodeId>),
    /// This node ends, in order. It counts from the runner only.
    #[n(26)]
    NodeEnds,
    /// These are the people this node knows from now on. It counts from the runner only.
    #[n(27)]
    PeopleChanged(#[n(0)] Roster),
    /// This is the policy of this owner from now on, as JSON, as [`SiteText`](crate::settings::SiteText) has it. It counts from
    /// the runner only.
    #[n(28)]
    PolicyChanged(#[n(0)] String),
}

/// One input on its way to the tick.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Input {
    /// Who brought it.
    #[n(0)]
    pub source: SourceId,
    /// Counts what this source brought on this lane; orders inputs within a tick.
    #[n(1)]
    pub sequence: u64,
    /// What it says.
    #[n(2)]
    pub body: InputBody,
}

/// An input with its place in the journal and in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct StampedInput {
    /// Its row in the journal.
    #[n(0)]
    pub journal_sequence: u64,
    /// The tick it takes effect in.
    #[n(1)]
    pub tick: u64,
    /// The input.
    #[n(2)]
    pub input: Input,
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clock => f.write_str("clock"),
            Self::Journal => f.write_str("journal"),
            Self::Runner => f.write_str("runner"),
            Self::HostSensors => f.write_str("host-sensors"),
            Self::Drivers => f.write_str("drivers"),
            Self::Simulator => f.write_str("simulator"),
            Self::Planner => f.write_str("planner"),
            Self::Bridge => f.write_str("bridge"),
            Self::Guests => f.write_str("guests"),
            Self::Gateway => f.write_str("gateway"),
            Self::Node(node) => write!(f, "{node}"),
        }
    }
}

impl Input {
    /// The promise under which it is kept.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.body.lane()
    }

    /// Inputs of one tick are applied in this order.
    #[must_use]
    pub fn order(&self) -> (SourceId, Lane, u64) {
        (self.source, self.lane(), self.sequence)
    }
}

impl InputBody {
    /// The promise under which it is kept.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Envelope { lane, .. } => *lane,
            Self::Sampled(_) | Self::ClockSampled { .. } | Self::GuestFrame { .. } => Lane::Stream,
            _ => Lane::State,
        }
    }

    /// The name of its kind, as the journal and people see it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::ClockSampled { .. } => "clock_sampled",
            Self::Envelope { .. } => "envelope",
            Self::Recovered { .. } => "recovered",
            Self::MarkRestored { .. } => "mark_restored",
            Self::SensorsDeclared(_) => "sensors_declared",
            Self::Sampled(_) => "sampled",
            Self::PeerAppeared(_) => "peer_appeared",
            Self::PeerVanished(_) => "peer_vanished",
            Self::Recorded { .. } => "recorded",
            Self::Refused { .. } => "refused",
            Self::LinkChanged(_) => "link_changed",
            Self::StopLatched { .. } => "stop_latched",
            Self::Driver(_) => "driver",
            Self::Asked { .. } => "asked",
            Self::Simulated { .. } => "simulated",
            Self::Recalled { .. } => "recalled",
            Self::Rearmed => "rearmed",
            Self::AlarmHandled { .. } => "alarm_handled",
            Self::Thoughts(_) => "thoughts",
            Self::TrustChanged(_) => "trust_changed",
            Self::Restored { .. } => "restored",
            Self::GuestJoined { .. } => "guest_joined",
            Self::GuestLeft { .. } => "guest_left",
            Self::GuestFrame { .. } => "guest_frame",
            Self::GuestCommand { .. } => "guest_command",
            Self::GuestsHeard(_) => "guests_heard",
            Self::NodeEnds => "node_ends",
            Self::PeopleChanged(_) => "people_changed",
            Self::PolicyChanged(_) => "policy_changed",
        }
    }
}
