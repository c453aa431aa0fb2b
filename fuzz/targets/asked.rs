//! What people and nodes ask an owner for, and what it answers: requests, approvals, answers, and the time. The first byte says
//! which.

use clawmesh_authority::answer::{self, name_of_asked};
use clawmesh_authority::approval::{self, Decision};
use clawmesh_authority::hold::Held;
use clawmesh_authority::request::{self, Request, RequestBody, RequestMarks};
use clawmesh_authority::signed::Purpose;
use clawmesh_authority::time::{self, TimeAnswer, TimeQuestion};
use clawmesh_authority::{
    Answer, Code, HazardClass, Mind, NodeKey, ProposalId, PublicKey, Refused, SignedRequest,
};
use clawmesh_lab::Lab;

use super::samples::{self, mesh, minds, proposal};
use super::{MIB, NOW_MS, Seed, Target, is_brief, promised, spoiled};
use crate::mutate::{KEYS, Shape, key};

pub(super) const TARGET: Target = Target {
    name: "asked",
    promise: "what opens was signed so, for this purpose, by whoever it names, and passes once; a changed byte is refused",
    shapes: &[
        Shape::Signed(1, Purpose::REQUEST),
        Shape::Signed(1, Purpose::APPROVAL),
        Shape::Signed(1, Purpose::ANSWER),
        Shape::Signed(1, Purpose::TIME_QUESTION),
        Shape::Signed(1, Purpose::TIME_ANSWER),
    ],
    seeds,
    check,
    memory_bytes_max: 2 * MIB,
    memory_per_byte: 256,
};

const SENTENCE_BYTES_MAX: usize = 2_048;

const REQUEST: u8 = 0;
const APPROVAL: u8 = 1;
const ANSWER: u8 = 2;
const TIME_QUESTION: u8 = 3;
const TIME_ANSWER: u8 = 4;

/// What node 2 asks node 1.
fn question() -> TimeQuestion {
    TimeQuestion { mesh: mesh(), to: Lab::id_of(1), nonce: [7; 16], epoch: 3, count: 9 }
}

fn seeds() -> Vec<Seed> {
    let ask = |body| Request { mesh: mesh(), owner: Lab::id_of(1), body, made: samples::NOW };
    let asked = |key: &NodeKey, body| marked(REQUEST, request::seal(key, &ask(body)));
    let why = || "seen from the barn".to_owned();
    let mut seeds: Vec<Seed> = minds()
        .into_iter()
        .map(|(name, mind)| {
            let signer = if matches!(mind, Mind::Operator(_)) { key(3) } else { key(2) };
            (name, asked(&signer, RequestBody::Propose(proposal(mind))))
        })
        .collect();
    let withdraw = RequestBody::Withdraw { proposal: ProposalId([7; 32]), why: why() };
    seeds.push(("withdraw", asked(&key(3), withdraw)));
    seeds.push(("stop", asked(&key(2), RequestBody::Stop { why: why() })));
    seeds.push(("rearm", asked(&key(3), RequestBody::Rearm { why: why() })));
    seeds.push(("hold", asked(&key(3), RequestBody::Hold { what: Held::Programs, why: why() })));
    let actuator = samples::capability("actuator:valve:valve-flower");
    let take =
        RequestBody::TakeControl { actuator: actuator.clone(), for_s: 1_800, is_forced: true, why: why() };
    seeds.push(("take-control", asked(&key(3), take)));
    let grant = RequestBody::GrantControl { actuator, to: samples::person(2).id(), why: why() };
    seeds.push(("grant-control", asked(&key(3), grant)));
    let revoke = RequestBody::Revoke { key: samples::person(2).id(), why: why() };
    seeds.push(("revoke", asked(&key(3), revoke)));
    let program = Mind::Utility { name: "dryness".to_owned() };
    let supersede = RequestBody::Supersede { proposal: proposal(program), instead_of: ProposalId([7; 32]) };
    seeds.push(("supersede", asked(&key(2), supersede)));
    let class = Held::Class(HazardClass::Hazardous);
    seeds.push(("release", asked(&key(3), RequestBody::Release { what: class, why: why() })));
    for (name, decision) in [("approve", Decision::Approve), ("reject", Decision::Reject)] {
        let bytes = approval::seal(&samples::person(3), &samples::approval(decision));
        seeds.push((name, marked(APPROVAL, bytes)));
    }
    let taken = Answer::Taken { proposal: Some(ProposalId([7; 32])), words: "it is simulated".to_owned() };
    let refused: Answer = Refused::new(Code::StopLatched, "request.stop", "the stop is latched").into();
    for (name, answer) in [("taken", taken), ("refused", refused)] {
        seeds.push((name, marked(ANSWER, answer::seal(&key(1), name_of_asked(b"?"), &answer))));
    }
    seeds.push(("time-question", marked(TIME_QUESTION, time::seal_question(&key(2), &question()))));
    for (name, unix_ms) in [("time", Some(NOW_MS)), ("timeless", None)] {
        let answer = TimeAnswer { mesh: mesh(), to: Lab::id_of(2), nonce: question().nonce, unix_ms };
        seeds.push((name, marked(TIME_ANSWER, time::seal_answer(&key(1), &answer))));
    }
    seeds
}

fn marked(kind: u8, bytes: Vec<u8>) -> Vec<u8> {
    [&[kind][..], &bytes].concat()
}

fn check(input: &[u8]) -> Result<String, String> {
    let Some((kind, bytes)) = input.split_first() else { return Ok("nothing".to_owned()) };
    let opens = |bytes: &[u8]| -> Result<Vec<u8>, Refused> {
        Ok(match *kind {
            REQUEST => {
                let signed = request::open(bytes)?;
                sealed(signed.signer(), |key| request::seal(key, signed.request()))
            }
            APPROVAL => {
                let signed = approval::open(bytes)?;
                let person = (1..=4).map(samples::person).find(|person| person.id() == signed.operator());
                person.map(|person| approval::seal(&person, signed.approval())).unwrap_or_default()
            }
            TIME_QUESTION => {
                let (asker, question) = time::open_question(bytes, mesh(), Lab::id_of(1))?;
                let key = (1..=KEYS).map(key).find(|key| key.id() == asker);
                key.map(|key| time::seal_question(&key, &question)).unwrap_or_default()
            }
            TIME_ANSWER => {
                let unix_ms = time::open_answer(bytes, &question(), Lab::id_of(2))?;
                let answer = TimeAnswer { mesh: mesh(), to: Lab::id_of(2), nonce: question().nonce, unix_ms };
                time::seal_answer(&key(1), &answer)
            }
            _ => {
                let answer = answer::open(bytes, Lab::id_of(1), name_of_asked(b"?"))?;
                answer::seal(&key(1), name_of_asked(b"?"), &answer)
            }
        })
    };
    match opens(bytes) {
        Ok(again) => {
            promised(again == bytes, || {
                "what opens is not what its signer seals, or nobody's key has signed it".to_owned()
            })?;
            promised(opens(&spoiled(bytes)).is_err(), || "a changed byte is taken".to_owned())?;
            if *kind == REQUEST {
                return once(&request::open(bytes).map_err(|refused| refused.to_string())?);
            }
            Ok(format!("opened {kind}"))
        }
        Err(refused) => {
            is_brief(&refused.sentence, SENTENCE_BYTES_MAX)?;
            Ok(format!("{kind} {refused}"))
        }
    }
}

fn sealed(signer: &PublicKey, seal: impl Fn(&NodeKey) -> Vec<u8>) -> Vec<u8> {
    let key = (1..=KEYS).map(key).find(|key| key.public() == *signer);
    key.as_ref().map(seal).unwrap_or_default()
}

/// A request passes once; only to stop is safe however often it is asked.
fn once(signed: &SignedRequest) -> Result<String, String> {
    let mut marks = RequestMarks::default();
    let first = marks.admit(signed, NOW_MS);
    let is_stop = matches!(signed.request().body, RequestBody::Stop { .. });
    let passes_again = marks.admit(signed, NOW_MS).is_ok();
    promised(is_stop || !passes_again, || "a request passes twice".to_owned())?;
    let is_for = signed.is_for(mesh(), Lab::id_of(1));
    Ok(format!(
        "asked {:?} {:?}",
        first.map_err(|refused| refused.code),
        is_for.map_err(|refused| refused.code)
    ))
}
