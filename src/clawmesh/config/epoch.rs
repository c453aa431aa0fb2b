//! The number of this run. Peers drop what comes from an older run, so it must grow even when the clock does not.

use crate::config::durable_file::{read_bounded, write_atomic};
use crate::config::error::ConfigError;
use crate::config::state_dir::StateDir;

/// Starts a new epoch: larger than every earlier one, and not before `now_unix_ms`. On the disk when it returns.
pub fn begin(dir: &StateDir, now_unix_ms: u64) -> Result<u64, ConfigError> {
    let path = dir.epoch_file();
    let damaged = |why| ConfigError::DamagedEpoch { why, path: path.clone() };
    let next = match last(dir)? {
        None => now_unix_ms,
        Some(last) => last.checked_add(1).ok_or_else(|| damaged("no number is larger"))?.max(now_unix_ms),
    };
    write_atomic(&path, format!("{next}\n").as_bytes())?;
    Ok(next)
}

/// The epoch of the last run; `None` before the first one.
pub fn last(dir: &StateDir) -> Result<Option<u64>, ConfigError> {
    let path = dir.epoch_file();
    let Some(content) = read_bounded(&path)? else { return Ok(None) };
    let number = parse(&content);
    number.map(Some).ok_or(ConfigError::DamagedEpoch { why: "it does not hold one whole number", path })
}

/// Digits and at most one line end. `u64::from_str` alone would also take a plus sign.
fn parse(content: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(content).ok()?.trim_end();
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs;

    #[test]
    fn an_epoch_grows_also_when_the_clock_goes_backwards() {
        let (_dir, state) = StateDir::temporary();
        assert_eq!(last(&state).unwrap(), None);
        let epochs = [5_000, 5_000, 9_000, 10, 0].map(|now| begin(&state, now).unwrap());
        assert_eq!(epochs, [5_000, 5_001, 9_000, 9_001, 9_002]);
        assert_eq!(last(&state).unwrap(), Some(9_002));
    }

    #[test]
    fn a_damaged_epoch_is_named_and_never_replaced() {
        let (_dir, state) = StateDir::temporary();
        for damage in ["", "12x", "-1", "+1", "1 2", "99999999999999999999999", "18446744073709551615"] {
            fs::write(state.epoch_file(), damage).unwrap();
            let error = begin(&state, 1).unwrap_err().to_string();
            assert!(error.starts_with("epoch file is damaged: ") && error.ends_with("epoch"), "{error}");
            assert_eq!(fs::read_to_string(state.epoch_file()).unwrap(), damage);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_every_number_survives(bytes: Vec<u8>, number: u64) {
            let _ = parse(&bytes);
            prop_assert_eq!(parse(format!("{number}\n").as_bytes()), Some(number));
        }
    }
}
