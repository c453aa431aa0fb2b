//! `clawmesh capabilities`: who can do what, as a running node knows it.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_gateway::{AbilityView, Capabilities};

use super::args::CapabilitiesArgs;
use super::client::{Client, block_on, with_query};
use super::table::{plain, table};
use super::terminal::{say, say_json};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &CapabilitiesArgs) -> anyhow::Result<ExitCode> {
    let client = Client::new(state_dir, &args.target)?;
    let asked = [("pattern", args.pattern.clone())];
    let answer: Capabilities = block_on(client.get(&with_query("/api/capabilities", &asked)?))?;
    if args.target.json {
        say_json(&answer)?;
    } else {
        say(&page(&answer));
    }
    Ok(ExitCode::SUCCESS)
}

fn page(answer: &Capabilities) -> String {
    if answer.capabilities.is_empty() {
        return format!("nobody can do {}, as far as this node knows", plain(&answer.pattern));
    }
    let rows: Vec<Vec<String>> = answer.capabilities.iter().map(row).collect();
    let mut page = table(&["capability", "node", "id", "score", "because"], &rows);
    if answer.left_off > 0 {
        page.push_str(&format!(
            "\n{} more are not shown; ask for less, for example sensor:*",
            answer.left_off
        ));
    }
    page
}

fn row(view: &AbilityView) -> Vec<String> {
    vec![
        plain(&view.capability),
        plain(view.name.as_deref().unwrap_or("-")),
        view.node.short(),
        view.points.to_string(),
        plain(&because(view)),
    ]
}

fn because(view: &AbilityView) -> String {
    let way = view.round_trip_ms.map(|ms| format!("ping {ms} ms"));
    let waiting = (view.waiting_calls > 0).then(|| format!("{} calls wait there", view.waiting_calls));
    let deaf = (view.takes_calls == Some(false)).then(|| "leaves calls unanswered".to_owned());
    let state = [Some(view.reach.clone()), Some(view.health.clone())];
    state.into_iter().chain([way, waiting, deaf]).flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_says_the_score_and_why() {
        let answer: Capabilities = serde_json::from_value(serde_json::json!({
            "pattern": "channel:telegram", "left_off": 2,
            "capabilities": [
                {
                    "capability": "channel:telegram", "node": "ab".repeat(32), "name": "of\u{1b}fice", "reach": "alive",
                    "health": "healthy", "points": 15, "round_trip_ms": 12, "waiting_calls": 3, "takes_calls": true,
                },
                {
                    "capability": "channel:telegram", "node": "cd".repeat(32), "name": null, "reach": "suspect",
                    "health": "degraded", "points": 10, "round_trip_ms": null, "waiting_calls": 0, "takes_calls": false,
                },
            ],
        }))
        .unwrap();
        let page = page(&answer);
        assert!(page.contains("  15     alive, healthy, ping 12 ms, 3 calls wait there"), "{page}");
        assert!(page.contains("suspect, degraded, leaves calls unanswered"), "{page}");
        assert!(page.contains("2 more are not shown") && !page.contains('\u{1b}'), "{page}");
        let nobody = Capabilities { capabilities: Vec::new(), ..answer };
        assert!(super::page(&nobody).starts_with("nobody can do channel:telegram"));
    }
}
