//! helm, by its own program and by programs that misbehave in its place

use std::path::{Path, PathBuf};
use std::time::Duration;

use windlass::source::{self, Chart, ItemKind, Limits, Options, RendererKind, SourceError};

use super::kustomize::program;
use super::{Memory, ROLLOUT, keys, refused_cause, rollouts};

/// Options with the real program: `WINDLASS_TEST_HELM`, else in `PATH` or the lab's folder.
fn real() -> Option<Options> {
    let named = std::env::var_os("WINDLASS_TEST_HELM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let lab = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/windlass-lab/helm"));
    let places = named.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join("helm"))).chain(lab);
    let found = places.into_iter().find(|place| place.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no helm; set WINDLASS_TEST_HELM to one");
    }
    Some(Options { helm: found?, ..Options::default() })
}

fn with(options: &Options, chart: Chart) -> Options {
    Options { chart: Some(chart), ..options.clone() }
}

const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.2.3\n";
const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ .Release.Name }}, namespace: {{ .Release.Namespace }}}\n\
    spec:\n  replicas: {{ .Values.replicas }}\n  template:\n    metadata: {labels: {a: web}}\n    spec: {containers: [{name: app, image: 'web:{{ .Values.tag }}'}]}\n";

fn chart() -> Memory {
    Memory::new(&[
        ("web/Chart.yaml", CHART),
        ("web/values.yaml", "replicas: 2\ntag: '1'\n"),
        ("web/templates/deployment.yaml", DEPLOYMENT),
        (
            "web/crds/thing.yaml",
            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.x}\n",
        ),
        ("web/rollout.yaml", ROLLOUT),
        ("web/app.conf", "a=1\n"),
        ("envs/values.yaml", "replicas: 7\n"),
    ])
}

/// The chart with one more template.
fn with_template(text: &str) -> Memory {
    let mut tree = chart();
    tree.files.insert("web/templates/more.yaml".to_owned(), text.as_bytes().to_vec());
    tree
}

#[test]
fn a_chart_renders_with_its_values_and_those_that_are_named() {
    let Some(options) = real() else { return };
    let tree = chart();
    let rendered = source::render(&tree, "web", &options).unwrap();
    assert_eq!(keys(&rendered), ["CustomResourceDefinition things.x", "Deployment default/web"]);
    assert_eq!(rollouts(&rendered), ["web/rollout.yaml"], "beside the chart, and no template");
    assert_eq!(rendered.inputs.keys().collect::<Vec<_>>(), ["web"]);
    assert_eq!(rendered.command.as_deref(), Some("helm template web web --include-crds"));

    let named = Chart {
        release: Some("shop".to_owned()),
        namespace: Some("prod".to_owned()),
        values: vec!["../envs/values.yaml".to_owned()],
        kube_version: Some("1.31".to_owned()),
        api_versions: vec!["x.example.com/v1".to_owned()],
        ..Chart::default()
    };
    let mut tree = with_template(
        "{{ if .Capabilities.APIVersions.Has \"x.example.com/v1\" }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n\
         data: {version: '{{ .Capabilities.KubeVersion.Version }}'}\n{{ end }}\n",
    );
    let rendered = source::render(&tree, "web", &with(&options, named.clone())).unwrap();
    let deployment = rendered.objects.iter().find(|object| object.kind() == "Deployment").unwrap();
    assert_eq!((deployment.name(), deployment.namespace()), ("shop", Some("prod")));
    assert_eq!(windlass::manifest::replicas(deployment), Some(7));
    let told = rendered.objects.iter().find(|object| object.name() == "x").unwrap();
    assert!(told.text("/data/version").unwrap().starts_with("v1.31"), "{told:?}");
    assert_eq!(rendered.inputs.keys().collect::<Vec<_>>(), ["envs/values.yaml", "web"]);
    tree.files.insert("envs/values.yaml".to_owned(), b"replicas: 8\n".to_vec());
    assert_ne!(source::render(&tree, "web", &with(&options, named)).unwrap().inputs, rendered.inputs);

    // A directory of an environment, with the chart elsewhere.
    let mut tree = chart();
    tree.files.insert("envs/rollout.yaml".to_owned(), ROLLOUT.as_bytes().to_vec());
    let elsewhere = Chart { path: Some("../web".to_owned()), values: vec!["values.yaml".to_owned()], ..Chart::default() };
    let rendered = source::render(&tree, "envs", &with(&options, elsewhere)).unwrap();
    assert_eq!(rollouts(&rendered), ["envs/rollout.yaml"]);
    assert_eq!(rendered.inputs.keys().collect::<Vec<_>>(), ["envs", "envs/values.yaml", "web"]);
    assert!(keys(&rendered).contains(&"Deployment default/web".to_owned()));
}

#[test]
fn a_rollout_may_be_a_template() {
    let Some(options) = real() else { return };
    let text = ROLLOUT.replace("name: web", "name: {{ .Release.Name }}-rollout");
    let mut tree = with_template(&text);
    tree.files.remove("web/rollout.yaml");
    tree.files.insert("web/charts/sub/templates/r.yaml".to_owned(), ROLLOUT.as_bytes().to_vec());
    assert_eq!(source::find_rollouts(&tree, "", None).unwrap(), ["web"], "neither the templates nor the charts within");
    tree.files.remove("web/charts/sub/templates/r.yaml");
    let rendered = source::render(&tree, "web", &options).unwrap();
    assert!(rendered.rollouts[0].1.contains("name: web-rollout"), "{:?}", rendered.rollouts);
}

#[test]
fn charts_that_reach_out_are_refused_before_anything_runs() {
    // No program: whoever gets as far as running it fails the test.
    let options = Options { helm: PathBuf::from("/nonexistent/helm"), ..Options::default() };
    let chart_of = |chart: Chart| with(&options, chart);
    let values = |path: &str| chart_of(Chart { values: vec![path.to_owned()], ..Chart::default() });
    let cases = [
        (values("../../etc/passwd"), "out of the repository"),
        (values("/etc/passwd"), "relative"),
        (values("missing.yaml"), "there is no such file"),
        (values("templates"), "there is no such file"),
        (values("odd,name.yaml"), "comma"),
        (values("../.git/config"), ".git"),
        (chart_of(Chart { path: Some("../../x".to_owned()), ..Chart::default() }), "out of the repository"),
        (chart_of(Chart { path: Some("../envs".to_owned()), ..Chart::default() }), "no Chart.yaml"),
        (chart_of(Chart { path: Some("../nowhere".to_owned()), ..Chart::default() }), "no such directory"),
    ];
    let mut tree = chart();
    tree.files.insert("web/odd,name.yaml".to_owned(), Vec::new());
    for (options, expected) in cases {
        refused_cause(&source::render(&tree, "web", &options), expected);
    }
    // Links: in the chart, as a values file, on the way to one.
    for (directory, name) in [("web/templates", "link.yaml"), ("web", "link.yaml"), ("envs", "link.yaml"), ("", "linked")] {
        for kind in [ItemKind::Symlink, ItemKind::Submodule] {
            let at = if directory.is_empty() { "linked/values.yaml" } else { "envs/link.yaml" };
            let options = if directory.starts_with("web") { chart_of(Chart::default()) } else { values(&format!("../{at}")) };
            let error = source::render(&chart().odd(directory, name, kind), "web", &options);
            refused_cause(
                &error,
                if kind == ItemKind::Symlink { "a symbolic link, which is never followed" } else { "a submodule" },
            );
        }
    }
    // Dependencies: in `charts/`, as a folder or packed, or not at all.
    let depending = format!("{CHART}dependencies: [{{name: redis, version: 1.x, repository: 'https://charts.example.com'}}]\n");
    let mut tree = chart();
    tree.files.insert("web/Chart.yaml".to_owned(), depending.into_bytes());
    refused_cause(&source::render(&tree, "web", &options), "`redis`, which is not in its `charts/`");
    refused_cause(&source::render(&tree, "web", &options), "helm dependency update web");
    tree.files.insert("web/charts/redis-1.0.0.tgz".to_owned(), Vec::new());
    assert!(matches!(source::render(&tree, "web", &options), Err(SourceError::Renderer { .. })), "as far as the program");
    tree.files.remove("web/charts/redis-1.0.0.tgz");
    tree.files.insert("web/charts/any/Chart.yaml".to_owned(), b"name: redis\nversion: 1.0.0\n".to_vec());
    assert!(matches!(source::render(&tree, "web", &options), Err(SourceError::Renderer { .. })), "as far as the program");
    let mut old = chart();
    old.files.insert("web/requirements.yaml".to_owned(), b"dependencies: [{name: mysql}]\n".to_vec());
    refused_cause(&source::render(&old, "web", &options), "`mysql`");

    let mut schema = chart();
    schema.files.insert("web/values.schema.json".to_owned(), br#"{"properties": {"a": {"$ref": "file:///dev/zero"}}}"#.to_vec());
    refused_cause(&source::render(&schema, "web", &options), "$ref");
    let mut nameless = chart();
    nameless.files.insert("web/Chart.yaml".to_owned(), b"version: 1\n".to_vec());
    refused_cause(&source::render(&nameless, "web", &options), "no `name`");
    let mut both = chart();
    both.files.insert("web/kustomization.yaml".to_owned(), b"resources: []\n".to_vec());
    refused_cause(&source::render(&both, "web", &chart_of(Chart::default())), "remove one");
}

#[test]
fn hooks_are_refused_or_left_out_and_tests_never_come() {
    let Some(options) = real() else { return };
    let hook = |events: &str| {
        with_template(&format!(
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: migrate\n  annotations: {{helm.sh/hook: '{events}'}}\nspec: {{}}\n"
        ))
    };
    for events in ["pre-install,pre-upgrade", "post-delete", "test,pre-upgrade"] {
        let tree = hook(events);
        let result = source::render(&tree, "web", &options);
        refused_cause(&result, "Job migrate (");
        refused_cause(&result, "hooks: skip");
        let skipping = with(&options, Chart { skip_hooks: true, ..Chart::default() });
        let names = keys(&source::render(&tree, "web", &skipping).unwrap());
        assert!(!names.contains(&"Job migrate".to_owned()), "{names:?}");
    }
    for events in ["test", "test-success, test-failure"] {
        let names = keys(&source::render(&hook(events), "web", &options).unwrap());
        assert_eq!(names.len(), 2, "{names:?}");
    }
    // What an annotation says to an applier stays.
    let kept = with_template(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, annotations: {helm.sh/resource-policy: keep}}\ndata: {}\n",
    );
    let rendered = source::render(&kept, "web", &options).unwrap();
    let kept = rendered.objects.iter().find(|object| object.name() == "x").unwrap();
    assert_eq!(kept.text("/metadata/annotations/helm.sh~1resource-policy"), Some("keep"));
}

#[test]
fn random_values_and_times_are_refused_with_their_field() {
    let Some(options) = real() else { return };
    let map = |value: &str| {
        with_template(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: x}}\ndata: {{a: '{{{{ {value} }}}}'}}\n"))
    };
    for value in ["randAlphaNum 8", "now", "now | date \"15:04:05\"", "uuidv4"] {
        let error = source::render(&map(value), "web", &options).unwrap_err().to_string();
        assert!(error.contains("differ in data.a of ConfigMap x"), "{value}: {error}");
    }
    // In a comment it changes nothing that reaches a cluster.
    let comment = with_template("# {{ now }}\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n");
    assert!(source::render(&comment, "web", &options).is_ok());
}

#[test]
fn secrets_that_the_chart_makes_are_refused() {
    let Some(options) = real() else { return };
    let secret = |data: &str| with_template(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{data}\n"));
    // Composed of what stands in the source: no more is in Git than before.
    for written in [
        "stringData: {a: literal}",
        "stringData: {a: 'tag {{ .Values.tag }}'}",
        "data: {a: {{ .Values.tag | b64enc }}}",
        "data: {a: {{ .Files.Get \"app.conf\" | b64enc }}}",
    ] {
        let tree = secret(written);
        if written.contains("'tag") {
            // A text made of two: which is which, nobody can tell.
            refused_cause(&source::render(&tree, "web", &options), "the chart made");
            continue;
        }
        let rendered = source::render(&tree, "web", &options).unwrap();
        assert!(rendered.objects.iter().any(|object| object.kind() == "Secret"), "{written}");
    }
    let made = secret("data: {a: {{ derivePassword 1 \"long\" \"canary\" \"user\" \"site\" | b64enc }}}");
    let result = source::render(&made, "web", &options);
    refused_cause(&result, "Secret s has data that the chart made");
    refused_cause(&result, "allowSecrets");
    assert!(source::render(&made, "web", &Options { allow_secrets: true, ..options }).is_ok());
}

#[test]
fn failures_of_helm_say_why_and_show_no_secret() {
    let missing = Options { helm: PathBuf::from("helm-that-is-not-there"), ..Options::default() };
    match source::render(&chart(), "web", &missing).unwrap_err() {
        SourceError::Renderer { renderer, cause, hint, .. } => {
            assert_eq!(renderer, "helm");
            assert!(cause.contains("helm-that-is-not-there") && hint.unwrap().contains("install helm"), "{cause}");
        }
        other => panic!("{other:?}"),
    }
    let Some(options) = real() else { return };
    let version = source::renderer_version(RendererKind::Helm, &options).unwrap();
    assert!(version.contains('.'), "{version}");
    let pinned = Options { helm_version: Some(version), ..options.clone() };
    assert!(source::render(&chart(), "web", &pinned).is_ok());
    let other = Options { helm_version: Some("v0.0.1".to_owned()), ..options.clone() };
    assert!(source::render(&chart(), "web", &other).unwrap_err().to_string().contains("v0.0.1 is required"));

    let mut broken = with_template("{{ required \"say which tag\" .Values.nothing }}\n");
    let error = source::render(&broken, "web", &options).unwrap_err().to_string();
    assert!(error.contains("say which tag") && !error.contains("windlass-"), "no path of the throw-away folder: {error}");
    assert!(!error.contains("--debug") && !error.contains("Error:"), "words for who calls helm by hand: {error}");
    let elsewhere = Memory::new(&[
        ("charts/x/Chart.yaml", CHART),
        ("charts/x/templates/a.yaml", "a: {{ .Values.none.at.all }}\n"),
        ("envs/rollout.yaml", ROLLOUT),
    ]);
    let named = with(&options, Chart { path: Some("../charts/x".to_owned()), ..Chart::default() });
    let error = source::render(&elsewhere, "envs", &named).unwrap_err().to_string();
    assert!(error.contains("charts/x/templates/a.yaml:1:") && !error.contains("web/"), "the file's path: {error}");
    broken.files.insert("web/templates/more.yaml".to_owned(), b"{{ fail .Values.db.password }}".to_vec());
    broken.files.insert("web/values.yaml".to_owned(), b"replicas: 1\ntag: x\ndb: {password: hunter2}\n".to_vec());
    let error = format!("{:?}", source::render(&broken, "web", &options).unwrap_err());
    assert!(error.contains("(hidden)") && !error.contains("hunter"), "{error}");
    let empty = Memory::new(&[("a/Chart.yaml", CHART), ("a/templates/x.yaml", "{{ if .Values.no }}a: b{{ end }}")]);
    assert!(source::render(&empty, "a", &options).unwrap_err().to_string().contains("it made no objects"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_template_without_end_gets_little_memory() {
    let Some(options) = real() else { return };
    let options = Options { limits: Limits { memory: 400 << 20, ..Limits::default() }, ..options };
    assert!(source::render(&chart(), "web", &options).is_ok());
    let error =
        source::render(&with_template("a: {{ repeat 2000000000 \"x\" | len }}\n"), "web", &options).unwrap_err().to_string();
    assert!(error.contains("more than 400 MiB of memory") && error.len() < 200, "{error}");
}

// Programs that misbehave in helm's place.

#[cfg(unix)]
#[test]
fn a_program_in_helms_place_gets_little_time_and_little_room() {
    let case = |text: &str, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let options = Options {
            helm: program(folder.path(), text),
            timeout: Duration::from_secs(10),
            limits: Limits { output: 100_000, ..Limits::default() },
            ..Options::default()
        };
        let error = source::render(&chart(), "web", &options).unwrap_err().to_string();
        assert!(error.contains(expected) && error.len() < 3000, "{text}: {error}");
    };
    case("yes", "more than 100000 bytes");
    case("exit 3", "it failed and says nothing");
    case("true", "it made no objects");
    case("echo 'a: ['", "helm's output");
    case("printf 'a: \\377'", "no UTF-8");
    let folder = tempfile::tempdir().unwrap();
    let helm = program(folder.path(), "sleep 300");
    let options = Options { helm, timeout: Duration::from_millis(300), ..Options::default() };
    assert!(source::render(&chart(), "web", &options).unwrap_err().to_string().contains("longer than"));
    let helm = program(folder.path(), "echo nonsense");
    let options = Options { helm, ..Options::default() };
    let error = source::renderer_version(RendererKind::Helm, &options).unwrap_err().to_string();
    assert!(error.contains("does not tell its version"), "{error}");
    // Neither the environment nor the home of whoever runs it.
    let seen = folder.path().join("seen");
    let text = format!("env > {0}; printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {{name: x}}\\n'", seen.display());
    let options = Options { helm: program(folder.path(), &text), ..Options::default() };
    source::render(&chart(), "web", &options).unwrap();
    let seen = std::fs::read_to_string(&seen).unwrap();
    let home = seen.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap();
    assert!(!seen.contains("CARGO_") && !Path::new(home).exists(), "{seen}");
}
