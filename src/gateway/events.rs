//! Event streams: the newest snapshot, as fast as a page can show it and no faster.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use clawmesh_authority::Code;
use futures_util::stream::{Stream, unfold};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

use crate::answer::Fault;
use crate::feed::SnapshotFeed;
use crate::router::Shared;
use crate::status::STALLED_AFTER_MS;

/// The most streams at once.
pub(crate) const STREAMS_MAX: usize = 64;
/// The shortest time between two snapshots on one stream.
const SNAPSHOT_EVERY: Duration = Duration::from_millis(200);
/// How often a silent stream shows that it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(5);

/// One client that follows the world.
struct Follower {
    feed: SnapshotFeed,
    closing: watch::Receiver<bool>,
    next_at: Instant,
    stalled_at: Instant,
    _place: OwnedSemaphorePermit,
}

pub(crate) async fn follow(
    State(shared): State<Arc<Shared>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    let place = Arc::clone(&shared.streams).try_acquire_owned().map_err(|_| full())?;
    let follower = Follower {
        feed: shared.ports.snapshots.unseen(),
        closing: shared.closing(),
        next_at: Instant::now(),
        stalled_at: Instant::now(),
        _place: place,
    };
    let stream = unfold(follower, |mut follower| async {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}

fn full() -> Fault {
    let sentence = format!("{STREAMS_MAX} streams are open already; close a page, or try again later");
    Fault::new(StatusCode::SERVICE_UNAVAILABLE, Code::Busy.as_str(), sentence)
}

impl Follower {
    /// The next event; none when the node shuts down.
    async fn next(&mut self) -> Option<Event> {
        let mut closing = self.closing.clone();
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => None,
            event = self.next_of_feed() => event,
        }
    }

    async fn next_of_feed(&mut self) -> Option<Event> {
        sleep_until(self.next_at).await;
        loop {
            tokio::select! {
                biased;
                is_changed = self.feed.changed() => {
                    if !is_changed {
                        return None;
                    }
                    if let Some(event) = self.snapshot() {
                        return Some(event);
                    }
                }
                () = sleep_until(self.stalled_at) => {
                    if let Some(event) = self.stalled() {
                        return Some(event);
                    }
                }
            }
        }
    }

    fn snapshot(&mut self) -> Option<Event> {
        let newest = self.feed.take_newest()?;
        self.next_at = Instant::now() + SNAPSHOT_EVERY;
        Some(Event::default().event("snapshot").data(newest.json()))
    }

    /// Says that the newest snapshot is old: its ages have grown since, and a reader must know by how much.
    fn stalled(&mut self) -> Option<Event> {
        let age_ms = self.feed.newest().map(|newest| newest.age_ms());
        let is_stalled = age_ms.is_some_and(|age_ms| age_ms > STALLED_AFTER_MS);
        let pause = if is_stalled { ALIVE_EVERY } else { Duration::from_millis(STALLED_AFTER_MS) };
        self.stalled_at = Instant::now() + pause;
        let data = format!("{{\"snapshot_age_ms\":{}}}", age_ms.filter(|_| is_stalled)?);
        Some(Event::default().event("stalled").data(data))
    }
}
