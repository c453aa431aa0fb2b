//! Running the binary to its end, as a person would, and keeping what it says.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::Builder;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
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
    command.stdin(Stdio::null());
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

/// Runs a command to its end whose standard input and standard error are a terminal, at which `typed` is typed and then the end of the
/// input, as often as it is asked; what the terminal showed is its standard error.
pub fn at_terminal(command: &mut Command, typed: &str) -> Said {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("the system has terminals");
    grantpt(&screen).and_then(|()| unlockpt(&screen)).expect("a new terminal is ours");
    let name = ptsname(&screen, Vec::new()).expect("a terminal has a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = File::from(open(name.as_c_str(), flags, Mode::empty()).expect("a new terminal opens"));
    let other_end = terminal.try_clone().expect("a terminal has two users");
    command.stdin(terminal).stderr(other_end).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary was built for this test");
    // Ours too would keep the terminal open after the command has ended.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut screen = File::from(screen);
    screen.write_all(format!("{typed}\x04\x04\x04\x04").as_bytes()).expect("a terminal takes a few lines");
    let mut pipe = child.stdout.take().expect("it is piped");
    let read_out = move || {
        let mut out = String::new();
        pipe.read_to_string(&mut out).map(|_| out).expect("the binary prints UTF-8")
    };
    let out = Builder::new().name("standard output".to_owned()).spawn(read_out).expect("a thread starts");
    let mut shown = Vec::new();
    // Linux ends a terminal that nobody has open with a fault.
    let _ = screen.read_to_end(&mut shown);
    let status = child.wait().expect("a command of ours ends");
    let err = String::from_utf8(shown).expect("the binary prints UTF-8").replace("\r\n", "\n");
    Said { code: status.code(), out: out.join().expect("reading does not panic"), err }
}

/// Says yes at a terminal to what `clawmesh approve` shows of a card; `more` goes with it.
pub fn approve_on(dir: &Path, id: &str, card: &str, more: &[&str]) -> Said {
    let mut command = program();
    command.arg("--state-dir").arg(dir).args(["approve", id, "--card", card]).args(more);
    at_terminal(&mut command, "yes\n")
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
