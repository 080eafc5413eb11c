//! Whose the objects of a directory with several Rollouts are: a table of small directories.

use windlass::api::WorkloadRef;
use windlass::manifest::{self, ObjectSet};
use windlass::render::scope::{Holder, Member, Scopes, hand_over};

/// A Deployment `name`, whose pods carry `app: name` and `tier: front`, with more of a pod's spec.
fn workload(name: &str, pod: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\nspec:\n  template:\n    metadata: \
         {{labels: {{app: {name}, tier: front}}}}\n    spec: {{{pod}}}\n---\n"
    )
}

fn member(name: &str) -> Member {
    let workload = WorkloadRef::new("apps/v1", "Deployment", name);
    Member { name: name.to_owned(), namespace: None, workload, routed: Vec::new(), shared: None }
}

fn objects(text: &str) -> ObjectSet {
    manifest::read("all.yaml", text).unwrap().into_iter().map(|document| document.object).collect()
}

fn object(version: &str, kind: &str, name: &str, rest: &str) -> String {
    format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\n{rest}\n---\n")
}

/// Every object beside the workloads with its owner: `a`, `b`, or `-` for the rest.
fn owners(text: &str, members: &[Member]) -> String {
    let objects = objects(text);
    let scopes = Scopes::of(&objects, members);
    let own = scopes.all().filter(|(key, _, _)| key.kind != "Deployment");
    own.map(|(key, owner, _)| format!("{}/{}={}", key.kind, key.name, owner.unwrap_or("-"))).collect::<Vec<_>>().join(" ")
}

/// `apiVersion`, kind, name, and what else the object says.
type Other = (&'static str, &'static str, &'static str, &'static str);
type Row = (&'static str, &'static str, &'static str, &'static [Other], &'static str);

/// Rollouts `a` and `b`; the pods of `a` have this in their spec, those of `b` that; the other objects; what is whose.
const TABLE: [Row; 24] = [
    ("nobody reaches it", "", "", &[("v1", "ConfigMap", "x", "")], "ConfigMap/x=-"),
    (
        "volumes",
        "volumes: [{configMap: {name: x}}, {secret: {secretName: s}}, {persistentVolumeClaim: {claimName: z}}]",
        "",
        &[("v1", "ConfigMap", "x", ""), ("v1", "Secret", "s", ""), ("v1", "PersistentVolumeClaim", "z", "")],
        "ConfigMap/x=a PersistentVolumeClaim/z=a Secret/s=a",
    ),
    (
        "both mount it",
        "volumes: [{configMap: {name: x}}]",
        "volumes: [{configMap: {name: x}}]",
        &[("v1", "ConfigMap", "x", "")],
        "ConfigMap/x=-",
    ),
    (
        "projected, and a driver's Secret",
        "volumes: [{projected: {sources: [{configMap: {name: x}}, {secret: {name: s}}]}}, {csi: {nodePublishSecretRef: {name: z}}}]",
        "",
        &[("v1", "ConfigMap", "x", ""), ("v1", "Secret", "s", ""), ("v1", "Secret", "z", "")],
        "ConfigMap/x=a Secret/s=a Secret/z=a",
    ),
    (
        "env and envFrom, of init containers too",
        "containers: [{env: [{valueFrom: {secretKeyRef: {name: s}}}], envFrom: [{configMapRef: {name: x}}]}]",
        "initContainers: [{env: [{valueFrom: {configMapKeyRef: {name: w}}}], envFrom: [{secretRef: {name: v}}]}]",
        &[("v1", "ConfigMap", "x", ""), ("v1", "Secret", "s", ""), ("v1", "ConfigMap", "w", ""), ("v1", "Secret", "v", "")],
        "ConfigMap/w=b ConfigMap/x=a Secret/v=b Secret/s=a",
    ),
    (
        "an account, its Secrets, its binding and role",
        "serviceAccountName: acc",
        "",
        &[
            ("v1", "ServiceAccount", "acc", "imagePullSecrets: [{name: pull}]"),
            ("v1", "Secret", "pull", ""),
            (
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                "bind",
                "subjects: [{kind: ServiceAccount, name: acc}]\nroleRef: {kind: Role, name: may}",
            ),
            ("rbac.authorization.k8s.io/v1", "Role", "may", ""),
            ("rbac.authorization.k8s.io/v1", "Role", "other", ""),
        ],
        "Secret/pull=a ServiceAccount/acc=a Role/may=a Role/other=- RoleBinding/bind=a",
    ),
    (
        "one role, two bindings",
        "serviceAccountName: one",
        "serviceAccountName: two",
        &[
            ("v1", "ServiceAccount", "one", ""),
            ("v1", "ServiceAccount", "two", ""),
            (
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                "b1",
                "subjects: [{kind: ServiceAccount, name: one}]\nroleRef: {kind: Role, name: may}",
            ),
            (
                "rbac.authorization.k8s.io/v1",
                "RoleBinding",
                "b2",
                "subjects: [{kind: ServiceAccount, name: two}]\nroleRef: {kind: Role, name: may}",
            ),
            ("rbac.authorization.k8s.io/v1", "Role", "may", ""),
        ],
        "ServiceAccount/one=a ServiceAccount/two=b Role/may=- RoleBinding/b1=a RoleBinding/b2=b",
    ),
    (
        "imagePullSecrets",
        "imagePullSecrets: [{name: x}]",
        "imagePullSecrets: [{name: x}, {name: s}]",
        &[("v1", "Secret", "x", ""), ("v1", "Secret", "s", "")],
        "Secret/x=- Secret/s=b",
    ),
    (
        "Services by selector; one of all, one of none",
        "",
        "",
        &[
            ("v1", "Service", "one", "spec: {selector: {app: a}}"),
            ("v1", "Service", "all", "spec: {selector: {tier: front}}"),
            ("v1", "Service", "none", "spec: {selector: {app: a, tier: back}}"),
            ("v1", "Service", "empty", "spec: {}"),
        ],
        "Service/all=- Service/empty=- Service/none=- Service/one=a",
    ),
    (
        "an Ingress of one, with its certificate",
        "",
        "",
        &[
            ("v1", "Service", "one", "spec: {selector: {app: a}}"),
            (
                "networking.k8s.io/v1",
                "Ingress",
                "in",
                "spec: {tls: [{secretName: cert}], rules: [{host: two.example, http: {paths: [{backend: {service: {name: one}}}]}}]}",
            ),
            ("v1", "Secret", "cert", ""),
        ],
        "Secret/cert=a Service/one=a Ingress/in=a",
    ),
    (
        "an Ingress of both",
        "",
        "",
        &[
            ("v1", "Service", "one", "spec: {selector: {app: a}}"),
            ("v1", "Service", "two", "spec: {selector: {app: b}}"),
            (
                "networking.k8s.io/v1",
                "Ingress",
                "in",
                "spec: {defaultBackend: {service: {name: two}}, rules: [{http: {paths: [{backend: {service: {name: one}}}]}}]}",
            ),
        ],
        "Service/one=a Service/two=b Ingress/in=-",
    ),
    (
        "an HTTPRoute, not by its gateway's name, and a policy of it",
        "",
        "",
        &[
            ("v1", "Service", "one", "spec: {selector: {app: a}}"),
            ("v1", "Service", "two", "spec: {selector: {app: b}}"),
            (
                "gateway.networking.k8s.io/v1",
                "HTTPRoute",
                "r",
                "spec: {parentRefs: [{name: two}], rules: [{backendRefs: [{name: one, port: 80}]}]}",
            ),
            (
                "gateway.networking.k8s.io/v1",
                "BackendTLSPolicy",
                "p",
                "spec: {targetRefs: [{group: '', kind: Service, name: one}]}",
            ),
        ],
        "Service/one=a Service/two=b BackendTLSPolicy/p=a HTTPRoute/r=a",
    ),
    (
        "Istio's hosts, short and long",
        "",
        "",
        &[
            ("v1", "Service", "one", "spec: {selector: {app: a}}"),
            ("v1", "Service", "two", "spec: {selector: {app: b}}"),
            (
                "networking.istio.io/v1",
                "VirtualService",
                "v",
                "spec: {hosts: [two], http: [{route: [{destination: {host: one.shop.svc.cluster.local}}]}]}",
            ),
            ("networking.istio.io/v1", "DestinationRule", "d", "spec: {host: two}"),
            ("networking.istio.io/v1", "DestinationRule", "e", "spec: {host: two.elsewhere}"),
        ],
        "Service/one=a Service/two=b DestinationRule/d=b DestinationRule/e=- VirtualService/v=a",
    ),
    (
        "an IngressRoute, and a TraefikService between",
        "",
        "",
        &[
            ("v1", "Service", "one", "spec: {selector: {app: a}}"),
            ("traefik.io/v1alpha1", "TraefikService", "t", "spec: {weighted: {services: [{name: one}]}}"),
            ("traefik.io/v1alpha1", "IngressRoute", "i", "spec: {routes: [{services: [{name: t, kind: TraefikService}]}]}"),
        ],
        "Service/one=a IngressRoute/i=a TraefikService/t=a",
    ),
    (
        "a mesh's route, which hangs on a Service",
        "",
        "",
        &[
            ("v1", "Service", "one", "spec: {selector: {app: a}}"),
            ("v1", "Service", "two", "spec: {selector: {app: b}}"),
            (
                "policy.linkerd.io/v1beta3",
                "HTTPRoute",
                "r",
                "spec: {parentRefs: [{kind: Service, group: core, name: two}], rules: [{matches: [{path: {value: /one}}]}]}",
            ),
        ],
        "Service/one=a Service/two=b HTTPRoute/r=b",
    ),
    (
        "a TrafficSplit",
        "",
        "",
        &[
            ("v1", "Service", "one", "spec: {selector: {app: a}}"),
            ("split.smi-spec.io/v1alpha4", "TrafficSplit", "s", "spec: {service: one, backends: [{service: one, weight: 100}]}"),
        ],
        "Service/one=a TrafficSplit/s=a",
    ),
    (
        "autoscalers",
        "",
        "",
        &[
            (
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                "h",
                "spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}}",
            ),
            (
                "keda.sh/v1alpha1",
                "ScaledObject",
                "k",
                "spec: {scaleTargetRef: {name: b}, triggers: [{authenticationRef: {name: auth}}]}",
            ),
            ("keda.sh/v1alpha1", "TriggerAuthentication", "auth", ""),
            (
                "autoscaling/v2",
                "HorizontalPodAutoscaler",
                "s",
                "spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: a}}",
            ),
        ],
        "HorizontalPodAutoscaler/h=a HorizontalPodAutoscaler/s=- ScaledObject/k=b TriggerAuthentication/auth=b",
    ),
    (
        "budgets",
        "",
        "",
        &[
            ("policy/v1", "PodDisruptionBudget", "one", "spec: {selector: {matchLabels: {app: a}}}"),
            ("policy/v1", "PodDisruptionBudget", "all", "spec: {selector: {}}"),
            (
                "policy/v1",
                "PodDisruptionBudget",
                "not",
                "spec: {selector: {matchExpressions: [{key: app, operator: NotIn, values: [a]}]}}",
            ),
            ("policy/v1", "PodDisruptionBudget", "none", "spec: {}"),
        ],
        "PodDisruptionBudget/all=- PodDisruptionBudget/none=- PodDisruptionBudget/not=b PodDisruptionBudget/one=a",
    ),
    (
        "network policies by the pods that they are about",
        "",
        "",
        &[
            (
                "networking.k8s.io/v1",
                "NetworkPolicy",
                "one",
                "spec: {podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {matchLabels: {app: b}}}]}]}",
            ),
            ("networking.k8s.io/v1", "NetworkPolicy", "deny", "spec: {podSelector: {}}"),
        ],
        "NetworkPolicy/deny=- NetworkPolicy/one=a",
    ),
    (
        "another namespace is another world",
        "volumes: [{configMap: {name: x}}]",
        "",
        &[("v1", "ConfigMap", "x, namespace: other", "")],
        "ConfigMap/x=-",
    ),
    (
        "an account that both use",
        "serviceAccountName: acc",
        "serviceAccountName: acc",
        &[("v1", "ServiceAccount", "acc", "")],
        "ServiceAccount/acc=-",
    ),
    ("a custom kind that names nothing of it", "", "", &[("x.example/v1", "Thing", "t", "spec: {name: a}")], "Thing/t=-"),
    (
        "a custom kind with a targetRef",
        "",
        "",
        &[(
            "apps.kruise.io/v1alpha1",
            "WorkloadSpread",
            "w",
            "spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: a}}",
        )],
        "WorkloadSpread/w=a",
    ),
    (
        "one monitors a Service of one",
        "",
        "",
        &[("monitoring.coreos.com/v1", "ServiceMonitor", "m", "spec: {selector: {}}")],
        "ServiceMonitor/m=-",
    ),
];

#[test]
fn each_object_is_whose_it_is() {
    let mut wrong = Vec::new();
    for (what, a, b, others, expected) in TABLE {
        let mut text = workload("a", a) + &workload("b", b);
        for (version, kind, name, rest) in others {
            let text_of = object(version, kind, name, rest);
            text += &if name.contains("namespace") { text_of.replace(", namespace: shop}", "}") } else { text_of };
        }
        let is = owners(&text, &[member("a"), member("b")]);
        let mut is: Vec<&str> = is.split(' ').collect();
        let mut wanted: Vec<&str> = expected.split(' ').collect();
        is.sort_unstable();
        wanted.sort_unstable();
        if is != wanted {
            wrong.push(format!("{what}:\n  is     {is:?}\n  wanted {wanted:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn with_one_rollout_its_scope_is_everything() {
    let text = workload("a", "") + &workload("b", "") + &object("v1", "ConfigMap", "x", "");
    let set = objects(&text);
    let scopes = Scopes::of(&set, &[member("a")]);
    assert_eq!(scopes.part(&set, Some("a")), set);
    assert!(scopes.part(&set, None).is_empty());
}

#[test]
fn what_a_routing_names_and_others_need_is_a_conflict() {
    let text = workload("a", "") + &workload("b", "") + &object("v1", "Service", "all", "spec: {selector: {tier: front}}");
    let mut first = member("a");
    first.routed.push((String::new(), "Service".to_owned(), "all".to_owned()));
    let set = objects(&text);
    let scopes = Scopes::of(&set, &[first, member("b")]);
    let [conflict] = scopes.conflicts() else { panic!("{:?}", scopes.conflicts()) };
    assert_eq!((conflict.rollout.as_str(), conflict.others.as_slice()), ("a", ["b".to_owned()].as_slice()));
    // Nobody else changes it while that stands.
    assert_eq!(scopes.owner(&conflict.object), Some("a"));
}

#[test]
fn what_changes_hands_stays_as_it_is() {
    let mount = "volumes: [{configMap: {name: x}}]";
    let config = |value: &str| object("v1", "ConfigMap", "x", &format!("data: {{a: '{value}'}}"));
    let before = objects(&(workload("a", mount) + &config("old")));
    let of_b = objects(&workload("b", ""));
    let source = objects(&(workload("a", mount) + &workload("b", mount) + &config("new")));
    let members = [member("a"), member("b")];
    let scopes = Scopes::of(&source, &members);
    let holder = |member: Member, set: &ObjectSet| Holder { member, stable: set.clone(), candidate: None, live: set.clone() };
    let holders = [holder(member("a"), &before), holder(member("b"), &of_b)];
    let next = hand_over(&source, &scopes, &holders, &ObjectSet::default(), false);
    let (slot, _) = &next.slots["a"];
    assert_eq!(slot, &objects(&workload("a", mount)), "the slot loses it");
    assert_eq!(next.rest, objects(&config("new")), "the rest follows the source at once");
    assert!(!next.slots.contains_key("b"));

    // Back again: the slot gets it as it is live.
    let source = objects(&(workload("a", mount) + &workload("b", "") + &config("newest")));
    let holders = [holder(member("a"), &objects(&workload("a", mount))), holder(member("b"), &of_b)];
    let next = hand_over(&source, &Scopes::of(&source, &members), &holders, &objects(&config("new")), false);
    assert_eq!(next.slots["a"].0, objects(&(workload("a", mount) + &config("new"))));
    assert!(next.rest.is_empty());
}

#[test]
fn the_rest_keeps_what_a_recorded_version_needs() {
    let mount = |name: &str| format!("volumes: [{{configMap: {{name: {name}}}}}]");
    let source = objects(&(workload("a", &mount("x-2")) + &workload("b", &mount("x-2")) + &object("v1", "ConfigMap", "x-2", "")));
    let live = objects(&workload("a", &mount("x-1")));
    let holders = [Holder { member: member("a"), stable: live.clone(), candidate: None, live }];
    let rest = objects(&(object("v1", "ConfigMap", "x-1", "") + &object("v1", "ConfigMap", "x-0", "")));
    let scopes = Scopes::of(&source, &[member("a"), member("b")]);
    let next = hand_over(&source, &scopes, &holders, &rest, false);
    let names: Vec<&str> = next.rest.iter().map(|(key, _)| key.name.as_str()).collect();
    assert_eq!(names, ["x-1", "x-2"]);
}
