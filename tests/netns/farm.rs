//! A farm of nodes, each in a network namespace of its own.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::Builder;
use std::time::Duration;

use clawmesh_authority::{MeshId, NodeKey};
use clawmesh_bridge::MeshRoot;
use clawmesh_netlab::plan::{LabPlan, first_address};
use clawmesh_netlab::sentence;
use clawmesh_netlab::tap::Lab;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::wait::until;

/// Generous: the network is bad on purpose, and a build may run beside us.
pub const PATIENCE: Duration = Duration::from_secs(180);
/// A site that tells how to water zones.
const SITE: &str = include_str!("../../assets/sites/farm.ron");
/// How long one request may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// A node on a machine of its own.
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: String,
    role: String,
    /// What its links are made of.
    transport: &'static str,
    /// Its state dir.
    pub dir: PathBuf,
    netns: String,
    process: Option<Child>,
}

/// Machines on one switch.
pub struct Farm {
    /// The switch.
    pub lab: Lab,
    /// The nodes, in the order of their names in the plan.
    pub hosts: Vec<Host>,
    _folder: tempfile::TempDir,
}

impl Farm {
    /// One machine for each name, with the role of its node; no node runs yet. Each trusts all others and has papers of the mesh, as
    /// its links over this transport want.
    pub fn new(lab: &str, transport: &'static str, nodes: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let plan = LabPlan::new(lab, nodes.iter().map(|(name, _)| *name)).expect("the names are good");
        let lab = Lab::start(plan).unwrap_or_else(|fault| panic!("{}", sentence(&fault)));
        let host = |(at, (name, role)): (usize, &(&str, &str))| {
            let (name, role, dir) = ((*name).to_owned(), (*role).to_owned(), folder.path().join(name));
            let (id, netns) = (String::new(), lab.netns(at));
            let mut host = Host { name, id, role, transport, dir, netns, process: None };
            host.id = host.json(&["identity"])["id"].as_str().expect("an id").to_owned();
            host
        };
        let hosts: Vec<Host> = nodes.iter().enumerate().map(host).collect();
        for host in hosts.iter().filter(|host| host.role == "planner") {
            // Who has nothing to plan does not lead.
            fs::write(host.dir.join("site.ron"), SITE).expect("the folder is ours");
        }
        let root = MeshRoot::found(NodeKey::from_secret(&[9; 32]), MeshId::DEFAULT_NAME);
        let root = root.expect("a certificate can be made");
        for host in &hosts {
            host.take_papers(&root);
            for other in hosts.iter().filter(|other| other.id != host.id) {
                host.json(&["trust", "add", &other.id, "--name", &other.name]);
            }
        }
        Self { lab, hosts, _folder: folder }
    }

    /// Tells the switch something.
    pub fn network(&mut self, line: &str) {
        let answer = self.lab.ask(line).expect("the lab goes on");
        assert_eq!(answer["ok"], Value::Bool(true), "{line}: {answer}");
    }

    /// Starts every node; each knows where the others are in the beginning.
    pub fn start(&mut self) {
        for at in 0..self.hosts.len() {
            let others = (0..self.hosts.len()).filter(|other| *other != at);
            let endpoints: Vec<String> = others
                .map(|other| format!("{}/{}:7447", self.hosts[other].transport, first_address(other)))
                .collect();
            self.hosts[at].start(&endpoints);
        }
    }
}

impl Farm {
    /// Starts every node, and none is told where the others are.
    pub fn start_unacquainted(&mut self) {
        self.hosts.iter_mut().for_each(|host| host.start(&[]));
    }
}

impl Host {
    fn command(&self) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.netns, env!("CARGO_BIN_EXE_clawmesh"), "--state-dir"]);
        command.arg(&self.dir).stdin(Stdio::null());
        command
    }

    /// Takes the papers that pairing would give it.
    fn take_papers(&self, root: &MeshRoot) {
        let identity = self.dir.join("identity");
        let key = fs::read_to_string(identity.join("node.pem")).expect("it has a key");
        let papers = root.issue(&NodeKey::from_pem(&key).expect("it is a key").public()).expect("papers");
        fs::write(identity.join("papers.pem"), papers.as_pem().concat()).expect("the folder is ours");
    }

    /// Starts the node; it listens for everybody on its network, dials these endpoints, and looks for existing nodes.
    fn start(&mut self, endpoints: &[String]) {
        let log = File::options().create(true).append(true).open(self.dir.with_extension("log"));
        let mut command = self.command();
        command.args(["start", "--name", &self.name, "--role", &self.role]);
        let listen = format!("{}/0.0.0.0:7447", self.transport);
        command.args(["--host", "0.0.0.0", "--listen", &listen]);
        command.args(endpoints.iter().flat_map(|endpoint| ["--connect", endpoint]));
        command.arg("--stop-with-stdin").stdin(Stdio::piped()).stdout(Stdio::null());
        let child = command.stderr(log.expect("a log can be written")).spawn();
        self.process = Some(child.expect("iproute2 was checked"));
    }

    /// Ends the node in order and waits for that.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        drop(process.stdin.take());
        let status = until("the node ends", PATIENCE, || process.try_wait().expect("our own child"));
        assert!(status.success(), "{}: {status}\n{}", self.name, self.log());
    }

    /// Everything it said on standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default()
    }

    /// What a command that must succeed answers with `--json`.
    pub fn json(&self, args: &[&str]) -> Value {
        self.try_json(args).unwrap_or_else(|said| panic!("{} {args:?}: {said}\n{}", self.name, self.log()))
    }

    /// What a command answers with `--json`, or what it says.
    pub fn try_json(&self, args: &[&str]) -> Result<Value, String> {
        let output = self.command().args(args).arg("--json").output().expect("iproute2 was checked");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if !output.status.success() {
            return Err(text(&output.stderr));
        }
        serde_json::from_slice(&output.stdout).map_err(|why| format!("{why}: {}", text(&output.stdout)))
    }

    /// What its recording says of itself.
    pub fn replayed(&self) -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clawmesh"));
        let output = command.args(["replay", "--verify", "--json"]).arg(&self.dir).output();
        let output = output.expect("the binary was built for this test");
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|why| panic!("{}: {why}: {}", self.name, String::from_utf8_lossy(&output.stderr)))
    }

    /// Notes something; returns when the node has answered that its journal holds it.
    pub fn note(&self, key: &str, value: &str) {
        let body = serde_json::json!({ "key": key, "value": value }).to_string();
        let token = fs::read_to_string(self.dir.join("gateway.token")).expect("a running node has a token");
        let request = format!(
            "POST /api/observations HTTP/1.1\r\nhost: 127.0.0.1:18789\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            token.trim(),
            body.len()
        );
        let netns = Path::new("/run/netns").join(&self.netns);
        let inside = Builder::new().name("ask".to_owned()).spawn(move || ask_inside(&netns, &request));
        let asked = inside.expect("a thread").join().expect("it can be asked");
        assert!(asked.starts_with("HTTP/1.1 201"), "{} {key}: {asked}", self.name);
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The answer of the gateway inside a namespace, which this thread does not leave again.
fn ask_inside(netns: &Path, request: &str) -> String {
    let netns = File::open(netns).expect("the namespace is there");
    move_into_link_name_space(netns.as_fd(), Some(LinkNameSpaceType::Network)).expect("a lab runs as root");
    let mut stream = TcpStream::connect("127.0.0.1:18789").expect("a running node listens");
    stream.set_read_timeout(Some(ANSWER_WITHIN)).expect("it is no zero");
    stream.write_all(request.as_bytes()).expect("the request is small");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer is text");
    answer
}
