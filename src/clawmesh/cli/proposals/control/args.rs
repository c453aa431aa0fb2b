//! The commands about exclusive control, and the help that teaches them.

use std::time::Duration;

use clap::{Args, Subcommand};

use crate::cli::args::{Target, duration};
use crate::cli::proposals::args::Signer;

/// `control`
#[derive(Debug, Subcommand)]
pub enum ControlCommand {
    /// Take exclusive control of an actuator for a while: nobody else commands it, and no program
    ///
    /// What runs there for others ends. If somebody has control already, they are asked for it, and it is yours in five minutes unless
    /// they say no, which they do by taking it again; a supervisor takes it at once with --force. It stays over a restart and ends at a
    /// stop. What you propose needs an approval as ever.
    #[command(
        after_help = "Example:\n  clawmesh control take pump-main-01 --for 2h --why \"we test the new pipe\""
    )]
    Take(TakeArgs),
    /// Hand control to somebody else, for the time that is left
    #[command(
        after_help = "Example:\n  clawmesh control grant pump-main-01 --to 3f9a2c11 --why \"end of my shift\""
    )]
    Grant(GrantArgs),
    /// Give control up; whoever has asked for it has it then
    #[command(after_help = "Example:\n  clawmesh control release pump-main-01 --why \"the pipe is tight\"")]
    Release(GiveUpArgs),
    /// Show who has control of what, at this node
    #[command(after_help = "Example:\n  clawmesh control show")]
    Show(Target),
}

/// `control take`
#[derive(Debug, Args)]
pub struct TakeArgs {
    /// The actuator, by its name at the site or its capability
    pub actuator: String,
    /// For how long, one minute to twelve hours
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "30m")]
    pub length: Duration,
    /// Do not wait for whoever has it; only a supervisor may
    #[arg(long)]
    pub force: bool,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// Who signs
    #[command(flatten)]
    pub signer: Signer,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `control grant`
#[derive(Debug, Args)]
pub struct GrantArgs {
    /// The actuator, by its name at the site or its capability
    pub actuator: String,
    /// To whom: at least 8 characters of their id, which `clawmesh status` shows
    #[arg(long, value_name = "ID")]
    pub to: String,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// Who signs
    #[command(flatten)]
    pub signer: Signer,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `control release`
#[derive(Debug, Args)]
pub struct GiveUpArgs {
    /// The actuator, by its name at the site or its capability
    pub actuator: String,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// Who signs
    #[command(flatten)]
    pub signer: Signer,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}
