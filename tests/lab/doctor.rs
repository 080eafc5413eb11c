//! `windlass doctor` at real Gitea, Flux and Argo CD: what it finds is really in the way, and the setting that it says really mends it.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::program::Program;
use super::repository::{Repository, api};
use super::servers::Lab;
use super::{argo, files::Files, flux};

const LONG: Duration = Duration::from_secs(180);

struct Clinic<'a> {
    lab: &'a Lab,
    repository: Repository,
}

fn files(name: &'static str, version: u32) -> Files {
    Files {
        name,
        version,
        replicas: 4,
        routed: false,
        steps: "      - {replicas: 1, pause: {}}\n      - {replicas: 100%}",
        judged: false,
    }
}

impl Clinic<'_> {
    fn push(&self, version: u32) {
        let mut all = vec![(
            ".windlass.yaml".to_owned(),
            "apiVersion: windlass.dev/v1alpha1\nkind: Repository\nobserve: {kubernetes: {}}\n".to_owned(),
        )];
        for name in ["one", "two"] {
            let files = files(name, version);
            all.push((format!("apps/{name}/app.yaml"), files.manifests()));
            all.push((format!("apps/{name}/rollout.yaml"), files.rollout()));
        }
        let all: Vec<(&str, Option<&str>)> = all.iter().map(|(path, text)| (path.as_str(), Some(text.as_str()))).collect();
        self.repository.push("main", &all, &format!("Version {version}"));
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("PATH", self.lab.var("PATH").to_owned()),
            ("KUBECONFIG", self.lab.var("KUBECONFIG").to_owned()),
            ("WINDLASS_REPO", self.repository.url.clone()),
            ("WINDLASS_USERNAME", "windlass".to_owned()),
            ("WINDLASS_TOKEN", self.repository.token.clone()),
        ]
    }

    fn windlass(&self, args: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.args(args).env_clear().env("HOME", self.lab.folder()).envs(self.environment()).current_dir(self.lab.folder());
        let output = command.output().unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(!out.contains(&self.repository.token) && !err.contains(&self.repository.token), "the token is shown");
        // The lab's API server has a certificate of its own, of which the log warns.
        (output.status.code().unwrap_or(-1), if args.contains(&"json") { out } else { out + &err })
    }

    /// Codes with their levels, without what is fine; and all findings.
    fn doctor(&self) -> (Vec<String>, Vec<Value>) {
        let (_, said) = self.windlass(&["doctor", "--output", "json"]);
        let json: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
        let findings = json["findings"].as_array().unwrap().clone();
        let word = |finding: &Value, field: &str| finding[field].as_str().unwrap().to_owned();
        let mut codes: Vec<String> = findings
            .iter()
            .filter(|finding| finding["level"] != "ok")
            .map(|finding| format!("{} {}", word(finding, "level"), word(finding, "code")))
            .collect();
        codes.sort();
        (codes, findings)
    }

    /// Does exactly what the finding says.
    fn mend(&self, findings: &[Value], code: &str) {
        let finding = findings.iter().find(|finding| finding["code"] == code && finding["level"] != "ok");
        let text =
            finding.and_then(|finding| finding["mend"]["exactly"].as_str()).unwrap_or_else(|| panic!("{code}: {findings:#?}"));
        let object = windlass::manifest::values(code, text).unwrap().remove(0).value;
        let word = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap();
        let (kind, name, namespace) = (word("/kind"), word("/metadata/name"), word("/metadata/namespace"));
        self.lab.kubectl(&["-n", namespace, "patch", kind, name, "--type", "merge", "--patch", text]);
    }

    /// The newest commit on the live branch below a path.
    fn newest(&self, path: &str) -> String {
        self.repository.git(&["fetch", "--quiet", "origin", "deploy"]);
        self.repository.git(&["log", "-1", "--format=%H", "FETCH_HEAD", "--", path])
    }

    fn subject(&self, path: &str) -> String {
        let newest = self.newest(path);
        self.repository.git(&["log", "-1", "--format=%s", &newest])
    }

    /// The mark that the live branch's Deployment carries, and the one of the cluster's.
    fn marks(&self, name: &str) -> (String, String) {
        self.newest(&format!("apps/{name}"));
        let text = self.repository.git(&["show", &format!("FETCH_HEAD:apps/{name}/deployment-{name}.yaml")]);
        let written = windlass::manifest::values(name, &text).unwrap().remove(0).value;
        let live = self.lab.get("shop", "deployment", name).unwrap_or_default();
        let mark = |object: &Value| {
            object["metadata"]["annotations"]["windlass.dev/commit-tree"].as_str().unwrap_or_default().to_owned()
        };
        (mark(&written), mark(&live))
    }
}

#[test]
fn what_doctor_says_is_so_and_its_settings_mend_it() {
    let Some(lab) = Lab::up(&["flux", "argo", "gitea"]) else { return };
    let begin = Instant::now();
    let told = |what: &str| println!("{:>6.1} s {what}", begin.elapsed().as_secs_f64());
    let repository = Repository::create(&lab, "clinic");
    let clinic = Clinic { lab: &lab, repository };
    clinic.push(1);

    // Nothing applies the apps yet.
    let (code, said) = clinic.windlass(&["run"]);
    assert!(matches!(code, 0 | 4), "{code}: {said}");
    flux::apply_branch(&lab, "one", &clinic.repository, "deploy", "apps/one", None);
    let (codes, _) = clinic.doctor();
    assert!(codes.contains(&"error no-applier".to_owned()), "two is applied by nobody: {codes:?}");

    told("nobody applies `two`");

    // Wrong settings.
    argo::apply_branch(&lab, "two", &clinic.repository, "deploy", "apps/two", "shop");
    let patch = |namespace: &str, kind: &str, name: &str, patch: Value| {
        lab.kubectl(&["-n", namespace, "patch", kind, name, "--type", "merge", "--patch", &patch.to_string()]);
    };
    let (flux_space, argo_space) = (lab.var("LAB_FLUX_NAMESPACE").to_owned(), lab.var("LAB_ARGO_NAMESPACE").to_owned());
    patch(&flux_space, "kustomization", "one", json!({"spec": {"wait": true, "timeout": "60s"}}));
    patch(
        &argo_space,
        "application",
        "two",
        json!({"spec": {"syncPolicy": {"automated": {"selfHeal": false}, "retry": {"refresh": null}}}}),
    );
    let admin = lab.var("LAB_GITEA_ADMIN").to_owned();
    let rules = format!("/repos/{}/branch_protections", clinic.repository.full_name);
    api(&lab, &admin, "POST", &rules, &json!({"rule_name": "deploy", "enable_push": false}));
    lab.wait("the first version", LONG, || {
        let whole = ["one", "two"]
            .iter()
            .all(|name| lab.get("shop", "deployment", name).is_some_and(|live| live["status"]["availableReplicas"] == 4));
        if whole { Ok(()) } else { Err("pods are missing".to_owned()) }
    });
    let (codes, findings) = clinic.doctor();
    assert_eq!(
        codes,
        ["error argo-retry", "error flux-wait", "error protected", "warning argo-health", "warning argo-self-heal"],
        "{findings:#?}"
    );

    told("wrong settings are found");

    // The protection is real: a commit is refused. It goes, and so does the finding.
    clinic.push(2);
    let (code, said) = clinic.windlass(&["run"]);
    assert!(code != 0 && said.contains("protected"), "{code}: {said}");
    api(&lab, &admin, "DELETE", &format!("{rules}/deploy"), &json!({}));
    assert!(!clinic.doctor().0.contains(&"error protected".to_owned()));

    // The held Deployment blocks Flux' next commit; Argo CD applies it, and shows it as Progressing.
    let environment = clinic.environment();
    let environment = environment.iter().map(|(name, value)| (*name, value.as_str()));
    let mut program = Program::start(lab.folder(), &["run", "--watch", "--interval", "1s"], environment);
    // `one` first: Flux gives up after the timeout above, and the look at it must not wait for Argo CD.
    let mut shifted = |name: &str| {
        lab.wait(&format!("the shift of {name}"), LONG, || {
            assert!(program.is_running(), "{}", program.output());
            let subject = clinic.subject(&format!("apps/{name}"));
            if subject.contains("shift to 1 of 4") { Ok(()) } else { Err(subject) }
        });
    };
    shifted("one");
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        let (written, live) = clinic.marks("one");
        assert_ne!(written, live, "Flux waits for health, and yet applied the next commit after {:?}", start.elapsed());
        std::thread::sleep(Duration::from_millis(500));
    }
    told("Flux is blocked");
    shifted("two");
    let health = || lab.get(&argo_space, "application", "two").unwrap_or_default()["status"]["health"]["status"].clone();
    lab.wait("the sync of two", LONG, || {
        let (written, live) = clinic.marks("two");
        if written == live { Ok(()) } else { Err(format!("{live} is applied, {written} is written")) }
    });
    assert_eq!(health(), "Progressing");

    told("Argo CD is Progressing");

    // As doctor says.
    for code in ["flux-wait", "argo-retry", "argo-self-heal", "argo-health"] {
        clinic.mend(&findings, code);
    }
    assert_eq!(clinic.doctor().0, Vec::<String>::new());
    lab.wait("the sync of one", LONG, || {
        let (written, live) = clinic.marks("one");
        if written == live { Ok(()) } else { Err(format!("{live} is applied, {written} is written")) }
    });
    lab.wait(
        "a held Deployment that is Healthy",
        LONG,
        || if health() == "Healthy" { Ok(()) } else { Err(health().to_string()) },
    );

    told("mended");

    // From here on each commit is applied at once, and Argo CD's rule tells rollouts on their way from those that are done.
    let (code, said) = clinic.windlass(&["promote", "one", "--as", "alice"]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = clinic.windlass(&["promote", "two", "--as", "alice"]);
    assert_eq!(code, 0, "{said}");
    lab.wait("the end of both releases", LONG, || {
        assert!(program.is_running(), "{}", program.output());
        let done = ["one", "two"].iter().all(|name| {
            let (written, live) = clinic.marks(name);
            let object = lab.get("shop", "deployment", name).unwrap_or_default();
            written == live
                && object["spec"]["minReadySeconds"].as_u64().unwrap_or(0) < 100
                && object["status"]["availableReplicas"] == 4
        });
        if done { Ok(()) } else { Err(format!("{} / {}", clinic.subject("apps/one"), clinic.subject("apps/two"))) }
    });
    lab.wait("a Deployment that is Healthy", LONG, || if health() == "Healthy" { Ok(()) } else { Err(health().to_string()) });
    program.crash();
    told("both releases are through");
}
