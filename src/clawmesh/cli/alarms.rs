//! `clawmesh alarms`: what a person has to look at, and what they do with it.

use std::path::PathBuf;
use std::process::ExitCode;

use clawmesh_core::alarms::Standing;
use clawmesh_core::publish::AlarmView;
use clawmesh_gateway::{Alarms, Noted};
use serde::Serialize;

use super::alarms_args::{AlarmDeedArgs, AlarmListArgs, AlarmsArgs, AlarmsCommand};
use super::client::{Client, No, block_on};
use super::table::{age, plain, table};
use super::terminal::{say, say_json};
use super::world::warn_of_stall;

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, args: &AlarmsArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        None => list(state_dir, &args.list)?,
        Some(AlarmsCommand::List(list_args)) => list(state_dir, list_args)?,
        Some(AlarmsCommand::Acknowledge(deed)) => handle(state_dir, "acknowledge", deed, None)?,
        Some(AlarmsCommand::Shelve(shelve)) => {
            handle(state_dir, "shelve", &shelve.deed, Some(shelve.length.as_secs()))?;
        }
        Some(AlarmsCommand::Unshelve(deed)) => handle(state_dir, "unshelve", deed, None)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(state_dir: Option<PathBuf>, args: &AlarmListArgs) -> anyhow::Result<()> {
    let client = Client::new(state_dir, &args.target)?;
    let mut answer: Alarms = block_on(client.get("/api/alarms"))?;
    warn_of_stall(answer.snapshot_age_ms);
    let all = answer.alarms.len();
    if !args.all {
        answer.alarms.retain(|alarm| alarm.state != Standing::Shelved);
    }
    if args.target.json {
        return say_json(&answer);
    }
    say(&page(&answer, all - answer.alarms.len()));
    Ok(())
}

/// The table, and how many are not in it.
fn page(answer: &Alarms, hidden: usize) -> String {
    let mut parts = Vec::new();
    if answer.alarms.is_empty() {
        parts.push("no alarm".to_owned());
    } else {
        let rows: Vec<_> = answer.alarms.iter().map(|alarm| row(alarm, answer.snapshot_age_ms)).collect();
        parts.push(table(&["priority", "is", "rang", "times", "alarm", "what, and what to do"], &rows));
    }
    if hidden > 0 {
        parts.push(format!("{hidden} shelved; `clawmesh alarms --all` shows them too"));
    }
    parts.join("\n")
}

fn row(alarm: &AlarmView, snapshot_age_ms: u64) -> Vec<String> {
    vec![
        alarm.priority.word().to_owned(),
        plain(&standing(alarm, snapshot_age_ms)),
        format!("{} ago", age(alarm.age_ms.saturating_add(snapshot_age_ms))),
        alarm.count.to_string(),
        plain(&alarm.key),
        plain(&alarm.sentence),
    ]
}

/// How it stands, and who brought it there.
fn standing(alarm: &AlarmView, snapshot_age_ms: u64) -> String {
    let by = |name: &Option<String>| name.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
    let word = alarm.state.word();
    match alarm.state {
        Standing::Shelved => {
            let left_ms = alarm.shelved_for_ms.unwrap_or(0).saturating_sub(snapshot_age_ms);
            format!("{word}{}, {} left", by(&alarm.shelved_by), age(left_ms))
        }
        Standing::Acknowledged => format!("{word}{}", by(&alarm.acknowledged_by)),
        Standing::Returned => "over, unacknowledged".to_owned(),
        Standing::Unacknowledged | Standing::Normal => word.to_owned(),
    }
}

/// What `/api/alarms/…` is told.
#[derive(Serialize)]
struct Deed<'a> {
    key: &'a str,
    by: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_s: Option<u64>,
}

fn handle(
    state_dir: Option<PathBuf>,
    act: &str,
    args: &AlarmDeedArgs,
    for_s: Option<u64>,
) -> anyhow::Result<()> {
    let client = Client::new(state_dir, &args.target)?;
    let by = args.by.as_deref().unwrap_or("somebody at the terminal");
    let deed = Deed { key: &args.key, by, for_s };
    let path = format!("/api/alarms/{act}");
    let answer = block_on(client.post(&path, "application/json", serde_json::to_vec(&deed)?))?;
    let noted: Noted = answer.map_err(|no: No| anyhow::anyhow!("{}", no.sentence))?;
    if args.target.json {
        return say_json(&noted);
    }
    say(&format!("{act}d  {}", plain(&args.key)));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_core::alarms::Priority;

    fn alarm(state: Standing) -> AlarmView {
        AlarmView {
            key: "stale/barn/sensor:flow:\u{202e}main".to_owned(),
            priority: Priority::Medium,
            state,
            is_active: true,
            is_acknowledged: false,
            sentence: "it is stale\u{1b}[2J".to_owned(),
            count: 3,
            raised_ms: 7,
            age_ms: 1_000,
            cleared_age_ms: None,
            acknowledged_by: Some("Asha".to_owned()),
            shelved_for_ms: Some(600_000),
            shelved_by: Some("Bo".to_owned()),
            shelf_ms_max: 28_800_000,
        }
    }

    #[test]
    fn every_state_is_told_with_who_brought_it_there_as_of_now() {
        for (state, words) in [
            (Standing::Unacknowledged, "medium    unacknowledged  3.5 s ago  3 "),
            (Standing::Acknowledged, "medium    acknowledged by Asha  3.5 s ago  3 "),
            (Standing::Returned, "medium    over, unacknowledged  3.5 s ago  3 "),
            (Standing::Shelved, "medium    shelved by Bo, 9 min left  3.5 s ago  3 "),
        ] {
            let page = page(&Alarms { snapshot_age_ms: 2_500, alarms: vec![alarm(state)] }, 0);
            assert!(page.contains(words), "{page}");
            assert!(page.ends_with("stale/barn/sensor:flow:\u{fffd}main  it is stale\u{fffd}[2J"), "{page}");
        }
    }

    #[test]
    fn what_is_put_aside_is_counted() {
        let none = Alarms { snapshot_age_ms: 0, alarms: Vec::new() };
        assert_eq!(page(&none, 0), "no alarm");
        assert_eq!(page(&none, 2), "no alarm\n2 shelved; `clawmesh alarms --all` shows them too");
    }
}
