//! Systems of the planner: meet zones, take thoughts, wish, send.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::transition::State;
use clawmesh_authority::{Capability, Code, Step, StoryEntry};

use super::attention::{Attention, Ended, Moment};
use super::components::{IrrigatedZone, PlannerPort, WishesDue};
use super::wish::{Watering, Wish};
use crate::clock::{Tick, WallClock};
use crate::intake::{InputBody, JournalCursor, SourceId, Thought, TickBatch};
use crate::leadership::Lead;
use crate::mesh::HlcState;
use crate::proposals::{Copied, Life, Proposed};
use crate::replay::DomainId;
use crate::safety::Refused;
use crate::settings::Settings;
use crate::site::{Site, SiteFiles};

/// Every round of thinking in the batch, in order.
fn rounds(batch: &TickBatch) -> impl Iterator<Item = &Vec<Thought>> {
    batch.iter().filter_map(|stamped| match &stamped.input.body {
        InputBody::Thoughts(thoughts) => Some(thoughts),
        _ => None,
    })
}

/// A zone is met when it is first thought of, if the site tells how to water it.
pub(super) fn meet_zones(
    batch: Res<TickBatch>,
    site: Res<Site>,
    known: Query<&IrrigatedZone>,
    mut refused: MessageWriter<Refused>,
    mut commands: Commands,
) {
    let mut new: BTreeSet<&str> = rounds(&batch).flatten().map(|thought| thought.zone.as_str()).collect();
    for zone in &known {
        new.remove(zone.0.as_str());
    }
    for zone in new {
        if site.0.as_ref().and_then(|site| Watering::of(site, zone)).is_some() {
            let id = DomainId::of("zone", &[zone.as_bytes()]);
            commands.spawn((IrrigatedZone(zone.to_owned()), id));
        } else {
            let sentence = format!("{zone:?} is no zone that this site tells how to water; see `irrigation`");
            refused.write(Refused::once(Code::InvalidParams, SourceId::Planner, sentence));
        }
    }
}

/// Takes over what was thought. Of two thoughts of one round about one zone the later one counts.
pub(super) fn take_thoughts(
    tick: Res<Tick>,
    batch: Res<TickBatch>,
    mut zones: Query<(&IrrigatedZone, &mut Attention)>,
) {
    for round in rounds(&batch) {
        let round: BTreeMap<&str, &Thought> =
            round.iter().map(|thought| (thought.zone.as_str(), thought)).collect();
        for (zone, mut attention) in &mut zones {
            if let Some(thought) = round.get(zone.0.as_str()) {
                attention.take(thought, tick.0);
            }
        }
    }
}

/// What is looked at after a round of thinking.
#[derive(SystemParam)]
pub(super) struct Seen<'w, 's> {
    tick: Res<'w, Tick>,
    settings: Res<'w, Settings>,
    wall: Res<'w, WallClock>,
    batch: Res<'w, TickBatch>,
    site: Res<'w, Site>,
    lead: Res<'w, Lead>,
    own: Query<'w, 's, (&'static Proposed, &'static Life)>,
    copies: Query<'w, 's, &'static Copied>,
}

/// After a round of thinking: a zone rests when a proposal for it has ended.
pub(super) fn rest_zones(seen: Seen, mut zones: Query<(&IrrigatedZone, &mut Attention)>) {
    let Some(site) = seen.site_after_a_round() else { return };
    for (zone, mut attention) in &mut zones {
        let Some(watering) = Watering::of(site, &zone.0) else { continue };
        for ended in seen.ends_of(&watering) {
            if let Some(until_ms) = attention.longer_rest_ms(ended) {
                attention.rests_until_ms = until_ms;
            }
        }
    }
}

/// After a round of thinking, on the node that leads the planning: what is dry for certain, has rested, and stands in nobody's
/// way is wished for, the most pressing first.
pub(super) fn make_wishes(
    seen: Seen,
    mut zones: Query<(&IrrigatedZone, &mut Attention)>,
    mut clock: ResMut<HlcState>,
    mut due: ResMut<WishesDue>,
    mut refused: MessageWriter<Refused>,
) {
    let Some(site) = seen.site_after_a_round() else { return };
    let Some(term) = seen.lead.leads(seen.wall.elapsed_ms(*seen.tick, &seen.settings)) else { return };
    let now = seen.now();
    let mut wanted = seen.wanted();
    let mut ready = Vec::new();
    for (zone, attention) in &mut zones {
        let Some(watering) = Watering::of(site, &zone.0) else { continue };
        if attention.is_settling(now, &seen.settings) {
            wanted.extend(watering.actuators());
        }
        if attention.may_wish(now, term, &seen.settings) {
            ready.push((Reverse(attention.urgency_permille), zone, attention, watering));
        }
    }
    ready.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
    for (_, zone, mut attention, watering) in ready {
        if watering.actuators().any(|actuator| wanted.contains(&actuator)) {
            continue;
        }
        wanted.extend(watering.actuators());
        (attention.wished_tick, attention.wished_term) = (Some(now.tick), Some(term));
        let Some(owner) = watering.owner else {
            refused.write(no_owner(&zone.0, &watering));
            continue;
        };
        let made = clock.0.stamp(now.wall_ms);
        due.0.push(watering.wish(&zone.0, owner, &attention, made, term));
    }
}

fn no_owner(zone: &str, watering: &Watering) -> Refused {
    let name = &watering.owner_name;
    let sentence = format!("{zone} is dry and the site tells no `id` of {name}; write it into site.ron");
    Refused::once(Code::InvalidParams, SourceId::Planner, sentence)
}

impl Seen<'_, '_> {
    /// The site, if somebody has thought in this tick: nothing is judged anew before.
    fn site_after_a_round(&self) -> Option<&SiteFiles> {
        rounds(&self.batch).next()?;
        self.site.0.as_ref()
    }

    fn now(&self) -> Moment {
        Moment { tick: self.tick.0, wall_ms: self.wall.at(*self.tick, &self.settings) }
    }

    /// Every actuator that an open proposal of anybody, here or elsewhere, wants to move.
    fn wanted(&self) -> BTreeSet<Capability> {
        let own = self.own.iter().map(|(proposed, life)| (&life.state, &proposed.proposal.steps));
        let copies = self.copies.iter().map(|copied| (&copied.report.state, &copied.report.steps));
        let open = own.chain(copies).filter(|(state, _)| !state.is_final());
        open.flat_map(|(_, steps)| steps).map(|step| step.actuator.clone()).collect()
    }

    /// The ends of proposals that would have watered, or have watered, this zone.
    fn ends_of(&self, watering: &Watering) -> Vec<Ended> {
        let now = self.now();
        let ended = |state: &State, steps: &[Step], story: &[StoryEntry], told_ms: u64| {
            let is_end = state.is_final() && watering.is_done_by(steps);
            // A home whose clock is ahead does not make a zone rest for longer.
            let at_ms = story.last().map_or(told_ms, |entry| entry.at_ms.min(told_ms));
            is_end.then_some(Ended { at_ms, is_completed: *state == State::Completed })
        };
        let own = self.own.iter().filter_map(|(proposed, life)| {
            ended(&life.state, &proposed.proposal.steps, &life.story, now.wall_ms)
        });
        let copies = self.copies.iter().filter_map(|Copied { report, received_tick, .. }| {
            let age_ms = self.settings.ms_of_ticks(now.tick - received_tick);
            ended(&report.state, &report.steps, &report.story, now.wall_ms.saturating_sub(age_ms))
        });
        own.chain(copies).collect()
    }
}

/// Hands over what was wished. What finds no place is told by whoever has none; in a replay nobody is asked.
pub(super) fn send_wishes(
    cursor: Res<JournalCursor>,
    port: Option<Res<PlannerPort>>,
    mut due: ResMut<WishesDue>,
) {
    if due.0.is_empty() {
        return;
    }
    for wish in due.0.drain(..) {
        if let Some(port) = &port {
            // What is kept of this tick, the term among it, has to be durable as well.
            // Forgotten when there is no place: the zone rests, and a later wish rests on newer readings.
            let _ = port.0.wish(Wish { cause: cursor.last(), ..wish });
        }
    }
}
