//! A kind that the repository describes, in every room that looks into pod templates, and without a cluster.

use std::fs;
use std::path::Path;

use windlass::api::{self, DescribedKind, Meaning, Rollout, WorkloadRef};
use windlass::cli::validate;
use windlass::manifest::{self, ObjectSet};
use windlass::render::obstacles::{Peak, obstacles};
use windlass::render::scope::{Member, Scopes};
use windlass::render::{self, RenderError};

const SETTINGS: &str = "\
apiVersion: windlass.dev/v1alpha1
kind: Repository
workloads:
- group: games.example.com
  kind: GameSet
  paths: {replicas: spec.pods.count, template: spec.pods.template, partition: spec.update.keep}
";
const ROLLOUT: &str = "\
apiVersion: windlass.dev/v1alpha1
kind: Rollout
metadata: {name: arena}
spec:
  workloadRef: {apiVersion: games.example.com/v1, kind: GameSet, name: arena}
  strategy: {canary: {steps: [{replicas: 1}]}}
";

fn kinds() -> Vec<DescribedKind> {
    let documents = api::read(".windlass.yaml", SETTINGS).documents.into_iter();
    let kinds = documents.filter_map(|document| match document.into_meaning() {
        Meaning::Repository(repository) => Some(repository.workloads),
        _ => None,
    });
    kinds.flatten().collect()
}

pub(crate) fn rollout() -> Rollout {
    let read = api::read_with("rollout.yaml", ROLLOUT, &kinds());
    read.rollouts().next().unwrap_or_else(|| panic!("{:?}", read.findings)).clone()
}

fn objects(text: &str) -> ObjectSet {
    manifest::read("app.yaml", text).unwrap().into_iter().map(|document| document.object).collect()
}

fn game_set(spec: &str) -> String {
    format!("apiVersion: games.example.com/v1\nkind: GameSet\nmetadata: {{name: arena}}\nspec: {spec}\n")
}

const TEMPLATE: &str = "{count: 3, template: {metadata: {labels: {app: arena}}, spec: {containers: [{name: a, envFrom: [{configMapRef: \
                        {name: maps}}]}], imagePullSecrets: [{name: pull}]}}}";

fn arena() -> String {
    let others = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: maps}\ndata: {a: b}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: \
                  {name: others}\ndata: {a: b}\n---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: arena}\nspec: \
                  {maxUnavailable: 0, selector: {matchLabels: {app: arena}}}\n";
    game_set(&format!("{{pods: {TEMPLATE}}}")) + others
}

#[test]
fn its_pods_reach_what_their_template_names() {
    let deployment = WorkloadRef::new("apps/v1", "Deployment", "other");
    let member = |workload: &WorkloadRef| Member {
        name: workload.name.clone(),
        namespace: None,
        workload: workload.clone(),
        routed: Vec::new(),
        shared: None,
    };
    let text = format!("{}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: other}}\nspec: {{}}\n", arena());
    let objects = objects(&text);
    let scopes = Scopes::of(&objects, &[member(&rollout().workload), member(&deployment)]);
    let own: Vec<String> = scopes
        .all()
        .filter(|(_, owner, _)| *owner == Some("arena"))
        .map(|(key, _, _)| format!("{}/{}", key.kind, key.name))
        .collect();
    assert_eq!(own, ["ConfigMap/maps", "GameSet/arena", "PodDisruptionBudget/arena"]);
}

#[test]
fn its_configuration_is_named_by_content() {
    let mut objects = objects(&arena());
    render::track(&mut objects, &rollout().workload, false);
    let names: Vec<&str> = objects.values().filter(|object| object.kind() == "ConfigMap").map(|object| object.name()).collect();
    let [new, "others"] = names[..] else { panic!("{names:?}") };
    assert!(new.starts_with("maps-"), "{new}");
    let set = objects.find("games.example.com", "GameSet", "arena").unwrap();
    assert_eq!(set.text("/spec/pods/template/spec/containers/0/envFrom/0/configMapRef/name"), Some(new));
}

#[test]
fn what_keeps_its_pods_from_coming_is_found() {
    let found = obstacles(&rollout(), &objects(&arena()), Peak { size: 3, pods: 3, mixed: true });
    let [budget] = &found[..] else { panic!("{found:?}") };
    assert_eq!(budget.object.kind, "PodDisruptionBudget");
}

/// Nobody has described the other one: a name that it reads must not vanish.
#[test]
fn configuration_that_unknown_kinds_read_is_followed() {
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {volumes: [{name: v, configMap: \
                      {name: maps}}]}}}\n---\n";
    let reference = WorkloadRef::new("apps/v1", "Deployment", "web");
    let read = |several: bool| {
        let mut objects = objects(&format!("{deployment}{}", arena()));
        render::track(&mut objects, &reference, several);
        let set = objects.find("games.example.com", "GameSet", "arena").unwrap();
        let name = set.text("/spec/pods/template/spec/containers/0/envFrom/0/configMapRef/name").unwrap().to_owned();
        assert!(objects.find("", "ConfigMap", &name).is_some(), "{name} is there");
        name
    };
    assert!(read(false).starts_with("maps-"), "it gets the new name");
    assert_eq!(read(true), "maps", "a Rollout of its own would be released by that");
}

/// What stands where the description says is not overwritten when it is something else.
#[test]
fn an_object_that_is_not_as_described_is_refused() {
    let rollout = rollout();
    let pods = "template: {metadata: {labels: {app: arena}}, spec: {}}";
    render::check(&rollout, &objects(&arena())).unwrap();
    for (spec, cause) in [
        (format!("{{replicas: 3, {pods}}}"), "`spec.pods.template` is no pod template"),
        ("{pods: {template: {spec: []}}}".to_owned(), "`spec.pods.template` is no pod template"),
        ("{pods: {template: {metadata: {labels: [a]}, spec: {}}}}".to_owned(), "`spec.pods.template` is no pod template"),
        (format!("{{pods: {{count: many, {pods}}}}}"), "`spec.pods.count` is no number of pods"),
        (format!("{{pods: {{count: -1, {pods}}}}}"), "`spec.pods.count` is no number of pods"),
        (format!("{{pods: {{{pods}}}, update: {{keep: 50%}}}}"), "`spec.update.keep` is no number of pods"),
        (format!("{{pods: {{{pods}}}, update: rolling}}"), "`spec.update.keep` is not there, since `spec.update` is no mapping"),
    ] {
        let error = render::check(&rollout, &objects(&game_set(&spec))).unwrap_err();
        let RenderError::Unusable { cause: said, .. } = &error else { panic!("{error}") };
        assert!(said.contains(cause) && said.contains("`workloads` in .windlass.yaml"), "{spec}: {said}");
    }
    render::check(&rollout, &objects(&game_set(&format!("{{pods: {{count: null, {pods}}}, update: null}}")))).unwrap();
}

/// The record of a release must read back as it was, or every look would see a changed plan.
#[test]
fn the_record_keeps_the_description() {
    let rollout = rollout();
    let text = serde_json::to_string(&rollout).unwrap();
    assert!(text.contains("\"partition\":\"spec.update.keep\""), "{text}");
    assert_eq!(serde_json::from_str::<Rollout>(&text).unwrap(), rollout);
    let moved = text.replace("spec.update.keep", "metadata.name");
    assert!(serde_json::from_str::<Rollout>(&moved).unwrap_err().to_string().contains("Windlass writes below `spec` only"));
}

#[test]
fn validate_needs_the_settings_alone() {
    let write = |root: &Path, settings: Option<&str>| {
        let apps = root.join("apps/arena");
        fs::create_dir_all(&apps).unwrap();
        fs::create_dir_all(root.join(".git")).unwrap();
        fs::write(apps.join("app.yaml"), arena()).unwrap();
        fs::write(apps.join("rollout.yaml"), ROLLOUT).unwrap();
        if let Some(settings) = settings {
            fs::write(root.join(".windlass.yaml"), settings).unwrap();
        }
        let of = |path: &Path| validate::run(&[path.to_owned()], None).findings;
        (of(root), of(&apps.join("rollout.yaml")))
    };
    let described = tempfile::tempdir().unwrap();
    let (all, one) = write(described.path(), Some(SETTINGS));
    assert!(all.is_empty() && one.is_empty(), "{all:#?} {one:#?}");
    let plain = tempfile::tempdir().unwrap();
    let (all, one) = write(plain.path(), None);
    for [finding] in [all, one].map(|found| <[api::Diagnostic; 1]>::try_from(found).unwrap()) {
        assert_eq!((finding.message.as_str(), finding.line), ("WorkloadRef kind is not supported", 5));
        assert!(finding.hint.as_deref().is_some_and(|hint| hint.contains("`workloads` in .windlass.yaml")), "{finding:?}");
    }
    let other = tempfile::tempdir().unwrap();
    let (_, one) = write(other.path(), Some(&SETTINGS.replace("spec.pods.template", "spec.template")));
    let [finding] = <[api::Diagnostic; 1]>::try_from(one).unwrap();
    assert_eq!((finding.code, finding.line), ("not-as-described", 5));
    assert!(finding.message.contains("`spec.template` is no pod template"), "{finding:?}");
    // Settings that are wrong say so themselves, with the Rollout that they leave without a kind.
    let wrong = tempfile::tempdir().unwrap();
    let (all, _) = write(wrong.path(), Some(&SETTINGS.replace("spec.update.keep", "status.keep")));
    let said: Vec<(&str, u32)> = all.iter().map(|finding| (finding.code, finding.line)).collect();
    assert_eq!(said, [("bad-path", 6), ("kruise", 5)]);
}
