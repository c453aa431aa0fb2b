//! What strangers are given to judge one proposal by.

use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::approval::{self, Decision};
use clawmesh_authority::audit::{
    self, AskedFor, Bundle, Files, Happened, Line, Logged, Outcome, Part, Readers, RefusedBy, check,
};
use clawmesh_authority::request::{self, Request, RequestBody};
use clawmesh_authority::signed::Purpose;
use clawmesh_authority::{AskKind, Code, ContentHash, Policy};
use clawmesh_lab::Lab;
use clawmesh_twin::card::Card;

use super::samples::{self, mesh, minds, proposal};
use super::{MIB, NOW_MS, Seed, Target, is_brief, promised, spoiled};
use crate::mutate::{KEYS, Shape, key};

pub(super) const TARGET: Target = Target {
    name: "audit",
    promise: "what opens was signed so by whoever it names, every look at it ends, and a changed byte is refused",
    shapes: &[Shape::Signed(0, Purpose::AUDIT)],
    seeds,
    check: look,
    memory_bytes_max: 4 * MIB,
    memory_per_byte: 512,
};

const SENTENCE_BYTES_MAX: usize = 8_192;

fn seeds() -> Vec<Seed> {
    let with = |name, refused: Option<RefusedBy>| (name, audit::seal(&key(1), &bundle(refused)));
    let refused = RefusedBy { code: Code::ApprovalExpired, rule: "approval.in_time".to_owned() };
    vec![with("taken", None), with("refused", Some(refused))]
}

/// What node 1 shows of what node 2 has proposed and the third person has approved.
fn bundle(refused: Option<RefusedBy>) -> Bundle {
    let (_, mind) = minds().swap_remove(0);
    let proposal = proposal(mind);
    let id = proposal.id();
    let request = Request {
        mesh: mesh(),
        owner: Lab::id_of(1),
        body: RequestBody::Propose(proposal.clone()),
        made: samples::NOW,
    };
    let request = request::seal(&key(2), &request);
    let approval = approval::seal(&samples::person(3), &samples::approval(Decision::Approve));
    let answered = |bytes: &[u8], refused| Happened::Answered {
        asked: name_of_asked(bytes),
        proposal: Some(id),
        refused,
        words: "it is simulated".to_owned(),
    };
    let lines = [
        answered(&request, None),
        Happened::Rearmed,
        answered(&approval, refused),
        Happened::Ordered {
            proposal: id,
            step: 0,
            actuator: proposal.steps[0].actuator.clone(),
            setpoint: "on".to_owned(),
            run_for_ms: Some(60_000),
        },
        Happened::Refused { code: Code::Busy, from: "x".to_owned(), count: 1, sentence: "again".to_owned() },
    ];
    let mut logged = Logged::default();
    for happened in lines {
        logged.push(1, NOW_MS, happened);
    }
    let line = |entry: audit::Entry| match entry.happened {
        Happened::Refused { .. } => Line::hidden(&entry),
        _ => Line::Shown(entry),
    };
    Bundle {
        mesh: mesh(),
        node: Lab::id_of(1),
        node_name: "pump".to_owned(),
        made_ms: NOW_MS,
        proposal,
        asked: vec![
            AskedFor { kind: AskKind::Request, bytes: request.into() },
            AskedFor { kind: AskKind::Approval, bytes: approval.into() },
        ],
        cards: vec![b"no card".to_vec().into()],
        files: vec![Files {
            site: Some("farm".to_owned()),
            policy: Some("{}".to_owned()),
            ..Files::default()
        }],
        log: Part { before: logged.before, lines: logged.entries.into_iter().map(line).collect() },
    }
}

fn look(input: &[u8]) -> Result<String, String> {
    let (signer, bundle) = match audit::open(input) {
        Ok(opened) => opened,
        Err(refused) => {
            is_brief(&refused.sentence, SENTENCE_BYTES_MAX)?;
            return Ok(refused.to_string());
        }
    };
    let again = (1..=KEYS).map(key).find(|key| key.public() == signer);
    let again = again.map(|key| audit::seal(&key, &bundle)).unwrap_or_default();
    promised(again == input, || "what opens is not what its signer seals".to_owned())?;
    promised(audit::open(&spoiled(input)).is_err(), || "a changed byte is taken".to_owned())?;
    let card = |bytes: &[u8]| {
        let card = Card::from_bytes(bytes)?;
        Ok((ContentHash(card.hash()), "a card".to_owned()))
    };
    let policy = |text: &str| serde_json::from_str::<Policy>(text).map_err(|fault| fault.to_string());
    let findings = check(&signer, &bundle, Readers { card: &card, policy: &policy });
    promised(!findings.is_empty(), || "nothing was looked at".to_owned())?;
    findings.iter().try_for_each(|finding| is_brief(&finding.words, SENTENCE_BYTES_MAX))?;
    let is_believed = findings[0].outcome == Outcome::Holds;
    promised(!is_believed || signer.id() == bundle.node, || {
        "another node has signed it, and nobody says so".to_owned()
    })?;
    let outcomes = findings.iter().map(|finding| format!("{} {:?}", finding.of, finding.outcome));
    Ok(outcomes.collect::<Vec<_>>().join(", "))
}
