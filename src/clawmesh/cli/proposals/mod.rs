//! What people do about proposals: look, say yes or no, propose, withdraw; and the stop and its end.
//! Reads a running node over its gateway, the key of a person, and the site and policy of a state dir. Writes the
//! terminal, and what it signed to the gateway.
//! Invariant: what is signed is what was shown: the card by its own bytes, and the steps of the offer itself; nothing is
//! sent before everything that can be checked here was.
//! Not here: whether it is allowed, which the owner alone says (`authority`), making and enrolling keys (`operator`).

pub mod args;
mod bring;
mod control;
mod decide;
mod each;
mod evidence;
pub mod find;
mod hold;
mod look;
mod offer;
mod page;
mod person;
mod propose;
mod rearm;
mod revoke;
mod stop;
mod tag;

pub use decide::approve_in_demo;
pub use revoke::revoke_everywhere;

use std::path::PathBuf;
use std::process::ExitCode;

use args::ProposalCommand;

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, command: ProposalCommand) -> anyhow::Result<ExitCode> {
    match command {
        ProposalCommand::Proposals(args) => look::list(state_dir, &args),
        ProposalCommand::Show(args) => look::show(state_dir, &args),
        ProposalCommand::Approve(args) => decide::approve(state_dir, args),
        ProposalCommand::Reject(args) => decide::reject(state_dir, args),
        ProposalCommand::Propose(args) => propose::run(state_dir, args),
        ProposalCommand::Withdraw(args) => propose::withdraw(state_dir, args),
        ProposalCommand::Stop(args) => stop::run(state_dir, &args),
        ProposalCommand::Rearm(args) => rearm::run(state_dir, args),
        ProposalCommand::Hold(args) => hold::hold(state_dir, args),
        ProposalCommand::Freeze(args) => hold::freeze(state_dir, args),
        ProposalCommand::Release(args) => hold::release(state_dir, args),
        ProposalCommand::Control(command) => control::run(state_dir, command),
        ProposalCommand::Tag(args) => tag::run(state_dir, args, true),
        ProposalCommand::Untag(args) => tag::run(state_dir, args, false),
    }
}
