//! `init`: what it writes validates, and it overwrites nothing.

use std::fs;
use std::path::{Path, PathBuf};

use windlass::api::{self, Meaning};
use windlass::cli::init::{self, InitError, Request};
use windlass::cli::validate;

const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shop\nspec:\n  template:\n    metadata:\n      labels: {app: shop, tier: web}\n";
const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: shop-svc}\nspec: {selector: {app: shop}}\n";
const INGRESS: &str = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: front}\nspec:\n  ingressClassName: nginx\n  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop-svc, port: {number: 80}}}}]}}]\n";
const HTTP_ROUTE: &str = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: front}\nspec: {rules: [{backendRefs: [{name: shop-svc, port: 80}]}]}\n";

fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn request(root: &Path, folder: &str, workload: Option<&str>) -> Request {
    Request { folder: root.join(folder), repository: root.to_owned(), workload: workload.map(str::to_owned) }
}

/// Plans, writes, validates, and gives the Rollout.
fn written(root: &Path, folder: &str, workload: Option<&str>) -> (api::Rollout, Vec<String>) {
    let plan = init::plan(&request(root, folder, workload)).unwrap();
    init::write(&plan).unwrap();
    let outcome = validate::run(&[root.to_owned()], None);
    assert_eq!(validate::render_text(&outcome, false).lines().count(), 1, "{}", validate::render_text(&outcome, false));
    let file = root.join(folder).join("rollout.yaml");
    let result = api::read("rollout.yaml", &fs::read_to_string(file).unwrap());
    let rollout = result.documents.into_iter().find_map(|document| match document.into_meaning() {
        Meaning::Rollout(rollout) => Some(rollout),
        _ => None,
    });
    (rollout.unwrap(), plan.notes)
}

#[test]
fn a_deployment_alone() {
    let root = tree(&[("app/d.yaml", DEPLOYMENT)]);
    let (rollout, notes) = written(root.path(), "app", None);
    assert_eq!((rollout.name.as_str(), rollout.workload.name.as_str()), ("shop", "shop"));
    assert_eq!(rollout.steps.len(), 3);
    assert!(rollout.routings.is_empty() && rollout.steps.iter().all(|step| !step.routes()));
    assert!(notes[0].contains("No Ingress or HTTPRoute"));
    assert!(root.path().join(".windlass.yaml").is_file());
}

#[test]
fn routes_are_found() {
    let root = tree(&[("app/all.yaml", &format!("{DEPLOYMENT}---\n{SERVICE}---\n{INGRESS}"))]);
    let (rollout, _) = written(root.path(), "app", None);
    assert_eq!(rollout.routings[0].service, "shop-svc");
    assert_eq!(rollout.routings[0].ingress.as_ref().unwrap().name, "front");
    assert_eq!(rollout.steps.iter().map(|step| step.traffic).collect::<Vec<_>>(), [Some(20), Some(50), None]);

    let root = tree(&[("d.yaml", DEPLOYMENT), ("s.yaml", SERVICE), ("r.yaml", HTTP_ROUTE)]);
    let (rollout, _) = written(root.path(), "", None);
    assert_eq!(rollout.routings[0].gateway.as_ref().unwrap().http_route_name.as_deref(), Some("front"));

    let other = INGRESS.replace("nginx", "kong");
    let root = tree(&[("d.yaml", DEPLOYMENT), ("s.yaml", SERVICE), ("r.yaml", &other)]);
    let (rollout, notes) = written(root.path(), "", None);
    assert!(rollout.routings.is_empty());
    assert!(notes[0].contains("kong"));
}

#[test]
fn a_kustomization() {
    let root = tree(&[
        ("base/kustomization.yaml", "resources: [d.yaml, s.yaml, i.yaml]\n"),
        ("base/d.yaml", DEPLOYMENT),
        ("base/s.yaml", SERVICE),
        ("base/i.yaml", INGRESS),
        ("prod/kustomization.yaml", "resources: [../base]\nnamespace: prod\n"),
    ]);
    let (rollout, _) = written(root.path(), "prod", None);
    assert_eq!(rollout.namespace.as_deref(), Some("prod"));
    assert_eq!(rollout.routings.len(), 1);
    let error = init::plan(&request(root.path(), "prod", None)).unwrap_err();
    assert!(matches!(error, InitError::Exists(_)), "{error}");
    let root = tree(&[("kustomization.yaml", "resources: [d.yaml]\nnamePrefix: a-\n"), ("d.yaml", DEPLOYMENT)]);
    let error = init::plan(&request(root.path(), "", None)).unwrap_err();
    assert!(error.to_string().contains("namePrefix"), "{error}");
}

#[test]
fn a_choice_must_be_named() {
    let second = DEPLOYMENT.replace("name: shop", "name: worker");
    let root = tree(&[("all.yaml", &format!("{DEPLOYMENT}---\n{second}"))]);
    let error = init::plan(&request(root.path(), "", None)).unwrap_err();
    assert_eq!(error.to_string(), "there are several Deployments; say which with `--workload NAME`: shop, worker");
    let error = init::plan(&request(root.path(), "", Some("x"))).unwrap_err();
    assert_eq!(error.to_string(), "there is no Deployment `x`; there are: shop, worker");
    let (rollout, _) = written(root.path(), "", Some("worker"));
    assert_eq!(rollout.workload.name, "worker");
}

#[test]
fn nothing_is_overwritten() {
    let root = tree(&[("d.yaml", DEPLOYMENT), (".windlass.yaml", "apiVersion: windlass.dev/v1alpha1\nkind: Repository\n")]);
    let plan = init::plan(&request(root.path(), "", None)).unwrap();
    assert_eq!(plan.files.iter().map(|(path, _)| path.clone()).collect::<Vec<PathBuf>>(), [root.path().join("rollout.yaml")]);
    fs::write(root.path().join("rollout.yaml"), "mine").unwrap();
    assert!(matches!(init::write(&plan), Err(InitError::Exists(_))));
    assert_eq!(fs::read_to_string(root.path().join("rollout.yaml")).unwrap(), "mine");

    let named = "apiVersion: rollouts.kruise.io/v1beta1\nkind: Rollout\nmetadata: {name: r}\nspec:\n  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: shop}\n  strategy: {canary: {steps: [{replicas: 1}]}}\n";
    let root = tree(&[("d.yaml", DEPLOYMENT), ("mine.yaml", named)]);
    let error = init::plan(&request(root.path(), "", None)).unwrap_err();
    assert!(error.to_string().contains("mine.yaml"), "{error}");
    let root = tree(&[("s.yaml", SERVICE)]);
    assert!(matches!(init::plan(&request(root.path(), "", None)), Err(InitError::NoDeployment(_))));
    let root = tree(&[("d.yaml", "a: [")]);
    let error = init::plan(&request(root.path(), "", None)).unwrap_err();
    assert!(matches!(error, InitError::Invalid { ref findings, .. } if findings.len() == 1), "{error}");
}

#[test]
fn odd_names_are_quoted() {
    let root = tree(&[("d.yaml", &DEPLOYMENT.replace("name: shop", "name: '123'\n  namespace: 'on'"))]);
    let (rollout, _) = written(root.path(), "", None);
    assert_eq!((rollout.name.as_str(), rollout.namespace.as_deref()), ("123", Some("on")));
}
