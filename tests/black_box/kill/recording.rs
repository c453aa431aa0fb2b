//! What a node leaves of its runs: the journal, read with the means of the product, and what its plant was told.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::transition::State;
use clawmesh_authority::{ContentHash, Proposal, ProposalId, StoryEntry, canonical};
use clawmesh_core::Core;
use clawmesh_core::intake::{DriverReport, InputBody, StampedInput};
use clawmesh_core::replay::Record;
use clawmesh_core::safety::Refusals;
use clawmesh_storage::JournalReader;

/// The journal of one node.
#[derive(Default)]
pub struct Recording {
    /// What its drivers reported, run by run.
    pub reports: Vec<Vec<DriverReport>>,
    /// What it wrote down of each proposal, oldest first.
    pub lives: BTreeMap<ProposalId, Vec<Kept>>,
    /// In which run, and before which row, it took what somebody asked.
    pub asked: BTreeMap<ContentHash, (usize, u64)>,
    /// What its book of refusals took in together with what somebody asked.
    pub refused: BTreeMap<ContentHash, Pages>,
}

/// The pages of a book of refusals on which something was written in one tick.
#[derive(Debug, Clone)]
pub struct Pages {
    /// How many had asked for something in this tick; of several that were refused alike the last sentence stands.
    pub askers: usize,
    /// Code and last sentence, by page.
    pub pages: Vec<(String, String)>,
}

/// A proposal as it was written down once.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The run, from 0.
    pub run: usize,
    /// The row.
    pub sequence: u64,
    /// What is proposed.
    pub proposal: Proposal,
    /// How it stood.
    pub state: State,
    /// How it came to.
    pub story: Vec<StoryEntry>,
}

impl Recording {
    /// Reads all of it, and runs it again for its book of refusals.
    pub fn of(dir: &Path) -> Self {
        let reader = JournalReader::open(&dir.join("journal.db")).expect("a node leaves a journal");
        let (mut recording, mut again) = (Self::default(), None);
        for row in reader.records() {
            let (sequence, _, record) = row.expect("the chain holds");
            match record {
                Record::RunStarted(settings) => {
                    recording.finish(again.take());
                    again =
                        Some(Again { core: Core::replaying(settings, sequence + 1), waiting: Vec::new() });
                    recording.reports.push(Vec::new());
                }
                Record::Input(stamped) => {
                    recording.take(&stamped);
                    let again = again.as_mut().expect("a run has begun");
                    recording.refused.extend(again.run_until(stamped.tick - 1));
                    again.waiting.push(stamped);
                }
                Record::Kept(kept) => recording.keep(sequence, &kept.subject, &kept.bytes),
                Record::Digest(_) => {}
            }
        }
        recording.finish(again);
        recording
    }

    fn finish(&mut self, again: Option<Again>) {
        if let Some(mut again) = again {
            let next = again.core.tick_number() + 1;
            self.refused.extend(again.run_until(next));
        }
    }

    fn take(&mut self, stamped: &StampedInput) {
        let run = self.reports.len() - 1;
        match &stamped.input.body {
            InputBody::Driver(report) => self.reports[run].push(report.clone()),
            InputBody::Asked { bytes, .. } => {
                let before = self.asked.insert(name_of_asked(bytes), (run, stamped.journal_sequence));
                assert_eq!(
                    before, None,
                    "the same bytes reached the tick twice, in rows {before:?} and later"
                );
            }
            _ => {}
        }
    }

    fn keep(&mut self, sequence: u64, subject: &str, bytes: &[u8]) {
        if !subject.starts_with("proposal/") {
            return;
        }
        let (proposal, state, story, _asked_ms): (Proposal, State, Vec<StoryEntry>, u64) =
            canonical::decode(bytes).expect("a proposal with its state, its story and when it came");
        let run = self.reports.len() - 1;
        self.lives.entry(proposal.id()).or_default().push(Kept { run, sequence, proposal, state, story });
    }
}

/// A run that runs again.
struct Again {
    core: Core,
    waiting: Vec<StampedInput>,
}

impl Again {
    /// Runs the ticks up to and with `until`; gives what was asked in them with the refusals that their book took in.
    fn run_until(&mut self, until: u64) -> Vec<(ContentHash, Pages)> {
        let mut refused = Vec::new();
        while self.core.tick_number() < until {
            let inputs = std::mem::take(&mut self.waiting);
            let asked: Vec<ContentHash> = inputs.iter().filter_map(name_in).collect();
            self.core.feed(inputs);
            self.core.tick();
            if !asked.is_empty() {
                let pages = Pages { askers: asked.len(), pages: self.pages() };
                refused.extend(asked.into_iter().map(|name| (name, pages.clone())));
            }
        }
        refused
    }

    /// Code and last sentence of each page of the book on which something was written in the last tick.
    fn pages(&self) -> Vec<(String, String)> {
        let (book, tick) = (&self.core.world().resource::<Refusals>().0, self.core.tick_number());
        let new = book.tallies().iter().filter(|tally| tally.tick == tick);
        new.map(|tally| (tally.code.as_str().to_owned(), tally.sentence.clone())).collect()
    }
}

fn name_in(stamped: &StampedInput) -> Option<ContentHash> {
    match &stamped.input.body {
        InputBody::Asked { bytes, .. } => Some(name_of_asked(bytes)),
        _ => None,
    }
}

/// One line of the log of a plant: something was written to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// To what.
    pub actuator: String,
    /// `on` or `off`.
    pub setpoint: String,
    /// By which step of which proposal, from 0; absent for a safe state.
    pub by: Option<(String, usize)>,
}

/// Everything that the plant of a node was told, in all its runs, as the plant's side of the wires has logged it.
pub fn told(dir: &Path) -> Vec<Told> {
    let log = fs::read_to_string(dir.with_extension("log")).expect("a node has a log");
    log.lines().filter_map(|line| told_by(line.split_once("the plant is told: ")?.1)).collect()
}

fn told_by(line: &str) -> Option<Told> {
    let (what, why) = line.split_once(", ")?;
    let (actuator, setpoint) = what.split_once(' ')?;
    let by = why.strip_prefix("step ").and_then(|by| by.split_once(" of ")).map(|(step, proposal)| {
        let step: usize = step.parse().expect("the number of a step");
        (proposal.to_owned(), step - 1)
    });
    Some(Told { actuator: actuator.to_owned(), setpoint: setpoint.to_owned(), by })
}
