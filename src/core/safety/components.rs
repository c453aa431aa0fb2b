//! Resources of the safety feature.

use bevy::prelude::Resource;
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::tally::RefusalBook;
use crate::intake::LinkState;

/// The book of refusals of this node.
#[derive(Resource, Debug, Clone, PartialEq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct Refusals(#[n(0)] pub RefusalBook);

/// What the tick has learned of the latch.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct StopState {
    /// Why the stop is latched, if it is.
    #[n(0)]
    pub reason: Option<String>,
    /// How often the latch had been set when the tick heard of it last.
    #[n(1)]
    pub stops: u64,
    /// When the newest stop was heard of, Unix milliseconds: no earlier word ends it.
    #[n(2)]
    pub since_ms: u64,
    /// There was a stop while the time was not known, and it has not been dated since.
    #[n(3)]
    date: Option<Missing>,
}

/// Left out of the digest where there is none, so that older journals still prove the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[cbor(index_only)]
enum Missing {
    #[n(0)]
    Date,
}

impl StopState {
    /// Somebody stopped at `wall_ms`, 0 while the time is not known. The first reason stays: what came later did not stop us.
    pub fn latch(&mut self, why: &str, wall_ms: u64) {
        self.reason.get_or_insert_with(|| why.to_owned());
        self.since_ms = self.since_ms.max(wall_ms);
        if wall_ms == 0 {
            self.date = Some(Missing::Date);
        }
    }

    /// It is `wall_ms` now. A stop of which nobody knows when it was counts as of the first moment that has a date: what was
    /// signed before it may be older than the stop, and must not end it.
    pub fn date(&mut self, wall_ms: u64) {
        if wall_ms > 0 && self.date.take().is_some() && self.reason.is_some() {
            self.since_ms = self.since_ms.max(wall_ms);
        }
    }
}

/// How the link to the mesh stands.
#[derive(Resource, Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, Encode, Decode)]
pub struct LinkStatus(#[n(0)] pub LinkState);
