//! tests of manifest

use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use windlass::manifest::{self, Limits, Object, ObjectKey, ObjectSet, ReadError};

fn with_data(data: Value) -> Object {
    Object::new(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data})).unwrap()
}

fn one(text: &str) -> Object {
    let mut documents = manifest::read("x.yaml", text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0).object
}

/// The `data` of a ConfigMap with these lines in it.
fn data(lines: &str) -> Value {
    let object = one(&format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\ndata:\n{lines}\n"));
    object.get("/data").cloned().unwrap()
}

fn error(text: &str) -> ReadError {
    let start = Instant::now();
    let error = manifest::read("app/x.yaml", text).expect_err("accepted");
    // A debug build on a busy machine; the point is that nothing grows without bound.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(error.to_string().len() < 1000, "a long message: {error}");
    error
}

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n";

#[test]
fn numbers_have_no_private_form() {
    // With serde_json's `arbitrary_precision` anywhere in the build, numbers would come out as mappings.
    assert!(serde_json::from_str::<Value>("1e400").is_err());
    assert_eq!(data("  a: 1.5"), json!({"a": 1.5}));
}

#[test]
fn keys_and_merges_are_read_as_kubernetes_reads_them() {
    let cases = [
        ("  on: k", json!({"true": "k"})),
        ("  \"on\": k", json!({"on": "k"})),
        ("  0x1F: k", json!({"31": "k"})),
        ("  1__0: k", json!({"10": "k"})),
        ("  1.50: k", json!({"1.5": "k"})),
        ("  2024-01-01: k", json!({"2024-01-01": "k"})),
        ("  a: 1\n  <<: {a: 2, b: 3}", json!({"a": 2, "b": 3})),
        ("  <<: {a: 2, b: 3}\n  a: 1", json!({"a": 1, "b": 3})),
        ("  <<: [{a: 1}, {a: 2, b: 3}]", json!({"a": 1, "b": 3})),
        ("  \"<<\": x", json!({"<<": "x"})),
        ("  a: &q {b: 1}\n  c: *q", json!({"a": {"b": 1}, "c": {"b": 1}})),
        ("  a: !!str 5\n  b: ! 6\n  c: !!int \"7\"", json!({"a": "5", "b": "6", "c": 7})),
        ("  a: !!binary aGVsbG8=", json!({"a": "hello"})),
        ("  a: \"no\"\n  b: 'no'\n  c: no", json!({"a": "no", "b": "no", "c": false})),
    ];
    for (text, expected) in cases {
        assert_eq!(data(text), expected, "{text}");
    }
}

#[test]
fn json_files_are_read_too() {
    let text = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"x\"},\n\t\"data\": {\"a\": \"x\\/y\", \"e\": \"\\uD83D\\uDE00\", \"n\": 1.0, \"m\": \"no\"}\n}\n";
    let object = one(text);
    assert_eq!(object.get("/data"), Some(&json!({"a": "x/y", "e": "\u{1f600}", "n": 1.0, "m": "no"})));
}

#[test]
fn documents_carry_their_line_and_empty_ones_are_left_out() {
    let text = "# nothing\n---\n---\nkind: A\napiVersion: v1\nmetadata: {name: a}\n---\n# only a comment\n---\n~\n---\n\nkind: B\napiVersion: v1\nmetadata: {name: b}\n...\n";
    let documents = manifest::read("x.yaml", text).unwrap();
    let lines: Vec<(&str, usize)> = documents.iter().map(|document| (document.object.kind(), document.line)).collect();
    assert_eq!(lines, [("A", 4), ("B", 13)]);
    for empty in ["", "\n", "---\n", "# x\n", "\u{feff}"] {
        assert_eq!(manifest::read("x.yaml", empty).unwrap(), [], "{empty:?}");
    }
}

#[test]
fn lists_are_taken_apart() {
    let text = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n- kind: List\n  apiVersion: v1\n  items:\n  - {apiVersion: v1, kind: Service, metadata: {name: b}}\n";
    let found: Vec<(String, usize, bool)> = manifest::read("x.yaml", text)
        .unwrap()
        .iter()
        .map(|document| (document.object.key().to_string(), document.line, document.listed))
        .collect();
    assert_eq!(found, [("Secret a".to_owned(), 4, true), ("Service b".to_owned(), 7, true)]);
    // Entries of a typed list have the list's kind.
    let typed = manifest::read("x.yaml", "apiVersion: apps/v1\nkind: DeploymentList\nitems: [{metadata: {name: a}}]\n").unwrap();
    assert_eq!(typed[0].object.kind(), "Deployment");
    // A kind that only sounds like a list is an object.
    assert_eq!(one("apiVersion: x/v1\nkind: AllowList\nmetadata: {name: a}\nspec: {}\n").kind(), "AllowList");
    // No entries, no objects; an entry that is none is an error at its line.
    assert_eq!(manifest::read("x.yaml", "apiVersion: v1\nkind: List\nitems: []\n").unwrap(), []);
    assert_eq!(error("apiVersion: v1\nkind: List\nitems:\n- kind: A\n").line, 4);
}

#[test]
fn line_ends_and_marks_of_other_systems_are_accepted() {
    let text = "\u{feff}apiVersion: v1\r\nkind: ConfigMap\r\nmetadata:\r\n  name: x\r\ndata:\r\n  a: |\r\n    one\r\n    two\r\n";
    assert_eq!(one(text).text("/data/a"), Some("one\ntwo\n"));
    assert!(!manifest::write(&one(text)).contains('\r'));
}

#[test]
fn a_finding_shows_its_place_and_a_way_out() {
    let error = error(&format!("{HEAD}data:\n  a: 1\n  b: 2\n  a: 3\n"));
    assert_eq!(
        error.to_string(),
        "app/x.yaml:7:3: duplicate key `a`\n7 |   a: 3\n  |   ^\n  hint: Kubernetes would silently take the last one; remove one of them"
    );
    let error = self::error("kind: A\nmetadata: {name: a}\n---\nreplicaCount: 3\n");
    assert_eq!((error.line, error.column), (1, 1));
    assert!(error.to_string().contains("`apiVersion` is missing or not a text"), "{error}");
    assert!(error.hint.is_some());
}

#[test]
fn no_line_of_a_file_with_a_secret_is_shown() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  a: hunter2\n  a: hunter3\n";
    let error = error(text);
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error}");
    assert_eq!(error.line, 6);
}

#[test]
fn attacks_by_content_end_in_an_error() {
    let bomb = (1..10).fold("  a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
        let aliases = vec![format!("*a{}", level - 1); 9].join(",");
        format!("{text}  a{level}: &a{level} [{aliases}]\n")
    });
    let long = "x".repeat(100_000);
    let fat_aliases = format!("  a: &a {long}\n  b: [{}]\n", vec!["*a"; 1000].join(","));
    let cases = [
        ("alias bomb", format!("{HEAD}data:\n{bomb}"), "aliases"),
        ("aliases of a long text", format!("{HEAD}data:\n{fat_aliases}"), "aliases"),
        ("nested anchors", format!("{HEAD}data: {}", "&a [".repeat(90) + &"x,".repeat(5000) + &"]".repeat(90)), "aliases"),
        ("deep flow", format!("{HEAD}data: {}", "[".repeat(100_000)), ""),
        ("deep flow mapping", format!("{HEAD}data: {}", "{a: ".repeat(100_000)), ""),
        ("deep block", format!("{HEAD}data:\n{}", (0..2000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>()), ""),
        ("deep dashes", format!("{HEAD}data:\n{}", "- ".repeat(100_000)), ""),
        ("big file", format!("{HEAD}data: {{a: {}}}", "x".repeat(11 << 20)), "limit"),
        ("many keys", format!("{HEAD}data:\n{}", (0..600_000).map(|n| format!("  k{n}: v\n")).collect::<String>()), "values"),
        ("many documents", format!("{}{HEAD}", "---\n".repeat(30_000)), "documents"),
        ("duplicate key", format!("{HEAD}data: {{a: 1, \"a\": 2}}"), "duplicate"),
        ("duplicate after resolving", format!("{HEAD}data: {{10: 1, 0xA: 2}}"), "duplicate"),
        ("merge cycle", format!("{HEAD}data: &d\n  <<: *d\n"), "contains it"),
        ("alias to itself", format!("{HEAD}data: &d [*d]\n"), "contains it"),
        ("merge of a number", format!("{HEAD}data: {{<<: 3}}"), "`<<`"),
        ("unknown alias", format!("{HEAD}data: *nobody\n"), ""),
        ("anchor of another document", format!("{HEAD}data: &d 1\n---\n{HEAD}data: *d\n"), ""),
        ("tag of a language", format!("{HEAD}data: !!python/object/apply:os.system [x]\n"), "tag"),
        ("tag of a scalar", format!("{HEAD}data: {{a: !!python/name:x y}}\n"), "tag"),
        ("tag that does not fit", format!("{HEAD}data: {{a: !!int x}}\n"), "tag"),
        ("not a number", format!("{HEAD}data: {{a: .nan}}\n"), "number"),
        ("infinity", format!("{HEAD}data: {{a: -.inf}}\n"), "number"),
        ("NUL", format!("{HEAD}data: {{a: \0}}\n"), ""),
        ("key that is a list", format!("{HEAD}data: {{? [a] : b}}\n"), "key"),
        ("empty key", format!("{HEAD}data: {{~: b}}\n"), "key"),
        ("no mapping", "- a\n".to_owned(), "not a mapping"),
        ("a text", "hello\n".to_owned(), "not a mapping"),
        ("no name", "apiVersion: v1\nkind: A\nmetadata: {generateName: x}\n".to_owned(), "metadata.name"),
        ("number as name", "apiVersion: v1\nkind: A\nmetadata: {name: 1}\n".to_owned(), "metadata.name"),
        ("tab", "apiVersion: v1\nkind: A\nmetadata:\n\tname: x\n".to_owned(), ""),
        ("open quote", format!("{HEAD}data: {{a: \"x\n"), ""),
    ];
    for (name, text, expected) in cases {
        let found = error(&text);
        assert!(found.cause.contains(expected), "{name}: {found}");
        assert!(found.line >= 1 && found.column >= 1, "{name}: {found}");
    }
}

#[test]
fn big_values_within_the_limits_are_read() {
    let long = "7".repeat(1 << 20);
    assert_eq!(data(&format!("  a: {long}")), json!({"a": long}), "a number that nobody can hold stays a text");
    let texts = manifest::read_with("x.yaml", HEAD, &Limits { bytes: 10, ..Limits::default() });
    assert!(texts.unwrap_err().cause.contains("10"));
}

const NASTY: &[&str] = &[
    "",
    " ",
    "no",
    "No",
    "y",
    "n",
    "on",
    "off",
    "true",
    "null",
    "Null",
    "~",
    "1_000",
    "0644",
    "08",
    "=",
    "<<",
    "1e3",
    "1.0",
    ".5",
    "0x1F",
    "0b1",
    "0o17",
    "+1",
    "-1",
    "-",
    "--",
    "---",
    "--- a",
    "...",
    "-a",
    "- a",
    "? a",
    ": a",
    "a: b",
    "a:",
    "a #b",
    "#a",
    "&a",
    "*a",
    "!a",
    "!!str a",
    "|",
    ">",
    "'",
    "\"",
    "'a'",
    "\"a\"",
    "%a",
    "@a",
    "`a",
    "{a}",
    "[a]",
    "{}",
    "[]",
    ",a",
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    "12:30:45",
    ".inf",
    "-.inf",
    ".nan",
    "nan",
    "inf",
    "-inf",
    "1.2.3",
    "100m",
    "1Gi",
    "1E",
    "a\nb",
    "a\nb\n",
    "a\nb\n\n",
    "\na",
    "\n",
    "\n\n",
    " a\nb",
    "a \nb ",
    "a\n  b\n",
    "a\n\tb\n",
    "\ta",
    "a\t",
    "a\tb",
    "a ",
    " a",
    "a\n ",
    "a\n \n",
    "a\n  \nb",
    "a\r\nb",
    "\r",
    "\0",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{2028}",
    "a\u{2029}b",
    "\u{feff}",
    "\u{202e}abc",
    "\u{200b}",
    "é",
    "日本",
    "😀",
    "\u{fffe}",
    "\u{10ffff}",
    "\\",
    "\\n",
    "a\\b",
    "$(X)",
    "/bin/sh",
    "#!/bin/sh\nset -e\n\necho \"$1\" # x\n",
    "---\na: b\n",
    "a\n---\nb\n",
    "a\n...\n",
    "a\n# b\n",
    "- a\n- b\n",
    "a: |\n  b\n",
    "%YAML 1.2\n",
];

/// Writes and reads; also that nothing of the form is left to taste.
fn round_trip(object: &Object) {
    let text = manifest::write(object);
    assert_eq!(one(&text), *object, "{text}");
    assert_eq!(manifest::write(&one(&text)), text);
    assert!(text.ends_with('\n') && !text.contains('\r'), "{text:?}");
}

#[test]
fn nasty_texts_survive_as_values_as_keys_and_in_lists() {
    for text in NASTY {
        round_trip(&with_data(
            json!({ "a": text, "b": {(*text): text}, "c": [text, [text, {"k": text}], {"k": text, (*text): 1}] }),
        ));
    }
    let all: Map<String, Value> = NASTY.iter().map(|text| ((*text).to_owned(), json!(text))).collect();
    round_trip(&with_data(Value::Object(all)));
    for long in ["x".repeat(5000), "x y ".repeat(2000).trim().to_owned(), "é\"".repeat(900)] {
        let map = Map::from_iter([(long.clone(), json!({"a": [long.clone()]}))]);
        round_trip(&with_data(Value::Object(map)));
    }
}

#[test]
fn numbers_keep_value_and_kind() {
    let numbers =
        json!([0, -1, 1.0, -0.0, 0.1, 1e20, 1e-7, 1.5e300, 5e-324, i64::MIN, u64::MAX, 1e16, 123_456_789.125, f64::MAX]);
    let object = with_data(json!({ "n": numbers }));
    round_trip(&object);
    let text = manifest::write(&object);
    assert!(text.contains("- 1.0\n") && text.contains("- 1.0e+20\n") && text.contains("- 1.0e-7\n"), "{text}");
}

#[test]
fn the_canonical_form_is_this_one() {
    let object = one(concat!(
        "metadata: {labels: {b: '1', a: x}, name: web}\nspec:\n  template:\n    spec:\n      containers:\n",
        "      - {name: app, image: 'web:1', args: [--port=80, 'on', \"\"], resources: {limits: {cpu: 100m, memory: 1Gi}}}\n",
        "      volumes: []\n      x: {}\n      'y': ~\n    metadata: {annotations: {a/b: \"line one\\nline two\\n\", c: 'x: y'}}\n",
        "  replicas: 3\nkind: Deployment\napiVersion: apps/v1\nabc: 1\n"
    ));
    let expected = concat!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  labels:\n    a: x\n    b: \"1\"\n  name: web\nabc: 1\nspec:\n  replicas: 3\n",
        "  template:\n    metadata:\n      annotations:\n        a/b: |\n          line one\n          line two\n        c: \"x: y\"\n    spec:\n",
        "      containers:\n      - args:\n        - --port=80\n        - \"on\"\n        - \"\"\n        image: web:1\n        name: app\n",
        "        resources:\n          limits:\n            cpu: 100m\n            memory: 1Gi\n      volumes: []\n      x: {}\n      \"y\": null\n"
    );
    assert_eq!(manifest::write(&object), expected);
    assert_eq!(manifest::write_value(&json!({"b": [1, "x"], "a": {}})), "a: {}\nb:\n- 1\n- x\n");
    assert_eq!(manifest::write_value(&json!("no")), "\"no\"\n");
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(NASTY).prop_map(str::to_owned),
        "[ -~\\n\\t]{0,20}",
        "[0-9_.eExobn:+-]{1,8}",
        "\\PC{0,12}",
        prop::collection::vec(any::<char>(), 0..8).prop_map(String::from_iter),
        prop::collection::vec(prop::sample::select(NASTY), 2..5).prop_map(|parts| parts.concat()),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |float| float.is_finite()).prop_map(Value::from),
        any_text().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any_text(), inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_object_survives(value in any_value()) {
        round_trip(&with_data(value));
    }

    #[test]
    fn any_text_is_read_or_refused(text in any_text(), more in "[-a-z:\\[\\]{}&*!|>'\"%#,? \\n\\t0-9<]{0,60}") {
        for text in [format!("{text}{more}"), format!("{HEAD}data:\n  {more}{text}")] {
            if let Err(error) = manifest::read("x.yaml", &text) {
                prop_assert!(error.line >= 1 && error.column >= 1);
            }
        }
    }

    #[test]
    fn a_digest_knows_values_only(value in any_value()) {
        let object = with_data(value);
        let again = one(&manifest::write(&object));
        prop_assert_eq!(manifest::digest(&object.to_value()), manifest::digest(&again.to_value()));
    }

    #[test]
    fn a_difference_is_found_exactly_where_there_is_one(left in any_value(), right in any_value()) {
        let (old, new) = (with_data(left), with_data(right));
        prop_assert_eq!(manifest::diff(Some(&old), Some(&new)).is_empty(), old == new);
        prop_assert!(manifest::diff(Some(&old), Some(&old.clone())).is_empty());
    }
}

#[test]
fn digests_are_those_of_sorted_json() {
    // printf '{"a":[1,2.5,null],"b":"x"}' | sha256sum
    let expected = "6739d783db2ab3fd0e308ed566ca042752f3cab5f9516e0e6d9e411041c24c13";
    let left: Value = serde_json::from_str(r#"{"b":"x","a":[1,2.5,null]}"#).unwrap();
    let right: Value = serde_json::from_str(r#"{"a":[1,2.5,null],"b":"x"}"#).unwrap();
    assert_eq!(manifest::digest(&left), manifest::digest(&right));
    assert_eq!(manifest::digest(&left), expected);
    assert_ne!(manifest::digest(&json!(1)), manifest::digest(&json!("1")));
    assert_ne!(manifest::digest(&json!(["ab"])), manifest::digest(&json!(["a", "b"])));
}

fn deployment() -> Object {
    one(concat!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  replicas: 3\n  template:\n    metadata: {annotations: {a.b/c: '1'}}\n",
        "    spec:\n      initContainers: [{name: init, image: 'i:1'}]\n      containers: [{name: app, image: 'web:1'}, {name: proxy, image: 'p:1'}]\n"
    ))
}

#[test]
fn views_of_a_workload() {
    let mut object = deployment();
    assert_eq!(manifest::replicas(&object), Some(3));
    let images = manifest::images(&object);
    assert_eq!(
        images,
        [("init", "i:1"), ("app", "web:1"), ("proxy", "p:1")].map(|(name, image)| (name.to_owned(), image.to_owned()))
    );
    assert_eq!(manifest::pod_template(&object), object.get("/spec/template"));
    for (value, expected) in
        [(json!(1e1), Some(10)), (json!(-1), None), (json!(1.5), None), (json!("3"), None), (json!(1e12), None)]
    {
        object.set(&["spec", "replicas"], value.clone());
        assert_eq!(manifest::replicas(&object), expected, "{value}");
    }
    object.remove(&["spec", "replicas"]);
    assert_eq!(manifest::replicas(&object), None);
    let cron = one(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: x}\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: b}]}}}}}\n",
    );
    assert_eq!(manifest::images(&cron), [("a".to_owned(), "b".to_owned())]);
    let pod = one("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: a, image: b}, {name: c}]}\n");
    assert_eq!(manifest::images(&pod), [("a".to_owned(), "b".to_owned())]);
    assert_eq!(manifest::pod_template(&one("apiVersion: x/v1\nkind: X\nmetadata: {name: x}\nspec: {template: {a: 1}}\n")), None);
}

#[test]
fn a_difference_names_its_field() {
    let old = deployment();
    let mut new = old.clone();
    *new.get_mut("/spec/template/spec/containers/0/image").unwrap() = json!("web:2");
    new.get_mut("/spec/template/spec/containers").unwrap().as_array_mut().unwrap().swap(0, 1);
    new.get_mut("/spec/template/metadata/annotations/a.b~1c").map(|value| *value = json!("2")).unwrap();
    new.set(&["spec", "template", "spec", "initContainers"], json!([{"name": "other"}]));
    new.set(&["spec", "list"], json!([1]));
    let changes = manifest::diff(Some(&old), Some(&new));
    let paths: Vec<&str> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "spec.list",
            "spec.template.metadata.annotations[\"a.b/c\"]",
            "spec.template.spec.containers[app].image",
            "spec.template.spec.containers",
            "spec.template.spec.initContainers[init]",
            "spec.template.spec.initContainers[other]",
        ]
    );
    assert_eq!((changes[2].old.clone(), changes[2].new.clone()), (Some(json!("web:1")), Some(json!("web:2"))));
    assert_eq!(changes[0].old, None);
    assert_eq!(manifest::diff(None, Some(&new))[0].path, "");
    assert_eq!(manifest::diff(None, None), []);
}

#[test]
fn shown_differences_hide_secrets() {
    let secret = |value: &str| {
        one(&format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: x, annotations: {{last: '{value}'}}, labels: {{a: {value}1}}}}\nstringData: {{{value}key: {value}, n: {{a: [{value}]}}}}\ndata: {{b: {value}}}\n"
        ))
    };
    let (old, new) = (secret("hunter"), secret("jaeger"));
    for (old, new) in [(Some(&old), Some(&new)), (None, Some(&new)), (Some(&old), None)] {
        let changes = manifest::diff_shown(old, new);
        assert!(!changes.is_empty());
        for change in changes.iter().filter(|change| !change.path.starts_with("metadata.labels")) {
            for value in [&change.old, &change.new].into_iter().flatten() {
                let shown = value.to_string();
                for word in ["\"hunter\"", "\"jaeger\""] {
                    assert!(!shown.contains(word), "{change:?}");
                }
                assert!(shown.contains("(hidden)"), "{change:?}");
            }
        }
    }
    // Not hidden elsewhere.
    let map = with_data(json!({"a": "b"}));
    assert_eq!(manifest::diff_shown(Some(&map), Some(&with_data(json!({"a": "c"}))))[0].new, Some(json!("c")));
}

fn object(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> Object {
    let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    let mut metadata = json!({ "name": name });
    if let Some(namespace) = namespace {
        metadata["namespace"] = json!(namespace);
    }
    Object::new(json!({"apiVersion": api_version, "kind": kind, "metadata": metadata})).unwrap()
}

fn stems(objects: &[Object]) -> Vec<String> {
    let set: ObjectSet = objects.iter().cloned().collect();
    let stems = set.file_stems();
    objects.iter().map(|object| stems.get(&object.key()).cloned().unwrap()).collect()
}

#[test]
fn file_names_take_what_tells_objects_apart() {
    assert_eq!(
        stems(&[object("apps", "Deployment", Some("a"), "web"), object("", "Service", None, "web")]),
        ["deployment-web", "service-web"]
    );
    assert_eq!(
        stems(&[
            object("", "Service", None, "web"),
            object("serving.knative.dev", "Service", None, "web"),
            object("", "Pod", None, "x")
        ]),
        ["service-core-web", "service-serving.knative.dev-web", "pod-x"]
    );
    assert_eq!(
        stems(&[object("", "Role", Some("a"), "x"), object("", "Role", Some("b"), "x"), object("", "Role", None, "x")]),
        ["role-core-a-x", "role-core-b-x", "role-core-none-x"]
    );
}

#[test]
fn file_names_are_unique_and_safe_whatever_the_objects_are_called() {
    let hostile = [
        object("", "A", Some("none"), "x"),
        object("", "A", None, "x"),
        object("", "a", None, "x"),
        object("", "A", Some("b-c"), "d"),
        object("", "A", Some("b"), "c-d"),
        object("", "A", Some("z"), "c-d"),
        object("", "A", Some("z"), "d"),
        object("", "A", None, "core-x"),
        object("", "A", None, "../../etc/passwd"),
        object("", "A", None, ".._.._etc_passwd"),
        object("", "../A", None, "x"),
        object("", "A", None, "system:x"),
        object("", "A", None, "system/x"),
        object("", "A", None, &"n".repeat(250)),
        object("", "A", None, &format!("{}m", "n".repeat(250))),
        object("", "A", None, "é\u{202e}"),
    ];
    let mut names = stems(&hostile);
    // A name that is chosen to be another's final form.
    let chosen = names[0].strip_prefix("a-").unwrap().to_owned();
    let mut more = hostile.to_vec();
    more.push(object("", "A", None, &chosen));
    names.extend(stems(&more));
    let unique: std::collections::BTreeSet<String> = stems(&more).into_iter().collect();
    assert_eq!(unique.len(), more.len(), "{unique:#?}");
    for name in names {
        assert!(name.len() <= 200 && !name.starts_with('.') && !name.contains(['/', '\\', ':']) && name.is_ascii(), "{name}");
    }
}

#[test]
fn keys_are_shown_with_their_namespace() {
    let key = ObjectKey { group: "apps".into(), kind: "Deployment".into(), namespace: Some("a".into()), name: "web".into() };
    assert_eq!(key.to_string(), "Deployment a/web");
}
