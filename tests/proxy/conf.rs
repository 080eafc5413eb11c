//! What Ingresses with nginx' canary annotations, HTTPRoutes and Istio's VirtualServices mean in nginx' own words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::Value;
use windlass::manifest::{Object, ObjectSet};
use windlass::sim::cluster::Cluster;

/// Who gets the requests that fit: Services and their weights.
type Backends = Vec<(String, u64)>;

/// One rule: header names and what they must be (nginx' pattern), all of them; then who gets the request, and which headers it has then.
pub(super) struct Rule {
    headers: Vec<(String, String)>,
    backends: Backends,
    marks: Vec<(String, String)>,
}

/// The `http` block for requests to `host`: the pods, the Services, and how requests find them.
pub(super) fn of(live: &ObjectSet, cluster: &Cluster, host: &str) -> String {
    let rules = ingress_rules(live, host)
        .or_else(|| route_rules(live, |route| has_host(route, host)))
        .or_else(|| mesh_rules(live, host))
        .expect("a route to the host");
    pods(cluster, &[&rules]) + &router("front", &rules)
}

/// A chain of calls: requests to `host` come to an app, which passes them on, with all headers, to the app that their path names. Each
/// of these has an HTTPRoute of its own name.
pub(super) fn chain(live: &ObjectSet, cluster: &Cluster, host: &str, apps: &[&str]) -> String {
    let entry = route_rules(live, |route| has_host(route, host)).expect("a route to the host");
    let rules = |app: &&str| route_rules(live, |route| route.name() == *app).expect("a route of the app");
    let all: Vec<Vec<Rule>> = apps.iter().map(rules).collect();
    let mut text = pods(cluster, &all.iter().collect::<Vec<_>>()) + &router("front", &entry);
    let services: BTreeSet<&String> = entry.iter().flat_map(|rule| rule.backends.iter().map(|(service, _)| service)).collect();
    for service in services {
        writeln!(text, "upstream {service} {{ server unix:{service}-pod.sock; }}").unwrap();
        writeln!(text, "server {{\n  listen unix:{service}-pod.sock;").unwrap();
        for app in apps {
            writeln!(text, "  location /{app} {{ proxy_pass http://to-{app}; }}").unwrap();
        }
        text.push_str("}\n");
    }
    for (app, rules) in apps.iter().zip(&all) {
        writeln!(text, "upstream to-{app} {{ server unix:{app}.sock; }}").unwrap();
        text.push_str(&router(app, rules));
    }
    text
}

/// The pods behind the Services of these rules; each answers with its version.
fn pods(cluster: &Cluster, rules: &[&Vec<Rule>]) -> String {
    let mut text = String::new();
    let backends = rules.iter().copied().flatten().flat_map(|rule| &rule.backends);
    let services: BTreeSet<&String> = backends.map(|(service, _)| service).collect();
    let mut versions = BTreeSet::from(["nobody".to_owned()]);
    for service in services {
        let mut pods: BTreeMap<String, usize> = BTreeMap::new();
        for pod in cluster.endpoints("shop", service) {
            *pods.entry(pod.labels["version"].clone()).or_default() += 1;
        }
        if pods.is_empty() {
            pods.insert("nobody".to_owned(), 1);
        }
        writeln!(text, "upstream {service} {{").unwrap();
        for (version, count) in pods {
            writeln!(text, "  server unix:{version}.sock weight={count};").unwrap();
            versions.insert(version);
        }
        text.push_str("}\n");
    }
    for version in versions {
        writeln!(text, "server {{ listen unix:{version}.sock; return 200 {version}; }}").unwrap();
    }
    text
}

fn variable(header: &str) -> String {
    header.to_lowercase().replace('-', "_")
}

/// A server on `NAME.sock` that sends requests on by rules.
fn router(name: &str, rules: &[Rule]) -> String {
    let mut text = String::new();
    let (mut fits, mut chosen) = (String::new(), String::new());
    let mut marks: BTreeMap<String, String> = BTreeMap::new();
    for (number, rule) in rules.iter().enumerate() {
        let values: Vec<String> = rule.headers.iter().map(|(header, _)| format!("$http_{}", variable(header))).collect();
        let wanted: Vec<&str> = rule.headers.iter().map(|(_, wanted)| wanted.as_str()).collect();
        writeln!(
            text,
            "map \"headers:{}\" $fits_{name}{number} {{ default 0; \"~^headers:{}$\" 1; }}",
            values.join("|"),
            wanted.join("[|]")
        )
        .unwrap();
        text.push_str(&split(&format!("{name}{number}"), &rule.backends));
        write!(fits, "$fits_{name}{number}").unwrap();
        let first = format!("~^{}1", "0".repeat(number));
        writeln!(chosen, "  {first} $service_{name}{number};").unwrap();
        for (header, value) in &rule.marks {
            writeln!(marks.entry(header.clone()).or_default(), "  {first} {value};").unwrap();
        }
    }
    writeln!(text, "map {fits} $service_{name} {{\n  default \"\";\n{chosen}}}").unwrap();
    let mut sets = String::new();
    for (header, cases) in marks {
        let field = variable(&header);
        writeln!(text, "map {fits} $mark_{name}_{field} {{\n  default $http_{field};\n{cases}}}").unwrap();
        writeln!(sets, "    proxy_set_header {header} $mark_{name}_{field};").unwrap();
    }
    writeln!(
        text,
        "server {{\n  listen unix:{name}.sock;\n  location / {{\n{sets}    proxy_pass http://$service_{name};\n  }}\n}}"
    )
    .unwrap();
    text
}

/// Dice between Services, by the number that each request carries.
fn split(rule: &str, backends: &Backends) -> String {
    let all: u64 = backends.iter().map(|(_, weight)| weight).sum();
    let mut text = format!("split_clients \"$arg_n\" $service_{rule} {{\n");
    let mut there: Vec<&(String, u64)> = backends.iter().filter(|(_, weight)| *weight > 0).collect();
    let last = there.pop().expect("a rule that sends its requests to somebody");
    for (service, weight) in there {
        let hundredths = weight * 10_000 / all;
        writeln!(text, "  {}.{:02}% {service};", hundredths / 100, hundredths % 100).unwrap();
    }
    writeln!(text, "  * {};\n}}", last.0).unwrap();
    text
}

fn annotation<'a>(ingress: &'a Object, name: &str) -> Option<&'a str> {
    ingress.text(&format!("/metadata/annotations/nginx.ingress.kubernetes.io~1{name}"))
}

/// The Service of the Ingress' first path of the host.
fn service(ingress: &Object, host: &str) -> Option<String> {
    let rules = ingress.get("/spec/rules")?.as_array()?;
    let rule = rules.iter().find(|rule| rule["host"] == host)?;
    rule.pointer("/http/paths/0/backend/service/name")?.as_str().map(str::to_owned)
}

/// By ingress-nginx' documentation: of a canary's annotations the header decides first, then the weight.
fn ingress_rules(live: &ObjectSet, host: &str) -> Option<Vec<Rule>> {
    let ingresses: Vec<&Object> = live.values().filter(|object| object.kind() == "Ingress").collect();
    let is_canary = |ingress: &&&Object| annotation(ingress, "canary") == Some("true");
    let stable = ingresses.iter().find(|ingress| !is_canary(ingress)).and_then(|ingress| service(ingress, host))?;
    let mut rules = Vec::new();
    let mut backends = vec![(stable, 100)];
    if let Some(canary) = ingresses.iter().find(is_canary) {
        let service = service(canary, host)?;
        if let Some(header) = annotation(canary, "canary-by-header") {
            let value = annotation(canary, "canary-by-header-value").map(exact);
            let pattern = annotation(canary, "canary-by-header-pattern").map(|pattern| format!(".*{pattern}.*"));
            let wanted = value.or(pattern).unwrap_or_else(|| "always".to_owned());
            rules.push(Rule {
                headers: vec![(header.to_owned(), wanted)],
                backends: vec![(service.clone(), 1)],
                marks: Vec::new(),
            });
        }
        let weight = annotation(canary, "canary-weight").map_or(0, |weight| weight.parse().unwrap());
        backends[0].1 -= weight;
        backends.push((service, weight));
    }
    rules.push(Rule { headers: Vec::new(), backends, marks: Vec::new() });
    Some(rules)
}

fn list<'a>(object: &'a Object, pointer: &str) -> &'a [Value] {
    object.get(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn has_host(route: &Object, host: &str) -> bool {
    list(route, "/spec/hostnames").iter().any(|name| name == host)
}

/// By the Gateway API's specification: the match with most headers comes first, then the first in order; a weight is 1 by default; a
/// rule's filters change the requests that fit it.
fn route_rules(live: &ObjectSet, is_it: impl Fn(&Object) -> bool) -> Option<Vec<Rule>> {
    let route = live.values().find(|object| object.kind() == "HTTPRoute" && is_it(object))?;
    let mut found = Vec::new();
    for rule in list(route, "/spec/rules") {
        let part = |field: &str| rule[field].as_array().cloned().unwrap_or_default();
        let backend = |backend: &Value| (backend["name"].as_str().unwrap().to_owned(), backend["weight"].as_u64().unwrap_or(1));
        let backends: Backends = part("backendRefs").iter().map(backend).collect();
        let filters = part("filters");
        let sets = filters.iter().filter_map(|filter| filter.pointer("/requestHeaderModifier/set")?.as_array());
        let text = |header: &Value, field: &str| header[field].as_str().unwrap().to_owned();
        let marks: Vec<_> = sets.flatten().map(|header| (text(header, "name"), text(header, "value"))).collect();
        let mut matches = part("matches");
        if matches.is_empty() {
            matches.push(Value::Null);
        }
        for one in matches {
            let headers = one["headers"].as_array().cloned().unwrap_or_default();
            let header = |header: &Value| {
                let value = header["value"].as_str().unwrap();
                let wanted = if header["type"] == "RegularExpression" { value.to_owned() } else { exact(value) };
                (header["name"].as_str().unwrap().to_owned(), wanted)
            };
            let headers = headers.iter().map(header).collect();
            found.push(Rule { headers, backends: backends.clone(), marks: marks.clone() });
        }
    }
    found.sort_by_key(|rule| std::cmp::Reverse(rule.headers.len()));
    Some(found)
}

/// By Istio's reference: the first route that fits, in order; its weights, or one destination alone.
fn mesh_rules(live: &ObjectSet, host: &str) -> Option<Vec<Rule>> {
    let is_route =
        |object: &&Object| object.kind() == "VirtualService" && list(object, "/spec/hosts").iter().any(|name| name == host);
    let service = live.values().find(is_route)?;
    let mut found = Vec::new();
    for route in list(service, "/spec/http") {
        let part = |field: &str| route[field].as_array().cloned().unwrap_or_default();
        let destination = |destination: &Value| {
            let name = destination.pointer("/destination/host").and_then(Value::as_str).unwrap();
            (name.to_owned(), destination["weight"].as_u64().unwrap_or(100))
        };
        let backends: Backends = part("route").iter().map(destination).collect();
        let mut matches = part("match");
        if matches.is_empty() {
            matches.push(Value::Null);
        }
        for one in matches {
            let headers = one["headers"].as_object().cloned().unwrap_or_default();
            let header = |(name, value): (&String, &Value)| {
                let wanted = value["exact"].as_str().map(exact).or_else(|| value["regex"].as_str().map(str::to_owned));
                (name.clone(), wanted.expect("a header that is exact, or a pattern"))
            };
            found.push(Rule { headers: headers.iter().map(header).collect(), backends: backends.clone(), marks: Vec::new() });
        }
    }
    Some(found)
}

/// A pattern that fits this text alone.
fn exact(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter.to_string() } else { format!("[{letter}]") }).collect()
}
