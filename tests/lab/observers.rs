//! The observers of appliers on the real Flux and the real Argo CD, with the windlass program in between.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use windlass::engine::Phase;
use windlass::observe::{ArgoCdOptions, ArgoCdServer, Lineage, Live, ObserveError, Place, Target};

use super::app::App;
use super::files::Files;
use super::repository::Repository;
use super::servers::Lab;
use super::{argo, flux};

fn files(name: &'static str) -> Files {
    let steps = "      - {replicas: 20%, pause: {}}\n      - {replicas: 100%}";
    Files { name, version: 1, replicas: 5, routed: false, steps, judged: false }
}

fn settings(repository: &Repository, observe: &str) {
    let text = format!("apiVersion: windlass.dev/v1alpha1\nkind: Repository\nobserve: {observe}\n");
    repository.push("main", &[(".windlass.yaml", Some(&text))], "Settings");
}

#[test]
fn flux_and_argo_cd_are_believed_when_they_may_be() {
    let Some(lab) = Lab::up(&["flux", "argo", "gitea", "prometheus"]) else {
        return;
    };
    type Story = fn(&Lab);
    let stories: [(&str, Story); 2] = [("flux", by_flux), ("argocd", by_argo_cd)];
    std::thread::scope(|scope| {
        let running = stories.map(|(name, story)| {
            let (start, lab) = (Instant::now(), &lab);
            let run = scope.spawn(move || {
                let ended = catch_unwind(AssertUnwindSafe(|| story(lab)));
                println!("{name}: {:.0} s", start.elapsed().as_secs_f64());
                ended
            });
            (name, run)
        });
        let failed: Vec<_> = running.into_iter().filter_map(|(name, run)| run.join().unwrap().err().map(|_| name)).collect();
        assert!(failed.is_empty(), "failed, as told above: {}", failed.join(", "));
    });
}

fn by_flux(lab: &Lab) {
    let repository = Repository::create(lab, "checkout");
    settings(&repository, "{flux: {}}");
    let app = App::create(lab, &repository, files("checkout"));
    let mut windlass = app.watch();
    let (_, state) = app.wait(&mut windlass, "the first contact", |state| state.phase == Phase::Healthy);
    flux::apply_branch(lab, "checkout", &repository, "deploy", &app.path(), None);
    app.wait_whole(&mut windlass, "the first version", &state);
    let patch = |spec: &str| {
        let patch = format!("{{\"spec\": {spec}}}");
        lab.kubectl(&["-n", "flux-system", "patch", "kustomization", "checkout", "--type=merge", "-p", &patch]);
    };

    // a good release; suspended in between, while another app's commit comes after ours
    app.change("Version 2", |files| files.version = 2);
    let said = app.wait_said(&mut windlass, 0, "step 1 waits for an approval");
    patch("{\"suspend\": true}");
    app.windlass(&["approve"]);
    let said = app.wait_said(&mut windlass, said, "is suspended: `flux resume kustomization checkout -n flux-system`");
    repository.push("deploy", &[("apps/other/note.txt", Some("nothing of ours\n"))], "Another app's commit");
    patch("{\"suspend\": false}");
    app.wait_end(&mut windlass, 1);

    // it waits for the health of what is held
    patch("{\"wait\": true}");
    app.change("Version 3", |files| files.version = 3);
    let said = app.wait_said(&mut windlass, said, "set `spec.wait: false`");
    patch("{\"wait\": false}");
    app.wait_said(&mut windlass, said, "step 1 waits for an approval");
    app.windlass(&["approve"]);
    app.wait_end(&mut windlass, 2);
}

/// Knows one commit.
struct Only(String);

impl Lineage for Only {
    fn place(&self, revision: &str) -> Place {
        if revision == self.0 { Place::Ours } else { Place::Older }
    }
}

fn by_argo_cd(lab: &Lab) {
    let namespace = lab.var("LAB_ARGO_NAMESPACE");
    let repository = Repository::create(lab, "cart");
    settings(&repository, &format!("{{argocd: {{namespace: {namespace}}}}}"));
    let app = App::create(lab, &repository, files("cart"));
    let mut windlass = app.watch();
    let (first, state) = app.wait(&mut windlass, "the first contact", |state| state.phase == Phase::Healthy);
    argo::apply_branch(lab, "cart", &repository, "deploy", &app.path(), "shop");
    app.wait_whole(&mut windlass, "the first version", &state);
    let patch = |patch: &str| {
        lab.kubectl(&["-n", namespace, "patch", "application", "cart", "--type=merge", "-p", patch]);
    };

    app.change("Version 2", |files| files.version = 2);
    let said = app.wait_said(&mut windlass, 0, "step 1 waits for an approval");
    // somebody syncs by hand to the first version
    patch("{\"spec\": {\"syncPolicy\": {\"automated\": null}}}");
    patch(&format!(
        "{{\"operation\": {{\"initiatedBy\": {{\"username\": \"alice\"}}, \"sync\": {{\"revision\": \"{first}\"}}}}}}"
    ));
    lab.wait("the sync by hand", Duration::from_secs(60), || {
        let state = lab.get(namespace, "application", "cart").unwrap()["status"]["operationState"].take();
        let done = state["phase"] == "Succeeded" && state["syncResult"]["revision"] == first.as_str();
        if done { Ok(()) } else { Err(state.to_string()) }
    });
    app.windlass(&["approve"]);
    app.wait_said(&mut windlass, said, &format!("its last sync was of {}", &first[..10]));
    repository.push("deploy", &[("apps/other/note.txt", Some("nothing of ours\n"))], "Another app's commit");
    patch("{\"spec\": {\"syncPolicy\": {\"automated\": {\"prune\": true, \"selfHeal\": true}}}}");
    let (end, state) = app.wait_end(&mut windlass, 1);

    // the same by Argo CD's own API
    let server = ArgoCdServer::connect(&ArgoCdOptions::new(lab.var("LAB_ARGO"))).unwrap();
    let (lineage, path) = (Only(end), app.path());
    let live = Live { app: "cart", repository: &repository.url, branch: "deploy", path: &path, lineage: &lineage };
    let target = Target {
        namespace: "shop".to_owned(),
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: "cart".to_owned(),
        described: None,
        mark: state.mark,
        committed_at: 0,
        now: 0,
    };
    let sighting =
        lab.wait("Argo CD's own word", Duration::from_secs(60), || match server.observe(namespace, "cart", &live, &target) {
            Ok(sighting) if sighting.applied => Ok(sighting),
            other => Err(format!("{other:?}")),
        });
    let workload = sighting.workload.unwrap();
    assert_eq!((workload.size, workload.replicas, workload.updated_ready, workload.ready), (5, 5, 5, 5));
    // Argo CD does not tell what does not exist from what may not be seen.
    match server.observe(namespace, "none", &live, &target) {
        Err(ObserveError::Refused { cause, hint }) => {
            assert!(cause.contains(&format!("does not show Application {namespace}/none (403)")), "{cause}");
            assert!(hint.unwrap().contains("the Application does not exist"));
        }
        other => panic!("{other:?}"),
    }
}
