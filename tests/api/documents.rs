//! Whole files: several documents, everything that is wrong at once, meanings, limits.

use std::time::{Duration, Instant};

use windlass::api::{self, Amount, Known, Meaning, ObjectName, OnFailure, Pause, Reducer, Style};

const KRUISE: &str = "\
apiVersion: rollouts.kruise.io/v1beta1
kind: Rollout
metadata:
  name: shop
  namespace: prod
spec:
  workloadRef:
    apiVersion: apps/v1
    kind: Deployment
    name: shop
  strategy:
    canary:
      trafficRoutings:
        - service: web
          ingress:
            name: web
      steps:
        - replicas: 20%
          traffic: 20%
          pause: {duration: 60}
        - replicas: 5
";

fn codes(text: &str) -> Vec<(u32, u32, &'static str)> {
    api::read("r.yaml", text).findings.iter().map(|finding| (finding.line, finding.column, finding.code)).collect()
}

fn rollout(text: &str) -> api::Rollout {
    let result = api::read("r.yaml", text);
    assert_eq!(result.findings, []);
    result.rollouts().next().unwrap().clone()
}

#[test]
fn kruise_meaning_and_defaults() {
    let rollout = rollout(KRUISE);
    assert_eq!((rollout.name.as_str(), rollout.namespace.as_deref()), ("shop", Some("prod")));
    assert_eq!(rollout.style, Style::Partition);
    assert_eq!(rollout.on_failure, OnFailure::Rollback);
    assert_eq!(rollout.failure_threshold, None);
    let [first, second] = rollout.steps.as_slice() else { panic!("two steps") };
    assert_eq!((first.replicas, first.traffic, first.pause), (Amount::Percent(20), Some(20), Pause::Seconds(60)));
    assert_eq!((second.replicas, second.traffic, second.pause), (Amount::Pods(5), None, Pause::Approval));
    assert_eq!(first.timeout, 600);
    let routing = &rollout.routings[0];
    assert_eq!(routing.grace_period_seconds, 3);
    assert_eq!(routing.ingress.as_ref().unwrap().class_type, "nginx");
}

/// Kruise takes only the text `true`; a field of ours comes before the annotation.
#[test]
fn a_rollback_in_batches_is_asked_for_by_annotation_or_field() {
    use windlass::api::Rollback::{AtOnce, InBatches};
    let noted = |value: &str| {
        let note = format!("  namespace: prod\n  annotations: {{rollouts.kruise.io/rollback-in-batch: \"{value}\"}}\n");
        KRUISE.replace("  namespace: prod\n", &note)
    };
    assert_eq!([KRUISE, &noted("true"), &noted("yes")].map(|text| rollout(text).rollback), [AtOnce, InBatches, AtOnce]);
    let ours = |text: &str, field: &str| {
        text.replace("rollouts.kruise.io/v1beta1", "windlass.dev/v1alpha1")
            .replace("  strategy:\n", &format!("{field}  strategy:\n"))
    };
    assert_eq!(rollout(&ours(KRUISE, "  rollback: inBatches\n")).rollback, InBatches);
    assert_eq!(rollout(&ours(&noted("true"), "")).rollback, InBatches);
    assert_eq!(rollout(&ours(&noted("true"), "  rollback: atOnce\n")).rollback, AtOnce);
    let refused = api::read("r.yaml", &KRUISE.replace("  strategy:\n", "  rollback: inBatches\n  strategy:\n"));
    let hint = refused.findings.first().and_then(|finding| finding.hint.clone()).unwrap();
    assert!(hint.contains("windlass.dev/v1alpha1"), "{hint}");
}

#[test]
fn alpha_meaning_and_defaults() {
    let text = "\
apiVersion: rollouts.kruise.io/v1alpha1
kind: Rollout
metadata:
  name: shop
  annotations: {rollouts.kruise.io/rolling-style: Partition}
spec:
  objectRef:
    workloadRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  strategy:
    canary:
      trafficRoutings: [{service: web, gateway: {httpRouteName: web}}]
      steps:
        - {weight: 5, pause: {}}
        - {weight: 10, replicas: 3}
        - {replicas: 40%, matches: [{headers: [{name: user, value: me}]}]}
        - {replicas: 100%}
";
    let rollout = rollout(text);
    assert_eq!(rollout.style, Style::Partition);
    let steps: Vec<_> = rollout.steps.iter().map(|step| (step.replicas, step.traffic, step.matches.len())).collect();
    assert_eq!(
        steps,
        [
            (Amount::Percent(5), Some(5), 0),
            (Amount::Pods(3), Some(10), 0),
            (Amount::Percent(40), None, 1),
            (Amount::Percent(100), None, 0)
        ]
    );
    // Without routings a weight is only the share of pods.
    let unrouted = text.replace("      trafficRoutings: [{service: web, gateway: {httpRouteName: web}}]\n", "");
    let unrouted = unrouted.replace(", matches: [{headers: [{name: user, value: me}]}]", "");
    assert!(api::read("r.yaml", &unrouted).rollouts().all(|rollout| rollout.steps.iter().all(|step| !step.routes())));
}

#[test]
fn windlass_meaning_and_defaults() {
    let text = format!(
        "{}  onFailure: pause\n  allowSecrets: true\n  observe: {{timed: {{settle: 1m30s}}}}\n  analysis:\n    metrics:\n    - name: errors\n      source: main\n      query: 'rate(x{{n=\"{{{{ namespace }}}}\"}}[{{{{ window }}}}])'\n      max: 0.05\n      interval: 2m\n      reducer: mean\n    - {{name: once, source: main, query: up, min: 1, window: 5m, noData: fail}}\n",
        KRUISE.replace("rollouts.kruise.io/v1beta1", "windlass.dev/v1alpha1")
    )
    .replace("- replicas: 5", "- {name: rest, replicas: 5, timeout: 1h, pause: {duration: 5m}, gates: [{approval: {count: 2}}]}");
    let rollout = rollout(&text);
    assert_eq!(rollout.on_failure, OnFailure::Pause);
    assert!(rollout.allow_secrets);
    assert_eq!(rollout.observe, Some(api::Observe::Timed { settle: 90 }));
    let step = &rollout.steps[1];
    assert_eq!((step.name.as_deref(), step.timeout, step.pause), (Some("rest"), 3600, Pause::Seconds(300)));
    assert_eq!(step.gates, [api::Gate::Approval { count: 2 }]);
    let [errors, once] = rollout.metrics.as_slice() else { panic!("two metrics") };
    assert_eq!((errors.interval, errors.count, errors.window, errors.reducer), (Some(120), None, 120, Reducer::Mean));
    assert_eq!((errors.failure_limit, errors.inconclusive_limit, errors.consecutive_error_limit), (0, 0, 4));
    assert_eq!((once.interval, once.window, once.no_data), (None, 300, api::NoData::Fail));
}

#[test]
fn repository_and_config_meanings() {
    let read = |text: &str| {
        let result = api::read("x.yaml", text);
        assert_eq!(result.findings, []);
        result.documents.into_iter().next().unwrap().into_meaning()
    };
    let plain = read("apiVersion: windlass.dev/v1alpha1\nkind: Repository\n");
    assert_eq!(plain, Meaning::Repository(api::Repository::default()));
    let Meaning::Repository(full) = read(
        "apiVersion: windlass.dev/v1alpha1\nkind: Repository\nsourceBranch: main\nliveBranch: live/prod\nsources: [./apps/a/]\npaths: {apps/: clusters/prod}\nobserve: {kubernetes: {}}\ndelivery: commit\nauthor: {name: Bot, email: bot@example.com}\n",
    ) else {
        panic!("a Repository")
    };
    assert_eq!(full.sources, Some(vec!["apps/a".to_owned()]));
    assert_eq!(full.live_path("apps/a"), "clusters/prod/a");
    let Meaning::Config(config) = read(
        "apiVersion: windlass.dev/v1alpha1\nkind: Config\nsources:\n- name: main\n  prometheus: {url: 'http://prometheus:9090/', headers: {X-Scope-OrgID: a}}\ncluster: {context: prod}\n",
    ) else {
        panic!("a Config")
    };
    let api::MetricProvider::Prometheus { url, headers, .. } = &config.sources[0].provider;
    assert_eq!((url.as_str(), headers.len()), ("http://prometheus:9090", 1));
    assert_eq!(config.cluster.context.as_deref(), Some("prod"));
}

#[test]
fn all_findings_at_once_with_their_places() {
    let text = KRUISE
        .replace("  namespace: prod", "  namespace: prod\n  name: other")
        .replace("    name: shop", "    nane: shop")
        .replace("  strategy:", "  disabled: maybe\n  strategy:")
        .replace("traffic: 20%", "traffic: 20")
        .replace("replicas: 5", "replicas: 0")
        .replace("            name: web", "            classType: ngnix\n            name: web");
    assert_eq!(
        codes(&text),
        [(6, 3, "duplicate-key"), (11, 5, "unknown-field"), (12, 13, "wrong-type"), (22, 20, "wrong-type"), (24, 21, "kruise"),]
    );
    let finding = &api::read("dir/r.yaml", &text).findings[2];
    assert_eq!((finding.file.as_str(), finding.field.as_str()), ("dir/r.yaml", "spec.disabled"));
    assert_eq!(finding.snippet.as_deref(), Some("  disabled: maybe"));
}

/// Who makes a route is known with the scripts of the source.
#[test]
fn a_route_that_nobody_makes_is_found_with_its_place() {
    let class =
        |class: &str| KRUISE.replace("            name: web", &format!("            classType: {class}\n            name: web"));
    let kind = KRUISE.replace(
        "          ingress:\n            name: web",
        "          customNetworkRefs:\n            - {apiVersion: a.example/v1, kind: Proxy, name: c}",
    );
    assert_ne!(kind, KRUISE);
    let found = |text: &str, has: &dyn Fn(&str) -> bool| -> Vec<(u32, u32, String, Option<String>)> {
        let read = api::read("r.yaml", text);
        assert_eq!(read.findings, []);
        let all = read.documents.iter().flat_map(|document| api::missing_scripts(document, has));
        all.map(|one| {
            assert_eq!((one.code, one.is_error()), ("unknown-provider", true));
            (one.line, one.column, one.message, one.hint)
        })
        .collect()
    };
    let none: &dyn Fn(&str) -> bool = &|_| false;
    assert_eq!(found(KRUISE, none), []);
    assert_eq!(
        found(&class("ngnix"), none),
        [(
            16,
            24,
            "unknown provider `ngnix`, and the source has no script .windlass/lua/trafficrouting_ingress/ngnix.lua".to_owned(),
            Some("did you mean `nginx`?".to_owned())
        )]
    );
    assert_eq!(found(&class("ngnix"), &|path| path == "trafficrouting_ingress/ngnix.lua"), []);
    let told = found(&kind, none);
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0].2,
        "no provider for kind `Proxy` of `a.example/v1`, and the source has no script .windlass/lua/a.example/Proxy/trafficRouting.lua"
    );
    assert!(told[0].3.as_ref().unwrap().contains("docs/tasks/lua.md"), "{told:?}");
    assert_eq!(found(&kind, &|path| path == "a.example/Proxy/trafficRouting.lua"), []);
    let bad = class("'../x'");
    assert_eq!(found(&bad, &|_| true)[0].2, "unknown provider `../x`");
}

#[test]
fn what_follows_from_a_misspelling_is_not_said_twice() {
    assert_eq!(codes(&KRUISE.replace("      steps:", "      stpes:")).len(), 1);
    assert_eq!(codes(&KRUISE.replace("    canary:", "    cannary:")).len(), 1);
    assert_eq!(codes(&KRUISE.replace("trafficRoutings", "traficRoutings")).len(), 1);
    assert_eq!(codes(&KRUISE.replace("- replicas: 5", "- replica: 5")).len(), 1);
    assert_eq!(codes(&KRUISE.replace("- replicas: 5", "- replicas: [5]")), [(21, 11, "wrong-type")]);
    assert_eq!(codes(&KRUISE.replace("  workloadRef:", "  workloadref:")), [(7, 3, "unknown-field")]);
}

#[test]
fn several_documents_and_other_kinds() {
    let deployment =
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop, namespace: prod}\nspec: {replicas: 3, unknown: true}\n";
    let text = format!(
        "# a comment\n---\n{deployment}---\n{KRUISE}---\n---\napiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Service, metadata: {{name: web}}}}\n- {{apiVersion: rollouts.kruise.io/v1beta1, kind: Rollout, metadata: {{name: l}}, spec: {{workloadRef: {{apiVersion: apps/v1, kind: Deployment, name: l}}, strategy: {{canary: {{steps: [{{replicas: 1}}]}}}}}}}}\n---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: argo}}\n---\njust: values\n"
    );
    let result = api::read("r.yaml", &text);
    assert_eq!(result.findings, []);
    assert_eq!(result.rollouts().map(|rollout| rollout.name.as_str()).collect::<Vec<_>>(), ["shop", "l"]);
    let objects: Vec<&str> = result.objects.iter().map(|object| object.kind.as_str()).collect();
    assert_eq!(objects, ["Deployment", "Service", "Rollout"]);
    assert_eq!(result.documents[0].place().line, 8);
    let place = result.documents[0].locate(&["spec", "strategy", "canary", "steps", "1", "replicas"]);
    assert_eq!((place.line, place.column), (28, 21));
}

#[test]
fn a_syntax_error_hides_only_its_document() {
    let text = format!("a: [1\nb: }}\n---\n{KRUISE}---\nx:\n\ty: 1\n");
    let result = api::read("r.yaml", &text);
    assert_eq!(result.rollouts().count(), 1);
    let syntax: Vec<_> = result.findings.iter().filter(|finding| finding.code == "yaml-syntax").collect();
    assert_eq!(syntax.len(), 2, "{:#?}", result.findings);
    assert!(syntax[1].hint.as_deref().unwrap_or_default().contains("spaces"));
    let template = api::read("r.yaml", "a: {{ .Values.x }}\nb: {{- if }}\n");
    assert!(
        template.findings.iter().any(|finding| finding.hint.as_deref().unwrap_or_default().contains("template"))
            || template.findings.iter().any(|finding| finding.code == "yaml-key"),
        "{:#?}",
        template.findings
    );
}

#[test]
fn aliases_merges_and_old_numbers() {
    let text = KRUISE
        .replace("- replicas: 20%", "- &first\n          replicas: 20%")
        .replace("- replicas: 5", "- <<: *first\n          replicas: 012\n        - *first");
    let result = api::read("r.yaml", &text);
    assert!(result.findings.iter().all(|finding| finding.code == "kruise"), "{:#?}", result.findings);
    let text = text.replace("\n        - *first", "");
    let rollout = rollout(&text);
    assert_eq!((rollout.steps[1].replicas, rollout.steps[1].traffic), (Amount::Pods(10), Some(20)));
}

fn quick(text: &[u8], code: &str) {
    let start = Instant::now();
    let result = api::read_bytes("bomb.yaml", text);
    assert!(start.elapsed() < Duration::from_secs(5), "{code}: {:?}", start.elapsed());
    assert!(result.findings.iter().any(|finding| finding.code == code), "{code}: {:#?}", result.findings);
    assert!(result.documents.is_empty());
}

#[test]
fn bombs_end_quickly_with_a_reason() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..20 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    quick(laughs.as_bytes(), "too-large");
    let mut merges = String::from("a0: &a0 {k0: v}\n");
    for level in 1..2000 {
        merges.push_str(&format!("a{level}: &a{level} {{<<: *a{}, k{level}: v}}\n", level - 1));
    }
    quick(merges.as_bytes(), "too-deep");
    let mut chain = String::from("a0: &a0 [x]\n");
    (1..5000).for_each(|level| chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1)));
    quick(chain.as_bytes(), "too-deep");
    quick("[".repeat(100_000).as_bytes(), "yaml-syntax");
    quick("- ".repeat(100_000).as_bytes(), "yaml-syntax");
    quick("a: &a [*a]\n".as_bytes(), "yaml-alias");
    quick(&vec![b'x'; 9 << 20], "too-large");
    quick(b"a: \0", "not-text");
    quick(b"a: \xff\xfe", "not-text");
    quick(b"? {a: b}\n: c\n", "yaml-key");
    quick("---\n[\n".repeat(200_000).as_bytes(), "too-many");
    quick(KRUISE.replace("- replicas: 5", &"- {replicas: 5, x: 1}\n        ".repeat(10_000)).as_bytes(), "too-many");
    quick(KRUISE.replace("- replicas: 5", &format!("- {{{}: 5}}", "x".repeat(900))).as_bytes(), "unknown-field");
    let keys: String = (0..90_000).map(|key| format!("k{key}: 1\n")).collect();
    let start = Instant::now();
    assert_eq!(api::read("wide.yaml", &keys).findings, []);
    assert!(start.elapsed() < Duration::from_secs(5));
}

fn object(api_version: &str, kind: &str, name: &str) -> ObjectName {
    ObjectName { api_version: api_version.to_owned(), kind: kind.to_owned(), namespace: None, name: name.to_owned() }
}

#[test]
fn documents_are_judged_together() {
    let other = KRUISE.replace("metadata:\n  name: shop", "metadata:\n  name: again");
    let result = api::read("r.yaml", &format!("{KRUISE}---\n{other}"));
    let documents: Vec<_> = result.documents.iter().collect();
    let found = api::validate_together(&documents, &Known::Unknown, None);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message, "This rollout conflict with Rollout(prod/shop), one workload only have less than one Rollout");
    assert_eq!(found[0].line, 29);

    let second = other.replace("    name: shop", "    name: else");
    let result = api::read("r.yaml", &format!("{KRUISE}---\n{second}"));
    let documents: Vec<_> = result.documents.iter().collect();
    let found = api::validate_together(&documents, &Known::Unknown, None);
    assert_eq!(found, [], "each Rollout of a directory has a scope of its own");
    let twice = KRUISE.replace("    name: shop", "    name: else");
    let result = api::read("r.yaml", &format!("{KRUISE}---\n{twice}"));
    let documents: Vec<_> = result.documents.iter().collect();
    let found = api::validate_together(&documents, &Known::Unknown, None);
    assert_eq!(found[0].message, "two Rollouts are named `shop`; the other is in r.yaml");

    let result = api::read("r.yaml", KRUISE);
    let documents: Vec<_> = result.documents.iter().collect();
    let all = vec![
        object("apps/v1", "Deployment", "shop"),
        object("v1", "Service", "web"),
        object("networking.k8s.io/v1", "Ingress", "web"),
    ];
    assert_eq!(api::validate_together(&documents, &Known::All(all), None), []);
    let near = vec![object("apps/v1", "Deployment", "shopp"), object("v1", "Service", "shop")];
    let found = api::validate_together(&documents, &Known::All(near), None);
    let messages: Vec<_> = found.iter().map(|finding| (finding.line, finding.message.as_str())).collect();
    assert_eq!(
        messages,
        [
            (10, "workload Deployment `shop` does not exist in the source"),
            (14, "the stable Service `web` does not exist in the source"),
            (16, "the routing's Ingress `web` does not exist in the source"),
        ]
    );
    assert_eq!(found[0].hint.as_deref(), Some("did you mean `shopp`?"));
}

#[test]
fn sources_of_metrics_must_be_known() {
    let text = format!(
        "{}  analysis: {{metrics: [{{name: m, source: prometeus, query: up, min: 1}}]}}\n",
        KRUISE.replace("rollouts.kruise.io/v1beta1", "windlass.dev/v1alpha1")
    );
    let result = api::read("r.yaml", &text);
    let documents: Vec<_> = result.documents.iter().collect();
    assert_eq!(api::validate_together(&documents, &Known::Unknown, None), []);
    let found = api::validate_together(&documents, &Known::Unknown, Some(&["prometheus".to_owned()]));
    assert_eq!(found[0].message, "unknown source `prometeus`");
    assert_eq!(found[0].hint.as_deref(), Some("did you mean `prometheus`?"));
}

#[test]
fn live_path_must_leave_the_source() {
    let repository = |live: &str, paths: &[(&str, &str)]| api::Repository {
        live_branch: live.to_owned(),
        paths: paths.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
        ..api::Repository::default()
    };
    let conflict =
        |live: &str, paths: &[(&str, &str)], source: &str| api::path_conflict(&repository(live, paths), "main", source);
    assert_eq!(conflict("deploy", &[], "apps/a"), None);
    assert!(conflict("main", &[], "apps/a").unwrap().contains("equal to"));
    assert!(conflict("main", &[("apps", "apps/a/live")], "apps").unwrap().contains("inside"));
    assert!(conflict("main", &[("", "live")], "").unwrap().contains("inside"));
    assert_eq!(conflict("main", &[("apps", "apps-live")], "apps"), None);
    assert_eq!(conflict("main", &[("apps", "live")], "apps/a"), None);
}

#[test]
fn settings_file_holds_settings() {
    let result = api::read("x/.windlass.yaml", KRUISE);
    assert_eq!(result.findings[0].code, "wrong-kind");
    assert!(result.documents.is_empty());
    let result = api::read(".windlass.yaml", "liveBranch: deploy\n");
    assert_eq!(result.findings[0].code, "wrong-kind");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    /// Any text gives findings with places in it, or a document; it never panics.
    #[test]
    fn any_edit_gives_findings(edits in proptest::collection::vec((0_usize..700, 0_usize..8, "[ -~\\n\u{e9}]{0,6}"), 1..6)) {
        let mut text = KRUISE.replace("rollouts.kruise.io/v1beta1", "windlass.dev/v1alpha1");
        text.push_str("  analysis:\n    metrics:\n    - {name: m, source: s, query: 'up{{ namespace }}', max: 1.5, interval: 1m}\n  observe:\n    timed: {settle: 5s}\n");
        for (at, length, with) in edits {
            let chars: Vec<char> = text.chars().collect();
            let (at, end) = (at.min(chars.len()), (at + length).min(chars.len()));
            text = chars[..at].iter().copied().chain(with.chars()).chain(chars[end..].iter().copied()).collect();
        }
        let result = api::read("r.yaml", &text);
        let lines = text.lines().count() as u32;
        for finding in &result.findings {
            assert!(finding.line >= 1 && finding.line <= lines + 1, "{finding:?}");
            assert!(finding.column >= 1 && !finding.message.is_empty(), "{finding:?}");
            assert_ne!(finding.code, "invalid", "a rule is missing: {finding:?}\n{text}");
        }
        // What is refused says why.
        assert!(result.broken.is_empty() || result.has_errors());
    }
}
