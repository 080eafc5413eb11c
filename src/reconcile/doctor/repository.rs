//! The repository and what is in it.

use super::finding::{Area, Finding};
use crate::git::{GitError, is_same};
use crate::reconcile::Trouble;

/// The live branch has a repository of its own. `wanted`: the one that the settings name.
pub fn apart(address: &str, wanted: Option<&str>) -> Finding {
    match wanted.filter(|wanted| !is_same(wanted, address)) {
        None => Finding::fine("live-repository", Area::Repository, address, "read; it is the live branch's own repository"),
        Some(wanted) => Finding::warning(
            "live-repository",
            Area::Repository,
            address,
            format!("it has the live branch, while `live.url` in .windlass.yaml names {wanted}"),
        )
        .so("who runs Windlass without `--live-repo` is told to name another repository than this one")
        .mend("let both name one repository"),
    }
}

/// The repository (at `address`, or the live branch's own at `live`), or its settings, cannot be read: nothing else of it can be told.
pub fn unreadable(address: &str, live: &str, trouble: &Trouble) -> Finding {
    if let Trouble::Refused { code: code @ ("live-repository" | "live-left-behind" | "other-source"), text } = trouble {
        return Finding::error(code, Area::Repository, live, text).so("no app moves");
    }
    let address = match trouble {
        Trouble::Git(GitError::Unreachable { address: at, .. } | GitError::Refused { address: at, .. }) if at == live => live,
        _ => address,
    };
    let code = if matches!(trouble, Trouble::Git(_)) { "repository" } else { "settings" };
    let finding = if code == "repository" {
        Finding::error("repository", Area::Repository, address, trouble.to_string())
            .so("nothing can be done without the repository")
    } else {
        Finding::error("settings", Area::Repository, ".windlass.yaml", trouble.to_string())
            .so("no app moves while the settings cannot be read")
    };
    match trouble.hint() {
        Some(hint) => finding.mend(hint),
        None if code == "repository" => finding.mend("check the address, the network and a proxy (`HTTPS_PROXY`, `NO_PROXY`)"),
        None => finding.mend_exactly("see every finding with its line", "windlass validate .windlass.yaml"),
    }
}

/// Whether the Git server lets us push.
pub fn push(address: &str, branch: &str, answer: &Result<(), GitError>) -> Finding {
    match answer {
        Ok(()) => Finding::fine("push", Area::Repository, address, "the server lets us push"),
        Err(GitError::Refused { cause, hint, .. }) => {
            Finding::error("push", Area::Repository, address, format!("the server does not let us push: {cause}"))
                .so(format!("no commit reaches `{branch}`"))
                .mend(
                    hint.clone().unwrap_or_else(|| {
                        "give credentials that may write: `WINDLASS_TOKEN` for https, a key for ssh".to_owned()
                    }),
                )
        }
        Err(error) => {
            Finding::unknown("push", Area::Repository, address, format!("whether the server lets us push is not known: {error}"))
        }
    }
}

/// An app whose source cannot be used. The findings themselves are `validate`'s.
pub fn broken(app: &str, directory: &str, trouble: &Trouble) -> Finding {
    let text = trouble.to_string();
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    let rest = lines.count();
    let more = if rest > 0 { format!(" (and {rest} more lines)") } else { String::new() };
    let command = if directory.is_empty() { "windlass validate .".to_owned() } else { format!("windlass validate {directory}") };
    Finding::error("source", Area::Repository, format!("app {app}"), format!("{first}{more}"))
        .so("this app holds with `invalid`; the others go on")
        .mend_exactly("see every finding with its line", command)
}

/// Whether the live branch marks Windlass' own files as generated.
pub fn attributes(branch: &str, text: Option<&str>) -> Option<Finding> {
    let is_marked = text.is_some_and(|text| text.lines().any(|line| line.trim_start().starts_with(".windlass/")));
    (!is_marked).then(|| {
        Finding::warning("attributes", Area::Repository, format!(".gitattributes of {branch}"), "it does not name `.windlass/`")
            .so("the forge shows Windlass' own files in each diff")
            .mend_exactly("add this line on the live branch", ".windlass/** linguist-generated=true")
    })
}

/// How many apps there are.
pub fn count(apps: usize) -> Finding {
    if apps == 0 {
        return Finding::warning("no-apps", Area::Repository, "source branch", "no directory holds a Rollout file")
            .so("there is nothing to release")
            .mend_exactly("write one", "windlass init FOLDER");
    }
    Finding::fine(
        "source",
        Area::Repository,
        "source branch",
        format!("{apps} app{} with a Rollout that can be used", if apps == 1 { "" } else { "s" }),
    )
}

/// None of the apps is the one that was asked about.
pub fn not_there(asked: &[String], known: Vec<String>) -> Finding {
    Finding::error("no-apps", Area::Repository, format!("app {}", asked.join(", ")), "there is no app of that name")
        .mend(format!("name one of these: {}", known.join(", ")))
}

/// Credentials that stand in the repository's address.
pub fn credentials_in_address() -> Finding {
    Finding::warning("credentials-in-url", Area::Repository, "the repository's address", "it holds credentials")
        .so("who sees the command line, the clone's configuration or the shell's history has them")
        .mend_exactly(
            "take them out, and give the token in the environment",
            "git remote set-url origin https://HOST/OWNER/NAME.git\nexport WINDLASS_TOKEN   # from a secret store",
        )
}
