//! Several Rollouts in one directory, as a person at a terminal meets them.

use crate::examples::copy;

#[test]
fn validate_and_plan_show_whose_each_object_is() {
    let desk = copy("several-rollouts");
    let lines = [
        "api      ConfigMap shop/api-config, Service shop/api, Deployment shop/api",
        "web      ConfigMap shop/web-config, Service shop/web, Deployment shop/web",
        "rest     ConfigMap shop/shop-common (api, web)",
    ];
    desk.windlass(&["validate", "apps"]).exits(0).tells(&lines).tells(&["scopes of apps/shop"]);
    let said = desk.windlass(&["validate", "apps", "--output", "json"]).exits(0).json();
    let objects = said["scopes"][0]["objects"].as_array().unwrap();
    let shared = objects.iter().find(|object| object["name"] == "shop-common").unwrap();
    assert_eq!((&shared["scope"], &shared["reachedBy"]), (&serde_json::Value::Null, &serde_json::json!(["api", "web"])));

    desk.windlass(&["run"]).exits(0);
    desk.edit("apps/shop/common.yaml", "EUR", "USD").edit("apps/shop/web.yaml", "web:1.0.0", "web:1.1.0").commit("both");
    desk.windlass(&["plan", "web"])
        .exits(0)
        .tells(&lines)
        .tells(&["follow the source first, at once: ConfigMap shop/shop-common"]);
    let said = desk.windlass(&["plan", "web", "--output", "json"]).exits(0).json();
    assert_eq!(said["rest"], serde_json::json!({"changes": ["ConfigMap shop/shop-common"], "changeHands": []}));
    let web = said["scopes"].as_array().unwrap().iter().find(|object| object["name"] == "web-config").unwrap().clone();
    assert_eq!(web["scope"], "web");
    let first = &said["commits"][0]["files"];
    assert_eq!(first, &serde_json::json!(["deployment-web.yaml"]), "the shared ConfigMap is no part of the release");
}

#[test]
fn with_one_rollout_nobody_is_told_of_scopes() {
    let desk = copy("plain-deployment");
    desk.windlass(&["run"]).exits(0);
    assert!(!desk.windlass(&["validate", "apps"]).exits(0).out.contains("scope"));
    assert!(!desk.windlass(&["plan"]).exits(0).out.contains("scope"));
    let said = desk.windlass(&["plan", "--output", "json"]).exits(0).json();
    assert!(said.get("scopes").is_none() && said.get("rest").is_none());
}

#[test]
fn a_route_that_two_need_is_a_finding() {
    let desk = copy("several-rollouts");
    desk.edit("apps/shop/web.yaml", "  selector: {app: web}", "  selector: {tier: front}");
    for name in ["web", "api"] {
        desk.edit(
            &format!("apps/shop/{name}.yaml"),
            &format!("labels: {{app: {name}}}"),
            &format!("labels: {{app: {name}, tier: front}}"),
        );
    }
    desk.write(
        "apps/shop/ingress.yaml",
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, namespace: shop}\nspec: {ingressClassName: nginx, rules: \
         [{host: web.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}\n",
    );
    desk.edit(
        "apps/shop/web-rollout.yaml",
        "    canary:\n",
        "    canary:\n      trafficRoutings:\n        - service: web\n          ingress: {name: web}\n",
    );
    let said = desk.windlass(&["validate", "apps"]).exits(1);
    said.tells(&["error[shared-route]: Service shop/web reaches the pods of Rollout `api` too", "apps/shop/web-rollout.yaml:10"]);
}

#[test]
fn a_name_that_fits_several_is_asked_for_again() {
    let desk = copy("several-rollouts");
    desk.windlass(&["run"]).exits(0);
    desk.windlass(&["pause", "apps/shop"]).exits(1).tells(&["`apps/shop` fits several apps", "apps/shop:api, apps/shop:web"]);
    desk.windlass(&["pause", "apps/shop:web"]).exits(1).tells(&["no release is on its way"]);
    desk.windlass(&["run", "apps/shop:web"]).exits(0);
    desk.windlass(&["log", "apps/shop:web", "--limit", "1"]).exits(0).tells(&["web: adopt the source as it is"]);
    desk.windlass(&["eject", "apps/shop:web"]).exits(1).tells(&["its Rollout file is still in the source"]);
}

#[test]
fn scopes_of_a_chart_elsewhere_are_not_made_up() {
    let desk = copy("several-rollouts");
    desk.write("charts/shop/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n");
    for name in ["web", "api"] {
        desk.edit(&format!("apps/shop/{name}-rollout.yaml"), "spec:\n", "spec:\n  source: {helm: {chart: ../../charts/shop}}\n");
    }
    let said = desk.windlass(&["validate", "apps", "--output", "json"]).exits(0).json();
    assert!(said["scopes"][0]["objects"].is_null(), "{said}");
    assert!(!desk.windlass(&["validate", "apps"]).exits(0).out.contains("Deployment shop/web"));
}
