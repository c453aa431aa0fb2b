//! `kill -9` in the middle of everything: what was acknowledged is kept, nothing is done twice, every recording replays.
//! Reads what two processes answer and what they leave on disk. Writes temporary folders only.
//! Invariant: which process is killed, and when, follows from a seed; how far it had come then is up to the machine.
//! Not here: how a node is started and asked (`support`), the same promises in virtual time (`lab`).

mod checks;
mod farm;
mod observations;
mod people;
mod proposals;
mod recording;
mod storm;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use crate::support::cli::id_of;
use crate::support::node::Node;

/// Random numbers that are a function of the seed (SplitMix64).
pub struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn within(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.roll() % (range.end - range.start)
    }
}

/// One of the two nodes: what it needs to come up as the same one again.
pub struct Place {
    name: &'static str,
    dir: PathBuf,
    port: u16,
    mode: &'static str,
    settings: Vec<String>,
    node: Option<Node>,
}

impl Place {
    fn new(folder: &Path, name: &'static str, port: u16, node_ron: &str) -> Self {
        let dir = folder.join(name);
        fs::create_dir(&dir).expect("the folder is ours");
        fs::write(dir.join("node.ron"), node_ron).expect("the folder is ours");
        Self { name, dir, port, mode: "start", settings: Vec::new(), node: None }
    }

    fn settle(&mut self, endpoint: &str, other_endpoint: &str, other_id: &str) {
        let port = self.port.to_string();
        let settings =
            ["--port", &port, "--listen", endpoint, "--connect", other_endpoint, "--trust", other_id];
        self.settings.extend(settings.map(str::to_owned));
    }

    fn start(&mut self) {
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        self.node = Some(Node::start_at(self.mode, &self.dir, &settings));
    }

    /// Kills the node; one that ended by itself before is a failed start.
    fn kill(&mut self) {
        let name = self.name;
        let node = self.node();
        if let Some(status) = node.ended() {
            panic!("a {name} ended by itself with {status}: {}", node.log());
        }
        // To drop it is to kill it, and to wait until its lock and its ports are free.
        self.node = None;
    }

    fn node(&mut self) -> &mut Node {
        self.node.as_mut().expect("it was started")
    }

    /// The secret that its gateway wants to see.
    fn token(&self) -> String {
        let token = fs::read_to_string(self.dir.join("gateway.token"));
        token.expect("a node that was started has a token").trim().to_owned()
    }
}

/// Tells each where the other one is, so that they find each other on ports that stay theirs. Their gateways have the
/// first two of the `ports`.
fn introduce(field: &mut Place, center: &mut Place, [_, _, c, d]: [u16; 4]) {
    let (field_endpoint, center_endpoint) = (format!("tcp/127.0.0.1:{c}"), format!("tcp/127.0.0.1:{d}"));
    field.settle(&field_endpoint, &center_endpoint, &id_of(&center.dir));
    center.settle(&center_endpoint, &field_endpoint, &id_of(&field.dir));
}

/// Ports below those the system hands out by itself: nobody takes them while a node is down for a moment. Each storm of this
/// process looks in a range of its own.
fn steady_ports(storm: u16) -> [u16; 4] {
    let first = 20_000 + 5_000 * storm + u16::try_from(std::process::id() % 5_000).expect("below 5,000");
    let mut free = (first..32_000).filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    [0; 4].map(|_| free.next().expect("four of thousands of ports are free"))
}
