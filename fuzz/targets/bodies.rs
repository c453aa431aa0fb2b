//! The canonical CBOR of everything that is signed, kept or shown. The first byte says what it shall be.

use std::collections::BTreeSet;

use clawmesh_authority::approval::{Approval, Decision};
use clawmesh_authority::canonical;
use clawmesh_authority::envelope::Statement;
use clawmesh_authority::leadership::{Claim, Leadership, Say, Term, admit};
use clawmesh_authority::node_role::NodeRole;
use clawmesh_authority::request::{Request, RequestBody, RequestMarks};
use clawmesh_authority::transition::State;
use clawmesh_authority::{Answer, NodeDescription, Offer, Proposal, ProposalReport, ReadingBatch, Roster};
use clawmesh_lab::Lab;
use clawmesh_twin::card::Card;
use clawmesh_twin::rollout::Model;
use clawmesh_twin::site::{Name, SwitchState};
use clawmesh_twin::trial::{Act, Estimate, Horizon, Limits, Snapshot, Step, Trial};
use minicbor::{Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::samples;
use super::{MIB, Seed, Target, is_brief, promised};
use crate::mutate::Shape;

pub(super) const TARGET: Target = Target {
    name: "bodies",
    promise: "what decodes encodes to the same bytes, and survives JSON where it is shown as JSON",
    shapes: &[Shape::Cbor(1)],
    seeds,
    check,
    memory_bytes_max: 2 * MIB,
    memory_per_byte: 256,
};

/// A fault may repeat a key or a reason, which have bounds of their own.
const SENTENCE_BYTES_MAX: usize = 4_096;

fn seeds() -> Vec<Seed> {
    let request = Request {
        mesh: samples::mesh(),
        owner: Lab::id_of(1),
        body: RequestBody::Stop { why: "smoke".to_owned() },
        made: samples::NOW,
    };
    let claim = Claim { term: Term(3), holder: Lab::id_of(2) };
    let state = State::Rejected { by: samples::person(3).id(), why: Some("rain".to_owned()) };
    let of = |kind: u8, bytes: Vec<u8>| [&[kind][..], &bytes].concat();
    vec![
        ("statement", of(0, canonical::encode(&samples::statements()[0].1))),
        ("proposal", of(1, canonical::encode(&samples::proposal(samples::minds()[1].1.clone())))),
        ("offer", of(2, canonical::encode(&samples::offer()))),
        ("approval", of(3, canonical::encode(&samples::approval(Decision::Approve)))),
        ("request", of(4, canonical::encode(&request))),
        ("roster", of(5, canonical::encode(&samples::roster()))),
        ("report", of(6, canonical::encode(&samples::report()))),
        ("description", of(7, canonical::encode(&samples::description()))),
        ("readings", of(8, canonical::encode(&ReadingBatch(vec![samples::reading(1)])))),
        ("answer", of(9, canonical::encode(&Answer::Taken { proposal: None, words: "done".to_owned() }))),
        ("marks", of(10, canonical::encode(&RequestMarks::default()))),
        ("state", of(11, canonical::encode(&state))),
        ("claim", of(12, canonical::encode(&claim))),
        ("say", of(13, canonical::encode(&Say::Released(claim)))),
        ("card", of(14, card())),
    ]
}

/// A small card of the farm.
fn card() -> Vec<u8> {
    let name = |text: &str| Name::new(text).expect("it is written in this file");
    let part = |text: &str| (name(text), SwitchState::Off);
    let valves = ["valve-food-forest", "valve-flower", "valve-grain", "valve-nursery"];
    let snapshot = Snapshot {
        tank_level_percent: [(name("tank-01"), Estimate::exact(72.0))].into(),
        moisture_percent: [(name("z-food-forest-core"), Estimate::exact(18.0))].into(),
        switched: valves.iter().map(|valve| part(valve)).chain([part("pump-main-01")]).collect(),
        ..Snapshot::default()
    };
    let on = |of: &str| Step { of: name(of), act: Act::Switch { state: SwitchState::On, for_s: 60.0 } };
    let steps = vec![on("valve-food-forest"), on("pump-main-01")];
    let trial =
        Trial { snapshot, steps, limits: Limits::default(), horizon: Horizon::default(), seed: [1; 32] };
    let model = Model::new(&super::site::plan()).expect("the farm can be simulated");
    model.fork(trial).expect("the farm can be watered").card().to_bytes()
}

fn check(input: &[u8]) -> Result<String, String> {
    let Some((kind, bytes)) = input.split_first() else { return Ok("nothing".to_owned()) };
    match kind {
        0 => plain::<Statement>(*kind, bytes),
        1 => judged(*kind, bytes, |proposal: &Proposal| {
            promised(proposal.id() == Proposal::id(&proposal.clone()), || "two names".to_owned())?;
            Ok(proposal.fault())
        }),
        2 => {
            shown::<Offer>(bytes)?;
            judged(*kind, bytes, |offer: &Offer| Ok(offer.fault()))
        }
        3 => judged(*kind, bytes, |approval: &Approval| Ok(approval.fault())),
        4 => judged(*kind, bytes, |request: &Request| Ok(request.fault())),
        5 => {
            shown::<Roster>(bytes)?;
            judged(*kind, bytes, roster)
        }
        6 => {
            shown::<ProposalReport>(bytes)?;
            judged(*kind, bytes, |report: &ProposalReport| Ok(report.fault()))
        }
        7 => shown::<NodeDescription>(bytes).and_then(|()| plain::<NodeDescription>(*kind, bytes)),
        8 => shown::<ReadingBatch>(bytes).and_then(|()| plain::<ReadingBatch>(*kind, bytes)),
        9 => shown::<Answer>(bytes).and_then(|()| plain::<Answer>(*kind, bytes)),
        10 => plain::<RequestMarks>(*kind, bytes),
        11 => shown::<State>(bytes).and_then(|()| plain::<State>(*kind, bytes)),
        12 => judged(*kind, bytes, heard),
        13 => shown::<Say>(bytes).and_then(|()| plain::<Say>(*kind, bytes)),
        _ => of_card(bytes),
    }
}

fn plain<T: for<'b> Decode<'b, ()> + Encode<()>>(kind: u8, bytes: &[u8]) -> Result<String, String> {
    judged(kind, bytes, |_: &T| Ok(None))
}

fn judged<T: for<'b> Decode<'b, ()> + Encode<()>>(
    kind: u8,
    bytes: &[u8],
    judge: impl FnOnce(&T) -> Result<Option<String>, String>,
) -> Result<String, String> {
    let value: T = match canonical::decode(bytes) {
        Ok(value) => value,
        Err(fault) => return Ok(format!("{kind} {fault}")),
    };
    promised(canonical::encode(&value) == bytes, || format!("{kind} encodes to other bytes"))?;
    let fault = judge(&value)?;
    is_brief(fault.as_deref().unwrap_or_default(), SENTENCE_BYTES_MAX)?;
    Ok(format!("{kind} taken, {fault:?}"))
}

/// What is shown as JSON is read as the same again. JSON has no word for a number that is none.
fn shown<T>(bytes: &[u8]) -> Result<(), String>
where
    T: for<'b> Decode<'b, ()> + Encode<()> + Serialize + DeserializeOwned,
{
    let Ok(value) = canonical::decode::<T>(bytes) else { return Ok(()) };
    let text = serde_json::to_string(&value).map_err(|fault| format!("it cannot be shown: {fault}"))?;
    match serde_json::from_str::<T>(&text) {
        Ok(again) => promised(canonical::encode(&again) == bytes, || {
            let beginning: String = text.chars().take(200).collect();
            format!("as JSON it is another value: {beginning}")
        }),
        Err(_) if holds_no_number(bytes) => Ok(()),
        Err(fault) => Err(format!("what is shown cannot be read: {fault}")),
    }
}

/// True when a float that is no number, or infinite, may stand in the bytes.
fn holds_no_number(bytes: &[u8]) -> bool {
    bytes.windows(9).any(|window| {
        let float = f64::from_be_bytes(std::array::from_fn(|n| window[n + 1]));
        window[0] == 0xfb && !float.is_finite()
    })
}

/// Nobody stands for somebody who stands for them, and ids follow from keys, whoever wrote the list.
fn roster(roster: &Roster) -> Result<Option<String>, String> {
    let ids: BTreeSet<_> = roster.iter().map(|person| person.id).collect();
    promised(ids.len() == roster.iter().count(), || "one person is enrolled twice".to_owned())?;
    for person in roster.iter() {
        let derived = clawmesh_authority::Operator::of_key(person.key, "", person.role).id;
        promised(person.id == derived, || "an id does not follow from its key".to_owned())?;
        promised(!roster.is_revoked(&person.id) || roster.may_approve(&person.id).is_err(), || {
            "who is revoked may approve".to_owned()
        })?;
    }
    Ok(None)
}

/// An owner takes what somebody asks in the claim that it has heard, and not in one below it.
fn heard(claim: &Claim) -> Result<Option<String>, String> {
    let mut owner = Leadership::start(Lab::id_of(1), NodeRole::Field, None, 0);
    let _ = owner.appeared(claim.holder, NodeRole::Planner);
    let first = owner.hear(*claim, 0);
    let highest = owner.highest_seen();
    if first.is_ok() && claim.holder != Lab::id_of(1) {
        promised(admit(highest, *claim).is_ok(), || "what was heard is not taken".to_owned())?;
        let below = Claim { term: Term(claim.term.0.saturating_sub(1)), ..*claim };
        promised(claim.term.0 == 0 || admit(highest, below).is_err(), || "a term goes back".to_owned())?;
    }
    Ok(first.err().map(|refusal| refusal.sentence))
}

fn of_card(bytes: &[u8]) -> Result<String, String> {
    match Card::from_bytes(bytes) {
        Ok(card) => {
            promised(card.to_bytes() == bytes, || "a card has two encodings".to_owned())?;
            let _ = (card.hash(), card.touches_person_or_keep_out());
            Ok(format!("card {:?}", card.verdict))
        }
        Err(why) => {
            is_brief(&why, SENTENCE_BYTES_MAX)?;
            Ok(why)
        }
    }
}
