//! Whoever signs at the command line. A signer may say no, and lets nobody see a secret.

use anyhow::Context as _;
use clawmesh_authority::signed::Unsigned;
use clawmesh_authority::{OperatorId, OperatorKey, PublicKey};

use crate::cli::key_place::Found;
use crate::cli::passphrase::unlocked;
use crate::config::ssh_agent::AgentKey;

/// A person who acts, and what signs for them.
#[derive(Debug)]
pub struct Person {
    public: PublicKey,
    signs: Signs,
}

#[derive(Debug)]
enum Signs {
    Key(OperatorKey),
    Agent(AgentKey),
}

impl Person {
    /// A person whose key was read.
    pub fn with(key: OperatorKey) -> Self {
        Self { public: key.public(), signs: Signs::Key(key) }
    }

    /// The person whose key was found; whoever locked it is asked for the passphrase.
    ///
    /// # Errors
    /// A sentence, when it stays locked.
    pub fn unlocked(found: Found) -> anyhow::Result<Self> {
        let public = found.public();
        let signs = match found {
            Found::File(_, kept) => Signs::Key(unlocked(kept)?),
            Found::Agent(key) => Signs::Agent(key),
        };
        Ok(Self { public, signs })
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
        let bytes = message.to_be_signed();
        let signature = match &self.signs {
            Signs::Key(key) => key.sign(&bytes).to_vec(),
            Signs::Agent(key) => key.sign(&bytes)?,
        };
        message.signed(&signature).context("the signature is not one of this key; nothing was sent")
    }
}
