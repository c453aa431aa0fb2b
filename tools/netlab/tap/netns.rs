//! Network namespaces, through the program `ip`.

use std::process::{Command, Stdio};

use super::LabError;

/// Runs `ip` and gives back what it wrote.
pub(super) fn ip(arguments: &[&str]) -> Result<String, LabError> {
    let started = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    let output = started.map_err(|source| LabError::Start { command: arguments.join(" "), source })?;
    if !output.status.success() {
        let answer = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(LabError::Ip { command: arguments.join(" "), answer });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A namespace that goes when it is dropped. Processes in it live on, without a network.
pub(super) struct Namespace {
    name: String,
    is_there: bool,
}

impl Namespace {
    pub fn create(name: String) -> Result<Self, LabError> {
        ip(&["netns", "add", &name])?;
        Ok(Self { name, is_there: true })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `ip` in the namespace.
    pub fn ip(&self, arguments: &[&str]) -> Result<(), LabError> {
        ip(&[&["-n", &self.name], arguments].concat()).map(drop)
    }

    /// Removes it and says when that fails; dropping it says nothing.
    pub fn remove(mut self) -> Result<(), LabError> {
        self.is_there = false;
        ip(&["netns", "delete", &self.name]).map(drop)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if self.is_there {
            // Only on the way out of another error, which is the one to be told; the next start tries again.
            let _ = ip(&["netns", "delete", &self.name]);
        }
    }
}

/// Removes what a killed lab has left.
pub(super) fn remove_leftovers(prefix: &str) -> Result<(), LabError> {
    for name in named(&ip(&["netns", "list"])?, prefix) {
        ip(&["netns", "delete", name])?;
    }
    Ok(())
}

/// The names with the prefix in what `ip netns list` writes: a name per line, perhaps with `(id: 0)` after it.
fn named<'a>(list: &'a str, prefix: &str) -> Vec<&'a str> {
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.starts_with(prefix)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaces_of_the_lab_are_leftovers() {
        let list = "cm-farm-two (id: 1)\ncm-farm2-one\ncm-farm-one\nfarm\n\nother (id: 0)\n";
        assert_eq!(named(list, "cm-farm-"), ["cm-farm-two", "cm-farm-one"]);
    }
}
