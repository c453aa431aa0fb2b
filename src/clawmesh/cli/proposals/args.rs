//! The commands and options around proposals, and the help that teaches them.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use clawmesh_authority::HazardClass;

use super::control::args::ControlCommand;
use crate::cli::args::{Target, duration};
use crate::cli::key_place::KeyPlace;

/// Proposals, and what people answer.
#[derive(Debug, Subcommand)]
pub enum ProposalCommand {
    /// Show what is proposed, newest first
    #[command(
        after_help = "Example:\n  clawmesh proposals          those that are open, or ended within the hour\n  \
                            clawmesh show 2b8a75c7      everything about one of them"
    )]
    Proposals(ProposalsArgs),
    /// Show everything about one proposal: why, what, its story, its card, and who has approved it
    #[command(after_help = "Example:\n  clawmesh show 2b8a75c7")]
    Show(ShowArgs),
    /// Say yes to a proposal, with your own key, after you have seen its card
    ///
    /// Shows the card and asks, at a terminal only: no program approves. The answer is to this one offer and this one card: when
    /// either changes, it counts for nothing.
    #[command(after_help = "Example:\n  clawmesh approve 2b8a75c7\n  \
                            clawmesh approve 2b8a75c7 --card c0319ddb --why \"seen, the bed is dry\"")]
    Approve(ApproveArgs),
    /// Say no to a proposal, with your own key
    #[command(after_help = "Example:\n  clawmesh reject 2b8a75c7 --why \"it rains this evening\"")]
    Reject(RejectArgs),
    /// Ask the owner of an actuator to move it; it is simulated and offered before anything moves
    ///
    /// All steps are for one owner. The newest signed readings that speak for it are attached: those that the policy of
    /// the state dir names, or without one those about the zones and tanks that hang on these parts. `for_s` goes with
    /// every step whose operation the policy knows it for, or without a policy with every step but `close` and `stop`.
    #[command(
        after_help = "Example:\n  clawmesh propose valve-food-forest=open pump-main-01=start --for 20m \
                            --why \"the food forest is dry\""
    )]
    Propose(ProposeArgs),
    /// Take a proposal back; if it runs already, end it and make everything safe
    #[command(after_help = "Example:\n  clawmesh withdraw 2b8a75c7 --why \"it rains\"")]
    Withdraw(RejectArgs),
    /// Stop everything, now: every actuator of every node goes to its safe state and stays there
    ///
    /// Needs no key and asks nothing. It stays until a person ends it with `clawmesh rearm`, also over a restart.
    #[command(after_help = "Example:\n  clawmesh stop\n  clawmesh stop --why \"smoke in the pump house\"")]
    Stop(StopArgs),
    /// End the stop, with your own key, once it is safe again; nothing that ran before goes on by itself
    ///
    /// It ends only stops that were there when you sign: one that comes later, or on the way, stays.
    #[command(after_help = "Example:\n  clawmesh rearm --why \"the pipe is mended\"\n  \
                            clawmesh rearm --why \"the pipe is mended\" --node field-node")]
    Rearm(RearmArgs),
    /// Hold a proposal back, with your own key: nobody approves it and nothing of it begins until it is released
    ///
    /// What runs already goes on; end that with `clawmesh withdraw`. Its offer dies in its own time.
    #[command(after_help = "Example:\n  clawmesh hold 2b8a75c7 --why \"we look at the valve first\"")]
    Hold(RejectArgs),
    /// Hold back whatever programs propose, or whatever works with one actuator or one class of them, with your own key
    ///
    /// Nothing of it is taken, approved or begun until it is released; what switches off, and what runs already, goes on. It stays
    /// over a restart. All nodes that are alive are told, or the owner of the actuator.
    #[command(after_help = "Example:\n  clawmesh freeze --ai --why \"we watch it for a day\"\n  \
                            clawmesh freeze --class hazardous --why \"visitors until noon\"\n  \
                            clawmesh freeze --actuator pump-main-01 --why \"the tank is cleaned\"")]
    Freeze(FreezeArgs),
    /// Release what you hold, with your own key; what others hold, a supervisor releases
    #[command(after_help = "Example:\n  clawmesh release 2b8a75c7 --why \"the valve is fine\"\n  \
                            clawmesh release --ai --why \"it was right all day\"")]
    Release(ReleaseArgs),
    /// Take exclusive control of an actuator, hand it on, and give it up, with your own key
    #[command(subcommand)]
    Control(ControlCommand),
    /// Take an actuator out of service, with your own key: nothing is told it any more, and what runs with it ends
    ///
    /// A lock on the breaker is better, and this is for everybody who cannot see that. It stays over a restart, until you
    /// take it off again or a supervisor does.
    #[command(after_help = "Example:\n  clawmesh tag valve-food-forest --why \"the pipe behind it is open\"")]
    Tag(TagArgs),
    /// Put an actuator back into service, with your own key, once you have looked at it
    #[command(after_help = "Example:\n  clawmesh untag valve-food-forest --why \"the pipe is mended\"")]
    Untag(TagArgs),
}

/// `proposals`
#[derive(Debug, Args)]
pub struct ProposalsArgs {
    /// Also those that ended more than an hour ago
    #[arg(long)]
    pub all: bool,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `show`
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The proposal, by its id or at least 8 characters of it
    pub id: String,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// Who signs.
#[derive(Debug, Args)]
pub struct Signer {
    /// Your key: a file, which `clawmesh operator new` makes, or `agent`, or `agent:` and the fingerprint or the comment that
    /// `ssh-add -l` shows [default: clawmesh/operator.key in $XDG_CONFIG_HOME, or in ~/.config]
    #[arg(long, value_name = "FILE|agent")]
    pub key: Option<KeyPlace>,
}

/// `approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The proposal, by its id or at least 8 characters of it
    pub id: String,
    /// Only if it is still this card, by its hash or at least 8 characters of it; another one is not even asked about
    #[arg(long, value_name = "HASH")]
    pub card: Option<String>,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Who signs
    #[command(flatten)]
    pub signer: Signer,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `reject`, `withdraw` and `hold`
#[derive(Debug, Args)]
pub struct RejectArgs {
    /// The proposal, by its id or at least 8 characters of it
    pub id: String,
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

/// `tag` and `untag`
#[derive(Debug, Args)]
pub struct TagArgs {
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

/// What is frozen.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct Frozen {
    /// Whatever a program proposes: every planner and every model
    #[arg(long)]
    pub ai: bool,
    /// Whatever works with something of this class, or of a worse one
    #[arg(long, value_name = "CLASS")]
    pub class: Option<Class>,
    /// Whatever works with this actuator, by its name at the site or its capability
    #[arg(long, value_name = "ACTUATOR")]
    pub actuator: Option<String>,
}

/// How much harm a wrong command can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Class {
    /// Nothing that lasts.
    Routine,
    /// Something that can be put right.
    Caution,
    /// Somebody may be hurt.
    Hazardous,
    /// It cannot be undone.
    Irreversible,
}

impl From<Class> for HazardClass {
    fn from(class: Class) -> Self {
        match class {
            Class::Routine => Self::Routine,
            Class::Caution => Self::Caution,
            Class::Hazardous => Self::Hazardous,
            Class::Irreversible => Self::Irreversible,
        }
    }
}

/// `freeze`
#[derive(Debug, Args)]
pub struct FreezeArgs {
    /// What
    #[command(flatten)]
    pub what: Frozen,
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

/// `release`
#[derive(Debug, Args)]
pub struct ReleaseArgs {
    /// The proposal, by its id or at least 8 characters of it
    #[arg(conflicts_with_all = ["ai", "class", "actuator"])]
    pub id: Option<String>,
    /// What else
    #[command(flatten)]
    pub what: Frozen,
    /// Why it may go on, in your words
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// Who signs
    #[command(flatten)]
    pub signer: Signer,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `propose`
#[derive(Debug, Args)]
pub struct ProposeArgs {
    /// What is switched and how, in this order, for example `valve-food-forest=open pump-main-01=start`
    #[arg(required = true, value_name = "STEP")]
    pub steps: Vec<String>,
    /// For how long, for example `20m`; needed by every step that lasts
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub length: Option<Duration>,
    /// Why, in your words
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// A proposal that waits and that this one takes the place of; if this one is refused, that one stays
    #[arg(long, value_name = "ID")]
    pub instead_of: Option<String>,
    /// The owner you mean, by its name at the site or at least 8 characters of its id; the site says who it is, and
    /// another one is refused
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,
    /// Who signs
    #[command(flatten)]
    pub signer: Signer,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `stop`
#[derive(Debug, Args)]
pub struct StopArgs {
    /// Why, in your words
    #[arg(long, value_name = "TEXT", default_value = "somebody stopped it at the command line")]
    pub why: String,
    /// Which node to tell, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `rearm`
#[derive(Debug, Args)]
pub struct RearmArgs {
    /// Why it is safe again, in your words
    #[arg(long, value_name = "TEXT")]
    pub why: String,
    /// Another node than this one, by its name or at least 8 characters of its id
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    pub node: Option<String>,
    /// This node and every trusted one that is alive
    #[arg(long)]
    pub all: bool,
    /// Who signs
    #[command(flatten)]
    pub signer: Signer,
    /// Which node to tell, and how to answer
    #[command(flatten)]
    pub target: Target,
}
