//! How lines hang together: the value after a line is the hash of the value before it and of the line.

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::entry::{Entry, Happened, Label};
use crate::ids::ContentHash;

/// How far a log goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Head {
    /// The number of the last line; 0 before the first.
    #[n(0)]
    pub number: u64,
    /// What stands for every line up to it.
    #[n(1)]
    pub value: ContentHash,
}

impl Default for Head {
    /// Before the first line.
    fn default() -> Self {
        Self { number: 0, value: ContentHash::of("safety-log", b"begin") }
    }
}

impl Head {
    /// The head after one more line, which is given by its hash.
    #[must_use]
    pub fn after(self, line: ContentHash) -> Self {
        let value = ContentHash::of("safety-log/link", &[self.value.0, line.0].concat());
        Self { number: self.number.saturating_add(1), value }
    }

    /// The head after this line.
    ///
    /// # Errors
    /// A sentence, when the line has another number than its place.
    pub fn then(self, entry: &Entry) -> Result<Self, String> {
        follow(self, entry.number, entry.hash())
    }
}

/// Lines that were written together, and what was before them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Logged {
    /// The head before them.
    #[n(0)]
    pub before: Head,
    /// The lines.
    #[n(1)]
    pub entries: Vec<Entry>,
}

impl Logged {
    /// Adds a line.
    pub fn push(&mut self, tick: u64, at_ms: u64, happened: Happened) -> &Entry {
        let number = self.before.number.saturating_add(self.entries.len() as u64 + 1);
        self.entries.push_mut(Entry { number, tick, at_ms, happened })
    }

    /// The head after them.
    ///
    /// # Errors
    /// A sentence, when a line has another number than its place.
    pub fn head(&self) -> Result<Head, String> {
        self.entries.iter().try_fold(self.before, Head::then)
    }
}

/// A line of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// One that is shown.
    #[n(0)]
    Shown(#[n(0)] Entry),
    /// One that is about something else.
    #[n(1)]
    Hidden {
        /// What is told of it.
        #[n(0)]
        label: Label,
        /// What stands for all else of it.
        #[n(1)]
        content: ContentHash,
    },
}

impl Line {
    /// A line that is not shown.
    #[must_use]
    pub fn hidden(entry: &Entry) -> Self {
        Self::Hidden { label: entry.label(), content: entry.content() }
    }
}

/// A part of a log without a gap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Part {
    /// The head before it.
    #[n(0)]
    pub before: Head,
    /// Its lines.
    #[n(1)]
    pub lines: Vec<Line>,
}

impl Part {
    /// The head after it.
    ///
    /// # Errors
    /// A sentence, when a line has another number than its place.
    pub fn head(&self) -> Result<Head, String> {
        self.lines.iter().try_fold(self.before, |head, line| match line {
            Line::Shown(entry) => head.then(entry),
            Line::Hidden { label, content } => follow(head, label.number, label.with(*content)),
        })
    }

    /// The lines that are shown.
    pub fn shown(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.lines.iter().filter_map(|line| match line {
            Line::Shown(entry) => Some(entry),
            Line::Hidden { .. } => None,
        })
    }

    /// What is told of the lines that are not shown.
    pub fn hidden(&self) -> impl Iterator<Item = &Label> {
        self.lines.iter().filter_map(|line| match line {
            Line::Shown(_) => None,
            Line::Hidden { label, .. } => Some(label),
        })
    }
}

fn follow(head: Head, number: u64, line: ContentHash) -> Result<Head, String> {
    let next = head.after(line);
    if number == next.number {
        return Ok(next);
    }
    Err(format!("after line {} of the safety log comes line {number}", head.number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn logged(reasons: &[String]) -> Logged {
        let mut logged = Logged::default();
        for (at, reason) in reasons.iter().enumerate() {
            logged.push(at as u64, 0, Happened::Stopped { reason: reason.clone() });
        }
        logged
    }

    fn part(logged: &Logged, is_shown: impl Fn(usize) -> bool) -> Part {
        let line = |(at, entry): (usize, &Entry)| match is_shown(at) {
            true => Line::Shown(entry.clone()),
            false => Line::hidden(entry),
        };
        Part { before: logged.before, lines: logged.entries.iter().enumerate().map(line).collect() }
    }

    #[test]
    fn a_line_with_another_number_than_its_place_is_found() {
        let mut logged = logged(&["a".to_owned(), "b".to_owned()]);
        assert_eq!(logged.head().unwrap().number, 2);
        logged.entries[1].number = 3;
        assert_eq!(logged.head().unwrap_err(), "after line 1 of the safety log comes line 3");
    }

    proptest! {
        #[test]
        fn a_part_proves_as_much_as_the_whole(
            reasons in prop::collection::vec("[a-z]{0,3}", 1..9),
            shown in any::<u16>(),
            at in any::<prop::sample::Index>(),
        ) {
            let whole = logged(&reasons);
            let head = whole.head().unwrap();
            let part = part(&whole, |at| shown >> at & 1 == 1);
            prop_assert_eq!(part.head().unwrap(), head);
            // Any one line that is changed, left out, said twice or moved gives another head.
            let at = at.index(reasons.len());
            let mut changed = whole.clone();
            changed.entries[at].happened = Happened::Rearmed;
            prop_assert_ne!(changed.head().unwrap(), head);
            let mut later = whole.clone();
            later.entries[at].at_ms += 1;
            prop_assert_ne!(later.head().unwrap(), head);
            let mut less = part.clone();
            less.lines.remove(at);
            prop_assert_ne!(less.head(), Ok(head));
            let mut more = part.clone();
            let label = Label { number: at as u64 + 1, is_about_all: false, about: None };
            more.lines.insert(at, Line::Hidden { label, content: ContentHash([0; 32]) });
            prop_assert_ne!(more.head(), Ok(head));
            let mut moved = part;
            moved.lines.rotate_left(1);
            prop_assert!(reasons.len() == 1 || moved.head() != Ok(head));
        }

        #[test]
        fn what_goes_on_from_a_head_is_one_log(reasons in prop::collection::vec("[a-z]{0,3}", 2..9), cut in 1_usize..8) {
            let whole = logged(&reasons);
            let cut = cut.min(reasons.len() - 1);
            let first = logged(&reasons[..cut]);
            let second = Logged { before: first.head().unwrap(), entries: whole.entries[cut..].to_vec() };
            prop_assert_eq!(second.head(), whole.head());
        }
    }
}
