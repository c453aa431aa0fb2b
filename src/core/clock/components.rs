//! Time as the world knows it.

use bevy::prelude::Resource;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::settings::Settings;

/// The number of the current tick; means nothing on another node.
#[derive(
    Resource,
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    Serialize,
    Deserialize,
    Encode,
    Decode,
)]
pub struct Tick(#[n(0)] pub u64);

/// Wall time by the last sample of the clock, carried forward by counting ticks.
#[derive(Resource, Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct WallClock {
    #[n(0)]
    sampled_ms: u64,
    #[n(1)]
    sampled_tick: u64,
}

impl WallClock {
    /// The clock showed `unix_ms` at `tick`.
    #[must_use]
    pub fn sampled(unix_ms: u64, tick: Tick) -> Self {
        Self { sampled_ms: unix_ms, sampled_tick: tick.0 }
    }

    /// Unix milliseconds at `tick`; 0 until the first sample.
    #[must_use]
    pub fn at(&self, tick: Tick, settings: &Settings) -> u64 {
        if self.sampled_ms == 0 {
            return 0;
        }
        self.sampled_ms + settings.ms_of_ticks(tick.0.saturating_sub(self.sampled_tick))
    }
}
