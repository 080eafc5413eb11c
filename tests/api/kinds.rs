//! Kinds of workloads that a repository describes.

use windlass::api::{self, DescribedKind, Meaning, ReadResult, Style};

fn settings(workloads: &str) -> ReadResult {
    let text = format!("apiVersion: windlass.dev/v1alpha1\nkind: Repository\nworkloads:\n{workloads}\n");
    api::read(".windlass.yaml", &text)
}

fn paths(paths: &str) -> ReadResult {
    settings(&format!("- group: games.example.com\n  kind: GameSet\n  paths:\n    {}", paths.replace("; ", "\n    ")))
}

fn kinds(result: &ReadResult) -> Vec<DescribedKind> {
    let documents = result.documents.iter().filter_map(|document| match document.meaning() {
        Meaning::Repository(repository) => Some(repository.workloads.clone()),
        _ => None,
    });
    documents.flatten().collect()
}

fn rollout(version: &str, spec: &str) -> String {
    format!("apiVersion: {version}\nkind: Rollout\nmetadata: {{name: arena}}\nspec:\n{spec}\n")
}

#[test]
fn paths_have_defaults_but_for_the_partition() {
    let read = paths("partition: spec.update.keep");
    assert!(read.findings.is_empty(), "{:?}", read.findings);
    let [kind] = kinds(&read).try_into().unwrap();
    assert_eq!((kind.replicas.to_string(), kind.template.to_string()), ("spec.replicas".to_owned(), "spec.template".to_owned()));
    assert_eq!((kind.partition.to_string(), kind.plural), ("spec.update.keep".to_owned(), "gamesets".to_owned()));
    let plurals = ["GameSet", "Switch", "Policy", "Relay"].map(DescribedKind::plural_of);
    assert_eq!(plurals, ["gamesets", "switches", "policies", "relays"]);
    let read = paths("replicas: spec.replicas");
    assert!(read.findings.iter().any(|finding| finding.code == "missing-field" && finding.message.contains("`partition`")));
}

/// What Windlass would write elsewhere than where a workload's author keeps these fields is refused, at the line that says it.
#[test]
fn hostile_paths_are_refused_with_their_line() {
    let long = format!("spec.{}", "a".repeat(250));
    let deep = format!("spec{}", ".a".repeat(300));
    for (text, message, line) in [
        (format!("partition: {long}"), "it is longer than 200 characters", 7),
        (format!("partition: {deep}"), "it is longer than 200 characters", 7),
        ("partition: metadata.annotations.keep".to_owned(), "Windlass writes below `spec` only", 7),
        ("partition: status.keep".to_owned(), "Windlass writes below `spec` only", 7),
        ("partition: spec".to_owned(), "that is the whole of it, and no field", 7),
        ("partition: ''".to_owned(), "a key has letters", 7),
        ("partition: spec..keep".to_owned(), "a key has letters", 7),
        ("partition: /spec/keep".to_owned(), "a key has letters", 7),
        ("partition: spec.list[0].keep".to_owned(), "a key has letters", 7),
        ("partition: spec.a~1b".to_owned(), "a key has letters", 7),
        ("partition: \"spec.a\\nb\"".to_owned(), "a key has letters", 7),
        ("partition: spec.0".to_owned(), "a key has letters", 7),
        ("partition: spec.keep; template: metadata".to_owned(), "Windlass writes below `spec` only", 8),
        (
            "partition: spec.keep; replicas: spec.keep".to_owned(),
            "`partition` cannot be at `spec.keep`: `replicas` is at `spec.keep`",
            7,
        ),
        (
            "partition: spec.template.keep".to_owned(),
            "`partition` cannot be at `spec.template.keep`: `template` is at `spec.template`",
            7,
        ),
        (
            "partition: spec.replicas.keep".to_owned(),
            "`partition` cannot be at `spec.replicas.keep`: `replicas` is at `spec.replicas`",
            7,
        ),
    ] {
        let read = paths(&text);
        let found = read.findings.iter().find(|finding| finding.code == "bad-path" && finding.message.contains(message));
        let found = found.unwrap_or_else(|| panic!("{text}: {:#?}", read.findings));
        assert_eq!((found.file.as_str(), found.line), (".windlass.yaml", line), "{text}");
        assert!(found.message.len() < 300 && read.documents.is_empty(), "{text}");
    }
}

#[test]
fn a_status_elsewhere_is_below_status() {
    let entry =
        |status: &str| settings(&format!("- group: a.b\n  kind: GameSet\n  paths: {{partition: spec.keep}}\n  status: {status}"));
    let read = entry("{updatedReplicas: status.pods.new}");
    assert!(read.findings.is_empty(), "{:?}", read.findings);
    let [kind] = kinds(&read).try_into().unwrap();
    let status = kind.status;
    assert_eq!(status.updated_replicas.pointer(), "/status/pods/new");
    assert_eq!(status.ready_replicas.to_string(), "status.readyReplicas", "the others stay");
    for (status, message) in [
        (
            "{updatedReplicas: spec.pods.new}",
            "`spec.pods.new` is no path to updatedReplicas: Windlass reads this below `status` only",
        ),
        ("{observedGeneration: status}", "that is the whole of it, and no field"),
    ] {
        let read = entry(status);
        let [finding] = read.findings.try_into().unwrap();
        assert!(finding.code == "bad-path" && finding.message.contains(message) && finding.line == 7, "{finding:?}");
    }
}

#[test]
fn names_of_kinds_are_judged() {
    let entry = |group: &str, kind: &str| format!("- {{group: {group}, kind: {kind}, paths: {{partition: spec.keep}}}}");
    for (text, code, message) in [
        (entry("games.example.com/v1", "GameSet"), "bad-name", "is no API group"),
        (entry("''", "GameSet"), "bad-name", "is no API group"),
        (entry("games.example.com", "../x"), "bad-name", "is no kind"),
        (entry("games.example.com", "gameset"), "bad-name", "is no kind"),
        (entry("games.example.com", "GameSet, plural: a/b"), "bad-name", "is no plural"),
        (entry("apps", "Deployment"), "duplicate-name", "Windlass knows Deployment of apps"),
        (entry("apps", "DaemonSet"), "duplicate-name", "Windlass knows DaemonSet of apps"),
        (format!("{0}\n{0}", entry("a.b", "GameSet")), "duplicate-name", "is described twice"),
        (entry("a.b", "GameSet, version: v1"), "unknown-field", "version"),
    ] {
        let read = settings(&text);
        let fits = |finding: &&api::Diagnostic| finding.code == code && finding.message.contains(message);
        assert!(read.findings.iter().find(fits).is_some_and(|finding| finding.line > 2), "{text}: {:#?}", read.findings);
        assert!(read.documents.is_empty());
    }
}

#[test]
fn a_rollout_may_name_a_kind_that_is_described() {
    let described = kinds(&paths("partition: spec.update.keep; replicas: spec.pods.count; template: spec.pods.template"));
    let reference = "{apiVersion: games.example.com/v2, kind: GameSet, name: arena}";
    let ours = format!("  workloadRef: {reference}\n  strategy: {{canary: {{steps: [{{replicas: 20%}}]}}}}");
    let alpha = format!("  objectRef: {{workloadRef: {reference}}}\n  strategy: {{canary: {{steps: [{{replicas: 20%}}]}}}}");
    for (version, spec) in
        [("windlass.dev/v1alpha1", &ours), ("rollouts.kruise.io/v1beta1", &ours), ("rollouts.kruise.io/v1alpha1", &alpha)]
    {
        let text = rollout(version, spec);
        let unknown = api::read("r.yaml", &text);
        let refused = unknown.findings.iter().find(|finding| finding.message == "WorkloadRef kind is not supported").unwrap();
        assert!(refused.hint.as_ref().unwrap().contains("`workloads` in .windlass.yaml"), "{refused:?}");
        let read = api::read_with("r.yaml", &text, &described);
        assert!(!read.has_errors(), "{version}: {:#?}", read.findings);
        let found = read.rollouts().next().unwrap();
        assert_eq!((found.workload.described.as_deref(), found.style), (described.first(), Style::Partition));
        assert_eq!(found.workload.template(), ["spec", "pods", "template"]);
        let other = text.replace("games.example.com/v2", "other.example.com/v2");
        assert!(api::read_with("r.yaml", &other, &described).has_errors(), "another group is another kind");
    }
    let blue = rollout("windlass.dev/v1alpha1", &ours.replace("canary", "blueGreen"));
    let read = api::read_with("r.yaml", &blue, &described);
    let [finding] = read.findings.try_into().unwrap();
    assert_eq!(finding.message, "WorkloadRef kind is not supported for bluegreen style");
    assert_eq!(finding.line, 6, "{finding:?}");
}
