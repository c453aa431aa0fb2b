//! A learning Ethernet switch: every frame from one port to another passes a link with impairments.
//! Reads frames and the time it is told, in microseconds since a start of the caller's choosing. Writes frames when they are due.
//! Invariant: the same seed and the same arrivals give the same deliveries; nothing is handed out across a partition; queues are bounded.
//! Not here: clocks, TAP devices (`tap`), words of people (`command`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

pub mod chance;
mod counts;
mod link;
mod udp;

pub use counts::{LinkCounts, PortCounts};
use link::Link;
pub use link::{LINK_BYTES_MAX, LINK_FRAMES_MAX, LinkChange, LinkSettings};

/// Frames that may be on the way on all links together.
pub const SWITCH_FRAMES_MAX: usize = 32_768;

/// Addresses the switch remembers; a frame to any other goes to all ports.
pub const ADDRESSES_MAX: usize = 1_024;

/// Ethernet without its checksum, with a VLAN tag.
pub const FRAME_BYTES_MAX: usize = 1_518;

const HEADER_BYTES: usize = 14;

/// A port, counted from 0.
pub type Port = usize;

/// A frame for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where it came in.
    pub from: Port,
    /// Where it goes out.
    pub to: Port,
    /// The frame as it came in.
    pub frame: Arc<[u8]>,
}

/// The switch and everything that is on the way through it.
#[derive(Debug)]
pub struct Switch {
    seed: u64,
    ports: usize,
    /// The group of each port; ports of two groups do not hear each other.
    groups: Vec<usize>,
    /// Row by row: all links from port 0, all from port 1, …
    links: Vec<Link>,
    port_counts: Vec<PortCounts>,
    addresses: BTreeMap<[u8; 6], Port>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    /// Numbers what is put on the way, so that frames due at one moment keep their order.
    entries: u64,
}

/// Ordered by its first two fields; the second is unique.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct UnderWay {
    due_us: u64,
    entry: u64,
    from: Port,
    to: Port,
    frame: Arc<[u8]>,
}

impl Switch {
    /// A switch whose links all have the same settings and whose ports all hear each other.
    #[must_use]
    pub fn new(seed: u64, ports: usize, settings: LinkSettings) -> Self {
        Self {
            seed,
            ports,
            groups: vec![0; ports],
            links: (0..ports * ports).map(|_| Link::new(settings)).collect(),
            port_counts: vec![PortCounts::default(); ports],
            addresses: BTreeMap::new(),
            under_way: BinaryHeap::new(),
            entries: 0,
        }
    }

    /// Takes a frame that came in at a port. Time does not go back between calls.
    pub fn receive(&mut self, from: Port, frame: &[u8], now_us: u64) {
        self.port_counts[from].received += 1;
        let Some((destination, source)) = addresses(frame) else {
            self.port_counts[from].malformed += 1;
            return;
        };
        if self.addresses.len() < ADDRESSES_MAX || self.addresses.contains_key(&source) {
            self.addresses.insert(source, from);
        }
        match self.addresses.get(&destination).copied() {
            Some(to) if to == from => self.port_counts[from].looped += 1,
            Some(to) => {
                self.port_counts[from].switched += 1;
                self.put_under_way((from, to), &Arc::from(frame), now_us);
            }
            None => {
                self.port_counts[from].flooded += 1;
                let frame = Arc::from(frame);
                for to in (0..self.ports).filter(|to| *to != from) {
                    self.put_under_way((from, to), &frame, now_us);
                }
            }
        }
    }

    fn put_under_way(&mut self, (from, to): (Port, Port), frame: &Arc<[u8]>, now_us: u64) {
        let is_heard = self.hears(from, to);
        let link = &mut self.links[from * self.ports + to];
        if link.blocks(frame) {
            return;
        }
        let Some(passage) = link.offer(self.seed, (from, to), is_heard, frame.len() as u64, now_us) else {
            return;
        };
        for _ in 0..passage.copies {
            if link.counts.queued >= LINK_FRAMES_MAX {
                link.counts.link_full += 1;
            } else if self.under_way.len() >= SWITCH_FRAMES_MAX {
                link.counts.switch_full += 1;
            } else {
                link.counts.queued += 1;
                self.entries += 1;
                let (due_us, entry, frame) = (passage.due_us, self.entries, Arc::clone(frame));
                self.under_way.push(Reverse(UnderWay { due_us, entry, from, to, frame }));
            }
        }
    }

    /// When the next frame is due.
    #[must_use]
    pub fn next_due_us(&self) -> Option<u64> {
        self.under_way.peek().map(|Reverse(next)| next.due_us)
    }

    /// The next frame that is due by now, if there is one.
    pub fn take_due(&mut self, now_us: u64) -> Option<Delivery> {
        while self.next_due_us().is_some_and(|due_us| due_us <= now_us) {
            let Reverse(UnderWay { from, to, frame, .. }) = self.under_way.pop()?;
            let is_heard = self.hears(from, to);
            let counts = &mut self.links[from * self.ports + to].counts;
            counts.queued -= 1;
            if is_heard {
                counts.delivered += 1;
                return Some(Delivery { from, to, frame });
            }
            counts.partitioned += 1;
        }
        None
    }

    /// From now on, ports hear each other within a group only; a port in no group hears nobody.
    pub fn partition(&mut self, groups: &[Vec<Port>]) {
        let alone = |port| groups.len() + port;
        self.groups = (0..self.ports)
            .map(|port| groups.iter().position(|group| group.contains(&port)).unwrap_or_else(|| alone(port)))
            .collect();
    }

    /// From now on, all ports hear each other.
    pub fn heal(&mut self) {
        self.groups.fill(0);
    }

    /// Changes one direction between two ports.
    pub fn change(&mut self, (from, to): (Port, Port), change: &LinkChange) {
        self.links[from * self.ports + to].change(change);
    }

    /// Changes every link.
    pub fn change_all(&mut self, change: &LinkChange) {
        self.links.iter_mut().for_each(|link| link.change(change));
    }

    /// The counts of one direction between two ports.
    #[must_use]
    pub fn link_counts(&self, (from, to): (Port, Port)) -> LinkCounts {
        self.links[from * self.ports + to].counts
    }

    /// The counts of a port.
    #[must_use]
    pub fn port_counts(&self, port: Port) -> PortCounts {
        self.port_counts[port]
    }

    fn hears(&self, from: Port, to: Port) -> bool {
        self.groups[from] == self.groups[to]
    }
}

/// Destination and source. None when the length is wrong or the source is a group, which cannot send.
fn addresses(frame: &[u8]) -> Option<([u8; 6], [u8; 6])> {
    if !(HEADER_BYTES..=FRAME_BYTES_MAX).contains(&frame.len()) || frame[6] & 1 == 1 {
        return None;
    }
    let (destination, rest) = frame.split_first_chunk::<6>()?;
    Some((*destination, *rest.first_chunk::<6>()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PORTS: usize = 4;
    const EVERYBODY: [u8; 6] = [0xff; 6];

    fn address(host: usize) -> [u8; 6] {
        [2, 0, 0, 0, 0, u8::try_from(host).unwrap()]
    }

    fn frame(destination: [u8; 6], source: [u8; 6], bytes: usize) -> Vec<u8> {
        let mut frame = [destination, source].concat();
        frame.resize(bytes, 0);
        frame
    }

    fn drain(switch: &mut Switch, now_us: u64) -> Vec<Delivery> {
        std::iter::from_fn(|| switch.take_due(now_us)).collect()
    }

    /// One arrival: from, to (the last is everybody), bytes, microseconds since the one before.
    type Arrival = (usize, usize, usize, u64);

    fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
        prop::collection::vec((0..PORTS, 0..=PORTS, 14..1_514_usize, 0..20_000_u64), 0..200)
    }

    fn settings() -> impl Strategy<Value = LinkSettings> {
        let times = (0..300_u32, 0..100_u32);
        let shares = (0..=1_000_u16, 0..=1_000_u16, 0..=1_000_u16);
        (times, shares, prop_oneof![Just(0), 1_000..1_000_000_u64]).prop_map(|(times, shares, rate)| {
            LinkSettings {
                delay_ms: times.0,
                jitter_ms: times.1,
                loss_permille: shares.0,
                duplicate_permille: shares.1,
                reorder_permille: shares.2,
                bytes_per_second: rate,
                udp_port_blocked: 0,
            }
        })
    }

    /// Feeds the arrivals and takes what is due in between; the moment of each delivery stands beside it.
    fn play(switch: &mut Switch, arrivals: &[Arrival]) -> Vec<(u64, Delivery)> {
        let (mut now_us, mut taken) = (0, Vec::new());
        for (from, to, bytes, gap_us) in arrivals {
            now_us += gap_us;
            let destination = if *to == PORTS { EVERYBODY } else { address(*to) };
            switch.receive(*from, &frame(destination, address(*from), *bytes), now_us);
            taken.extend(drain(switch, now_us).into_iter().map(|delivery| (now_us, delivery)));
        }
        taken
    }

    fn links() -> impl Iterator<Item = (Port, Port)> {
        (0..PORTS).flat_map(|from| (0..PORTS).map(move |to| (from, to)))
    }

    #[test]
    fn a_frame_to_an_unknown_host_goes_to_all_and_to_a_known_one_only_there() {
        let mut switch = Switch::new(1, PORTS, LinkSettings::default());
        switch.receive(0, &frame(address(2), address(0), 60), 0);
        let ports: Vec<Port> = drain(&mut switch, 0).iter().map(|delivery| delivery.to).collect();
        assert_eq!(ports, [1, 2, 3]);
        switch.receive(2, &frame(address(0), address(2), 60), 0);
        let ports: Vec<Port> = drain(&mut switch, 0).iter().map(|delivery| delivery.to).collect();
        assert_eq!(ports, [0]);
        switch.receive(2, &frame(address(2), address(9), 60), 0);
        assert!(drain(&mut switch, 0).is_empty());
        let counts = switch.port_counts(2);
        assert_eq!((counts.received, counts.switched, counts.looped), (2, 1, 1));
    }

    #[test]
    fn frames_that_are_no_frames_are_counted_and_go_nowhere() {
        let mut switch = Switch::new(1, PORTS, LinkSettings::default());
        for bad in [
            vec![],
            frame(address(1), address(0), 13),
            frame(address(1), address(0), FRAME_BYTES_MAX + 1),
            frame(address(1), EVERYBODY, 60),
        ] {
            switch.receive(0, &bad, 0);
        }
        assert!(drain(&mut switch, 0).is_empty());
        assert_eq!(switch.port_counts(0).malformed, 4);
    }

    #[test]
    fn a_flood_of_frames_and_addresses_stays_within_the_bounds() {
        let settings = LinkSettings { delay_ms: 1_000, duplicate_permille: 500, ..LinkSettings::default() };
        let mut switch = Switch::new(1, 12, settings);
        for number in 0_u32..20_000 {
            let [_, a, b, c] = number.to_be_bytes();
            switch.receive(number as usize % 3, &frame(EVERYBODY, [2, 0, 0, a, b, c], 60), 0);
            assert!(switch.under_way.len() <= SWITCH_FRAMES_MAX);
        }
        assert_eq!(switch.under_way.len(), SWITCH_FRAMES_MAX);
        assert_eq!(switch.addresses.len(), ADDRESSES_MAX);
        let counts: Vec<LinkCounts> = (0..3)
            .flat_map(|from| (0..12).map(move |to| (from, to)))
            .map(|link| switch.link_counts(link))
            .collect();
        assert!(counts.iter().all(|link| link.queued <= LINK_FRAMES_MAX));
        assert!(counts.iter().any(|link| link.switch_full > 0));
    }

    #[test]
    fn one_link_cannot_take_the_queue_of_all() {
        let mut switch = Switch::new(1, 2, LinkSettings { delay_ms: 1_000, ..LinkSettings::default() });
        for _ in 0..LINK_FRAMES_MAX + 10 {
            switch.receive(0, &frame(address(1), address(0), 60), 0);
        }
        let counts = switch.link_counts((0, 1));
        assert_eq!((counts.queued, counts.link_full), (LINK_FRAMES_MAX, 10));
    }

    #[test]
    fn a_frame_that_is_under_way_during_a_partition_does_not_arrive() {
        let mut switch = Switch::new(1, 2, LinkSettings { delay_ms: 10, ..LinkSettings::default() });
        switch.receive(0, &frame(EVERYBODY, address(0), 60), 0);
        switch.partition(&[vec![0], vec![1]]);
        assert_eq!(switch.take_due(10_000), None);
        switch.receive(0, &frame(EVERYBODY, address(0), 60), 15_000);
        switch.heal();
        assert_eq!(switch.take_due(25_000), None, "nor one that left before it was healed");
        switch.receive(0, &frame(EVERYBODY, address(0), 60), 25_000);
        assert!(switch.take_due(35_000).is_some());
        let counts = switch.link_counts((0, 1));
        assert_eq!((counts.offered, counts.partitioned, counts.delivered), (3, 2, 1));
    }

    #[test]
    fn what_is_for_a_blocked_port_does_not_pass_and_everything_else_does() {
        let settings = LinkSettings { udp_port_blocked: 5_353, ..LinkSettings::default() };
        let mut switch = Switch::new(1, 2, settings);
        let to_port = |port: u16| {
            let mut datagram = frame(EVERYBODY, address(0), 60);
            (datagram[12], datagram[13], datagram[14], datagram[23]) = (8, 0, 0x45, 17);
            datagram[36..38].copy_from_slice(&port.to_be_bytes());
            datagram
        };
        for port in [5_353, 7_446, 5_353] {
            switch.receive(0, &to_port(port), 0);
        }
        assert_eq!(
            drain(&mut switch, 0).into_iter().map(|passed| passed.frame.to_vec()).collect::<Vec<_>>(),
            [to_port(7_446)]
        );
        assert_eq!((switch.link_counts((0, 1)).offered, switch.link_counts((0, 1)).blocked), (3, 2));
    }

    proptest! {
        #[test]
        fn the_same_seed_and_arrivals_give_the_same_deliveries(
            seed: u64, settings in settings(), arrivals in arrivals(),
        ) {
            let run = || play(&mut Switch::new(seed, PORTS, settings), &arrivals);
            prop_assert_eq!(run(), run());
        }

        #[test]
        fn the_counts_add_up(seed: u64, settings in settings(), arrivals in arrivals()) {
            let mut switch = Switch::new(seed, PORTS, settings);
            let taken = play(&mut switch, &arrivals).len() as u64;
            let all: Vec<LinkCounts> = links().map(|link| switch.link_counts(link)).collect();
            for link in &all {
                prop_assert_eq!(link.offered + link.duplicated, link.delivered + link.dropped() + link.queued);
            }
            prop_assert_eq!(all.iter().map(|link| link.delivered).sum::<u64>(), taken);
            prop_assert_eq!(all.iter().map(|link| link.queued).sum::<u64>(), switch.under_way.len() as u64);
            let ports: Vec<PortCounts> = (0..PORTS).map(|port| switch.port_counts(port)).collect();
            for port in &ports {
                prop_assert_eq!(port.received, port.malformed + port.looped + port.switched + port.flooded);
            }
            let offered: u64 = ports.iter().map(|port| port.switched + port.flooded * (PORTS as u64 - 1)).sum();
            prop_assert_eq!(all.iter().map(|link| link.offered).sum::<u64>(), offered);
        }

        #[test]
        fn nothing_crosses_a_partition(
            seed: u64, settings in settings(), before in arrivals(), after in arrivals(), left in 0..PORTS,
        ) {
            let mut switch = Switch::new(seed, PORTS, settings);
            play(&mut switch, &before);
            switch.partition(&[(0..left).collect(), (left..PORTS).collect()]);
            let mut taken = play(&mut switch, &after);
            taken.extend(drain(&mut switch, u64::MAX).into_iter().map(|delivery| (0, delivery)));
            for (_, delivery) in taken {
                prop_assert_eq!(delivery.from < left, delivery.to < left, "{:?}", delivery);
            }
        }

        #[test]
        fn without_impairments_every_frame_arrives_at_once_and_in_order(arrivals in arrivals()) {
            let mut switch = Switch::new(0, PORTS, LinkSettings::default());
            let taken = play(&mut switch, &arrivals);
            prop_assert!(switch.under_way.is_empty());
            let delivered: u64 = links().map(|link| switch.link_counts(link).offered).sum();
            prop_assert_eq!(taken.len() as u64, delivered);
        }

        #[test]
        fn nothing_arrives_when_all_is_lost(seed: u64, arrivals in arrivals()) {
            let mut switch = Switch::new(seed, PORTS, LinkSettings { loss_permille: 1_000, ..LinkSettings::default() });
            prop_assert!(play(&mut switch, &arrivals).is_empty());
            prop_assert!(switch.under_way.is_empty());
        }
    }
}
