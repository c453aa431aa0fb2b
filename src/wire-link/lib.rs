//! WebSocket connections to existing ClawMesh nodes, as server and as client; both sides call each other on one link.
//! Reads sockets, and asks one [`Host`] who we are, whom we trust and what time it is. Writes what the protocol answers, and
//! hands what it has heard to the host.
//! Invariant: nobody is a node here before its handshake, no queue, map or set of tasks grows without a bound, and every
//! refusal and every drop is counted.
//! Not here: what a message means (`wire`), the world and the answers about it (the host), discovery of addresses.
//!
//! [`Links`] is what a node holds. `server` and `dial` make connections, `connection` is the one task that drives one,
//! `requests` and `events` are what that task does with a message, `outbox` is what waits to be written. `registry` knows
//! the sessions, `admission`, `places`, `origin` and `limits` who comes in and how often, `probe` who is still there, `tls` the
//! certificates.

mod admission;
mod backoff;
mod cause;
mod config;
mod connection;
mod counts;
mod dial;
mod events;
mod host;
mod hub;
mod limits;
mod link;
mod links;
mod news;
mod openclaw;
mod origin;
mod outbox;
mod peers;
mod places;
mod probe;
mod registry;
mod requests;
mod server;
mod shake;
mod socket;
mod tls;

pub use cause::{Cause, Trouble};
pub use config::{Config, Timing};
pub use counts::{Count, Counts};
pub use host::{Answer, Host, Later, Peer, Session, Why};
pub use limits::Rates;
pub use link::{CallFault, CallHandle, LinkQuality, Pending};
pub use links::{Links, Vitals};
pub use openclaw::{GatewayAddress, GatewayFault, greet_gateway};
pub use origin::{Head, TurnedAway};
pub use peers::{PeerState, PeerView};
pub use server::Ticket;
pub use tls::{TlsFault, fingerprint, pinned_client_config, self_signed, server_config};
