//! A node among programs that are not ours: real zenoh clients in Python, well-behaved and not, and a node of the wire protocol.
//! `.ci/install-test-tools` installs what they need; without it these tests fail and say so.

#[path = "../support/mod.rs"]
mod support;

mod examples;
mod guardian;
mod hostile;
mod python;
mod router;
mod samples;
mod secured_router;
mod site;
mod wire;
