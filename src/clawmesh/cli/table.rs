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

/// Above a thousand of these people say kilo and mega; always decimal, as on the live page.
const PREFIXES: [&str; 6] = ["", "k", "M", "G", "T", "P"];
/// Below this many seconds a time span is a measurement, not an age.
const SHORT_S: f64 = 10.0;

/// A value with its unit, in as many digits as matter; long times as hours and minutes.
pub fn quantity(value: f64, unit: Unit) -> String {
    if unit == Unit::Second && value.abs() >= SHORT_S {
        let sign = if value < 0.0 { "-" } else { "" };
        // A float to integer cast saturates: nothing here can panic.
        return format!("{sign}{}", age((value.abs() * 1_000.0) as u64));
    }
    let (scaled, prefix) = if has_prefixes(unit) { with_prefix(value) } else { (value, "") };
    format!("{} {prefix}{}", digits(scaled), symbol(unit)).trim_end().to_owned()
}

fn has_prefixes(unit: Unit) -> bool {
    matches!(unit, Unit::Byte | Unit::BytePerSecond | Unit::Hertz | Unit::Watt | Unit::WattHour)
}

fn with_prefix(value: f64) -> (f64, &'static str) {
    let mut scaled = value;
    let mut prefixes = PREFIXES.iter();
    let mut prefix = prefixes.next().copied().unwrap_or_default();
    while scaled.abs() >= 1_000.0 {
        let Some(larger) = prefixes.next() else { break };
        scaled /= 1_000.0;
        prefix = larger;
    }
    (scaled, prefix)
}

/// As many digits as matter, by the same rules as `digits` of the live page.
fn digits(number: f64) -> String {
    let size = number.abs();
    if number.fract() == 0.0 && size < 1e6 {
        // Adding zero takes the sign from a negative zero.
        return format!("{:.0}", number + 0.0);
    }
    if !(0.001..1e7).contains(&size) {
        return format!("{number:.2e}");
    }
    let after_point = if size < 1.0 {
        3
    } else if size < 100.0 {
        2
    } else {
        1
    };
    format!("{number:.after_point$}")
}

/// The unit as people write it.
fn symbol(unit: Unit) -> &'static str {
    match unit {
        Unit::One => "",
        Unit::Celsius => "°C",
        Unit::Byte => "B",
        Unit::BytePerSecond => "B/s",
        Unit::Degree => "°",
        Unit::WattPerSquareMetre => "W/m²",
        Unit::WattHour => "Wh",
        other => other.code(),
    }
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
            (12.345, Unit::Percent, "12.35 %"),
            (1_536.0, Unit::Byte, "1.54 kB"),
            (54e9, Unit::Byte, "54 GB"),
            (-2_500.0, Unit::WattHour, "-2.50 kWh"),
            (3e20, Unit::Byte, "300000 PB"),
            (512.0, Unit::BytePerSecond, "512 B/s"),
            (93_600.0, Unit::Second, "26 h 0 min"),
            (21.04, Unit::Celsius, "21.04 °C"),
            (2.21, Unit::One, "2.21"),
            (120.5, Unit::Degree, "120.5 °"),
        ] {
            assert_eq!(quantity(value, unit), text);
        }
    }

    #[test]
    fn neither_a_sign_nor_a_small_value_is_lost() {
        for (value, unit, text) in [
            (-5.0, Unit::Second, "-5 s"),
            (-0.25, Unit::Second, "-0.250 s"),
            (-90.0, Unit::Second, "-90 s"),
            (-7_200.0, Unit::Second, "-2 h 0 min"),
            (0.04, Unit::Volt, "0.040 V"),
            (0.004, Unit::Millimetre, "0.004 mm"),
            (0.000_04, Unit::Millimetre, "4.00e-5 mm"),
            (-0.000_04, Unit::Ampere, "-4.00e-5 A"),
            (23_456_789.5, Unit::Litre, "2.35e7 L"),
            (-0.0, Unit::Volt, "0 V"),
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
