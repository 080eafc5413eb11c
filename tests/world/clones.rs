//! A CloneSet that has all pods twice, by the sums of OpenKruise 1.1.0 and later.

use serde_json::json;
use windlass::manifest::{Object, ObjectKey, ObjectSet};
use windlass::sim::cluster::Cluster;

use super::kit::{IMAGE, NAMESPACE};

fn key() -> ObjectKey {
    let group = "apps.kruise.io".to_owned();
    ObjectKey { group, kind: "CloneSet".to_owned(), namespace: Some(NAMESPACE.to_owned()), name: "shop".to_owned() }
}

fn clones(image: &str, held: bool) -> ObjectSet {
    let template = json!({"metadata": {"labels": {"app": "shop"}}, "spec": {"containers": [{"name": "main", "image": image}]}});
    let mut spec = json!({"replicas": 5, "selector": {"matchLabels": {"app": "shop"}}, "template": template});
    if held {
        spec["minReadySeconds"] = json!(2_147_483_646);
        spec["updateStrategy"] = json!({"maxSurge": "100%", "maxUnavailable": 0});
    }
    let metadata = json!({"name": "shop", "namespace": NAMESPACE});
    let object = json!({"apiVersion": "apps.kruise.io/v1alpha1", "kind": "CloneSet", "metadata": metadata, "spec": spec});
    [Object::new(object).unwrap()].into_iter().collect()
}

/// Pods and Ready ones of both versions.
fn both(cluster: &Cluster) -> [(u32, u32); 2] {
    let found = cluster.pods_by(&key(), IMAGE);
    ["v1:1", "v2:1"].map(|image| found.get(image).map_or((0, 0), |counts| (counts.pods, counts.ready)))
}

fn held() -> Cluster {
    let mut cluster = Cluster::new(NAMESPACE);
    for objects in [clones("v1:1", false), clones("v2:1", true)] {
        cluster.apply(&objects).unwrap();
        cluster.advance(60_000);
    }
    assert_eq!(both(&cluster), [(5, 5), (5, 5)]);
    cluster
}

/// kruise#899: the new pods that are there use up `maxUnavailable`. (Up to 1.0 an old pod would be replaced here.)
#[test]
fn a_new_pod_that_is_lost_takes_no_old_one_with_it() {
    let mut cluster = held();
    cluster.sicken_newest(&key(), 2);
    cluster.advance(60_000);
    assert_eq!(both(&cluster), [(5, 5), (5, 3)]);
    cluster.delete_broken(&key());
    cluster.advance(600_000);
    assert_eq!(both(&cluster).map(|(_, ready)| ready), [5, 3], "nor does a new one come (kruise#1666)");
}

/// What docs/kruise.md warns of: with all new pods there, the old ones are too many.
#[test]
fn an_old_pod_that_is_not_ready_goes_and_comes_back_with_the_old_version() {
    let mut cluster = held();
    cluster.sicken(&key(), 2);
    cluster.advance(600_000);
    assert_eq!(both(&cluster), [(3, 3), (5, 5)]);
    cluster.apply(&clones("v1:1", false)).unwrap();
    let start = cluster.now();
    cluster.advance(600_000);
    assert_eq!(both(&cluster), [(5, 5), (0, 0)]);
    assert!(cluster.timeline().fewest_ready(&key(), start, cluster.now()).is_some_and(|fewest| fewest >= 4));
}
