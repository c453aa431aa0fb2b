//! `clawmesh papers`: papers for what is in the mesh and is not paired.

pub mod args;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clawmesh_authority::{MeshId, NodeId, NodeKey};
use clawmesh_bridge::{Part, RouterFiles, router_settings};
use serde::Serialize;

use super::args::Output;
use super::terminal::{say, say_json};
use super::trust::{Exported, command_for};
use crate::config::durable_file::create_atomic;
use crate::config::node_file::NodeFile;
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use crate::config::{identity, key_file, papers, trust_file};
use crate::moments::system_time;
use args::{PapersCommand, RouterArgs};

const FILES: RouterFiles = RouterFiles { root: "mesh.pem", certificate: "router.pem", key: "router.key" };
const SETTINGS: &str = "zenohd.json5";

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, command: PapersCommand) -> anyhow::Result<ExitCode> {
    match command {
        PapersCommand::Router(args) => router(&StateDir::find(state_dir)?, &args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What was made, for programs.
#[derive(Serialize)]
struct Made {
    /// What the router is called in its certificate: the hash of its key.
    id: NodeId,
    name: String,
    mesh_name: String,
    /// The folder with everything.
    out: PathBuf,
    /// The nodes it lets in, this one among them.
    nodes: BTreeSet<NodeId>,
    /// What every other node has to be told.
    command: String,
}

fn router(dir: &StateDir, args: &RouterArgs) -> anyhow::Result<()> {
    let name = trust_file::name_of(&args.name).map_err(anyhow::Error::msg)?;
    let config = NodeConfig::load(dir, NodeFile::default())?;
    let mesh_name = config.mesh_name.value;
    let Some(own) = identity::load(dir)? else {
        bail!("there is no node in {} yet; `clawmesh start` makes one", dir.root().display());
    };
    if trust_file::load(dir)?.iter().any(|(_, peer)| peer.name.as_ref() == Some(&name)) {
        bail!(
            "somebody is called {name:?} here already, see `clawmesh trust list`; give the router another name"
        );
    }
    let Some(root) = papers::root(dir, &own, &mesh_name)? else {
        bail!(
            "another node issues the papers of the mesh {mesh_name:?}, the one at which this node joined it; run `clawmesh papers \
             router` there"
        );
    };
    fs::create_dir(&args.out).with_context(|| {
        format!("cannot make {}; name a folder that is not there yet, in one that is", args.out.display())
    })?;
    let key: Option<NodeKey> = key_file::create("key of the router", &args.out.join(FILES.key))?;
    let key = key.with_context(|| format!("somebody else writes to {}", args.out.display()))?;
    let [certificate, of_mesh] = root.issue(&key.public()).map_err(anyhow::Error::msg)?.as_pem();
    let mut nodes = config.trusted.value;
    nodes.insert(own.id());
    let settings = router_settings(MeshId::of_name(&mesh_name), &nodes, &config.parts, FILES);
    let settings = format!("{}{:#}\n", head(&name, &mesh_name), settings);
    for (file, content) in [(FILES.certificate, certificate), (FILES.root, of_mesh), (SETTINGS, settings)] {
        write_new(&args.out.join(file), &content)?;
    }
    let id = key.id();
    trust_file::update(dir, |list| {
        list.add(id, Some(name.clone()), system_time()).map_err(anyhow::Error::msg)?;
        list.set_part(id, Part::Router);
        Ok::<_, anyhow::Error>(())
    })?;
    let command =
        command_for("clawmesh", &Exported { id, name: Some(name.clone()), part: Some(Part::Router) });
    Made { id, name, mesh_name, out: args.out.clone(), nodes, command }.say(args.output)
}

/// What the settings begin with, for whoever opens them.
fn head(name: &str, mesh_name: &str) -> String {
    format!(
        "// The zenoh router {name:?} of the mesh {mesh_name:?}. Run it in this folder: zenohd -c {SETTINGS}\n\
         // It lets in the nodes that are named below. When others are to be let in, or no longer, make new papers.\n"
    )
}

fn write_new(path: &Path, content: &str) -> anyhow::Result<()> {
    if !create_atomic(path, content.as_bytes())? {
        bail!("{} is there already, and somebody else has made it", path.display());
    }
    Ok(())
}

impl Made {
    fn say(&self, output: Output) -> anyhow::Result<()> {
        if output.json {
            return say_json(self);
        }
        say(&format!("router      {}  ({})", self.id, self.name));
        say(&format!("written to  {}", self.out.display()));
        say(&format!(
            "lets in     {} nodes of the mesh {:?}, and nobody else",
            self.nodes.len(),
            self.mesh_name
        ));
        say(&format!("At every other node:\n{}", self.command));
        say(&format!(
            "At the machine of the router, in that folder, whose key is a secret:\nzenohd -c {SETTINGS}"
        ));
        Ok(())
    }
}
