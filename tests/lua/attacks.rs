//! The attacks of a script on the one who runs it. Each must end with an error that names the script, in bounded time.
//! What is here a moment's work on a free machine may take longer on a busy one, so the only limit of time is a wide one.

use super::*;

/// Scripts that do not end, or need too much, and what is said of them.
const ENDLESS: &[(&str, &str, &str)] = &[
    ("a loop", "while true do end", STEPS),
    ("a loop that counts", "for i = 1, math.huge do end", STEPS),
    ("a loop within pcall", "while true do pcall(function() while true do end end) end", STEPS),
    (
        "a loop within xpcall and its handler",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        STEPS,
    ),
    ("a loop in pcall, and then a result", "pcall(function() while true do end end)\nreturn {spec = {}}", STEPS),
    ("repeat until", "local i = 0 repeat i = i + 1 until i < 0", STEPS),
    ("goto by recursion", "local function f() return f() end f()", "stack overflow"),
    ("deep recursion", "local function f(n) return 1 + f(n + 1) end f(1)", "stack overflow"),
    ("recursion through gsub", "local function f() return (string.gsub('a', 'a', f)) end f()", "stack overflow"),
    ("recursion through sort", "local function f() table.sort({3, 2, 1}, f) end f()", "stack overflow"),
    (
        "recursion through tostring",
        "local t t = setmetatable({}, {__tostring = function() return tostring(t) end}) tostring(t)",
        "stack overflow",
    ),
    (
        "recursion through __index",
        "local t = {} setmetatable(t, {__index = function(_, k) return t[k .. 'x'] end}) local x = t.a",
        "stack overflow",
    ),
    (
        "__index in a circle",
        "local a, b = {}, {} setmetatable(a, {__index = b}) setmetatable(b, {__index = a}) local x = a.x",
        "loop",
    ),
    (
        "__newindex in a circle",
        "local a, b = {}, {} setmetatable(a, {__newindex = b}) setmetatable(b, {__newindex = a}) a.x = 1",
        "loop",
    ),
    (
        "a metamethod that does not end",
        "local t = setmetatable({}, {__add = function() while true do end end}) local x = t + 1",
        STEPS,
    ),
    (
        "__lt that does not end",
        "local m = {__lt = function() while true do end end} local x = setmetatable({}, m) < setmetatable({}, m)",
        STEPS,
    ),
    (
        "__gc and __close",
        "local m = {__gc = function() while true do end end, __close = function() while true do end end}\nfor i = 1, 1e9 do setmetatable({}, m) end",
        STEPS,
    ),
    (
        "a sort whose order does not end",
        "local t = {} for i = 1, 100000 do t[i] = i % 7 end while true do table.sort(t, function(a, b) return true end) end",
        "invalid order function",
    ),
    (
        "a sort of long texts",
        "local a = string.rep('a', 2 ^ 21)\nlocal t = {} for i = 1, 200000 do t[i] = a .. (i % 2) if i > 2 then t[i] = t[i - 2] end end\nwhile true do table.sort(t) end",
        MEMORY,
    ),
    ("pattern that goes back and back", "string.find(string.rep('a', 30), string.rep('a?', 30) .. string.rep('a', 30))", STEPS),
    ("patterns that go back in a long text", "string.find(string.rep('a', 5000), '.-.-.-.-b')", STEPS),
    ("gmatch that goes back", "for x in string.gmatch(string.rep('a', 5000), '.-.-.-.-b') do end", STEPS),
    ("gsub that goes back", "string.gsub(string.rep('a', 5000), '.*.*.*.*b', '')", STEPS),
    (
        "a long set in a pattern",
        "string.find(string.rep('a', 2 ^ 22), '[^' .. string.rep('b', 2 ^ 22) .. ']*')",
        "too long to be searched",
    ),
    (
        "a long plain text that is searched",
        "string.find(string.rep('a', 2 ^ 22), string.rep('a', 2 ^ 21) .. 'b', 1, true)",
        "too long to be searched",
    ),
    ("gsub that makes much of little", "string.gsub(string.rep('a', 2 ^ 20), 'a', string.rep('b', 2 ^ 20))", MEMORY),
    ("rep", "string.rep('x', 1e9)", "a text that is too long"),
    ("rep by method", "local x = ('x'):rep(1e15)", "a text that is too long"),
    (
        "rep of rep, caught",
        "local t = {} while true do pcall(function() t[#t + 1] = string.rep('x', 2 ^ 23 - #t) end) end",
        STEPS,
    ),
    ("rep of nothing", "for i = 1, 1e9 do string.rep('', 1e9) end", STEPS),
    ("doubling a text", "local s = 'x' while true do s = s .. s end", MEMORY),
    ("a table that grows", "local t = {} while true do t[#t + 1] = {} end", MEMORY),
    ("a table that is made large", "local t = {} for i = 1, 1e8 do t[i] = i end", MEMORY),
    ("concat of long texts", "local t, s = {}, string.rep('x', 2 ^ 20) for i = 1, 1000 do t[i] = s end table.concat(t)", MEMORY),
    ("unpack of much", "local t = {unpack({}, 1, 1e8)}", "too many results"),
    ("a hole that is wide", "return {spec = {[1] = 1, [2 ^ 40] = 1}}", "gap"),
    ("closures without end", "local f = function() end while true do local g = f f = function() return g end end", MEMORY),
    ("format with a width", "string.format('%999999999d', 1)", "invalid format"),
    ("json of what holds itself", "local t = {} t.t = t local text, cause = json.encode(t) error(cause)", "holds itself"),
    ("a result that holds itself", "local t = {} t.t = t return t", "holds itself"),
    (
        "a result that is small and unfolds",
        "local t = {1} for i = 1, 40 do t = {t, t} end return {spec = t}",
        "more than 200000 values",
    ),
    (
        "a result of long texts",
        "local s, t = string.rep('x', 2 ^ 20), {} for i = 1, 10 do t[i] = s end return {spec = t}",
        "more than 4 MiB",
    ),
    ("json that is nested deep", "local text, cause = json.decode(string.rep('[', 1e5)) error(cause)", "recursion limit"),
    ("expressions that are nested deep", DEEP, "recursion depth"),
];

/// Those whose single steps are long: the clock stops them, or the number of steps, on a fast machine.
const SLOW: &[(&str, &str, &str)] = &[
    ("deep recursion, caught again and again", "local function f() pcall(f) pcall(f) end while true do f() end", STOPPED),
    ("a balanced pattern on a long text", "string.find(string.rep('(', 2 ^ 20), '%b()')", STOPPED),
    ("doubling a text, caught", "local s = 'x' while true do pcall(function() s = s .. s end) end", STOPPED),
];

const STOPPED: &str = "the script was stopped after";
const STEPS: &str = "stopped after 5 million steps";
const MEMORY: &str = "needs more than 24 MiB of memory";
const DEEP: &str = "DEEP";

#[test]
fn no_script_runs_or_grows_without_end() {
    ENDLESS.iter().for_each(ends);
}

#[test]
fn slow_steps_end_by_the_clock() {
    std::thread::scope(|scope| {
        for row in SLOW {
            scope.spawn(move || ends(row));
        }
    });
}

fn ends((name, text, said): &(&str, &str, &str)) {
    let deep = format!("return {}1{}", "(".repeat(50_000), ")".repeat(50_000));
    let text = if *text == DEEP { deep.as_str() } else { text };
    let start = std::time::Instant::now();
    let error = give(text, &json!({})).expect_err(name);
    assert!(error.to_string().starts_with(SCRIPT), "{name}: {error}");
    assert!(error.cause.contains(said), "{name}: {error}");
    assert!(start.elapsed().as_secs() < 180, "{name}: {:?}", start.elapsed());
}

#[test]
fn nothing_of_the_outside_is_there() {
    let absent = [
        "os",
        "io",
        "debug",
        "package",
        "require",
        "module",
        "load",
        "loadstring",
        "loadfile",
        "dofile",
        "collectgarbage",
        "gcinfo",
        "coroutine",
        "newproxy",
        "getfenv",
        "setfenv",
        "utf8",
        "bit32",
        "buffer",
        "vector",
        "string.dump",
        "string.pack",
        "string.split",
        "table.create",
        "table.move",
        "math.noise",
        "windlass",
        "arg",
        "ffi",
        "jit",
        "typeof",
    ];
    for name in absent {
        assert_eq!(value(&format!("type({name})")), Ok(json!("nil")), "{name}");
    }
    let all = "(function() local found = {} for name in pairs(_G) do found[#found + 1] = name end table.sort(found) return table.concat(found, ' ') end)()";
    assert_eq!(
        value(all),
        Ok(json!(
            "_G _VERSION assert error getmetatable ipairs json math next obj pairs pcall print rawequal rawget rawset select \
             setmetatable string table tonumber tostring type unpack xpcall"
        ))
    );
}

#[test]
fn a_script_can_only_be_text() {
    let bytecode = "\u{1b}Lua\u{1}\u{0}";
    let luau = "\u{6}\u{3}\u{0}\u{0}";
    for text in [bytecode, luau] {
        assert!(give(text, &json!({})).is_err());
    }
    let long = format!("-- {}\nreturn {{}}", "x".repeat(200_000));
    let error = give(&long, &json!({})).unwrap_err().to_string();
    assert!(error.ends_with("bytes; no script may have more than 131072"), "{error}");
}

/// Two runs share nothing, whatever the first has done to what it found.
#[test]
fn one_run_leaves_nothing_behind_for_the_next() {
    let spoil = "getmetatable('').__index = nil\nstring.find = nil\nmath.floor = function() return 7 end\njson.encode = nil\n_G.pairs = nil\nrawset(_G, 'left', 1)\nsetmetatable(_G, {__index = function() return 'x' end})\nreturn {spec = {1}}";
    give(spoil, &json!({})).unwrap();
    let look = "return {left = type(left), find = type(string.find), floor = math.floor(1.5), pairs = type(pairs), method = ('x'):upper()}";
    assert_eq!(
        give(look, &json!({})).unwrap(),
        json!({"left": "nil", "find": "function", "floor": 1, "pairs": "function", "method": "X"})
    );
}

/// Chance, places in memory and the order of keys are the same in every run.
#[test]
fn equal_runs_give_equal_answers() {
    let text = "
        local found = {}
        for i = 1, 20 do found[i] = tostring(math.random(1, 1e6)) end
        math.randomseed(7)
        found[#found + 1] = tostring(math.random())
        for key, value in pairs(obj) do found[#found + 1] = key end
        found[#found + 1] = tostring({}) .. tostring(print) .. tostring(setmetatable({}, {__tostring = function() return 'own' end}))
        found[#found + 1] = tostring(setmetatable({}, {__metatable = {__tostring = true}}))
        found[#found + 1] = tostring(setmetatable({}, {__metatable = 'none'}))
        found[#found + 1] = tostring(setmetatable({}, {__name = 'own'}))
        found[#found + 1] = select(2, pcall(string.format, '%s', {}))
        found[#found + 1] = select(2, pcall(table.concat, {{}}))
        found[#found + 1] = select(2, pcall(assert, false, tostring(print)))
        found[#found + 1] = select(2, pcall(string.format, '%*', {}))
        found[#found + 1] = select(2, pcall(function() return {} .. 'x' end))
        return {value = found}";
    let obj = json!({"a": 1, "b": 2, "c": {"d": 3}, "zz": 1, "long-name-of-a-key": true});
    let first = give(text, &obj).unwrap();
    for _ in 0..20 {
        assert_eq!(give(text, &obj).unwrap(), first);
    }
    assert!(!first.to_string().contains("0x"), "{first}");
}

#[test]
fn an_error_names_the_script_and_its_line() {
    let rows = [
        ("\n\nlocal x = obj.data.spec.rules", "3: attempt to index nil with 'spec'"),
        ("local x = 1\nerror('no rule fits')", "2: no rule fits"),
        ("error({code = 1})", "1: an error that is a table, not a text"),
        (
            "local x = 1\npcall(function()\n  while true do end\nend)\nreturn {1}",
            "3: the script was stopped after 5 million steps",
        ),
        ("local function f()\n  string.find(nil, 'x')\nend\nf()", "2: "),
        ("local x =", "1: "),
        ("return 1 +\n+ 2 }", "2: "),
        ("for _, v in ipairs(nil) do end", "1: "),
        ("return json.encode", ": a table is expected from the script, not function"),
        ("local x = 1", ": a table is expected from the script, not nil"),
        ("return {}", ": the script returns an empty table"),
        ("goto out\n::out::\nreturn {}", "1: "),
        ("while true do\nend", "1: the script was stopped after 5 million steps: it seems not to end"),
    ];
    for (text, said) in rows {
        let error = give(text, &json!({"data": null})).unwrap_err().to_string();
        let rest = error.strip_prefix(SCRIPT).unwrap();
        let rest = rest.strip_prefix(if said.starts_with(':') { "" } else { ":" }).unwrap_or(rest);
        assert!(rest.starts_with(said), "{text}: {error}");
        assert!(!error.contains('\n') && !error.contains("script.lua") && !error.contains("traceback"), "{error}");
    }
}
