//! Whether each app is applied: by somebody, by one alone, and as soon as its observer believes.

use super::finding::{Area::Applier, Finding};
use super::objects::{Judged, Remote, Wanted, length};
use crate::api::Observe;
use crate::manifest;

/// What can be said when all appliers' settings are judged. `is_complete`: both kinds of appliers were read from the cluster;
/// `any`: at least one object of an applier was seen.
pub fn judge(remote: &Remote, apps: &[Wanted], judged: &Judged, is_complete: bool, any: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for app in apps {
        let mut by: Vec<_> = judged.applied.iter().filter(|applied| applied.app == app.app).collect();
        let is_live = by.iter().any(|one| one.in_cluster);
        if is_live {
            // What stands in files only may be for another cluster.
            by.retain(|one| one.in_cluster);
        }
        let subject = format!("app {}", app.app);
        match by.as_slice() {
            [] if judged.nearly.contains(&app.app) => {}
            [] if is_complete && any => found.push(missing(remote, app, subject)),
            [] => {
                let seen = if any || is_complete {
                    "no Kustomization of Flux and no Application of Argo CD that applies it was found"
                } else {
                    "who applies it is not known: no applier's settings were seen"
                };
                found.push(
                    Finding::unknown("applier", Applier, subject, seen)
                        .mend("run doctor where the cluster can be read, or keep the applier's manifests in the source branch"),
                );
            }
            several if !is_live => {
                let names: Vec<&str> = several.iter().map(|one| one.by.as_str()).collect();
                let seen = format!("{} would apply it", names.join(" and "));
                found.push(if is_complete {
                    Finding::warning("applier", Applier, subject, format!("{seen}, and is not in this cluster"))
                        .so("as long as it is in no cluster, no commit arrives")
                        .mend("apply that file to the cluster, or look at the cluster that it is in (`cluster` of windlass.yaml)")
                } else {
                    Finding::fine("applier", Applier, subject, seen)
                });
            }
            [one] => found.push(Finding::fine("applier", Applier, subject, format!("applied by {}", one.by))),
            several => {
                let names: Vec<&str> = several.iter().map(|one| one.by.as_str()).collect();
                found.push(
                    Finding::error("two-appliers", Applier, subject, format!("applied by {}", names.join(" and by ")))
                        .so("each undoes what the other has applied, and one that lags behind brings an old step back")
                        .mend("leave one of them, and delete the other without pruning (Flux: `prune: false` first; Argo CD: a non-cascading delete)"),
                );
            }
        }
        if let Observe::Timed { settle } = &app.observe {
            found.extend(timed(app, u64::from(*settle), by.iter().map(|one| one.within).collect()));
        }
    }
    found
}

fn missing(remote: &Remote, app: &Wanted, subject: String) -> Finding {
    let example = format!(
        "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {{name: {}, namespace: flux-system}}\nspec:\n  interval: 10m\n  retryInterval: 30s\n  \
         sourceRef: {{kind: GitRepository, name: live}}   # {} at branch {}\n  path: ./{}\n  prune: true\n  wait: false",
        app.workload.name, remote.address, remote.live_branch, app.live_path
    );
    let seen = format!("nothing in the cluster applies `{}` of branch `{}`", app.live_path, remote.live_branch);
    Finding::error("no-applier", Applier, subject, seen)
        .so("its commits never reach the cluster: each waits for its deadline, then the release is rolled back")
        .mend_exactly("let Flux apply it, for example (docs/tasks/flux.md, docs/tasks/argo-cd.md)", example)
}

/// A fixed time must be longer than the applier takes.
fn timed(app: &Wanted, settle: u64, within: Vec<Option<u64>>) -> Option<Finding> {
    let slowest = within.into_iter().flatten().max()?;
    if settle > slowest {
        return None;
    }
    let wanted = slowest + 60;
    let settings = serde_json::json!({"observe": {"timed": {"settle": wanted}}});
    Some(
        Finding::error(
            "settle",
            Applier,
            format!("app {}", app.app),
            format!(
                "`observe: timed` takes a commit as applied after {}; the applier may take {}",
                length(settle),
                length(slowest)
            ),
        )
        .so("steps follow each other faster than they are applied: pauses and metrics judge pods that do not run yet")
        .mend_exactly(
            "let Windlass look at the cluster (`observe: {kubernetes: {}}`), or wait longer",
            manifest::write_value(&settings),
        ),
    )
}
