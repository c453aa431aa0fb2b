//! Everything that a journal has about one proposal. Pure.

use std::collections::BTreeSet;

use clawmesh_authority::audit::{
    ASKED_MAX, AskedFor, Bundle, Entry, Files, Happened, Head, Line, Part, hash_of_people,
};
use clawmesh_authority::{
    AskKind, ContentHash, MeshId, NodeId, Proposal, ProposalId, RequestBody, Roster, approval, request,
};
use clawmesh_core::Settings;
use clawmesh_core::intake::{InputBody, SourceId, StampedInput};
use clawmesh_core::replay::Record;

use super::lines::Following;

/// Gathers from record to record.
pub struct Gathering {
    id: ProposalId,
    following: Following,
    node: Option<(NodeId, String, MeshId)>,
    proposal: Option<Proposal>,
    asked: Vec<AskedFor>,
    names: BTreeSet<ContentHash>,
    /// The names of what was taken.
    taken: BTreeSet<ContentHash>,
    cards: Vec<Vec<u8>>,
    /// What holds now, and texts that came in and may come to hold.
    holds: Files,
    told: Files,
    policies: Vec<String>,
    people: Vec<Roster>,
    files: Vec<Files>,
    log: Option<Part>,
    /// How many lines of the log there were when the last one about the proposal came.
    last: usize,
}

impl Gathering {
    /// Gathers what is about this proposal.
    pub fn about(id: ProposalId) -> Self {
        Self {
            id,
            following: Following::default(),
            node: None,
            proposal: None,
            asked: Vec::new(),
            names: BTreeSet::new(),
            taken: BTreeSet::new(),
            cards: Vec::new(),
            holds: Files::default(),
            told: Files::default(),
            policies: Vec::new(),
            people: Vec::new(),
            files: Vec::new(),
            log: None,
            last: 0,
        }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// A sentence, when the safety log does not hang together.
    pub fn take(&mut self, record: &Record) -> Result<(), String> {
        match record {
            Record::RunStarted(settings) => self.start(settings),
            Record::Input(input) => self.hear(input),
            Record::Digest(_) | Record::Kept(_) => {}
        }
        let mut head = self.following.head();
        for entry in self.following.take(record)? {
            let before = head;
            head = head.after(entry.hash());
            self.line(before, entry);
        }
        Ok(())
    }

    fn start(&mut self, settings: &Settings) {
        self.node = Some((settings.node, settings.name.clone(), MeshId::of_name(&settings.mesh_name)));
        let (site, policy) = match &settings.site {
            Some(text) => (Some(text.plan.clone()), text.policy.clone()),
            None => (None, None),
        };
        self.told = Files { since: 0, site, policy, people: settings.roster.clone() };
    }

    fn hear(&mut self, StampedInput { input, .. }: &StampedInput) {
        match (&input.source, &input.body) {
            (_, InputBody::Asked { kind, bytes }) => self.ask(*kind, bytes),
            (SourceId::Simulator, InputBody::Simulated { proposal, outcome: Ok(card), .. })
                if *proposal == self.id =>
            {
                self.cards.push(card.clone());
            }
            (SourceId::Runner, InputBody::PolicyChanged(text)) => self.policies.push(text.clone()),
            (SourceId::Runner, InputBody::PeopleChanged(people)) => self.people.push(people.clone()),
            _ => {}
        }
    }

    /// What was signed about the proposal, whatever became of it.
    fn ask(&mut self, kind: AskKind, bytes: &[u8]) {
        let is_about_it = match kind {
            AskKind::Approval => {
                approval::open(bytes).is_ok_and(|signed| signed.approval().proposal == self.id)
            }
            AskKind::Request => match request::open(bytes).map(|signed| signed.request().body.clone()) {
                Ok(RequestBody::Propose(proposal) | RequestBody::Supersede { proposal, .. })
                    if proposal.id() == self.id =>
                {
                    self.proposal.get_or_insert(proposal);
                    true
                }
                Ok(
                    RequestBody::Withdraw { proposal: about, .. }
                    | RequestBody::Supersede { instead_of: about, .. },
                ) => about == self.id,
                _ => false,
            },
        };
        let asked = AskedFor { kind, bytes: bytes.to_vec().into() };
        if is_about_it && self.names.insert(asked.name()) {
            self.asked.push(asked);
        }
    }

    /// What was taken, and of what was refused as much as there is room for: whoever signs nonsense must not make a bundle
    /// unreadable.
    fn asked_to_show(&mut self) -> Vec<AskedFor> {
        let room = ASKED_MAX.saturating_sub(self.taken.len());
        let mut refused = 0;
        let mut is_shown = |asked: &AskedFor| {
            let is_taken = self.taken.contains(&asked.name());
            refused += usize::from(!is_taken);
            is_taken || refused <= room
        };
        let asked = std::mem::take(&mut self.asked);
        asked.into_iter().filter(|asked| is_shown(asked)).collect()
    }

    fn line(&mut self, before: Head, entry: Entry) {
        self.hold(&entry);
        let is_about_it = match &entry.happened {
            Happened::Answered { asked, refused, .. } => {
                if refused.is_none() && self.names.contains(asked) {
                    self.taken.insert(*asked);
                }
                self.names.contains(asked)
            }
            happened => happened.proposal() == Some(self.id),
        };
        if self.log.is_none() && !is_about_it {
            return;
        }
        if self.log.is_none() {
            self.files.push(self.holds.clone());
        }
        let part = self.log.get_or_insert_with(|| Part { before, lines: Vec::new() });
        let is_shown = is_about_it || entry.happened.is_about_all();
        part.lines.push(if is_shown { Line::Shown(entry) } else { Line::hidden(&entry) });
        if is_about_it {
            self.last = part.lines.len();
        }
    }

    /// What came in holds from the line on that says so.
    fn hold(&mut self, entry: &Entry) {
        match &entry.happened {
            Happened::Started { .. } => self.holds = std::mem::take(&mut self.told),
            Happened::Policy { policy } => {
                let text = self.policies.drain(..).find(|text| ContentHash::of_policy(text) == *policy);
                self.holds.policy = text.or_else(|| self.holds.policy.take());
            }
            Happened::People { people } => {
                // Each has a line of its own, in the order in which they came.
                let at = self.people.iter().position(|told| hash_of_people(told) == *people);
                if let Some(at) = at {
                    self.holds.people = self.people.drain(..=at).next_back().unwrap_or_default();
                }
            }
            Happened::Revoked { key } => {
                // Somebody who is not enrolled has no entry to mark.
                let _ = self.holds.people.revoke(key);
            }
            _ => return,
        }
        self.holds.since = entry.number;
        if self.log.is_some() {
            self.files.push(self.holds.clone());
        }
    }

    /// The bundle of what was gathered.
    ///
    /// # Errors
    /// A sentence, when the journal has nothing about the proposal.
    pub fn finish(mut self, made_ms: u64) -> Result<Bundle, String> {
        let (id, asked) = (self.id.short(), self.asked_to_show());
        let (node, node_name, mesh) = self.node.ok_or("the journal is empty")?;
        let proposal = self.proposal.ok_or_else(|| {
            format!(
                "the journal of this node has no proposal {id}; only the owner of its actuators can export it"
            )
        })?;
        let mut log = self.log.ok_or_else(|| {
            format!("the safety log has no line about {id}: it is older than the log, or was never answered")
        })?;
        log.lines.truncate(self.last);
        let last = log.before.number.saturating_add(self.last as u64);
        let files = self.files.into_iter().filter(|files| files.since <= last).collect();
        let cards = self.cards.into_iter().map(Into::into).collect();
        Ok(Bundle { mesh, node, node_name, made_ms, proposal, asked, cards, files, log })
    }
}
