//! Tables and numbers as people read them.

use clawmesh_authority::Unit;

/// Rows under a head, columns padded to their widest cell, two spaces between.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(head.to_vec())];
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

/// A value with its unit; bytes in binary multiples, seconds as hours and minutes.
pub fn quantity(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Byte | Unit::BytePerSecond => {
            let per = if unit == Unit::Byte { "" } else { "/s" };
            let (scaled, prefix) = binary(value);
            let digits = usize::from(!prefix.is_empty());
            format!("{scaled:.digits$} {prefix}B{per}")
        }
        Unit::Second => age(seconds_as_ms(value)),
        Unit::One => format!("{value:.2}"),
        Unit::Celsius => format!("{value:.1} °C"),
        other => format!("{value:.1} {other}"),
    }
}

fn binary(value: f64) -> (f64, &'static str) {
    let mut scaled = value;
    for prefix in ["", "Ki", "Mi", "Gi"] {
        if scaled.abs() < 1024.0 {
            return (scaled, prefix);
        }
        scaled /= 1024.0;
    }
    (scaled, "Ti")
}

fn seconds_as_ms(seconds: f64) -> u64 {
    // A float to integer cast saturates, and NaN becomes 0: nothing here can panic.
    (seconds * 1_000.0) as u64
}

/// A time span in the two largest units that matter.
pub fn age(ms: u64) -> String {
    let s = ms / 1_000;
    match s {
        0..10 => format!("{:.1} s", ms as f64 / 1_000.0),
        10..120 => format!("{s} s"),
        120..7_200 => format!("{} min", s / 60),
        7_200..172_800 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// Text from outside, safe to print: control and bidirectional characters become visible.
pub fn plain(text: &str) -> String {
    let is_deceptive = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if is_deceptive(c) { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["pump".to_owned(), "alive".to_owned()], vec!["a".to_owned(), "lost".to_owned()]];
        assert_eq!(table(&["name", "is"], &rows), "name  is\npump  alive\na     lost");
    }

    #[test]
    fn quantities_read_as_people_say_them() {
        for (value, unit, text) in [
            (12.345, Unit::Percent, "12.3 %"),
            (1_536.0, Unit::Byte, "1.5 KiB"),
            (512.0, Unit::BytePerSecond, "512 B/s"),
            (93_600.0, Unit::Second, "26 h 0 min"),
            (21.04, Unit::Celsius, "21.0 °C"),
        ] {
            assert_eq!(quantity(value, unit), text);
        }
    }

    #[test]
    fn ages_grow_coarser() {
        for (ms, text) in [(120, "0.1 s"), (42_000, "42 s"), (600_000, "10 min"), (200_000_000, "2 d 7 h")] {
            assert_eq!(age(ms), text);
        }
    }

    #[test]
    fn text_that_plays_tricks_is_made_visible() {
        assert_eq!(plain("pump\u{202e}x\u{1b}[2J"), "pump\u{fffd}x\u{fffd}[2J");
    }
}
