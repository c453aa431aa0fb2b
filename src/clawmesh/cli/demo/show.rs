//! The readings of the demo on the terminal: redrawn in place for a person, as plain blocks for a pipe.

use std::time::Duration;

use clawmesh_gateway::World;

use crate::cli::terminal::{is_watched, say};
use crate::cli::world::sensor_table;

/// How often the table is drawn.
pub const PERIOD: Duration = Duration::from_secs(2);

/// Remembers how many lines it drew.
pub struct Show {
    lines: usize,
    is_watched: bool,
}

impl Show {
    /// Nothing drawn yet.
    pub fn new() -> Self {
        Self { lines: 0, is_watched: is_watched() }
    }

    /// Draws the sensors.
    pub fn update(&mut self, world: &World) {
        let table = sensor_table(&world.sensors);
        if self.is_watched && self.lines > 0 {
            // Up over the last table, and clear to the end of the screen.
            say(&format!("\u{1b}[{}A\u{1b}[J{table}", self.lines + 1));
        } else {
            say(&table);
        }
        self.lines = table.lines().count();
        if !self.is_watched {
            say("");
        }
    }
}
