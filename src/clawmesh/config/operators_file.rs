//! `operators.ron`: the people who may operate here. One change at a time, and no change is lost.

use std::path::Path;

use clawmesh_authority::operator::OPERATORS_MAX;
use clawmesh_authority::{ContentHash, KeyId, Operator, OperatorId, Role, Roster};
use serde::{Deserialize, Serialize};

use crate::config::error::ConfigError;
use crate::config::kept_list;
use crate::config::ron_text::{self, wrong_value};
use crate::config::state_dir::StateDir;

const WHO_IS: &str = "who is enrolled";
const HEAD: &str = "\
// The people who may operate here. `clawmesh operator enroll` and `clawmesh operator revoke` change this list and write
// it anew. An entry is never removed: a revoked key that is forgotten could be enrolled again.
";

/// One person as the file has them. Other than [`Operator`], it refuses keys it does not know.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    role: Role,
    /// The raw public key; `ContentHash` only lends its text form.
    key: ContentHash,
    /// Always follows from the key; when it is given it must be that one.
    #[serde(default)]
    id: Option<OperatorId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delegate_of: Option<OperatorId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    revoked: bool,
}

impl Entry {
    fn of(person: &Operator) -> Self {
        Self {
            name: person.name.clone(),
            role: person.role,
            key: ContentHash(person.key),
            id: Some(person.id),
            delegate_of: person.delegate_of,
            revoked: person.revoked,
        }
    }

    fn into_operator(self) -> Operator {
        Operator {
            id: self.id.unwrap_or_else(|| OperatorId::of_public_key(&self.key.0)),
            key: self.key.0,
            name: self.name,
            role: self.role,
            delegate_of: self.delegate_of,
            revoked: self.revoked,
        }
    }
}

/// Reads who is enrolled; without a file it is nobody.
pub fn load(dir: &StateDir) -> Result<Roster, ConfigError> {
    let path = dir.operators_file();
    let Some(text) = kept_list::read(&path, WHO_IS)? else { return Ok(Roster::default()) };
    parse(&path, &text).map_err(kept_list::with_repair)
}

/// Changes who is enrolled: reads, changes and writes while nobody else does. When `change` fails nothing is written.
pub fn update<T, E: From<ConfigError>>(
    dir: &StateDir,
    change: impl FnOnce(&mut Roster) -> Result<T, E>,
) -> Result<T, E> {
    let _alone = dir.lock_list("operators", WHO_IS)?;
    let mut roster = load(dir)?;
    let outcome = change(&mut roster)?;
    save(dir, &roster)?;
    Ok(outcome)
}

fn save(dir: &StateDir, roster: &Roster) -> Result<(), ConfigError> {
    let entries: Vec<Entry> = roster.iter().map(Entry::of).collect();
    kept_list::write(&dir.operators_file(), HEAD, &entries)
}

fn parse(path: &Path, text: &str) -> Result<Roster, ConfigError> {
    let entries: Vec<Entry> = ron_text::parse(path, text, hint)?;
    if entries.len() > OPERATORS_MAX {
        let found = entries.len();
        let sentence = format!("{found} people are listed, at most {OPERATORS_MAX} are allowed");
        return Err(wrong_value(path, text, &format!("[{OPERATORS_MAX}]"), sentence));
    }
    let people: Vec<Operator> = entries.into_iter().map(Entry::into_operator).collect();
    Roster::try_from(people.clone()).map_err(|refused| {
        let at = first_fault(people).map_or_else(String::new, |index| format!("[{index}]"));
        wrong_value(path, text, &at, format!("`{at}`: {refused}"))
    })
}

/// Which entry the roster stumbles over; a delegate is taken after everybody who is none.
fn first_fault(people: Vec<Operator>) -> Option<usize> {
    let mut people: Vec<(usize, Operator)> = people.into_iter().enumerate().collect();
    people.sort_by_key(|(_, person)| person.delegate_of.is_some());
    let is_refused = |count: &usize| {
        let taken = people.iter().take(*count).map(|(_, person)| person.clone());
        Roster::try_from(taken.collect::<Vec<_>>()).is_err()
    };
    (1..=people.len()).find(is_refused).map(|count| people[count - 1].0)
}

fn hint(key: &str) -> Option<&'static str> {
    Some(match key.trim_start_matches('.') {
        "name" => "a text in quotes",
        "role" => "observer, operator, approver or supervisor",
        "key" => "the 64 characters of the public key that `clawmesh operator show` prints",
        "id" | "delegate_of" => "the 64 characters of an id that `clawmesh operator show` prints",
        "revoked" => "true or false",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::durable_file::write_atomic;
    use clawmesh_authority::OperatorKey;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::fs;
    use std::thread;

    fn person(secret: u8, name: &str, role: Role) -> Operator {
        Operator::of_key(*OperatorKey::from_secret(&[secret; 32]).public().raw(), name, role)
    }

    fn enroll(state: &StateDir, person: Operator) -> Result<(), ConfigError> {
        update(state, |roster| {
            roster.enroll(person, &BTreeSet::new()).expect("this person can be enrolled");
            Ok(())
        })
    }

    fn said(text: &str) -> String {
        parse(Path::new("operators.ron"), text).map_err(kept_list::with_repair).unwrap_err().to_string()
    }

    #[test]
    fn without_a_file_nobody_is_enrolled_and_looking_makes_nothing() {
        let (_dir, state) = StateDir::temporary();
        assert_eq!(load(&state).unwrap(), Roster::default());
        assert!(!state.operators_file().exists());
    }

    #[test]
    fn who_was_enrolled_and_revoked_is_read_back() {
        let (_dir, state) = StateDir::temporary();
        let ann = person(1, "Ann \"the\" first\u{1f}", Role::Supervisor);
        enroll(&state, ann.clone()).unwrap();
        enroll(&state, person(2, "Bo", Role::Approver).standing_for(ann.id)).unwrap();
        update::<_, ConfigError>(&state, |roster| {
            roster.revoke(&ann.id).expect("she is enrolled");
            Ok(())
        })
        .unwrap();
        let people: Vec<Operator> = load(&state).unwrap().into();
        let mut expected =
            [Operator { revoked: true, ..ann.clone() }, person(2, "Bo", Role::Approver).standing_for(ann.id)];
        expected.sort_by_key(|person| person.id);
        assert_eq!(people, expected);
    }

    #[test]
    fn an_id_may_be_left_out_and_a_wrong_one_is_refused() {
        let key = ContentHash(person(1, "Ann", Role::Operator).key);
        let read = |more: &str| {
            parse(Path::new("a"), &format!("[(name: \"Ann\", role: operator, key: \"{key}\"{more})]"))
        };
        assert_eq!(Vec::from(read("").unwrap()), [person(1, "Ann", Role::Operator)]);
        let lie = read(&format!(", id: \"{}\"", "ab".repeat(32))).unwrap_err().to_string();
        assert!(lie.contains("is not the one of this key"), "{lie}");
    }

    #[test]
    fn a_fault_is_told_with_line_column_entry_and_repair() {
        let key = ContentHash(person(1, "Ann", Role::Operator).key);
        let entry = format!("(name: \"Ann\", role: operator, key: \"{key}\")");
        let repair = "; mend it, or restore the file from a backup";
        for (text, begins, ends) in [
            (
                format!("[\n {}]", entry.replace("role", "rol")),
                "operators.ron:2:16: unknown key `rol`, known keys are name, role, key, id, delegate_of, revoked",
                "; did you mean `role`?",
            ),
            (
                format!("[\n {}]", entry.replace("operator", "king")),
                "operators.ron:2:16: `[0].role`: unknown word `king`, known words are observer, operator",
                repair,
            ),
            (
                format!("[\n {}]", entry.replace(&key.to_string(), "abc")),
                "operators.ron:2:32: `[0].key`: ",
                repair,
            ),
            (format!("[\n {entry},\n {entry}]"), "operators.ron:3:2: `[1]`: DUPLICATE by ", repair),
            (String::new(), "operators.ron: the file is empty; mend it", repair),
            (format!("[{entry}"), "operators.ron:1:", repair),
        ] {
            let error = said(&text);
            assert!(error.starts_with(begins) && error.ends_with(ends), "{error}");
        }
    }

    #[test]
    fn the_entry_at_fault_is_found_behind_a_delegate() {
        let ann = person(1, "Ann", Role::Operator);
        let delegate = person(2, "Bo", Role::Operator).standing_for(ann.id);
        let nobody = person(3, " ", Role::Operator);
        assert_eq!(first_fault(vec![delegate.clone(), ann.clone(), nobody]), Some(2));
        assert_eq!(first_fault(vec![delegate.clone(), person(4, "Cy", Role::Operator)]), Some(0));
        assert_eq!(first_fault(vec![delegate, ann]), None);
    }

    #[test]
    fn a_damaged_list_is_never_replaced() {
        let (_dir, state) = StateDir::temporary();
        for damage in [&b""[..], b"[", b"[(name: \"x\")]", b"\xff\xfe"] {
            write_atomic(&state.operators_file(), damage).unwrap();
            let error = enroll(&state, person(1, "Ann", Role::Operator)).unwrap_err().to_string();
            assert!(error.contains("operators.ron") && error.contains("restore the file"), "{error}");
            assert_eq!(fs::read(state.operators_file()).unwrap(), damage);
        }
    }

    #[test]
    fn a_change_that_fails_writes_nothing() {
        let (_dir, state) = StateDir::temporary();
        enroll(&state, person(1, "Ann", Role::Operator)).unwrap();
        let before = fs::read(state.operators_file()).unwrap();
        let failed: Result<(), ConfigError> = update(&state, |roster| {
            *roster = Roster::default();
            Err(ConfigError::NoHome)
        });
        assert!(failed.is_err());
        assert_eq!(fs::read(state.operators_file()).unwrap(), before);
    }

    #[test]
    fn eight_enrolments_at_once_lose_none() {
        let (_dir, state) = StateDir::temporary();
        thread::scope(|scope| {
            for secret in 1..=8 {
                let state = &state;
                scope.spawn(move || enroll(state, person(secret, "x", Role::Observer)).unwrap());
            }
        });
        assert_eq!(load(&state).unwrap().iter().count(), 8);
    }

    #[test]
    fn a_full_list_of_the_longest_names_fits_its_file_and_one_more_is_refused() {
        let (_dir, state) = StateDir::temporary();
        let longest = "\u{1f}".repeat(clawmesh_authority::reading::TEXT_BYTES_MAX - 1) + "x";
        let keys = (0..OPERATORS_MAX).map(|number| {
            let mut secret = [1; 32];
            secret[..8].copy_from_slice(&(number as u64).to_le_bytes());
            *OperatorKey::from_secret(&secret).public().raw()
        });
        let people: Vec<Operator> =
            keys.map(|key| Operator::of_key(key, longest.as_str(), Role::Observer)).collect();
        save(&state, &Roster::try_from(people).unwrap()).unwrap();
        assert_eq!(load(&state).unwrap().iter().count(), OPERATORS_MAX);
        let text = fs::read_to_string(state.operators_file()).unwrap();
        let entry = format!("(name: \"x\", role: observer, key: \"{}\")", "ab".repeat(32));
        let error = said(&text.replacen("[\n", &format!("[\n{entry},\n"), 1));
        assert!(error.contains("257 people are listed, at most 256"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn the_list_is_written_for_its_owner_only_and_one_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, state) = StateDir::temporary();
        enroll(&state, person(1, "Ann", Role::Operator)).unwrap();
        let path = state.operators_file();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load(&state).is_ok());
        for mode in [0o620, 0o602, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load(&state).unwrap_err().to_string();
            assert!(error.ends_with(&format!("run: chmod 600 {}", path.display())), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_nowhere_is_not_an_empty_list() {
        let (_dir, state) = StateDir::temporary();
        std::os::unix::fs::symlink("nowhere", state.operators_file()).unwrap();
        assert!(load(&state).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}|\\[\\(name: \"[a-z]{0,3}\", role: (operator|king), key: \"[a-f0-9]{0,64}\"[(),:a-z ]{0,9}\\]") {
            let _ = parse(Path::new("operators.ron"), &text);
        }
    }
}
