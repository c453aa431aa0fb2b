//! The clocks of this process, read in one place, and whether the one of the machine is believed.
#![expect(clippy::disallowed_methods, reason = "the edges' clocks are read here and nowhere else")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::clock_evidence;

/// What the process knows of wall time.
static WALL: Mutex<WallTime> = Mutex::new(WallTime::of_the_machine());

/// Wall time as the machine shows it, whether or not anything keeps it.
pub fn system_time() -> SystemTime {
    SystemTime::now()
}

/// Wall time, Unix milliseconds; 0 when the clock stands before 1970, and while a node whose clock nothing keeps does not know
/// what time it is.
pub fn unix_ms() -> u64 {
    wall().shown.at(unix_ms_of(system_time()), up_ms())
}

/// One look at the clocks of the machine, whether or not they are believed.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Its wall time, Unix milliseconds; 0 before 1970.
    pub unix_ms: u64,
    /// How long it has been up, milliseconds.
    pub up_ms: u64,
}

/// Looks at the clocks of the machine.
pub fn look() -> Look {
    Look { unix_ms: unix_ms_of(system_time()), up_ms: up_ms() }
}

/// From now on the clock of the machine is not believed in this process, whatever it shows; or, with a moment, until somebody has
/// set it to that or later since it was looked at: NTP may only come after the start.
pub fn forget_the_time(until_set_to_ms: Option<u64>, since: Look) {
    let mut wall = wall();
    wall.shown = Believed::Nothing;
    wall.doubt = until_set_to_ms.map(|floor_ms| Doubt { floor_ms, lead_ms: since.lead_ms() });
}

/// True where the clock of the machine is believed.
pub fn is_machine_believed() -> bool {
    matches!(wall().shown, Believed::Machine)
}

/// It was `base_ms` when the machine had been up for 0 ms. The tick takes it first, with [`next_sample`], and everybody else
/// after it, with [`show_sample`]; or an edge would admit what the tick cannot place yet.
pub fn agree_on(base_ms: u64) {
    let mut wall = wall();
    // A machine whose clock is believed by now needs nobody.
    if !matches!(wall.sampled.unwrap_or(wall.shown), Believed::Machine) {
        wall.next = Some(base_ms);
    }
}

/// What was agreed on last, if anything was.
pub fn agreed_base_ms() -> Option<u64> {
    let wall = wall();
    wall.next.or(wall.shown.base_ms())
}

/// The clocks as the tick is to see them.
pub struct ClockSample {
    /// Wall time; 0 while it is not known.
    pub unix_ms: u64,
    /// How long the machine has been up, milliseconds.
    pub up_ms: u64,
}

/// Wall time and how long the machine has been up, for the tick.
pub fn next_sample() -> ClockSample {
    let look = look();
    let (was_set, unix_ms) = {
        let mut wall = wall();
        let was_set = wall.was_set(look) && !clock_evidence::waits_for_ntp();
        if was_set {
            wall.believe_the_machine();
        }
        (was_set, wall.sample(look))
    };
    if was_set {
        tracing::info!("the clock of this machine was set, and is believed from now on");
    }
    ClockSample { unix_ms, up_ms: look.up_ms }
}

/// The tick has its sample, so that everybody may see what it sees.
pub fn show_sample() {
    wall().show();
}

fn wall() -> MutexGuard<'static, WallTime> {
    WALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far the clock of a machine must have been moved since the start, to be set and not only slow or fast.
const SET_BY_MS: u64 = 60_000;
/// For so long wall time may stand at most.
const STANDS_MS_MAX: u64 = 1_000;

/// By what it is known that a doubted clock was set.
#[derive(Clone, Copy)]
struct Doubt {
    /// What it cannot be before.
    floor_ms: u64,
    /// How far it was ahead of the time since boot when it was doubted.
    lead_ms: i64,
}

impl Doubt {
    fn is_over(&self, look: Look) -> bool {
        look.unix_ms >= self.floor_ms && look.lead_ms().abs_diff(self.lead_ms) > SET_BY_MS
    }
}

impl Look {
    /// How far wall time is ahead of the time since boot.
    fn lead_ms(self) -> i64 {
        self.unix_ms.cast_signed().saturating_sub(self.up_ms.cast_signed())
    }
}

/// What is believed, and what is on its way to be.
struct WallTime {
    shown: Believed,
    /// Why the clock of the machine may be believed after all.
    doubt: Option<Doubt>,
    /// Agreed on, and not in a sample yet.
    next: Option<u64>,
    /// In a sample, and not shown yet.
    sampled: Option<Believed>,
}

/// By what the time is told.
#[derive(Clone, Copy)]
enum Believed {
    /// The clock of the machine.
    Machine,
    /// Nothing.
    Nothing,
    /// What other nodes said, carried forward by how long the machine is up. It never runs backwards: corrected to something
    /// earlier, it stands until that has come.
    Agreed { base_ms: u64, not_before_ms: u64 },
}

impl Believed {
    fn at(self, machine_ms: u64, up_ms: u64) -> u64 {
        match self {
            Self::Machine => machine_ms,
            Self::Nothing => 0,
            Self::Agreed { base_ms, not_before_ms } => base_ms.saturating_add(up_ms).max(not_before_ms),
        }
    }

    fn base_ms(self) -> Option<u64> {
        match self {
            Self::Agreed { base_ms, .. } => Some(base_ms),
            Self::Machine | Self::Nothing => None,
        }
    }
}

impl WallTime {
    const fn of_the_machine() -> Self {
        Self { shown: Believed::Machine, doubt: None, next: None, sampled: None }
    }

    fn sample(&mut self, Look { unix_ms: machine_ms, up_ms }: Look) -> u64 {
        if let Some(base_ms) = self.next.take() {
            let not_before_ms = self.shown.at(machine_ms, up_ms);
            // So much of a step back and no more; the rest comes with the next agreement.
            let base_ms = base_ms.max(not_before_ms.saturating_sub(up_ms.saturating_add(STANDS_MS_MAX)));
            self.sampled = Some(Believed::Agreed { base_ms, not_before_ms });
        }
        self.sampled.unwrap_or(self.shown).at(machine_ms, up_ms)
    }

    /// True when the clock of the machine was doubted and has been set since then.
    fn was_set(&self, look: Look) -> bool {
        self.doubt.is_some_and(|doubt| doubt.is_over(look))
    }

    /// People say that it is kept, so it counts for more than what other nodes have said by then, who may have been one, and wrong.
    fn believe_the_machine(&mut self) {
        (self.doubt, self.next, self.sampled) = (None, None, Some(Believed::Machine));
    }

    fn show(&mut self) {
        self.shown = self.sampled.take().unwrap_or(self.shown);
    }
}

/// A moment of wall time in Unix milliseconds; 0 for one before 1970.
pub fn unix_ms_of(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long this machine has been up, asleep or not, milliseconds.
#[cfg(target_os = "linux")]
pub fn up_ms() -> u64 {
    let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanoseconds) = (up.tv_sec.cast_unsigned(), up.tv_nsec.cast_unsigned());
    seconds.saturating_mul(1_000).saturating_add(nanoseconds / 1_000_000)
}

/// How long this process has run, milliseconds; whether that goes on while the machine sleeps is up to the system.
#[cfg(not(target_os = "linux"))]
pub fn up_ms() -> u64 {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    u64::try_from(START.get_or_init(now).elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A moment of the monotonic clock.
pub fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: u64 = 1_800_000_000_000;

    fn forgotten() -> WallTime {
        WallTime { shown: Believed::Nothing, ..WallTime::of_the_machine() }
    }

    const fn at(unix_ms: u64, up_ms: u64) -> Look {
        Look { unix_ms, up_ms }
    }

    /// What the tick is told, on a machine where nothing waits for NTP.
    fn told(wall: &mut WallTime, look: Look) -> u64 {
        if wall.was_set(look) {
            wall.believe_the_machine();
        }
        wall.sample(look)
    }

    #[test]
    fn a_clock_that_nothing_keeps_shows_no_time_until_others_say_it_and_never_what_somebody_sets() {
        let mut wall = forgotten();
        assert_eq!((told(&mut wall, at(T, 5_000)), wall.shown.at(T, 5_000)), (0, 0));
        wall.next = Some(T);
        assert_eq!(wall.shown.at(0, 6_000), 0);
        assert_eq!(
            (told(&mut wall, at(7, 6_000)), wall.shown.at(7, 6_000)),
            (T + 6_000, 0),
            "first the tick has it"
        );
        wall.show();
        for set_ms in [0, T * 2, 1] {
            assert_eq!(wall.shown.at(set_ms, 7_000), T + 7_000, "the clock of the machine set to {set_ms}");
        }
    }

    #[test]
    fn a_later_agreement_moves_the_time_forward_at_once_and_backwards_never() {
        let mut wall = forgotten();
        let mut agree = |base_ms, up_ms| {
            wall.next = Some(base_ms);
            let sampled = told(&mut wall, at(0, up_ms));
            wall.show();
            (sampled, wall.shown.at(0, up_ms + 1_000))
        };
        assert_eq!(agree(T, 1_000), (T + 1_000, T + 2_000));
        assert_eq!(agree(T + 9_000, 2_000), (T + 11_000, T + 12_000));
        assert_eq!(
            agree(T + 8_500, 3_000),
            (T + 12_000, T + 12_500),
            "it stands, and goes on when that has come"
        );
        assert_eq!(agree(T + 1_000, 5_000), (T + 13_500, T + 13_500), "a second of a longer step back");
        assert_eq!(wall.shown.at(0, 6_001), T + 13_501);
    }

    #[test]
    fn a_doubted_clock_that_ntp_sets_after_the_start_is_believed_then() {
        let doubted = |look: Look| WallTime {
            doubt: Some(Doubt { floor_ms: T, lead_ms: look.lead_ms() }),
            ..forgotten()
        };
        let mut wall = doubted(at(1_000, 5_000));
        assert_eq!(told(&mut wall, at(2_000, 6_000)), 0);
        assert_eq!(told(&mut wall, at(T - 1, 7_000)), 0, "set to what cannot be");
        let set = told(&mut wall, at(T + 9_000, 8_000));
        assert_eq!((set, wall.shown.at(T, 8_000)), (T + 9_000, 0), "first the tick");
        wall.show();
        assert_eq!(wall.shown.at(T + 9_001, 8_001), T + 9_001);
        assert!(matches!(wall.shown, Believed::Machine));
        // One that has only come past the floor by going on was never set.
        let mut slow = doubted(at(T - 90_000, 5_000));
        assert_eq!(told(&mut slow, at(T + 10_000, 105_000)), 0);
        // After a power cut nobody but one node could say the time, and it was half a minute ahead, or stood in 2036.
        for wrong_ms in [T + 30_000, T + 315_360_000_000] {
            let mut agreed = doubted(at(1_000, 0));
            agreed.next = Some(wrong_ms);
            assert_eq!(told(&mut agreed, at(1_000, 0)), wrong_ms);
            agreed.show();
            agreed.next = Some(wrong_ms + 1);
            assert_eq!(told(&mut agreed, at(T + 20_000, 20_000)), T + 20_000);
            agreed.show();
            assert_eq!(agreed.shown.at(T + 20_001, 20_001), T + 20_001);
        }
    }

    #[test]
    fn a_clock_that_nothing_keeps_is_not_believed_whatever_it_is_set_to() {
        let mut wall = forgotten();
        assert_eq!([0, T, T * 2].map(|unix_ms| told(&mut wall, at(unix_ms, 5_000))), [0, 0, 0]);
    }

    proptest! {
        #[test]
        fn time_that_was_agreed_on_goes_never_back_and_stands_for_a_second_at_most(
            bases in prop::collection::vec(T..T + 1_000_000, 1..20),
        ) {
            let mut wall = forgotten();
            let mut before_ms = 0;
            for (n, base_ms) in (1..).zip(bases) {
                let up_ms = n * 300_000;
                wall.next = Some(base_ms);
                let times = [0, STANDS_MS_MAX, STANDS_MS_MAX + 1].map(|later_ms| {
                    let at_ms = told(&mut wall, at(0, up_ms + later_ms));
                    wall.show();
                    at_ms
                });
                prop_assert!(before_ms <= times[0] && times[0] <= times[1] && times[1] < times[2], "{:?}", times);
                before_ms = times[2];
            }
        }
    }

    #[test]
    fn the_clock_of_a_machine_that_keeps_it_is_shown_as_it_is() {
        let mut wall = WallTime::of_the_machine();
        assert_eq!((told(&mut wall, at(T, 5)), wall.shown.at(T + 1, 6)), (T, T + 1));
        wall.show();
        assert_eq!(wall.shown.at(T - 9, 7), T - 9);
    }
}
