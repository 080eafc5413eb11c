//! Test data in Kruise's format (`lua_configuration/*/testdata`, read as `custom_network_provider_test.go` reads them): one YAML
//! document with `rollout` or `trafficRouting`, `original` and `expected`.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::api::MAX_BYTES;
use crate::lua::LuaError;
use crate::manifest::{self, Object};
use crate::render::traffic::Run;

/// One file.
pub(super) struct Data {
    pub(super) script: PathBuf,
    pub(super) steps: Vec<Step>,
    original: Object,
    canary: String,
    stable: String,
    /// The script is one for an Ingress: only annotations are compared.
    is_ingress: bool,
}

pub(super) struct Step {
    weight: Option<u32>,
    matches: Value,
    modifier: Value,
    /// `spec`, `labels` and `annotations`, without what is empty.
    pub(super) expected: Value,
}

impl Data {
    /// What the script gives for a step, in the form of [`Step::expected`].
    pub(super) fn give(&self, step: &Step, script: &str, text: &str) -> Result<Value, LuaError> {
        let run = Run {
            script,
            text,
            weight: step.weight,
            matches: step.matches.clone(),
            modifier: step.modifier.clone(),
            canary: &self.canary,
            stable: &self.stable,
        };
        Ok(if self.is_ingress {
            compared(None, None, Some(&Value::Object(run.annotations(&self.original)?)))
        } else {
            shown(&run.object(&self.original)?.to_value(), false)
        })
    }
}

/// Reads a file.
///
/// # Errors
/// What in it is not as it should be.
pub(super) fn read(file: &Path) -> Result<Data, String> {
    let bytes = crate::cli::folder::read(file).map_err(|error| format!("cannot read it: {error}"))?;
    if bytes.len() > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut documents = manifest::values(&file.display().to_string(), &text).map_err(|error| error.to_string())?;
    let count = documents.len();
    let Some(document) = documents.pop().filter(|_| count == 1) else {
        return Err(format!("one YAML document is expected, not {count}"));
    };
    let document = document.value;
    let original = document.get("original").cloned().ok_or("`original` is missing: the object before")?;
    let original = Object::new(original).map_err(|error| format!("`original` is no object: {error}"))?;
    let expected = document.get("expected").and_then(Value::as_array).ok_or("`expected` is missing: a list of objects")?;
    let is_ingress = parent(file).is_some_and(|folder| folder.ends_with("trafficrouting_ingress"));
    let (steps, canary, stable, class) = match (document.get("rollout"), document.get("trafficRouting")) {
        (Some(rollout), None) => {
            let strategy = ["canary", "blueGreen"].iter().find_map(|form| rollout.pointer(&format!("/spec/strategy/{form}")));
            let strategy = strategy.ok_or("`rollout` has no `spec.strategy.canary`")?;
            let steps = strategy.get("steps").and_then(Value::as_array).ok_or("`rollout` has no steps")?;
            let stable = text_at(strategy, "/trafficRoutings/0/service", "`rollout` has no `trafficRoutings[0].service`")?;
            let class = strategy.pointer("/trafficRoutings/0/ingress/classType").and_then(Value::as_str).unwrap_or("nginx");
            let steps = steps.iter().map(|step| (step.get("traffic"), step.clone())).collect::<Vec<_>>();
            (steps, format!("{stable}-canary"), stable, class)
        }
        (None, Some(routing)) => {
            let strategy = routing.pointer("/spec/strategy").ok_or("`trafficRouting` has no `spec.strategy`")?;
            let at = if routing.pointer("/spec/objectRef/0/service").is_some() {
                "/spec/objectRef/0/service"
            } else {
                "/objectRef/0/service"
            };
            let stable = text_at(routing, at, "`trafficRouting` has no `objectRef[0].service`")?;
            // Versions are subsets of one Service.
            (vec![(strategy.get("weight"), strategy.clone())], stable.clone(), stable, "nginx")
        }
        _ => return Err("exactly one of `rollout` and `trafficRouting` is expected".to_owned()),
    };
    if steps.len() != expected.len() {
        return Err(format!("it has {} steps and {} objects in `expected`; give one for each", steps.len(), expected.len()));
    }
    let name = if is_ingress { format!("{class}.lua") } else { "trafficRouting.lua".to_owned() };
    let steps = steps.into_iter().zip(expected).enumerate().map(|(index, ((weight, step), expected))| {
        let field = |name: &str| step.get(name).cloned().unwrap_or(Value::Null);
        let weight = weight
            .filter(|weight| !weight.is_null())
            .map(percent)
            .transpose()
            .map_err(|cause| format!("step {}: {cause}", index + 1))?;
        Ok(Step {
            weight,
            matches: field("matches"),
            modifier: field("requestHeaderModifier"),
            expected: shown(expected, is_ingress),
        })
    });
    let steps = steps.collect::<Result<Vec<Step>, String>>()?;
    let script = parent(file).unwrap_or_else(|| PathBuf::from(".")).join(name);
    Ok(Data { script, steps, original, canary, stable, is_ingress })
}

/// The folder above that of a file.
fn parent(file: &Path) -> Option<PathBuf> {
    let folder = file.parent()?;
    match folder.parent() {
        Some(parent) if !folder.as_os_str().is_empty() => Some(parent.to_owned()),
        _ => Some(folder.join("..")),
    }
}

fn text_at(value: &Value, at: &str, missing: &str) -> Result<String, String> {
    value.pointer(at).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| missing.to_owned())
}

/// `"50%"`, `"50"` or `50`.
fn percent(value: &Value) -> Result<u32, String> {
    let number = match value {
        Value::String(text) => text.trim_end_matches('%').parse().ok(),
        other => other.as_u64().and_then(|number| u32::try_from(number).ok()),
    };
    number.filter(|number| *number <= 100).ok_or_else(|| format!("{value} is no share of requests; write `50%`"))
}

/// The parts of an object that are compared.
fn shown(object: &Value, annotations_only: bool) -> Value {
    let annotations = object.pointer("/metadata/annotations");
    if annotations_only {
        compared(None, None, annotations)
    } else {
        compared(object.get("spec"), object.pointer("/metadata/labels"), annotations)
    }
}

fn compared(spec: Option<&Value>, labels: Option<&Value>, annotations: Option<&Value>) -> Value {
    let mut found = Map::new();
    for (key, value) in [("spec", spec), ("labels", labels), ("annotations", annotations)] {
        let Some(mut value) = value.cloned() else { continue };
        without_null(&mut value);
        if !value.is_null() && (key == "spec" || value.as_object().is_some_and(|map| !map.is_empty())) {
            found.insert(key.to_owned(), value);
        }
    }
    Value::Object(found)
}

/// A field that is `null` is one that is not there.
fn without_null(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(without_null);
        }
        Value::Array(list) => list.iter_mut().for_each(without_null),
        _ => {}
    }
}
