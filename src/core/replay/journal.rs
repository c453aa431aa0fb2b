//! The journal as the core sees it: records in order, handed over tick by tick.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::commit::Ticket;
use crate::intake::StampedInput;
use crate::settings::Settings;

/// The format of the records below; a journal with a larger one was written by a newer build.
pub const JOURNAL_FORMAT: u32 = 1;

/// The digests of one tick.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct DigestRecord {
    /// The tick they were taken at, after all its systems ran.
    #[n(0)]
    pub tick: u64,
    /// Over all types.
    #[n(1)]
    pub total: u64,
    /// By component type, in the order of names.
    #[n(2)]
    pub types: Vec<(String, u64)>,
}

/// Something of our own that has to outlive this run; a later one about the same subject replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct KeptRecord {
    /// The tick that decided it.
    #[n(0)]
    pub tick: u64,
    /// What it is; there is a bounded number of subjects.
    #[n(1)]
    pub subject: String,
    /// The thing, as its feature encodes it.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

/// One row of the journal, without its chain.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Record {
    /// A run of the node begins; an empty world.
    #[n(0)]
    RunStarted(#[n(0)] Settings),
    /// Something came in.
    #[n(1)]
    Input(#[n(0)] StampedInput),
    /// What the world was after a tick.
    #[n(2)]
    Digest(#[n(0)] DigestRecord),
    /// What a restart must know of our own; it follows from the inputs before it.
    #[n(3)]
    Kept(#[n(0)] KeptRecord),
}

/// Records of one tick, in order, handed over before any system sees their effect.
#[derive(Debug)]
pub struct Batch {
    /// The sequence of the first record; the others follow without a gap.
    pub first_sequence: u64,
    /// The records.
    pub records: Vec<Record>,
    /// Answers that wait for the commit of this batch.
    pub tickets: Vec<Ticket>,
}

/// Takes batches in order. It must never block for long: it is called from the tick.
pub trait JournalWriter: Send + Sync + 'static {
    /// Takes one batch; what becomes of it shows in the [`CommitWatch`](super::CommitWatch) and in the tickets.
    fn append(&mut self, batch: Batch);
}
