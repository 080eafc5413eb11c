//! Values to Lua and back, as Kruise's Go code takes them.

use super::*;

#[test]
fn what_is_not_touched_comes_back_as_it_was() {
    let obj = json!({
        "spec": {
            "empty": {"list": [], "map": {}, "lists": [[], {}]},
            "numbers": [0, -1, 1.5, 80, 9_007_199_254_740_992_i64, 1e100, -0.25],
            "texts": ["", "a\nb", "\u{1F600}", "\u{0}", "80", "true"],
            "flags": [true, false],
            "deep": {"er": [{"a": [{"b": 1}]}]},
        },
        "labels": {"a.b/c": "x"},
    });
    assert_eq!(give("return obj", &obj).unwrap(), obj);
}

#[test]
fn null_is_no_value() {
    let obj = json!({"spec": {"gone": null, "list": [null, 1, null, 2], "here": 1}});
    assert_eq!(give("assert(obj.spec.gone == nil) return obj", &obj).unwrap(), json!({"spec": {"list": [1, 2], "here": 1}}));
}

#[test]
fn what_a_script_makes_becomes_json() {
    let rows = [
        ("{1, 2, 3}", json!([1, 2, 3])),
        ("{a = 1}", json!({"a": 1})),
        ("50 * 2 / 100", json!(1)),
        ("1 / 4", json!(0.25)),
        ("2 ^ 40", json!(1_099_511_627_776_i64)),
        ("1e21", json!(1e21)),
        ("'x'", json!("x")),
        ("{}", json!(null)),
        ("{a = {}}", json!({})),
        ("'a' .. 1 .. 2.5", json!("a12.5")),
        ("tostring(100)", json!("100")),
        ("table.getn({1, 2})", json!(2)),
        ("math.mod(7, 3)", json!(1)),
        ("('a,b'):find(',', 1, true)", json!(2)),
        ("(string.gsub('a.b', '%.', '-'))", json!("a-b")),
        ("string.rep('ab', 3)", json!("ababab")),
        ("string.rep('ab', 0)", json!("")),
        ("string.format('%d %s %5.2f %q', 3, 'x', 1.5, 'y')", json!("3 x  1.50 \"y\"")),
        ("(function() local t = {3, 1, 2} table.sort(t) return t end)()", json!([1, 2, 3])),
        ("(function(...) return select('#', ...) end)(1, nil, 3)", json!(3)),
        ("unpack({1, 2})", json!(1)),
        ("_VERSION", json!("Lua 5.1")),
        ("json.encode({a = {1, true, 'x'}})", json!("{\"a\":[1,true,\"x\"]}")),
        ("json.encode({})", json!("[]")),
        ("json.encode(80)", json!("80")),
        ("json.encode('\"')", json!("\"\\\"\"")),
        ("json.decode('{\"a\": [1, {\"b\": null}], \"c\": []}')", json!({"a": [1, {}], "c": []})),
        ("(select(2, json.decode('{')) ~= nil)", json!(true)),
        ("select('#', json.encode(print))", json!(2)),
    ];
    for (expression, wanted) in rows {
        let found = value(expression).unwrap();
        assert_eq!(found, wanted, "{expression}");
    }
}

#[test]
fn what_is_no_json_is_an_error_with_its_place() {
    let rows = [
        ("{1, 2, a = 3}", "the result.value has both numbers and texts as keys"),
        ("{[1] = 1, [3] = 3}", "the result.value is a list with a gap before its entry 3"),
        ("{[0] = 1}", "the result.value is a list with a gap before its entry 0"),
        ("{[1.5] = 1}", "the result.value has a key that is neither a text nor a whole number"),
        ("{[true] = 1}", "the result.value has a key that is neither a text nor a whole number"),
        ("{a = {b = print}}", "the result.value.a.b is a function, which is no value of JSON"),
        ("{0 / 0}", "the result.value[1] is NaN, which is no value of JSON"),
        ("math.huge", "the result.value is inf, which is no value of JSON"),
        ("'\\255'", "the result.value is a text that is not UTF-8"),
        ("{{}}", "the result.value[1] is an empty table, which is neither a list nor a mapping"),
    ];
    for (expression, wanted) in rows {
        assert_eq!(value(expression), Err(format!("{SCRIPT}: {wanted}")), "{expression}");
    }
}

#[test]
fn numbers_that_lua_would_round_are_refused() {
    let error = give("return obj", &json!({"spec": {"id": 9_007_199_254_740_993_i64}})).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{SCRIPT}: obj.spec.id is 9007199254740993, and Lua knows whole numbers up to 9007199254740992 only")
    );
}

#[test]
fn a_list_that_becomes_empty_stays_a_list() {
    let text = "table.remove(obj.spec.list) obj.spec.map.a = nil return obj";
    let obj = json!({"spec": {"list": [1], "map": {"a": 1}}});
    assert_eq!(give(text, &obj).unwrap(), json!({"spec": {"list": [], "map": {}}}));
}

/// One table at two places is two values; Kruise's encoder calls it nested in itself.
#[test]
fn one_table_may_stand_at_two_places() {
    assert_eq!(
        give("local t = {a = 1} return {one = t, two = t}", &json!({})).unwrap(),
        json!({"one": {"a": 1}, "two": {"a": 1}})
    );
}
