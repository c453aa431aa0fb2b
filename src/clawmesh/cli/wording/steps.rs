//! Steps as people type them, `valve-flower=open`, and as they read them, `valve-flower open 20 min`.

use anyhow::Context as _;
use clawmesh_authority::policy::{FOR_S, OperationRule};
use clawmesh_authority::{Capability, Policy, Step, Value};
use clawmesh_twin::site::{Actuator, Plan};

use crate::cli::table::plain;

/// What somebody wants one actuator to be told.
#[derive(Debug, Clone, Copy)]
pub struct TypedStep<'a> {
    /// The actuator, as the site has it.
    pub actuator: &'a Actuator,
    /// The operation, as it was typed.
    pub operation: &'a str,
}

/// Reads `valve-flower=open`: something that the site switches, by its name or its capability, and what it is told.
///
/// # Errors
/// A sentence with what could have been meant.
pub fn read<'a>(text: &'a str, plan: &'a Plan) -> anyhow::Result<TypedStep<'a>> {
    let (name, operation) = text
        .split_once('=')
        .with_context(|| format!("{text:?} is no step; write what and how, for example valve-flower=open"))?;
    Ok(TypedStep { actuator: actuator_called(name, plan)?, operation })
}

/// Something that the site switches, by its name or its capability.
///
/// # Errors
/// A sentence with what could have been meant.
pub fn actuator_called<'a>(name: &str, plan: &'a Plan) -> anyhow::Result<&'a Actuator> {
    let known = || plan.actuators.iter().map(|actuator| actuator.of.as_str()).collect::<Vec<_>>().join(", ");
    let is_meant = |actuator: &&Actuator| actuator.of.as_str() == name || actuator.capability == name;
    plan.actuators
        .iter()
        .find(is_meant)
        .with_context(|| format!("{name:?} is nothing that this site switches; it switches {}", known()))
}

impl TypedStep<'_> {
    /// What the policy says about it.
    ///
    /// # Errors
    /// A sentence with what the actuator can be told.
    pub fn rule<'p>(&self, policy: &'p Policy) -> anyhow::Result<&'p OperationRule> {
        let Self { actuator, operation } = self;
        let rules = Capability::new(&actuator.capability).ok();
        let rules = rules.and_then(|capability| policy.rules_of(&capability));
        let rules = rules.with_context(|| format!("the policy has no rules for {}", actuator.capability))?;
        rules.operations.get(*operation).with_context(|| {
            let known: Vec<&str> = rules.operations.keys().map(String::as_str).collect();
            format!("{} knows no {operation:?}, it knows {}", actuator.of, known.join(", "))
        })
    }
}

/// All steps in a line: `valve-flower open 20 min, pump-main-01 start 20 min`.
pub fn in_short(steps: &[Step]) -> String {
    steps.iter().map(step_in_short).collect::<Vec<_>>().join(", ")
}

/// One step with everything that is said with it.
pub fn step_in_short(step: &Step) -> String {
    let name = short_name(step.actuator.as_str());
    let said = step.parameters.iter().map(|(key, value)| match value {
        Value::Number(seconds) if key == FOR_S => format!(" {}", span(*seconds)),
        value => format!(" {}={}", plain(key), plain(&value.to_string())),
    });
    format!("{name} {}{}", plain(&step.operation), said.collect::<String>())
}

/// The last part of a capability, which is what people at the site call the thing.
pub fn short_name(capability: &str) -> &str {
    capability.rsplit(':').next().unwrap_or(capability)
}

/// Seconds, exactly: as minutes only when there is no remainder.
fn span(seconds: f64) -> String {
    let minutes = seconds / 60.0;
    let is_whole = minutes.fract() == 0.0 && minutes > 1.0;
    if is_whole { format!("{minutes} min") } else { format!("{seconds} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(actuator: &str, operation: &str, parameters: &[(&str, Value)]) -> Step {
        Step {
            actuator: Capability::new(actuator).unwrap(),
            operation: operation.to_owned(),
            parameters: parameters.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect(),
        }
    }

    #[test]
    fn steps_read_as_people_say_them_and_no_second_is_rounded_away() {
        let open = |for_s| step("actuator:valve:north", "open", &[("for_s", Value::Number(for_s))]);
        for (for_s, text) in [(1_200.0, "20 min"), (1_201.0, "1201 s"), (90.5, "90.5 s"), (60.0, "60 s")] {
            assert_eq!(in_short(&[open(for_s)]), format!("north open {text}"));
        }
        let stop = step("actuator:pump:main", "stop", &[]);
        assert_eq!(in_short(&[open(1_200.0), stop]), "north open 20 min, main stop");
    }

    #[test]
    fn nothing_that_is_said_with_a_step_is_left_out_and_nothing_plays_tricks() {
        let odd = [("dose", Value::Text("\u{202e}little".to_owned())), ("for_s", Value::Flag(true))];
        let text = step_in_short(&step("actuator:valve:north", "feed\u{1b}[2J", &odd));
        assert_eq!(text, "north feed\u{fffd}[2J dose=\u{fffd}little for_s=true");
    }
}
