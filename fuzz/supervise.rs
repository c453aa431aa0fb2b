//! All targets, each in a process of its own: what ends a process without a word is a finding like any other.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;

use crate::finding;
use crate::flight_recorder::FlightRecorder;
use crate::targets::Target;

/// The exit code of a process that has found a broken promise, and told it.
pub const BROKEN: u8 = 3;

/// How the targets are run.
#[derive(Debug)]
pub struct Plan {
    /// Each one for so long.
    pub time: Duration,
    /// The seed of all changes.
    pub seed: u64,
    /// The folder of the corpora.
    pub corpus: PathBuf,
    /// Where findings go.
    pub findings: PathBuf,
    /// How many run at once.
    pub at_once: usize,
}

/// Runs `targets` and hands a line about each one to `tell` as it ends; true when all promises were kept.
///
/// # Errors
/// When a process cannot be started or the folder of findings cannot be written.
pub fn run_all(targets: &[&'static Target], plan: &Plan, tell: impl Fn(&str) + Sync) -> anyhow::Result<bool> {
    std::fs::create_dir_all(&plan.findings)
        .with_context(|| format!("cannot make the folder {}", plan.findings.display()))?;
    let (next, are_kept) = (AtomicUsize::new(0), Mutex::new(Ok(true)));
    let work = || {
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = run_one(target, plan, &tell);
            let mut all = are_kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *all = match (std::mem::replace(&mut *all, Ok(false)), one) {
                (Ok(before), Ok(now)) => Ok(before && now),
                (Err(fault), _) | (_, Err(fault)) => Err(fault),
            };
        }
    };
    std::thread::scope(|scope| -> anyhow::Result<()> {
        for n in 0..plan.at_once.max(1) {
            let thread = std::thread::Builder::new().name(format!("fuzz-{n}"));
            thread.spawn_scoped(scope, work).context("cannot start a thread")?;
        }
        Ok(())
    })?;
    are_kept.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn run_one(target: &Target, plan: &Plan, tell: &impl Fn(&str)) -> anyhow::Result<bool> {
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let recorder = plan.findings.join(format!("{}-{}.trying", target.name, std::process::id()));
    let done = Command::new(&own)
        .arg("--worker")
        .args(["--for", &humantime::format_duration(plan.time).to_string().replace(' ', "")])
        .args(["--seed", &plan.seed.to_string()])
        .arg("--corpus")
        .arg(&plan.corpus)
        .arg("--findings")
        .arg(&plan.findings)
        .arg("--recorder")
        .arg(&recorder)
        .arg(target.name)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start {}", own.display()))?;
    let said = String::from_utf8_lossy(&done.stdout);
    tell(said.trim_end());
    let is_kept = match done.status.code() {
        Some(0) => true,
        Some(code) if code == i32::from(BROKEN) => false,
        Some(_) => anyhow::bail!("target {} could not be run", target.name),
        None => {
            let input = FlightRecorder::last(&recorder).unwrap_or_default();
            let path = finding::write(&plan.findings, target.name, &input)?;
            let why = format!("the process ended with {} (a stack overflow, or no end)", done.status);
            tell(&told(target.name, &why, &path));
            false
        }
    };
    // What cannot be removed lies in a folder for what was found, and says so by its name.
    let _ = std::fs::remove_file(&recorder);
    Ok(is_kept)
}

/// What is said of a finding: what is broken, where its input is, how to run it again.
#[must_use]
pub fn told(target: &str, why: &str, path: &Path) -> String {
    let own = std::env::current_exe().unwrap_or_else(|_| "fuzz".into());
    format!(
        "{target}: BROKEN: {why}\n  input:  {path}\n  again:  {own} {target} --replay {path}\n  \
         mended: keep the input as fuzz/corpus/{target}/<what-it-was>",
        path = path.display(),
        own = own.display(),
    )
}
