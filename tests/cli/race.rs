//! Two processes on one repository.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::desk::{adopted, rollout};

#[test]
fn two_watchers_make_one_commit_per_move() {
    let desk = adopted(&["web", "api"]);
    let steps: String = (1..=4).map(|pods| format!("      - {{replicas: {pods}, pause: {{duration: 0}}}}\n")).collect();
    for name in ["web", "api"] {
        desk.write(&format!("apps/{name}/rollout.yaml"), &rollout(name, &steps));
    }
    desk.commit("more steps");
    desk.windlass(&["run"]).exits(0);
    let before = desk.live();
    let watch = || -> Child {
        let mut program = desk.program();
        program.args(["run", "--watch", "--interval", "1s"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let watchers = [watch(), watch()];
    for name in ["web", "api"] {
        desk.edit(&format!("apps/{name}/app.yaml"), ":1'", ":2'");
    }
    desk.commit("version 2");
    let start = Instant::now();
    let done = |subjects: &[String]| subjects.iter().filter(|subject| subject.ends_with("release 1 complete")).count() == 2;
    while !done(&desk.subjects(&before)) && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut outputs = Vec::new();
    for watcher in watchers {
        // Asked to end, as a service manager does.
        let pid = i32::try_from(watcher.id()).unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::TERM).unwrap();
        let output = watcher.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        outputs.push((String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap()));
    }
    let subjects = desk.subjects(&before);
    assert!(done(&subjects), "{subjects:?}\n{outputs:?}");
    for name in ["web", "api"] {
        let format = "--format=%(trailers:key=Windlass-Step,valueonly,separator=)";
        let steps = desk.git(&["log", "--reverse", format, &format!("--grep=^{name}: "), &format!("{before}..deploy")]);
        let steps: Vec<&str> = steps.lines().collect();
        let expected: Vec<String> = (1..=4)
            .flat_map(|step| [format!("{step}/4 grow"), format!("{step}/4 shift")])
            .chain(["4/4 resume".to_owned(), "complete".to_owned()])
            .collect();
        assert_eq!(steps, expected, "{name}");
    }
    // Each commit was announced, by none of them twice, and neither complained. Both announce one that both have made, byte for byte (they
    // decided in the same millisecond): who comes second finds the branch where it wanted it, as after a lost reply.
    let mut announced = BTreeSet::new();
    for (out, err) in &outputs {
        assert!(!err.to_lowercase().contains("error") && !err.contains("panicked"), "{err}");
        let mut own = BTreeSet::new();
        for line in out.lines() {
            assert!(own.insert(line), "announced twice: {line}\n{outputs:?}");
            announced.insert(line.to_owned());
        }
    }
    assert_eq!(announced.len(), subjects.len(), "{announced:?}");
}
