//! Where whoever asked waits for the answer: it leaves when the journal holds what it follows from, and not before.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clawmesh_authority::answer::name_of_asked;
use clawmesh_authority::{Answer, AskKind, Code, ContentHash, Refusal};

use crate::intake::{InboxHandle, InputBody, SourceId};
use crate::replay::Ticket;

/// The most askers that wait at a time.
pub const WAITING_MAX: usize = 256;

type Tell = Box<dyn FnOnce(Answer) + Send>;

/// Who waits, by what was asked and in the order in which they came.
#[derive(Default)]
struct Waiting {
    by_name: BTreeMap<ContentHash, BTreeMap<u64, Tell>>,
    next: u64,
}

/// The desk of one node. Clones share it.
#[derive(Clone, Default)]
pub struct AnswerDesk(Arc<Mutex<Waiting>>);

/// The place of one who waits. To drop it is to go away: nobody else who waits for the same answer is forgotten.
#[must_use = "whoever drops the place waits no more"]
pub struct Place {
    desk: AnswerDesk,
    asked: ContentHash,
    number: u64,
}

impl AnswerDesk {
    /// Waits for the answer to what is named `asked` ([`clawmesh_authority::answer::name_of_asked`]), as long as the
    /// place is held. To be called before the question is brought to the door.
    ///
    /// # Errors
    /// The closure itself, when [`WAITING_MAX`] others wait.
    pub fn wait_for<F: FnOnce(Answer) + Send + 'static>(
        &self,
        asked: ContentHash,
        tell: F,
    ) -> Result<Place, F> {
        let mut waiting = self.lock();
        if waiting.by_name.values().map(BTreeMap::len).sum::<usize>() >= WAITING_MAX {
            return Err(tell);
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.by_name.entry(asked).or_default().insert(number, Box::new(tell));
        Ok(Place { desk: self.clone(), asked, number })
    }

    /// Brings something signed to the door of the tick, and waits for the answer as long as the place is held.
    ///
    /// # Errors
    /// `BUSY` when too many others wait, or when the door is full; nothing was taken.
    pub fn ask(
        &self,
        door: &InboxHandle,
        from: SourceId,
        kind: AskKind,
        bytes: Vec<u8>,
        tell: impl FnOnce(Answer) + Send + 'static,
    ) -> Result<Place, Refusal> {
        let place = self.wait_for(name_of_asked(&bytes), tell).map_err(|_| {
            let sentence = "too many others wait for an answer; nothing was taken, ask again in a moment";
            Refusal::new(Code::Busy, from, sentence)
        })?;
        door.offer_own(from, InputBody::Asked { kind, bytes }, None)?;
        Ok(place)
    }

    /// A ticket for everybody who waits for this answer; whoever answers, which is the tick, gives it to the journal.
    #[must_use]
    pub fn tickets(&self, asked: ContentHash, answer: &Answer) -> Vec<Ticket> {
        let waiting = self.lock().by_name.remove(&asked).unwrap_or_default();
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
        waiting.into_values().map(ticket).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.desk.lock();
        let Some(same) = waiting.by_name.get_mut(&self.asked) else { return };
        let gone = same.remove(&self.number);
        if same.is_empty() {
            waiting.by_name.remove(&self.asked);
        }
        drop(waiting);
        // What the closure holds may do anything when it goes, so it goes after the lock.
        drop(gone);
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Place({})", self.asked.short())
    }
}

impl std::fmt::Debug for AnswerDesk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AnswerDesk({} questions)", self.lock().by_name.len())
    }
}

fn unwritten(code: Code, sentence: String) -> Answer {
    Answer::Refused { code, rule: "written-down".to_owned(), sentence }
}

#[cfg(test)]
mod tests {
    use super::*;
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
            let (tell, told) = mpsc::sync_channel(2);
            let asked = name_of_asked(b"open the gate");
            let _place = desk.wait_for(asked, move |answer| tell.send(answer).unwrap()).ok().unwrap();
            let mut tickets = desk.tickets(asked, &answer);
            assert!(told.try_recv().is_err(), "not before the commit");
            tickets.pop().unwrap().answer(outcome);
            assert_eq!(told.recv().unwrap(), expected);
            assert!(desk.tickets(asked, &answer).is_empty(), "everybody hears it once");
        }
    }

    #[test]
    fn there_are_only_so_many_places_and_who_goes_away_leaves_one() {
        let desk = AnswerDesk::default();
        let wait = |name: &[u8]| desk.wait_for(name_of_asked(name), |_| ()).ok();
        let mut places: Vec<Place> = (0..WAITING_MAX).map(|at| wait(&at.to_le_bytes()).unwrap()).collect();
        assert!(wait(b"one more").is_none());
        places.pop();
        assert!(wait(b"one more").is_some());
    }

    #[test]
    fn who_goes_away_takes_nobody_along_who_waits_for_the_same() {
        let desk = AnswerDesk::default();
        let asked = name_of_asked(b"open the gate");
        let answer = Answer::Taken { proposal: None, words: "done".to_owned() };
        let (tell, told) = mpsc::sync_channel(2);
        let other = tell.clone();
        let goes = desk.wait_for(asked, move |_| tell.send("gone").unwrap()).ok().unwrap();
        let _stays = desk.wait_for(asked, move |_| other.send("here").unwrap()).ok().unwrap();
        drop(goes);
        desk.tickets(asked, &answer).into_iter().for_each(|ticket| ticket.answer(Ok(())));
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["here"]);
    }
}
