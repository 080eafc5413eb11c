//! A real HTTP server on loopback that answers the demo's query as Prometheus would, from the simulated requests.

use std::collections::HashMap;
use std::net::SocketAddr;

use axum::extract::{Form, Query, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::metrics::Source as _;
use crate::sim::world::World;

/// A server that ends with this value.
pub struct Server {
    pub address: SocketAddr,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Server {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start(world: World) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", 0)))?;
        let address = listener.local_addr()?;
        let app = Router::new().route("/api/v1/query", get(by_query).post(by_form)).with_state(world);
        runtime.spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { address, runtime: Some(runtime) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn by_query(State(world): State<World>, Query(fields): Query<HashMap<String, String>>) -> Json<Value> {
    Json(answer(&world, &fields))
}

async fn by_form(State(world): State<World>, Form(fields): Form<HashMap<String, String>>) -> Json<Value> {
    Json(answer(&world, &fields))
}

fn answer(world: &World, fields: &HashMap<String, String>) -> Value {
    let query = fields.get("query").map_or("", String::as_str);
    let (Some(revision), Some(window)) = (between(query, "revision=\"", "\""), between(query, "[", "]")) else {
        return json!({"status": "error", "errorType": "bad_data", "error": "the demo answers queries with revision=\"…\" and [window] only"});
    };
    // As the query reaches us it says the time in seconds; what was simulated has the same clock.
    let now = fields.get("time").and_then(|time| time.parse::<f64>().ok()).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let samples = world.lock().model.query(&format!("error-rate revision={revision} window={window}"), now as i64);
    match samples {
        Ok(samples) => {
            let result: Vec<Value> =
                samples.iter().map(|sample| json!({"metric": {}, "value": [now, sample.value.to_string()]})).collect();
            json!({"status": "success", "data": {"resultType": "vector", "result": result}})
        }
        Err(error) => json!({"status": "error", "errorType": "execution", "error": error.to_string()}),
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let rest = &text[text.find(before)? + before.len()..];
    rest.find(after).map(|end| &rest[..end])
}
