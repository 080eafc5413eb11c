//! What in a live tree may keep pods from coming: one row for each rule, and one beside it that is fine.

use windlass::api::{self, Meaning, Rollout};
use windlass::manifest::{self, ObjectSet};
use windlass::render::obstacles::{Peak, obstacles};

const AT_REST: Peak = Peak { size: 10, pods: 10, mixed: false };
/// Half of the pods are new, none more than at rest.
const IN_PLACE: Peak = Peak { size: 10, pods: 10, mixed: true };
const SURGE: Peak = Peak { size: 10, pods: 12, mixed: true };

/// The objects of a Deployment with `spec` in its pod template and `strategy` beside it, and others.
fn objects(kind: &str, strategy: &str, spec: &str, others: &str) -> ObjectSet {
    let api = if kind == "CloneSet" { "apps.kruise.io/v1alpha1" } else { "apps/v1" };
    let text = format!(
        "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: shop, namespace: prod}}\nspec:\n  replicas: 10\n{strategy}  template:\n    \
         metadata: {{labels: {{app: shop, tier: web}}}}\n    spec:\n      containers: [{{name: shop, image: shop, ports: [{{containerPort: 80}}], \
         resources: {{requests: {{cpu: 500m}}, limits: {{memory: 1Gi}}}}}}]\n{spec}---\n{others}"
    );
    manifest::read("shop.yaml", &text).unwrap().into_iter().map(|document| document.object).collect()
}

fn rollout(kind: &str, strategy: &str) -> Rollout {
    let api = if kind == "CloneSet" { "apps.kruise.io/v1alpha1" } else { "apps/v1" };
    let text = format!(
        "apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: shop}}\nspec:\n  workloadRef: {{apiVersion: {api}, kind: {kind}, \
         name: shop}}\n  strategy: {strategy}\n"
    );
    let mut read = api::read("rollout.yaml", &text);
    match read.documents.pop().map(api::Document::into_meaning) {
        Some(Meaning::Rollout(rollout)) => rollout,
        _ => panic!("{:?}", read.findings),
    }
}

const BATCHES: &str = "{canary: {steps: [{replicas: 20%}, {replicas: 100%}]}}";
const EXTRA: &str = "{canary: {enableExtraWorkloadForCanary: true, steps: [{replicas: 20%}]}}";

#[track_caller]
fn check(kind: &str, style: &str, objects: &ObjectSet, peak: Peak, wanted: &[&str]) {
    let found = obstacles(&rollout(kind, style), objects, peak);
    let found: Vec<String> = found.iter().map(|found| format!("{}: {}", found.object, found.text)).collect();
    assert_eq!(found, wanted);
}

fn quota(hard: &str) -> String {
    format!("apiVersion: v1\nkind: ResourceQuota\nmetadata: {{name: team, namespace: prod}}\nspec: {{hard: {{{hard}}}}}\n")
}

#[test]
fn quotas_count_all_pods_of_the_worst_moment() {
    let with = |hard: &str| objects("Deployment", "", "", &quota(hard));
    check("Deployment", BATCHES, &with("pods: 12"), SURGE, &[]);
    let text = "ResourceQuota prod/team: 12 pods at once need `pods: 12` for this workload alone, and it allows 11";
    check("Deployment", BATCHES, &with("pods: '11'"), SURGE, &[text]);
    let text = "ResourceQuota prod/team: 12 pods at once need `count/pods: 12` for this workload alone, and it allows 10";
    check("Deployment", BATCHES, &with("count/pods: 10, services: 1"), SURGE, &[text]);
    let text = "ResourceQuota prod/team: 12 pods at once need `requests.cpu: 6` for this workload alone, and it allows 5500m";
    check("Deployment", BATCHES, &with("requests.cpu: 5500m"), SURGE, &[text]);
    check("Deployment", BATCHES, &with("cpu: 6, limits.cpu: 1, requests.memory: 12Gi"), SURGE, &[]);
    // A limit is the request where none is said.
    let found = obstacles(&rollout("Deployment", BATCHES), &with("requests.memory: 11.9Gi"), SURGE);
    assert!(found.iter().any(|found| found.text.contains("`requests.memory: 12Gi`")), "{found:?}");
    // Whom it counts is not known; what it says is no amount; another namespace.
    let scoped = quota("pods: 1").replace("hard:", "scopes: [BestEffort], hard:");
    check("Deployment", BATCHES, &objects("Deployment", "", "", &scoped), SURGE, &[]);
    check("Deployment", BATCHES, &with("pods: many, requests.cpu: ''"), SURGE, &[]);
    let elsewhere = quota("pods: 1").replace("prod", "test");
    check("Deployment", BATCHES, &objects("Deployment", "", "", &elsewhere), SURGE, &[]);
}

fn budget(api: &str, kind: &str, spec: &str) -> String {
    format!(
        "apiVersion: {api}\nkind: {kind}\nmetadata: {{name: shop, namespace: prod}}\nspec: {{selector: {{matchLabels: {{app: shop}}}}, {spec}}}\n"
    )
}

#[test]
fn budgets_are_compared_with_what_the_strategy_takes_away() {
    let pdb = |spec: &str| budget("policy/v1", "PodDisruptionBudget", spec);
    let slow = "  strategy: {rollingUpdate: {maxSurge: 0, maxUnavailable: 30%}}\n";
    let with = |strategy: &str, others: &str| objects("Deployment", strategy, "", others);
    // New pods come first: nothing is missing.
    check("Deployment", BATCHES, &with("", &pdb("minAvailable: 10")), IN_PLACE, &[]);
    check("Deployment", BATCHES, &with(slow, &pdb("minAvailable: 7")), IN_PLACE, &[]);
    let text = "PodDisruptionBudget prod/shop: steps take away up to 3 of 10 pods at once, and it allows 2 to be missing: controllers ask \
                no such budget, so a step goes below it, and nodes cannot be drained meanwhile";
    check("Deployment", BATCHES, &with(slow, &pdb("minAvailable: 80%")), IN_PLACE, &[text]);
    check("Deployment", BATCHES, &with(slow, &pdb("maxUnavailable: 2")), IN_PLACE, &[text]);
    check("Deployment", BATCHES, &with(slow, &pdb("maxUnavailable: 2")), AT_REST, &[]);
    check("Deployment", BATCHES, &with(slow, &pdb("maxUnavailable: 2").replace("app: shop", "app: other")), IN_PLACE, &[]);
    check("Deployment", EXTRA, &with(slow, &pdb("maxUnavailable: 2")), SURGE, &[]);
    // A partition takes one at a time, a CloneSet a fifth.
    check("StatefulSet", BATCHES, &objects("StatefulSet", "", "", &pdb("maxUnavailable: 1")), IN_PLACE, &[]);
    let pub_ = |spec: &str| budget("policy.kruise.io/v1alpha1", "PodUnavailableBudget", spec);
    let text = "PodUnavailableBudget prod/shop: steps take away up to 2 of 10 pods at once, and it allows 0 to be missing: OpenKruise \
                refuses to take any away, so no step gets anywhere";
    check("CloneSet", BATCHES, &objects("CloneSet", "", "", &pub_("maxUnavailable: 0%")), IN_PLACE, &[text]);
    let first = "  updateStrategy: {maxSurge: 2, maxUnavailable: 0}\n";
    check("CloneSet", BATCHES, &objects("CloneSet", first, "", &pub_("maxUnavailable: 0%")), IN_PLACE, &[]);
    let named =
        pub_("maxUnavailable: 0").replace("selector: {matchLabels: {app: shop}}", "targetRef: {kind: CloneSet, name: shop}");
    check("CloneSet", BATCHES, &objects("CloneSet", "", "", &named), IN_PLACE, &[text]);
}

#[test]
fn pods_that_may_not_share_a_place_need_one_more_each() {
    let apart = |term: &str| {
        let spec =
            format!("      affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [{{{term}}}]}}}}\n");
        objects("Deployment", "", &spec, "")
    };
    let own =
        "topologyKey: kubernetes.io/hostname, labelSelector: {matchExpressions: [{key: app, operator: In, values: [shop]}]}";
    let text = "Deployment prod/shop: its required podAntiAffinity lets no two pods share one: 12 pods at once need 12 of \
                `kubernetes.io/hostname`, where 10 are enough at rest";
    check("Deployment", BATCHES, &apart(own), SURGE, &[text]);
    check("Deployment", BATCHES, &apart(own), IN_PLACE, &[]);
    check("Deployment", BATCHES, &apart(&format!("{own}, matchLabelKeys: [pod-template-hash]")), SURGE, &[]);
    check("Deployment", BATCHES, &apart(&own.replace("[shop]", "[other]")), SURGE, &[]);
    let port = objects("Deployment", "", "      hostNetwork: false\n", "");
    let mut port: ObjectSet = port;
    for object in port.values().cloned().collect::<Vec<_>>() {
        let mut object = object;
        object.set(
            &["spec", "template", "spec", "containers"],
            serde_json::json!([{"name": "shop", "ports": [{"hostPort": 8080}]}]),
        );
        port.insert(object);
    }
    let text = "Deployment prod/shop: `hostPort: 8080` can be taken once on a node: 12 pods at once need 12 of `kubernetes.io/hostname`, \
                where 10 are enough at rest";
    check("Deployment", BATCHES, &port, SURGE, &[text]);
}

#[test]
fn a_claim_of_one_node_does_not_follow_the_surge() {
    let spec = "      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}, {name: other, emptyDir: {}}]\n";
    let claim = |modes: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data, namespace: prod}}\nspec: {{accessModes: [{modes}]}}\n"
        )
    };
    let text = "PersistentVolumeClaim prod/data: one node at a time can have it (`ReadWriteOnce`), and 12 pods want it at once, where 10 do at rest";
    check("Deployment", BATCHES, &objects("Deployment", "", spec, &claim("ReadWriteOnce")), SURGE, &[text]);
    check("Deployment", BATCHES, &objects("Deployment", "", spec, &claim("ReadWriteOnce")), IN_PLACE, &[]);
    check("Deployment", BATCHES, &objects("Deployment", "", spec, &claim("ReadWriteMany")), SURGE, &[]);
    check("Deployment", BATCHES, &objects("Deployment", "", spec, ""), SURGE, &[]);
}

#[test]
fn a_spread_that_must_hold_counts_both_versions() {
    let spread = |constraint: &str| {
        objects(
            "Deployment",
            "",
            &format!("      topologySpreadConstraints: [{{maxSkew: 1, topologyKey: zone, {constraint}}}]\n"),
            "",
        )
    };
    let own = "whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: shop}}";
    let text = "Deployment prod/shop: its spread over `zone` counts old and new pods as one: new ones stay Pending where the place that is \
                due for them has no room, and may stand all in one";
    check("Deployment", BATCHES, &spread(own), IN_PLACE, &[text]);
    check("Deployment", BATCHES, &spread(own), AT_REST, &[]);
    check("Deployment", BATCHES, &spread(&own.replace("DoNotSchedule", "ScheduleAnyway")), IN_PLACE, &[]);
    check("Deployment", BATCHES, &spread(&format!("{own}, matchLabelKeys: [pod-template-hash]")), IN_PLACE, &[]);
}

#[test]
fn a_workload_spread_names_one_workload_and_so_many_pods() {
    let spread = |subsets: &str| {
        format!(
            "apiVersion: apps.kruise.io/v1alpha1\nkind: WorkloadSpread\nmetadata: {{name: zones, namespace: prod}}\nspec:\n  targetRef: \
             {{apiVersion: apps/v1, kind: Deployment, name: shop}}\n  subsets: [{subsets}]\n"
        )
    };
    let with = |subsets: &str| objects("Deployment", "", "", &spread(subsets));
    check("Deployment", BATCHES, &with("{name: a, maxReplicas: 5}, {name: b}"), SURGE, &[]);
    check("Deployment", BATCHES, &with("{name: a, maxReplicas: 60%}, {name: b, maxReplicas: 6}"), SURGE, &[]);
    let text = "WorkloadSpread prod/zones: its subsets take 10 pods, and 12 run at once: the others belong to no subset";
    check("Deployment", BATCHES, &with("{name: a, maxReplicas: 50%}, {name: b, maxReplicas: 5}"), SURGE, &[text]);
    let text = "WorkloadSpread prod/zones: it places the pods of `shop`, not those of `shop-canary`, which the steps add";
    check("Deployment", EXTRA, &with("{name: a}"), SURGE, &[text]);
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_no_obstacle() {
    check("Deployment", BATCHES, &ObjectSet::default(), SURGE, &[]);
    let odd = "      affinity: [1]\n      topologySpreadConstraints: {a: b}\n      volumes: 3\n";
    let others = "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: a}\nspec: {selector: 3, maxUnavailable: -1}\n---\n\
                  apiVersion: apps.kruise.io/v1alpha1\nkind: WorkloadSpread\nmetadata: {name: b}\nspec: [1]\n---\n\
                  apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: c}\nspec: {hard: [pods]}\n";
    check("Deployment", BATCHES, &objects("Deployment", "  strategy: 7\n", odd, others), SURGE, &[]);
}
