//! Scripts that are missing, wrong, or do not end.

use super::super::desk::{Desk, deployment, rollout, settings};
use super::Scene;

#[test]
fn scripts_that_cannot_be_used() {
    let desk = Desk::new();
    let script = ".windlass/lua/example.com/Route/trafficRouting.lua";
    let routings = "      trafficRoutings:
      - service: web
        gracePeriodSeconds: 0
        customNetworkRefs: [{apiVersion: example.com/v1, kind: Route, name: web}]
      steps:
";
    let steps = "      - {replicas: 1, traffic: 20%, pause: {}}\n      - {replicas: 100%}\n";
    let route = "apiVersion: example.com/v1\nkind: Route\nmetadata: {name: web}\nspec: {to: web}\n---\n\
                 apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n";
    desk.write(".windlass.yaml", &settings(0))
        .write("apps/web/app.yaml", &deployment("web", "1", 4))
        .write("apps/web/route.yaml", route);
    desk.write("apps/web/rollout.yaml", &rollout("web", steps).replace("      steps:\n", routings)).commit("no script");
    let mut scene = Scene::new("lua");
    scene.note("there is no script").windlass(&desk, &["validate"]).exits(1);
    scene.windlass(&desk, &["run"]).exits(1);
    for (what, text) in [
        ("it is no Lua", "local spec =\n"),
        (
            "it reads a field that is not there",
            "local data = obj.data\ndata.spec.rules[1].weight = obj.canaryWeight\nreturn data\n",
        ),
        ("it says itself what is wrong", "error('Route ' .. obj.stableService .. ' has no backends')\n"),
        ("it does not end, and catches its own end", "while true do\n  pcall(function() while true do end end)\nend\n"),
        ("it needs too much", "local text = 'x'\nwhile true do\n  text = text .. text\nend\n"),
        ("it asks for what is not there", "local file = io.open('/etc/passwd')\n"),
        ("it returns nothing", "obj.data.spec.weight = obj.canaryWeight\n"),
        ("it forgets the spec", "return {annotations = {weight = '20'}}\n"),
    ] {
        desk.write(script, text).commit(what);
        scene.note(what).windlass(&desk, &["validate"]).exits(1);
    }
    scene.windlass(&desk, &["run"]).exits(1);
    scene.end();
}
