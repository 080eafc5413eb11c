//! `windlass lua test`: scripts on test data, and what a script in a source does to a release.

use super::desk::{Desk, deployment, rollout, settings};

const SCRIPT: &str = "obj.data.spec.weight = obj.canaryWeight\nreturn obj.data\n";
const DATA: &str = "rollout:
  spec:
    strategy:
      canary:
        steps: [{traffic: 20%}, {matches: [{headers: [{name: a, value: b}]}]}]
        trafficRoutings: [{service: web}]
original: {apiVersion: example.com/v1, kind: Route, metadata: {name: web, labels: {}}, spec: {to: web, list: []}}
expected:
- {spec: {to: web, list: [], weight: 20}}
- {spec: {to: web, list: [], weight: -1}, metadata: {name: another}}
";
const FOLDER: &str = ".windlass/lua/example.com/Route";

fn with_script() -> Desk {
    let desk = Desk::new();
    desk.write(&format!("{FOLDER}/trafficRouting.lua"), SCRIPT).write(&format!("{FOLDER}/testdata/one.yaml"), DATA);
    desk
}

#[test]
fn test_data_that_fit_pass() {
    let desk = with_script();
    let file = format!("{FOLDER}/testdata/one.yaml");
    let said = desk.windlass(&["lua", "test"]).exits(0);
    assert_eq!(said.out, format!("ok     {file} step 1\nok     {file} step 2\n1 file: 2 steps, 0 failed\n"));
    // A file, and a folder from within.
    desk.windlass(&["lua", "test", &file]).exits(0);
    let inside = desk.command(env!("CARGO_BIN_EXE_windlass"), &desk.repo().join(FOLDER).join("testdata"));
    let mut inside = inside;
    let output = inside.args(["lua", "test", "one.yaml"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn what_differs_is_shown_line_by_line() {
    let desk = with_script();
    let file = format!("{FOLDER}/testdata/one.yaml");
    desk.edit(&file, "weight: 20}", "weight: 25}");
    let said = desk.windlass(&["lua", "test"]).exits(1);
    let wanted = format!(
        "FAILED {file} step 1
       --- expected
       +++ given
       @@ -1,4 +1,4 @@
        spec:
          list: []
          to: web
       -  weight: 25
       +  weight: 20
ok     {file} step 2
1 file: 2 steps, 1 failed
"
    );
    assert_eq!(said.out, wanted);
    let json = desk.windlass(&["lua", "test", "--output", "json"]).exits(1).json();
    assert_eq!((&json["files"], &json["passed"], &json["failed"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!((&json["cases"][0]["step"], &json["cases"][0]["passed"]), (&1.into(), &false.into()));
    assert!(json["cases"][0]["diff"].as_str().unwrap().contains("-  weight: 25\n+  weight: 20\n"), "{json}");
    assert_eq!(json["cases"][1]["script"], format!("{FOLDER}/trafficRouting.lua"));
}

#[test]
fn test_data_that_cannot_be_used_are_failures_that_say_why() {
    let rows = [
        (
            "original: {apiVersion: a/v1, kind: B, metadata: {name: c}}\nexpected: []\n",
            "exactly one of `rollout` and `trafficRouting` is expected",
        ),
        ("rollout: {}\nexpected: []\n", "`original` is missing: the object before"),
        ("rollout: {}\noriginal: {kind: B}\nexpected: []\n", "`original` is no object: `apiVersion` is missing or not a text"),
        (
            &DATA.replace("- {spec: {to: web, list: [], weight: 20}}\n", ""),
            "it has 2 steps and 1 objects in `expected`; give one for each",
        ),
        (&DATA.replace("20%}", "banana}"), "step 1: \"banana\" is no share of requests; write `50%`"),
        (&DATA.replace("[{service: web}]", "[]"), "`rollout` has no `trafficRoutings[0].service`"),
        (&format!("{DATA}---\n{DATA}"), "one YAML document is expected, not 2"),
        ("a: [", "one.yaml:"),
    ];
    let desk = with_script();
    let file = format!("{FOLDER}/testdata/one.yaml");
    for (text, said) in rows {
        desk.write(&file, text);
        desk.windlass(&["lua", "test"]).exits(1).tells(&[&format!("FAILED {file}\n"), said]);
    }
    desk.write(&file, DATA);
    std::fs::remove_file(desk.repo().join(FOLDER).join("trafficRouting.lua")).unwrap();
    desk.windlass(&["lua", "test"]).exits(1).tells(&[&format!("cannot read the script {FOLDER}/trafficRouting.lua")]);
    desk.windlass(&["lua", "test", "nowhere"])
        .exits(2)
        .tells(&["error: nowhere: ", "hint: test data are YAML files in folders named `testdata`"]);
    std::fs::create_dir(desk.repo().join("empty")).unwrap();
    desk.windlass(&["lua", "test", "empty"]).exits(2).tells(&["error: empty: no test data"]);
}

/// An app whose route a script makes.
fn routed() -> Desk {
    let desk = with_script();
    let route = "apiVersion: example.com/v1\nkind: Route\nmetadata: {name: web}\nspec: {to: web, list: [], map: {}}\n---\n\
                 apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";
    let routings = "      trafficRoutings:
      - service: web
        gracePeriodSeconds: 0
        customNetworkRefs: [{apiVersion: example.com/v1, kind: Route, name: web}]
      steps:
";
    let steps = "      - {replicas: 1, traffic: 20%, pause: {}}\n      - {replicas: 2, traffic: 40%, pause: {}}\n      - {replicas: 100%}\n";
    desk.write(".windlass.yaml", &settings(0))
        .write("apps/web/app.yaml", &deployment("web", "1", 4))
        .write("apps/web/route.yaml", route);
    desk.write("apps/web/rollout.yaml", &rollout("web", steps).replace("      steps:\n", routings)).commit("a route by a script");
    desk
}

#[test]
fn a_script_is_part_of_the_rollout_in_force() {
    let desk = routed();
    desk.windlass(&["validate"]).exits(0);
    desk.windlass(&["run"]).exits(0);
    let written = desk.live_file("apps/web/route-web.yaml");
    let recorded = ".windlass/apps/web/web/lua/example.com/Route/trafficRouting.lua";
    assert_eq!(desk.live_file(recorded).trim_end(), SCRIPT.trim_end());
    assert!(!desk.live_file(".windlass/apps/web/web/rollout").contains("obj.data"), "the text stands in one place");
    desk.edit("apps/web/app.yaml", ":1'", ":2'").commit("version 2");
    desk.windlass(&["run", "--until-done", "--timeout", "2s"]).exits(4);
    assert!(desk.live_file("apps/web/route-web.yaml").contains("weight: 20"), "{}", desk.live_file("apps/web/route-web.yaml"));
    // Another script in the middle of a release: its own commit, at the present step.
    let script = format!("{FOLDER}/trafficRouting.lua");
    desk.edit(&script, "obj.data.spec.weight", "obj.data.spec.share").commit("another word");
    let before = desk.live();
    desk.windlass(&["run"]).exits(0);
    assert_eq!(desk.subjects(&before).first().map(String::as_str), Some("web: step 1/3, go on from here"));
    let now = desk.live_file("apps/web/route-web.yaml");
    assert!(now.contains("share: 20") && !now.contains("weight"), "{now}");
    assert!(desk.live_file(recorded).contains("share"));
    // A broken one: nothing moves, and the live branch stays as it is.
    desk.edit(&script, "obj.data.spec.share", "obj.data.spek.share").commit("a mistake");
    let before = desk.live();
    desk.windlass(&["run"]).exits(1).tells(&[&format!("Route `web`: {script}:1: attempt to index nil with 'share'")]);
    assert_eq!(desk.live(), before);
    desk.windlass(&["validate"]).exits(1).tells(&["error[route]", "attempt to index nil"]);
    desk.windlass(&["approve"]).exits(0);
    desk.windlass(&["run"]).exits(1);
    // Mended, it goes on, and ends as it began.
    desk.edit(&script, "obj.data.spek.share", "obj.data.spec.share").commit("mended");
    desk.windlass(&["run", "--until-done", "--timeout", "2s"]).exits(4);
    assert!(desk.live_file("apps/web/route-web.yaml").contains("share: 40"));
    desk.windlass(&["approve"]).exits(0);
    desk.windlass(&["run", "--until-done", "--timeout", "20s"]).exits(0);
    assert_eq!(desk.live_file("apps/web/route-web.yaml"), written, "byte for byte");
    // A rollback needs no script that works.
    desk.edit("apps/web/app.yaml", ":2'", ":3'").commit("version 3");
    desk.windlass(&["run", "--until-done", "--timeout", "2s"]).exits(4);
    desk.write(&script, "while true do end\n").commit("it does not end");
    desk.windlass(&["rollback"]).exits(0);
    // The source still holds a script that does not work.
    desk.windlass(&["run", "--until-done", "--timeout", "2s"]).exits(4).tells(&["release 2 rolled back", "5 million steps"]);
    assert_eq!(desk.live_file("apps/web/route-web.yaml"), written, "byte for byte");
}

#[test]
fn a_script_that_appears_is_seen() {
    let desk = routed();
    let script = desk.repo().join(FOLDER).join("trafficRouting.lua");
    std::fs::remove_file(&script).unwrap();
    desk.commit("no script");
    desk.windlass(&["run"]).exits(1).tells(&["no provider for kind `Route` of `example.com/v1`", "docs/tasks/lua.md"]);
    desk.write(&format!("{FOLDER}/trafficRouting.lua"), SCRIPT).commit("the script");
    desk.windlass(&["run"]).exits(0);
    let written = desk.live_file(".windlass/apps/web/web/state");
    assert!(written.contains("\".windlass/lua/example.com/Route/trafficRouting.lua\": \""), "{written}");
}

#[test]
fn a_script_is_a_plain_file_of_a_size() {
    let desk = routed();
    let script = desk.repo().join(FOLDER).join("trafficRouting.lua");
    desk.write(&format!("{FOLDER}/trafficRouting.lua"), &"-".repeat(200_000)).commit("long");
    desk.windlass(&["run"]).exits(1).tells(&["the script has 200000 bytes, and may have 131072"]);
    std::fs::write(&script, b"return {a = '\xff'}").unwrap();
    desk.commit("not UTF-8");
    desk.windlass(&["run"]).exits(1).tells(&["the script is not UTF-8"]);
    std::fs::remove_file(&script).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &script).unwrap();
    desk.commit("a link");
    desk.windlass(&["run"]).exits(1).tells(&["a symbolic link; links are not followed"]);
    desk.windlass(&["validate"]).exits(1).tells(&["symbolic link"]);
}
