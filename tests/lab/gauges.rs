//! A program with metrics, as Prometheus sees it; the test sets the numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::servers::Lab;
use crate::metrics::server::Server;

/// Scraped each second, until dropped.
pub(crate) struct Gauges {
    series: Arc<Mutex<BTreeMap<String, Line>>>,
    _server: Server,
}

/// A value that grows with time, or does not.
#[derive(Clone, Copy)]
struct Line {
    at_start: f64,
    per_second: f64,
    start: Instant,
}

impl Line {
    fn now(self) -> f64 {
        self.at_start + self.per_second * self.start.elapsed().as_secs_f64()
    }
}

impl Gauges {
    pub(crate) fn start(lab: &Lab) -> Self {
        let series = Arc::new(Mutex::new(BTreeMap::<String, Line>::new()));
        let shown = Arc::clone(&series);
        let server = Server::start(move |_, stream| {
            let mut body = String::new();
            for (name, line) in shown.lock().unwrap().iter() {
                let _ = writeln!(body, "{name} {}", line.now());
            }
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\n", body.len());
            let _ = stream.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes());
        });
        let targets = format!(r#"[{{"targets": ["127.0.0.1:{}"]}}]"#, server.port());
        let folder = std::path::Path::new(lab.var("LAB_PROMETHEUS_TARGETS"));
        std::fs::write(folder.join(format!("{}.json", server.port())), targets).unwrap();
        Self { series, _server: server }
    }

    /// A gauge, or a counter that stands still. `series` is written as in the text format: `errors_total{app="checkout"}`.
    pub(crate) fn set(&self, series: &str, value: f64) {
        self.line(series, |_| value, 0.0);
    }

    /// A counter that goes on from where it is, at this speed.
    pub(crate) fn grow(&self, series: &str, per_second: f64) {
        self.line(series, |before| before, per_second);
    }

    fn line(&self, name: &str, from: impl Fn(f64) -> f64, per_second: f64) {
        let mut series = self.series.lock().unwrap();
        let before = series.get(name).map_or(0.0, |line| line.now());
        series.insert(name.to_owned(), Line { at_start: from(before), per_second, start: Instant::now() });
    }
}
