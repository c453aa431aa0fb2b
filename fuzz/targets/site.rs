//! Drawings of sites and policies of owners, as people write them (RON) and as journals hold them (JSON).

use clawmesh_authority::Policy;
use clawmesh_core::settings::SiteText;
use clawmesh_core::site::SiteFiles;
use clawmesh_lab::{Lab, lone_settings};
use clawmesh_twin::rollout::Model;
use clawmesh_twin::site::Plan;
use serde::{Deserialize, Serialize};

use super::{MIB, Seed, Target, promised};
use crate::mutate::Shape;

pub(super) const TARGET: Target = Target {
    name: "site",
    promise: "what is read and has no fault is written as JSON and read as the same",
    shapes: &[Shape::Text, Shape::Json],
    seeds,
    check,
    memory_bytes_max: 16 * MIB,
    memory_per_byte: 512,
};

#[derive(Serialize, Deserialize)]
struct Drawing {
    name: String,
    plan: Option<Plan>,
}

const FARM: &str = include_str!("../../assets/sites/farm.ron");
const POLICY: &str = include_str!("../../assets/sites/farm.policy.ron");

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    let options = ron::Options::default().with_default_extension(ron::extensions::Extensions::IMPLICIT_SOME);
    options.from_str(text).map_err(|fault| fault.code.to_string())
}

/// The plan of the shipped farm.
pub(super) fn plan() -> Plan {
    read::<Drawing>(FARM).ok().and_then(|drawing| drawing.plan).expect("what is shipped can be read")
}

/// The shipped farm, in which the first node of a lab is the command center and the second the field node.
pub(super) fn farm() -> SiteText {
    let mut plan = plan();
    for (n, node) in (1..).zip(&mut plan.nodes) {
        node.id = Some(Lab::id_of(n).to_string());
    }
    let policy: Policy = read(POLICY).expect("what is shipped can be read");
    SiteText::of("farm", &plan, Some(&policy)).expect("what is shipped has no fault")
}

fn seeds() -> Vec<Seed> {
    let farm = farm();
    vec![
        ("plan", FARM.as_bytes().to_vec()),
        ("policy", POLICY.as_bytes().to_vec()),
        ("plan-json", farm.plan.into_bytes()),
        ("policy-json", farm.policy.unwrap_or_default().into_bytes()),
    ]
}

fn check(input: &[u8]) -> Result<String, String> {
    let Ok(text) = std::str::from_utf8(input) else { return Ok("not UTF-8".to_owned()) };
    if text.trim_start().starts_with(['[', '{']) {
        return kept(text);
    }
    if text.contains("plan") {
        return match read::<Drawing>(text) {
            Ok(Drawing { name, plan: Some(plan) }) => of_plan(&name, &plan),
            Ok(_) => Ok("nothing drawn".to_owned()),
            Err(why) => Ok(why),
        };
    }
    match read::<Policy>(text) {
        Ok(policy) => of_policy(&policy),
        Err(why) => Ok(why),
    }
}

fn of_plan(name: &str, plan: &Plan) -> Result<String, String> {
    let faults = plan.faults();
    if let Some(fault) = faults.first() {
        return Ok(format!("{} {}", fault.at, fault.sentence));
    }
    let text = SiteText::of(name, plan, None).map_err(|why| format!("a plan without a fault: {why}"))?;
    let mut settings = lone_settings();
    settings.site = Some(text);
    let again = SiteFiles::of(&settings)?.ok_or("a site is lost")?;
    promised(again.plan == *plan && again.name == name, || "a plan is kept as another one".to_owned())?;
    Model::new(plan).map(|_| "a plan".to_owned()).or_else(Ok)
}

fn of_policy(policy: &Policy) -> Result<String, String> {
    let faults = policy.faults();
    if let Some(fault) = faults.first() {
        return Ok(format!("{} {}", fault.at, fault.sentence));
    }
    let text = serde_json::to_string(policy).map_err(|why| format!("a policy without a fault: {why}"))?;
    let again: Policy =
        serde_json::from_str(&text).map_err(|why| format!("a policy that was written: {why}"))?;
    promised(again == *policy, || "a policy is kept as another one".to_owned())?;
    Ok("a policy".to_owned())
}

/// What a journal holds has gone through all checks once. A disk may have changed it since.
fn kept(text: &str) -> Result<String, String> {
    let mut settings = lone_settings();
    settings.site = Some(SiteText { plan: text.to_owned(), policy: None });
    let drawn = match SiteFiles::of(&settings) {
        Ok(Some(files)) => of_plan(&files.name, &files.plan)?,
        Ok(None) => return Err("a site is lost".to_owned()),
        Err(why) => why,
    };
    let ruled = match serde_json::from_str::<Policy>(text) {
        Ok(policy) => of_policy(&policy)?,
        Err(why) => why.to_string(),
    };
    Ok(format!("{drawn}; {ruled}"))
}
