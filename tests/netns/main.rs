//! Nodes on machines of their own: network namespaces on a switch that delays, loses and parts. Needs root, iproute2 and
//! `/dev/net/tun`; a machine without them fails with the line that makes them.

#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "what the tests of the command line need of it is more")]
mod support;
use support::wait;

mod attacks;
mod farm;
mod finding;
mod looks;
mod moving;
mod partition;
mod slow;
