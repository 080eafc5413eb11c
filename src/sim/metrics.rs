//! Metrics of the simulated requests: each version has an error rate and a latency, and what is measured follows from who
//! answered how many requests. Noise is drawn from a seed, so a look at the same moment always gives the same numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::{MetricsError, Sample, Source};
use crate::sim::Rng;
use crate::sim::cluster::Shares;

/// How a version answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behaviour {
    /// Part of its requests that fail, 0 to 1.
    pub error_rate: f64,
    /// Mean latency, milliseconds.
    pub latency_ms: f64,
}

/// Why a source says nothing useful for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// It does not answer.
    Outage,
    /// It answers, with nothing.
    NoData,
    /// It answers with a value that is no number.
    NaN,
}

/// A metrics source over the simulated requests.
///
/// A query is a name and its arguments, in any order: `error-rate revision=5d4f8 window=60s`. Names: `requests` and `errors`
/// (counts), `error-rate` and `success-rate` (0 to 1), `latency` (milliseconds). Without `revision`, all requests count, and
/// those that nobody answered count as errors. `window` (`s`, `m` or plain seconds; default 60 s) ends at the moment asked.
#[derive(Debug, Clone)]
pub struct Model {
    name: String,
    /// Unix time of the cluster's time 0, seconds.
    epoch: i64,
    seed: u64,
    /// (from when on, requests per second).
    volume: Vec<(u64, f64)>,
    /// (from when on, who answers which part).
    shares: Vec<(u64, Shares)>,
    /// By version: (from when on, how it answers).
    behaviours: BTreeMap<String, Vec<(u64, Behaviour)>>,
    silences: Vec<(u64, u64, Silence)>,
}

/// What was counted in a window.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    requests: f64,
    errors: f64,
    latency: f64,
}

impl Model {
    /// `epoch` is the Unix time (seconds) of the cluster's time 0. There are no requests until [`Model::set_volume`] and
    /// [`Model::record`] say so.
    pub fn new(name: &str, epoch: i64, seed: u64) -> Self {
        Self {
            name: name.to_owned(),
            epoch,
            seed,
            volume: Vec::new(),
            shares: Vec::new(),
            behaviours: BTreeMap::new(),
            silences: Vec::new(),
        }
    }

    /// Requests per second from `at` (milliseconds since the start) on. Calls come in the order of time.
    pub fn set_volume(&mut self, at: u64, requests_per_second: f64) {
        self.volume.push((at, requests_per_second));
    }

    /// Who answers from `at` on. Calls come in the order of time; what has not changed is not kept twice.
    pub fn record(&mut self, at: u64, shares: Shares) {
        if self.shares.last().is_none_or(|(_, last)| *last != shares) {
            self.shares.push((at, shares));
        }
    }

    /// How a version answers from `at` on. Versions that were never named answer all requests in 50 ms.
    pub fn set_behaviour(&mut self, revision: &str, at: u64, behaviour: Behaviour) {
        self.behaviours.entry(revision.to_owned()).or_default().push((at, behaviour));
    }

    /// Says nothing useful from `from` up to, and without, `to`.
    pub fn silence(&mut self, from: u64, to: u64, silence: Silence) {
        self.silences.push((from, to, silence));
    }

    /// Ends at `at` whatever silence there is.
    pub fn end_silence(&mut self, at: u64) {
        for (_, to, _) in &mut self.silences {
            *to = (*to).min(at);
        }
    }

    fn refused(&self, cause: String) -> MetricsError {
        MetricsError::Refused { source_name: self.name.clone(), cause }
    }

    /// Expected sums of one version (`None`: of all requests) in a window of milliseconds.
    fn sums(&self, revision: Option<&str>, from: u64, to: u64) -> Sums {
        let mut moments: Vec<u64> = [from, to].into();
        moments.extend(self.volume.iter().map(|(at, _)| *at));
        moments.extend(self.shares.iter().map(|(at, _)| *at));
        moments.extend(self.behaviours.values().flatten().map(|(at, _)| *at));
        moments.retain(|at| (from..=to).contains(at));
        moments.sort_unstable();
        moments.dedup();
        let mut sums = Sums::default();
        for (start, end) in moments.iter().zip(moments.iter().skip(1)) {
            let (Some(volume), Some(shares)) = (standing(&self.volume, *start), standing(&self.shares, *start)) else { continue };
            let requests = volume * (end - start) as f64 / 1000.0;
            for (label, share) in shares.by_label.iter().filter(|(label, _)| revision.is_none_or(|wanted| wanted == *label)) {
                let known = self.behaviours.get(label).and_then(|known| standing(known, *start));
                let behaviour = known.copied().unwrap_or(Behaviour { error_rate: 0.0, latency_ms: 50.0 });
                sums.requests += requests * share;
                sums.errors += requests * share * behaviour.error_rate;
                sums.latency += requests * share * behaviour.latency_ms;
            }
            if revision.is_none() {
                sums.requests += requests * shares.nobody;
                sums.errors += requests * shares.nobody;
            }
        }
        sums
    }

    /// Whole requests and errors, with the spread that chance gives them.
    fn counts(&self, sums: Sums, revision: Option<&str>, now: u64) -> (f64, f64) {
        let word = revision
            .unwrap_or_default()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut chance = Rng::new(self.seed ^ word ^ now.rotate_left(32));
        let requests = sums.requests.round();
        let rate = if sums.requests > 0.0 { sums.errors / sums.requests } else { 0.0 };
        let spread = (requests * rate * (1.0 - rate)).max(0.0).sqrt();
        (requests, (requests * rate + chance.normal() * spread).round().clamp(0.0, requests))
    }
}

/// The last entry at or before `at`.
fn standing<T>(entries: &[(u64, T)], at: u64) -> Option<&T> {
    entries.iter().rev().find(|(from, _)| *from <= at).map(|(_, value)| value)
}

fn seconds(text: &str) -> Option<u64> {
    match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(number), _) => number.parse().ok(),
        (None, Some(number)) => number.parse::<u64>().ok()?.checked_mul(60),
        (None, None) => text.parse().ok(),
    }
}

impl Source for Model {
    fn query(&self, query: &str, now: i64) -> Result<Vec<Sample>, MetricsError> {
        let mut words = query.split_whitespace();
        let name = words.next().unwrap_or_default();
        let (mut revision, mut window) = (None, 60);
        for word in words {
            match word.split_once('=') {
                Some(("revision", value)) => revision = Some(value),
                Some(("window", value)) => {
                    window = seconds(value).ok_or_else(|| self.refused(format!("`{value}` is no window")))?;
                }
                _ => return Err(self.refused(format!("`{word}` is neither revision=… nor window=…"))),
            }
        }
        if !["requests", "errors", "error-rate", "success-rate", "latency"].contains(&name) {
            return Err(self.refused(format!("there is no metric `{name}`")));
        }
        let Ok(now) = u64::try_from(now.saturating_sub(self.epoch)) else { return Ok(Vec::new()) };
        let now = now.saturating_mul(1000);
        match self.silences.iter().find(|(from, to, _)| (*from..*to).contains(&now)).map(|(_, _, silence)| silence) {
            Some(Silence::Outage) => {
                let cause = "connection refused".to_owned();
                return Err(MetricsError::Unreachable { source_name: self.name.clone(), cause });
            }
            Some(Silence::NoData) => return Ok(Vec::new()),
            Some(Silence::NaN) => return Ok(vec![Sample { value: f64::NAN }]),
            None => {}
        }
        let sums = self.sums(revision, now.saturating_sub(window.saturating_mul(1000)), now);
        let (requests, errors) = self.counts(sums, revision, now);
        let value = match name {
            "requests" => requests,
            "errors" => errors,
            // Nothing was asked, so there is nothing to divide by: no data.
            _ if requests == 0.0 => return Ok(Vec::new()),
            "error-rate" => errors / requests,
            "success-rate" => 1.0 - errors / requests,
            _ => sums.latency / sums.requests,
        };
        Ok(vec![Sample { value }])
    }
}

impl Source for Arc<Mutex<Model>> {
    fn query(&self, query: &str, now: i64) -> Result<Vec<Sample>, MetricsError> {
        self.lock().unwrap_or_else(PoisonError::into_inner).query(query, now)
    }
}
