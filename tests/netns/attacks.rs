//! Attacks that need the machine itself: a farm whose disk fills up while it waters, or takes no writes when it starts. The disk is
//! a small file system of its own, so this needs root.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cli::{approve_on, end_of, id_of, json_on, program, run_on};
use crate::support::node::Node;
use crate::wait::until;

const PATIENCE: Duration = Duration::from_secs(90);
const PUMP: &str = "actuator:pump:pump-main-01";
/// Room for a few minutes of a journal.
const DISK: &str = "size=24m,mode=0700";
const NAMES: [&str; 2] = ["command-center", "field-node"];

/// A file system in memory at a folder.
struct Disk(PathBuf);

impl Disk {
    fn mounted(at: &Path) -> Self {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", DISK, "clawmesh-test"]).arg(at));
        Self(at.to_owned())
    }

    fn remount(&self, how: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0));
    }

    /// Takes all the room there is; what takes it.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut filler = File::create(&path).expect("there is room for one more");
        for bytes in [1 << 20, 4_096, 1] {
            while filler.write_all(&vec![0; bytes]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    let done = command.output().expect("`mount` is there: it belongs to util-linux");
    let why = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "these tests mount a disk of their own and need root: {why}");
}

/// A command center, a farm on a disk of its own, one person who asks and one who says yes.
struct Farm {
    folder: TempDir,
    dirs: [PathBuf; 2],
    nodes: [Option<Node>; 2],
    disk: Disk,
}

impl Farm {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("the system has room for temporary files");
        let dirs = NAMES.map(|name| folder.path().join(name));
        dirs.iter().for_each(|dir| fs::create_dir(dir).expect("the folder is ours"));
        let disk = Disk::mounted(&dirs[1]);
        let ids = [id_of(&dirs[0]), id_of(&dirs[1])];
        let site = include_str!("../../assets/sites/farm.ron").to_owned();
        let site = NAMES.iter().zip(&ids).fold(site, |site, (name, id)| {
            let planned = format!("(name: \"{name}\", ");
            site.replacen(&planned, &format!("{planned}id: \"{id}\", "), 1)
        });
        for dir in &dirs {
            fs::write(dir.join("site.ron"), &site).expect("the folder is ours");
            let policy = include_str!("../../assets/sites/farm.policy.ron");
            fs::write(dir.join("policy.ron"), policy).expect("the folder is ours");
        }
        for (name, role) in [("Ann", "approver"), ("Bo", "operator")] {
            let key = folder.path().join(name);
            let made =
                end_of(program().args(["operator", "new", "--no-passphrase", "--json", "--key"]).arg(key))
                    .out;
            let made: Value = serde_json::from_str(&made).expect("a new key is told in JSON");
            let key = made["public_key"].as_str().expect("a key has a public part");
            json_on(&dirs[1], &["operator", "enroll", key, "--name", name, "--role", role]);
        }
        let mut farm = Self { folder, dirs, nodes: [None, None], disk };
        let here =
            ["--name", NAMES[0], "--role", "command-center", "--mesh-name", "demo", "--trust", &ids[1]];
        farm.nodes[0] = Some(Node::start(&farm.dirs[0], &here));
        farm.start(&ids[0]);
        farm
    }

    /// Starts the farm; the command center runs.
    fn start(&mut self, center: &str) {
        let endpoint = self.nodes[0].as_mut().expect("it was started").endpoint();
        let there = ["--name", NAMES[1], "--mesh-name", "demo", "--connect", &endpoint, "--trust", center];
        let mut node = Node::start_as("plant", &self.dirs[1], &there);
        node.endpoint();
        self.nodes[1] = Some(node);
    }

    fn key(&self, of: &str) -> String {
        self.folder.path().join(of).to_str().expect("a path of ours").to_owned()
    }

    /// Bo asks the farm for water.
    fn ask(&self, for_s: &str) -> (Option<i32>, Value) {
        let steps = ["propose", "valve-food-forest=open", "pump-main-01=start", "--why", "dry", "--json"];
        let said = run_on(&self.dirs[0], &[&steps[..], &["--for", for_s, "--key", &self.key("Bo")]].concat());
        (said.code, serde_json::from_str(&said.out).unwrap_or(Value::String(said.err)))
    }

    /// Bo asks and Ann says yes; the id.
    fn approved(&self, for_s: &str) -> String {
        let asked = until("it is taken", PATIENCE, || {
            let (code, asked) = self.ask(for_s);
            (code == Some(0)).then_some(asked)
        });
        let id = asked["proposal"].as_str().expect("an id").to_owned();
        let card = until("it is offered", PATIENCE, || {
            let shown = self.shown(&id)?;
            Some(shown["proposal"]["offer"]["card"].as_str()?.to_owned())
        });
        let said = approve_on(&self.dirs[0], &id, &card, &["--key", &self.key("Ann")]);
        assert_eq!(said.code, Some(0), "{said:?}");
        id
    }

    fn shown(&self, id: &str) -> Option<Value> {
        let said = run_on(&self.dirs[0], &["show", id, "--json"]);
        (said.code == Some(0)).then(|| serde_json::from_str(&said.out).expect("an answer in JSON"))
    }

    /// What the plant was told, as its side of the wires has logged it.
    fn told(&self, what: &str) -> usize {
        let log = self.nodes[1].as_ref().expect("it was started").log();
        log.lines().filter(|line| line.contains(&format!("the plant is told: {what}"))).count()
    }

    /// The pump runs by a yes, and then this happens to the disk: everything is made safe, and nothing is taken any more.
    fn loses_its_disk(&mut self, happens: impl FnOnce(&Disk)) {
        self.approved("60s");
        until("the pump runs", PATIENCE, || (self.told(&format!("{PUMP} on")) == 1).then_some(()));
        let off = self.told(&format!("{PUMP} off"));
        happens(&self.disk);
        until("the pump is off", Duration::from_secs(20), || {
            (self.told(&format!("{PUMP} off")) > off).then_some(())
        });
        let (code, answer) = until("the farm says why", PATIENCE, || {
            let (code, answer) = self.ask("20s");
            answer.to_string().contains("JOURNAL_UNAVAILABLE").then_some((code, answer))
        });
        assert_eq!(code, Some(1), "{answer}");
        assert_eq!(self.told(&format!("{PUMP} on")), 1, "nothing was switched on again");
    }

    /// The twin: the disk takes writes again, the node is started anew, and the same goes through; no line is lost.
    fn goes_through(&mut self) {
        drop(self.nodes[1].take());
        let center = id_of(&self.dirs[0]);
        self.start(&center);
        let id = self.approved("20s");
        until("it is completed", PATIENCE, || {
            (self.shown(&id)?["proposal"]["state"] == "completed").then_some(())
        });
        let log = json_on(&self.dirs[1], &["audit", "verify"]);
        assert_eq!(log["starts"].as_u64(), Some(2), "{log}");
    }
}

#[test]
fn a_disk_that_fills_up_while_it_waters() {
    let mut farm = Farm::new();
    let mut filler = PathBuf::new();
    farm.loses_its_disk(|disk| filler = disk.fill());
    fs::remove_file(filler).expect("it is ours");
    farm.goes_through();
}

#[test]
fn a_disk_that_takes_no_writes_when_the_farm_starts() {
    let mut farm = Farm::new();
    farm.approved("60s");
    until("the pump runs", PATIENCE, || (farm.told(&format!("{PUMP} on")) == 1).then_some(()));
    // Killed in the middle of it; the machine comes up with a disk that is mounted read-only.
    drop(farm.nodes[1].take());
    farm.disk.remount("ro");
    let said =
        run_on(&farm.dirs[1], &["plant", "--no-discovery", "--port", "0", "--listen", "tcp/127.0.0.1:0"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""), "{said:?}");
    let sentences: Vec<_> = said.err.lines().filter(|line| line.starts_with("clawmesh: ")).collect();
    assert!(matches!(sentences[..], [one] if one.contains("Read-only file system")), "{said:?}");
    assert!(!said.err.contains("the plant is told"), "nothing is driven without a journal: {said:?}");
    farm.disk.remount("rw");
    farm.goes_through();
}
