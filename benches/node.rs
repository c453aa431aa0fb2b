//! What an idle node costs, and how soon after its start it answers: a command center, or a field node as it is built for
//! field hardware.
//!
//! `cargo bench -p clawmesh --bench node`
//! `cargo bench -p clawmesh --no-default-features --features field --bench node`
//!
//! Runs the real binary, with the features of the bench. Reads `/proc`, so it works on Linux only.
#![expect(clippy::print_stdout, reason = "a bench talks to the terminal")]
#![expect(clippy::disallowed_methods, reason = "a bench measures with the monotonic clock")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const STARTS: usize = 15;
const ANSWER_MS_MAX: f64 = 300.0;
/// A build without a planner is one for the field.
const ROLE: &str = if cfg!(feature = "planner") { "command-center" } else { "field" };
const RESIDENT_MB_MAX: f64 = if cfg!(feature = "planner") { 80.0 } else { 40.0 };
const CORE_PERCENT_MAX: f64 = 3.0;
const IDLE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(10);
/// Clock ticks a second in `/proc/<pid>/stat`; fixed on Linux for programs like this one.
const CPU_TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let mut answers: Vec<f64> = (0..STARTS).map(|_| start_to_answer_ms()).collect();
    answers.sort_by(f64::total_cmp);
    let (median, worst) = (answers[STARTS / 2], answers[STARTS - 1]);
    println!(
        "launch of a {ROLE} to /api/status: median {median:.0} ms, worst of {STARTS} {worst:.0} ms (at most {ANSWER_MS_MAX:.0} ms)"
    );
    assert!(worst <= ANSWER_MS_MAX, "too slow");
    idle();
}

fn start(dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_clawmesh"))
        .arg("--state-dir")
        .arg(dir)
        .args(["--log", "error", "start", "--port", "0", "--listen", "tcp/127.0.0.1:0"])
        .args(["--role", ROLE, "--stop-with-stdin"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// Ends the node as a closed terminal would.
fn stop(mut node: Child) {
    drop(node.stdin.take());
    let status = node.wait().expect("the node can be waited for");
    assert!(status.success(), "the node ended with {status}");
}

fn start_to_answer_ms() -> f64 {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let begun = Instant::now();
    let node = start(dir.path());
    while !answers(dir.path()) {
        assert!(begun.elapsed() < PATIENCE, "the node does not answer");
        thread::sleep(Duration::from_millis(1));
    }
    let elapsed_ms = begun.elapsed().as_secs_f64() * 1_000.0;
    stop(node);
    elapsed_ms
}

fn answers(dir: &Path) -> bool {
    let read = |name: &str| fs::read_to_string(dir.join(name)).ok().map(|text| text.trim().to_owned());
    let (Some(address), Some(token)) = (read("gateway.address"), read("gateway.token")) else { return false };
    let Ok(mut stream) = TcpStream::connect(&address) else { return false };
    let request = format!(
        "GET /api/status HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

fn idle() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let node = start(dir.path());
    let begun = Instant::now();
    while !answers(dir.path()) {
        assert!(begun.elapsed() < PATIENCE, "the node does not answer");
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_secs(3));
    let (before, since) = (cpu_seconds(node.id()), Instant::now());
    thread::sleep(IDLE);
    let share = (cpu_seconds(node.id()) - before) / since.elapsed().as_secs_f64() * 100.0;
    let resident_mb = resident_kib(node.id()) as f64 * 1_024.0 / 1e6;
    println!(
        "idle at 50 Hz: {resident_mb:.0} MB resident (under {RESIDENT_MB_MAX:.0}), {share:.1} % of a core (under {CORE_PERCENT_MAX:.0})"
    );
    stop(node);
    assert!(resident_mb < RESIDENT_MB_MAX && share < CORE_PERCENT_MAX, "too much");
}

fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the node runs");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    // User and system time are fields 14 and 15 of the line; the name and the pid are cut off here.
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / CPU_TICKS_PER_SECOND
}

fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the node runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
