use windlass::render::RenderError;
use windlass::render::traffic::{add_canary_service, canary_service, narrow};

use super::*;

#[test]
fn narrowing_adds_one_label_to_the_selector_and_touches_nothing_else() {
    let mut objects = set(&[SERVICE]);
    narrow(&mut objects, &by_ingress(), &selector("v1")).unwrap();
    same(
        &got(&objects, "Service", "echo"),
        "
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: shop, labels: {app: echo}, annotations: {team: blue}}
spec:
  selector: {app: echo, windlass.dev/revision: v1}
  ports: [{name: http, port: 80, targetPort: 8080}]
",
    );
    assert_eq!(objects.len(), 1);
}

#[test]
fn the_canary_service_is_a_copy_without_what_the_cluster_gave_the_stable_one() {
    let mut objects = set(&["
apiVersion: v1
kind: Service
metadata:
  name: echo
  labels: {app: echo}
  annotations:
    team: blue
    kubectl.kubernetes.io/last-applied-configuration: '{}'
  resourceVersion: '7'
  uid: 1d2c
  finalizers: [example.com/keep]
spec:
  type: LoadBalancer
  clusterIP: 10.0.0.7
  clusterIPs: [10.0.0.7]
  externalIPs: [203.0.113.9]
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  loadBalancerIP: 203.0.113.8
  healthCheckNodePort: 31000
  externalTrafficPolicy: Local
  sessionAffinity: ClientIP
  selector: {app: echo}
  ports:
  - {name: http, port: 80, targetPort: 8080, nodePort: 30080}
  - {name: grpc, port: 81, nodePort: 30081}
status: {loadBalancer: {ingress: [{ip: 203.0.113.8}]}}
"]);
    let stable = got(&objects, "Service", "echo");
    add_canary_service(&mut objects, &by_ingress(), &selector("v2")).unwrap();
    same(
        &got(&objects, "Service", "echo-canary"),
        "
apiVersion: v1
kind: Service
metadata: {name: echo-canary, labels: {app: echo}, annotations: {team: blue}}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  sessionAffinity: ClientIP
  selector: {app: echo, windlass.dev/revision: v2}
  ports:
  - {name: http, port: 80, targetPort: 8080}
  - {name: grpc, port: 81}
",
    );
    assert_eq!(got(&objects, "Service", "echo"), stable);
}

#[test]
fn two_routings_of_one_service_share_its_canary() {
    let mut objects = set(&[SERVICE]);
    add_canary_service(&mut objects, &by_ingress(), &selector("v2")).unwrap();
    let once = objects.clone();
    add_canary_service(&mut objects, &by_gateway(), &selector("v2")).unwrap();
    assert_eq!(objects, once);
}

#[test]
fn a_service_without_a_selector_cannot_be_divided() {
    for spec in ["{type: ExternalName, externalName: example.com}", "{selector: {}}", "{ports: [{port: 80}]}"] {
        let mut objects = set(&[&format!("{{apiVersion: v1, kind: Service, metadata: {{name: echo}}, spec: {spec}}}")]);
        for error in [
            narrow(&mut objects, &by_ingress(), &selector("v1")).unwrap_err(),
            add_canary_service(&mut objects, &by_ingress(), &selector("v1")).unwrap_err(),
        ] {
            assert_eq!(
                error.to_string(),
                "Service `echo`: it has no `spec.selector`, so the pods of two versions cannot be told apart"
            );
        }
    }
}

#[test]
fn a_service_that_is_not_there_is_named() {
    let error = narrow(&mut ObjectSet::default(), &by_ingress(), &selector("v1")).unwrap_err();
    assert_eq!(error, RenderError::Missing { what: "Service".to_owned(), name: "echo".to_owned() });
    assert_eq!(error.to_string(), "Service `echo` does not exist in the source");
}

#[test]
fn the_users_own_object_of_the_canarys_name_is_never_overwritten() {
    let own = "{apiVersion: v1, kind: Service, metadata: {name: echo-canary, namespace: shop}, spec: {selector: {app: other}}}";
    let mut objects = set(&[SERVICE, own]);
    let before = objects.clone();
    let error = add_canary_service(&mut objects, &by_ingress(), &selector("v2")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Service `echo-canary`: the source has an object of this name, which Windlass needs for the canary; rename it"
    );
    assert_eq!(objects, before);
}

#[test]
fn a_name_that_grows_too_long_is_refused() {
    let name = "e".repeat(57);
    let mut objects =
        set(&[&format!("{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{selector: {{app: e}}}}}}")]);
    let routing = TrafficRouting { service: name, ..by_ingress() };
    let error = add_canary_service(&mut objects, &routing, &selector("v2")).unwrap_err().to_string();
    assert!(error.ends_with("would be longer than 63 characters; shorten the Service's name"), "{error}");
}

#[test]
fn a_name_in_two_namespaces_is_refused_rather_than_guessed() {
    let other = SERVICE.replace("namespace: shop", "namespace: till");
    let error = narrow(&mut set(&[SERVICE, &other]), &by_ingress(), &selector("v1")).unwrap_err().to_string();
    assert!(error.contains("two, in the namespaces `shop` and `till`"), "{error}");
}

#[test]
fn without_a_canary_service_the_stable_one_stays_as_it_is() {
    let routing = TrafficRouting { disable_generate_canary_service: true, ..by_ingress() };
    let mut objects = set(&[SERVICE]);
    narrow(&mut objects, &routing, &selector("v1")).unwrap();
    add_canary_service(&mut objects, &routing, &selector("v2")).unwrap();
    assert_eq!(objects, set(&[SERVICE]));
    assert_eq!(canary_service(&routing), "echo");
    assert_eq!(canary_service(&by_ingress()), "echo-canary");
}
