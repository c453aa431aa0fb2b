//! A network that loses, delays, repeats and reorders, as its seed says.

use std::collections::BTreeSet;

use clawmesh_authority::Lane;

use crate::rng::SplitMix64;

/// What may happen to messages on every link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LinkFaults {
    /// The shortest way, milliseconds.
    pub delay_ms_min: u64,
    /// The longest way, milliseconds; different delays reorder.
    pub delay_ms_max: u64,
    /// Messages lost, of a hundred.
    pub loss_percent: u8,
    /// Messages that arrive twice, of a hundred.
    pub duplicate_percent: u8,
}

/// One message between two nodes, by their places in the lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// A sealed envelope.
    Envelope { lane: Lane, bytes: Vec<u8> },
    /// The journal of the receiver holds the frame with this (epoch, sequence).
    Receipt { epoch: u64, sequence: u64 },
}

/// Everything under way.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) faults: LinkFaults,
    rng: SplitMix64,
    under_way: Vec<(u64, u64, Message)>,
    cut: BTreeSet<(usize, usize)>,
    sent: u64,
}

impl Network {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            faults: LinkFaults::default(),
            rng: SplitMix64::new(seed),
            under_way: Vec::new(),
            cut: BTreeSet::new(),
            sent: 0,
        }
    }

    pub(crate) fn cut(&mut self, a: usize, b: usize) {
        self.cut.insert((a.min(b), a.max(b)));
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    pub(crate) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    pub(crate) fn send(&mut self, now_ms: u64, message: Message) {
        if self.is_cut(message.from, message.to) || self.rng.chance(self.faults.loss_percent) {
            return;
        }
        let copies = 1 + u64::from(self.rng.chance(self.faults.duplicate_percent));
        for _ in 0..copies {
            let spread = self.faults.delay_ms_max.saturating_sub(self.faults.delay_ms_min) + 1;
            let due_ms = now_ms + self.faults.delay_ms_min + self.rng.below(spread);
            self.sent += 1;
            self.under_way.push((due_ms, self.sent, message.clone()));
        }
    }

    /// What has arrived by `now_ms`, earliest first; what a cut caught on the way is gone.
    pub(crate) fn arrivals(&mut self, now_ms: u64) -> Vec<Message> {
        let (mut due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.under_way).into_iter().partition(|(due_ms, ..)| *due_ms <= now_ms);
        self.under_way = later;
        due.sort_by_key(|(due_ms, sent, _)| (*due_ms, *sent));
        let mut arrived: Vec<Message> = due.into_iter().map(|(.., message)| message).collect();
        arrived.retain(|message| !self.is_cut(message.from, message.to));
        arrived
    }
}
