//! What must hold of everything that was asked, told and written down, however often the nodes were killed.

use std::collections::BTreeMap;

use clawmesh_authority::report::STORY_MAX;
use clawmesh_authority::transition::{Cause, State};
use clawmesh_authority::{Code, ProposalId, Setpoint};
use clawmesh_core::intake::{ActuatorReport, DriverReport, SafeBecause};
use clawmesh_core::publish::ProposalView;

use super::people::{Asked, Deed, Heard};
use super::recording::{Kept, Pages, Recording, Told};
use super::storm::{Kill, Which};

/// The order of the site.
const SAFE_ORDER: [&str; 5] = [
    "actuator:pump:pump-main-01",
    "actuator:valve:valve-food-forest",
    "actuator:valve:valve-flower",
    "actuator:valve:valve-grain",
    "actuator:valve:valve-nursery",
];
/// What a device says that is off and that nobody holds.
const OFF: ActuatorReport =
    ActuatorReport { answers: true, position: Some(Setpoint::Off), local_control: false };
/// How long before a dispatch the command center may have been killed to be missing when the pump is due.
const AWAY_MS: u64 = 10_000;

/// Where the owner was when it was killed, by what it had written down and what its plant had been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It had not read back all of its actuators.
    Starting,
    /// A proposal was simulated.
    BeforeTheCard,
    /// People were asked.
    BeforeTheYes,
    /// It was approved, and the plant was told nothing.
    BeforeTheFirstCommand,
    /// The valve was told to open, and the pump was told nothing.
    BetweenValveAndPump,
    /// Water flowed.
    Running,
    /// Its time was over.
    MadeSafe,
}

/// Every answer that the owner gave is in its journal, with what followed from it; gives how many were
/// acknowledged and how many refused.
pub fn no_answer_is_lost(asked: &[Asked], recording: &Recording, told: &[Told]) -> [usize; 2] {
    let [mut taken, mut refused] = [0; 2];
    for asked in asked {
        let row = recording.asked.get(&asked.name);
        match &asked.heard {
            Heard::Nothing => {}
            Heard::Taken => {
                let (run, row) = *row.unwrap_or_else(|| panic!("acknowledged, and in no journal: {asked:?}"));
                expect_taken(asked, run, row, recording, told);
                taken += 1;
            }
            // Whoever asks too often is sent away at the door, before the tick.
            Heard::Refused(_, rule, _) if rule == "ask.rate" => {}
            Heard::Refused(code, rule, sentence) => {
                assert!(row.is_some(), "refused by {rule} ({sentence}), and in no journal: {asked:?}");
                let Pages { askers, pages } = &recording.refused[&asked.name];
                let entered = format!("{sentence} ({rule})");
                let is_entered =
                    pages.iter().any(|(on, last)| on == code && (*last == entered || *askers > 1));
                assert!(is_entered, "the book of refusals has no {code}: {entered}, only {pages:?}");
                refused += 1;
            }
        }
    }
    [taken, refused]
}

/// What was acknowledged stands in the story of its proposal when it was written down next, and in the last one.
fn expect_taken(asked: &Asked, run: usize, row: u64, recording: &Recording, told: &[Told]) {
    let lives = recording.lives.get(&asked.proposal).unwrap_or_else(|| panic!("never kept: {asked:?}"));
    let next = lives.iter().find(|kept| kept.run == run && kept.sequence > row);
    let next = next.unwrap_or_else(|| panic!("acknowledged, and nothing was written down: {asked:?}"));
    let (state, words) = match asked.deed {
        Deed::Propose => ("simulating", "the person ".to_owned()),
        Deed::Approve => ("approved", format!("{} approves", asked.by)),
        Deed::Reject => ("rejected", format!("{} says no: ", asked.by)),
    };
    let entry = next.story.iter().rfind(|entry| entry.state == state && entry.words.starts_with(&words));
    let entry = entry.unwrap_or_else(|| panic!("{asked:?} is not in its story: {:?}", next.story));
    let last = lives.last().expect("it was written down");
    let is_told = last.story.len() == STORY_MAX || last.story.contains(entry);
    assert!(is_told, "{asked:?} is forgotten: {:?}", last.story);
    if asked.deed == Deed::Reject {
        assert!(matches!(last.state, State::Rejected { .. }), "{asked:?}: {:?}", last.state);
        assert!(told.iter().all(|told| !is_for(told, asked.proposal)), "{asked:?} ran");
    }
}

fn is_for(told: &Told, proposal: ProposalId) -> bool {
    told.by.as_ref().is_some_and(|(by, _)| *by == proposal.to_string())
}

/// What the owner shows is what it has written down.
pub fn what_is_shown_is_written_down(shown: &[ProposalView], recording: &Recording) {
    for view in shown {
        let report = &view.report;
        let is_it = |kept: &Kept| (&kept.state, &kept.story) == (&report.state, &report.story);
        let is_kept = recording.lives.get(&report.id).is_some_and(|lives| lives.iter().any(is_it));
        assert!(is_kept, "shown and never written down: {} {:?}", report.state, report.story);
    }
}

/// The plant was told each step of each proposal at most once, in all runs together, and only after its dispatch was
/// written down; whatever a journal says was carried out, the plant was told. Gives how many commands there were.
pub fn no_command_is_given_twice(recording: &Recording, told: &[Told]) -> usize {
    let mut times: BTreeMap<(&str, usize), usize> = BTreeMap::new();
    for Told { actuator, by, .. } in told {
        let Some((proposal, step)) = by else { continue };
        *times.entry((proposal, *step)).or_default() += 1;
        let lives = recording.lives.iter().find(|(id, _)| id.to_string() == *proposal);
        let (_, lives) =
            lives.unwrap_or_else(|| panic!("{actuator} was driven for {proposal}, which nobody kept"));
        assert_eq!(lives[0].proposal.steps[*step].actuator.as_str(), actuator);
        let is_dispatched =
            lives.iter().any(|kept| kept.story.iter().any(|entry| entry.state == "dispatched"));
        assert!(is_dispatched, "{actuator} was driven for {proposal} before that was written down");
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "commands that were given more than once: {twice:?}");
    for report in recording.reports.iter().flatten() {
        if let DriverReport::Carried { proposal, step } = report {
            let of = (&*proposal.to_string(), *step);
            assert_eq!(times.get(&of), Some(&1), "carried out, and the plant was not told: {of:?}");
        }
    }
    times.len()
}

/// Each run first made everything safe, in the order of the site, and read it back; only then it drove something. A run that
/// was killed at this has done the beginning of it. Gives how many runs came to the end of it.
pub fn every_start_makes_safe_in_order(recording: &Recording) -> usize {
    let whole: Vec<(&str, bool)> =
        SAFE_ORDER.iter().flat_map(|actuator| [(*actuator, false), (*actuator, true)]).collect();
    let mut runs = 0;
    for (run, reports) in recording.reports.iter().enumerate() {
        let done: Vec<(&str, bool)> = reports.iter().map_while(made_safe_or_seen).take(whole.len()).collect();
        assert!(whole.starts_with(&done), "run {run} began otherwise: {reports:?}");
        let is_cut_off = done.len() == reports.len();
        assert!(done.len() == whole.len() || is_cut_off, "run {run} was not safe before: {reports:?}");
        runs += usize::from(done.len() == whole.len());
    }
    runs
}

/// An actuator and whether it was read back (`true`) or just made safe (`false`), if a report says one of the two.
fn made_safe_or_seen(report: &DriverReport) -> Option<(&str, bool)> {
    match report {
        DriverReport::MadeSafe { actuator, because: SafeBecause::Started, proposal: None, fault: None } => {
            Some((actuator.as_str(), false))
        }
        DriverReport::Seen { actuator, seen } if *seen == OFF => Some((actuator.as_str(), true)),
        _ => None,
    }
}

/// After a restart each proposal goes on as it must: unknown if it ran, stale if it was approved, simulated anew if it
/// waited, and not at all if it had ended. Gives how many have an unknown outcome.
pub fn every_restart_leaves_what_it_must(recording: &Recording) -> usize {
    let mut unknown = 0;
    for (id, lives) in &recording.lives {
        let mut was_cut_off = false;
        for (before, after) in lives.iter().zip(&lives[1..]) {
            if before.state.is_final() {
                // Every run writes down anew what it recalls.
                let is_same = (&before.state, &before.story) == (&after.state, &after.story);
                assert!(is_same, "{id} was {} and moved on: {:?}", before.state, after.story);
                continue;
            }
            if before.run == after.run {
                continue;
            }
            let is_long = before.story.len() + 2 > STORY_MAX;
            let new = after.story.get(before.story.len()).map_or("", |entry| &entry.state);
            let is_right = match &before.state {
                state if state.is_running() => {
                    was_cut_off = true;
                    after.state == State::Failed { cause: Cause::OutcomeUnknown }
                }
                State::Approved { .. } => is_long || new == "stale",
                State::Stale { .. } => true,
                _ => is_long || ["simulating", "expired"].contains(&new),
            };
            assert!(is_right, "{id} was {} and is {}: {:?}", before.state, after.state, after.story);
        }
        let last = lives.last().expect("it was written down");
        assert!(last.state.is_final(), "{id} was left behind: {:?}", last.story);
        let is_unknown = last.state == State::Failed { cause: Cause::OutcomeUnknown };
        assert_eq!(is_unknown, was_cut_off, "{id}: {:?}", last.story);
        unknown += usize::from(is_unknown);
    }
    unknown
}

/// What ran to its end in one run of its owner is completed. The command center may be killed beside it: then only a pump
/// that was still to be started stays off, as the policy says. Gives how many were completed, and during how many of them
/// the command center was killed.
pub fn what_was_left_alone_is_completed(recording: &Recording, kills: &[Kill]) -> [usize; 2] {
    let [mut completed, mut beside] = [0; 2];
    let center_killed = |from_ms, to_ms| {
        let is_hit = |kill: &Kill| kill.which == Which::Center && (from_ms..=to_ms).contains(&kill.at_ms);
        kills.iter().any(is_hit)
    };
    for (id, lives) in &recording.lives {
        let last = lives.last().expect("it was written down");
        let dispatched = last.story.iter().rfind(|entry| entry.state == "dispatched");
        let (Some(dispatched), Some(ended)) = (dispatched, last.story.last()) else { continue };
        if last.state == State::Completed {
            completed += 1;
            beside += usize::from(center_killed(dispatched.at_ms, ended.at_ms));
            continue;
        }
        let is_unknown = last.state == State::Failed { cause: Cause::OutcomeUnknown };
        let is_away = matches!(
            &last.state,
            State::Failed { cause: Cause::Refused { code: Code::InterlockOpen, sentence } }
                if sentence.contains("no command center is heard")
        );
        let may_be_away = center_killed(dispatched.at_ms.saturating_sub(AWAY_MS), ended.at_ms);
        assert!(is_unknown || is_away && may_be_away, "{id} was not disturbed: {:?}", last.story);
    }
    [completed, beside]
}

/// How many kills hit the owner in each phase. A kill before the first row of a run is one while it starts.
pub fn phases(recording: &Recording, told: &[Told], kills: &[Kill]) -> BTreeMap<Phase, usize> {
    let runs = recording.reports.len();
    let of_field = kills.iter().filter(|kill| kill.which == Which::Field).count();
    let mut hits = BTreeMap::from([(Phase::Starting, of_field + 1 - runs)]);
    // The last run was not killed.
    for run in 0..runs - 1 {
        let is_safe =
            recording.reports[run].iter().filter_map(made_safe_or_seen).count() >= 2 * SAFE_ORDER.len();
        let open = recording.lives.iter().filter_map(|(id, lives)| {
            let kept = lives.iter().rfind(|kept| kept.run <= run).filter(|kept| kept.run == run)?;
            phase_of(*id, &kept.state, &recording.reports[run], told)
        });
        let mut phases: Vec<Phase> = if is_safe { open.collect() } else { vec![Phase::Starting] };
        phases.sort_unstable();
        phases.dedup();
        phases.into_iter().for_each(|phase| *hits.entry(phase).or_default() += 1);
    }
    hits
}

fn phase_of(id: ProposalId, state: &State, reports: &[DriverReport], told: &[Told]) -> Option<Phase> {
    let is_told = |step| told.iter().any(|told| told.by == Some((id.to_string(), step)));
    let is_over = reports.iter().any(|report| {
        matches!(report, DriverReport::MadeSafe { proposal, because: SafeBecause::TimeIsOver, .. } if *proposal == Some(id))
    });
    match state {
        State::Simulating { .. } => Some(Phase::BeforeTheCard),
        State::AwaitingApproval { .. } => Some(Phase::BeforeTheYes),
        State::Approved { .. } => Some(Phase::BeforeTheFirstCommand),
        state if !state.is_running() => None,
        _ if is_over => Some(Phase::MadeSafe),
        _ if is_told(1) => Some(Phase::Running),
        _ if is_told(0) => Some(Phase::BetweenValveAndPump),
        _ => Some(Phase::BeforeTheFirstCommand),
    }
}
