//! The zenoh edge: one session of a node with its mesh, and nothing of zenoh beyond this crate.
//! Reads zenoh and the outbox. Writes the inboxes and the stop latch; says on zenoh only what the journal already holds.
//! Invariant: nothing enters unverified, nothing is called received that is not in the journal, and no
//! zenoh thread ever waits for the tick.
//! Not here: trust and order (`authority`), what an input means (`core`), the journal (`storage`).
//!
//! The way in: `gate` bounds what anybody may make us do, `admission` judges envelopes, `readings` and
//! `deliveries` bring them, `samples` brings what foreign programs say, `asks` what is signed for us as an owner. The way
//! out: `outbound` lets out what the journal holds the cause of, `parcel` packs frames, `courier` signs them and carries them
//! until a receipt comes back (`answers`), `asks` brings to other owners what is signed for them. `evidence` keeps the newest
//! readings as they were signed, `presence` knows who is there, `session` opens and closes, `dialler` links to whom discovery
//! found, `times` tells others what time it is and `seek` asks them, `links`, `access` and `papers` say who may link, says what and is told what, `edge` is what all share.

mod bridge;
mod config;
mod error;
mod mapping;
mod papers;
mod people;

mod access;
mod admission;
mod asks;
mod backoff;
mod bucket;
mod clock;
mod crowd;
mod dials;
mod gate;
mod keys;
mod ledger;
mod links;
mod parcel;
mod retained;
mod roster;
mod router;
mod tally;
mod trust;
mod ways;

mod answers;
mod courier;
mod deliveries;
mod dialler;
mod edge;
mod evidence;
mod outbound;
mod own;
mod pace;
mod presence;
mod readings;
mod replies;
mod samples;
mod seek;
mod session;
mod times;

pub use bridge::{Bridge, spawn};
pub use config::{BridgeConfig, BridgeLimits, BridgePorts, Part, Telling, ZenohMode};
pub use error::BridgeError;
pub use links::{LinkSecurity, link_security};
pub use mapping::{Decoder, Mapping};
pub use papers::{MeshRoot, Papers};
pub use people::People;
pub use router::{RouterFiles, router_settings};
pub use trust::Trust;
pub use ways::{FoundWay, Ways, ZenohWay};
