//! Argo CD's Applications: which of them apply our apps, and what in them, their projects and Argo CD's own settings would hurt
//! a release (argo-cd, API v1alpha1, controller/appcontroller.go and controller/state.go).

use serde_json::{Value, json};

use super::argocd_settings;
use super::finding::{Area::Applier, Finding};
use super::flux::hidden;
use super::objects::{Applied, Item, Judged, Remote, Same, Wanted, fits, is_at_or_below, plain_path, same_repository, seconds};

const GROUP: &str = "argoproj.io";
/// How long Argo CD's look at Git may be away where nothing is set: two minutes, and up to one more (seconds).
const LOOKS: u64 = 180;
const IN_CLUSTER: &str = "https://kubernetes.default.svc";

/// Judges all Applications that have to do with our apps. `settings` are the ConfigMaps `argocd-cm` that could be read.
pub fn judge(remote: &Remote, apps: &[Wanted], items: &[Item], settings: &[Item]) -> Judged {
    let mut judged = Judged::default();
    let of = |kind: &'static str| items.iter().filter(move |item| item.group() == GROUP && item.kind() == kind);
    for item in of("Application") {
        let own = settings.iter().find(|map| map.namespace() == item.namespace());
        judged.findings.extend(hydrator(remote, apps, item));
        for (prefix, source) in sources(item) {
            let covered: Vec<&Wanted> = apps.iter().filter(|app| covers(remote, source, app)).collect();
            if covered.is_empty() {
                continue;
            }
            judged.findings.extend(rules(item, &covered));
            judged.findings.extend(source_rules(item, &prefix, source, &covered));
            if let Some(project) = of("AppProject").find(|project| {
                project.namespace() == item.namespace() && item.text("/spec/project").unwrap_or("default") == project.name()
            }) {
                judged.findings.extend(windows(item, project));
            }
            if let Some(own) = own {
                judged.findings.extend(argocd_settings::rules(own, &covered));
            }
            let every = own.and_then(|own| own.text("/data/timeout.reconciliation")).and_then(seconds);
            let within = match every {
                Some(0) => None,
                Some(every) => Some(every.saturating_add(60)),
                None => Some(LOOKS),
            };
            for app in covered {
                judged.applied.push(Applied { app: app.app.clone(), by: item.subject(), in_cluster: item.in_cluster, within });
            }
        }
    }
    for app in apps {
        if !judged.applied.iter().any(|applied| applied.app == app.app)
            && let Some(finding) = of("Application").find_map(|item| near_miss(remote, app, item))
        {
            judged.nearly.push(app.app.clone());
            judged.findings.push(finding);
        }
    }
    judged
}

/// The Git sources with their place in the spec.
fn sources(item: &Item) -> Vec<(String, &Value)> {
    let listed = item.list("/spec/sources");
    if listed.is_empty() {
        return item.value.pointer("/spec/source").map(|source| ("spec.source".to_owned(), source)).into_iter().collect();
    }
    listed.iter().enumerate().map(|(index, source)| (format!("spec.sources[{index}]"), source)).collect()
}

fn text<'a>(source: &'a Value, field: &str) -> &'a str {
    source.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn is_ours(remote: &Remote, source: &Value) -> bool {
    source.get("chart").is_none() && same_repository(&remote.address, text(source, "repoURL")) != Same::No
}

fn is_live(remote: &Remote, source: &Value) -> bool {
    let revision = text(source, "targetRevision");
    revision == remote.live_branch || revision.strip_prefix("refs/heads/") == Some(&remote.live_branch)
}

/// A directory is taken without those below it, unless it says `recurse` (and holds no kustomization file).
fn reaches(remote: &Remote, source: &Value, live: &str) -> bool {
    let folder = plain_path(text(source, "path"));
    let recurses = source.pointer("/directory/recurse") == Some(&Value::Bool(true));
    folder == live || (recurses && is_at_or_below(live, &folder) && !remote.kustomizations.contains(&folder))
}

fn covers(remote: &Remote, source: &Value, app: &Wanted) -> bool {
    is_ours(remote, source) && is_live(remote, source) && reaches(remote, source, &app.live_path)
}

/// The part of the Application, where there is one source; with several it can only be told in words.
fn mended(item: &Item, finding: Finding, words: &str, source: &Value) -> Finding {
    if item.list("/spec/sources").is_empty() {
        finding.mend_exactly(words, item.part(&json!({"source": source})))
    } else {
        finding.mend(format!("{words}: {source}"))
    }
}

fn near_miss(remote: &Remote, app: &Wanted, item: &Item) -> Option<Finding> {
    let nothing =
        format!("the commits for {} are never applied: each waits for its deadline, then the release is rolled back", app.app);
    for (place, source) in sources(item) {
        let path = plain_path(text(source, "path"));
        let (ours, live, reached) = (is_ours(remote, source), is_live(remote, source), reaches(remote, source, &app.live_path));
        if ours && !live && reached {
            let revision = match text(source, "targetRevision") {
                "" => "HEAD",
                revision => revision,
            };
            let finding = Finding::error(
                "argo-revision",
                Applier,
                item.subject(),
                format!("`{place}.targetRevision` is `{revision}`; Windlass writes branch `{}`", remote.live_branch),
            );
            return Some(mended(
                item,
                finding.so(nothing),
                "follow the live branch",
                &json!({"targetRevision": remote.live_branch}),
            ));
        }
        let is_parent = is_at_or_below(&app.live_path, &path);
        if ours
            && live
            && is_parent
            && source.get("directory").is_none_or(|directory| directory["recurse"] != true)
            && !remote.kustomizations.contains(&path)
            && path != app.live_path
        {
            let finding = Finding::error(
                "argo-path",
                Applier,
                item.subject(),
                format!(
                    "`{place}.path` is `{path}` without `directory.recurse`; the live path `{}` lies below it",
                    app.live_path
                ),
            );
            return Some(mended(
                item,
                finding.so(nothing),
                "take the directories below too",
                &json!({"directory": {"recurse": true}}),
            ));
        }
        if ours && live && path == app.source_path && !path.is_empty() {
            let finding = Finding::error(
                "argo-path",
                Applier,
                item.subject(),
                format!("`{place}.path` is the source path `{path}`; the live path is `{}`", app.live_path),
            );
            return Some(mended(item, finding.so(nothing), "apply the live path", &json!({"path": app.live_path})));
        }
        if !ours && live && path == app.live_path && source.get("chart").is_none() {
            let url = hidden(text(source, "repoURL"));
            let seen = format!("`{place}.repoURL` is {url}; Windlass writes to {}", remote.address);
            let finding = Finding::error("argo-repo", Applier, item.subject(), seen);
            let words = "fetch the repository that Windlass writes to";
            return Some(mended(item, finding.so(nothing), words, &json!({"repoURL": remote.address})));
        }
    }
    None
}

fn rules(item: &Item, apps: &[&Wanted]) -> Vec<Finding> {
    let mut found = Vec::new();
    let subject = item.subject();
    let annotation =
        |name: &str| item.value.pointer(&format!("/metadata/annotations/{}", name.replace('/', "~1"))).and_then(Value::as_str);
    if annotation("argocd.argoproj.io/skip-reconcile") == Some("true") {
        found.push(
            Finding::error("argo-suspended", Applier, &subject, "annotation `argocd.argoproj.io/skip-reconcile` is true")
                .so("no commit is applied, a rollback neither")
                .mend_exactly(
                    "remove the annotation",
                    format!(
                        "kubectl -n {} annotate application {} argocd.argoproj.io/skip-reconcile-",
                        item.namespace(),
                        item.name()
                    ),
                ),
        );
    }
    found.extend(sync(item, apps));
    for option in item.list("/spec/syncPolicy/syncOptions").iter().filter_map(Value::as_str) {
        if matches!(option, "Replace=true" | "Force=true") {
            let rest: Vec<&Value> = item.list("/spec/syncPolicy/syncOptions").iter().filter(|other| *other != option).collect();
            found.push(
                Finding::error("argo-replace", Applier, &subject, format!("sync option `{option}`"))
                    .so("objects are replaced, or deleted and made anew, at each step: with Force all pods of a held Deployment go at once")
                    .mend_exactly("leave the option out", item.part(&json!({"syncPolicy": {"syncOptions": rest}}))),
            );
        }
    }
    let destination = item.text("/spec/destination/namespace").unwrap_or_default();
    for app in apps.iter().filter(|app| !app.namespace_is_written && !destination.is_empty() && app.namespace != destination) {
        found.push(
            Finding::error(
                "argo-namespace",
                Applier,
                &subject,
                format!(
                    "objects without a namespace go to `{destination}`; Windlass looks for {} in `{}`",
                    app.app, app.namespace
                ),
            )
            .so("Windlass never sees the commits arrive")
            .mend_exactly(
                "write the namespace into the workload's manifest (or the Rollout) in the source",
                format!("metadata:\n  namespace: {destination}"),
            ),
        );
    }
    let server = item.text("/spec/destination/server").unwrap_or(IN_CLUSTER);
    let cluster = item.text("/spec/destination/name").unwrap_or("in-cluster");
    if server != IN_CLUSTER || cluster != "in-cluster" {
        let other = if server == IN_CLUSTER { cluster.to_owned() } else { hidden(server) };
        found.push(
            Finding::warning(
                "other-cluster",
                Applier,
                &subject,
                format!("it applies to the cluster {other}, not to the one that Argo CD runs in"),
            )
            .so("Windlass must look at that cluster, else it never sees the commits arrive")
            .mend("name that cluster in windlass.yaml: `cluster: {kubeconfig: FILE, context: NAME}`"),
        );
    }
    found.extend(argocd_settings::ignored(item, item.list("/spec/ignoreDifferences"), &subject, apps));
    found.extend(present(item));
    found
}

fn sync(item: &Item, apps: &[&Wanted]) -> Vec<Finding> {
    let mut found = Vec::new();
    let subject = item.subject();
    let automated = item.value.pointer("/spec/syncPolicy/automated").filter(|value| value.is_object());
    let Some(automated) = automated.filter(|value| value["enabled"] != false) else {
        found.push(
            Finding::error("argo-automated", Applier, &subject, "`syncPolicy.automated` is off")
                .so("each commit, rollbacks too, waits for somebody to sync by hand")
                .mend_exactly(
                    "let Argo CD sync by itself",
                    item.part(&json!({"syncPolicy": {"automated": {"enabled": true, "prune": true, "selfHeal": true}}})),
                ),
        );
        return found;
    };
    if automated["prune"] != true {
        let seen = "`syncPolicy.automated.prune` is not true";
        let finding = if apps.iter().any(|app| app.routes) {
            Finding::error("argo-prune", Applier, &subject, seen)
                .so("the canary's Service and routes stay after a release, and go on taking requests for pods that are gone")
        } else {
            Finding::warning("argo-prune", Applier, &subject, seen)
                .so("objects that a release no longer needs stay (old generations of ConfigMaps), and the Application is never Synced again")
        };
        let part = item.part(&json!({"syncPolicy": {"automated": {"prune": true}}}));
        found.push(finding.mend_exactly("let Argo CD remove what Git no longer holds", part));
    }
    if automated["selfHeal"] != true {
        found.push(
            Finding::warning("argo-self-heal", Applier, &subject, "`syncPolicy.automated.selfHeal` is not true")
                .so("what somebody changes in the cluster stays changed: a step's pods are then not what Git says")
                .mend_exactly("let Argo CD put it back", item.part(&json!({"syncPolicy": {"automated": {"selfHeal": true}}}))),
        );
    }
    let limit = item.value.pointer("/spec/syncPolicy/retry/limit").and_then(Value::as_i64);
    let retries =
        item.value.pointer("/spec/syncPolicy/retry").is_none_or(|retry| retry.is_null()) || limit.is_some_and(|limit| limit != 0);
    if retries && !item.is_true("/spec/syncPolicy/retry/refresh") {
        let so = "a sync that fails is tried again with the commit that it began with: newer commits, a rollback too, wait until the tries are used up";
        let part = item.part(&json!({"syncPolicy": {"retry": {"limit": limit.unwrap_or(5), "refresh": true}}}));
        let finding = if item.has("/spec/syncPolicy/retry") {
            Finding::error("argo-retry", Applier, &subject, "`syncPolicy.retry` without `refresh: true`")
        } else {
            Finding::warning(
                "argo-retry",
                Applier,
                &subject,
                "`syncPolicy.retry` is not set, which means 5 tries without `refresh`",
            )
        };
        found.push(finding.so(so).mend_exactly("let a retry take the newest commit", part));
    }
    found
}

/// What the Application says of itself at present.
fn present(item: &Item) -> Vec<Finding> {
    let clean = |message: &Value| -> String {
        message.as_str().unwrap_or_default().chars().map(|one| if one.is_control() { ' ' } else { one }).take(300).collect()
    };
    let mut found = Vec::new();
    let look = format!("kubectl -n {} describe application {}", item.namespace(), item.name());
    for condition in item.list("/status/conditions") {
        let kind = condition["type"].as_str().unwrap_or_default();
        if matches!(kind, "ComparisonError" | "InvalidSpecError" | "SyncError" | "UnknownError") {
            let seen = format!("it says {kind}: {}", clean(&condition["message"]));
            found.push(
                Finding::error("argo-not-ready", Applier, item.subject(), seen)
                    .so("the next commit is not applied either")
                    .mend_exactly("look there first", look.clone()),
            );
        }
    }
    if found.is_empty() && item.text("/status/operationState/phase").is_some_and(|phase| matches!(phase, "Failed" | "Error")) {
        let seen = format!("its last sync failed: {}", clean(&item.value["status"]["operationState"]["message"]));
        found.push(
            Finding::warning("argo-not-ready", Applier, item.subject(), seen)
                .so("the next commit may not be applied either")
                .mend_exactly("look there first", look),
        );
    }
    found
}

fn source_rules(item: &Item, place: &str, source: &Value, apps: &[&Wanted]) -> Vec<Finding> {
    let mut found = Vec::new();
    let subject = item.subject();
    for field in ["kustomize", "helm", "plugin"] {
        let is_set = source.get(field).is_some_and(|value| value.as_object().is_none_or(|map| !map.is_empty()));
        if is_set {
            found.push(
                Finding::error(
                    "argo-changes",
                    Applier,
                    &subject,
                    format!("`{place}.{field}` changes what Git holds before it is applied"),
                )
                .so("images, names or replicas that Windlass holds back are replaced in all pods at once")
                .mend(format!(
                    "remove `{place}.{field}`, and write what it does into the source, so that it is released step by step"
                )),
            );
        }
    }
    for field in ["include", "exclude"] {
        if let Some(pattern) =
            source.pointer(&format!("/directory/{field}")).and_then(Value::as_str).filter(|pattern| !pattern.is_empty())
        {
            found.push(
                Finding::warning("argo-directory", Applier, &subject, format!("`{place}.directory.{field}` is `{pattern}`"))
                    .so("files of the live path that it leaves out are not applied; Windlass names them `<kind>-<name>.yaml`")
                    .mend(format!("remove `{place}.directory.{field}`")),
            );
        }
    }
    let name = "argocd.argoproj.io/manifest-generate-paths";
    let paths = item.value.pointer("/metadata/annotations/argocd.argoproj.io~1manifest-generate-paths").and_then(Value::as_str);
    if let Some(paths) = paths.filter(|paths| !paths.is_empty()) {
        let folder = plain_path(text(source, "path"));
        let whole = |path: &str| match path.strip_prefix('/') {
            Some(absolute) => plain_path(absolute),
            None => plain_path(&format!("{folder}/{path}")),
        };
        for app in apps {
            let is_covered = paths.split(';').map(str::trim).any(|path| is_at_or_below(&app.live_path, &whole(path)));
            if !is_covered {
                found.push(
                    Finding::error(
                        "argo-generate-paths",
                        Applier,
                        &subject,
                        format!("annotation `{name}` is `{paths}`, without `{}`", app.live_path),
                    )
                    .so("commits of the live path count as no change, and Argo CD goes on with the manifests that it remembers")
                    .mend_exactly(
                        "name the live path",
                        format!(
                            "kubectl -n {} annotate application {} --overwrite {name}=/{}",
                            item.namespace(),
                            item.name(),
                            app.live_path
                        ),
                    ),
                );
            }
        }
    }
    found
}

/// The source hydrator writes what Windlass writes.
fn hydrator(remote: &Remote, apps: &[Wanted], item: &Item) -> Option<Finding> {
    let hydrator = item.value.pointer("/spec/sourceHydrator")?;
    let dry = text(&hydrator["drySource"], "repoURL");
    let target =
        hydrator.pointer("/hydrateTo/targetBranch").or_else(|| hydrator.pointer("/syncSource/targetBranch"))?.as_str()?;
    let path = plain_path(text(&hydrator["syncSource"], "path"));
    let app = apps.iter().find(|app| is_at_or_below(&app.live_path, &path) || is_at_or_below(&path, &app.live_path))?;
    if same_repository(&remote.address, dry) == Same::No || target != remote.live_branch {
        return None;
    }
    Some(
        Finding::error(
            "argo-hydrator",
            Applier,
            item.subject(),
            format!("`spec.sourceHydrator` writes `{path}` on branch `{target}`, where Windlass writes {}", app.app),
        )
        .so("two writers undo each other: Windlass holds with `foreign-change` at each of the hydrator's commits")
        .mend("use a plain `spec.source` on the live branch: Windlass writes the rendered manifests itself"),
    )
}

/// Windows of the project in which commits wait.
fn windows(item: &Item, project: &Item) -> Vec<Finding> {
    let mut found = Vec::new();
    for window in project.list("/spec/syncWindows") {
        let all = |field: &str| window[field].as_array().map(Vec::as_slice).unwrap_or_default();
        let named = |field: &str, text: &str| all(field).iter().filter_map(Value::as_str).any(|pattern| fits(pattern, text));
        let server = item.text("/spec/destination/server").unwrap_or(IN_CLUSTER);
        let meant = named("applications", item.name())
            || named("namespaces", item.text("/spec/destination/namespace").unwrap_or_default())
            || named("clusters", server);
        if !meant {
            continue;
        }
        let word = |field: &str| window[field].as_str().unwrap_or_default().to_owned();
        let (kind, when) = (word("kind"), format!("`{}` for {}", word("schedule"), word("duration")));
        let seen = format!(
            "a window that {} {}: {when}",
            if kind == "deny" { "denies syncs of" } else { "allows syncs only then of" },
            item.name()
        );
        found.push(
            Finding::warning("argo-window", Applier, project.subject(), seen)
                .so("commits outside of what is allowed wait, rollbacks too, while the deadline of the step (`timeout`) counts on")
                .mend("leave this Application out of the window, or keep releases inside of it with longer `timeout`s"),
        );
    }
    found
}
