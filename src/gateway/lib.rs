//! The HTTP door of a node: what it is and sees as JSON, one live page, and a place to note observations and to handle
//! alarms.
//! Reads the newest snapshot and the commit watch. Writes observations and what people do with alarms into the inbox,
//! with a ticket.
//! Invariant: nothing here waits for a tick to read; nothing but health and the page's own files answers
//! without the token; no answer says `committed` before the journal does.
//! Not here: who keeps the token (`clawmesh`), what an observation means (`core`).
//!
//! The door speaks plain HTTP: on a loopback address nobody else can listen; on any other address the token and
//! everything it opens can be read on the way. Use a tunnel, or a network you trust, before choosing one.

mod alarms;
mod answer;
mod config;
mod connection;
mod door;
mod error;
mod events;
mod feed;
mod guards;
mod hosts;
mod observations;
mod page;
mod reads;
mod router;
mod status;

pub use alarms::Alarms;
pub use answer::Refused;
pub use config::{GatewayConfig, GatewayPorts, TOKEN_BYTES_MIN};
pub use door::{BoundGateway, bind};
pub use error::GatewayError;
pub use feed::{SnapshotFeed, SnapshotFeeder, snapshot_feed};
pub use observations::{BODY_BYTES_MAX, Noted};
pub use reads::{PeerDetail, Peers, World};
pub use router::router;
pub use status::{
    AlarmCounts, GatewayCounts, Health, HealthState, JournalView, NodeState, PeerCounts, STALLED_AFTER_MS,
    SensorCounts, Status,
};
