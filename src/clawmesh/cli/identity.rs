//! `clawmesh identity`: who this node is.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_authority::{MeshId, NodeId};
use serde::Serialize;

use super::args::Output;
use super::terminal::{say, say_json};
use crate::config::certificate;
use crate::config::node_file::NodeFile;
use crate::config::settings::NodeConfig;
use crate::config::settings::tls::Tls;
use crate::config::state_dir::StateDir;

#[derive(Serialize)]
struct Identity {
    id: NodeId,
    name: String,
    role: String,
    mesh_name: String,
    mesh_id: MeshId,
    /// Of the certificate the gateway shows, if it has one.
    tls_fingerprint: Option<String>,
    state_dir: PathBuf,
    is_new: bool,
}

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, output: Output) -> anyhow::Result<ExitCode> {
    let dir = StateDir::locate(state_dir)?;
    let config = NodeConfig::load(&dir, NodeFile::default())?;
    let found = crate::config::identity::load_or_create(&dir)?;
    let certificate = match config.tls.value {
        // A node that was told so by a flag has one all the same.
        Tls::Off => certificate::load(&dir)?,
        tls => certificate::wanted(&dir, &tls)?,
    };
    let identity = Identity {
        id: found.key.id(),
        name: config.name.value,
        role: config.role.value,
        mesh_id: MeshId::of_name(&config.mesh_name.value),
        mesh_name: config.mesh_name.value,
        tls_fingerprint: certificate.map(|certificate| certificate.fingerprint),
        state_dir: dir.root().to_owned(),
        is_new: found.is_new,
    };
    if output.json {
        say_json(&identity)?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("id         {}", identity.id));
    say(&format!("name       {}", identity.name));
    say(&format!("role       {}", identity.role));
    say(&format!("mesh       {} ({})", identity.mesh_name, identity.mesh_id.short()));
    if let Some(fingerprint) = &identity.tls_fingerprint {
        say(&format!("tls        {fingerprint}"));
    }
    say(&format!("state dir  {}", identity.state_dir.display()));
    say(&format!("\nAnother node takes our readings after `clawmesh start --trust {}`.", identity.id));
    if let Some(fingerprint) = &identity.tls_fingerprint {
        say(&format!(
            "Another node dials it over TLS with `--peer '{}=wss://HOST:{}|{fingerprint}'`.",
            identity.id, config.port.value
        ));
    }
    Ok(ExitCode::SUCCESS)
}
