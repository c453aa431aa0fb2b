//! A node in a process of its own, on loopback, that ends with its test. To drop it is to kill it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::cli::{json_on, program, run_on};
use super::wait::until;

/// How long a node may take to answer, to open its session, or to end. Generous: a build may run beside us.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running node.
pub struct Node {
    /// The process.
    pub child: Child,
    dir: PathBuf,
}

impl Node {
    /// Starts a node on `dir` that listens on free ports; `more` goes behind `start`.
    pub fn start(dir: &Path, more: &[&str]) -> Self {
        Self::start_as("start", dir, more)
    }

    /// Starts a node on `dir` by this command, such as `plant`, on free ports.
    pub fn start_as(mode: &str, dir: &Path, more: &[&str]) -> Self {
        let free = ["--port", "0", "--listen", "tcp/127.0.0.1:0"];
        Self::start_at(mode, dir, &[&free, more].concat())
    }

    /// Starts a node on `dir`; `settings` say where it listens. Its log is kept beside the state dir.
    pub fn start_at(mode: &str, dir: &Path, settings: &[&str]) -> Self {
        Self::start_by(program(), mode, dir, settings)
    }

    /// Starts a node by a command that takes the arguments of the binary, such as a shell that becomes it.
    pub fn start_by(mut command: Command, mode: &str, dir: &Path, settings: &[&str]) -> Self {
        let log = File::options().create(true).append(true).open(log_of(dir)).expect("a log can be written");
        command.arg("--state-dir").arg(dir).args([mode, "--no-discovery", "--stop-with-stdin"]);
        command.args(settings).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the binary was built for this test");
        Self { child, dir: dir.to_owned() }
    }

    /// Waits for the end.
    pub fn end(&mut self) -> ExitStatus {
        until("the node ends", PATIENCE, || self.ended())
    }

    /// The answer of a reading command with `--json`, such as `status`.
    pub fn ask(&self, args: &[&str]) -> Value {
        json_on(&self.dir, args)
    }

    /// Waits until the node runs and its session with the mesh is open; the endpoint others connect to.
    pub fn endpoint(&mut self) -> String {
        until("the session is open", PATIENCE, || {
            assert!(self.ended().is_none(), "the node ended: {}", self.log());
            let said = run_on(&self.dir, &["status", "--json"]);
            let status: Value = serde_json::from_str(&said.out).ok()?;
            let endpoint = status["link"]["listen"][0].as_str()?;
            (status["state"] == "running").then(|| endpoint.to_owned())
        })
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our own child can be asked")
    }

    /// Everything it said on standard error, in all its runs.
    pub fn log(&self) -> String {
        fs::read_to_string(log_of(&self.dir)).expect("a log was made at the start")
    }

    /// Closes its standard input, waits for the end, and checks that it was a clean one.
    pub fn stop(mut self) {
        drop(self.child.stdin.take());
        let status = self.end();
        let log = self.log();
        assert!(status.success() && !log.contains("panicked"), "{status}: {log}");
    }
}

impl Drop for Node {
    /// As `kill -9` does. So a failing test leaves no process behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_of(dir: &Path) -> PathBuf {
    dir.with_extension("log")
}
