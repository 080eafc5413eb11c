//! The gates at the end of a step: pause, approvals, metrics.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::input::{GateFact, Hold, Input, Reason};
use super::judge::{self, Verdict, plus};
use super::state::State;
use super::wait;
use crate::api::{Amount, Gate, OnFailure, Pause, Step, Style};

/// What the gates of a step say together.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Gates {
    Pass(Vec<GateFact>),
    Hold(Hold),
    Fail {
        why: String,
        facts: Vec<GateFact>,
    },
    /// A person must look.
    Inconclusive {
        why: String,
        facts: Vec<GateFact>,
    },
}

/// The moment from which a step soaks: applied, ready, and the grace of its routes over.
pub(super) fn soak_start(state: &State, input: &Input<'_>) -> Option<Timestamp> {
    Some(plus(state.settled_at?, wait::grace(state, input.rollout)))
}

/// Whether the step's pause is over, and the hold it makes where not.
fn pause(state: &State, input: &Input<'_>, step: &Step, start: Timestamp) -> Result<Option<GateFact>, Hold> {
    let rollout = input.rollout;
    let last = usize::try_from(state.step).unwrap_or(0) >= rollout.steps.len();
    // The last step with "100%" never pauses (Kruise, reference 2.4); blueGreen always does.
    if last && step.replicas == Amount::Percent(100) && rollout.style != Style::BlueGreen {
        return Ok(None);
    }
    let fact = |detail: String| GateFact {
        name: "pause".to_owned(),
        verdict: "pass",
        detail: Some(detail),
        value: None,
        looks: None,
        source: None,
        query: None,
    };
    if let Some(login) = approvers(state).min() {
        return Ok(Some(fact(format!("approved by {login}"))));
    }
    match step.pause {
        Pause::Seconds(seconds) => {
            let end = plus(start, i64::from(seconds));
            if input.now >= end {
                return Ok((seconds > 0).then(|| fact(format!("soaked {}", duration(i64::from(seconds))))));
            }
            Err(Hold {
                reason: Reason::Soak,
                text: format!("step {} soaks for {}", state.step, duration(i64::from(seconds))),
                since: start,
                until: Some(end),
                then: Some("then its gates decide".to_owned()),
            })
        }
        Pause::Approval => Err(Hold {
            reason: Reason::Approval,
            text: format!("step {} waits for an approval", state.step),
            since: start,
            until: None,
            then: Some(format!("`windlass approve {}` goes on, `windlass rollback {}` goes back", rollout.name, rollout.name)),
        }),
    }
}

/// The people who approved exactly this tree.
pub(super) fn approvers(state: &State) -> impl Iterator<Item = &str> {
    state.approvals.iter().filter(|approval| approval.tree == state.tree).map(|approval| approval.login.as_str())
}

fn approvals(state: &State, input: &Input<'_>, step: &Step, start: Timestamp) -> Result<Option<GateFact>, Hold> {
    let wanted = step.gates.iter().map(|Gate::Approval { count }| *count).max().unwrap_or(0);
    if wanted == 0 {
        return Ok(None);
    }
    let people: BTreeSet<&str> = approvers(state).collect();
    if people.len() >= usize::try_from(wanted).unwrap_or(usize::MAX) {
        let names = people.into_iter().collect::<Vec<_>>().join(", ");
        return Ok(Some(GateFact {
            name: "approval".to_owned(),
            verdict: "pass",
            detail: Some(names),
            value: None,
            looks: None,
            source: None,
            query: None,
        }));
    }
    Err(Hold {
        reason: Reason::Approval,
        text: format!("step {} has {} of {wanted} approvals", state.step, people.len()),
        since: start,
        until: None,
        then: Some(format!("`windlass approve {}` adds one", input.rollout.name)),
    })
}

/// Judges all gates of the present step. The state's move is done (applied, ready, grace over).
pub(super) fn judge(state: &State, input: &Input<'_>, step: &Step, start: Timestamp) -> Gates {
    let pause = pause(state, input, step, start);
    let soaked = pause.is_ok();
    let mut facts = Vec::new();
    let mut waiting: Option<Hold> = None;
    let mut worst: Option<(u8, String)> = None;
    for metric in &input.rollout.metrics {
        let tally = state.tallies.get(&metric.name).cloned().unwrap_or_default();
        let verdict = judge::verdict(metric, &tally, soaked);
        let (word, rank, why) = match verdict {
            Verdict::Pass => ("pass", 0, String::new()),
            Verdict::Running => ("running", 0, String::new()),
            Verdict::Inconclusive(why) => ("inconclusive", 1, why),
            Verdict::Error(why) => ("error", 2, why),
            Verdict::Fail(why) => ("fail", 3, why),
        };
        facts.push(GateFact {
            name: metric.name.clone(),
            verdict: word,
            detail: Some(judge::bounds(metric, &tally)),
            value: tally.last_value,
            looks: Some(tally.count),
            source: Some(metric.source.clone()),
            query: Some(tally.query.clone()),
        });
        if rank > 0 && worst.as_ref().is_none_or(|(other, _)| rank > *other) {
            worst = Some((rank, format!("metric {}: {why}", metric.name)));
        }
        if word == "running" && waiting.is_none() {
            waiting = Some(metric_hold(state, input, metric, &tally, start, soaked));
        }
    }
    match worst {
        Some((1, why)) => return Gates::Inconclusive { why, facts },
        Some((_, why)) => return Gates::Fail { why, facts },
        None => {}
    }
    let late = waiting.as_ref().is_some_and(|hold| soaked && hold.until.is_some_and(|until| input.now >= until));
    if late {
        let text = waiting.map(|hold| hold.text).unwrap_or_default();
        return Gates::Fail { why: format!("no verdict before the deadline: {text}"), facts };
    }
    let approval = match (pause, approvals(state, input, step, start)) {
        // The hold that a person can end comes first.
        (Err(hold), _) | (Ok(_), Err(hold)) => return Gates::Hold(hold),
        (Ok(pause), Ok(approval)) => pause.into_iter().chain(approval).collect::<Vec<_>>(),
    };
    if let Some(hold) = waiting {
        return Gates::Hold(hold);
    }
    Gates::Pass(approval.into_iter().chain(facts).collect())
}

fn metric_hold(
    state: &State,
    input: &Input<'_>,
    metric: &crate::api::Metric,
    tally: &super::state::Tally,
    start: Timestamp,
    soaked: bool,
) -> Hold {
    let looks =
        metric.count.map_or_else(|| format!("{} looks", tally.count), |count| format!("{} of {count} looks", tally.count));
    let text = match (&tally.last_error, tally.no_data) {
        (Some(cause), _) => format!("metric {}: {cause}", metric.name),
        (None, 0) if tally.count == 0 => format!("metric {}: no look yet", metric.name),
        (None, no_data) if tally.last_value.is_none() && no_data > 0 => {
            format!("metric {}: no data at {no_data} looks", metric.name)
        }
        _ => format!("metric {}: {looks}, {}", metric.name, judge::bounds(metric, tally)),
    };
    let end = judge::expected_end(metric, start);
    let soak_end =
        match input.rollout.steps.get(usize::try_from(state.step).unwrap_or(0).saturating_sub(1)).map(|step| step.pause) {
            Some(Pause::Seconds(seconds)) => plus(start, i64::from(seconds)),
            _ => start,
        };
    let until = plus(end.max(soak_end), i64::from(wait::timeout(state, input.rollout)));
    let then = match input.rollout.on_failure {
        OnFailure::Rollback => "then it rolls back",
        OnFailure::Pause => "then it pauses",
    };
    // While a person is awaited there is no deadline.
    let until = soaked.then_some(until);
    Hold { reason: Reason::Metrics, text, since: start, until, then: until.map(|_| then.to_owned()) }
}

/// A length of time for people: `1h5m`, `5m0s`, `30s`.
pub(super) fn duration(seconds: i64) -> String {
    match (seconds / 3600, seconds % 3600 / 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, 0) => format!("{h}h{m}m"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}
