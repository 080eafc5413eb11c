//! docs/reference/providers.md: which provider can do what, found by asking each of them. And the laws that hold for all.

use std::fmt::Write as _;
use std::path::PathBuf;

use proptest::prelude::*;
use windlass::render::traffic::{check, known, route};

use super::samples::{Sample, questions, samples};
use super::*;

fn can(sample: &Sample, routes: &Routes) -> bool {
    route(&mut sample.set(), &sample.routing, routes).is_ok()
}

/// A cell: `yes`, `no`, or which of the questions of this column find a yes.
fn cell(sample: &Sample, column: &str) -> String {
    let asked: Vec<(&str, bool)> = questions()
        .into_iter()
        .filter(|(name, _, _)| *name == column)
        .map(|(_, question, routes)| (question, can(sample, &routes)))
        .collect();
    let yes: Vec<&str> = asked.iter().filter(|(_, can)| *can).map(|(question, _)| *question).collect();
    match yes.len() {
        0 => "no".to_owned(),
        some if some == asked.len() => "yes".to_owned(),
        _ => yes.join(", "),
    }
}

fn page() -> String {
    let mut columns: Vec<&str> = Vec::new();
    for (column, _, _) in questions() {
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let mut text = String::from(
        "# Providers of traffic\n\nWhat a step can ask of each kind of route. Where it says `no`, `windlass validate` and every run refuse the step and \
         name\nthe nearest way. Made by a test that asks each provider; `WINDLASS_UPDATE=1 cargo test --test main providers` writes it \
         anew.\n\n",
    );
    let _ = writeln!(text, "| entry of `trafficRoutings` | object | {} | shared |", columns.join(" | "));
    let _ = writeln!(text, "|{}", "---|".repeat(columns.len() + 3));
    for sample in samples() {
        let cells: Vec<String> = columns.iter().map(|column| cell(&sample, column)).collect();
        let shared = if shared::can(&sample) { "yes" } else { "no" };
        let _ = writeln!(text, "| {} | {} | {} | {shared} |", sample.entry, sample.label, cells.join(" | "));
    }
    text.push_str(NOTES);
    text
}

const NOTES: &str = "
- *share*: `traffic: 20%`. *one header*, *query*, *path*: a match of that kind, `Exact` or `RegularExpression`. *several headers*: all
  must fit. *choice of matches*: several entries of `matches`, any of which suffices. *cookie*: `headers: [{name: canary-by-cookie, value: NAME}]`,
  for requests that carry the cookie with the value `always`.
- *shared*: in a [TrafficRouting](../tasks/shared-routing.md) that several Rollouts share, with header changes.
- *header changes*: `requestHeaderModifier`. *mirror*: `mirror: 10%`, a copy of requests to the stable version.
- Stickiness that you have in the object (a cookie, consistent hashing, target group stickiness) comes through as it is.
- `classType: traefik` names a TraefikService, the same as in `customNetworkRefs`. Routes of the Gateway API can be named there,
  too. Kong and others that read the Gateway API go by `gateway`.
- A DestinationRule that is named gets a copy for the canary Service while the step routes. With `disableGenerateCanaryService: true`
  the versions are subsets of one Service instead: the VirtualService names a subset of yours for the stable version, and
  the DestinationRule gets a subset `canary`.
- A Lua script gets the share, the matches and the header changes; what it makes of them is its own matter. A script for a kind or class that
  has a provider here takes that one's place.
- Lists of weights are whole percents and add up to 100 (the Gateway API's to hundreds). Other backends of a list keep their share.
";

#[test]
fn the_table_of_providers_is_what_they_answer() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference/providers.md");
    let page = page();
    if std::env::var_os("WINDLASS_UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(&path).unwrap_or_default(),
        page,
        "docs/reference/providers.md is not what the providers answer; write it anew: WINDLASS_UPDATE=1 cargo test --test main providers"
    );
}

#[test]
fn every_known_provider_has_a_sample() {
    let mut labels: Vec<&str> = samples().iter().map(|sample| sample.label).collect();
    labels.sort_unstable();
    labels.dedup();
    let mut wanted = known();
    wanted.sort_unstable();
    assert_eq!(labels, wanted);
}

#[test]
fn what_a_rollout_can_name_and_what_can_be_done_are_the_same() {
    for (group, kind) in windlass::api::CUSTOM_KINDS {
        let reference = WorkloadRef::new(format!("{group}/v1"), kind, "echo");
        let alone = TrafficRouting { custom: vec![reference], ..routing() };
        // Beside a route, since not every kind is one.
        let routing = TrafficRouting { gateway: by_gateway().gateway, ..alone };
        let found = check(&set(&[SERVICE, gateway::SHOP]), &rollout(vec![routing], Vec::new()));
        let said: Vec<String> = found.iter().map(|(_, error)| error.to_string()).collect();
        if (group, kind) != ("gateway.networking.k8s.io", "HTTPRoute") {
            assert_eq!(said, [format!("{kind} `echo` does not exist in the source")]);
        }
    }
}

/// Whether everything in `before` is in `after`, in its order: fields of mappings, entries of lists. What a provider owns may
/// differ: weights, the ports and names of backends that go by an action, annotations (looked at elsewhere).
fn kept(before: &Value, after: &Value, at: &str) -> Result<(), String> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (key, value) in before {
                if ["weight", "annotations"].contains(&key.as_str()) || (at.ends_with("/service") && key == "port") {
                    continue;
                }
                let there = after.get(key).ok_or_else(|| format!("{at}/{key} is gone"))?;
                kept(value, there, &format!("{at}/{key}"))?;
            }
            Ok(())
        }
        (Value::Array(before), Value::Array(after)) => {
            let mut rest = after.iter();
            for (index, value) in before.iter().enumerate() {
                let at = format!("{at}/{index}");
                if !rest.any(|candidate| kept(value, candidate, &at).is_ok()) {
                    return Err(format!("{at} is gone"));
                }
            }
            Ok(())
        }
        _ if before == after => Ok(()),
        _ => Err(format!("{at} was {before} and is {after}")),
    }
}

/// The sums of weights in every list that a canary backend is in, mirrors left out.
fn sums(value: &Value, found: &mut Vec<u64>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| sums(value, found)),
        Value::Array(list) => {
            let written = |one: &Value| one.get("weight").or_else(|| one.get("Weight")).and_then(Value::as_u64);
            let shares = || list.iter().filter(|one| one["mirror"] != true);
            if shares().any(|one| written(one).is_some() && one.to_string().contains("canary")) {
                // The Gateway API's default, which is not written anew.
                found.push(shares().map(|one| written(one).unwrap_or(1)).sum());
            }
            list.iter().for_each(|value| sums(value, found));
        }
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            if let Ok(inner) = serde_json::from_str(text) {
                sums(&inner, found);
            }
        }
        _ => {}
    }
}

fn any_routes() -> impl Strategy<Value = Routes> {
    let all: Vec<Routes> = questions().into_iter().map(|(_, _, routes)| routes).collect();
    let (weights, sample) = ((0_u32..=100).prop_map(weight), prop::sample::select(all));
    prop_oneof![1 => Just(Routes::Stable), 3 => weights, 6 => sample]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    /// A step's objects are made from the user's; an answer that is an error changes nothing; the end restores every byte.
    #[test]
    fn steps_do_not_depend_on_each_other(earlier in any_routes(), later in any_routes()) {
        for sample in samples() {
            let written = sample.set();
            let (mut one, mut two) = (written.clone(), written.clone());
            let _ = route(&mut one.clone(), &sample.routing, &earlier);
            let answers = (route(&mut one, &sample.routing, &later), route(&mut two, &sample.routing, &later));
            prop_assert_eq!(&answers.0, &answers.1);
            prop_assert_eq!(&one, &two);
            if answers.0.is_err() {
                prop_assert_eq!(&one, &written, "{}: an error changes nothing", sample.name);
            }
            let mut back = written.clone();
            route(&mut back, &sample.routing, &Routes::Stable).unwrap();
            prop_assert_eq!(back, written);
        }
    }

    /// What the user wrote is still there, and every list of weights with a canary adds up to hundreds.
    #[test]
    fn nothing_of_the_users_is_lost_and_weights_add_up(routes in any_routes()) {
        for sample in samples() {
            let before = sample.set();
            let mut after = before.clone();
            if route(&mut after, &sample.routing, &routes).is_err() {
                continue;
            }
            // Its one destination becomes a list of two.
            let rewritten = sample.name == "routetable";
            for (key, object) in before.iter().filter(|_| !rewritten) {
                let there = after.get(key).map(Object::to_value);
                let there = there.ok_or_else(|| TestCaseError::fail(format!("{}: {key} is gone", sample.name)))?;
                kept(&object.to_value(), &there, "").map_err(|lost| TestCaseError::fail(format!("{}: {lost}", sample.name)))?;
            }
            let mut found = Vec::new();
            after.values().for_each(|object| sums(&object.to_value(), &mut found));
            for sum in &found {
                prop_assert!(*sum > 0 && sum % 100 == 0, "{}: {sum}", sample.name);
            }
        }
    }

    /// `check` finds fault with a step exactly where the route of that step cannot be made.
    #[test]
    fn what_cannot_be_made_is_found_before(routes in any_routes()) {
        let Routes::Split { weight, matches, request_header_modifier, mirror } = &routes else { return Ok(()) };
        for sample in samples() {
            let mut asked = step(*weight, matches);
            asked.request_header_modifier = request_header_modifier.clone();
            asked.mirror = *mirror;
            let found = check(&sample.set(), &rollout(vec![sample.routing.clone()], vec![asked]));
            let made = route(&mut sample.set(), &sample.routing, &routes);
            prop_assert_eq!(found.is_empty(), made.is_ok(), "{}: {:?} {:?}", sample.name, found, made);
        }
    }
}
