//! The rules of clawmesh that hold on every node: who said it, what was said, in which order, and
//! why something was refused.
//! Reads/Writes: nothing. Bytes and numbers come in, values and bytes go out.
//! Invariant: no clock, no disk, no socket, no random number; the same arguments give the same answer
//! on every machine. Only [`envelope::open`] makes outside bytes a [`envelope::Statement`] of their signer;
//! [`envelope::read_journaled`] reads what was opened before, or what is to be judged by something else.
//! Not here: the world (`core`), links (`bridge`), the journal file (`storage`).

pub mod answer;
pub mod approval;
pub mod audit;
pub mod canonical;
pub mod capability;
pub mod command;
pub mod envelope;
pub mod gate;
mod hex32;
pub mod hlc;
pub mod hold;
pub mod ids;
pub mod judgement;
pub mod keys;
pub mod lane;
pub mod leadership;
pub mod level;
pub mod node_role;
pub mod offer;
pub mod operator;
pub mod pairing;
pub mod pattern;
pub mod policy;
pub mod proposal;
pub mod reading;
pub mod refusal;
pub mod refused;
pub mod report;
pub mod request;
pub mod revocation;
pub mod route;
pub mod setpoint;
pub mod signed;
pub mod time;
pub mod transition;
pub mod unit;
#[cfg(test)]
mod vectors;

pub use answer::{Answer, AskKind};
pub use approval::{Approval, Decision, SignedApproval};
pub use capability::{Capability, CapabilityFault};
pub use command::{AuthorizedCommand, SafeStates, SafingCommand};
pub use envelope::{Body, Opened, Statement};
pub use hlc::{Hlc, HlcClock};
pub use ids::{ContentHash, MeshId, NodeId, OperatorId, ProposalId};
pub use judgement::Standing;
pub use keys::{KeyId, NodeKey, OperatorKey, PublicKey};
pub use lane::{Admission, Lane, LaneMark};
pub use level::Level;
pub use node_role::NodeRole;
pub use offer::{LiveOffer, Offer, OfferBook};
pub use operator::{Operator, Role, Roster};
pub use policy::{HazardClass, Policy, Rule};
pub use proposal::{Maker, Mind, Proposal, Step};
pub use reading::{
    DESCRIPTION_SUBJECT, Frame, NodeDescription, Observation, Reading, ReadingBatch, SensorSpec, Tier, Value,
};
pub use refusal::{Code, Refusal};
pub use refused::Refused;
pub use report::{ProposalReport, StoryEntry};
pub use request::{Request, RequestBody, SignedRequest};
pub use setpoint::Setpoint;
pub use unit::Unit;
