//! A secret is searched for in everything that is written and started: output at the highest log level, errors, JSON, commits,
//! every file of the mirror, and the command line and environment of every program that is started.

use std::path::Path;

use super::super::desk::Said;
use super::remotes::Remote;
use crate::git::server::hook;

const CANARY: &str = "canary-5b1e-token";
/// `x-access-token:canary-5b1e-token` and `ada:canary-5b1e-token`
const ENCODED: [&str; 2] = ["eC1hY2Nlc3MtdG9rZW46Y2FuYXJ5LTViMWUtdG9rZW4=", "YWRhOmNhbmFyeS01YjFlLXRva2Vu"];

#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    for secret in [CANARY].iter().chain(&ENCODED) {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in {what}: {}", String::from_utf8_lossy(bytes));
    }
}

#[track_caller]
fn clean_said(what: &str, said: &Said) {
    clean(what, said.out.as_bytes());
    clean(what, said.err.as_bytes());
}

/// Every file below a folder, and every object of a repository in it, unpacked.
fn clean_folder(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            count += clean_folder(&path);
        } else {
            clean(&path.display().to_string(), &std::fs::read(&path).unwrap());
            count += 1;
        }
    }
    if folder.join("objects").is_dir() && folder.join("HEAD").is_file() {
        let objects = std::process::Command::new("git")
            .args(["-c", "safe.directory=*", "--git-dir"])
            .arg(folder)
            .args(["cat-file", "--batch-all-objects", "--batch"])
            .output()
            .unwrap();
        assert!(objects.status.success() && !objects.stdout.is_empty(), "{}", String::from_utf8_lossy(&objects.stderr));
        clean("the mirror's objects", &objects.stdout);
    }
    count
}

#[test]
fn a_token_is_in_nothing_that_is_written() {
    let remote = Remote::new();
    let desk = &remote.desk;
    let cache = desk.repo().join("../cache");
    let cache = cache.to_str().unwrap();
    remote.server.set(|faults| faults.authorization = Some(format!("Basic {}", ENCODED[0])));
    let address = remote.server.address("repo.git");
    let token = [("WINDLASS_TOKEN", CANARY), ("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")];
    let run = |args: &[&str]| desk.windlass_with(&[args, &["-vvv", "--cache", cache, "--repo", &address]].concat(), &token);
    for args in [&["run"][..], &["status"], &["status", "--output", "json"], &["plan"], &["log", "--output", "json"]] {
        let said = run(args).exits(0);
        clean_said(&args.join(" "), &said);
    }
    // The address holds it, by the command line and by the environment.
    let with = address.replace("http://", &format!("http://{CANARY}@"));
    let said = desk.windlass_with(&["status", "-vvv"], &[("WINDLASS_REPO", &with)]).exits(0);
    clean_said("status", &said);
    for help in [&["--help"][..], &["run", "--help"], &["run", "--no-such-option"]] {
        clean_said("help", &desk.windlass_with(help, &[("WINDLASS_REPO", &with), token[0]]));
    }
    // Everything that can be refused.
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.git(&["push", "--quiet", &remote.path.display().to_string(), "main"]);
    hook(&remote.path, "pre-receive", &format!("echo you sent {CANARY} {} >&2; exit 1", ENCODED[0]));
    let said = run(&["run"]).exits(5).tells(&["you sent *** ***"]);
    clean_said("a hook", &said);
    clean_said("a hook, as JSON", &run(&["run", "--output", "json"]).exits(5));
    let wrong = [("WINDLASS_TOKEN", CANARY), ("WINDLASS_USERNAME", "ada")];
    let said = desk.windlass_with(&["run", "-vvv", "--repo", &address], &wrong).exits(5).tells(&["wrong credentials: Basic ***"]);
    clean_said("401", &said);
    for elsewhere in ["http://127.0.0.1:1/x.git", "http://git.example.com/x.git", "https://no-such-host.invalid/x.git"] {
        clean_said(elsewhere, &desk.windlass_with(&["run", "-vvv", "--repo", elsewhere], &wrong).exits(5));
    }
    let proxy = format!("http://ada:{CANARY}@127.0.0.1:1");
    let env = [("HTTPS_PROXY", proxy.as_str()), ("ALL_PROXY", &proxy)];
    for elsewhere in [&address, "https://git.example.com/x.git"] {
        clean_said("a proxy", &desk.windlass_with(&["run", "-vvv", "--repo", elsewhere], &env).exits(5));
    }
    std::fs::remove_file(remote.path.join("hooks/pre-receive")).unwrap();
    let files = clean_folder(Path::new(cache)) + clean_folder(&remote.path);
    assert!(files > 20, "{files} files were looked at");
}

#[test]
fn no_program_that_is_started_sees_a_token() {
    let remote = Remote::new();
    let desk = &remote.desk;
    let seen = desk.repo().join("../seen");
    let tools = desk.repo().join("../tools");
    std::fs::create_dir_all(&tools).unwrap();
    let real = |name: &str| {
        let path = std::env::var_os("PATH").unwrap();
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file()).unwrap()
    };
    // Stand-ins that note how they were called, and then do the work.
    let note = format!("tr '\\0' '\\n' < /proc/$$/cmdline >> {0}\ntr '\\0' '\\n' < /proc/$$/environ >> {0}\n", seen.display());
    for (name, work) in [
        ("git", format!("exec {} \"$@\"", real("git").display())),
        ("ssh", "for last; do :; done\nexec sh -c \"$last\"".to_owned()),
        ("kustomize", "cat \"$2/app.yaml\"".to_owned()),
    ] {
        let program = tools.join(name);
        std::fs::write(&program, format!("#!/bin/sh\n{note}{work}\n")).unwrap();
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    desk.write("apps/web/kustomization.yaml", "resources: [app.yaml]\n").commit("kustomize");
    desk.git(&["push", "--quiet", &remote.path.display().to_string(), "main"]);
    hook(&remote.path, "update", "exit 0");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let proxy = format!("http://ada:{CANARY}@127.0.0.1:1");
    let env = [("PATH", path.as_str()), ("WINDLASS_TOKEN", CANARY), ("HTTPS_PROXY", &proxy), ("GIT_ASKPASS", CANARY)];
    for address in [format!("ssh://git@host{}", remote.path.display()), remote.path.display().to_string()] {
        let said = desk.windlass_with(&["run", "--repo", &address], &env);
        clean_said(&address, &said);
    }
    let seen = std::fs::read_to_string(&seen).unwrap();
    for program in ["tools/git", "tools/ssh", "tools/kustomize", "--force-with-lease", "ls-remote"] {
        assert!(seen.contains(program), "{program} was not started:\n{seen}");
    }
    clean("a program's command line or environment", seen.as_bytes());
}
