//! Connections between nodes over real sockets on this machine.
#![expect(clippy::unwrap_used, reason = "tests; clippy exempts only their outermost functions")]

mod calls;
mod dialling;
mod doors;
mod floods;
mod gossip;
mod handshake;
mod sessions;
mod support;
mod tls;
