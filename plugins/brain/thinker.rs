//! The big-brain world: zones become actors, urgency becomes a score, and the action that starts is the choice.

use bevy::{ecs::schedule::ExecutorKind, prelude::*};
use big_brain::prelude::*;

use crate::{Choice, Thought, ZoneFacts, dryness};

/// The most zones one world may hold.
///
/// big-brain reads the wall clock after every 500th thinker and may leave the others for later; below that it never does.
pub const THINKERS_PER_WORLD_MAX: usize = 400;

/// Inner updates until a fresh thinker has acted: it is attached, it wakes, it picks, its action starts.
const INNER_UPDATES: usize = 4;

/// Chooses for at most [`THINKERS_PER_WORLD_MAX`] zones in a world of their own.
pub fn think_in_one_world(facts: &[ZoneFacts]) -> Vec<Thought> {
    let mut app = brain_app();
    let actors = spawn_zones(app.world_mut(), facts);
    for _ in 0..INNER_UPDATES {
        app.update();
    }
    // Read by the entities kept in the order of the facts, so no iteration order of the world matters.
    facts.iter().zip(actors).map(|(facts, actor)| thought(app.world(), actor, facts)).collect()
}

/// How urgently the zone of this actor needs water.
#[derive(Component)]
struct Urgency(f32);

/// What the actor is doing for its zone; empty until its first action starts.
#[derive(Component, Default)]
struct Chosen(Option<Choice>);

/// Scores an actor by the urgency of its zone.
#[derive(Component, Clone, Debug, ScorerBuilder)]
struct Dryness;

/// Carries a choice to the actor that made it.
#[derive(Component, Clone, Debug, ActionBuilder)]
struct Act(Choice);

fn brain_app() -> App {
    let mut app = App::new();
    app.add_plugins(BigBrainPlugin::new(Update))
        .add_systems(Update, score_dryness.in_set(BigBrainSet::Scorers))
        .add_systems(Update, start_actions.in_set(BigBrainSet::Actions));
    for (_, schedule) in app.world_mut().resource_mut::<Schedules>().iter_mut() {
        schedule.set_executor_kind(ExecutorKind::SingleThreaded);
    }
    app
}

fn spawn_zones(world: &mut World, facts: &[ZoneFacts]) -> Vec<Entity> {
    facts
        .iter()
        .map(|facts| {
            let urgency = Urgency(dryness::urgency(facts));
            world.spawn((urgency, Chosen::default(), irrigate_when_dry())).id()
        })
        .collect()
}

fn irrigate_when_dry() -> ThinkerBuilder {
    Thinker::build()
        .picker(FirstToScore::new(dryness::URGENCY_DRY_MIN))
        .when(Dryness, Act(Choice::Irrigate))
        .otherwise(Act(Choice::Wait))
}

fn score_dryness(zones: Query<&Urgency>, mut scorers: Query<(&Actor, &mut Score), With<Dryness>>) {
    for (Actor(actor), mut score) in &mut scorers {
        if let Ok(Urgency(urgency)) = zones.get(*actor) {
            // big-brain panics on a score outside 0 to 1; urgency promises that range already.
            score.set(urgency.clamp(0.0, 1.0));
        }
    }
}

fn start_actions(mut zones: Query<&mut Chosen>, mut actions: Query<(&Actor, &Act, &mut ActionState)>) {
    for (Actor(actor), Act(choice), mut state) in &mut actions {
        if *state != ActionState::Requested {
            continue;
        }
        *state = ActionState::Executing;
        if let Ok(mut chosen) = zones.get_mut(*actor) {
            chosen.0 = Some(*choice);
        }
    }
}

fn thought(world: &World, actor: Entity, facts: &ZoneFacts) -> Thought {
    Thought {
        zone: facts.zone.clone(),
        // Whoever has not made up its mind proposes nothing.
        choice: chosen(world, actor).unwrap_or(Choice::Wait),
        urgency: world.get::<Urgency>(actor).map_or(0.0, |urgency| urgency.0),
    }
}

fn chosen(world: &World, actor: Entity) -> Option<Choice> {
    world.get::<Chosen>(actor)?.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(count: usize, moisture_percent: f64) -> Vec<ZoneFacts> {
        let zone = ZoneFacts {
            zone: "north".into(),
            moisture_percent: Some(moisture_percent),
            dry_below_percent: 22.0,
            wilting_percent: 10.0,
        };
        vec![zone; count]
    }

    fn chosen_after(updates: usize, facts: &[ZoneFacts]) -> Vec<Option<Choice>> {
        let mut app = brain_app();
        let actors = spawn_zones(app.world_mut(), facts);
        for _ in 0..updates {
            app.update();
        }
        actors.into_iter().map(|actor| chosen(app.world(), actor)).collect()
    }

    #[test]
    fn a_full_world_has_decided_everything_after_the_inner_updates() {
        let dry = zones(THINKERS_PER_WORLD_MAX, 14.0);
        let wet = zones(THINKERS_PER_WORLD_MAX, 30.0);
        let all = |choice| vec![Some(choice); THINKERS_PER_WORLD_MAX];
        assert_eq!(chosen_after(INNER_UPDATES, &dry), all(Choice::Irrigate));
        assert_eq!(chosen_after(INNER_UPDATES, &wet), all(Choice::Wait));
    }

    #[test]
    fn no_inner_update_is_spare() {
        assert_eq!(chosen_after(INNER_UPDATES - 1, &zones(2, 14.0)), [None, None]);
        assert_eq!(chosen_after(INNER_UPDATES - 1, &zones(2, 30.0)), [None, None]);
    }

    #[test]
    fn more_updates_than_needed_change_no_choice() {
        let facts = [zones(1, 14.0), zones(1, 30.0)].concat();
        assert_eq!(chosen_after(3 * INNER_UPDATES, &facts), chosen_after(INNER_UPDATES, &facts));
    }
}
