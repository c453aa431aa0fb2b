//! `clawmesh info`: a node on one screen, also one that does not run.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clawmesh_authority::{MeshId, NodeId};
use clawmesh_gateway::{Peers, Status};
use serde::Serialize;

use super::args::Target;
use super::client::{Client, block_on};
use super::status::{guests, link, site_words, word};
use super::table::{age, plain};
use super::terminal::{say, say_json};
use super::trust::Known;
use super::world::warn_of_stall;
use crate::config::node_file::NodeFile;
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use crate::config::{identity, operators_file, site_file};

/// A node, for programs.
#[derive(Serialize)]
struct Info {
    id: NodeId,
    name: String,
    role: String,
    mesh: String,
    /// Of the software that it runs, or that would run it.
    version: String,
    is_running: bool,
    /// What its state dir says; absent when another gateway was asked.
    kept: Option<Kept>,
    /// Where its gateway answers; absent while it does not run.
    url: Option<String>,
    /// What it says of itself; absent while it does not run.
    status: Option<Status>,
    /// Whom it dials, and who is there; absent while it does not run.
    peers: Option<Peers>,
}

/// What the state dir says.
#[derive(Serialize)]
struct Kept {
    state_dir: PathBuf,
    /// Where the gateway listens, or would.
    host: String,
    port: u16,
    /// Where other nodes reach it, or would.
    listen: Vec<String>,
    site: String,
    /// How many other nodes it trusts.
    trusted: usize,
    /// How many people are enrolled, and not revoked.
    people: usize,
}

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, target: &Target) -> anyhow::Result<ExitCode> {
    let info = match &target.url {
        Some(_) => of_running(&Client::new(state_dir, target)?)?,
        None => of_state_dir(state_dir, target)?,
    };
    if target.json {
        say_json(&info)?;
    } else {
        say(&page(&info));
    }
    Ok(ExitCode::SUCCESS)
}

fn of_running(client: &Client) -> anyhow::Result<Info> {
    let status: Status = block_on(client.get("/api/status"))?;
    // Before its first picture it knows no peers.
    let has_picture = status.snapshot_age_ms.is_some();
    let peers = has_picture.then(|| block_on(client.get("/api/peers"))).transpose()?;
    warn_of_stall(status.snapshot_age_ms.unwrap_or(0));
    let node = &status.node;
    Ok(Info {
        id: node.id,
        name: node.name.clone(),
        role: node.role.clone(),
        mesh: node.mesh.clone(),
        version: node.version.clone(),
        is_running: true,
        kept: None,
        url: Some(client.url().to_owned()),
        status: Some(status),
        peers,
    })
}

fn of_state_dir(state_dir: Option<PathBuf>, target: &Target) -> anyhow::Result<Info> {
    let dir = StateDir::find(state_dir.clone())?;
    let Some(key) = identity::load(&dir)? else {
        bail!(
            "there is no node in {}; start one with `clawmesh start`, or name another with --state-dir",
            dir.root().display()
        );
    };
    let config = NodeConfig::load(&dir, NodeFile::default())?;
    let kept = kept(&dir, &config)?;
    if dir.is_in_use()? {
        let running = of_running(&Client::new(state_dir, target)?)?;
        return Ok(Info { kept: Some(kept), ..running });
    }
    Ok(Info {
        id: key.id(),
        name: config.name.value,
        role: config.role.value,
        mesh: config.mesh_name.value,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        is_running: false,
        kept: Some(kept),
        url: None,
        status: None,
        peers: None,
    })
}

fn kept(dir: &StateDir, config: &NodeConfig) -> anyhow::Result<Kept> {
    let people = operators_file::load(dir)?;
    Ok(Kept {
        state_dir: dir.root().to_owned(),
        host: config.host.value.to_string(),
        port: config.port.value,
        listen: config.listen.value.clone(),
        site: site_file::load(dir)?.name,
        trusted: Known::load(dir)?.trusted(),
        people: people.iter().filter(|person| !people.is_revoked(&person.id)).count(),
    })
}

fn page(info: &Info) -> String {
    let mut lines = vec![
        format!("name       {}", plain(&info.name)),
        format!("id         {}", info.id),
        format!("role       {}", plain(&info.role)),
        format!("mesh       {} ({})", plain(&info.mesh), MeshId::of_name(&info.mesh).short()),
        format!("version    {}", plain(&info.version)),
        format!("is         {}", state(info)),
    ];
    match (&info.kept, &info.url) {
        (_, Some(url)) => lines.push(format!("gateway    {url}/")),
        (Some(kept), None) => {
            lines.push(format!("gateway    {}, port {}, once it runs", kept.host, kept.port))
        }
        (None, None) => {}
    }
    match (&info.status, &info.kept) {
        (Some(status), _) => lines.push(format!("link       {}", link(&status.link))),
        (None, Some(kept)) => lines.push(format!("link       {}, once it runs", kept.listen.join(", "))),
        (None, None) => {}
    }
    lines.extend(info.kept.as_ref().map(|kept| format!("state dir  {}", kept.state_dir.display())));
    lines.push(format!("site       {}", site(info)));
    lines.push(format!("trusts     {}", trusts(info)));
    if let Some(status) = &info.status {
        let (known, alive) = (status.peers.known, status.peers.alive);
        let dialled = info.peers.as_ref().map_or(0, |peers| peers.dialled.len());
        lines.push(format!("peers      {known} known, {alive} alive"));
        lines.push(format!("guests     {}; {dialled} dialled", guests(&status.guests)));
    }
    lines.join("\n")
}

fn state(info: &Info) -> String {
    match &info.status {
        Some(status) => {
            let stop = status.stop.as_ref().map(|why| format!(", the stop is latched: {}", plain(why)));
            let run = status.node.epoch;
            format!(
                "{} for {}, run {run}{}",
                word(status.state),
                age(status.uptime_ms),
                stop.unwrap_or_default()
            )
        }
        None => "not running; what follows is what its state dir says; `clawmesh start` starts it".to_owned(),
    }
}

fn site(info: &Info) -> String {
    let drawn = info.status.as_ref().and_then(|status| status.site.as_ref());
    match (drawn, &info.kept) {
        (Some(site), _) => site_words(site),
        (None, Some(kept)) => plain(&kept.site),
        (None, None) => "not drawn".to_owned(),
    }
}

fn trusts(info: &Info) -> String {
    match (&info.kept, &info.status) {
        (Some(kept), _) => format!("{} other nodes; {} people are enrolled", kept.trusted, kept.people),
        (None, Some(status)) => {
            let people = status.people.iter().filter(|person| !person.is_revoked).count();
            format!("{} of the nodes it knows; {people} people are enrolled", status.peers.trusted)
        }
        (None, None) => "-".to_owned(),
    }
}
