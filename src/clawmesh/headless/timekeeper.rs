//! The time of a node whose clock nothing keeps: what it has agreed on with other nodes, and why it knows none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use clawmesh_bridge::Telling;
use clawmesh_core::clock::agreement::{Agreed, NotAgreed};
use clawmesh_core::clock::{BEHIND_MS_MAX, ClockView, Keeping, Round, Timekeeper};
use clawmesh_storage::{JournalError, JournalReader};

use super::guests::random_bytes;
use crate::clock_evidence;
use crate::config::epoch;
use crate::config::settings::{Clock, NodeConfig, Source};
use crate::config::state_dir::StateDir;
use crate::moments::{agree_on, agreed_base_ms, forget_the_time, is_machine_believed, look, unix_ms, up_ms};

/// 2026-01-01: no node of ours has run before.
const EARLIEST_MS: u64 = 1_767_225_600_000;
/// A later agreement that differs by less changes nothing.
const OFF_MS_MAX: u64 = 50;
/// A later agreement may differ by so much, because ways differ, and by a part of the time since the last one, because counting
/// milliseconds drifts. This node's own count is better evidence than one that differs by more.
const LEAP_MS_MIN: u64 = 1_000;
/// See [`LEAP_MS_MIN`]: 500 millionths.
const DRIFT_ONE_IN: u64 = 2_000;
/// After so long without a new agreement people are told: a count of milliseconds drifts by seconds a day.
const AGREED_WITHIN_MS: u64 = 3_600_000;

/// What a run begins with.
pub struct Beginning {
    /// What keeps the clock.
    pub kept: Keeping,
    /// True when people have said so.
    is_said: bool,
    /// Who looks for the time, unless the machine keeps it.
    pub keeper: Option<Arc<SoughtTime>>,
    /// The newest time of earlier runs, where this one does not know the time.
    pub wall_before_ms: u64,
    /// The newest time in the journal.
    pub known_before_ms: u64,
}

impl Beginning {
    /// Decides whether the clock of this machine is believed. Before anything is stamped.
    pub fn of(dir: &StateDir, config: &NodeConfig) -> anyhow::Result<Self> {
        let found_ms = newest_in_journal(dir)?;
        let is_said = config.clock.source != Source::Default;
        let look = look();
        let (kept, why) = judge(config.clock.value, look.unix_ms, found_ms);
        let Some(why) = why else {
            return Ok(Self { kept, is_said, keeper: None, wall_before_ms: 0, known_before_ms: found_ms });
        };
        tracing::warn!("{why}; until other nodes have told the time, nothing that needs it is taken");
        // Too far back in the journal, or lost with it: the last run that knew the time is numbered by it.
        let newest_ms = if found_ms > 0 { found_ms } else { epoch::last(dir)?.unwrap_or(0) };
        let not_before_ms = newest_ms.max(EARLIEST_MS);
        forget_the_time(set_to(kept, not_before_ms), look);
        let nodes_min = usize::try_from(config.clock_agrees_with.value).ok().filter(|nodes| *nodes > 0);
        let keeper = Arc::new(SoughtTime { kept, nodes_min, not_before_ms, why, state: Mutex::default() });
        // Never 0, so that a later run that does not know the time either begins after this one.
        let wall_before_ms = newest_ms.max(1);
        Ok(Self { kept, is_said, keeper: Some(keeper), wall_before_ms, known_before_ms: found_ms })
    }

    /// What other nodes are told that ask for the time: nothing where something may have restored a clock that stands behind,
    /// unless people say that it is kept.
    pub fn telling(&self) -> Arc<dyn Fn() -> Telling + Send + Sync> {
        let (kept, is_said) = (self.kept, self.is_said);
        Arc::new(move || match kept {
            Keeping::None => Telling::Never,
            Keeping::Kept | Keeping::Doubted
                if is_machine_believed() && (is_said || clock_evidence::is_there(unix_ms())) =>
            {
                Telling::Time
            }
            Keeping::Kept | Keeping::Doubted => Telling::NotYet,
        })
    }

    /// What people see of it.
    pub fn view(&self) -> Arc<dyn Fn() -> ClockView + Send + Sync> {
        let (kept, keeper) = (self.kept, self.keeper.clone());
        Arc::new(move || {
            keeper.as_ref().map_or_else(|| ClockView { kept, ..ClockView::default() }, |keeper| keeper.view())
        })
    }
}

/// The newest time in the journal. What is none yet tells none, and to make one of it, or to refuse it, is for who opens it to write.
fn newest_in_journal(dir: &StateDir) -> anyhow::Result<u64> {
    let reader = match JournalReader::open(&dir.journal_file()) {
        Ok(reader) => reader,
        Err(JournalError::NotFound { .. } | JournalError::NotAJournal { .. }) => return Ok(0),
        Err(fault) => return Err(fault.into()),
    };
    Ok(reader.newest_wall_ms()?)
}

/// What keeps the clock, and if nothing does, why its time is not believed.
fn judge(said: Clock, machine_ms: u64, newest_ms: u64) -> (Keeping, Option<String>) {
    let doubted = |why: String| (Keeping::Doubted, Some(why));
    match said {
        Clock::Believed => (Keeping::Kept, None),
        Clock::None => (Keeping::None, Some("nothing keeps the clock of this machine".to_owned())),
        Clock::Kept if machine_ms < EARLIEST_MS => {
            doubted(format!("the clock of this machine stands at {}, which cannot be", date(machine_ms)))
        }
        Clock::Kept if machine_ms.saturating_add(BEHIND_MS_MAX) < newest_ms => doubted(format!(
            "the clock of this machine stands at {}, and at {} this node has run already (if that was wrong, start it once with \
             `--clock believed`)",
            date(machine_ms),
            date(newest_ms)
        )),
        Clock::Kept => (Keeping::Kept, None),
    }
}

/// What the clock of the machine has to be set to, at least, to be believed after all; nothing where it never is.
fn set_to(kept: Keeping, not_before_ms: u64) -> Option<u64> {
    match kept {
        Keeping::Doubted => Some(not_before_ms),
        Keeping::None | Keeping::Kept => None,
    }
}

/// A node that looks for the time.
pub struct SoughtTime {
    kept: Keeping,
    nodes_min: Option<usize>,
    not_before_ms: u64,
    why: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    agreed: Agreed,
    agreed_up_ms: u64,
    fault: Option<String>,
}

impl SoughtTime {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn view(&self) -> ClockView {
        if self.is_kept() {
            return ClockView::default();
        }
        let is_unknown = unix_ms() == 0;
        let fault = if is_unknown { Some(self.why_unknown()) } else { self.lock().fault.clone() };
        ClockView { kept: self.kept, fault, is_unknown, agreed_with: self.lock().agreed.with.clone() }
    }

    /// Takes an agreement, or says why not.
    fn agreed(&self, agreed: Agreed, round: Round) -> Option<String> {
        let (base_ms, up_ms) = (agreed.base_ms, up_ms());
        let passed_ms = up_ms.saturating_sub(self.lock().agreed_up_ms);
        match agreed_base_ms().map(|ours_ms| (ours_ms, later(ours_ms, base_ms, passed_ms))) {
            None => {
                let at = date(base_ms.saturating_add(up_ms));
                tracing::info!("it is {at}, as {} nodes say", agreed.with.len());
                agree_on(base_ms);
            }
            Some((ours_ms, Later::Leaps)) if base_ms > ours_ms && is_by_most(&agreed, round) => {
                tracing::warn!("{}", followed(&agreed, ours_ms, up_ms));
                agree_on(base_ms);
            }
            Some((ours_ms, Later::Leaps)) => {
                let why = leap(&agreed, ours_ms, up_ms);
                tracing::warn!("{why}");
                self.lock().fault = Some(why.clone());
                return Some(why);
            }
            Some((_, Later::Corrects)) => agree_on(base_ms),
            Some((_, Later::Same)) => {}
        }
        *self.lock() = State { agreed, agreed_up_ms: up_ms, fault: None };
        None
    }

    fn not_agreed(&self, why: NotAgreed, round: Round) {
        let why = words(why, round);
        let mut state = self.lock();
        if !self.is_agreed() {
            state.fault = Some(why);
        } else if up_ms().saturating_sub(state.agreed_up_ms) > AGREED_WITHIN_MS {
            state.fault = Some(format!("not again for more than an hour: {why}"));
        }
    }
}

/// What a later agreement does.
#[derive(Debug, PartialEq, Eq)]
enum Later {
    Same,
    Corrects,
    /// It differs by more than this node can have lost count.
    Leaps,
}

fn later(ours_ms: u64, base_ms: u64, passed_ms: u64) -> Later {
    match ours_ms.abs_diff(base_ms) {
        ..=OFF_MS_MAX => Later::Same,
        off_ms if off_ms <= LEAP_MS_MIN + passed_ms / DRIFT_ONE_IN => Later::Corrects,
        _ => Later::Leaps,
    }
}

/// True when those who agree are most of all who could say it, and not only of those who are there: this node was agreed with by too few
/// before, or its count stood still while it slept.
fn is_by_most(agreed: &Agreed, round: Round) -> bool {
    let could_say = round.asked.saturating_sub(round.cannot_say);
    agreed.with.len() >= 2 && agreed.with.len() > could_say / 2
}

fn followed(agreed: &Agreed, ours_ms: u64, up_ms: u64) -> String {
    let [theirs, ours] = [agreed.base_ms, ours_ms].map(|base_ms| date(base_ms.saturating_add(up_ms)));
    format!(
        "{} other nodes, most of those that could say it, say that it is {theirs}, and not {ours} as this node had it; they are believed",
        agreed.with.len()
    )
}

fn leap(agreed: &Agreed, ours_ms: u64, up_ms: u64) -> String {
    let [theirs, ours] = [agreed.base_ms, ours_ms].map(|base_ms| date(base_ms.saturating_add(up_ms)));
    format!(
        "{} other nodes say now that it is {theirs}, and by what was agreed on before it is {ours}, which stays; look at the clocks \
         of those nodes, and if they are right, start this node again",
        agreed.with.len()
    )
}

impl Timekeeper for SoughtTime {
    fn up_ms(&self) -> u64 {
        up_ms()
    }

    fn nonce(&self) -> Option<[u8; 16]> {
        random_bytes()
    }

    fn not_before_ms(&self) -> u64 {
        self.not_before_ms
    }

    fn nodes_min(&self) -> Option<usize> {
        self.nodes_min
    }

    fn is_agreed(&self) -> bool {
        agreed_base_ms().is_some()
    }

    fn is_kept(&self) -> bool {
        is_machine_believed()
    }

    fn heard(&self, outcome: Result<Agreed, NotAgreed>, round: Round) -> Option<String> {
        if self.is_kept() {
            return None;
        }
        match outcome {
            Ok(agreed) => self.agreed(agreed, round),
            Err(why) => {
                self.not_agreed(why, round);
                None
            }
        }
    }

    fn why_unknown(&self) -> String {
        let state = self.lock();
        let news = state.fault.as_deref().unwrap_or("no other node has been asked yet; wait a moment");
        format!("this node does not know what time it is: {}, and {news}", self.why)
    }
}

fn words(why: NotAgreed, Round { asked, there, cannot_say, refused, .. }: Round) -> String {
    match why {
        NotAgreed::TooFew { .. } if asked == 0 => {
            "it trusts no node that could tell it; trust others whose clocks are kept".to_owned()
        }
        NotAgreed::TooFew { agree, answered, wanted } => {
            let cannot_say =
                if cannot_say == 0 { String::new() } else { format!(", {cannot_say} never can") };
            let refused = refused.map_or_else(String::new, |code| format!(", one refused: {code}"));
            format!(
                "it has agreed with {agree} of {wanted} nodes ({asked} asked, {there} of them there, {answered} said a \
                 time{cannot_say}{refused}); see that those \
                 it trusts are there, keep their clocks and trust it, or say how many are enough with `clock_agrees_with`"
            )
        }
        NotAgreed::Passed { agreed_ms, not_before_ms } => format!(
            "others say that it is {}, and it cannot be before {}; if this node's own time was wrong then, set the clock of the \
             machine and start it once with `--clock believed`",
            date(agreed_ms),
            date(not_before_ms)
        ),
    }
}

fn date(unix_ms: u64) -> String {
    match UNIX_EPOCH.checked_add(Duration::from_millis(unix_ms.min(LAST_DATE_MS))) {
        Some(time) => humantime::format_rfc3339_seconds(time).to_string(),
        None => format!("{unix_ms} ms"),
    }
}

/// 9999-12-31, the last date that has a text.
const LAST_DATE_MS: u64 = 253_402_300_799_000;

#[cfg(test)]
mod tests {
    use clawmesh_authority::{Code, NodeId};

    use super::*;

    const T: u64 = 1_800_000_000_000;

    #[test]
    fn a_clock_that_cannot_be_right_is_not_believed_unless_somebody_says_so() {
        for (said, machine_ms, newest_ms, expected, case) in [
            (Clock::Kept, T, 0, Keeping::Kept, "new"),
            (Clock::Kept, T, T, Keeping::Kept, "in step"),
            (Clock::Kept, T - BEHIND_MS_MAX, T, Keeping::Kept, "a little behind"),
            (Clock::Kept, T - BEHIND_MS_MAX - 1, T, Keeping::Doubted, "behind what has passed"),
            (Clock::Kept, 0, 0, Keeping::Doubted, "1970"),
            (Clock::Kept, EARLIEST_MS - 1, 0, Keeping::Doubted, "before there was this software"),
            (Clock::None, T, 0, Keeping::None, "whatever it shows"),
            (Clock::Believed, T - 9_000_000, T, Keeping::Kept, "a person has looked"),
        ] {
            let (kept, why) = judge(said, machine_ms, newest_ms);
            assert_eq!((kept, why.is_none()), (expected, expected == Keeping::Kept), "{case}");
        }
        let why = judge(Clock::Kept, EARLIEST_MS, T).1.unwrap();
        assert!(why.contains("2026-01-01T00:00:00Z") && why.contains("2027-01-15T08:00:00Z"), "{why}");
    }

    #[test]
    fn one_that_leaps_after_the_first_agreement_is_not_followed_and_people_are_told() {
        const HOUR_MS: u64 = 3_600_000;
        for (ours_ms, base_ms, passed_ms, expected, case) in [
            (T, T + OFF_MS_MAX, 0, Later::Same, "ways differ"),
            (T, T + LEAP_MS_MIN, 0, Later::Corrects, "ways differ much"),
            (T + LEAP_MS_MIN, T, 0, Later::Corrects, "the same, back"),
            (T, T + LEAP_MS_MIN + 1, 0, Later::Leaps, "more than ways differ"),
            (T, T + LEAP_MS_MIN + 1_800, HOUR_MS, Later::Corrects, "drift of an hour"),
            (T, T + LEAP_MS_MIN + 1_801, HOUR_MS, Later::Leaps, "more than drift"),
            (T, T + 315_360_000_000, 24 * HOUR_MS, Later::Leaps, "a peer that stands in 2036"),
        ] {
            assert_eq!(later(ours_ms, base_ms, passed_ms), expected, "{case}");
        }
        let told = leap(&Agreed { base_ms: T + 9_000, with: Vec::new() }, T, 1_000);
        assert!(
            told.contains("2027-01-15T08:00:10Z") && told.contains("2027-01-15T08:00:01Z, which stays"),
            "{told}"
        );
        assert!(told.ends_with("start this node again"), "{told}");
    }

    #[test]
    fn only_a_clock_that_is_doubted_is_believed_once_it_was_set() {
        for (kept, expected) in [(Keeping::Kept, None), (Keeping::None, None), (Keeping::Doubted, Some(T))] {
            assert_eq!(set_to(kept, T), expected, "{kept:?}");
        }
    }

    #[test]
    fn a_leap_is_followed_where_most_of_all_who_could_say_it_agree_and_never_for_one_alone() {
        for (with, asked, cannot_say, expected) in [
            (1, 1, 0, false),
            (2, 2, 0, true),
            (2, 3, 0, true),
            (2, 4, 0, false),
            (3, 5, 0, true),
            (2, 5, 2, true),
        ] {
            let agreed = Agreed { base_ms: T, with: (0..with).map(|n| NodeId([n; 32])).collect() };
            let round = Round { asked, there: asked, cannot_say, ..Round::default() };
            assert_eq!(is_by_most(&agreed, round), expected, "{with} of {asked}, {cannot_say} never can");
        }
        let told = followed(&Agreed { base_ms: T + 9_000, with: Vec::new() }, T, 1_000);
        assert!(told.contains("2027-01-15T08:00:10Z, and not 2027-01-15T08:00:01Z"), "{told}");
    }

    #[test]
    fn a_machine_on_which_nothing_shows_that_its_clock_is_kept_tells_the_time_only_if_people_say_so() {
        let tells = |kept, is_said| {
            Beginning { kept, is_said, keeper: None, wall_before_ms: 0, known_before_ms: 0 }.telling()()
        };
        let seen = if clock_evidence::is_there(unix_ms()) { Telling::Time } else { Telling::NotYet };
        for (kept, is_said, expected) in [
            (Keeping::Kept, true, Telling::Time),
            (Keeping::Kept, false, seen),
            (Keeping::None, true, Telling::Never),
        ] {
            assert_eq!(tells(kept, is_said), expected, "{kept:?}, {is_said}");
        }
    }

    #[test]
    fn a_journal_that_is_none_yet_tells_no_time_and_hinders_no_start() {
        let (_folder, dir) = StateDir::temporary();
        assert_eq!(newest_in_journal(&dir).unwrap(), 0, "none");
        std::fs::write(dir.journal_file(), b"").unwrap();
        assert_eq!(newest_in_journal(&dir).unwrap(), 0, "empty");
    }

    #[test]
    fn why_there_is_no_time_is_one_sentence_that_says_what_to_do() {
        let too_few = NotAgreed::TooFew { agree: 1, answered: 1, wanted: 2 };
        let keeper = SoughtTime {
            kept: Keeping::None,
            nodes_min: None,
            not_before_ms: T,
            why: "nothing keeps it".to_owned(),
            state: Mutex::default(),
        };
        assert!(keeper.why_unknown().ends_with("wait a moment"), "{}", keeper.why_unknown());
        let refused = Some(Code::UntrustedPeer);
        keeper.not_agreed(too_few, Round { asked: 4, there: 2, answered: 1, cannot_say: 2, refused });
        let why = keeper.why_unknown();
        assert!(why.starts_with("this node does not know what time it is: nothing keeps it"), "{why}");
        assert!(
            why.contains(
                "1 of 2 nodes (4 asked, 2 of them there, 1 said a time, 2 never can, one refused: UNTRUSTED_PEER)"
            ),
            "{why}"
        );
        keeper.not_agreed(NotAgreed::Passed { agreed_ms: EARLIEST_MS, not_before_ms: T }, Round::default());
        let why = keeper.why_unknown();
        assert!(why.contains("2026-01-01T00:00:00Z") && why.contains("2027-01-15T08:00:00Z"), "{why}");
        keeper.not_agreed(NotAgreed::TooFew { agree: 0, answered: 0, wanted: 1 }, Round::default());
        assert!(keeper.why_unknown().contains("it trusts no node"));
    }
}
