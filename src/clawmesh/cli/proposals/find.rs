//! The proposals and nodes that a node knows, and the one of them that is meant.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clawmesh_authority::{Capability, NodeId, OperatorId, ProposalId};
use clawmesh_core::publish::{NodeView, PersonView, ProposalView};
use clawmesh_gateway::{Peers, Proposals};
use clawmesh_twin::site::{Actuator, Plan};

use crate::cli::client::Client;
use crate::cli::table::plain;
use crate::cli::wording::steps::actuator_called;
use crate::cli::world::warn_of_stall;
use crate::config::site_file;
use crate::config::state_dir::StateDir;

/// A shorter beginning of an id or of a hash names nothing: too many others share it.
pub const PREFIX_CHARACTERS_MIN: usize = 8;

/// Asks a node for the proposals it knows, and tells when its tick stands still.
pub async fn known_to(client: &Client) -> anyhow::Result<Proposals> {
    let known: Proposals = client.get("/api/proposals").await?;
    warn_of_stall(known.snapshot_age_ms);
    Ok(known)
}

/// The one proposal whose id begins with `wanted`.
///
/// # Errors
/// A sentence, when that is no beginning of an id, of none, or of several.
pub fn called<'a>(known: &'a Proposals, wanted: &str) -> anyhow::Result<&'a ProposalView> {
    let begins = beginning(wanted, "a proposal", "clawmesh proposals --all")?;
    let begins_so = |view: &&ProposalView| view.report.id.to_string().starts_with(&begins);
    let found: Vec<&ProposalView> = known.proposals.iter().filter(begins_so).collect();
    match found[..] {
        [one] => return Ok(one),
        [] => bail!(
            "no proposal known here has an id that begins with {wanted:?}; see `clawmesh proposals --all`"
        ),
        _ => {}
    }
    let ids: BTreeSet<ProposalId> = found.iter().map(|view| view.report.id).collect();
    // What this node says of its own is no hearsay.
    match found.iter().find(|view| view.is_own) {
        Some(own) if ids.len() == 1 => Ok(own),
        _ if ids.len() == 1 => {
            bail!("several nodes claim to be the home of {wanted}; ask its owner with --url")
        }
        _ => {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            bail!(
                "{} proposals have an id that begins with {wanted:?}; give more of it: {}",
                ids.len(),
                ids.join(", ")
            )
        }
    }
}

/// The one person whose id begins with `wanted`.
///
/// # Errors
/// A sentence, when that is no beginning of an id, of none, or of several.
pub fn person_called(people: &[PersonView], wanted: &str) -> anyhow::Result<OperatorId> {
    let begins = beginning(wanted, "a person", "clawmesh status")?;
    let mut found = people.iter().filter(|person| person.id.to_string().starts_with(&begins));
    match (found.next(), found.next()) {
        (Some(one), None) => Ok(one.id),
        (None, _) => {
            bail!("nobody who is enrolled has an id that begins with {begins:?}; see `clawmesh status`")
        }
        _ => bail!(
            "several people have an id that begins with {begins:?}; give more of it, see `clawmesh status`"
        ),
    }
}

/// A node that can be told something: the one that is asked, or one it trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reachable {
    /// Its id.
    pub id: NodeId,
    /// What it calls itself, if it has said so.
    pub name: Option<String>,
    /// True for the one that is asked, and for others that are heard.
    pub is_alive: bool,
}

impl Reachable {
    /// The node that is asked.
    pub fn own(node: &NodeView) -> Self {
        Self { id: node.id, name: Some(node.name.clone()), is_alive: true }
    }

    /// The node that is asked and those it trusts; a stranger could call itself anything.
    pub async fn all(client: &Client, node: &NodeView) -> anyhow::Result<Vec<Self>> {
        let others: Peers = client.get("/api/peers").await?;
        warn_of_stall(others.snapshot_age_ms);
        let trusted = others.peers.into_iter().filter(|peer| peer.trusted && peer.id != node.id);
        let others =
            trusted.map(|peer| Self { id: peer.id, is_alive: peer.liveness == "alive", name: peer.name });
        Ok([Self::own(node)].into_iter().chain(others).collect())
    }

    /// What people call it.
    pub fn called(&self) -> String {
        self.name.as_deref().map_or_else(|| self.id.short(), plain)
    }
}

/// True when `wanted` is the name of a node, or the beginning of its id.
pub fn names_node(wanted: &str, name: Option<&str>, id: NodeId) -> bool {
    let begins = wanted.to_ascii_lowercase();
    name == Some(wanted) || (begins.len() >= PREFIX_CHARACTERS_MIN && id.to_string().starts_with(&begins))
}

/// The one node that is called `wanted`.
///
/// # Errors
/// A sentence, when none or several are.
pub fn node_called<'a>(nodes: &'a [Reachable], wanted: &str) -> anyhow::Result<&'a Reachable> {
    let is_meant = |node: &&Reachable| names_node(wanted, node.name.as_deref(), node.id);
    let found: Vec<&Reachable> = nodes.iter().filter(is_meant).collect();
    match found[..] {
        [one] => Ok(one),
        [] => bail!(
            "no trusted node is called {wanted:?}; give its name or at least {PREFIX_CHARACTERS_MIN} characters of its id, \
             see `clawmesh peers`"
        ),
        _ => {
            let ids: Vec<String> = found.iter().map(|node| node.id.to_string()).collect();
            bail!("{} nodes are called {wanted:?}; give the id of one: {}", ids.len(), ids.join(", "))
        }
    }
}

/// The beginning of an id or of a hash as somebody typed it, in lower case.
///
/// # Errors
/// A sentence, when it is none or too short to name `what`; `listing` shows what there is.
pub fn beginning(wanted: &str, what: &str, listing: &str) -> anyhow::Result<String> {
    let begins = wanted.trim().to_ascii_lowercase();
    if !begins.chars().all(|c| c.is_ascii_hexdigit()) {
        bail!("{wanted:?} has characters other than 0-9 and a-f, so it cannot name {what}; see `{listing}`");
    }
    if begins.len() < PREFIX_CHARACTERS_MIN {
        bail!(
            "{wanted:?} is too short to name {what}; give at least {PREFIX_CHARACTERS_MIN} characters, see `{listing}`"
        );
    }
    Ok(begins)
}

/// The node that owns an actuator, as the site has it.
///
/// # Errors
/// A sentence, when the site does not say its id.
pub fn owner_of(actuator: &Actuator, plan: &Plan) -> anyhow::Result<NodeId> {
    let name = &actuator.owner;
    let entry = plan.nodes.iter().find(|node| node.name == *name).and_then(|node| node.id.as_deref());
    let id = entry.with_context(|| {
        format!("site.ron does not say the id of {name}, which owns {}; write it there", actuator.of)
    })?;
    Ok(id.parse()?)
}

/// Something that the site of a state dir switches, and the node that owns it.
///
/// # Errors
/// A sentence, when the site has no plan, switches no such thing, or does not say the id of its owner.
pub fn at_site(state_dir: Option<PathBuf>, name: &str) -> anyhow::Result<(Capability, NodeId)> {
    let dir = StateDir::find(state_dir)?;
    let site = site_file::load(&dir)?;
    let plan = site.plan.as_ref().with_context(|| {
        format!("the site has no `plan`, so nobody owns anything there: {}", dir.site_file().display())
    })?;
    let entry = actuator_called(name, plan)?;
    Ok((Capability::new(&entry.capability)?, owner_of(entry, plan)?))
}
