//! A hundred times `kill -9`, all around the loop from the first word to the confirmed effect: no answer that was given is
//! lost, nothing is done twice, and what ran when its owner was killed has an unknown outcome.
//!
//! Both processes live on one pair of state dirs from the first kill to the last, and with the shipped policy, whose budgets
//! hold all of it: a run takes seconds instead of minutes (the one limit that is lowered here), so the water and the time
//! that an unknown outcome counts in full are small. The stand-in plant lives in the process of its field node and dies with
//! it, so a new run finds everything off. That it reads all of it back, in the order of the site, before it drives anything,
//! is checked here; that it switches off what it finds on is a test of `src/drivers`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::checks::{self, Phase};
use super::farm::{Farm, Person, expect_all_off};
use super::people::{Asked, Crowd, Heard};
use super::recording::{Recording, told};
use super::storm::{Which, hit, rage};
use super::{Dice, Place};
use crate::support::cli::{approve_on, end_of, id_of, json_on, program, run_on};
use crate::support::wait::until;

const SEED: u64 = 0x000c_1a3e_5000_0010;
const PATIENCE: Duration = Duration::from_secs(30);

/// How often each must have been hit, or the test shows nothing.
const HITS_MIN: [(Phase, usize); 7] = [
    (Phase::Starting, 2),
    (Phase::BeforeTheCard, 5),
    (Phase::BeforeTheYes, 5),
    (Phase::BeforeTheFirstCommand, 3),
    (Phase::BetweenValveAndPump, 5),
    (Phase::Running, 3),
    (Phase::MadeSafe, 2),
];

#[test]
fn a_hundred_kills_around_the_loop_lose_no_answer_and_repeat_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut farm = Farm::start(folder.path());
    let crowd = Crowd::new(farm.doors(), farm.home);
    let people = std::mem::take(&mut farm.people);
    let (yes, others) = people.split_last().unwrap();
    let mut dice = Dice(SEED);
    let mut kills = thread::scope(|scope| {
        for person in others {
            let dice = Dice(dice.roll());
            scope.spawn(|| crowd.live(person, dice));
        }
        // Even when a kill finds a node dead, the people end and the scope with them.
        let raged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            rage(&mut farm, &crowd, yes, &mut dice)
        }));
        crowd.end();
        raged.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    kills.push(hit(Which::Field, &mut farm.field));
    farm.center.node().endpoint();
    farm.field.node().endpoint();
    expect_all_off(&farm.field.dir);
    let shown = crowd.at_home().unwrap();
    assert!(
        shown.iter().all(|view| !view.report.state.is_running()),
        "something goes on by itself: {shown:?}"
    );
    let last = one_more_goes_through(&farm, &crowd, yes, &others[0]);
    let Farm { field, center, .. } = farm;
    let dirs = [field, center].map(stopped);
    let (recording, told, asked) = (Recording::of(&dirs[0]), told(&dirs[0]), crowd.asked());
    let phases = checks::phases(&recording, &told, &kills);
    eprintln!("seed {SEED:#x}: {} kills, the owner was hit so often: {phases:?}", kills.len());
    eprintln!("what people were answered: {:?}", answers(&asked));
    let [taken, refused] = checks::no_answer_is_lost(&asked, &recording, &told);
    checks::what_is_shown_is_written_down(&shown, &recording);
    let commands = checks::no_command_is_given_twice(&recording, &told);
    let starts = checks::every_start_makes_safe_in_order(&recording);
    let unknown = checks::every_restart_leaves_what_it_must(&recording);
    let [completed, beside] = checks::what_was_left_alone_is_completed(&recording, &kills);
    eprintln!(
        "{taken} acknowledged and {refused} refused, {commands} commands, {starts} whole starts; {unknown} of unknown \
         outcome, {completed} completed, {beside} of them while the command center was killed"
    );
    for (phase, hits_min) in HITS_MIN {
        let hits = phases.get(&phase).copied().unwrap_or(0);
        assert!(hits >= hits_min, "{phase:?} was hit {hits} times; the test shows too little");
    }
    let is_enough =
        taken > 50 && refused > 20 && starts > 30 && unknown >= 10 && completed >= 4 && beside >= 2;
    assert!(is_enough && kills.len() > 100, "too little was under way; the test shows nothing");
    both_replay(&dirs);
    the_safety_log_hangs_together(&dirs[0], &last, kills.len());
}

/// Every line hangs on those before it, through all the kills, and a stranger believes what was carried out last.
fn the_safety_log_hangs_together(owner: &Path, last: &str, kills: usize) {
    let log = json_on(owner, &["audit", "verify"]);
    let starts = log["starts"].as_u64().expect("a number");
    assert!(starts > 30 && starts <= kills as u64 + 1, "{log}");
    let file = owner.with_file_name("shown.audit");
    let file = file.to_str().expect("a path in UTF-8");
    json_on(owner, &["audit", "export", last, "--out", file]);
    let said = end_of(program().args(["audit", "check", file, "--node", &id_of(owner)]));
    assert!(said.code == Some(0) && said.out.ends_with("everything holds\n"), "{said:?}");
}

/// Ends a node in order; its state dir.
fn stopped(mut place: Place) -> PathBuf {
    place.node.take().expect("it was started").stop();
    place.dir
}

/// How often people heard what.
fn answers(asked: &[Asked]) -> BTreeMap<String, usize> {
    let mut answers = BTreeMap::new();
    for Asked { deed, heard, .. } in asked {
        let heard = match heard {
            Heard::Taken => "taken",
            Heard::Nothing => "nothing",
            Heard::Refused(code, ..) => code,
        };
        *answers.entry(format!("{deed:?} {heard}")).or_default() += 1;
    }
    answers
}

/// Both recordings, each with its cards, at the same time.
fn both_replay(dirs: &[PathBuf; 2]) {
    thread::scope(|scope| {
        for dir in dirs {
            scope.spawn(move || {
                let said = run_on(
                    dir,
                    &["replay", dir.to_str().expect("a path in UTF-8"), "--verify", "--resimulate"],
                );
                assert_eq!(said.code, Some(0), "seed {SEED:#x}: {said:?}");
            });
        }
    });
}

/// The loop still works: what is left is closed, and then a person proposes, another one approves, and a sensor confirms it; what
/// they did.
fn one_more_goes_through(farm: &Farm, crowd: &Crowd, who: &Person, other: &Person) -> String {
    let (dir, key) = (&farm.center.dir, other.file.to_str().expect("a path in UTF-8"));
    until("nothing is open any more", PATIENCE, || {
        let open: Vec<_> =
            crowd.at_home()?.into_iter().filter(|view| !view.report.state.is_final()).collect();
        for id in
            open.iter().filter(|view| view.report.offer.is_some()).map(|view| view.report.id.to_string())
        {
            run_on(dir, &["reject", &id, "--why", "the storm is over", "--key", key]);
        }
        open.is_empty().then_some(())
    });
    let ask =
        ["propose", "valve-food-forest=open", "pump-main-01=start", "--for", "4s", "--why", "still works"];
    let taken = until("it is taken", PATIENCE, || {
        let said = run_on(dir, &[&ask[..], &["--key", who.file.to_str()?, "--json"]].concat());
        (said.code == Some(0)).then(|| serde_json::from_str::<Value>(&said.out).ok())?
    });
    let id = taken["proposal"].as_str().expect("an id").to_owned();
    let card = until("it is offered", PATIENCE, || {
        let shown = shown_at(dir, &id)?;
        Some(shown["proposal"]["offer"]["card"].as_str()?.to_owned())
    });
    let said = approve_on(dir, &id, &card, &["--key", key]);
    assert_eq!(said.code, Some(0), "{said:?}");
    until("it is completed", PATIENCE, || {
        let shown = shown_at(dir, &id)?;
        (shown["proposal"]["state"] == "completed").then_some(())
    });
    id
}

/// One proposal as a node shows it; nothing while it knows none of this name.
fn shown_at(dir: &Path, id: &str) -> Option<Value> {
    let said = run_on(dir, &["show", id, "--json"]);
    (said.code == Some(0)).then(|| serde_json::from_str(&said.out).expect("an answer in JSON"))
}
