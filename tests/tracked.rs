//! `trackConfig`: names by content, in every place where pods read them.

use windlass::api::WorkloadRef;
use windlass::manifest::{self, ObjectSet};
use windlass::render;

fn objects(text: &str) -> ObjectSet {
    manifest::read("app.yaml", text).unwrap().into_iter().map(|document| document.object).collect()
}

fn tracked(text: &str) -> ObjectSet {
    tracked_among(text, false)
}

fn tracked_among(text: &str, several: bool) -> ObjectSet {
    let mut objects = objects(text);
    let workload = WorkloadRef::new("apps/v1", "Deployment", "shop");
    render::track(&mut objects, &workload, several);
    objects
}

fn names(objects: &ObjectSet, kind: &str) -> Vec<String> {
    objects.values().filter(|object| object.kind() == kind).map(|object| object.name().to_owned()).collect()
}

fn config(name: &str, data: &str) -> String {
    format!("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{{data}}}\n")
}

fn secret(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\nstringData: {{a: b}}\n")
}

fn deployment(pod: &str) -> String {
    format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: shop}}\nspec: {{template: {{spec: {{{pod}}}}}}}\n")
}

#[test]
fn every_place_where_pods_read_is_renamed() {
    let pod = "containers: [{name: a, envFrom: [{configMapRef: {name: one}}, {secretRef: {name: token}}], env: [{name: x, valueFrom: \
               {configMapKeyRef: {name: two, key: a}}}, {name: y, valueFrom: {secretKeyRef: {name: key2, key: a}}}]}], initContainers: \
               [{name: b, envFrom: [{configMapRef: {name: three}}]}], volumes: [{name: v, configMap: {name: four}}, {name: w, secret: \
               {secretName: key3}}, {name: p, projected: {sources: [{configMap: {name: five}}, {secret: {name: key4}}]}}]";
    let mut text = deployment(pod);
    let configs = ["one", "two", "three", "four", "five"];
    let secrets = ["token", "key2", "key3", "key4"];
    configs.iter().for_each(|name| text.push_str(&config(name, "a: b")));
    secrets.iter().for_each(|name| text.push_str(&secret(name)));
    let objects = tracked(&text);
    let template = objects.find("apps", "Deployment", "shop").unwrap().get("/spec/template").unwrap().to_string();
    for (kind, old) in [("ConfigMap", &configs[..]), ("Secret", &secrets[..])] {
        let new = names(&objects, kind);
        assert_eq!(new.len(), old.len());
        for old in old {
            let new = new.iter().find(|new| new.strip_prefix(old).is_some_and(|rest| rest.starts_with('-') && rest.len() == 11));
            let new = new.unwrap_or_else(|| panic!("{old} is not renamed"));
            assert!(template.contains(&format!("\"{new}\"")) && !template.contains(&format!("\"{old}\"")), "{template}");
        }
    }
}

#[test]
fn the_name_follows_the_content_alone() {
    let text = |data: &str| deployment("containers: [{name: a, envFrom: [{configMapRef: {name: one}}]}]") + &config("one", data);
    let name = |text: &str| names(&tracked(text), "ConfigMap");
    assert_eq!(name(&text("a: '1', b: '2'")), name(&text("b: '2', a: '1'")));
    assert_ne!(name(&text("a: '1'")), name(&text("a: '2'")));
    let labelled = text("a: '1'").replace("{name: one}\ndata", "{name: one, labels: {a: b}}\ndata");
    assert_eq!(name(&text("a: '1'")), name(&labelled));
}

#[test]
fn others_that_read_it_follow_and_others_that_name_it_keep_it() {
    let text = deployment(
        "containers: [{name: a, envFrom: [{configMapRef: {name: one}}, {secretRef: {name: tls}}, {secretRef: {name: pull}}, {configMapRef: \
         {name: elsewhere}}]}]",
    ) + &config("one", "a: b")
        + &config("unread", "a: b")
        + &secret("tls")
        + &secret("pull")
        + "---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: nightly}\nspec: {jobTemplate: {spec: {template: {spec: {containers: \
           [{name: a, envFrom: [{configMapRef: {name: one}}]}], imagePullSecrets: [{name: pull}]}}}}}\n"
        + "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop}\nspec: {tls: [{secretName: tls}]}\n"
        + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: one, namespace: other}\ndata: {a: b}\n";
    let objects = tracked(&text);
    let configs = names(&objects, "ConfigMap");
    let one = configs.iter().find(|name| name.starts_with("one-")).unwrap();
    assert!(configs.contains(&"unread".to_owned()) && configs.contains(&"one".to_owned()), "{configs:?}");
    assert_eq!(names(&objects, "Secret"), ["pull", "tls"]);
    let job = objects.find("batch", "CronJob", "nightly").unwrap();
    assert!(job.get("/spec").unwrap().to_string().contains(&format!("\"{one}\"")));
    let shop = objects.find("apps", "Deployment", "shop").unwrap().get("/spec").unwrap().to_string();
    assert!(shop.contains("\"elsewhere\"") && shop.contains("\"tls\""), "{shop}");
}

#[test]
fn odd_pods_are_left_as_they_are() {
    for pod in ["containers: 3", "volumes: [1, {configMap: [a]}], containers: [{envFrom: {a: b}}, 7]"] {
        let text = deployment(pod) + &config("one", "a: b");
        assert_eq!(tracked(&text), objects(&text));
    }
}

#[test]
fn among_several_rollouts_only_what_nobody_else_reads_is_renamed() {
    let pod = "containers: [{name: a, envFrom: [{configMapRef: {name: own}}, {configMapRef: {name: common}}]}]";
    let other =
        deployment("containers: [{name: a, envFrom: [{configMapRef: {name: common}}]}]").replace("{name: shop}", "{name: other}");
    let text = deployment(pod) + "---\n" + &other + &config("own", "a: b") + &config("common", "a: b");
    let alone = names(&tracked(&text), "ConfigMap");
    assert!(alone[0].starts_with("common-") && alone[1].starts_with("own-"), "{alone:?}");
    let among = tracked_among(&text, true);
    let names = names(&among, "ConfigMap");
    assert!(names[0] == "common" && names[1].starts_with("own-"), "{names:?}");
    let other = |objects: &ObjectSet| objects.find("apps", "Deployment", "other").cloned();
    assert_eq!(other(&among), other(&objects(&text)), "no release of the other one");
}
