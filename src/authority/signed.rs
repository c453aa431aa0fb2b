//! Signed bytes: COSE_Sign1 (RFC 9052) with Ed25519, in the one form we write.
//!
//! The protected header holds the algorithm and the signer's raw public key as key id; ids are derived from that key
//! and never sent. A [`Purpose`] is mixed into every signature as external data, so that a signature made for one thing
//! is none for another.

use coset::{CborSerializable, CoseSign1, Header, HeaderBuilder, iana};
use minicbor::{Decode, Encode};

use crate::canonical;
use crate::keys::{Key, KeyId, PublicKey};
use crate::refusal::Code;
use crate::refused::Refused;

/// What a signature is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose(&'static str);

impl Purpose {
    /// What a node says to the mesh.
    pub const ENVELOPE: Self = Self("clawmesh/envelope/v1");
    /// What somebody asks the owner of an actuator for.
    pub const REQUEST: Self = Self("clawmesh/request/v1");
    /// What a person answers to an offer.
    pub const APPROVAL: Self = Self("clawmesh/approval/v1");
    /// What an owner answers to a request or an approval.
    pub const ANSWER: Self = Self("clawmesh/answer/v1");
    /// What two nodes say to each other while people make them trust each other.
    pub const PAIRING: Self = Self("clawmesh/pairing/v1");
    /// What a node that does not know the time asks.
    pub const TIME_QUESTION: Self = Self("clawmesh/time-question/v1");
    /// What a node that knows it answers.
    pub const TIME_ANSWER: Self = Self("clawmesh/time-answer/v1");
    /// What a node shows a stranger of its safety log.
    pub const AUDIT: Self = Self("clawmesh/audit/v1");

    /// The external data of its signatures.
    #[must_use]
    pub fn external_data(self) -> &'static [u8] {
        self.0.as_bytes()
    }
}

/// What all signed bytes begin with: an array of four, and the protected header up to the raw key.
const BEFORE_KEY_ID: &[u8] = &[0x84, 0x58, 0x26, 0xa2, 0x01, 0x32, 0x04, 0x58, 0x20];
/// The unprotected header.
const EMPTY_MAP: u8 = 0xa0;
/// Stands where a payload is when there is none.
const NULL: u8 = 0xf6;

/// Signs `payload` for one purpose.
#[must_use]
pub fn seal<I: KeyId>(key: &Key<I>, purpose: Purpose, payload: Vec<u8>) -> Vec<u8> {
    let unsigned = Unsigned::by(&key.public(), purpose, payload);
    let signature = key.sign(&unsigned.to_be_signed());
    unsigned.joined(&signature)
}

/// A message that waits for its signature, for whoever keeps the key where nobody reads it.
#[derive(Debug, Clone)]
pub struct Unsigned {
    signer: PublicKey,
    purpose: Purpose,
    payload: Vec<u8>,
}

impl Unsigned {
    /// What the holder of `signer` would say with `payload`.
    #[must_use]
    pub fn by(signer: &PublicKey, purpose: Purpose, payload: Vec<u8>) -> Self {
        Self { signer: signer.clone(), purpose, payload }
    }

    /// The bytes whose Ed25519 signature makes it a signed message.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        to_be_signed(self.signer.raw(), self.purpose, &self.payload)
    }

    /// The signed message; `None` when `signature` is not the one of its signer over these bytes.
    #[must_use]
    pub fn signed(self, signature: &[u8]) -> Option<Vec<u8>> {
        // Strictly as an owner will: what it would refuse is never sent.
        let holds = self.signer.verifies(&self.to_be_signed(), signature);
        holds.then(|| self.joined(signature))
    }

    fn joined(self, signature: &[u8]) -> Vec<u8> {
        let Self { signer, payload, .. } = self;
        let mut sealed = Vec::with_capacity(
            BEFORE_KEY_ID.len() + signer.raw().len() + payload.len() + signature.len() + 9,
        );
        sealed.extend_from_slice(BEFORE_KEY_ID);
        sealed.extend_from_slice(signer.raw());
        sealed.push(EMPTY_MAP);
        put_bytes(&mut sealed, &payload);
        put_bytes(&mut sealed, signature);
        sealed
    }
}

/// What is signed: the `Sig_structure` of RFC 9052, section 4.4.
fn to_be_signed(raw_key: &[u8; 32], purpose: Purpose, payload: &[u8]) -> Vec<u8> {
    // An array of four, and the context as text.
    let mut message = b"\x84\x6aSignature1".to_vec();
    message.extend_from_slice(&BEFORE_KEY_ID[1..]);
    message.extend_from_slice(raw_key);
    put_bytes(&mut message, purpose.external_data());
    put_bytes(&mut message, payload);
    message
}

fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    // A vector takes everything.
    let _ = minicbor::Encoder::new(to).bytes(bytes);
}

/// The raw public key that signed bytes claim to be from, read off their beginning; nothing is judged.
///
/// In canonical form the key id stands in one place only, so what has none there is not signed at all.
#[must_use]
pub fn claimed_key(bytes: &[u8]) -> Option<&[u8; 32]> {
    bytes.strip_prefix(BEFORE_KEY_ID)?.first_chunk()
}

/// A kind of signed message: what it is signed for, and what refusals of one say.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// What its signatures are made for.
    pub purpose: Purpose,
    /// What it is called, with its article.
    pub called: &'static str,
    /// The most bytes it has, signed.
    pub bytes_max: usize,
    /// The rule about its size.
    pub size: &'static str,
    /// The rule about its form.
    pub form: &'static str,
    /// The rule about its signature.
    pub signature: &'static str,
    /// What to do about one that is refused.
    pub advice: &'static str,
}

/// Opens a signed message: size, form, signature. What it says is for its kind to judge.
///
/// # Errors
/// `TOO_LARGE`, `MALFORMED_ENVELOPE`, `BAD_SIGNATURE`, in this order.
pub fn open<T: for<'b> Decode<'b, ()> + Encode<()>>(
    bytes: &[u8],
    form: &Form,
) -> Result<(PublicKey, T), Refused> {
    let Form { called, bytes_max, advice, .. } = form;
    if bytes.len() > *bytes_max {
        let sentence = format!("{} bytes, {called} has at most {bytes_max}; {advice}", bytes.len());
        return Err(Refused::new(Code::TooLarge, form.size, sentence));
    }
    let malformed =
        |why: String| Refused::new(Code::MalformedEnvelope, form.form, format!("{why}; {advice}"));
    let signed = Signed::parse(bytes).map_err(|why| malformed(why.to_owned()))?;
    let payload = signed.payload().ok_or_else(|| malformed("it says nothing".to_owned()))?;
    let message = canonical::decode(payload).map_err(|fault| malformed(fault.to_string()))?;
    if !signed.holds_for(form.purpose) {
        let sentence =
            format!("the signature is not one of this key for {called} with this content; {advice}");
        return Err(Refused::new(Code::BadSignature, form.signature, sentence));
    }
    Ok((signed.key, message))
}

/// Signed bytes in the one form we write, whose signature may or may not hold.
#[derive(Debug)]
pub struct Signed {
    key: PublicKey,
    payload: Option<Vec<u8>>,
    signature: Vec<u8>,
}

impl Signed {
    /// Reads the form; the signature is judged by [`Signed::holds_for`].
    ///
    /// # Errors
    /// What is wrong with the form, in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        Self::parse_next(bytes, None)
    }

    /// The same where bytes of the same signer were read just before: to read a key costs a tenth of what its signature does.
    ///
    /// # Errors
    /// As [`Signed::parse`].
    pub fn parse_next(bytes: &[u8], key_before: Option<&PublicKey>) -> Result<Self, &'static str> {
        let Parts { key, payload, signature } = parts_of(bytes).ok_or_else(|| fault_of(bytes))?;
        let key = match key_before.filter(|before| before.raw() == key) {
            Some(same) => same.clone(),
            None => PublicKey::from_raw(key).ok_or(NO_KEY)?,
        };
        Ok(Self { key, payload: payload.map(<[u8]>::to_vec), signature: signature.to_vec() })
    }

    /// The key it claims to be signed with.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What is signed, if anything is.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.payload.as_deref()
    }

    /// True when the signature is the key's, over this payload, for this purpose.
    #[must_use]
    pub fn holds_for(&self, purpose: Purpose) -> bool {
        let message = to_be_signed(self.key.raw(), purpose, self.payload().unwrap_or_default());
        self.key.verifies(&message, &self.signature)
    }
}

/// The raw key and the payload of signed bytes whose key and signature were judged before, which is what costs time.
///
/// # Errors
/// What is wrong with the form, in words.
pub fn read_judged(bytes: &[u8]) -> Result<(&[u8; 32], Option<&[u8]>), &'static str> {
    let Parts { key, payload, .. } = parts_of(bytes).ok_or_else(|| fault_of(bytes))?;
    Ok((key, payload))
}

const NO_KEY: &str = "the key id is no Ed25519 public key";

/// Signed bytes, cut where they are to be cut; whether the key is a point of the curve is not asked.
struct Parts<'b> {
    key: &'b [u8; 32],
    payload: Option<&'b [u8]>,
    signature: &'b [u8],
}

/// Cuts bytes in the one form we write; `None` for all others.
fn parts_of(bytes: &[u8]) -> Option<Parts<'_>> {
    let key = claimed_key(bytes)?;
    let rest = bytes.get(BEFORE_KEY_ID.len() + key.len()..)?.strip_prefix(&[EMPTY_MAP])?;
    let (payload, rest) = match rest.split_first() {
        Some((&NULL, rest)) => (None, rest),
        _ => take_bytes(rest).map(|(payload, rest)| (Some(payload), rest))?,
    };
    let (signature, rest) = take_bytes(rest)?;
    rest.is_empty().then_some(Parts { key, payload, signature })
}

/// A byte string whose length is written as shortly as it can be, and what follows it.
fn take_bytes(from: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut decoder = minicbor::Decoder::new(from);
    let bytes = decoder.bytes().ok()?;
    let (taken, rest) = from.split_at_checked(decoder.position())?;
    let head = taken.len() - bytes.len();
    let shortest = match bytes.len() {
        0..24 => 1,
        24..0x100 => 2,
        0x100..0x1_0000 => 3,
        _ => 5,
    };
    (head == shortest).then_some((bytes, rest))
}

/// What is wrong with the form of bytes that are not in it, in words.
fn fault_of(bytes: &[u8]) -> &'static str {
    let Ok(sealed) = CoseSign1::from_slice(bytes) else { return "the bytes are no COSE_Sign1" };
    if sealed.clone().to_vec().ok().as_deref() != Some(bytes) {
        return "the COSE_Sign1 is not in canonical form";
    }
    if sealed.unprotected != Header::default() {
        return "the unprotected header is not empty";
    }
    let header = &sealed.protected.header;
    if *header != header_of(header.key_id.clone()) {
        return "the protected header is not Ed25519 and a key id";
    }
    // The protected header comes out as it went in, so that its own encoding is judged by its bytes.
    if header.key_id.len() == 32 { "the protected header is not in canonical form" } else { NO_KEY }
}

fn header_of(key_id: Vec<u8>) -> Header {
    HeaderBuilder::new().algorithm(iana::Algorithm::Ed25519).key_id(key_id).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::NodeKey;
    use coset::{CoseSign1Builder, ProtectedHeader};
    use proptest::prelude::*;

    fn sealed() -> Vec<u8> {
        seal(&NodeKey::from_secret(&[7; 32]), Purpose::REQUEST, b"open the gate".to_vec())
    }

    #[test]
    fn what_was_sealed_holds_for_its_purpose_and_no_other() {
        let signed = Signed::parse(&sealed()).unwrap();
        assert_eq!(signed.payload(), Some(&b"open the gate"[..]));
        assert!(signed.holds_for(Purpose::REQUEST));
        assert!(!signed.holds_for(Purpose::APPROVAL) && !signed.holds_for(Purpose::ENVELOPE));
    }

    #[test]
    fn a_signature_made_elsewhere_gives_the_same_bytes_and_another_signature_none() {
        let (ours, theirs) = (NodeKey::from_secret(&[7; 32]), NodeKey::from_secret(&[8; 32]));
        let unsigned = Unsigned::by(&ours.public(), Purpose::REQUEST, b"open the gate".to_vec());
        let bytes = unsigned.to_be_signed();
        assert_eq!(unsigned.clone().signed(&ours.sign(&bytes)), Some(sealed()));
        let other_purpose = Unsigned::by(&ours.public(), Purpose::APPROVAL, b"open the gate".to_vec());
        let wrong =
            [theirs.sign(&bytes), ours.sign(b"open the gate"), ours.sign(&other_purpose.to_be_signed())];
        for signature in wrong {
            assert_eq!(unsigned.clone().signed(&signature), None);
        }
        assert_eq!(unsigned.clone().signed(&ours.sign(&bytes)[..63]), None);
    }

    #[test]
    fn the_claimed_key_stands_at_the_beginning() {
        let sealed = sealed();
        assert_eq!(claimed_key(&sealed), Some(NodeKey::from_secret(&[7; 32]).public().raw()));
        assert_eq!(claimed_key(&sealed[..40]), None);
        assert_eq!(claimed_key(b"21.5"), None);
    }

    #[test]
    fn a_header_relays_could_play_with_is_refused() {
        let key = NodeKey::from_secret(&[7; 32]);
        let with = |protected: Header, unprotected: Header| {
            let sealed = CoseSign1Builder::new().protected(protected).unprotected(unprotected);
            let sign = |message: &[u8]| key.sign(message).to_vec();
            let sealed = sealed.payload(vec![1]).create_signature(b"", sign).build();
            Signed::parse(&sealed.to_vec().unwrap()).err()
        };
        let ours = header_of(key.public().raw().to_vec());
        let named = HeaderBuilder::new().key_id(b"someone else".to_vec()).build();
        assert_eq!(with(ours.clone(), Header::default()), None);
        assert_eq!(with(ours, named.clone()), Some("the unprotected header is not empty"));
        assert_eq!(with(named, Header::default()), Some("the protected header is not Ed25519 and a key id"));
        assert_eq!(
            with(header_of(vec![1; 31]), Header::default()),
            Some("the key id is no Ed25519 public key")
        );
    }

    #[test]
    fn a_header_in_another_encoding_is_refused_although_its_signature_holds() {
        let key = NodeKey::from_secret(&[7; 32]);
        let (id, aad) =
            ([&[0x04, 0x58, 0x20], &key.public().raw()[..]].concat(), Purpose::REQUEST.external_data());
        let with = |header: &[&[u8]]| {
            let protected =
                ProtectedHeader { original_data: Some(header.concat()), header: Header::default() };
            let mut sealed = CoseSign1 { protected, payload: Some(vec![1]), ..CoseSign1::default() };
            sealed.signature = key.sign(&sealed.tbs_data(aad)).to_vec();
            let parsed = Signed::parse(&sealed.to_vec().unwrap());
            parsed.map(|signed| signed.holds_for(Purpose::REQUEST)).map_err(str::to_owned)
        };
        assert_eq!(with(&[&[0xa2, 0x01, 0x32], &id]), Ok(true));
        let other = Err("the protected header is not in canonical form".to_owned());
        assert_eq!(with(&[&[0xa2, 0x01, 0x38, 0x12], &id]), other, "a number that is written longer");
        assert_eq!(with(&[&[0xa2], &id, &[0x01, 0x32]]), other, "another order");
        assert_eq!(with(&[&[0xbf, 0x01, 0x32], &id, &[0xff]]), other, "a map without its length");
    }

    /// What the library makes of the same.
    fn sealed_by_library(key: &NodeKey, purpose: Purpose, payload: Vec<u8>) -> Vec<u8> {
        let sealed = CoseSign1Builder::new()
            .protected(header_of(key.public().raw().to_vec()))
            .payload(payload)
            .create_signature(purpose.external_data(), |message| key.sign(message).to_vec())
            .build();
        sealed.to_vec().unwrap()
    }

    /// Whether the library finds our form in these bytes.
    fn is_of_our_form(bytes: &[u8]) -> bool {
        CoseSign1::from_slice(bytes).is_ok_and(|sealed| {
            let header = &sealed.protected.header;
            sealed.clone().to_vec().is_ok_and(|again| again == bytes)
                && sealed.unprotected == Header::default()
                && *header == header_of(header.key_id.clone())
                && claimed_key(bytes).is_some_and(|key| header.key_id == key)
        })
    }

    #[test]
    fn what_is_sealed_is_what_the_library_makes_of_it_whatever_its_length() {
        let key = NodeKey::from_secret(&[7; 32]);
        for length in [0, 1, 23, 24, 255, 256, 65_535, 65_536, 70_000] {
            let payload = vec![5; length];
            let sealed = seal(&key, Purpose::ENVELOPE, payload.clone());
            assert_eq!(sealed, sealed_by_library(&key, Purpose::ENVELOPE, payload), "{length}");
            assert!(Signed::parse(&sealed).unwrap().holds_for(Purpose::ENVELOPE));
        }
    }

    #[test]
    fn one_without_a_payload_has_our_form_and_says_nothing() {
        let key = NodeKey::from_secret(&[7; 32]);
        let sealed = CoseSign1Builder::new()
            .protected(header_of(key.public().raw().to_vec()))
            .create_detached_signature(b"", b"", |message| key.sign(message).to_vec())
            .build();
        let bytes = sealed.to_vec().unwrap();
        assert!(is_of_our_form(&bytes));
        assert_eq!(Signed::parse(&bytes).unwrap().payload(), None);
    }

    proptest! {
        #[test]
        fn what_we_take_for_our_form_the_library_does_too_and_nothing_else(
            length in prop_oneof![0_usize..300, 65_530_usize..65_540],
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 0..3),
        ) {
            let mut bytes = seal(&NodeKey::from_secret(&[7; 32]), Purpose::REQUEST, vec![5; length]);
            for (at, with, how) in changes {
                // The heads are where it matters.
                let at = at.index(bytes.len()) % if with % 2 == 0 { 52 } else { usize::MAX };
                match how {
                    0 => bytes[at] = with,
                    1 => bytes.insert(at, with),
                    _ => drop(bytes.remove(at)),
                }
            }
            prop_assert_eq!(parts_of(&bytes).is_some(), is_of_our_form(&bytes));
        }

        #[test]
        fn any_flipped_bit_breaks_form_or_signature(at in 0_usize..1_000, bit in 0_u8..8) {
            let mut bytes = sealed();
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
            prop_assert!(!Signed::parse(&bytes).is_ok_and(|signed| signed.holds_for(Purpose::REQUEST)));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(Signed::parse(&bytes).is_err());
            prop_assert_eq!(claimed_key(&bytes), None);
        }
    }
}
