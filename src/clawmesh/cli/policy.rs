//! `clawmesh policy check` and `policy explain`: what the owner of actuators allows, and what has to hold for one operation.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clawmesh_authority::policy::{ActuatorRules, Explanation, HazardClass};
use clawmesh_authority::{Capability, ContentHash, Level, Policy};
use clawmesh_core::settings::SiteText;
use serde::Serialize;

use super::policy_args::{PolicyCheckArgs, PolicyCommand, PolicyExplainArgs};
use super::site::{Fault, read};
use super::table::table;
use super::terminal::{say, say_json};
use crate::config::error::ConfigError;
use crate::config::state_dir::StateDir;
use crate::config::{policy_file, site_file};

#[derive(Serialize)]
struct Answer {
    policy: PathBuf,
    site: Option<PathBuf>,
    is_usable: bool,
    policy_hash: Option<ContentHash>,
    actuators: Vec<Row>,
    faults: Vec<Fault>,
    notes: Vec<String>,
}

/// What an actuator may be told.
#[derive(Serialize)]
struct Row {
    actuator: Capability,
    class: HazardClass,
    level: Level,
    four_eyes: bool,
    operations: Vec<String>,
}

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, command: PolicyCommand) -> anyhow::Result<ExitCode> {
    match command {
        PolicyCommand::Check(args) => check(state_dir, &args),
        PolicyCommand::Explain(args) => explain(state_dir, &args),
    }
}

fn check(state_dir: Option<PathBuf>, args: &PolicyCheckArgs) -> anyhow::Result<ExitCode> {
    let answer = examine(path(state_dir, args.policy.clone())?, args.site.clone())?;
    if args.json {
        say_json(&answer)?;
    } else {
        say(&page(&answer));
    }
    Ok(if answer.is_usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn path(state_dir: Option<PathBuf>, named: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    Ok(match named {
        Some(path) => path,
        None => StateDir::find(state_dir)?.policy_file(),
    })
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    read(path)?.ok_or_else(|| {
        anyhow::anyhow!("there is no policy at {}; name a file, for example farm.policy.ron", path.display())
    })
}

fn examine(path: PathBuf, site: Option<PathBuf>) -> anyhow::Result<Answer> {
    let text = text_of(&path)?;
    let is_named = site.is_some();
    let site_path = site.unwrap_or_else(|| policy_file::site_of(&path));
    let (site, mut faults, mut notes) = (read(&site_path)?, Vec::new(), Vec::new());
    let site = match site {
        Some(text) => {
            let (site, found) = site_file::examine(&site_path, &text);
            faults.extend(found);
            site
        }
        None if is_named => anyhow::bail!("there is no such file: {}", site_path.display()),
        None => {
            let beside = site_path.display();
            notes.push(format!("there is no site beside it ({beside}), so it is not compared with one"));
            None
        }
    };
    let (policy, found) = policy_file::examine(&path, &text, site.as_ref());
    faults.extend(found);
    let hash = policy.as_ref().and_then(|policy| SiteText::policy_of(policy).ok());
    Ok(Answer {
        is_usable: faults.is_empty(),
        policy_hash: hash.map(|text| SiteText { plan: String::new(), policy: Some(text) }.policy_hash()),
        actuators: policy.iter().flat_map(|policy| &policy.actuators).map(Row::of).collect(),
        faults: faults.into_iter().map(Fault::of).collect(),
        notes,
        site: site.is_some().then_some(site_path),
        policy: path,
    })
}

impl Row {
    fn of(rules: &ActuatorRules) -> Self {
        Self {
            actuator: rules.actuator.clone(),
            class: rules.class,
            level: rules.level,
            four_eyes: rules.four_eyes,
            operations: rules.operations.keys().cloned().collect(),
        }
    }
}

fn page(answer: &Answer) -> String {
    let mut lines = vec![format!("policy  {}", answer.policy.display())];
    lines.extend(answer.site.iter().map(|path| format!("site    {}", path.display())));
    let rows = answer.actuators.iter().map(|row| {
        let eyes = if row.four_eyes { " four eyes" } else { "" };
        vec![
            row.actuator.to_string(),
            format!("{:?}", row.class),
            format!("{}{eyes}", row.level),
            row.operations.join(", "),
        ]
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        lines.push(table(&["actuator", "class", "level", "may be told"], &rows));
    }
    lines.extend(answer.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(answer.faults.iter().map(|fault| fault.sentence.clone()));
    lines.push(match answer.faults.len() {
        0 => "no faults; `clawmesh policy explain ACTUATOR OPERATION` says what has to hold".to_owned(),
        1 => "1 fault; a node that runs keeps the policy before".to_owned(),
        found => format!("{found} faults; a node that runs keeps the policy before"),
    });
    lines.join("\n")
}

fn explain(state_dir: Option<PathBuf>, args: &PolicyExplainArgs) -> anyhow::Result<ExitCode> {
    let path = path(state_dir, args.policy.clone())?;
    let (policy, faults) = policy_file::examine(&path, &text_of(&path)?, None);
    let policy = usable(policy, faults)?;
    let explanation = policy
        .explain(&args.capability, &args.operation)
        .map_err(|refused| anyhow::anyhow!("{} ({})", refused.sentence, refused.code))?;
    if args.json {
        say_json(&explanation)?;
    } else {
        say(&told(&explanation));
    }
    Ok(ExitCode::SUCCESS)
}

fn usable(policy: Option<Policy>, faults: Vec<ConfigError>) -> anyhow::Result<Policy> {
    match faults.into_iter().next() {
        Some(fault) => Err(fault.into()),
        None => policy.ok_or_else(|| anyhow::anyhow!("there is no policy")),
    }
}

fn told(explanation: &Explanation) -> String {
    let Explanation { actuator, operation, brings, class, demands } = explanation;
    let rows: Vec<_> =
        demands.iter().map(|demand| vec![demand.rule.to_string(), demand.sentence.clone()]).collect();
    let table = table(&["rule", "what has to hold"], &rows);
    format!("{actuator} {operation}: brings it {brings}, {class:?}\n{table}")
}
