//! The clocks of this process, read in one place, and whether the one of the machine is believed.
#![expect(clippy::disallowed_methods, reason = "the edges' clocks are read here and nowhere else")]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

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

/// From now on the clock of the machine is not believed in this process, whatever it shows.
pub fn forget_the_time() {
    wall().shown = Believed::Nothing;
}

/// It was `base_ms` when the machine had been up for 0 ms. The tick takes it first, with [`next_sample`], and everybody else
/// after it, with [`show_sample`]; or an edge would admit what the tick cannot place yet.
pub fn agree_on(base_ms: u64) {
    wall().next = Some(base_ms);
}

/// What was agreed on last, if anything was.
pub fn agreed_base_ms() -> Option<u64> {
    let wall = wall();
    wall.next.or(wall.shown.base_ms())
}

/// Wall time and how long the machine has been up, for the tick.
pub fn next_sample() -> (u64, u64) {
    let (machine_ms, up_ms) = (unix_ms_of(system_time()), up_ms());
    (wall().sample(machine_ms, up_ms), up_ms)
}

/// The tick has its sample, so that everybody may see what it sees.
pub fn show_sample() {
    wall().show();
}

fn wall() -> MutexGuard<'static, WallTime> {
    WALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is believed, and what is on its way to be.
struct WallTime {
    shown: Believed,
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
        Self { shown: Believed::Machine, next: None, sampled: None }
    }

    fn sample(&mut self, machine_ms: u64, up_ms: u64) -> u64 {
        if let Some(base_ms) = self.next.take() {
            let not_before_ms = self.shown.at(machine_ms, up_ms);
            self.sampled = Some(Believed::Agreed { base_ms, not_before_ms });
        }
        self.sampled.unwrap_or(self.shown).at(machine_ms, up_ms)
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

    const T: u64 = 1_800_000_000_000;

    fn forgotten() -> WallTime {
        WallTime { shown: Believed::Nothing, ..WallTime::of_the_machine() }
    }

    #[test]
    fn a_clock_that_nothing_keeps_shows_no_time_until_others_say_it_and_never_what_somebody_sets() {
        let mut wall = forgotten();
        assert_eq!((wall.sample(T, 5_000), wall.shown.at(T, 5_000)), (0, 0));
        wall.next = Some(T);
        assert_eq!(wall.shown.at(0, 6_000), 0);
        assert_eq!((wall.sample(7, 6_000), wall.shown.at(7, 6_000)), (T + 6_000, 0), "first the tick has it");
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
            let sampled = wall.sample(0, up_ms);
            wall.show();
            (sampled, wall.shown.at(0, up_ms + 1_000))
        };
        assert_eq!(agree(T, 1_000), (T + 1_000, T + 2_000));
        assert_eq!(agree(T + 9_000, 2_000), (T + 11_000, T + 12_000));
        assert_eq!(agree(T + 4_500, 3_000), (T + 12_000, T + 12_000), "it stands");
        assert_eq!(wall.shown.at(0, 8_000), T + 12_500, "and goes on when that has come");
    }

    #[test]
    fn the_clock_of_a_machine_that_keeps_it_is_shown_as_it_is() {
        let mut wall = WallTime::of_the_machine();
        assert_eq!((wall.sample(T, 5), wall.shown.at(T + 1, 6)), (T, T + 1));
        wall.show();
        assert_eq!(wall.shown.at(T - 9, 7), T - 9);
    }
}
