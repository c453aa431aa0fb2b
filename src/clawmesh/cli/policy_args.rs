//! What people type after `clawmesh policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clawmesh_authority::Capability;

/// Looking at a policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Tell every fault of a policy, with file and line, and what each actuator may be told
    ///
    /// It is compared with the site beside it. A node that runs takes a policy without a fault within a second of its change: what
    /// people were asked is simulated and asked anew, and what runs and is no longer allowed ends. A policy with a fault changes nothing.
    Check(PolicyCheckArgs),
    /// Tell what has to hold for one operation, in the order in which the gate asks
    ///
    /// Each line names the rule that refuses when it does not hold. What switches off needs no evidence and no condition.
    Explain(PolicyExplainArgs),
}

/// `policy check`
#[derive(Debug, Args)]
pub struct PolicyCheckArgs {
    /// The policy, for example farm.policy.ron [default: policy.ron of the state dir]
    pub policy: Option<PathBuf>,
    /// The site it is for [default: site.ron beside policy.ron, farm.ron beside farm.policy.ron]
    #[arg(long, value_name = "FILE")]
    pub site: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `policy explain`
#[derive(Debug, Args)]
pub struct PolicyExplainArgs {
    /// The actuator, for example actuator:pump:pump-main-01
    #[arg(value_parser = |text: &str| Capability::new(text))]
    pub capability: Capability,
    /// What it is to be told, for example start
    pub operation: String,
    /// The policy [default: policy.ron of the state dir]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}
