//! `clawmesh replace`: another node takes the place of one that is gone, in the site, in the policy and in whom this one trusts.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::bail;
use clawmesh_authority::NodeId;
use clawmesh_bridge::Part;
use serde::Serialize;

use super::args::ReplaceArgs;
use crate::cli::terminal::{say, say_json};
use crate::cli::trust::{Known, id_in};
use crate::config::durable_file::{read_bounded, write_atomic};
use crate::config::state_dir::StateDir;
use crate::config::{identity, policy_file, ron_text, site_file, trust_file};
use crate::moments::system_time;

#[derive(Serialize)]
struct Answer {
    old: NodeId,
    new: NodeId,
    /// In how many places each file named the old node.
    site_places: usize,
    policy_places: usize,
    /// True when this node trusted the old one, and now the new one.
    trust_moved: bool,
    notes: Vec<String>,
}

/// Replaces one node by another.
pub fn run(state_dir: Option<PathBuf>, args: &ReplaceArgs) -> anyhow::Result<ExitCode> {
    let dir = StateDir::find(state_dir)?;
    let new = id_in(&args.new)?;
    let known = Known::load(&dir)?;
    let old = known.meant(&args.old)?;
    let own = identity::load(&dir)?.map(|key| key.id());
    if old == new {
        bail!("{old} cannot take its own place; the second id is that of the new node");
    }
    if own == Some(old) {
        bail!("{old} is this node itself; on the new machine `clawmesh restore --new-key` takes its place");
    }
    if known.is_removed(&new) {
        bail!(
            "{new} was removed from the trust list here; if it is right again, say `clawmesh trust add {new}` first"
        );
    }
    let replaced = Replaced::judge(&dir, old, new)?;
    let was_trusted = known.is_trusted(&old);
    // What it was on links the new one is, too: the readings of a viewer count no more than before, and a relay goes on to relay.
    let part = known.part_of(&old);
    if replaced.places() == 0 && !was_trusted && part != Some(Part::Router) {
        bail!(
            "nothing in {} names {old}, and it is not trusted; give the id of the node that is gone",
            dir.root().display()
        );
    }
    let (site_places, policy_places) = (replaced.site.places, replaced.policy.places);
    // The old one goes first: a crash in between leaves less trust, not more.
    let now = system_time();
    let name = trust_file::update(&dir, |list| list.retire(old, now).map_err(anyhow::Error::msg))?;
    replaced.write()?;
    let trust_moved = was_trusted && own != Some(new);
    let is_listed = trust_moved || part == Some(Part::Router);
    if is_listed {
        trust_file::update(&dir, |list| {
            list.add(new, name, now).map_err(anyhow::Error::msg)?;
            list.set_part(new, part.unwrap_or_default());
            Ok::<_, anyhow::Error>(())
        })?;
    }
    let is_read_later = dir.is_in_use()? && site_places + policy_places > 0;
    let is_unheard = !is_listed && own != Some(new) && !known.is_trusted(&new);
    let notes = [
        (is_read_later, "the node runs, and reads its site at its next start".to_owned()),
        (
            is_unheard,
            format!("the old node was not trusted, so neither is the new one; `clawmesh trust add {new}`"),
        ),
    ];
    let notes = notes.into_iter().filter(|(is_so, _)| *is_so).map(|(_, note)| note).collect();
    let answer = Answer { old, new, site_places, policy_places, trust_moved, notes };
    if args.output.json {
        say_json(&answer)?;
    } else {
        tell(&answer);
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(answer: &Answer) {
    say(&format!("gone        {}, trusted no longer", answer.old));
    say(&format!("in place    {}{}", answer.new, if answer.trust_moved { ", trusted" } else { "" }));
    say(&format!("site.ron    {} places", answer.site_places));
    say(&format!("policy.ron  {} places", answer.policy_places));
    answer.notes.iter().for_each(|note| say(&format!("note: {note}")));
    say("\nSay the same at every other node of the site.");
}

/// A file in which one id is to stand for another.
struct Change {
    path: PathBuf,
    text: String,
    places: usize,
}

impl Change {
    fn of(path: PathBuf, old: NodeId, new: NodeId) -> anyhow::Result<Self> {
        let content = read_bounded(&path)?.unwrap_or_default();
        let (text, places) = with_ids(ron_text::utf8(&path, &content)?, old, new);
        Ok(Self { path, text, places })
    }

    fn write(&self) -> anyhow::Result<()> {
        if self.places > 0 {
            write_atomic(&self.path, self.text.as_bytes())?;
        }
        Ok(())
    }
}

/// The site and the policy with another node in the place of one.
pub struct Replaced {
    site: Change,
    policy: Change,
}

impl Replaced {
    /// Replaces the id wherever it stands, comments included, and judges what comes of it. Nothing is written.
    pub fn judge(dir: &StateDir, old: NodeId, new: NodeId) -> anyhow::Result<Self> {
        let (site, policy) =
            (Change::of(dir.site_file(), old, new)?, Change::of(dir.policy_file(), old, new)?);
        if site.places > 0 {
            let read = site_file::parse(&site.path, &site.text)?;
            judge_policy(&policy, &read)?;
        }
        Ok(Self { site, policy })
    }

    fn places(&self) -> usize {
        self.site.places + self.policy.places
    }

    /// Writes both files.
    pub fn write(&self) -> anyhow::Result<()> {
        self.site.write()?;
        self.policy.write()
    }
}

fn judge_policy(policy: &Change, site: &site_file::SiteFile) -> anyhow::Result<()> {
    if policy.text.is_empty() {
        return Ok(());
    }
    let (_, errors) = policy_file::examine(&policy.path, &policy.text, Some(site));
    errors.into_iter().next().map_or(Ok(()), |error| Err(error.into()))
}

/// The text with the new id for the old one, and in how many places.
fn with_ids(text: &str, old: NodeId, new: NodeId) -> (String, usize) {
    let (old, new) = (old.to_string(), new.to_string());
    (text.replace(&old, &new), text.matches(&old).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_replaced_wherever_it_stands_and_counted() {
        let (old, new) = (NodeId([1; 32]), NodeId([2; 32]));
        let text = format!("// {old}\n(a: \"{old}\", b: \"{}\")", NodeId([3; 32]));
        let (replaced, places) = with_ids(&text, old, new);
        assert_eq!(places, 2);
        assert_eq!(replaced, text.replace("01", "02"));
        assert_eq!(with_ids("", old, new), (String::new(), 0));
    }
}
