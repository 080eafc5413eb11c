//! kustomize, by its own program and by programs that misbehave in its place

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use windlass::manifest;
use windlass::source::{self, Limits, Options, RendererKind, SourceError};

use super::{DEPLOYMENT, Memory, ROLLOUT, SERVICE, keys, refused_cause, rollouts};

/// Options with the real program: `WINDLASS_TEST_KUSTOMIZE`, else in `PATH` or the lab's folder.
fn real() -> Option<Options> {
    let named = std::env::var_os("WINDLASS_TEST_KUSTOMIZE").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let lab = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/windlass-lab/kustomize"));
    let places = named.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join("kustomize"))).chain(lab);
    let found = places.into_iter().find(|place| place.is_file());
    if found.is_none() {
        eprintln!("skipped: there is no kustomize; set WINDLASS_TEST_KUSTOMIZE to one");
    }
    Some(Options { kustomize: found?, ..Options::default() })
}

fn kustomized() -> Memory {
    Memory::new(&[
        (
            "base/kustomization.yaml",
            "resources: [deployment.yaml, service.yaml]\nconfigMapGenerator:\n- name: conf\n  files: [app.conf, key=data/other.conf]\n",
        ),
        (
            "base/deployment.yaml",
            &DEPLOYMENT.replace(
                "spec: {containers: [{name: app, ",
                "spec: {containers: [{name: app, envFrom: [{configMapRef: {name: conf}}], ",
            ),
        ),
        ("base/service.yaml", SERVICE),
        ("base/app.conf", "a=1\n"),
        ("base/data/other.conf", "b=2\n"),
        ("base/unused.bin", "not needed outside of the directory itself"),
        (
            "parts/labels/kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {team: x}}]\n",
        ),
        (
            "prod/kustomization.yaml",
            "namespace: prod\nresources: [../base, more.yaml]\ncomponents: [../parts/labels]\npatches: [{path: patch.yaml}]\n",
        ),
        ("prod/patch.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 5}\n"),
        ("prod/more.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\ndata: {a: 'no', b: '0644'}\n"),
        ("prod/rollout.yaml", ROLLOUT),
    ])
}

#[test]
fn kustomize_renders_with_what_it_needs_from_elsewhere() {
    let Some(options) = real() else { return };
    let tree = kustomized();
    let rendered = source::render(&tree, "prod", &options).unwrap();
    let names = keys(&rendered);
    assert!(names.iter().any(|name| name.starts_with("ConfigMap prod/conf-")), "{names:?}");
    assert!(names.contains(&"Deployment prod/web".to_owned()) && names.contains(&"Service prod/web".to_owned()), "{names:?}");
    let deployment = rendered.objects.iter().find(|object| object.kind() == "Deployment").unwrap();
    assert_eq!(manifest::replicas(deployment), Some(5));
    assert_eq!(deployment.text("/metadata/labels/team"), Some("x"));
    let more = rendered.objects.iter().find(|object| object.name() == "more").unwrap();
    assert_eq!((more.text("/data/a"), more.text("/data/b")), (Some("no"), Some("0644")));
    // Beside the kustomization and not listed by it: as it is.
    assert_eq!(rendered.rollouts, [("prod/rollout.yaml".to_owned(), ROLLOUT.to_owned())]);
    assert_eq!(rendered.inputs.keys().collect::<Vec<_>>(), ["base", "parts/labels", "prod"]);
    assert_eq!(rendered.command.as_deref(), Some("kustomize build prod"));

    // A change anywhere in what it depends on changes the inputs.
    let mut changed = kustomized();
    changed.files.insert("base/app.conf".to_owned(), b"a=2\n".to_vec());
    let other = source::render(&changed, "prod", &options).unwrap();
    assert_ne!(other.inputs, rendered.inputs);
    assert_ne!(keys(&other), names, "the generated name follows its content");
}

#[test]
fn a_rollout_that_kustomize_lists_comes_out_of_the_build() {
    let Some(options) = real() else { return };
    let mut tree = kustomized();
    tree.files.insert("base/rollout.yaml".to_owned(), ROLLOUT.as_bytes().to_vec());
    tree.files.insert("base/kustomization.yaml".to_owned(), b"resources: [deployment.yaml, rollout.yaml]\n".to_vec());
    tree.files.insert(
        "prod/rollout.yaml".to_owned(),
        b"apiVersion: rollouts.kruise.io/v1beta1\nkind: Rollout\nmetadata: {name: web}\nspec: {disabled: true}\n".to_vec(),
    );
    tree.files.insert(
        "prod/kustomization.yaml".to_owned(),
        b"namespace: prod\nresources: [../base]\npatches: [{path: rollout.yaml}]\n".to_vec(),
    );
    let rendered = source::render(&tree, "prod", &options).unwrap();
    assert_eq!(keys(&rendered), ["Deployment prod/web"]);
    assert_eq!(rollouts(&rendered), ["prod/kustomization.yaml"], "the patch is no Rollout of its own");
    let text = &rendered.rollouts[0].1;
    assert!(text.contains("namespace: prod") && text.contains("disabled: true"), "{text}");
}

#[test]
fn secrets_that_kustomize_makes_are_refused() {
    let Some(options) = real() else { return };
    let made = Memory::new(&[
        ("a/kustomization.yaml", "resources: [s.yaml]\nsecretGenerator: [{name: gen, literals: [token=canary]}]\n"),
        ("a/s.yaml", SERVICE),
    ]);
    let error = source::render(&made, "a", &options).unwrap_err();
    assert!(
        matches!(&error, SourceError::Refused { cause, .. } if cause.contains("gen-") && cause.contains("allowSecrets")),
        "{error}"
    );
    assert!(!error.to_string().contains("canary") && !error.to_string().contains("Y2FuYXJ5"));
    let allowed = source::render(&made, "a", &Options { allow_secrets: true, ..options.clone() }).unwrap();
    assert!(allowed.objects.iter().any(|object| object.kind() == "Secret"));

    // Those that people wrote pass: in a file, changed by a patch in a file or in the kustomization itself.
    let secret = |data: &str| format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n{data}\n");
    let written = Memory::new(&[
        (
            "a/kustomization.yaml",
            &format!(
                "resources: [s.yaml]\nnamePrefix: x-\npatches:\n- path: p.yaml\n- patch: |\n    {}\n",
                secret("data: {c: ZWU=}").replace('\n', "\n    ")
            ),
        ),
        ("a/s.yaml", &secret("stringData: {a: b}\ndata: {b: ZA==}")),
        ("a/p.yaml", &secret("stringData: {a: patched}")),
    ]);
    let rendered = source::render(&written, "a", &options).unwrap();
    assert_eq!(keys(&rendered), ["Secret x-s"]);
    assert_eq!((rendered.objects[0].text("/stringData/a"), rendered.objects[0].text("/data/c")), (Some("patched"), Some("ZWU=")));
    // A value that comes from elsewhere does not.
    let moved = Memory::new(&[
        (
            "a/kustomization.yaml",
            "resources: [s.yaml]\nreplacements:\n- source: {kind: Secret, name: s, fieldPath: metadata.name}\n  targets: [{select: {kind: Secret}, fieldPaths: [stringData.a]}]\n",
        ),
        ("a/s.yaml", &secret("stringData: {a: b}")),
    ]);
    refused_cause(&source::render(&moved, "a", &options), "kustomize made");
}

#[test]
fn kustomizations_that_reach_out_are_refused_before_anything_runs() {
    // No program: whoever gets as far as running it fails the test.
    let options = Options { kustomize: PathBuf::from("/nonexistent/kustomize"), ..Options::default() };
    let cases = [
        ("resources: ['https://example.com/x.yaml']", "nothing is fetched"),
        ("resources: ['https://user:canary@example.com/x.yaml']", "nothing is fetched"),
        ("resources: ['github.com/a/b//c?ref=v1']", "nothing is fetched"),
        ("resources: ['git@github.com:a/b']", "nothing is fetched"),
        ("bases: ['ssh://git@host/a/b']", "nothing is fetched"),
        ("components: ['git::https://host/x']", "nothing is fetched"),
        ("resources: ['example.com/a/b']", "does not exist"),
        ("patches: [{path: 'http://example.com/p.yaml'}]", "nothing is fetched"),
        ("configMapGenerator: [{name: a, files: ['k=https://example.com/p']}]", "nothing is fetched"),
        ("openapi: {path: 'https://example.com/schema.json'}", "nothing is fetched"),
        ("generators: [gen.yaml]", "nothing is fetched"),
        ("resources: [../../../etc]", "out of the repository"),
        ("resources: [/etc/passwd]", "relative"),
        ("resources: [../.git/config]", ".git"),
        ("resources: [missing.yaml]", "does not exist"),
        ("resources: [../empty]", "kustomization.yaml"),
        ("configMapGenerator: [{name: a, files: [../../../../etc/passwd]}]", "out of the repository"),
        ("configMapGenerator: [{name: a, envs: [/proc/self/environ]}]", "relative"),
        ("helmCharts: [{name: x}]", "kustomize does not run helm"),
        ("helmGlobals: {chartHome: x}", "kustomize does not run helm"),
    ];
    for (kustomization, expected) in cases {
        let tree = Memory::new(&[
            ("a/kustomization.yaml", kustomization),
            (
                "a/gen.yaml",
                "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: x}\nfiles: ['https://example.com/x']\n",
            ),
            ("empty/x.txt", ""),
        ]);
        let error = source::render(&tree, "a", &options).expect_err(kustomization);
        assert!(matches!(error, SourceError::Refused { .. }) && error.to_string().contains(expected), "{kustomization}: {error}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
    let twice = Memory::new(&[
        ("a/kustomization.yaml", "resources: [x.yaml]"),
        ("a/Kustomization", "resources: []"),
        ("a/x.yaml", SERVICE),
    ]);
    refused_cause(&source::render(&twice, "a", &options), "one kustomization");
    let broken = Memory::new(&[("a/kustomization.yaml", "resources: [\n")]);
    assert!(matches!(source::render(&broken, "a", &options), Err(SourceError::Invalid { .. })));
    // Two that list each other: reading them ends.
    let cycle = Memory::new(&[("a/kustomization.yaml", "resources: [../b]"), ("b/kustomization.yaml", "resources: [../a]")]);
    assert!(matches!(source::render(&cycle, "a", &options), Err(SourceError::Renderer { .. })));
}

#[test]
fn failures_of_kustomize_say_why() {
    let tree = Memory::new(&[("a/kustomization.yaml", "resources: [s.yaml]"), ("a/s.yaml", SERVICE)]);
    let missing = Options { kustomize: PathBuf::from("kustomize-that-is-not-there"), ..Options::default() };
    match source::render(&tree, "a", &missing).unwrap_err() {
        SourceError::Renderer { cause, hint, .. } => {
            assert!(cause.contains("kustomize-that-is-not-there"), "{cause}");
            assert!(hint.unwrap().contains("install kustomize"));
        }
        other => panic!("{other:?}"),
    }
    let Some(options) = real() else { return };
    let version = source::renderer_version(RendererKind::Kustomize, &options).unwrap();
    assert!(version.contains('.'), "{version}");
    let pinned = Options { kustomize_version: Some(version), ..options.clone() };
    assert_eq!(source::render(&tree, "a", &pinned).unwrap().objects.len(), 1);
    let other = Options { kustomize_version: Some("v0.0.1".to_owned()), ..options.clone() };
    assert!(source::render(&tree, "a", &other).unwrap_err().to_string().contains("v0.0.1 is required"));
    let broken = Memory::new(&[("a/kustomization.yaml", "resources: [s.yaml]\nnonsense: 1\n"), ("a/s.yaml", SERVICE)]);
    let error = source::render(&broken, "a", &options).unwrap_err().to_string();
    assert!(error.contains("nonsense") && !error.contains("windlass-"), "no path of the throw-away folder: {error}");
    let exec = Memory::new(&[
        ("a/kustomization.yaml", "resources: [s.yaml]\ntransformers: [t.yaml]\n"),
        (
            "a/t.yaml",
            "apiVersion: x/v1\nkind: X\nmetadata:\n  name: x\n  annotations:\n    config.kubernetes.io/function: |\n      exec: {path: ./run.sh}\n",
        ),
        ("a/run.sh", "#!/bin/sh\nexit 0\n"),
        ("a/s.yaml", SERVICE),
    ]);
    assert!(matches!(source::render(&exec, "a", &options), Err(SourceError::Renderer { .. })));
}

#[test]
fn messages_of_kustomize_show_no_secret() {
    let Some(options) = real() else { return };
    // A character that kustomize cannot write makes it print the whole object.
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: \"hunter2\", b: \"x\\uFFFE\"}\n";
    let tree = Memory::new(&[("a/kustomization.yaml", "resources: [s.yaml]"), ("a/s.yaml", secret)]);
    let error = format!("{:?}", source::render(&tree, "a", &options).unwrap_err());
    assert!(error.contains("control characters") && !error.contains("hunter"), "{error}");
    // A program that prints the file.
    let folder = tempfile::tempdir().unwrap();
    let options = script(folder.path(), "cat source/a/*.yaml >&2; exit 1");
    let error = format!("{:?}", source::render(&tree, "a", &options).unwrap_err());
    assert!(error.contains("kind: Secret") && error.contains("(hidden)") && !error.contains("hunter"), "{error}");
}

// Programs that misbehave in kustomize's place.

/// A script in a folder. It is written by another process, as a file that a parallel test's child still has open for
/// writing could not be run.
fn script(folder: &Path, text: &str) -> Options {
    Options { kustomize: program(folder, text), ..Options::default() }
}

pub(crate) fn program(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("program");
    let mut writer =
        Command::new("sh").args(["-c", "cat > \"$0\" && chmod +x \"$0\""]).arg(&file).stdin(Stdio::piped()).spawn().unwrap();
    writer.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{text}\n").as_bytes()).unwrap();
    assert!(writer.wait().unwrap().success());
    file
}

fn simple() -> Memory {
    Memory::new(&[("a/kustomization.yaml", "resources: [s.yaml]"), ("a/s.yaml", SERVICE)])
}

const MAP: &str = "printf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: x}\\ndata: {a: \"%s\"}\\n'";

#[cfg(unix)]
#[test]
fn a_result_that_changes_is_refused_with_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let count = folder.path().join("count");
    let options = script(folder.path(), &format!("echo x >> {0}\n{MAP} \"$(wc -l < {0})\"", count.display()));
    let error = source::render(&simple(), "a", &options).unwrap_err().to_string();
    assert!(error.contains("differ in data.a of ConfigMap x"), "{error}");
    assert_eq!(fs::read_to_string(&count).unwrap().lines().count(), 2);
}

#[cfg(unix)]
#[test]
fn a_renderer_gets_no_environment_and_a_folder_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let seen = folder.path().join("seen");
    let script_text = format!(
        "env > {0}; pwd >> {0}; stat -c 'mode %a' . >> {0}; (cd source && find . -type f) >> {0}; cat /proc/net/dev >> {0} 2>/dev/null; {MAP} 1",
        seen.display()
    );
    let options = script(folder.path(), &script_text);
    let rendered = source::render(&simple(), "a", &options).unwrap();
    assert_eq!(keys(&rendered), ["ConfigMap x"]);
    let seen = fs::read_to_string(&seen).unwrap();
    assert!(!seen.contains("CARGO_"), "the environment is not passed on: {seen}");
    assert!(seen.contains("mode 700\n") && seen.contains("GIT_ALLOW_PROTOCOL=none") && seen.contains("./a/s.yaml"), "{seen}");
    let home = seen.lines().find_map(|line| line.strip_prefix("HOME=")).unwrap();
    assert!(!Path::new(home).exists(), "the folder is gone afterwards");
    let unshared = Command::new("unshare").args(["--net", "--map-root-user", "true"]).stderr(Stdio::null()).status();
    if unshared.is_ok_and(|status| status.success()) {
        let devices = seen.lines().filter(|line| line.contains(':') && line.split_whitespace().count() > 10).count();
        assert_eq!(devices, 1, "only an idle loopback: {seen}");
    }
}

#[cfg(unix)]
#[test]
fn a_renderer_that_does_not_end_is_ended_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let options = script(folder.path(), &format!("sleep 300 & echo $! > {0}; echo $$ >> {0}; wait", pids.display()));
    let options = Options { timeout: Duration::from_millis(500), ..options };
    let start = Instant::now();
    let error = source::render(&simple(), "a", &options).unwrap_err().to_string();
    assert!(error.contains("longer than 0.5 s"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(20));
    let alive = |pid: &str| {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        !state.is_empty() && !state.contains(") Z ")
    };
    let pids: Vec<String> = fs::read_to_string(&pids).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(pids.len(), 2);
    for _ in 0..100 {
        if !pids.iter().any(|pid| alive(pid)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{pids:?} are left");
}

#[cfg(unix)]
#[test]
fn a_renderer_that_says_too_much_or_nothing_fails() {
    let case = |text: &str, expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        let options = script(folder.path(), text);
        let options = Options { limits: Limits { output: 100_000, ..Limits::default() }, ..options };
        let error = source::render(&simple(), "a", &options).unwrap_err().to_string();
        assert!(error.contains(expected) && error.len() < 3000, "{text}: {error}");
    };
    case("yes", "more than 100000 bytes");
    case("yes >&2 & sleep 0.2; kill $!; exit 1", "y\ny");
    case("exit 3", "it failed and says nothing");
    case("true", "it made no objects");
    case("echo 'a: ['", "kustomize's output");
    case("printf 'a: \\377'", "no UTF-8");
    // Output that stops while the program goes on.
    let folder = tempfile::tempdir().unwrap();
    let options = script(folder.path(), "exec >&- 2>&-; sleep 300");
    let options = Options { timeout: Duration::from_millis(300), ..options };
    assert!(source::render(&simple(), "a", &options).unwrap_err().to_string().contains("longer than"));
}
