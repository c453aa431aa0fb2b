//! What the wires end in: a set point, a switch for hands, and a watchdog of its own.

use std::fmt;

use crate::file::OnSilence;
use crate::time::Time;

/// The local switch of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hands {
    /// Nobody's hand is on it; it obeys its set point.
    #[default]
    Auto,
    /// Somebody holds it on.
    HeldOn,
    /// Somebody holds it off.
    HeldOff,
}

/// What a device tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceState {
    /// What it was last told to be.
    pub set_point: bool,
    /// The end it has reached, by its own switches; none while it moves.
    pub reached: Option<bool>,
    /// True while a hand is on its switch.
    pub local_control: bool,
}

/// Why a set point was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// The plant has no such device.
    UnknownDevice,
    /// A hand is on its switch; it refuses every set point until the hand is gone.
    LocalControl,
    /// It never answers. Whoever waits has to stop waiting by himself.
    NoAnswer,
}

impl fmt::Display for WriteFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownDevice => "the plant has no such device",
            Self::LocalControl => "the device is under local control",
            Self::NoAnswer => "the device does not answer",
        })
    }
}

impl std::error::Error for WriteFault {}

/// The electronics in front of a valve or a pump.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    set_point: bool,
    hands: Hands,
    on_silence: OnSilence,
    heard_told_ns: u128,
    is_dead: bool,
}

impl Device {
    /// A device that is off and obeys its set point.
    pub fn off(on_silence: OnSilence) -> Self {
        Self { set_point: false, hands: Hands::Auto, on_silence, heard_told_ns: 0, is_dead: false }
    }

    /// Takes a set point. Taking the same one again changes nothing but feeds the watchdog.
    pub fn write(&mut self, on: bool, time: &Time) -> Result<(), WriteFault> {
        self.keep_alive(time)?;
        if self.hands != Hands::Auto {
            return Err(WriteFault::LocalControl);
        }
        self.set_point = on;
        Ok(())
    }

    /// Feeds the watchdog.
    pub fn keep_alive(&mut self, time: &Time) -> Result<(), WriteFault> {
        if self.is_dead {
            return Err(WriteFault::NoAnswer);
        }
        self.heard_told_ns = time.told_ns();
        Ok(())
    }

    /// A hand takes the switch, or leaves it. The set point falls to off with it, so that a hand that leaves the switch
    /// starts nothing by doing so.
    pub fn hold(&mut self, hands: Hands) {
        if hands != Hands::Auto {
            self.set_point = false;
        }
        self.hands = hands;
    }

    /// Falls to off by itself if nobody was heard for too long.
    pub fn watch(&mut self, time: &Time) {
        if let OnSilence::ClosesAfter { seconds } = self.on_silence
            && self.set_point
            && time.is_wall_s_after(seconds, self.heard_told_ns)
        {
            self.set_point = false;
        }
    }

    /// From now on it hears nobody and answers nobody. Its watchdog still works.
    pub fn die(&mut self) {
        self.is_dead = true;
    }

    /// What the valve or the pump behind it is driven to.
    pub fn is_wanted_on(&self) -> bool {
        match self.hands {
            Hands::Auto => self.set_point,
            Hands::HeldOn => true,
            Hands::HeldOff => false,
        }
    }

    /// What it tells of itself, if it answers.
    pub fn state(&self, reached: Option<bool>) -> Option<DeviceState> {
        let local_control = self.hands != Hands::Auto;
        (!self.is_dead).then_some(DeviceState { set_point: self.set_point, reached, local_control })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn passed(time: &mut Time, wall_ms: u64) {
        time.tell(Duration::from_millis(wall_ms));
        while time.take_step() {}
    }

    #[test]
    fn a_watchdog_falls_after_its_wall_seconds_whatever_the_speed() {
        for speed in [1, 60, 3600] {
            let mut time = Time::new(speed).unwrap();
            let mut device = Device::off(OnSilence::ClosesAfter { seconds: 10 });
            device.write(true, &time).unwrap();
            passed(&mut time, 9_900);
            device.watch(&time);
            assert!(device.is_wanted_on(), "{speed}");
            device.keep_alive(&time).unwrap();
            passed(&mut time, 9_900);
            device.watch(&time);
            assert!(device.is_wanted_on(), "fed, {speed}");
            passed(&mut time, 200);
            device.watch(&time);
            assert!(!device.is_wanted_on(), "hungry, {speed}");
            assert_eq!(device.state(None).map(|state| state.set_point), Some(false));
        }
    }

    #[test]
    fn a_device_that_holds_stays_on_in_silence() {
        let mut time = Time::new(3600).unwrap();
        let mut device = Device::off(OnSilence::Holds);
        device.write(true, &time).unwrap();
        passed(&mut time, 1_000);
        device.watch(&time);
        assert!(device.is_wanted_on());
    }

    #[test]
    fn a_hand_refuses_set_points_and_leaves_the_device_off() {
        let time = Time::new(1).unwrap();
        let mut device = Device::off(OnSilence::Holds);
        device.write(true, &time).unwrap();
        device.hold(Hands::HeldOn);
        assert_eq!(device.write(false, &time), Err(WriteFault::LocalControl));
        assert!(device.is_wanted_on());
        let state = device.state(Some(true)).unwrap();
        assert!(state.local_control && !state.set_point);
        device.hold(Hands::Auto);
        assert!(!device.is_wanted_on());
        assert_eq!(device.write(true, &time), Ok(()));
    }

    #[test]
    fn a_dead_device_answers_nobody_and_its_watchdog_still_falls() {
        let mut time = Time::new(1).unwrap();
        let mut device = Device::off(OnSilence::ClosesAfter { seconds: 1 });
        device.write(true, &time).unwrap();
        device.die();
        assert_eq!(device.write(false, &time), Err(WriteFault::NoAnswer));
        assert_eq!(device.keep_alive(&time), Err(WriteFault::NoAnswer));
        assert_eq!(device.state(Some(true)), None);
        assert!(device.is_wanted_on());
        passed(&mut time, 1_000);
        device.watch(&time);
        assert!(!device.is_wanted_on());
    }
}
