//! What a planner wishes done: the watering of a zone as the site tells it, with the reason and what it rests on.

use clawmesh_authority::leadership::Term;
use clawmesh_authority::policy::FOR_S;
use clawmesh_authority::{Capability, Hlc, NodeId, Step, Value};
use clawmesh_twin::site::Plan;

use super::attention::Attention;
use crate::site::{NoPlace, SiteFiles};

/// What a level of water in a tank is called in a site.
const TANK_LEVEL: &str = "tank level";

/// How one zone is watered, in the words of proposals.
#[derive(Debug, Clone, PartialEq)]
pub struct Watering {
    /// The name of the node that drives all of its actuators.
    pub owner_name: String,
    /// The id of that node, once the site tells it.
    pub owner: Option<NodeId>,
    /// What is done, in this order.
    pub steps: Vec<Step>,
    /// Below this moisture the zone is dry.
    pub dry_below_percent: f64,
    /// The sensors that tell whether it is needed, and whether there is water: the moisture of the zone, then every tank.
    pub evidence_of: Vec<Capability>,
}

impl Watering {
    /// The watering of the zone with this name, if the site tells one.
    #[must_use]
    pub fn of(site: &SiteFiles, zone: &str) -> Option<Self> {
        let plan = &site.plan;
        let found = plan.zones.iter().find(|found| found.name.as_str() == zone)?;
        let irrigation = found.irrigation.as_ref()?;
        let capability = |text: &String| Capability::new(text).ok();
        let step = |(actuator, operation): &(String, String)| {
            let parameters = [(FOR_S.to_owned(), Value::Number(f64::from(irrigation.for_s)))].into();
            Some(Step { actuator: capability(actuator)?, operation: operation.clone(), parameters })
        };
        let (first, _) = irrigation.steps.first()?;
        let owner = &plan.actuators.iter().find(|actuator| actuator.capability == *first)?.owner;
        let moisture = capability(&irrigation.moisture)?;
        Some(Self {
            owner_name: owner.to_string(),
            owner: site.home.nodes.get(owner.as_str()).copied(),
            steps: irrigation.steps.iter().map(step).collect::<Option<_>>()?,
            dry_below_percent: irrigation.dry_below_percent,
            evidence_of: std::iter::once(moisture).chain(tank_levels(plan)).collect(),
        })
    }

    /// What it moves.
    pub fn actuators(&self) -> impl Iterator<Item = Capability> {
        self.steps.iter().map(|step| step.actuator.clone())
    }

    /// True when these steps use every actuator of it: then they water this zone, and not another one that shares its pump.
    #[must_use]
    pub fn is_done_by(&self, steps: &[Step]) -> bool {
        let is_used = |own: &Step| steps.iter().any(|step| step.actuator == own.actuator);
        self.steps.iter().all(is_used)
    }

    /// The wish to water `zone`, to be asked of `owner` in a term in which this node leads. The reason is for people, for example `z-core is at 14.2 %, dry is
    /// below 22 %`.
    #[must_use]
    pub fn wish(self, zone: &str, owner: NodeId, attention: &Attention, made: Hlc, term: Term) -> Wish {
        let permille = attention.moisture_permille.unwrap_or_default();
        let (percent, tenth) = (permille / 10, permille % 10);
        let dry = self.dry_below_percent;
        Wish {
            zone: zone.to_owned(),
            owner,
            steps: self.steps,
            reason: format!("{zone} is at {percent}.{tenth} %, dry is below {dry} %"),
            evidence_of: self.evidence_of,
            made,
            term,
            cause: 0,
        }
    }
}

fn tank_levels(plan: &Plan) -> impl Iterator<Item = Capability> {
    let sensors = plan.sensors.iter().filter(|sensor| sensor.quantity == TANK_LEVEL);
    sensors.filter_map(|sensor| Capability::new(&sensor.capability).ok())
}

/// Something that the planner of this node wants proposed.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// The zone it is for.
    pub zone: String,
    /// Who drives its actuators, and is to be asked.
    pub owner: NodeId,
    /// What is to be done, in this order.
    pub steps: Vec<Step>,
    /// Why, for people.
    pub reason: String,
    /// The sensors whose signed readings it rests on, the most important one first.
    pub evidence_of: Vec<Capability>,
    /// When it was made; no two wishes of a node have the same.
    pub made: Hlc,
    /// The term in which this node leads the planning.
    pub term: Term,
    /// The last journal row it depends on, known at the end of the tick. It does not leave the node before that row is durable.
    pub cause: u64,
}

/// The way to whoever asks the owners. It must not wait.
pub trait Wishes: Send + Sync + 'static {
    /// Takes a wish.
    ///
    /// # Errors
    /// When there is no place: nothing was taken, and the tick forgets it. Whoever has no place says so at the door, with
    /// [`crate::intake::InputBody::Refused`], so that everybody sees it.
    fn wish(&self, wish: Wish) -> Result<(), NoPlace>;
}
