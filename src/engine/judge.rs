//! The threshold judge: counters and limits with Argo Rollouts' meanings (reference `argo-flagger.md`, 2.1), and no data
//! that never passes.

use jiff::{SignedDuration, Timestamp};

use super::state::Tally;
use crate::api::{Metric, NoData, Reducer};

/// Seconds after which a look that could not be taken is tried again.
const RETRY_AFTER_ERROR: i64 = 10;

/// The answer of a metrics source at one look.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// All samples of the answer; empty where the source knows none.
    Samples(Vec<f64>),
    /// The source could not be asked, or refused.
    Error(String),
}

/// One look at one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    pub metric: String,
    pub at: Timestamp,
    /// Digest of the rendered query.
    pub query: String,
    pub answer: Answer,
}

/// What a metric says of the step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Looks are outstanding.
    Running,
    Pass,
    Fail(String),
    /// Could not be measured often enough.
    Error(String),
    /// Neither good nor bad: a person decides.
    Inconclusive(String),
}

/// Counts one look. `NaN` and an empty answer are no data.
pub(super) fn count(metric: &Metric, tally: &mut Tally, look: &Look) {
    if tally.query != look.query {
        *tally = Tally { query: look.query.clone(), ..Tally::default() };
    }
    tally.last_at = Some(look.at);
    let samples = match &look.answer {
        Answer::Error(cause) => {
            tally.error += 1;
            tally.consecutive_error += 1;
            tally.consecutive_success = 0;
            tally.last_error = Some(cause.clone());
            return;
        }
        Answer::Samples(samples) => samples,
    };
    tally.last_error = None;
    let Some(value) = reduce(metric.reducer, samples) else {
        tally.last_value = None;
        tally.consecutive_success = 0;
        match metric.no_data {
            NoData::Hold => tally.no_data += 1,
            NoData::Fail => {
                tally.consecutive_error = 0;
                tally.count += 1;
                tally.failed += 1;
            }
        }
        return;
    };
    tally.last_value = Some(value);
    tally.consecutive_error = 0;
    tally.count += 1;
    if metric.min.is_some_and(|min| value < min) || metric.max.is_some_and(|max| value > max) {
        tally.failed += 1;
        tally.consecutive_success = 0;
    } else {
        tally.successful += 1;
        tally.consecutive_success += 1;
    }
}

fn reduce(reducer: Reducer, samples: &[f64]) -> Option<f64> {
    if samples.is_empty() || samples.iter().any(|sample| !sample.is_finite()) {
        return None;
    }
    let fold = |pick: fn(f64, f64) -> f64| samples.iter().copied().reduce(pick);
    match reducer {
        Reducer::Last => samples.last().copied(),
        Reducer::Min => fold(f64::min),
        Reducer::Max => fold(f64::max),
        Reducer::Sum => Some(samples.iter().sum()),
        #[expect(clippy::cast_precision_loss, reason = "an answer holds at most thousands of samples")]
        Reducer::Mean => Some(samples.iter().sum::<f64>() / samples.len() as f64),
    }
}

/// The verdict of the looks so far. `soaked`: the step's pause is over, which ends a metric without a `count`.
/// Where several limits are exceeded at once the last check wins: error over inconclusive over failed.
pub(super) fn verdict(metric: &Metric, tally: &Tally, soaked: bool) -> Verdict {
    let mut verdict = Verdict::Running;
    if tally.failed > metric.failure_limit {
        verdict = Verdict::Fail(format!(
            "{} of {} looks failed, {} allowed; {}",
            tally.failed,
            tally.count,
            metric.failure_limit,
            bounds(metric, tally)
        ));
    }
    if tally.inconclusive > metric.inconclusive_limit {
        verdict = Verdict::Inconclusive(format!("{} looks were inconclusive", tally.inconclusive));
    }
    if tally.consecutive_error > metric.consecutive_error_limit {
        let cause = tally.last_error.as_deref().unwrap_or("no answer");
        verdict = Verdict::Error(format!("{} looks in a row could not be taken: {cause}", tally.consecutive_error));
    }
    if verdict != Verdict::Running {
        return verdict;
    }
    let streak = metric.consecutive_success_limit;
    if streak > 0 && tally.consecutive_success >= streak {
        return Verdict::Pass;
    }
    let wanted = match (metric.count, metric.interval) {
        (Some(count), _) => count,
        (None, None) => 1,
        // Without a count it goes on for as long as the step soaks, and must have seen something good by then.
        (None, Some(_)) if soaked && tally.successful > 0 && tally.consecutive_error == 0 => tally.count,
        (None, Some(_)) => return Verdict::Running,
    };
    if tally.count < wanted {
        return Verdict::Running;
    }
    if streak > 0 {
        return Verdict::Inconclusive(format!("{} looks without {streak} good ones in a row", tally.count));
    }
    Verdict::Pass
}

/// When the next look is due; `None` when no more are needed. `settled`: when the step's move was seen applied and ready.
pub(super) fn next_look(metric: &Metric, tally: Option<&Tally>, settled: Timestamp, soaked: bool) -> Option<Timestamp> {
    let Some(last) = tally.and_then(|tally| tally.last_at) else {
        return Some(plus(settled, i64::from(metric.initial_delay)));
    };
    let tally = tally?;
    if verdict(metric, tally, soaked) != Verdict::Running {
        return None;
    }
    let wait = if tally.consecutive_error > 0 { RETRY_AFTER_ERROR } else { metric.interval.map_or(RETRY_AFTER_ERROR, i64::from) };
    Some(plus(last, wait))
}

/// When a metric that never fails will have taken all its looks.
pub(super) fn expected_end(metric: &Metric, settled: Timestamp) -> Timestamp {
    let looks = i64::from(metric.count.unwrap_or(1).saturating_sub(1));
    plus(settled, i64::from(metric.initial_delay) + looks * metric.interval.map_or(0, i64::from))
}

/// The newest value beside its bounds: `0.07 > max 0.05`.
pub fn bounds(metric: &Metric, tally: &Tally) -> String {
    let Some(value) = tally.last_value else { return "no data".to_owned() };
    let shown = number(value);
    match (metric.min, metric.max) {
        (_, Some(max)) if value > max => format!("{shown} > max {}", number(max)),
        (Some(min), _) if value < min => format!("{shown} < min {}", number(min)),
        (Some(min), Some(max)) => format!("{shown} within {} to {}", number(min), number(max)),
        (Some(min), None) => format!("{shown} ≥ min {}", number(min)),
        (None, Some(max)) => format!("{shown} ≤ max {}", number(max)),
        (None, None) => shown,
    }
}

/// A number for people: four significant digits.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    #[expect(clippy::cast_possible_truncation, reason = "the exponent of a finite number")]
    let exponent = value.abs().log10().floor() as i32;
    if !(-5..9).contains(&exponent) {
        return format!("{value:.3e}");
    }
    let digits = usize::try_from((3 - exponent).max(0)).unwrap_or(0);
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

pub(super) fn plus(time: Timestamp, seconds: i64) -> Timestamp {
    time.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric() -> Metric {
        Metric {
            name: "error-rate".to_owned(),
            source: "prometheus".to_owned(),
            query: "q".to_owned(),
            reducer: Reducer::Last,
            min: None,
            max: Some(0.05),
            interval: Some(30),
            count: Some(3),
            initial_delay: 0,
            failure_limit: 0,
            inconclusive_limit: 0,
            consecutive_error_limit: 4,
            consecutive_success_limit: 0,
            no_data: NoData::Hold,
            window: 60,
        }
    }

    fn judge(metric: &Metric, answers: &[Answer], soaked: bool) -> Verdict {
        let mut tally = Tally::default();
        for (index, answer) in answers.iter().enumerate() {
            let at = Timestamp::from_second(i64::try_from(index).unwrap()).unwrap();
            count(metric, &mut tally, &Look { metric: metric.name.clone(), at, query: "d".to_owned(), answer: answer.clone() });
        }
        verdict(metric, &tally, soaked)
    }

    fn good() -> Answer {
        Answer::Samples(vec![0.01])
    }
    fn bad() -> Answer {
        Answer::Samples(vec![0.2])
    }
    fn error() -> Answer {
        Answer::Error("timeout".to_owned())
    }

    #[test]
    fn count_reached_passes_and_one_failure_over_the_limit_fails() {
        assert_eq!(judge(&metric(), &[good(), good()], true), Verdict::Running);
        assert_eq!(judge(&metric(), &[good(), good(), good()], false), Verdict::Pass);
        assert!(matches!(judge(&metric(), &[good(), bad()], false), Verdict::Fail(_)));
        let lenient = Metric { failure_limit: 1, ..metric() };
        assert_eq!(judge(&lenient, &[bad(), good(), good()], false), Verdict::Pass);
        assert!(matches!(judge(&lenient, &[bad(), bad()], false), Verdict::Fail(_)));
    }

    #[test]
    fn no_data_holds_or_fails_and_never_passes() {
        let nothing = [Answer::Samples(vec![]), Answer::Samples(vec![f64::NAN]), Answer::Samples(vec![f64::INFINITY])];
        assert_eq!(judge(&metric(), &nothing, true), Verdict::Running);
        let strict = Metric { no_data: NoData::Fail, ..metric() };
        assert!(matches!(judge(&strict, &nothing[..1], true), Verdict::Fail(_)));
        let unbounded = Metric { count: None, ..metric() };
        assert_eq!(judge(&unbounded, &nothing, true), Verdict::Running);
    }

    #[test]
    fn errors_do_not_count_and_five_in_a_row_are_an_error() {
        assert_eq!(judge(&metric(), &[error(), error(), error(), error()], true), Verdict::Running);
        assert!(matches!(judge(&metric(), &[error(), error(), error(), error(), error()], true), Verdict::Error(_)));
        let broken_row = [error(), error(), error(), error(), good(), error(), good(), good()];
        assert_eq!(judge(&metric(), &broken_row, true), Verdict::Pass);
    }

    #[test]
    fn a_streak_ends_early_and_its_absence_is_inconclusive() {
        let streak = Metric { consecutive_success_limit: 2, count: Some(5), failure_limit: 3, ..metric() };
        assert_eq!(judge(&streak, &[bad(), good(), good()], false), Verdict::Pass);
        assert!(matches!(judge(&streak, &[good(), bad(), good(), bad(), good()], false), Verdict::Inconclusive(_)));
    }

    #[test]
    fn without_a_count_it_ends_with_the_soak() {
        let unbounded = Metric { count: None, ..metric() };
        assert_eq!(judge(&unbounded, &[good(), good(), good(), good()], false), Verdict::Running);
        assert_eq!(judge(&unbounded, &[good()], true), Verdict::Pass);
        assert_eq!(judge(&unbounded, &[good(), error()], true), Verdict::Running);
    }

    #[test]
    fn another_query_starts_over() {
        let mut tally = Tally::default();
        let look =
            |query: &str, answer| Look { metric: "m".to_owned(), at: Timestamp::UNIX_EPOCH, query: query.to_owned(), answer };
        count(&metric(), &mut tally, &look("one", good()));
        count(&metric(), &mut tally, &look("two", good()));
        assert_eq!(tally.count, 1);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [0.0, 0.05, 0.123_456, 12.0, 1234.56, 1e12, 1e-9].map(number),
            ["0", "0.05", "0.1235", "12", "1235", "1.000e12", "1.000e-9"]
        );
    }
}
