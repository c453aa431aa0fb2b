//! A line of the safety log in words.

use std::time::{Duration, UNIX_EPOCH};

use clawmesh_authority::audit::{Entry, Happened, RefusedBy};

use crate::cli::table::plain;
use crate::config::trust_file::time_text;

/// A moment for people.
pub fn time_of(unix_ms: u64) -> String {
    match unix_ms {
        0 => "time unknown".to_owned(),
        ms => time_text(UNIX_EPOCH + Duration::from_millis(ms)),
    }
}

/// The cells of a line: number, time, about what, what happened.
pub fn row(entry: &Entry) -> Vec<String> {
    let (about, what) = told(&entry.happened);
    vec![entry.number.to_string(), time_of(entry.at_ms), about, plain(&what)]
}

fn told(happened: &Happened) -> (String, String) {
    let about = happened.proposal().map_or_else(|| "-".to_owned(), |proposal| proposal.short());
    let what = match happened {
        Happened::Started { version, epoch, .. } => format!("run {epoch} begins, version {version}"),
        Happened::Policy { policy } => format!("policy {} is in force", policy.short()),
        Happened::People { people } => {
            format!("it knows other people, or others are revoked ({})", people.short())
        }
        Happened::Revoked { key } => format!("the key of {} counts for nothing from now on", key.short()),
        Happened::Stopped { reason } => format!("STOP: {reason}"),
        Happened::Rearmed => "the stop is ended".to_owned(),
        Happened::Answered { refused: None, words, .. } => format!("answered: {words}"),
        Happened::Answered { refused: Some(RefusedBy { code, rule }), words, .. } => {
            format!("REFUSED {code} ({rule}): {words}")
        }
        Happened::Became { state, words, code, .. } => match code {
            Some(code) => format!("{state}, {code}: {words}"),
            None => format!("{state}: {words}"),
        },
        Happened::Ordered { step, actuator, setpoint, run_for_ms, .. } => match run_for_ms {
            Some(ms) => {
                format!("step {} goes to the driver: {actuator} {setpoint} for {} s", step + 1, ms / 1_000)
            }
            None => format!("step {} goes to the driver: {actuator} {setpoint}", step + 1),
        },
        Happened::Carried { step, .. } => format!("the hardware took step {}", step + 1),
        Happened::NotCarried { step, why, .. } => format!("step {} was not carried out: {why}", step + 1),
        Happened::MadeSafe { actuator, because, fault: None, .. } => format!("{actuator} is safe: {because}"),
        Happened::MadeSafe { actuator, because, fault: Some(fault), .. } => {
            format!("{actuator} is NOT shown to be safe ({because}): {fault}")
        }
        Happened::Refused { code, from, count, sentence } => match count {
            1 => format!("refused {code} of {from}: {sentence}"),
            count => format!("refused {code} of {from}, {count} times by now: {sentence}"),
        },
    };
    (about, what)
}
