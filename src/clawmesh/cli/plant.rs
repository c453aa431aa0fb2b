//! `clawmesh plant`: run a field node whose hardware is the stand-in plant.

use std::path::PathBuf;
use std::process::ExitCode;

use super::args::PlantArgs;
use super::terminal::say_to_person;
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use crate::config::{farm, plant_file};
use crate::headless::{self, Options, PlantOptions};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: PlantArgs) -> anyhow::Result<ExitCode> {
    let PlantArgs { file, seed, speed, fault: faults, settings, stop_with_stdin } = args;
    let dir = StateDir::locate(state_dir)?;
    let config = NodeConfig::load(&dir, settings.into_layer())?.usually(farm::FIELD_NODE, "field");
    let file = plant_file::load(&file.unwrap_or_else(|| dir.plant_file()))?;
    let plant = Some(PlantOptions { file, seed, speed, faults });
    let tell_page = |page: &str| say_to_person(&format!("The live page: {page}"));
    headless::run(Options { dir, config, plant, stop_with_stdin, tell_page })?;
    Ok(ExitCode::SUCCESS)
}
