//! Routes and Services of a step: pure functions from the objects as the user wrote them.

use crate::api::{Rollout, TrafficRouting};
use crate::manifest::ObjectSet;
use crate::render::{RenderError, Routes, Selector};

/// Narrows the stable Service of `routing` to `selector`.
pub fn narrow(_objects: &mut ObjectSet, _routing: &TrafficRouting, _selector: &Selector) -> Result<(), RenderError> {
    Err(RenderError::Missing { what: "traffic".to_owned(), name: "narrow".to_owned() })
}
/// Adds the canary Service of `routing`, which selects the pods with `selector`.
pub fn add_canary_service(_objects: &mut ObjectSet, _routing: &TrafficRouting, _selector: &Selector) -> Result<(), RenderError> {
    Err(RenderError::Missing { what: "traffic".to_owned(), name: "canary".to_owned() })
}
/// Changes or adds the route objects of `routing` so that they say `routes`. Objects are as the user wrote them.
pub fn route(_objects: &mut ObjectSet, _routing: &TrafficRouting, _routes: &Routes) -> Result<(), RenderError> {
    Err(RenderError::Missing { what: "traffic".to_owned(), name: "route".to_owned() })
}
/// Everything about the traffic of `rollout` that cannot work with these objects: a Service or route that is not there, a
/// step that asks for what its provider cannot express. One entry each, with the step's index (0-based) where it is about a step.
pub fn check(_objects: &ObjectSet, _rollout: &Rollout) -> Vec<(Option<usize>, RenderError)> {
    Vec::new()
}
