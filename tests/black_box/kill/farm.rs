//! The shipped farm as two processes that can be killed, and the people who are enrolled at its field node.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clawmesh_authority::{ContentHash, MeshId, NodeId, OperatorKey};
use clawmesh_core::publish::ProposalView;
use serde::Deserialize;
use serde_json::Value;

use super::{Place, introduce, steady_ports};
use crate::support::cli::{id_of, json_on};
use crate::support::wait::until;

/// How long the valve and the pump of a zone run, seconds. The plant takes ten times as long.
pub const RUN_S: f64 = 2.0;
const PLANT_SPEED: &str = "10";
const PATIENCE: Duration = Duration::from_secs(30);
const SITE: &str = include_str!("../../../assets/sites/farm.ron");
const POLICY: &str = include_str!("../../../assets/sites/farm.policy.ron");
/// The shipped farm is watered for no less than twenty seconds at a time, and its dry zones for twenty minutes.
const SHORTER: [(&str, &str); 2] = [("Number(20, 2400)", "Number(1, 2400)"), ("for_s: 1200", "for_s: 2")];

/// Both nodes and what everybody at the farm knows of them.
pub struct Farm {
    /// The owner of all actuators.
    pub field: Place,
    /// The node that looks and asks.
    pub center: Place,
    /// The people, each with a key of their own.
    pub people: Vec<Person>,
    /// What a proposal has to name.
    pub home: Home,
}

/// The mesh, the owner of all actuators and its site.
#[derive(Clone, Copy)]
pub struct Home {
    /// The mesh.
    pub mesh: MeshId,
    /// The field node.
    pub owner: NodeId,
    /// Its site, by its content.
    pub site: ContentHash,
}

/// Somebody who may propose and answer.
pub struct Person {
    /// The name they are enrolled under.
    pub name: &'static str,
    /// The file of their key, outside both state dirs.
    pub file: PathBuf,
    /// Their key.
    pub key: OperatorKey,
}

/// The gateway of one of the nodes, as a program calls it, whether somebody listens or not.
#[derive(Clone)]
pub struct Door {
    /// The node behind it.
    pub node: NodeId,
    port: u16,
    token: String,
}

impl Farm {
    /// Both nodes, running, with everybody enrolled and everything measured.
    pub fn start(folder: &Path) -> Self {
        let ports = steady_ports(1);
        let mut field = Place::new(folder, "field-node", ports[0], "()");
        let mut center = Place::new(folder, "command-center", ports[1], "()");
        field.mode = "plant";
        field.settings.extend(["--speed", PLANT_SPEED].map(str::to_owned));
        center.settings.extend(["--role", "command-center", "--name", "command-center"].map(str::to_owned));
        introduce(&mut field, &mut center, ports);
        for place in [&field, &center] {
            give_farm(&place.dir, &[&center, &field]);
        }
        let names = ["Ann", "Bo", "Cy", "Di", "Ed"];
        let people = names.map(|name| enrolled(folder, &field.dir, name)).into();
        field.start();
        center.start();
        field.node().endpoint();
        center.node().endpoint();
        let home = home_at(&field.dir);
        Self { field, center, people, home }
    }

    /// The gateways of the field node and of the command center.
    pub fn doors(&self) -> [Door; 2] {
        [&self.field, &self.center].map(|place| Door {
            node: id_of(&place.dir).parse().expect("an id"),
            port: place.port,
            token: place.token(),
        })
    }
}

/// The site, in which these nodes have their places, and the policy.
fn give_farm(dir: &Path, nodes: &[&Place]) {
    let shorter =
        |text: &str| SHORTER.iter().fold(text.to_owned(), |text, (long, short)| text.replace(long, short));
    let site = nodes.iter().fold(shorter(SITE), |text, place| {
        let planned = format!("(name: \"{}\", ", place.name);
        text.replacen(&planned, &format!("{planned}id: \"{}\", ", id_of(&place.dir)), 1)
    });
    fs::write(dir.join("site.ron"), site).expect("the folder is ours");
    fs::write(dir.join("policy.ron"), shorter(POLICY)).expect("the folder is ours");
}

fn enrolled(folder: &Path, owner: &Path, name: &'static str) -> Person {
    let file = folder.join(format!("{name}.key"));
    let path = file.to_str().expect("a path in UTF-8");
    // The test signs with it too, so it brings the key; in the form of earlier builds, which is still read.
    let key = OperatorKey::from_secret(&ContentHash::of("clawmesh/test-key", name.as_bytes()).0);
    crate::proposals::stand_in::secret_file(&file, &key.to_pem().expect("a key has a text"));
    // The state dir is for the nodes; a person has none.
    let said = crate::support::cli::end_of(
        crate::support::cli::program().args(["operator", "show", "--key", path, "--json"]),
    );
    let made: Value = serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{why}: {said:?}"));
    let public = made["public_key"].as_str().expect("a key has a public half");
    json_on(owner, &["operator", "enroll", public, "--name", name, "--role", "approver"]);
    Person { name, key, file }
}

fn home_at(field: &Path) -> Home {
    let status = json_on(field, &["status"]);
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("no text in {status:#}")).to_owned();
    Home {
        mesh: MeshId::of_name(&text(&status["node"]["mesh"])),
        owner: text(&status["node"]["id"]).parse().expect("an id"),
        site: serde_json::from_value(status["site"]["site_hash"].clone()).expect("a hash"),
    }
}

#[derive(Deserialize)]
struct Shown {
    proposals: Vec<ProposalView>,
}

impl Door {
    /// What the owner has said of its proposals; nothing while nobody listens.
    pub fn proposals(&self, owner: NodeId) -> Option<Vec<ProposalView>> {
        let (200, body) = self.call("GET", "/api/proposals", "", &[])? else { return None };
        let shown: Shown = serde_json::from_slice(&body).expect("proposals in JSON");
        Some(shown.proposals.into_iter().filter(|view| view.home == owner).collect())
    }

    /// An answer in JSON, with its status code; nothing while nobody listens, or when the node ended before it had
    /// answered.
    pub fn json(&self, method: &str, path: &str, body: &[u8]) -> Option<(u16, Value)> {
        let (code, body) = self.call(method, path, "application/cbor", body)?;
        serde_json::from_slice(&body).ok().map(|body| (code, body))
    }

    fn call(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Bearer {}\r\ncontent-type: {kind}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n",
            self.port,
            self.token,
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|part| part == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
        let body = answer[end + 4..].to_vec();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        // A node that was killed may leave half an answer.
        (length.parse() == Ok(body.len())).then_some(())?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body))
    }
}

/// Waits until the field node has read back all that it owns, and everything is off.
pub fn expect_all_off(field: &Path) {
    until("every actuator is off, read back", PATIENCE, || {
        let world = json_on(field, &["world"]);
        let rows = world["actuators"].as_array()?;
        let is_off = |row: &Value| row["position"] == "off" && row["answers"] == true;
        (rows.len() == 5 && rows.iter().all(is_off)).then_some(())
    });
}
