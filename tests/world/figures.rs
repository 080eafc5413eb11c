//! The figures of design 02, 4, seen on Kubernetes 1.36.

use serde_json::json;
use windlass::sim::cluster::Cluster;

use super::kit::{Step, key, of, play};

fn shop(seed: u64) -> Cluster {
    let mut cluster = Cluster::new(super::kit::NAMESPACE);
    if seed > 0 {
        cluster.shuffle(seed);
    }
    play(&mut cluster, "shop", &Step::plain(10, "v1:1"));
    assert_eq!(of(&cluster, "shop", "v1:1"), (10, 10));
    cluster
}

/// Every order in which the controllers may take turns comes to the same rest.
const ORDERS: std::ops::Range<u64> = 0..25;

#[test]
fn a_held_update_moves_by_the_step_and_capacity_never_drops() {
    for order in ORDERS {
        let mut cluster = shop(order);
        let start = cluster.now();
        let mut from = 0;
        for to in [2, 4, 7, 10] {
            play(&mut cluster, "shop", &Step::grow(10, "v2:1", from, to));
            assert_eq!((of(&cluster, "shop", "v2:1"), of(&cluster, "shop", "v1:1").0), ((to, to), 10 - from), "grow to {to}");
            play(&mut cluster, "shop", &Step::shift(10, "v2:1", to));
            assert_eq!((of(&cluster, "shop", "v2:1"), of(&cluster, "shop", "v1:1").0), ((to, to), 10 - to), "shift to {to}");
            from = to;
        }
        play(&mut cluster, "shop", &Step::plain(10, "v2:1"));
        assert_eq!(of(&cluster, "shop", "v2:1"), (10, 10));
        assert_eq!(cluster.timeline().fewest_ready(&key("shop"), start, cluster.now()), Some(10));
        assert_eq!(cluster.status(&key("shop")).unwrap().progressing.as_ref().unwrap().reason, "NewReplicaSetAvailable");
    }
}

#[test]
fn a_percentage_follows_the_size() {
    for order in ORDERS {
        let mut cluster = shop(order);
        let held = |size| Step::held(size, "v2:1", json!(0), json!("40%"));
        play(&mut cluster, "shop", &held(10));
        for (size, new) in [(10, 4), (20, 8), (10, 4)] {
            play(&mut cluster, "shop", &held(size));
            let found = (of(&cluster, "shop", "v1:1").0, of(&cluster, "shop", "v2:1").0);
            assert_eq!(found, (size - new, new), "size {size}");
        }
        let start = cluster.now();
        play(&mut cluster, "shop", &Step::plain(10, "v1:1"));
        assert_eq!((of(&cluster, "shop", "v1:1"), of(&cluster, "shop", "v2:1").0), ((10, 10), 0));
        let fewest = cluster.timeline().fewest_ready(&key("shop"), start, cluster.now()).unwrap();
        assert!(fewest >= 8, "the user's 25 % lets 2 go, {fewest} were Ready");
    }
}

#[test]
fn from_one_held_version_straight_to_the_next_replaces_the_held_pods_first() {
    for order in ORDERS {
        let mut cluster = shop(order);
        play(&mut cluster, "shop", &Step::grow(10, "v2:1", 0, 4));
        play(&mut cluster, "shop", &Step::shift(10, "v2:1", 4));
        assert_eq!((of(&cluster, "shop", "v1:1").0, of(&cluster, "shop", "v2:1").0), (6, 4));
        play(&mut cluster, "shop", &Step::held(10, "v3:1", json!(2), json!(4)));
        assert_eq!(of(&cluster, "shop", "v3:1").0, 6);
        assert_eq!((of(&cluster, "shop", "v1:1").0, of(&cluster, "shop", "v2:1").0), (6, 0));
    }
}

#[test]
fn a_bad_image_stands_at_its_step_and_goes_away_whole() {
    let mut cluster = shop(0);
    let start = cluster.now();
    let bad = |step: Step| step.note("lab/never-ready", "true");
    play(&mut cluster, "shop", &bad(Step::grow(10, "v2:1", 0, 2)));
    assert_eq!((of(&cluster, "shop", "v1:1"), of(&cluster, "shop", "v2:1")), ((10, 10), (2, 0)));
    play(&mut cluster, "shop", &Step::plain(10, "v1:1"));
    assert_eq!((of(&cluster, "shop", "v1:1"), of(&cluster, "shop", "v2:1")), ((10, 10), (0, 0)));
    assert_eq!(cluster.timeline().fewest_ready(&key("shop"), start, cluster.now()), Some(10));
}

#[test]
fn the_user_s_own_update_keeps_its_bounds_and_keeps_its_history() {
    let mut cluster = shop(0);
    let start = cluster.now();
    for image in ["v2:1", "v3:1", "v4:1"] {
        play(&mut cluster, "shop", &Step::plain(10, image).with("revisionHistoryLimit", json!(1)));
        assert_eq!(of(&cluster, "shop", image), (10, 10));
    }
    let (name, now) = (key("shop"), cluster.now());
    assert_eq!(cluster.timeline().fewest_ready(&name, start, now), Some(8), "25 % of 10, rounded down, may be missing");
    assert_eq!(cluster.timeline().most_pods(&name, start, now), Some(13), "25 % of 10, rounded up, may be too many");
    let revisions: Vec<u64> = cluster.revisions(&name).iter().map(|set| set.revision).collect();
    assert_eq!(revisions, [3, 4]);
}

#[test]
fn recreate_ends_all_old_pods_before_it_starts_a_new_one() {
    let mut cluster = Cluster::new(super::kit::NAMESPACE);
    let step = |image| Step::plain(3, image).with("strategy", json!({"type": "Recreate"}));
    play(&mut cluster, "job", &step("v1:1"));
    let start = cluster.now();
    play(&mut cluster, "job", &step("v2:1"));
    assert_eq!((of(&cluster, "job", "v1:1"), of(&cluster, "job", "v2:1")), ((0, 0), (3, 3)));
    assert_eq!(cluster.timeline().most_pods(&key("job"), start, cluster.now()), Some(3));
    assert_eq!(cluster.timeline().fewest_ready(&key("job"), start, cluster.now()), Some(0));
}

#[test]
fn a_paused_deployment_scales_and_does_not_roll() {
    let mut cluster = shop(0);
    play(&mut cluster, "shop", &Step::plain(12, "v2:1").with("paused", json!(true)));
    assert_eq!((of(&cluster, "shop", "v1:1").0, of(&cluster, "shop", "v2:1").0), (12, 0));
    play(&mut cluster, "shop", &Step::plain(12, "v2:1"));
    assert_eq!(of(&cluster, "shop", "v2:1"), (12, 12));
}

#[test]
fn an_update_that_does_not_move_is_reported_after_its_deadline_and_a_held_one_is_not() {
    let mut cluster = shop(0);
    let stuck = Step::plain(10, "v2:1").note("lab/crash", "true").with("progressDeadlineSeconds", json!(30));
    play(&mut cluster, "shop", &stuck);
    cluster.advance(40_000);
    assert_eq!(cluster.status(&key("shop")).unwrap().progressing.as_ref().unwrap().reason, "ProgressDeadlineExceeded");
    play(&mut cluster, "shop", &Step::grow(10, "v3:1", 0, 2));
    cluster.advance(3_600_000);
    assert_eq!(cluster.status(&key("shop")).unwrap().progressing, None);
}

#[test]
fn pods_count_as_available_after_min_ready_seconds_of_their_own_revision() {
    let mut cluster = Cluster::new(super::kit::NAMESPACE);
    cluster.apply(&Step::plain(4, "v1:1").with("minReadySeconds", json!(5)).set("slow")).unwrap();
    cluster.advance(5_200);
    assert_eq!(cluster.status(&key("slow")).unwrap().available, 0);
    cluster.advance(200);
    assert_eq!(cluster.status(&key("slow")).unwrap().available, 4);
}
