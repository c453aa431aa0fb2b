//! What every system of this feature needs: the site with its policy, the time, and one way to move a proposal on.

use std::collections::BTreeSet;

use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use clawmesh_authority::gate::{self, Home, SignedReading};
use clawmesh_authority::hlc::TIME_UNKNOWN;
use clawmesh_authority::reading::bounded;
use clawmesh_authority::transition::{self, Effect, Event, Transition};
use clawmesh_authority::{
    Answer, AuthorizedCommand, Capability, Code, ContentHash, OfferBook, Policy, Proposal, ProposalId,
    Refused, Roster,
};

use crate::clock::{Tick, WallClock};
use crate::mesh::Trust;
use crate::people::People;
use crate::proposals::components::{Desk, Life, Spending};
use crate::proposals::ports::SimulationOrder;
use crate::safety;
use crate::settings::Settings;
use crate::site::{Site, SiteFiles};

/// The site and the time.
#[derive(SystemParam)]
pub struct Here<'w> {
    pub tick: Res<'w, Tick>,
    pub settings: Res<'w, Settings>,
    wall: Res<'w, WallClock>,
    site: Res<'w, Site>,
    pub trust: Res<'w, Trust>,
    people: Res<'w, People>,
}

impl Here<'_> {
    /// The people this node knows.
    pub fn people(&self) -> &Roster {
        &self.people.0
    }

    /// The site and the policy of this owner; without both nothing here may be moved.
    pub fn files(&self) -> Option<(&SiteFiles, &Policy)> {
        let site = self.site.0.as_ref()?;
        Some((site, site.policy.as_ref()?))
    }

    /// What the evidence of a proposal says, as far as it is of nodes that are believed here.
    pub fn evidence(&self, proposal: &Proposal, home: &Home) -> Result<Vec<SignedReading>, Refused> {
        gate::resolve(proposal, home, |node| self.trust.believes(node))
    }

    pub fn wall_ms(&self) -> u64 {
        self.wall.at(*self.tick, &self.settings)
    }

    /// Nothing is taken and nothing begins while the time is not known.
    pub fn knows_the_time(&self) -> Result<(), Refused> {
        if self.wall_ms() > 0 {
            return Ok(());
        }
        Err(Refused::new(Code::ClockUntrusted, "clock.known", TIME_UNKNOWN))
    }

    /// The time by which everything here expires, [`WallClock::elapsed_ms`].
    pub fn elapsed_ms(&self) -> u64 {
        self.wall.elapsed_ms(*self.tick, &self.settings)
    }

    /// The time by which budgets are booked and forgotten, [`WallClock::counted_ms`].
    pub fn ledger_ms(&self, spending: &Spending) -> u64 {
        self.wall.counted_ms(*self.tick, &self.settings, spending.not_before_ms)
    }
}

/// What was decided in this tick and has to leave it. What is decided stands in components; this is only on its way.
#[derive(Resource, Debug, Default)]
pub struct Due {
    /// To the driver layer.
    pub commands: Vec<AuthorizedCommand>,
    /// To be made safe, and why.
    pub safe: Vec<(BTreeSet<Capability>, String)>,
    /// To the pool that simulates.
    pub simulations: Vec<SimulationOrder>,
    /// True when the latch may open.
    pub rearm: bool,
    /// The places of which there is news for other nodes.
    pub told: BTreeSet<u8>,
    /// To whoever asked.
    pub answers: Vec<(ContentHash, Answer)>,
    /// How many of these the safety log has.
    pub answers_logged: usize,
}

impl Due {
    /// Everything that a proposal may have begun, to be made safe.
    pub fn make_safe(&mut self, proposal: &Proposal, why: &str) {
        let actuators = proposal.steps.iter().map(|step| step.actuator.clone()).collect();
        self.safe.push((actuators, why.to_owned()));
    }
}

/// Moves proposals on, by the one transition function.
#[derive(SystemParam)]
pub struct Mover<'w> {
    pub here: Here<'w>,
    pub desk: ResMut<'w, Desk>,
    pub due: ResMut<'w, Due>,
    refused: MessageWriter<'w, safety::Refused>,
}

impl Mover<'_> {
    /// Feeds an event; true if the proposal stands otherwise now.
    pub fn feed(
        &mut self,
        (id, proposal): (ProposalId, &Proposal),
        life: &mut Life,
        event: &Event,
        words: impl Into<String>,
        code: Option<Code>,
    ) -> bool {
        let Transition::Moved { to, effects } = transition::step(&life.state, event) else { return false };
        let words = bounded(words.into());
        life.state = to;
        life.tell(self.here.wall_ms(), words.clone(), code);
        for effect in effects {
            match effect {
                Effect::VoidOffer { .. } => self.desk.0.withdraw(id),
                Effect::Safe => self.due.make_safe(proposal, &words),
                // What these ask for follows from the state, and the systems that do it look at that.
                Effect::Simulate { .. }
                | Effect::Offer { .. }
                | Effect::Dispatch
                | Effect::NextStep { .. }
                | Effect::Publish => {}
            }
        }
        true
    }

    /// Ends a proposal that the gate refuses, and makes the refusal visible.
    pub fn refuse(&mut self, of: (ProposalId, &Proposal), life: &mut Life, refused: &Refused) {
        let event = Event::GateRefused { code: refused.code, sentence: refused.sentence.clone() };
        if self.feed(of, life, &event, format!("{} ({})", refused.sentence, refused.rule), Some(refused.code))
        {
            self.show(&of.0.short(), refused);
        }
    }

    /// Enters a refusal into the book.
    pub fn show(&mut self, from: &str, refused: &Refused) {
        self.refused.write(safety::Refused { refusal: refused.given_to(from), count: 1 });
    }

    /// Answers what was asked; a refusal is an answer, and visible.
    pub fn answer(&mut self, asked: ContentHash, from: &str, outcome: Result<Answer, Refused>) {
        let answer = outcome.unwrap_or_else(|refused| {
            self.show(from, &refused);
            refused.into()
        });
        self.due.answers.push((asked, answer));
    }

    pub fn book(&mut self) -> &mut OfferBook {
        &mut self.desk.0
    }
}

/// What a proposal is to do, in short.
pub fn in_short(proposal: &Proposal) -> String {
    let steps = proposal.steps.iter().map(|step| {
        let name = step.actuator.as_str().rsplit(':').next().unwrap_or_default();
        let seconds = crate::proposals::ledger::seconds_asked(step);
        let time = if seconds > 0.0 { format!(" for {seconds} s") } else { String::new() };
        format!("{name} {}{time}", step.operation)
    });
    steps.collect::<Vec<_>>().join(", ")
}
