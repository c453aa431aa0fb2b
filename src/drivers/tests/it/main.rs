//! What the driver layer must do whatever the tick does. Time passes here, because deadlines are kept by its own thread;
//! nothing sleeps: every wait is for something to happen.

mod allowed;
mod asked;
mod layer;
mod waiting;
mod wire;
