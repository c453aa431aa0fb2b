//! The way of wishes from the tick to the planner: bounded, and the tick never waits.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use clawmesh_authority::{Code, Refusal};
use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::planner::{Wish, Wishes};
use clawmesh_core::site::NoPlace;

/// The most wishes that wait for the planner, and the most it brings to owners at a time.
pub const WISHES_MAX: usize = 16;

/// The tick's end.
pub struct WishPort {
    queue: SyncSender<Wish>,
    inbox: InboxHandle,
}

/// The planner's end.
pub struct WishBook(pub(super) Receiver<Wish>);

/// Makes the way; the inbox is told of wishes that find no place.
pub fn wishes(inbox: InboxHandle) -> (WishPort, WishBook) {
    let (tx, rx) = sync_channel(WISHES_MAX);
    (WishPort { queue: tx, inbox }, WishBook(rx))
}

impl Wishes for WishPort {
    fn wish(&self, wish: Wish) -> Result<(), NoPlace> {
        let zone = wish.zone.clone();
        self.queue.try_send(wish).map_err(|_| {
            let sentence =
                format!("{zone}: {WISHES_MAX} other wishes wait for an answer; it is wished again later");
            let refusal = Refusal::new(Code::Busy, SourceId::Planner, sentence);
            if let Err(refusal) =
                self.inbox.offer_own(SourceId::Planner, InputBody::Refused { refusal, count: 1 }, None)
            {
                tracing::warn!("{refusal}");
            }
            NoPlace
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_core::intake::{InboxLimits, doors};

    #[test]
    fn a_wish_that_finds_no_place_is_told_at_the_door_and_the_tick_does_not_wait() {
        let (inbox, inboxes) = doors(InboxLimits::default());
        let (port, book) = wishes(inbox);
        let wish = |n: usize| super::super::scenario::wish_for(&format!("z-{n}"));
        for n in 0..WISHES_MAX {
            assert_eq!(port.wish(wish(n)), Ok(()));
        }
        assert_eq!(inboxes.take_state(9).len(), 0);
        assert_eq!(port.wish(wish(WISHES_MAX)), Err(NoPlace));
        let told = inboxes.take_state(9);
        let InputBody::Refused { refusal, count: 1 } = &told[0].0.body else { panic!("{told:?}") };
        assert_eq!(
            (refusal.code, refusal.from.as_str(), told[0].0.source),
            (Code::Busy, "planner", SourceId::Planner)
        );
        assert!(refusal.sentence.starts_with("z-16: 16 other wishes wait"), "{}", refusal.sentence);
        let taken: Vec<String> = book.0.try_iter().map(|wish| wish.zone).collect();
        assert_eq!((taken.len(), taken[0].as_str()), (WISHES_MAX, "z-0"));
    }
}
