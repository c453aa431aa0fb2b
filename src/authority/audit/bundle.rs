//! The bundle of one proposal: everything a stranger needs to judge it, signed for [`Purpose::AUDIT`] by the node that kept it.

use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::chain::Part;
use crate::answer::{AskKind, name_of_asked};
use crate::canonical;
use crate::ids::{ContentHash, MeshId, NodeId};
use crate::keys::{NodeKey, PublicKey};
use crate::operator::Roster;
use crate::proposal::Proposal;
use crate::refused::Refused;
use crate::signed::{self, Form, Purpose};

/// The largest bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a node shows of one proposal.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Bundle {
    /// The mesh.
    #[n(0)]
    pub mesh: MeshId,
    /// The node that kept it.
    #[n(1)]
    pub node: NodeId,
    /// The name people use for it.
    #[n(2)]
    pub node_name: String,
    /// When it was put together, Unix milliseconds.
    #[n(3)]
    pub made_ms: u64,
    /// The proposal, with its evidence.
    #[n(4)]
    pub proposal: Proposal,
    /// What people and nodes have signed about it, in the order in which it came.
    #[n(5)]
    pub asked: Vec<AskedFor>,
    /// The cards that were simulated for it.
    #[n(6)]
    pub cards: Vec<ByteVec>,
    /// What it was judged by, the oldest first.
    #[n(7)]
    pub files: Vec<Files>,
    /// The safety log from the first line about it to the last.
    #[n(8)]
    pub log: Part,
}

/// Signed bytes that somebody brought.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AskedFor {
    /// Which kind.
    #[n(0)]
    pub kind: AskKind,
    /// As they came.
    #[n(1)]
    pub bytes: ByteVec,
}

impl AskedFor {
    /// What the log calls it.
    #[must_use]
    pub fn name(&self) -> ContentHash {
        name_of_asked(&self.bytes)
    }
}

/// What a node decided by, until the next of these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Files {
    /// From the line with this number on.
    #[n(0)]
    pub since: u64,
    /// The site, as it is hashed.
    #[n(1)]
    pub site: Option<String>,
    /// The policy, as it is hashed.
    #[n(2)]
    pub policy: Option<String>,
    /// The people.
    #[n(3)]
    pub people: Roster,
}

const FORM: Form = Form {
    purpose: Purpose::AUDIT,
    called: "a bundle",
    bytes_max: BUNDLE_BYTES_MAX,
    size: "audit.size",
    form: "audit.form",
    signature: "audit.signature",
    advice: "ask the node for another one: clawmesh audit export",
};

/// Signs a bundle with the key of the node.
#[must_use]
pub fn seal(key: &NodeKey, bundle: &Bundle) -> Vec<u8> {
    signed::seal(key, Purpose::AUDIT, canonical::encode(bundle))
}

/// Opens a bundle: size, form, signature. Whether its signer is the node it names, and what it shows, [`check`](super::check) finds.
///
/// # Errors
/// `TOO_LARGE`, `MALFORMED_ENVELOPE`, `BAD_SIGNATURE`, in this order.
pub fn open(bytes: &[u8]) -> Result<(PublicKey, Bundle), Refused> {
    signed::open(bytes, &FORM)
}
