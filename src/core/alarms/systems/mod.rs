//! Systems of alarms: what people did, what is the case, what is to be kept.
//! Reads and writes as `alarms` says.
//! Invariant: an alarm changes only through the book.
//! Not here: rules.

mod conditions;
mod keeping;

pub(super) use keeping::{date_flags, handle_alarms, keep_alarms, raise_alarms};
