//! The binary from outside: what people type, what they get, what survives. It knows the command line and the
//! files of a state dir, and of the crates only what an attacker with the journal file could use, and what an owner uses
//! to judge what was signed, and plays a node with a wrong clock.

#[path = "../support/mod.rs"]
mod support;

mod alarms;
mod asking;
mod audit;
mod backup;
mod bad_input;
mod credentials;
#[cfg(feature = "planner")]
mod demo;
mod demo_actuate;
mod doctor;
mod doctor_mesh;
#[cfg(feature = "planner")]
mod faults;
mod gateways;
mod history;
mod json;
mod kill;
mod mock_sensor;
mod operators;
mod pair;
mod plant;
mod policy;
mod proposals;
mod relay;
mod replay;
mod running;
mod simulate;
mod site;
mod stops;
mod timeless;
mod tls;
mod trust;
