//! What is asked for: known operations, parameters within their ranges, within every budget.

use std::collections::BTreeMap;

use crate::gate::live::{Home, Live, Spent};
use crate::policy::{ActuatorRules, FOR_S, Misfit, OperationRule, Policy, Rule};
use crate::proposal::{Proposal, Step};
use crate::reading::Value;
use crate::refusal::Code;
use crate::refused::Refused;
use crate::setpoint::Setpoint;

/// A step that the policy knows, with what the policy says about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub step: &'a Step,
    pub rules: &'a ActuatorRules,
    pub operation: &'a OperationRule,
}

impl Known<'_> {
    /// True for what adds energy, motion or flow.
    pub fn adds(&self) -> bool {
        self.operation.brings == Setpoint::On
    }

    /// How long it is to last, if it is said.
    pub fn for_s(&self) -> Option<f64> {
        match self.step.parameters.get(FOR_S) {
            Some(Value::Number(seconds)) => Some(*seconds),
            _ => None,
        }
    }
}

/// It is for us, by our site, and for actuators of ours.
pub(super) fn is_for_us(proposal: &Proposal, home: &Home) -> Result<(), Refused> {
    let refuse = |code, rule, sentence: String| Err(Refused::new(code, rule, sentence));
    if proposal.mesh != home.mesh {
        let sentence = "the proposal belongs to another mesh; propose in this one".to_owned();
        return refuse(Code::MeshIdMismatch, Rule::OneOwner, sentence);
    }
    if proposal.owner != home.owner {
        let sentence = format!("the proposal is for {}; ask that node", proposal.owner.short());
        return refuse(Code::AmbiguousOwner, Rule::OneOwner, sentence);
    }
    if proposal.site != home.site {
        let sentence = format!(
            "the proposal was made for the site {}, this node holds {}; give both the same site file",
            proposal.site.short(),
            home.site.short()
        );
        return refuse(Code::SiteMismatch, Rule::SameSite, sentence);
    }
    let foreign = proposal.steps.iter().find(|step| !home.actuators.contains(&step.actuator));
    foreign.map_or(Ok(()), |step| {
        let sentence = format!("the site gives {} to no actuator of this node; ask its owner", step.actuator);
        refuse(Code::AmbiguousOwner, Rule::OneOwner, sentence)
    })
}

/// No other node takes itself for the owner of what is to be switched on.
pub(super) fn is_ours_alone(step: &Step, policy: &Policy, live: &Live) -> Result<(), Refused> {
    let other = live.actuators.get(&step.actuator).and_then(|state| state.claimed_by);
    let adds = || known(step, policy).is_ok_and(|known| known.adds());
    let Some(other) = other.filter(|_| adds()) else { return Ok(()) };
    let sentence = format!(
        "{} drives {} too, by a site file of its own; give both the same site file",
        other.short(),
        step.actuator
    );
    Err(Refused::new(Code::AmbiguousOwner, Rule::OneOwner, sentence))
}

/// The step with what the policy says about it.
pub(super) fn known<'a>(step: &'a Step, policy: &'a Policy) -> Result<Known<'a>, Refused> {
    let (rules, operation) = policy.known(&step.actuator, &step.operation)?;
    Ok(Known { step, rules, operation })
}

/// What adds water says when it ends; every parameter is there, of its type, within its range.
pub(super) fn parameters_fit(known: &Known<'_>) -> Result<(), Refused> {
    let Step { actuator, operation: name, parameters } = known.step;
    if known.adds() && !parameters.contains_key(FOR_S) {
        let sentence = format!("{actuator} {name} does not say when it ends; give `{FOR_S}`, for how long");
        return Err(Refused::new(Code::LimitExceeded, Rule::BoundedIrrigation, sentence));
    }
    if let Some(unknown) = parameters.keys().find(|key| !known.operation.parameters.contains_key(*key)) {
        let sentence = format!("{actuator} {name} has no parameter `{unknown}`; leave it out");
        return Err(Refused::new(Code::InvalidParams, Rule::Parameters, sentence));
    }
    known.operation.parameters.iter().try_for_each(|(key, parameter)| {
        let refuse = |code, rule, found: String| {
            let sentence = format!("{actuator} {name}: `{key}` {found}, it is {}", parameter.in_words());
            Err(Refused::new(code, rule, sentence))
        };
        let is_end = key == FOR_S;
        let range_rule = if is_end { Rule::BoundedIrrigation } else { Rule::Parameters };
        match parameters.get(key) {
            None => refuse(Code::InvalidParams, Rule::Parameters, "is missing".to_owned()),
            Some(value) => match parameter.misfit(value) {
                None => Ok(()),
                Some(Misfit::Type) => refuse(Code::InvalidParams, Rule::Parameters, format!("is {value:?}")),
                Some(Misfit::Range) => refuse(Code::LimitExceeded, range_rule, format!("is {value}")),
            },
        }
    })
}

/// No substance goes out without a dosage, and none for longer than the dosage says.
pub(super) fn dosage_is_known(known: &Known<'_>, policy: &Policy) -> Result<(), Refused> {
    let Some(substance) = &known.operation.substance else { return Ok(()) };
    let Some(dosage) = policy.dosage(substance) else {
        let sentence = format!("the policy has no dosage of {substance}; write one before it is let out");
        return Err(Refused::new(Code::NotAuthorized, Rule::DosageFirst, sentence));
    };
    let seconds = known.for_s().unwrap_or(f64::INFINITY);
    if seconds <= dosage.seconds_per_command_max {
        return Ok(());
    }
    let sentence = format!(
        "{substance} goes out for at most {} s at once, not {seconds}",
        dosage.seconds_per_command_max
    );
    Err(Refused::new(Code::LimitExceeded, Rule::DosageFirst, sentence))
}

/// What all steps together are planned to use stays within every budget.
pub(super) fn budgets_hold(steps: &[Known<'_>], policy: &Policy, live: &Live) -> Result<(), Refused> {
    within_budgets(steps, policy, live, false)
}

/// The same of what runs, which is booked already.
pub(super) fn budgets_allow(steps: &[Known<'_>], policy: &Policy, live: &Live) -> Result<(), Refused> {
    within_budgets(steps, policy, live, true)
}

fn within_budgets(steps: &[Known<'_>], policy: &Policy, live: &Live, is_booked: bool) -> Result<(), Refused> {
    let mut planned: BTreeMap<&str, Spent> = BTreeMap::new();
    for known in steps.iter().filter(|known| known.adds()) {
        let seconds = known.for_s().unwrap_or(f64::INFINITY);
        for name in &known.rules.draws {
            let sum = planned.entry(name).or_default();
            sum.seconds += seconds;
            sum.litres += seconds / 60.0 * known.rules.draws_lpm_max;
        }
    }
    planned.into_iter().try_for_each(|(name, planned)| {
        let refuse = |code, sentence| Err(Refused::new(code, Rule::ZoneBounds, sentence));
        let Some(budget) = policy.budget(name) else {
            return refuse(Code::BudgetExceeded, format!("the policy has no budget of {name}"));
        };
        if planned.litres > budget.litres_per_command_max {
            let (asked, most) = (planned.litres, budget.litres_per_command_max);
            let sentence =
                format!("{asked:.0} L at once is more than the {most} L for {name}; ask for less time");
            return refuse(Code::LimitExceeded, sentence);
        }
        let spent = live.spent.get(name).copied().unwrap_or_default();
        for (unit, used, more, most) in [
            ("L", spent.litres, planned.litres, budget.litres_per_day_max),
            ("s", spent.seconds, planned.seconds, budget.seconds_per_day_max),
        ] {
            let more = if is_booked { 0.0 } else { more };
            if used + more > most {
                let sentence = format!(
                    "{name} has {most} {unit} in 24 hours, {used:.0} are used and {more:.0} more are asked; \
                     wait, or ask for less"
                );
                return refuse(Code::BudgetExceeded, sentence);
            }
        }
        Ok(())
    })
}
