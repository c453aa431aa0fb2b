//! Steps as people type them, `valve-flower=open`.

use anyhow::Context as _;
use clawmesh_authority::policy::OperationRule;
use clawmesh_authority::{Capability, Policy};
use clawmesh_twin::site::{Actuator, Plan};

/// What somebody wants one actuator to be told.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The actuator, as the site has it.
    pub actuator: &'a Actuator,
    /// The operation, as it was typed.
    pub operation: &'a str,
}

/// Reads `valve-flower=open`: something that the site switches, by its name or its capability, and what it is told.
///
/// # Errors
/// A sentence with what could have been meant.
pub fn read<'a>(text: &'a str, plan: &'a Plan) -> anyhow::Result<Wish<'a>> {
    let (name, operation) = text
        .split_once('=')
        .with_context(|| format!("{text:?} is no step; write what and how, for example valve-flower=open"))?;
    let known = || plan.actuators.iter().map(|actuator| actuator.of.as_str()).collect::<Vec<_>>().join(", ");
    let is_meant = |actuator: &&Actuator| actuator.of.as_str() == name || actuator.capability == name;
    let actuator =
        plan.actuators.iter().find(is_meant).with_context(|| {
            format!("{name:?} is nothing that this site switches; it switches {}", known())
        })?;
    Ok(Wish { actuator, operation })
}

impl Wish<'_> {
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
