//! Options of `doctor`.

use clap::{Args, Subcommand};

/// `doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// What to look at instead of the state dir and this machine
    #[command(subcommand)]
    pub about: Option<DoctorCommand>,
    /// Answer in JSON
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to look at.
#[derive(Debug, Subcommand)]
pub enum DoctorCommand {
    /// Say of each node that is trusted, dialled or nearby whether it is connected, and if not, why and what to do
    Mesh(MeshArgs),
}

/// `doctor mesh`
#[derive(Debug, Args)]
pub struct MeshArgs {
    /// One node, by its name, or its id or the beginning of it
    pub peer: Option<String>,
}
