//! `clawmesh trust`: which nodes this one trusts, at its own console.

pub mod args;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clawmesh_authority::NodeId;
use clawmesh_bridge::Part;
use serde::Serialize;

use super::args::Output;
use super::proposals::find::{PREFIX_CHARACTERS_MIN, names_node};
use super::table::{plain, table};
use super::terminal::{say, say_json};
use crate::config::error::ConfigError;
use crate::config::identity;
use crate::config::node_file::NodeFile;
use crate::config::settings::NodeConfig;
use crate::config::site_file;
use crate::config::state_dir::StateDir;
use crate::config::trust_file::{self, Added, Peer, TrustList};
use crate::moments::system_time;
use args::{AddArgs, RemoveArgs, TrustCommand};

/// Runs the command.
pub fn run(state_dir: Option<PathBuf>, command: TrustCommand) -> anyhow::Result<ExitCode> {
    match command {
        TrustCommand::Add(args) => add(&StateDir::locate(state_dir)?, &args)?,
        TrustCommand::List(output) => list(&StateDir::find(state_dir)?, output)?,
        TrustCommand::Remove(args) => remove(&StateDir::find(state_dir)?, &args)?,
        TrustCommand::Export(output) => export(&StateDir::find(state_dir)?, output)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One node, for programs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which.
    pub id: NodeId,
    name: Option<String>,
    is_trusted: bool,
    /// What it is on encrypted links.
    part: Part,
    #[serde(skip)]
    is_removed: bool,
    /// When it was last added or removed by hand; absent for what only `node.ron` names.
    since: Option<String>,
    /// The files that name it.
    named_in: Vec<&'static str>,
}

impl Row {
    fn of(id: NodeId, peer: Option<&Peer>, is_configured: bool) -> Self {
        let files = [("trust.ron", peer.is_some()), ("node.ron", is_configured)];
        Self {
            id,
            name: peer.and_then(|peer| peer.name.clone()),
            is_trusted: peer.is_none_or(|peer| !peer.is_removed && peer.part != Part::Router),
            part: peer.map(|peer| peer.part).unwrap_or_default(),
            is_removed: peer.is_some_and(|peer| peer.is_removed),
            since: peer.map(|peer| trust_file::time_text(peer.since)),
            named_in: files.into_iter().filter(|(_, names)| *names).map(|(file, _)| file).collect(),
        }
    }
}

/// Every node that either file names, by id.
pub struct Known {
    list: TrustList,
    rows: BTreeMap<NodeId, Row>,
}

impl Known {
    /// Reads both files.
    pub fn load(dir: &StateDir) -> Result<Self, ConfigError> {
        let configured = NodeConfig::load(dir, NodeFile::default())?.trust_configured;
        let list = trust_file::load(dir)?;
        let mut rows: BTreeMap<NodeId, Row> =
            configured.iter().map(|id| (*id, Row::of(*id, None, true))).collect();
        for (id, peer) in list.iter() {
            rows.insert(*id, Row::of(*id, Some(peer), configured.contains(id)));
        }
        Ok(Self { list, rows })
    }

    /// True when what this node says is taken.
    pub fn is_trusted(&self, id: &NodeId) -> bool {
        self.rows.get(id).is_some_and(|row| row.is_trusted)
    }

    /// How many nodes are trusted.
    pub fn trusted(&self) -> usize {
        self.rows.values().filter(|row| row.is_trusted).count()
    }

    /// What a node that was not removed is on encrypted links.
    pub fn part_of(&self, id: &NodeId) -> Option<Part> {
        self.rows.get(id).filter(|row| !row.is_removed).map(|row| row.part)
    }

    /// True when somebody has removed it.
    pub fn is_removed(&self, id: &NodeId) -> bool {
        self.rows.get(id).is_some_and(|row| row.is_removed)
    }

    /// The node that somebody means. A whole id says all, also of one that no file names.
    pub fn meant(&self, wanted: &str) -> anyhow::Result<NodeId> {
        wanted.trim().parse().or_else(|_| self.called(wanted).map(|row| row.id))
    }

    /// The one node that is called so.
    fn called(&self, wanted: &str) -> anyhow::Result<&Row> {
        let is_meant = |row: &&Row| names_node(wanted.trim(), row.name.as_deref(), row.id);
        let found: Vec<&Row> = self.rows.values().filter(is_meant).collect();
        match found[..] {
            [one] => Ok(one),
            [] => bail!(
                "no node of the list is called {wanted:?}; give its name here or at least {PREFIX_CHARACTERS_MIN} characters \
                 of its id, see `clawmesh trust list`"
            ),
            _ => {
                let ids: Vec<String> = found.iter().map(|row| row.id.to_string()).collect();
                bail!("{} nodes are called {wanted:?}; give the id of one: {}", ids.len(), ids.join(", "))
            }
        }
    }
}

/// What a change has come to.
#[derive(Serialize)]
struct Change {
    node: Row,
    /// False when it was so already.
    changed: bool,
    trust_file: PathBuf,
    note: Option<String>,
}

impl Change {
    fn made(dir: &StateDir, id: NodeId, changed: bool, note: Option<String>) -> anyhow::Result<Self> {
        let node = Known::load(dir)?.rows.remove(&id);
        let node = node.ok_or_else(|| anyhow::anyhow!("{id} is not in the list it was just written to"))?;
        Ok(Self { node, changed, trust_file: dir.trust_file(), note })
    }

    fn say(&self, output: Output, word: &str) -> anyhow::Result<()> {
        if output.json {
            return say_json(self);
        }
        let name = self.node.name.as_deref().map_or_else(String::new, |name| format!("  ({})", plain(name)));
        say(&format!("{word:11} {}{name}", self.node.id));
        say(&format!("written to  {}", self.trust_file.display()));
        self.note.iter().for_each(|note| say(&format!("note: {note}")));
        Ok(())
    }
}

fn add(dir: &StateDir, args: &AddArgs) -> anyhow::Result<()> {
    let id = id_in(&args.id)?;
    let name = args.name.as_deref().map(trust_file::name_of).transpose().map_err(anyhow::Error::msg)?;
    if identity::load(dir)?.is_some_and(|own| own.id() == id) {
        bail!("{id} is this node itself; give the id that `clawmesh identity` prints on the other one");
    }
    // Two nodes of one name could not be told apart when one of them is to be removed.
    let known = Known::load(dir)?;
    if let Some(name) = &name
        && let Some(other) = known.rows.values().find(|row| row.name.as_ref() == Some(name) && row.id != id)
    {
        bail!("{} is called {name:?} here already; give this node another name", other.id.short());
    }
    let part = args.part.as_deref().and_then(Part::of_word);
    let (added, is_other) = trust_file::update(dir, |list| {
        let added = list.add(id, name, system_time()).map_err(anyhow::Error::msg)?;
        let is_other = part.is_some_and(|part| list.set_part(id, part));
        Ok::<_, anyhow::Error>((added, is_other))
    })?;
    let note = match added {
        Added::Again => {
            let gone = known.list.get(&id).map(|peer| trust_file::time_text(peer.since)).unwrap_or_default();
            Some(format!("it was removed on {gone} and is trusted again"))
        }
        Added::New | Added::Known => None,
    };
    let change = Change::made(dir, id, added != Added::Known || is_other, note)?;
    let word = match change.node.part {
        Part::Router => "a router",
        _ if added == Added::Known => "is trusted",
        _ => "trusted",
    };
    change.say(args.output, word)
}

fn remove(dir: &StateDir, args: &RemoveArgs) -> anyhow::Result<()> {
    let id = Known::load(dir)?.meant(&args.node)?;
    if identity::load(dir)?.is_some_and(|own| own.id() == id) {
        bail!("{id} is this node itself, which trusts itself whatever a list says");
    }
    if !args.leave_as_it_is {
        nothing_is_on(dir, id)?;
    }
    let removed = trust_file::update(dir, |list| list.remove(id, system_time()).map_err(anyhow::Error::msg))?;
    let mut change = Change::made(dir, id, removed, None)?;
    if change.node.named_in.contains(&"node.ron") {
        change.note = Some("node.ron names it too, which counts no more".to_owned());
    }
    change.say(args.output, if removed { "removed" } else { "is removed" })
}

/// Refuses what would leave an actuator on for ever: whoever is trusted no longer is not told to switch it off either. A site that
/// cannot be read is in nobody's way: no node starts with it.
fn nothing_is_on(dir: &StateDir, guest: NodeId) -> anyhow::Result<()> {
    let on_it = site_file::load(dir).map(|site| site_file::on_guest(&site, guest)).unwrap_or_default();
    if on_it.is_empty() {
        return Ok(());
    }
    bail!(
        "site.ron has {} on {}, which nobody could switch off from here once it is trusted no longer; see in `clawmesh world` that \
         it is off and give `--leave-as-it-is`, or take it out of site.ron first",
        on_it.join(", "),
        guest.short()
    )
}

fn list(dir: &StateDir, output: Output) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Answer {
        nodes: Vec<Row>,
    }
    let answer = Answer { nodes: Known::load(dir)?.rows.into_values().collect() };
    if output.json {
        return say_json(&answer);
    }
    if answer.nodes.is_empty() {
        let root = dir.root().display();
        say(&format!("no other node is trusted in {root}; `clawmesh trust add ID` trusts one"));
        return Ok(());
    }
    let row = |row: &Row| {
        vec![
            row.name.as_deref().map_or_else(|| "-".to_owned(), plain),
            row.id.to_string(),
            word_for(row).to_owned(),
            row.since.clone().unwrap_or_else(|| "-".to_owned()),
            row.named_in.join(", "),
        ]
    };
    let rows: Vec<_> = answer.nodes.iter().map(row).collect();
    say(&table(&["name", "id", "is", "since", "named in"], &rows));
    Ok(())
}

/// What a row says of a node, in a word or two.
fn word_for(row: &Row) -> &'static str {
    match row.part {
        _ if row.is_removed => "removed",
        Part::Node => "trusted",
        Part::Relay => "trusted, relay",
        Part::Router => "router",
        Part::Viewer => "trusted, viewer",
    }
}

/// A node that another one may come to trust.
#[derive(Serialize)]
pub struct Exported {
    /// Which.
    pub id: NodeId,
    /// What people here call it.
    pub name: Option<String>,
    /// What it is on encrypted links, if it is anything but a node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// This node first, then those it trusts. What was removed stays here.
fn export(dir: &StateDir, output: Output) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Answer {
        nodes: Vec<Exported>,
    }
    let Some(own) = identity::load(dir)? else {
        bail!("there is no node in {} yet; `clawmesh start` makes one", dir.root().display());
    };
    let name = NodeConfig::load(dir, NodeFile::default())?.name.value;
    let others = Known::load(dir)?.rows.into_values().filter(|row| !row.is_removed);
    let others = others.map(|row| Exported { id: row.id, name: row.name, part: row.part.beyond_node() });
    let nodes = [Exported { id: own.id(), name: Some(name), part: None }].into_iter().chain(others).collect();
    let answer = Answer { nodes };
    if output.json {
        return say_json(&answer);
    }
    answer.nodes.iter().for_each(|node| say(&command_for("clawmesh", node)));
    Ok(())
}

/// Typed into any shell it trusts that node. A name with characters of the shell is left out, not escaped.
pub fn command_for(program: &str, node: &Exported) -> String {
    let name = node.name.as_ref().filter(|name| is_plain(name));
    let name = name.map_or_else(String::new, |name| format!(" --name {name}"));
    let part = node.part.map_or_else(String::new, |part| format!(" --as {}", part.as_str()));
    format!("{program} trust add {}{name}{part}", node.id)
}

/// True when a shell takes the text as it is, and no command takes it for an option.
pub fn is_plain(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || "-_.".contains(c))
        && !text.starts_with('-')
        && !text.is_empty()
}

/// Reads the id of another node.
///
/// # Errors
/// A sentence that says where to read it.
pub fn id_in(text: &str) -> anyhow::Result<NodeId> {
    let fault = |fault| anyhow::anyhow!("{text:?}: {fault}; `clawmesh identity` on that node prints its id");
    text.trim().parse::<NodeId>().map_err(fault)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn peer(name: Option<&str>, is_removed: bool) -> Peer {
        Peer { name: name.map(str::to_owned), since: SystemTime::UNIX_EPOCH, is_removed, part: Part::Node }
    }

    #[test]
    fn a_node_is_named_by_its_name_here_or_eight_characters_of_its_id() {
        let mut twin = [7; 32];
        twin[31] = 8;
        let nodes = [
            (NodeId([7; 32]), peer(Some("pump"), false)),
            (NodeId(twin), peer(None, true)),
            (NodeId([9; 32]), peer(Some("09090909"), false)),
        ];
        let rows = nodes.iter().map(|(id, peer)| (*id, Row::of(*id, Some(peer), false))).collect();
        let known = Known { list: TrustList::default(), rows };
        let called = |wanted: &str| known.called(wanted).map(|row| row.id).map_err(|why| why.to_string());
        assert_eq!(called(" pump"), Ok(NodeId([7; 32])));
        assert_eq!(called(&NodeId(twin).to_string().to_uppercase()), Ok(NodeId(twin)));
        assert_eq!(called("09090909"), Ok(NodeId([9; 32])));
        for (wanted, words) in
            [("070707", "no node of the list"), ("0707070707", "2 nodes are called"), ("", "no node")]
        {
            let sentence = called(wanted).unwrap_err();
            assert!(sentence.contains(words), "{wanted}: {sentence}");
        }
    }

    #[test]
    fn a_row_says_which_file_names_a_node_and_whether_it_counts() {
        let row = |peer: Option<&Peer>, is_configured| {
            let row = Row::of(NodeId([7; 32]), peer, is_configured);
            (row.is_trusted, row.named_in)
        };
        assert_eq!(row(None, true), (true, vec!["node.ron"]));
        assert_eq!(row(Some(&peer(None, false)), true), (true, vec!["trust.ron", "node.ron"]));
        assert_eq!(row(Some(&peer(None, true)), true), (false, vec!["trust.ron", "node.ron"]));
    }

    #[test]
    fn what_is_exported_is_a_command_whatever_the_name() {
        let id = NodeId([7; 32]);
        for (name, ends) in [
            (Some("pump-1"), " --name pump-1"),
            (None, "07"),
            (Some("a b"), "07"),
            (Some("$(reboot)"), "07"),
            (Some("-x"), "07"),
        ] {
            let node = Exported { id, name: name.map(str::to_owned), part: None };
            let command = command_for("clawmesh", &node);
            assert!(command.starts_with("clawmesh trust add 0707") && command.ends_with(ends), "{command}");
            let command = command_for("clawmesh", &Exported { part: Some(Part::Relay), ..node });
            assert!(command.ends_with(&format!("{ends} --as relay")), "{command}");
        }
    }
}
