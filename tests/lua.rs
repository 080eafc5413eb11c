//! Scripts in their sandbox: what they find, what they give, and what stops them.

mod attacks;
mod values;

use serde_json::{Value, json};
use windlass::lua::{LuaError, run};

const SCRIPT: &str = ".windlass/lua/example.com/Route/trafficRouting.lua";

fn give(text: &str, obj: &Value) -> Result<Value, LuaError> {
    run(SCRIPT, text, obj)
}

/// The value of an expression.
fn value(expression: &str) -> Result<Value, String> {
    let text = format!("local value = {expression}\nreturn {{value = value}}");
    give(&text, &json!({})).map(|mut found| found["value"].take()).map_err(|error| error.to_string())
}
