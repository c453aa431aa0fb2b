//! Systems of the world: sensors first, then the beliefs that rest on them.
//! Reads what admitted statements and our own samples say. Writes sensor and belief entities.
//! Invariant: an entity is met in one system and changed in a later one, so order never depends on luck.
//! Not here: the rules themselves (`conflict`, `freshness`).

pub(super) mod beliefs;
pub(super) mod sensors;
