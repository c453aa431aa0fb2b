//! Signed bytes: COSE_Sign1 (RFC 9052) with Ed25519, in the one form we write.
//!
//! The protected header holds the algorithm and the signer's raw public key as key id; ids are derived from that key
//! and never sent. A [`Purpose`] is mixed into every signature as external data, so that a signature made for one thing
//! is none for another.

use coset::{CborSerializable, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, iana};
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

    /// The external data of its signatures.
    #[must_use]
    pub fn external_data(self) -> &'static [u8] {
        self.0.as_bytes()
    }
}

/// What all signed bytes begin with: an array of four, and the protected header up to the raw key.
const BEFORE_KEY_ID: &[u8] = &[0x84, 0x58, 0x26, 0xa2, 0x01, 0x32, 0x04, 0x58, 0x20];

/// Signs `payload` for one purpose.
#[must_use]
pub fn seal<I: KeyId>(key: &Key<I>, purpose: Purpose, payload: Vec<u8>) -> Vec<u8> {
    let sealed = CoseSign1Builder::new()
        .protected(header_of(key.public().raw().to_vec()))
        .payload(payload)
        .create_signature(purpose.external_data(), |message| key.sign(message).to_vec())
        .build();
    // Header and payload are plain byte strings, for which the encoder has no failing case.
    sealed.to_vec().unwrap_or_default()
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
    sealed: CoseSign1,
    key: PublicKey,
}

impl Signed {
    /// Reads the form; the signature is judged by [`Signed::holds_for`].
    ///
    /// # Errors
    /// What is wrong with the form, in words.
    pub fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let (sealed, raw) = form_of(bytes)?;
        Ok(Self { sealed, key: PublicKey::from_raw(&raw).ok_or(NO_KEY)? })
    }

    /// The key it claims to be signed with.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What is signed, if anything is.
    #[must_use]
    pub fn payload(&self) -> Option<&[u8]> {
        self.sealed.payload.as_deref()
    }

    /// True when the signature is the key's, over this payload, for this purpose.
    #[must_use]
    pub fn holds_for(&self, purpose: Purpose) -> bool {
        let verify = |signature: &[u8], message: &[u8]| {
            if self.key.verifies(message, signature) { Ok(()) } else { Err(()) }
        };
        self.sealed.verify_signature(purpose.external_data(), verify).is_ok()
    }
}

/// The raw key and the payload of signed bytes whose key and signature were judged before, which is what costs time.
///
/// # Errors
/// What is wrong with the form, in words.
pub fn read_judged(bytes: &[u8]) -> Result<([u8; 32], Option<Vec<u8>>), &'static str> {
    form_of(bytes).map(|(sealed, raw)| (raw, sealed.payload))
}

const NO_KEY: &str = "the key id is no Ed25519 public key";

/// Reads the form, without asking whether the key id is a point of the curve.
fn form_of(bytes: &[u8]) -> Result<(CoseSign1, [u8; 32]), &'static str> {
    let sealed = CoseSign1::from_slice(bytes).map_err(|_| "the bytes are no COSE_Sign1")?;
    if sealed.clone().to_vec().ok().as_deref() != Some(bytes) {
        return Err("the COSE_Sign1 is not in canonical form");
    }
    if sealed.unprotected != Header::default() {
        return Err("the unprotected header is not empty");
    }
    let header = &sealed.protected.header;
    if *header != header_of(header.key_id.clone()) {
        return Err("the protected header is not Ed25519 and a key id");
    }
    let raw = <[u8; 32]>::try_from(header.key_id.as_slice()).map_err(|_| NO_KEY)?;
    // The protected header comes out as it went in, so that its own encoding is judged by its bytes.
    if claimed_key(bytes) != Some(&raw) {
        return Err("the protected header is not in canonical form");
    }
    Ok((sealed, raw))
}

fn header_of(key_id: Vec<u8>) -> Header {
    HeaderBuilder::new().algorithm(iana::Algorithm::Ed25519).key_id(key_id).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::NodeKey;
    use coset::ProtectedHeader;
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

    proptest! {
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
