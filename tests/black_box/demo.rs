//! The first command a newcomer types.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::support::cli::program;

const NODES: [&str; 2] = ["command-center", "field-node"];

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
    for node in NODES {
        assert!(out.lines().any(|line| is_reading_of(node, line)), "no reading of {node}:\n{out}");
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

/// A line such as `field-node  sensor:cpu-load:host  12.5 %  0.3 s  T2`: number, unit, age, tier.
fn is_reading_of(node: &str, line: &str) -> bool {
    let cells: Vec<&str> = line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let [name, "sensor:cpu-load:host", value, age, "T2", ..] = cells.as_slice() else { return false };
    let is_number_with = |text: &str, unit: &str| {
        text.strip_suffix(unit).is_some_and(|number| number.trim().parse::<f64>().is_ok())
    };
    *name == node && is_number_with(value, "%") && is_number_with(age, "s")
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
