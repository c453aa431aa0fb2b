//! The signed envelope: one statement of a node in canonical CBOR, signed for [`Purpose::ENVELOPE`].
//! Relays cannot alter any of it.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::hlc::Hlc;
use crate::ids::{MeshId, NodeId};
use crate::keys::{KeyId, NodeKey, PublicKey};
use crate::lane::Lane;
use crate::reading::{Frame, READINGS_PER_BATCH_MAX, ReadingBatch};
use crate::refusal::{Code, Refusal};
use crate::signed::{self, Purpose, Signed};

/// The largest envelope we make or take, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 256 * 1024;

/// The most frames one bundle may hold.
pub const FRAMES_PER_BUNDLE_MAX: usize = 32;

/// The largest envelope that holds more than one frame, in bytes: a node that is told of many subjects keeps the whole
/// envelope for the sake of each of them.
pub const BUNDLE_BYTES_MAX: usize = 16 * 1024;

/// The most envelopes one delivery may hold.
pub const ENVELOPES_PER_DELIVERY_MAX: usize = 256;

/// What an envelope carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Samples, on the stream lane.
    #[n(0)]
    Readings(#[n(0)] ReadingBatch),
    /// A context record, on the state lane.
    #[n(1)]
    Frame(#[n(0)] Frame),
    /// "I have written down what you sent", the answer to an envelope on the state lane.
    #[n(2)]
    Receipt(#[n(0)] Receipt),
    /// Context records in a row, on the state lane. Its statement has the sequence of the last of them and the latest of
    /// their times.
    #[n(3)]
    Frames(#[n(0)] Bundle),
    /// "I end in order": the last word of a run, on the stream lane.
    #[n(4)]
    Leave,
}

/// Frames in a row, under one signature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Bundle {
    /// The frame they follow: between it and the first of them the source keeps none, and never will again. So nobody
    /// who holds back one delivery can have a later one taken in its place.
    #[n(0)]
    pub after: Option<u64>,
    /// The frames, by sequence.
    #[n(1)]
    pub frames: Vec<Said>,
}

/// One frame of a bundle, as the source numbered and dated it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Said {
    /// Its sequence.
    #[n(0)]
    pub sequence: u64,
    /// When, in hybrid time.
    #[n(1)]
    pub hlc: Hlc,
    /// What.
    #[n(2)]
    pub frame: Frame,
}

/// What the receiver of a state-lane envelope signs once its journal holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Receipt {
    /// Whose envelope.
    #[n(0)]
    pub source: NodeId,
    /// Its epoch.
    #[n(1)]
    pub epoch: u64,
    /// Its sequence.
    #[n(2)]
    pub sequence: u64,
}

impl Body {
    /// The lane this kind of content travels on.
    #[must_use]
    pub fn lane(&self) -> Lane {
        match self {
            Self::Readings(_) | Self::Leave => Lane::Stream,
            Self::Frame(_) | Self::Receipt(_) | Self::Frames(_) => Lane::State,
        }
    }

    fn fault(&self) -> Option<String> {
        match self {
            Self::Readings(batch) if batch.0.len() > READINGS_PER_BATCH_MAX => {
                Some(format!("a batch of {} readings, {READINGS_PER_BATCH_MAX} are allowed", batch.0.len()))
            }
            Self::Frame(frame) => frame.fault(),
            Self::Frames(bundle) => bundle.fault(),
            _ => None,
        }
    }
}

impl Bundle {
    fn fault(&self) -> Option<String> {
        let count = self.frames.len();
        if !(1..=FRAMES_PER_BUNDLE_MAX).contains(&count) {
            return Some(format!("a bundle of {count} frames, 1 to {FRAMES_PER_BUNDLE_MAX} are allowed"));
        }
        let sequences = self.after.into_iter().chain(self.frames.iter().map(|said| said.sequence));
        if !sequences.is_sorted_by(|a, b| a < b) {
            return Some("a bundle whose frames do not follow each other".to_owned());
        }
        self.frames.iter().find_map(|said| said.frame.fault())
    }
}

/// What a node says, before it is signed or after the signature was checked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Encode, Decode)]
pub struct Statement {
    /// The mesh it is meant for.
    #[n(0)]
    pub mesh: MeshId,
    /// The run of the node; grows with every start.
    #[n(1)]
    pub epoch: u64,
    /// Counts the statements of one epoch and lane.
    #[n(2)]
    pub sequence: u64,
    /// When, in hybrid time.
    #[n(3)]
    pub hlc: Hlc,
    /// What.
    #[n(4)]
    pub body: Body,
}

impl Statement {
    /// Frames in a row as one statement. An empty one is refused by everybody.
    #[must_use]
    pub fn of_frames(mesh: MeshId, epoch: u64, after: Option<u64>, frames: Vec<Said>) -> Self {
        let sequence = frames.last().map_or(0, |said| said.sequence);
        let hlc = frames.iter().map(|said| said.hlc).max().unwrap_or_default();
        Self { mesh, epoch, sequence, hlc, body: Body::Frames(Bundle { after, frames }) }
    }

    /// The lane it travels on.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.body.lane()
    }

    /// What it says one by one: each frame of a bundle as if it had been said alone.
    #[must_use]
    pub fn apart(self) -> Vec<Self> {
        let Self { mesh, epoch, sequence, hlc, body } = self;
        match body {
            Body::Frames(bundle) => {
                let alone = |said: Said| {
                    let Said { sequence, hlc, frame } = said;
                    Self { mesh, epoch, sequence, hlc, body: Body::Frame(frame) }
                };
                bundle.frames.into_iter().map(alone).collect()
            }
            body => vec![Self { mesh, epoch, sequence, hlc, body }],
        }
    }

    fn fault(&self, bytes: usize) -> Option<String> {
        if let Body::Frames(Bundle { frames, .. }) = &self.body {
            let is_last = frames.last().is_some_and(|said| said.sequence == self.sequence);
            if !is_last || frames.iter().map(|said| said.hlc).max() != Some(self.hlc) {
                return Some(
                    "a bundle that is not numbered and dated as its last and latest frame".to_owned(),
                );
            }
            if frames.len() > 1 && bytes > BUNDLE_BYTES_MAX {
                return Some(format!("a bundle of {bytes} bytes, {BUNDLE_BYTES_MAX} are allowed"));
            }
        }
        self.body.fault()
    }
}

/// A statement and the node that signed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// The signer, derived from its key.
    pub source: NodeId,
    /// What it said.
    pub statement: Statement,
}

/// Signs `statement`.
#[must_use]
pub fn seal(key: &NodeKey, statement: &Statement) -> Vec<u8> {
    signed::seal(key, Purpose::ENVELOPE, canonical::encode(statement))
}

/// Opens an envelope meant for `mesh`: form, then signature, then everything that may name the signer.
///
/// # Errors
/// A [`Refusal`] from the signer, or from `unproven …` while the signature is not shown to hold: nobody can fill
/// another node's page of the book. Trust, order and clock are not judged here.
pub fn open(bytes: &[u8], mesh: MeshId) -> Result<Opened, Refusal> {
    open_next(bytes, mesh, &mut None)
}

/// The same for one of a row: `signer` is who signed the one before, and then who claims to have signed this one.
///
/// # Errors
/// As [`open`].
pub fn open_next(bytes: &[u8], mesh: MeshId, signer: &mut Option<PublicKey>) -> Result<Opened, Refusal> {
    judge_size(bytes)?;
    let signed = Signed::parse_next(bytes, signer.as_ref()).map_err(misshapen)?;
    let source = signer.insert(signed.key().clone()).id();
    let statement = read_statement(signed.payload(), source)?;
    if !signed.holds_for(Purpose::ENVELOPE) {
        return Err(Refusal::new(
            Code::BadSignature,
            unproven(source),
            "the signature does not fit the content; somebody on the way altered it, or the key is another's",
        ));
    }
    if statement.mesh != mesh {
        return Err(Refusal::new(
            Code::MeshIdMismatch,
            source,
            "the envelope belongs to another mesh; start both nodes with the same --mesh-name",
        ));
    }
    if let Some(fault) = statement.fault(bytes.len()) {
        return Err(Refusal::new(Code::InvalidParams, source, fault));
    }
    Ok(Opened { source, statement })
}

/// How a refusal names a node that has not shown that it holds the key.
#[must_use]
pub fn unproven(claimed: NodeId) -> String {
    format!("unproven {claimed}")
}

/// Cuts a delivery into its envelopes, which stand one behind the other; what each of them is, is not judged.
///
/// # Errors
/// `MALFORMED_ENVELOPE` when it is no row of whole CBOR values, `TOO_LARGE` when there are too many.
pub fn split(delivery: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
    let refuse = |code, why: String| Refusal::new(code, UNKNOWN, why);
    let mut envelopes = Vec::new();
    let mut decoder = minicbor::Decoder::new(delivery);
    while decoder.position() < delivery.len() {
        if envelopes.len() >= ENVELOPES_PER_DELIVERY_MAX {
            let why =
                format!("a delivery has at most {ENVELOPES_PER_DELIVERY_MAX} envelopes; send less at once");
            return Err(refuse(Code::TooLarge, why));
        }
        let begin = decoder.position();
        decoder.skip().map_err(|fault| {
            let why = format!("{fault}; only signed clawmesh envelopes are taken");
            refuse(Code::MalformedEnvelope, why)
        })?;
        envelopes.push(&delivery[begin..decoder.position()]);
    }
    Ok(envelopes)
}

/// The node an envelope claims to be from, read off its first bytes; nothing is judged.
#[must_use]
pub fn claimed_signer(bytes: &[u8]) -> Option<NodeId> {
    signed::claimed_key(bytes).map(NodeId::of_public_key)
}

/// Reads an envelope whose signature was checked before it was written to our journal.
///
/// # Errors
/// As [`open`], but neither mesh, signature nor content are judged.
pub fn read_journaled(bytes: &[u8]) -> Result<Opened, Refusal> {
    judge_size(bytes)?;
    let (key, payload) = signed::read_judged(bytes).map_err(misshapen)?;
    let source = NodeId::of_public_key(key);
    Ok(Opened { source, statement: read_statement(payload, source)? })
}

/// How a refusal names whoever sent what does not even name a key.
const UNKNOWN: &str = "an unknown sender";

fn judge_size(bytes: &[u8]) -> Result<(), Refusal> {
    if bytes.len() <= ENVELOPE_BYTES_MAX {
        return Ok(());
    }
    let why = format!("{} bytes, an envelope has at most {ENVELOPE_BYTES_MAX}", bytes.len());
    Err(Refusal::new(Code::TooLarge, UNKNOWN, why))
}

fn misshapen(why: &str) -> Refusal {
    let why = format!("{why}; only signed clawmesh envelopes are taken");
    Refusal::new(Code::MalformedEnvelope, UNKNOWN, why)
}

fn read_statement(payload: Option<&[u8]>, claimed: NodeId) -> Result<Statement, Refusal> {
    let malformed = |why: String| Refusal::new(Code::MalformedEnvelope, unproven(claimed), why);
    let payload = payload.ok_or_else(|| malformed("the envelope is empty".to_owned()))?;
    canonical::decode(payload).map_err(|fault| malformed(fault.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::{Observation, Tier, Value};
    use proptest::prelude::*;

    fn mesh() -> MeshId {
        MeshId::of_name("barn")
    }

    fn statement() -> Statement {
        Statement {
            mesh: mesh(),
            epoch: 3,
            sequence: 9,
            hlc: Hlc { wall_ms: 1_730_000_000_000, logical: 2 },
            body: Body::Frame(Frame::Observation(observation())),
        }
    }

    fn observation() -> Observation {
        Observation {
            key: "zone-1/gate".to_owned(),
            value: Value::Flag(true),
            unit: None,
            origin_ms: 1_730_000_000_000,
            tier: Tier::T1,
        }
    }

    fn key() -> NodeKey {
        NodeKey::from_secret(&[7; 32])
    }

    fn code(bytes: &[u8]) -> Code {
        open(bytes, mesh()).unwrap_err().code
    }

    #[test]
    fn what_was_sealed_opens_as_it_was_and_names_its_signer() {
        let opened = open(&seal(&key(), &statement()), mesh()).unwrap();
        assert_eq!(opened, Opened { source: key().id(), statement: statement() });
        assert_eq!(read_journaled(&seal(&key(), &statement())).unwrap(), opened);
    }

    #[test]
    fn whom_an_envelope_claims_to_be_from_is_seen_without_opening_it() {
        let sealed = seal(&key(), &statement());
        assert_eq!(claimed_signer(&sealed), Some(key().id()));
        assert_eq!(claimed_signer(&sealed[..40]), None);
        assert_eq!(claimed_signer(b"21.5"), None);
    }

    #[test]
    fn absent_fields_have_one_encoding_wherever_they_stand() {
        let seen = Observation { unit: Some(crate::Unit::Bar), ..observation() };
        let (without, with) = (canonical::encode(&observation()), canonical::encode(&seen));
        // An absent field in the middle is null; only trailing ones are left off, and no frame ends in one.
        assert_eq!((without[0], with[0]), (0x85, 0x85));
        assert!(without.contains(&0xf6) && !with.contains(&0xf6));
    }

    #[test]
    fn another_mesh_is_refused() {
        let refusal = open(&seal(&key(), &statement()), MeshId::of_name("field")).unwrap_err();
        assert_eq!((refusal.code, refusal.from), (Code::MeshIdMismatch, key().id().to_string()));
    }

    #[test]
    fn a_signature_made_for_something_else_is_no_envelope() {
        let other = signed::seal(&key(), Purpose::APPROVAL, canonical::encode(&statement()));
        assert_eq!(code(&other), Code::BadSignature);
    }

    fn said(sequence: u64, wall_ms: u64) -> Said {
        Said { sequence, hlc: Hlc { wall_ms, logical: 0 }, frame: Frame::Observation(observation()) }
    }

    fn bundle(after: Option<u64>, frames: Vec<Said>) -> Statement {
        Statement::of_frames(mesh(), 3, after, frames)
    }

    #[test]
    fn a_bundle_opens_as_it_was_and_comes_apart_into_its_frames() {
        let said = bundle(Some(4), vec![said(5, 9), said(7, 8)]);
        assert_eq!((said.sequence, said.hlc.wall_ms, said.lane()), (7, 9, Lane::State));
        assert_eq!(open(&seal(&key(), &said), mesh()).unwrap().statement, said);
        let alone =
            |sequence, wall_ms| Statement { sequence, hlc: Hlc { wall_ms, logical: 0 }, ..statement() };
        assert_eq!(said.apart(), [alone(5, 9), alone(7, 8)]);
        assert_eq!(statement().apart(), [statement()]);
    }

    #[test]
    fn a_bundle_that_contradicts_itself_is_refused_with_its_signer() {
        let many = |count: u64| (0..count).map(|at| said(at, 1)).collect::<Vec<_>>();
        let long = |sequence| {
            let text = Value::Text("x".repeat(500));
            Said {
                frame: Frame::Observation(Observation { value: text, ..observation() }),
                ..said(sequence, 1)
            }
        };
        for wrong in [
            bundle(None, Vec::new()),
            bundle(None, many(FRAMES_PER_BUNDLE_MAX as u64 + 1)),
            bundle(None, vec![said(5, 1), said(5, 1)]),
            bundle(None, vec![said(6, 1), said(5, 1)]),
            bundle(Some(5), vec![said(5, 1)]),
            Statement { sequence: 6, ..bundle(None, vec![said(5, 1)]) },
            Statement { hlc: Hlc::default(), ..bundle(None, vec![said(5, 1)]) },
            bundle(None, (0..32).map(long).collect()),
        ] {
            let refusal = open(&seal(&key(), &wrong), mesh()).unwrap_err();
            assert_eq!((refusal.code, refusal.from), (Code::InvalidParams, key().id().to_string()));
        }
        assert!(open(&seal(&key(), &bundle(Some(4), many(32).split_off(5))), mesh()).is_ok());
    }

    #[test]
    fn a_delivery_is_cut_between_its_envelopes_and_nowhere_else() {
        let (one, two) = (seal(&key(), &statement()), seal(&key(), &bundle(None, vec![said(5, 1)])));
        assert_eq!(split(&[&one[..], &two[..]].concat()).unwrap(), [&one[..], &two[..]]);
        assert_eq!(split(&[]).unwrap(), [&[0_u8; 0]; 0]);
        assert_eq!(split(&[&one[..], &two[..9]].concat()).unwrap_err().code, Code::MalformedEnvelope);
        assert_eq!(split(&[1; ENVELOPES_PER_DELIVERY_MAX + 1]).unwrap_err().code, Code::TooLarge);
    }

    #[test]
    fn an_unsigned_statement_is_malformed() {
        assert_eq!(code(&canonical::encode(&statement())), Code::MalformedEnvelope);
        assert_eq!(code(b""), Code::MalformedEnvelope);
    }

    #[test]
    fn too_large_is_said_before_anything_is_read() {
        assert_eq!(code(&vec![0xff; ENVELOPE_BYTES_MAX + 1]), Code::TooLarge);
    }

    #[test]
    fn content_that_makes_no_sense_accuses_nobody_who_did_not_sign_it() {
        let mut wrong = statement();
        let Body::Frame(Frame::Observation(observation)) = &mut wrong.body else { unreachable!() };
        observation.value = Value::Number(f64::NAN);
        let mut forged = seal(&key(), &wrong);
        // The signature is what an envelope ends with.
        *forged.last_mut().unwrap() ^= 1;
        let refusal = open(&forged, mesh()).unwrap_err();
        assert_eq!((refusal.code, refusal.from), (Code::BadSignature, unproven(key().id())));
    }

    #[test]
    fn content_that_makes_no_sense_is_refused_with_its_signer() {
        let mut wrong = statement();
        let Body::Frame(Frame::Observation(observation)) = &mut wrong.body else { unreachable!() };
        observation.value = Value::Number(f64::INFINITY);
        let refusal = open(&seal(&key(), &wrong), mesh()).unwrap_err();
        assert_eq!((refusal.code, refusal.from), (Code::InvalidParams, key().id().to_string()));
    }

    proptest! {
        #[test]
        fn any_flipped_bit_is_refused(at in 0_usize..1_000, bit in 0_u8..8) {
            let mut bytes = seal(&key(), &statement());
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(open(&bytes, mesh()).is_err());
        }

        #[test]
        fn who_signed_the_one_before_makes_no_difference(row: Vec<(u8, u8, bool)>) {
            let mut signer = None;
            for (claimed, signed, is_whole) in row {
                let keys = [claimed, signed].map(|n| NodeKey::from_secret(&[n % 3; 32]));
                let mut bytes = seal(&keys[0], &statement());
                // The signature of another over the same content, under this name.
                let signature = seal(&keys[1], &statement()).split_off(bytes.len() - 64);
                bytes.truncate(bytes.len() - 64);
                bytes.extend(&signature[usize::from(!is_whole)..]);
                let next = open_next(&bytes, mesh(), &mut signer);
                prop_assert_eq!(next.is_ok(), is_whole && keys[0].id() == keys[1].id());
                prop_assert_eq!(next, open(&bytes, mesh()));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(open(&bytes, mesh()).is_err());
            prop_assert_eq!(claimed_signer(&bytes), None);
        }

        #[test]
        fn a_delivery_that_is_cut_is_all_there(bytes: Vec<u8>) {
            prop_assert!(split(&bytes).is_err() || split(&bytes).unwrap().concat() == bytes);
        }
    }
}
