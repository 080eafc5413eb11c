use windlass::render::traffic::route;

use super::*;

/// Kruise's own example (`gateway_test.go`): the Service in two rules of four, one of them with two matches; written as a
/// person would, without the API's defaults.
pub(super) const SHOP: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: echo, annotations: {team: blue}}
spec:
  parentRefs: [{name: front}]
  hostnames: [shop.example.com]
  rules:
  - matches: [{path: {value: /web}}]
    backendRefs: [{name: web, port: 8080}]
  - name: store
    matches:
    - {path: {value: /store}, headers: [{name: version, value: v2}]}
    - {path: {value: /v2/store}}
    backendRefs: [{name: echo, port: 8080}]
    timeouts: {request: 10s}
  - matches: [{path: {value: /list}}]
    backendRefs: [{name: list, port: 8080}]
  - matches: [{path: {value: /storage}}]
    backendRefs: [{name: echo, port: 8080}]
";

fn routed(text: &str, routes: &Routes) -> Result<Value, String> {
    let mut objects = set(&[SERVICE, text]);
    let before = objects.clone();
    let answer = route(&mut objects, &by_gateway(), routes);
    if let Err(error) = answer {
        assert_eq!(objects, before, "an error changes nothing");
        return Err(error.to_string());
    }
    assert_eq!(got(&objects, "Service", "echo"), got(&before, "Service", "echo"));
    assert_eq!(objects.len(), before.len());
    Ok(got(&objects, "HTTPRoute", "echo"))
}

/// A route of one rule.
fn one_rule(rule: &str) -> String {
    format!("{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: echo}}, spec: {{rules: [{rule}]}}}}")
}

#[track_caller]
fn rules(text: &str, routes: &Routes, wanted: &str) {
    let route = routed(text, routes).unwrap();
    same(&route["spec"]["rules"], wanted);
}

/// The shop's rules with `before_store` and `before_storage` in their places.
fn shop(before_store: &str, before_storage: &str) -> String {
    format!(
        "
- matches: [{{path: {{value: /web}}}}]
  backendRefs: [{{name: web, port: 8080}}]
{before_store}
- name: store
  matches:
  - {{path: {{value: /store}}, headers: [{{name: version, value: v2}}]}}
  - {{path: {{value: /v2/store}}}}
  backendRefs: [{{name: echo, port: 8080}}]
  timeouts: {{request: 10s}}
- matches: [{{path: {{value: /list}}}}]
  backendRefs: [{{name: list, port: 8080}}]
{before_storage}
- matches: [{{path: {{value: /storage}}}}]
  backendRefs: [{{name: echo, port: 8080}}]
"
    )
}

#[test]
fn weight_20_in_every_rule_with_the_stable_service() {
    let route = routed(SHOP, &weight(20)).unwrap();
    same(
        &route,
        "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: echo, annotations: {team: blue}}
spec:
  parentRefs: [{name: front}]
  hostnames: [shop.example.com]
  rules:
  - matches: [{path: {value: /web}}]
    backendRefs: [{name: web, port: 8080}]
  - name: store
    matches:
    - {path: {value: /store}, headers: [{name: version, value: v2}]}
    - {path: {value: /v2/store}}
    backendRefs: [{name: echo, port: 8080, weight: 80}, {name: echo-canary, port: 8080, weight: 20}]
    timeouts: {request: 10s}
  - matches: [{path: {value: /list}}]
    backendRefs: [{name: list, port: 8080}]
  - matches: [{path: {value: /storage}}]
    backendRefs: [{name: echo, port: 8080, weight: 80}, {name: echo-canary, port: 8080, weight: 20}]
",
    );
}

#[test]
fn back_to_stable_is_what_the_user_wrote() {
    assert_eq!(routed(SHOP, &Routes::Stable).unwrap(), yaml(SHOP));
}

#[test]
fn no_percent_keeps_a_canary_ref_that_gets_nothing() {
    rules(
        &one_rule("{backendRefs: [{name: echo, port: 80}]}"),
        &weight(0),
        "[{backendRefs: [{name: echo, port: 80, weight: 100}, {name: echo-canary, port: 80, weight: 0}]}]",
    );
    rules(
        &one_rule("{backendRefs: [{name: echo, port: 80}]}"),
        &weight(100),
        "[{backendRefs: [{name: echo, port: 80, weight: 0}, {name: echo-canary, port: 80, weight: 100}]}]",
    );
}

#[test]
fn other_backends_of_a_rule_keep_their_share() {
    let rule = |refs: &str| one_rule(&format!("{{backendRefs: [{refs}]}}"));
    rules(
        &rule("{name: echo, port: 80, weight: 70}, {name: old, port: 80, weight: 30}"),
        &weight(20),
        "[{backendRefs: [{name: echo, port: 80, weight: 56}, {name: old, port: 80, weight: 30}, {name: echo-canary, port: 80, weight: 14}]}]",
    );
    rules(
        &rule("{name: echo, port: 80}, {name: old, port: 80}"),
        &weight(5),
        "[{backendRefs: [{name: echo, port: 80, weight: 95}, {name: old, port: 80, weight: 100}, {name: echo-canary, port: 80, weight: 5}]}]",
    );
    // No share, no part of it.
    rules(
        &one_rule(
            "{backendRefs: [{name: echo, port: 80}]}, {backendRefs: [{name: echo, port: 80, weight: 0}, {name: old, port: 80}]}",
        ),
        &weight(50),
        "
- backendRefs: [{name: echo, port: 80, weight: 50}, {name: echo-canary, port: 80, weight: 50}]
- backendRefs: [{name: echo, port: 80, weight: 0}, {name: old, port: 80}]
",
    );
    let error = routed(&rule("{name: echo, port: 80, weight: 999983}, {name: old, port: 80, weight: 999979}"), &weight(7));
    assert!(error.unwrap_err().contains("without passing 1000000"));
    let error = routed(&rule("{name: echo, port: 80, weight: -3}"), &weight(7));
    assert!(error.unwrap_err().contains("the weight of a backendRef is -3"));
}

#[test]
fn two_ports_of_the_service_are_divided_each() {
    rules(
        &one_rule("{backendRefs: [{name: echo, port: 80, weight: 60}, {name: echo, port: 81, weight: 40}]}"),
        &weight(50),
        "
- backendRefs:
  - {name: echo, port: 80, weight: 30}
  - {name: echo, port: 81, weight: 20}
  - {name: echo-canary, port: 80, weight: 30}
  - {name: echo-canary, port: 81, weight: 20}
",
    );
}

#[test]
fn only_the_service_itself_is_divided() {
    let refs = "
- {name: echo, port: 80}
- {name: echo, kind: ServiceImport, group: multicluster.x-k8s.io, port: 80}
- {name: echo, namespace: till, port: 80}
- {name: echo, namespace: shop, kind: Service, group: '', port: 80, weight: 1}
";
    let text = format!(
        "{{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: echo, namespace: shop}}, spec: {{rules: \
         [{{backendRefs: {}}}]}}}}",
        serde_json::to_string(&yaml(refs)).unwrap()
    );
    rules(
        &text,
        &weight(50),
        "
- backendRefs:
  - {name: echo, port: 80, weight: 25}
  - {name: echo, kind: ServiceImport, group: multicluster.x-k8s.io, port: 80, weight: 50}
  - {name: echo, namespace: till, port: 80, weight: 50}
  - {name: echo, namespace: shop, kind: Service, group: '', port: 80, weight: 25}
  - {name: echo-canary, port: 80, weight: 25}
  - {name: echo-canary, namespace: shop, kind: Service, group: '', port: 80, weight: 25}
",
    );
}

#[test]
fn headers_are_anded_onto_each_match() {
    let one = |id: &str| headers(&[regex("user_id", id), exact("canary", "true")]);
    let id = |id: &str| {
        format!("{{name: user_id, type: RegularExpression, value: '{id}'}}, {{name: canary, type: Exact, value: 'true'}}")
    };
    let (first, second) = (id("123*"), id("234*"));
    rules(
        SHOP,
        &matching(&[one("123*"), one("234*")]),
        &shop(
            &format!(
                "
- matches:
  - {{path: {{type: PathPrefix, value: /store}}, headers: [{{name: version, value: v2}}, {first}]}}
  - {{path: {{type: PathPrefix, value: /store}}, headers: [{{name: version, value: v2}}, {second}]}}
  - {{path: {{type: PathPrefix, value: /v2/store}}, headers: [{first}]}}
  - {{path: {{type: PathPrefix, value: /v2/store}}, headers: [{second}]}}
  backendRefs: [{{name: echo-canary, port: 8080}}]
  timeouts: {{request: 10s}}"
            ),
            &format!(
                "
- matches:
  - {{path: {{type: PathPrefix, value: /storage}}, headers: [{first}]}}
  - {{path: {{type: PathPrefix, value: /storage}}, headers: [{second}]}}
  backendRefs: [{{name: echo-canary, port: 8080}}]"
            ),
        ),
    );
}

#[test]
fn query_parameters_are_anded_beside_headers() {
    let wanted =
        "queryParams: [{name: user_id, type: RegularExpression, value: '123*'}, {name: canary, type: Exact, value: 'true'}]";
    rules(
        SHOP,
        &matching(&[query(&[regex("user_id", "123*"), exact("canary", "true")])]),
        &shop(
            &format!(
                "
- matches:
  - {{path: {{type: PathPrefix, value: /store}}, headers: [{{name: version, value: v2}}], {wanted}}}
  - {{path: {{type: PathPrefix, value: /v2/store}}, {wanted}}}
  backendRefs: [{{name: echo-canary, port: 8080}}]
  timeouts: {{request: 10s}}"
            ),
            &format!(
                "
- matches: [{{path: {{type: PathPrefix, value: /storage}}, {wanted}}}]
  backendRefs: [{{name: echo-canary, port: 8080}}]"
            ),
        ),
    );
    let both = HttpMatch { headers: vec![exact("h", "1")], query_params: vec![exact("q", "2")], path: None };
    rules(
        &one_rule("{backendRefs: [{name: echo, port: 80}]}"),
        &matching(&[both]),
        "
- matches:
  - path: {type: PathPrefix, value: /}
    headers: [{name: h, type: Exact, value: '1'}]
    queryParams: [{name: q, type: Exact, value: '2'}]
  backendRefs: [{name: echo-canary, port: 80}]
- backendRefs: [{name: echo, port: 80}]
",
    );
}

#[test]
fn a_path_replaces_the_rules_own_matches_once() {
    let wanted = HttpMatch {
        headers: vec![exact("canary", "true")],
        query_params: vec![exact("user_id", "1")],
        ..path(MatchKind::PathPrefix, "/storage/v2")
    };
    rules(
        SHOP,
        &matching(&[wanted]),
        &shop(
            "
- matches:
  - path: {type: PathPrefix, value: /storage/v2}
    headers: [{name: canary, type: Exact, value: 'true'}]
    queryParams: [{name: user_id, type: Exact, value: '1'}]
  backendRefs: [{name: echo-canary, port: 8080}]
  timeouts: {request: 10s}",
            "",
        ),
    );
}

#[test]
fn a_canary_rule_stands_before_its_own_and_so_wins_at_equal_rank() {
    rules(
        &one_rule("{matches: [{path: {type: Exact, value: /a}}], backendRefs: [{name: echo, port: 80}]}"),
        &matching(&[path(MatchKind::Exact, "/a")]),
        "
- matches: [{path: {type: Exact, value: /a}}]
  backendRefs: [{name: echo-canary, port: 80}]
- matches: [{path: {type: Exact, value: /a}}]
  backendRefs: [{name: echo, port: 80}]
",
    );
}

#[test]
fn a_condition_that_the_rule_has_already_is_not_written_twice() {
    let text = one_rule(
        "{matches: [{headers: [{name: X-Canary, value: '1'}]}, {headers: [{name: x-canary, value: '2'}]}], \
         backendRefs: [{name: echo, port: 80}]}",
    );
    rules(
        &text,
        &matching(&[headers(&[exact("x-canary", "1")])]),
        "
- matches: [{path: {type: PathPrefix, value: /}, headers: [{name: X-Canary, value: '1'}]}]
  backendRefs: [{name: echo-canary, port: 80}]
- matches: [{headers: [{name: X-Canary, value: '1'}]}, {headers: [{name: x-canary, value: '2'}]}]
  backendRefs: [{name: echo, port: 80}]
",
    );
    let error = routed(&text, &matching(&[headers(&[exact("x-canary", "3")])])).unwrap_err();
    assert_eq!(error, "HTTPRoute `echo`: no request that its rules send to Service `echo` can fit the step's `matches`");
    let error = routed(&text, &matching(&[headers(&[regex("x-canary", "3")])])).unwrap_err();
    assert!(error.starts_with("HTTPRoute cannot express a second condition on the header `x-canary`"), "{error}");
}

#[test]
fn matches_and_a_weight_do_both() {
    rules(
        &one_rule("{backendRefs: [{name: echo, port: 80}]}"),
        &Routes::Split {
            weight: Some(10),
            matches: vec![headers(&[exact("x", "1")])],
            request_header_modifier: None,
            mirror: None,
        },
        "
- matches: [{path: {type: PathPrefix, value: /}, headers: [{name: x, type: Exact, value: '1'}]}]
  backendRefs: [{name: echo-canary, port: 80}]
- backendRefs: [{name: echo, port: 80, weight: 90}, {name: echo-canary, port: 80, weight: 10}]
",
    );
}

#[test]
fn header_changes_are_a_filter_of_the_canary_alone() {
    let change = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-version, value: new}], \
                  add: [{name: x-via, value: canary}], remove: [x-old]}}";
    rules(
        &one_rule("{backendRefs: [{name: echo, port: 80}]}"),
        &Routes::Split { weight: Some(10), matches: Vec::new(), request_header_modifier: Some(modifier()), mirror: None },
        &format!(
            "
- backendRefs:
  - {{name: echo, port: 80, weight: 90}}
  - {{name: echo-canary, port: 80, weight: 10, filters: [{change}]}}
"
        ),
    );
    rules(
        &one_rule("{backendRefs: [{name: echo, port: 80}]}"),
        &Routes::Split {
            weight: None,
            matches: vec![headers(&[exact("x", "1")])],
            request_header_modifier: Some(modifier()),
            mirror: None,
        },
        &format!(
            "
- matches: [{{path: {{type: PathPrefix, value: /}}, headers: [{{name: x, type: Exact, value: '1'}}]}}]
  filters: [{change}]
  backendRefs: [{{name: echo-canary, port: 80}}]
- backendRefs: [{{name: echo, port: 80}}]
"
        ),
    );
}

#[test]
fn header_changes_join_the_users_own_filter() {
    let own = "{type: RequestMirror, requestMirror: {backendRef: {name: spy, port: 80}}}, {type: RequestHeaderModifier, \
               requestHeaderModifier: {set: [{name: X-Version, value: old}, {name: x-keep, value: '1'}], \
               add: [{name: X-Via, value: gate}], remove: [x-gone]}}";
    let joined = "{type: RequestMirror, requestMirror: {backendRef: {name: spy, port: 80}}}, {type: RequestHeaderModifier, \
                  requestHeaderModifier: {set: [{name: x-keep, value: '1'}, {name: x-version, value: new}], \
                  add: [{name: X-Via, value: 'gate,canary'}], remove: [x-gone, x-old]}}";
    rules(
        &one_rule(&format!("{{filters: [{own}], backendRefs: [{{name: echo, port: 80}}]}}")),
        &Routes::Split {
            weight: None,
            matches: vec![headers(&[exact("x", "1")])],
            request_header_modifier: Some(modifier()),
            mirror: None,
        },
        &format!(
            "
- matches: [{{path: {{type: PathPrefix, value: /}}, headers: [{{name: x, type: Exact, value: '1'}}]}}]
  filters: [{joined}]
  backendRefs: [{{name: echo-canary, port: 80}}]
- filters: [{own}]
  backendRefs: [{{name: echo, port: 80}}]
"
        ),
    );
}

#[test]
fn a_rule_that_rewrites_its_prefix_gets_one_canary_rule_for_each_match() {
    let filters = "filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]";
    let text = one_rule(&format!(
        "{{matches: [{{path: {{type: PathPrefix, value: /a}}}}], {filters}, backendRefs: [{{name: echo, port: 80}}]}}"
    ));
    rules(
        &text,
        &matching(&[headers(&[exact("x", "1")]), headers(&[exact("z", "2")])]),
        &format!(
            "
- matches: [{{path: {{type: PathPrefix, value: /a}}, headers: [{{name: x, type: Exact, value: '1'}}]}}]
  {filters}
  backendRefs: [{{name: echo-canary, port: 80}}]
- matches: [{{path: {{type: PathPrefix, value: /a}}, headers: [{{name: z, type: Exact, value: '2'}}]}}]
  {filters}
  backendRefs: [{{name: echo-canary, port: 80}}]
- matches: [{{path: {{type: PathPrefix, value: /a}}}}]
  {filters}
  backendRefs: [{{name: echo, port: 80}}]
"
        ),
    );
    let error = routed(&text, &matching(&[path(MatchKind::Exact, "/a")])).unwrap_err();
    assert!(error.contains("`replacePrefixMatch`"), "{error}");
}

#[test]
fn what_a_route_cannot_say_is_an_error_with_the_nearest_way() {
    let refused = |matches: &[HttpMatch], wanted: &str| {
        let error = routed(SHOP, &matching(matches)).unwrap_err();
        assert!(error.starts_with(&format!("HTTPRoute cannot express {wanted}")), "{error}");
    };
    refused(&[HttpMatch::default()], "a match without conditions: use `traffic: 100%`");
    refused(&[headers(&[exact("canary-by-cookie", "beta")])], "a match by cookie as header `canary-by-cookie`: match the header");
    refused(&[headers(&[exact("X", "1"), exact("x", "2")])], "two conditions on the header `x` in one match");
    refused(&[query(&[exact("x", "1"), exact("x", "2")])], "two conditions on the query parameter `x` in one match");
    refused(&[query(&[named(MatchKind::PathPrefix, "x", "1")])], "type `PathPrefix` for `x`");
    // Query parameters are told apart by case.
    routed(SHOP, &matching(&[query(&[exact("X", "1"), exact("x", "2")])])).unwrap();
}

#[test]
fn a_route_that_would_grow_past_the_apis_limits_is_refused() {
    let rule = "{matches: [{path: {value: /a}}], backendRefs: [{name: echo, port: 80}]}";
    let text = one_rule(&[rule; 9].join(", "));
    let error = routed(&text, &matching(&[headers(&[exact("x", "1")])])).unwrap_err();
    assert_eq!(error, "HTTPRoute `echo`: this step would give it 18 rules, and 16 is the most that the API takes");
    let matches: Vec<HttpMatch> = (0..16).map(|number| headers(&[exact("x", &number.to_string())])).collect();
    let wide = one_rule(
        "{matches: [{path: {value: /a}}, {path: {value: /b}}, {path: {value: /c}}, {path: {value: /d}}, \
                         {path: {value: /e}}], backendRefs: [{name: echo, port: 80}]}",
    );
    let error = routed(&wide, &matching(&matches)).unwrap_err();
    assert_eq!(error, "HTTPRoute `echo`: this step would give it 80 matches in one rule, and 64 is the most that the API takes");
}
