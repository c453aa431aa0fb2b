//! `clawmesh demo`: two nodes as two processes on this machine, their live readings, and the proof.
//! Reads the gateways of the two nodes. Writes two throw-away state dirs and the terminal.
//! Invariant: what is shown came through both processes' real doors; nothing of the demo stays behind.
//! Not here: the nodes themselves (`headless`).

mod child;
mod show;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clawmesh_core::intake::LinkState;
use clawmesh_gateway::{Status, World};

use super::args::DemoArgs;
use super::client::{Client, block_on};
use super::terminal::{complain, say};
use crate::moments::now;

use child::Child;

/// How long the two nodes may take to find each other.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);

/// Runs the command. Success means: readings of both nodes were seen, and both recordings replay.
pub fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let folder = Folder::new(args.keep.as_deref())?;
    let interrupted = watch_interrupt()?;
    let center = Child::prepare("command-center", &folder.path)?;
    let field = Child::prepare("field-node", &folder.path)?;
    let center = center.start(&field.id, &[])?;
    let endpoint = wait_for_endpoint(&center, &interrupted)?;
    let field = field.start(&center.id, &[endpoint])?;
    wait_for_readings(&center, &field, &interrupted)?;
    say(&format!("\n  The live page: {}\n", center.page()?));
    watch(&center, args.length, &interrupted)?;
    say("stopping both nodes");
    let dirs = [field.stop()?, center.stop()?];
    verify(&dirs)
}

/// The folder of the two state dirs.
struct Folder {
    path: PathBuf,
    _throw_away: Option<tempfile::TempDir>,
}

impl Folder {
    fn new(keep: Option<&Path>) -> anyhow::Result<Self> {
        let Some(keep) = keep else {
            let made = tempfile::Builder::new().prefix("clawmesh-demo-").tempdir()?;
            return Ok(Self { path: made.path().to_owned(), _throw_away: Some(made) });
        };
        std::fs::create_dir_all(keep).with_context(|| format!("cannot make {}", keep.display()))?;
        if std::fs::read_dir(keep)?.next().is_some() {
            bail!("{} is not empty; name an empty or new folder", keep.display());
        }
        Ok(Self { path: keep.to_owned(), _throw_away: None })
    }
}

fn watch_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::<AtomicBool>::default();
    let seen = Arc::clone(&interrupted);
    std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
        let waited = block_on(async { Ok(tokio::signal::ctrl_c().await?) });
        seen.store(waited.is_ok(), Ordering::Relaxed);
    })?;
    Ok(interrupted)
}

fn wait_for<T>(
    what: &str,
    interrupted: &AtomicBool,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if interrupted.load(Ordering::Relaxed) {
            bail!("interrupted while waiting for {what}");
        }
        if begun.elapsed() > PATIENCE {
            bail!("{what} did not happen within {} s; the lines above may say why", PATIENCE.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

fn wait_for_endpoint(center: &Child, interrupted: &AtomicBool) -> anyhow::Result<String> {
    wait_for("the command center opening its session", interrupted, || {
        let Some(client) = center.client()? else { return Ok(None) };
        let status: Status = match block_on(client.get("/api/status")) {
            Ok(status) => status,
            Err(_) => return Ok(None),
        };
        match status.link {
            LinkState::Open { listen } => Ok(listen.into_iter().next()),
            LinkState::Failed { sentence } => bail!("{sentence}"),
            LinkState::Connecting => Ok(None),
        }
    })
}

fn wait_for_readings(center: &Child, field: &Child, interrupted: &AtomicBool) -> anyhow::Result<()> {
    let client = center.client()?.context("the command center is gone")?;
    wait_for("readings of both nodes", interrupted, || {
        let world: World = block_on(client.get("/api/world"))?;
        let speaks =
            |id: &str| world.sensors.iter().any(|row| row.node.to_string() == id && row.value.is_some());
        Ok((speaks(&center.id) && speaks(&field.id)).then_some(()))
    })
}

fn watch(center: &Child, length: Option<Duration>, interrupted: &AtomicBool) -> anyhow::Result<()> {
    let client: Client = center.client()?.context("the command center is gone")?;
    let mut show = show::Show::new();
    let begun = now();
    while !interrupted.load(Ordering::Relaxed) && length.is_none_or(|length| begun.elapsed() < length) {
        let world: World = block_on(client.get("/api/world"))?;
        show.update(&world);
        let rest = length.map_or(show::PERIOD, |length| length.saturating_sub(begun.elapsed()));
        nap(rest.min(show::PERIOD), interrupted);
    }
    Ok(())
}

fn nap(length: Duration, interrupted: &AtomicBool) {
    let begun = now();
    while begun.elapsed() < length && !interrupted.load(Ordering::Relaxed) {
        std::thread::sleep(POLL.min(length));
    }
}

/// Each recording is replayed by a fresh process, with its own eyes.
fn verify(dirs: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe()?;
    let mut is_proven = true;
    for dir in dirs {
        say(&format!("\nreplaying {}", dir.display()));
        let status =
            Command::new(&program).arg("replay").arg(dir).arg("--verify").stdin(Stdio::null()).status()?;
        is_proven &= status.success();
    }
    if !is_proven {
        complain("clawmesh: a recording does not replay; this is a defect worth reporting");
    }
    Ok(if is_proven { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
