//! `clawmesh operator`: the key of a person, and who may operate at this node.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clawmesh_authority::{NodeId, Operator, OperatorId, PublicKey, Refused, Role, Roster};
use serde::Serialize;

use super::args::Output;
use super::key_place::{Found, file_of};
use super::operator_args::{EnrollArgs, OperatorCommand, RevokeArgs};
use super::passphrase::{chosen, unlocked};
use super::proposals::revoke_everywhere;
use super::table::{plain, table};
use super::terminal::{say, say_json};
use crate::config::error::ConfigError;
use crate::config::node_file::NodeFile;
use crate::config::openssh_key::Kept;
use crate::config::operator_key::{public_key_text, read_public_key};
use crate::config::settings::NodeConfig;
use crate::config::ssh_agent::Held;
use crate::config::state_dir::StateDir;
use crate::config::{identity, operator_key, operators_file, site_file};

/// A shorter beginning of an id names nobody: too many keys share it.
const PREFIX_CHARACTERS_MIN: usize = 8;

const ROLES: [(&str, Role); 4] = [
    ("observer", Role::Observer),
    ("operator", Role::Operator),
    ("approver", Role::Approver),
    ("supervisor", Role::Supervisor),
];

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, command: OperatorCommand) -> anyhow::Result<ExitCode> {
    match command {
        OperatorCommand::New(args) => {
            let path = file_of(args.key.key)?;
            operator_key::check_new(&path)?;
            let passphrase = chosen(args.no_passphrase)?;
            let key = operator_key::create(&path, passphrase.as_ref().map(|typed| typed.as_str()))?;
            show_key(KeyAnswer::in_file(&key.public(), path, passphrase.is_some()), args.key.output)?;
        }
        OperatorCommand::Passphrase(args) => {
            let path = file_of(args.key.key)?;
            let key = unlocked(operator_key::load(&path)?)?;
            let passphrase = chosen(args.no_passphrase)?;
            operator_key::rewrite(&path, &key, passphrase.as_ref().map(|typed| typed.as_str()))?;
            show_key(KeyAnswer::in_file(&key.public(), path, passphrase.is_some()), args.key.output)?;
        }
        OperatorCommand::Show(args) => {
            let answer = match Found::at(args.signer.key)? {
                Found::File(path, kept) => {
                    KeyAnswer::in_file(&kept.public(), path, matches!(kept, Kept::Locked(_)))
                }
                Found::Agent(key) => KeyAnswer::in_agent(key.held()),
            };
            show_key(answer, args.output)?;
        }
        OperatorCommand::Enroll(args) => enroll(&StateDir::locate(state_dir)?, &args)?,
        OperatorCommand::List(output) => list(&StateDir::find(state_dir)?, output)?,
        OperatorCommand::Revoke(args) if args.everywhere => return revoke_everywhere(state_dir, args),
        OperatorCommand::Revoke(args) => revoke(&StateDir::find(state_dir)?, &args)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The public half only; there is no field a secret could stand in.
#[derive(Serialize)]
struct KeyAnswer {
    id: OperatorId,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    has_passphrase: Option<bool>,
    /// The fingerprint by which an agent shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_agent: Option<String>,
    enroll: String,
}

impl KeyAnswer {
    fn in_file(key: &PublicKey, file: PathBuf, has_passphrase: bool) -> Self {
        Self { key_file: Some(file), has_passphrase: Some(has_passphrase), ..Self::of(key) }
    }

    fn in_agent(held: &Held) -> Self {
        Self { in_agent: Some(held.fingerprint.clone()), ..Self::of(&held.public) }
    }

    fn of(key: &PublicKey) -> Self {
        let public_key = public_key_text(key.raw());
        let enroll = format!("clawmesh operator enroll {public_key} --name NAME --role ROLE");
        Self {
            id: key.operator_id(),
            public_key,
            key_file: None,
            has_passphrase: None,
            in_agent: None,
            enroll,
        }
    }
}

fn show_key(answer: KeyAnswer, output: Output) -> anyhow::Result<()> {
    if output.json {
        return say_json(&answer);
    }
    say(&format!("id          {}", answer.id));
    say(&format!("public key  {}", answer.public_key));
    if let Some(file) = &answer.key_file {
        say(&format!("key file    {}", file.display()));
    }
    if let Some(fingerprint) = &answer.in_agent {
        say(&format!("in agent    {fingerprint}"));
        say(
            "\nAn agent signs for every program that reaches it, unless the key was added with `ssh-add -c`: then it asks you each time.",
        );
    }
    if answer.has_passphrase == Some(false) {
        say(
            "\nIt has no passphrase: every program that can read the file can sign as you. `clawmesh operator passphrase` sets one.",
        );
    }
    say("\nAt the owner's console, with your name and observer, operator, approver or supervisor for ROLE:");
    say(&format!("  {}", answer.enroll));
    Ok(())
}

/// One person, for programs.
#[derive(Serialize)]
struct Person {
    id: OperatorId,
    public_key: String,
    name: String,
    role: Role,
    stands_for: Option<OperatorId>,
    is_revoked: bool,
}

impl Person {
    fn of(person: &Operator, roster: &Roster) -> Self {
        Self {
            id: person.id,
            public_key: public_key_text(&person.key),
            name: person.name.clone(),
            role: person.role,
            stands_for: person.delegate_of,
            is_revoked: roster.is_revoked(&person.id),
        }
    }
}

#[derive(Serialize)]
struct Change {
    operator: Person,
    operators_file: PathBuf,
    note: Option<String>,
}

fn enroll(dir: &StateDir, args: &EnrollArgs) -> anyhow::Result<()> {
    let key = read_public_key(&args.public_key).map_err(anyhow::Error::msg)?;
    let (role, name) = (role_of(&args.role)?, args.name.trim());
    if name.chars().any(char::is_control) {
        bail!("the name {name:?} has control characters in it; write it as people read it");
    }
    let nodes = nodes_known_to(dir)?;
    let operator = operators_file::update(dir, |roster| {
        let mut candidate = Operator::of_key(key, name, role);
        if let Some(wanted) = &args.stands_for {
            candidate = candidate.standing_for(person_called(roster, wanted)?);
        }
        let id = candidate.id;
        roster.enroll(candidate, &nodes).map_err(refusal)?;
        person_of(roster, &id)
    })?;
    let change = Change { operator, operators_file: dir.operators_file(), note: tell_node(dir) };
    if args.output.json {
        return say_json(&change);
    }
    say(&format!("enrolled    {} as {}", plain(&change.operator.name), args.role));
    say(&format!("id          {}", change.operator.id));
    say(&format!("public key  {}", change.operator.public_key));
    say(&format!("written to  {}", change.operators_file.display()));
    say("\nCompare the id with what `clawmesh operator show` prints at their side.");
    change.note.iter().for_each(|note| say(&format!("note: {note}")));
    Ok(())
}

fn revoke(dir: &StateDir, args: &RevokeArgs) -> anyhow::Result<()> {
    if args.signer.key.is_some() || args.target.url.is_some() {
        bail!("--key and --url are for --everywhere; without it the list at this console is changed");
    }
    // Asked before the lock is taken, so that a slip of the pen makes no state dir.
    let id = person_called(&operators_file::load(dir)?, &args.id)?;
    let operator = operators_file::update(dir, |roster| {
        roster.revoke(&id).map_err(refusal)?;
        person_of(roster, &id)
    })?;
    let change = Change { operator, operators_file: dir.operators_file(), note: tell_node(dir) };
    if args.target.json {
        return say_json(&change);
    }
    say(&format!("revoked     {}", plain(&change.operator.name)));
    say(&format!("id          {id}"));
    say(&format!("written to  {}", change.operators_file.display()));
    change.note.iter().for_each(|note| say(&format!("note: {note}")));
    Ok(())
}

fn list(dir: &StateDir, output: Output) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Answer {
        operators: Vec<Person>,
    }
    let roster = operators_file::load(dir)?;
    let answer = Answer { operators: roster.iter().map(|person| Person::of(person, &roster)).collect() };
    if output.json {
        return say_json(&answer);
    }
    if answer.operators.is_empty() {
        let root = dir.root().display();
        say(&format!("nobody is enrolled in {root}; make a key for a person with `clawmesh operator new`"));
        return Ok(());
    }
    let row = |person: &Person| {
        vec![
            plain(&person.name),
            person.id.short(),
            word_for(person.role).to_owned(),
            if person.is_revoked { "revoked" } else { "enrolled" }.to_owned(),
            person.stands_for.map_or_else(|| "-".to_owned(), |other| other.short()),
        ]
    };
    let rows: Vec<_> = answer.operators.iter().map(row).collect();
    say(&table(&["name", "id", "role", "is", "stands for"], &rows));
    Ok(())
}

/// What people are told when a node runs that does not know of a change yet.
fn tell_node(dir: &StateDir) -> Option<String> {
    match dir.is_in_use() {
        Ok(false) => None,
        Ok(true) => Some("the node that runs on this state dir takes the change within a second".to_owned()),
        // The change itself is made.
        Err(fault) => {
            Some(format!("a node that runs on this state dir takes the change within a second ({fault})"))
        }
    }
}

/// Every node this one has heard of by name: their keys are nobody's.
fn nodes_known_to(dir: &StateDir) -> Result<BTreeSet<NodeId>, ConfigError> {
    let mut nodes = NodeConfig::load(dir, NodeFile::default())?.trusted.value;
    nodes.extend(identity::load(dir)?.map(|key| key.id()));
    let plan = site_file::load(dir)?.plan;
    let placed = plan.iter().flat_map(|plan| &plan.nodes);
    nodes.extend(placed.filter_map(|node| node.id.as_deref()?.parse::<NodeId>().ok()));
    Ok(nodes)
}

fn role_of(text: &str) -> anyhow::Result<Role> {
    let known = ROLES.iter().find(|(word, _)| *word == text);
    let Some((_, role)) = known else {
        bail!("{text:?} is no role; roles are {}", ROLES.map(|(word, _)| word).join(", "));
    };
    Ok(*role)
}

fn word_for(role: Role) -> &'static str {
    ROLES.iter().find(|(_, known)| *known == role).map_or("-", |(word, _)| word)
}

fn person_of(roster: &Roster, id: &OperatorId) -> anyhow::Result<Person> {
    let person = roster.get(id).map(|person| Person::of(person, roster));
    person.ok_or_else(|| anyhow::anyhow!("{id} is not in the list it was just written to"))
}

fn person_called(roster: &Roster, wanted: &str) -> anyhow::Result<OperatorId> {
    one_id(roster.iter().map(|person| person.id), wanted)
}

/// The one id that begins with `wanted`.
fn one_id(ids: impl Iterator<Item = OperatorId>, wanted: &str) -> anyhow::Result<OperatorId> {
    let begins = wanted.trim().to_ascii_lowercase();
    if !begins.chars().all(|c| c.is_ascii_hexdigit()) {
        bail!("{wanted:?} is no id; ids have only the characters 0-9 and a-f, see `clawmesh operator list`");
    }
    if begins.len() < PREFIX_CHARACTERS_MIN {
        bail!(
            "{wanted:?} is too short to name a person; give at least {PREFIX_CHARACTERS_MIN} characters of the id, \
             see `clawmesh operator list`"
        );
    }
    let found: Vec<OperatorId> = ids.filter(|id| id.to_string().starts_with(&begins)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => {
            bail!("nobody enrolled here has an id that begins with {wanted:?}; see `clawmesh operator list`")
        }
        _ => bail!(
            "{} people have an id that begins with {wanted:?}; give more of it, see `clawmesh operator list --json`",
            found.len()
        ),
    }
}

fn refusal(refused: Refused) -> anyhow::Error {
    anyhow::Error::msg(refused.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::farm;

    #[test]
    fn a_person_is_named_by_eight_characters_unless_two_share_them() {
        let mut twin = [7; 32];
        twin[31] = 8;
        let ids = [OperatorId([7; 32]), OperatorId(twin), OperatorId([9; 32])];
        let one = |wanted: &str| one_id(ids.into_iter(), wanted).map_err(|error| error.to_string());
        assert_eq!(one("09090909"), Ok(ids[2]));
        assert_eq!(one(&ids[1].to_string().to_uppercase()), Ok(ids[1]));
        for (wanted, words) in [
            ("0909090", "at least 8 characters"),
            ("", "at least 8 characters"),
            ("0707070707", "2 people have an id that begins with"),
            ("0a0a0a0a", "nobody enrolled here"),
            ("operator1", "is no id"),
            (&"09".repeat(33), "nobody enrolled here"),
        ] {
            let sentence = one(wanted).unwrap_err();
            assert!(sentence.contains(words), "{wanted}: {sentence}");
        }
    }

    #[test]
    fn every_role_has_its_word_and_another_word_is_told_all_of_them() {
        for (word, role) in ROLES {
            assert_eq!(role_of(word).unwrap(), role);
            assert_eq!(word_for(role), word);
            assert_eq!(serde_json::to_value(role).unwrap(), word);
        }
        let sentence = role_of("Approver").unwrap_err().to_string();
        assert!(sentence.contains("observer, operator, approver, supervisor"), "{sentence}");
    }

    #[test]
    fn no_node_that_is_known_here_can_be_enrolled() {
        let (_dir, state) = StateDir::temporary();
        let own = identity::load_or_create(&state).unwrap().key;
        let node_file = format!("(trusted: [\"{}\"])", NodeId([5; 32]));
        std::fs::write(state.node_file(), node_file).unwrap();
        farm::create_missing(&state, &[(farm::FIELD_NODE, NodeId([6; 32]))]).unwrap();
        let known = [own.id(), NodeId([5; 32]), NodeId([6; 32])];
        assert_eq!(nodes_known_to(&state).unwrap(), known.into());
    }

    #[test]
    fn a_running_node_is_said_to_take_the_change() {
        let (_dir, state) = StateDir::temporary();
        assert_eq!(tell_node(&state), None);
        let _running = state.lock().unwrap();
        assert!(tell_node(&state).unwrap().contains("within a second"));
    }
}
