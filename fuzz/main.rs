//! The command line of the fuzzer: which targets, for how long, or which input again.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use clawmesh_fuzz::supervise::{BROKEN, Plan, run_all, told};
use clawmesh_fuzz::targets::{ALL, Target, of_name, write_seeds};
use clawmesh_fuzz::{finding, memory, run};

#[global_allocator]
static COUNTING: memory::Counting = memory::Counting;

/// Throws damaged and hostile input at everything that reads bytes from outside.
#[derive(Parser)]
#[command(name = "fuzz")]
struct Cli {
    /// The targets; without any, `--all` or `--list` says which.
    targets: Vec<String>,
    /// Every target.
    #[arg(long, conflicts_with = "targets")]
    all: bool,
    /// Name the targets and what each one promises.
    #[arg(long)]
    list: bool,
    /// How long each target runs; its corpus is always run to its end.
    #[arg(long = "for", default_value = "10s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// The seed of all changes; drawn and printed when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// The folder with a folder of inputs for each target.
    #[arg(long, default_value = "fuzz/corpus")]
    corpus: PathBuf,
    /// Where inputs go that break a promise.
    #[arg(long)]
    findings: Option<PathBuf>,
    /// How many targets run at once.
    #[arg(long, default_value_t = 2)]
    at_once: usize,
    /// Run one input once.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Write the inputs that the code itself makes into the corpus, after a format has changed.
    #[arg(long)]
    write_seeds: bool,
    #[arg(long, hide = true, requires = "recorder")]
    worker: bool,
    #[arg(long, hide = true)]
    recorder: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    if cli.list {
        ALL.iter().for_each(|target| say(&format!("{:<10} {}", target.name, target.promise)));
        return Ok(ExitCode::SUCCESS);
    }
    if cli.write_seeds {
        write_seeds(&cli.corpus)?;
        return Ok(ExitCode::SUCCESS);
    }
    let targets = chosen(&cli)?;
    let is_kept = match (&cli.replay, cli.worker) {
        (Some(path), _) => replay(one(&targets)?, path)?,
        (None, true) => work(one(&targets)?, &cli)?,
        (None, false) => run_all(&targets, &plan(&cli)?, say)?,
    };
    Ok(if is_kept { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}

fn chosen(cli: &Cli) -> anyhow::Result<Vec<&'static Target>> {
    if cli.all {
        return Ok(ALL.iter().collect());
    }
    anyhow::ensure!(!cli.targets.is_empty(), "name a target, or say --all; --list shows them");
    cli.targets.iter().map(|name| of_name(name)).collect()
}

fn one(targets: &[&'static Target]) -> anyhow::Result<&'static Target> {
    let [target] = targets else { anyhow::bail!("name one target") };
    Ok(target)
}

fn findings(cli: &Cli) -> PathBuf {
    cli.findings.clone().unwrap_or_else(|| std::env::temp_dir().join("clawmesh-fuzz"))
}

fn plan(cli: &Cli) -> anyhow::Result<Plan> {
    let seed = match cli.seed {
        Some(seed) => seed,
        None => getrandom::u64().context("this machine gives no random numbers; say --seed")?,
    };
    say(&format!("seed {seed}"));
    Ok(Plan {
        time: cli.time,
        seed,
        corpus: cli.corpus.clone(),
        findings: findings(cli),
        at_once: cli.at_once,
    })
}

fn work(target: &'static Target, cli: &Cli) -> anyhow::Result<bool> {
    run::keep_panics_quiet();
    let order = run::Order {
        time: cli.time,
        seed: cli.seed.unwrap_or(0),
        corpus: cli.corpus.clone(),
        recorder: cli.recorder.clone().context("a worker has a recorder")?,
    };
    let outcome = run::run(target, &order)?;
    let seconds = outcome.took.as_secs_f64().max(0.001);
    #[expect(clippy::cast_precision_loss, reason = "a number for people")]
    let pace = outcome.runs as f64 / seconds;
    say(&format!(
        "{:<10} {:>9} runs in {seconds:.1} s, {pace:.0} a second, {} ways to answer",
        target.name, outcome.runs, outcome.answers
    ));
    let Some((input, why)) = outcome.broken else { return Ok(true) };
    let path = finding::write(&findings(cli), target.name, &input)?;
    say(&told(target.name, &why, &path));
    Ok(false)
}

fn replay(target: &'static Target, path: &PathBuf) -> anyhow::Result<bool> {
    let input = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let judged = run::judged(target, &input);
    say(&match &judged {
        Ok(answer) => format!("{}: promise kept; answered: {answer}", target.name),
        Err(why) => told(target.name, why, path),
    });
    Ok(judged.is_ok())
}

fn say(line: &str) {
    // Who closes the pipe wants no more lines.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
