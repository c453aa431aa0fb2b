//! The wire protocol of existing ClawMesh nodes, version 1, without a socket: messages, the handshake of both sides, the
//! gate for what they send, context frames, and the ways to peers.
//! Reads bytes, our own key, whom we trust, random bytes and the time, all as arguments. Writes texts to send, or refusals.
//! Invariant: no bytes panic and everything has a bound; nothing a sender claims counts for more than what the receiver needs
//! by itself; an id is the hash of a key or it is nobody's.
//! Not here: sockets, clocks and randomness (whoever drives this), what our own nodes say to each other (`bridge`).
//!
//! One task drives one connection. It gives each message to [`frame::parse`], and the handshake to [`handshake::Listener`] or
//! [`handshake::Dialler`]. A request it looks up with [`access::Method`]; a message for somebody goes to [`gate::judge`] and
//! then to [`gate::authorize`]. An answer it takes from [`calls::Calls`], which both sides have: whoever dialled, both call.

pub mod abilities;
pub mod access;
pub mod auth;
pub mod calls;
pub mod challenge;
pub mod code;
pub mod command;
pub mod connect;
pub mod context;
pub mod diagnostics;
mod fields;
pub mod frame;
pub mod freshness;
pub mod gate;
pub mod gossip;
pub mod handshake;
pub mod llm;
pub mod log;
pub mod mock;
pub mod openclaw;
pub mod own_frames;
pub mod peer_news;
pub mod peer_spec;
pub mod query;
pub mod relay;
pub mod sync;
pub mod system_events;
pub mod trace;
pub mod trust;

pub use code::{Code, Refusal};
