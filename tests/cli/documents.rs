//! docs/reference/documents.md: every field of every document, made from the JSON Schemas that the program prints.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::Value;

use super::desk::Desk;

const NOT_YET: &str = "x-windlass-not-supported-yet";

/// A table of all fields below `schema`, in the order of the document.
struct Table<'a> {
    root: &'a Value,
    rows: String,
}

impl Table<'_> {
    /// The schema behind references and beside `null`.
    fn plain<'v>(&'v self, schema: &'v Value) -> &'v Value {
        if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/")) {
            let target = name.split('/').fold(self.root, |value, key| &value[key]);
            return self.plain(target);
        }
        let several = ["anyOf", "allOf"].iter().find_map(|key| schema[*key].as_array());
        let known: Vec<&Value> = several.into_iter().flatten().filter(|one| one["type"] != "null").collect();
        match known.as_slice() {
            [one] => self.plain(one),
            _ => schema,
        }
    }

    fn kind(&self, schema: &Value) -> String {
        let plain = self.plain(schema);
        let choices = |value: &Value| -> Vec<String> {
            let own = value["enum"].as_array().into_iter().flatten().chain(std::iter::once(&value["const"]));
            own.filter_map(Value::as_str).map(|text| format!("`{text}`")).collect()
        };
        let several: Vec<String> =
            plain["oneOf"].as_array().into_iter().flatten().flat_map(choices).chain(choices(plain)).collect();
        if !several.is_empty() {
            return several.join(", ");
        }
        if plain["format"] == "go-duration" {
            return "duration".to_owned();
        }
        let types: Vec<&str> = match &plain["type"] {
            Value::String(one) => vec![one],
            Value::Array(all) => all.iter().filter_map(Value::as_str).filter(|one| *one != "null").collect(),
            _ if plain["oneOf"].is_array() => vec!["one of the fields below"],
            _ => plain["anyOf"].as_array().into_iter().flatten().filter_map(|one| one["type"].as_str()).collect(),
        };
        match types.as_slice() {
            ["array"] => format!("list of {}", self.kind(&plain["items"])),
            ["object"] if plain["additionalProperties"].is_object() => "map".to_owned(),
            types => types.join(" or "),
        }
    }

    fn fields(&mut self, schema: &Value, path: &str, depth: usize) {
        assert!(depth < 20, "{path}: a schema in a circle");
        let plain = self.plain(schema).clone();
        let required: Vec<&str> = plain["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        for (name, field) in plain["properties"].as_object().into_iter().flatten() {
            let here = format!("{path}{name}");
            let is_missing = field.get(NOT_YET).is_some() || self.plain(field).get(NOT_YET).is_some();
            let text = |key: &str| {
                field[key].as_str().or_else(|| self.plain(field)[key].as_str()).unwrap_or_default().replace('\n', " ")
            };
            let mut meaning = text("description").replace('|', "\\|");
            if is_missing && !meaning.contains("Not supported yet") {
                meaning.push_str(" Not supported yet.");
            }
            let kind = if is_missing { String::new() } else { self.kind(field) };
            let star = if required.contains(&name.as_str()) { " *" } else { "" };
            writeln!(self.rows, "| `{here}`{star} | {kind} | {} |", meaning.trim()).unwrap();
            if is_missing || path.is_empty() && matches!(name.as_str(), "status" | "metadata") {
                continue;
            }
            let inner = self.plain(field).clone();
            if inner["items"].is_object() {
                let items = inner["items"].clone();
                self.fields(&items, &format!("{here}[]."), depth + 1);
            } else {
                self.fields(&inner, &format!("{here}."), depth + 1);
            }
        }
        for choice in plain["oneOf"].as_array().into_iter().flatten() {
            // One of them is there, so none of them must be; what it means stands at the choice.
            let mut choice = choice.clone();
            let meaning = choice["description"].take();
            choice["required"].take();
            if let Some(field) = choice["properties"].as_object_mut().and_then(|fields| fields.values_mut().next()) {
                field["description"] = meaning;
            }
            self.fields(&choice, path, depth + 1);
        }
    }
}

#[test]
fn the_document_reference_is_what_the_schemas_say() {
    let desk = Desk::new();
    let mut text = String::from(
        "# Documents\n\nEvery field, from the JSON Schemas that `windlass schema` prints. Fields with * must be there. A duration is a number of \
         seconds or a\ntext such as `90s`, `5m`, `1h30m`. Made by a test; `WINDLASS_UPDATE=1 cargo test --test main reference` writes it anew.\n",
    );
    let documents = [
        ("rollout", "Rollout, `windlass.dev/v1alpha1`"),
        ("repository", "Repository (`.windlass.yaml`), `windlass.dev/v1alpha1`"),
        ("config", "Config (the operator's `windlass.yaml`), `windlass.dev/v1alpha1`"),
        ("traffic-routing", "TrafficRouting, of Windlass and of Kruise (`rollouts.kruise.io/v1alpha1`)"),
        ("kruise-rollout", "Rollout of Kruise, `rollouts.kruise.io/v1beta1`"),
    ];
    for (document, title) in documents {
        let schema = desk.windlass(&["schema", document]).exits(0).json();
        let mut table = Table { root: &schema, rows: String::new() };
        table.fields(&schema, "", 0);
        assert!(table.rows.lines().count() > 3, "{document}: {}", table.rows);
        write!(text, "\n## {title}\n\n| field | type | meaning |\n|---|---|---|\n{}", table.rows).unwrap();
    }
    let page = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reference/documents.md");
    if std::env::var_os("WINDLASS_UPDATE").is_some() {
        std::fs::write(&page, &text).unwrap();
    }
    let there = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        there == text,
        "docs/reference/documents.md is not what the schemas say; write it anew: WINDLASS_UPDATE=1 cargo test --test main reference"
    );
}
