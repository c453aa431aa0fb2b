//! `plant.ron`: the true numbers of the stand-in plant; without the file, those of the shipped farm.

use std::path::Path;

use clawmesh_plant::PlantFile;

use crate::config::durable_file::read_bounded;
use crate::config::error::ConfigError;
use crate::config::farm;
use crate::config::ron_text::{self, wrong_value};

/// Reads the plant; without a file it is the shipped one.
pub fn load(path: &Path) -> Result<PlantFile, ConfigError> {
    match read_bounded(path)? {
        None => parse(Path::new("farm.plant.ron"), farm::PLANT),
        Some(content) => parse(path, ron_text::utf8(path, &content)?),
    }
}

fn parse(path: &Path, text: &str) -> Result<PlantFile, ConfigError> {
    let plant: PlantFile = ron_text::parse(path, text, |_| None)?;
    match plant.faults().into_iter().next() {
        None => Ok(plant),
        Some((at, sentence)) => Err(wrong_value(path, text, &at, format!("`{at}`: {sentence}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_file_it_is_the_shipped_plant_and_a_fault_is_told_with_its_line() {
        assert!(load(Path::new("/nowhere/plant.ron")).is_ok());
        let broken = farm::PLANT.replacen("stroke_s: 7", "stroke_s: -7", 1);
        let line = 1 + broken[..broken.find("stroke_s: -7").unwrap()].matches('\n').count();
        let error = parse(Path::new("plant.ron"), &broken).unwrap_err().to_string();
        assert!(error.starts_with(&format!("plant.ron:{line}:")) && error.contains("stroke_s"), "{error}");
    }
}
