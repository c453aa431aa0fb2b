//! The command line of a lab: options in, `tap::run`, one sentence when it cannot be.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use clawmesh_netlab::command::{BYTES_PER_SECOND_MAX, DELAY_MS_MAX, PERMILLE_MAX};
use clawmesh_netlab::plan::LabPlan;
use clawmesh_netlab::sentence;
use clawmesh_netlab::switch::LinkSettings;

const EXAMPLE: &str = "\
Example, as root. The program reads commands until its input ends, so keep that open:

  $ clawmesh-netlab run --lab farm --hosts one,two,three --delay-ms 200 --jitter-ms 20 --loss-permille 50
  {\"ready\":true,\"hosts\":[{\"name\":\"one\",\"netns\":\"cm-farm-one\",\"address\":\"10.77.0.1\"}, …]}
  partition one,two|three
  {\"ok\":true}

Meanwhile, in another terminal, run anything on a host:

  $ ip netns exec cm-farm-one ping 10.77.0.2
  $ ip netns exec cm-farm-three clawmesh start …

Commands, one per line, each answered with one line of JSON; a line that makes no sense gets {\"error\":\"…\"}:

  partition one,two|three         hosts hear each other within a group only; name every host once
  heal                            all hosts hear each other again
  set delay-ms=200                every link, from now on; what is under way keeps its time
  set one>two loss-permille=50    one direction; several settings may follow one another
  readdress three 10.77.0.99      the host loses its address and has another one
  counts                          what became of frames, by host and by direction, by reason
  quit                            end and clean up, as at the end of input, SIGINT, SIGTERM and SIGHUP

Settings: delay-ms, jitter-ms, loss-permille, duplicate-permille, reorder-permille, bytes-per-second, udp-port-blocked.
The fate of the n-th frame of a direction follows from --seed, the two hosts and n. Every frame counts, ARP too.
What a killed lab left behind is removed when a lab of its name starts.";

#[derive(Parser)]
#[command(name = "clawmesh-netlab", about = "A network of hosts on one machine, with links that delay, lose and part", after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make network namespaces, connect them, and obey commands on standard input.
    #[command(after_help = EXAMPLE)]
    Run(RunArguments),
}

#[derive(Args)]
struct RunArguments {
    /// The name of the lab: letters a-z and digits.
    #[arg(long)]
    lab: String,
    /// The names of its hosts, with commas between them.
    #[arg(long, value_delimiter = ',', required = true)]
    hosts: Vec<String>,
    /// What the fate of every frame follows from.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// From the end of sending to arrival.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=i64::from(DELAY_MS_MAX)))]
    delay_ms: u32,
    /// How much the delay differs from frame to frame, up or down.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=i64::from(DELAY_MS_MAX)))]
    jitter_ms: u32,
    /// How many of a thousand frames are lost.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=i64::from(PERMILLE_MAX)))]
    loss_permille: u16,
    /// How many of a thousand frames arrive twice.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=i64::from(PERMILLE_MAX)))]
    duplicate_permille: u16,
    /// How many of a thousand frames are held back for 10 to 50 ms, so that later ones overtake them.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=i64::from(PERMILLE_MAX)))]
    reorder_permille: u16,
    /// How fast each direction sends; 0 is at once.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=BYTES_PER_SECOND_MAX))]
    bytes_per_second: u64,
    /// Datagrams for this UDP port do not pass, as behind a firewall; 0 is none.
    #[arg(long, default_value_t = 0)]
    udp_port_blocked: u16,
}

impl RunArguments {
    fn plan(self) -> Result<LabPlan, String> {
        let links = LinkSettings {
            delay_ms: self.delay_ms,
            jitter_ms: self.jitter_ms,
            loss_permille: self.loss_permille,
            duplicate_permille: self.duplicate_permille,
            reorder_permille: self.reorder_permille,
            bytes_per_second: self.bytes_per_second,
            udp_port_blocked: self.udp_port_blocked,
        };
        let mut plan = LabPlan::new(&self.lab, self.hosts)?;
        (plan.seed, plan.links) = (self.seed, links);
        Ok(plan)
    }
}

fn main() -> ExitCode {
    let Command::Run(arguments) = Cli::parse().command;
    match arguments.plan().map_err(Into::into).and_then(|plan| run(&plan)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When nobody reads what went wrong, the code still says that something did.
            let _ = writeln!(std::io::stderr(), "error: {}", sentence(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
fn run(plan: &LabPlan) -> Result<(), Box<dyn Error>> {
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::os::unix::net::UnixStream;

    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

    let (end, signalled) = UnixStream::pair()?;
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::low_level::pipe::register(signal, signalled.try_clone()?)?;
    }
    // Not `Stdin`: it would read ahead, and what it holds nobody can wait for.
    let input = File::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    Ok(clawmesh_netlab::tap::run(plan, input, std::io::stdout().lock(), &end)?)
}

#[cfg(not(target_os = "linux"))]
fn run(_: &LabPlan) -> Result<(), Box<dyn Error>> {
    Err("a lab needs the network namespaces of Linux; run it on a Linux machine".into())
}
