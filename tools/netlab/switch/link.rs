//! One direction between two ports: its settings, its queue, its counts.

use serde::Serialize;

use super::chance;
use super::counts::LinkCounts;
use super::udp;

/// Bytes that may wait to be sent when the link has a rate.
pub const LINK_BYTES_MAX: u64 = 64 * 1024;

/// Frames that may be on the way on one link.
pub const LINK_FRAMES_MAX: u64 = 4_096;

/// How one direction of a link treats frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LinkSettings {
    /// From the end of sending to arrival.
    pub delay_ms: u32,
    /// How much the delay differs from frame to frame, up or down; frames keep their order.
    pub jitter_ms: u32,
    /// How many of a thousand frames are lost.
    pub loss_permille: u16,
    /// How many of a thousand frames arrive twice.
    pub duplicate_permille: u16,
    /// How many of a thousand frames are held back for 10 to 50 ms, so that later ones overtake them.
    pub reorder_permille: u16,
    /// How fast the link sends; 0 is at once.
    pub bytes_per_second: u64,
    /// Datagrams for this UDP port do not pass, as behind a firewall; 0 is none.
    pub udp_port_blocked: u16,
}

/// What to change in the settings of a link; what is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkChange {
    /// See [`LinkSettings::delay_ms`].
    pub delay_ms: Option<u32>,
    /// See [`LinkSettings::jitter_ms`].
    pub jitter_ms: Option<u32>,
    /// See [`LinkSettings::loss_permille`].
    pub loss_permille: Option<u16>,
    /// See [`LinkSettings::duplicate_permille`].
    pub duplicate_permille: Option<u16>,
    /// See [`LinkSettings::reorder_permille`].
    pub reorder_permille: Option<u16>,
    /// See [`LinkSettings::bytes_per_second`].
    pub bytes_per_second: Option<u64>,
    /// See [`LinkSettings::udp_port_blocked`].
    pub udp_port_blocked: Option<u16>,
}

impl LinkSettings {
    /// These settings with the change made.
    #[must_use]
    pub fn with(&self, change: &LinkChange) -> Self {
        Self {
            delay_ms: change.delay_ms.unwrap_or(self.delay_ms),
            jitter_ms: change.jitter_ms.unwrap_or(self.jitter_ms),
            loss_permille: change.loss_permille.unwrap_or(self.loss_permille),
            duplicate_permille: change.duplicate_permille.unwrap_or(self.duplicate_permille),
            reorder_permille: change.reorder_permille.unwrap_or(self.reorder_permille),
            bytes_per_second: change.bytes_per_second.unwrap_or(self.bytes_per_second),
            udp_port_blocked: change.udp_port_blocked.unwrap_or(self.udp_port_blocked),
        }
    }
}

/// When a frame arrives, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passage {
    pub due_us: u64,
    pub copies: u64,
}

#[derive(Debug, Default)]
pub(super) struct Link {
    settings: LinkSettings,
    pub counts: LinkCounts,
    /// When the last frame that was sent has left.
    free_at_us: u64,
    /// When the last frame that was not held back arrives: no later one arrives before it.
    arrived_at_us: u64,
}

impl Link {
    pub fn new(settings: LinkSettings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Frames already on the way keep their time, and newer ones may overtake them.
    pub fn change(&mut self, change: &LinkChange) {
        self.settings = self.settings.with(change);
        (self.free_at_us, self.arrived_at_us) = (0, 0);
    }

    /// Whether the link lets nothing like this frame pass; counted if so.
    pub fn blocks(&mut self, frame: &[u8]) -> bool {
        let port = self.settings.udp_port_blocked;
        let is_blocked = port != 0 && udp::destination_port(frame) == Some(port);
        if is_blocked {
            self.counts.offered += 1;
            self.counts.blocked += 1;
        }
        is_blocked
    }

    /// The fate of the next frame, counted; none when it will not arrive.
    pub fn offer(
        &mut self,
        seed: u64,
        ends: (usize, usize),
        is_heard: bool,
        bytes: u64,
        now_us: u64,
    ) -> Option<Passage> {
        let fate = chance::fate(seed, ends, self.counts.offered, &self.settings);
        self.counts.offered += 1;
        if !is_heard {
            self.counts.partitioned += 1;
            return None;
        }
        let Some(sent_at_us) = self.send(bytes, now_us) else {
            self.counts.link_full += 1;
            return None;
        };
        if fate.is_lost {
            self.counts.lost += 1;
            return None;
        }
        let copies = if fate.is_duplicated { 2 } else { 1 };
        self.counts.duplicated += copies - 1;
        let arrives_us = (sent_at_us + fate.delay_us).max(self.arrived_at_us);
        if fate.hold_us == 0 {
            self.arrived_at_us = arrives_us;
        }
        Some(Passage { due_us: arrives_us + fate.hold_us, copies })
    }

    /// When the last byte has left; none when too much waits already.
    fn send(&mut self, bytes: u64, now_us: u64) -> Option<u64> {
        let rate = self.settings.bytes_per_second;
        if rate == 0 {
            return Some(now_us);
        }
        let begin_us = self.free_at_us.max(now_us);
        let waiting_bytes = (begin_us - now_us).saturating_mul(rate) / 1_000_000;
        if waiting_bytes + bytes > LINK_BYTES_MAX {
            return None;
        }
        self.free_at_us = begin_us + (bytes * 1_000_000).div_ceil(rate);
        Some(self.free_at_us)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(settings: LinkSettings) -> Link {
        Link::new(settings)
    }

    #[test]
    fn a_rate_spaces_frames_and_a_full_queue_refuses() {
        let mut slow = link(LinkSettings { bytes_per_second: 1_000, ..LinkSettings::default() });
        let due: Vec<u64> = (0..3)
            .filter_map(|_| slow.offer(1, (0, 1), true, 100, 0))
            .map(|passage| passage.due_us)
            .collect();
        assert_eq!(due, [100_000, 200_000, 300_000]);
        let passed = (0..1_000).filter_map(|_| slow.offer(1, (0, 1), true, 1_000, 0)).count();
        assert_eq!(passed, 65, "300 bytes wait, 65536 may");
        assert_eq!(slow.counts.link_full, 935);
    }

    #[test]
    fn a_change_of_settings_frees_the_link_at_once() {
        let mut slow = link(LinkSettings { bytes_per_second: 1, ..LinkSettings::default() });
        assert_eq!(slow.offer(1, (0, 1), true, 100, 0).map(|passage| passage.due_us), Some(100_000_000));
        slow.change(&LinkChange { bytes_per_second: Some(0), ..LinkChange::default() });
        assert_eq!(slow.offer(1, (0, 1), true, 100, 5).map(|passage| passage.due_us), Some(5));
    }

    proptest! {
        #[test]
        fn jitter_keeps_the_order_and_the_bounds(seed: u64, delay_ms in 0_u32..500, jitter_ms in 0_u32..500) {
            let mut link = link(LinkSettings { delay_ms, jitter_ms, ..LinkSettings::default() });
            let mut before_us = 0;
            for now_us in (0..200).map(|number| number * 1_000) {
                let due_us = link.offer(seed, (0, 1), true, 100, now_us).map(|passage| passage.due_us);
                let due_us = due_us.expect("nothing is lost");
                prop_assert!(due_us >= before_us);
                prop_assert!(due_us >= now_us + u64::from(delay_ms.saturating_sub(jitter_ms)) * 1_000);
                prop_assert!(due_us <= now_us + u64::from(delay_ms + jitter_ms) * 1_000);
                before_us = due_us;
            }
        }

        #[test]
        fn no_more_bytes_arrive_than_the_rate_allows(rate in 1_000_u64..1_000_000, sizes in prop::collection::vec(60_u64..1_514, 1..200)) {
            let mut link = link(LinkSettings { bytes_per_second: rate, ..LinkSettings::default() });
            let mut sent_bytes = 0;
            for (now_us, bytes) in (0..).step_by(100).zip(sizes) {
                if let Some(passage) = link.offer(1, (0, 1), true, bytes, now_us) {
                    sent_bytes += bytes;
                    prop_assert!(sent_bytes * 1_000_000 <= rate * passage.due_us);
                }
            }
        }
    }
}
