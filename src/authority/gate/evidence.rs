//! Evidence is resolved, not claimed: signed bytes are opened, and only what the policy names counts.

use std::collections::BTreeSet;

use crate::envelope::{self, Body};
use crate::gate::live::{Home, Live};
use crate::hlc::AHEAD_MS_MAX;
use crate::ids::NodeId;
use crate::policy::{ActuatorRules, EvidenceRule, Rule};
use crate::proposal::Proposal;
use crate::reading::{Reading, Tier};
use crate::refusal::Code;
use crate::refused::Refused;

/// One reading that a node signed.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedReading {
    /// Who signed it.
    pub node: NodeId,
    /// What it says.
    pub reading: Reading,
}

/// Opens the evidence of a proposal. Envelopes of nodes that are not trusted, and other statements, are no evidence.
///
/// # Errors
/// When an envelope does not open: somebody altered it, or it was never one.
pub fn resolve(
    proposal: &Proposal,
    home: &Home,
    is_trusted: impl Fn(&NodeId) -> bool,
) -> Result<Vec<SignedReading>, Refused> {
    let mut resolved = Vec::new();
    for (index, bytes) in proposal.evidence.iter().enumerate() {
        let opened = envelope::open(bytes, home.mesh).map_err(|refusal| {
            Refused::new(
                Code::EvidenceUnresolved,
                Rule::Evidence,
                format!("evidence {index} does not open: {}", refusal.sentence),
            )
        })?;
        if let Body::Readings(batch) = opened.statement.body
            && is_trusted(&opened.source)
        {
            let signed = |reading: Reading| {
                // No sensor's word is worth more: only what was done and verified is.
                let tier = reading.tier.min(Tier::T2);
                SignedReading { node: opened.source, reading: Reading { tier, ..reading } }
            };
            resolved.extend(batch.0.into_iter().map(signed));
        }
    }
    Ok(resolved)
}

/// Something measured, or a person's own word, must stand behind a proposal.
pub(super) fn rests_on_more_than_a_model(
    proposal: &Proposal,
    evidence: &[SignedReading],
) -> Result<(), Refused> {
    let is_measured = evidence.iter().any(|signed| signed.reading.tier > Tier::T0);
    if is_measured || proposal.maker.mind.is_person() {
        return Ok(());
    }
    let sentence =
        "no measurement stands behind the proposal; attach signed readings, or let a person propose it";
    Err(Refused::new(Code::LlmOnlyActuationBlocked, Rule::NoModelAlone, sentence))
}

/// What evidence is judged by.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub home: &'a Home,
    pub live: &'a Live,
    /// The moment at which it had to be fresh: when the proposal came, Unix milliseconds.
    pub asked_ms: u64,
}

impl Bench<'_> {
    /// Every rule of evidence of this actuator is met.
    pub fn is_enough(&self, rules: &ActuatorRules, evidence: &[SignedReading]) -> Result<(), Refused> {
        rules.evidence.iter().try_for_each(|rule| self.meets(rule, rules, evidence))
    }

    /// What only switches off needs no evidence of a person; of a program, one reading that a rule of this actuator names, so
    /// that nothing is switched off over what has nothing to do with it.
    pub fn is_about(&self, rules: &ActuatorRules, evidence: &[SignedReading]) -> Result<(), Refused> {
        let is_named = |signed: &SignedReading| {
            let is_worth = signed.reading.tier >= rules.tier_min && self.fault_of(signed).is_none();
            let mut named = rules.evidence.iter().filter(|rule| self.names(rule, signed));
            is_worth && named.any(|rule| self.is_fresh(rule, signed))
        };
        if rules.evidence.is_empty() || evidence.iter().any(is_named) {
            return Ok(());
        }
        let sentence = format!(
            "nothing that it rests on is a fresh reading, worth {} or more, of a sensor that the policy names for {}; attach one, \
             or let a person propose it",
            rules.tier_min, rules.actuator
        );
        Err(Refused::new(Code::EvidenceUnresolved, Rule::Evidence, sentence))
    }

    fn names(&self, rule: &EvidenceRule, signed: &SignedReading) -> bool {
        self.home.nodes.get(&rule.node) == Some(&signed.node) && rule.sensors.contains(&signed.reading.sensor)
    }

    /// It was measured neither too long before the proposal came nor after it.
    fn is_fresh(&self, rule: &EvidenceRule, signed: &SignedReading) -> bool {
        let (origin_ms, asked_ms) = (signed.reading.origin_ms, self.asked_ms);
        let age_ms_max = u64::from(rule.age_s_max) * 1_000;
        origin_ms.saturating_add(age_ms_max) >= asked_ms && origin_ms <= asked_ms.saturating_add(AHEAD_MS_MAX)
    }

    /// Why what this sensor signed counts for nothing, if it does: it is nothing that this sensor can say, or what it says here
    /// and now is wrong, so what it said then may be.
    fn fault_of(&self, signed: &SignedReading) -> Option<String> {
        let SignedReading { node, reading } = signed;
        let of = (*node, reading.sensor.clone());
        let misfit = match self.home.sensors.get(&of) {
            Some(declared) => declared.misfit(reading.value, reading.unit),
            None => Some("no sensor of this site".to_owned()),
        };
        let fault = misfit.or_else(|| self.live.readings.get(&of)?.fault.clone())?;
        Some(format!("{} is {fault}", reading.sensor))
    }

    fn meets(
        &self,
        rule: &EvidenceRule,
        rules: &ActuatorRules,
        evidence: &[SignedReading],
    ) -> Result<(), Refused> {
        let refuse = |code, sentence: String| Refused::new(code, Rule::Evidence, sentence);
        let wanted = || {
            let sensors: Vec<&str> = rule.sensors.iter().map(|sensor| sensor.as_str()).collect();
            format!("{} of {}", sensors.join(" or "), rule.node)
        };
        let named: Vec<&SignedReading> = evidence.iter().filter(|signed| self.names(rule, signed)).collect();
        let sensors = |signed: &[&SignedReading]| {
            signed.iter().map(|signed| signed.reading.sensor.clone()).collect::<BTreeSet<_>>().len()
        };
        if sensors(&named) < rule.count_min {
            let sentence =
                format!("{} needs {} readings of {}; attach them", rules.actuator, rule.count_min, wanted());
            return Err(refuse(Code::EvidenceUnresolved, sentence));
        }
        let worth: Vec<&SignedReading> =
            named.into_iter().filter(|signed| signed.reading.tier >= rules.tier_min).collect();
        if sensors(&worth) < rule.count_min {
            let sentence = format!("readings of {} are worth less than {}", wanted(), rules.tier_min);
            return Err(refuse(Code::InsufficientTrustTier, sentence));
        }
        let mut faults = Vec::new();
        let worth: Vec<&SignedReading> = worth
            .into_iter()
            .filter(|signed| {
                let fault = self.fault_of(signed);
                let counts = fault.is_none();
                faults.extend(fault);
                counts
            })
            .collect();
        if sensors(&worth) < rule.count_min {
            let sentence = format!(
                "readings of {} count for nothing, {}; see to the sensor, then propose again",
                wanted(),
                faults.join(", ")
            );
            return Err(refuse(Code::EvidenceUnresolved, sentence));
        }
        let fresh: Vec<&SignedReading> =
            worth.into_iter().filter(|signed| self.is_fresh(rule, signed)).collect();
        if sensors(&fresh) < rule.count_min {
            let mut sentence =
                format!("readings of {} are older than {} s; propose again", wanted(), rule.age_s_max);
            let set_back_s = self.live.now_ms().saturating_sub(self.live.wall_ms) / 1_000;
            if set_back_s > 0 {
                sentence += &format!(
                    " (the clock of this node was set back by {set_back_s} s; start it again once the clock is right)"
                );
            }
            return Err(refuse(Code::EvidenceStale, sentence));
        }
        Ok(())
    }
}
