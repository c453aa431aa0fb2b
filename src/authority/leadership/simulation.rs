//! A mesh of five nodes on a simulated network: what is promised about leaders holds for every seed.
//!
//! Messages are delayed and lost, the mesh is divided and healed, nodes stop and start again with what they had stored, and no
//! two clocks run alike.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const NODES: usize = 5;
const STEP_MS: u64 = 50;
const DELAY_MS_MAX: u64 = 450;
/// So that of four claims in a row one arrives.
const LOST_IN_A_ROW_MAX: u8 = 3;
/// How long it may take until a node is told that another one is there, or is not.
const APPEARED_MS_MAX: u64 = 500;
const LOST_MS_MAX: u64 = 3_000;
/// Bounds are in milliseconds of a clock; this clock may be slow, and looks only every step.
const fn by_the_slowest_clock(bound_ms: u64) -> u64 {
    bound_ms * 102 / 100 + 2 * STEP_MS
}

/// Something that befalls the mesh.
#[derive(Debug, Clone)]
enum Blow {
    /// Nodes of different groups hear each other no more.
    Divide([u8; NODES]),
    Heal,
    /// A node stops, or starts again.
    Switch(usize),
    /// A node changes whether it wishes to lead.
    Wish(usize),
    /// A node is not run for a while: its machine sleeps.
    Sleep(usize, u64),
}

struct Node {
    id: NodeId,
    role: NodeRole,
    rate_per_mille: i64,
    leadership: Option<Leadership>,
    stored: Option<Claim>,
    is_willing: bool,
    asleep_until_ms: u64,
    told: [bool; NODES],
    change_due_ms: [Option<u64>; NODES],
    /// Terms of earlier runs, and of this one.
    used: BTreeSet<Term>,
    /// What it says now; to say it again is to renew.
    claim: Option<Claim>,
}

struct Mesh {
    now_ms: u64,
    random: u64,
    nodes: Vec<Node>,
    groups: [u8; NODES],
    /// When, from, to, what.
    on_the_way: Vec<(u64, usize, usize, Say)>,
    lost_in_a_row: [[u8; NODES]; NODES],
    together_ms: BTreeMap<(usize, usize), u64>,
    leaderless_ms: [u64; NODES],
    claims: Vec<(u64, Claim)>,
}

impl Mesh {
    fn new(seed: u64, roles: [NodeRole; NODES], rates_per_mille: [i64; NODES]) -> Self {
        let nodes = (0..NODES).map(|at| Node {
            id: NodeId([at as u8 + 1; 32]),
            role: roles[at],
            rate_per_mille: rates_per_mille[at],
            leadership: None,
            stored: None,
            is_willing: true,
            asleep_until_ms: 0,
            told: [false; NODES],
            change_due_ms: [None; NODES],
            used: BTreeSet::new(),
            claim: None,
        });
        let mut mesh = Self {
            now_ms: 0,
            random: seed,
            nodes: nodes.collect(),
            groups: [0; NODES],
            on_the_way: Vec::new(),
            lost_in_a_row: [[0; NODES]; NODES],
            together_ms: BTreeMap::new(),
            leaderless_ms: [0; NODES],
            claims: Vec::new(),
        };
        (0..NODES).for_each(|at| mesh.switch(at, true));
        mesh
    }

    /// A number below `end` (`SplitMix64`).
    fn random(&mut self, end: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn local_ms(&self, at: usize) -> u64 {
        self.now_ms * (1_000 + self.nodes[at].rate_per_mille) as u64 / 1_000 + at as u64 * 1_000_000
    }

    fn is_up(&self, at: usize) -> bool {
        self.nodes[at].leadership.is_some()
    }

    fn are_linked(&self, a: usize, b: usize) -> bool {
        a != b && self.is_up(a) && self.is_up(b) && self.groups[a] == self.groups[b]
    }

    fn switch(&mut self, at: usize, is_on: bool) {
        let now_ms = self.local_ms(at);
        let node = &mut self.nodes[at];
        let started = || Leadership::start(node.id, node.role, node.stored, now_ms);
        node.leadership = is_on.then(started);
        (node.told, node.change_due_ms) = ([false; NODES], [None; NODES]);
        (node.is_willing, node.claim) = (true, None);
    }

    fn leads(&self, at: usize) -> Option<Claim> {
        self.nodes[at].leadership.as_ref()?.leads(self.local_ms(at))
    }

    fn leaders(&self) -> Vec<(usize, Claim)> {
        (0..NODES).filter_map(|at| Some((at, self.leads(at)?))).collect()
    }

    fn suffer(&mut self, blow: &Blow) {
        match *blow {
            Blow::Divide(groups) => self.groups = groups,
            Blow::Heal => self.groups = [0; NODES],
            Blow::Switch(at) => self.switch(at, !self.is_up(at)),
            Blow::Wish(at) => self.wish(at, !self.nodes[at].is_willing),
            Blow::Sleep(at, ms) => self.nodes[at].asleep_until_ms = self.now_ms + ms,
        }
    }

    fn wish(&mut self, at: usize, is_willing: bool) {
        let now_ms = self.local_ms(at);
        let node = &mut self.nodes[at];
        let Some(leadership) = &mut node.leadership else { return };
        node.is_willing = is_willing;
        let said = leadership.wish(is_willing, now_ms);
        self.say(at, said);
    }

    /// Stores what has to be stored, and sends.
    fn say(&mut self, at: usize, said: Option<Say>) {
        let node = &mut self.nodes[at];
        let Some(leadership) = &node.leadership else { return };
        node.stored = leadership.highest_seen();
        let Some(say) = said else { return };
        if let Say::Claim(claim) = say
            && node.claim != Some(claim)
        {
            assert!(node.used.iter().all(|used| *used < claim.term), "{claim:?} was used before");
            assert!(Rank::of_role(node.role).is_some() && node.is_willing, "{claim:?} of who may not lead");
            node.used.insert(claim.term);
            node.claim = Some(claim);
            self.claims.push((self.now_ms, claim));
        }
        for to in 0..NODES {
            let is_lost = self.random(100) < 30 && self.lost_in_a_row[at][to] < LOST_IN_A_ROW_MAX;
            self.lost_in_a_row[at][to] = if is_lost { self.lost_in_a_row[at][to] + 1 } else { 0 };
            if self.are_linked(at, to) && !is_lost {
                let due_ms = self.now_ms + self.random(DELAY_MS_MAX);
                self.on_the_way.push((due_ms, at, to, say));
            }
        }
    }

    fn deliver(&mut self) {
        // Whoever sleeps hears it when it wakes.
        let is_due = |sent: &(u64, usize, usize, Say)| {
            sent.0 <= self.now_ms && self.nodes[sent.2].asleep_until_ms <= self.now_ms
        };
        let all = std::mem::take(&mut self.on_the_way).into_iter();
        let (due, later): (Vec<_>, Vec<_>) = all.partition(is_due);
        self.on_the_way = later;
        for (_, from, to, say) in due {
            let now_ms = self.local_ms(to);
            if !self.are_linked(from, to) {
                continue;
            }
            let Some(leadership) = &mut self.nodes[to].leadership else { continue };
            let said = match say {
                // Whoever is not known to be there yet is not heard yet.
                Say::Claim(claim) => leadership.hear(claim, now_ms).ok().flatten(),
                Say::Outdated(term) => leadership.hear_outdated(term, now_ms),
                Say::Released(claim) => {
                    leadership.hear_released(claim, now_ms);
                    None
                }
            };
            self.say(to, said);
        }
    }

    fn tell_who_is_there(&mut self, at: usize) {
        for other in (0..NODES).filter(|other| *other != at) {
            let is_there = self.are_linked(at, other);
            if self.nodes[at].told[other] == is_there {
                self.nodes[at].change_due_ms[other] = None;
                continue;
            }
            let delay_ms = self.random(if is_there { APPEARED_MS_MAX } else { LOST_MS_MAX });
            let due_ms = *self.nodes[at].change_due_ms[other].get_or_insert(self.now_ms + delay_ms);
            if due_ms <= self.now_ms {
                let (id, role) = (self.nodes[other].id, self.nodes[other].role);
                let node = &mut self.nodes[at];
                node.told[other] = is_there;
                let Some(leadership) = &mut node.leadership else { continue };
                if is_there { leadership.appeared(id, role).unwrap() } else { leadership.lost(id) }
            }
        }
    }

    fn step(&mut self) {
        self.now_ms += STEP_MS;
        self.deliver();
        for at in (0..NODES).filter(|at| self.nodes[*at].asleep_until_ms <= self.now_ms).collect::<Vec<_>>() {
            self.tell_who_is_there(at);
            let now_ms = self.local_ms(at);
            let said = self.nodes[at].leadership.as_mut().and_then(|leadership| leadership.pass(now_ms));
            self.say(at, said);
        }
        self.check_overlap();
        self.check_leaderless();
    }

    fn run(&mut self, ms: u64) {
        (0..ms / STEP_MS).for_each(|_| self.step());
    }

    fn check_overlap(&mut self) {
        let leaders = self.leaders();
        let pairs = leaders.iter().flat_map(|(a, _)| leaders.iter().map(move |(b, _)| (*a, *b)));
        let together: Vec<(usize, usize)> = pairs.filter(|(a, b)| a < b && self.are_linked(*a, *b)).collect();
        self.together_ms.retain(|pair, _| together.contains(pair));
        for pair in together {
            let ms = self.together_ms.entry(pair).or_default();
            *ms += STEP_MS;
            assert!(*ms <= by_the_slowest_clock(OVERLAP_MS_MAX), "{pair:?} lead together for {ms} ms");
        }
    }

    /// True when `at` could lead, and nobody in its part does.
    fn lacks_a_leader(&self, at: usize) -> bool {
        let node = &self.nodes[at];
        let could_lead = self.is_up(at)
            && node.is_willing
            && Rank::of_role(node.role).is_some()
            && node.asleep_until_ms <= self.now_ms;
        could_lead
            && !(0..NODES)
                .any(|other| (other == at || self.are_linked(at, other)) && self.leads(other).is_some())
    }

    fn check_leaderless(&mut self) {
        for at in 0..NODES {
            self.leaderless_ms[at] =
                if self.lacks_a_leader(at) { self.leaderless_ms[at] + STEP_MS } else { 0 };
            let ms = self.leaderless_ms[at];
            assert!(ms <= by_the_slowest_clock(CHOSEN_MS_MAX), "{at} knows of no leader for {ms} ms");
        }
    }

    /// All is well again, and stays so: one remains, in a term that is its own and above all others, and keeps it.
    fn heal_and_check(&mut self) {
        let before = self.leaders();
        self.groups = [0; NODES];
        for at in 0..NODES {
            self.nodes[at].asleep_until_ms = 0;
            if !self.is_up(at) {
                self.switch(at, true);
            }
            self.wish(at, true);
        }
        self.run(by_the_slowest_clock(CHOSEN_MS_MAX + SETTLE_MS + PLACES_MAX * STAGGER_MS + OVERLAP_MS_MAX));
        let candidates = self.nodes.iter().filter_map(|node| Candidate::new(node.id, node.role));
        let Some(rank_max) = candidates.map(|candidate| candidate.rank()).max() else {
            assert_eq!(self.claims, [], "nobody may lead");
            return;
        };
        let leaders = self.leaders();
        let [(leader, claim)] = leaders[..] else { panic!("{leaders:?} lead") };
        assert_eq!(Rank::of_role(self.nodes[leader].role), Some(rank_max));
        let is_above = |other: &Claim| other.term < claim.term || *other == claim;
        assert!(self.claims.iter().all(|(_, other)| is_above(other)), "{claim:?} of {:?}", self.claims);
        if let [_, _, ..] = before[..] {
            assert!(before.iter().all(|(_, old)| old.term < claim.term), "{claim:?} is not above {before:?}");
        }
        self.run(60_000);
        assert_eq!(self.leaders(), [(leader, claim)], "it changes without a reason");
        for at in (0..NODES).filter(|at| *at != leader) {
            let seen = self.nodes[at].leadership.as_ref().unwrap().leader(self.local_ms(at));
            assert_eq!(seen, Leader::Peer(Candidate::new(claim.holder, self.nodes[leader].role).unwrap()));
        }
    }
}

fn roles() -> impl Strategy<Value = [NodeRole; NODES]> {
    let role = prop_oneof![
        3 => Just(NodeRole::Planner), 3 => Just(NodeRole::StandbyPlanner), 1 => Just(NodeRole::Field),
        1 => Just(NodeRole::Viewer),
    ];
    prop::array::uniform5(role)
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        3 => prop::array::uniform5(0_u8..3).prop_map(Blow::Divide),
        2 => Just(Blow::Heal),
        2 => (0..NODES).prop_map(Blow::Switch),
        1 => (0..NODES).prop_map(Blow::Wish),
        2 => (0..NODES, 0_u64..40_000).prop_map(|(at, ms)| Blow::Sleep(at, ms)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_leads_in_each_part_and_one_remains(
        seed: u64, roles in roles(), rates in prop::array::uniform5(-10_i64..=10),
        blows in prop::collection::vec((0_u64..25_000, blow()), 0..12),
    ) {
        let mut mesh = Mesh::new(seed, roles, rates);
        for (wait_ms, blow) in blows {
            mesh.run(wait_ms);
            mesh.suffer(&blow);
        }
        mesh.heal_and_check();
    }
}
