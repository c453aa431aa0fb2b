//! `clawmesh start`: run a node until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use super::args::StartArgs;
use super::terminal::say_to_person;
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use crate::headless::{self, Options};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: StartArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::locate(state_dir)?;
    let config = NodeConfig::load(&dir, args.settings.into_layer())?;
    let tell_page = |page: &str| say_to_person(&format!("The live page: {page}"));
    headless::run(Options { dir, config, plant: None, stop_with_stdin: args.stop_with_stdin, tell_page })?;
    Ok(ExitCode::SUCCESS)
}
