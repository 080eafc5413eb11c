//! A repository at the lab's Gitea, and a person's clone of it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};

use super::servers::Lab;

pub(crate) struct Repository {
    /// Without credentials; anybody may read.
    pub(crate) url: String,
    /// `owner/name`
    pub(crate) full_name: String,
    /// Of the user `windlass`, for all that it may do.
    pub(crate) token: String,
    clone: PathBuf,
}

impl Repository {
    /// A new, empty repository of the user `windlass`.
    pub(crate) fn create(lab: &Lab, name: &str) -> Self {
        let token = lab.var("LAB_GITEA_WINDLASS").to_owned();
        let made = api(lab, &token, "POST", "/user/repos", &json!({"name": name, "private": false, "default_branch": "main"}));
        let full_name = made["full_name"].as_str().unwrap().to_owned();
        let url = format!("{}/{full_name}.git", lab.var("LAB_GITEA"));
        let clone = lab.folder().join(format!("clone-{name}"));
        std::fs::create_dir_all(&clone).unwrap();
        let repository = Self { url, full_name, token, clone };
        repository.git(&["init", "--quiet", "--initial-branch=main"]);
        repository.git(&["remote", "add", "origin", &repository.url]);
        repository
    }

    /// Commits these files on a branch (made when it is new, without a parent) and pushes; `None` deletes a file. Gives the commit's id.
    pub(crate) fn push(&self, branch: &str, files: &[(&str, Option<&str>)], message: &str) -> String {
        let there = !self.git(&["ls-remote", "origin", &format!("refs/heads/{branch}")]).is_empty();
        if there {
            self.git(&["fetch", "--quiet", "origin", branch]);
            self.git(&["checkout", "--quiet", "--force", "-B", branch, "FETCH_HEAD"]);
        } else {
            self.git(&["checkout", "--quiet", "--orphan", branch]);
            self.git(&["rm", "-r", "--force", "--quiet", "--ignore-unmatch", "."]);
        }
        for (path, content) in files {
            let file = self.clone.join(path);
            match content {
                Some(content) => {
                    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                    std::fs::write(file, content).unwrap();
                }
                None => std::fs::remove_file(file).unwrap(),
            }
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.git(&["push", "--quiet", "origin", branch]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// The person's clone.
    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.clone
    }

    /// Runs git in the clone; the credentials are in the environment, never on the command line.
    pub(crate) fn git(&self, args: &[&str]) -> String {
        let output =
            Command::new("git").args(args).current_dir(&self.clone).envs(git_env(&self.url, &self.token)).output().unwrap();
        assert!(output.status.success(), "git {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

/// Gitea's API, as the owner of a token; `path` begins behind `/api/v1`. Fails the test when Gitea does.
pub(crate) fn api(lab: &Lab, token: &str, method: &str, path: &str, body: &Value) -> Value {
    let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}/api/v1{path}", lab.var("LAB_GITEA")))
        .header("authorization", format!("token {token}"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .unwrap();
    let mut response = agent.run(request).unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    assert!(response.status().is_success(), "{method} {path}: {} {text}", response.status());
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// A git that knows nothing of this machine's settings, with a token for one address.
fn git_env(url: &str, token: &str) -> Vec<(&'static str, String)> {
    vec![
        ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
        ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
        ("GIT_TERMINAL_PROMPT", "0".to_owned()),
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", format!("http.{url}.extraHeader")),
        ("GIT_CONFIG_VALUE_0", format!("Authorization: token {token}")),
        ("GIT_AUTHOR_NAME", "Alice".to_owned()),
        ("GIT_AUTHOR_EMAIL", "alice@example.com".to_owned()),
        ("GIT_COMMITTER_NAME", "Alice".to_owned()),
        ("GIT_COMMITTER_EMAIL", "alice@example.com".to_owned()),
    ]
}
