//! The thread that gives the driver layer its beats.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::clock::Monotonic;
use crate::layer::{DriverPorts, Layer};
use crate::orders::Orders;

/// How often deadlines are looked at.
const BEAT: Duration = Duration::from_millis(5);

/// The running driver layer. When it ends, everything of its node is made safe.
pub struct DriverLayer {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl DriverLayer {
    /// Makes every actuator safe and begins to take orders.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(ports: DriverPorts) -> std::io::Result<(Self, Orders)> {
        let (layer, sender) = Layer::over(ports);
        let ends = Arc::<AtomicBool>::default();
        let seen = Arc::clone(&ends);
        let thread = thread::Builder::new().name("drivers".to_owned()).spawn(move || run(layer, &seen))?;
        Ok((Self { ends, thread: Some(thread) }, sender))
    }

    /// Makes everything safe and ends.
    pub fn close(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the drivers panicked");
        }
    }
}

impl Drop for DriverLayer {
    fn drop(&mut self) {
        self.end();
    }
}

fn run(mut layer: Layer, ends: &AtomicBool) {
    let clock = Monotonic::begin();
    layer.begin();
    while !ends.load(Ordering::Relaxed) {
        layer.wait(BEAT);
        layer.beat(clock.now_ms());
    }
    layer.end();
    while !layer.has_ended(clock.now_ms()) {
        thread::park_timeout(BEAT);
    }
}
