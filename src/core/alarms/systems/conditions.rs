//! What is the case now, from what the world knows.

use std::collections::BTreeMap;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::NodeId;
use clawmesh_authority::transition::State;
use clawmesh_authority::{Capability, Setpoint};

use crate::alarms::components::FlaggedSince;
use crate::alarms::condition::{
    Condition, FLAG_LASTS_MS, MET_WITHIN_MS, SensorFlag, failed, leaderless, not_made_safe, on_by_itself,
    refused, stopped, timeless,
};
use crate::alarms::state::{Now, Priority};
use crate::alarms::watch::Watch;
use crate::clock::{Tick, WallClock};
use crate::leadership::Lead;
use crate::proposals::{Copied, CopyOf, Life, Proposed, Run};
use crate::safety::{Refusals, StopState};
use crate::settings::Settings;
use crate::site::{Actuator, Site, Stands};
use crate::world::{FreshnessPolicy, Latest, Profile, Sensor, SensorIndex};

/// Everything that can ring.
#[derive(SystemParam)]
pub(in crate::alarms) struct Seen<'w, 's> {
    tick: Res<'w, Tick>,
    settings: Res<'w, Settings>,
    wall: Res<'w, WallClock>,
    site: Res<'w, Site>,
    stop: Res<'w, StopState>,
    refusals: Res<'w, Refusals>,
    lead: Res<'w, Lead>,
    freshness: Res<'w, FreshnessPolicy>,
    index: Res<'w, SensorIndex>,
    sensors: Query<'w, 's, (&'static Sensor, &'static FlaggedSince, Option<&'static Profile>)>,
    readings: Query<'w, 's, &'static Latest>,
    actuators: Query<'w, 's, (&'static Actuator, &'static Stands)>,
    proposals: Query<'w, 's, (&'static Proposed, &'static Life)>,
    /// What runs, or has ended and is not shown to be off yet.
    runs: Query<'w, 's, &'static Proposed, With<Run>>,
    copies: Query<'w, 's, (&'static CopyOf, &'static Copied)>,
    /// The site is constant for a run, and so is what it wants watched.
    watch: Local<'s, Option<Watch>>,
}

/// What is the case, by the key of its alarm.
type Conditions = BTreeMap<String, Condition>;

impl Seen<'_, '_> {
    /// This moment.
    pub(in crate::alarms) fn now(&self) -> Now {
        let wall_ms = self.wall.at(*self.tick, &self.settings);
        Now { tick: self.tick.0, wall_ms, hz: self.settings.hz }
    }

    /// All of it.
    pub(in crate::alarms) fn conditions(&mut self) -> Conditions {
        if self.watch.is_none() || self.site.is_changed() {
            *self.watch = Some(Watch::of(self.site.0.as_ref()));
        }
        let now = self.now();
        let Some(watch) = self.watch.as_ref() else { return Conditions::new() };
        let mut found = Conditions::new();
        let mut add = |(key, condition): (String, Condition)| merge(&mut found, key, condition);
        self.stop.reason.iter().for_each(|reason| add(stopped(reason, &now)));
        if now.wall_ms == 0 {
            add(timeless(self.settings.tick_before));
        }
        for (actuator, stands) in &self.actuators {
            let why = stands.unsafe_because.as_ref();
            why.iter().for_each(|why| add(not_made_safe(actuator.0.as_str(), why, &now)));
        }
        for (actuator, stands) in &self.actuators {
            if self.is_on_by_itself(&actuator.0, stands) {
                add(on_by_itself(actuator.0.as_str(), stands.since_tick, &now));
            }
        }
        self.refusals.0.tallies().iter().filter_map(|tally| refused(tally, &now)).for_each(&mut add);
        let since = self.lead.leaderless_since().filter(|_| watch.is_watered());
        since.into_iter().for_each(|tick| add(leaderless(tick)));
        self.flags(watch).for_each(&mut add);
        self.unmet(watch).for_each(&mut add);
        self.outside(watch, &now).for_each(&mut add);
        self.failures(watch, &now).for_each(&mut add);
        found
    }

    /// On a guest somebody else may switch it on, or what we told it may be done late.
    fn is_on_by_itself(&self, actuator: &Capability, stands: &Stands) -> bool {
        let is_on_guest = self.site.0.as_ref().is_some_and(|site| site.on_guests.contains(actuator));
        let is_meant = |run: &Proposed| run.proposal.steps.iter().any(|step| step.actuator == *actuator);
        is_on_guest && stands.seen.position == Some(Setpoint::On) && !self.runs.iter().any(is_meant)
    }

    fn flags(&self, watch: &Watch) -> impl Iterator<Item = (String, Condition)> {
        self.sensors.iter().filter(|(_, since, _)| **since != FlaggedSince::default()).flat_map(
            move |(sensor, since, profile)| {
                let silent_ms = self.freshness.age_ms_max(profile.map(|profile| &profile.0));
                let flags = [
                    (SensorFlag::Silent, since.silent, silent_ms.max(FLAG_LASTS_MS)),
                    (SensorFlag::Stale, since.stale, FLAG_LASTS_MS),
                    (SensorFlag::Stuck, since.stuck, FLAG_LASTS_MS),
                    (SensorFlag::OutOfRange, since.out_of_range, FLAG_LASTS_MS),
                    (SensorFlag::Future, since.future, FLAG_LASTS_MS),
                ];
                let priority = watch.priority(sensor);
                let set = flags.into_iter().filter_map(move |(flag, since, lasts_ms)| {
                    Some(flagged(flag, sensor, watch, priority?, since?, lasts_ms))
                });
                set.collect::<Vec<_>>()
            },
        )
    }

    /// Sensors that the site names and that nobody has met in this run.
    fn unmet(&self, watch: &Watch) -> impl Iterator<Item = (String, Condition)> {
        let since = self.settings.tick_before;
        let unmet = watch.sensors().filter(|(sensor, _)| !self.index.0.contains_key(sensor));
        unmet.map(move |(sensor, priority)| {
            flagged(SensorFlag::Silent, sensor, watch, priority, since, MET_WITHIN_MS)
        })
    }

    fn outside(&self, watch: &Watch, now: &Now) -> impl Iterator<Item = (String, Condition)> {
        watch.limits().filter_map(|(key, limit)| {
            let latest = self.readings.get(*self.index.0.get(&limit.sensor)?).ok()?;
            Some((key.to_owned(), watch.outside(limit, latest.value, latest.unit.code(), now)?))
        })
    }

    fn failures(&self, watch: &Watch, now: &Now) -> impl Iterator<Item = (String, Condition)> {
        let failure = |id, home: &NodeId, state: &State| match state {
            State::Failed { cause } => Some(failed(id, &watch.name_of(home), cause, now)),
            _ => None,
        };
        let own = self.proposals.iter();
        let own = own.filter_map(move |(own, life)| failure(&own.id, &self.settings.node, &life.state));
        let copies = self.copies.iter();
        own.chain(
            copies.filter_map(move |(of, copied)| failure(&copied.report.id, &of.home, &copied.report.state)),
        )
    }
}

fn flagged(
    flag: SensorFlag,
    sensor: &Sensor,
    watch: &Watch,
    priority: Priority,
    since_tick: u64,
    on_delay_ms: u64,
) -> (String, Condition) {
    let (node, capability) = (watch.name_of(&sensor.node), sensor.capability.as_str());
    let sentence = flag.sentence(&node, capability);
    let condition = Condition { priority, sentence, since_tick, on_delay_ms, happens_once: false };
    (flag.key(&node, capability), condition)
}

/// Two conditions of one key are one: the more urgent, since the earlier. The order in which they come does not matter.
fn merge(found: &mut Conditions, key: String, condition: Condition) {
    let held = found.entry(key).or_insert_with(|| condition.clone());
    let since_tick = held.since_tick.min(condition.since_tick);
    if (condition.priority, &condition.sentence) > (held.priority, &held.sentence) {
        *held = condition;
    }
    held.since_tick = since_tick;
}
