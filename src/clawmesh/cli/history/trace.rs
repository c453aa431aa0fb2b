//! `clawmesh trace`: what followed from a context frame or from a proposal.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_gateway::{ChainView, Chains};

use super::args::TraceArgs;
use crate::cli::client::{Client, block_on, with_query};
use crate::cli::table::{age, plain, table};
use crate::cli::terminal::{say, say_json};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &TraceArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let id = args.proposal.as_ref().or(args.id.as_ref());
    if id.is_some_and(|id| id.trim().is_empty()) {
        anyhow::bail!("the id is blank; `clawmesh trace` without one lists the newest");
    }
    let is_proposal = args.proposals || args.proposal.is_some();
    let asked = [
        ("limit", Some(args.limit.to_string())),
        ("id", id.map(|id| id.trim().to_owned())),
        ("stage", args.stage.clone()),
        ("proposals", is_proposal.then(|| "true".to_owned())),
    ];
    let found: Chains = block_on(client.get(&with_query("/api/trace", &asked)?))?;
    if args.target.json {
        say_json(&found)?;
    } else if id.is_some() {
        say(&found.chains.iter().map(|chain| story(chain, found.now_ms)).collect::<Vec<_>>().join("\n\n"));
    } else {
        say(&page(&found));
    }
    Ok(ExitCode::SUCCESS)
}

fn word(chain: &ChainView) -> &'static str {
    if chain.is_proposal { "proposal" } else { "frame" }
}

/// One chain, a line for each step.
fn story(chain: &ChainView, now_ms: u64) -> String {
    let rows: Vec<_> = chain
        .steps
        .iter()
        .map(|step| {
            let when = format!("{} ago", age(now_ms.saturating_sub(step.at_ms)));
            vec![when, plain(&step.stage), short(&step.node), plain(&step.sentence)]
        })
        .collect();
    format!("{}  {}\n{}", word(chain), plain(&chain.id), table(&["when", "stage", "node", "what"], &rows))
}

/// A line for each chain.
fn page(found: &Chains) -> String {
    if found.chains.is_empty() {
        return "nothing of that kind is known; what was told is in memory only, see docs/guests.md"
            .to_owned();
    }
    let row = |chain: &ChainView| {
        let last = chain.steps.last()?;
        let when = format!("{} ago", age(found.now_ms.saturating_sub(last.at_ms)));
        let (id, steps) = (plain(&chain.id), chain.steps.len().to_string());
        Some(vec![id, word(chain).to_owned(), steps, when, plain(&last.stage), plain(&last.sentence)])
    };
    let rows: Vec<_> = found.chains.iter().filter_map(row).collect();
    let mut page = table(&["id", "is a", "steps", "last", "stage", "what"], &rows);
    let more = found.total.saturating_sub(rows.len());
    if more > 0 {
        page.push_str(&format!("\n{more} older ones are not shown; `clawmesh trace --limit` shows more"));
    }
    page
}

/// An id as people see it elsewhere; what is none is shown as it is.
fn short(node: &str) -> String {
    let is_id = node.len() == 64 && node.bytes().all(|byte| byte.is_ascii_hexdigit());
    plain(if is_id { &node[..8] } else { node })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_gateway::StepView;

    fn chain(id: &str, is_proposal: bool) -> ChainView {
        let step = |stage: &str, at_ms| StepView {
            stage: stage.to_owned(),
            at_ms,
            node: "ab".repeat(32),
            sentence: "so\u{202e}".to_owned(),
        };
        let steps = vec![step("proposal.created", 1_000), step("proposal.offered", 9_000)];
        ChainView { id: id.to_owned(), is_proposal, steps }
    }

    #[test]
    fn a_story_has_a_line_for_each_step_and_a_list_one_for_each_chain() {
        let told = story(&chain("c1", true), 10_000);
        assert!(told.starts_with("proposal  c1\nwhen "), "{told}");
        assert!(told.ends_with("1.0 s ago  proposal.offered  abababab  so\u{fffd}"), "{told}");
        let found = Chains { now_ms: 10_000, total: 3, chains: vec![chain("f\u{1b}", false)] };
        let listed = page(&found);
        assert!(
            listed.contains("f\u{fffd}  frame  2      1.0 s ago  proposal.offered  so\u{fffd}"),
            "{listed}"
        );
        assert!(
            listed.ends_with("2 older ones are not shown; `clawmesh trace --limit` shows more"),
            "{listed}"
        );
        let none = Chains { total: 0, chains: Vec::new(), ..found };
        assert!(page(&none).starts_with("nothing of that kind is known"));
    }

    #[test]
    fn only_an_id_is_cut() {
        assert_eq!(short("barn"), "barn");
        assert_eq!(short(&"é".repeat(32)), "é".repeat(32), "as many bytes as an id, and no id");
    }
}
