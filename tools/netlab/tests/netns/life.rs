//! How labs begin and end in a process that lives on.

use clawmesh_netlab::plan::LabPlan;
use clawmesh_netlab::tap::{Lab, LabError};

use crate::host::{lab, left_of, netns_path};

#[test]
fn a_lab_is_ready_with_a_namespace_for_every_host_and_leaves_none() {
    let lab = lab("brief", &["one", "two"]);
    assert_eq!(lab.ready()["hosts"][1]["netns"], "cm-brief-two");
    assert_eq!(lab.ready()["hosts"][1]["address"], "10.77.0.2");
    assert!(netns_path("cm-brief-two").exists());
    lab.end().unwrap();
    assert_eq!(left_of("brief"), [] as [&str; 0]);
}

#[test]
fn a_lab_that_is_dropped_leaves_no_namespace() {
    drop(lab("dropped", &["one"]));
    assert_eq!(left_of("dropped"), [] as [&str; 0]);
}

#[test]
fn a_second_lab_of_the_same_name_is_refused_and_the_first_goes_on() {
    let mut first = lab("single", &["one"]);
    let second = Lab::start(LabPlan::new("single", ["one"]).unwrap());
    assert!(matches!(second, Err(LabError::InUse { .. })));
    assert_eq!(first.ask("heal").unwrap()["ok"], true);
    assert!(netns_path("cm-single-one").exists());
}
