//! Evidence is resolved, not claimed: signed bytes are opened, and only what the policy names counts.

use std::collections::BTreeSet;

use crate::envelope::{self, Body};
use crate::gate::live::{Home, Live};
use crate::hlc::AHEAD_MS_MAX;
use crate::ids::NodeId;
use crate::policy::{ActuatorRules, EvidenceRule, Rule};
use crate::proposal::{Mind, Proposal};
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
            let signed = |reading| SignedReading { node: opened.source, reading };
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
    let is_human = matches!(proposal.maker.mind, Mind::Operator(_));
    if is_measured || is_human {
        return Ok(());
    }
    let sentence =
        "no measurement stands behind the proposal; attach signed readings, or let a person propose it";
    Err(Refused::new(Code::LlmOnlyActuationBlocked, Rule::NoModelAlone, sentence))
}

/// Whether the age of evidence is judged now, or was when the proposal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Age {
    /// Now.
    Judged,
    /// When it came.
    WasJudged,
}

/// Every rule of evidence of this actuator is met.
pub(super) fn is_enough(
    rules: &ActuatorRules,
    evidence: &[SignedReading],
    age: Age,
    home: &Home,
    live: &Live,
) -> Result<(), Refused> {
    rules.evidence.iter().try_for_each(|rule| meets(rule, rules, evidence, age, home, live))
}

/// Why what this sensor signed counts for nothing, if it does: what it says here and now is wrong, so what it said then may be.
fn fault_of(signed: &SignedReading, live: &Live) -> Option<String> {
    let live = live.readings.get(&(signed.node, signed.reading.sensor.clone()))?;
    live.fault.as_ref().map(|fault| format!("{} is {fault}", signed.reading.sensor))
}

fn meets(
    rule: &EvidenceRule,
    rules: &ActuatorRules,
    evidence: &[SignedReading],
    age: Age,
    home: &Home,
    live: &Live,
) -> Result<(), Refused> {
    let refuse = |code, sentence: String| Refused::new(code, Rule::Evidence, sentence);
    let wanted = || {
        let sensors: Vec<&str> = rule.sensors.iter().map(|sensor| sensor.as_str()).collect();
        format!("{} of {}", sensors.join(" or "), rule.node)
    };
    let node = home.nodes.get(&rule.node);
    let named: Vec<&SignedReading> = evidence
        .iter()
        .filter(|signed| Some(&signed.node) == node && rule.sensors.contains(&signed.reading.sensor))
        .collect();
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
    let faults: Vec<String> = worth.iter().filter_map(|signed| fault_of(signed, live)).collect();
    let worth: Vec<&SignedReading> =
        worth.into_iter().filter(|signed| fault_of(signed, live).is_none()).collect();
    if sensors(&worth) < rule.count_min {
        let sentence = format!(
            "readings of {} count for nothing, {}; see to the sensor, then propose again",
            wanted(),
            faults.join(", ")
        );
        return Err(refuse(Code::EvidenceUnresolved, sentence));
    }
    if age == Age::WasJudged {
        return Ok(());
    }
    let age_ms_max = u64::from(rule.age_s_max) * 1_000;
    let is_fresh = |signed: &&SignedReading| {
        let (origin_ms, now_ms) = (signed.reading.origin_ms, live.wall_ms);
        origin_ms.saturating_add(age_ms_max) >= now_ms && origin_ms <= now_ms.saturating_add(AHEAD_MS_MAX)
    };
    let fresh: Vec<&SignedReading> = worth.into_iter().filter(is_fresh).collect();
    if sensors(&fresh) < rule.count_min {
        let sentence = format!("readings of {} are older than {} s; propose again", wanted(), rule.age_s_max);
        return Err(refuse(Code::EvidenceStale, sentence));
    }
    Ok(())
}
