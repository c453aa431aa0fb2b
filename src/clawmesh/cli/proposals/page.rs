//! Proposals as people read them: a row each, or a page about one.

use std::time::{Duration, UNIX_EPOCH};

use clawmesh_authority::{ContentHash, Maker, Mind, Offer, OperatorId, StoryEntry};
use clawmesh_core::publish::{NodeView, PersonView, ProposalView};
use clawmesh_twin::card::Verdict;

use super::offer::{CardRead, card_of};
use crate::cli::table::{age, plain, table};
use crate::cli::wording::{card, steps};

/// The last moment of the year 9999; nothing later can be written as a date.
const LAST_DATE_MS: u64 = 253_402_300_799_999;

/// One proposal with all that a page about it needs.
pub struct Look<'a> {
    /// The proposal.
    pub view: &'a ProposalView,
    /// Its card, if it has one.
    pub card: Option<&'a CardRead>,
    /// The node that was asked.
    pub node: &'a NodeView,
    /// The people it knows.
    pub people: &'a [PersonView],
    /// How old its answer is.
    pub snapshot_age_ms: u64,
    /// Now, Unix milliseconds.
    pub now_ms: u64,
}

/// Proposals as a table, in the order they come in.
pub fn rows(views: &[&ProposalView], snapshot_age_ms: u64) -> String {
    let row = |view: &&ProposalView| {
        vec![
            view.report.id.short(),
            home(view),
            view.report.state.to_string(),
            steps::in_short(&view.report.steps),
            verdict(view).to_owned(),
            waiting(view).unwrap_or_else(|| "-".to_owned()),
            copied(view, snapshot_age_ms).unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows: Vec<Vec<String>> = views.iter().map(row).collect();
    table(&["id", "home", "state", "what", "card", "waiting for", "copied"], &rows)
}

fn home(view: &ProposalView) -> String {
    view.home_name.as_deref().map_or_else(|| view.home.short(), plain)
}

fn verdict(view: &ProposalView) -> &'static str {
    match card_of(&view.report) {
        Ok(None) => "-",
        Err(_) => "unreadable",
        Ok(Some(read)) => match read.card.verdict {
            Verdict::Pass => "pass",
            Verdict::Caution => "caution",
            Verdict::Veto => "veto",
        },
    }
}

/// What it waits for, for how long yet, and whether its home is there at all.
fn waiting(view: &ProposalView) -> Option<String> {
    let waiting = view.waiting.as_ref()?;
    let ends = if view.report.state.is_running() { "it ends in" } else { "its offer dies in" };
    let left = waiting.left_ms.map(|left_ms| format!("{ends} {}", age(left_ms)));
    let silent = waiting.home_silent_ms;
    let silent = silent.map(|ms| format!("{} was not heard for {}", home(view), age(ms)));
    let parts = [Some(plain(&waiting.what)), silent, left];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// How long ago a copy was true; our own is no copy.
fn copied(view: &ProposalView, snapshot_age_ms: u64) -> Option<String> {
    (!view.is_own).then(|| format!("{} ago", age(view.age_ms.saturating_add(snapshot_age_ms))))
}

impl Look<'_> {
    /// Everything about it.
    pub fn page(&self) -> String {
        let mut parts = vec![self.head().join("\n")];
        if !self.view.report.story.is_empty() {
            parts.push(self.story());
        }
        parts.extend(self.card.map(|read| self.drawn(read)));
        parts.join("\n\n")
    }

    /// What a person has to see before they answer: what it is, what is asked, and the card.
    pub fn question(&self) -> String {
        let mut parts = vec![self.head().join("\n")];
        parts.extend(self.card.map(|read| self.drawn(read)));
        parts.join("\n\n")
    }

    fn head(&self) -> Vec<String> {
        let report = &self.view.report;
        let home = home(self.view);
        let home = match copied(self.view, self.snapshot_age_ms) {
            Some(copied) => format!("{home}, this is a copy of {copied}"),
            None => home,
        };
        let mut lines = vec![
            format!("proposal  {}", report.id),
            format!("home      {home}"),
            format!("state     {}", report.state),
            format!("made      {} by {}", moment(report.made.wall_ms), self.maker(&report.maker)),
            format!("reason    {}", plain(&report.reason)),
        ];
        let said = report.steps.iter().enumerate();
        lines.extend(said.map(|(at, step)| {
            let first = if at == 0 { "steps" } else { "" };
            format!("{first:<8}  {}  {}", at + 1, steps::step_in_short(step))
        }));
        match &report.offer {
            Some(offer) => lines.push(format!("offer     {}", asked(offer))),
            None => lines.push("offer     nobody is asked now".to_owned()),
        }
        let approved: Vec<String> = report.approved_by.iter().map(|id| self.person(id)).collect();
        let approved = if approved.is_empty() { "nobody".to_owned() } else { approved.join(", ") };
        lines.push(format!("approved  {approved}"));
        lines.extend(waiting(self.view).map(|waiting| format!("waits for {waiting}")));
        lines
    }

    fn maker(&self, maker: &Maker) -> String {
        let mind = match &maker.mind {
            Mind::Utility { name } => format!("the planner {}", plain(name)),
            Mind::Model { name, session_of: None } => format!("the model {}", plain(name)),
            Mind::Model { name, session_of: Some(person) } => {
                format!("the model {} for {}", plain(name), self.person(person))
            }
            Mind::Operator(person) => self.person(person),
        };
        let node = if maker.node == self.node.id {
            plain(&self.node.name)
        } else if maker.node == self.view.home {
            home(self.view)
        } else {
            maker.node.short()
        };
        format!("{mind} on {node}")
    }

    /// The name this node knows a person by, and the id, which nobody can take.
    fn person(&self, id: &OperatorId) -> String {
        match self.people.iter().find(|person| person.id == *id) {
            Some(person) => format!("{} ({})", plain(&person.name), id.short()),
            None => id.short(),
        }
    }

    fn story(&self) -> String {
        let row = |entry: &StoryEntry| {
            let ago = self.now_ms.checked_sub(entry.at_ms).map_or_else(|| "-".to_owned(), age);
            let code = entry.code.map_or_else(|| "-".to_owned(), |code| code.to_string());
            vec![moment(entry.at_ms), ago, plain(&entry.state), code, plain(&entry.words)]
        };
        let rows: Vec<Vec<String>> = self.view.report.story.iter().map(row).collect();
        table(&["when", "ago", "state", "code", "what happened"], &rows)
    }

    fn drawn(&self, read: &CardRead) -> String {
        let hash = read.hash.to_string();
        format!("{}\n\ncard hash  {}", card::page(&hash, &read.card), self.hash_line(read.hash))
    }

    /// The hash made anew from the bytes, and whether it is the one of the offer.
    fn hash_line(&self, hash: ContentHash) -> String {
        match &self.view.report.offer {
            None => hash.to_string(),
            Some(offer) if offer.card == hash => format!("{hash}, as in the offer"),
            Some(offer) => format!("{hash}, NOT THE ONE OF THE OFFER, which is about {}", offer.card),
        }
    }
}

fn asked(offer: &Offer) -> String {
    let people = match offer.level.approvals_needed() {
        1 => "one person has to approve".to_owned(),
        needed => format!("{needed} people have to approve"),
    };
    format!("{}, {people}; it expires {} after it was made", offer.level, age(offer.expires_after_ms))
}

/// A date and time of day, UTC.
fn moment(unix_ms: u64) -> String {
    if unix_ms > LAST_DATE_MS {
        return format!("{unix_ms} ms");
    }
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(unix_ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_no_calendar_has_is_shown_as_it_came() {
        assert_eq!(moment(0), "1970-01-01T00:00:00Z");
        assert_eq!(moment(LAST_DATE_MS), "9999-12-31T23:59:59Z");
        assert_eq!(moment(LAST_DATE_MS + 1), "253402300800000 ms");
        assert_eq!(moment(u64::MAX), "18446744073709551615 ms");
    }
}
