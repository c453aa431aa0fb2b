//! Ed25519 keys of nodes and of people. Signatures are checked strictly: a weak or malleable one is none.

use std::fmt;

use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::ids::{NodeId, OperatorId};

/// An id that follows from a public key.
pub trait KeyId: Copy + fmt::Debug {
    /// The id that belongs to a raw public key; always derived, never believed.
    #[must_use]
    fn of_public_key(raw: &[u8; 32]) -> Self;
}

/// The key of a node.
pub type NodeKey = Key<NodeId>;

/// The key of a person. It lives with the person, never in the state dir of a node.
pub type OperatorKey = Key<OperatorId>;

/// A secret key and the id that follows from it. It never prints its secret.
#[derive(Clone)]
pub struct Key<I> {
    signing: SigningKey,
    id: I,
}

impl<I: KeyId> Key<I> {
    /// The key made from 32 secret bytes; the caller brings the randomness.
    #[must_use]
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        Self::of(SigningKey::from_bytes(secret))
    }

    /// Reads a PKCS#8 PEM private key; `None` when the text is not an Ed25519 key.
    #[must_use]
    pub fn from_pem(pem: &str) -> Option<Self> {
        SigningKey::from_pkcs8_pem(pem).ok().map(Self::of)
    }

    /// The key as PKCS#8 PEM; `None` only if the encoder has no memory left.
    #[must_use]
    pub fn to_pem(&self) -> Option<String> {
        self.signing.to_pkcs8_pem(LineEnding::LF).ok().map(|pem| pem.to_string())
    }

    /// The 32 secret bytes, for whoever writes the key to a file.
    #[must_use]
    pub fn secret(&self) -> [u8; 32] {
        self.signing.to_bytes()
    }

    /// The id of whoever holds this key.
    #[must_use]
    pub fn id(&self) -> I {
        self.id
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key())
    }

    /// Signs `message`; 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.signing.sign(message).to_bytes()
    }

    fn of(signing: SigningKey) -> Self {
        let id = I::of_public_key(signing.verifying_key().as_bytes());
        Self { signing, id }
    }
}

impl<I: KeyId> fmt::Debug for Key<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key of {:?}", self.id)
    }
}

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Reads 32 raw bytes; `None` when they are no point of the curve.
    #[must_use]
    pub fn from_raw(raw: &[u8; 32]) -> Option<Self> {
        VerifyingKey::from_bytes(raw).ok().map(Self)
    }

    /// Reads a PEM public key (SPKI); `None` when the text is not an Ed25519 key.
    #[must_use]
    pub fn from_pem(pem: &str) -> Option<Self> {
        VerifyingKey::from_public_key_pem(pem).ok().map(Self)
    }

    /// The 32 raw bytes.
    #[must_use]
    pub fn raw(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The node that holds this key, if a node does.
    #[must_use]
    pub fn id(&self) -> NodeId {
        NodeId::of_public_key(self.raw())
    }

    /// The person who holds this key, if a person does.
    #[must_use]
    pub fn operator_id(&self) -> OperatorId {
        OperatorId::of_public_key(self.raw())
    }

    /// True when `signature` is this key's over `message`, by the strict rule of RFC 8032.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|s| self.0.verify_strict(message, &s).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counting_secret() -> [u8; 32] {
        std::array::from_fn(|i| u8::try_from(i).unwrap())
    }

    #[test]
    fn the_id_of_a_known_key_is_the_one_existing_nodes_compute() {
        let key = NodeKey::from_secret(&counting_secret());
        assert_eq!(key.id().to_string(), "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c");
    }

    #[test]
    fn a_key_survives_its_pem_and_other_text_is_no_key() {
        let key = NodeKey::from_secret(&counting_secret());
        let read = NodeKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(read.id(), key.id());
        assert!(NodeKey::from_pem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").is_none());
    }

    #[test]
    fn a_public_key_is_read_from_the_pem_that_existing_nodes_keep() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAA6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=\n\
                   -----END PUBLIC KEY-----\n";
        let key = NodeKey::from_secret(&counting_secret());
        assert_eq!(PublicKey::from_pem(pem), Some(key.public()));
        assert_eq!(PublicKey::from_pem(&key.to_pem().unwrap()), None);
    }

    #[test]
    fn a_signature_fits_one_message_and_one_key() {
        let (ours, theirs) = (NodeKey::from_secret(&[1; 32]), NodeKey::from_secret(&[2; 32]));
        let signature = ours.sign(b"open the gate");
        assert!(ours.public().verifies(b"open the gate", &signature));
        assert!(!ours.public().verifies(b"open the gates", &signature));
        assert!(!theirs.public().verifies(b"open the gate", &signature));
        assert!(!ours.public().verifies(b"open the gate", &signature[..63]));
    }

    #[test]
    fn debug_output_holds_no_secret() {
        assert_eq!(format!("{:?}", NodeKey::from_secret(&counting_secret())), "key of NodeId(56475aa7)");
    }
}
