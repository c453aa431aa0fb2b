//! What must hold now, before a command and as long as it runs: hands, states, ways, modes, conditions.

use crate::capability::Capability;
use crate::gate::asked::Known;
use crate::gate::live::{Home, Live, LiveReading};
use crate::ids::ProposalId;
use crate::policy::{ActuatorRules, Interlock, Policy, Rule};
use crate::proposal::{Mind, Proposal};
use crate::refusal::Code;
use crate::refused::Refused;

/// Whether something is to begin or runs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// To begin.
    New,
    /// Runs.
    Running,
}

/// The stop is not latched, and what is done can be written down.
pub(super) fn nothing_stops_everything(live: &Live) -> Result<(), Refused> {
    if let Some(reason) = &live.stop {
        let sentence = format!("the stop is latched ({reason}); a person re-arms it when the cause is gone");
        return Err(Refused::new(Code::StopLatched, Rule::StopHolds, sentence));
    }
    if !live.can_write_down {
        let sentence = "the journal cannot commit, so nothing new is begun; mend the disk and start again";
        return Err(Refused::new(Code::JournalUnavailable, Rule::WrittenDown, sentence));
    }
    Ok(())
}

/// The actuator is in nobody's hands.
pub(super) fn no_hand_is_on(actuator: &Capability, live: &Live) -> Result<(), Refused> {
    let state = live.actuators.get(actuator).copied().unwrap_or_default();
    if state.out_of_service {
        let sentence = format!(
            "{actuator} is out of service; whoever tagged it takes the tag off, or says that it is in service"
        );
        return Err(Refused::new(Code::OutOfService, Rule::OutOfService, sentence));
    }
    if state.local_control {
        let sentence = format!("{actuator} is under local control; set its switch back to automatic");
        return Err(Refused::new(Code::LocalControl, Rule::ManualOverride, sentence));
    }
    Ok(())
}

/// It works for no other proposal.
pub(super) fn is_free(actuator: &Capability, proposal: ProposalId, live: &Live) -> Result<(), Refused> {
    let Some(other) = live.held.get(actuator).filter(|holder| **holder != proposal) else { return Ok(()) };
    let sentence =
        format!("{actuator} works for the proposal {} now; wait until that has ended", other.short());
    Err(Refused::new(Code::AuthorityHeld, Rule::OnePlan, sentence))
}

/// Nobody else has taken control of it. A program never has: also the one of whoever has it waits.
pub(super) fn is_theirs(actuator: &Capability, mind: &Mind, live: &Live) -> Result<(), Refused> {
    let Some(holder) = live.controlled.get(actuator) else { return Ok(()) };
    if *mind == Mind::Operator(holder.by) {
        return Ok(());
    }
    let sentence = format!(
        "{} has control of {actuator}; ask for it with clawmesh control take, or wait until it is given up",
        holder.name
    );
    Err(Refused::new(Code::AuthorityHeld, Rule::Control, sentence))
}

/// [`is_theirs`] of everything a proposal moves.
pub(super) fn all_are_theirs(proposal: &Proposal, live: &Live) -> Result<(), Refused> {
    proposal.steps.iter().try_for_each(|step| is_theirs(&step.actuator, &proposal.maker.mind, live))
}

/// The driver answers; for what adds something, the way to the mesh is known too, unless it runs already: to lose that
/// way then is a mode of the site.
pub(super) fn ways_are_known(known: &Known<'_>, live: &Live, phase: Phase) -> Result<(), Refused> {
    let actuator = &known.step.actuator;
    let refuse = |sentence| Err(Refused::new(Code::InterlockOpen, Rule::KnownComms, sentence));
    if !live.actuators.get(actuator).is_some_and(|state| state.answers) {
        return refuse(format!("{actuator} does not answer; see to its driver and its cable"));
    }
    match &live.comms_unknown {
        Some(why) if known.adds() && phase == Phase::New => {
            refuse(format!("the way to the mesh is not shown to work: {why}"))
        }
        _ => Ok(()),
    }
}

/// The state of the actuator was read back.
pub(super) fn state_is_known(actuator: &Capability, live: &Live) -> Result<(), Refused> {
    if live.position_of(actuator).is_some() {
        return Ok(());
    }
    let sentence = format!(
        "nothing shows how {actuator} stands; wait until it is read back or its sensor shows it, or see to it"
    );
    Err(Refused::new(Code::StateUnknown, Rule::KnownState, sentence))
}

/// What has arrived is still there.
pub(super) fn stays(known: &Known<'_>, live: &Live) -> Result<(), Refused> {
    let (actuator, told) = (&known.step.actuator, known.operation.brings);
    match live.position_of(actuator) {
        Some(stands) if stands == told => Ok(()),
        stands => {
            let stands = stands.map_or("nobody knows how".to_owned(), |stands| stands.to_string());
            let sentence =
                format!("{actuator} was told to be {told} and was, and now stands {stands}; see to it");
            Err(Refused::new(Code::StateUnknown, Rule::KnownState, sentence))
        }
    }
}

/// No mode of the site forbids this class.
pub(super) fn modes_allow(
    policy: &Policy,
    rules: &ActuatorRules,
    live: &Live,
    phase: Phase,
) -> Result<(), Refused> {
    live.modes.iter().try_for_each(|mode| {
        let degraded = policy.degraded.get(mode);
        let from = degraded.and_then(|degraded| match phase {
            Phase::New => degraded.refuse_from,
            Phase::Running => degraded.end_from,
        });
        if from.is_none_or(|from| rules.class < from) {
            return Ok(());
        }
        let sentence = format!("{}; {:?} waits until that is over", mode.in_words(), rules.class);
        Err(Refused::new(Code::InterlockOpen, Rule::DegradedMode, sentence))
    })
}

/// Every condition of the actuator is shown to hold by a live reading.
pub(super) fn interlocks_hold(rules: &ActuatorRules, home: &Home, live: &Live) -> Result<(), Refused> {
    rules.interlocks.iter().try_for_each(|interlock| {
        let doubt = doubt_about(interlock, rules, home, live);
        doubt.map_or(Ok(()), |doubt| {
            let sentence = format!(
                "{}: {} must be {} to show it, and {doubt}",
                interlock.why,
                interlock.sensor,
                interlock.must.in_words()
            );
            Err(Refused::new(Code::InterlockOpen, interlock.rule, sentence))
        })
    })
}

/// Why the condition is not shown to hold, if it is not. What is not known does not hold.
fn doubt_about(interlock: &Interlock, rules: &ActuatorRules, home: &Home, live: &Live) -> Option<String> {
    let Some(node) = home.nodes.get(&interlock.node) else {
        return Some(format!("the node {} is not known", interlock.node));
    };
    let Some(reading) = live.readings.get(&(*node, interlock.sensor.clone())) else {
        return Some("it has not spoken".to_owned());
    };
    let LiveReading { value, tier, age_ms, unchanged_ms, doubt, .. } = reading;
    if let Some(doubt) = doubt {
        return Some(format!("it is {doubt}"));
    }
    if *tier < rules.tier_min {
        return Some(format!("it is worth {tier}, less than {}", rules.tier_min));
    }
    if *age_ms > u64::from(interlock.age_s_max) * 1_000 {
        return Some(format!("its last reading is {} s old", age_ms / 1_000));
    }
    let rests_ms_max = interlock.stuck_after_s.map(|seconds| u64::from(seconds) * 1_000);
    if rests_ms_max.is_some_and(|most| *unchanged_ms > most) {
        return Some(format!("it has said {value} for {} s and is taken to be stuck", unchanged_ms / 1_000));
    }
    (!interlock.must.holds(*value)).then(|| format!("it says {value}"))
}
