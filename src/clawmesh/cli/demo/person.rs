//! The person of the demo: a key of their own outside both state dirs, enrolled at the console of the owner by the
//! same commands that anybody else would type. Only the yes, which others type at a terminal, the demo says in its own process.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clawmesh_authority::{ContentHash, ProposalId};
use serde::Deserialize;

use crate::cli::passphrase::unlocked;
use crate::cli::proposals::approve_in_demo;
use crate::config::operator_key;

#[derive(Deserialize)]
struct NewKey {
    public_key: String,
}

/// A person with a key.
pub struct Person {
    key: PathBuf,
}

impl Person {
    /// Makes their key in `folder` and has them enrolled as an approver at the node of `owner`.
    pub fn enrolled(folder: &Path, owner: &Path) -> anyhow::Result<Self> {
        let key = folder.join("person").join("operator.key");
        let new = clawmesh(None, &["operator", "new", "--no-passphrase", "--json", "--key"], Some(&key))?;
        let NewKey { public_key } = serde_json::from_str(&new).context("`operator new` answers otherwise")?;
        let role = ["operator", "enroll", &public_key, "--name", "the demo's operator", "--role", "approver"];
        clawmesh(Some(owner), &role, None)?;
        Ok(Self { key })
    }

    /// Approves a card at the node of `center`, in their place: `clawmesh approve` wants somebody at a terminal. Gives what was said.
    pub fn approve(&self, center: &Path, proposal: ProposalId, card: ContentHash) -> anyhow::Result<String> {
        let key = unlocked(operator_key::load(&self.key)?)?;
        let words = approve_in_demo(center, key, &proposal.to_string(), &card.to_string())?;
        Ok(format!("The demo plays its operator, with a key it made for itself, and says yes: {words}"))
    }
}

/// Runs a command of this very program.
fn clawmesh(state_dir: Option<&Path>, args: &[&str], file: Option<&Path>) -> anyhow::Result<String> {
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(dir) = state_dir {
        command.arg("--state-dir").arg(dir);
    }
    command.args(args).args(file).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("cannot run `clawmesh {}`", args[0]))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`clawmesh {}` failed: {}", args[0], said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
