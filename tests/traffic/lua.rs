//! Routes by Lua scripts: what a script is given, what becomes of its answer, and how it is refused.

use windlass::render::traffic::{check, route};

use super::samples::{OWN_CLASS, PROXY, by_class, by_proxy, scripted};
use super::*;

/// The Proxy after a step.
fn proxy(script: &str, routes: &Routes) -> Result<Value, String> {
    let mut objects = set(&[SERVICE, PROXY]);
    route(&mut objects, &by_proxy(script), routes).map_err(|error| error.to_string())?;
    Ok(got(&objects, "Proxy", "echo"))
}

/// What the script sees, as JSON in an annotation.
const LOOK: &str = "obj.data.annotations = {saw = json.encode(obj)} return obj.data";

fn saw(script: &str, routes: &Routes) -> Value {
    let object = proxy(script, routes).unwrap();
    serde_json::from_str(object["metadata"]["annotations"]["saw"].as_str().unwrap()).unwrap()
}

#[test]
fn a_script_is_given_what_kruise_gives() {
    let look = "local data = obj.data obj.data = nil data.annotations = {saw = json.encode(obj)} return data";
    same(&saw(look, &weight(20)), "{canaryWeight: 20, stableWeight: 80, canaryService: echo-canary, stableService: echo}");
    let change = HeaderModifier {
        set: vec![("x-a".to_owned(), "1".to_owned())],
        remove: vec!["x-b".to_owned()],
        ..HeaderModifier::default()
    };
    let found = HttpMatch {
        path: Some(StringMatch { kind: MatchKind::PathPrefix, value: "/new".to_owned() }),
        headers: vec![NamedMatch { kind: MatchKind::RegularExpression, name: "user".to_owned(), value: "^a".to_owned() }],
        query_params: vec![NamedMatch { kind: MatchKind::Exact, name: "v".to_owned(), value: "2".to_owned() }],
    };
    let asked = Routes::Split { weight: None, matches: vec![found], request_header_modifier: Some(change), mirror: None };
    same(
        &saw(look, &asked),
        "
canaryWeight: -1
stableWeight: 101
canaryService: echo-canary
stableService: echo
matches:
- path: {type: PathPrefix, value: /new}
  headers: [{type: RegularExpression, name: user, value: ^a}]
  queryParams: [{type: Exact, name: v, value: '2'}]
requestHeaderModifier: {set: [{name: x-a, value: '1'}], remove: [x-b]}
",
    );
    let data = saw(
        LOOK.replace("obj.data.annotations =", "local data = json.decode(json.encode(obj.data)) data.annotations =")
            .replace("return obj.data", "return data")
            .as_str(),
        &weight(20),
    );
    same(&data["data"], "{spec: {service: echo, empty: {list: [], map: {}}}, labels: {team: blue}}");
}

#[test]
fn an_ingress_script_is_given_annotations_and_a_weight_in_text() {
    let look = "return {saw = json.encode(obj)}";
    for (routes, wanted) in [
        (weight(20), "{annotations: {own.example.com/timeout: '5'}, weight: '20', canaryService: echo-canary}"),
        (
            Routes::Split {
                weight: None,
                matches: vec![HttpMatch {
                    headers: vec![NamedMatch { kind: MatchKind::Exact, name: "a".to_owned(), value: "b".to_owned() }],
                    ..HttpMatch::default()
                }],
                request_header_modifier: None,
                mirror: None,
            },
            "{annotations: {own.example.com/timeout: '5'}, weight: '-1', canaryService: echo-canary, matches: [{headers: [{type: Exact, name: a, value: b}]}]}",
        ),
    ] {
        let mut objects = set(&[SERVICE, OWN_CLASS]);
        route(&mut objects, &by_class(look), &routes).unwrap();
        let canary = got(&objects, "Ingress", "echo-canary");
        let saw = canary["metadata"]["annotations"]["saw"].as_str().unwrap();
        same(&serde_json::from_str(saw).unwrap(), wanted);
        assert_eq!(canary["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]["name"], "echo-canary");
        assert!(canary["spec"].get("defaultBackend").is_none());
    }
}

#[test]
fn spec_labels_and_annotations_are_the_scripts_and_nothing_else() {
    let written = proxy(
        "obj.data.spec = {service = 'other'} obj.data.labels = nil obj.data.annotations = {a = 'b'} obj.data.status = 1 return obj.data",
        &weight(20),
    );
    same(
        &written.unwrap(),
        "{apiVersion: proxies.example.com/v1, kind: Proxy, metadata: {name: echo, namespace: shop, annotations: {a: b}}, spec: {service: other}}",
    );
    let untouched = proxy("return obj.data", &weight(20)).unwrap();
    same(&untouched, PROXY);
    // Kruise runs nothing at 0 %, and takes everything back at the end.
    for routes in [weight(0), Routes::Stable] {
        same(&proxy("error('not asked')", &routes).unwrap(), PROXY);
    }
}

#[test]
fn what_a_script_gives_wrong_is_told_with_its_path() {
    let script = ".windlass/lua/proxies.example.com/Proxy/trafficRouting.lua";
    let rows = [
        (
            "return {labels = {}, annotations = {}}",
            ": the table that it returns has no `spec`; `return obj.data` gives back what came in",
        ),
        ("return obj", ": the table that it returns has no `spec`; `return obj.data` gives back what came in"),
        ("return {1, 2}", ": the table that it returns is a list; a mapping is expected"),
        ("return 1", ": a table is expected from the script, not number"),
        ("obj.data.labels.weight = 20 return obj.data", ": `labels[\"weight\"]` is 20, not a text; `tostring` makes one"),
        ("obj.data.annotations = 'x' return obj.data", ": `annotations` is no mapping"),
        ("\nerror('no backend fits')", ":2: no backend fits"),
        ("\n\nlocal x = nil + 1", ":3: attempt to perform arithmetic (add) on nil and number"),
    ];
    for (text, said) in rows {
        assert_eq!(proxy(text, &weight(20)), Err(format!("Proxy `echo`: {script}{said}")), "{text}");
    }
    let mut objects = set(&[SERVICE, OWN_CLASS]);
    let error = route(&mut objects, &by_class("return {weight = 20}"), &weight(20)).unwrap_err().to_string();
    let said = "Ingress `echo`: .windlass/lua/trafficrouting_ingress/own.lua: `annotations[\"weight\"]` is 20, not a text; `tostring` makes one";
    assert_eq!(error, said);
    assert_eq!(objects, set(&[SERVICE, OWN_CLASS]), "an error changes nothing");
}

/// `check` runs the script for every step, so a fault in a later one is found before the first.
#[test]
fn a_fault_in_a_later_step_is_found_at_once() {
    let script = "if obj.canaryWeight > 50 then error('never more than half') end return obj.data";
    let steps = vec![step(Some(20), &[]), step(Some(80), &[])];
    let found = check(&set(&[SERVICE, PROXY]), &rollout(vec![by_proxy(script)], steps));
    let told: Vec<(Option<usize>, String)> = found.into_iter().map(|(step, error)| (step, error.to_string())).collect();
    let said = "Proxy `echo`: .windlass/lua/proxies.example.com/Proxy/trafficRouting.lua:1: never more than half";
    assert_eq!(told, [(Some(1), said.to_owned())]);
}

#[test]
fn a_script_takes_the_place_of_a_provider() {
    let reference = WorkloadRef::new("networking.istio.io/v1", "VirtualService", "echo");
    let script = "obj.data.annotations = {by = 'script'} return obj.data";
    let routing = scripted(TrafficRouting { custom: vec![reference], ..routing() }, script);
    let mut objects = set(&[SERVICE, samples::VIRTUAL_SERVICE]);
    route(&mut objects, &routing, &weight(20)).unwrap();
    same(
        &got(&objects, "VirtualService", "echo")["metadata"],
        "{name: echo, namespace: shop, labels: {team: blue}, annotations: {by: script}}",
    );
}

#[test]
fn scripts_and_subsets_do_not_go_together() {
    let routing = TrafficRouting { disable_generate_canary_service: true, ..by_proxy("return obj.data") };
    let found = check(&set(&[SERVICE, PROXY]), &rollout(vec![routing], vec![step(Some(20), &[])]));
    assert!(found[0].1.to_string().contains("`disableGenerateCanaryService` leaves no second Service"), "{found:?}");
}

/// A path is made of the words of a Rollout: none may lead elsewhere.
#[test]
fn no_name_leads_out_of_the_folder_of_scripts() {
    for word in ["..", "../x", "a/../../b", "a b", "", ".hidden", "a\0b", "C:", "a\\b", "\u{202e}x"] {
        assert_eq!(windlass::api::ingress_script(word), None, "{word}");
        assert_eq!(windlass::api::custom_script("example.com/v1", word), None, "{word}");
        if !word.contains('/') {
            assert_eq!(windlass::api::custom_script(&format!("{word}/v1"), "Route"), None, "{word}");
        }
    }
    assert_eq!(windlass::api::custom_script("v1", "Service").as_deref(), Some("v1/Service/trafficRouting.lua"));
}
