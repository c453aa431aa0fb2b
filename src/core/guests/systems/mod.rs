//! What guests do, tick by tick.
//! Reads and writes as `guests` says.
//! Invariant: nothing of a node that is not trusted in this tick has any effect.
//! Not here: rules.

mod commands;
mod presence;
mod told;

use clawmesh_authority::{Code, NodeId, Refused};
use clawmesh_wire::Code as WireCode;

use crate::mesh::Trust;

pub(super) use commands::{recall_commands, take_commands};
pub(super) use presence::{assess_guests, follow_guests};
pub(super) use told::{draw, take_frames};

fn trusted(trust: &Trust, guest: NodeId) -> Result<(), Refused> {
    if trust.has(&guest) {
        return Ok(());
    }
    let sentence = format!("node {guest} is not trusted here; trust it with `clawmesh trust add {guest}`");
    Err(Refused::new(Code::UntrustedPeer, "guest.trust", sentence))
}

/// The code of ours that says the same; the sentence says the rest.
fn code_of(code: WireCode) -> Code {
    let same = Code::ALL.iter().copied().find(|ours| ours.as_str() == code.as_str());
    same.unwrap_or(Code::InvalidParams)
}
