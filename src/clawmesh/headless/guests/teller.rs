//! Who has come and gone, on its way to the tick: in order, and never lost while the inbox is full for a moment.

use std::time::Duration;

use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, Sender};

/// The most that waits: two for each connection there may be.
const WAITING_MAX: usize = 4_096;
/// How long to wait until a full inbox is tried again.
const AGAIN: Duration = Duration::from_millis(20);

/// Brings one piece of news after the other to the tick.
pub struct Teller(Sender<InputBody>);

impl Teller {
    /// Begins, on these tasks. It ends when the teller is dropped.
    pub fn start(inbox: InboxHandle, tasks: &Handle) -> Self {
        let (sender, mut news) = mpsc::channel::<InputBody>(WAITING_MAX);
        tasks.spawn(async move {
            while let Some(body) = news.recv().await {
                while inbox.offer_own(SourceId::Guests, body.clone(), None).is_err() {
                    tokio::time::sleep(AGAIN).await;
                }
            }
        });
        Self(sender)
    }

    /// Tells the tick, soon.
    pub fn tell(&self, body: InputBody) {
        let kind = body.kind();
        if self.0.try_send(body).is_err() {
            tracing::error!(
                "{kind} of a guest is lost: {WAITING_MAX} others wait for the tick, which stands still"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use clawmesh_authority::NodeId;
    use clawmesh_core::guests::GuestEnd;
    use clawmesh_core::intake::{InboxLimits, doors};

    use super::*;

    fn left(n: u8) -> InputBody {
        let (guest, why) = (NodeId([n; 32]), "it slept".to_owned());
        InputBody::GuestLeft { guest, why, end: GuestEnd::Ended }
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_waits_and_comes_in_order() {
        let (inbox, inboxes) = doors(InboxLimits { state_inputs_max: 1, ..InboxLimits::default() });
        let teller = Teller::start(inbox, &Handle::current());
        for n in 0..5 {
            teller.tell(left(n));
        }
        let mut told = Vec::new();
        while told.len() < 5 {
            told.extend(inboxes.take_state(9).into_iter().map(|(input, _)| input.body));
            tokio::time::sleep(AGAIN).await;
        }
        assert_eq!(told, (0..5).map(left).collect::<Vec<_>>());
    }
}
