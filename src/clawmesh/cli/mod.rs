//! The command line: what people type, what they read, and the exit code.
//! Reads arguments, the state dir, and a running node over its gateway. Writes the terminal.
//! Invariant: every reading command has `--json`; a failure is one sentence on standard error and a non-zero
//! exit code.
//! Not here: running a node (`headless`), the files it keeps (`config`).

mod alarms;
mod alarms_args;
mod args;
mod audit;
mod backup;
mod capabilities;
mod client;
mod config_show;
mod credential;
mod demo;
mod demo_actuate;
mod doctor;
mod gateways;
mod history;
mod identity;
mod info;
mod key_place;
mod logging;
mod operator;
mod operator_args;
mod pair;
mod papers;
mod passphrase;
mod peers;
mod plant;
mod policy;
mod policy_args;
mod progress;
mod proposals;
mod replay;
mod simulate;
mod site;
mod start;
mod status;
mod table;
mod terminal;
mod trust;
mod wording;
mod world;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use args::{Cli, Command, ConfigCommand, SiteCommand};
use audit::args::AuditCommand;
use operator_args::OperatorCommand;

/// Parses the command line, runs the command, and turns its outcome into an exit code.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    refuse_needless_state_dir(&cli);
    logging::start(&cli.log, matches!(cli.command, Command::Start(_) | Command::Plant(_)));
    let outcome = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Start(args) => start::run(cli.state_dir, args),
        Command::Plant(args) => plant::run(cli.state_dir, args),
        Command::Identity(output) => identity::run(cli.state_dir, output),
        Command::Status(args) => status::run(cli.state_dir, &args),
        Command::Info(target) => info::run(cli.state_dir, &target),
        Command::Peers(args) => peers::run(cli.state_dir, &args),
        Command::World(args) => world::run(cli.state_dir, &args),
        Command::Capabilities(args) => capabilities::run(cli.state_dir, &args),
        Command::Events(args) => history::events::run(cli.state_dir, &args),
        Command::Trace(args) => history::trace::run(cli.state_dir, &args),
        Command::Replay(args) => replay::run(&args),
        Command::Simulate(args) => simulate::run(cli.state_dir, &args),
        Command::Doctor(args) => doctor::run(cli.state_dir, &args),
        Command::Config(ConfigCommand::Show(args)) => config_show::run(cli.state_dir, args),
        Command::Site(SiteCommand::Check(args)) => site::check(cli.state_dir, &args),
        Command::Policy(command) => policy::run(cli.state_dir, command),
        Command::Audit(command) => audit::run(cli.state_dir, &command),
        Command::Operator(command) => operator::run(cli.state_dir, command),
        Command::Pair(args) => pair::run(cli.state_dir, &args),
        Command::Papers(command) => papers::run(cli.state_dir, command),
        Command::Backup(args) => backup::take(cli.state_dir, &args),
        Command::Restore(args) => backup::restore::run(cli.state_dir, &args),
        Command::Replace(args) => backup::replace::run(cli.state_dir, &args),
        Command::Trust(command) => trust::run(cli.state_dir, command),
        Command::DemoActuate(args) => demo_actuate::run(cli.state_dir, &args),
        Command::Gateways(output) => gateways::list(cli.state_dir, output),
        Command::GatewayConnect(args) => gateways::connect(cli.state_dir, &args),
        Command::Credential(command) => credential::run(cli.state_dir, command),
        Command::Proposals(command) => proposals::run(cli.state_dir, command),
        Command::Alarms(args) => alarms::run(cli.state_dir, &args),
    };
    outcome.unwrap_or_else(|fault| {
        terminal::complain(&format!("clawmesh: {fault:#}"));
        ExitCode::FAILURE
    })
}

/// `--state-dir` stands before every command; where it would mean nothing, whoever gives it expects something else.
fn refuse_needless_state_dir(cli: &Cli) {
    let sentence = match (&cli.state_dir, &cli.command) {
        (Some(_), Command::Demo(_)) => {
            "`demo` has no use for --state-dir; --keep DIR keeps the state dirs it makes"
        }
        (Some(_), Command::Replay(_)) => {
            "`replay` has no use for --state-dir; give the state dir as its argument"
        }
        (Some(_), Command::Audit(AuditCommand::Check(_))) => {
            "`audit check` has no use for --state-dir; it needs nothing but the file"
        }
        (
            Some(_),
            Command::Operator(
                OperatorCommand::New(_) | OperatorCommand::Passphrase(_) | OperatorCommand::Show(_),
            ),
        ) => {
            "a key of a person has no use for --state-dir, because it never lives in one; --key FILE says where it is"
        }
        _ => return,
    };
    Cli::command().error(ErrorKind::ArgumentConflict, sentence).exit();
}
