//! What must hold, judged by what was done to the farm and by what its driver was called for, and by nothing the owner thinks.

use std::collections::{BTreeMap, BTreeSet};

use clawmesh_authority::{Capability, Level, Offer, OperatorId, ProposalId, Setpoint, Value};
use clawmesh_lab::{DriverCall, LEASE_MS};

/// A tick, a journal that lags by two of them, and a sensor that speaks twice a second: so long after something has changed the
/// driver may still be called for what was decided before.
pub const LAG_MS: u64 = 1_000;
/// How long a command waits for the journal, as the driver layer has it.
const WAITS_MS_MAX: u64 = 5_000;
/// How long after its time a run may be told off: the beat of the driver layer.
const END_SLACK_MS: u64 = 500;

/// An offer, from when it was first shown.
pub struct Seen {
    pub offer: Offer,
    pub proposer: OperatorId,
    pub at_ms: u64,
    pub age: Age,
}

/// How often there was a stop, a start and another policy: what is older counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Age {
    pub stops: u64,
    pub starts: u64,
    pub policies: u64,
}

/// A yes that was brought, in which everything is right.
pub struct Yes {
    pub nonce: [u8; 32],
    pub by: OperatorId,
    /// Whom they stand for in the end.
    pub person: OperatorId,
    pub at_ms: u64,
    pub age: Age,
}

/// Something that was told on.
struct On {
    proposal: ProposalId,
    at_ms: u64,
    run_for_ms: u64,
    is_overdue_told: bool,
}

/// What is so since when; nothing that is not.
#[derive(Default)]
pub struct Since {
    since: BTreeMap<String, u64>,
    /// When a time in which nobody ticked was over last, and how long it was: what is decided just before may be driven just
    /// after it.
    pub stall: (u64, u64),
}

impl Since {
    pub fn begin(&mut self, what: impl Into<String>, at_ms: u64) {
        self.since.entry(what.into()).or_insert(at_ms);
    }

    pub fn end(&mut self, what: &str) {
        self.since.remove(what);
    }

    pub fn is(&self, what: &str) -> bool {
        self.since.contains_key(what)
    }

    /// What begins with `what` and is so only since then is forgotten.
    pub fn forget_since(&mut self, what: &str, since_ms: u64) {
        self.since.retain(|name, at_ms| !name.starts_with(what) || *at_ms < since_ms);
    }

    /// True when it has been so for longer than anything decided before may take.
    fn is_old(&self, what: &str, at_ms: u64) -> bool {
        // A way that is lost ends nothing that was begun, also what waits for the journal.
        let lag_ms = if what == LINK { LAG_MS + WAITS_MS_MAX } else { LAG_MS };
        let (woken_ms, stalled_ms) = self.stall;
        let stalled_ms = if at_ms <= woken_ms + LAG_MS { stalled_ms.min(WAITS_MS_MAX) } else { 0 };
        self.since.get(what).is_some_and(|since_ms| at_ms > since_ms + lag_ms + stalled_ms)
    }
}

/// The judge of an episode.
#[derive(Default)]
pub struct Oracle {
    pub offers: BTreeMap<[u8; 32], Seen>,
    yeses: Vec<Yes>,
    /// What no tick has taken yet.
    pub brought: Vec<Yes>,
    pub age: Age,
    /// The proposals in which everything was right.
    pub good: BTreeSet<ProposalId>,
    /// What is wrong now: hands, tags, an empty tank, the link, revoked keys.
    pub wrong: Since,
    pub is_stopped: bool,
    /// Milliseconds in which nobody ticked.
    pub stalled_ms: u64,
    driven: BTreeMap<(ProposalId, usize), u64>,
    on: BTreeMap<Capability, On>,
    found: Option<String>,
    /// Commands and safings so far.
    pub calls: (u64, u64),
    /// What came to a good end.
    pub completed: BTreeSet<ProposalId>,
}

impl Oracle {
    pub fn found(&self) -> Option<&str> {
        self.found.as_deref()
    }

    fn find(&mut self, what: String) {
        self.found.get_or_insert(what);
    }

    /// What is offered now.
    pub fn see(&mut self, offer: &Offer, proposer: OperatorId, now_ms: u64) {
        if !self.good.contains(&offer.proposal) {
            self.find(format!("people are asked about {}, in which something is wrong", offer.proposal));
        }
        let age = self.age;
        self.offers.entry(offer.nonce).or_insert_with(|| Seen {
            offer: offer.clone(),
            proposer,
            at_ms: now_ms,
            age,
        });
    }

    /// A tick has taken what was brought, by the people it knew then.
    pub fn count_yeses(&mut self) {
        let is_revoked = |person| self.wrong.is(&revoked(person));
        let counting = self.brought.drain(..).filter(|yes| !is_revoked(yes.by) && !is_revoked(yes.person));
        self.yeses.extend(counting);
    }

    /// The driver was called.
    pub fn hear(&mut self, call: &DriverCall) {
        let Some(command) = &call.command else { return self.hear_safing(call) };
        self.calls.0 += 1;
        let (id, step) = (command.proposal(), command.step());
        let driven = {
            let driven = self.driven.entry((id, step)).or_default();
            *driven += 1;
            *driven
        };
        if driven > 1 {
            self.find(format!("step {step} of {id} was driven {driven} times"));
        }
        if self.is_stopped {
            self.find(format!("step {step} of {id} was driven during a stop"));
        }
        let why_not: Vec<String> = self.offers.values().map(|seen| self.is_covered(seen, call)).collect();
        if why_not.iter().all(|why| !why.is_empty()) {
            let whys: Vec<_> = why_not.into_iter().filter(|why| why != "another proposal").collect();
            self.find(format!("step {step} of {id} was driven without a yes that covers it: {whys:?}"));
        }
        if let Some(wrong) = self.wrong_about(&call.actuator, call.at_ms) {
            self.find(format!("{} was driven although {wrong}", call.actuator));
        }
        if command.setpoint() == Setpoint::On {
            let run_for_ms = command.run_for_ms().unwrap_or(u64::MAX);
            let on = On { proposal: id, at_ms: call.at_ms, run_for_ms, is_overdue_told: false };
            self.on.insert(call.actuator.clone(), on);
        } else {
            self.on.remove(&call.actuator);
        }
    }

    fn hear_safing(&mut self, call: &DriverCall) {
        self.calls.1 += 1;
        // Everything on the farm is safe when it is off.
        if call.setpoint != Setpoint::Off {
            self.find(format!("{} was made safe by switching it on", call.actuator));
        }
        self.on.remove(&call.actuator);
    }

    /// Why this offer and the answers to it do not cover the call; empty if they do.
    fn is_covered(&self, seen: &Seen, call: &DriverCall) -> String {
        let Some(command) = &call.command else { return "no command".to_owned() };
        let offer = &seen.offer;
        if offer.proposal != command.proposal() {
            return "another proposal".to_owned();
        }
        let Some(step) = offer.steps.get(command.step()) else { return "no such step".to_owned() };
        let for_ms = match step.parameters.get("for_s") {
            Some(Value::Number(seconds)) => Some((seconds * 1_000.0) as u64),
            _ => None,
        };
        if step.actuator != call.actuator || command.run_for_ms() != for_ms {
            return format!("{} for {:?} is not what was offered", call.actuator, command.run_for_ms());
        }
        if seen.age.stops != self.age.stops || seen.age.starts != self.age.starts {
            return "offered before a stop or a start".to_owned();
        }
        let valid: Vec<&Yes> = self.yeses.iter().filter(|yes| self.counts(yes, seen, call.at_ms)).collect();
        let people: BTreeSet<OperatorId> = valid.iter().map(|yes| yes.person).collect();
        let needed = offer.level.approvals_needed();
        if people.len() < needed {
            return format!("{} of {needed} said yes in time and may", people.len());
        }
        String::new()
    }

    fn counts(&self, yes: &Yes, seen: &Seen, at_ms: u64) -> bool {
        let dies_ms = seen.at_ms + seen.offer.expires_after_ms + self.stalled_ms;
        let is_own = seen.offer.level >= Level::L3 && yes.person == seen.proposer;
        yes.nonce == seen.offer.nonce
            && yes.age == seen.age
            && yes.at_ms <= dies_ms + LAG_MS
            && !is_own
            && !self.wrong.is_old(&revoked(yes.by), at_ms)
            && !self.wrong.is_old(&revoked(yes.person), at_ms)
    }

    fn wrong_about(&self, actuator: &Capability, at_ms: u64) -> Option<String> {
        let about = [held(actuator), tagged(actuator), TANK.to_owned(), LINK.to_owned()];
        about.into_iter().find(|what| self.wrong.is_old(what, at_ms))
    }

    /// A moment has passed. `over` are the proposals that have ended by what the owner says.
    pub fn look(&mut self, over: &BTreeSet<ProposalId>, now_ms: u64) {
        let slack_ms = END_SLACK_MS + LEASE_MS + self.stalled_ms;
        let mut late = Vec::new();
        for (actuator, on) in &mut self.on {
            let is_over = now_ms > on.at_ms.saturating_add(on.run_for_ms) + slack_ms;
            let is_left =
                over.contains(&on.proposal) && now_ms > on.at_ms + on.run_for_ms.min(5_000) + slack_ms;
            if (is_over || is_left) && !on.is_overdue_told {
                on.is_overdue_told = true;
                late.push(format!("{actuator} was told on at {} and never off", on.at_ms));
            }
        }
        late.into_iter().for_each(|what| self.find(what));
    }

    /// Nobody can end what is on here: the node is dead and makes everything safe when it starts again, or nothing reaches the
    /// part.
    pub fn forget_what_is_on(&mut self, part: Option<&Capability>) {
        self.on.retain(|actuator, _| part.is_some_and(|part| part != actuator));
    }
}

pub const TANK: &str = "the tank is not shown to hold enough";
pub const TAG: &str = "out of service: ";
pub const LINK: &str = "the way to the mesh is lost";

pub fn held(actuator: &Capability) -> String {
    format!("a hand is on {actuator}")
}

pub fn tagged(actuator: &Capability) -> String {
    format!("{TAG}{actuator}")
}

pub fn revoked(person: OperatorId) -> String {
    format!("{person} was revoked")
}
