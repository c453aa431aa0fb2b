//! What an owner answers to a signed request or a signed approval, and how it travels: signed for [`Purpose::ANSWER`] by
//! the owner, over the hash of what was asked, so that nobody else can answer and no answer fits another question.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::canonical;
use crate::ids::{ContentHash, NodeId, ProposalId};
use crate::keys::{KeyId as _, NodeKey};
use crate::refusal::Code;
use crate::refused::Refused;
use crate::signed::{self, Form, Purpose};

/// The largest answer, in bytes.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What kind of signed bytes somebody brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(index_only)]
#[serde(rename_all = "snake_case")]
pub enum AskKind {
    /// A [`crate::request::Request`].
    #[n(0)]
    Request,
    /// An [`crate::approval::Approval`].
    #[n(1)]
    Approval,
}

/// What an owner says to what it was asked. A refusal is an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Answer {
    /// It was taken.
    #[n(0)]
    Taken {
        /// The proposal it is about, if it is about one.
        #[n(0)]
        proposal: Option<ProposalId>,
        /// How things stand now, for people.
        #[n(1)]
        words: String,
    },
    /// It was refused.
    #[n(1)]
    Refused {
        /// The code, for programs.
        #[n(0)]
        code: Code,
        /// The rule that said no.
        #[n(1)]
        rule: String,
        /// What happened and what to do.
        #[n(2)]
        sentence: String,
    },
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let Refused { code, rule, sentence } = refused;
        Self::Refused { code, rule: rule.to_owned(), sentence }
    }
}

/// The name of what was asked: the hash of its bytes.
#[must_use]
pub fn name_of_asked(bytes: &[u8]) -> ContentHash {
    ContentHash::of("asked", bytes)
}

#[derive(Encode, Decode)]
struct Reply {
    #[n(0)]
    to: ContentHash,
    #[n(1)]
    answer: Answer,
}

/// Signs the answer of an owner to what is named `to`.
#[must_use]
pub fn seal(key: &NodeKey, to: ContentHash, answer: &Answer) -> Vec<u8> {
    let reply = Reply { to, answer: answer.clone() };
    signed::seal(key, Purpose::ANSWER, canonical::encode(&reply))
}

const FORM: Form = Form {
    purpose: Purpose::ANSWER,
    called: "an answer",
    bytes_max: ANSWER_BYTES_MAX,
    size: "answer.size",
    form: "answer.form",
    signature: "answer.signature",
    advice: "ask again",
};

/// Opens the answer of `owner` to what is named `to`.
///
/// # Errors
/// `TOO_LARGE`, `MALFORMED_ENVELOPE`, `BAD_SIGNATURE`, then `SOURCE_MISMATCH` when somebody else answers or it answers
/// something else.
pub fn open(bytes: &[u8], owner: NodeId, to: ContentHash) -> Result<Answer, Refused> {
    let (key, reply): (_, Reply) = signed::open(bytes, &FORM)?;
    if NodeId::of_public_key(key.raw()) != owner {
        let sentence = format!("somebody else than {} answered; ask again", owner.short());
        return Err(Refused::new(Code::SourceMismatch, "answer.owner", sentence));
    }
    if reply.to != to {
        let sentence = "this is the answer to something else; ask again";
        return Err(Refused::new(Code::SourceMismatch, "answer.to", sentence));
    }
    Ok(reply.answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn owner() -> NodeKey {
        NodeKey::from_secret(&[1; 32])
    }

    fn answer() -> Answer {
        Answer::Taken { proposal: None, words: "it is simulated".to_owned() }
    }

    #[test]
    fn only_the_owner_answers_and_only_what_was_asked() {
        let asked = name_of_asked(b"open the gate");
        let sealed = seal(&owner(), asked, &answer());
        assert_eq!(open(&sealed, owner().id(), asked), Ok(answer()));
        let code = |bytes: &[u8], owner, to| open(bytes, owner, to).err().map(|refused| refused.rule);
        let stranger = NodeKey::from_secret(&[2; 32]);
        let by_another = seal(&stranger, asked, &answer());
        assert_eq!(code(&by_another, owner().id(), asked), Some("answer.owner"));
        assert_eq!(code(&sealed, owner().id(), name_of_asked(b"close it")), Some("answer.to"));
        let as_request = signed::seal(
            &owner(),
            Purpose::REQUEST,
            canonical::encode(&Reply { to: asked, answer: answer() }),
        );
        assert_eq!(code(&as_request, owner().id(), asked), Some("answer.signature"));
        assert_eq!(code(&vec![0; ANSWER_BYTES_MAX + 1], owner().id(), asked), Some("answer.size"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(open(&bytes, owner().id(), name_of_asked(b"")).is_err());
        }
    }
}
