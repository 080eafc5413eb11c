//! Flux' Kustomizations and GitRepositories: which of them apply our apps, and what in them would hurt a release
//! (kustomize-controller and source-controller, API v1).

use serde_json::{Value, json};

use super::finding::{Area::Applier, Finding};
use super::objects::{Applied, Item, Judged, Remote, Same, Wanted, is_at_or_below, length, plain_path, same_repository, seconds};

const KUSTOMIZE: &str = "kustomize.toolkit.fluxcd.io";
const SOURCE: &str = "source.toolkit.fluxcd.io";
/// A commit that waits longer for the next look at Git makes each step slow (seconds).
const SLOW: u64 = 120;

/// Judges all Kustomizations that have to do with our apps.
pub fn judge(remote: &Remote, apps: &[Wanted], items: &[Item]) -> Judged {
    let mut judged = Judged::default();
    let of =
        |group: &'static str, kind: &'static str| items.iter().filter(move |item| item.group() == group && item.kind() == kind);
    let pairs: Vec<(&Item, Option<&Item>)> = of(KUSTOMIZE, "Kustomization")
        .map(|item| (item, of(SOURCE, "GitRepository").find(|source| is_source(item, source))))
        .collect();
    for (item, source) in &pairs {
        let covered: Vec<&Wanted> = apps.iter().filter(|app| covers(remote, item, *source, app)).collect();
        let (Some(source), false) = (source, covered.is_empty()) else { continue };
        judged.findings.extend(source_rules(source, &covered));
        judged.findings.extend(rules(item, &covered));
        let hooked = of("notification.toolkit.fluxcd.io", "Receiver").any(|receiver| is_told(receiver, source));
        let within = seconds(source.text("/spec/interval").unwrap_or_default()).filter(|_| !hooked);
        if let Some(slow) = within.filter(|within| *within > SLOW) {
            judged.findings.push(
                Finding::warning("flux-interval", Applier, source.subject(), format!("`spec.interval` is {}", length(slow)))
                    .so(format!(
                        "each commit, rollbacks too, may wait {} before Flux sees it, and no Receiver tells it sooner",
                        length(slow)
                    ))
                    .mend_exactly("look more often, or add a Receiver (webhook)", source.part(&json!({"interval": "1m"}))),
            );
        }
        for app in covered {
            judged.applied.push(Applied {
                app: app.app.clone(),
                by: item.subject(),
                in_cluster: item.in_cluster,
                within: if hooked { Some(0) } else { within },
            });
        }
    }
    for app in apps {
        if !judged.applied.iter().any(|applied| applied.app == app.app)
            && let Some(finding) = near_miss(remote, app, &pairs)
        {
            judged.nearly.push(app.app.clone());
            judged.findings.push(finding);
        }
    }
    judged
}

fn is_source(item: &Item, source: &Item) -> bool {
    let namespace = item.text("/spec/sourceRef/namespace").filter(|name| !name.is_empty()).unwrap_or(item.namespace());
    item.text("/spec/sourceRef/kind") == Some("GitRepository")
        && item.text("/spec/sourceRef/name") == Some(source.name())
        && namespace == source.namespace()
}

/// The branch that a GitRepository follows; `None` where it follows a commit, a tag or a name (source-controller: name, commit, semver
/// and tag win over the branch; without any it is `master`).
fn branch(source: &Item) -> Option<&str> {
    let other = ["name", "commit", "semver", "tag"].iter().any(|field| source.has(&format!("/spec/ref/{field}")));
    (!other).then(|| source.text("/spec/ref/branch").unwrap_or("master"))
}

fn is_ours(remote: &Remote, source: &Item) -> bool {
    same_repository(&remote.address, source.text("/spec/url").unwrap_or_default()) != Same::No
}

fn path(item: &Item) -> String {
    plain_path(item.text("/spec/path").unwrap_or_default())
}

/// A folder without a kustomization file is taken with all that is below; with one, only what that lists.
fn reaches(remote: &Remote, folder: &str, live: &str) -> bool {
    folder == live || (is_at_or_below(live, folder) && !remote.kustomizations.iter().any(|other| other == folder))
}

fn covers(remote: &Remote, item: &Item, source: Option<&Item>, app: &Wanted) -> bool {
    source.is_some_and(|source| is_ours(remote, source) && branch(source) == Some(&remote.live_branch))
        && reaches(remote, &path(item), &app.live_path)
}

/// The one thing that keeps a Kustomization from applying this app.
fn near_miss(remote: &Remote, app: &Wanted, pairs: &[(&Item, Option<&Item>)]) -> Option<Finding> {
    let is_path = |item: &Item| reaches(remote, &path(item), &app.live_path);
    let nothing =
        format!("the commits for {} are never applied: each waits for its deadline, then the release is rolled back", app.app);
    for (item, source) in pairs {
        let Some(source) = source else {
            if is_path(item) && item.text("/spec/sourceRef/kind") == Some("GitRepository") && path(item) == app.live_path {
                let name = item.text("/spec/sourceRef/name").unwrap_or_default();
                return Some(
                    Finding::error("flux-source", Applier, item.subject(), format!("its GitRepository `{name}` is not there"))
                        .so(nothing)
                        .mend("make the GitRepository, or name the one that follows the live branch in `spec.sourceRef`"),
                );
            }
            continue;
        };
        let (ours, on_branch) = (is_ours(remote, source), branch(source) == Some(&remote.live_branch));
        if ours && !on_branch && is_path(item) {
            let seen = match branch(source) {
                Some(other) => format!("it follows branch `{other}`; Windlass writes `{}`", remote.live_branch),
                None => format!("it follows {}; Windlass writes branch `{}`", source.value["spec"]["ref"], remote.live_branch),
            };
            let fields = ["name", "commit", "semver", "tag"].iter().filter(|field| source.has(&format!("/spec/ref/{field}")));
            let mut wanted = json!({"branch": remote.live_branch});
            for field in fields {
                wanted[*field] = Value::Null;
            }
            return Some(
                Finding::error("flux-branch", Applier, source.subject(), seen)
                    .so(nothing)
                    .mend_exactly("follow the live branch", source.part(&json!({"ref": wanted}))),
            );
        }
        if ours && on_branch && path(item) == app.source_path && !app.source_path.is_empty() {
            return Some(
                Finding::error(
                    "flux-path",
                    Applier,
                    item.subject(),
                    format!("`spec.path` is the source path `{}`; the live path is `{}`", app.source_path, app.live_path),
                )
                .so(nothing)
                .mend_exactly("apply the live path", item.part(&json!({"path": format!("./{}", app.live_path)}))),
            );
        }
        if !ours && on_branch && path(item) == app.live_path {
            return Some(
                Finding::error(
                    "flux-url",
                    Applier,
                    source.subject(),
                    format!(
                        "`spec.url` is {}; Windlass writes to {}",
                        hidden(source.text("/spec/url").unwrap_or_default()),
                        remote.address
                    ),
                )
                .so(nothing)
                .mend_exactly("fetch the repository that Windlass writes to", source.part(&json!({"url": remote.address}))),
            );
        }
    }
    None
}

/// An address without what may be a password.
pub(super) fn hidden(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) =
                rest.split_once('/').map_or((rest, String::new()), |(authority, path)| (authority, format!("/{path}")));
            format!("{scheme}://{}{path}", authority.rsplit('@').next().unwrap_or_default())
        }
        None => url.to_owned(),
    }
}

fn is_told(receiver: &Item, source: &Item) -> bool {
    !receiver.is_true("/spec/suspend")
        && receiver.list("/spec/resources").iter().any(|resource| {
            let text = |field: &str| resource.get(field).and_then(Value::as_str);
            let name = text("name").unwrap_or_default();
            text("kind") == Some("GitRepository")
                && (name == source.name() || name == "*")
                && text("namespace").unwrap_or(receiver.namespace()) == source.namespace()
        })
}

fn source_rules(source: &Item, apps: &[&Wanted]) -> Vec<Finding> {
    let mut found = Vec::new();
    let subject = source.subject();
    if source.is_true("/spec/suspend") {
        found.push(
            Finding::error("flux-suspended", Applier, &subject, "`spec.suspend` is true")
                .so("no commit is fetched, a rollback neither")
                .mend_exactly("let it go on", source.part(&json!({"suspend": false}))),
        );
    }
    if source.has("/spec/verify") {
        found.push(
            Finding::error("flux-verify", Applier, &subject, "`spec.verify` asks for signed commits")
                .so("Windlass does not sign its commits yet, so Flux refuses them")
                .mend("remove `spec.verify` from this GitRepository; protect the live branch at the forge instead"),
        );
    }
    let sparse = source.list("/spec/sparseCheckout");
    for app in apps {
        let is_in = |folder: &Value| folder.as_str().is_some_and(|folder| is_at_or_below(&app.live_path, &plain_path(folder)));
        if !sparse.is_empty() && !sparse.iter().any(is_in) {
            let mut wanted = sparse.to_vec();
            wanted.push(json!(app.live_path));
            found.push(
                Finding::error("flux-sparse", Applier, &subject, format!("`spec.sparseCheckout` leaves out `{}`", app.live_path))
                    .so("Flux does not see the files of the live path")
                    .mend_exactly("check out the live path too", source.part(&json!({"sparseCheckout": wanted}))),
            );
        }
    }
    found.extend(not_ready(source));
    found
}

/// What the object says of itself at present.
fn not_ready(item: &Item) -> Option<Finding> {
    let ready = item.list("/status/conditions").iter().find(|condition| condition["type"] == "Ready")?;
    if ready["status"] != "False" {
        return None;
    }
    let word = |field: &str| ready.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let message: String = word("message").chars().map(|one| if one.is_control() { ' ' } else { one }).take(300).collect();
    Some(
        Finding::warning("flux-not-ready", Applier, item.subject(), format!("it is not Ready: {}: {message}", word("reason")))
            .so("the next commit may not be applied either")
            .mend_exactly(
                "look there first",
                format!("kubectl -n {} describe {} {}", item.namespace(), item.kind().to_lowercase(), item.name()),
            ),
    )
}

fn rules(item: &Item, apps: &[&Wanted]) -> Vec<Finding> {
    let mut found = Vec::new();
    let subject = item.subject();
    if item.is_true("/spec/suspend") {
        found.push(
            Finding::error("flux-suspended", Applier, &subject, "`spec.suspend` is true")
                .so("no commit is applied, a rollback neither")
                .mend_exactly("let it go on", item.part(&json!({"suspend": false}))),
        );
    }
    found.extend(health(item, apps));
    let interval = seconds(item.text("/spec/interval").unwrap_or_default()).unwrap_or(0);
    let retry = item.text("/spec/retryInterval").and_then(seconds).unwrap_or(interval);
    if retry > SLOW {
        let seen = if item.has("/spec/retryInterval") {
            format!("`spec.retryInterval` is {}", length(retry))
        } else {
            format!("`spec.retryInterval` is not set, so it is the interval, {}", length(retry))
        };
        found.push(
            Finding::warning("flux-retry-interval", Applier, &subject, seen)
                .so("a commit that could not be applied at once (an admission webhook that was away) is not tried again for that long")
                .mend_exactly("try again sooner", item.part(&json!({"retryInterval": "30s"}))),
        );
    }
    if !item.is_true("/spec/prune") {
        let routed = apps.iter().any(|app| app.routes);
        let seen = "`spec.prune` is not true";
        let finding = if routed {
            Finding::error("flux-prune", Applier, &subject, seen)
                .so("the canary's Service and routes stay after a release, and go on taking requests for pods that are gone")
        } else {
            Finding::warning("flux-prune", Applier, &subject, seen)
                .so("objects that a release no longer needs stay (old generations of ConfigMaps)")
        };
        found.push(finding.mend_exactly("let Flux remove what Git no longer holds", item.part(&json!({"prune": true}))));
    }
    if item.is_true("/spec/force") {
        found.push(
            Finding::warning("flux-force", Applier, &subject, "`spec.force` is true")
                .so("a change of a field that cannot change (a Deployment's selector) deletes the workload with all its pods and makes it anew")
                .mend_exactly("let such a change fail instead", item.part(&json!({"force": false}))),
        );
    }
    if let Some(target) = item.text("/spec/targetNamespace").filter(|name| !name.is_empty()) {
        for app in apps.iter().filter(|app| app.namespace != target) {
            found.push(
                Finding::error(
                    "flux-namespace",
                    Applier,
                    &subject,
                    format!("`spec.targetNamespace` is `{target}`; Windlass looks for {} in `{}`", app.app, app.namespace),
                )
                .so("Windlass never sees the commits arrive")
                .mend_exactly(
                    format!("write `metadata.namespace: {target}` into the manifests of {}, or take it out here", app.app),
                    item.part(&json!({"targetNamespace": null})),
                ),
            );
        }
    }
    found.extend(changes(item));
    if item.has("/spec/kubeConfig") {
        found.push(
            Finding::warning(
                "other-cluster",
                Applier,
                &subject,
                "`spec.kubeConfig` applies to another cluster than the one this object is in",
            )
            .so("Windlass must look at that cluster, else it never sees the commits arrive")
            .mend("name that cluster in windlass.yaml: `cluster: {kubeconfig: FILE, context: NAME}`"),
        );
    }
    found.extend(not_ready(item));
    found
}

/// A held Deployment is never current by Flux' rule, so what waits for health blocks the next commit.
fn health(item: &Item, apps: &[&Wanted]) -> Option<Finding> {
    let is_own_rule = |rule: &Value| {
        rule["kind"] == "Deployment" && rule["apiVersion"].as_str().is_some_and(|version| version.starts_with("apps/"))
    };
    if item.list("/spec/healthCheckExprs").iter().any(is_own_rule) {
        return None;
    }
    let timeout = item
        .text("/spec/timeout")
        .or_else(|| item.text("/spec/interval"))
        .and_then(seconds)
        .map_or_else(String::new, |time| format!(" ({})", length(time)));
    let so = format!(
        "a Deployment that is held at a step never counts as current, so the next commit, a rollback too, is applied only when the health check has timed out{timeout}"
    );
    if item.is_true("/spec/wait") {
        return Some(
            Finding::error("flux-wait", Applier, item.subject(), "`spec.wait` is true")
                .so(so)
                .mend_exactly("do not wait for health: Windlass looks at the pods itself", item.part(&json!({"wait": false}))),
        );
    }
    let of_app = |check: &&Value| {
        apps.iter().any(|app| check["kind"] == app.workload.kind.as_str() && check["name"] == app.workload.name.as_str())
    };
    let checks = item.list("/spec/healthChecks");
    let checked = checks.iter().find(of_app)?;
    let rest: Vec<&Value> = checks.iter().filter(|check| !of_app(check)).collect();
    let name = format!("{} {}", checked["kind"].as_str().unwrap_or_default(), checked["name"].as_str().unwrap_or_default());
    Some(
        Finding::error("flux-wait", Applier, item.subject(), format!("`spec.healthChecks` names {name}"))
            .so(so)
            .mend_exactly("check the health of other objects only", item.part(&json!({"healthChecks": rest}))),
    )
}

/// What makes Flux apply something else than what Git holds.
fn changes(item: &Item) -> Vec<Finding> {
    let mut found = Vec::new();
    let subject = item.subject();
    let mut change = |field: &str, is_fatal: bool, so: &str| {
        if !item.has(&format!("/spec/{field}")) {
            return;
        }
        let seen = format!("`spec.{field}` changes what Git holds before it is applied");
        let make = |finding: Finding| {
            finding.so(so).mend(format!(
                "remove `spec.{field}`, and write what it does into the source, so that it is released step by step"
            ))
        };
        found.push(make(if is_fatal {
            Finding::error("flux-changes", Applier, &subject, seen)
        } else {
            Finding::warning("flux-changes", Applier, &subject, seen)
        }));
    };
    change("images", true, "the image that Windlass holds back or rolls back to is replaced in all pods at once");
    change("namePrefix", true, "the objects have other names than Windlass looks for and routes to");
    change("nameSuffix", true, "the objects have other names than Windlass looks for and routes to");
    change("patches", false, "a patch of the workload, its Services or routes undoes a step, and Git no longer says what runs");
    change("components", false, "what a component changes is not part of any release");
    change("postBuild", false, "a changed variable changes all pods at once, past every step; `${…}` in a manifest is replaced");
    if item.value.pointer("/spec/commonMetadata/annotations/windlass.dev~1commit-tree").is_some() {
        found.push(
            Finding::error(
                "flux-changes",
                Applier,
                &subject,
                "`spec.commonMetadata` sets the annotation `windlass.dev/commit-tree`",
            )
            .so("Windlass never sees the commits arrive")
            .mend("remove that annotation from `spec.commonMetadata`"),
        );
    }
    found
}
