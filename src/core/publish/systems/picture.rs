//! The snapshot: a few times a second, sorted, complete.

use std::cmp::Reverse;
use std::sync::Arc;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::NodeId;
use clawmesh_authority::leadership::Leader;

use crate::alarms::{Alarm, AlarmState, Standing, shelf_ms_max};
use crate::clock::{Tick, WallClock};
use crate::guests::GuestsPicture;
use crate::leadership::Lead;
use crate::mesh::{
    ClockOffset, LaneMarks, LastHeard, Liveness, Node, NodeIndex, NodeProfile, OwnNode, Trusted,
};
use crate::people::People;
use crate::proposals::{Control, Copied, CopyOf, OwnProposals, Spending};
use crate::publish::components::SnapshotPort;
use crate::publish::snapshot::{
    ActuatorView, AlarmView, BeliefView, ControlView, DigestView, LeadView, LeaderView, NodeView, PeerView,
    PersonView, ProposalView, RefusalView, SensorView, SiteView, Snapshot,
};
use crate::publish::waiting::waiting;
use crate::replay::LastDigest;
use crate::safety::{LinkStatus, Refusals, StopState};
use crate::settings::Settings;
use crate::site::{Actuator, Site, SiteModes, Stands};
use crate::world::{Belief, BeliefKey, Latest, Profile, Quality, Sensor, Sensors, SupportedBy};

/// Milliseconds between two snapshots.
const SNAPSHOT_EVERY_MS: u64 = 100;

/// Everything a snapshot shows.
#[derive(SystemParam)]
pub(in crate::publish) struct Shown<'w, 's> {
    tick: Res<'w, Tick>,
    settings: Res<'w, Settings>,
    wall: Res<'w, WallClock>,
    link: Res<'w, LinkStatus>,
    lead: Res<'w, Lead>,
    stop: Res<'w, StopState>,
    people: Res<'w, People>,
    control: Res<'w, Control>,
    spending: Res<'w, Spending>,
    site: Res<'w, Site>,
    modes: Res<'w, SiteModes>,
    refusals: Res<'w, Refusals>,
    marks: Res<'w, LaneMarks>,
    digest: Res<'w, LastDigest>,
    guests: Res<'w, GuestsPicture>,
    index: Res<'w, NodeIndex>,
    peers: Query<
        'w,
        's,
        (
            &'static Node,
            Option<&'static NodeProfile>,
            &'static Liveness,
            &'static LastHeard,
            &'static ClockOffset,
            Has<Trusted>,
            Option<&'static Sensors>,
        ),
        Without<OwnNode>,
    >,
    profiles: Query<'w, 's, &'static NodeProfile>,
    sensors:
        Query<'w, 's, (&'static Sensor, Option<&'static Profile>, Option<&'static Latest>, &'static Quality)>,
    actuators: Query<'w, 's, (&'static Actuator, &'static Stands)>,
    proposals: OwnProposals<'w, 's>,
    copies: Query<'w, 's, (&'static CopyOf, &'static Copied)>,
    alarms: Query<'w, 's, (&'static Alarm, &'static AlarmState)>,
    beliefs: Query<'w, 's, (&'static BeliefKey, &'static Belief, Option<&'static SupportedBy>)>,
}

pub(in crate::publish) fn publish_snapshot(shown: Shown, port: Res<SnapshotPort>) {
    let every = shown.settings.ticks_of_ms(SNAPSHOT_EVERY_MS);
    let is_first = shown.tick.0 == shown.settings.tick_before + 1;
    if is_first || shown.tick.0.is_multiple_of(every) {
        port.0.publish(Arc::new(shown.snapshot()));
    }
}

impl Shown<'_, '_> {
    fn snapshot(&self) -> Snapshot {
        let wall_ms = self.wall.at(*self.tick, &self.settings);
        Snapshot {
            tick: self.tick.0,
            wall_ms,
            node: NodeView::of(&self.settings),
            link: self.link.0.clone(),
            lead: self.lead(),
            stop: self.stop.reason.clone(),
            peers: self.peers(),
            sensors: self.sensors(wall_ms),
            site: self.site(),
            people: self.people(),
            actuators: self.actuators(),
            proposals: self.proposals(wall_ms),
            beliefs: self.beliefs(wall_ms),
            refusals: self.refusals(),
            alarms: self.alarms(),
            guests: self.guests.clone(),
            digest: self
                .digest
                .0
                .as_ref()
                .map(|digest| DigestView { tick: digest.tick, total: format!("{:016x}", digest.total) }),
        }
    }

    fn lead(&self) -> LeadView {
        let now_ms = self.wall.elapsed_ms(*self.tick, &self.settings);
        let id = match self.lead.leader(now_ms) {
            Leader::None => None,
            Leader::Local => Some(self.settings.node),
            Leader::Peer(leader) => Some(leader.node()),
        };
        let view = |id: NodeId| {
            let profile = self.profile_of(&id);
            LeaderView {
                id,
                name: profile.map(|profile| profile.name.clone()),
                role: profile.map(|profile| profile.role.clone()),
                term: self
                    .lead
                    .terms()
                    .highest_seen
                    .filter(|claim| claim.holder == id)
                    .map(|claim| claim.term),
            }
        };
        LeadView { activity: self.lead.activity(now_ms), leader: id.map(view) }
    }

    fn peers(&self) -> Vec<PeerView> {
        let mut rows: Vec<PeerView> = self
            .peers
            .iter()
            .map(|(node, profile, liveness, heard, offset, trusted, sensors)| PeerView {
                id: node.0,
                name: profile.map(|profile| profile.name.clone()),
                role: profile.map(|profile| profile.role.clone()),
                version: profile.map(|profile| profile.version.clone()),
                trusted,
                liveness: liveness.word().to_owned(),
                heard_age_ms: heard.0.map(|tick| self.settings.ms_of_ticks(self.tick.0 - tick)),
                clock_offset_ms: offset.0,
                stream_skipped: self.marks.0.get(&node.0).map_or(0, |marks| marks.stream.skipped),
                sensors: sensors.map_or(0, |sensors| sensors.len()),
            })
            .collect();
        rows.sort_by_key(|row| row.id);
        rows
    }

    fn sensors(&self, wall_ms: u64) -> Vec<SensorView> {
        let mut rows: Vec<_> = self.sensors.iter().collect();
        rows.sort_by_key(|(sensor, ..)| *sensor);
        rows.into_iter()
            .map(|(sensor, profile, latest, quality)| SensorView {
                node: sensor.node,
                node_name: self.name_of(&sensor.node),
                sensor: sensor.capability.to_string(),
                quantity: profile.map(|profile| profile.0.quantity.clone()),
                value: latest.map(|latest| latest.value),
                unit: latest.map(|latest| latest.unit).or(profile.map(|profile| profile.0.unit)),
                tier: latest.map(|latest| latest.tier),
                origin_ms: latest.map(|latest| latest.origin_ms),
                age_ms: latest.map(|latest| latest.age_ms(*self.tick, wall_ms, &self.settings)),
                period_ms: profile.map(|profile| profile.0.period_ms),
                samples: latest.map_or(0, |latest| latest.samples),
                flags: quality.words().map(str::to_owned).collect(),
            })
            .collect()
    }

    fn people(&self) -> Vec<PersonView> {
        let roster = &self.people.0;
        let mut rows: Vec<PersonView> = roster
            .iter()
            .map(|person| PersonView {
                id: person.id,
                name: person.name.clone(),
                role: person.role,
                stands_for: person.delegate_of,
                is_revoked: roster.is_revoked(&person.id),
            })
            .collect();
        rows.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        rows
    }

    fn site(&self) -> Option<SiteView> {
        let site = self.site.0.as_ref()?;
        Some(SiteView {
            name: site.name.clone(),
            site_hash: site.home.site,
            policy_hash: site.policy.as_ref().map(|_| site.home.policy),
            modes: self.modes.0.iter().map(|mode| mode.in_words().to_owned()).collect(),
        })
    }

    fn actuators(&self) -> Vec<ActuatorView> {
        let mut rows: Vec<_> = self.actuators.iter().collect();
        rows.sort_by_key(|(actuator, _)| *actuator);
        rows.into_iter()
            .map(|(actuator, stands)| ActuatorView {
                actuator: actuator.0.to_string(),
                guest: self.guest_of(actuator),
                position: stands.seen.position.map(|position| position.to_string()),
                answers: stands.seen.answers,
                local_control: stands.seen.local_control,
                control: self.control_of(actuator),
                is_safe: self.is_safe(actuator, stands),
                unsafe_because: stands.unsafe_because.clone(),
                since_ms: self.settings.ms_of_ticks(self.tick.0 - stands.since_tick),
            })
            .collect()
    }

    fn proposals(&self, wall_ms: u64) -> Vec<ProposalView> {
        let elapsed_ms = self.wall.elapsed_ms(*self.tick, &self.settings);
        let own = self.proposals.reports().into_iter().map(|report| ProposalView {
            home: self.settings.node,
            home_name: Some(self.settings.name.clone()),
            is_own: true,
            age_ms: 0,
            waiting: waiting(&report, wall_ms, self.proposals.dies_in_ms(&report.id, elapsed_ms), None),
            report,
        });
        let copies = self.copies.iter().map(|(of, copied)| ProposalView {
            home: of.home,
            home_name: self.name_of(&of.home),
            is_own: false,
            age_ms: self.settings.ms_of_ticks(self.tick.0 - copied.received_tick),
            waiting: waiting(&copied.report, wall_ms, None, self.silent_ms(&of.home)),
            report: copied.report.clone(),
        });
        let mut rows: Vec<ProposalView> = own.chain(copies).collect();
        rows.sort_by_key(|row| (row.home, row.report.slot));
        rows
    }

    /// For how long a node that is not there was not heard.
    fn silent_ms(&self, node: &NodeId) -> Option<u64> {
        let entity = self.index.0.get(node)?;
        let (_, _, liveness, heard, ..) = self.peers.get(*entity).ok()?;
        let is_there = *liveness == Liveness::Alive;
        heard.0.filter(|_| !is_there).map(|tick| self.settings.ms_of_ticks(self.tick.0 - tick))
    }

    fn control_of(&self, actuator: &Actuator) -> Option<ControlView> {
        let counted_ms = self.wall.counted_ms(*self.tick, &self.settings, self.spending.not_before_ms);
        let lease = self.control.get(&actuator.0)?;
        let person = self.people.0.get(&lease.by);
        Some(ControlView {
            by: lease.by,
            name: person.map_or_else(|| lease.by.short(), |person| person.name.clone()),
            why: lease.why.clone(),
            left_ms: lease.until_ms.saturating_sub(counted_ms),
            wanted_by: lease.wanted_by.as_ref().map(|wanted| wanted.by),
        })
    }

    fn guest_of(&self, actuator: &Actuator) -> Option<String> {
        let site = self.site.0.as_ref().filter(|site| site.on_guests.contains(&actuator.0))?;
        let entry = site.plan.actuators.iter().find(|entry| entry.capability == actuator.0.as_str())?;
        entry.on_guest.as_ref().map(|guest| guest.peer.clone())
    }

    /// True while an actuator is in the safe state that the site declares; during a stop only if its driver was asked since.
    fn is_safe(&self, actuator: &Actuator, stands: &Stands) -> bool {
        let site = self.site.0.as_ref();
        let declared = site.and_then(|site| site.safe_state_of(&actuator.0));
        let is_answered = self.stop.reason.is_none() || stands.stops_answered >= self.stop.stops;
        // Whoever stops hears of a guest that could not be told, whatever its sensor shows.
        let is_told = self.guest_of(actuator).is_none() || stands.unsafe_because.is_none();
        declared.is_some() && stands.seen.position == declared && is_answered && is_told
    }

    fn name_of(&self, node: &NodeId) -> Option<String> {
        self.profile_of(node).map(|profile| profile.name.clone())
    }

    fn profile_of(&self, node: &NodeId) -> Option<&NodeProfile> {
        self.profiles.get(*self.index.0.get(node)?).ok()
    }

    fn beliefs(&self, wall_ms: u64) -> Vec<BeliefView> {
        let mut rows: Vec<_> = self.beliefs.iter().collect();
        rows.sort_by_key(|(key, ..)| *key);
        rows.into_iter()
            .map(|(key, belief, support)| BeliefView {
                key: key.0.clone(),
                value: belief.value.clone(),
                unit: belief.unit,
                tier: belief.tier,
                source: belief.source,
                hlc: belief.hlc,
                origin_ms: belief.origin_ms,
                age_ms: (wall_ms > 0).then(|| wall_ms.saturating_sub(belief.origin_ms)),
                supported_by: support
                    .and_then(|support| self.sensors.get(support.0).ok())
                    .map(|(sensor, ..)| format!("{}/{}", sensor.node, sensor.capability)),
            })
            .collect()
    }

    /// What is over and acknowledged is remembered for a moment and is no alarm any more.
    fn alarms(&self) -> Vec<AlarmView> {
        let mut rows: Vec<_> =
            self.alarms.iter().filter(|(_, state)| state.standing() != Standing::Normal).collect();
        rows.sort_by_key(|(alarm, state)| (Reverse((state.priority, state.raised_tick)), &alarm.key));
        let since = |tick: u64| self.settings.ms_of_ticks(self.tick.0.saturating_sub(tick));
        let until = |tick: u64| self.settings.ms_of_ticks(tick.saturating_sub(self.tick.0));
        let row = |(alarm, state): (&Alarm, &AlarmState)| AlarmView {
            key: alarm.key.clone(),
            priority: state.priority,
            state: state.standing(),
            is_active: state.is_active,
            is_acknowledged: state.is_acknowledged,
            sentence: state.sentence.clone(),
            count: state.count,
            raised_ms: state.raised_ms,
            age_ms: since(state.raised_tick),
            cleared_age_ms: state.cleared_tick.map(since),
            acknowledged_by: state.acknowledged_by.clone(),
            shelved_for_ms: state.shelved_until_tick.map(until),
            shelved_by: state.shelved_by.clone(),
            shelf_ms_max: shelf_ms_max(&alarm.key, state.priority),
        };
        rows.into_iter().map(row).collect()
    }

    fn refusals(&self) -> Vec<RefusalView> {
        let rows = self.refusals.0.tallies().iter().map(|tally| RefusalView {
            code: tally.code,
            from: tally.from.clone(),
            count: tally.count,
            sentence: tally.sentence.clone(),
            age_ms: self.settings.ms_of_ticks(self.tick.0 - tally.tick),
        });
        rows.collect()
    }
}

impl NodeView {
    /// The view of a node with these settings.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            id: settings.node,
            name: settings.name.clone(),
            role: settings.role.clone(),
            mesh: settings.mesh_name.clone(),
            version: settings.version.clone(),
            epoch: settings.epoch,
            hz: settings.hz,
        }
    }
}
