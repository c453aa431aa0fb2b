//! What becomes of a fault in the tick: the stop is latched, in memory first, on disk at once.

use std::sync::{Mutex, PoisonError};

use bevy::ecs::error::{BevyError, ErrorContext};

/// Faults of systems that the ticker has not seen yet. Bevy's error handler is a plain function without a place
/// of its own, so this one place is shared by the process, which runs one node.
static PENDING: Mutex<Option<String>> = Mutex::new(None);

/// Bevy's error handler in a live node: remembers the first fault of a tick.
pub fn remember(fault: BevyError, context: ErrorContext) {
    tracing::error!(system = %context, "a system of the tick failed: {fault}");
    let sentence = format!("the system {} failed: {}", context.name(), first_line(&fault.to_string()));
    PENDING.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(sentence);
}

/// The fault of the last tick, if it had one.
pub fn take() -> Option<String> {
    PENDING.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// What a panic said.
pub fn sentence_of_panic(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    format!("the tick panicked: {}", first_line(said))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
