//! What this node knows in this tick, as the gate wants it; worked out anew in every tick that needs it.

use std::collections::{BTreeMap, BTreeSet};

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::gate::{ActuatorState, Live, LiveReading};
use clawmesh_authority::{Capability, NodeId, ProposalId};
use clawmesh_twin::trial::Step as Move;

use crate::clock::{Tick, WallClock};
use crate::intake::{InputBody, LinkState, TickBatch};
use crate::mesh::Trust;
use crate::people::People;
use crate::proposals::components::{Asked, Copied, CopyOf, Life, Proposed, Run, Spending};
use crate::proposals::control::Control;
use crate::proposals::holds::Holds;
use crate::proposals::ledger::seconds_asked;
use crate::proposals::tags::Tags;
use crate::proposals::trial::moves;
use crate::safety::{LinkStatus, StopState};
use crate::settings::Settings;
use crate::site::{Actuator, Site, SiteModes, Stands};
use crate::world::{FreshnessPolicy, Latest, Quality, Sensor};

/// Whatever is noted under this and the capability of an actuator, other than `false`, takes it out of service.
pub const OUT_OF_SERVICE: &str = "out-of-service/";

/// What is known now.
#[derive(Resource, Debug, Default)]
pub struct Now {
    /// For the gate.
    pub live: Live,
    /// What is approved or carried out, for the twin.
    pub running: BTreeMap<ProposalId, Vec<Move>>,
}

impl Now {
    /// Everything that is approved or carried out, apart from one.
    #[must_use]
    pub fn running_besides(&self, id: ProposalId) -> Vec<Move> {
        let others = self.running.iter().filter(|(other, _)| **other != id);
        others.flat_map(|(_, moves)| moves.iter().cloned()).collect()
    }
}

/// What it is worked out from.
#[derive(SystemParam)]
pub struct Known<'w, 's> {
    tick: Res<'w, Tick>,
    settings: Res<'w, Settings>,
    wall: Res<'w, WallClock>,
    freshness: Res<'w, FreshnessPolicy>,
    site: Res<'w, Site>,
    modes: Res<'w, SiteModes>,
    stop: Res<'w, StopState>,
    link: Res<'w, LinkStatus>,
    spending: Res<'w, Spending>,
    asked: Res<'w, Asked>,
    tags: Res<'w, Tags>,
    holds: Res<'w, Holds>,
    control: Res<'w, Control>,
    people: Res<'w, People>,
    trust: Res<'w, Trust>,
    sensors: Query<'w, 's, (&'static Sensor, &'static Latest, &'static Quality)>,
    actuators: Query<'w, 's, (&'static Actuator, &'static Stands)>,
    proposals: Query<'w, 's, (&'static Proposed, &'static Life, Option<&'static Run>)>,
    copies: Query<'w, 's, (&'static CopyOf, &'static Copied)>,
}

/// True in a tick in which something about proposals may be decided.
pub fn is_needed(batch: Res<TickBatch>, lives: Query<(&Life, Has<Run>)>) -> bool {
    let is_about_proposals = |body: &InputBody| {
        matches!(body, InputBody::Asked { .. } | InputBody::Simulated { .. } | InputBody::Recalled { .. })
    };
    batch.iter().any(|stamped| is_about_proposals(&stamped.input.body))
        // What has ended and is not settled has to be shown to be off.
        || lives.iter().any(|(life, has_run)| has_run || !life.state.is_final())
}

/// Looks at everything once.
pub fn look(known: Known, mut now: ResMut<Now>) {
    *now = Now { live: known.live(), running: known.running() };
}

impl Known<'_, '_> {
    fn live(&self) -> Live {
        let wall_ms = self.wall.at(*self.tick, &self.settings);
        let ledger_ms = self.wall.counted_ms(*self.tick, &self.settings, self.spending.not_before_ms);
        Live {
            stop: self.stop.reason.clone(),
            // What cannot be written down is neither answered nor driven: tickets and drivers wait for the commit.
            can_write_down: true,
            comms_unknown: match &self.link.0 {
                LinkState::Open { .. } => None,
                LinkState::Connecting => Some("the link is being opened".to_owned()),
                LinkState::Failed { sentence } => Some(sentence.clone()),
            },
            modes: self.modes.0.clone(),
            readings: self.sensors.iter().map(|row| self.reading(row, wall_ms)).collect(),
            actuators: self.actuators_with_claims(),
            held: self.held_actuators(),
            controlled: self.control.in_force(&self.people.0),
            on_hold: self.holds.in_words(&self.people.0).collect(),
            spent: self.spending.ledger.spent(ledger_ms),
            wall_ms,
            counted_ms: ledger_ms,
        }
    }

    fn reading(
        &self,
        (sensor, latest, quality): (&Sensor, &Latest, &Quality),
        wall_ms: u64,
    ) -> ((NodeId, Capability), LiveReading) {
        let of = (sensor.node, sensor.capability.clone());
        let age_ms = latest.age_ms(*self.tick, wall_ms, &self.settings);
        // What its node says of it counts, and what the site says of it too.
        let declared = self.site.0.as_ref().and_then(|site| site.home.sensors.get(&of));
        let misfit = declared.and_then(|declared| declared.misfit(latest.value, latest.unit));
        let is_stale = declared.is_some_and(|declared| age_ms > self.freshness.age_ms_of(declared.period_ms));
        let fault = quality.faults().next().map(str::to_owned).or(misfit);
        let doubt = quality.words().next().map(str::to_owned).or_else(|| fault.clone());
        let reading = LiveReading {
            value: latest.value,
            tier: latest.tier,
            age_ms,
            unchanged_ms: latest.origin_ms.saturating_sub(latest.unchanged_since_ms),
            doubt: doubt.or_else(|| is_stale.then(|| "stale".to_owned())),
            fault,
        };
        (of, reading)
    }

    fn actuators_with_claims(&self) -> BTreeMap<Capability, ActuatorState> {
        let claims = self.claims();
        let states = self.actuators.iter().map(|row| self.actuator(row));
        let with_claim = |(actuator, state): (Capability, ActuatorState)| {
            let claimed_by = claims.get(&actuator).copied();
            (actuator, ActuatorState { claimed_by, ..state })
        };
        states.map(with_claim).collect()
    }

    fn actuator(&self, (actuator, stands): (&Actuator, &Stands)) -> (Capability, ActuatorState) {
        let now_ms = self.wall.elapsed_ms(*self.tick, &self.settings);
        let state = ActuatorState {
            // The gate must not build on how it stands now.
            read_back: stands.seen.position.filter(|_| !stands.is_in_doubt(now_ms)),
            answers: stands.seen.answers,
            local_control: stands.seen.local_control,
            out_of_service: self.tags.is_on(&actuator.0, self.asked.0.restored_ms()),
            claimed_by: None,
        };
        (actuator.0.clone(), state)
    }

    /// What other homes that are trusted have open proposals for; of several homes the one with the lowest id. A home that says
    /// nothing more is done with it by the time when its proposal would have expired, or when it could not run any longer.
    fn claims(&self) -> BTreeMap<&Capability, NodeId> {
        let mut claims = BTreeMap::new();
        let policy = self.site.0.as_ref().and_then(|site| site.policy.as_ref());
        let waits_ms = policy.map_or(0, |policy| u64::from(policy.proposal_expires_s) * 1_000);
        let is_open = |(of, copied): &(&CopyOf, &Copied)| {
            let age_ms = self.settings.ms_of_ticks(self.tick.0.saturating_sub(copied.received_tick));
            let runs_ms = copied.report.steps.iter().map(|step| (seconds_asked(step) * 1_000.0) as u64).max();
            let is_over = age_ms > waits_ms.saturating_add(runs_ms.unwrap_or(0));
            !copied.report.state.is_final() && !is_over && self.trust.believes(&of.home)
        };
        for (of, copied) in self.copies.iter().filter(is_open) {
            for step in &copied.report.steps {
                let by = claims.entry(&step.actuator).or_insert(of.home);
                *by = of.home.min(*by);
            }
        }
        claims
    }

    /// The actuators on guests that took their safe state and that no sensor has shown to be in it since. Nothing works with
    /// them, and nobody has tagged them.
    pub fn unshown(&self) -> BTreeSet<Capability> {
        let held = self.held_actuators();
        let unshown = self.actuators.iter().filter(|(actuator, stands)| {
            // What was not taken the driver layer tries again by itself.
            stands.told_safe_ms.is_some()
                && stands.unsafe_because.is_none()
                && !held.contains_key(&actuator.0)
        });
        let untagged = unshown.filter(|row| !self.actuator(*row).1.out_of_service);
        untagged.map(|(actuator, _)| actuator.0.clone()).collect()
    }

    fn held_actuators(&self) -> BTreeMap<Capability, ProposalId> {
        let running = self.proposals.iter().filter(|(_, life, _)| life.state.is_running());
        let held = running.flat_map(|(proposed, ..)| {
            proposed.proposal.steps.iter().map(|step| (step.actuator.clone(), proposed.id))
        });
        held.collect()
    }

    fn running(&self) -> BTreeMap<ProposalId, Vec<Move>> {
        let Some((site, policy)) = self.site.0.as_ref().and_then(|site| Some((site, site.policy.as_ref()?)))
        else {
            return BTreeMap::new();
        };
        let under_way = self.proposals.iter().filter(|(_, life, _)| {
            life.state.is_running()
                || matches!(life.state, clawmesh_authority::transition::State::Approved { .. })
        });
        let now_ms = self.wall.elapsed_ms(*self.tick, &self.settings);
        let of = |(proposed, _, run): (&Proposed, &Life, Option<&Run>)| {
            let began_ms = run.and_then(|run| run.began_ms).unwrap_or(now_ms);
            let ran_s = now_ms.saturating_sub(began_ms) as f64 / 1_000.0;
            // At least a moment remains of what has not ended yet.
            let remains_s = |step: &clawmesh_authority::Step| (seconds_asked(step) - ran_s).max(0.1);
            (proposed.id, moves(&proposed.proposal.steps, &site.plan, policy, remains_s))
        };
        under_way.map(of).collect()
    }
}
