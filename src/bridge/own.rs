//! Inputs of the bridge itself on their way into the inbox: kept in order while it is full, never many.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use clawmesh_core::intake::{InboxHandle, InputBody, LinkState, SourceId};

/// Inputs that may wait for a place in the inbox.
const WAITING_MAX: usize = 1_024;

/// The queue before the inbox.
#[derive(Debug)]
pub struct OwnInputs {
    inbox: InboxHandle,
    waiting: Mutex<VecDeque<InputBody>>,
}

impl OwnInputs {
    /// An empty queue before `inbox`.
    pub fn new(inbox: InboxHandle) -> Self {
        Self { inbox, waiting: Mutex::default() }
    }

    /// Offers an input; false when too many are waiting, then the caller keeps it.
    #[must_use]
    pub fn offer(&self, body: InputBody) -> bool {
        let mut waiting = self.lock();
        let is_room = waiting.len() < WAITING_MAX;
        if is_room {
            waiting.push_back(body);
        }
        self.push(&mut waiting);
        is_room
    }

    /// Offers a state of the link. Of those that wait in a row only the newest is told: there is always room.
    pub fn offer_link(&self, state: LinkState) {
        let mut waiting = self.lock();
        if matches!(waiting.back(), Some(InputBody::LinkChanged(_))) {
            waiting.pop_back();
        }
        waiting.push_back(InputBody::LinkChanged(state));
        self.push(&mut waiting);
    }

    /// How many more may be offered now.
    pub fn room(&self) -> usize {
        WAITING_MAX.saturating_sub(self.lock().len())
    }

    /// Tries those again that found the inbox full.
    pub fn retry(&self) {
        self.push(&mut self.lock());
    }

    fn push(&self, waiting: &mut VecDeque<InputBody>) {
        while let Some(body) = waiting.front() {
            if self.inbox.offer_own(SourceId::Bridge, body.clone(), None).is_err() {
                return;
            }
            waiting.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<InputBody>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clawmesh_authority::NodeId;
    use clawmesh_core::intake::{InboxLimits, doors};

    fn appeared(n: u8) -> InputBody {
        InputBody::PeerAppeared(NodeId([n; 32]))
    }

    #[test]
    fn a_full_inbox_keeps_them_waiting_in_order_and_boundedly() {
        let (handle, inboxes) = doors(InboxLimits { state_inputs_max: 1, ..InboxLimits::default() });
        let own = OwnInputs::new(handle);
        for n in 0..3 {
            assert!(own.offer(appeared(n)));
        }
        own.offer_link(LinkState::Connecting);
        own.offer_link(LinkState::Failed { sentence: "newest".to_owned() });
        let mut bodies = Vec::new();
        for _ in 0..9 {
            bodies.extend(inboxes.take_state(9).into_iter().map(|(input, _)| input.body));
            own.retry();
        }
        let failed = InputBody::LinkChanged(LinkState::Failed { sentence: "newest".to_owned() });
        assert_eq!(bodies, [appeared(0), appeared(1), appeared(2), failed]);
        let taken = (0..2_000).filter(|_| own.offer(appeared(0))).count();
        assert_eq!((taken, own.room()), (WAITING_MAX + 1, 0));
    }
}
