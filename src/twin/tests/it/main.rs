//! The twin of the shipped farm, asked as a node asks it.

mod farm;
mod guarded;
mod hostile;
mod irrigation;
mod order;
mod people;
mod water;
