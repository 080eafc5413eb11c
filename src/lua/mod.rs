//! Lua for routes, in a sandbox: what a script gives is a function of its text and of the value that it gets.
//!
//! The contract is that of Kruise Rollouts (`pkg/util/luamanager`): the global `obj`, the libraries base, table, string,
//! math and json, one value that the script returns. What the value means is told in `render/traffic/lua.rs`.
//! Luau runs the scripts: a Lua 5.1 whose interpreter asks at every call, loop and step of a pattern whether it may go on.

#[cfg(feature = "lua")]
mod json;
#[cfg(feature = "lua")]
mod sandbox;

use serde_json::Value;

/// No script is longer, bytes.
pub const LONGEST_SCRIPT: usize = 128 << 10;

/// Why a script gives nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{script}{}: {cause}", line.map_or_else(String::new, |line| format!(":{line}")))]
pub struct LuaError {
    /// The script's path.
    pub script: String,
    /// 1-based; `None` where it is about the whole script or its result.
    pub line: Option<u32>,
    pub cause: String,
}

impl LuaError {
    pub(crate) fn whole(script: &str, cause: impl Into<String>) -> Self {
        Self { script: script.to_owned(), line: None, cause: cause.into() }
    }
}

/// Runs a script with `obj` as the global of that name, and gives the table that it returns.
///
/// `script` is its path, for messages. Tables that come from an empty list or mapping of `obj` and are still empty go back as
/// what they were; an empty table that the script has made is no value at all, as in Kruise, and is left out.
///
/// # Errors
/// The script is wrong, asks for what is not there, uses more than its share of steps, time or memory, or returns what is no
/// value of JSON.
pub fn run(script: &str, text: &str, obj: &Value) -> Result<Value, LuaError> {
    if text.len() > LONGEST_SCRIPT {
        let cause = format!("it has {} bytes; no script may have more than {LONGEST_SCRIPT}", text.len());
        return Err(LuaError::whole(script, cause));
    }
    engine(script, text, obj)
}

#[cfg(feature = "lua")]
use sandbox::run as engine;

#[cfg(not(feature = "lua"))]
fn engine(script: &str, _: &str, _: &Value) -> Result<Value, LuaError> {
    let cause =
        "this windlass was built without Lua (the cargo feature `lua`); use one that has it, or a routing that needs no script";
    Err(LuaError::whole(script, cause))
}
