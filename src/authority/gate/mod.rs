//! The gate: one pure function that says whether a proposal may go on, and makes the commands when it may.
//! Reads what the owner is, its policy and what it knows now. Writes nothing.
//! Invariant: what is not shown to hold refuses; the first rule of the table that refuses is the one that is told; nothing
//! is ever clamped.
//! Not here: driving (`drivers`), the states of a proposal (`transition`), who may approve (`approval`).
//!
//! | # | rule | codes | proposing | offering | dispatching | running |
//! |---|---|---|---|---|---|---|
//! | 1 | `stop-holds` | `STOP_LATCHED` | ● | ● | ● | ● |
//! | 2 | `written-down` | `JOURNAL_UNAVAILABLE` | ● | ● | ● | ● |
//! | 3 | `one-owner` | `MESH_ID_MISMATCH` `AMBIGUOUS_OWNER` | ● | ● | ● | |
//! | 4 | `same-site` | `SITE_MISMATCH` | ● | ● | ● | |
//! | 5 | `known-operation` | `UNKNOWN_OPERATION` | ● | ● | ● | ● |
//! | 6 | `bounded-irrigation` `parameters` | `LIMIT_EXCEEDED` `INVALID_PARAMS` | ● | ● | ● | ● |
//! | 7 | `dosage-first` | `NOT_AUTHORIZED` `LIMIT_EXCEEDED` | ● | ● | ● | ● |
//! | 8 | `no-model-alone` | `LLM_ONLY_ACTUATION_BLOCKED` | ● | ● | ● | |
//! | 9 | `evidence` | `EVIDENCE_UNRESOLVED` `INSUFFICIENT_TRUST_TIER` `EVIDENCE_STALE` | ● | ○ | ○ | ◒ |
//! | 10 | `one-plan-at-a-time` `control` | `AUTHORITY_HELD` | ● | ● | ● | ◓ |
//! | 11 | `out-of-service` | `OUT_OF_SERVICE` | ● | ● | ● | ● |
//! | 12 | `manual-override` | `LOCAL_CONTROL` | ● | ● | ● | ● |
//! | 13 | `known-comms` | `INTERLOCK_OPEN` | ● | ● | ● | ◐ |
//! | 14 | `known-state` | `STATE_UNKNOWN` | ● | ● | ● | ◐ |
//! | 15 | `degraded-mode` | `INTERLOCK_OPEN` | ● | ● | ● | ● |
//! | 16 | `source-before-pump` `interlock` | `INTERLOCK_OPEN` | ● | ● | ● | ● |
//! | 17 | `zone-bounds` | `LIMIT_EXCEEDED` `BUDGET_EXCEEDED` | ● | ● | ● | |
//! | 18 | `on-hold` | `FROZEN` | ● | | ● | |
//! | 19 | `simulated` | `CARD_REQUIRED` `CARD_VETO` `CARD_STALE` | | ● | ● | |
//! | 20 | `approved` | `APPROVAL_REQUIRED` `APPROVAL_MISMATCH` `OPERATOR_REVOKED` `NOT_AUTHORIZED` | | | ● | ◑ |
//!
//! Rule 2 is for whoever judges beside the journal. A tick says that it can write: what it decides leaves only with the commit,
//! edges refuse what comes once the journal has failed, and drivers drive nothing any more.
//!
//! ○ as of the moment it came: evidence had to be fresh then, and what holds now is asked of live readings.
//! ◒ once, by [`stands_by`], when the policy has become another: level, four eyes, approvers, evidence and budgets are judged by it too.
//! ◑ whoever approved it still may: that key was not revoked since.
//! ◓ `control`: what somebody has taken control of runs for nobody else.
//! ◐ the driver must answer; a way to the mesh that is lost is a mode of the site. A part that is on its way stands nowhere for
//! a while; once it has arrived it must stay. Rules 15 and 16 are about what adds energy, motion or flow: what is switched
//! off needs no condition.

mod asked;
mod card;
mod evidence;
#[cfg(test)]
mod guardrails;
mod live;
mod now;

pub use card::{Grant, SimulatedCard};
pub use evidence::{SignedReading, resolve};
pub use live::{ActuatorState, Controlled, DeclaredSensor, Home, Live, LiveReading, Spent};

use crate::command::AuthorizedCommand;
use crate::hold;
use crate::policy::{Policy, Rule};
use crate::proposal::{Mind, Proposal, Step};
use crate::refusal::Code;
use crate::refused::Refused;
use asked::Known;
use evidence::Bench;
use now::Phase;

/// When a proposal is judged, and what is known by then.
#[derive(Debug, Clone, Copy)]
pub enum Moment<'a> {
    /// It has just come.
    Proposing,
    /// Its card is there and a person is about to be asked.
    Offering {
        /// The card.
        card: &'a SimulatedCard,
        /// When the proposal came, Unix milliseconds.
        asked_ms: u64,
    },
    /// It was approved and is about to be carried out.
    Dispatching {
        /// The card.
        card: &'a SimulatedCard,
        /// What people have approved.
        grant: &'a Grant,
        /// When the proposal came, Unix milliseconds.
        asked_ms: u64,
    },
}

impl Moment<'_> {
    fn asked_ms(&self, live: &Live) -> u64 {
        match self {
            Self::Proposing => live.now_ms(),
            Self::Offering { asked_ms, .. } | Self::Dispatching { asked_ms, .. } => *asked_ms,
        }
    }
}

/// Judges a proposal whose evidence was resolved, by the table above.
///
/// # Errors
/// The first rule that refuses.
pub fn judge(
    proposal: &Proposal,
    evidence: &[SignedReading],
    moment: Moment<'_>,
    home: &Home,
    policy: &Policy,
    live: &Live,
) -> Result<(), Refused> {
    now::nothing_stops_everything(live)?;
    asked::is_for_us(proposal, home)?;
    proposal.steps.iter().try_for_each(|step| asked::is_ours_alone(step, policy, live))?;
    let steps: Vec<Known<'_>> =
        proposal.steps.iter().map(|step| asked::known(step, policy)).collect::<Result<_, _>>()?;
    steps.iter().try_for_each(asked::parameters_fit)?;
    steps.iter().try_for_each(|known| asked::dosage_is_known(known, policy))?;
    evidence::rests_on_more_than_a_model(proposal, evidence)?;
    let bench = Bench { home, live, asked_ms: moment.asked_ms(live) };
    steps.iter().try_for_each(|known| is_shown(known, proposal, evidence, &bench))?;
    all_hold_now(proposal, &steps, home, policy, live)?;
    asked::budgets_hold(&steps, policy, live)?;
    match moment {
        Moment::Proposing => is_released(proposal, policy, live),
        // People may see what waits for them, and say no to it.
        Moment::Offering { card, .. } => card::is_good(card, proposal, home),
        Moment::Dispatching { card, grant, .. } => {
            is_released(proposal, policy, live)?;
            card::is_good(card, proposal, home)?;
            card::is_granted(grant, card, proposal, home)
        }
    }
}

/// Nobody holds it.
fn is_released(proposal: &Proposal, policy: &Policy, live: &Live) -> Result<(), Refused> {
    if live.on_hold.is_empty() || !hold::can_be_held(proposal, policy) {
        return Ok(());
    }
    let id = proposal.id();
    let Some((_, words)) = live.on_hold.iter().find(|(held, _)| held.covers(proposal, id, policy)) else {
        return Ok(());
    };
    let sentence = format!("{words}; whoever holds it, or a supervisor, releases it: clawmesh release");
    Err(Refused::new(Code::Frozen, Rule::OnHold, sentence))
}

/// Judges whether people may say yes to a proposal now: nobody holds it, and nobody else has control of what it moves.
///
/// # Errors
/// `FROZEN` or `AUTHORITY_HELD`, with who it is.
pub fn may_be_answered(proposal: &Proposal, policy: &Policy, live: &Live) -> Result<(), Refused> {
    is_released(proposal, policy, live)?;
    now::all_are_theirs(proposal, live)
}

/// What a step needs of evidence.
fn is_shown(
    known: &Known<'_>,
    proposal: &Proposal,
    evidence: &[SignedReading],
    bench: &Bench<'_>,
) -> Result<(), Refused> {
    if known.adds() {
        return bench.is_enough(known.rules, evidence);
    }
    if proposal.maker.mind.is_person() { Ok(()) } else { bench.is_about(known.rules, evidence) }
}

/// Judges whether what must hold now, before anything is begun, holds for every step: rules 10 to 16 and no other.
///
/// # Errors
/// The first rule that refuses.
pub fn may_begin(proposal: &Proposal, home: &Home, policy: &Policy, live: &Live) -> Result<(), Refused> {
    let steps: Vec<Known<'_>> =
        proposal.steps.iter().map(|step| asked::known(step, policy)).collect::<Result<_, _>>()?;
    all_hold_now(proposal, &steps, home, policy, live)
}

/// Judges an approved proposal once more and makes the command of one of its steps: the only way to one.
///
/// Before the first step all of the proposal is judged; before a later one, what must hold now, as the steps before it
/// have changed it.
///
/// # Errors
/// The first rule that refuses.
pub fn authorize(
    proposal: &Proposal,
    step: usize,
    (evidence, asked_ms): (&[SignedReading], u64),
    (card, grant): (&SimulatedCard, &Grant),
    home: &Home,
    policy: &Policy,
    live: &Live,
) -> Result<AuthorizedCommand, Refused> {
    if step == 0 {
        judge(proposal, evidence, Moment::Dispatching { card, grant, asked_ms }, home, policy, live)?;
    }
    let refuse = |sentence| Refused::new(Code::InvalidParams, Rule::KnownOperation, sentence);
    let asked = proposal.steps.get(step).ok_or_else(|| refuse(format!("there is no step {step}")))?;
    let known = asked::known(asked, policy)?;
    now::nothing_stops_everything(live)?;
    asked::is_ours_alone(asked, policy, live)?;
    card::is_granted(grant, card, proposal, home)?;
    now::is_free(&asked.actuator, proposal.id(), live)?;
    now::is_theirs(&asked.actuator, &proposal.maker.mind, live)?;
    holds_now(&known, home, policy, live, Phase::New)?;
    let run_for_ms = known.for_s().filter(|_| known.adds()).map(milliseconds);
    Ok(AuthorizedCommand::new(
        proposal.id(),
        step,
        asked.actuator.clone(),
        known.operation.brings,
        run_for_ms,
    ))
}

/// Judges, every tick, a step that runs for `mind`, by the policy of this tick; `has_arrived` once it was seen where it was told
/// to be.
///
/// # Errors
/// The first rule that no longer holds.
pub fn may_go_on(
    (step, mind): (&Step, &Mind),
    has_arrived: bool,
    grant: &Grant,
    home: &Home,
    policy: &Policy,
    live: &Live,
) -> Result<(), Refused> {
    now::nothing_stops_everything(live)?;
    let known = asked::known(step, policy)?;
    asked::parameters_fit(&known)?;
    asked::dosage_is_known(&known, policy)?;
    card::counts_still(grant, home)?;
    now::is_theirs(&step.actuator, mind, live)?;
    holds_now(&known, home, policy, live, Phase::Running)?;
    if has_arrived { now::stays(&known, live) } else { Ok(()) }
}

/// Judges what runs by a policy that has become another: whether as many people have said yes as it wants, whether they still
/// may have, and whether what it rests on and draws from is enough for it. Everything else is judged in every tick.
///
/// # Errors
/// The first rule that is not met.
pub fn stands_by(
    proposal: &Proposal,
    (evidence, asked_ms): (&[SignedReading], u64),
    grant: &Grant,
    home: &Home,
    policy: &Policy,
    live: &Live,
) -> Result<(), Refused> {
    let steps: Vec<Known<'_>> =
        proposal.steps.iter().map(|step| asked::known(step, policy)).collect::<Result<_, _>>()?;
    let bench = Bench { home, live, asked_ms };
    steps.iter().try_for_each(|known| is_shown(known, proposal, evidence, &bench))?;
    asked::budgets_allow(&steps, policy, live)?;
    card::is_approved_by_enough(grant, proposal, home, policy)
}

fn all_hold_now(
    proposal: &Proposal,
    steps: &[Known<'_>],
    home: &Home,
    policy: &Policy,
    live: &Live,
) -> Result<(), Refused> {
    let id = proposal.id();
    steps.iter().try_for_each(|known| {
        now::is_free(&known.step.actuator, id, live)?;
        now::is_theirs(&known.step.actuator, &proposal.maker.mind, live)?;
        holds_now(known, home, policy, live, Phase::New)
    })
}

fn holds_now(
    known: &Known<'_>,
    home: &Home,
    policy: &Policy,
    live: &Live,
    phase: Phase,
) -> Result<(), Refused> {
    let actuator = &known.step.actuator;
    now::no_hand_is_on(actuator, live)?;
    now::ways_are_known(known, live, phase)?;
    if phase == Phase::New {
        now::state_is_known(actuator, live)?;
    }
    if !known.adds() {
        return Ok(());
    }
    now::modes_allow(policy, known.rules, live, phase)?;
    now::interlocks_hold(known.rules, home, live)
}

/// A duration that the policy has bounded already.
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1_000.0) as u64
}
