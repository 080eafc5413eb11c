//! One state of the interpreter for one run, with nothing in it but what the prelude leaves, and limits to all it can use.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::chunk::ChunkMode;
use mlua::{Error, Lua, LuaOptions, MultiValue, StdLib, VmState};
use serde_json::Value;

use super::LuaError;
use super::json::{Marks, Reader};

const PRELUDE: &str = include_str!("prelude.lua");
/// What a script is called within the interpreter.
const NAME: &str = "script.lua";
/// Calls, turns of loops and steps of patterns. Kruise stops a script after a second, in which its interpreter comes less far.
const STEPS: u64 = 5_000_000;
/// Bytes. The largest object of a cluster (1.5 MiB of JSON) takes about half of it.
const MEMORY: usize = 24 << 20;
/// The last stop, for work between two steps that no step counts. It does not decide what a script gives: one that comes
/// near it is far from any that is meant, and all it can bring is an error.
const TIME: Duration = Duration::from_secs(10);

/// What the script has used of its share.
struct Budget {
    left: Cell<u64>,
    /// How often it was asked, which a script cannot jump over.
    asked: Cell<u64>,
    /// Since when it runs.
    start: Instant,
    /// Why it was stopped, which the script may have caught.
    stopped: Cell<Option<&'static str>>,
    /// The script's line at which it was stopped first.
    line: Cell<Option<u32>>,
}

impl Budget {
    fn take(&self, steps: u64) -> mlua::Result<()> {
        let left = self.left.get();
        self.left.set(left.saturating_sub(steps));
        self.asked.set(self.asked.get().wrapping_add(1));
        if left < steps {
            self.stopped.set(Some("the script was stopped after 5 million steps: it seems not to end"));
        } else if self.asked.get().is_multiple_of(64) && self.start.elapsed() > TIME {
            self.left.set(0);
            self.stopped.set(Some("the script was stopped after 10 seconds: it seems not to end"));
        }
        match self.stopped.get() {
            Some(cause) => Err(Error::RuntimeError(cause.to_owned())),
            None => Ok(()),
        }
    }

    /// The same, where a script's function is running.
    fn take_at(&self, lua: &Lua, steps: u64) -> mlua::Result<()> {
        let answer = self.take(steps);
        if answer.is_err() && self.line.get().is_none() {
            self.line.set(line(lua));
        }
        answer
    }
}

pub(super) fn run(script: &str, text: &str, obj: &Value) -> Result<Value, LuaError> {
    #[allow(clippy::disallowed_methods, reason = "a script that does not end must be stopped; see TIME")]
    let start = Instant::now();
    let budget =
        Rc::new(Budget { left: Cell::new(STEPS), asked: Cell::new(0), start, stopped: Cell::new(None), line: Cell::new(None) });
    let result = within(text, obj, &budget);
    match (budget.stopped.get(), result) {
        (Some(cause), _) => Err(LuaError { line: budget.line.get(), ..LuaError::whole(script, cause) }),
        (None, Err(Fault::Lua(error))) => Err(explain(script, &error)),
        (None, Err(Fault::Value(cause))) => Err(LuaError::whole(script, cause)),
        (None, Ok(value)) => Ok(value),
    }
}

enum Fault {
    Lua(Error),
    /// What goes in, or what comes out, is no value for the other side.
    Value(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Lua(error)
    }
}

fn within(text: &str, obj: &Value, budget: &Rc<Budget>) -> Result<Value, Fault> {
    let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::new())?;
    lua.set_memory_limit(MEMORY)?;
    let marks = Rc::new(RefCell::new(Marks::new(&lua)?));
    prepare(&lua, budget, &marks)?;
    let value = marks.borrow().to_lua(&lua, obj, "obj").map_err(|cause| cause.map_or_else(memory, Fault::Value))?;
    lua.globals().set("obj", value)?;
    let counted = budget.clone();
    lua.set_interrupt(move |lua| counted.take_at(lua, 1).map(|()| VmState::Continue));
    let chunk = lua.load(text).set_name(format!("={NAME}")).set_mode(ChunkMode::Text).into_function()?;
    let values: MultiValue = chunk.call(())?;
    // Kruise takes the newest value on the stack.
    let result = values.iter().last().cloned().unwrap_or(mlua::Value::Nil);
    if !result.is_table() {
        let kind = if result.is_integer() { "number" } else { result.type_name() };
        return Err(Fault::Value(format!("a table is expected from the script, not {kind}")));
    }
    let value = Reader::new(&marks.borrow()).read(&result, "the result").map_err(Fault::Value)?;
    value.ok_or_else(|| Fault::Value("the script returns an empty table".to_owned()))
}

/// The line of the innermost function of the script.
fn line(lua: &Lua) -> Option<u32> {
    let at = |debug: &mlua::debug::Debug| {
        let ours = debug.source().short_src.is_some_and(|name| name.contains(NAME));
        ours.then(|| debug.current_line()).flatten().and_then(|line| u32::try_from(line).ok())
    };
    (0..32).map_while(|level| lua.inspect_stack(level, at)).flatten().next()
}

fn memory() -> Fault {
    Fault::Lua(Error::MemoryError(String::new()))
}

fn prepare(lua: &Lua, budget: &Rc<Budget>, marks: &Rc<RefCell<Marks>>) -> Result<(), Error> {
    let counted = budget.clone();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and NaN is 0")]
    let charge = lua.create_function(move |lua, steps: f64| counted.take_at(lua, steps as u64))?;
    let (known, counted) = (marks.clone(), budget.clone());
    let encode = lua.create_function(move |_, value: mlua::Value| {
        let read = Reader::new(&known.borrow()).read(&value, "the value");
        // An empty table of the script's own is `[]` here: a text has no place that could be left out.
        let text = read.map(|value| value.unwrap_or_else(|| Value::Array(Vec::new())).to_string());
        counted.take(text.as_ref().map_or(0, |text| text.len() as u64 / 64))?;
        Ok(match text {
            Ok(text) => (Some(text), None),
            Err(cause) => (None, Some(cause)),
        })
    })?;
    let (known, counted) = (marks.clone(), budget.clone());
    let decode = lua.create_function(move |lua, text: mlua::LuaString| {
        let text = text.as_bytes().to_vec();
        counted.take(text.len() as u64 / 64)?;
        let value = serde_json::from_slice::<Value>(&text).map_err(|error| Some(error.to_string()));
        match value.and_then(|value| known.borrow().to_lua(lua, &value, "the value")) {
            Ok(value) => Ok((value, None)),
            Err(Some(cause)) => Ok((mlua::Value::Nil, Some(cause))),
            Err(None) => Err(Error::MemoryError("not enough memory".to_owned())),
        }
    })?;
    lua.load(PRELUDE).set_name("=windlass").set_mode(ChunkMode::Text).into_function()?.call((charge, encode, decode))
}

/// The script's own line and words of an error.
fn explain(script: &str, error: &Error) -> LuaError {
    let text = error.to_string();
    let mut found = LuaError::whole(script, cause(error));
    let mark = format!("{NAME}:");
    for (at, _) in text.match_indices(&mark) {
        let digits: String = text.get(at + mark.len()..).unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
        if let Ok(line) = digits.parse() {
            found.line = Some(line);
            break;
        }
    }
    found
}

fn cause(error: &Error) -> String {
    match error {
        Error::CallbackError { cause: inner, .. }
        | Error::WithContext { cause: inner, .. }
        | Error::BadArgument { cause: inner, .. } => cause(inner),
        Error::MemoryError(_) => format!("the script needs more than {} MiB of memory", MEMORY >> 20),
        Error::RuntimeError(text) | Error::SyntaxError { message: text, .. } => {
            let text = text.split("\nstack traceback:").next().unwrap_or_default();
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("an error without a text").trim();
            if first.contains("not enough memory") {
                return format!("the script needs more than {} MiB of memory", MEMORY >> 20);
            }
            let first = without_place(first.strip_prefix("runtime error: ").unwrap_or(first));
            match first.split_once(": 0x") {
                // Where it lies in memory is not the same twice.
                Some((kind, _)) if matches!(kind, "table" | "function" | "userdata") => {
                    format!("an error that is a {kind}, not a text")
                }
                _ => first.to_owned(),
            }
        }
        other => other.to_string(),
    }
}

/// `script.lua:3: text` without the place.
fn without_place(text: &str) -> &str {
    for name in [NAME, "windlass"] {
        if let Some(rest) = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')) {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            if let Some(rest) = rest.strip_prefix(": ") {
                return rest;
            }
        }
    }
    text
}
