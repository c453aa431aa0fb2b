//! What a proposal waits for, for people: of our own as we know it, of another home as it said last. Decides nothing. Pure.

use clawmesh_authority::policy::FOR_S;
use clawmesh_authority::transition::State;
use clawmesh_authority::{Offer, ProposalReport, Step, Value};
use serde::{Deserialize, Serialize};

/// What a proposal waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// What, for people.
    #[serde(rename = "for")]
    pub what: String,
    /// How long it may take yet, milliseconds; then the offer dies, or what runs ends.
    pub left_ms: Option<u64>,
    /// For how long its home was not heard, milliseconds; absent while it is, and for our own.
    pub home_silent_ms: Option<u64>,
}

/// What `report` waits for at `now_ms`, Unix milliseconds; `None` for what has ended.
///
/// `dies_in_ms` is how long its offer lives by the clock of its home, where that is known.
#[must_use]
pub fn waiting(
    report: &ProposalReport,
    now_ms: u64,
    dies_in_ms: Option<u64>,
    home_silent_ms: Option<u64>,
) -> Option<Waiting> {
    let since_ms = report.story.iter().rev().take_while(|entry| entry.state == report.state.name()).last();
    let stood_ms = since_ms.map_or(0, |entry| now_ms.saturating_sub(entry.at_ms));
    let (what, left_ms) = match &report.state {
        State::Draft | State::Simulating { .. } | State::Stale { .. } => ("its simulation".to_owned(), None),
        State::AwaitingApproval { .. } => {
            let expires = report.offer.as_ref().map(|offer| offer.expires_after_ms.saturating_sub(stood_ms));
            let blocked = report.blocked.as_ref().map(|blocked| format!("its release: {blocked}"));
            (blocked.unwrap_or_else(|| people(report)), dies_in_ms.or(expires))
        }
        State::Approved { .. } => ("the gate of its owner".to_owned(), None),
        State::Dispatched => ("its driver to take it".to_owned(), None),
        State::Executing { .. } => {
            let longest_ms = report.steps.iter().map(length_ms).max().filter(|longest| *longest > 0);
            ("its end".to_owned(), longest_ms.map(|longest| longest.saturating_sub(stood_ms)))
        }
        State::Verifying => ("a sensor to confirm it".to_owned(), None),
        _ => return None,
    };
    Some(Waiting { what, left_ms, home_silent_ms })
}

fn people(report: &ProposalReport) -> String {
    let needed = report.offer.as_ref().map_or(1, |offer: &Offer| offer.level.approvals_needed());
    match needed.saturating_sub(report.approved_by.len()) {
        0 | 1 if report.approved_by.is_empty() => "the yes of one person".to_owned(),
        0 | 1 => "the yes of one more person".to_owned(),
        more => format!("the yes of {more} people"),
    }
}

fn length_ms(step: &Step) -> u64 {
    match step.parameters.get(FOR_S) {
        Some(Value::Number(seconds)) => (seconds * 1_000.0) as u64,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clawmesh_authority::transition::{By, Round};
    use clawmesh_authority::{
        Capability, ContentHash, Hlc, Level, Maker, MeshId, NodeId, OperatorId, ProposalId, StoryEntry,
    };

    use super::*;

    const BEGUN_MS: u64 = 1_000_000;

    fn report(state: State) -> ProposalReport {
        let step = Step {
            actuator: Capability::new("actuator:pump:main").unwrap(),
            operation: "start".to_owned(),
            parameters: BTreeMap::from([(FOR_S.to_owned(), Value::Number(600.0))]),
        };
        let entry = |at_ms, state: &str| StoryEntry {
            at_ms,
            state: state.to_owned(),
            words: "so it is".to_owned(),
            code: None,
        };
        let now = state.name();
        ProposalReport {
            slot: 0,
            id: ProposalId([1; 32]),
            maker: Maker::person(NodeId([1; 32]), OperatorId([1; 32])),
            steps: vec![step.clone()],
            reason: "dry".to_owned(),
            made: Hlc { wall_ms: 1, logical: 0 },
            story: vec![entry(1, "draft"), entry(BEGUN_MS, now), entry(BEGUN_MS + 5_000, now)],
            offer: matches!(state, State::AwaitingApproval { .. }).then(|| Offer {
                mesh: MeshId::of_name("farm"),
                owner: NodeId([1; 32]),
                site: ContentHash([1; 32]),
                policy: ContentHash([1; 32]),
                proposal: ProposalId([1; 32]),
                card: ContentHash([1; 32]),
                nonce: [1; 32],
                level: Level::L3,
                steps: vec![step],
                expires_after_ms: 300_000,
            }),
            state,
            card: None,
            approved_by: Vec::new(),
            blocked: None,
        }
    }

    fn words(report: &ProposalReport, dies_in_ms: Option<u64>) -> (String, Option<u64>) {
        let waiting = waiting(report, BEGUN_MS + 20_000, dies_in_ms, Some(7)).unwrap();
        assert_eq!(waiting.home_silent_ms, Some(7));
        (waiting.what, waiting.left_ms)
    }

    #[test]
    fn people_who_hold_it_and_sensors_are_waited_for_and_what_has_ended_waits_for_nothing() {
        let round = Round::FIRST;
        let awaiting = report(State::AwaitingApproval { round });
        assert_eq!(words(&awaiting, None), ("the yes of 2 people".to_owned(), Some(280_000)));
        assert_eq!(words(&awaiting, Some(9)).1, Some(9), "its home knows best");
        let half = ProposalReport { approved_by: vec![OperatorId([2; 32])], ..awaiting.clone() };
        assert_eq!(words(&half, None).0, "the yes of one more person");
        let held = ProposalReport { blocked: Some("Bo holds it: mud".to_owned()), ..awaiting };
        assert_eq!(words(&held, None).0, "its release: Bo holds it: mud");
        for (state, what, left_ms) in [
            (State::Simulating { round }, "its simulation", None),
            (State::Approved { round }, "the gate of its owner", None),
            (State::Dispatched, "its driver to take it", None),
            (State::Executing { step: 0 }, "its end", Some(580_000)),
            (State::Verifying, "a sensor to confirm it", None),
        ] {
            assert_eq!(words(&report(state), None), (what.to_owned(), left_ms));
        }
        for ended in [State::Completed, State::Expired, State::Cancelled { by: By::Node(NodeId([1; 32])) }] {
            assert_eq!(waiting(&report(ended), BEGUN_MS, None, None), None);
        }
    }
}
