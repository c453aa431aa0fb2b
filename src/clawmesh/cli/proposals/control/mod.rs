//! `clawmesh control`: who commands an actuator while others and all programs may not.
//! Reads a running node over its gateway, the key of a person, the site of a state dir. Writes the terminal, and what it signed.
//! Invariant: the owner alone says who has control; nothing is kept here.
//! Not here: holding back what is proposed (`hold`), taking out of service (`tag`).

pub mod args;

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::{Capability, RequestBody};
use clawmesh_gateway::{Status, World};
use serde_json::json;

use self::args::{ControlCommand, GrantArgs, TakeArgs};
use super::args::Signer;
use super::bring::person_of;
use super::each::tell_each;
use super::find::{Reachable, at_site, person_called};
use crate::cli::args::Target;
use crate::cli::client::{Client, block_on};
use crate::cli::table::{age, plain, table};
use crate::cli::terminal::{say, say_json};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, command: ControlCommand) -> anyhow::Result<ExitCode> {
    match command {
        ControlCommand::Take(args) => take(state_dir, args),
        ControlCommand::Grant(args) => grant(state_dir, args),
        ControlCommand::Release(args) => {
            ask(state_dir, &args.actuator, args.signer, &args.target, |actuator, _| {
                Ok(RequestBody::ReleaseControl { actuator, why: args.why })
            })
        }
        ControlCommand::Show(target) => show(state_dir, &target),
    }
}

fn take(state_dir: Option<PathBuf>, args: TakeArgs) -> anyhow::Result<ExitCode> {
    let for_s = u32::try_from(args.length.as_secs()).unwrap_or(u32::MAX);
    ask(state_dir, &args.actuator, args.signer, &args.target, |actuator, _| {
        Ok(RequestBody::TakeControl { actuator, for_s, is_forced: args.force, why: args.why })
    })
}

fn grant(state_dir: Option<PathBuf>, args: GrantArgs) -> anyhow::Result<ExitCode> {
    ask(state_dir, &args.actuator, args.signer, &args.target, |actuator, status| {
        let to = person_called(&status.people, &args.to)?;
        Ok(RequestBody::GrantControl { actuator, to, why: args.why })
    })
}

/// Asks the owner of the actuator, whom the site names.
fn ask(
    state_dir: Option<PathBuf>,
    actuator: &str,
    signer: Signer,
    target: &Target,
    body: impl FnOnce(Capability, &Status) -> anyhow::Result<RequestBody>,
) -> anyhow::Result<ExitCode> {
    let (actuator, id) = at_site(state_dir.clone(), actuator)?;
    let client = Client::new(state_dir, target)?;
    let status: Status = block_on(client.get("/api/status"))?;
    let body = body(actuator, &status)?;
    let owner = Reachable { id, name: None, is_alive: true };
    tell_each(&client, &status, &person_of(signer)?, &[owner], &body, target.json)
}

fn show(state_dir: Option<PathBuf>, target: &Target) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, target)?;
    let world: World = block_on(client.get("/api/world"))?;
    let held = || world.actuators.iter().filter_map(|row| Some((&row.actuator, row.control.as_ref()?)));
    if target.json {
        let rows: Vec<_> =
            held().map(|(actuator, control)| json!({"actuator": actuator, "control": control})).collect();
        say_json(&json!({ "control": rows }))?;
        return Ok(ExitCode::SUCCESS);
    }
    if held().next().is_none() {
        say(
            "nobody has exclusive control of anything here; take it with `clawmesh control take ACTUATOR --why TEXT`",
        );
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<Vec<String>> = held()
        .map(|(actuator, control)| {
            let wanted_by = control.wanted_by.map_or_else(|| "-".to_owned(), |person| person.short());
            let left = age(control.left_ms.saturating_sub(world.snapshot_age_ms));
            vec![plain(actuator), plain(&control.name), left, wanted_by, plain(&control.why)]
        })
        .collect();
    say(&table(&["actuator", "in control", "left", "asked for by", "why"], &rows));
    Ok(ExitCode::SUCCESS)
}
