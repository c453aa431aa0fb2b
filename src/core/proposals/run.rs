//! What is carried out, judged in every tick: was it taken, has it arrived, do its conditions hold, does a sensor show it, is
//! the plant still where the card said, has it ended. Pure.

use std::collections::BTreeMap;

use clawmesh_authority::gate::{self, Grant, Live, LiveReading};
use clawmesh_authority::policy::{ActuatorRules, BandRule, Must, Verification};
use clawmesh_authority::transition::{Event, State};
use clawmesh_authority::{Code, Policy, Proposal, Refused, Rule, Setpoint, Step, Tier};
use clawmesh_twin::card::PlaceCard;
use clawmesh_twin::site::Name;

use super::components::Run;
use super::ledger::seconds_asked;
use super::trial::{adds, brings};
use crate::site::SiteFiles;

/// How long the hardware may take to say that it took a command: the driver layer waits up to five seconds for the journal.
pub const TAKEN_WITHIN_MS: u64 = 10_000;
/// How long after its time is over the driver layer may take to say that it has ended.
const ENDED_WITHIN_MS: f64 = 10_000.0;
/// How much of the time in which everything was set a sensor must have shown it, in tenths.
const SHOWN_TENTHS_MIN: u64 = 7;
/// What a sensor has not shown for less than this in all counts for nothing: it speaks from time to time.
const UNSHOWN_MS_MAX: u64 = 3_000;
/// How long a part may be on its way when the policy does not say.
const ARRIVED_WITHIN_S: u32 = 60;

/// Something that has happened to a run, and what is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What.
    pub event: Event,
    /// For people.
    pub words: String,
    /// The code, if a rule said no.
    pub code: Option<Code>,
}

/// What a run is judged by.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// What is carried out.
    pub proposal: &'a Proposal,
    /// What people have approved.
    pub grant: Option<&'a Grant>,
    /// The site.
    pub site: &'a SiteFiles,
    /// The policy of this owner.
    pub policy: &'a Policy,
    /// What is known now.
    pub live: &'a Live,
    /// What the card it was approved with says of each place.
    pub bands: &'a BTreeMap<Name, PlaceCard>,
    /// Milliseconds that so many ticks take.
    pub ms_of_ticks: &'a dyn Fn(u64) -> u64,
    /// How long the machine has been up, milliseconds.
    pub now_ms: u64,
}

impl Watch<'_> {
    /// What has happened to a run in this tick, if anything has; the run takes note of what it saw.
    pub fn judge(&self, state: &State, run: &mut Run) -> Option<Finding> {
        if *state == State::Verifying {
            return Some(self.verdict(run));
        }
        self.was_taken(run)
            .or_else(|| self.may_go_on(run))
            .or_else(|| self.has_ended(state, run))
            .or_else(|| self.next_step(state, run))
            .or_else(|| self.is_shown(run))
            .or_else(|| self.is_in_its_band(run))
    }

    fn age_ms(&self, since_ms: u64) -> u64 {
        self.now_ms.saturating_sub(since_ms)
    }

    fn step(&self, at: usize) -> Option<(&Step, &ActuatorRules)> {
        let step = self.proposal.steps.get(at)?;
        Some((step, self.policy.rules_of(&step.actuator)?))
    }

    /// The steps that add energy, motion or flow; the others are done when they have arrived.
    fn adding(&self) -> impl Iterator<Item = usize> {
        let steps = self.proposal.steps.iter().enumerate();
        steps.filter(|(_, step)| adds(step, self.policy)).map(|(at, _)| at)
    }

    fn was_taken(&self, run: &Run) -> Option<Finding> {
        let is_late = run.taken_ms.is_none() && self.age_ms(run.ordered_ms) > TAKEN_WITHIN_MS;
        is_late.then(|| Finding {
            event: Event::AcknowledgementTimedOut,
            words: format!(
                "the driver did not take step {} within {} s",
                run.step + 1,
                TAKEN_WITHIN_MS / 1_000
            ),
            code: None,
        })
    }

    /// Everything that was begun and has not ended must be allowed still, and stay where it arrived.
    fn may_go_on(&self, run: &mut Run) -> Option<Finding> {
        // What is being ended is on its way to safety, and nothing keeps it from that.
        if run.ending_since_ms.is_some() {
            return None;
        }
        for at in 0..=run.step {
            let Some(step) = self.proposal.steps.get(at).filter(|_| !run.ended.contains(&at)) else {
                continue;
            };
            let rules = self.policy.rules_of(&step.actuator);
            let stands = self.live.position_of(&step.actuator);
            let told = brings(step, self.policy);
            let is_taken = at < run.step || run.taken_ms.is_some();
            let is_there = stands.is_some()
                && stands == told
                && rules.is_some_and(|rules| self.is_measured_since(rules, run.ordered_ms));
            if is_taken && is_there && !run.arrived.contains(&at) {
                run.arrived.push(at);
            }
            let has_arrived = run.arrived.contains(&at);
            if let Err(refused) = self.is_allowed(step, has_arrived) {
                return Some(ended_by(&refused));
            }
            let verified_by = rules.and_then(|rules| rules.verified_by.as_ref());
            let within_s = verified_by.map_or(ARRIVED_WITHIN_S, |by| by.within_s);
            if !has_arrived && self.age_ms(run.ordered_ms) > u64::from(within_s) * 1_000 {
                return Some(Finding {
                    event: Event::VerificationTimedOut,
                    words: format!("{} was told to and did not arrive within {within_s} s", step.actuator),
                    code: Some(Code::Unverified),
                });
            }
        }
        None
    }

    fn is_allowed(&self, step: &Step, has_arrived: bool) -> Result<(), Refused> {
        let grant = self.grant.ok_or_else(|| {
            Refused::new(Code::ApprovalRequired, Rule::Approved, "there is no approval for it")
        })?;
        gate::may_go_on(
            (step, &self.proposal.maker.mind),
            has_arrived,
            grant,
            &self.site.home,
            self.policy,
            self.live,
        )
    }

    /// What a sensor showed before the order moves nothing on.
    fn is_measured_since(&self, rules: &ActuatorRules, since_ms: u64) -> bool {
        let Some(by) = &rules.shown_by else { return true };
        let node = self.site.home.nodes.get(&by.node);
        let reading = node.and_then(|node| self.live.readings.get(&(*node, by.sensor.clone())));
        reading.is_some_and(|reading| reading.age_ms < self.age_ms(since_ms))
    }

    /// A plan has ended when everything it switched on is off again and no sensor shows otherwise; one that only switches off,
    /// when it is off and a sensor shows it.
    fn has_ended(&self, state: &State, run: &mut Run) -> Option<Finding> {
        let adding: Vec<usize> = self.adding().collect();
        let is_off = |at: &usize| {
            let step = &self.proposal.steps[*at];
            run.ended.contains(at) && self.live.position_of(&step.actuator) == Some(Setpoint::Off)
        };
        let on: Vec<usize> = adding.iter().copied().filter(|at| *at <= run.step && !is_off(at)).collect();
        let is_over = match adding.is_empty() {
            false => !run.ended.is_empty() && on.is_empty(),
            true => run.all_set_ms.is_some() && self.is_off_shown(run)?,
        };
        if is_over {
            if let Some(doubt) = run.ending_since_ms.and_then(|since_ms| self.still_on(run, since_ms)) {
                return doubt;
            }
            // The next step may be due and not ordered yet.
            let State::Executing { step } = state else { return None };
            return Some(Finding {
                event: Event::StepEnded { step: *step, is_last: true },
                words: "everything is safe again, read back".to_owned(),
                code: None,
            });
        }
        let Some(ending_ms) = run.ending_since_ms else { return self.is_overdue(run) };
        let is_late = self.age_ms(ending_ms) > u64::from(ARRIVED_WITHIN_S) * 1_000;
        is_late.then(|| {
            let on = on.iter().map(|at| self.proposal.steps[*at].actuator.to_string()).collect::<Vec<_>>();
            let on = on.join(" and ");
            let words = format!("{on} was told to be safe and is not shown to be after {ARRIVED_WITHIN_S} s");
            Finding { event: Event::DriverRefused { text: words.clone() }, words, code: None }
        })
    }

    /// The driver layer ends what runs when its time is over, and says so; one that says nothing is not believed to have.
    fn is_overdue(&self, run: &Run) -> Option<Finding> {
        let asked_s = self.adding().map(|at| seconds_asked(&self.proposal.steps[at])).fold(0.0, f64::max);
        let ran_ms = self.age_ms(run.taken_ms?) as f64;
        let is_late = asked_s > 0.0 && ran_ms > asked_s * 1_000.0 + ENDED_WITHIN_MS;
        is_late.then(|| {
            let words = format!(
                "its time has been over for {} s and its driver has not said that it ended; go and look",
                ENDED_WITHIN_MS / 1_000.0
            );
            Finding { event: Event::DriverRefused { text: words.clone() }, words, code: None }
        })
    }

    /// What its driver reads back as off, and a sensor that has shown it on does not show off: nothing to tell while it still
    /// may, then how it ends. What others have switched on before the same sensor hides it.
    fn still_on(&self, run: &Run, ending_ms: u64) -> Option<Option<Finding>> {
        let ended_unix_ms = self.live.wall_ms.saturating_sub(self.age_ms(ending_ms));
        let (actuator, by, shown) = run.confirmed.iter().find_map(|at| {
            let (step, rules) = self.step(*at)?;
            let by = rules.verified_by.as_ref().filter(|by| !self.is_seen_elsewhere(by))?;
            match self.reading(by, ended_unix_ms) {
                Ok(reading) if !by.must.holds(reading.value) => None,
                shown => Some((&step.actuator, by, shown.map(|reading| reading.value))),
            }
        })?;
        let is_late = self.age_ms(ending_ms) > u64::from(by.within_s) * 1_000;
        Some(is_late.then(|| {
            let (event, words) = match shown {
                Ok(value) => (Event::Contradicted, format!("{} still says {value:.1}", by.sensor)),
                Err(why) => (Event::VerificationTimedOut, format!("no sensor shows it: {why}")),
            };
            let words = format!("{actuator} is off by its driver, and {words}; go and look");
            Finding { event, words, code: Some(Code::Unverified) }
        }))
    }

    /// True when the sensor also shows what somebody else has switched on, or may have.
    fn is_seen_elsewhere(&self, by: &Verification) -> bool {
        let is_ours =
            |rules: &ActuatorRules| self.proposal.steps.iter().any(|step| step.actuator == rules.actuator);
        let others = self.policy.actuators.iter().filter(|rules| !is_ours(rules));
        let mut seen = others.filter(|rules| {
            let same = rules.verified_by.as_ref();
            same.is_some_and(|other| (&other.sensor, &other.node) == (&by.sensor, &by.node))
        });
        seen.any(|rules| self.live.position_of(&rules.actuator) != Some(Setpoint::Off))
    }

    /// Whether a sensor shows that what was switched off is off: `None` while it is open.
    fn is_off_shown(&self, run: &mut Run) -> Option<bool> {
        let mut is_shown = true;
        for at in 0..self.proposal.steps.len() {
            let Some((_, rules)) = self.step(at) else { continue };
            let Some(by) = &rules.verified_by else { return Some(true) };
            match self.reading(by, run.ordered_unix_ms) {
                Ok(reading) if !by.must.holds(reading.value) => note(&mut run.confirmed, at),
                _ => is_shown = false,
            }
            let is_late = self.age_ms(run.all_set_ms?) > u64::from(by.within_s) * 1_000;
            if !is_shown && is_late {
                return Some(true);
            }
        }
        is_shown.then_some(true)
    }

    fn next_step(&self, state: &State, run: &mut Run) -> Option<Finding> {
        let State::Executing { step } = state else { return None };
        let has_arrived = usize::from(*step) == run.step && run.arrived.contains(&run.step);
        if !has_arrived {
            return None;
        }
        if run.step + 1 < self.proposal.steps.len() {
            let words = format!("{} is as it was told", self.proposal.steps[run.step].actuator);
            return Some(Finding {
                event: Event::StepEnded { step: *step, is_last: false },
                words,
                code: None,
            });
        }
        run.all_set_ms.get_or_insert(self.now_ms);
        None
    }

    /// From when everything is set, sensors must show it in time, and go on showing it.
    fn is_shown(&self, run: &mut Run) -> Option<Finding> {
        let all_set_ms = run.all_set_ms.filter(|_| run.ending_since_ms.is_none())?;
        run.set_ticks += 1;
        let mut doubt = None;
        for at in self.adding() {
            let Some(by) = self.step(at).and_then(|(_, rules)| rules.verified_by.as_ref()) else { continue };
            let shown = self.reading(by, run.ordered_unix_ms);
            match shown {
                Ok(reading) if by.must.holds(reading.value) => note(&mut run.confirmed, at),
                shown => doubt = Some((at, by, shown.map(|reading| reading.value))),
            }
        }
        let Some((at, by, shown)) = doubt else {
            run.doubted_since_ms = None;
            run.shown_ticks += 1;
            return None;
        };
        let since_ms = if run.confirmed.contains(&at) {
            *run.doubted_since_ms.get_or_insert(self.now_ms)
        } else {
            all_set_ms
        };
        let is_late = self.age_ms(since_ms) > u64::from(by.within_s) * 1_000;
        is_late.then(|| unshown(by, shown))
    }

    /// From when sensors show it, the plant must stay near to what the card said.
    fn is_in_its_band(&self, run: &mut Run) -> Option<Finding> {
        run.all_set_ms.filter(|_| run.ending_since_ms.is_none())?;
        let outside = self
            .adding()
            .filter_map(|at| self.step(at))
            .find_map(|(_, rules)| rules.bands.iter().find_map(|band| Some((band, self.outside(band)?))));
        let Some((band, words)) = outside else {
            run.outside_since_ms = None;
            return None;
        };
        let since_ms = *run.outside_since_ms.get_or_insert(self.now_ms);
        (self.age_ms(since_ms) > u64::from(band.settle_s) * 1_000).then_some(Finding {
            event: Event::Diverged,
            words,
            code: None,
        })
    }

    /// How what a sensor says is outside what the card said of its place. A sensor that cannot be relied on says nothing,
    /// and that shows elsewhere.
    fn outside(&self, rule: &BandRule) -> Option<String> {
        let sensor =
            self.site.plan.sensors.iter().find(|sensor| sensor.capability == rule.sensor.as_str())?;
        let place = self.bands.get(&sensor.of)?;
        let band = match sensor.quantity.as_str() {
            "flow" => place.flow_lpm,
            "pressure" => place.pressure_kpa,
            _ => return None,
        };
        let node = self.site.home.nodes.get(&rule.node)?;
        let reading = self.live.readings.get(&(*node, rule.sensor.clone())).filter(|r| r.doubt.is_none())?;
        let share = rule.tolerance_percent / 100.0;
        let (low, high) = (band.low * (1.0 - share), band.high * (1.0 + share));
        (!Must::BeWithin(low, high).holds(reading.value)).then(|| {
            format!(
                "{} says {:.1} {}, the card said {:.1} to {:.1}",
                rule.sensor, reading.value, sensor.unit, band.low, band.high
            )
        })
    }

    /// True when sensors did not show it for so much of its time that it cannot be called done.
    fn was_unshown(&self, run: &Run) -> bool {
        let unshown_ms = (self.ms_of_ticks)(run.set_ticks.saturating_sub(run.shown_ticks));
        unshown_ms > UNSHOWN_MS_MAX && run.shown_ticks * 10 < run.set_ticks * SHOWN_TENTHS_MIN
    }

    /// When it has ended, what sensors have shown decides.
    fn verdict(&self, run: &Run) -> Finding {
        let mut wanted: Vec<usize> = self.adding().collect();
        if wanted.is_empty() {
            wanted = (0..self.proposal.steps.len()).collect();
        }
        let unshown = wanted.into_iter().find(|at| !run.confirmed.contains(at));
        match unshown {
            // One good moment does not stand for all of it.
            None if self.was_unshown(run) => {
                let seconds = |ticks| (self.ms_of_ticks)(ticks) as f64 / 1_000.0;
                let (shown_s, set_s) = (seconds(run.shown_ticks), seconds(run.set_ticks));
                Finding {
                    event: Event::Contradicted,
                    words: format!("a sensor showed it for {shown_s:.0} of {set_s:.0} s only"),
                    code: Some(Code::Unverified),
                }
            }
            None => Finding { event: Event::Verified, words: "a sensor confirmed it".to_owned(), code: None },
            Some(at) => Finding {
                event: Event::VerificationTimedOut,
                words: format!("no sensor showed that {} did it", self.proposal.steps[at].actuator),
                code: Some(Code::Unverified),
            },
        }
    }

    /// What the sensor of a verification says, or why it counts for nothing.
    fn reading(&self, by: &Verification, newer_than_unix_ms: u64) -> Result<&LiveReading, String> {
        let node = self.site.home.nodes.get(&by.node).ok_or_else(|| format!("{} is not known", by.node))?;
        let reading = self.live.readings.get(&(*node, by.sensor.clone()));
        let reading = reading.ok_or_else(|| format!("{} has not spoken", by.sensor))?;
        if let Some(doubt) = &reading.doubt {
            return Err(format!("{} is {doubt}", by.sensor));
        }
        if reading.tier < Tier::T2 {
            return Err(format!("{} is worth {} only", by.sensor, reading.tier));
        }
        if self.live.wall_ms.saturating_sub(reading.age_ms) <= newer_than_unix_ms {
            return Err(format!("{} has said nothing since the command", by.sensor));
        }
        Ok(reading)
    }
}

fn note(confirmed: &mut Vec<usize>, at: usize) {
    if !confirmed.contains(&at) {
        confirmed.push(at);
    }
}

fn unshown(by: &Verification, shown: Result<f64, String>) -> Finding {
    match shown {
        Ok(value) => Finding {
            event: Event::Contradicted,
            words: format!("{} must be {} to show it, and says {value:.1}", by.sensor, by.must.in_words()),
            code: Some(Code::Unverified),
        },
        Err(why) => Finding {
            event: Event::VerificationTimedOut,
            words: format!("no sensor shows it: {why}"),
            code: Some(Code::Unverified),
        },
    }
}

/// The event for the rule that no longer holds.
fn ended_by(refused: &Refused) -> Finding {
    let event = match refused.code {
        Code::StopLatched => Event::Stopped,
        Code::LocalControl | Code::OutOfService => Event::LocalControlTaken,
        Code::StateUnknown => Event::EnvelopeLeft,
        Code::UnknownOperation | Code::LimitExceeded | Code::InvalidParams => Event::PolicyChanged,
        _ if refused.rule == Rule::DosageFirst.as_str() => Event::PolicyChanged,
        _ if refused.rule == Rule::Approved.as_str() => Event::AuthorityLost,
        _ => Event::InterlockOpened,
    };
    Finding { event, words: format!("{} ({})", refused.sentence, refused.rule), code: Some(refused.code) }
}
