//! What `config show` prints: every setting, its value and where it came from.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{NodeConfig, Setting};

/// One line of the view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The key as it is written in `node.ron`; a dot leads into a group.
    pub key: &'static str,
    /// The value.
    pub value: Value,
    /// `default`, the path of a file, or `command line`.
    pub source: String,
}

impl Row {
    fn of<T: Serialize>(key: &'static str, setting: &Setting<T>) -> Self {
        // Texts, numbers and lists of them always have a JSON form.
        let value = serde_json::to_value(&setting.value).unwrap_or_default();
        Self { key, value, source: setting.source.to_string() }
    }
}

impl NodeConfig {
    /// Every setting, in the order in which people read them.
    #[must_use]
    pub fn rows(&self) -> Vec<Row> {
        vec![
            Row::of("name", &self.name),
            Row::of("role", &self.role),
            Row::of("host", &self.host),
            Row::of("port", &self.port),
            Row::of("tls", &self.tls),
            Row::of("mesh_name", &self.mesh_name),
            Row::of("discovery", &self.discovery),
            Row::of("host_sensors", &self.host_sensors),
            Row::of("mock_sensor", &self.mock_sensor),
            Row::of("sensor_interval_ms", &self.sensor_interval_ms),
            Row::of("mock_actuator", &self.mock_actuator),
            Row::of("planner", &self.planner),
            Row::of("zenoh_mode", &self.zenoh_mode),
            Row::of("listen", &self.listen),
            Row::of("connect", &self.connect),
            Row::of("peers", &self.peers),
            Row::of("relay", &self.relay),
            Row::of("trusted", &self.trusted),
            Row::of("clock", &self.clock),
            Row::of("clock_agrees_with", &self.clock_agrees_with),
            Row::of("hz", &self.hz),
            Row::of("digest_every_ticks", &self.digest_every_ticks),
            Row::of("limits.envelopes_per_second_max", &self.envelopes_per_second_max),
        ]
    }

    /// The view for people, a line for each setting. Values are written as in `node.ron`.
    #[must_use]
    pub fn to_table(&self) -> String {
        let cells: Vec<[String; 3]> = std::iter::once(["key", "value", "source"].map(str::to_owned))
            .chain(self.rows().into_iter().map(|row| [row.key.to_owned(), row.value.to_string(), row.source]))
            .collect();
        let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (keys, values) = (width(0), width(1));
        let line = |[key, value, source]: &[String; 3]| format!("{key:keys$}  {value:values$}  {source}");
        cells.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The view for programs: `{"key": {"value": …, "source": "…"}}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let entry = |row: Row| (row.key.to_owned(), json!({ "value": row.value, "source": row.source }));
        Value::Object(self.rows().into_iter().map(entry).collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::node_file::NodeFile;
    use std::path::Path;

    fn config() -> NodeConfig {
        let command_line = NodeFile { connect: Some(vec!["tcp/a:1".into()]), ..NodeFile::default() };
        let text = "(name: \"gate\", limits: (envelopes_per_second_max: 9))";
        NodeConfig::resolve(Path::new("state/node.ron"), Some(text), command_line, "barn").unwrap()
    }

    #[test]
    fn the_table_has_a_line_for_every_setting() {
        let table = config().to_table();
        let words: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words.len(), 24);
        assert!(!table.ends_with('\n'), "whoever prints it ends the last line");
        assert_eq!(words[0], ["key", "value", "source"]);
        for expected in [
            ["name", "\"gate\"", "state/node.ron"],
            ["host", "\"127.0.0.1\"", "default"],
            ["hz", "50", "default"],
            ["limits.envelopes_per_second_max", "9", "state/node.ron"],
        ] {
            assert!(words.iter().any(|line| *line == expected), "{table}");
        }
        assert!(table.contains("[\"tcp/a:1\"]") && table.contains("command line"), "{table}");
    }

    #[test]
    fn the_json_view_names_value_and_source() {
        let view = config().to_json();
        assert_eq!(view["connect"], json!({ "value": ["tcp/a:1"], "source": "command line" }));
        assert_eq!(view["discovery"], json!({ "value": true, "source": "default" }));
        assert_eq!(view.as_object().unwrap().len(), 23);
    }

    #[test]
    fn every_key_of_the_view_is_a_key_of_the_file() {
        for row in config().rows() {
            let text = match row.key.split_once('.') {
                Some((group, key)) => format!("({group}: ({key}: {}))", row.value),
                None => format!("({}: {})", row.key, row.value),
            };
            NodeConfig::resolve(Path::new("node.ron"), Some(&text), NodeFile::default(), "barn").unwrap();
        }
    }
}
