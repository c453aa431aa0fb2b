//! Proposals as entities: those whose home is here, and copies of those whose home is elsewhere.

use std::collections::BTreeMap;

use bevy::prelude::{Component, Entity, Resource};
use clawmesh_authority::gate::Grant;
use clawmesh_authority::report::STORY_MAX;
use clawmesh_authority::request::RequestMarks;
use clawmesh_authority::transition::{Round, State, Verdict};
use clawmesh_authority::{
    Code, ContentHash, Hlc, NodeId, OfferBook, Proposal, ProposalId, ProposalReport, StoryEntry,
};
use clawmesh_twin::trial::Snapshot;
use minicbor::encode::{Error as EncodeError, Write};
use minicbor::{Decode, Encode, Encoder};
use serde::{Deserialize, Serialize};

use super::ledger::Ledger;

/// The most proposals that are open at once.
pub const OPEN_MAX: usize = 32;

/// A proposal whose home is this node; the entity never becomes another.
#[derive(Component, Debug, Clone, PartialEq, Encode)]
#[component(immutable)]
pub struct Proposed {
    /// Its name.
    #[n(0)]
    pub id: ProposalId,
    /// Its place among those this node shows.
    #[n(1)]
    pub slot: u8,
    /// What is proposed.
    #[n(2)]
    pub proposal: Proposal,
}

/// How a proposal stands, and how it came to.
#[derive(Component, Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Life {
    /// How it stands.
    #[n(0)]
    pub state: State,
    /// What happened, oldest first; of a long story the beginning is dropped.
    #[n(1)]
    pub story: Vec<StoryEntry>,
    /// True until what it is now was written down and told.
    #[n(2)]
    pub is_news: bool,
    /// When it came, Unix milliseconds.
    #[n(3)]
    pub asked_ms: u64,
    /// Since when this run has had it, milliseconds the machine has been up.
    #[n(4)]
    pub since_ms: u64,
    /// For how long earlier runs have had it, milliseconds.
    #[n(5)]
    pub waited_before_ms: u64,
    /// How many entries at the end of the story are not in the safety log yet.
    #[n(6)]
    pub unlogged: usize,
}

impl Life {
    /// A proposal that has just come.
    #[must_use]
    pub fn begin(asked_ms: u64, since_ms: u64) -> Self {
        Self {
            state: State::Draft,
            story: Vec::new(),
            is_news: true,
            asked_ms,
            since_ms,
            waited_before_ms: 0,
            unlogged: 0,
        }
    }

    /// For how long it has waited, milliseconds. Nobody lengthens or shortens that by setting a clock while the node runs.
    #[must_use]
    pub fn waited_ms(&self, elapsed_ms: u64) -> u64 {
        self.waited_before_ms.saturating_add(elapsed_ms.saturating_sub(self.since_ms))
    }

    /// What the safety log has not been told yet of the story; it counts as told from now on.
    pub fn to_log(&mut self) -> &[StoryEntry] {
        let told = self.story.len().saturating_sub(std::mem::take(&mut self.unlogged));
        &self.story[told..]
    }

    /// Adds to the story that it came to be in the state it is in. While the time is not known, `at_ms` being 0, that is dated
    /// as what came before it, for it was then or later.
    pub fn tell(&mut self, at_ms: u64, words: String, code: Option<Code>) {
        let before_ms = self.story.last().map_or(0, |entry| entry.at_ms);
        let at_ms = if at_ms == 0 { before_ms } else { at_ms };
        let keep = self.story.len().min(STORY_MAX - 1);
        self.story.drain(..self.story.len() - keep);
        self.story.push(StoryEntry { at_ms, state: self.state.name().to_owned(), words, code });
        self.is_news = true;
        self.unlogged += 1;
    }
}

/// What the newest simulation of a proposal began from.
#[derive(Component, Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forked {
    /// Which simulation.
    pub round: Round,
    /// The seed of its perturbations.
    pub seed: [u8; 32],
    /// The nonce its offer will have.
    pub nonce: [u8; 32],
    /// When it was ordered, milliseconds the machine has been up.
    pub ordered_ms: u64,
    /// What was known then.
    pub snapshot: Snapshot,
}

impl<C> Encode<C> for Forked {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, context: &mut C) -> Result<(), EncodeError<W::Error>> {
        self.round.encode(e, context)?;
        e.bytes(&self.seed)?.bytes(&self.nonce)?.u64(self.ordered_ms)?;
        // The twin has no encoding of a snapshot; its JSON is one text for one value, maps being sorted.
        e.str(&serde_json::to_string(&self.snapshot).unwrap_or_default())?.ok()
    }
}

/// The newest card of a proposal.
#[derive(Component, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct CardHeld {
    /// Of which simulation.
    #[n(0)]
    pub round: Round,
    /// The card by its content.
    #[n(1)]
    pub hash: ContentHash,
    /// What it says in one word.
    #[n(2)]
    pub verdict: Verdict,
    /// Its canonical bytes.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// Everybody who has to approve it did. No bytes become one.
#[derive(Component, Debug, Clone, PartialEq, Encode)]
#[cbor(transparent)]
pub struct Granted(#[n(0)] pub Grant);

/// How far a proposal has been carried out. Times are milliseconds the machine has been up, if nothing else is said.
#[derive(Component, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Run {
    /// The step that was ordered last, from 0.
    #[n(0)]
    pub step: usize,
    /// When that step was ordered.
    #[n(1)]
    pub ordered_ms: u64,
    /// When the hardware took it; absent until then.
    #[n(2)]
    pub taken_ms: Option<u64>,
    /// When the first step was taken.
    #[n(3)]
    pub began_ms: Option<u64>,
    /// Since when the last step is as it was told to be.
    #[n(4)]
    pub all_set_ms: Option<u64>,
    /// When that step was ordered, Unix milliseconds: what confirms any of them is newer.
    #[n(5)]
    pub ordered_unix_ms: u64,
    /// Where in the ledger its use was booked, Unix milliseconds of the ledger.
    #[n(14)]
    pub booked_unix_ms: u64,
    /// Which steps were seen where they were told to be.
    #[n(10)]
    pub arrived: Vec<usize>,
    /// Which steps a sensor has confirmed.
    #[n(6)]
    pub confirmed: Vec<usize>,
    /// Since when a sensor no longer shows what it must.
    #[n(7)]
    pub doubted_since_ms: Option<u64>,
    /// Since when the plant is outside the band of the card.
    #[n(8)]
    pub outside_since_ms: Option<u64>,
    /// The steps whose time is over and that are safe again.
    #[n(9)]
    pub ended: Vec<usize>,
    /// Since when it is being ended.
    #[n(11)]
    pub ending_since_ms: Option<u64>,
    /// For how many ticks everything was as it was told to be.
    #[n(12)]
    pub set_ticks: u64,
    /// During how many of these the sensors showed it.
    #[n(13)]
    pub shown_ticks: u64,
}

/// A proposal of another home; the entity never becomes another.
#[derive(
    Component, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode,
)]
#[component(immutable)]
pub struct CopyOf {
    /// The home.
    #[n(0)]
    pub home: NodeId,
    /// The place it has there.
    #[n(1)]
    pub slot: u8,
}

/// What the home said last.
#[derive(Component, Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Copied {
    /// The report.
    #[n(0)]
    pub report: ProposalReport,
    /// When it was said.
    #[n(1)]
    pub hlc: Hlc,
    /// The tick it came in.
    #[n(2)]
    pub received_tick: u64,
}

/// The nonces and offers of this run.
#[derive(Resource, Clone, Encode)]
#[cbor(transparent)]
pub struct Desk(#[n(0)] pub OfferBook);

/// How far each signer of requests was heard.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
#[cbor(transparent)]
pub struct Asked(#[n(0)] pub RequestMarks);

/// What was used of every budget.
#[derive(Resource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Spending {
    /// What was used, by hours.
    #[n(0)]
    pub ledger: Ledger,
    /// The newest hour of earlier runs, Unix milliseconds: a clock that shows less was lost, and nothing is booked before it.
    #[n(1)]
    pub not_before_ms: u64,
}

impl Spending {
    /// What earlier runs used.
    #[must_use]
    pub fn recalled(ledger: Ledger) -> Self {
        Self { not_before_ms: ledger.newest_ms(), ledger }
    }
}

/// The entity of every proposal whose home is here.
#[derive(Resource, Debug, Default)]
pub struct ProposalIndex(pub BTreeMap<ProposalId, Entity>);

/// The entity of every copy.
#[derive(Resource, Debug, Default)]
pub struct CopyIndex(pub BTreeMap<CopyOf, Entity>);
