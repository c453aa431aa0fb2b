//! A hundred kills: half at any moment, half as soon as the loop has come to where it hurts.

use std::thread;
use std::time::Duration;

use clawmesh_authority::transition::State;
use clawmesh_authority::{Decision, ProposalReport};

use rusqlite::{Connection, OpenFlags};

use super::farm::{Farm, Person, RUN_S};
use super::people::Crowd;
use super::{Dice, Place};
use crate::proposals::scene::unix_ms;
use crate::support::wait::{now, until};

/// As long as the loop may take from anywhere to anywhere else, with people who think for a moment.
const PATIENCE: Duration = Duration::from_secs(40);

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// The owner of the actuators.
    Field,
    /// The command center.
    Center,
}

/// The moment that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aim {
    /// None.
    AnyMoment,
    /// The node is just coming up.
    Starting,
    /// A proposal was taken this very moment, and the twin has not said a word about it.
    Taken,
    /// Somebody is asked.
    Offered,
    /// Somebody is saying yes.
    Yes,
    /// The dispatch was written down this very moment.
    Dispatched,
    /// The valve was told to open, the pump was told nothing.
    FirstStep,
    /// Water flows.
    BothOn,
    /// The time is over, and the valve is on its way.
    Closing,
    /// It was just completed, or has just failed.
    Ended,
}

/// How often each is aimed at. Together they are a hundred kills, as a start that is cut off takes two.
const PLAN: [(Which, Aim, usize); 14] = [
    (Which::Field, Aim::AnyMoment, 19),
    (Which::Center, Aim::AnyMoment, 19),
    (Which::Field, Aim::Starting, 3),
    (Which::Center, Aim::Starting, 1),
    (Which::Field, Aim::Taken, 8),
    (Which::Field, Aim::Offered, 5),
    (Which::Field, Aim::Yes, 3),
    (Which::Field, Aim::Dispatched, 9),
    (Which::Field, Aim::FirstStep, 8),
    (Which::Field, Aim::BothOn, 6),
    (Which::Field, Aim::Closing, 5),
    (Which::Field, Aim::Ended, 2),
    (Which::Center, Aim::Yes, 4),
    (Which::Center, Aim::BothOn, 4),
];

/// One kill.
#[derive(Debug, Clone, Copy)]
pub struct Kill {
    /// Whom it hit.
    pub which: Which,
    /// When, Unix milliseconds.
    pub at_ms: u64,
}

/// What the record of a proposal says and what it does not say yet: when it was just taken, and when the gate has just let
/// it through. A record holds the whole story so far.
const TAKEN: [&str; 2] = [" proposes: ", "the twin says"];
const LET_THROUGH: [&str; 2] = ["the gate lets it through", "is as it was told"];

/// All of them in an order of the seed.
fn plan(dice: &mut Dice) -> Vec<(Which, Aim)> {
    let mut plan: Vec<_> =
        PLAN.iter().flat_map(|(which, aim, times)| std::iter::repeat_n((*which, *aim), *times)).collect();
    for at in (1..plan.len()).rev() {
        let other = dice.within(0..at as u64 + 1);
        plan.swap(at, usize::try_from(other).expect("within the plan"));
    }
    plan
}

/// Kills and starts again; `yes` is the person who says it when that is what is aimed at.
pub fn rage(farm: &mut Farm, crowd: &Crowd, yes: &Person, dice: &mut Dice) -> Vec<Kill> {
    let mut kills = Vec::new();
    for (which, aim) in plan(dice) {
        let place = match which {
            Which::Field => &mut farm.field,
            Which::Center => &mut farm.center,
        };
        if aim == Aim::Starting {
            kills.push(hit(which, place));
        }
        thread::scope(|scope| {
            if matches!(aim, Aim::Yes | Aim::Dispatched) {
                let offer = seen(crowd, aim, |report| report.offer.clone());
                let door = &crowd.doors[usize::from(dice.within(0..2) == 1)];
                // What began earlier was not dispatched by this yes.
                let before = (aim == Aim::Dispatched).then(|| rows(place));
                scope.spawn(move || crowd.answer(door, yes, &offer, Decision::Approve));
                if let Some(rows) = before {
                    wait_for_the_journal(place, rows, LET_THROUGH, Duration::from_secs(1));
                }
            } else if aim == Aim::Taken {
                // A run first writes down anew what it recalls.
                until("the owner shows something", PATIENCE, || crowd.at_home());
                // In milliseconds the twin is done: too soon for a look at what the node shows.
                wait_for_the_journal(place, rows(place), TAKEN, PATIENCE);
            } else {
                wait_for(aim, crowd);
            }
            thread::sleep(Duration::from_millis(dice.within(and_then_ms(aim))));
            kills.push(hit(which, place));
        });
        if (which, aim) == (Which::Center, Aim::BothOn) {
            // What runs at the other node is not its business, and nobody else disturbs it.
            until("what runs has ended", PATIENCE, || {
                let known = crowd.at_home()?;
                known.iter().all(|view| !view.report.state.is_running()).then_some(())
            });
        }
    }
    kills
}

/// Kills a node and starts it again at once.
pub fn hit(which: Which, place: &mut Place) -> Kill {
    let at_ms = unix_ms();
    place.kill();
    place.start();
    Kill { which, at_ms }
}

fn wait_for(aim: Aim, crowd: &Crowd) {
    let is = |state: State| seen(crowd, aim, move |report| (report.state == state).then_some(()));
    match aim {
        // The offer itself is needed to say yes to it.
        Aim::AnyMoment | Aim::Starting | Aim::Taken | Aim::Yes | Aim::Dispatched => {}
        Aim::Offered => seen(crowd, aim, |report| report.offer.as_ref().map(drop)),
        Aim::FirstStep => is(State::Executing { step: 0 }),
        Aim::BothOn | Aim::Closing => is(State::Executing { step: 1 }),
        Aim::Ended => {
            let id = seen(crowd, aim, |report| report.state.is_running().then_some(report.id));
            seen(crowd, aim, move |report| (report.id == id && report.state.is_final()).then_some(()));
        }
    }
}

/// How many rows its journal has.
fn rows(place: &Place) -> i64 {
    let conn = journal(place);
    conn.query_row("SELECT max(sequence) FROM journal", [], |row| row.get(0))
        .expect("a node has written something")
}

/// Waits until the record of a proposal behind so many rows says the first of the words and not the second; not for ever,
/// because somebody else may have answered the offer before. The node takes a moment to see what we see.
fn wait_for_the_journal(place: &Place, rows: i64, [says, says_not]: [&str; 2], within: Duration) {
    let (conn, begun) = (journal(place), now());
    let such = "SELECT count(*) FROM journal WHERE sequence > ?1 AND kind = 'kept' \
                AND instr(record, CAST(?2 AS BLOB)) > 0 AND instr(record, CAST(?3 AS BLOB)) = 0";
    let of = rusqlite::params![rows, says, says_not];
    let is_there = || conn.query_row(such, of, |row| row.get::<_, i64>(0)).is_ok_and(|count| count > 0);
    while !is_there() && begun.elapsed() < within {
        thread::yield_now();
    }
}

/// The journal beside the node that writes it.
fn journal(place: &Place) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(place.dir.join("journal.db"), flags).expect("a node has a journal")
}

/// Looks at the owner until one of its proposals is as it should be.
fn seen<T>(crowd: &Crowd, aim: Aim, is_it: impl Fn(&ProposalReport) -> Option<T>) -> T {
    until(&format!("{aim:?}"), PATIENCE, || crowd.at_home()?.iter().find_map(|view| is_it(&view.report)))
}

/// How long after the moment, milliseconds. The picture it was seen in is up to a tenth of a second old.
fn and_then_ms(aim: Aim) -> std::ops::Range<u64> {
    // From when the pump was told to run.
    let over_ms = (RUN_S * 1_000.0) as u64 - 700;
    match aim {
        Aim::AnyMoment => 20..700,
        Aim::Starting => 5..150,
        Aim::Offered | Aim::Yes => 0..40,
        Aim::Taken | Aim::Dispatched => 0..1,
        Aim::FirstStep => 0..450,
        Aim::BothOn => 0..900,
        Aim::Closing => over_ms..over_ms + 400,
        Aim::Ended => 0..100,
    }
}
