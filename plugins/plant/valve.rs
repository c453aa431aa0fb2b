//! A motor valve: its drive needs its time from end to end, and its switches know the two ends only.

/// What is broken in a valve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Broken {
    /// Drive and disc stay where they are.
    Stuck,
    /// The drive turns and the disc stays: the stem between them is broken.
    Stem,
}

/// A valve and how far it is open.
#[derive(Debug, Clone, PartialEq)]
pub struct Valve {
    stroke_s: f64,
    drive: f64,
    disc: f64,
    broken: Option<Broken>,
}

impl Valve {
    /// A closed valve that needs `stroke_s` from end to end.
    pub fn closed(stroke_s: f64) -> Self {
        Self { stroke_s, drive: 0.0, disc: 0.0, broken: None }
    }

    /// Moves towards open or closed for a moment.
    pub fn step(&mut self, step_s: f64, to_open: bool) {
        if self.broken == Some(Broken::Stuck) {
            return;
        }
        let stroke = step_s / self.stroke_s;
        self.drive = (self.drive + if to_open { stroke } else { -stroke }).clamp(0.0, 1.0);
        if self.broken.is_none() {
            self.disc = self.drive;
        }
    }

    /// How far the disc is open, 0 to 1.
    pub fn position(&self) -> f64 {
        self.disc
    }

    /// What the switches at the ends of the drive say: closed, open, or nothing in between.
    pub fn end(&self) -> Option<bool> {
        match self.drive {
            drive if drive <= 0.0 => Some(false),
            drive if drive >= 1.0 => Some(true),
            _ => None,
        }
    }

    /// From now on it stays where it is.
    pub fn stick(&mut self) {
        self.broken = Some(Broken::Stuck);
    }

    /// From now on the drive turns for nothing.
    pub fn break_stem(&mut self) {
        self.broken = Some(Broken::Stem);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(valve: &mut Valve, steps: u32, to_open: bool) {
        for _ in 0..steps {
            valve.step(0.025, to_open);
        }
    }

    #[test]
    fn a_stroke_takes_its_time_and_the_switches_know_the_ends_only() {
        let mut valve = Valve::closed(6.0);
        assert_eq!(valve.end(), Some(false));
        moved(&mut valve, 120, true);
        assert_eq!(valve.end(), None);
        assert!((valve.position() - 0.5).abs() < 1e-9, "{}", valve.position());
        moved(&mut valve, 118, true);
        assert_eq!(valve.end(), None, "just before the end");
        moved(&mut valve, 4, true);
        assert_eq!((valve.end(), valve.position()), (Some(true), 1.0));
        moved(&mut valve, 242, false);
        assert_eq!((valve.end(), valve.position()), (Some(false), 0.0));
    }

    #[test]
    fn a_stuck_valve_stays_where_it_is() {
        let mut valve = Valve::closed(6.0);
        moved(&mut valve, 60, true);
        valve.stick();
        let before = valve.position();
        moved(&mut valve, 600, false);
        assert_eq!((valve.position(), valve.end()), (before, None));
    }

    #[test]
    fn a_broken_stem_tells_of_an_end_and_lets_nothing_pass() {
        let mut valve = Valve::closed(6.0);
        valve.break_stem();
        moved(&mut valve, 600, true);
        assert_eq!((valve.position(), valve.end()), (0.0, Some(true)));
    }
}
