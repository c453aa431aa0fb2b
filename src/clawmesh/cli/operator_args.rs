//! The commands and options around the keys of people.

use clap::{Args, Subcommand};

use super::args::{Output, Target};
use super::key_place::KeyPlace;
use super::proposals::args::Signer;

/// Keys of people, and who is enrolled.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Make the key of a person, outside of every state dir; it is never shown and never overwritten
    ///
    /// Asks twice for a passphrase, at the terminal; whoever signs with the key is asked for it. The file is an OpenSSH private key.
    #[command(
        after_help = "Example:\n  clawmesh operator new\n  clawmesh operator new --key /media/stick/ann.key"
    )]
    New(SecretArgs),
    /// Set, change or remove the passphrase of a key; its file is written anew, the key stays the same
    ///
    /// Key files of earlier builds have none: this gives them one.
    #[command(
        after_help = "Example:\n  clawmesh operator passphrase\n  clawmesh operator passphrase --no-passphrase"
    )]
    Passphrase(SecretArgs),
    /// Show the id and the public key of a key, in a file or in an ssh-agent
    #[command(
        after_help = "Example:\n  clawmesh operator show\n  clawmesh operator show --key agent:ann@barn"
    )]
    Show(ShowKeyArgs),
    /// Let a person operate here, at the owner's own console
    ///
    /// Look at the person while you do it: that one human holds two keys no program can see. For now everybody is
    /// enrolled here, at the console; enrolling over the network will need the signature of a supervisor. A node that
    /// runs on this state dir takes the change within a second.
    Enroll(EnrollArgs),
    /// Show who is enrolled, and what they may do
    List(Output),
    /// Make a key count for nothing, with every key that stands for it; this cannot be taken back
    ///
    /// At the owner's own console by its list of people. With --everywhere by your signature, at every node: whoever holds a key gives
    /// it up, a supervisor revokes any. It ends with 1 while somebody has not confirmed.
    #[command(after_help = "Example:\n  clawmesh operator revoke 3f2a9c11\n  \
                            clawmesh operator revoke 3f2a9c11 --everywhere --why \"the phone is lost\"")]
    Revoke(RevokeArgs),
}

/// `operator new` and `operator passphrase`
#[derive(Debug, Args)]
pub struct SecretArgs {
    /// No passphrase: every program that can read the file can sign as you
    #[arg(long)]
    pub no_passphrase: bool,
    /// Which key, and how to answer
    #[command(flatten)]
    pub key: KeyArgs,
}

/// `operator show`
#[derive(Debug, Args)]
pub struct ShowKeyArgs {
    /// Which key
    #[command(flatten)]
    pub signer: Signer,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// What commands around one key file share
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// The key file [default: clawmesh/operator.key in $XDG_CONFIG_HOME, or in ~/.config]
    #[arg(long, value_name = "FILE")]
    pub key: Option<KeyPlace>,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `operator enroll`
#[derive(Debug, Args)]
pub struct EnrollArgs {
    /// The public key of the person, as `clawmesh operator show` prints it at their side
    pub public_key: String,
    /// The name people use for them
    #[arg(long)]
    pub name: String,
    /// What they may do, each what the one before may too: `observer` sees, `operator` proposes and says no, `approver`
    /// says yes, `supervisor` enrolls others
    #[arg(long, value_name = "observer|operator|approver|supervisor")]
    pub role: String,
    /// The person they stand for, by id or at least 8 characters of it; the two count as one person
    #[arg(long, value_name = "ID")]
    pub stands_for: Option<String>,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

/// `operator revoke`
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Whose key, by id or at least 8 characters of it; `clawmesh operator list` shows them
    pub id: String,
    /// At every node, by your signature, not only on the list at this console
    #[arg(long)]
    pub everywhere: bool,
    /// Why; it stands in the log of every node
    #[arg(long, value_name = "TEXT", requires = "everywhere")]
    pub why: Option<String>,
    /// Who signs
    #[command(flatten)]
    pub signer: Signer,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}
