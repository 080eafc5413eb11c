use windlass::api::Observe;
use windlass::reconcile::doctor::objects::{Applied, Item, Judged, Same, fits, same_repository, seconds};
use windlass::reconcile::doctor::{appliers, flux};

use super::{Wanted, app, codes, items, remote};

fn by(names: &[&str], within: Option<u64>) -> Judged {
    let one = |name: &&str| Applied { app: "apps/shop".to_owned(), by: (*name).to_owned(), in_cluster: true, within };
    Judged { applied: names.iter().map(one).collect(), ..Judged::default() }
}

#[test]
fn each_app_is_applied_by_one() {
    let judge = |judged: &Judged, complete, any| codes(&appliers::judge(&remote(), &[app()], judged, complete, any));
    assert_eq!(judge(&by(&["one"], None), true, true), "");
    assert_eq!(judge(&by(&["one", "two"], None), true, true), "two-appliers");
    assert_eq!(judge(&by(&[], None), true, true), "no-applier");
    assert_eq!(judge(&by(&[], None), true, false), "?applier", "another applier, maybe");
    assert_eq!(judge(&by(&[], None), false, true), "?applier");
    let near = Judged { nearly: vec!["apps/shop".to_owned()], ..Judged::default() };
    assert_eq!(judge(&near, true, true), "", "the cause is told elsewhere");
}

#[test]
fn what_stands_in_files_only() {
    let file = |value| Item { value, file: Some("clusters/a.yaml".to_owned()), in_cluster: false };
    let files = vec![file(super::flux::kustomization()), file(super::flux::source())];
    let judged = flux::judge(&remote(), &[app()], &files);
    assert_eq!(codes(&appliers::judge(&remote(), &[app()], &judged, false, true)), "");
    assert_eq!(codes(&appliers::judge(&remote(), &[app()], &judged, true, true)), "!applier", "not in this cluster");
    let mut both = items(&[super::flux::kustomization(), super::flux::source()]);
    both.extend(files);
    let judged = flux::judge(&remote(), &[app()], &both);
    assert_eq!(codes(&appliers::judge(&remote(), &[app()], &judged, true, true)), "", "the other cluster's is no rival");
}

#[test]
fn a_fixed_time_must_be_longer_than_the_applier_takes() {
    let timed = |settle, within| {
        codes(&appliers::judge(
            &remote(),
            &[Wanted { observe: Observe::Timed { settle }, ..app() }],
            &by(&["one"], within),
            true,
            true,
        ))
    };
    assert_eq!(timed(30, Some(180)), "settle");
    assert_eq!(timed(240, Some(180)), "");
    assert_eq!(timed(30, None), "");
}

#[test]
fn addresses_of_one_repository() {
    let ours = "https://git.example.com:8443/team/apps.git";
    for (theirs, same) in [
        ("https://git.example.com:8443/Team/apps", Same::Yes),
        ("https://git.example.com/team/apps", Same::No),
        ("ssh://git@git.example.com:2222/team/apps.git", Same::Yes),
        ("git@git.example.com:team/apps", Same::Yes),
        ("https://x:y@git.example.com:8443/team/apps/", Same::Yes),
        ("https://git.example.org:8443/team/apps", Same::No),
        ("https://git.example.com:8443/team/apps2", Same::No),
        ("/srv/apps.git", Same::CannotTell),
        ("file:///srv/apps.git", Same::CannotTell),
        ("", Same::CannotTell),
    ] {
        assert_eq!(same_repository(ours, theirs), same, "{theirs}");
    }
}

#[test]
fn lengths_and_patterns() {
    for (text, length) in [
        ("1m30s", Some(90)),
        ("10m0s", Some(600)),
        ("1h", Some(3600)),
        ("500ms", Some(1)),
        ("0", Some(0)),
        ("0s", Some(0)),
        ("1.5m", Some(90)),
        ("", None),
        ("soon", None),
        ("5", None),
    ] {
        assert_eq!(seconds(text), length, "{text}");
    }
    for (pattern, text, does) in [
        ("*", "a", true),
        ("sh*", "shop", true),
        ("s?op", "shop", true),
        ("sh", "shop", false),
        ("*-prod", "a-prod-b", false),
        ("", "", true),
        ("", "a", false),
    ] {
        assert_eq!(fits(pattern, text), does, "{pattern} {text}");
    }
    let many = "*a".repeat(60);
    assert!(!fits(&many, &"b".repeat(5_000)));
}
