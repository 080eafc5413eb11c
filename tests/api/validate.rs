//! `validate` over files and folders, and its three ways to show findings.

use std::fs;
use std::path::{Path, PathBuf};

use windlass::cli::validate::{self, Outcome};

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\n";
const ROLLOUT: &str = "\
apiVersion: windlass.dev/v1alpha1
kind: Rollout
metadata: {name: shop}
spec:
  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: shop}
  strategy: {canary: {steps: [{replicas: 1}]}}
";

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn run(folder: &Path, paths: &[&str]) -> Outcome {
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.join(path)).collect();
    validate::run(&paths, None)
}

fn messages(outcome: &Outcome) -> Vec<String> {
    outcome.findings.iter().map(|finding| finding.message.clone()).collect()
}

#[test]
fn a_sound_tree_passes() {
    let folder = tree(&[("a/d.yaml", DEPLOYMENT), ("a/r.yml", ROLLOUT), ("a/notes.txt", "{"), (".git/x.yaml", "{")]);
    let outcome = run(folder.path(), &[""]);
    assert_eq!(messages(&outcome), Vec::<String>::new());
    assert_eq!(outcome.files_checked, 2);
    // A file alone is judged with its neighbours.
    assert!(run(folder.path(), &["a/r.yml", "a", "a/r.yml"]).passed());
}

#[test]
fn missing_workload_and_links() {
    let folder = tree(&[("a/r.yaml", ROLLOUT), ("b/d.yaml", DEPLOYMENT)]);
    std::os::unix::fs::symlink("../b/d.yaml", folder.path().join("a/d.yaml")).unwrap();
    let outcome = run(folder.path(), &["", "nowhere"]);
    assert_eq!(
        outcome.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(),
        ["symlink", "missing-object", "unreadable"]
    );
    assert!(!outcome.passed());
}

#[test]
fn kustomizations_are_followed_as_far_as_files_tell() {
    let overlay = "resources: [../base]\nnamespace: prod\n";
    let folder = tree(&[
        ("base/kustomization.yaml", "resources: [d.yaml]\n"),
        ("base/d.yaml", DEPLOYMENT),
        ("prod/kustomization.yaml", overlay),
        ("prod/rollout.yaml", &ROLLOUT.replace("name: shop}\nspec", "name: shop, namespace: prod}\nspec")),
        ("other/kustomization.yaml", "resources: [../base]\nnamePrefix: x-\n"),
        ("other/rollout.yaml", &ROLLOUT.replace("name: shop}", "name: x-shop}")),
        ("wrong/kustomization.yaml", overlay),
        ("wrong/rollout.yaml", &ROLLOUT.replace("name: shop}", "name: shoop}")),
    ]);
    let outcome = run(folder.path(), &[""]);
    assert_eq!(messages(&outcome), ["workload Deployment `shoop` does not exist in the source"]);
}

#[test]
fn settings_and_operator_files_count() {
    let metrics = "  analysis: {metrics: [{name: m, source: mein, query: up, min: 1}]}\n";
    let folder = tree(&[
        (
            ".windlass.yaml",
            "apiVersion: windlass.dev/v1alpha1\nkind: Repository\nsourceBranch: main\nliveBranch: main\npaths:\n  a: live/a\n",
        ),
        ("a/all.yaml", &format!("{DEPLOYMENT}---\n{ROLLOUT}{metrics}")),
        ("b/all.yaml", &format!("{DEPLOYMENT}---\n{ROLLOUT}")),
        (
            "operator.yaml",
            "apiVersion: windlass.dev/v1alpha1\nkind: Config\nsources: [{name: main, prometheus: {url: 'http://p'}}]\n",
        ),
    ]);
    let outcome = run(folder.path(), &[""]);
    let shown: Vec<_> = outcome.findings.iter().map(|finding| (finding.code, finding.line)).collect();
    assert_eq!(shown, [("live-path", 4), ("metric-source", 11)]);
    assert_eq!(outcome.findings[0].message, "the live path `b` is equal to the source path `b` on the same branch `main`");
}

fn broken() -> Outcome {
    let folder = tree(&[(
        "r.yaml",
        &ROLLOUT.replace("  strategy: {canary: {steps: [{replicas: 1}]}}", "  strategy:\n    canary:\n      stpes: []"),
    )]);
    let mut outcome = run(folder.path(), &["r.yaml"]);
    for finding in &mut outcome.findings {
        finding.file = "apps/r,1.yaml".to_owned();
    }
    outcome
}

#[test]
fn as_text() {
    let shown = validate::render_text(&broken(), false);
    assert_eq!(
        shown,
        "\
error[unknown-field]: unknown field `stpes` in `spec.strategy.canary`
 --> apps/r,1.yaml:8:7
  |
8 |       stpes: []
  |       ^^^^^
  = help: did you mean `steps`?

1 file checked: 1 error, 0 warnings
"
    );
    assert!(validate::render_text(&broken(), true).contains("\u{1b}[1;31merror"));
    let mut outcome = broken();
    outcome.findings[0].snippet = Some("\u{1b}[2J\tx".to_owned());
    assert!(!validate::render_text(&outcome, false).contains('\u{1b}'));
}

#[test]
fn as_json_and_annotations() {
    let json: serde_json::Value = serde_json::from_str(&validate::render_json(&broken())).unwrap();
    assert_eq!((&json["errors"], &json["filesChecked"]), (&1.into(), &1.into()));
    assert_eq!(json["findings"][0]["severity"], "error");
    assert_eq!(json["findings"][0]["line"], 8);
    assert_eq!(json["findings"][0]["field"], "spec.strategy.canary.stpes");
    assert_eq!(
        validate::render_github(&broken()),
        "::error file=apps/r%2C1.yaml,line=8,col=7,title=unknown-field::unknown field `stpes` in `spec.strategy.canary`%0Ahelp: did you mean `steps`?\n"
    );
}

#[test]
fn order_is_the_same_every_time() {
    let folder = tree(&[
        ("b/r.yaml", "apiVersion: windlass.dev/v1alpha1\nkind: Rolout\n"),
        ("a/r.yaml", "{"),
        ("a/c.yaml", "a: 1\na: 2\n"),
    ]);
    let forward = run(folder.path(), &["a", "b"]);
    assert_eq!(forward, run(folder.path(), &["b", "a"]));
    assert_eq!(forward.findings.len(), 3);
}
