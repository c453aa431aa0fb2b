//! The door, knocked on without sockets wherever that is possible.

#![expect(clippy::unwrap_used, reason = "tests; clippy exempts only their outermost functions")]

mod alarms;
mod asks;
mod events;
mod evidence;
mod guards;
mod health;
mod history;
mod observations;
mod page;
mod reads;
mod rig;
mod sockets;
mod stop;
mod tls;
