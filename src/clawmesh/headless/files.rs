//! Follows `operators.ron` and `policy.ron` while the node runs: what people at the console enroll, revoke and allow holds from the
//! next tick on. A file that is bad or gone changes nothing, and that is said.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clawmesh_authority::{Code, Refusal, Roster};
use clawmesh_bridge::People;
use clawmesh_core::intake::{InboxHandle, InputBody, SourceId};
use clawmesh_core::settings::{Settings, SiteText};

use super::stamp::Stamp;
use super::worker::{Ends, Worker};
use crate::config::site_file::SiteFile;
use crate::config::state_dir::StateDir;
use crate::config::{operators_file, policy_file};

/// How often the files are looked at; a change is to be known in half a second.
const LOOK_EVERY: Duration = Duration::from_millis(150);

/// What a run began with.
pub struct Begun {
    site: SiteFile,
    policy: Option<String>,
}

impl Begun {
    /// With this site, and the policy of these settings.
    pub fn with(site: &SiteFile, settings: &Settings) -> Self {
        let policy = settings.site.as_ref().and_then(|site| site.policy.clone());
        Self { site: site.clone(), policy }
    }
}

/// Who hears of a change.
pub struct Told {
    /// The bridge, with the people it knows.
    pub people: Arc<People>,
    /// The tick.
    pub inbox: InboxHandle,
}

/// Starts following.
pub fn start(dir: StateDir, begun: Begun, told: Told) -> std::io::Result<Worker> {
    let follower = Follower::of(dir, begun, told);
    Worker::start("files", move |ends| follower.run(ends))
}

/// One file: as it was when it was read last, and what of it the tick has not been told yet.
struct File<T> {
    path: PathBuf,
    name: &'static str,
    seen: Stamp,
    untold: Option<T>,
}

impl<T> File<T> {
    fn at(path: PathBuf, name: &'static str) -> Self {
        // Whatever was written since the run read it is read again.
        Self { path, name, seen: Stamp::default(), untold: None }
    }

    /// Reads the file if it is not the one that was read last. One that was there and is gone is bad.
    fn look(&mut self, read: impl FnOnce() -> Result<T, String>) -> Option<Result<T, String>> {
        let stamp = Stamp::of(&self.path);
        if stamp == self.seen {
            return None;
        }
        let is_gone = stamp.is_none();
        self.seen = stamp;
        Some(if is_gone { Err(format!("{} is gone", self.path.display())) } else { read() })
    }
}

struct Follower {
    dir: StateDir,
    begun: Begun,
    told: Told,
    people: File<Roster>,
    policy: File<String>,
}

impl Follower {
    fn of(dir: StateDir, begun: Begun, told: Told) -> Self {
        let people = File::at(dir.operators_file(), "operators.ron");
        let policy = File::at(dir.policy_file(), "policy.ron");
        Self { dir, begun, told, people, policy }
    }

    fn run(mut self, ends: &Ends) {
        while ends.sleep(LOOK_EVERY) {
            self.look();
        }
    }

    fn look(&mut self) {
        let (dir, begun) = (&self.dir, &self.begun);
        let people = self.people.look(|| operators_file::load(dir).map_err(|fault| fault.to_string()));
        let policy = self.policy.look(|| read_policy(dir, &begun.site));
        match people {
            Some(Ok(people)) => {
                self.people.untold = Some(people).filter(|people| *people != *self.told.people.now());
            }
            Some(Err(fault)) => {
                self.refuse(
                    self.people.name,
                    &format!("{fault}; until it is mended everybody stays as before"),
                );
            }
            None => {}
        }
        match policy {
            Some(Ok(policy)) => {
                self.policy.untold = Some(policy).filter(|text| self.begun.policy.as_ref() != Some(text));
            }
            Some(Err(fault)) => {
                self.refuse(
                    self.policy.name,
                    &format!("{fault}; until it is mended the policy before stays in force"),
                );
            }
            None => {}
        }
        self.tell();
    }

    /// The tick first: whoever is new is let in at the edge when the tick knows them.
    fn tell(&mut self) {
        if let Some(people) = self.people.untold.take() {
            if self.offer(InputBody::PeopleChanged(people.clone())) {
                tracing::info!("{} people are known now", people.iter().count());
                self.told.people.set(people);
            } else {
                self.people.untold = Some(people);
            }
        }
        if let Some(policy) = self.policy.untold.take() {
            if self.offer(InputBody::PolicyChanged(policy.clone())) {
                tracing::info!("another policy holds now, {}", policy_hash(&policy));
                self.begun.policy = Some(policy);
            } else {
                self.policy.untold = Some(policy);
            }
        }
    }

    fn offer(&self, body: InputBody) -> bool {
        self.told.inbox.offer_own(SourceId::Runner, body, None).is_ok()
    }

    fn refuse(&self, file: &str, sentence: &str) {
        tracing::error!("{sentence}");
        let refusal = Refusal::new(Code::InvalidParams, file, sentence);
        if !self.offer(InputBody::Refused { refusal, count: 1 }) {
            tracing::warn!("the inbox is full; {file} is looked at again when it changes");
        }
    }
}

/// The policy as the tick gets it, judged by the site of this run.
fn read_policy(dir: &StateDir, site: &SiteFile) -> Result<String, String> {
    let policy = policy_file::load(&dir.policy_file(), site).map_err(|fault| fault.to_string())?;
    let policy = policy.ok_or_else(|| format!("{} is gone", dir.policy_file().display()))?;
    SiteText::policy_of(&policy)
}

fn policy_hash(text: &str) -> String {
    SiteText { plan: String::new(), policy: Some(text.to_owned()) }.policy_hash().short()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use clawmesh_authority::{NodeId, Operator, OperatorKey, Role};
    use clawmesh_core::intake::{InboxLimits, Inboxes, doors};

    use super::*;
    use crate::config::durable_file::write_atomic;
    use crate::config::error::ConfigError;
    use crate::config::{farm, site_file};

    fn ann() -> Operator {
        Operator::of_key(*OperatorKey::from_secret(&[1; 32]).public().raw(), "Ann", Role::Approver)
    }

    fn change(state: &StateDir, change: impl FnOnce(&mut Roster)) {
        operators_file::update::<_, ConfigError>(state, |roster| {
            change(roster);
            Ok(())
        })
        .unwrap();
    }

    /// Follows the files of a farm, with room for so many news, from the moment the run has read them.
    fn follower(state: &StateDir, room: usize) -> (Follower, Inboxes) {
        farm::create_missing(state, &[(farm::FIELD_NODE, NodeId([1; 32]))]).unwrap();
        let site = site_file::load(state).unwrap();
        let (inbox, inboxes) = doors(InboxLimits { state_inputs_max: room, ..InboxLimits::default() });
        let policy = Some(read_policy(state, &site).unwrap());
        let people = Arc::new(People::of(operators_file::load(state).unwrap()));
        let mut follower = Follower::of(state.clone(), Begun { site, policy }, Told { people, inbox });
        follower.look();
        assert_eq!(told(&inboxes), [], "nothing has changed");
        (follower, inboxes)
    }

    fn told(inboxes: &Inboxes) -> Vec<InputBody> {
        inboxes.take_state(9).into_iter().map(|(input, _)| input.body).collect()
    }

    fn in_policy(state: &StateDir, from: &str, to: &str) {
        let text = fs::read_to_string(state.policy_file()).unwrap();
        assert!(text.contains(from), "{from}");
        write_atomic(&state.policy_file(), text.replacen(from, to, 1).as_bytes()).unwrap();
    }

    #[test]
    fn who_is_enrolled_and_revoked_is_told_once_to_the_tick_and_then_to_the_bridge() {
        let (_dir, state) = StateDir::temporary();
        let (mut follower, inboxes) = follower(&state, 9);
        change(&state, |roster| roster.enroll(ann(), &BTreeSet::new()).unwrap());
        for _ in 0..3 {
            follower.look();
        }
        let told_of = told(&inboxes);
        let [InputBody::PeopleChanged(people)] = &told_of[..] else { panic!("{told_of:?}") };
        assert!(people.may_approve(&ann().id).is_ok());
        assert_eq!(*follower.told.people.now(), *people);
        change(&state, |roster| roster.revoke(&ann().id).unwrap());
        follower.look();
        assert_eq!(told(&inboxes).len(), 1);
        assert!(follower.told.people.now().is_revoked(&ann().id));
    }

    #[test]
    fn a_policy_that_is_changed_is_told_and_one_that_only_looks_otherwise_is_not() {
        let (_dir, state) = StateDir::temporary();
        let (mut follower, inboxes) = follower(&state, 9);
        in_policy(&state, "must: BeAtLeast(20)", "must: BeAtLeast( 20 ) /* as before */");
        follower.look();
        assert_eq!(told(&inboxes), []);
        in_policy(&state, "must: BeAtLeast( 20 )", "must: BeAtLeast(30)");
        follower.look();
        follower.look();
        let told_of = told(&inboxes);
        let [InputBody::PolicyChanged(text)] = &told_of[..] else { panic!("{told_of:?}") };
        assert!(text.contains("30"), "{text}");
    }

    #[test]
    fn what_is_damaged_contradictory_or_gone_changes_nothing_and_is_told_once_until_it_is_mended() {
        let (_dir, state) = StateDir::temporary();
        change(&state, |roster| roster.enroll(ann(), &BTreeSet::new()).unwrap());
        let (mut follower, inboxes) = follower(&state, 9);
        let policy = fs::read(state.policy_file()).unwrap();
        let people = fs::read(state.operators_file()).unwrap();
        let mut refused = |words: &str| {
            follower.look();
            follower.look();
            let told_of = told(&inboxes);
            let [InputBody::Refused { refusal, .. }] = &told_of[..] else { panic!("{told_of:?}") };
            assert!(refusal.sentence.contains(words), "{words:?} is not in {refusal}");
            assert!(follower.told.people.now().may_approve(&ann().id).is_ok());
        };
        write_atomic(&state.policy_file(), b"(").unwrap();
        refused("stays in force");
        fs::remove_file(state.policy_file()).unwrap();
        refused("policy.ron is gone");
        write_atomic(&state.policy_file(), &policy).unwrap();
        in_policy(&state, "must: BeAtLeast(20)", "must: BeWithin(9, 3)");
        refused("nothing is between 9 and 3");
        write_atomic(&state.operators_file(), b"[(").unwrap();
        refused("everybody stays as before");
        fs::remove_file(state.operators_file()).unwrap();
        refused("operators.ron is gone");
        write_atomic(&state.operators_file(), &people).unwrap();
        write_atomic(&state.policy_file(), &policy).unwrap();
        follower.look();
        assert_eq!(told(&inboxes), [], "all is as it was");
    }

    #[test]
    fn a_full_inbox_is_told_later_and_the_bridge_lets_nobody_in_before() {
        let (_dir, state) = StateDir::temporary();
        let (mut follower, inboxes) = follower(&state, 1);
        follower.told.inbox.offer_own(SourceId::Runner, InputBody::Rearmed, None).unwrap();
        change(&state, |roster| roster.enroll(ann(), &BTreeSet::new()).unwrap());
        follower.look();
        assert_eq!(told(&inboxes), [InputBody::Rearmed]);
        assert!(follower.told.people.now().get(&ann().id).is_none());
        follower.look();
        assert!(matches!(&told(&inboxes)[..], [InputBody::PeopleChanged(_)]));
        assert!(follower.told.people.now().get(&ann().id).is_some());
    }
}
