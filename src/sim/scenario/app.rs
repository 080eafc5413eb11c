//! The files of an app, from a few words.

use std::collections::BTreeMap;

use crate::api::{DescribedKind, FieldPath, NoPath, StatusPaths, WorkloadRef};
use crate::manifest::ObjectSet;

/// The namespace of all apps in the simulated world.
pub const NAMESPACE: &str = "shop";

/// What the world that a scenario is played in asks of the files.
#[derive(Debug, Clone)]
pub struct Setting {
    pub namespace: String,
    /// The text of a metric's query; `{{ query }}` in it is the metric's `query` word.
    pub query: String,
}

impl Default for Setting {
    fn default() -> Self {
        let query = "{{ query }} revision=\"{{ candidate.revision }}\" window={{ window }}".to_owned();
        Self { namespace: NAMESPACE.to_owned(), query }
    }
}

/// What a scenario says of an app.
#[derive(Debug, Clone, Default)]
pub struct App {
    /// Source directory, and live path.
    pub path: String,
    pub name: String,
    /// `image`, `replicas`, `route`, …
    pub options: BTreeMap<String, String>,
    /// Steps as words: `20%/traffic=20%/pause=60`.
    pub steps: Vec<String>,
    pub metrics: Vec<BTreeMap<String, String>>,
}

/// Options of `app` and `set`, so that a slip of the pen is an error.
const OPTIONS: [&str; 31] = [
    "kind",
    "autoscaler",
    "style",
    "canary-label",
    "partition",
    "parallel",
    "unordered",
    "path",
    "name",
    "image",
    "replicas",
    "route",
    "max-surge",
    "max-unavailable",
    "ready-after",
    "never-ready",
    "crash",
    "port",
    "config",
    "hashed",
    "track",
    "uses",
    "kruise",
    "on-failure",
    "rollback",
    "failure-threshold",
    "paused",
    "disabled",
    "observe",
    "grace",
    "shares",
];

/// Options of a step after its replicas.
const STEP: [&str; 7] = ["traffic", "mirror", "pause", "timeout", "approvals", "header", "name"];
/// Options of a metric, and their fields.
const METRIC: [(&str, &str); 12] = [
    ("name", "name"),
    ("max", "max"),
    ("min", "min"),
    ("interval", "interval"),
    ("count", "count"),
    ("delay", "initialDelay"),
    ("window", "window"),
    ("no-data", "noData"),
    ("failure-limit", "failureLimit"),
    ("error-limit", "consecutiveErrorLimit"),
    ("success-limit", "consecutiveSuccessLimit"),
    ("query", "query"),
];

/// Reads `key=value` words; a word alone is `word=true`.
pub fn words(text: &str, known: &[&str]) -> Result<BTreeMap<String, String>, String> {
    text.split_whitespace()
        .map(|word| {
            let (key, value) = word.split_once('=').unwrap_or((word, "true"));
            if known.contains(&key) {
                Ok((key.to_owned(), value.to_owned()))
            } else {
                Err(format!("`{key}` is unknown here; there are: {}", known.join(", ")))
            }
        })
        .collect()
}

impl App {
    pub fn new(text: &str) -> Result<Self, String> {
        let mut app = Self { path: "prod/checkout".to_owned(), name: "checkout".to_owned(), ..Self::default() };
        app.steps = vec!["100%".to_owned()];
        app.set(text)?;
        Ok(app)
    }

    /// Changes options.
    pub fn set(&mut self, text: &str) -> Result<(), String> {
        for (key, value) in words(text, &OPTIONS)? {
            match key.as_str() {
                "path" => self.path = value,
                "name" => self.name = value,
                _ => drop(self.options.insert(key, value)),
            }
        }
        Ok(())
    }

    /// Adds a metric, or changes the one of that name.
    pub fn metric(&mut self, text: &str) -> Result<(), String> {
        let known: Vec<&str> = METRIC.iter().map(|(word, _)| *word).collect();
        let metric = words(text, &known)?;
        self.metrics.retain(|other| other.get("name") != metric.get("name"));
        self.metrics.push(metric);
        Ok(())
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.options.get(key).map(String::as_str).filter(|value| !matches!(*value, "none" | "false"))
    }

    /// The host of its requests.
    pub fn host(&self) -> String {
        format!("{}.example", self.name)
    }

    /// Path → content of every file.
    pub fn files(&self, setting: &Setting) -> Result<BTreeMap<String, String>, String> {
        let mut files = BTreeMap::new();
        let mut put = |name: &str, text: String| files.insert(format!("{}/{name}", self.path), text);
        let namespace = setting.namespace.as_str();
        let file = if self.kind() == "Deployment" { "deployment.yaml" } else { "workload.yaml" };
        put(file, self.manifest(namespace)?);
        put("service.yaml", self.service(namespace));
        if let Some(text) = self.get("config") {
            put("config.yaml", self.config(text, namespace));
        }
        match self.get("route") {
            Some("ingress") => drop(put("ingress.yaml", self.ingress(namespace))),
            Some("gateway") => drop(put("route.yaml", self.http_route(namespace))),
            Some("istio") => drop(put("route.yaml", self.virtual_service(namespace, None))),
            Some("subsets") => drop(put("route.yaml", self.virtual_service(namespace, Some("base")))),
            None => {}
            Some(other) => return Err(format!("route={other}: there are none, ingress, gateway, istio, subsets")),
        }
        let WorkloadRef { api_version, kind, name, .. } = self.workload();
        let target = format!("  scaleTargetRef: {{apiVersion: {api_version}, kind: {kind}, name: {name}}}\n");
        let hpa = |version: &str| {
            format!(
                "apiVersion: autoscaling/{version}\nkind: HorizontalPodAutoscaler\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
                 spec:\n{target}  minReplicas: 2\n  maxReplicas: 50\n"
            )
        };
        match self.get("autoscaler") {
            Some("v1") => drop(files.insert(format!("{}/autoscaler.yaml", self.path), hpa("v1"))),
            Some("v2" | "keep") => drop(files.insert(format!("{}/autoscaler.yaml", self.path), hpa("v2"))),
            Some("keda") => {
                let text = format!(
                    "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n\
                     {target}  triggers: []\n"
                );
                files.insert(format!("{}/autoscaler.yaml", self.path), text);
            }
            None => {}
            Some(other) => return Err(format!("autoscaler={other}: there are v1, v2, keda, keep (with replicas)")),
        }
        let rollout = self.rollout(setting)?;
        files.insert(format!("{}/rollout.yaml", self.path), rollout);
        Ok(files)
    }

    /// The digest of its pod template.
    pub fn revision(&self, setting: &Setting) -> Result<String, String> {
        let text = self.manifest(&setting.namespace)?;
        let documents = crate::manifest::read("workload.yaml", &text).map_err(|error| error.to_string())?;
        let objects: ObjectSet = documents.into_iter().map(|document| document.object).collect();
        crate::render::revision(&objects, &self.workload()).map_err(|error| error.to_string())
    }

    fn kind(&self) -> &str {
        self.get("kind").unwrap_or("Deployment")
    }

    /// What the Rollout names.
    pub fn workload(&self) -> WorkloadRef {
        let (api_version, kind) = match self.kind() {
            "AdvancedStatefulSet" => ("apps.kruise.io/v1beta1", "StatefulSet"),
            "AdvancedDaemonSet" => ("apps.kruise.io/v1beta1", "DaemonSet"),
            "CloneSet" => ("apps.kruise.io/v1alpha1", "CloneSet"),
            "GameSet" => ("games.example.com/v1", "GameSet"),
            other => ("apps/v1", other),
        };
        let described = (kind == "GameSet").then(games).and_then(Result::ok).map(Box::new);
        WorkloadRef { described, ..WorkloadRef::new(api_version, kind, &self.name) }
    }

    /// Where the fields of a rolling update are, without a slash at its end.
    fn rolling(&self) -> &'static [&'static str] {
        match self.kind() {
            "Deployment" => &["strategy", "rollingUpdate"],
            "CloneSet" => &["updateStrategy"],
            "GameSet" => &["update"],
            _ => &["updateStrategy", "rollingUpdate"],
        }
    }

    /// Lines below `spec` for the fields of a rolling update that were asked for.
    fn strategy(&self) -> String {
        let mut lines = String::new();
        let path = self.rolling();
        let indent = "  ".repeat(path.len() + 1);
        let fields = [
            ("max-surge", "maxSurge"),
            ("max-unavailable", "maxUnavailable"),
            ("partition", if self.kind() == "GameSet" { "keep" } else { "partition" }),
            ("unordered", "unorderedUpdate"),
        ];
        for (key, field) in fields {
            if let Some(value) = self.get(key) {
                lines.push_str(&format!("{indent}{field}: {}\n", if key == "unordered" { "{}" } else { value }));
            }
        }
        if lines.is_empty() {
            return lines;
        }
        let parents = path.iter().enumerate().map(|(depth, key)| format!("{}{key}:\n", "  ".repeat(depth + 1)));
        parents.collect::<String>() + &lines
    }

    /// The workload with its present image.
    ///
    /// # Errors
    /// There is no such kind.
    pub fn manifest(&self, namespace: &str) -> Result<String, String> {
        let kinds = [
            "Deployment",
            "StatefulSet",
            "CloneSet",
            "AdvancedStatefulSet",
            "AdvancedDaemonSet",
            "DaemonSet",
            "ReplicaSet",
            "GameSet",
        ];
        if !kinds.contains(&self.kind()) {
            return Err(format!("kind={}: there are {}", self.kind(), kinds.join(", ")));
        }
        let WorkloadRef { api_version, kind, name, .. } = self.workload();
        let image = self.get("image").unwrap_or("1");
        let strategy = self.strategy();
        let mut own = String::new();
        if !kind.ends_with("DaemonSet") && self.get("autoscaler").is_none_or(|scaler| scaler == "keep") {
            let field = if kind == "GameSet" { "    count" } else { "  replicas" };
            own.push_str(&format!("{field}: {}\n", self.get("replicas").unwrap_or("5")));
        }
        if kind == "StatefulSet" {
            own.push_str(&format!("  serviceName: {name}\n"));
        }
        if self.get("parallel").is_some() {
            own.push_str("  podManagementPolicy: Parallel\n");
        }
        let notes: String = ["never-ready", "crash", "ready-after"]
            .iter()
            .filter_map(|key| self.get(key).map(|value| format!("        lab/{key}: \"{value}\"\n")))
            .collect();
        let notes = if notes.is_empty() { notes } else { format!("      annotations:\n{notes}") };
        let config = match (self.get("config"), self.get("hashed")) {
            (Some(text), Some(_)) => {
                format!("          envFrom:\n            - configMapRef: {{name: {}}}\n", self.config_name(text))
            }
            _ => String::new(),
        };
        let config = match self.get("uses") {
            Some(names) => {
                let entries = names.split(',').map(|name| format!("            - configMapRef: {{name: {name}}}\n"));
                let begin = if config.is_empty() { "          envFrom:\n" } else { "" };
                format!("{config}{begin}{}", entries.collect::<String>())
            }
            None => config,
        };
        if kind == "GameSet" {
            let labels = format!("{{app: {name}, version: \"{image}\"}}");
            return Ok(format!(
                "apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n{strategy}  selector:\n    \
                 matchLabels: {{app: {name}}}\n  pods:\n{own}    template: {{metadata: {{labels: {labels}}}, spec: {{containers: [{{name: main, \
                 image: \"shop/{name}:{image}\"}}]}}}}\n"
            ));
        }
        Ok(format!(
            "apiVersion: {api_version}\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n{own}\
             {strategy}  selector:\n    matchLabels: {{app: {name}}}\n  template:\n    metadata:\n      labels: {{app: {name}, version: \"{image}\"}}\n\
             {notes}    spec:\n      containers:\n        - name: main\n          image: shop/{name}:{image}\n{config}"
        ))
    }

    fn service(&self, namespace: &str) -> String {
        let name = &self.name;
        let port = self.get("port").unwrap_or("80");
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  selector: {{app: {name}}}\n  ports:\n    - port: {port}\n"
        )
    }

    /// A name with a digest of the content, as kustomize makes them, where `hashed` is set.
    fn config_name(&self, text: &str) -> String {
        if self.get("hashed").is_none() {
            return format!("{}-config", self.name);
        }
        let digest = crate::manifest::digest(&serde_json::Value::String(text.to_owned()));
        format!("{}-config-{}", self.name, digest.chars().take(6).collect::<String>())
    }

    fn config(&self, text: &str, namespace: &str) -> String {
        let name = self.config_name(text);
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: {namespace}\ndata:\n  SETTING: \"{text}\"\n"
        )
    }

    fn ingress(&self, namespace: &str) -> String {
        let (name, host) = (&self.name, self.host());
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  ingressClassName: nginx\n  rules:\n    - host: {host}\n      http:\n        paths:\n          - path: /\n            pathType: Prefix\n            backend: {{service: {{name: {name}, port: {{number: 80}}}}}}\n"
        )
    }

    fn http_route(&self, namespace: &str) -> String {
        let (name, host) = (&self.name, self.host());
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  hostnames: [{host}]\n  rules:\n    - backendRefs:\n        - name: {name}\n          port: 80\n"
        )
    }

    /// A VirtualService; with a subset, the DestinationRule that has it, too.
    fn virtual_service(&self, namespace: &str, subset: Option<&str>) -> String {
        let (name, host) = (&self.name, self.host());
        let of = subset.map(|subset| format!(", subset: {subset}")).unwrap_or_default();
        let mut text = format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  hosts: [{host}]\n  http:\n    - timeout: 5s\n      route:\n        - destination: {{host: {name}{of}}}\n"
        );
        if let Some(subset) = subset {
            text.push_str(&format!(
                "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata:\n  name: {name}\n  namespace: {namespace}\nspec:\n  host: {name}\n  subsets:\n    - name: {subset}\n"
            ));
        }
        text
    }

    fn rollout(&self, setting: &Setting) -> Result<String, String> {
        let (name, namespace) = (&self.name, &setting.namespace);
        let kruise = self.get("kruise").is_some();
        let version = if kruise { "rollouts.kruise.io/v1beta1" } else { "windlass.dev/v1alpha1" };
        let WorkloadRef { api_version, kind, .. } = self.workload();
        let mut notes = String::new();
        if kruise {
            let batches = self.get("rollback").map(|_| ("rollback-in-batch", "\"true\""));
            let shares = self.get("shares").map(|name| ("trafficrouting", name));
            for (key, value) in batches.into_iter().chain(shares) {
                let begin = if notes.is_empty() { "  annotations:\n" } else { "" };
                notes.push_str(&format!("{begin}    rollouts.kruise.io/{key}: {value}\n"));
            }
        }
        let mut text = format!(
            "apiVersion: {version}\nkind: Rollout\nmetadata:\n  name: {name}\n  namespace: {namespace}\n{notes}spec:\n  workloadRef: {{apiVersion: {api_version}, kind: {kind}, name: {name}}}\n"
        );
        for (key, field) in
            [("disabled", "disabled"), ("on-failure", "onFailure"), ("rollback", "rollback"), ("track", "trackConfig")]
        {
            if let Some(value) = self.get(key).filter(|_| !kruise || key == "disabled") {
                text.push_str(&format!("  {field}: {value}\n"));
            }
        }
        match self.get("observe") {
            Some("timed") => text.push_str("  observe:\n    timed: {settle: 30s}\n"),
            Some(applier @ ("argocd" | "flux")) => text.push_str(&format!("  observe:\n    {applier}: {{}}\n")),
            None | Some("kubernetes") => {}
            Some(other) => return Err(format!("observe={other}: there are kubernetes, timed, argocd, flux")),
        }
        text.push_str("  strategy:\n");
        if let Some(value) = self.get("paused") {
            text.push_str(&format!("    paused: {value}\n"));
        }
        text.push_str(if self.get("style") == Some("blueGreen") { "    blueGreen:\n" } else { "    canary:\n" });
        if self.get("style") == Some("canary") {
            text.push_str("      enableExtraWorkloadForCanary: true\n");
        }
        if let Some((key, value)) = self.get("canary-label").and_then(|label| label.split_once(':')) {
            text.push_str(&format!("      patchPodTemplateMetadata:\n        labels: {{{key}: \"{value}\"}}\n"));
        }
        if let Some(shared) = self.get("shares").filter(|_| !kruise) {
            text.push_str(&format!("      trafficRoutingRef: {shared}\n"));
        }
        if self.get("route") == Some("subsets") {
            text.push_str("      disableGenerateCanaryService: true\n");
        }
        if let Some(value) = self.get("failure-threshold") {
            text.push_str(&format!("      failureThreshold: {value}\n"));
        }
        let route = match self.get("route") {
            Some("ingress") => format!("          ingress: {{classType: nginx, name: {name}}}\n"),
            Some("gateway") => format!("          gateway: {{httpRouteName: {name}}}\n"),
            Some(kind @ ("istio" | "subsets")) => {
                let mut text = "          customNetworkRefs:\n".to_owned();
                for kind in ["VirtualService", "DestinationRule"].iter().take(if kind == "istio" { 1 } else { 2 }) {
                    let reference = format!("{{apiVersion: networking.istio.io/v1, kind: {kind}, name: {name}}}");
                    text.push_str(&format!("            - {reference}\n"));
                }
                text
            }
            _ => String::new(),
        };
        if !route.is_empty() {
            let grace = self.get("grace").map(|grace| format!("          gracePeriodSeconds: {grace}\n")).unwrap_or_default();
            text.push_str(&format!("      trafficRoutings:\n        - service: {name}\n{grace}{route}"));
        }
        text.push_str("      steps:\n");
        for step in &self.steps {
            text.push_str(&step_text(step)?);
        }
        if !self.metrics.is_empty() {
            text.push_str("  analysis:\n    metrics:\n");
        }
        for metric in &self.metrics {
            let mut first = "      - ";
            for (word, field) in METRIC {
                if let Some(value) = metric.get(word).filter(|_| word != "query") {
                    text.push_str(&format!("{first}{field}: {value}\n"));
                    first = "        ";
                }
            }
            let query = metric.get("query").map_or("error-rate", String::as_str);
            text.push_str("        source: prometheus\n");
            text.push_str(&format!("        query: {}\n", setting.query.replace("{{ query }}", query)));
        }
        Ok(text)
    }
}

/// The kind of the simulated cluster that is nobody's but its users'.
fn games() -> Result<DescribedKind, NoPath> {
    let spec = |text: &str| FieldPath::below("spec", text);
    let status = |text: &str| FieldPath::below("status", text);
    Ok(DescribedKind {
        group: "games.example.com".to_owned(),
        kind: "GameSet".to_owned(),
        plural: "gamesets".to_owned(),
        replicas: spec("spec.pods.count")?,
        template: spec("spec.pods.template")?,
        partition: spec("spec.update.keep")?,
        status: StatusPaths {
            observed_generation: status("status.observedGeneration")?,
            replicas: status("status.replicas")?,
            updated_replicas: status("status.updatedReplicas")?,
            ready_replicas: status("status.readyReplicas")?,
            updated_ready_replicas: status("status.updatedReadyReplicas")?,
        },
    })
}

fn step_text(step: &str) -> Result<String, String> {
    let mut parts = step.split('/');
    let replicas = parts.next().unwrap_or_default();
    let options = words(&parts.collect::<Vec<_>>().join(" "), &STEP)?;
    let get = |key: &str| options.get(key).map(String::as_str);
    let mut text = format!("        - replicas: {replicas}\n");
    for key in ["name", "traffic", "mirror", "timeout"] {
        if let Some(value) = get(key) {
            text.push_str(&format!("          {key}: {value}\n"));
        }
    }
    if let Some((name, value)) = get("header").and_then(|header| header.split_once(':')) {
        text.push_str(&format!("          matches:\n            - headers: [{{name: {name}, value: \"{value}\"}}]\n"));
    }
    match get("pause") {
        Some("approval") => text.push_str("          pause: {}\n"),
        Some(seconds) => text.push_str(&format!("          pause: {{duration: {seconds}}}\n")),
        None => text.push_str("          pause: {duration: 0}\n"),
    }
    if let Some(count) = get("approvals") {
        text.push_str(&format!("          gates:\n            - approval: {{count: {count}}}\n"));
    }
    Ok(text)
}
