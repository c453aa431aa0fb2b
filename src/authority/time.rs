//! How one node asks another what time it is: a signed question with a number that nobody can guess, and a signed answer to
//! exactly that question.
//!
//! The asking node does not know the time, so nothing here is fresh by any clock. The number makes an answer belong to one
//! question, and the count makes a question that somebody repeats worth nothing.

use minicbor::{Decode, Encode};

use crate::canonical;
use crate::ids::{MeshId, NodeId};
use crate::keys::{KeyId as _, NodeKey};
use crate::refusal::Code;
use crate::refused::Refused;
use crate::signed::{self, Form, Purpose};

/// The largest question or answer, in bytes.
pub const TIME_BYTES_MAX: usize = 512;

/// What time is it?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct TimeQuestion {
    /// The mesh.
    #[n(0)]
    pub mesh: MeshId,
    /// Who is asked.
    #[n(1)]
    pub to: NodeId,
    /// Drawn for this question.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
    /// The run of the asking node.
    #[n(3)]
    pub epoch: u64,
    /// Counts its questions in that run.
    #[n(4)]
    pub count: u64,
}

/// What is said to one question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct TimeAnswer {
    /// The mesh.
    #[n(0)]
    pub mesh: MeshId,
    /// Who has asked.
    #[n(1)]
    pub to: NodeId,
    /// The number of the question.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub nonce: [u8; 16],
    /// Unix milliseconds; `None` of a node that does not keep the time itself.
    #[n(3)]
    pub unix_ms: Option<u64>,
}

const QUESTION: Form = Form {
    purpose: Purpose::TIME_QUESTION,
    called: "a question for the time",
    bytes_max: TIME_BYTES_MAX,
    size: "time.size",
    form: "time.form",
    signature: "time.signature",
    advice: "ask again with this version",
};

const ANSWER: Form = Form {
    purpose: Purpose::TIME_ANSWER,
    called: "an answer with the time",
    advice: "look who answers there",
    ..QUESTION
};

/// Signs a question.
#[must_use]
pub fn seal_question(key: &NodeKey, question: &TimeQuestion) -> Vec<u8> {
    signed::seal(key, Purpose::TIME_QUESTION, canonical::encode(question))
}

/// Signs an answer.
#[must_use]
pub fn seal_answer(key: &NodeKey, answer: &TimeAnswer) -> Vec<u8> {
    signed::seal(key, Purpose::TIME_ANSWER, canonical::encode(answer))
}

/// Opens a question to `own`; gives who asks.
///
/// # Errors
/// `TOO_LARGE`, `MALFORMED_ENVELOPE`, `BAD_SIGNATURE`, then `MESH_ID_MISMATCH` and `SOURCE_MISMATCH` when it is for another
/// mesh or node.
pub fn open_question(bytes: &[u8], mesh: MeshId, own: NodeId) -> Result<(NodeId, TimeQuestion), Refused> {
    let (key, question): (_, TimeQuestion) = signed::open(bytes, &QUESTION)?;
    is_for((question.mesh, question.to), (mesh, own))?;
    Ok((NodeId::of_public_key(key.raw()), question))
}

/// Opens what `question.to` answers to the `question` of `own`.
///
/// # Errors
/// As [`open_question`], and `SOURCE_MISMATCH` when somebody else answers, or to another question.
pub fn open_answer(bytes: &[u8], question: &TimeQuestion, own: NodeId) -> Result<Option<u64>, Refused> {
    let (key, answer): (_, TimeAnswer) = signed::open(bytes, &ANSWER)?;
    let mismatch = |sentence: &str| Err(Refused::new(Code::SourceMismatch, "time.answer", sentence));
    if NodeId::of_public_key(key.raw()) != question.to {
        return mismatch(
            "somebody else than the node that was asked says what time it is; look who answers there",
        );
    }
    is_for((answer.mesh, answer.to), (question.mesh, own))?;
    if answer.nonce != question.nonce {
        return mismatch("this is the time at another question; look who repeats old answers");
    }
    Ok(answer.unix_ms)
}

fn is_for((mesh, to): (MeshId, NodeId), (own_mesh, own): (MeshId, NodeId)) -> Result<(), Refused> {
    if mesh != own_mesh {
        return Err(Refused::new(
            Code::MeshIdMismatch,
            "time.mesh",
            "it is for another mesh; ask in this one",
        ));
    }
    if to != own {
        return Err(Refused::new(Code::SourceMismatch, "time.to", "it is for another node; ask that one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(n: u8) -> NodeKey {
        NodeKey::from_secret(&[n; 32])
    }

    fn mesh() -> MeshId {
        MeshId::of_name("barn")
    }

    /// Node 1 asks node 2.
    fn question() -> TimeQuestion {
        TimeQuestion { mesh: mesh(), to: key(2).id(), nonce: [7; 16], epoch: 3, count: 9 }
    }

    fn answer() -> TimeAnswer {
        TimeAnswer { mesh: mesh(), to: key(1).id(), nonce: [7; 16], unix_ms: Some(1_800_000_000_000) }
    }

    fn rule<T>(opened: Result<T, Refused>) -> Option<&'static str> {
        opened.err().map(|refused| refused.rule)
    }

    #[test]
    fn a_question_is_for_the_node_that_it_names() {
        let sealed = seal_question(&key(1), &question());
        assert!(sealed.len() <= TIME_BYTES_MAX);
        assert_eq!(open_question(&sealed, mesh(), key(2).id()), Ok((key(1).id(), question())));
        assert_eq!(rule(open_question(&sealed, mesh(), key(3).id())), Some("time.to"));
        assert_eq!(rule(open_question(&sealed, MeshId::of_name("field"), key(2).id())), Some("time.mesh"));
        let as_answer = signed::seal(&key(1), Purpose::TIME_ANSWER, canonical::encode(&question()));
        assert_eq!(rule(open_question(&as_answer, mesh(), key(2).id())), Some("time.signature"));
        assert_eq!(rule(open_question(&[0; TIME_BYTES_MAX + 1], mesh(), key(2).id())), Some("time.size"));
    }

    #[test]
    fn an_answer_counts_only_of_the_node_asked_to_the_node_that_asked_and_to_this_question() {
        let open =
            |n: u8, answer: &TimeAnswer| open_answer(&seal_answer(&key(n), answer), &question(), key(1).id());
        assert_eq!(open(2, &answer()), Ok(Some(1_800_000_000_000)));
        assert_eq!(open(2, &TimeAnswer { unix_ms: None, ..answer() }), Ok(None));
        for (n, answer, expected, case) in [
            (3, answer(), "time.answer", "of somebody else"),
            (2, TimeAnswer { nonce: [8; 16], ..answer() }, "time.answer", "to an earlier question"),
            (2, TimeAnswer { to: key(3).id(), ..answer() }, "time.to", "meant for another"),
            (2, TimeAnswer { mesh: MeshId::of_name("field"), ..answer() }, "time.mesh", "in another mesh"),
        ] {
            assert_eq!(rule(open(n, &answer)), Some(expected), "{case}");
        }
        let as_question = signed::seal(&key(2), Purpose::TIME_QUESTION, canonical::encode(&answer()));
        assert_eq!(rule(open_answer(&as_question, &question(), key(1).id())), Some("time.signature"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            prop_assert!(open_question(&bytes, mesh(), key(2).id()).is_err());
            prop_assert!(open_answer(&bytes, &question(), key(1).id()).is_err());
        }
    }
}
