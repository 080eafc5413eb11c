//! What a forge tells of the live branch.

use serde_json::Value;

use super::finding::{Area::Repository, Finding, Level};
use crate::forge::{Answer, Kind, Told};

/// A clock that is further off than this makes times in commits and pauses wrong (seconds).
const SKEW: i64 = 30;

/// Judges what was told. `is_there`: the live branch exists. `push`: what the Git server said of pushing.
pub fn judge(told: &Result<Told, String>, branch: &str, is_there: bool, push: Level) -> Vec<Finding> {
    let mut found = Vec::new();
    let subject = format!("branch {branch}");
    let told = match told {
        Ok(told) => told,
        Err(why) => {
            found.push(Finding::unknown(
                "protected",
                Repository,
                subject,
                format!("whether rules of the forge protect it is not known: {why}"),
            ));
            return found;
        }
    };
    found.extend(told.ahead.filter(|ahead| ahead.abs() > SKEW).map(clock));
    let Some(kind) = told.kind else {
        let seen = "whether rules protect it is not known: the host speaks no API of GitHub, GitLab or Gitea";
        found.push(Finding::unknown("protected", Repository, subject, seen));
        return found;
    };
    if told.user == Answer::Status(401) {
        // Passwords, and tokens of a deployment or a job, are good for Git alone.
        match push {
            Level::Ok => found.push(Finding::unknown(
                "protected",
                Repository,
                subject,
                format!(
                    "whether rules protect it is not known: {kind}'s API does not take these credentials (401), though Git does"
                ),
            )),
            // That was told already.
            Level::Error => {}
            Level::Warning | Level::Unknown => found.push(
                Finding::error("token", Repository, format!("the token at {kind}"), "it is not accepted (401)")
                    .so("nothing can be pushed with it")
                    .mend("make a new token, and give it as `WINDLASS_TOKEN`"),
            ),
        }
        return found;
    }
    found.extend(scopes(told, kind));
    let Answer::Json(repository) = &told.repository else {
        let seen = format!("whether rules protect it is not known: {kind} {}", why(&told.repository));
        found.push(Finding::unknown("protected", Repository, subject, seen));
        return found;
    };
    if repository["archived"] == true {
        found.push(
            Finding::error("archived", Repository, format!("the repository at {kind}"), "it is archived")
                .so("no commit can be pushed")
                .mend("unarchive it, or move to another repository"),
        );
        return found;
    }
    if may_write(kind, repository) == Some(false) && push != Level::Error {
        let who = login(told).map(|login| format!("`{login}`")).unwrap_or_else(|| "this account".to_owned());
        found.push(
            Finding::error(
                "push",
                Repository,
                format!("the repository at {kind}"),
                format!("{who} may read it, not write to it"),
            )
            .so("no commit can be pushed")
            .mend("give the account write access, and a token with the right to write the repository's contents"),
        );
        return found;
    }
    found.push(protection(kind, told, &subject, is_there));
    found
}

fn clock(ahead: i64) -> Finding {
    let (by, way) = (super::objects::length(ahead.unsigned_abs()), if ahead > 0 { "behind" } else { "ahead of" });
    Finding::warning("clock", Repository, "this machine's clock", format!("it is {by} {way} the Git server's"))
        .so("pauses, deadlines and the times in commits are off by that; two machines that run Windlass decide at different moments")
        .mend_exactly("let the machine take its time from the network", "timedatectl set-ntp true")
}

fn login(told: &Told) -> Option<&str> {
    let Answer::Json(user) = &told.user else { return None };
    user.get("login").or_else(|| user.get("username")).and_then(Value::as_str)
}

fn why(answer: &Answer) -> String {
    match answer {
        Answer::Status(status @ (401 | 403 | 404)) => format!("does not show it to this account ({status})"),
        Answer::Status(status) => format!("answers {status}"),
        Answer::Failed(cause) => format!("cannot be asked: {cause}"),
        Answer::Json(_) | Answer::NotAsked => "was not asked".to_owned(),
    }
}

/// Whether the account may write; `None` where it is not told.
fn may_write(kind: Kind, repository: &Value) -> Option<bool> {
    match kind {
        Kind::GitHub | Kind::Gitea => repository.pointer("/permissions/push").and_then(Value::as_bool),
        Kind::GitLab => {
            let permissions = repository.get("permissions")?.as_object()?;
            let level = |name: &str| permissions.get(name).and_then(|access| access.get("access_level")).and_then(Value::as_i64);
            // 30 is Developer.
            let highest = [level("project_access"), level("group_access")].into_iter().flatten().max()?;
            Some(highest >= 30)
        }
    }
}

fn scopes(told: &Told, kind: Kind) -> Option<Finding> {
    let scopes = told.scopes.as_deref().filter(|scopes| kind == Kind::GitHub && !scopes.trim().is_empty())?;
    let has = |wanted: &str| scopes.split(',').any(|scope| scope.trim() == wanted);
    if has("repo")
        || (has("public_repo") && matches!(&told.repository, Answer::Json(repository) if repository["private"] == false))
    {
        return None;
    }
    Some(
        Finding::error("token", Repository, format!("the token at {kind}"), format!("its scopes are {scopes}"))
            .so("it does not let anybody push")
            .mend("make a token with the scope `repo`, or a fine-grained one with `Contents: read and write`"),
    )
}

fn protection(kind: Kind, told: &Told, subject: &str, is_there: bool) -> Finding {
    let unknown =
        |why: &str| Finding::unknown("protected", Repository, subject, format!("whether rules protect it is not known: {why}"));
    let who = login(told).map(|login| format!("`{login}`")).unwrap_or_else(|| "this account".to_owned());
    let refused = |rule: &str| {
        Finding::error("protected", Repository, subject, format!("{kind} protects it: {rule}"))
            .so("the push of each step is refused, and the release stands still")
            .mend(format!("let {who} push to it in {kind}'s rules for this branch (nobody else need), and do not ask for pull requests or checks there"))
    };
    let free = || Finding::fine("protected", Repository, subject, format!("{kind} lets {who} push to it"));
    if kind == Kind::GitHub {
        if let Answer::Json(Value::Array(rules)) = &told.rules {
            let blocking = [
                "pull_request",
                "update",
                "required_status_checks",
                "required_signatures",
                "merge_queue",
                "required_deployments",
            ];
            let mut names: Vec<&str> = rules.iter().filter_map(|rule| rule.get("type")?.as_str()).collect();
            names.retain(|name| blocking.contains(name) || (*name == "creation" && !is_there));
            names.dedup();
            if !names.is_empty() {
                let names = names.join(", ");
                return Finding::warning("protected", Repository, subject, format!("rules of GitHub hold for it: {names}"))
                    .so("unless this account may bypass them, the push of each step is refused")
                    .mend("add the account or App that Windlass pushes as to the ruleset's bypass list, or leave the live branch out of the ruleset");
            }
        }
        return match &told.branch {
            Answer::Json(branch) if branch["protected"] == false => free(),
            Answer::Json(branch)
                if branch["protected"] == true
                    && matches!(&told.rules, Answer::Json(Value::Array(rules)) if rules.is_empty()) =>
            {
                unknown("a branch protection rule holds for it, which only administrators may read")
            }
            Answer::Status(404) if matches!(told.rules, Answer::Json(_)) => free(),
            Answer::Json(_) => unknown("the answer does not say"),
            other => unknown(&format!("{kind} {}", why(other))),
        };
    }
    match &told.branch {
        Answer::Json(branch) => {
            let may = branch.get(if kind == Kind::Gitea { "user_can_push" } else { "can_push" }).and_then(Value::as_bool);
            match (may, branch.get("protected").and_then(Value::as_bool)) {
                (Some(true), _) => free(),
                (Some(false), Some(false)) => {
                    unknown("it is not protected, yet the forge says that this account may not push to it")
                }
                (Some(false), _) => {
                    let rule =
                        branch.get("effective_branch_protection_name").and_then(Value::as_str).filter(|name| !name.is_empty());
                    let rule = rule
                        .map(|rule| format!("rule `{rule}` does not let {who} push"))
                        .unwrap_or_else(|| format!("{who} may not push"));
                    refused(&rule)
                }
                (None, Some(false)) => free(),
                (None, _) => unknown("the answer does not say who may push"),
            }
        }
        Answer::Status(404) if !is_there => unknown("it does not exist yet; a rule with a pattern may fit its name"),
        other => unknown(&format!("{kind} {}", why(other))),
    }
}
