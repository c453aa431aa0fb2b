//! Where whoever asked waits for the answer: it leaves when the journal holds what it follows from, and not before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::{Answer, Code, ContentHash};

use crate::replay::Ticket;

/// The most askers that wait at a time.
pub const WAITING_MAX: usize = 256;

type Tell = Box<dyn FnOnce(Answer) + Send>;

/// The desk of one node. Clones share it.
#[derive(Clone, Default)]
pub struct AnswerDesk(Arc<Mutex<BTreeMap<ContentHash, Vec<Tell>>>>);

impl AnswerDesk {
    /// Waits for the answer to what is named `asked` ([`clawmesh_authority::answer::name_of_asked`]). To be called before
    /// the question is brought to the door.
    ///
    /// # Errors
    /// The closure itself, when [`WAITING_MAX`] others wait.
    pub fn wait_for<F: FnOnce(Answer) + Send + 'static>(&self, asked: ContentHash, tell: F) -> Result<(), F> {
        let mut waiting = self.lock();
        if waiting.values().map(Vec::len).sum::<usize>() >= WAITING_MAX {
            return Err(tell);
        }
        waiting.entry(asked).or_default().push(Box::new(tell));
        Ok(())
    }

    /// Forgets who waits: the question did not get in, or nobody waits any more.
    pub fn forget(&self, asked: ContentHash) {
        self.lock().remove(&asked);
    }

    /// A ticket for everybody who waits for this answer.
    pub(crate) fn tickets(&self, asked: ContentHash, answer: &Answer) -> Vec<Ticket> {
        let waiting = self.lock().remove(&asked).unwrap_or_default();
        let ticket = |tell: Tell| {
            let answer = answer.clone();
            // A ticket is for any thread; the lock only hands the closure over.
            let tell = Mutex::new(Some(tell));
            Ticket::new(move |outcome| {
                let answer = match outcome {
                    Ok(()) => answer,
                    Err(refusal) => unwritten(refusal.code, refusal.sentence),
                };
                if let Some(tell) = tell.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    tell(answer);
                }
            })
        };
        waiting.into_iter().map(ticket).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ContentHash, Vec<Tell>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for AnswerDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AnswerDesk({} wait)", self.lock().len())
    }
}

fn unwritten(code: Code, sentence: String) -> Answer {
    Answer::Refused { code, rule: "written-down".to_owned(), sentence }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::Refusal;
    use clawmesh_authority::answer::name_of_asked;
    use std::sync::mpsc;

    #[test]
    fn the_answer_comes_with_the_commit_and_a_failed_commit_is_a_refusal() {
        let desk = AnswerDesk::default();
        let answer = Answer::Taken { proposal: None, words: "done".to_owned() };
        for (outcome, expected) in [
            (Ok(()), answer.clone()),
            (
                Err(Refusal::new(Code::JournalUnavailable, "journal", "full")),
                unwritten(Code::JournalUnavailable, "full".to_owned()),
            ),
        ] {
            let (tell, told) = mpsc::channel();
            let asked = name_of_asked(b"open the gate");
            assert!(desk.wait_for(asked, move |answer| tell.send(answer).unwrap()).is_ok());
            let mut tickets = desk.tickets(asked, &answer);
            assert!(told.try_recv().is_err(), "not before the commit");
            tickets.pop().unwrap().answer(outcome);
            assert_eq!(told.recv().unwrap(), expected);
            assert!(desk.tickets(asked, &answer).is_empty(), "everybody hears it once");
        }
    }

    #[test]
    fn there_are_only_so_many_places() {
        let desk = AnswerDesk::default();
        for at in 0..WAITING_MAX {
            assert!(desk.wait_for(name_of_asked(&at.to_le_bytes()), |_| ()).is_ok());
        }
        assert!(desk.wait_for(name_of_asked(b"one more"), |_| ()).is_err());
        desk.forget(name_of_asked(&7_usize.to_le_bytes()));
        assert!(desk.wait_for(name_of_asked(b"one more"), |_| ()).is_ok());
    }
}
