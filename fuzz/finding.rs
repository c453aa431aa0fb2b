//! A broken promise, as a file: the input, made as short as it can be while it still breaks.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The most tries to make an input shorter.
const TRIES_MAX: usize = 2_000;

/// Writes the input of a finding into `folder`; the name says target and content, so that the same finding is one file.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(folder: &Path, target: &str, input: &[u8]) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let name = clawmesh_authority::ContentHash::of("fuzz-input", input).short();
    let path = folder.join(format!("{target}-{name}"));
    std::fs::write(&path, input).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The shortest input found by leaving out parts of `input` for which `breaks` still holds.
#[must_use]
pub fn shortened(input: &[u8], mut breaks: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let (mut short, mut tries) = (input.to_vec(), 0);
    let mut part = short.len() / 2;
    while part > 0 && tries < TRIES_MAX {
        let mut at = 0;
        while at < short.len() && tries < TRIES_MAX {
            let end = (at + part).min(short.len());
            let without = [&short[..at], &short[end..]].concat();
            tries += 1;
            if breaks(&without) {
                short = without;
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let input = b"a long text with a ! in it, and more after it";
        assert_eq!(shortened(input, |input| input.contains(&b'!')), b"!");
        assert_eq!(shortened(b"", |_| true), b"");
    }
}
