//! Windlass processes that are killed, and two that work at once.

use windlass::engine::{Leg, Phase};

use super::app::App;
use super::files::Files;
use super::flux;
use super::releases::{Shop, is_outcome, same_story, words};
use super::repository::Repository;
use super::rests::{check, history};

/// Windlass is killed in mid-release, again and again; then two of them work at once on two apps. The live branch is applied
/// from its root.
pub(super) fn crashes_and_rivals(shop: &Shop<'_>) {
    let repository = Repository::create(shop.lab, "post");
    let files = |name| Files {
        name,
        version: 1,
        replicas: 10,
        routed: false,
        steps: "      - {replicas: 20%, pause: {duration: 2}}
      - {replicas: 60%, pause: {duration: 2}}
      - {replicas: 100%}",
        judged: false,
    };
    let (mail, news) = (App::create(shop.lab, &repository, files("mail")), App::create(shop.lab, &repository, files("news")));
    let mut windlass = mail.watch();
    let (_, of_mail) = mail.wait(&mut windlass, "the first contact", |state| state.phase == Phase::Healthy);
    let (_, of_news) = news.wait(&mut windlass, "the first contact", |state| state.phase == Phase::Healthy);
    flux::apply_branch(shop.lab, "post", &repository, "deploy", "", None);
    mail.wait_whole(&mut windlass, "the first version", &of_mail);
    news.wait_whole(&mut windlass, "the first version", &of_news);

    mail.change("Version 2", |files| files.version = 2);
    for (step, leg) in [(1, Leg::Grow), (1, Leg::Shift), (2, Leg::Grow)] {
        let what = format!("{} of step {step}", leg.word());
        mail.wait(&mut windlass, &what, |state| {
            state.release == 1 && (state.step > step || (state.step == step && state.leg == leg))
        });
        windlass.crash();
        windlass = mail.watch();
    }
    let (_, state) = mail.wait_end(&mut windlass, 1);
    assert!(is_outcome(&state, true, ""), "{state:?}");
    windlass.crash();

    let (mut one, mut other) = (mail.watch(), mail.watch());
    mail.change("Version 3", |files| files.version = 3);
    news.change("Version 2", |files| files.version = 2);
    let (_, state) = mail.wait_end(&mut one, 2);
    assert!(is_outcome(&state, true, ""), "{state:?}");
    let (_, state) = news.wait_end(&mut other, 1);
    assert!(is_outcome(&state, true, ""), "{state:?}");
    assert!(one.is_running() && other.is_running());

    let whole = ["1/3 grow", "1/3 shift", "2/3 grow", "2/3 shift", "3/3 grow", "3/3 shift", "3/3 resume", "complete"];
    for (app, releases) in [(&mail, 2), (&news, 1)] {
        let steps = history(&app.subject());
        for release in 1..=releases {
            assert_eq!(words(&steps, release), whole, "{} release {release}", app.name());
        }
        check(&app.subject(), shop.watcher, &steps);
    }
    // What a rival has done first is no trouble: commits and what is waited for, nothing else is said.
    let made: Vec<String> = [&one, &other].map(|program| program.output()).iter().flat_map(|output| quiet(output)).collect();
    let unique: std::collections::BTreeSet<&String> = made.iter().collect();
    assert_eq!((made.len(), unique.len()), (16, 16), "{made:?}");
    println!("  of 16 commits one of the two made {}", quiet(&one.output()).len());
    same_story(&mail);
}

/// The commits that a watching windlass has told of; fails on anything else but holds.
fn quiet(output: &str) -> Vec<String> {
    let waits = ["not-applied ", "not-ready ", "soak ", "grace ", "unreachable nobody has looked yet"];
    let mut commits = Vec::new();
    // The lab's kubeconfig really says not to look at the certificate.
    for line in output.lines().filter(|line| !line.contains("Server cert bypassed")) {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        if first.len() == 10 && first.chars().all(|digit| digit.is_ascii_hexdigit()) {
            commits.push(first.to_owned());
        } else {
            assert!(
                first.starts_with("apps/") && waits.iter().any(|wait| rest.starts_with(wait)),
                "`{line}` was said:\n{output}"
            );
        }
    }
    commits
}
