//! Routes by Lua scripts with Kruise's contract (`network/customNetworkProvider` and `network/ingress`).
//!
//! Different from Kruise, on purpose: a script for an Ingress gets the annotations of the user's Ingress at every step and not
//! those that it gave at the step before; a result without the `spec` that the object has is refused; and so is `mirror`,
//! which the contract has no word for. The scripts in force are part of the Rollout in force, so a step stays a function of
//! what the live branch holds.

use serde_json::{Map, Value, json};

use super::ingress::copy;
use super::provider::{Change, Provider};
use super::{At, Split, refused, same_namespace, unusable};
use crate::api::{HeaderModifier, HttpMatch, MatchKind, NamedMatch, SCRIPTS, custom_script, ingress_script};
use crate::lua::{self, LuaError};
use crate::manifest::Object;
use crate::render::RenderError;

/// One run of a script.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// The script's path, for messages.
    pub script: &'a str,
    pub text: &'a str,
    /// Percent of the requests; `None` where the step has no traffic, which the script sees as -1.
    pub weight: Option<u32>,
    /// As a Rollout says them; `null` for none.
    pub matches: Value,
    /// As a Rollout says it; `null` for none.
    pub modifier: Value,
    pub canary: &'a str,
    pub stable: &'a str,
}

impl Run<'_> {
    /// The object as the script wants it: its `spec`, labels and annotations, and all else as it was.
    ///
    /// # Errors
    /// Those of the script, and a result that is none.
    pub fn object(&self, route: &Object) -> Result<Object, LuaError> {
        let mut data = Map::new();
        for (field, pointer) in [("spec", "/spec"), ("labels", "/metadata/labels"), ("annotations", "/metadata/annotations")] {
            let value =
                route.get(pointer).filter(|value| field == "spec" || value.as_object().is_some_and(|map| !map.is_empty()));
            data.extend(value.map(|value| (field.to_owned(), value.clone())));
        }
        let weight = self.weight.map_or(-1, i64::from);
        let mut obj = json!({
            "data": data,
            "canaryWeight": weight,
            "stableWeight": 100 - weight,
            "canaryService": self.canary,
            "stableService": self.stable,
        });
        self.asked(&mut obj);
        let result = self.fields(&obj)?;
        let mut route = route.clone();
        match result.get("spec").filter(|spec| !spec.is_null()) {
            Some(spec) => route.set(&["spec"], spec.clone()),
            None if route.get("/spec").is_some() => {
                return Err(self.fail("the table that it returns has no `spec`; `return obj.data` gives back what came in"));
            }
            None => {}
        }
        for field in ["labels", "annotations"] {
            let texts = self.texts(result.get(field), field)?;
            if !texts.is_empty() {
                route.set(&["metadata", field], Value::Object(texts));
            } else if route.get(&format!("/metadata/{field}")).and_then(Value::as_object).is_some_and(|map| !map.is_empty()) {
                route.remove(&["metadata", field]);
            }
        }
        Ok(route)
    }

    /// The annotations of the canary Ingress, made from those of the user's.
    ///
    /// # Errors
    /// Those of the script, and a result that is none.
    pub fn annotations(&self, ingress: &Object) -> Result<Map<String, Value>, LuaError> {
        let weight = self.weight.map_or(-1, i64::from).to_string();
        // Kruise gives a table here, also where there is none.
        let annotations = ingress.get("/metadata/annotations").filter(|value| value.is_object()).cloned();
        let mut obj = json!({
            "annotations": annotations.unwrap_or_else(|| json!({})),
            "weight": weight,
            "canaryService": self.canary,
        });
        self.asked(&mut obj);
        let result = self.fields(&obj)?;
        self.texts(Some(&Value::Object(result)), "annotations")
    }

    fn asked(&self, obj: &mut Value) {
        for (key, value) in [("matches", &self.matches), ("requestHeaderModifier", &self.modifier)] {
            if !(value.is_null() || value.as_array().is_some_and(Vec::is_empty)) {
                obj[key] = value.clone();
            }
        }
    }

    fn fields(&self, obj: &Value) -> Result<Map<String, Value>, LuaError> {
        match lua::run(self.script, self.text, obj)? {
            Value::Object(fields) => Ok(fields),
            _ => Err(self.fail("the table that it returns is a list; a mapping is expected")),
        }
    }

    fn texts(&self, value: Option<&Value>, field: &str) -> Result<Map<String, Value>, LuaError> {
        match value {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Array(list)) if list.is_empty() => Ok(Map::new()),
            Some(Value::Object(map)) => match map.iter().find(|(_, value)| !value.is_string()) {
                None => Ok(map.clone()),
                Some((key, value)) => {
                    Err(self.fail(format!("`{field}[\"{key}\"]` is {value}, not a text; `tostring` makes one")))
                }
            },
            Some(_) => Err(self.fail(format!("`{field}` is no mapping"))),
        }
    }

    fn fail(&self, cause: impl Into<String>) -> LuaError {
        LuaError::whole(self.script, cause)
    }
}

/// `customNetworkRefs` of a kind that the source has a script for.
pub(super) struct Custom;
pub(super) const CUSTOM: Custom = Custom;

impl Provider for Custom {
    fn label(&self) -> &'static str {
        "any object, by a Lua script"
    }

    fn group(&self) -> &'static str {
        ""
    }

    fn kind(&self) -> &'static str {
        ""
    }

    fn is_script(&self) -> bool {
        true
    }

    fn find(&self, route: &Object, at: &At) -> Result<(), RenderError> {
        if !same_namespace(route, at.service) {
            return Err(unusable(route, format!("it is not in the namespace of Service `{}`", at.service.name())));
        }
        Ok(())
    }

    /// Nothing for 0 % without matches: Kruise runs no script then, and leaves the object as it was written.
    fn split(&self, route: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        let script = custom_script(route.api_version(), route.kind());
        let changed = with_script(script, route, at, split, |run| run.object(route))?;
        Ok(changed.map(Change::Replace).into_iter().collect())
    }
}

/// An Ingress of a class that the source has a script for.
pub(super) struct Ingress;
pub(super) const INGRESS: Ingress = Ingress;

impl Provider for Ingress {
    fn label(&self) -> &'static str {
        "Ingress of any class, by a Lua script"
    }

    fn group(&self) -> &'static str {
        "networking.k8s.io"
    }

    fn kind(&self) -> &'static str {
        "Ingress"
    }

    fn several(&self) -> bool {
        false
    }

    fn is_script(&self) -> bool {
        true
    }

    fn find(&self, ingress: &Object, at: &At) -> Result<(), RenderError> {
        copy::usable(ingress, at)?;
        copy::name_is_free(ingress, at)
    }

    fn split(&self, ingress: &Object, at: &At, split: &Split) -> Result<Vec<Change>, Vec<RenderError>> {
        let script = at.routing.ingress.as_ref().and_then(|ingress| ingress_script(&ingress.class_type));
        let Some(annotations) = with_script(script, ingress, at, split, |run| run.annotations(ingress))? else {
            return Ok(Vec::new());
        };
        let mut canary = copy::canary_of(ingress, |_| true);
        canary.remove(&["metadata", "annotations"]);
        if !annotations.is_empty() {
            canary.set(&["metadata", "annotations"], Value::Object(annotations));
        }
        copy::fill(&mut canary, ingress, at.service.name(), &split.canary);
        Ok(vec![Change::Add(canary)])
    }
}

/// What a step's script gives; `None` where the step asks for nothing.
fn with_script<T>(
    script: Option<String>,
    route: &Object,
    at: &At,
    split: &Split,
    work: impl FnOnce(&Run) -> Result<T, LuaError>,
) -> Result<Option<T>, Vec<RenderError>> {
    if split.mirror.is_some() {
        let hint = "Lua scripts get no word of it; use a route of docs/reference/providers.md that can";
        return Err(vec![refused("a Lua script", "`mirror`", hint)]);
    }
    let found = script.and_then(|path| at.routing.scripts.get_key_value(&path));
    let Some((path, text)) = found else {
        return Err(vec![unusable(route, "its Lua script is not among the recorded ones")]);
    };
    if split.weight == Some(0) && split.matches.is_empty() {
        return Ok(None);
    }
    let path = format!("{SCRIPTS}/{path}");
    let run = Run {
        script: &path,
        text,
        weight: split.weight,
        matches: Value::Array(split.matches.iter().map(one_match).collect()),
        modifier: split.modifier.map_or(Value::Null, modifier),
        canary: &split.canary,
        stable: split.stable,
    };
    work(&run).map(Some).map_err(|error| {
        let (what, name) = (route.kind().to_owned(), route.name().to_owned());
        vec![RenderError::Script { what, name, error }]
    })
}

/// A match in the words of a Rollout, with the API server's defaults.
fn one_match(one: &HttpMatch) -> Value {
    let named = |list: &[NamedMatch]| -> Value {
        list.iter().map(|one| json!({"type": word(one.kind), "name": one.name, "value": one.value})).collect()
    };
    let mut found = json!({});
    if let Some(path) = &one.path {
        found["path"] = json!({"type": word(path.kind), "value": path.value});
    }
    for (key, list) in [("headers", &one.headers), ("queryParams", &one.query_params)] {
        if !list.is_empty() {
            found[key] = named(list);
        }
    }
    found
}

fn word(kind: MatchKind) -> &'static str {
    match kind {
        MatchKind::Exact => "Exact",
        MatchKind::PathPrefix => "PathPrefix",
        MatchKind::RegularExpression => "RegularExpression",
    }
}

fn modifier(change: &HeaderModifier) -> Value {
    let mut found = json!({});
    for (key, list) in [("set", &change.set), ("add", &change.add)] {
        if !list.is_empty() {
            found[key] = list.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        }
    }
    if !change.remove.is_empty() {
        found["remove"] = json!(change.remove);
    }
    found
}
