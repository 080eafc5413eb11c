//! Every rule with its wording and its place.

use windlass::api::{self, Diagnostic, ReadResult};

/// A v1beta1 Rollout with this below `spec.strategy.canary`.
fn canary(canary: &str) -> String {
    format!("apiVersion: rollouts.kruise.io/v1beta1\n{}", rest(canary))
}

/// The same as a Windlass document.
fn windlass(canary: &str) -> String {
    format!("apiVersion: windlass.dev/v1alpha1\n{}", rest(canary))
}

fn rest(canary: &str) -> String {
    let canary = canary.replace('\n', "\n      ");
    format!(
        "kind: Rollout\nmetadata: {{name: shop, namespace: prod}}\nspec:\n  workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: shop}}\n  strategy:\n    canary:\n      {canary}\n"
    )
}

fn alpha(annotations: &str, canary: &str) -> String {
    let canary = canary.replace('\n', "\n      ");
    format!(
        "apiVersion: rollouts.kruise.io/v1alpha1\nkind: Rollout\nmetadata: {{name: shop, annotations: {{{annotations}}}}}\nspec:\n  objectRef:\n    workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: shop}}\n  strategy:\n    canary:\n      {canary}\n"
    )
}

/// A Windlass Rollout with one metric of this content.
fn metric(metric: &str) -> String {
    let metric = metric.replace('\n', "\n      ");
    format!("{}  analysis:\n    metrics:\n    - {metric}\n", windlass("steps: [{replicas: 1}]"))
}

fn settings(text: &str) -> String {
    format!("apiVersion: windlass.dev/v1alpha1\nkind: Repository\n{text}\n")
}

fn operator(text: &str) -> String {
    format!("apiVersion: windlass.dev/v1alpha1\nkind: Config\n{text}\n")
}

/// A TrafficRouting.
fn shared(refs: &str, strategy: &str) -> String {
    format!(
        "apiVersion: rollouts.kruise.io/v1alpha1\nkind: TrafficRouting\nmetadata: {{name: gray}}\nspec:\n  {refs}\n  strategy: {{{strategy}}}\n"
    )
}

const ENTRY: &str = "objectRef: [{service: a, gateway: {httpRouteName: a}}]";

fn has(result: &ReadResult, code: &str, message: &str) -> bool {
    result.findings.iter().any(|finding| finding.code == code && finding.message.contains(message))
}

/// What a finding points at.
fn pointed(finding: &Diagnostic) -> String {
    let snippet = finding.snippet.clone().unwrap_or_default();
    snippet.chars().skip(finding.column as usize - 1).take(finding.length as usize).collect()
}

const ROUTING: &str = "trafficRoutings: [{service: web, ingress: {name: web}}]\n";
const AMOUNT: &str = "replicas must be positive number, or a percentage with \"0%\" < canaryReplicas <= \"100%\"";
const GROW: &str = "Steps.CanaryReplicas must be a non decreasing sequence";
const CANARY_TRAFFIC: &str = "traffic must be percentage with \"0%\" < traffic <= \"100%\" in canary strategy";
const BLUE_TRAFFIC: &str = "traffic must be percentage with \"0%\" <= traffic <= \"100%\" in blueGreen strategy";
const LIMIT: &str =
    "For partition style rollout: step[x].replicas must not greater than partition-percent-limit if traffic specified";

fn kind_of_clones(text: &str) -> String {
    text.replace("kind: Deployment", "kind: CloneSet").replace("apiVersion: apps/v1,", "apiVersion: apps.kruise.io/v1alpha1,")
}

fn blue_green(text: &str) -> String {
    text.replace("canary:", "blueGreen:")
}

#[test]
fn kruise_v1beta1_in_its_words() {
    let kind = |api_version: &str, kind: &str, text: String| {
        text.replace("apps/v1", api_version).replace("kind: Deployment", &format!("kind: {kind}"))
    };
    let one = || canary("steps: [{replicas: 1}]");
    let cases: Vec<(String, &str, &str)> = vec![
        (kind("batch/v1", "Job", one()), "WorkloadRef kind is not supported", "Job"),
        (kind("v1", "Deployment", one()), "WorkloadRef kind is not supported", "Deployment"),
        (kind("apps/v1", "CloneSet", one()), "WorkloadRef kind is not supported", "CloneSet"),
        (
            kind("apps/v1", "StatefulSet", blue_green(&one())),
            "WorkloadRef kind is not supported for bluegreen style",
            "workloadRef",
        ),
        (
            one().replace("canary:\n      steps: [{replicas: 1}]", "paused: true"),
            "Canary and BlueGreen cannot both be empty",
            "strategy",
        ),
        (
            one().replace("    canary:", "    blueGreen: {steps: [{replicas: 1}]}\n    canary:"),
            "Canary and BlueGreen cannot both be set",
            "strategy",
        ),
        (canary("steps: []"), "The number of Canary.Steps cannot be empty", "steps"),
        (blue_green(&canary("steps: []")), "The number of Canary.Steps cannot be empty", "steps"),
        (canary("steps: [{pause: {}}]"), "replicas cannot be empty", "{"),
        (canary("steps: [{replicas: 1}, {traffic: 5%}]"), "replicas cannot be empty", "{"),
        (canary("steps: [{replicas: 0}]"), AMOUNT, "0"),
        (canary("steps: [{replicas: -1}]"), AMOUNT, "-1"),
        (canary("steps: [{replicas: 0%}]"), AMOUNT, "0%"),
        (canary("steps: [{replicas: 101%}]"), AMOUNT, "101%"),
        (canary("steps: [{replicas: '50'}]"), AMOUNT, "'50'"),
        (canary("steps: [{replicas: 2.5%}]"), AMOUNT, "2.5%"),
        (canary("steps: [{replicas: many}]"), AMOUNT, "many"),
        (canary(&format!("{ROUTING}steps: [{{replicas: 51%, traffic: 51%}}]")), LIMIT, "51%"),
        (canary(&format!("{ROUTING}steps: [{{replicas: 60%, matches: [{{headers: [{{name: a, value: b}}]}}]}}]")), LIMIT, "60%"),
        (canary(&format!("{ROUTING}steps: [{{replicas: 1, traffic: 0%}}]")), CANARY_TRAFFIC, "0%"),
        (canary(&format!("{ROUTING}steps: [{{replicas: 1, traffic: 101%}}]")), CANARY_TRAFFIC, "101%"),
        (canary(&format!("{ROUTING}steps: [{{replicas: 1, traffic: '20'}}]")), CANARY_TRAFFIC, "'20'"),
        (canary(&format!("{ROUTING}steps: [{{replicas: 1, traffic: some}}]")), CANARY_TRAFFIC, "some"),
        (blue_green(&canary(&format!("{ROUTING}steps: [{{replicas: 1, traffic: 101%}}]"))), BLUE_TRAFFIC, "101%"),
        (blue_green(&canary(&format!("{ROUTING}steps: [{{replicas: 1, traffic: -1%}}]"))), BLUE_TRAFFIC, "-1%"),
        (canary("steps: [{replicas: 3}, {replicas: 2}]"), GROW, "2"),
        (canary("steps: [{replicas: 50%}, {replicas: 20%}]"), GROW, "20%"),
        (
            canary(
                "steps: [{replicas: 1}]\ntrafficRoutings: [{service: a, ingress: {name: a}}, {service: b, ingress: {name: b}}]",
            ),
            "Rollout currently only support single TrafficRouting.",
            "{",
        ),
        (
            canary("steps: [{replicas: 1}]\ntrafficRoutings: [{service: a, gracePeriodSeconds: -1, ingress: {name: a}}]"),
            "TrafficRouting.GracePeriodSeconds cannot be negative",
            "-1",
        ),
        (
            canary("steps: [{replicas: 1}]\ntrafficRoutings: [{service: '', ingress: {name: a}}]"),
            "TrafficRouting.Service cannot be empty",
            "''",
        ),
        (
            canary("steps: [{replicas: 1}]\ntrafficRoutings: [{ingress: {name: a}}]"),
            "TrafficRouting.Service cannot be empty",
            "{",
        ),
        (canary("steps: [{replicas: 1}]\ntrafficRoutings: [{service: a}]"), "TrafficRoutings are not set", "{"),
        (
            canary("steps: [{replicas: 1}]\ntrafficRoutings: [{service: a, ingress: {name: ''}}]"),
            "TrafficRouting.Ingress.Ingress cannot be empty",
            "''",
        ),
        (
            canary("steps: [{replicas: 1}]\ntrafficRoutings: [{service: a, gateway: {}}]"),
            "TrafficRouting.Gateway must set the name of HTTPRoute or HTTPsRoute",
            "gateway",
        ),
        (
            canary("steps: [{replicas: 1}]\ntrafficRoutings: [{service: a, gateway: {httpRouteName: ''}}]"),
            "TrafficRouting.Gateway must set the name of HTTPRoute or HTTPsRoute",
            "''",
        ),
    ];
    for (text, message, at) in cases {
        let result = api::read("r.yaml", &text);
        let finding = result.findings.iter().find(|finding| finding.code == "kruise" && finding.message == message);
        let finding = finding.unwrap_or_else(|| panic!("{message}\n{text}\n{:#?}", result.findings));
        assert_eq!(pointed(finding), at, "{message}\n{text}\n{finding:#?}");
        assert!(result.documents.is_empty());
        assert_eq!(result.broken.len(), 1);
    }
}

#[test]
fn kruise_accepts() {
    for text in [
        canary("steps: [{replicas: 1}, {replicas: 50%}, {replicas: 2}]"),
        canary("steps: [{replicas: 1000}]"),
        canary("steps: [{replicas: 100%}]"),
        canary(&format!("{ROUTING}steps: [{{replicas: 50%, traffic: 100%}}, {{replicas: 50%, traffic: 10%}}]")),
        canary(&format!("{ROUTING}steps: [{{replicas: 9, traffic: 90%}}]")),
        canary("steps: [{replicas: 20%, pause: {}}, {replicas: 1}]\nfailureThreshold: 20%"),
        canary("steps: [{replicas: 1, pause: {duration: 0}}]\ndisableGenerateCanaryService: true"),
        format!("{}status: {{phase: Healthy, anything: [1, 2]}}\n", canary("steps: [{replicas: 1}]")),
        canary("steps: [{replicas: 1}]")
            .replace("name: shop, namespace", "name: shop, uid: abc, labels: {a: b}, generation: 3, namespace"),
        canary("steps: [{replicas: 1, matches: null, pause: null}]"),
    ] {
        let result = api::read("r.yaml", &text);
        assert_eq!(result.findings, [], "{text}");
        assert_eq!(result.rollouts().count(), 1);
    }
}

#[test]
fn kruise_v1alpha1_in_its_words() {
    let partition = "rollouts.kruise.io/rolling-style: partition";
    let cases = [
        (
            alpha("rollouts.kruise.io/rolling-style: blue", "steps: [{weight: 5}]"),
            "Rolling style must be 'Canary', 'Partition' or empty",
        ),
        (
            alpha(partition, "steps: [{weight: 5}]")
                .replace("  objectRef:\n    workloadRef: {apiVersion: apps/v1, kind: Deployment, name: shop}", "  objectRef: {}"),
            "WorkloadRef is required",
        ),
        (alpha(partition, "steps: [{weight: 5}]").replace("kind: Deployment", "kind: Pod"), "WorkloadRef kind is not supported"),
        (
            alpha(partition, "steps: [{weight: 5}]").replace("canary:\n      steps: [{weight: 5}]", "paused: false"),
            "Canary cannot be empty",
        ),
        (alpha(partition, "steps: []"), "The number of Canary.Steps cannot be empty"),
        (alpha(partition, "steps: [{pause: {}}]"), "weight and replicas cannot be empty at the same time"),
        (alpha(partition, "steps: [{replicas: 0}]"), AMOUNT),
        (alpha(partition, "steps: [{replicas: 101%}]"), AMOUNT),
        (
            alpha(partition, "steps: [{replicas: 60%, weight: 5}]"),
            "For patition style rollout: step[x].replicas must not greater than replicasLimitWithTraffic if traffic or matches specified",
        ),
        (
            alpha(partition, "steps: [{weight: 60}]"),
            "For patition style rollout: step[x].weight must not greater than replicasLimitWithTraffic if replicas is not specified",
        ),
        (
            alpha("", "steps: [{weight: 0}]"),
            "weight must be positive number, and less than or equal to replicasLimitWithTraffic (defaults to 30)",
        ),
        (
            alpha("", "steps: [{weight: 101}]"),
            "weight must be positive number, and less than or equal to replicasLimitWithTraffic (defaults to 30)",
        ),
        (
            alpha(partition, &format!("{ROUTING}steps: [{{weight: 20, replicas: 1}}, {{weight: 10, replicas: 2}}]")),
            "Steps.Weight must be a non decreasing sequence",
        ),
        (alpha(partition, "steps: [{weight: 20}, {weight: 10}]"), GROW),
        (alpha(partition, "steps: [{replicas: 2}, {replicas: 1}]"), GROW),
        (alpha(partition, "steps: [{weight: 5}]\ntrafficRoutings: [{service: a}]"), "TrafficRoutings are not set"),
    ];
    for (text, message) in cases {
        let result = api::read("r.yaml", &text);
        assert!(
            result.findings.iter().any(|finding| finding.code == "kruise" && finding.message == message),
            "{text}\n{:#?}",
            result.findings
        );
    }
}

#[test]
fn our_rules() {
    let step = "steps: [{replicas: 1}]";
    let cases: Vec<(String, &str, &str)> = vec![
        // routing
        (canary("steps: [{replicas: 1, traffic: 5%}]"), "no-routing", "no `trafficRoutings`"),
        (canary("steps: [{replicas: 1, matches: [{headers: [{name: a, value: b}]}]}]"), "no-routing", "no `trafficRoutings`"),
        (
            canary(&format!("{ROUTING}steps: [{{replicas: 1, traffic: 5%, matches: [{{headers: [{{name: a, value: b}}]}}]}}]")),
            "matches-and-traffic",
            "`matches` and `traffic`",
        ),
        (
            canary(&format!(
                "{step}\ntrafficRoutings: [{{service: a, customNetworkRefs: [{{apiVersion: networking.istio.io/v1, kind: \
                 VirtualService, name: ''}}]}}]"
            )),
            "empty",
            "the name of the object is empty",
        ),
        // what comes later
        (canary(step).replace("kind: Deployment", "kind: ReplicaSet"), "not-supported-yet", "a ReplicaSet, which"),
        (
            canary(&format!("{step}\n{ROUTING}")).replace("kind: Deployment", "kind: DaemonSet"),
            "not-supported-yet",
            "traffic routing of a DaemonSet of apps/v1",
        ),
        (blue_green(&kind_of_clones(&canary(step))), "kruise", "every step of a CloneSet's blueGreen release takes all pods"),
        (format!("{}  delivery: pullRequest\n", windlass(step)), "not-supported-yet", "delivery by pull request"),
        (format!("{}  windows: [{{days: [Mon]}}]\n", windlass(step)), "not-supported-yet", "`spec.windows`"),
        (format!("{}  source: {{path: x}}\n", windlass(step)), "not-supported-yet", "`spec.source.path`"),
        (format!("{}  target: {{path: x}}\n", windlass(step)), "not-supported-yet", "`spec.target`"),
        (format!("{}  revertSource: pullRequest\n", windlass(step)), "not-supported-yet", "`spec.revertSource`"),
        (format!("{}  observe: {{commitStatus: {{}}}}\n", windlass(step)), "not-supported-yet", "observe.commitStatus"),
        (windlass("steps: [{replicas: 1, mirror: 5%}]"), "no-routing", "no `trafficRoutings`"),
        (windlass(&format!("{ROUTING}steps: [{{replicas: 1, mirror: 0%}}]")), "out-of-range", "`mirror` must be a percentage"),
        (windlass(&format!("{ROUTING}steps: [{{replicas: 1, mirror: '5'}}]")), "out-of-range", "`mirror` must be a percentage"),
        (
            windlass("steps: [{replicas: 1}]\ntrafficRoutings: [{service: a, gateway: {grpcRouteName: ''}}]"),
            "kruise",
            "TrafficRouting.Gateway must set the name",
        ),
        (windlass("steps: [{replicas: 1, gates: [{webhook: {}}]}]"), "not-supported-yet", "gates[0].webhook"),
        (windlass("steps: [{replicas: 1, gates: [{job: {}}]}]"), "not-supported-yet", "gates[0].job"),
        (windlass("steps: [{replicas: 1, gates: [{window: {}}]}]"), "not-supported-yet", "gates[0].window"),
        (windlass("steps: [{replicas: 1, gates: [{commitStatus: {}}]}]"), "not-supported-yet", "gates[0].commitStatus"),
        (windlass("steps: [{replicas: 1, gates: [{rollout: {}}]}]"), "not-supported-yet", "gates[0].rollout"),
        (metric("{name: m, source: p, query: q, max: 1, compare: {}}"), "not-supported-yet", "compare"),
        (metric("{name: m, source: p, query: q, max: 1, kayenta: {}}"), "not-supported-yet", "kayenta"),
        (metric("{name: m, source: p, query: q, max: 1, burnRate: {}}"), "not-supported-yet", "burnRate"),
        (settings("delivery: pullRequest"), "not-supported-yet", "delivery by pull request"),
        (operator("sources: [{name: d, datadog: {}}]"), "not-supported-yet", "datadog"),
        // the live branch's repository
        (settings("live: {url: ''}"), "bad-url", "no address"),
        (settings("live: {url: '../live.git'}"), "bad-url", "no address"),
        (settings("live: {url: '/srv/live.git'}"), "bad-url", "no address"),
        (settings("live: {url: 'ext::sh -c evil'}"), "bad-url", "no address"),
        (settings("live: {url: 'ext::sh'}"), "bad-url", "no address"),
        (settings("live: {url: 'git://host/x'}"), "bad-url", "no address"),
        (settings("live: {url: 'file://evil/x'}"), "bad-url", "no address"),
        (settings("live: {url: 'https:///x'}"), "bad-url", "no address"),
        (settings("live: {url: 'https://host/$(touch evil)'}"), "bad-url", "no address"),
        (settings("live: {url: 'https://host/x;evil'}"), "bad-url", "no address"),
        (settings("live: {url: '--upload-pack=evil'}"), "bad-url", "no address"),
        (settings("live: {url: 'ssh://-oProxyCommand/x'}"), "bad-url", "no address"),
        (settings("live: {url: 'https://token@host/x'}"), "bad-url", "user or password"),
        (settings("live: {url: 'ssh://ada:word@host/x'}"), "bad-url", "user or password"),
        // names and amounts
        (canary(step).replace("name: shop, namespace", "name: '../x', namespace"), "bad-name", "no Kubernetes name"),
        (canary(step).replace("namespace: prod", "namespace: a.b"), "bad-name", "no namespace name"),
        (canary(&format!("{step}\nfailureThreshold: 120%")), "bad-amount", "failureThreshold"),
        (canary(&format!("{step}\nfailureThreshold: -1")), "bad-amount", "failureThreshold"),
        (canary("steps: [{replicas: 1, pause: {duration: -5}}]"), "bad-duration", "negative"),
        (canary("steps: [{replicas: 1, pause: {duration: 5m}}]"), "wrong-type", "must be a whole number"),
        (windlass("steps: [{replicas: 1, pause: {duration: 5x}}]"), "bad-duration", "no duration"),
        (windlass("steps: [{replicas: 1, timeout: 1.5s}]"), "bad-duration", "whole number of seconds"),
        (windlass("steps: [{replicas: 1, timeout: 0}]"), "bad-duration", "before it can begin"),
        (windlass("steps: [{replicas: 1, timeout: 99999h}]"), "bad-duration", "at most a year"),
        (windlass("steps: [{replicas: 1, timeout: -1}]"), "bad-duration", "negative"),
        (windlass("steps: [{replicas: 1, name: a}, {replicas: 2, name: a}]"), "duplicate-name", "two steps"),
        (windlass("steps: [{replicas: 1, gates: [{approval: {count: 0}}]}]"), "out-of-range", "from 1 to 100"),
        (windlass("steps: [{replicas: 1, gates: [{approval: {}, job: {}}]}]"), "one-of", "exactly one of"),
        (format!("{}  observe: {{timed: {{}}}}\n", windlass(step)), "missing-field", "`settle` is missing"),
        (format!("{}  observe: kubernetes\n", windlass(step)), "wrong-type", "must be a mapping"),
        (format!("{}  observe: {{argocd: {{application: ../x}}}}\n", windlass(step)), "bad-name", "`../x`"),
        (format!("{}  observe: {{flux: {{namespace: a.b}}}}\n", windlass(step)), "bad-name", "`a.b`"),
        (format!("{}  observe: {{argocd: {{server: 'https://x'}}}}\n", windlass(step)), "unknown-field", "server"),
        (settings("observe: {flux: {kustomization: Shop}}"), "bad-name", "`Shop`"),
        (operator("argocd: {server: argocd.example.com}"), "bad-url", "`server`"),
        (operator("argocd: {server: 'https://u:p@host'}"), "bad-url", "password"),
        (operator("argocd: {tokenFile: x}"), "missing-field", "`server`"),
        (operator("argocd: {server: 'https://host', tokenFile: ''}"), "empty", "`tokenFile`"),
        (format!("{}  onFailure: rolback\n", windlass(step)), "unknown-value", "cannot be `rolback`"),
        // metrics
        (metric("{name: m, query: q, max: 1}"), "metric-source", "metric `m` has no source"),
        (metric("{name: m, source: p, max: 1}"), "metric-query", "metric `m` has no query"),
        (metric("{name: m, source: p, query: q}"), "metric-threshold", "neither `min` nor `max`"),
        (metric("{name: m, source: p, query: q, min: 2, max: 1}"), "metric-threshold", "at least 2"),
        (metric("{name: m, source: p, query: q, max: .nan}"), "not-finite", "must be a number"),
        (metric("{name: m, source: p, query: q, max: .inf}"), "not-finite", "must be a number"),
        (metric("{name: m, source: p, query: q, max: '1'}"), "wrong-type", "must be a number"),
        (
            metric("{name: m, source: p, query: q, max: 1}\n- {name: m, source: p, query: q, max: 1}")
                .replace("\n      - ", "\n    - "),
            "duplicate-name",
            "two metrics",
        ),
        (metric("{name: m, source: p, query: q, max: 1, count: 3}"), "argo", "interval must be specified when count > 1"),
        (
            metric("{name: m, source: p, query: q, max: 1, count: 3, interval: 1m, failureLimit: 2, consecutiveSuccessLimit: 2}"),
            "argo",
            "count must be >= failureLimit + consecutiveSuccessLimit",
        ),
        (
            metric("{name: m, source: p, query: q, max: 1, count: 1, inconclusiveLimit: 2}"),
            "argo",
            "count must be >= inconclusiveLimit",
        ),
        (metric("{name: m, source: p, query: q, max: 1, count: 0}"), "argo", "count must be >= 1"),
        (metric("{name: m, source: p, query: q, max: 1, failureLimit: -1}"), "argo", "failureLimit must be >= 0"),
        (
            metric("{name: m, source: p, query: q, max: 1, consecutiveErrorLimit: -1}"),
            "argo",
            "consecutiveErrorLimit must be >= 0",
        ),
        (metric("{name: m, source: p, query: q, max: 1, interval: 0}"), "argo", "interval must be longer than 0"),
        (metric("{name: m, source: p, query: 'up{{ namspace }}', max: 1}"), "metric-query", "`namspace`"),
        (metric("{name: m, source: p, query: 'up{{ stable.revison }}', max: 1}"), "metric-query", "`stable.revison`"),
        (metric("{name: m, source: p, query: 'up{{ namespace', max: 1}"), "metric-query", "no template"),
        // the repository's settings
        (settings("liveBranch: 'a..b'"), "bad-branch", "no branch name"),
        (settings("sourceBranch: refs/heads/main"), "bad-branch", "no branch name"),
        (settings("sources: [../x]"), "bad-path", "no path inside the repository"),
        (settings("paths: {a: /b}"), "bad-path", "no path inside the repository"),
        (settings("paths: {a: b/.git/hooks}"), "bad-path", "no path inside the repository"),
        (settings("author: {name: 'a <b>', email: x}"), "bad-author", "without `<` and `>`"),
        (settings("author: {name: a}"), "missing-field", "`email` is missing"),
        (settings("spec: {liveBranch: x}"), "unknown-field", "unknown field `spec`"),
        // the operator's settings
        (operator("sources: [{name: p}]"), "no-provider", "no provider"),
        (operator("sources: [{name: p, prometheus: {url: prometheus:9090}}]"), "bad-url", "http://"),
        (operator("sources: [{name: p, prometheus: {url: 'http://a:b@c'}}]"), "bad-url", "password"),
        (operator("sources: [{name: p, prometheus: {url: 'http://a', headers: {'a b': c}}}]"), "bad-header", "`a b`"),
        (
            operator("sources: [{name: p, prometheus: {url: 'http://a'}}, {name: p, prometheus: {url: 'http://a'}}]"),
            "duplicate-name",
            "two sources",
        ),
        // routings that Rollouts share
        (shared("objectRef: []", "weight: 5"), "kruise", "TrafficRoutings are not set"),
        (shared("objectRef: [{gateway: {httpRouteName: a}}]", "weight: 5"), "kruise", "Service cannot be empty"),
        (shared("objectRef: [{service: a}]", "weight: 5"), "kruise", "TrafficRoutings are not set"),
        (shared(ENTRY, "weight: 0"), "out-of-range", "from 1 to 100"),
        (shared(ENTRY, "weight: 101"), "out-of-range", "from 1 to 100"),
        (shared(ENTRY, "requestHeaderModifier: {set: [{name: a, value: b}]}"), "no-routing", "neither `weight` nor"),
        (shared(ENTRY, "traffic: 5%"), "unknown-field", "unknown field `traffic`"),
        (shared(ENTRY, "weight: 5").replace("v1alpha1", "v1beta1"), "unknown-kind", "v1beta1"),
        (
            canary("steps: [{replicas: 1}]\ntrafficRoutingRef: x")
                .replace("namespace: prod", "annotations: {rollouts.kruise.io/trafficrouting: y}"),
            "two-routings",
            "names `y`",
        ),
        // kinds
        (canary(step).replace("v1beta1", "v1beta2"), "unknown-kind", "v1beta2"),
        (canary(step).replace("kind: Rollout", "kind: Rolout"), "unknown-kind", "Rolout"),
        (canary(step).replace("rollouts.kruise.io", "rollout.kruise.io"), "unknown-kind", "rollout.kruise.io"),
        (settings("").replace("Repository", "Repo"), "unknown-kind", "Repo"),
    ];
    assert!(cases.len() >= 60);
    for (text, code, message) in cases {
        let result = api::read("r.yaml", &text);
        assert!(has(&result, code, message), "{code}: {message}\n{text}\n{:#?}", result.findings);
        assert!(result.has_errors() && result.documents.is_empty(), "{text}");
        assert!(result.findings.iter().all(|finding| finding.line > 0 && finding.column > 0 && finding.snippet.is_some()));
    }
}

#[test]
fn warnings_do_not_refuse() {
    let routed = format!("{ROUTING}steps: [{{replicas: 80%, traffic: 80%}}]");
    for (text, code) in [
        (windlass(&routed), "few-stable-pods"),
        (canary("steps: [{replicas: 1}]\npatchPodTemplateMetadata: {labels: {a: b}}"), "no-effect"),
        (
            alpha("rollouts.kruise.io/rolling-style: partition", "steps: [{weight: 5}]")
                .replace("  strategy:", "  rolloutID: a\n  strategy:"),
            "no-effect",
        ),
    ] {
        let result = api::read("r.yaml", &text);
        assert!(has(&result, code, ""), "{text}\n{:#?}", result.findings);
        assert!(!result.has_errors());
        assert_eq!(result.documents.len(), 1);
    }
}

#[test]
fn near_names() {
    for (text, hint) in [
        (canary("stpes: [{replicas: 1}]"), "did you mean `steps`?"),
        (canary("steps: [{replica: 1}]"), "did you mean `replicas`?"),
        (canary("steps: [{Replicas: 1}]"), "did you mean `replicas`?"),
        (canary("steps: [{replicas: 1}]\ntrafficRouting: []"), "did you mean `trafficRoutings`?"),
        (canary("steps: [{replicas: 1}]").replace("workloadRef", "workloadref"), "did you mean `workloadRef`?"),
        (canary("steps: [{replicas: 1, weight: 20}]"), "`weight` is v1alpha1's; write `traffic: 20%`"),
        (canary("steps: [{replicas: 1, timeout: 5}]"), "`timeout` is known to `apiVersion: windlass.dev/v1alpha1`"),
        (
            format!("{}  onFailure: pause\n", canary("steps: [{replicas: 1}]")),
            "`onFailure` is known to `apiVersion: windlass.dev/v1alpha1`",
        ),
        (canary("steps: [{replicas: 1}]").replace("    canary:\n  ", ""), "`steps` stands in `canary` or `blueGreen`"),
        (canary("steps: [{replicas: 1, traffic: 20}]"), "write `20%`"),
        (canary("steps: [{replicas: 1, pause: {duration: 5m}}]"), "Kruise takes seconds: write `300`"),
        (canary("steps: [{replicas: 1}]\ndisableGenerateCanaryService: yes"), "write `true`"),
        (canary("steps: [{replicas: 1}]").replace("prod", "123"), "put it in quotes"),
        (canary("steps: [{replicas: 1}]").replace("kind: Deployment", "kind: Deploymnt"), "did you mean `Deployment`?"),
        (format!("{}  onFailure: rolback\n", windlass("steps: [{replicas: 1}]")), "did you mean `rollback`?"),
        (windlass("steps: [{replicas: 1, gates: [{aproval: {}}]}]"), "did you mean `approval`?"),
        (windlass("steps: [{replicas: 1, pause: 5m}]"), "write `{duration: 60}`"),
        (settings("livebranch: x"), "did you mean `liveBranch`?"),
        (settings("spec: {}"), "without `spec`"),
        (metric("{name: m, source: p, query: 'up{{ namspace }}', max: 1}"), "did you mean `namespace`?"),
        ("apiVersion: rollouts.kruise.io/v1beta2\nkind: Rollout\n".to_owned(), "did you mean `rollouts.kruise.io/v1beta1`?"),
    ] {
        let result = api::read("r.yaml", &text);
        let hints: Vec<&str> = result.findings.iter().filter_map(|finding| finding.hint.as_deref()).collect();
        assert!(hints.iter().any(|shown| shown.contains(hint)), "{hint}\n{text}\n{:#?}", result.findings);
    }
}
