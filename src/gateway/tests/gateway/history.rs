//! What has happened, and what followed from what: asked for at the door, told by whoever remembers it.

use axum::http::StatusCode;
use clawmesh_gateway::{Chains, Events};

use crate::rig::rig;

#[tokio::test]
async fn events_and_chains_are_asked_for_as_they_are_wanted() {
    let rig = rig();
    let (status, events) = rig.get::<Events>("/api/system-events?limit=7&within_ms=60000").await;
    assert_eq!((status, events.total, events.left_off), (StatusCode::OK, 2, 1));
    let wanted = "WantedEvents { limit: 7, kind: None, within_ms: Some(60000) }";
    assert_eq!(events.events[0].sentence, wanted);
    let (status, chains) = rig.get::<Chains>("/api/trace?id=f1&stage=sensor.ingest&proposals=true").await;
    let wanted =
        "WantedChains { limit: 20, id: Some(\"f1\"), stage: Some(\"sensor.ingest\"), is_proposal: true }";
    assert_eq!((status, &*chains.chains[0].id), (StatusCode::OK, wanted));
    let (_, all) = rig.get::<Chains>("/api/trace").await;
    assert_eq!(all.total, 1);
}

#[tokio::test]
async fn what_nobody_knows_and_what_makes_no_sense_is_told() {
    let rig = rig();
    for (path, status, code, word) in [
        ("trace?id=gone", 404, "NOT_FOUND", "\"gone\""),
        ("trace?id=gone&proposals=true", 404, "NOT_FOUND", "no proposal is known"),
        ("trace?limit=0", 400, "INVALID_PARAMS", "1 to 500"),
        ("trace?frame=x", 400, "INVALID_PARAMS", "`frame`"),
        ("system-events?limit=501", 400, "INVALID_PARAMS", "1 to 500"),
        ("system-events?limit=all", 400, "INVALID_PARAMS", "limit:"),
        ("system-events?kind=hello", 400, "INVALID_PARAMS", "hello is no kind"),
        ("system-events?kind=later", 503, "STARTING", "starting"),
    ] {
        let (found, refusal) = rig.refused(&format!("/api/{path}")).await;
        assert_eq!((found.as_u16(), &*refusal.code), (status, code), "{path}");
        assert!(refusal.sentence.contains(word), "{path}: {}", refusal.sentence);
    }
}
