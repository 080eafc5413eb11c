//! What `status` prints.

use super::picture::{Picture, standing};
use super::stage::Stage;
use super::{NAMESPACE, time};
use crate::git::Repo as _;
use crate::manifest::ObjectKey;
use crate::reconcile::{AppReport, layout};
use crate::render::workload::extra;
use crate::sim::cluster::{Cluster, Request};
use crate::sim::world::EPOCH;

impl Stage<'_> {
    pub(super) fn full_status(&mut self) -> Result<(), String> {
        let reports = match self.look() {
            Ok(reports) => reports,
            Err(text) => {
                self.out.push(format!("error: {text}"));
                return Ok(());
            }
        };
        let mut lines = Vec::new();
        for report in &reports {
            lines.extend(of_report(report));
            lines.push(format!("  {}", self.picture(&report.id.name)));
        }
        self.out.extend(lines);
        Ok(())
    }

    /// What every world can say: where the live branch says that the apps stand, and what the cluster shows.
    pub(super) fn plain_status(&mut self) -> Result<(), String> {
        if self.weather.down.get() {
            self.out.push(super::UNREACHABLE.to_owned());
            return Ok(());
        }
        let Some(head) = self.head() else { return Err("the live branch does not exist yet".to_owned()) };
        self.reader.fetch().map_err(|error| error.to_string())?;
        for id in layout::recorded_apps(&self.reader, head).map_err(|trouble| trouble.to_string())? {
            let state = layout::read_state(&self.reader, head, &id).map_err(|trouble| trouble.to_string())?;
            let rollout = layout::read_rollout(&self.reader, head, &id).map_err(|trouble| trouble.to_string())?;
            let (Some(state), Some(rollout)) = (state, rollout) else { continue };
            let report = self.reports.iter().find(|report| report.id == id);
            let hold = report.and_then(|report| report.hold.as_ref()).map(|hold| hold.reason.code());
            self.out.extend(standing(&id.path, &state, rollout.steps.len(), hold));
            self.out.push(format!("  {}", self.picture(&id.name)));
        }
        Ok(())
    }

    /// Pods by image, and the share of plain requests by version.
    fn picture(&self, name: &str) -> Picture {
        let state = self.world.lock();
        let Some(app) = self.desk.apps.iter().find(|app| app.name == name) else { return Picture::default() };
        let key = Cluster::workload(NAMESPACE, &app.workload());
        let second = ObjectKey { name: extra::name(&key.name), ..key.clone() };
        let pods = [(&key, ""), (&second, " (canary)")].into_iter().flat_map(|(key, which)| {
            state.cluster.pods_by(key, "/spec/containers/0/image").into_iter().map(move |(image, counts)| {
                let version = image.rsplit(':').next().unwrap_or_default();
                (format!("{version}{which}"), (counts.ready, counts.pods))
            })
        });
        let plain = state.cluster.traffic(&Request::to(&format!("{name}.example")), "version");
        let shares = plain.unwrap_or_else(|_| state.cluster.service_traffic(NAMESPACE, name, "version"));
        Picture { pods: pods.collect(), shares: shares.by_label, nobody: shares.nobody }
    }
}

fn of_report(report: &AppReport) -> Vec<String> {
    let mut first = format!("{} {}", report.app, report.phase);
    if report.step > 0 {
        first.push_str(&format!(", release {}, step {}/{}", report.release, report.step, report.steps));
    }
    if let Some(traffic) = report.traffic {
        first.push_str(&format!(", traffic {traffic} %"));
    }
    let mut lines = vec![first];
    if let Some(hold) = &report.hold {
        let until = hold.until.map(|at| format!(", until {}", time::show(at.as_second() - EPOCH))).unwrap_or_default();
        let then = hold.then.as_ref().map(|then| format!("; {then}")).unwrap_or_default();
        lines.push(format!("  holds, {}: {}{until}{then}", hold.reason.code(), hold.text));
    }
    for (name, value) in &report.metrics {
        lines.push(format!("  metric {name}: {value}"));
    }
    if let Some(error) = &report.error {
        lines.extend(error.lines().map(|line| format!("  error: {line}")));
    }
    if let Some(outcome) = report.outcome.as_ref().filter(|_| report.step == 0) {
        let how = if outcome.completed { "completed" } else { "undone" };
        lines.push(format!("  release {} {how}: {}", outcome.release, outcome.why));
    }
    lines
}
