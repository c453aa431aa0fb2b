//! The thread that runs the tick: on time, one clock sample a second, and a stop when it fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use clawmesh_authority::{Code, Refusal};
use clawmesh_core::Core;
use clawmesh_core::clock::SAMPLE_PERIOD_MS;
use clawmesh_core::intake::{InboxHandle, Input, InputBody, SourceId, StreamKey};
use clawmesh_drivers::StopLatch;

use super::faults;
use crate::moments::{ClockSample, next_sample, now, show_sample};

/// The wall clock is sampled when the estimate is off by more than this, and once a second.
const DRIFT_MS_MAX: u64 = 20;
/// A tick that comes this late is not caught up: the machine slept, and time goes on from here.
const LATE_MAX: Duration = Duration::from_millis(500);

/// A running tick thread. To drop it is to stop it, so that a start that fails leaves no tick behind.
pub struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<String>>>,
}

impl Ticker {
    /// Starts ticking. When the tick panics, `on_death` is called and the thread ends.
    pub fn start(
        core: Core,
        hz: u32,
        inbox: InboxHandle,
        latch: StopLatch,
        on_death: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Arc::<AtomicBool>::default();
        let period = Duration::from_secs(1) / hz.max(1);
        Self::spawn(Beat { core, period, inbox, latch, told_stops: 0, sampled: None, stop }, on_death)
    }

    fn spawn(beat: Beat, on_death: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        let stop = Arc::clone(&beat.stop);
        let thread = thread::Builder::new().name("tick".to_owned()).spawn(move || {
            let death = beat.run();
            if death.is_some() {
                on_death();
            }
            death
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Stops after one last tick; the journal is closed with the core. Says why the tick died, if it did.
    pub fn close(mut self) -> Option<String> {
        self.end()
    }

    fn end(&mut self) -> Option<String> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take()?;
        thread.join().unwrap_or_else(|panic| Some(faults::sentence_of_panic(&*panic)))
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        if let Some(sentence) = self.end() {
            tracing::error!("{sentence}");
        }
    }
}

struct Beat {
    core: Core,
    period: Duration,
    inbox: InboxHandle,
    latch: StopLatch,
    /// The newest stop that the tick was told of, by its number.
    told_stops: u64,
    /// Wall time and tick of the last clock sample.
    sampled: Option<(u64, u64)>,
    stop: Arc<AtomicBool>,
}

impl Beat {
    fn run(mut self) -> Option<String> {
        let mut due = now();
        while !self.stop.load(Ordering::Relaxed) {
            if let Err(sentence) = self.step() {
                return Some(sentence);
            }
            due += self.period;
            let late = now().saturating_duration_since(due);
            if late > LATE_MAX {
                self.tell_late(late);
                due = now();
            }
            thread::sleep(due.saturating_duration_since(now()));
        }
        // The edges were closed before; what they accepted or refused last is taken now, or never.
        if let Err(sentence) = self.step() {
            return Some(sentence);
        }
        // So the recording proves that last tick too.
        self.core.digest();
        None
    }

    /// One tick. A fault of a system latches the stop, and the next tick runs; after a panic nothing may run.
    fn step(&mut self) -> Result<(), String> {
        self.sample_clock();
        self.tell_stop();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.core.tick())) {
            let sentence = faults::sentence_of_panic(&*panic);
            self.latch_stop(&sentence);
            return Err(sentence);
        }
        if let Some(sentence) = faults::take() {
            self.latch_stop(&sentence);
        }
        Ok(())
    }

    fn sample_clock(&mut self) {
        let (ClockSample { unix_ms, up_ms }, next_tick) = (next_sample(), self.core.tick_number() + 1);
        let is_due = self.sampled.is_none_or(|(sampled_ms, tick)| {
            let ticks = u32::try_from(next_tick - tick).unwrap_or(u32::MAX);
            let passed_ms = u64::try_from((self.period * ticks).as_millis()).unwrap_or(u64::MAX);
            is_due(sampled_ms, passed_ms, unix_ms)
        });
        if !is_due {
            return show_sample();
        }
        self.sampled = Some((unix_ms, next_tick));
        let sequence = self.inbox.next_sequence();
        let input =
            Input { source: SourceId::Clock, sequence, body: InputBody::ClockSampled { unix_ms, up_ms } };
        self.inbox.offer_stream(StreamKey { source: SourceId::Clock, what: String::new() }, input);
        // What an edge admits from now on comes to the tick after this sample, or with it.
        show_sample();
    }

    /// The latch first: drivers see it at once, and if the process dies now, the next one comes up stopped.
    fn latch_stop(&self, reason: &str) {
        tracing::error!("the stop is latched: {reason}");
        if let Err(fault) = self.latch.set(reason) {
            tracing::error!("the stop could not be written down: {fault}");
        }
    }

    /// Whoever set the latch, the tick hears of it, now or as soon as its inbox has a place.
    fn tell_stop(&mut self) {
        let Some((stops, reason)) = self.latch.look().filter(|(stops, _)| *stops != self.told_stops) else {
            return;
        };
        let body = InputBody::StopLatched { reason, stops };
        match self.inbox.offer_own(SourceId::Runner, body, None) {
            Ok(()) => self.told_stops = stops,
            Err(refusal) => tracing::error!("the tick cannot be told of the stop yet: {refusal}"),
        }
    }

    fn tell_late(&self, late: Duration) {
        let sentence =
            format!("a tick came {} ms late; the machine is overloaded or slept", late.as_millis());
        tracing::warn!("{sentence}");
        let body = InputBody::Refused { refusal: Refusal::new(Code::Busy, "the tick", sentence), count: 1 };
        if let Err(refusal) = self.inbox.offer_own(SourceId::Runner, body, None) {
            tracing::warn!("{refusal}");
        }
    }
}

/// True when the tick must be told of a sample, `passed_ms` after it was told that it was `sampled_ms`.
fn is_due(sampled_ms: u64, passed_ms: u64, unix_ms: u64) -> bool {
    // A time that is not known does not drift.
    let expected_ms = if sampled_ms == 0 { 0 } else { sampled_ms + passed_ms };
    passed_ms >= SAMPLE_PERIOD_MS || unix_ms.abs_diff(expected_ms) > DRIFT_MS_MAX
}

#[cfg(test)]
mod tests {

    use std::sync::mpsc;

    use bevy::prelude::*;
    use clawmesh_authority::NodeId;
    use clawmesh_core::clock::TickSystems;
    use clawmesh_core::intake::{InboxLimits, doors};
    use clawmesh_core::proposals::AnswerDesk;
    use clawmesh_core::publish::outbox;
    use clawmesh_core::replay::{Batch, JournalWriter};
    use clawmesh_core::safety::StopState;
    use clawmesh_core::{Ports, Settings};
    use clawmesh_gateway::snapshot_feed;
    use tempfile::TempDir;

    use super::*;
    use crate::config::state_dir::StateDir;
    use crate::config::stop_file;

    struct Nowhere;

    impl JournalWriter for Nowhere {
        fn append(&mut self, _: Batch) {}
    }

    /// A beat whose tick runs `system`, with the folder its stop file goes to.
    fn beat_with<M>(
        system: impl IntoScheduleConfigs<bevy::ecs::system::ScheduleSystem, M>,
    ) -> (TempDir, Beat) {
        let settings =
            Settings { hz: 200, ..Settings::of_first_run(NodeId([7; 32]), "pump", "field", "test") };
        let (inbox, inboxes) = doors(InboxLimits::default());
        let ports = Ports {
            inboxes,
            journal: Box::new(Nowhere),
            next_sequence: 1,
            outbox: outbox(1, 1).0,
            snapshots: Box::new(snapshot_feed().0),
            drivers: None,
            simulator: None,
            latch: None,
            desk: AnswerDesk::default(),
            planner: None,
            fault_handler: faults::remember,
        };
        let mut core = Core::live(settings, ports);
        core.world_mut().resource_mut::<Schedules>().add_systems(FixedUpdate, system);
        let folder = tempfile::tempdir().unwrap();
        let latch = stop_file::open(&state_of(&folder));
        let period = Duration::from_millis(5);
        (folder, Beat { core, period, inbox, latch, told_stops: 0, sampled: None, stop: Arc::default() })
    }

    fn state_of(folder: &TempDir) -> StateDir {
        StateDir::find(Some(folder.path().to_owned())).unwrap()
    }

    fn on_disk(folder: &TempDir) -> Option<String> {
        stop_file::load(&state_of(folder)).map(|record| record.reason)
    }

    #[test]
    fn the_clock_is_sampled_once_a_second_and_when_it_was_set_or_stands() {
        for (sampled_ms, passed_ms, unix_ms, expected, case) in [
            (9_000, 100, 9_100, false, "in step"),
            (9_000, 1_000, 10_000, true, "in step, a second later"),
            (9_000, 100, 9_121, true, "set"),
            (9_000, 100, 9_000, true, "set back, or stands for its second"),
            (0, 900, 0, false, "not known"),
            (0, 20, 9_000, true, "known"),
        ] {
            assert_eq!(is_due(sampled_ms, passed_ms, unix_ms), expected, "{case}");
        }
    }

    #[test]
    fn a_fault_of_a_system_latches_the_stop_on_disk_and_in_the_world_and_the_tick_goes_on() {
        fn fail(tick: Res<clawmesh_core::clock::Tick>) -> Result {
            if tick.0 == 2 { Err("the tank has no bottom".into()) } else { Ok(()) }
        }
        let (folder, mut beat) = beat_with(fail.in_set(TickSystems::Plan));
        beat.step().unwrap();
        assert_eq!(on_disk(&folder), None);
        beat.step().unwrap();
        let reason = on_disk(&folder).expect("the stop is on disk before the next tick");
        assert!(reason.contains("the tank has no bottom"), "{reason}");
        beat.step().unwrap();
        assert_eq!(beat.core.world().resource::<StopState>().reason.as_deref(), Some(reason.as_str()));
        assert_eq!(beat.core.tick_number(), 3);
    }

    #[test]
    fn a_stop_of_which_nobody_told_reaches_the_tick_and_so_does_the_next() {
        let (_folder, mut beat) = beat_with((|| ()).in_set(TickSystems::Plan));
        let heard = |beat: &Beat| beat.core.world().resource::<StopState>().clone();
        beat.step().unwrap();
        assert_eq!(heard(&beat).reason, None);
        for stops in [1, 2] {
            beat.latch.set("a driver panicked").unwrap();
            beat.step().unwrap();
            assert_eq!(heard(&beat).reason.as_deref(), Some("a driver panicked"));
            assert_eq!(heard(&beat).stops, stops);
        }
    }

    #[test]
    fn what_came_in_before_the_end_is_taken_by_one_last_tick() {
        let is_known = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&is_known);
        let look = move |stop: Res<StopState>| seen.store(stop.reason.is_some(), Ordering::Relaxed);
        let (_folder, beat) = beat_with(look.in_set(TickSystems::Publish));
        let body = InputBody::StopLatched { reason: "the last thing said".to_owned(), stops: 1 };
        beat.inbox.offer_own(SourceId::Runner, body, None).unwrap();
        beat.stop.store(true, Ordering::Relaxed);
        assert_eq!(beat.run(), None);
        assert!(is_known.load(Ordering::Relaxed));
    }

    #[test]
    fn a_ticker_that_is_dropped_leaves_no_tick_behind() {
        let held = Arc::new(());
        let by_the_core = Arc::clone(&held);
        let hold = move || drop(Arc::clone(&by_the_core));
        let (_folder, beat) = beat_with(hold.in_set(TickSystems::Plan));
        let ticker = Ticker::spawn(beat, || ()).unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        drop(ticker);
        assert_eq!(Arc::strong_count(&held), 1, "the core went with its thread");
    }

    #[test]
    fn a_panic_in_the_tick_latches_the_stop_and_ends_the_tick() {
        fn panic() {
            panic!("nobody thought of this");
        }
        let (folder, beat) = beat_with(panic.in_set(TickSystems::Verify));
        let (tell, told) = mpsc::sync_channel(1);
        let ticker = Ticker::spawn(beat, move || tell.send(()).unwrap()).unwrap();
        told.recv().unwrap();
        let sentence = ticker.close().unwrap();
        assert!(sentence.contains("nobody thought of this"), "{sentence}");
        assert_eq!(on_disk(&folder), Some(sentence));
    }
}
