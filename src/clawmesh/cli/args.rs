//! Every command and option, with the help that teaches them.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use clawmesh_wire::diagnostics::DiagnosticCode;
use clawmesh_wire::peer_spec::pin;

use super::alarms_args::AlarmsArgs;
use super::audit::args::AuditCommand;
use super::backup::args::{BackupArgs, ReplaceArgs, RestoreArgs};
use super::credential::args::CredentialCommand;
use super::demo_actuate::args::DemoActuateArgs;
use super::doctor::args::DoctorArgs;
use super::gateways::args::GatewayConnectArgs;
use super::history::args::{EventsArgs, TraceArgs};
use super::operator_args::OperatorCommand;
use super::pair::args::PairArgs;
use super::papers::args::PapersCommand;
use super::policy_args::PolicyCommand;
use super::proposals::args::ProposalCommand;
use super::trust::args::TrustCommand;
use crate::config::node_file::NodeFile;
use crate::config::settings::tls::Tls;

/// A mesh-first runtime for field operations.
///
/// A laptop, field nodes, sensors and people are entities of one deterministic world. What comes in is written
/// down before it takes effect, and a recording replays bit for bit.
#[derive(Debug, Parser)]
#[command(
    name = "clawmesh",
    version,
    after_help = "Start here:\n  clawmesh demo                      a command center and a farm on this machine\n  \
                  clawmesh start --host-sensors      one node, with this machine as its sensor\n  \
                  clawmesh replay ~/.clawmesh --verify   prove that its recording replays exactly"
)]
pub struct Cli {
    /// Where the node keeps its identity, settings and journal [default: $CLAWMESH_STATE_DIR, or ~/.clawmesh]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// What to log, for example `debug` or `info,clawmesh_bridge=trace`
    #[arg(long, global = true, value_name = "FILTER", default_value = "info,zenoh=error,refinery_core=warn")]
    pub log: String,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a command center and a farm on this machine and show their readings
    Demo(DemoArgs),
    /// Run a node; an empty state dir gets an identity and an empty site
    Start(StartArgs),
    /// Run a field node whose hardware is a stand-in plant: a farm with its own equations, noise and faults
    Plant(PlantArgs),
    /// Show who this node is; makes its identity when there is none
    Identity(Output),
    /// Show how a running node is doing, and what it refused
    Status(StatusArgs),
    /// Show a node on one screen: who it is, where it is and whom it knows; also of one that does not run
    Info(Target),
    /// Show the other nodes a running node knows
    Peers(PeersArgs),
    /// Show the sensors, actuators and beliefs of a running node, and what existing ClawMesh nodes told it
    World(WorldArgs),
    /// Show who can do what, as a running node knows it, the best first and why
    Capabilities(CapabilitiesArgs),
    /// Show what has happened to a running node since its start, the newest last
    Events(EventsArgs),
    /// Show what followed from a context frame or from a proposal
    Trace(TraceArgs),
    /// Ask the twin of the site what would happen if; nothing is proposed and nothing is moved
    Simulate(SimulateArgs),
    /// Run a journal again and compare every digest
    Replay(ReplayArgs),
    /// Check a state dir and this machine, or the links to other nodes, and say what to do about each finding
    Doctor(DoctorArgs),
    /// Look at the settings of a node
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Look at the site a node works at, and at its policy
    #[command(subcommand)]
    Site(SiteCommand),
    /// Check what the owner of actuators allows, and say what has to hold for one operation
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Prove and show what a node has written down about safety, and hand it to strangers
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Make the key of a person, and enroll people at the console of a node
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Make two nodes trust each other, with a person in front of each; the one that joins is given its papers
    Pair(PairArgs),
    /// Make papers for what is in the mesh and is not paired
    #[command(subcommand)]
    Papers(PapersCommand),
    /// Say which nodes this one trusts, at its console
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Keep secrets for services outside of the mesh, such as the key of a model, and show which there are
    #[command(subcommand, visible_alias = "cred")]
    Credential(CredentialCommand),
    /// Tell the mock actuator of another node something, as existing ClawMesh nodes do, and show what it answers
    ///
    /// The command goes out in the name of the node of this state dir, which the other one has to trust. While a node runs on this
    /// state dir this is refused, because two under one name put each other out: stop it, or use another --state-dir.
    DemoActuate(DemoActuateArgs),
    /// Show the OpenClaw gateways that were saved here
    Gateways(Output),
    /// Connect to an OpenClaw gateway once, in the name of this node, and show what it answers
    GatewayConnect(GatewayConnectArgs),
    /// Copy what a node keeps into a folder, also while it runs
    Backup(BackupArgs),
    /// Make the state dir of a lost node out of a backup, stopped and trusting nobody
    Restore(RestoreArgs),
    /// Put another node in the place of one that is gone: in the site, in the policy, and in whom this one trusts
    Replace(ReplaceArgs),
    /// What is proposed, and what people answer
    #[command(flatten)]
    Proposals(ProposalCommand),
    /// Show what a person has to look at; acknowledge it, or put it aside for a time
    Alarms(AlarmsArgs),
}

/// Looking at a site.
#[derive(Debug, Subcommand)]
pub enum SiteCommand {
    /// Tell every fault of a site and of its policy, with file and line
    Check(SiteCheckArgs),
}

/// `site check`
#[derive(Debug, Args)]
pub struct SiteCheckArgs {
    /// The site, for example farm.ron [default: site.ron of the state dir]
    pub site: Option<PathBuf>,
    /// The policy of its owner [default: policy.ron beside site.ron, farm.policy.ron beside farm.ron]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Looking at settings.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Show every setting with its value and where it comes from
    Show(ConfigShowArgs),
}

/// How to answer.
#[derive(Debug, Clone, Copy, Args)]
pub struct Output {
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// Which running node to ask.
#[derive(Debug, Clone, Default, Args)]
pub struct Target {
    /// The address of its gateway [default: the node of the state dir]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The token of that gateway; needed when it is on another machine [default: the token of the state dir]
    #[arg(long, value_name = "FILE", requires = "url")]
    pub token_file: Option<PathBuf>,
    /// The fingerprint of its certificate, for an address with https://, as `clawmesh identity` prints it over there
    #[arg(long, value_name = "HEX", requires = "url", value_parser = |text: &str| pin(text))]
    pub fingerprint: Option<String>,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `peers`
#[derive(Debug, Args)]
pub struct PeersArgs {
    /// One peer, by its id or the beginning of it
    pub id: Option<String>,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Show what has happened last, too; `clawmesh events` shows more
    #[arg(long)]
    pub events: bool,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `capabilities`
#[derive(Debug, Args)]
pub struct CapabilitiesArgs {
    /// What somebody shall be able to do: `sensor:soil:zone-1`, or with `*` for the rest, such as `channel:*`; without it, anything
    pub pattern: Option<String>,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `world`
#[derive(Debug, Args)]
pub struct WorldArgs {
    /// Show only sensors, actuators and beliefs whose names contain this, and only what was told about it
    pub containing: Option<String>,
    /// Show only what is told in this way, such as `human_input`; all that our own nodes measure and note is `observation`
    #[arg(long)]
    pub kind: Option<String>,
    /// Show only what the node with this id says, or whose id begins so
    #[arg(long, value_name = "ID")]
    pub source_device_id: Option<String>,
    /// Show at most so many rows of each table
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `simulate`
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// What is switched and how, all at once, for example `valve-food-forest=open pump-main-01=start`
    #[arg(required = true, value_name = "STEP")]
    pub steps: Vec<String>,
    /// For how long, for example `20m`
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "20m")]
    pub length: Duration,
    /// How many perturbed futures besides the nominal one
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u32).range(0..=4096))]
    pub rollouts: u32,
    /// Other perturbations of the same question
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// Which node to ask, and how to answer
    #[command(flatten)]
    pub target: Target,
}

/// `replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A state dir, or a journal file
    pub journal: PathBuf,
    /// Fail unless chain and every digest are as recorded
    #[arg(long)]
    pub verify: bool,
    /// Run every simulation again too, and fail unless every card is as recorded
    #[arg(long)]
    pub resimulate: bool,
    /// Answer in JSON
    #[arg(long)]
    pub json: bool,
}

/// `demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Stop after this long, for example `30s`, then verify the recordings
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub length: Option<Duration>,
    /// Play the operator too: approve the first proposal with a key made for it, and fail unless a sensor confirms it
    #[arg(long)]
    pub approve: bool,
    /// Keep the two state dirs in this empty or new folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// The settings that the command line may put on top of `node.ron`.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingArgs {
    /// The name people use for this node
    #[arg(long)]
    pub name: Option<String>,
    /// What it is for, for example `field` or `command-center`
    #[arg(long)]
    pub role: Option<String>,
    /// The address its gateway listens on
    #[arg(long, value_name = "IP")]
    pub host: Option<String>,
    /// The port its gateway listens on; 0 takes a free one
    #[arg(long, value_parser = port)]
    pub port: Option<u16>,
    /// Speak TLS at the gateway, with a certificate of its own unless `tls` of node.ron names another; `clawmesh identity`
    /// prints the fingerprint to pin. In clear it then speaks to programs of this machine only
    #[arg(long)]
    pub tls: bool,
    /// The name of its mesh; nodes of different meshes do not hear each other
    #[arg(long)]
    pub mesh_name: Option<String>,
    /// Do not look for other nodes by multicast
    #[arg(long)]
    pub no_discovery: bool,
    /// Publish readings of the machine it runs on: load, memory, disks, network, temperatures
    #[arg(long)]
    pub host_sensors: bool,
    /// Have a mock sensor, sensor:mock-moisture:zone-1: numbers that are drawn, and support nothing that moves
    #[arg(long)]
    pub mock_sensor: bool,
    /// How often the mock sensor shows a number, milliseconds, 100 to 3600000 [default: 5000]
    #[arg(long, value_name = "MS")]
    pub sensor_interval: Option<u32>,
    /// Take plain commands of trusted ClawMesh nodes for a mock actuator, which moves nothing; they reach nothing else
    #[arg(long)]
    pub mock_actuator: bool,
    /// What it is on zenoh: `peer` links to everybody, `client` has one link to a router (see --connect) and listens nowhere,
    /// `router` relays for others
    #[arg(long, value_name = "MODE")]
    pub zenoh_mode: Option<String>,
    /// What keeps the clock of this machine: `kept` by a real-time clock or NTP, or `none`: then the time is what trusted nodes
    /// agree on, and until they do nothing that needs it is taken. `believed`, for one start, after the clock stood wrong
    #[arg(long, value_name = "WHAT")]
    pub clock: Option<String>,
    /// Connect to another node or a zenoh router, for example `tcp/192.0.2.7:7447`, in addition to `connect` of
    /// node.ron (may be repeated)
    #[arg(long, value_name = "ENDPOINT")]
    pub connect: Vec<String>,
    /// Dial an existing ClawMesh node, `<deviceId>=<url>[|<fingerprint>[|<label>]]`, for example
    /// `<deviceId>=ws://192.0.2.7:18789`, in addition to `peers` of node.ron; trust it as well (may be repeated)
    #[arg(long, value_name = "SPEC")]
    pub peer: Vec<String>,
    /// Listen for other nodes here, for example `tls/0.0.0.0:7447` or, in clear, `tcp/127.0.0.1:0`, and no longer where
    /// `listen` of node.ron says (may be repeated)
    #[arg(long, value_name = "ENDPOINT")]
    pub listen: Vec<String>,
    /// Take statements of the node with this id, in addition to `trusted` of node.ron; `clawmesh identity` over
    /// there prints it (may be repeated)
    #[arg(long, value_name = "ID")]
    pub trust: Vec<String>,
}

/// `start`
#[derive(Debug, Args)]
pub struct StartArgs {
    /// The settings
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Stop when standard input ends; so a node never outlives whoever started it
    #[arg(long)]
    pub stop_with_stdin: bool,
}

/// `plant`
#[derive(Debug, Args)]
pub struct PlantArgs {
    /// The true numbers of the plant [default: plant.ron of the state dir, or the shipped farm]
    pub file: Option<PathBuf>,
    /// What its noise, its weather and its faults follow from; a seed that ends in 0 has no fault
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
    /// How much faster than the wall the time of the plant runs
    #[arg(long, value_name = "TIMES", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(clawmesh_plant::SPEED_MAX)))]
    pub speed: u32,
    /// One more fault, for example `leak`, `stuck-valve:valve-flower`, or `dry-source@60` to begin after a minute of
    /// the plant (may be repeated)
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<clawmesh_plant::PlannedFault>,
    /// The settings
    #[command(flatten)]
    pub settings: SettingArgs,
    /// Stop when standard input ends; so a node never outlives whoever started it
    #[arg(long)]
    pub stop_with_stdin: bool,
}

/// `config show`
#[derive(Debug, Args)]
pub struct ConfigShowArgs {
    /// The settings, as they would be given to `start`
    #[command(flatten)]
    pub settings: SettingArgs,
    /// How to answer
    #[command(flatten)]
    pub output: Output,
}

impl SettingArgs {
    /// The command line as the topmost layer of the settings.
    pub fn into_layer(self) -> NodeFile {
        let listed = |list: Vec<String>| (!list.is_empty()).then_some(list);
        NodeFile {
            name: self.name,
            role: self.role,
            host: self.host,
            port: self.port,
            tls: self.tls.then_some(Tls::Own),
            mesh_name: self.mesh_name,
            discovery: self.no_discovery.then_some(false),
            host_sensors: self.host_sensors.then_some(true),
            mock_sensor: self.mock_sensor.then_some(true),
            sensor_interval_ms: self.sensor_interval,
            mock_actuator: self.mock_actuator.then_some(true),
            zenoh_mode: self.zenoh_mode,
            clock: self.clock,
            connect: listed(self.connect),
            listen: listed(self.listen),
            peers: listed(self.peer),
            trusted: listed(self.trust),
            ..NodeFile::default()
        }
    }
}

/// Reads `30s` or `5m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|fault| format!("{fault}; write for example 30s or 5m"))
}

/// A port as somebody wrote it.
fn port(text: &str) -> Result<u16, String> {
    let code = DiagnosticCode::InvalidPort.as_str();
    text.parse().map_err(|_| format!("a port from 0 to 65535 is needed ({code}); 18789 is usual"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_not_given_leaves_the_layer_below_alone() {
        assert_eq!(SettingArgs::default().into_layer(), NodeFile::default());
    }
}
