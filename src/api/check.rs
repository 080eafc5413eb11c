//! Checks a document's tree against its JSON Schema, and makes the value that serde reads.
//!
//! All findings are collected. What is wrong is left out of the value, so that the rules can still be applied to the rest.
//! Only the part of JSON Schema that schemars generates for our documents is understood.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::diagnostic::Finding;
use super::document::{Duration, NOT_YET};
use super::near;
use super::path::Path;
use super::yaml::{Content, Entry, Node, Scalar};

/// More findings than this are of no use to anybody.
const MAX_FINDINGS: usize = 200;

/// What a check gave.
pub(crate) struct Checked {
    /// The document without what is wrong in it; `None` where nothing is left.
    pub(crate) value: Option<Value>,
    pub(crate) findings: Vec<Finding>,
    /// Values that were left out.
    pub(crate) left_out: Vec<Path>,
    /// Mappings with unknown fields: what seems missing in them may be written there under a wrong name.
    pub(crate) doubtful: Vec<Path>,
}

/// Checks `node` against `schema`.
pub(crate) fn check(node: &Node, schema: &Value) -> Checked {
    let mut checker =
        Checker { root: schema, out: Checked { value: None, findings: Vec::new(), left_out: Vec::new(), doubtful: Vec::new() } };
    let value = checker.value(node, schema, &Path::default());
    Checked { value, ..checker.out }
}

struct Checker<'a> {
    root: &'a Value,
    out: Checked,
}

impl<'a> Checker<'a> {
    /// Records a finding about a value that is left out.
    fn wrong(&mut self, finding: Finding) -> Option<Value> {
        self.out.left_out.push(finding.path.clone());
        self.out.findings.push(finding);
        None
    }

    fn wrong_type(&mut self, path: &Path, expected: &str, node: &Node) -> Option<Value> {
        let message = match path.last_key() {
            Some(key) if node.is_null() => format!("`{key}` must be {expected}, but nothing is there"),
            Some(key) => format!("`{key}` must be {expected}, not {}", node.what()),
            None => format!("this must be {expected}, not {}", node.what()),
        };
        self.wrong(Finding::error("wrong-type", path, message))
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        let target = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
        target.and_then(|pointer| self.root.pointer(pointer)).unwrap_or(schema)
    }

    fn value(&mut self, node: &Node, schema: &'a Value, path: &Path) -> Option<Value> {
        if self.out.findings.len() >= MAX_FINDINGS {
            return None;
        }
        let schema = self.resolve(schema);
        if let Some(tag) = &node.tag {
            return self.wrong(Finding::error("yaml-tag", path, format!("the tag `{tag}` has no meaning here")));
        }
        if schema.get(NOT_YET).is_some() {
            let message = format!("`{path}` is not supported yet");
            return self.wrong(Finding::error("not-supported-yet", path, message).hint("remove it").at_key());
        }
        if let Some(Value::Array(alternatives)) = schema.get("anyOf").or_else(|| schema.get("oneOf")) {
            return self.alternatives(node, alternatives, path);
        }
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ => return self.anything(node, path),
        };
        if node.is_null() && types.contains(&"null") {
            return Some(Value::Null);
        }
        let expected: Vec<&str> = types.into_iter().filter(|name| *name != "null").collect();
        match (&node.content, expected.as_slice()) {
            (Content::Map(entries), ["object"]) => self.object(entries, schema, path),
            (Content::List(items), ["array"]) => self.array(items, schema, path),
            (Content::Scalar(scalar), _) => self.scalar(node, scalar, &expected, schema, path),
            _ => self.wrong_type(path, &in_words(&expected, schema), node),
        }
    }

    fn array(&mut self, items: &[Arc<Node>], schema: &'a Value, path: &Path) -> Option<Value> {
        let most = schema.get("maxItems").and_then(Value::as_u64).and_then(|most| usize::try_from(most).ok());
        let most = most.unwrap_or(usize::MAX);
        if items.len() > most {
            let message = format!("{} entries; at most {most} are possible", items.len());
            self.out.findings.push(Finding::error("too-many", path, message));
        }
        let item_schema = schema.get("items").unwrap_or(&Value::Null);
        // An item that is wrong stays as a blank one, so that the others keep their index.
        let blank = self.blank(item_schema);
        let values = items
            .iter()
            .take(most)
            .enumerate()
            .filter_map(|(index, item)| self.value(item, item_schema, &path.index(index)).or_else(|| blank.clone()));
        Some(Value::Array(values.collect()))
    }

    fn object(&mut self, entries: &[Entry], schema: &'a Value, path: &Path) -> Option<Value> {
        let empty = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        // The schema outlives the checker; `properties` only borrows `empty` where there are none.
        let find = |key: &str| schema.get("properties").and_then(|all| all.get(key));
        let additional = schema.get("additionalProperties");
        let required: Vec<&str> =
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let mut map = Map::new();
        for Entry { key, value: node, .. } in entries {
            let here = path.key(key);
            let value = match (find(key), additional) {
                // Kubernetes reads `field:` without a value as if the field were not there.
                (Some(_), _) if node.is_null() && !required.contains(&key.as_str()) => continue,
                (Some(schema), _) => self.value(node, schema, &here),
                (None, Some(Value::Bool(false))) if self.out.findings.len() >= MAX_FINDINGS => continue,
                (None, Some(Value::Bool(false))) => {
                    self.unknown_field(key, properties.keys().map(String::as_str), &here, path);
                    continue;
                }
                (None, Some(schema @ Value::Object(_))) => self.value(node, schema, &here),
                (None, _) => self.anything(node, &here),
            };
            // What is required and wrong stays as a blank, so that the rules can be applied to the rest.
            let blank = || if required.contains(&key.as_str()) { find(key).and_then(|schema| self.blank(schema)) } else { None };
            if let Some(value) = value.or_else(blank) {
                map.insert(key.clone(), value);
            }
        }
        for field in required {
            if entries.iter().any(|entry| entry.key == field) {
                continue;
            }
            // What is missing may stand there under a wrong name, which is already said.
            if !self.out.doubtful.contains(path) {
                self.out.findings.push(Finding::error("missing-field", path, format!("`{field}` is missing")));
            }
            self.out.left_out.push(path.key(field));
            if let Some(blank) = find(field).and_then(|schema| self.blank(schema)) {
                map.insert(field.to_owned(), blank);
            }
        }
        Some(Value::Object(map))
    }

    /// An empty value of a required field's type.
    fn blank(&self, schema: &'a Value) -> Option<Value> {
        let schema = self.resolve(schema);
        match schema.get("type")?.as_str()? {
            "string" => Some(Value::from("")),
            "integer" => Some(Value::from(0)),
            "array" => Some(Value::Array(Vec::new())),
            "object" => {
                let required = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
                let fields =
                    required.filter_map(|field| Some((field.to_owned(), self.blank(schema.get("properties")?.get(field)?)?)));
                Some(Value::Object(fields.collect()))
            }
            _ => None,
        }
    }

    fn unknown_field<'b>(&mut self, key: &str, known: impl Iterator<Item = &'b str>, here: &Path, parent: &Path) {
        let place = if parent.segments().is_empty() { "the document".to_owned() } else { format!("`{parent}`") };
        let mut finding = Finding::error("unknown-field", here, format!("unknown field `{key}` in {place}")).at_key();
        finding.hint = near::hint(key, known);
        self.out.doubtful.push(parent.clone());
        self.out.left_out.push(here.clone());
        self.out.findings.push(finding);
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, expected: &[&str], schema: &Value, path: &Path) -> Option<Value> {
        let name = path.last_key().unwrap_or("this value").to_owned();
        let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
        let value = match scalar {
            Scalar::Bool(value) if expected.contains(&"boolean") => Value::from(*value),
            Scalar::Int(value) if expected.contains(&"integer") => {
                if format == "go-duration"
                    && let Err(message) = Duration::from_seconds(*value)
                {
                    return self.wrong(Finding::error("bad-duration", path, format!("`{name}`: {message}")));
                }
                if let Some((least, most)) = range(schema, format)
                    && !(least..=most).contains(value)
                {
                    let message = format!("`{name}` must be a whole number from {least} to {most}, not {value}");
                    return self.wrong(Finding::error("out-of-range", path, message));
                }
                Value::from(*value)
            }
            Scalar::Int(value) if expected.contains(&"number") => Value::from(*value),
            Scalar::Float(value) if expected.contains(&"number") => match serde_json::Number::from_f64(*value) {
                Some(number) => Value::Number(number),
                None => {
                    let message = format!("`{name}` must be a number; infinite ones and `.nan` compare with nothing");
                    return self.wrong(Finding::error("not-finite", path, message));
                }
            },
            Scalar::Text(text) if expected.contains(&"string") => {
                if format == "go-duration"
                    && let Err(message) = Duration::parse(text)
                {
                    return self.wrong(Finding::error("bad-duration", path, format!("`{name}`: {message}")));
                }
                if let Some(Value::Array(words)) = schema.get("enum") {
                    return self.word(text, words.iter().filter_map(Value::as_str), path);
                }
                if text.is_empty() && schema.get("minLength").and_then(Value::as_u64).is_some_and(|least| least > 0) {
                    return self.wrong(Finding::error("empty", path, format!("`{name}` is empty")));
                }
                Value::from(text.clone())
            }
            _ => {
                self.wrong_type(path, &in_words(expected, schema), node);
                let hint = match scalar {
                    Scalar::Text(text) if expected == ["boolean"] => yes_or_no(text),
                    Scalar::Text(_) | Scalar::Int(_) if path.last_key() == Some("pause") => {
                        Some("write `{duration: 60}`, or `{}` to wait for an approval".to_owned())
                    }
                    Scalar::Int(number) if expected == ["string"] && path.last_key() == Some("traffic") => {
                        Some(format!("write `{number}%`"))
                    }
                    Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_) if expected == ["string"] => {
                        Some("put it in quotes".to_owned())
                    }
                    Scalar::Text(text) if expected.contains(&"integer") && text.parse::<i64>().is_ok() => {
                        Some("write it without quotes".to_owned())
                    }
                    Scalar::Text(text) if expected == ["integer"] && Duration::parse(text).is_ok() => {
                        let seconds = Duration::parse(text).map(Duration::seconds).unwrap_or_default();
                        Some(format!("Kruise takes seconds: write `{seconds}`"))
                    }
                    _ => None,
                };
                if let Some(finding) = self.out.findings.last_mut() {
                    finding.hint = hint;
                }
                return None;
            }
        };
        Some(value)
    }

    /// A text that must be one of a few words.
    fn word<'b>(&mut self, text: &str, words: impl Iterator<Item = &'b str>, path: &Path) -> Option<Value> {
        let words: Vec<&str> = words.collect();
        if words.contains(&text) {
            return Some(Value::from(text));
        }
        let message = format!("`{}` cannot be `{text}`", path.last_key().unwrap_or("this value"));
        let mut finding = Finding::error("unknown-value", path, message);
        finding.hint = near::hint(text, words);
        self.wrong(finding)
    }

    /// `Option<T>`, or an enum: a few words, or mappings with exactly one of a few keys.
    fn alternatives(&mut self, node: &Node, alternatives: &'a [Value], path: &Path) -> Option<Value> {
        let is_null = |schema: &Value| schema.get("type") == Some(&Value::from("null"));
        if node.is_null() && alternatives.iter().any(is_null) {
            return Some(Value::Null);
        }
        let rest: Vec<&'a Value> = alternatives.iter().filter(|schema| !is_null(schema)).collect();
        if let [only] = rest.as_slice() {
            return self.value(node, only, path);
        }
        let words: Vec<&'a str> = rest
            .iter()
            .flat_map(|schema| {
                let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
                listed.chain(schema.get("const")).filter_map(Value::as_str)
            })
            .collect();
        let tagged: Vec<(&'a String, &'a Value)> =
            rest.iter().filter_map(|schema| schema.get("properties")?.as_object()).flatten().collect();
        let keys = || tagged.iter().map(|(key, _)| key.as_str());
        match &node.content {
            Content::Scalar(Scalar::Text(text)) if !words.is_empty() => self.word(text, words.into_iter(), path),
            Content::Scalar(Scalar::Text(text)) if keys().any(|key| key == text) => {
                let message = format!("`{}` must be a mapping", path.last_key().unwrap_or("this value"));
                self.wrong(Finding::error("wrong-type", path, message).hint(format!("write `{text}: {{…}}`")))
            }
            Content::Map(entries) if !tagged.is_empty() => {
                if let [entry] = entries.as_slice()
                    && let Some((_, schema)) = tagged.iter().find(|(key, _)| **key == entry.key)
                {
                    let value = self.value(&entry.value, schema, &path.key(&entry.key))?;
                    return Some(Value::Object(Map::from_iter([(entry.key.clone(), value)])));
                }
                for entry in entries {
                    match tagged.iter().find(|(key, _)| **key == entry.key) {
                        None => self.unknown_field(&entry.key, keys(), &path.key(&entry.key), path),
                        Some((_, schema)) => drop(self.value(&entry.value, schema, &path.key(&entry.key))),
                    }
                }
                if entries.iter().all(|entry| keys().any(|key| key == entry.key)) {
                    let all = keys().collect::<Vec<_>>().join(", ");
                    let message = format!("exactly one of {all} belongs here");
                    return self.wrong(Finding::error("one-of", path, message));
                }
                self.out.left_out.push(path.clone());
                None
            }
            _ => {
                let all: Vec<&str> = words.iter().copied().chain(keys()).collect();
                let expected = format!("one of {}", all.join(", "));
                self.wrong_type(path, &expected, node)
            }
        }
    }

    /// A value that no schema restricts.
    fn anything(&mut self, node: &Node, path: &Path) -> Option<Value> {
        Some(match &node.content {
            Content::Scalar(Scalar::Null) => Value::Null,
            Content::Scalar(Scalar::Bool(value)) => Value::from(*value),
            Content::Scalar(Scalar::Int(value)) => Value::from(*value),
            Content::Scalar(Scalar::Float(value)) => Value::from(*value),
            Content::Scalar(Scalar::Text(text)) => Value::from(text.clone()),
            Content::List(items) => Value::Array(
                items.iter().enumerate().filter_map(|(index, item)| self.anything(item, &path.index(index))).collect(),
            ),
            Content::Map(entries) => Value::Object(
                entries
                    .iter()
                    .filter_map(|entry| Some((entry.key.clone(), self.anything(&entry.value, &path.key(&entry.key))?)))
                    .collect(),
            ),
        })
    }
}

/// The integers that the schema allows.
fn range(schema: &Value, format: &str) -> Option<(i64, i64)> {
    let (least, most) = match format {
        "int32" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        "int-or-string" => (i64::from(i32::MIN), i64::from(i32::MAX)),
        "uint32" => (0, i64::from(u32::MAX)),
        _ => return None,
    };
    let limit = |name: &str| schema.get(name).and_then(Value::as_i64);
    Some((limit("minimum").unwrap_or(least), limit("maximum").unwrap_or(most)))
}

fn in_words(types: &[&str], schema: &Value) -> String {
    match (types, schema.get("format").and_then(Value::as_str)) {
        (_, Some("int-or-string")) => "a number of pods or a percentage such as `20%`".to_owned(),
        (_, Some("go-duration")) => "a duration such as `5m`, or a number of seconds".to_owned(),
        (["object"], _) => "a mapping".to_owned(),
        (["array"], _) => "a list".to_owned(),
        (["string"], _) => "a text".to_owned(),
        (["boolean"], _) => "true or false".to_owned(),
        (["integer"], _) => "a whole number".to_owned(),
        (["number"], _) => "a number".to_owned(),
        (types, _) => types.join(" or "),
    }
}

fn yes_or_no(text: &str) -> Option<String> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "y" | "on" | "true" => Some("write `true`".to_owned()),
        "no" | "n" | "off" | "false" => Some("write `false`".to_owned()),
        _ => None,
    }
}
