//! Whoever signs at the command line. A signer may say no, and lets nobody see a secret.

use anyhow::Context as _;
use clawmesh_authority::signed::Unsigned;
use clawmesh_authority::{OperatorId, OperatorKey, PublicKey};

/// A person who acts, and what signs for them.
#[derive(Debug)]
pub struct Person {
    public: PublicKey,
    key: OperatorKey,
}

impl Person {
    /// A person whose key was read.
    pub fn with(key: OperatorKey) -> Self {
        Self { public: key.public(), key }
    }

    /// Their public key.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Their id.
    pub fn id(&self) -> OperatorId {
        self.public.operator_id()
    }

    /// Signs a message of theirs.
    ///
    /// # Errors
    /// A sentence, when whatever signs says no, or what it answers is no signature of theirs.
    pub fn sign(&self, message: Unsigned) -> anyhow::Result<Vec<u8>> {
        let signature = self.key.sign(&message.to_be_signed());
        message.signed(&signature).context("the signature is not one of this key; nothing was sent")
    }
}
