//! `clawmesh config show`: every setting, its value and where it comes from.

use std::path::PathBuf;
use std::process::ExitCode;

use super::args::ConfigShowArgs;
use super::terminal::{say, say_json};
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: ConfigShowArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir)?;
    let config = NodeConfig::load(&dir, args.settings.into_layer())?;
    if args.output.json {
        say_json(&config.to_json())?;
    } else {
        say(&config.to_table());
    }
    Ok(ExitCode::SUCCESS)
}
