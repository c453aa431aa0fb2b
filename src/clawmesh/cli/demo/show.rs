//! The readings of the demo on the terminal: redrawn in place for a person, as plain blocks for a pipe.

use std::time::Duration;

use clawmesh_gateway::World;

use crate::cli::terminal::{height, is_watched, say};
use crate::cli::world::{sensor_table, stall, warn_of_stall};

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
        let table = sensor_table(&world.sensors, world.snapshot_age_ms);
        if self.is_watched {
            // In what is drawn: a remark between two tables would be in the way of the second.
            let remark = stall(world.snapshot_age_ms).map(|sentence| sentence + "\n").unwrap_or_default();
            say(&self.redraw(&(remark + &table), height()));
        } else {
            warn_of_stall(world.snapshot_age_ms);
            say(&format!("{table}\n"));
        }
    }

    /// Says something between two tables; the next one is drawn below it.
    pub fn tell(&mut self, text: &str) {
        self.lines = 0;
        say(text);
    }

    /// What puts `table` in the place of the last one on a terminal of this height, but for its last line end.
    fn redraw(&mut self, table: &str, height: usize) -> String {
        let clipped = clip(table, height);
        // Up over the last table, and clear to the end of the screen. A smaller terminal has fewer lines to go up.
        let up = match self.lines.min(height.saturating_sub(1)) {
            0 => String::new(),
            lines => format!("\u{1b}[{lines}A\u{1b}[J"),
        };
        self.lines = clipped.lines().count();
        // A line that wrapped around would count as one and take two.
        format!("{up}\u{1b}[?7l{clipped}\u{1b}[?7h")
    }
}

/// At most as many lines as stay in sight above the line of the cursor; the last one tells what is left off.
fn clip(table: &str, height: usize) -> String {
    let room = height.saturating_sub(1).max(2);
    let lines: Vec<&str> = table.lines().collect();
    if lines.len() <= room {
        return table.to_owned();
    }
    let (shown, left_off) = lines.split_at(room - 1);
    format!("{}\n… and {} more, which the live page shows", shown.join("\n"), left_off.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEIGHT: usize = 8;
    const WIDTH: usize = 40;

    /// A small terminal: text, line ends, going up, clearing to the end, wrapping on and off.
    struct Terminal {
        lines: Vec<String>,
        row: usize,
        wraps: bool,
    }

    impl Terminal {
        fn new() -> Self {
            Self { lines: vec![String::new()], row: 0, wraps: true }
        }

        /// The first line in sight.
        fn top(&self) -> usize {
            self.lines.len().saturating_sub(HEIGHT)
        }

        fn write(&mut self, text: &str) {
            let mut rest = text;
            while let Some(c) = rest.chars().next() {
                let after = if let Some(code) = rest.strip_prefix("\u{1b}[") {
                    let end = code.find(|c: char| c.is_ascii_alphabetic()).expect("a code has an end");
                    self.obey(&code[..end], &code[end..=end]);
                    &code[end + 1..]
                } else {
                    self.put(c);
                    &rest[c.len_utf8()..]
                };
                rest = after;
            }
        }

        fn obey(&mut self, number: &str, code: &str) {
            match (number, code) {
                (lines, "A") => {
                    let lines: usize = lines.parse().expect("a number of lines");
                    self.row = self.row.saturating_sub(lines).max(self.top());
                }
                ("", "J") => {
                    self.lines.truncate(self.row);
                    self.lines.push(String::new());
                }
                ("?7", "l") => self.wraps = false,
                ("?7", "h") => self.wraps = true,
                other => panic!("this terminal does not know {other:?}"),
            }
        }

        fn put(&mut self, c: char) {
            let is_full = self.lines[self.row].chars().count() == WIDTH;
            if c == '\n' || (is_full && self.wraps) {
                self.row += 1;
                if self.row == self.lines.len() {
                    self.lines.push(String::new());
                }
            }
            if c != '\n' && self.lines[self.row].chars().count() < WIDTH {
                self.lines[self.row].push(c);
            }
        }
    }

    fn table(rows: usize, word: &str) -> String {
        (0..rows).map(|row| format!("{word} {row}")).collect::<Vec<_>>().join("\n")
    }

    /// What stands on the terminal, and scrolled off it, after these tables were drawn below two lines.
    fn after(tables: &[String]) -> Vec<String> {
        let mut terminal = Terminal::new();
        terminal.write("The live page: http://127.0.0.1\n\n");
        let mut show = Show { lines: 0, is_watched: true };
        for table in tables {
            terminal.write(&show.redraw(table, HEIGHT));
            terminal.write("\n");
        }
        assert!(terminal.wraps, "the terminal is left as it was");
        terminal.lines
    }

    #[test]
    fn a_table_is_drawn_over_the_last_one_and_over_nothing_else() {
        for sizes in [[3, 3, 3], [1, 5, 2], [5, 1, 5]] {
            let lines = after(&sizes.map(|rows| table(rows, "reading")));
            let expected = format!("The live page: http://127.0.0.1\n\n{}\n", table(sizes[2], "reading"));
            assert_eq!(lines.join("\n"), expected, "{sizes:?}");
        }
    }

    #[test]
    fn a_table_larger_than_the_terminal_is_clipped_and_leaves_no_traces() {
        let lines = after(&[table(30, "old"), table(30, "new"), table(31, "newest")]);
        assert!(lines.iter().all(|line| !line.starts_with("old") && !line.starts_with("new ")), "{lines:?}");
        let last = &lines[lines.len() - 2];
        assert_eq!(last, "… and 25 more, which the live page shows");
    }

    #[test]
    fn a_line_wider_than_the_terminal_takes_one_line() {
        let wide = table(3, &"wide".repeat(20));
        let lines = after(&[wide.clone(), wide.clone(), wide]);
        assert_eq!(lines.len(), 2 + 3 + 1, "{lines:?}");
    }
}
