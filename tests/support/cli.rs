//! Running the binary to its end, as a person would, and keeping what it says.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// What a command left.
#[derive(Debug)]
pub struct Said {
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// The binary under test, with nothing on its standard input.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clawmesh"));
    command.stdin(std::process::Stdio::null());
    command
}

/// Runs a command on a state dir to its end; `replay` names its own.
pub fn run_on(dir: &Path, args: &[&str]) -> Said {
    let mut command = program();
    if args.first() != Some(&"replay") {
        command.arg("--state-dir").arg(dir);
    }
    end_of(command.args(args))
}

/// Runs a command to its end.
pub fn end_of(command: &mut Command) -> Said {
    let Output { status, stdout, stderr } = command.output().expect("the binary was built for this test");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the binary prints UTF-8");
    Said { code: status.code(), out: text(stdout), err: text(stderr) }
}

/// Runs a command on a state dir that must succeed and answer in JSON; `--json` is added.
pub fn json_on(dir: &Path, args: &[&str]) -> Value {
    let said = run_on(dir, &[args, &["--json"]].concat());
    assert_eq!(said.code, Some(0), "{args:?}: {}", said.err);
    serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{args:?} printed no JSON ({why}): {said:?}"))
}

/// The id of the node that lives in the state dir; makes one when there is none.
pub fn id_of(dir: &Path) -> String {
    let identity = json_on(dir, &["identity"]);
    identity["id"].as_str().expect("an identity has an id").to_owned()
}
