//! The step from one state to the next.

use super::event::{Effect, Event, Verdict};
use super::state::{By, Cause, Round, State};
use crate::proposal::STEPS_MAX;
use crate::reading::TEXT_BYTES_MAX;
use crate::refusal::Code;

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transition {
    /// The proposal stands otherwise now.
    Moved {
        /// How.
        to: State,
        /// What is to be done, in this order.
        effects: Vec<Effect>,
    },
    /// The event does not apply; the state is as before.
    Ignored,
}

/// What `event` does to a proposal in `state`.
#[must_use]
pub fn step(state: &State, event: &Event) -> Transition {
    let to = if state.is_final() {
        None
    } else if state.is_running() {
        while_running(state, event)
    } else {
        called_off(event).or_else(|| before_dispatch(state, event))
    };
    match to {
        Some(to) => Transition::Moved { effects: effects(state, &to), to },
        None => Transition::Ignored,
    }
}

/// Effects follow from where it comes from and where it goes to, so that no event can forget one.
fn effects(from: &State, to: &State) -> Vec<Effect> {
    let mut effects = Vec::new();
    let was_asked = matches!(from, State::Simulating { .. } | State::AwaitingApproval { .. });
    let goes_on = matches!(to, State::AwaitingApproval { .. } | State::Approved { .. });
    if let Some(round) = from.round().filter(|_| was_asked && !goes_on) {
        effects.push(Effect::VoidOffer { round });
    }
    if from.is_running() && !to.is_running() && *to != State::Completed {
        effects.push(Effect::Safe);
    }
    match to {
        State::Simulating { round } => effects.push(Effect::Simulate { round: *round }),
        State::AwaitingApproval { round } => effects.push(Effect::Offer { round: *round }),
        State::Dispatched => effects.push(Effect::Dispatch),
        State::Executing { step } if *step > 0 => effects.push(Effect::NextStep { step: *step }),
        _ => {}
    }
    effects.push(Effect::Publish);
    effects
}

/// What ends everything that does not run.
fn called_off(event: &Event) -> Option<State> {
    match event {
        Event::Stopped => Some(State::Cancelled { by: By::Stop }),
        Event::WaitedTooLong => Some(State::Expired),
        Event::Withdrawn { by } | Event::Cancelled { by } => Some(State::Cancelled { by: *by }),
        _ => None,
    }
}

fn before_dispatch(state: &State, event: &Event) -> Option<State> {
    if let (State::Draft, Event::Admitted) = (state, event) {
        return Some(State::Simulating { round: Round::FIRST });
    }
    let round = state.round()?;
    if named_round(event).is_some_and(|named| named != round) {
        return None;
    }
    match state {
        State::Simulating { .. } => match event {
            Event::Simulated { verdict: Verdict::Pass | Verdict::Caution, .. } => {
                Some(State::AwaitingApproval { round })
            }
            Event::Simulated { verdict: Verdict::Veto, .. } => Some(State::Vetoed),
            Event::SimulationFailed { .. } => Some(State::Failed { cause: Cause::NotSimulated }),
            Event::DriftedPastTolerance => Some(State::Stale { round }),
            Event::Restarted => Some(simulated_again(round)),
            Event::GateRefused { code, sentence } => Some(refused(*code, sentence)),
            _ => None,
        },
        State::AwaitingApproval { .. } => match event {
            Event::Approved { .. } => Some(State::Approved { round }),
            Event::Rejected { by, why, .. } => {
                Some(State::Rejected { by: *by, why: why.as_deref().map(bounded) })
            }
            Event::OfferExpired { .. } => Some(State::Expired),
            Event::DriftedPastTolerance => Some(State::Stale { round }),
            Event::Restarted => Some(simulated_again(round)),
            _ => None,
        },
        State::Approved { .. } => match event {
            Event::Dispatched { .. } => Some(State::Dispatched),
            Event::OfferExpired { .. } => Some(State::Expired),
            Event::DriftedPastTolerance | Event::Restarted => Some(State::Stale { round }),
            Event::GateRefused { code, sentence } => Some(refused(*code, sentence)),
            _ => None,
        },
        State::Stale { .. } if *event == Event::TakenUp => Some(simulated_again(round)),
        _ => None,
    }
}

/// The simulation or offer that an event answers.
fn named_round(event: &Event) -> Option<Round> {
    match event {
        Event::Simulated { round, .. }
        | Event::SimulationFailed { round }
        | Event::Approved { round }
        | Event::Rejected { round, .. }
        | Event::OfferExpired { round }
        | Event::Dispatched { round } => Some(*round),
        _ => None,
    }
}

fn simulated_again(round: Round) -> State {
    round.next().map_or(State::Expired, |round| State::Simulating { round })
}

fn while_running(state: &State, event: &Event) -> Option<State> {
    if let Event::Cancelled { by } = event {
        return Some(State::Cancelled { by: *by });
    }
    if let Some(cause) = cause_of_failure(state, event) {
        return Some(State::Failed { cause });
    }
    match (state, event) {
        (State::Dispatched, Event::Acknowledged) => Some(State::Executing { step: 0 }),
        (State::Executing { step }, Event::StepEnded { step: ended, is_last }) if step == ended => {
            let is_last = *is_last || usize::from(*step) + 1 >= STEPS_MAX;
            Some(if is_last { State::Verifying } else { State::Executing { step: step + 1 } })
        }
        (State::Verifying, Event::Verified) => Some(State::Completed),
        _ => None,
    }
}

fn cause_of_failure(state: &State, event: &Event) -> Option<Cause> {
    match event {
        Event::Stopped => Some(Cause::StopLatched),
        Event::Restarted | Event::OutcomeUnknown => Some(Cause::OutcomeUnknown),
        Event::InterlockOpened => Some(Cause::Interlock),
        Event::EnvelopeLeft => Some(Cause::Envelope),
        Event::PolicyChanged => Some(Cause::Policy),
        Event::AuthorityLost => Some(Cause::Authority),
        Event::LeaseLost => Some(Cause::LeaseLost),
        Event::Diverged => Some(Cause::Divergence),
        Event::LocalControlTaken => Some(Cause::LocalControl),
        Event::DriverRefused { text } => Some(Cause::Driver(bounded(text))),
        Event::GateRefused { code, sentence } => {
            Some(Cause::Refused { code: *code, sentence: bounded(sentence) })
        }
        // A step after the first has to be taken too.
        Event::AcknowledgementTimedOut if *state != State::Verifying => Some(Cause::NotAcknowledged),
        // Also while it runs, so that what no sensor shows ends before its time is over.
        Event::VerificationTimedOut if *state != State::Dispatched => Some(Cause::Unverified),
        Event::Contradicted if *state != State::Dispatched => Some(Cause::Contradicted),
        _ => None,
    }
}

fn refused(code: Code, sentence: &str) -> State {
    State::Failed { cause: Cause::Refused { code, sentence: bounded(sentence) } }
}

/// The beginning of a text that came from outside.
fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::state::ROUNDS_MAX;
    use super::super::state::tests::{bo, every_state};
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    const R: Round = Round::FIRST;

    /// One of each, in the order of the enum; verdicts and last steps in all their kinds.
    fn every_event(round: Round) -> Vec<Event> {
        let by = By::Person(bo());
        let mut events: Vec<Event> = [Verdict::Pass, Verdict::Caution, Verdict::Veto]
            .map(|verdict| Event::Simulated { round, verdict })
            .into();
        events.insert(0, Event::Admitted);
        events.extend([
            Event::SimulationFailed { round },
            Event::Approved { round },
            Event::Rejected { round, by: bo(), why: Some("not today".to_owned()) },
            Event::OfferExpired { round },
            Event::DriftedPastTolerance,
            Event::TakenUp,
            Event::Dispatched { round },
            Event::Acknowledged,
            Event::AcknowledgementTimedOut,
            Event::DriverRefused { text: "coil 3 is open".to_owned() },
            Event::OutcomeUnknown,
            Event::StepEnded { step: 0, is_last: false },
            Event::StepEnded { step: 0, is_last: true },
            Event::Verified,
            Event::Contradicted,
            Event::VerificationTimedOut,
            Event::InterlockOpened,
            Event::EnvelopeLeft,
            Event::PolicyChanged,
            Event::AuthorityLost,
            Event::LeaseLost,
            Event::Diverged,
            Event::LocalControlTaken,
            Event::GateRefused { code: Code::InterlockOpen, sentence: "it is low".to_owned() },
            Event::Stopped,
            Event::Restarted,
            Event::WaitedTooLong,
            Event::Withdrawn { by },
            Event::Cancelled { by },
        ]);
        events
    }

    fn after(state: &State, event: &Event) -> Option<State> {
        match step(state, event) {
            Transition::Moved { to, .. } => Some(to),
            Transition::Ignored => None,
        }
    }

    fn named(state: &State) -> String {
        match state {
            State::Failed { cause: Cause::Driver(_) } => "failed (Driver)".to_owned(),
            State::Failed { cause: Cause::Refused { .. } } => "failed (Refused)".to_owned(),
            State::Failed { cause } => format!("failed ({cause:?})"),
            State::Cancelled { by: By::Stop } => "cancelled (Stop)".to_owned(),
            State::Executing { step } => format!("executing (step {step})"),
            State::Simulating { round } => format!("simulating (round {})", round.0),
            other => other.name().to_owned(),
        }
    }

    fn named_event(event: &Event) -> String {
        match event {
            Event::Simulated { verdict, .. } => format!("Simulated ({verdict:?})"),
            Event::StepEnded { is_last: true, .. } => "StepEnded (last)".to_owned(),
            other => format!("{other:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
        }
    }

    fn named_effects(effects: &[Effect]) -> String {
        let name = |effect: &Effect| format!("{effect:?}").split(' ').next().unwrap_or_default().to_owned();
        effects.iter().filter(|effect| **effect != Effect::Publish).map(name).collect::<Vec<_>>().join(", ")
    }

    fn table() -> String {
        let mut text =
            "\n| state | event | becomes | to be done, besides `Publish` |\n|---|---|---|---|\n".to_owned();
        let (mut moves, mut pairs) = (0, 0);
        for state in every_state() {
            for event in every_event(R) {
                pairs += 1;
                let Transition::Moved { to, effects } = step(&state, &event) else { continue };
                moves += 1;
                let effects = Some(named_effects(&effects)).filter(|names| !names.is_empty());
                let effects = effects.unwrap_or_else(|| "nothing".to_owned());
                let row = [named(&state), named_event(&event), named(&to), effects];
                writeln!(text, "| {} |", row.join(" | ")).unwrap();
            }
        }
        let ignored = pairs - moves;
        writeln!(
            text,
            "\nThe other {ignored} of {pairs} pairs of state and event are ignored; states that have ended"
        )
        .unwrap();
        text + "ignore every event.\n"
    }

    #[test]
    fn the_table_of_the_documentation_is_what_the_machine_does() {
        let table = table();
        assert_eq!(include_str!("table.md"), table, "write this into table.md:\n{table}");
    }

    #[test]
    fn a_plan_of_two_steps_runs_from_draft_to_completed() {
        let story = [
            (Event::Admitted, "Simulate"),
            (Event::Simulated { round: R, verdict: Verdict::Caution }, "Offer"),
            (Event::Approved { round: R }, ""),
            (Event::Dispatched { round: R }, "Dispatch"),
            (Event::Acknowledged, ""),
            (Event::StepEnded { step: 0, is_last: false }, "NextStep"),
            (Event::StepEnded { step: 1, is_last: true }, ""),
            (Event::Verified, ""),
        ];
        let mut state = State::Draft;
        for (event, expected) in story {
            let Transition::Moved { to, effects } = step(&state, &event) else { panic!("{state} {event:?}") };
            assert_eq!(named_effects(&effects), expected, "{state}");
            state = to;
        }
        assert_eq!(state, State::Completed);
    }

    #[test]
    fn an_answer_to_another_round_is_late_and_the_same_for_this_round_counts() {
        for state in every_state().iter().filter(|state| state.round().is_some()) {
            let (now, other) = (every_event(R), every_event(Round(2)));
            for (event, late) in now.iter().zip(&other).filter(|(event, _)| named_round(event).is_some()) {
                assert_eq!(after(state, late), None, "{state} {late:?}");
                let is_answer_to = match state {
                    State::Simulating { .. } => {
                        matches!(event, Event::Simulated { .. } | Event::SimulationFailed { .. })
                    }
                    State::AwaitingApproval { .. } => {
                        matches!(
                            event,
                            Event::Approved { .. } | Event::Rejected { .. } | Event::OfferExpired { .. }
                        )
                    }
                    State::Approved { .. } => {
                        matches!(event, Event::Dispatched { .. } | Event::OfferExpired { .. })
                    }
                    _ => false,
                };
                assert_eq!(after(state, event).is_some(), is_answer_to, "{state} {event:?}");
            }
        }
    }

    #[test]
    fn a_step_that_ended_twice_moves_on_once() {
        let ended = Event::StepEnded { step: 0, is_last: false };
        let next = after(&State::Executing { step: 0 }, &ended).unwrap();
        assert_eq!(next, State::Executing { step: 1 });
        assert_eq!(after(&next, &ended), None);
        let last = State::Executing { step: 15 };
        assert_eq!(after(&last, &Event::StepEnded { step: 15, is_last: false }), Some(State::Verifying));
    }

    #[test]
    fn a_restart_never_repeats_and_never_keeps_an_approval() {
        let after_restart = |state| after(&state, &Event::Restarted);
        let again = Some(State::Simulating { round: Round(2) });
        assert_eq!(after_restart(State::Simulating { round: R }), again);
        assert_eq!(after_restart(State::AwaitingApproval { round: R }), again);
        assert_eq!(after_restart(State::Approved { round: R }), Some(State::Stale { round: R }));
        for state in [State::Dispatched, State::Executing { step: 1 }, State::Verifying] {
            let Transition::Moved { to, effects } = step(&state, &Event::Restarted) else {
                panic!("{state}")
            };
            assert_eq!(to, State::Failed { cause: Cause::OutcomeUnknown });
            assert_eq!(effects, [Effect::Safe, Effect::Publish]);
        }
    }

    #[test]
    fn a_proposal_is_given_up_when_it_was_simulated_too_often() {
        let stale = |round| State::Stale { round: Round(round) };
        let last = State::Simulating { round: Round(ROUNDS_MAX) };
        assert_eq!(after(&stale(ROUNDS_MAX - 1), &Event::TakenUp), Some(last.clone()));
        assert_eq!(after(&stale(ROUNDS_MAX), &Event::TakenUp), Some(State::Expired));
        assert_eq!(after(&last, &Event::Restarted), Some(State::Expired));
    }

    #[test]
    fn words_from_outside_are_cut_where_a_character_ends() {
        let text = "é".repeat(TEXT_BYTES_MAX);
        let refused = after(&State::Dispatched, &Event::DriverRefused { text: format!("x{text}") });
        let Some(State::Failed { cause: Cause::Driver(kept) }) = refused else { panic!("{refused:?}") };
        assert_eq!(kept.len(), TEXT_BYTES_MAX - 1);
        let why = Some(text.clone());
        let rejected =
            after(&State::AwaitingApproval { round: R }, &Event::Rejected { round: R, by: bo(), why });
        let Some(State::Rejected { why: Some(kept), .. }) = rejected else { panic!("{rejected:?}") };
        assert_eq!(kept.len(), TEXT_BYTES_MAX);
    }

    /// One thing of a random story: any event, or the one that brings a proposal on, of this round or another.
    fn stories() -> impl Strategy<Value = Vec<(u8, usize, u32)>> {
        prop::collection::vec((0_u8..4, 0_usize..every_event(R).len(), 1_u32..4), 0..60)
    }

    fn event_of(state: &State, (kind, at, round): (u8, usize, u32)) -> Event {
        let round_now = state.round().unwrap_or(R);
        if kind == 0 {
            return every_event(Round(round)).swap_remove(at);
        }
        match state {
            State::Draft => Event::Admitted,
            State::Simulating { .. } => Event::Simulated { round: round_now, verdict: Verdict::Caution },
            State::AwaitingApproval { .. } => Event::Approved { round: round_now },
            State::Approved { .. } => Event::Dispatched { round: round_now },
            State::Stale { .. } => Event::TakenUp,
            State::Dispatched => Event::Acknowledged,
            State::Executing { step } => Event::StepEnded { step: *step, is_last: at % 2 == 0 },
            _ => Event::Verified,
        }
    }

    /// What a clerk knows who sees what moved something, and every drift, stop and restart.
    #[derive(Default)]
    struct Clerk {
        card_of: Option<Round>,
        approved: Option<Round>,
        dispatches_since_approval: u32,
        was_verified: bool,
    }

    impl Clerk {
        fn sees(&mut self, event: &Event) {
            match event {
                Event::Simulated { round, verdict } => {
                    self.card_of = (*verdict != Verdict::Veto).then_some(*round);
                    self.approved = None;
                }
                Event::Approved { round } => {
                    self.approved = Some(*round);
                    self.dispatches_since_approval = 0;
                }
                Event::DriftedPastTolerance | Event::Stopped | Event::Restarted | Event::TakenUp => {
                    (self.card_of, self.approved) = (None, None);
                }
                Event::Verified => self.was_verified = true,
                _ => {}
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn no_story_dispatches_without_a_card_and_an_approval_since_the_last_drift(story in stories()) {
            let (mut state, mut clerk) = (State::Draft, Clerk::default());
            for part in story {
                let event = event_of(&state, part);
                if matches!(event, Event::DriftedPastTolerance | Event::Stopped | Event::Restarted) {
                    clerk.sees(&event);
                }
                let Transition::Moved { to, effects } = step(&state, &event) else { continue };
                clerk.sees(&event);
                let dispatches = effects.iter().filter(|effect| **effect == Effect::Dispatch).count();
                prop_assert_eq!(dispatches == 1, to == State::Dispatched);
                if dispatches > 0 {
                    clerk.dispatches_since_approval += 1;
                    prop_assert_eq!(dispatches, 1);
                    prop_assert!(clerk.approved.is_some() && clerk.approved == clerk.card_of);
                    prop_assert_eq!(clerk.dispatches_since_approval, 1);
                }
                prop_assert!(to != State::Completed || clerk.was_verified && state == State::Verifying);
                state = to;
            }
        }

        #[test]
        fn what_has_ended_stays_as_it_is(story in stories()) {
            let mut state = State::Draft;
            for part in story {
                let event = event_of(&state, part);
                let transition = step(&state, &event);
                if state.is_final() {
                    prop_assert_eq!(&transition, &Transition::Ignored);
                }
                if let Transition::Moved { to, .. } = transition {
                    state = to;
                }
            }
        }

        #[test]
        fn what_runs_and_does_not_complete_is_safed_and_nothing_else_is(story in stories()) {
            let mut state = State::Draft;
            for part in story {
                let event = event_of(&state, part);
                let Transition::Moved { to, effects } = step(&state, &event) else { continue };
                let must_safe = state.is_running() && to.is_final() && to != State::Completed;
                prop_assert_eq!(effects.contains(&Effect::Safe), must_safe, "{} {:?}", state, event);
                prop_assert_eq!(effects.last(), Some(&Effect::Publish));
                state = to;
            }
        }

        #[test]
        fn after_a_stop_nothing_is_dispatched_or_offered(before in stories(), later in stories()) {
            let mut state = State::Draft;
            for part in before {
                state = after(&state, &event_of(&state, part)).unwrap_or(state);
            }
            let stopped = step(&state, &Event::Stopped);
            match &stopped {
                Transition::Moved { effects, to } => {
                    prop_assert_eq!(effects.contains(&Effect::Safe), state.is_running());
                    state = to.clone();
                }
                Transition::Ignored => prop_assert!(state.is_final()),
            }
            for part in later {
                prop_assert_eq!(step(&state, &event_of(&state, part)), Transition::Ignored);
            }
        }

        #[test]
        fn every_offer_ends_in_an_approval_or_is_voided(story in stories()) {
            let (mut state, mut open) = (State::Draft, None);
            for part in story {
                let event = event_of(&state, part);
                let Transition::Moved { to, effects } = step(&state, &event) else { continue };
                for effect in effects {
                    match effect {
                        Effect::Simulate { round } => {
                            prop_assert_eq!(open, None);
                            open = Some(round);
                        }
                        Effect::Offer { round } => prop_assert_eq!(open, Some(round)),
                        Effect::VoidOffer { round } => prop_assert_eq!(open.take(), Some(round)),
                        _ => {}
                    }
                }
                if matches!(to, State::Approved { .. }) {
                    open = None;
                }
                let waits = matches!(to, State::Simulating { .. } | State::AwaitingApproval { .. });
                prop_assert_eq!(open.is_some(), waits);
                state = to;
            }
        }
    }
}
