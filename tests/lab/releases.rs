//! Releases end to end: Gitea holds the repository, Flux applies the live branch, Prometheus answers the gates, the windlass program does
//! the rest. Two stories at the same time on one lab, each with several releases in a row, about what the scenarios of `lab::ground` do not
//! tell: the plan, the log, several processes at once. `WINDLASS_LAB_STORY=rivals` tells only the one whose name holds that word.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde_json::Value;
use windlass::engine::{Leg, Phase, State};
use windlass::render::{Pods, Routes};

use super::app::App;
use super::files::Files;
use super::flux;
use super::gauges::Gauges;
use super::repository::Repository;
use super::rests::{Step, check, history};
use super::rivals;
use super::servers::Lab;
use super::watch::Watcher;

/// What the cases share.
pub(super) struct Shop<'a> {
    pub(super) lab: &'a Lab,
    pub(super) watcher: &'a Watcher,
    gauges: &'a Gauges,
}

#[test]
fn releases_go_end_to_end_through_gitea_flux_and_prometheus() {
    let Some(lab) = Lab::up(&["flux", "gitea", "prometheus"]) else {
        return;
    };
    let (watcher, gauges) = (Watcher::start(&lab, "shop"), Gauges::start(&lab));
    let shop = Shop { lab: &lab, watcher: &watcher, gauges: &gauges };
    type Story = fn(&Shop<'_>);
    let stories: [(&str, Story); 2] =
        [("judged by Prometheus", judged_by_prometheus), ("crashes and rivals", rivals::crashes_and_rivals)];
    let only = std::env::var("WINDLASS_LAB_STORY").ok();
    std::thread::scope(|scope| {
        let running: Vec<_> = stories
            .iter()
            .filter(|(name, _)| only.as_ref().is_none_or(|only| name.contains(only.as_str())))
            .map(|(name, story)| {
                let start = Instant::now();
                let shop = &shop;
                let run = scope.spawn(move || {
                    let ended = catch_unwind(AssertUnwindSafe(|| story(shop)));
                    println!("{name}: {:.0} s", start.elapsed().as_secs_f64());
                    ended
                });
                (name, run)
            })
            .collect();
        let failed: Vec<_> = running.into_iter().filter_map(|(name, run)| run.join().unwrap().err().map(|_| *name)).collect();
        assert!(failed.is_empty(), "failed, as told above: {}", failed.join(", "));
    });
}

/// The moves of a release, without what people said meanwhile.
pub(super) fn words(steps: &[Step], release: u64) -> Vec<&str> {
    let words = steps.iter().filter(|step| step.state.release == release).map(Step::word);
    words.filter(|word| !word.ends_with("note")).collect()
}

pub(super) fn is_outcome(state: &State, completed: bool, why: &str) -> bool {
    state
        .outcome
        .as_ref()
        .is_some_and(|outcome| outcome.release == state.release && outcome.completed == completed && outcome.why.contains(why))
}

/// `windlass log` and Git's own reading of the trailers tell the same story.
pub(super) fn same_story(app: &App<'_>) {
    let shown: Value = serde_json::from_str(&app.windlass(&["log", "--output", "json", "--limit", "1000"])).unwrap();
    let shown: Vec<String> = shown
        .as_array()
        .unwrap()
        .iter()
        .map(|line| {
            let trailers = line["trailers"].as_array().unwrap().iter();
            let trailers = trailers.map(|pair| format!("{}: {}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()));
            let mut text = vec![format!("{} {}", line["commit"].as_str().unwrap(), line["subject"].as_str().unwrap())];
            text.extend(trailers);
            text.join("\n")
        })
        .collect();
    app.recorded().unwrap();
    let git = app.repository.git(&["log", "--format=%x00%H %s%n%(trailers:unfold=true)", "origin/deploy"]);
    let told: Vec<&str> = git.split('\0').map(str::trim).filter(|commit| !commit.is_empty()).collect();
    assert_eq!(shown, told);
}

/// A good release with requests divided by an Ingress, judged by Prometheus; a bad one.
fn judged_by_prometheus(shop: &Shop<'_>) {
    let repository = Repository::create(shop.lab, "checkout");
    let files = Files {
        name: "checkout",
        version: 1,
        replicas: 10,
        routed: true,
        steps: "      - {replicas: 20%, traffic: 20%, pause: {duration: 2}}
      - {replicas: 50%, traffic: 50%, pause: {duration: 2}}
      - {replicas: 80%, traffic: 80%, pause: {duration: 2}}
      - {replicas: 100%}",
        judged: true,
    };
    let app = App::create(shop.lab, &repository, files);
    let mut windlass = app.watch();
    let (adopted, state) = app.wait(&mut windlass, "the first contact", |state| state.phase == Phase::Healthy);
    flux::apply_branch(shop.lab, "checkout", &repository, "deploy", &app.path(), None);
    app.wait_whole(&mut windlass, "the first version", &state);

    let behave = |errors: f64| {
        let revision = app.files.borrow().revision();
        shop.gauges.grow(&format!("requests_total{{revision=\"{revision}\"}}"), 100.0);
        shop.gauges.grow(&format!("errors_total{{revision=\"{revision}\"}}"), errors);
    };
    let plan = app.propose("faster", "Faster totals", |files| files.version = 2);
    behave(1.0);
    app.change("Faster totals", |_| ());
    let (good, state) = app.wait_end(&mut windlass, 1);
    assert!(is_outcome(&state, true, "all steps passed"), "{state:?}");

    app.files.borrow_mut().version = 3;
    behave(30.0);
    app.change("A new payment provider", |_| ());
    let (bad, state) = app.wait_end(&mut windlass, 2);
    assert!(is_outcome(&state, false, "error-ratio"), "{state:?}");
    assert_eq!(app.tree(&bad), app.tree(&good), "the live tree is not the last stable one");
    assert_ne!(app.tree(&bad), app.tree(&adopted));
    // The source still asks for it; it is not tried again.
    let after = app.wait_said(&mut windlass, 0, "still holds a rejected candidate");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(app.recorded().unwrap().0, bad, "{}", &windlass.output()[after..]);
    for gone in ["ingress/checkout-canary", "service/checkout-canary"] {
        let (kind, name) = gone.split_once('/').unwrap();
        assert!(shop.lab.get("shop", kind, name).is_none(), "{gone} is still there");
    }

    let steps = history(&app.subject());
    let grow_and_shift = ["1/4 grow", "1/4 shift", "2/4 grow", "2/4 shift", "3/4 grow", "3/4 shift"];
    let mut expected = grow_and_shift.to_vec();
    expected.extend(["4/4 widen", "4/4 unroute", "4/4 grow", "4/4 shift", "4/4 resume", "complete"]);
    assert_eq!(words(&steps, 1), expected);
    let told: Vec<&str> = steps.iter().filter(|step| step.state.release == 1).map(|step| step.subject.as_str()).collect();
    assert_eq!(told, plan.iter().map(|title| format!("checkout: {title}")).collect::<Vec<_>>(), "the plan differs");
    // The pods that were there before Windlass carry none of its labels, and were not restarted for one.
    let narrowed = steps.iter().find_map(|step| step.state.shape.stable_selector.clone()).unwrap();
    assert_eq!(narrowed.key, "pod-template-hash");
    for step in steps.iter().filter(|step| step.state.leg == Leg::Shift) {
        let split = |routes: &Routes| matches!(routes, Routes::Split { weight: Some(weight), .. } if *weight == [20, 50, 80][step.state.step as usize - 1]);
        let last = matches!(step.state.shape.pods, Pods::Held { to: 10, .. });
        assert!(last || split(&step.state.shape.routes), "{}: {:?}", step.subject, step.state.shape.routes);
    }
    assert_eq!(words(&steps, 2), ["1/4 grow", "1/4 shift", "1/4 rollback-routes", "1/4 rollback-pods", "rollback-end"]);
    let gates: Vec<&str> = steps.iter().filter_map(|step| step.trailer("Windlass-Gate")).collect();
    assert!(
        gates.iter().any(|gate| gate.contains("\"pass\"")) && gates.iter().any(|gate| gate.contains("\"fail\"")),
        "{gates:?}"
    );
    check(&app.subject(), shop.watcher, &steps);
    same_story(&app);
}
