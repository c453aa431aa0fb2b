//! What this node tells existing nodes of its own accord: its newest readings and what it can do. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use clawmesh_authority::transition::State;
use clawmesh_core::publish::{SensorView, Snapshot};
use clawmesh_wire::context::ContextFrame;
use clawmesh_wire::log::Told;
use clawmesh_wire::own_frames::{Observed, READINGS_MAX, Teller};

/// The most sensors that are told of, some at a time; a node with more shows them on its own surfaces.
const SENSORS_MAX: usize = 128;

/// The newest frame about each of our own things: given to whoever asks what is known, as existing nodes do with theirs.
#[derive(Debug, Default)]
pub struct OwnFrames(BTreeMap<String, Arc<Told>>);

impl OwnFrames {
    /// All of them.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Arc<Told>> {
        self.0.values()
    }

    /// Makes the frames that are due: what we can do, which also says that we are there, and of the readings that differ from
    /// what was told of them those that were told longest ago, as many as are told at a time. `random` names each of them; a
    /// frame it has no name for is left out.
    pub fn renew(
        &mut self,
        snapshot: &Snapshot,
        capabilities: &[String],
        unix_ms: u64,
        mut random: impl FnMut() -> Option<[u8; 16]>,
    ) -> Vec<ContextFrame> {
        let own = &snapshot.node;
        let teller = Teller { node: own.id, display_name: &own.name, unix_ms: snapshot.wall_ms };
        let mut frames: Vec<ContextFrame> =
            random().and_then(|random| teller.abilities(capabilities, &random).ok()).into_iter().collect();
        let mine = snapshot.sensors.iter().filter(|sensor| sensor.node == own.id).take(SENSORS_MAX);
        let observed = mine.filter_map(|sensor| observed(sensor, own.name.as_str()));
        let readings = observed.filter_map(|observed| teller.observation(&observed, &random()?).ok());
        let mut news: Vec<(Option<u64>, ContextFrame)> =
            readings.filter_map(|frame| Some((self.told_before(&frame)?, frame))).collect();
        news.sort_by_key(|(told_ms, _)| *told_ms);
        frames.extend(news.into_iter().take(READINGS_MAX).map(|(_, frame)| frame));
        for frame in &frames {
            self.0.insert(frame.key(), Arc::new(Told::new(frame.clone(), own.id, unix_ms)));
        }
        frames
    }

    /// When something was told of its thing, if ever; nothing for a frame that would say the same again.
    fn told_before(&self, frame: &ContextFrame) -> Option<Option<u64>> {
        let Some(told) = self.0.get(&frame.key()) else { return Some(None) };
        let is_same =
            told.frame.timestamp_ms == frame.timestamp_ms && told.frame.data.get() == frame.data.get();
        (!is_same).then_some(Some(told.received_ms))
    }
}

/// A sensor as existing nodes see it; nothing for one that shows nothing, or whose time is not to be believed.
fn observed(sensor: &SensorView, place: &str) -> Option<Observed> {
    let is_dated = !sensor.flags.iter().any(|flag| flag == "future");
    let mut parts = sensor.sensor.splitn(3, ':').skip(1);
    let metric = parts.next()?.to_owned();
    Some(Observed {
        zone: parts.next().unwrap_or(place).to_owned(),
        metric,
        value: sensor.value.filter(|_| is_dated)?,
        unit: sensor.unit.map(|unit| unit.to_string()),
        sensor: sensor.sensor.clone(),
        measured_ms: sensor.origin_ms?,
        tier: sensor.tier?,
    })
}

/// What has become of the proposals since they were looked at last.
#[derive(Debug, Default)]
pub struct ProposalNews {
    /// How far each that is known has come; nothing before the first look.
    known: Option<BTreeMap<String, Stage>>,
}

/// How far a proposal has come, as far as existing nodes tell people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// It waits for an answer.
    Open,
    /// It has one.
    Answered,
    /// It has come to its end.
    Ended,
}

impl Stage {
    fn of(state: &State) -> Self {
        match state {
            state if state.is_final() => Self::Ended,
            State::Approved { .. } | State::Dispatched | State::Executing { .. } | State::Verifying => {
                Self::Answered
            }
            _ => Self::Open,
        }
    }
}

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// It is new, or waits for an answer again.
    Proposed(String),
    /// It has an answer, so that nobody is asked any more, or has come to its end.
    Resolved(String),
}

impl ProposalNews {
    /// What is new. What was there when this node started is no news.
    pub fn look(&mut self, snapshot: &Snapshot) -> Vec<News> {
        // What another node is the home of that node tells, or guests of both would hear it twice.
        let reports = snapshot.proposals.iter().filter(|view| view.is_own).map(|view| &view.report);
        self.follow(reports.map(|report| (report.id.to_string(), Stage::of(&report.state))).collect())
    }

    fn follow(&mut self, now: BTreeMap<String, Stage>) -> Vec<News> {
        let before = self.known.replace(now);
        let (Some(before), Some(now)) = (before, &self.known) else { return Vec::new() };
        let mut news = Vec::new();
        for (id, stage) in now {
            match (before.get(id), stage) {
                (Some(before), stage) if before == stage => {}
                (_, Stage::Open) => news.push(News::Proposed(id.clone())),
                (_, Stage::Answered | Stage::Ended) => news.push(News::Resolved(id.clone())),
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sensor(
        node: &str,
        name: &str,
        value: Option<f64>,
        origin_ms: u64,
        flags: &[&str],
    ) -> serde_json::Value {
        json!({
            "node": node, "node_name": "barn", "sensor": name, "quantity": null, "value": value, "unit": "L/min",
            "tier": "T2", "origin_ms": origin_ms, "age_ms": 0, "period_ms": 1_000, "samples": 1, "flags": flags,
        })
    }

    fn snapshot(sensors: &[serde_json::Value]) -> Snapshot {
        serde_json::from_value(json!({
            "lead": {"activity": "ineligible", "leader": null},
            "tick": 5, "wall_ms": 9_000, "stop": null, "link": {"state": "connecting"}, "peers": [], "sensors": sensors,
            "node": {
                "id": "ab".repeat(32), "name": "barn", "role": "field", "mesh": "m", "version": "0", "epoch": 1,
                "hz": 50,
            },
            "site": null, "people": [], "actuators": [], "proposals": [], "beliefs": [], "refusals": [],
            "digest": null, "alarms": [],
        }))
        .unwrap()
    }

    /// Names by counting, so that each is another.
    fn names() -> impl FnMut() -> Option<[u8; 16]> {
        let mut next = 0_u128;
        move || {
            next += 1;
            Some(next.to_be_bytes())
        }
    }

    fn data(frames: &[ContextFrame]) -> Vec<&str> {
        frames.iter().map(|frame| frame.data.get()).collect()
    }

    #[test]
    fn our_own_readings_are_told_once_each_and_what_we_can_do_each_time() {
        let (own, other) = ("ab".repeat(32), "cd".repeat(32));
        let mut sensors = vec![
            sensor(&own, "sensor:flow:pipe:2", Some(1.5), 8_000, &[]),
            sensor(&own, "sensor:uptime", Some(7.0), 8_000, &["stale"]),
            sensor(&own, "sensor:level:tank", None, 8_000, &[]),
            sensor(&own, "sensor:level:pond", Some(2.0), 8_000, &["future"]),
            sensor(&other, "sensor:flow:pipe", Some(9.0), 8_000, &[]),
        ];
        let can = ["actuator:mock".to_owned()];
        let (mut frames, mut random) = (OwnFrames::default(), names());
        let first = frames.renew(&snapshot(&sensors), &can, 1, &mut random);
        assert_eq!(
            data(&first),
            [
                r#"{"capabilities":["actuator:mock"]}"#,
                r#"{"zone":"pipe:2","metric":"flow","value":1.5,"unit":"L/min","sensor":"sensor:flow:pipe:2"}"#,
                r#"{"zone":"barn","metric":"uptime","value":7.0,"unit":"L/min","sensor":"sensor:uptime"}"#,
            ]
        );
        assert_eq!(first[1].timestamp_ms, 8_000, "as old as the reading");
        assert_eq!(data(&frames.renew(&snapshot(&sensors), &can, 2, &mut random)), [data(&first)[0]]);
        sensors[0] = sensor(&own, "sensor:flow:pipe:2", Some(1.6), 8_500, &[]);
        assert_eq!(frames.renew(&snapshot(&sensors), &can, 3, &mut random).len(), 2);
        // A clock that was ahead and is set back keeps nothing from being told.
        sensors[0] = sensor(&own, "sensor:flow:pipe:2", Some(1.7), 100, &[]);
        assert_eq!(frames.renew(&snapshot(&sensors), &can, 4, &mut random).len(), 2);
        assert_eq!(frames.all().len(), 3, "the newest about each thing");
    }

    #[test]
    fn many_sensors_and_a_system_without_random_bytes_are_no_trouble() {
        let own = "ab".repeat(32);
        let sensors: Vec<_> =
            (0..500).map(|n| sensor(&own, &format!("sensor:level:t{n}"), Some(1.0), 8_000, &[])).collect();
        let mut frames = OwnFrames::default();
        assert!(frames.renew(&snapshot(&sensors), &[], 1, || None).is_empty());
        let mut random = names();
        for round in 1..=9 {
            let told = frames.renew(&snapshot(&sensors), &[], round, &mut random);
            // In turns, so that each is told in the end, and then nothing is new.
            let left = SENSORS_MAX.saturating_sub((round as usize - 1) * READINGS_MAX).min(READINGS_MAX);
            assert_eq!(told.len(), left + 1, "{round}");
        }
        assert_eq!(frames.all().len(), SENSORS_MAX + 1);
    }

    fn all(proposals: &[(&str, Stage)]) -> BTreeMap<String, Stage> {
        proposals.iter().map(|(id, stage)| ((*id).to_owned(), *stage)).collect()
    }

    #[test]
    fn a_proposal_is_news_when_it_comes_when_it_is_answered_and_when_it_ends() {
        use Stage::{Answered, Ended, Open};
        let resolved = |id: &str| News::Resolved(id.to_owned());
        let proposed = |id: &str| News::Proposed(id.to_owned());
        let mut news = ProposalNews::default();
        assert_eq!(news.follow(all(&[("old", Open)])), [], "what was there at the start");
        assert_eq!(news.follow(all(&[("old", Open), ("new", Open)])), [proposed("new")]);
        assert_eq!(news.follow(all(&[("old", Answered), ("new", Open)])), [resolved("old")]);
        assert_eq!(news.follow(all(&[("old", Answered), ("new", Open)])), []);
        assert_eq!(
            news.follow(all(&[("old", Open), ("quick", Ended)])),
            [proposed("old"), resolved("quick")]
        );
        assert_eq!(news.follow(all(&[("old", Ended), ("quick", Ended)])), [resolved("old")]);
    }

    #[test]
    fn what_was_approved_asks_nobody_any_more() {
        for (state, expected) in [
            (State::Draft, Stage::Open),
            (State::Dispatched, Stage::Answered),
            (State::Executing { step: 0 }, Stage::Answered),
            (State::Verifying, Stage::Answered),
            (State::Completed, Stage::Ended),
            (State::Expired, Stage::Ended),
        ] {
            assert_eq!(Stage::of(&state), expected, "{state}");
        }
    }
}
