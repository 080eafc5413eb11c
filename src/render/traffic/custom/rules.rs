//! Lists of rules that have backends: which rules are the stable Service's, their weights, and rules of the canary's own before
//! them. A match without a path is joined to what the rule matches; one with a path stands for itself, once, before the first
//! such rule (as for HTTPRoutes).

use serde_json::{Map, Value};

use crate::api::HttpMatch;
use crate::manifest::Object;
use crate::render::RenderError;
use crate::render::traffic::share::{self, Missing};
use crate::render::traffic::{At, Split, same_namespace, unusable};

/// A rule, a match and the match's index (0-based) to the rules that ask for both.
pub(super) type Matching<'a> =
    dyn Fn(&Map<String, Value>, &HttpMatch, usize) -> Result<Vec<Map<String, Value>>, RenderError> + 'a;

/// How a kind writes its rules.
pub(super) struct Rules<'a> {
    /// The user's object, for messages.
    pub(super) route: &'a Object,
    /// Where a rule's backends are: a JSON pointer.
    pub(super) backends: &'static str,
    pub(super) missing: Missing,
    pub(super) is_stable: &'a dyn Fn(&Value) -> bool,
    /// The stable backend, for the canary.
    pub(super) to_canary: &'a dyn Fn(&Value) -> Value,
    /// No rule: no request can fit both. All requests of these rules go to the canary afterwards.
    pub(super) matching: &'a Matching<'a>,
}

impl Rules<'_> {
    /// Whether the stable Service has a share of the rule.
    pub(super) fn serves(&self, rule: &Value) -> bool {
        rule.pointer(self.backends).and_then(Value::as_array).is_some_and(|list| self.has_share(list))
    }

    fn has_share(&self, list: &[Value]) -> bool {
        let weights = share::weights(list, "weight", self.missing).unwrap_or_else(|_| vec![1; list.len()]);
        list.iter().zip(weights).any(|(backend, weight)| weight > 0 && (self.is_stable)(backend))
    }

    /// The rules of this step, and how many the canary's own are. `change` is done to each rule that stays the user's.
    pub(super) fn split(
        &self,
        rules: &[Value],
        split: &Split,
        change: &dyn Fn(&mut Value),
    ) -> Result<(Vec<Value>, usize), Vec<RenderError>> {
        let mut written = Vec::new();
        let mut first = true;
        let mut canaries = 0;
        for rule in rules {
            let Some(fields) = rule.as_object().filter(|_| self.serves(rule)) else {
                written.push(rule.clone());
                continue;
            };
            for (index, one) in split.matches.iter().enumerate().filter(|(_, one)| first || one.path.is_none()) {
                for fields in (self.matching)(fields, one, index).map_err(|error| vec![error])? {
                    written.push(self.whole(Value::Object(fields)));
                    canaries += 1;
                }
            }
            first = false;
            let mut rule = rule.clone();
            if let Some(percent) = split.weight {
                self.weigh(&mut rule, percent).map_err(|error| vec![error])?;
            }
            change(&mut rule);
            written.push(rule);
        }
        Ok((written, canaries))
    }

    /// All requests of the rule to the canary: its stable backends become the canary's, others go.
    fn whole(&self, mut rule: Value) -> Value {
        if let Some(Value::Array(list)) = rule.pointer_mut(self.backends) {
            let weights = share::weights(list, "weight", self.missing).unwrap_or_else(|_| vec![1; list.len()]);
            let stable = list.iter().zip(weights).filter(|(backend, weight)| *weight > 0 && (self.is_stable)(backend));
            let mut canary: Vec<Value> = stable.map(|(backend, _)| (self.to_canary)(backend)).collect();
            share::level(&mut canary, "weight", self.missing);
            *list = canary;
        }
        rule
    }

    fn weigh(&self, rule: &mut Value, percent: u32) -> Result<(), RenderError> {
        let Some(Value::Array(list)) = rule.pointer_mut(self.backends) else { return Ok(()) };
        share::weigh(list, "weight", self.missing, percent, self.is_stable, self.to_canary)
            .map_err(|cause| unusable(self.route, cause))
    }
}

/// The list at a JSON pointer; empty where there is none.
pub(super) fn list<'a>(object: &'a Object, pointer: &str) -> &'a [Value] {
    object.get(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// No rule of the object goes to the stable Service.
pub(super) fn nowhere(route: &Object, at: &At) -> RenderError {
    unusable(route, format!("no rule of it sends requests to Service `{}`", at.service.name()))
}

/// The step's matches found no rule to stand before.
pub(super) fn unmatched(route: &Object, split: &Split) -> RenderError {
    let cause = format!("no request that its rules send to Service `{}` can fit the step's `matches`", split.stable);
    unusable(route, cause)
}

/// Whether a backend that is called by name, with the namespace where it has one, is the Service.
pub(super) fn is_service(route: &Object, at: &At, name: Option<&str>, namespace: Option<&str>) -> bool {
    let here = match namespace {
        None | Some("") => same_namespace(route, at.service),
        Some(namespace) => at.service.namespace().or(route.namespace()).is_none_or(|service| service == namespace),
    };
    here && name == Some(at.service.name())
}
