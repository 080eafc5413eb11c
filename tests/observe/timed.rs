//! The observer that looks at nothing.

use windlass::observe::{Observer, Sighting, Target, Timed};

fn look(committed_at: i64, now: i64) -> Sighting {
    let target = Target {
        namespace: String::new(),
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        name: "checkout".to_owned(),
        described: None,
        mark: "1234".to_owned(),
        committed_at,
        now,
    };
    Timed { settle: 60 }.observe(&target).unwrap()
}

#[test]
fn a_commit_counts_as_applied_after_the_settle_time() {
    let early = look(1000, 1059);
    assert!(!early.applied);
    assert_eq!(early.missing.unwrap(), "1 s of the settle time of 60 s are left (not observed)");
    assert_eq!(look(1000, 1060), Sighting { applied: true, workload: None, missing: None });
    assert!(look(i64::MIN, i64::MAX).applied);
}

#[test]
fn a_commit_from_the_future_is_not_applied() {
    let sighting = look(2000, 1000);
    assert!(!sighting.applied);
    assert_eq!(sighting.missing.unwrap(), "the commit's time is 1000 s in the future: a clock is wrong");
    assert!(!look(i64::MAX, i64::MIN).applied);
}
