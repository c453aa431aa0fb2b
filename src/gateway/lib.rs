//! The HTTP door of a node: what it is and sees as JSON, one live page, a place to note observations and to handle alarms,
//! the way in for what people and programs have signed, and the stop.
//! Reads the newest snapshot, the commit watch, the evidence shelf and what others remember. Writes observations, requests, approvals and what
//! people do with alarms into the inbox, and the stop latch.
//! Invariant: nothing here waits for a tick to read; nothing but health and the page's own files answers
//! without the token; no answer says `committed` or `taken` before the journal does; a stop never waits.
//! Not here: who keeps the token (`clawmesh`), what an observation or a request means (`core`), the mesh (`bridge`).
//!
//! Without a certificate the door speaks plain HTTP: on a loopback address nobody else can listen; on any other address the
//! token and everything it opens can be read on the way. With one, other machines speak TLS or are not heard.

mod alarms;
mod answer;
mod asks;
mod capabilities;
mod config;
mod connection;
mod door;
mod error;
mod events;
mod evidence;
mod feed;
mod guards;
mod history;
mod hosts;
mod observations;
mod page;
mod places;
mod reads;
mod router;
mod secured;
mod status;
mod stop;
mod upgrade;

pub use alarms::Alarms;
pub use answer::Refused;
pub use capabilities::{Abilities, AbilityView, Capabilities};
pub use config::{GatewayConfig, GatewayPorts, TOKEN_BYTES_MIN};
pub use door::{BoundGateway, bind};
pub use error::GatewayError;
pub use evidence::{Evidence, SENSORS_MAX, SignedReading};
pub use feed::{SnapshotFeed, SnapshotFeeder, snapshot_feed};
pub use history::{
    ChainView, Chains, EventView, Events, History, LIMIT_MAX, NoHistory, StepView, WantedChains, WantedEvents,
};
pub use observations::{BODY_BYTES_MAX, Noted};
pub use reads::{GuestView, PeerDetail, Peers, Proposals, ToldView, World};
pub use router::router;
pub use status::{
    AlarmCounts, GatewayCounts, GuestCounts, Health, HealthState, JournalView, NodeState, PeerCounts,
    STALLED_AFTER_MS, SensorCounts, Status,
};
pub use stop::{StopAnswer, StoppedNode};
pub use upgrade::{
    ByteStream, DialledView, KnockView, LinksView, NearbyView, NoWebSocket, Serve, WebSockets,
};
