//! `clawmesh doctor mesh`: why a node is not connected. `gather` looks at the state dir and at the running node, `causes` judges.

mod causes;
mod gather;

use std::process::ExitCode;

use anyhow::bail;

use super::args::MeshArgs;
use crate::cli::table::{plain, table};
use crate::cli::terminal::{say, say_json};
use crate::config::state_dir::StateDir;
use causes::{Facts, Finding, judge};

use super::{Outcome, word};

/// Runs the command. The exit code is non-zero when a node that is trusted or dialled is not connected.
pub fn run(dir: &StateDir, args: &MeshArgs, json: bool) -> anyhow::Result<ExitCode> {
    let mut facts = gather::gather(dir)?;
    if let Some(peer) = &args.peer {
        only(&mut facts, peer)?;
    }
    let findings = judge(&facts);
    if json {
        say_json(&findings)?;
    } else {
        say(&page(&findings));
    }
    let is_bad = findings.iter().any(|finding| finding.outcome == Outcome::Bad);
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Leaves the nodes that people call like this, or whose id begins so.
fn only(facts: &mut Facts, peer: &str) -> anyhow::Result<()> {
    let begin = peer.to_ascii_lowercase();
    facts.peers.retain(|known| {
        let is_called_so = known.name.as_deref() == Some(peer);
        is_called_so || (!begin.is_empty() && known.id.to_string().starts_with(&begin))
    });
    if facts.peers.is_empty() {
        bail!("no node {peer:?} is trusted, dialled or nearby; `clawmesh doctor mesh` lists all");
    }
    Ok(())
}

fn page(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "no other node is trusted, dialled or nearby; `clawmesh trust add ID` trusts one".to_owned();
    }
    let row = |finding: &Finding| {
        let name = finding.name.as_deref().map_or_else(|| finding.id.short(), plain);
        let cause = finding.cause.map_or("-", causes::Cause::as_str);
        [&*name, word(finding.outcome), cause, &*plain(&finding.sentence)].map(str::to_owned).to_vec()
    };
    table(&["node", "is", "cause", "finding"], &findings.iter().map(row).collect::<Vec<_>>())
}
