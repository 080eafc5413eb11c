//! Each kind of workload in each strategy: what every step writes. `docs/reference/workloads.md` is made from this.
//! `WINDLASS_UPDATE=1` writes the page anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value;
use windlass::api::{self, DescribedKind, Meaning, Rollout};
use windlass::engine::{self, Command, History, Input, Source, State};
use windlass::manifest::{self, Object, ObjectSet};
use windlass::render;

const PODS: u32 = 10;

/// Its size is an autoscaler's.
const SCALED: &str = "Deployment with an autoscaler";

/// None of the program's own.
const DESCRIBED: &str = "A kind that [`workloads`](../tasks/own-kinds.md) describes, with the partition at `spec.update.keep`";

/// `apiVersion`, `kind`, own name.
const KINDS: [(&str, &str, &str); 8] = [
    ("apps/v1", "Deployment", "Deployment"),
    ("apps/v1", "Deployment", SCALED),
    ("apps/v1", "StatefulSet", "StatefulSet"),
    ("apps.kruise.io/v1alpha1", "CloneSet", "CloneSet"),
    ("apps.kruise.io/v1beta1", "StatefulSet", "Advanced StatefulSet"),
    ("apps.kruise.io/v1beta1", "DaemonSet", "Advanced DaemonSet"),
    ("apps/v1", "DaemonSet", "DaemonSet"),
    ("games.example.com/v1", "GameSet", DESCRIBED),
];

/// What the repository says of the last of them.
fn described() -> Vec<DescribedKind> {
    let settings = "apiVersion: windlass.dev/v1alpha1\nkind: Repository\nworkloads:\n- group: games.example.com\n  kind: GameSet\n  \
                    paths: {partition: spec.update.keep}\n";
    let read = api::read(".windlass.yaml", settings);
    assert!(read.findings.is_empty(), "{:?}", read.findings);
    let settings = read.documents.into_iter().find_map(|document| match document.into_meaning() {
        Meaning::Repository(repository) => Some(repository.workloads),
        _ => None,
    });
    settings.unwrap()
}

/// Name, and what makes a `strategy` of the steps.
const STYLES: [(&str, &str); 3] = [
    ("partition", "canary: {steps: STEPS}"),
    ("canary", "canary: {enableExtraWorkloadForCanary: true, steps: STEPS}"),
    ("blueGreen", "blueGreen: {steps: STEPS}"),
];

const STEPS: &str = "[{replicas: 20%, pause: {duration: 0}}, {replicas: 100%, pause: {duration: 0}}]";
/// All pods of a CloneSet come at once in blueGreen style.
const WHOLE: &str = "[{replicas: 100%, pause: {duration: 0}}]";

fn objects((api_version, kind, name): (&str, &str, &str), image: &str) -> ObjectSet {
    let size = if kind == "DaemonSet" || name == SCALED { String::new() } else { format!("  replicas: {PODS}\n") };
    let scaler = format!(
        "---\napiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {{name: shop}}\nspec:\n  scaleTargetRef: {{apiVersion: \
         {api_version}, kind: {kind}, name: shop}}\n  maxReplicas: 50\n"
    );
    let scaler = if name == SCALED { scaler } else { String::new() };
    let text = format!(
        "apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: shop}}\nspec:\n{size}  selector: {{matchLabels: {{app: shop}}}}\n  \
         template:\n    metadata: {{labels: {{app: shop}}}}\n    spec: {{containers: [{{name: shop, image: \"shop:{image}\"}}]}}\n{scaler}"
    );
    manifest::read("workload.yaml", &text).unwrap().into_iter().map(|document| document.object).collect()
}

/// The Rollout, or why it is refused.
fn rollout(api_version: &str, kind: &str, strategy: &str) -> Result<Rollout, String> {
    let text = format!(
        "apiVersion: windlass.dev/v1alpha1\nkind: Rollout\nmetadata: {{name: shop}}\nspec:\n  workloadRef: {{apiVersion: {api_version}, \
         kind: {kind}, name: shop}}\n  strategy:\n    {}\n",
        strategy.replace("STEPS", if kind == "CloneSet" && strategy.contains("blueGreen") { WHOLE } else { STEPS })
    );
    let read = api::read_with("rollout.yaml", &text, &described());
    if let Some(error) = read.findings.into_iter().find(|finding| finding.is_error()) {
        return Err(format!("{}; {}", error.message, error.hint.unwrap_or_default()));
    }
    read.documents
        .into_iter()
        .find_map(|document| match document.into_meaning() {
            Meaning::Rollout(rollout) => Some(rollout),
            _ => None,
        })
        .ok_or_else(|| "no Rollout".to_owned())
}

/// Every field of an object but the pod template, by its path.
fn fields(value: &Value, at: &str, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) if !map.is_empty() && at != "spec.template" => {
            for (key, value) in map {
                let inner = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                fields(value, &inner, found);
            }
        }
        _ if at.starts_with("spec.") && at != "spec.template" => drop(found.insert(at.to_owned(), value.to_string())),
        _ => {}
    }
}

fn of(object: &Object) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    fields(&object.to_value(), "", &mut found);
    found
}

fn template(object: &Object) -> &str {
    object.text("/spec/template/spec/containers/0/image").unwrap_or_default()
}

/// How many nodes a DaemonSet's template names.
fn nodes(object: &Object) -> Option<String> {
    let required = "/spec/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = object.get(required)?.as_array()?;
    let fields: Vec<&Value> = terms.iter().filter_map(|term| term.get("matchFields")?.as_array()).flatten().collect();
    let not = fields.first()?.get("operator")? == "NotIn";
    Some(format!("{} {} of the nodes (`metadata.name`)", if not { "not on" } else { "only on" }, fields.len()))
}

/// What of `live` is not as `source` has it.
fn written(source: &ObjectSet, live: &ObjectSet) -> String {
    let mut parts = Vec::new();
    for object in live.values() {
        let (was, is) = (source.get(&object.key()).map(of).unwrap_or_default(), of(object));
        let version = template(object);
        let mut changed: Vec<String> = is
            .iter()
            .filter(|(field, value)| was.get(*field) != Some(value) && !field.starts_with("spec.selector"))
            .map(|(field, value)| format!("`{}: {}`", field.trim_start_matches("spec."), value.trim_matches('"')))
            .collect();
        let second = source.get(&object.key()).is_none();
        if object.get("/spec/template").is_none() {
            parts.extend((!changed.is_empty()).then(|| format!("{}: {}", object.kind(), changed.join(", "))));
            continue;
        }
        changed.extend(nodes(object));
        if changed.is_empty() {
            changed.push("as you wrote it".to_owned());
        }
        let name = if second { format!("`{}`: ", object.name()) } else { String::new() };
        parts.insert(0, format!("{name}{version}, {}", changed.join(", ")));
    }
    parts.sort_by_key(|part| (part.starts_with("Horizontal"), part.starts_with('`')));
    parts.join("; ")
}

/// The rows of one kind in one strategy: commit, and what the workload is told.
fn rows(kind: (&str, &str, &str), rollout: &Rollout) -> Vec<(String, String)> {
    let (first, second) = (objects(kind, "1"), objects(kind, "2"));
    let inputs = BTreeMap::new();
    let source = |objects| Source { path: "shop", commit: "c", inputs: &inputs, objects };
    let now = Timestamp::UNIX_EPOCH;
    let plan = |state: Option<&State>, stable: Option<&ObjectSet>, objects| {
        engine::forecast(rollout, state, (stable, None), Some(&source(objects)), (true, Some(PODS)), now).unwrap().0
    };
    let adopted = plan(None, None, &first).remove(0).commit;
    let state = State { tree: "t".to_owned(), ..adopted.state };
    let planned = plan(Some(&state), Some(&first), &second);
    let mut rows: Vec<(String, String)> =
        planned.iter().map(|planned| (planned.commit.title.clone(), written(&first, &planned.commit.live.objects))).collect();
    // The way back from the first step.
    let step = &planned[0].commit;
    let mut state = State { tree: "u".to_owned(), ..step.state.clone() };
    let say = |state: &State, now_: bool| {
        let input = Input {
            rollout,
            spec_gone: false,
            halted: false,
            state: Some(state),
            stable: Some(&step.stable),
            candidate: step.candidate.as_ref(),
            source: None,
            history: History::Ours,
            seen: None,
            looks: &[],
            now,
        };
        engine::command(&input, &Command::Rollback { now: now_ }, "you").unwrap()
    };
    let back = say(&state, false);
    rows.push((back.title.clone(), written(&first, &back.live.objects)));
    state.tree = "v".to_owned();
    rows.push(("`rollback --now`".to_owned(), written(&first, &say(&state, true).live.objects)));
    rows
}

/// The scenarios that play a kind in a style, a few of them.
fn scenarios(name: &str, style: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut found = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !file.ends_with(".txt") {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines().filter(|line| *line == "> app" || line.starts_with("> app "))
        {
            let word = |key: &str| line.split_whitespace().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
            let kind = match (word("kind").unwrap_or("Deployment"), word("autoscaler")) {
                ("Deployment", Some(_)) => SCALED.to_owned(),
                ("GameSet", _) => DESCRIBED.to_owned(),
                (kind, _) => kind.replace("Advanced", "Advanced "),
            };
            if kind == name && word("style").unwrap_or("partition") == style {
                let number = file.split('-').next().unwrap();
                found.insert((number.parse::<u32>().unwrap(), format!("[{number}](../../tests/scenarios/{file})")));
            }
        }
    }
    assert!(!found.is_empty(), "no scenario plays a {name} in {style} style");
    found.into_iter().take(3).map(|(_, link)| link).collect::<Vec<_>>().join(", ")
}

fn page() -> String {
    let mut text = format!(
        "# What a step writes into the workload\n\nFor a workload of {PODS} pods that names no strategy of its own, version 1 to version 2, steps \
         20 % and 100 % (of a CloneSet in blueGreen style: 100 %), without traffic. A row\nfor each commit: the version of the pod template, and the fields that are not as you wrote \
         them. Made from the program.\n\nThe numbers are scenarios: each tells such releases, with what may come between, as they are tested.\n\n| | partition | canary (`enableExtraWorkloadForCanary`) | blueGreen |\n|---|---|---|---|\n"
    );
    let mut sections = String::new();
    for (api_version, kind, name) in KINDS {
        let mut cells = Vec::new();
        for (style, strategy) in STYLES {
            match rollout(api_version, kind, strategy) {
                Err(why) => cells.push(format!("no: {why}")),
                Ok(rollout) if style == "canary" && rollout.style == api::Style::Partition => {
                    cells.push("as partition".to_owned());
                }
                Ok(rollout) if render::check(&rollout, &objects((api_version, kind, name), "1")).is_err() => {
                    let why = render::check(&rollout, &objects((api_version, kind, name), "1")).unwrap_err();
                    cells.push(format!("no: {why}"));
                }
                Ok(rollout) => {
                    cells.push(format!("yes: {}", scenarios(name, style)));
                    let group = api_version.split('/').next().unwrap();
                    writeln!(sections, "\n## {name} (`{group}`), {style}\n\n| commit | the workload |\n|---|---|").unwrap();
                    for (commit, fields) in rows((api_version, kind, name), &rollout) {
                        writeln!(sections, "| {commit} | {fields} |").unwrap();
                    }
                }
            }
        }
        writeln!(text, "| {name} | {} |", cells.join(" | ")).unwrap();
    }
    text + &sections
}

#[test]
fn the_reference_of_workloads_is_what_steps_write() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference/workloads.md");
    let wanted = page();
    if std::env::var("WINDLASS_UPDATE").is_ok_and(|value| value == "1") {
        std::fs::write(&path, &wanted).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == wanted,
        "docs/reference/workloads.md is not what steps write; write it anew: WINDLASS_UPDATE=1 cargo test --test main reference"
    );
}

/// Kruise's older files name no style: of a Deployment that is a second Deployment.
#[test]
fn a_v1alpha1_file_without_a_style_has_a_second_deployment() {
    let text = "apiVersion: rollouts.kruise.io/v1alpha1\nkind: Rollout\nmetadata: {name: shop}\nspec:\n  objectRef:\n    workloadRef: {apiVersion: \
                apps/v1, kind: Deployment, name: shop}\n  strategy:\n    canary:\n      patchPodTemplateMetadata: {labels: {track: canary}}\n      \
                steps: [{weight: 20, pause: {duration: 0}}, {weight: 60, pause: {duration: 0}}]\n";
    let read = api::read("rollout.yaml", text);
    let errors: Vec<_> = read.findings.iter().filter(|finding| finding.is_error()).collect();
    assert!(errors.iter().all(|finding| finding.message.contains("trafficRoutings")), "{errors:?}");
    let text = text.replace("weight: 20", "replicas: 20%").replace("weight: 60", "replicas: 60%");
    let read = api::read("rollout.yaml", &text);
    let Some(Meaning::Rollout(rollout)) = read.documents.into_iter().next().map(api::Document::into_meaning) else {
        panic!("{:?}", read.findings)
    };
    assert_eq!(rollout.style, api::Style::Canary);
    let kind = ("apps/v1", "Deployment", "Deployment");
    let titles: Vec<String> = rows(kind, &rollout).into_iter().map(|(title, _)| title).collect();
    assert_eq!(
        titles[..3],
        [
            "step 1/2, grow to 2 canary pods",
            "step 2/2, grow to 6 canary pods",
            "finalise, the workload's own strategy takes over"
        ]
    );
}

/// What stands against a release of a DaemonSet by nodes is told before anything is written.
#[test]
fn a_daemon_set_that_cannot_go_by_nodes_is_refused() {
    let kind = ("apps/v1", "DaemonSet", "DaemonSet");
    let rollout = rollout(kind.0, kind.1, STYLES[0].1).unwrap();
    let with = |pointer: &[&str], value: Value| {
        let mut objects = objects(kind, "2");
        let mut object = objects.values().next().unwrap().clone();
        object.set(pointer, value);
        objects.insert(object);
        objects
    };
    let refused = |objects: &ObjectSet| render::check(&rollout, objects).unwrap_err().to_string();
    let on_delete = with(&["spec", "updateStrategy"], serde_json::json!({"type": "OnDelete"}));
    assert!(refused(&on_delete).contains("never replaces a pod"));
    assert!(refused(&with(&["spec", "template", "spec", "nodeName"], "a".into())).contains("nodeName"));
    let mut twice = objects(kind, "2");
    let mut second = twice.values().next().unwrap().clone();
    second.set(&["metadata", "name"], "shop-canary".into());
    twice.insert(second);
    assert!(refused(&twice).contains("`shop-canary` is in the source"));

    // Its nodes are those of the stable version: a new one that fits fewer, or others, is refused in several steps.
    let first = objects(kind, "1");
    let inputs = BTreeMap::new();
    let plan = |rollout: &Rollout, state: Option<&State>, stable: Option<&ObjectSet>, objects: &ObjectSet| {
        let source = Source { path: "shop", commit: "c", inputs: &inputs, objects };
        let now = Timestamp::UNIX_EPOCH;
        engine::forecast(rollout, state, (stable, None), Some(&source), (true, Some(PODS)), now).map(|planned| planned.0)
    };
    let adopted = plan(&rollout, None, None, &first).unwrap().remove(0).commit;
    let state = State { tree: "t".to_owned(), ..adopted.state };
    let moved = with(&["spec", "template", "spec", "nodeSelector"], serde_json::json!({"disk": "ssd"}));
    let error = plan(&rollout, Some(&state), Some(&first), &moved).unwrap_err().to_string();
    assert!(error.contains("`nodeSelector` chooses other nodes") && error.contains("one step of 100 %"), "{error}");
    let whole = self::rollout(kind.0, kind.1, "canary: {steps: [{replicas: 100%}]}").unwrap();
    let titles: Vec<String> =
        plan(&whole, Some(&state), Some(&first), &moved).unwrap().into_iter().map(|planned| planned.commit.title).collect();
    assert_eq!(titles, ["step 1/1, the workload's own strategy takes over", "release 1 complete"]);
    let tolerant = with(&["spec", "template", "spec", "tolerations"], serde_json::json!([{"operator": "Exists"}]));
    assert!(plan(&rollout, Some(&state), Some(&first), &tolerant).is_ok(), "more nodes than before");
}
