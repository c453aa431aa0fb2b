//! The program itself: its lines, its ends, and processes on its hosts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use serde_json::Value;

use crate::host::{PATIENCE, left_of, netns_path};

const ECHO: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 4000))
print('listening', flush=True)
data, sender = s.recvfrom(64)
s.sendto(data, sender)
";

const CALL: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(10)
s.sendto(b'hello', ('10.77.0.2', 4000))
print(s.recvfrom(64)[0].decode())
";

struct Program {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Program {
    /// Starts it and reads its first line.
    fn start(lab: &str, more: &[&str]) -> (Self, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clawmesh-netlab"));
        command.args(["run", "--lab", lab, "--hosts", "one,two"]).args(more);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program was built");
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut program = Self { child, answers };
        let ready = program.answer();
        (program, ready)
    }

    /// Its next line. When there is none, what it wrote on standard error is the message of the test.
    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("its output is text");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer; {}", self.end().1))
    }

    fn ask(&mut self, line: &str) -> Value {
        let input = self.child.stdin.as_mut().expect("it is piped");
        writeln!(input, "{line}").expect("the program listens");
        self.answer()
    }

    /// Waits until it has ended; whether it did well, and what it wrote on standard error.
    fn end(&mut self) -> (bool, String) {
        let pidfd =
            pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty()).expect("it is not waited for");
        let patience = Timespec::try_from(PATIENCE).expect("seconds");
        let ended = poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&patience));
        assert_eq!(ended, Ok(1), "it does not end");
        let mut error = String::new();
        let stderr = self.child.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut error).expect("its output is text");
        (self.child.wait().expect("it was started").success(), error)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It has ended, or does so now that its input has.
        let _ = self.child.wait();
    }
}

/// A Python process on a host.
fn python(netns: &str, script: &str) -> Child {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", netns, "python3", "-c", script]).stdout(Stdio::piped());
    command.spawn().expect("`ip` is missing; install it with `apt-get install iproute2`")
}

#[test]
fn two_processes_on_two_hosts_talk_to_each_other() {
    let (program, ready) = Program::start("talk", &["--seed", "7", "--delay-ms", "5"]);
    assert_eq!(ready["hosts"][0]["netns"], "cm-talk-one");
    let mut echo = python("cm-talk-two", ECHO);
    let mut line = String::new();
    BufReader::new(echo.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "listening\n", "python3 is missing; install it with `apt-get install python3`");
    let heard = python("cm-talk-one", CALL).wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&heard.stdout), "hello\n");
    assert!(echo.wait().unwrap().success());
    drop(program);
    assert_eq!(left_of("talk"), [] as [&str; 0]);
}

#[test]
fn bad_lines_are_answered_and_the_program_goes_on() {
    let (mut program, _) = Program::start("stubborn", &[]);
    assert!(
        program.ask("partition one").get("error").unwrap().as_str().unwrap().contains("names `two` 0 times")
    );
    assert!(program.ask("").get("error").unwrap().as_str().unwrap().contains("the line is empty"));
    assert_eq!(program.ask("heal")["ok"], true);
    assert_eq!(program.ask("quit")["ok"], true);
    assert!(program.end().0);
    assert_eq!(left_of("stubborn"), [] as [&str; 0]);
}

#[test]
fn a_lab_that_was_killed_starts_again_under_its_name() {
    let (mut program, _) = Program::start("killed", &[]);
    program.child.kill().unwrap();
    program.child.wait().unwrap();
    assert!(netns_path("cm-killed-one").exists(), "a killed program cleans nothing up");
    let (mut again, ready) = Program::start("killed", &[]);
    assert_eq!(ready["ready"], true);
    assert_eq!(again.ask("quit")["ok"], true);
    drop(again);
    assert_eq!(left_of("killed"), [] as [&str; 0]);
}

#[test]
fn signals_end_a_lab_and_leave_no_namespace() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let (mut program, _) = Program::start("signalled", &[]);
        kill_process(Pid::from_child(&program.child), signal).unwrap();
        assert!(program.end().0, "{signal:?}");
        assert_eq!(left_of("signalled"), [] as [&str; 0], "{signal:?}");
    }
}

#[test]
fn a_lab_whose_namespace_is_deleted_under_it_ends_and_says_whose() {
    let (mut program, _) = Program::start("robbed", &[]);
    assert!(Command::new("ip").args(["netns", "delete", "cm-robbed-two"]).status().unwrap().success());
    let (is_well, error) = program.end();
    assert!(!is_well && error.contains("host `two`"), "{error}");
    assert_eq!(left_of("robbed"), [] as [&str; 0]);
}

#[test]
fn options_that_make_no_sense_end_in_one_sentence_and_make_nothing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_clawmesh-netlab"));
    let output = command.args(["run", "--lab", "bad-name", "--hosts", "one"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(error.starts_with("error: `bad-name` cannot name a lab; use 1 to 32 letters"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert_eq!(left_of("bad"), [] as [&str; 0]);
}
