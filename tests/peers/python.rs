//! The Python interpreter with eclipse-zenoh and cryptography, and the small programs of this folder.
#![expect(clippy::disallowed_methods, reason = "where the interpreter is, the environment tells")]

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Runs a program of this folder to its end; it must succeed.
pub fn run(program: &str, args: &[&str]) -> String {
    let output =
        command(&path(&format!("tests/peers/{program}")), args).output().expect("python was checked");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {}\n{out}\n{err}", output.status);
    out.into_owned()
}

/// A program that runs until it is dropped.
pub struct Running(Child);

/// Starts a program of this repository, named from its root.
pub fn start(program: &str, args: &[&str]) -> Running {
    let file = path(program);
    assert!(file.exists(), "{program} is missing");
    Running(command(&file, args).stdin(Stdio::null()).spawn().expect("python was checked"))
}

impl Running {
    /// True while it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("our own child can be asked").is_none()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that answers each line with a line of JSON, until it is dropped.
pub struct Talk {
    running: Running,
    said: BufReader<ChildStdout>,
}

/// Starts a program of this folder to talk with.
pub fn talk(program: &str, args: &[&str]) -> Talk {
    let mut command = command(&path(&format!("tests/peers/{program}")), args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python was checked");
    let said = BufReader::new(child.stdout.take().expect("it is piped"));
    Talk { running: Running(child), said }
}

impl Talk {
    /// The answer to a line.
    pub fn ask(&mut self, line: &str) -> Value {
        let stdin = self.running.0.stdin.as_mut().expect("it is piped");
        writeln!(stdin, "{line}").expect("it reads");
        let mut answer = String::new();
        self.said.read_line(&mut answer).expect("it prints UTF-8");
        serde_json::from_str(&answer).unwrap_or_else(|why| panic!("{line}: {why}: {answer:?}"))
    }
}

fn path(in_repository: &str) -> PathBuf {
    // Tests run in the folder of their crate. A path of compile time could be that of another clone.
    PathBuf::from("../..").join(in_repository)
}

fn command(program: &PathBuf, args: &[&str]) -> Command {
    let mut command = Command::new(interpreter());
    command.arg(program).args(args);
    command
}

/// `$CLAWMESH_TEST_PYTHON`, else the environment that the script of this repository installs.
fn interpreter() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
        .unwrap_or_default();
    let python = env::var_os("CLAWMESH_TEST_PYTHON")
        .map_or_else(|| cache.join("clawmesh/venv/bin/python"), PathBuf::from);
    let can_import = Command::new(&python).args(["-c", "import cryptography, zenoh"]).output();
    assert!(
        can_import.is_ok_and(|output| output.status.success()),
        "{} cannot `import cryptography, zenoh`; install the tools of the tests with\n.ci/install-test-tools",
        python.display()
    );
    python
}
