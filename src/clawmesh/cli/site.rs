//! `clawmesh site check`: whether a site and its policy can be used, with every fault and where it stands.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clawmesh_authority::{ContentHash, Policy};
use clawmesh_core::settings::SiteText;
use clawmesh_twin::site::Plan;
use serde::Serialize;

use super::args::SiteCheckArgs;
use super::terminal::{say, say_json};
use crate::config::durable_file::read_bounded;
use crate::config::error::ConfigError;
use crate::config::site_file::SiteFile;
use crate::config::state_dir::StateDir;
use crate::config::{policy_file, ron_text, site_file};

#[derive(Serialize)]
struct Answer {
    site: PathBuf,
    policy: Option<PathBuf>,
    is_usable: bool,
    site_hash: Option<ContentHash>,
    policy_hash: Option<ContentHash>,
    holds: Vec<String>,
    notes: Vec<String>,
    faults: Vec<Fault>,
}

/// One fault of a file, and where it stands.
#[derive(Serialize)]
pub(super) struct Fault {
    file: Option<PathBuf>,
    line: Option<usize>,
    column: Option<usize>,
    pub(super) sentence: String,
}

/// Runs the command; a fault makes the exit code non-zero.
pub fn check(state_dir: Option<PathBuf>, args: &SiteCheckArgs) -> anyhow::Result<ExitCode> {
    let site = match &args.site {
        Some(path) => path.clone(),
        None => StateDir::find(state_dir)?.site_file(),
    };
    let answer = examine(site, args.policy.clone())?;
    if args.json {
        say_json(&answer)?;
    } else {
        say(&page(&answer));
    }
    Ok(if answer.is_usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn examine(site_path: PathBuf, policy_path: Option<PathBuf>) -> anyhow::Result<Answer> {
    let text = read(&site_path)?.ok_or_else(|| {
        anyhow::anyhow!(
            "there is no site to check; name a file, for example farm.ron: {}",
            site_path.display()
        )
    })?;
    let (site, mut errors) = site_file::examine(&site_path, &text);
    let is_named = policy_path.is_some();
    let policy_path = policy_path.unwrap_or_else(|| policy_file::beside(&site_path));
    let (policy, notes) = match read(&policy_path)? {
        Some(text) => {
            let (policy, found) = policy_file::examine(&policy_path, &text, site.as_ref());
            errors.extend(found);
            (policy, Vec::new())
        }
        None if is_named => anyhow::bail!("there is no such file: {}", policy_path.display()),
        None => {
            let note =
                format!("there is no policy beside it ({}), so nothing may be moved", policy_path.display());
            (None, vec![note])
        }
    };
    let plan = site.as_ref().and_then(|site| Some((site, site.plan.as_ref()?)));
    let text = plan.map(|(site, plan)| SiteText::of(&site.name, plan, policy.as_ref())).transpose();
    // What has a number that is none has a fault, which is told; it has no hash.
    let text = text.ok().flatten();
    Ok(Answer {
        is_usable: errors.is_empty(),
        site_hash: text.as_ref().map(SiteText::site_hash),
        policy_hash: text.as_ref().filter(|text| text.policy.is_some()).map(SiteText::policy_hash),
        holds: site.as_ref().map(|site| holds(site, policy.as_ref())).unwrap_or_default(),
        notes: notes
            .into_iter()
            .chain(plan.into_iter().flat_map(|(_, plan)| plan_notes(plan)))
            .chain(plan.and_then(|(_, plan)| unshown_note(plan, policy.as_ref()?)))
            .collect(),
        faults: errors.into_iter().map(Fault::of).collect(),
        policy: policy.is_some().then_some(policy_path),
        site: site_path,
    })
}

/// The text of a file; nothing where there is none.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<String>> {
    let content = read_bounded(path)?;
    Ok(content.map(|content| ron_text::utf8(path, &content).map(str::to_owned)).transpose()?)
}

/// What stands there, counted.
fn holds(site: &SiteFile, policy: Option<&Policy>) -> Vec<String> {
    let count = |number: usize, one: &str, many: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    };
    let mut lines =
        vec![count(site.mappings.len(), "mapping of a foreign sample", "mappings of foreign samples")];
    if let Some(plan) = &site.plan {
        let water = &plan.water;
        lines.extend([
            count(plan.nodes.len(), "node", "nodes"),
            count(plan.zones.len(), "zone", "zones"),
            count(water.parts.len(), "part of the water", "parts of the water"),
            count(water.lines.len(), "line between them", "lines between them"),
            count(plan.sensors.len(), "sensor", "sensors"),
            count(plan.actuators.len(), "actuator", "actuators"),
            count(plan.rovers.len(), "rover", "rovers"),
            count(plan.people.len(), "person", "people"),
            count(plan.keep_outs.len(), "keep-out volume", "keep-out volumes"),
            count(plan.operations.len(), "operation", "operations"),
        ]);
    }
    if let Some(policy) = policy {
        let rules = policy.actuators.iter();
        let interlocks: usize = rules.map(|rules| rules.interlocks.len()).sum();
        lines.push(format!(
            "rules for {} actuators with {interlocks} interlocks, {} budgets, {} dosages",
            policy.actuators.len(),
            policy.budgets.len(),
            policy.dosages.len()
        ));
    }
    lines
}

/// What is no fault and should be known.
fn plan_notes(plan: &Plan) -> Vec<String> {
    let mut notes = Vec::new();
    if plan.needs_field_validation {
        notes.push("nobody has gone there and compared yet (`needs_field_validation`)".to_owned());
    }
    let planned: Vec<&str> =
        plan.nodes.iter().filter(|node| node.id.is_none()).map(|node| node.name.as_str()).collect();
    if !planned.is_empty() {
        notes.push(format!(
            "planned, without an `id` (`clawmesh identity` over there prints it): {}",
            planned.join(", ")
        ));
    }
    notes
}

/// What stands on a guest and has rules, and no sensor shows it.
fn unshown_note(plan: &Plan, policy: &Policy) -> Option<String> {
    let unshown = policy.actuators.iter().filter(|rules| rules.shown_by.is_none()).filter(|rules| {
        let entry = plan.actuators.iter().find(|entry| entry.capability == rules.actuator.as_str());
        entry.is_some_and(|entry| entry.on_guest.is_some())
    });
    let unshown: Vec<&str> = unshown.map(|rules| rules.actuator.as_str()).collect();
    let note =
        format!("on a guest and without `shown_by`, so refused as STATE_UNKNOWN: {}", unshown.join(", "));
    (!unshown.is_empty()).then_some(note)
}

impl Fault {
    pub(super) fn of(error: ConfigError) -> Self {
        let (file, position) = error.place();
        Self {
            file: file.map(Path::to_owned),
            line: position.map(|at| at.line),
            column: position.map(|at| at.column),
            sentence: error.to_string(),
        }
    }
}

fn page(answer: &Answer) -> String {
    let mut lines = vec![format!("site    {}", answer.site.display())];
    lines.extend(answer.policy.iter().map(|path| format!("policy  {}", path.display())));
    lines.extend(answer.holds.iter().map(|line| format!("  {line}")));
    lines.extend(answer.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(answer.faults.iter().map(|fault| fault.sentence.clone()));
    lines.push(match answer.faults.len() {
        0 => "no faults".to_owned(),
        1 => "1 fault".to_owned(),
        found => format!("{found} faults"),
    });
    lines.join("\n")
}
