//! Soil as one bucket for each zone: what comes in, what plants and sun take, what drains.
//! Reads/Writes: nothing.
//! Invariant: what a bucket gains is what came in less what went out.
//! Not here: how the water got there (`water`).

mod bucket;
mod evaporation;

pub use bucket::{Bucket, ROW_WIDTH_M};
pub use evaporation::reference_mm_per_day;
