//! A node with a site that maps what foreign programs say, and what it makes of it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::node::Node;
use crate::support::wait::until;

/// How long a sample may take to show. Generous: a build may run beside us.
pub const PATIENCE: Duration = Duration::from_secs(20);

const SITE: &str = r#"(
    name: "orchard",
    mappings: [
        (key_expr: "orchard/moisture/1", sensor: "sensor:soil-moisture:zone-1", decoder: Number,
         quantity: "soil moisture", unit: "%", period_ms: 1000, range: (0.0, 100.0)),
        (key_expr: "orchard/weather", sensor: "sensor:temperature:mast", decoder: JsonPointer("/air/celsius"),
         quantity: "air temperature", unit: "Cel", period_ms: 1000, range: (-40.0, 60.0)),
    ],
)"#;

/// A node with a site.
pub struct Site {
    /// The node.
    pub node: Node,
    /// Where its zenoh session listens.
    pub endpoint: String,
    _folder: TempDir,
}

impl Site {
    /// Starts the node.
    pub fn start() -> Self {
        let (folder, dir) = prepare();
        let mut node = Node::start(&dir, &[]);
        let endpoint = node.endpoint();
        Self { node, endpoint, _folder: folder }
    }

    /// What the world says of a sensor, once `is_it` holds for it.
    pub fn sensor(&self, name: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        until(&format!("{name} as expected"), PATIENCE, || {
            let world = self.node.ask(&["world", name]);
            world["sensors"].as_array()?.iter().find(|row| row["sensor"] == name && is_it(row)).cloned()
        })
    }
}

/// A state dir with the site.
fn prepare() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("the system has room for temporary files");
    let dir = folder.path().join("node");
    fs::create_dir(&dir).expect("the folder is ours");
    fs::write(dir.join("site.ron"), SITE).expect("the folder is ours");
    (folder, dir)
}

/// How often a node refused anything with `code`.
pub fn refused(node: &Node, code: &str) -> u64 {
    let status = node.ask(&["status"]);
    let rows = status["refusals"].as_array().into_iter().flatten();
    rows.filter(|row| row["code"] == code).filter_map(|row| row["count"].as_u64()).sum()
}

/// Waits until a node has refused something with `code` at least `count` times.
pub fn wait_refused(node: &Node, code: &str, count: u64) {
    until(&format!("{count} times {code}"), PATIENCE, || (refused(node, code) >= count).then_some(()));
}
