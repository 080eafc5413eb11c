//! Reading a file: all its documents, and everything that is wrong with them.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::{self, Checked};
use super::convert::{self, Unusable};
use super::described::DescribedKind;
use super::diagnostic::{Diagnostic, Finding, Place, Severity, Text};
use super::model;
use super::near;
use super::path::{Path, Segment};
use super::rules::{self, ObjectName};
use super::schema;
use super::yaml::{self, Content, Node};

/// What a file holds.
#[derive(Debug, Clone, Default)]
pub struct ReadResult {
    /// Documents of our language without errors.
    pub documents: Vec<Document>,
    /// Documents of our language that cannot be used; `findings` says why.
    pub broken: Vec<Broken>,
    /// Objects of other kinds.
    pub objects: Vec<ObjectName>,
    /// Everything that is wrong, in the order of the file.
    pub findings: Vec<Diagnostic>,
    /// Whether a Rollout names a kind of workload that Windlass does not know: the repository may describe it.
    pub names_unknown_kind: bool,
}

impl ReadResult {
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(Diagnostic::is_error)
    }

    /// The Rollouts without errors.
    pub fn rollouts(&self) -> impl Iterator<Item = &model::Rollout> {
        self.documents.iter().filter_map(|document| match &document.meaning {
            Meaning::Rollout(rollout) => Some(rollout),
            _ => None,
        })
    }
}

/// A document that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// `Rollout`, `TrafficRouting`, `Repository` or `Config`.
    pub kind: String,
    /// `metadata.name`, where it can be read.
    pub name: Option<String>,
    pub line: u32,
}

/// A document without errors, which knows where its fields are.
#[derive(Debug, Clone)]
pub struct Document {
    meaning: Meaning,
    text: Arc<Text>,
    root: Arc<Node>,
}

/// What a document means.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "one for each document that is read, and none is kept")]
pub enum Meaning {
    Rollout(model::Rollout),
    Repository(model::Repository),
    Config(model::Config),
    TrafficRouting(model::SharedRouting),
}

impl Document {
    pub fn meaning(&self) -> &Meaning {
        &self.meaning
    }

    pub fn into_meaning(self) -> Meaning {
        self.meaning
    }

    /// The file as the reader was told.
    pub fn file(&self) -> &str {
        &self.text.file
    }

    /// Where the document begins.
    pub fn place(&self) -> Place {
        self.root.place
    }

    /// Where a field is, for example `["spec", "strategy", "canary", "steps", "0", "replicas"]`, or the nearest field around
    /// it that is there. Numbers are indexes of lists.
    pub fn locate(&self, path: &[&str]) -> Place {
        let path = path.iter().fold(Path::default(), |path, part| match part.parse() {
            Ok(index) => path.index(index),
            Err(_) => path.key(part),
        });
        self.root.locate(&path, false).0
    }

    pub(crate) fn diagnostic(&self, finding: Finding) -> Diagnostic {
        let (place, _) = self.root.locate(&finding.path, finding.at_key);
        self.text.diagnostic(place, finding)
    }

    /// Where a Rollout names the routing that it shares.
    pub(crate) fn shared_path(&self) -> Path {
        for form in ["canary", "blueGreen"] {
            let at = Path::of(&["spec", "strategy", form, "trafficRoutingRef"]);
            if self.root.locate(&at, false).1 {
                return at;
            }
        }
        Path::of(&["metadata", "annotations", rules::SHARED])
    }

    pub(crate) fn workload_path(&self) -> Path {
        let alpha = self.root.get("spec").is_some_and(|spec| spec.get("objectRef").is_some());
        if alpha { Path::of(&["spec", "objectRef", "workloadRef"]) } else { Path::of(&["spec", "workloadRef"]) }
    }
}

/// Reads a file's bytes; text that is no UTF-8 is a finding.
pub fn read_bytes(file: &str, bytes: &[u8]) -> ReadResult {
    read_bytes_with(file, bytes, &[])
}

/// The same, where workloads may also be of `kinds`.
pub fn read_bytes_with(file: &str, bytes: &[u8], kinds: &[DescribedKind]) -> ReadResult {
    match std::str::from_utf8(bytes) {
        Ok(text) => read_with(file, text, kinds),
        Err(error) => {
            let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            let place = Place { line: u32::try_from(line).unwrap_or(u32::MAX), column: 1, length: 1 };
            let finding = Finding::error("not-text", &Path::default(), "this is no UTF-8 text");
            let findings = vec![Text::new(file, "").diagnostic(place, finding)];
            ReadResult { findings, ..ReadResult::default() }
        }
    }
}

/// Reads a YAML file with any number of documents. `file` is only shown, never opened.
///
/// Documents of other kinds are not looked into, but for duplicate keys. Objects in a `List` count as documents.
pub fn read(file: &str, text: &str) -> ReadResult {
    read_with(file, text, &[])
}

/// The same, where workloads may also be of `kinds`, which the repository describes (`workloads` in `.windlass.yaml`).
pub fn read_with(file: &str, text: &str, kinds: &[DescribedKind]) -> ReadResult {
    let (roots, problems) = yaml::parse(text);
    let mut reader = Reader { text: Arc::new(Text::new(file, text)), kinds, out: ReadResult::default() };
    for problem in problems {
        let mut finding = Finding::error(problem.code, &Path::default(), problem.message);
        finding.hint = problem.hint;
        reader.out.findings.push(reader.text.diagnostic(problem.place, finding));
    }
    for root in roots {
        reader.document(&root);
    }
    reader.out.findings.sort_by(|left, right| left.order().cmp(&right.order()));
    reader.out
}

/// The documents of the language.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rollout,
    Repository,
    Config,
    Kruise,
    Alpha,
    TrafficRouting,
}

struct Reader<'a> {
    text: Arc<Text>,
    kinds: &'a [DescribedKind],
    out: ReadResult,
}

impl Reader<'_> {
    fn complain(&mut self, root: &Node, finding: Finding) {
        let (place, _) = root.locate(&finding.path, finding.at_key);
        self.out.findings.push(self.text.diagnostic(place, finding));
    }

    fn document(&mut self, root: &Arc<Node>) {
        let name = self.text.file.rsplit(['/', '\\']).next().unwrap_or_default();
        let settings = matches!(name, ".windlass.yaml" | ".windlass.yml");
        let (api_version, kind) = (root.text("apiVersion").unwrap_or_default(), root.text("kind").unwrap_or_default());
        if settings && (rules::group(api_version) != WINDLASS || kind != "Repository") {
            let finding = Finding::error("wrong-kind", &Path::of(&["kind"]), "this file holds `kind: Repository` only");
            self.complain(root, finding.hint("begin with `apiVersion: windlass.dev/v1alpha1` and `kind: Repository`"));
            return;
        }
        if kind == "List" || kind.ends_with("List") && root.get("items").is_some() {
            if let Some(items) = root.get("items")
                && let Content::List(items) = &items.content
            {
                // A list in a list is no Kubernetes object.
                for item in items.iter().filter(|item| !item.text("kind").unwrap_or_default().ends_with("List")) {
                    self.document(item);
                }
            }
            return;
        }
        match recognise(api_version, kind) {
            Ok(Some(kind)) => self.ours(root, kind),
            Ok(None) => self.other(root, api_version, kind),
            Err(finding) => {
                self.complain(root, finding);
                self.out.broken.push(Broken { kind: kind.to_owned(), name: metadata_name(root), line: root.place.line });
            }
        }
    }

    fn other(&mut self, root: &Node, api_version: &str, kind: &str) {
        let Some(name) = metadata_name(root).filter(|_| !api_version.is_empty() && !kind.is_empty()) else { return };
        let namespace = root.get("metadata").and_then(|metadata| metadata.text("namespace")).map(str::to_owned);
        self.out.objects.push(ObjectName { api_version: api_version.to_owned(), kind: kind.to_owned(), namespace, name });
    }

    fn ours(&mut self, root: &Arc<Node>, kind: Kind) {
        let described = self.described(root).cloned().map(Box::new);
        self.out.names_unknown_kind |= workload(root).is_some_and(|(api_version, kind)| !rules::is_known(api_version, kind));
        let rollout = |rollout: model::Rollout| {
            let workload = model::WorkloadRef { described, ..rollout.workload };
            Meaning::Rollout(model::Rollout { workload, ..rollout })
        };
        let (name, meaning) = match kind {
            Kind::Rollout => {
                let meaning = self.typed(root, &schema::ROLLOUT, rules::windlass_rollout, convert::windlass_rollout);
                ("Rollout", meaning.map(rollout))
            }
            Kind::Kruise => {
                let meaning = self.typed(root, &schema::KRUISE, rules::kruise_rollout, convert::kruise_rollout);
                ("Rollout", meaning.map(rollout))
            }
            Kind::Alpha => {
                let meaning = self.typed(root, &schema::ALPHA, rules::alpha_rollout, convert::alpha_rollout);
                ("Rollout", meaning.map(rollout))
            }
            Kind::Repository => {
                let meaning = self.typed(root, &schema::REPOSITORY, rules::repository, convert::repository);
                ("Repository", meaning.map(Meaning::Repository))
            }
            Kind::Config => {
                let meaning = self.typed(root, &schema::CONFIG, rules::config, convert::config);
                ("Config", meaning.map(Meaning::Config))
            }
            Kind::TrafficRouting => {
                let meaning = self.typed(root, &schema::TRAFFIC_ROUTING, rules::shared_routing, convert::shared_routing);
                ("TrafficRouting", meaning.map(Meaning::TrafficRouting))
            }
        };
        match meaning {
            Some(meaning) => self.out.documents.push(Document { meaning, text: self.text.clone(), root: root.clone() }),
            None => {
                let broken = Broken { kind: name.to_owned(), name: metadata_name(root), line: root.place.line };
                self.out.broken.push(broken);
            }
        }
    }

    /// The kind of a Rollout's workload, where the repository describes it.
    fn described(&self, root: &Node) -> Option<&DescribedKind> {
        let (api_version, kind) = workload(root)?;
        self.kinds.iter().find(|known| known.fits(api_version, kind))
    }

    /// Checks fields and types, then the rules on what is left, then converts a document without errors.
    fn typed<T: DeserializeOwned, M>(
        &mut self,
        root: &Node,
        schema: &Value,
        judge: fn(&T) -> Vec<Finding>,
        convert: fn(T) -> Result<M, Unusable>,
    ) -> Option<M> {
        let mut checked = check::check(root, schema);
        for finding in &mut checked.findings {
            explain(finding, root, schema);
        }
        let typed = checked.value.take().map(serde_json::from_value::<T>);
        let mut clean = checked.findings.is_empty();
        let meaning = match typed {
            Some(Ok(document)) => {
                let mut findings = judge(&document);
                findings.retain(|finding| !follows(finding, root, &checked));
                if let Some(kind) = self.described(root) {
                    findings.retain(|finding| finding.message != rules::UNKNOWN_KIND);
                    let at = Path::of(&["spec", "strategy", "blueGreen"]);
                    let blue_green = root.locate(&at, false).1.then_some(at);
                    findings.extend(rules::described_rollout(kind, blue_green));
                }
                clean &= findings.iter().all(|finding| finding.severity != Severity::Error);
                checked.findings.append(&mut findings);
                if clean { Some(convert(document)) } else { None }
            }
            Some(Err(error)) if clean => {
                // The schema should have said this already; better this text than silence.
                checked.findings.push(Finding::error("invalid", &Path::default(), error.to_string()));
                None
            }
            _ => None,
        };
        let meaning = match meaning {
            Some(Err(unusable)) => {
                checked.findings.push(Finding::error("invalid", &Path::default(), unusable.to_string()));
                None
            }
            Some(Ok(meaning)) => Some(meaning),
            None => None,
        };
        for finding in checked.findings {
            self.complain(root, finding);
        }
        meaning
    }
}

/// `apiVersion` and kind of the workload that a Rollout names.
fn workload(root: &Node) -> Option<(&str, &str)> {
    let spec = root.get("spec")?;
    let reference = spec.get("objectRef").unwrap_or(spec).get("workloadRef")?;
    Some((reference.text("apiVersion")?, reference.text("kind")?))
}

fn metadata_name(root: &Node) -> Option<String> {
    root.get("metadata")?.text("name").map(str::to_owned)
}

const WINDLASS: &str = "windlass.dev";
const KRUISE: &str = "rollouts.kruise.io";

/// Which document of the language this is; `None`: another kind of object.
fn recognise(api_version: &str, kind: &str) -> Result<Option<Kind>, Finding> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let unknown = |field: &str, word: &str, known: &[&str]| {
        let mut finding = Finding::error("unknown-kind", &Path::of(&[field]), format!("unknown `{field}: {word}`"));
        finding.hint = near::hint(word, known.iter().copied());
        finding
    };
    match (group, kind, version) {
        (WINDLASS, "Rollout", "v1alpha1") => Ok(Some(Kind::Rollout)),
        (WINDLASS, "Repository", "v1alpha1") => Ok(Some(Kind::Repository)),
        (WINDLASS, "Config", "v1alpha1") => Ok(Some(Kind::Config)),
        (WINDLASS, "TrafficRouting", "v1alpha1") | (KRUISE, "TrafficRouting", "v1alpha1") => Ok(Some(Kind::TrafficRouting)),
        (KRUISE, "TrafficRouting", _) => Err(unknown("apiVersion", api_version, &["rollouts.kruise.io/v1alpha1"])),
        (WINDLASS, "Rollout" | "Repository" | "Config" | "TrafficRouting", _) => {
            Err(unknown("apiVersion", api_version, &["windlass.dev/v1alpha1"]))
        }
        (WINDLASS, _, _) => Err(unknown("kind", kind, &["Rollout", "Repository", "Config", "TrafficRouting"])),
        (KRUISE, "Rollout", "v1beta1") => Ok(Some(Kind::Kruise)),
        (KRUISE, "Rollout", "v1alpha1") => Ok(Some(Kind::Alpha)),
        (KRUISE, "Rollout", _) => {
            Err(unknown("apiVersion", api_version, &["rollouts.kruise.io/v1beta1", "rollouts.kruise.io/v1alpha1"]))
        }
        (KRUISE, "BatchRelease" | "RolloutHistory", _) => Ok(None),
        (KRUISE, _, _) => Err(unknown("kind", kind, &["Rollout"])),
        (_, "Rollout", _) if group != "argoproj.io" && near::nearest(group, [WINDLASS, KRUISE]).is_some() => {
            let known = ["windlass.dev/v1alpha1", "rollouts.kruise.io/v1beta1", "rollouts.kruise.io/v1alpha1"];
            Err(unknown("apiVersion", api_version, &known))
        }
        _ => Ok(None),
    }
}

/// Whether a rule only repeats what is wrong already: the field that it misses stands there with a wrong type or name.
fn follows(finding: &Finding, root: &Node, checked: &Checked) -> bool {
    let at = &finding.path;
    let exists = |path: &Path| root.locate(path, false).1;
    checked.left_out.iter().any(|left_out| at.starts_with(left_out))
        || checked.doubtful.iter().any(|doubtful| {
            at == doubtful
                || at.starts_with(doubtful) && (finding.code == "no-routing" || finding.code == "missing-object")
                || at.starts_with(doubtful) && !exists(at) && at.segments().len() == doubtful.segments().len() + 1
        })
        || checked
            .left_out
            .iter()
            .any(|left_out| left_out.starts_with(at) && left_out.segments().len() == at.segments().len() + 1)
}

/// Better hints for fields that belong to another version of the document.
fn explain(finding: &mut Finding, root: &Node, schema: &Value) {
    if finding.code != "unknown-field" {
        return;
    }
    let Some(key) = finding.path.last_key() else { return };
    let parents = finding.path.segments().len().saturating_sub(1);
    let in_step = matches!(finding.path.segments().get(parents.wrapping_sub(1)), Some(Segment::Index(_)));
    let kruise = root.text("apiVersion").is_some_and(|version| version.starts_with(KRUISE));
    const OURS: [&str; 10] = [
        "source",
        "target",
        "observe",
        "delivery",
        "analysis",
        "onFailure",
        "rollback",
        "windows",
        "allowSecrets",
        "trackConfig",
    ];
    let of_windlass = if in_step { ["name", "gates", "timeout"].contains(&key) } else { parents == 1 && OURS.contains(&key) };
    if kruise && of_windlass {
        finding.hint = Some(format!("`{key}` is known to `apiVersion: windlass.dev/v1alpha1`"));
    } else if key == "weight" && in_step {
        finding.hint = Some("`weight` is v1alpha1's; write `traffic: 20%`".to_owned());
    } else if parents == 0 && key == "spec" && schema.pointer("/properties/spec").is_none() {
        finding.hint = Some("these fields stand at the top, without `spec`".to_owned());
    } else if parents == 2 && matches!(key, "steps" | "trafficRoutings") {
        finding.hint = Some(format!("`{key}` stands in `canary` or `blueGreen`"));
    }
}
