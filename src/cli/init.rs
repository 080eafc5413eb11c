//! `windlass init`: looks at a folder of manifests and writes a Rollout file that fits, and `.windlass.yaml`.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::folder::{self, NeedsRenderer};
use crate::api;
use crate::manifest::Object;

mod text;

/// The Rollout file's name.
pub const ROLLOUT_FILE: &str = "rollout.yaml";
/// The repository file's name.
pub const REPOSITORY_FILE: &str = ".windlass.yaml";

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The folder with the manifests.
    pub folder: PathBuf,
    /// The root of the repository that the folder is in.
    pub repository: PathBuf,
    /// The Deployment's name, where there are several.
    pub workload: Option<String>,
}

/// What would be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Paths and texts; none of them exists yet.
    pub files: Vec<(PathBuf, String)>,
    /// What a person should know, one sentence each.
    pub notes: Vec<String>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error("cannot read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: String },
    #[error("cannot write {}: {cause}", path.display())]
    Write { path: PathBuf, cause: String },
    #[error("{}", file.display())]
    Invalid { file: PathBuf, findings: Vec<api::Diagnostic> },
    #[error("{} exists already; nothing was written", .0.display())]
    Exists(PathBuf),
    #[error("{} has a Rollout already, in {file}; nothing was written", workload)]
    HasRollout { workload: String, file: String },
    #[error("there is no Deployment in {}; name the folder that has one", .0.display())]
    NoDeployment(PathBuf),
    #[error("there are several Deployments; say which with `--workload NAME`: {}", .0.join(", "))]
    Several(Vec<String>),
    #[error("there is no Deployment `{name}`; there are: {}", known.join(", "))]
    Unknown { name: String, known: Vec<String> },
    #[error(
        "only a renderer could tell what is here ({0}); write the Rollout file by hand, `windlass schema rollout` describes it"
    )]
    NeedsRenderer(String),
}

impl From<NeedsRenderer> for InitError {
    fn from(error: NeedsRenderer) -> Self {
        Self::NeedsRenderer(error.0)
    }
}

/// How requests reach the Deployment, where a provider that we know carries them.
pub(super) struct Route {
    service: String,
    by: RouteKind,
}

enum RouteKind {
    Ingress(String),
    HttpRoute(String),
}

/// Decides what to write. Writes nothing.
pub fn plan(request: &Request) -> Result<Plan, InitError> {
    let rollout_file = request.folder.join(ROLLOUT_FILE);
    if rollout_file.symlink_metadata().is_ok() {
        return Err(InitError::Exists(rollout_file));
    }
    let source = folder::manifests(&request.folder)?;
    let mut objects = Vec::new();
    let mut rollouts = Vec::new();
    for file in with_rollouts(&request.folder, &source.files)? {
        let (more, mut found) = read(&file)?;
        if source.files.contains(&file) {
            objects.extend(more);
        }
        rollouts.append(&mut found);
    }
    if let Some(namespace) = &source.namespace {
        for object in &mut objects {
            object.set(&["metadata", "namespace"], Value::from(namespace.clone()));
        }
    }
    let deployment = choose(&objects, request)?;
    if let Some((_, file)) = rollouts.iter().find(|(workload, _)| workload == deployment.name()) {
        return Err(InitError::HasRollout { workload: format!("Deployment `{}`", deployment.name()), file: file.clone() });
    }
    if let Some((_, file)) = rollouts.first() {
        return Err(InitError::HasRollout { workload: format!("{}", request.folder.display()), file: file.clone() });
    }
    let mut notes = Vec::new();
    let route = route(&objects, deployment, &mut notes);
    let mut files = vec![(rollout_file, text::rollout(deployment, route.as_ref()))];
    let repository_file = request.repository.join(REPOSITORY_FILE);
    if repository_file.symlink_metadata().is_ok() {
        notes.push(format!("{} is there already and stays as it is.", repository_file.display()));
    } else {
        files.push((repository_file, text::repository()));
    }
    for (file, content) in &files {
        let result = api::read(&file.display().to_string(), content);
        if !result.findings.is_empty() {
            return Err(InitError::Invalid { file: file.clone(), findings: result.findings });
        }
    }
    Ok(Plan { files, notes })
}

/// Writes a plan. Nothing that exists is overwritten, also not what came to be since the plan was made.
pub fn write(plan: &Plan) -> Result<(), InitError> {
    for (path, content) in &plan.files {
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => InitError::Exists(path.clone()),
            _ => InitError::Write { path: path.clone(), cause: error.to_string() },
        };
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
        file.write_all(content.as_bytes()).map_err(failed)?;
    }
    Ok(())
}

/// The files of the source, and those beside a kustomization that may hold a Rollout though it does not name them.
fn with_rollouts(folder: &Path, files: &[PathBuf]) -> Result<Vec<PathBuf>, InitError> {
    let mut all = files.to_vec();
    let failed = |error: std::io::Error| InitError::Read { path: folder.to_owned(), cause: error.to_string() };
    for (path, kind) in folder::entries(folder).map_err(failed)? {
        if kind.is_file() && folder::is_yaml(&path) && !folder::is_kustomization(&path) && !all.contains(&path) {
            all.push(path);
        }
    }
    Ok(all)
}

/// Objects; and workloads of Rollouts with the file that each Rollout is in.
type Content = (Vec<Object>, Vec<(String, String)>);

/// The objects of a file, and the workloads' names of its Rollouts with the file's name.
fn read(path: &Path) -> Result<Content, InitError> {
    let failed = |cause: String| InitError::Read { path: path.to_owned(), cause };
    let bytes = folder::read(path).map_err(|error| failed(error.to_string()))?;
    let shown = path.display().to_string();
    let result = api::read_bytes(&shown, &bytes);
    if result.has_errors() {
        return Err(InitError::Invalid { file: path.to_owned(), findings: result.findings });
    }
    let rollouts = result.rollouts().map(|rollout| (rollout.workload.name.clone(), shown.clone())).collect();
    let text = String::from_utf8(bytes).map_err(|_| failed("no UTF-8 text".to_owned()))?;
    let values: Vec<Value> = serde_saphyr::from_multiple(&text).map_err(|error| failed(error.to_string()))?;
    let mut objects = Vec::new();
    for value in values {
        if value.get("kind").and_then(Value::as_str) == Some("List") {
            let items = value.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            objects.extend(items.into_iter().filter_map(|item| Object::new(item).ok()));
        } else {
            objects.extend(Object::new(value).ok());
        }
    }
    Ok((objects, rollouts))
}

fn choose<'a>(objects: &'a [Object], request: &Request) -> Result<&'a Object, InitError> {
    let deployments: Vec<&Object> =
        objects.iter().filter(|object| object.group() == "apps" && object.kind() == "Deployment").collect();
    let mut known: Vec<String> = deployments.iter().map(|object| object.name().to_owned()).collect();
    known.sort();
    match (&request.workload, deployments.as_slice()) {
        (_, []) => Err(InitError::NoDeployment(request.folder.clone())),
        (None, [only]) => Ok(only),
        (None, _) => Err(InitError::Several(known)),
        (Some(name), _) => deployments
            .iter()
            .copied()
            .find(|object| object.name() == name)
            .ok_or_else(|| InitError::Unknown { name: name.clone(), known }),
    }
}

/// The Ingress or HTTPRoute that leads to the Deployment's pods through a Service.
fn route(objects: &[Object], deployment: &Object, notes: &mut Vec<String>) -> Option<Route> {
    let labels = deployment.get("/spec/template/metadata/labels").and_then(Value::as_object)?;
    let selects = |object: &&Object| {
        object.key().group.is_empty()
            && object.kind() == "Service"
            && object.namespace() == deployment.namespace()
            && object.get("/spec/selector").and_then(Value::as_object).is_some_and(|selector| {
                !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
            })
    };
    let services: Vec<&str> = objects.iter().filter(selects).map(Object::name).collect();
    let here = |object: &&Object| object.namespace() == deployment.namespace();
    for object in objects.iter().filter(here) {
        let (by, backends) = match (object.group(), object.kind()) {
            ("networking.k8s.io", "Ingress") => (RouteKind::Ingress(object.name().to_owned()), ingress_backends(object)),
            ("gateway.networking.k8s.io", "HTTPRoute") => {
                (RouteKind::HttpRoute(object.name().to_owned()), route_backends(object))
            }
            _ => continue,
        };
        let Some(service) = services.iter().find(|service| backends.iter().any(|backend| backend == *service)) else {
            continue;
        };
        if let RouteKind::Ingress(name) = &by
            && let Some(class) = ingress_class(object).filter(|class| !class.contains("nginx"))
        {
            notes.push(format!(
                "Ingress `{name}` has the class `{class}`, which is not supported yet; the steps leave traffic alone."
            ));
            continue;
        }
        return Some(Route { service: (*service).to_owned(), by });
    }
    if notes.is_empty() {
        notes.push("No Ingress or HTTPRoute leads to this Deployment; the steps update pods only.".to_owned());
    }
    None
}

fn ingress_class(ingress: &Object) -> Option<&str> {
    ingress.text("/spec/ingressClassName").or_else(|| ingress.text("/metadata/annotations/kubernetes.io~1ingress.class"))
}

fn ingress_backends(ingress: &Object) -> Vec<String> {
    let service = |backend: &Value| backend.pointer("/service/name").and_then(Value::as_str).map(str::to_owned);
    let rules = ingress.get("/spec/rules").and_then(Value::as_array).into_iter().flatten();
    let paths = rules.filter_map(|rule| rule.pointer("/http/paths")?.as_array()).flatten();
    paths.filter_map(|path| path.get("backend")).chain(ingress.get("/spec/defaultBackend")).filter_map(service).collect()
}

fn route_backends(route: &Object) -> Vec<String> {
    let rules = route.get("/spec/rules").and_then(Value::as_array).into_iter().flatten();
    let backends = rules.filter_map(|rule| rule.get("backendRefs")?.as_array()).flatten();
    backends
        .filter(|backend| backend.get("kind").and_then(Value::as_str).is_none_or(|kind| kind == "Service"))
        .filter_map(|backend| backend.get("name")?.as_str().map(str::to_owned))
        .collect()
}
