//! `clawmesh start`: run a node until it is told to stop.

use std::path::PathBuf;
use std::process::ExitCode;

use super::args::StartArgs;
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use crate::headless::{self, Options};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: StartArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::locate(state_dir)?;
    let config = NodeConfig::load(&dir, args.settings.into_layer())?;
    headless::run(Options { dir, config, stop_with_stdin: args.stop_with_stdin })?;
    Ok(ExitCode::SUCCESS)
}
