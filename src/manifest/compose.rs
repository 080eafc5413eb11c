//! From YAML events to values, with budgets. Values are composed here and not by a deserializer, because Kubernetes'
//! reader differs from any library's in what it takes plain keys, merges and numbers for.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use serde_json::{Map, Value};
use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, StrInput, Tag};

use super::error::Fault;
use super::read::{Limits, Raw};
use super::scalar;

/// Documents in one file, the empty ones included.
const MOST_DOCUMENTS: usize = 25_000;

/// All documents of a text that are not empty.
pub(super) fn documents(text: &str, limits: &Limits) -> Result<Vec<Raw>, Fault> {
    let mut options = granit_parser::options! {
        flow_nesting_limit: limits.depth,
        block_nesting_limit: limits.depth,
    };
    options.set_emit_comments(false);
    let mut composer = Composer {
        parser: Parser::new_from_str_with_options(text, options),
        limits,
        nodes: 0,
        expanded: 0,
        depth: 0,
        anchors: HashMap::new(),
        items: Vec::new(),
    };
    let (mut documents, mut starts) = (Vec::new(), 0);
    loop {
        let (event, mark) = composer.next()?;
        match event {
            Event::StreamEnd => return Ok(documents),
            Event::StreamStart => {}
            Event::DocumentStart(..) => {
                starts += 1;
                if starts > MOST_DOCUMENTS {
                    let cause = format!("more than {MOST_DOCUMENTS} documents in one file");
                    return Err(fault(mark, cause, Some("split the file")));
                }
                composer.anchors.clear();
            }
            Event::DocumentEnd => {}
            event => {
                composer.items.clear();
                let value = composer.node(event, mark)?;
                if !value.is_null() {
                    let items = std::mem::take(&mut composer.items);
                    documents.push(Raw { value, line: mark.line(), column: mark.col() + 1, items });
                }
            }
        }
    }
}

struct Anchor {
    value: Value,
    nodes: usize,
    depth: usize,
}

struct Composer<'text, 'limits> {
    parser: Parser<'text, StrInput<'text>>,
    limits: &'limits Limits,
    nodes: usize,
    /// What anchors and aliases have copied.
    expanded: usize,
    depth: usize,
    anchors: HashMap<usize, Anchor>,
    /// Where the entries of the document's own `items` list stand.
    items: Vec<(usize, usize)>,
}

fn fault(mark: Marker, cause: impl Into<String>, hint: Option<&str>) -> Fault {
    Fault { line: mark.line(), column: mark.col() + 1, cause: cause.into(), hint: hint.map(str::to_owned) }
}

impl<'text> Composer<'text, '_> {
    fn next(&mut self) -> Result<(Event<'text>, Marker), Fault> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(error)) => Err(scan_fault(&error)),
            // The stream's end is an event of its own; nothing may follow it.
            None => Ok((Event::StreamEnd, Marker::new(0, 1, 0))),
        }
    }

    fn node(&mut self, event: Event<'text>, mark: Marker) -> Result<Value, Fault> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            return Err(fault(mark, format!("more than {} values in one file", self.limits.nodes), Some("split the file")));
        }
        let (value, anchor) = match event {
            Event::Alias(id) => return self.alias(id, mark),
            Event::Scalar(text, style, anchor, tag) => (tagged(&text, style, tag.as_deref(), mark)?, anchor),
            Event::SequenceStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "seq", mark)?;
                (self.sequence(mark)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                collection_tag(tag.as_deref(), "map", mark)?;
                (self.mapping(mark)?, anchor)
            }
            _ => return Err(fault(mark, "a value is missing here", None)),
        };
        if anchor != 0 {
            let (nodes, depth) = measure(&value);
            self.expand(nodes, mark)?;
            self.anchors.insert(anchor, Anchor { value: value.clone(), nodes, depth });
        }
        Ok(value)
    }

    fn alias(&mut self, id: usize, mark: Marker) -> Result<Value, Fault> {
        // An anchor is known when its node is complete, so a node cannot contain itself.
        let Some(anchor) = self.anchors.get(&id) else {
            return Err(fault(mark, "an alias for a value that contains it", None));
        };
        let (nodes, depth) = (anchor.nodes, anchor.depth);
        if self.depth + depth > self.limits.depth {
            return Err(self.too_deep(mark));
        }
        self.expand(nodes, mark)?;
        self.anchors.get(&id).map(|anchor| anchor.value.clone()).ok_or_else(|| fault(mark, "an unknown alias", None))
    }

    fn expand(&mut self, nodes: usize, mark: Marker) -> Result<(), Fault> {
        self.expanded = self.expanded.saturating_add(nodes);
        if self.expanded > self.limits.expanded {
            let cause = format!("aliases make more than {} values of this file", self.limits.expanded);
            return Err(fault(mark, cause, Some("write the values out")));
        }
        Ok(())
    }

    fn too_deep(&self, mark: Marker) -> Fault {
        fault(mark, format!("nested more than {} levels deep", self.limits.depth), None)
    }

    fn enter(&mut self, mark: Marker) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > self.limits.depth { Err(self.too_deep(mark)) } else { Ok(()) }
    }

    fn sequence(&mut self, mark: Marker) -> Result<Value, Fault> {
        self.enter(mark)?;
        let mut values = Vec::new();
        let mut marks = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            if self.depth == 2 {
                marks.push((mark.line(), mark.col() + 1));
            }
            values.push(self.node(event, mark)?);
        }
        if self.depth == 2 {
            self.items = marks;
        }
        self.depth -= 1;
        Ok(Value::Array(values))
    }

    fn mapping(&mut self, mark: Marker) -> Result<Value, Fault> {
        self.enter(mark)?;
        let mut map = Map::new();
        let mut merged: BTreeSet<String> = BTreeSet::new();
        let mut items = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let is_merge = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, tag)
                if text == "<<" && tag.as_ref().is_none_or(|tag| name(tag).as_deref() == Some("merge")));
            let key = if is_merge { None } else { Some(self.key(event, mark)?) };
            let (event, value_mark) = self.next()?;
            let value = self.node(event, value_mark)?;
            match key {
                None => merge(&mut map, &mut merged, value, value_mark)?,
                Some(key) => {
                    if map.contains_key(&key) && !merged.remove(&key) {
                        let hint = "Kubernetes would silently take the last one; remove one of them";
                        return Err(fault(mark, format!("duplicate key `{}`", shorten(&key)), Some(hint)));
                    }
                    if self.depth == 1 && key == "items" {
                        items = std::mem::take(&mut self.items);
                    }
                    map.insert(key, value);
                }
            }
        }
        if self.depth == 1 {
            self.items = items;
        }
        self.depth -= 1;
        Ok(Value::Object(map))
    }

    /// A key as a text. Plain keys are read like values first, as Kubernetes does: `on:` is `true:`, `0x1F:` is `31:`.
    fn key(&mut self, event: Event<'text>, mark: Marker) -> Result<String, Fault> {
        match self.node(event, mark)? {
            Value::String(text) => Ok(text),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Number(number) => Ok(match number.as_f64() {
                Some(float) if number.is_f64() => float.to_string(),
                _ => number.to_string(),
            }),
            Value::Null => Err(fault(mark, "an empty key", Some("put a key that is meant as a text in quotes"))),
            Value::Array(_) | Value::Object(_) => Err(fault(mark, "a key must be a text", None)),
        }
    }
}

/// `<<`: the keys of one mapping or several, of which the first wins. What stands before the `<<` is replaced, as in
/// Kubernetes' reader; what stands behind it wins.
fn merge(map: &mut Map<String, Value>, merged: &mut BTreeSet<String>, value: Value, mark: Marker) -> Result<(), Fault> {
    let wrong = || fault(mark, "`<<` takes a mapping or a list of mappings", None);
    let sources = match value {
        Value::Object(source) => vec![source],
        Value::Array(values) => {
            let objects = values.into_iter().map(|value| if let Value::Object(source) = value { Some(source) } else { None });
            objects.rev().collect::<Option<Vec<_>>>().ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    for (key, value) in sources.into_iter().flatten() {
        merged.insert(key.clone());
        map.insert(key, value);
    }
    Ok(())
}

/// What a tag of YAML's own is called: `str` of `!!str`.
fn name(tag: &Tag) -> Option<Cow<'_, str>> {
    tag.suffix_in_namespace("tag:yaml.org,2002:")
}

/// A scalar by its style and tag.
fn tagged(text: &str, style: ScalarStyle, tag: Option<&Tag>, mark: Marker) -> Result<Value, Fault> {
    let resolved = || scalar::plain(text).map_err(|cause| fault(mark, cause, Some("put it in quotes if a text is meant")));
    let Some(tag) = tag else {
        return if style == ScalarStyle::Plain { resolved() } else { Ok(Value::String(text.to_owned())) };
    };
    let value = match name(tag).as_deref() {
        Some("str" | "timestamp") => return Ok(Value::String(text.to_owned())),
        Some("binary") => return binary(text, mark),
        Some("int") => resolved().ok().filter(|value| value.is_i64() || value.is_u64()),
        Some("float") => resolved().ok().filter(Value::is_number),
        Some("bool") => resolved().ok().filter(Value::is_boolean),
        Some("null") => resolved().ok().filter(Value::is_null),
        // A lone `!` says "no type but text".
        _ if tag.original() == "!" => return Ok(Value::String(text.to_owned())),
        _ => return Err(unknown_tag(tag, mark)),
    };
    value.ok_or_else(|| fault(mark, format!("the value does not fit its tag `{}`", shorten(&tag.original())), None))
}

fn collection_tag(tag: Option<&Tag>, expected: &str, mark: Marker) -> Result<(), Fault> {
    match tag {
        Some(tag) if name(tag).as_deref() != Some(expected) && tag.original() != "!" => Err(unknown_tag(tag, mark)),
        _ => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, mark: Marker) -> Fault {
    fault(mark, format!("the tag `{}` has no meaning in a manifest", shorten(&tag.original())), Some("remove the tag"))
}

/// `!!binary`: base64 of a UTF-8 text.
fn binary(text: &str, mark: Marker) -> Result<Value, Fault> {
    let mut bytes = Vec::new();
    let (mut bits, mut count, mut symbols, mut padded) = (0u32, 0u32, 0usize, 0usize);
    for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
        symbols += 1;
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                padded += 1;
                continue;
            }
            _ => return Err(fault(mark, "`!!binary` is not base64", None)),
        };
        if padded > 0 {
            return Err(fault(mark, "`!!binary` is not base64", None));
        }
        bits = (bits << 6 | u32::from(digit)) & 0xfff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap_or_default());
        }
    }
    if !symbols.is_multiple_of(4) || padded > 2 {
        return Err(fault(mark, "`!!binary` is not base64", None));
    }
    String::from_utf8(bytes).map(Value::String).map_err(|_| fault(mark, "`!!binary` is not a UTF-8 text", None))
}

/// Nodes (a long text counts for several) and depth of a value.
fn measure(value: &Value) -> (usize, usize) {
    let mut sum = (1, 0);
    let mut add = |part: &Value| {
        let (nodes, depth) = measure(part);
        sum = (sum.0 + nodes, sum.1.max(depth));
    };
    match value {
        Value::Array(values) => values.iter().for_each(&mut add),
        Value::Object(map) => map.values().for_each(&mut add),
        Value::String(text) => return (1 + text.len() / 64, 0),
        _ => return (1, 0),
    }
    (sum.0, sum.1 + 1)
}

/// A text of the file for a message.
fn shorten(text: &str) -> String {
    let shown: String = text.chars().filter(|character| !character.is_control()).take(60).collect();
    if shown.len() < text.len() { format!("{shown}…") } else { shown }
}

fn scan_fault(error: &granit_parser::ScanError) -> Fault {
    let info = error.info();
    let hint = if info.contains("indentation in multiline quoted") {
        Some("indent the text's further lines more than its key")
    } else if info.contains('\t') || info.contains("tab") {
        Some("indent with spaces")
    } else {
        None
    };
    fault(*error.marker(), info, hint)
}
