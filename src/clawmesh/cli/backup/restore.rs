//! `clawmesh restore`: a state dir out of a backup.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use clawmesh_authority::{NodeId, Operator, OperatorId, Role, Roster};
use serde::Serialize;

use super::args::RestoreArgs;
use super::replace::Replaced;
use crate::cli::terminal::{say, say_json};
use crate::cli::trust::{Exported, command_for, is_plain};
use crate::config::backup::{Backup, EPOCH, ITSELF, JOURNAL, LISTS, SETTINGS, is_empty};
use crate::config::durable_file::{create_folder, sync_folder_of};
use crate::config::error::ConfigError;
use crate::config::node_file::NodeFile;
use crate::config::operator_key::public_key_text;
use crate::config::restored_file::{self, RestoredRecord};
use crate::config::settings::NodeConfig;
use crate::config::state_dir::StateDir;
use crate::config::{identity, operators_file, stop_file, trust_file};
use crate::moments::{system_time, unix_ms_of};

/// A person who was enrolled when the backup was made.
#[derive(Debug, Serialize)]
struct Person {
    name: String,
    role: Role,
    public_key: String,
    stands_for: Option<OperatorId>,
}

impl Person {
    fn of(person: &Operator) -> Self {
        Self {
            name: person.name.clone(),
            role: person.role,
            public_key: public_key_text(&person.key),
            stands_for: person.delegate_of,
        }
    }

    fn command(&self, program: &str) -> String {
        let name = if is_plain(&self.name) { self.name.as_str() } else { "NAME" };
        let role = format!("{:?}", self.role).to_lowercase();
        let stands_for = self.stands_for.map_or_else(String::new, |id| format!(" --stands-for {id}"));
        format!("{program} operator enroll {} --name {name} --role {role}{stands_for}", self.public_key)
    }
}

#[derive(Serialize)]
struct Answer {
    node: NodeId,
    /// The node whose place it takes, if it has a new key.
    in_place_of: Option<NodeId>,
    backup_made: String,
    /// By the clock of this machine; what was signed before is refused.
    restored_at: String,
    /// The hash of the list of files; `backup` told it too.
    fingerprint: String,
    state_dir: PathBuf,
    has_journal: bool,
    stopped_because: String,
    /// Trusted when the backup was made; not trusted until somebody says so again.
    nodes_to_confirm: Vec<Exported>,
    /// Enrolled when the backup was made; not enrolled until somebody does it again.
    people_to_confirm: Vec<Person>,
}

/// Makes a state dir that was not there.
pub fn run(state_dir: Option<PathBuf>, args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let backup = Backup::open(&args.folder)?;
    let target = StateDir::find(state_dir)?;
    if !is_empty(target.root())? {
        bail!(
            "there is something in {} already, and nothing is overwritten; move the folder away, or name another with --state-dir",
            target.root().display()
        );
    }
    let now = system_time();
    if now < backup.made() {
        bail!(
            "the clock of this machine shows {}, and the backup was made later, on {}; set the clock first, because what was \
             signed before the restore is told by it",
            trust_file::time_text(now),
            trust_file::time_text(backup.made())
        );
    }
    let parent = target.root().parent().unwrap_or(Path::new("/"));
    create_folder(parent)?;
    // It becomes the state dir in one instruction: a node is never started on half of it.
    let staging = tempfile::Builder::new().prefix(".clawmesh-restore.").tempdir_in(parent);
    let staging = staging.with_context(|| format!("cannot make a folder in {}", parent.display()))?;
    let mut answer = fill(&StateDir::find(Some(staging.path().join("state")))?, &backup, args.new_key, now)?;
    put_in_place(&staging.path().join("state"), target.root())?;
    answer.state_dir = target.root().to_owned();
    if args.output.json {
        say_json(&answer)?;
    } else {
        let is_usual = StateDir::find(None).is_ok_and(|usual| usual == target);
        let path = target.root().display();
        tell(
            &answer,
            &if is_usual { "clawmesh".to_owned() } else { format!("clawmesh --state-dir \"{path}\"") },
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn fill(state: &StateDir, backup: &Backup, has_new_key: bool, now: SystemTime) -> anyhow::Result<Answer> {
    create_folder(state.root())?;
    let backup_made = trust_file::time_text(backup.made());
    // First what makes it safe: whatever becomes of the rest, nothing moves.
    let why = format!(
        "the node was restored from a backup of {backup_made}; read its policy, look at everything it moves, then re-arm"
    );
    let at_unix_ms = unix_ms_of(now);
    stop_file::latch(state, &why, at_unix_ms)?;
    restored_file::save(state, &RestoredRecord { at_unix_ms, backup_made: backup_made.clone() })?;
    let put = |name: &str| backup.restore(name, &state.root().join(name));
    for name in SETTINGS.iter().chain(&LISTS) {
        put(name)?;
    }
    let mut has_journal = false;
    if !has_new_key {
        for name in ITSELF.iter().chain([&EPOCH]) {
            put(name)?;
        }
        has_journal = put(JOURNAL)?;
    }
    let own = if has_new_key { Some(identity::load_or_create(state)?.key) } else { identity::load(state)? };
    let own = own.map(|key| key.id());
    let node = own.context("the backup has no identity; with --new-key a new node takes its place")?;
    if !has_new_key && node != backup.node() {
        bail!(
            "the identity in {} is not of the node the backup names; use another backup",
            backup.folder().display()
        );
    }
    let in_place_of = has_new_key.then(|| backup.node());
    if let Some(old) = in_place_of {
        Replaced::judge(state, old, node)?.write()?;
    }
    let nodes_to_confirm = forget_nodes(state, in_place_of, now)?;
    let people_to_confirm = forget_people(state)?;
    Ok(Answer {
        node,
        in_place_of,
        backup_made,
        restored_at: trust_file::time_text(now),
        fingerprint: backup.fingerprint()?,
        state_dir: state.root().to_owned(),
        has_journal,
        stopped_because: why,
        nodes_to_confirm,
        people_to_confirm,
    })
}

/// Trusts nobody: who is to be trusted may have been removed since.
fn forget_nodes(state: &StateDir, gone: Option<NodeId>, now: SystemTime) -> anyhow::Result<Vec<Exported>> {
    let configured = NodeConfig::load(state, NodeFile::default())?.trust_configured;
    trust_file::update(state, |list| {
        // Routers are not trusted, and let in what others say.
        let parts = list.parts();
        let mut known = list.applied_to(configured);
        known.extend(parts.keys());
        let names = |id: &NodeId| list.get(id).and_then(|peer| peer.name.clone());
        let part = |id: &NodeId| parts.get(id).copied();
        let others = known.iter().filter(|id| Some(**id) != gone);
        let nodes = others.map(|id| Exported { id: *id, name: names(id), part: part(id) }).collect();
        for id in known.into_iter().chain(gone) {
            list.remove(id, now).map_err(anyhow::Error::msg)?;
        }
        Ok(nodes)
    })
}

/// Lets nobody operate. Who was revoked stays so.
fn forget_people(state: &StateDir) -> anyhow::Result<Vec<Person>> {
    operators_file::update(state, |roster| {
        let (gone, others): (Vec<Operator>, Vec<Operator>) =
            roster.iter().cloned().partition(|person| roster.is_revoked(&person.id));
        // Whom a revoked person stood for counts for nothing any more, and may not be in the list.
        let gone: Vec<Operator> =
            gone.into_iter().map(|person| Operator { delegate_of: None, revoked: true, ..person }).collect();
        *roster = Roster::try_from(gone).map_err(|refused| anyhow::anyhow!("{refused}"))?;
        let mut others: Vec<Person> = others.iter().map(Person::of).collect();
        // Who stands for somebody is enrolled after them.
        others.sort_by_key(|person| person.stands_for.is_some());
        Ok(others)
    })
}

fn put_in_place(staged: &Path, target: &Path) -> Result<(), ConfigError> {
    fs::rename(staged, target).map_err(ConfigError::io("put the restored state dir in place", target))?;
    sync_folder_of(target)
}

/// `program` is how commands on the new state dir begin.
fn tell(answer: &Answer, program: &str) {
    say(&format!("restored    {}", answer.node));
    if let Some(old) = answer.in_place_of {
        say(&format!("in place of {old}"));
    }
    let journal = if answer.has_journal { "with its journal" } else { "without a journal" };
    say(&format!("from        the backup of {}, {journal}", answer.backup_made));
    say(&format!("state dir   {}", answer.state_dir.display()));
    say(&format!("fingerprint {}, as `backup` told it", answer.fingerprint));
    say(&format!(
        "\nIt is {} by the clock of this machine. If that is wrong, remove the state dir, set the clock and\n\
         restore again: what was signed before now is refused.\n\n\
         The stop is latched, every actuator counts as out of service, and budgets as used up for a day. Site and\n\
         policy are as old as the backup: read them. Nobody is trusted and nobody may operate here, because they may\n\
         have been removed since.",
        answer.restored_at
    ));
    let commands: Vec<String> =
        answer.nodes_to_confirm.iter().map(|node| command_for(program, node)).collect();
    let enrolling: Vec<String> =
        answer.people_to_confirm.iter().map(|person| person.command(program)).collect();
    if !(commands.is_empty() && enrolling.is_empty()) {
        say("Say again whom you know to be still right:\n");
        commands.iter().chain(&enrolling).for_each(|command| say(&format!("  {command}")));
    }
    say(&format!(
        "\nThen start the node, look at everything it moves, end the stop with `{program} rearm`, and say of each actuator\n\
         that it is in service (docs/backup.md)."
    ));
    if let Some(old) = answer.in_place_of {
        say(&format!(
            "This is a new node: pair it, and at every other node of the site say\n\n  clawmesh replace {old} {}",
            answer.node
        ));
    }
}
