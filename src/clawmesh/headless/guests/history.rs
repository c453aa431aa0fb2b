//! What has happened to this node and what followed from what, for the gateway: the memory that existing nodes are answered from.

use std::cmp::Reverse;

use clawmesh_core::mesh::Asking;
use clawmesh_gateway::{
    ChainView, Chains, EventView, Events, History, NoHistory, StepView, WantedChains, WantedEvents,
};
use clawmesh_wire::system_events::{EventKind, SystemEvent};
use clawmesh_wire::trace::Chain;
use clawmesh_wire::trust::Word as _;

use super::answers::{frame_chains, proposal_chains};
use super::host::GuestHost;
use crate::moments::unix_ms;

/// A shorter beginning of an id names nothing: too many others share it.
const BEGINNING_CHARACTERS_MIN: usize = 8;

impl History for GuestHost {
    fn events(&self, wanted: &WantedEvents) -> Result<Events, NoHistory> {
        let kind = wanted.kind.as_deref().map(kind_of).transpose().map_err(NoHistory::Unclear)?;
        let now_ms = unix_ms();
        let since_ms = wanted.within_ms.map_or(0, |within_ms| now_ms.saturating_sub(within_ms));
        let fits =
            |event: &SystemEvent| kind.is_none_or(|kind| kind == event.kind) && event.at_ms >= since_ms;
        let log = self.event_log();
        let (events, left_off) = log.newest(wanted.limit, fits);
        let events = events.into_iter().map(event_view).collect();
        Ok(Events { now_ms, total: log.len(), left_off, events })
    }

    fn chains(&self, wanted: WantedChains) -> Asking<Result<Chains, NoHistory>> {
        let looked = self.look_through(move |snapshot, own| {
            let proposals = proposal_chains(snapshot).map(|chain| (chain, true));
            let frames = frame_chains(snapshot, own).map(|chain| (chain, false));
            let frames = frames.filter(|_| !wanted.is_proposal);
            chosen(proposals.chain(frames).collect(), &wanted, unix_ms())
        });
        Box::pin(async move { looked.await.ok_or(NoHistory::Starting) })
    }
}

/// The kind of this name.
///
/// # Errors
/// A sentence that names all there are.
pub fn kind_of(text: &str) -> Result<EventKind, String> {
    EventKind::of_text(text).ok_or_else(|| {
        let known: Vec<&str> = EventKind::ALL.iter().map(|(_, text)| *text).collect();
        format!("{text:?} is no kind of event; there are {}", known.join(", "))
    })
}

fn event_view(event: &SystemEvent) -> EventView {
    EventView {
        kind: event.kind.as_str().to_owned(),
        at_ms: event.at_ms,
        sentence: event.message.clone(),
        node: event.node,
        proposal: event.task.clone(),
    }
}

/// Those that are wanted, the newest first. A whole id says all; what only begins so counts when nothing has it.
fn chosen(mut all: Vec<(Chain, bool)>, wanted: &WantedChains, now_ms: u64) -> Chains {
    if let Some(stage) = &wanted.stage {
        all.retain(|(chain, _)| chain.steps.iter().any(|step| step.stage == *stage));
    }
    if let Some(id) = &wanted.id {
        let is_whole = all.iter().any(|(chain, _)| chain.frame_id == *id);
        let is_long = id.chars().count() >= BEGINNING_CHARACTERS_MIN;
        all.retain(|(chain, _)| match is_whole {
            true => chain.frame_id == *id,
            false => is_long && chain.frame_id.starts_with(id),
        });
    }
    let total = all.len();
    all.sort_by_key(|(chain, _)| Reverse(chain.steps.last().map_or(0, |step| step.timestamp)));
    all.truncate(wanted.limit);
    Chains { now_ms, total, chains: all.into_iter().map(chain_view).collect() }
}

fn chain_view((chain, is_proposal): (Chain, bool)) -> ChainView {
    let step = |step: clawmesh_wire::trace::Step| StepView {
        stage: step.stage,
        at_ms: step.timestamp,
        node: step.device_id,
        sentence: step.note,
    };
    ChainView { id: chain.frame_id, is_proposal, steps: chain.steps.into_iter().map(step).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_wire::trace::{CREATED, INGEST, Step};

    fn chain(id: &str, at_ms: u64, stages: &[&str]) -> Chain {
        let step = |stage: &&str| Step {
            stage: (*stage).to_owned(),
            timestamp: at_ms,
            device_id: "d".to_owned(),
            note: "so".to_owned(),
        };
        Chain { frame_id: id.to_owned(), steps: stages.iter().map(step).collect() }
    }

    fn ids(wanted: &WantedChains) -> (Vec<String>, usize) {
        let all = vec![
            (chain("abcdefgh1", 5, &[CREATED, "proposal.rejected"]), true),
            (chain("abcdefgh", 1, &[INGEST]), false),
            (chain("abcdefgh2", 9, &[INGEST]), false),
            (chain("short", 7, &[INGEST]), false),
        ];
        let found = chosen(all, wanted, 10);
        (found.chains.into_iter().map(|chain| chain.id).collect(), found.total)
    }

    #[test]
    fn a_whole_id_says_all_and_a_beginning_has_eight_characters() {
        let wanted = |id: Option<&str>, stage: Option<&str>, limit| WantedChains {
            limit,
            id: id.map(str::to_owned),
            stage: stage.map(str::to_owned),
            is_proposal: false,
        };
        for (id, stage, limit, expected, total) in [
            (Some("abcdefgh"), None, 9, &["abcdefgh"][..], 1),
            (Some("short"), None, 9, &["short"], 1),
            (Some("abcdefg"), None, 9, &[], 0),
            (Some("shor"), None, 9, &[], 0),
            (None, None, 2, &["abcdefgh2", "short"], 4),
            (None, Some("proposal.rejected"), 9, &["abcdefgh1"], 1),
            (Some("abcdefgh"), Some("proposal.rejected"), 9, &["abcdefgh1"], 1),
            (None, Some("nowhere"), 9, &[], 0),
        ] {
            let (found, many) = ids(&wanted(id, stage, limit));
            assert_eq!(
                (found.iter().map(String::as_str).collect(), many),
                (expected.to_vec(), total),
                "{id:?}"
            );
        }
    }

    #[test]
    fn an_unknown_kind_is_told_with_all_there_are() {
        assert_eq!(kind_of("peer.connect"), Ok(EventKind::PeerConnect));
        let sentence = kind_of("hello").unwrap_err();
        assert!(sentence.starts_with("\"hello\" is no kind") && sentence.ends_with("shutdown"), "{sentence}");
    }
}
