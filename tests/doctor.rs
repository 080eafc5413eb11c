//! The rules of `doctor`: an object in, codes out. Whole output is tested in `cli/doctor.rs`, real servers in `lab/doctor.rs`.

mod appliers;
mod argocd;
mod flux;
mod forge;
mod workload;

use serde_json::Value;
use windlass::api::{Observe, WorkloadRef};
use windlass::reconcile::doctor::objects::{Item, Remote, Wanted};
use windlass::reconcile::doctor::{Finding, Level};

fn remote() -> Remote {
    Remote {
        address: "https://git.example.com/team/apps.git".to_owned(),
        live_branch: "deploy".to_owned(),
        kustomizations: Vec::new(),
    }
}

fn app() -> Wanted {
    Wanted {
        app: "apps/shop".to_owned(),
        source_path: "apps/shop".to_owned(),
        live_path: "apps/shop".to_owned(),
        namespace: "shop".to_owned(),
        namespace_is_written: true,
        workload: WorkloadRef::new("apps/v1", "Deployment", "shop"),
        routes: false,
        observe: Observe::Kubernetes,
        is_adopted: true,
        is_scaled: false,
    }
}

/// Objects of the cluster.
fn items(values: &[Value]) -> Vec<Item> {
    values.iter().map(|value| Item { value: value.clone(), file: None, in_cluster: true }).collect()
}

/// Errors as they are, warnings with `!`, what is not known with `?`; what is fine is left out.
fn codes(findings: &[Finding]) -> String {
    let mut codes: Vec<String> = findings
        .iter()
        .filter_map(|finding| match finding.level {
            Level::Error => Some(finding.code.to_owned()),
            Level::Warning => Some(format!("!{}", finding.code)),
            Level::Unknown => Some(format!("?{}", finding.code)),
            Level::Ok => None,
        })
        .collect();
    codes.sort();
    codes.join(" ")
}

/// An object with one value changed; `null` takes it away.
fn with(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let mut at = &mut object;
    let parts: Vec<&str> = pointer.trim_start_matches('/').split('/').collect();
    for part in &parts[..parts.len() - 1] {
        at = &mut at[part.replace("~1", "/")];
    }
    let last = parts[parts.len() - 1].replace("~1", "/");
    if value.is_null() {
        at.as_object_mut().unwrap().remove(&last);
    } else {
        at[last] = value;
    }
    object
}

/// What a merge patch (RFC 7386) makes of an object.
fn patched(object: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut object = object.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            object.remove(key);
        } else {
            let merged = patched(object.get(key).unwrap_or(&Value::Null), value);
            object.insert(key.clone(), merged);
        }
    }
    Value::Object(object)
}

/// The setting that a finding says, as a patch.
fn setting(finding: &Finding) -> Value {
    let text = finding.mend.as_ref().unwrap().exactly.as_ref().unwrap();
    windlass::manifest::values("mend", text).unwrap().remove(0).value
}
