//! The commands and options around credentials.

use clap::{ArgGroup, Args, Subcommand};

use crate::cli::args::Output;

/// Secrets for services outside of the mesh.
#[derive(Debug, Subcommand)]
pub enum CredentialCommand {
    /// Keep a secret under a key, such as `provider/openai`, in the place of an earlier one
    ///
    /// Better from standard input than as an argument, which other programs of this machine and the history of the shell can see:
    /// `clawmesh credential set provider/openai --from-stdin < FILE`
    Set(SetArgs),
    /// Show a credential; its value only with --reveal
    Get(GetArgs),
    /// Show which credentials there are, without their values
    List(Output),
    /// Forget a credential
    #[command(visible_alias = "rm")]
    Delete(DeleteArgs),
}

/// `credential set`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("secret").required(true).args(["value", "from_stdin"]))]
pub struct SetArgs {
    /// Under which key: small letters, digits, `-`, `_` and `.`, in parts with `/` between them
    pub key: String,
    /// The secret
    pub value: Option<String>,
    /// Read the secret from standard input
    #[arg(long)]
    pub from_stdin: bool,
    /// What people call it
    #[arg(long)]
    pub label: Option<String>,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `credential get`
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Which
    pub key: String,
    /// Print the secret itself, and nothing else unless --json is given
    #[arg(long)]
    pub reveal: bool,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `credential delete`
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// Which
    pub key: String,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}
