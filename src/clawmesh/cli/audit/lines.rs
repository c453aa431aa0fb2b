//! The lines of a safety log as the journal has them, each hung on the ones before it. Pure.

use clawmesh_authority::audit::{Entry, Head, Logged};
use clawmesh_core::audit::{SUBJECT, read};
use clawmesh_core::replay::Record;

/// Follows the log from record to record.
#[derive(Debug, Default)]
pub struct Following {
    head: Head,
    claimed: Option<Head>,
}

impl Following {
    /// Follows a log in which this head has to stand.
    pub fn until(claimed: Option<Head>) -> Self {
        Self { head: Head::default(), claimed }
    }

    /// The lines of a record; none of most.
    ///
    /// # Errors
    /// A sentence, when they do not hang on the lines before them, or give another head than was written down.
    pub fn take(&mut self, record: &Record) -> Result<Vec<Entry>, String> {
        let Record::Kept(kept) = record else { return Ok(Vec::new()) };
        if kept.subject != SUBJECT {
            return Ok(Vec::new());
        }
        let Logged { before, entries } = read(&kept.bytes)?;
        if before != self.head {
            let (ours, theirs) = (self.head.number, before.number);
            return Err(format!(
                "the safety log has {ours} lines that hang together, and what comes next says that it hangs on {theirs} others"
            ));
        }
        for entry in &entries {
            self.head = self.head.then(entry)?;
            if self.claimed.is_some_and(|claimed| claimed.number == self.head.number && claimed != self.head)
            {
                return Err(format!(
                    "line {} or one before it is not what it was when this head was written down",
                    self.head.number
                ));
            }
        }
        Ok(entries)
    }

    /// The head after everything that was taken.
    ///
    /// # Errors
    /// A sentence, when the log ends before the head that was written down.
    pub fn finish(self) -> Result<Head, String> {
        match self.claimed {
            Some(claimed) if claimed.number > self.head.number => Err(format!(
                "the safety log has {} lines, and {} when this head was written down; its end is missing",
                self.head.number, claimed.number
            )),
            _ => Ok(self.head),
        }
    }

    /// How far it goes by now.
    pub fn head(&self) -> Head {
        self.head
    }
}

#[cfg(test)]
pub mod tests {
    use clawmesh_authority::audit::Happened;
    use clawmesh_authority::canonical;
    use clawmesh_core::replay::KeptRecord;

    use super::*;

    /// A record with these lines.
    pub fn record(before: Head, happened: &[Happened]) -> (Head, Record) {
        let mut logged = Logged { before, entries: Vec::new() };
        for happened in happened {
            logged.push(1, 1_000, happened.clone());
        }
        let kept = KeptRecord { tick: 1, subject: SUBJECT.to_owned(), bytes: canonical::encode(&logged) };
        (logged.head().unwrap(), Record::Kept(kept))
    }

    fn log() -> (Vec<Record>, Vec<Head>) {
        let mut heads = vec![Head::default()];
        let mut records = Vec::new();
        for count in [1, 3, 2] {
            let (head, record) = record(*heads.last().unwrap(), &vec![Happened::Rearmed; count]);
            heads.push(head);
            records.push(record);
        }
        (records, heads)
    }

    fn follow(records: &[Record], claimed: Option<Head>) -> Result<Head, String> {
        let mut following = Following::until(claimed);
        records.iter().try_for_each(|record| following.take(record).map(drop))?;
        following.finish()
    }

    #[test]
    fn a_log_is_followed_and_every_head_of_it_found_again() {
        let (records, heads) = log();
        assert_eq!(follow(&records, None), Ok(heads[3]));
        for head in heads {
            assert_eq!(follow(&records, Some(head)).unwrap().number, 6);
        }
    }

    #[test]
    fn what_is_missing_or_written_anew_is_found() {
        let (records, heads) = log();
        let missing = follow(&[records[0].clone(), records[2].clone()], None).unwrap_err();
        assert!(missing.contains("has 1 lines that hang together"), "{missing}");
        let short = follow(&records[..2], Some(heads[3])).unwrap_err();
        assert!(short.contains("its end is missing"), "{short}");
        // Somebody has written another log that hangs together.
        let (_, other) = record(Head::default(), &vec![Happened::Stopped { reason: "x".to_owned() }; 6]);
        assert!(follow(std::slice::from_ref(&other), None).is_ok());
        for head in &heads[1..] {
            let anew = follow(std::slice::from_ref(&other), Some(*head)).unwrap_err();
            assert!(anew.contains("not what it was"), "{anew}");
        }
    }
}
