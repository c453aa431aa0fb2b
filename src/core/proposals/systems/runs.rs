//! What runs: followed by what the driver layer and the sensors say, until it has ended.

use std::collections::{BTreeMap, BTreeSet};

use bevy::prelude::*;
use clawmesh_authority::gate::{self, Grant};
use clawmesh_authority::transition::{Cause, Event, State};
use clawmesh_authority::{Code, ContentHash, Proposal, ProposalId, Refused, Setpoint, Step, canonical};
use clawmesh_twin::card::{Card, PlaceCard};
use clawmesh_twin::site::Name;

use super::now::Now;
use super::shared::{Due, Here, Mover};
use crate::intake::{DriverReport, InputBody, SafeBecause, SourceId, TickBatch};
use crate::proposals::components::{CardHeld, Granted, Life, ProposalIndex, Proposed, Run, Spending};
use crate::proposals::kept;
use crate::proposals::ledger::{seconds_asked, usage};
use crate::proposals::run::Watch;
use crate::proposals::trial::adds;
use crate::replay::Keeping;
use crate::site::{PolicyInForce, SiteFiles};

/// Takes what the driver layer says of what runs.
pub fn hear_drivers(
    batch: Res<TickBatch>,
    index: Res<ProposalIndex>,
    mut cases: Query<(&Proposed, &mut Life, &mut Run)>,
    mut mover: Mover,
) {
    for stamped in batch.iter() {
        let InputBody::Driver(report) = &stamped.input.body else { continue };
        if stamped.input.source != SourceId::Drivers {
            let sentence = "only the driver layer of this node says what its hardware did";
            let refused = Refused::new(Code::NotAuthorized, "drivers.own", sentence);
            mover.show(&stamped.input.source.to_string(), &refused);
            continue;
        }
        let Some(entity) = proposal_of(report).and_then(|id| index.0.get(&id)) else { continue };
        let Ok((proposed, mut life, mut run)) = cases.get_mut(*entity) else { continue };
        let of = (proposed.id, &proposed.proposal);
        match report {
            DriverReport::Carried { step, .. } if *step == run.step && run.taken_ms.is_none() => {
                let now_ms = mover.here.elapsed_ms();
                run.taken_ms = Some(now_ms);
                run.began_ms.get_or_insert(now_ms);
                mover.feed(of, &mut life, &Event::Acknowledged, "the driver took it", None);
            }
            DriverReport::NotCarried { step, why, in_doubt: Some(_), .. } if *step == run.step => {
                let words = format!("nobody knows whether it was done: {why}");
                mover.feed(of, &mut life, &Event::OutcomeUnknown, words, None);
            }
            DriverReport::NotCarried { step, why, .. } if *step == run.step => {
                let event = Event::DriverRefused { text: why.clone() };
                mover.feed(of, &mut life, &event, format!("the driver did not take it: {why}"), None);
            }
            DriverReport::MadeSafe { actuator, because, fault, .. } => {
                let at = of.1.steps.iter().position(|step| step.actuator == *actuator);
                ended(of, &mut life, &mut run, at, because, fault.as_deref(), &mut mover);
            }
            _ => {}
        }
    }
}

fn proposal_of(report: &DriverReport) -> Option<ProposalId> {
    match report {
        DriverReport::Carried { proposal, .. } | DriverReport::NotCarried { proposal, .. } => Some(*proposal),
        DriverReport::MadeSafe { proposal, .. } => *proposal,
        DriverReport::Seen { .. } => None,
    }
}

fn ended(
    of: (ProposalId, &Proposal),
    life: &mut Life,
    run: &mut Run,
    at: Option<usize>,
    because: &SafeBecause,
    fault: Option<&str>,
    mover: &mut Mover,
) {
    if let Some(fault) = fault {
        let event = Event::DriverRefused { text: fault.to_owned() };
        mover.feed(of, life, &event, format!("it could not be made safe: {fault}"), None);
        return;
    }
    match because {
        SafeBecause::TimeIsOver => {
            run.ending_since_ms.get_or_insert(mover.here.elapsed_ms());
            if let Some(at) = at.filter(|at| !run.ended.contains(at)) {
                run.ended.push(at);
            }
        }
        SafeBecause::LeaseLost | SafeBecause::JournalFailed => {
            mover.feed(of, life, &Event::LeaseLost, because.to_string(), None);
        }
        // The stop is an input of its own; the others are ours, or of a run that is over.
        SafeBecause::Stopped { .. }
        | SafeBecause::Ordered(_)
        | SafeBecause::Started
        | SafeBecause::NodeEnds => {}
    }
}

/// Judges everything that runs.
pub fn judge_runs(
    now: Res<Now>,
    mut cases: Query<(&Proposed, &mut Life, &mut Run, Option<&Granted>, Option<&CardHeld>)>,
    in_force: Res<PolicyInForce>,
    mut mover: Mover,
    mut read: Local<Bands>,
) {
    let is_new_policy = in_force.since_tick == mover.here.tick.0;
    let mut rows: Vec<_> = cases.iter_mut().filter(|(_, life, ..)| life.state.is_running()).collect();
    rows.sort_by_key(|(proposed, ..)| proposed.slot);
    read.forget_all_but(rows.iter().filter_map(|(.., held)| Some(held.as_ref()?.hash)).collect());
    for (proposed, life, run, granted, held) in &mut rows {
        if is_new_policy && let Some(refused) = unfit(proposed, life, *granted, &now, &mover.here) {
            let words = format!("{} ({})", refused.sentence, refused.rule);
            let of = (proposed.id, &proposed.proposal);
            mover.feed(of, life, &Event::PolicyChanged, words, Some(refused.code));
            continue;
        }
        let bands = read.of(*held);
        // What has ended is settled in the same tick.
        for _ in 0..2 {
            let of = (&proposed.proposal, granted.map(|granted| &granted.0));
            let Some(found) = judge(of, life, run, bands, &now, &mover.here) else {
                break;
            };
            let of = (proposed.id, &proposed.proposal);
            let is_moved = mover.feed(of, life, &found.event, found.words, found.code);
            if !is_moved || life.state != State::Verifying {
                break;
            }
        }
    }
}

/// Why what runs is not what the new policy allows, if it is not.
fn unfit(
    proposed: &Proposed,
    life: &Life,
    granted: Option<&Granted>,
    now: &Now,
    here: &Here,
) -> Option<Refused> {
    let ((site, policy), granted) = (here.files()?, granted?);
    let judged = here.evidence(&proposed.proposal, &site.home).and_then(|evidence| {
        let asked = (evidence.as_slice(), life.asked_ms);
        gate::stands_by(&proposed.proposal, asked, &granted.0, &site.home, policy, &now.live)
    });
    judged.err()
}

/// What the cards of what runs say of each place, by the hash of the card. Reading one is worth a tick's time, and it says the
/// same in every tick.
#[derive(Default)]
pub struct Bands {
    of_cards: BTreeMap<ContentHash, BTreeMap<Name, PlaceCard>>,
    unknown: BTreeMap<Name, PlaceCard>,
}

impl Bands {
    fn forget_all_but(&mut self, running: BTreeSet<ContentHash>) {
        self.of_cards.retain(|card, _| running.contains(card));
    }

    fn of(&mut self, held: Option<&CardHeld>) -> &BTreeMap<Name, PlaceCard> {
        let Some(held) = held else { return &self.unknown };
        self.of_cards
            .entry(held.hash)
            .or_insert_with(|| Card::from_bytes(&held.bytes).map(|card| card.bands).unwrap_or_default())
    }
}

fn judge(
    (proposal, grant): (&Proposal, Option<&Grant>),
    life: &Life,
    run: &mut Run,
    bands: &BTreeMap<Name, PlaceCard>,
    now: &Now,
    here: &Here,
) -> Option<crate::proposals::run::Finding> {
    let (site, policy) = here.files()?;
    let watch = Watch {
        proposal,
        grant,
        site,
        policy,
        live: &now.live,
        bands,
        ms_of_ticks: &|ticks| here.settings.ms_of_ticks(ticks),
        now_ms: here.elapsed_ms(),
    };
    watch.judge(&life.state, run)
}

/// True of what a guest was told last, unless it has said yes or no: it ended for another reason, before there was an answer.
fn may_still_happen(proposal: &Proposal, life: &Life, run: &Run, site: &SiteFiles) -> bool {
    let is_refused = matches!(life.state, State::Failed { cause: Cause::Driver(_) });
    let told = proposal.steps.get(run.step);
    let is_on_guest = told.is_some_and(|step| site.on_guests.contains(&step.actuator));
    is_on_guest && run.taken_ms.is_none() && !is_refused
}

/// How long after its end a run may take to be shown safe; what is not by then is booked in full.
const SAFE_WITHIN_MS: u64 = 60_000;

/// Gives back what was booked and not used, once everything is shown to be off, and lets go of what only a run needs.
pub fn settle(
    here: Here,
    now: Res<Now>,
    mut spending: ResMut<Spending>,
    mut keeping: ResMut<Keeping>,
    ended: Query<(Entity, &Proposed, &Life, &Run)>,
    mut due: ResMut<Due>,
    mut commands: Commands,
) {
    let mut rows: Vec<_> = ended.iter().filter(|(_, _, life, _)| life.state.is_final()).collect();
    rows.sort_by_key(|(_, proposed, ..)| proposed.slot);
    for (entity, proposed, life, run) in rows {
        due.commands.retain(|command| command.proposal() != proposed.id);
        let is_off = |step: &Step| now.live.position_of(&step.actuator) == Some(Setpoint::Off);
        let is_safe = proposed.proposal.steps.iter().all(is_off);
        let ended_ms = life.story.last().map_or(0, |entry| entry.at_ms);
        if !is_safe && here.wall_ms() < ended_ms.saturating_add(SAFE_WITHIN_MS) {
            continue;
        }
        commands.entity(entity).remove::<(Run, Granted)>();
        let Some((site, policy)) = here.files() else { continue };
        // Of what nobody knows, all that was asked counts as used.
        let unknown = [Cause::OutcomeUnknown, Cause::NotAcknowledged].map(|cause| State::Failed { cause });
        if unknown.contains(&life.state) || !is_safe || may_still_happen(&proposed.proposal, life, run, site)
        {
            continue;
        }
        // What nobody said was taken may be on since it was ordered.
        let began_ms = run.began_ms.unwrap_or(run.ordered_ms);
        let ran_s = here.elapsed_ms().saturating_sub(began_ms) as f64 / 1_000.0;
        let unused = |_: usize, step: &Step| (seconds_asked(step) - ran_s).max(0.0);
        let unused = usage(&proposed.proposal.steps, policy, unused);
        if proposed.proposal.steps.iter().any(|step| adds(step, policy)) {
            spending.ledger.give_back(&unused, run.booked_unix_ms);
            keeping.keep(kept::SPENDING, canonical::encode(&spending.ledger));
        }
    }
}
