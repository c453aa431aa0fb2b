//! The commands and options around alarms.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::args::{Target, duration};

/// `alarms`; without a further word it lists them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlarmsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: Option<AlarmsCommand>,
    /// What to list
    #[command(flatten)]
    pub list: AlarmListArgs,
}

/// What to do with alarms.
#[derive(Debug, Subcommand)]
pub enum AlarmsCommand {
    /// Show what a person has to look at, the most urgent first
    List(AlarmListArgs),
    /// Say that you have seen an alarm; it stays as long as it is the case
    #[command(visible_alias = "ack")]
    Acknowledge(AlarmDeedArgs),
    /// Put an alarm aside for a time; it rings again if it is still the case then
    ///
    /// At most 8 hours, a critical alarm at most 15 minutes. The stop cannot be put aside.
    Shelve(AlarmShelveArgs),
    /// Take an alarm up again before its time
    Unshelve(AlarmDeedArgs),
}

/// `alarms list`
#[derive(Debug, Args)]
pub struct AlarmListArgs {
    /// Show those that somebody has put aside too
    #[arg(long)]
    pub all: bool,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `alarms acknowledge` and `alarms unshelve`
#[derive(Debug, Args)]
pub struct AlarmDeedArgs {
    /// The key of the alarm, as `clawmesh alarms` shows it
    pub key: String,
    /// Your name, for the others; nobody checks it
    #[arg(long, value_name = "NAME")]
    pub by: Option<String>,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `alarms shelve`
#[derive(Debug, Args)]
pub struct AlarmShelveArgs {
    /// For how long, for example `30m`
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub length: Duration,
    /// Which alarm, and who you are
    #[command(flatten)]
    pub deed: AlarmDeedArgs,
}
