//! What holds for every route, step and history.

use proptest::prelude::*;
use serde_json::{Map, json};
use windlass::render::traffic::route;

use super::*;

/// A backendRef, with or without the API's defaults written out.
fn reference() -> impl Strategy<Value = Value> {
    let name = prop_oneof![3 => Just("echo"), 2 => Just("other"), 1 => Just("third")];
    (name, 80_u16..83, prop::option::of(0_u64..40), any::<bool>()).prop_map(|(name, port, weight, written)| {
        let mut fields = json!({"name": name, "port": port});
        if let Some(weight) = weight {
            fields["weight"] = json!(weight);
        }
        if written {
            fields["kind"] = json!("Service");
            fields["group"] = json!("");
        }
        fields
    })
}

fn own_match() -> impl Strategy<Value = Value> {
    let path = prop_oneof![
        Just(None),
        Just(Some(json!({"value": "/a"}))),
        Just(Some(json!({"type": "Exact", "value": "/b"}))),
        Just(Some(json!({"type": "PathPrefix"})))
    ];
    (path, any::<bool>()).prop_map(|(path, header)| {
        let mut fields = Map::new();
        if let Some(path) = path {
            fields.insert("path".to_owned(), path);
        }
        if header {
            fields.insert("headers".to_owned(), json!([{"name": "own", "value": "1"}]));
        }
        Value::Object(fields)
    })
}

fn rule() -> impl Strategy<Value = Value> {
    let refs = prop::collection::vec(reference(), 1..4);
    let matches = prop::option::of(prop::collection::vec(own_match(), 1..3));
    (refs, matches, prop::option::of("[a-z]{1,5}")).prop_map(|(refs, matches, note)| {
        let mut fields = json!({"backendRefs": refs});
        if let Some(matches) = matches {
            fields["matches"] = json!(matches);
        }
        if let Some(note) = note {
            fields["x-note"] = json!({"kept": note});
        }
        fields
    })
}

fn http_route() -> impl Strategy<Value = Object> {
    prop::collection::vec(rule(), 1..4).prop_map(|rules| {
        Object::new(json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "echo", "annotations": {"team": "blue"}},
            "spec": {"parentRefs": [{"name": "front"}], "rules": rules},
        }))
        .unwrap()
    })
}

fn routes() -> impl Strategy<Value = Routes> {
    let one = prop_oneof![
        Just(headers(&[exact("x", "1")])),
        Just(headers(&[regex("y", "2+"), exact("own", "1")])),
        Just(query(&[exact("q", "1")])),
        Just(path(MatchKind::PathPrefix, "/new")),
    ];
    let modifier = prop_oneof![Just(None), Just(Some(modifier()))];
    prop_oneof![
        1 => Just(Routes::Stable),
        6 => (prop::option::of(0_u32..=100), prop::collection::vec(one, 0..3), modifier).prop_map(
            |(weight, matches, request_header_modifier)| Routes::Split { weight, matches, request_header_modifier, mirror: None }
        ),
    ]
}

fn service() -> Object {
    object("{apiVersion: v1, kind: Service, metadata: {name: echo}, spec: {selector: {app: echo}}}")
}

fn with(route: &Object) -> ObjectSet {
    [service(), route.clone()].into_iter().collect()
}

/// The route with the API server's defaults written everywhere.
fn defaulted(route: &Object) -> Object {
    let mut route = route.clone();
    let Some(Value::Array(rules)) = route.get_mut("/spec/rules") else { return route };
    for rule in rules {
        let fields = rule.as_object_mut().unwrap();
        let matches = fields.entry("matches").or_insert_with(|| json!([{}]));
        for one in matches.as_array_mut().unwrap() {
            let one = one.as_object_mut().unwrap();
            let path = one.entry("path").or_insert_with(|| json!({})).as_object_mut().unwrap();
            path.entry("type").or_insert_with(|| json!("PathPrefix"));
            path.entry("value").or_insert_with(|| json!("/"));
            for header in one.get_mut("headers").and_then(Value::as_array_mut).into_iter().flatten() {
                header.as_object_mut().unwrap().entry("type").or_insert_with(|| json!("Exact"));
            }
        }
        for reference in fields["backendRefs"].as_array_mut().unwrap() {
            let reference = reference.as_object_mut().unwrap();
            reference.entry("kind").or_insert_with(|| json!("Service"));
            reference.entry("group").or_insert_with(|| json!(""));
            reference.entry("weight").or_insert_with(|| json!(1));
        }
    }
    route
}

fn weights(rule: &Value, name: &str) -> u64 {
    let refs = rule["backendRefs"].as_array().unwrap();
    refs.iter()
        .filter(|reference| reference["name"] == name)
        .map(|reference| reference.get("weight").map_or(1, |weight| weight.as_u64().unwrap()))
        .sum()
}

fn all(rule: &Value) -> u64 {
    ["echo", "echo-canary", "other", "third"].iter().map(|name| weights(rule, name)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Stable and canary together have the stable Service's own share, divided as the step says; everybody else keeps theirs.
    #[test]
    fn weights_divide_the_stable_share_exactly(http_route in http_route(), percent in 0_u32..=100) {
        let mut objects = with(&http_route);
        prop_assume!(route(&mut objects, &by_gateway(), &weight(percent)).is_ok());
        let after = got(&objects, "HTTPRoute", "echo");
        let before = http_route.to_value();
        let pairs = before["spec"]["rules"].as_array().unwrap().iter().zip(after["spec"]["rules"].as_array().unwrap());
        for (before, after) in pairs {
            if weights(before, "echo") == 0 {
                prop_assert_eq!(before, after);
                continue;
            }
            let (old, new) = (all(before), all(after));
            prop_assert_eq!(new % 100, 0);
            let canary = weights(after, "echo-canary");
            prop_assert_eq!((weights(after, "echo") + canary) * old, weights(before, "echo") * new);
            prop_assert_eq!(canary * 100 * old, weights(before, "echo") * u64::from(percent) * new);
            for name in ["other", "third"] {
                prop_assert_eq!(weights(after, name) * old, weights(before, name) * new);
            }
            if weights(before, "other") + weights(before, "third") == 0 && before["backendRefs"].as_array().unwrap().len() == 1 {
                prop_assert_eq!(new, 100);
            }
        }
    }

    /// Whatever was routed before, a step is made from the user's objects: the same step gives the same bytes, and the
    /// same step twice, or after any other, is the same.
    #[test]
    fn a_step_does_not_depend_on_the_one_before(http_route in http_route(), earlier in routes(), later in routes()) {
        let written = with(&http_route);
        let mut first = written.clone();
        let _ = route(&mut first, &by_gateway(), &earlier);
        let (mut one, mut two) = (written.clone(), written.clone());
        let answers = (route(&mut one, &by_gateway(), &later), route(&mut two, &by_gateway(), &later));
        prop_assert_eq!(&answers.0, &answers.1);
        prop_assert_eq!(&one, &two);
        if answers.0.is_err() {
            prop_assert_eq!(&one, &written);
        }
        let mut back = written.clone();
        route(&mut back, &by_gateway(), &Routes::Stable).unwrap();
        prop_assert_eq!(back, written);
    }

    /// The API server's defaults, written or not, give the same routes.
    #[test]
    fn defaults_written_or_not_give_the_same(http_route in http_route(), routes in routes()) {
        let (mut bare, mut full) = (with(&http_route), with(&defaulted(&http_route)));
        let answers = (route(&mut bare, &by_gateway(), &routes), route(&mut full, &by_gateway(), &routes));
        prop_assert_eq!(&answers.0, &answers.1);
        let key = http_route.key();
        prop_assert_eq!(defaulted(bare.get(&key).unwrap()), defaulted(full.get(&key).unwrap()));
    }

    /// What is not the route's business survives: other fields of the object, of rules and of references, and every rule.
    #[test]
    fn fields_of_others_survive(http_route in http_route(), routes in routes()) {
        let mut objects = with(&http_route);
        prop_assume!(route(&mut objects, &by_gateway(), &routes).is_ok());
        let (before, after) = (http_route.to_value(), got(&objects, "HTTPRoute", "echo"));
        prop_assert_eq!(&before["metadata"], &after["metadata"]);
        prop_assert_eq!(&before["spec"]["parentRefs"], &after["spec"]["parentRefs"]);
        // Canary rules apart, the rules are the user's, in their order, but for weights and the canary's references.
        let users = |rule: &&Value| rule["backendRefs"].as_array().unwrap().iter().any(|reference| reference["name"] != "echo-canary");
        let untouched: Vec<Value> = after["spec"]["rules"].as_array().unwrap().iter().filter(users).cloned().collect();
        let plain = |rules: &[Value]| -> Vec<Value> {
            rules.iter().map(|rule| {
                let mut rule = rule.clone();
                let refs = rule["backendRefs"].as_array_mut().unwrap();
                refs.retain(|reference| reference["name"] != "echo-canary");
                for reference in refs {
                    reference.as_object_mut().unwrap().remove("weight");
                }
                rule
            }).collect()
        };
        prop_assert_eq!(plain(&untouched), plain(before["spec"]["rules"].as_array().unwrap()));
    }

    /// A canary Ingress has nothing but paths of the stable Service, all of them, and the stable Ingress stays as it is.
    #[test]
    fn a_canary_ingress_has_the_stable_paths_and_no_others(
        rules in prop::collection::vec(prop::collection::vec(prop_oneof![Just("echo"), Just("other")], 0..4), 1..4),
        percent in 1_u32..=100,
    ) {
        let written: Vec<Value> = rules.iter().enumerate().map(|(number, backends)| json!({
            "host": format!("h{number}.example.com"),
            "http": {"paths": backends.iter().enumerate().map(|(path, name)| json!({
                "path": format!("/{path}"), "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}},
            })).collect::<Vec<_>>()},
        })).collect();
        let ingress = Object::new(json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "echo"}, "spec": {"rules": written},
        })).unwrap();
        let stable = rules.iter().flatten().filter(|name| **name == "echo").count();
        let mut objects: ObjectSet = [service(), ingress.clone()].into_iter().collect();
        let answer = route(&mut objects, &by_ingress(), &weight(percent));
        prop_assert_eq!(objects.get(&ingress.key()), Some(&ingress));
        if stable == 0 {
            prop_assert!(answer.is_err());
            return Ok(());
        }
        let canary = got(&objects, "Ingress", "echo-canary");
        let text = canary["spec"].to_string();
        prop_assert_eq!(text.matches("\"name\":\"echo-canary\"").count(), stable);
        prop_assert_eq!(text.matches("\"name\":").count(), stable);
        prop_assert_eq!(&canary["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"], &json!(percent.to_string()));
    }
}
