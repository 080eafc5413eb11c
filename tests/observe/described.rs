//! A kind that the repository describes: its own status is read, and what that does not say is told, never made up.

use serde_json::{Value, json};
use windlass::observe::{COMMIT_TREE, Described, ObserveError, Sighting, StatusFields, Target, Workload};

use super::kubernetes::{MARK, observe_target, refused};
use crate::metrics::server::{Server, respond};

fn object(status: Value) -> Value {
    json!({
        "apiVersion": "games.example.com/v1", "kind": "GameSet",
        "metadata": {"name": "checkout", "namespace": "shop", "uid": "u-1", "generation": 7, "annotations": {COMMIT_TREE: MARK}},
        "spec": {"pods": {"count": 5}},
        "status": status,
    })
}

fn look_as(plural: &str, served: &'static str, object: Value) -> Result<Sighting, ObserveError> {
    observe_target(&serve(served, object), &target_of(plural, "status."))
}

fn serve(served: &'static str, object: Value) -> Server {
    Server::start(move |request, stream| {
        let path = request.path();
        if path == format!("/apis/games.example.com/v1/namespaces/shop/{served}/checkout") {
            respond(stream, "200 OK", &[], object.to_string().as_bytes());
        } else {
            let code = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "no such path",
                              "reason": "NotFound", "code": 404});
            respond(stream, "404 Not Found", &[], code.to_string().as_bytes());
        }
    })
}

/// `below`: what stands before the names of the counts.
fn target_of(plural: &str, below: &str) -> Target {
    let at = |field: &str| format!("{below}{field}");
    let status = StatusFields {
        observed_generation: "status.observedGeneration".to_owned(),
        replicas: at("replicas"),
        updated_replicas: at("updatedReplicas"),
        ready_replicas: at("readyReplicas"),
        updated_ready_replicas: at("updatedReadyReplicas"),
    };
    let described = Described {
        plural: plural.to_owned(),
        replicas: "spec.pods.count".to_owned(),
        partition: "spec.update.keep".to_owned(),
        kept: None,
        returning: false,
        status,
    };
    Target {
        namespace: "shop".to_owned(),
        api_version: "games.example.com/v1".to_owned(),
        kind: "GameSet".to_owned(),
        name: "checkout".to_owned(),
        described: Some(described),
        mark: MARK.to_owned(),
        committed_at: 0,
        now: 0,
    }
}

fn look(status: Value) -> Result<Sighting, ObserveError> {
    look_as("gamesets", "gamesets", object(status))
}

#[test]
fn the_status_is_counted() {
    let status =
        json!({"observedGeneration": 7, "replicas": 5, "updatedReplicas": 3, "readyReplicas": 4, "availableReplicas": 2});
    let counted = Workload {
        size: 5,
        replicas: 5,
        updated: 3,
        updated_ready: 2,
        ready: 4,
        available: 2,
        revision_label: None,
        nodes: Vec::new(),
    };
    let seen = Sighting { applied: true, workload: Some(counted), missing: None };
    assert_eq!(look(status.clone()).unwrap(), seen, "the pod that is not Ready may be an updated one");
    let mut back = target_of("gamesets", "status.");
    back.described.as_mut().unwrap().returning = true;
    let seen_back = observe_target(&serve("gamesets", object(status.clone())), &back).unwrap();
    assert_eq!(seen_back.workload.unwrap().updated_ready, 3, "on the way back it is one of the others");
    let mut better = status.clone();
    better["updatedReadyReplicas"] = json!(3);
    assert_eq!(look(better).unwrap().workload.unwrap().updated_ready, 3);
    let elsewhere = json!({"observedGeneration": 7, "pods": {"replicas": 5, "updatedReplicas": 3, "readyReplicas": 4}, "availableReplicas": 2});
    assert_eq!(observe_target(&serve("gamesets", object(elsewhere)), &target_of("gamesets", "status.pods.")).unwrap(), seen);
    assert_eq!(look_as("gamesetlist", "gamesetlist", object(status)).unwrap(), seen);
}

#[test]
fn a_status_that_does_not_say_enough_is_told() {
    let missing = |status: Value| {
        let seen = look(status).unwrap();
        assert!(!seen.applied);
        seen.missing.unwrap()
    };
    for (status, wanted) in [
        (json!({}), "GameSet shop/checkout has no status yet"),
        (json!({"observedGeneration": 6}), "the controller has not seen generation 7 yet"),
    ] {
        assert!(missing(status.clone()).contains(wanted), "{status}: {wanted}");
    }
    // A zero that was left out: counted as one, and told.
    for (status, field, counts) in [
        (json!({"observedGeneration": 7, "readyReplicas": 5}), "updatedReplicas", (0, 5)),
        (json!({"observedGeneration": 7, "updatedReplicas": 5}), "readyReplicas", (5, 0)),
    ] {
        let seen = look(status).unwrap();
        let workload = seen.workload.as_ref().unwrap();
        assert_eq!((seen.applied, workload.updated, workload.ready), (true, counts.0, counts.1));
        let unsaid = seen.missing.clone().unwrap();
        assert!(unsaid.starts_with(&format!("`status.{field}` of GameSet shop/checkout is missing")), "{unsaid}");
        assert!(seen.clone().behind(None).applied, "the applier has nothing against it");
        let behind = seen.behind(Some("not applied".to_owned()));
        assert_eq!((behind.applied, behind.missing.as_deref()), (false, Some("not applied")));
    }
    let (cause, hint) = refused(look(json!({"updatedReplicas": 5, "readyReplicas": 5})));
    assert!(cause.contains("`status.observedGeneration` of GameSet shop/checkout is missing"), "{cause}");
    assert!(hint.contains("`timed`"), "{hint}");
    let mut elsewhere = object(json!({"observedGeneration": 7}));
    elsewhere["spec"] = json!({"replicas": 5});
    let (cause, _) = refused(look_as("gamesets", "gamesets", elsewhere));
    assert!(cause.contains("no number of pods at `spec.pods.count`"), "{cause}");
    let (cause, hint) = refused(look_as("gamesets", "gameset", object(json!({}))));
    assert!(cause.contains("serves no gamesets (GameSet) of games.example.com/v1"), "{cause}");
    assert!(hint.contains("`plural`"), "{hint}");
}

/// A field that is not in the kind's schema is dropped by the API server, and nobody hears of it.
#[test]
fn a_partition_that_the_cluster_does_not_keep_is_told() {
    let status = json!({"observedGeneration": 7, "replicas": 5, "updatedReplicas": 3, "readyReplicas": 5});
    let look = |live: Value, kept: Option<u32>| {
        let mut object = object(status.clone());
        object["spec"]["update"] = json!({"keep": live});
        let mut target = target_of("gamesets", "status.");
        target.described.as_mut().unwrap().kept = kept;
        observe_target(&serve("gamesets", object), &target).unwrap().missing
    };
    assert_eq!(look(json!(2), Some(2)), None);
    assert_eq!(look(json!(null), Some(0)), None, "no partition keeps no pods");
    assert_eq!(look(json!(1), None), None, "the user's own");
    let missing = look(json!(null), Some(2)).unwrap();
    assert!(
        missing.contains("`spec.update.keep` of GameSet shop/checkout is missing in the cluster, where the commit says 2"),
        "{missing}"
    );
    assert!(look(json!(1), Some(2)).unwrap().contains("is 1 in the cluster"));
}
