//! The first command a newcomer types.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

use crate::running::{signal, signals_that_end_all};
use crate::support::cli::program;
use crate::support::wait::until;

const PATIENCE: Duration = Duration::from_secs(60);
/// A sensor of this machine, and one of the plant.
const SENSORS: [(&str, &str); 2] =
    [("command-center", "sensor:cpu-load:host"), ("field-node", "sensor:soil-moisture:food-forest")];

#[test]
fn the_demo_shows_readings_of_two_nodes_proves_both_recordings_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = program();
    // The state dirs of the demo go where the system keeps temporary things: here, that is ours alone.
    let output = command.args(["demo", "--for", "5s"]).env("TMPDIR", temporary.path()).output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(!err.contains("panicked"), "{err}");
    assert!(out.contains("The live page: http://127.0.0.1:"), "{out}");
    for (node, sensor) in SENSORS {
        assert!(out.lines().any(|line| is_reading_of(node, sensor, line)), "no reading of {node}:\n{out}");
    }
    assert_eq!(out.lines().filter(|line| line.starts_with("verified: ")).count(), 2, "{out}");
    assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 0, "a folder stayed behind");
    let alive = processes_that_name(temporary.path());
    assert!(alive.is_empty(), "processes stayed behind: {alive:?}");
}

#[test]
fn the_demo_does_not_touch_a_folder_that_holds_something() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "mine").unwrap();
    let output = program().args(["demo", "--for", "1s", "--keep"]).arg(folder.path()).output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{err}");
    assert!(err.starts_with("clawmesh: ") && err.contains("is not empty"), "{err}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// A demo under way, with a folder for temporary things that is ours alone.
struct Demo {
    temporary: tempfile::TempDir,
    process: Child,
}

impl Demo {
    fn start(length: &str) -> Self {
        let temporary = tempfile::tempdir().expect("the system has room for temporary files");
        let out = File::create(temporary.path().join("out")).expect("the folder is ours");
        let err = File::create(temporary.path().join("err")).expect("the folder is ours");
        let folder = temporary.path().join("tmp");
        fs::create_dir(&folder).expect("the folder is ours");
        let mut command = program();
        let process =
            command.args(["demo", "--for", length]).env("TMPDIR", folder).stdout(out).stderr(err).spawn();
        Self { temporary, process: process.expect("the binary was built for this test") }
    }

    fn wait_for(&mut self, words: &str) {
        until(words, PATIENCE, || {
            assert!(self.process.try_wait().expect("our own child").is_none(), "ended: {}", self.text("err"));
            self.text("out").contains(words).then_some(())
        });
    }

    fn signal(&self, name: &str) {
        signal(&self.process, name);
    }

    fn end(&mut self) -> ExitStatus {
        until("the demo ends", PATIENCE, || self.process.try_wait().expect("our own child"))
    }

    fn text(&self, of: &str) -> String {
        fs::read_to_string(self.temporary.path().join(of)).expect("a text")
    }

    fn expect_nothing_left(&self) {
        let folder = self.temporary.path().join("tmp");
        assert_eq!(fs::read_dir(&folder).expect("the folder is ours").count(), 0, "a folder stayed behind");
        let alive = processes_that_name(&folder);
        assert!(alive.is_empty(), "processes stayed behind: {alive:?}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_demo_that_is_told_to_end_leaves_nothing_behind() {
    for name in signals_that_end_all() {
        let mut demo = Demo::start("10m");
        demo.wait_for("The live page: ");
        demo.signal(name);
        let status = demo.end();
        let err = demo.text("err");
        assert_eq!(status.code(), Some(1), "{name}: {status}: {err}");
        assert!(err.contains("clawmesh: interrupted before the recordings were verified"), "{name}: {err}");
        demo.expect_nothing_left();
    }
}

#[test]
fn a_second_ctrl_c_is_no_recording_that_does_not_replay() {
    let mut demo = Demo::start("10m");
    demo.wait_for("sensor:cpu-load:host");
    demo.signal("INT");
    until("the replays begin", PATIENCE, || demo.text("out").contains("replaying ").then_some(()));
    demo.signal("INT");
    let status = demo.end();
    let (out, err) = (demo.text("out"), demo.text("err"));
    assert!(!err.contains("does not replay"), "{err}");
    // On a fast machine both replays may be over before the second signal comes.
    if status.code() == Some(0) {
        assert_eq!(out.matches("verified: ").count(), 2, "{out}");
    } else {
        assert_eq!(status.code(), Some(1), "{status}: {err}");
        assert!(err.contains("clawmesh: interrupted before the recordings were verified"), "{err}");
    }
    demo.expect_nothing_left();
}

/// A line such as `field-node  sensor:soil-moisture:food-forest  13.9 %  0.3 s  T2`: number, unit, age, tier.
fn is_reading_of(node: &str, sensor: &str, line: &str) -> bool {
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let [name, capability, value, age, "T2", ..] = cells.as_slice() else { return false };
    let is_number_with = |text: &str, unit: &str| {
        text.strip_suffix(unit).is_some_and(|number| number.trim().parse::<f64>().is_ok())
    };
    (*name, *capability) == (node, sensor) && is_number_with(value, "%") && is_number_with(age, "s")
}

/// The command lines of running processes in which `path` stands. Linux only; elsewhere there are none to see.
fn processes_that_name(path: &Path) -> Vec<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_process = |name: &OsStr| name.to_string_lossy().bytes().all(|byte| byte.is_ascii_digit());
    processes
        .filter(|entry| is_process(&entry.file_name()))
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(&*path.to_string_lossy()))
        .collect()
}
