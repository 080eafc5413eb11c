//! Whether we may push, told before anything is sent.

use super::*;
use windlass::git::GitError;

#[test]
fn every_way_tells_that_we_may_and_changes_nothing() {
    for way in WAYS {
        let world = World::new();
        let mut store = world.store(way);
        store.fetch().unwrap();
        let before = run(&world.path, &["for-each-ref"], b"");
        store.may_push().unwrap_or_else(|error| panic!("{way:?}: {error}"));
        assert_eq!(run(&world.path, &["for-each-ref"], b""), before, "{way:?}");
    }
}

#[test]
fn a_server_that_serves_no_pushes_says_so() {
    for way in [Way::Http, Way::HttpZero] {
        let world = World::new();
        run(&world.path, &["config", "http.receivepack", "false"], b"");
        let mut store = world.store(way);
        store.fetch().unwrap();
        let error = store.may_push().unwrap_err();
        assert!(matches!(&error, GitError::Refused { cause, .. } if cause.contains("403")), "{error}");
    }
}

#[test]
fn a_server_that_does_not_answer_is_no_refusal() {
    let world = World::new();
    let mut store = world.store(Way::Http);
    store.fetch().unwrap();
    world.server.set(|faults| faults.errors = 1);
    assert!(matches!(store.may_push(), Err(GitError::Unreachable { .. })));
    store.may_push().unwrap();
}
