//! The first proposal of the demo, told line by line as it happens.

use clawmesh_authority::transition::State;
use clawmesh_authority::{Offer, ProposalId, ProposalReport};
use clawmesh_core::publish::ProposalView;

use crate::cli::wording::steps;

/// What was told of it so far.
#[derive(Default)]
pub struct Story {
    id: Option<ProposalId>,
    told: usize,
    began_ms: u64,
    report: Option<ProposalReport>,
}

impl Story {
    /// The lines that are new.
    pub fn update(&mut self, proposals: &[ProposalView]) -> Vec<String> {
        let first = || proposals.iter().min_by_key(|view| (view.report.made, view.report.id));
        let found = match self.id {
            Some(id) => proposals.iter().find(|view| view.report.id == id),
            None => first(),
        };
        let Some(view) = found else { return Vec::new() };
        let mut lines = Vec::new();
        if self.id.is_none() {
            self.id = Some(view.report.id);
            self.began_ms = view.report.story.first().map_or(0, |entry| entry.at_ms);
            lines.push(format!(
                "proposal {}: {}",
                view.report.id.short(),
                steps::in_short(&view.report.steps)
            ));
            lines.push(format!("  because {}", view.report.reason));
        }
        for entry in view.report.story.iter().skip(self.told) {
            let after_s = entry.at_ms.saturating_sub(self.began_ms) as f64 / 1_000.0;
            lines.push(format!("{after_s:7.1} s  {:<17}  {}", entry.state, entry.words));
        }
        self.told = view.report.story.len();
        self.report = Some(view.report.clone());
        lines
    }

    /// What people are asked now, if they are.
    pub fn offer(&self) -> Option<&Offer> {
        self.report.as_ref()?.offer.as_ref()
    }

    /// How it stands.
    pub fn report(&self) -> Option<&ProposalReport> {
        self.report.as_ref()
    }

    /// True when it has ended and a sensor confirmed it.
    pub fn is_confirmed(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.state == State::Completed)
    }

    /// True when it has ended, however.
    pub fn has_ended(&self) -> bool {
        self.report.as_ref().is_some_and(|report| report.state.is_final())
    }
}
