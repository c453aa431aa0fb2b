//! `clawmesh pair`: two people make their nodes trust each other, and the one that joins is given its papers.

pub mod args;
mod host;
mod join;
mod line;
mod talk;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clawmesh_authority::pairing::{About, Meeting, Nonce};
use clawmesh_authority::{MeshId, NodeId, NodeKey};
use serde::Serialize;

use super::table::plain;
use super::terminal::{say, say_json};
use crate::config::error::ConfigError;
use crate::config::identity::{self, random_secret};
use crate::config::node_file::NodeFile;
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use crate::config::trust_file;
use crate::moments::{now, system_time};
use args::PairArgs;

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &PairArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::locate(state_dir)?;
    let config = NodeConfig::load(&dir, NodeFile::default())?;
    let own = Own {
        key: identity::load_or_create(&dir)?.key,
        dir,
        about: About { mesh_name: config.mesh_name.value, name: config.name.value },
        called: args.name.as_deref().map(trust_file::name_of).transpose().map_err(anyhow::Error::msg)?,
        until: now() + Duration::from_secs(args.window),
    };
    let paired = match &args.address {
        Some(address) => join::join(&own, address)?,
        None => host::accept(&own, args.listen)?,
    };
    if args.output.json {
        say_json(&paired)?
    } else {
        paired.say()
    }
    Ok(ExitCode::SUCCESS)
}

/// The node at which the command is run.
struct Own {
    dir: StateDir,
    key: NodeKey,
    about: About,
    /// What people here call the other node, if they say so.
    called: Option<String>,
    /// When the time is over.
    until: Instant,
}

impl Own {
    fn nonce(&self) -> Result<Nonce, ConfigError> {
        random_secret("pairing")
    }

    /// Trusts the node of the meeting from now on.
    fn trusting(&self, meeting: &Meeting, is_issuer: bool) -> anyhow::Result<Paired> {
        let id = meeting.peer().id();
        let mut notes = Vec::new();
        let wanted = self.called.clone().or_else(|| trust_file::name_of(&meeting.about().name).ok());
        let name = trust_file::update(&self.dir, |list| {
            let is_taken = |name: &String| {
                list.iter().any(|(other, peer)| *other != id && peer.name.as_ref() == Some(name))
            };
            let name = wanted.filter(|name| !is_taken(name));
            if name.is_none() {
                notes.push(
                    "another node has this name here; `clawmesh trust add ID --name NAME` gives it one"
                        .to_owned(),
                );
            }
            list.add(id, name, system_time()).map_err(anyhow::Error::msg)?;
            Ok::<_, anyhow::Error>(list.get(&id).and_then(|peer| peer.name.clone()))
        })?;
        Ok(Paired {
            peer: id,
            name,
            mesh_name: self.about.mesh_name.clone(),
            mesh_id: self.about.mesh(),
            code: meeting.code().to_string(),
            is_issuer,
            trust_file: self.dir.trust_file(),
            papers_file: self.dir.papers_file(),
            notes,
        })
    }
}

/// What it has come to, for programs.
#[derive(Debug, Serialize)]
struct Paired {
    /// The other node.
    peer: NodeId,
    /// What people here call it.
    name: Option<String>,
    mesh_name: String,
    mesh_id: MeshId,
    /// What both screens showed.
    code: String,
    /// True at the side that has issued the papers.
    is_issuer: bool,
    trust_file: PathBuf,
    papers_file: PathBuf,
    notes: Vec<String>,
}

impl Paired {
    fn say(&self) {
        let name = self.name.as_deref().map_or_else(String::new, |name| format!("  ({})", plain(name)));
        say(&format!("paired      {}{name}", self.peer));
        say(&format!("mesh        {} ({})", plain(&self.mesh_name), self.mesh_id.short()));
        say(&format!("written to  {}", self.trust_file.display()));
        say(&format!("papers      {}", self.papers_file.display()));
        self.notes.iter().for_each(|note| say(&format!("note: {}", plain(note))));
    }
}
