//! What pods reach: the objects that a pod template names.

use serde_json::Value;

use crate::manifest::Object;

/// Group, kind and name.
pub(super) type Name = (&'static str, &'static str, String);

/// ConfigMaps, Secrets, claims and the account that the pods of a workload name. Objects that they only might have are not asked
/// for: `optional` references count like others.
pub(super) fn names(workload: &Object) -> Vec<Name> {
    let mut found = Vec::new();
    let Some(spec) = workload.get("/spec/template/spec") else { return found };
    for group in ["containers", "initContainers", "ephemeralContainers"] {
        for container in list(spec, &format!("/{group}")) {
            for entry in list(container, "/envFrom") {
                take(&mut found, "ConfigMap", entry.pointer("/configMapRef/name"));
                take(&mut found, "Secret", entry.pointer("/secretRef/name"));
            }
            for entry in list(container, "/env") {
                take(&mut found, "ConfigMap", entry.pointer("/valueFrom/configMapKeyRef/name"));
                take(&mut found, "Secret", entry.pointer("/valueFrom/secretKeyRef/name"));
            }
        }
    }
    for volume in list(spec, "/volumes") {
        take(&mut found, "ConfigMap", volume.pointer("/configMap/name"));
        take(&mut found, "Secret", volume.pointer("/secret/secretName"));
        take(&mut found, "PersistentVolumeClaim", volume.pointer("/persistentVolumeClaim/claimName"));
        for source in list(volume, "/projected/sources") {
            take(&mut found, "ConfigMap", source.pointer("/configMap/name"));
            take(&mut found, "Secret", source.pointer("/secret/name"));
        }
        // Drivers are told of Secrets in fields of one name (csi, cephfs, flexVolume, iscsi, rbd, scaleIO, storageos).
        for driver in volume.as_object().into_iter().flat_map(|volume| volume.values()) {
            take(&mut found, "Secret", driver.pointer("/secretRef/name"));
            take(&mut found, "Secret", driver.pointer("/nodePublishSecretRef/name"));
        }
        take(&mut found, "Secret", volume.pointer("/azureFile/secretName"));
        if let Some(Value::String(name)) = volume.pointer("/csi/volumeAttributes/secretProviderClass") {
            found.push(("secrets-store.csi.x-k8s.io", "SecretProviderClass", name.clone()));
        }
    }
    for secret in list(spec, "/imagePullSecrets") {
        take(&mut found, "Secret", secret.get("name"));
    }
    take(&mut found, "ServiceAccount", spec.get("serviceAccountName").or_else(|| spec.get("serviceAccount")));
    // A StatefulSet's own Service, which gives its pods their names.
    if workload.kind() == "StatefulSet" {
        take(&mut found, "Service", workload.get("/spec/serviceName"));
    }
    found
}

/// What an account brings to its pods.
pub(super) fn of_account(account: &Object) -> Vec<Name> {
    let mut found = Vec::new();
    for field in ["/imagePullSecrets", "/secrets"] {
        for secret in account.get(field).and_then(Value::as_array).into_iter().flatten() {
            take(&mut found, "Secret", secret.get("name"));
        }
    }
    found
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten()
}

fn take(found: &mut Vec<Name>, kind: &'static str, name: Option<&Value>) {
    if let Some(Value::String(name)) = name {
        found.push(("", kind, name.clone()));
    }
}
