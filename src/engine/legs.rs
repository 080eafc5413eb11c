//! The way of a release as a level-triggered walk: from the live tree's present shape and the step's goal follows the next
//! move. The same rules serve a first pass, a jump, a changed plan and a changed size.
//!
//! Order inside a step: pods first, then traffic; routing that a step does not want goes back before its pods come
//! (Kruise, reference 2.4). Finalising and rollback follow Kruise's orders (reference 2.6); actions that need no
//! convergence between them share a commit.

use super::nodes;
use super::state::Leg;
use crate::api::{Amount, Rollout, Step, Style};
use crate::manifest::ObjectSet;
use crate::render::workload::deployment::{self, Part};
use crate::render::workload::{Kind, autoscaler};
use crate::render::{self, Pods, PodsPhase, RenderError, Routes, Selector, Shape, find_workload};

/// What the workload of the candidate allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground<'a> {
    pub kind: Kind<'a>,
    /// Pods that the workload shall have.
    pub size: u32,
    /// Whether that is known to the cluster alone.
    pub counted: bool,
    /// Whether what holds the workload is percentages: the parts follow another size without a commit.
    pub elastic: bool,
    /// Whether new pods may come before old ones go.
    pub surges: bool,
    /// Where they may not: how many pods one move may take away.
    pub at_once: u32,
    /// Whether updated pods are always those with the highest ordinals.
    pub ordinal: bool,
    /// Whether the workload's own strategy would keep some pods at an older version.
    pub holds_back: bool,
    /// Whether its controller leaves a pod in place that never gets Ready.
    pub leaves_broken: bool,
    /// Whether another size waits until the workload's own strategy takes over.
    pub keeps_size: bool,
}

impl<'a> Ground<'a> {
    /// `counted`: the size that the cluster tells, or told last; it counts where the objects name none.
    ///
    /// # Errors
    /// There is no such workload, or its kind cannot be released.
    pub fn of(rollout: &'a Rollout, objects: &ObjectSet, counted: Option<u32>) -> Result<Self, RenderError> {
        let kind = Kind::of(&rollout.workload)?;
        let workload = find_workload(objects, &rollout.workload)?;
        let own = render::size(rollout, objects)?;
        let size = own.or(counted).unwrap_or(0);
        Ok(Self {
            kind,
            size,
            counted: own.is_none(),
            elastic: autoscaler::of(objects, workload).is_some() && autoscaler::is_elastic(kind, rollout),
            surges: kind.surges(workload),
            at_once: kind.at_once(workload, size),
            ordinal: kind.is_ordinal(workload),
            holds_back: kind.holds_back(workload),
            leaves_broken: kind.leaves_broken_pods(workload),
            keeps_size: kind.keeps_size(rollout.style),
        })
    }

    /// The same for a workload that is held as `shape` has it.
    #[must_use]
    pub(super) fn held(self, shape: &Shape) -> Self {
        match shape.pods {
            Pods::Held { size, .. } if self.keeps_size => Self { size, ..self },
            _ => self,
        }
    }

    /// Updated pods that `step` (1-based) asks for; the workload's size past the last step.
    pub fn target(self, rollout: &Rollout, step: u32) -> u32 {
        wanted(rollout, step).map_or(self.size, |amount| match rollout.style {
            Style::Partition => self.kind.target(amount, self.size),
            // The stable pods are all there: no cap keeps one of them.
            Style::Canary | Style::BlueGreen => amount.of(self.size),
        })
    }

    /// The percentage of `step`, where `pods` is what it means and the workload can be told one.
    fn percent(self, rollout: &Rollout, step: u32, pods: u32) -> Option<u32> {
        match wanted(rollout, step) {
            Some(Amount::Percent(percent))
                if (self.elastic || self.kind.takes_percent()) && pods == self.target(rollout, step) =>
            {
                Some(percent)
            }
            _ if self.elastic => Some(percent_of(pods, self.size)),
            _ => None,
        }
    }

    /// Whether percentages hold the workload at what `step` wants, whatever its size has become.
    fn has_enough(self, rollout: &Rollout, step: u32, pods: Pods) -> bool {
        let wants = match wanted(rollout, step) {
            Some(Amount::Percent(percent)) => percent,
            _ => percent_of(self.target(rollout, step), self.size),
        };
        self.elastic && matches!(pods, Pods::Held { percent: Some(percent), .. } if percent >= wants)
    }

    /// The updated pods of a shape that was made for another size.
    pub(super) fn now(self, to: u32, size: u32) -> u32 {
        if self.elastic { deployment::scaled(to, size, self.size) } else { to }
    }
}

/// Percent of `size` that `pods` are, rounded up.
fn percent_of(pods: u32, size: u32) -> u32 {
    u32::try_from((u64::from(pods) * 100).div_ceil(u64::from(size.max(1)))).unwrap_or(100).min(100)
}

fn wanted(rollout: &Rollout, step: u32) -> Option<Amount> {
    let index = usize::try_from(step).unwrap_or(usize::MAX).saturating_sub(1);
    rollout.steps.get(index).map(|step| step.replicas)
}

/// The updated pods of a shape.
pub(super) fn updated(shape: &Shape, size: u32) -> u32 {
    match shape.pods {
        Pods::Stable | Pods::Returning { .. } => shape.extra.unwrap_or(0),
        Pods::Held { to, .. } => to,
        Pods::Back { left, .. } => left,
        Pods::Candidate => size,
    }
}

/// The next move inside `step`, or `None` when the shape is what the step wants.
/// `narrow` is the label by which stable pods are told apart.
///
/// A routing that is shared with others comes in force with the first step's requests: once new pods are there.
pub(super) fn within_step(
    rollout: &Rollout,
    step: u32,
    ground: Ground,
    shape: &Shape,
    narrow: Option<&Selector>,
) -> Option<(Leg, Shape)> {
    let shared = rollout.shared.as_ref().map(|shared| shared.name.clone());
    if step == 0 || usize::try_from(step).unwrap_or(usize::MAX) > rollout.steps.len() {
        return None;
    }
    match own_move(rollout, step, ground, shape, narrow) {
        Some((Leg::Shift, next)) => Some((Leg::Shift, Shape { shared, ..next })),
        None if shape.shared != shared => Some((Leg::Shift, Shape { shared, ..shape.clone() })),
        other => other,
    }
}

/// The same, of what is the Rollout's own.
fn own_move(rollout: &Rollout, step: u32, ground: Ground, shape: &Shape, narrow: Option<&Selector>) -> Option<(Leg, Shape)> {
    let index = usize::try_from(step).unwrap_or(usize::MAX).saturating_sub(1);
    let wanted = rollout.steps.get(index)?;
    let before = match shape.pods {
        Pods::Held { size, to, .. } => ground.now(to, size),
        _ => updated(shape, ground.size),
    };
    let enough = ground.has_enough(rollout, step, shape.pods);
    let pods = if enough { before } else { ground.target(rollout, step).max(before) };
    // A batch that takes all pods leaves routing as it is: there is nothing to tell apart (Kruise, 2.4 a).
    let all = rollout.style == Style::Partition && pods >= ground.size;
    let routed = !rollout.routings.is_empty() && wanted.routes();
    let mut next = shape.clone();

    if !rollout.routings.is_empty() && (!routed || all) && shape.stable_selector.is_some() {
        next.stable_selector = None;
        return Some((Leg::Widen, next));
    }
    if !routed && shape.routes != Routes::Stable {
        next.routes = Routes::Stable;
        return Some((Leg::Unroute, next));
    }
    if !routed {
        next.canary_services = false;
    }
    if rollout.style == Style::Canary {
        if shape.extra.is_none() || pods > before {
            next.extra = Some(pods);
            next.extra_for = ground.counted.then_some(ground.size);
            next.union = true;
            if routed {
                serve(&mut next, narrow);
            }
            return Some((Leg::Grow, next));
        }
        if routed {
            route(&mut next, wanted, narrow);
        }
        return (next != *shape).then_some((Leg::Shift, next));
    }
    if ground.kind.splits_nodes() {
        return nodes::within_step(ground, shape, before, pods);
    }
    let held_at_size = matches!(shape.pods, Pods::Held { size, .. } if size == ground.size || ground.elastic);
    if !held_at_size || pods > before {
        // Where old pods go first, no more of them at once than the user allows: a large step takes several moves.
        let (phase, from, to) = match (rollout.style, ground.surges) {
            // No old pod goes, however many new ones have come.
            (Style::BlueGreen, _) => (PodsPhase::Grow, 0, pods),
            (_, true) => (PodsPhase::Grow, before, pods),
            (_, false) => (PodsPhase::Shift, before, pods.min(before.saturating_add(ground.at_once))),
        };
        next.pods = Pods::Held { size: ground.size, from, to, phase, percent: ground.percent(rollout, step, to) };
        next.union = true;
        if routed && !all {
            serve(&mut next, narrow);
        }
        return Some((Leg::Grow, next));
    }
    if let Pods::Held { size, from, to, phase: PodsPhase::Grow, percent } = shape.pods
        && rollout.style != Style::BlueGreen
    {
        next.pods = Pods::Held { size, from, to, phase: PodsPhase::Shift, percent };
    }
    if routed && !all {
        route(&mut next, wanted, narrow);
    }
    (next != *shape).then_some((Leg::Shift, next))
}

/// A Service for each version. It comes with the pods, a commit before the routes: a Service that is as new as the route to it has
/// no endpoints for a moment, and requests would find nobody.
fn serve(shape: &mut Shape, narrow: Option<&Selector>) {
    shape.stable_selector = narrow.cloned();
    shape.canary_services = true;
}

/// Requests as `step` wants them.
fn route(shape: &mut Shape, step: &Step, narrow: Option<&Selector>) {
    serve(shape, narrow);
    shape.routes = Routes::Split {
        weight: step.traffic,
        matches: step.matches.clone(),
        request_header_modifier: step.request_header_modifier.clone(),
        mirror: step.mirror,
    };
}

/// The next move of a release that passed its last step. After [`Leg::Complete`] there is none.
///
/// Where all pods are there twice (blueGreen), requests go to the new ones first, and back to the stable Service when there are
/// no others (Kruise, reference 2.6).
///
/// A routing that is shared with others is let go of first (Kruise's finalizer, `doFinalising`).
pub(super) fn finalise(rollout: &Rollout, shape: &Shape, ground: Ground) -> (Leg, Shape) {
    if shape.shared.is_some() {
        return (Leg::Unroute, Shape { shared: None, ..shape.clone() });
    }
    if ground.kind.splits_nodes() {
        return nodes::finalise(ground, shape).unwrap_or((Leg::Complete, Shape::stable(true)));
    }
    let mut next = shape.clone();
    if rollout.style == Style::BlueGreen && !rollout.routings.is_empty() {
        let all = Routes::Split { weight: Some(100), matches: Vec::new(), request_header_modifier: None, mirror: None };
        match shape.pods {
            Pods::Held { .. } if shape.routes != all => {
                return (Leg::Shift, Shape { routes: all, canary_services: true, ..next });
            }
            Pods::Held { .. } if shape.stable_selector.is_none() => {
                return (Leg::Resume, Shape { pods: Pods::Candidate, union: true, ..next });
            }
            Pods::Candidate if shape.routes != Routes::Stable => return (Leg::Unroute, Shape { routes: Routes::Stable, ..next }),
            _ => {}
        }
    }
    if shape.pods == Pods::Candidate {
        return (Leg::Complete, Shape::stable(true));
    }
    if shape.stable_selector.is_some() {
        next.stable_selector = None;
        return (Leg::Widen, next);
    }
    if shape.routes != Routes::Stable {
        next.routes = Routes::Stable;
        return (Leg::Unroute, next);
    }
    (Leg::Resume, Shape { pods: Pods::Candidate, canary_services: false, union: true, ..next })
}

/// The next move of a rollback: traffic to stable, then the stable pods, then what is left.
///
/// Held pods serve, yet count as unavailable: their replacements come first where the user lets pods surge.
pub(super) fn roll_back(rollout: &Rollout, shape: &Shape, ground: Ground) -> (Leg, Shape) {
    if shape.routes != Routes::Stable || shape.shared.is_some() {
        return (Leg::RollbackRoutes, Shape { routes: Routes::Stable, shared: None, ..shape.clone() });
    }
    if ground.kind.splits_nodes() {
        return nodes::roll_back(ground, shape).unwrap_or((Leg::RollbackEnd, Shape::stable(shape.stable_labelled)));
    }
    let pods = match shape.pods {
        // All stable pods are there.
        Pods::Held { .. } if rollout.style == Style::BlueGreen && !ground.holds_back => Some(Pods::Stable),
        Pods::Held { to, .. } if ground.surges => Some(Pods::Returning { surge: to }),
        Pods::Back { from, phase: PodsPhase::Grow, .. } if ground.surges => Some(Pods::Returning { surge: from }),
        Pods::Back { left, .. } if ground.surges => Some(Pods::Returning { surge: left }),
        Pods::Held { .. } | Pods::Back { .. } | Pods::Candidate if ground.holds_back => Some(Pods::Returning { surge: 0 }),
        Pods::Held { .. } | Pods::Back { .. } | Pods::Candidate => Some(Pods::Stable),
        Pods::Stable if shape.extra.is_some() => Some(Pods::Stable),
        Pods::Stable | Pods::Returning { .. } => None,
    };
    if let Some(pods) = pods {
        return (Leg::RollbackPods, Shape { pods, extra: None, extra_for: None, union: true, ..shape.clone() });
    }
    (Leg::RollbackEnd, Shape::stable(shape.stable_labelled))
}

/// The next move where the cluster has lost the stable pods: as a rollback goes, up to where all stable pods are there. From
/// that shape the step begins anew, with all of its pods in one batch.
///
/// The stable Service stays narrowed all the while, so that the new version never gets more requests than the step gave it.
pub(super) fn restore(rollout: &Rollout, shape: &Shape, ground: Ground) -> (Leg, Shape) {
    match roll_back(rollout, shape, ground) {
        (Leg::RollbackRoutes, shape) => (Leg::RestoreRoutes, shape),
        (_, shape) => (Leg::RestorePods, shape),
    }
}

/// The shape after the workload went to another size in the middle of a release, at `step`.
///
/// Where the controller has a partition, the partition says what becomes of a changed size. A Deployment's scales both
/// versions in proportion. On the way down the shape holds them at just what that leaves: were more updated pods asked for,
/// old pods would go before those are there. Where they are fewer than the step wants, growing to that comes next.
pub(super) fn resized(rollout: &Rollout, step: u32, shape: &Shape, ground: Ground) -> Shape {
    let mut next = shape.clone();
    // Kruise never takes pods from the second Deployment.
    let wanted = ground.target(rollout, step);
    if shape.extra.is_some_and(|pods| pods < wanted) {
        next.extra = Some(wanted);
        next.extra_for = ground.counted.then_some(ground.size);
    }
    let Pods::Held { size, from, to, phase, .. } = shape.pods else { return next };
    let new_size = ground.size;
    // Where nodes are chosen, those that come are the stable version's until a step wants more of them.
    if size == new_size || ground.elastic || ground.keeps_size || ground.kind.splits_nodes() {
        return next;
    }
    if rollout.style == Style::BlueGreen {
        let wanted = ground.target(rollout, step);
        let to = if new_size > size { wanted.max(to) } else { wanted.max(deployment::scaled(to, size, new_size)).min(to) };
        next.pods = Pods::Held { size: new_size, from: 0, to, phase: PodsPhase::Grow, percent: None };
        return next;
    }
    if ground.kind != Kind::Deployment {
        let updated = repartitioned(size, to, ground, ground.target(rollout, step));
        next.pods = Pods::Held {
            size: new_size,
            from: updated,
            to: updated,
            phase: PodsPhase::Shift,
            percent: ground.percent(rollout, step, updated),
        };
        if updated == 0 {
            // Nobody is left to answer what is routed to the new version; it is routed again when there is.
            next.routes = Routes::Stable;
        }
        return next;
    }
    let updated = if phase == PodsPhase::Shift && new_size < size {
        let surge = if ground.surges { to.saturating_sub(from) } else { 0 };
        let new = Part { pods: to, most: size.saturating_add(surge) };
        deployment::shared(new, Part { pods: size.saturating_sub(to), most: size }, new_size)
    } else {
        deployment::scaled(to, size, new_size)
    };
    next.pods = if updated == 0 && to > 0 && new_size > 0 {
        // So few are left that the last updated pod went, too: it comes back before an old one goes.
        Pods::Held { size: new_size, from: 0, to: 1, phase: PodsPhase::Grow, percent: None }
    } else {
        let from = match phase {
            PodsPhase::Grow => deployment::scaled(from, size, new_size).min(updated),
            // Both versions were scaled by this very change: neither remembers the surge that the updated pods came with.
            PodsPhase::Shift => updated,
        };
        Pods::Held { size: new_size, from, to: updated, phase, percent: None }
    };
    next
}

/// The size that a shape was made for, where the cluster has told another since and the shape does not follow by itself.
pub(super) fn outgrown(rollout: &Rollout, step: u32, shape: &Shape, ground: Ground) -> Option<u32> {
    let size = match (shape.pods, shape.extra) {
        // Where a step is a choice of nodes, another number of them is not another size of what was chosen.
        (Pods::Held { size, .. }, _) => (size != ground.size && !ground.elastic && !ground.kind.splits_nodes()).then_some(size),
        (_, Some(pods)) => shape.extra_for.filter(|_| pods < ground.target(rollout, step)),
        _ => None,
    };
    size.filter(|_| ground.counted)
}

/// Updated pods after a change of size where there is a partition. By ordinals, the partition stays where it is (Kruise never
/// raises one): pods that come are updated ones, and they are the first to go. Where it is a number of pods, the change brings
/// the step's part at once, and takes no updated pod that the step wants.
/// A DaemonSet's pods on new nodes are updated ones.
fn repartitioned(size: u32, to: u32, ground: Ground, wanted: u32) -> u32 {
    let grows = ground.size > size;
    match (ground.ordinal || (grows && ground.kind == Kind::AdvancedDaemonSet), grows) {
        (true, _) => ground.size.saturating_sub(size.saturating_sub(to)),
        (false, true) => wanted.max(to),
        (false, false) => wanted.max(deployment::scaled(to, size, ground.size)).min(to),
    }
}

/// The step that a changed plan goes on from: the present one where its pods are no fewer than today's, else the first
/// that has as many, else the last (Kruise, reference 2.4).
pub(super) fn replanned(rollout: &Rollout, step: u32, ground: Ground, shape: &Shape) -> u32 {
    let pods = match shape.pods {
        Pods::Held { size, to, .. } => ground.now(to, size),
        _ => updated(shape, ground.size),
    };
    let last = u32::try_from(rollout.steps.len()).unwrap_or(u32::MAX);
    if step <= last && ground.target(rollout, step) >= pods {
        return step;
    }
    (1..=last).find(|step| ground.target(rollout, *step) >= pods).unwrap_or(last)
}
