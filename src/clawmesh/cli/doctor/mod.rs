//! `clawmesh doctor`: check a state dir and this machine, and say what to do about each finding; `doctor mesh` looks at the other
//! nodes.

pub mod args;
mod mesh;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clawmesh_authority::{Operator, Unit};
use clawmesh_bridge::{LinkSecurity, link_security};
use clawmesh_storage::{JournalError, JournalReader};
use serde::Serialize;

use super::progress::Progress;
use super::table::{quantity, table};
use super::terminal::{say, say_json};
use crate::clock_evidence;
use crate::config::node_file::NodeFile;
use crate::config::settings::{Clock, NodeConfig, Source};
use crate::config::state_dir::StateDir;
use crate::config::{identity, operators_file, papers, site_file, stop_file, token};
use crate::moments::unix_ms;
use args::{DoctorArgs, DoctorCommand};

/// The day this was written, Unix milliseconds: a clock before it is wrong.
const BUILT_AFTER_MS: u64 = 1_795_000_000_000;
const DISK_BYTES_MIN: u64 = 1_000_000_000;

/// How something is.
#[derive(Debug, Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Good,
    Note,
    Bad,
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Good => "good",
        Outcome::Note => "note",
        Outcome::Bad => "BAD",
    }
}

#[derive(Serialize)]
struct Finding {
    check: &'static str,
    outcome: Outcome,
    sentence: String,
}

/// Runs the command. The exit code is non-zero when something is bad.
pub fn run(state_dir: Option<PathBuf>, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir)?;
    if let Some(DoctorCommand::Mesh(about)) = &args.about {
        return mesh::run(&dir, about, args.json);
    }
    let findings = examine(&dir);
    if args.json {
        say_json(&findings)?;
    } else {
        let rows: Vec<Vec<String>> = findings
            .iter()
            .map(|finding| {
                vec![finding.check.to_owned(), word(finding.outcome).to_owned(), finding.sentence.clone()]
            })
            .collect();
        say(&table(&["check", "is", "finding"], &rows));
    }
    let is_bad = findings.iter().any(|finding| finding.outcome == Outcome::Bad);
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn examine(dir: &StateDir) -> Vec<Finding> {
    if !dir.root().exists() {
        let sentence = format!("{} is not there yet; `clawmesh start` makes it", dir.root().display());
        return vec![
            Finding { check: "state dir", outcome: Outcome::Note, sentence },
            clock(Clock::Kept, unix_ms()),
        ];
    }
    let (said, is_said) = clock_said(dir);
    vec![
        identity_file(dir),
        node_file(dir),
        links(dir),
        site(dir),
        operators(dir),
        gateway(dir),
        journal(dir),
        stop(dir),
        disk(dir),
        clock(said, unix_ms()),
        keeps_time(said, is_said, clock_evidence::is_there(unix_ms())),
    ]
}

fn finding(check: &'static str, outcome: Outcome, sentence: impl Into<String>) -> Finding {
    Finding { check, outcome, sentence: sentence.into() }
}

fn identity_file(dir: &StateDir) -> Finding {
    match identity::load(dir) {
        Ok(Some(key)) => finding("identity", Outcome::Good, key.id().to_string()),
        Ok(None) => finding("identity", Outcome::Note, "there is none yet; `clawmesh start` makes one"),
        Err(fault) => finding("identity", Outcome::Bad, fault.to_string()),
    }
}

fn node_file(dir: &StateDir) -> Finding {
    match NodeConfig::load(dir, NodeFile::default()) {
        Err(fault) => finding("node.ron", Outcome::Bad, fault.to_string()),
        Ok(config) if config.trusted.value.is_empty() => {
            let sentence =
                "no other node is trusted, so nothing they say is taken; `clawmesh trust add ID` trusts one";
            finding("node.ron", Outcome::Note, sentence)
        }
        Ok(config) => {
            let sentence = format!("well-formed, trusts {} nodes", config.trusted.value.len());
            finding("node.ron", Outcome::Good, sentence)
        }
    }
}

/// Whether links to other machines are encrypted, and whether this node has what they need.
fn links(dir: &StateDir) -> Finding {
    let config = NodeConfig::load(dir, NodeFile::default());
    let (Ok(config), Ok(Some(key))) = (config, identity::load(dir)) else {
        return finding(
            "links",
            Outcome::Note,
            "not looked at: there is no node yet, or node.ron must be mended first",
        );
    };
    let papers = match papers::load(dir, &key.public(), &config.mesh_name.value) {
        Ok(papers) => papers,
        Err(fault) => return finding("links", Outcome::Bad, fault.to_string()),
    };
    match (link_security(&config.listen.value, &config.connect.value), papers) {
        (LinkSecurity::Secured, Some(_)) => {
            finding("links", Outcome::Good, "encrypted, with papers of this mesh")
        }
        (LinkSecurity::Secured, None) => {
            let sentence =
                "node.ron says tls/ or quic/, and this node has no papers; pair it with `clawmesh pair`";
            finding("links", Outcome::Bad, sentence)
        }
        (LinkSecurity::Leaky(endpoint), _) => {
            let sentence = format!(
                "{endpoint} is in clear while other endpoints are encrypted; write tls/ or quic/ instead, or tcp/127.0.0.1"
            );
            finding("links", Outcome::Bad, sentence)
        }
        (LinkSecurity::Local, _) if config.discovery.value => {
            let sentence = "in clear with whatever other node is found on this network; pair the nodes (`clawmesh pair`) and \
                            write tls/ or quic/, or switch `discovery` off";
            finding("links", Outcome::Note, sentence)
        }
        (LinkSecurity::Local, _) => finding("links", Outcome::Good, "within this machine only"),
        (LinkSecurity::Clear(endpoint), _) => {
            let sentence = format!(
                "{endpoint} is in clear: what is said there is signed, and anybody on the way can read it; pair the nodes \
                 (`clawmesh pair`) and write tls/ or quic/ instead"
            );
            finding("links", Outcome::Note, sentence)
        }
    }
}

fn site(dir: &StateDir) -> Finding {
    match site_file::load(dir) {
        Ok(site) => {
            let sentence = format!("well-formed, {} rows of foreign samples", site.mappings.len());
            finding("site.ron", Outcome::Good, sentence)
        }
        Err(fault) => finding("site.ron", Outcome::Bad, fault.to_string()),
    }
}

/// Whoever is revoked is not counted.
fn operators(dir: &StateDir) -> Finding {
    let roster = match operators_file::load(dir) {
        Ok(roster) => roster,
        Err(fault) => return finding("operators", Outcome::Bad, fault.to_string()),
    };
    let count = |is_counted: &dyn Fn(&Operator) -> bool| roster.iter().filter(|one| is_counted(one)).count();
    let enrolled = match count(&|person| !roster.is_revoked(&person.id)) {
        0 => "nobody is enrolled".to_owned(),
        1 => "1 person is enrolled".to_owned(),
        more => format!("{more} people are enrolled"),
    };
    match count(&|person| roster.may_approve(&person.id).is_ok()) {
        0 => {
            let sentence =
                format!("{enrolled} and nobody may approve; see `clawmesh operator enroll --help`");
            finding("operators", Outcome::Note, sentence)
        }
        approvers => finding("operators", Outcome::Good, format!("{enrolled}, {approvers} may approve")),
    }
}

fn gateway(dir: &StateDir) -> Finding {
    if let Err(fault) = token::load(dir) {
        return finding("gateway", Outcome::Bad, fault.to_string());
    }
    let Ok(config) = NodeConfig::load(dir, NodeFile::default()) else {
        return finding("gateway", Outcome::Note, "not looked at: node.ron must be mended first");
    };
    match dir.is_in_use() {
        Err(fault) => return finding("gateway", Outcome::Bad, fault.to_string()),
        Ok(true) => {
            return finding("gateway", Outcome::Good, "a node of this state dir runs; see `clawmesh status`");
        }
        Ok(false) => {}
    }
    let address = std::net::SocketAddr::new(config.host.value, config.port.value);
    match TcpListener::bind(address) {
        Ok(_) => finding("gateway", Outcome::Good, format!("{address} is free")),
        Err(fault) => {
            let sentence = format!("{address} cannot be used ({fault}); choose another `port` in node.ron");
            finding("gateway", Outcome::Bad, sentence)
        }
    }
}

fn journal(dir: &StateDir) -> Finding {
    let path = dir.journal_file();
    if !path.exists() {
        return finding("journal", Outcome::Note, "there is none yet; `clawmesh start` makes one");
    }
    match follow_chain(&path) {
        Ok(rows) => finding("journal", Outcome::Good, format!("{rows} rows, the chain holds")),
        Err(fault) => finding("journal", Outcome::Bad, fault.to_string()),
    }
}

/// Reads every row; says how many there are.
fn follow_chain(path: &Path) -> Result<u64, JournalError> {
    let reader = JournalReader::open(path)?;
    let rows_in_all = reader.info()?.rows;
    let (mut rows, mut progress) = (0, Progress::begin());
    for row in reader.records() {
        row?;
        rows += 1;
        progress.tell(|| format!("following the chain of the journal, {rows} of {rows_in_all} rows"));
    }
    Ok(rows)
}

fn stop(dir: &StateDir) -> Finding {
    match stop_file::load(dir) {
        None => finding("stop", Outcome::Good, "not latched"),
        Some(stop) => {
            let path = dir.stop_file();
            let sentence = format!(
                "latched: {}; when you have seen to it on site, remove {} and start the node again",
                stop.reason,
                path.display()
            );
            finding("stop", Outcome::Bad, sentence)
        }
    }
}

fn disk(dir: &StateDir) -> Finding {
    let disks = sysinfo::Disks::new_with_refreshed_list().ok();
    let holds_it = |disk: &&sysinfo::Disk| dir.root().starts_with(disk.mount_point());
    let closest =
        disks.iter().flatten().filter(holds_it).max_by_key(|disk| disk.mount_point().as_os_str().len());
    match closest.map(sysinfo::Disk::available_space) {
        None => finding("disk", Outcome::Note, "cannot tell how much room is left"),
        Some(free) if free < DISK_BYTES_MIN => {
            let sentence = format!("{} left; the journal stops when it is full", bytes(free));
            finding("disk", Outcome::Bad, sentence)
        }
        Some(free) => finding("disk", Outcome::Good, format!("{} left", bytes(free))),
    }
}

fn bytes(count: u64) -> String {
    quantity(count as f64, Unit::Byte)
}

/// What `clock` of a node is, and whether somebody has said so; the default where its file cannot be read.
fn clock_said(dir: &StateDir) -> (Clock, bool) {
    let config = NodeConfig::load(dir, NodeFile::default());
    config.map_or((Clock::Kept, false), |config| (config.clock.value, config.clock.source != Source::Default))
}

/// What keeps the clock of this machine, as far as that shows.
fn keeps_time(said: Clock, is_said: bool, is_shown: bool) -> Finding {
    let (outcome, sentence) = match said {
        Clock::None => (
            Outcome::Note,
            "node.ron says that nothing keeps the clock: the time is what trusted nodes agree on",
        ),
        Clock::Believed => (
            Outcome::Note,
            "node.ron believes the clock even if it stands in the past; take `clock` out again",
        ),
        Clock::Kept if is_said => (Outcome::Good, "kept, as node.ron says"),
        Clock::Kept if is_shown => (Outcome::Good, "kept, as far as one can see"),
        Clock::Kept => (
            Outcome::Note,
            "no real-time clock shows the time of this machine and timesyncd has not synchronized; if nothing else keeps its clock, \
             put `clock: \"none\"` into node.ron, and if something does, `clock: \"kept\"`, or it tells others no time",
        ),
    };
    finding("time", outcome, sentence)
}

fn clock(said: Clock, unix_ms: u64) -> Finding {
    match said {
        Clock::None => finding("clock", Outcome::Note, "not looked at, because nothing keeps it"),
        Clock::Kept | Clock::Believed if unix_ms < BUILT_AFTER_MS => {
            let sentence = "the clock stands in the past; set it, or other nodes take our readings for stale";
            finding("clock", Outcome::Bad, sentence)
        }
        Clock::Kept | Clock::Believed => finding("clock", Outcome::Good, "plausible"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_not_believed_may_stand_anywhere() {
        for (said, unix_ms, expected) in [
            (Clock::None, 0, Outcome::Note),
            (Clock::Kept, 0, Outcome::Bad),
            (Clock::Believed, BUILT_AFTER_MS - 1, Outcome::Bad),
            (Clock::Kept, BUILT_AFTER_MS, Outcome::Good),
        ] {
            assert_eq!(clock(said, unix_ms).outcome, expected, "{said:?} at {unix_ms}");
        }
    }

    #[test]
    fn who_has_said_how_the_clock_is_kept_is_not_asked_to_say_it() {
        for (said, is_said, is_shown, expected) in [
            (Clock::Kept, false, true, Outcome::Good),
            (Clock::Kept, false, false, Outcome::Note),
            (Clock::Kept, true, false, Outcome::Good),
            (Clock::None, true, true, Outcome::Note),
            (Clock::Believed, true, true, Outcome::Note),
        ] {
            assert_eq!(keeps_time(said, is_said, is_shown).outcome, expected, "{said:?}, {is_shown}");
        }
    }
}
