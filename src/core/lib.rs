//! The world of one clawmesh node and the tick that moves it: a pure function of its inputs.
//! Reads: an [`intake::Feed`]. Writes: a journal port, an outbox, a snapshot.
//! Invariant: no clock, no disk, no socket, no hash order, no thread; the same inputs in the same ticks
//! give the same digests on every machine and in every build profile.
//! Not here: zenoh (`bridge`), SQLite (`storage`), HTTP (`gateway`), keys on disk (`clawmesh`).

pub mod alarms;
pub mod audit;
pub mod clock;
pub mod guests;
pub mod intake;
pub mod leadership;
pub mod mesh;
pub mod node;
pub mod people;
pub mod planner;
pub mod proposals;
pub mod publish;
pub mod replay;
pub mod safety;
pub mod settings;
pub mod site;
pub mod world;

pub use clock::TickSystems;
pub use node::{Core, Ports};
pub use settings::Settings;
