use serde_json::{Value, json};
use windlass::forge::{Answer, Kind, Told};
use windlass::reconcile::doctor::forge;

use super::{Level, codes};

fn told(kind: Kind) -> Told {
    let repository = match kind {
        Kind::GitLab => json!({"permissions": {"project_access": {"access_level": 40}, "group_access": null}}),
        _ => json!({"permissions": {"push": true}, "private": true}),
    };
    Told {
        kind: Some(kind),
        user: Answer::Json(json!({"login": "windlass"})),
        repository: Answer::Json(repository),
        branch: Answer::NotAsked,
        rules: Answer::NotAsked,
        scopes: None,
        ahead: Some(0),
    }
}

fn judge(told: Told) -> String {
    codes(&forge::judge(&Ok(told), "deploy", true, Level::Ok))
}

#[test]
fn who_may_push_to_the_branch() {
    let json = Answer::Json;
    let cases: Vec<(Kind, Answer, Answer, &str)> = vec![
        (Kind::Gitea, json(json!({"protected": false, "user_can_push": true})), Answer::NotAsked, ""),
        (Kind::Gitea, json(json!({"protected": true, "user_can_push": true})), Answer::NotAsked, ""),
        (
            Kind::Gitea,
            json(json!({"protected": true, "user_can_push": false, "effective_branch_protection_name": "deploy"})),
            Answer::NotAsked,
            "protected",
        ),
        (Kind::Gitea, json(json!({"protected": true})), Answer::NotAsked, "?protected"),
        (Kind::Gitea, Answer::Status(403), Answer::NotAsked, "?protected"),
        (Kind::Gitea, Answer::Failed("no route".to_owned()), Answer::NotAsked, "?protected"),
        (Kind::GitLab, json(json!({"protected": true, "can_push": false})), Answer::NotAsked, "protected"),
        (Kind::GitLab, json(json!({"protected": true, "can_push": true})), Answer::NotAsked, ""),
        (Kind::GitHub, json(json!({"protected": false})), json(json!([])), ""),
        (Kind::GitHub, json(json!({"protected": true})), json(json!([])), "?protected"),
        (
            Kind::GitHub,
            json(json!({"protected": true})),
            json(json!([{"type": "pull_request"}, {"type": "deletion"}])),
            "!protected",
        ),
        (
            Kind::GitHub,
            json(json!({"protected": false})),
            json(json!([{"type": "deletion"}, {"type": "non_fast_forward"}, {"type": "creation"}])),
            "",
        ),
        (Kind::GitHub, Answer::Status(403), Answer::Status(403), "?protected"),
        (Kind::GitHub, json(json!({})), Answer::Status(403), "?protected"),
    ];
    for (kind, branch, rules, expected) in cases {
        assert_eq!(judge(Told { branch: branch.clone(), rules, ..told(kind) }), expected, "{kind}: {branch:?}");
    }
}

#[test]
fn a_branch_that_is_to_be_made() {
    let new = |told: Told| codes(&forge::judge(&Ok(told), "deploy", false, Level::Ok));
    assert_eq!(new(Told { branch: Answer::Status(404), ..told(Kind::Gitea) }), "?protected");
    let rules = Answer::Json(json!([{"type": "creation"}]));
    assert_eq!(new(Told { branch: Answer::Status(404), rules, ..told(Kind::GitHub) }), "!protected");
    assert_eq!(new(Told { branch: Answer::Status(404), rules: Answer::Json(json!([])), ..told(Kind::GitHub) }), "");
}

#[test]
fn the_account_and_its_token() {
    let free = |kind| Told { branch: Answer::Json(json!({"protected": false})), rules: Answer::Json(json!([])), ..told(kind) };
    let repository = |value: Value| Answer::Json(value);
    let unknown_token = || Ok(Told { user: Answer::Status(401), ..free(Kind::Gitea) });
    let push = |level| codes(&forge::judge(&unknown_token(), "deploy", true, level));
    assert_eq!(push(Level::Unknown), "token");
    assert_eq!(push(Level::Ok), "?protected", "a password, or a token for Git alone");
    assert_eq!(push(Level::Error), "", "told already");
    assert_eq!(judge(Told { repository: repository(json!({"permissions": {"push": false}})), ..free(Kind::Gitea) }), "push");
    assert_eq!(
        judge(Told { repository: repository(json!({"archived": true, "permissions": {"push": true}})), ..free(Kind::Gitea) }),
        "archived"
    );
    assert_eq!(
        judge(Told {
            repository: repository(json!({"permissions": {"project_access": {"access_level": 20}, "group_access": null}})),
            ..free(Kind::GitLab)
        }),
        "push"
    );
    assert_eq!(judge(Told { repository: Answer::Status(404), ..free(Kind::Gitea) }), "?protected");
    assert_eq!(judge(Told { scopes: Some("read:org".to_owned()), ..free(Kind::GitHub) }), "token");
    assert_eq!(judge(Told { scopes: Some("read:org, repo".to_owned()), ..free(Kind::GitHub) }), "");
    assert_eq!(judge(Told { scopes: Some(String::new()), ..free(Kind::GitHub) }), "");
}

#[test]
fn clocks_and_hosts_that_say_nothing() {
    let free = Told { branch: Answer::Json(json!({"protected": false})), ..told(Kind::Gitea) };
    for (ahead, expected) in [(Some(20), ""), (Some(-31), "!clock"), (Some(3600), "!clock"), (None, "")] {
        assert_eq!(judge(Told { ahead, ..free.clone() }), expected, "{ahead:?}");
    }
    assert_eq!(judge(Told { kind: None, ..free }), "?protected");
    assert_eq!(codes(&forge::judge(&Err("no forge".to_owned()), "deploy", true, Level::Ok)), "?protected");
}
