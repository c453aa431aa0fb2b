//! Simulations: ordered for whatever waits for one, judged when they come back, and people asked.

use bevy::prelude::*;
use clawmesh_authority::gate::{self, Moment, SimulatedCard};
use clawmesh_authority::report::CARD_BYTES_MAX;
use clawmesh_authority::transition::{Event, Round, State, Verdict};
use clawmesh_authority::{Code, ContentHash, HazardClass, NodeId, Offer, Policy, Proposal, Refused, Rule};
use clawmesh_twin::card::{Card, Verdict as CardVerdict};
use clawmesh_twin::seed::seed_of;

use super::now::Now;
use super::shared::Mover;
use crate::intake::{InputBody, SourceId, TickBatch};
use crate::proposals::components::{CardHeld, Forked, Life, ProposalIndex, Proposed};
use crate::proposals::ports::SimulationOrder;
use crate::proposals::trial::{snapshot_now, trial_of};

/// How long a simulation may take before it is given up.
const SIMULATED_WITHIN_MS: u64 = 60_000;
/// How long after a start what an earlier run left waits for sensors, drivers and the link to speak again.
const SETTLES_WITHIN_MS: u64 = 30_000;

/// Takes the cards of this tick: shown, judged, and offered to people.
pub fn take_cards(
    batch: Res<TickBatch>,
    now: Res<Now>,
    index: Res<ProposalIndex>,
    mut cases: Query<(&Proposed, &mut Life, Option<&Forked>)>,
    mut mover: Mover,
    mut commands: Commands,
) {
    for stamped in batch.iter() {
        let InputBody::Simulated { proposal, round, outcome } = &stamped.input.body else { continue };
        if stamped.input.source != SourceId::Simulator {
            let sentence = "only the pool of this node that simulates says what came of it";
            let refused = Refused::new(Code::NotAuthorized, "card.simulator", sentence);
            mover.show(&stamped.input.source.to_string(), &refused);
            continue;
        }
        let Some(entity) = index.0.get(proposal).copied() else { continue };
        let Ok((proposed, mut life, Some(forked))) = cases.get_mut(entity) else { continue };
        let is_wanted = life.state == State::Simulating { round: *round } && forked.round == *round;
        if !is_wanted {
            continue;
        }
        let of = (proposed.id, &proposed.proposal);
        let held = outcome.as_deref().map_err(Clone::clone).and_then(|bytes| read(bytes, forked));
        match held {
            Err(why) => {
                let words = format!("it could not be simulated: {why}");
                mover.feed(of, &mut life, &Event::SimulationFailed { round: *round }, words, None);
            }
            Ok((held, words)) => {
                offer(of, &mut life, &held, words, forked, &now, &mut mover);
                commands.entity(entity).insert(held);
            }
        }
    }
}

/// The card these bytes are, if it is one of this fork.
fn read(bytes: &[u8], forked: &Forked) -> Result<(CardHeld, String), String> {
    if bytes.len() > CARD_BYTES_MAX {
        return Err(format!("a card of {} bytes, at most {CARD_BYTES_MAX} are taken", bytes.len()));
    }
    let card = Card::from_bytes(bytes)?;
    if card.seed != forked.seed {
        return Err(
            "the card was made with another seed than the one of the proposal and its nonce".to_owned()
        );
    }
    let verdict = match card.verdict {
        CardVerdict::Pass => Verdict::Pass,
        CardVerdict::Caution => Verdict::Caution,
        CardVerdict::Veto => Verdict::Veto,
    };
    let reason = card.reasons.first().map(|reason| format!(": {}", reason.sentence())).unwrap_or_default();
    let words = format!("the twin says {}{reason}", format!("{verdict:?}").to_lowercase());
    Ok((
        CardHeld { round: forked.round, hash: ContentHash(card.hash()), verdict, bytes: bytes.to_vec() },
        words,
    ))
}

fn offer(
    of: (clawmesh_authority::ProposalId, &Proposal),
    life: &mut Life,
    held: &CardHeld,
    words: String,
    forked: &Forked,
    now: &Now,
    mover: &mut Mover,
) {
    let round = held.round;
    if held.verdict != Verdict::Veto
        && let Err(refused) = make_offer((of.1, life.asked_ms), held, forked, now, mover)
    {
        return mover.refuse(of, life, &refused);
    }
    mover.feed(of, life, &Event::Simulated { round, verdict: held.verdict }, words, None);
}

/// Judges once more, and asks people.
fn make_offer(
    (proposal, asked_ms): (&Proposal, u64),
    held: &CardHeld,
    forked: &Forked,
    now: &Now,
    mover: &mut Mover,
) -> Result<(), Refused> {
    let Some((site, policy)) = mover.here.files() else {
        return Err(Refused::new(Code::CardRequired, Rule::Simulated, "there is no site to judge it by"));
    };
    let evidence = mover.here.evidence(proposal, &site.home)?;
    let card = simulated(proposal, held, mover.here.settings.node, None);
    let moment = Moment::Offering { card: &card, asked_ms };
    gate::judge(proposal, &evidence, moment, &site.home, policy, &now.live)?;
    let offer = Offer {
        mesh: site.home.mesh,
        owner: site.home.owner,
        site: site.home.site,
        policy: site.home.policy,
        proposal: proposal.id(),
        card: held.hash,
        nonce: forked.nonce,
        level: policy.level_of(&proposal.steps),
        steps: proposal.steps.clone(),
        expires_after_ms: u64::from(lives_s(proposal, policy)) * 1_000,
    };
    let now_ms = mover.here.elapsed_ms();
    mover.book().make(offer, now_ms)
}

/// What the gate must know of a card.
pub fn simulated(proposal: &Proposal, held: &CardHeld, by: NodeId, drift: Option<String>) -> SimulatedCard {
    SimulatedCard { card: held.hash, proposal: proposal.id(), by, verdict: held.verdict, drift }
}

/// How long people may think: the shortest time of its hazard classes, seconds.
fn lives_s(proposal: &Proposal, policy: &Policy) -> u32 {
    let rules = policy.rules_for(&proposal.steps);
    let class = rules.map(|rules| rules.class).max().unwrap_or(HazardClass::Irreversible);
    policy.offer_expires_s.get(&class).copied().unwrap_or(120)
}

/// Orders a simulation for every proposal that waits for one it does not have; what went stale is taken up again.
pub fn order_simulations(
    now: Res<Now>,
    mut cases: Query<(Entity, &Proposed, &mut Life, Option<&Forked>)>,
    mut mover: Mover,
    mut commands: Commands,
) {
    let mut rows: Vec<_> = cases.iter_mut().filter(|(_, _, life, _)| !life.state.is_final()).collect();
    rows.sort_by_key(|(_, proposed, ..)| proposed.slot);
    // What found no place at the pool is not ordered for ever.
    mover.due.simulations.retain(|order| {
        let is_waited_for = |proposed: &Proposed, life: &Life| {
            proposed.id == order.proposal && life.state == State::Simulating { round: order.round }
        };
        rows.iter().any(|(_, proposed, life, _)| is_waited_for(proposed, life))
    });
    for (entity, proposed, life, forked) in &mut rows {
        let of = (proposed.id, &proposed.proposal);
        if matches!(life.state, State::Stale { .. }) {
            mover.feed(of, life, &Event::TakenUp, "it is simulated anew", None);
        }
        let State::Simulating { round } = life.state else { continue };
        if let Some(forked) = forked.filter(|forked| forked.round == round) {
            if mover.here.elapsed_ms().saturating_sub(forked.ordered_ms) > SIMULATED_WITHIN_MS {
                let words = format!("no card came within {} s", SIMULATED_WITHIN_MS / 1_000);
                mover.feed(of, life, &Event::SimulationFailed { round }, words, None);
            }
            continue;
        }
        if !has_settled(of.1, &now, &mover) {
            continue;
        }
        match fork(of.1, round, &now, &mut mover) {
            Ok(forked) => {
                commands.entity(*entity).insert(forked);
            }
            // Without a free nonce it waits; offers end, and with them their nonces.
            Err(refused) if refused.code == Code::Busy => {}
            Err(refused) => mover.refuse(of, life, &refused),
        }
    }
}

/// Just after a start hardly anything is known, and nobody is asked about a world that nobody knows.
fn has_settled(proposal: &Proposal, now: &Now, mover: &Mover) -> bool {
    let Some((site, policy)) = mover.here.files() else { return true };
    let settings = &mover.here.settings;
    let since_start = mover.here.tick.0.saturating_sub(settings.tick_before);
    settings.ms_of_ticks(since_start) > SETTLES_WITHIN_MS
        || gate::may_begin(proposal, &site.home, policy, &now.live).is_ok()
}

fn fork(proposal: &Proposal, round: Round, now: &Now, mover: &mut Mover) -> Result<Forked, Refused> {
    let id = proposal.id();
    let nonce = mover.book().draw(id)?;
    let seed = seed_of(&id.0, &nonce);
    let ordered_ms = mover.here.elapsed_ms();
    let Some((site, policy)) = mover.here.files() else {
        return Err(Refused::new(Code::CardRequired, Rule::Simulated, "there is no site to simulate"));
    };
    let snapshot = snapshot_now(site, &now.live, now.running_besides(id));
    let trial = trial_of(&proposal.steps, &site.plan, policy, snapshot.clone(), seed);
    mover.due.simulations.push(SimulationOrder { proposal: id, round, trial });
    Ok(Forked { round, seed, nonce, ordered_ms, snapshot })
}
