//! The few fields of workloads that several rooms read.

use serde_json::Value;

use super::object::Object;

/// The pod template of a workload: of a CronJob the one in its job template, of any other kind `spec.template`. `None`
/// where what stands there has no containers.
pub fn pod_template(object: &Object) -> Option<&Value> {
    let pointer = if object.kind() == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
    object.get(pointer).filter(|template| template.pointer("/spec/containers").is_some_and(Value::is_array))
}

/// `spec.replicas`; `None` where it is not set or no number of pods.
pub fn replicas(object: &Object) -> Option<u32> {
    let value = object.get("/spec/replicas")?;
    let whole = |float: f64| (float.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&float)).then(|| float.to_string());
    match value.as_u64() {
        Some(count) => u32::try_from(count).ok(),
        // `1e1` is ten for Kubernetes too.
        None => value.as_f64().and_then(whole)?.parse().ok(),
    }
}

/// Container name and image of a workload's or a Pod's containers, the init containers first, in the file's order.
pub fn images(object: &Object) -> Vec<(String, String)> {
    let spec = if object.kind() == "Pod" { object.get("/spec") } else { pod_template(object).and_then(|pod| pod.get("spec")) };
    let containers = |field: &str| spec.and_then(|spec| spec.get(field)).and_then(Value::as_array).into_iter().flatten();
    let text = |container: &Value, field: &str| container.get(field).and_then(Value::as_str).map(str::to_owned);
    containers("initContainers")
        .chain(containers("containers"))
        .filter_map(|container| Some((text(container, "name")?, text(container, "image")?)))
        .collect()
}
