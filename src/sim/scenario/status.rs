//! What `status` prints.

use super::stage::Stage;
use super::{NAMESPACE, time};
use crate::manifest::ObjectKey;
use crate::reconcile::AppReport;
use crate::render::workload::extra;
use crate::sim::cluster::{Cluster, Request};
use crate::sim::world::EPOCH;

impl Stage<'_> {
    pub(super) fn status(&mut self) -> Result<(), String> {
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
            lines.push(format!("  {}", self.cluster(&report.id.name)));
        }
        self.out.extend(lines);
        Ok(())
    }

    /// Pods (Ready of all) by image, and the share of plain requests by version.
    fn cluster(&self, name: &str) -> String {
        let state = self.world.lock();
        let Some(app) = self.apps.iter().find(|app| app.name == name) else { return format!("{name} is no app") };
        let key = Cluster::workload(NAMESPACE, &app.workload());
        let second = ObjectKey { name: extra::name(&key.name), ..key.clone() };
        let pods: Vec<String> = [(&key, ""), (&second, " (canary)")]
            .into_iter()
            .flat_map(|(key, which)| {
                state.cluster.pods_by(key, "/spec/containers/0/image").into_iter().map(move |(image, counts)| {
                    let version = image.rsplit(':').next().unwrap_or_default().to_owned();
                    format!("{version}{which}: {} of {} ready", counts.ready, counts.pods)
                })
            })
            .collect();
        let plain = state.cluster.traffic(&Request::to(&format!("{name}.example")), "version");
        let shares = plain.unwrap_or_else(|_| state.cluster.service_traffic(NAMESPACE, name, "version"));
        let mut parts: Vec<String> =
            shares.by_label.iter().map(|(version, share)| format!("{version}: {:.0} %", share * 100.0)).collect();
        if shares.nobody > 0.0 {
            parts.push(format!("nobody: {:.0} %", shares.nobody * 100.0));
        }
        format!("pods {}; requests {}", pods.join(", "), parts.join(", "))
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
