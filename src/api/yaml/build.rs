//! From text to trees, with limits: a file costs no more than its size, whatever it says.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{Content, Entry, Node, Scalar};
use crate::api::diagnostic::Place;

/// Larger files are refused, bytes.
pub const MAX_BYTES: usize = 8 << 20;
/// Values of one document, with every alias counted as what it stands for.
const MAX_VALUES: usize = 200_000;
/// Mappings and lists in each other.
const MAX_DEPTH: usize = 100;

/// More findings than this are of no use to anybody.
const MAX_PROBLEMS: usize = 100;

/// Something that is wrong with the YAML itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) place: Place,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// All documents of a text that can be read, and everything that is wrong. Empty documents are left out.
/// A document with a syntax error is left out; what follows it is read.
pub(crate) fn parse(text: &str) -> (Vec<Arc<Node>>, Vec<Problem>) {
    let mut problems = Vec::new();
    if text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", text.len());
        problems.push(Problem { code: "too-large", place: first(), message, hint: None });
        return (Vec::new(), problems);
    }
    if let Some(at) = text.find('\0') {
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = Place { line: short(line), column: short(column), length: 1 };
        let message = "a NUL character; this is no YAML text".to_owned();
        problems.push(Problem { code: "not-text", place, message, hint: None });
        return (Vec::new(), problems);
    }
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    let mut builder = Builder::default();
    loop {
        let problem = match parser.next_event() {
            None => break,
            Some(Ok((Event::StreamStart, _))) => continue,
            Some(Ok((Event::StreamEnd, _))) => break,
            Some(Ok((Event::DocumentStart(..), _))) => {
                builder = Builder::default();
                continue;
            }
            Some(Ok((Event::DocumentEnd, _))) => {
                problems.append(&mut builder.problems);
                documents.extend(builder.root.take().filter(|root| !root.is_null()));
                continue;
            }
            Some(Ok((event, span))) => match builder.event(event, span, text) {
                Ok(()) => continue,
                Err(problem) => problem,
            },
            Some(Err(error)) => syntax(&error, text),
        };
        problems.append(&mut builder.problems);
        let at = problem.place;
        problems.push(problem);
        builder = Builder::default();
        if problems.len() >= MAX_PROBLEMS {
            let message = "too much is wrong here; what follows was not read".to_owned();
            problems.push(Problem { code: "too-many", place: at, message, hint: None });
            break;
        }
        match parser.proceed_next_document() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                problems.push(syntax(&error, text));
                break;
            }
        }
    }
    (documents, problems)
}

fn first() -> Place {
    Place { line: 1, column: 1, length: 1 }
}

fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn place(span: &Span, text: &str) -> Place {
    let length = span.slice(text).map_or(1, |slice| slice.lines().next().unwrap_or_default().trim_end().chars().count());
    Place { line: short(span.start.line()), column: short(span.start.col() + 1), length: short(length.max(1)) }
}

fn syntax(error: &ScanError, text: &str) -> Problem {
    let marker = error.marker();
    let line = text.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
    let tab = line.trim_start_matches(' ').starts_with('\t');
    let hint = template(text, short(marker.line())).or(tab.then(|| "YAML is indented with spaces, not with tabs".to_owned()));
    let place = Place { line: short(marker.line()), column: short(marker.col() + 1), length: 1 };
    Problem { code: "yaml-syntax", place, message: error.info(), hint }
}

/// The hint for a line with a template's braces.
fn template(text: &str, line: u32) -> Option<String> {
    let line = usize::try_from(line).ok().and_then(|line| text.lines().nth(line.checked_sub(1)?))?;
    line.contains("{{").then(|| "this looks like a template; only rendered manifests can be read".to_owned())
}

/// A value with what it costs.
#[derive(Clone)]
struct Built {
    node: Arc<Node>,
    values: usize,
    depth: usize,
}

/// A mapping or list whose end has not come yet.
struct Open {
    place: Place,
    tag: Option<String>,
    anchor: usize,
    values: usize,
    depth: usize,
    content: Content,
    /// A mapping's key that waits for its value.
    key: Option<(String, Place)>,
    merges: Vec<Arc<Node>>,
    /// A mapping's keys so far.
    keys: HashMap<String, Place>,
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Built>,
    root: Option<Arc<Node>>,
    spent: usize,
    problems: Vec<Problem>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span, text: &str) -> Result<(), Problem> {
        let at = place(&span, text);
        match event {
            Event::Scalar(word, style, anchor, tag) => {
                let tag = tag.as_deref();
                let scalar = match tag.and_then(Tag::core_suffix) {
                    Some("str") => Scalar::Text(word.into_owned()),
                    _ if style == ScalarStyle::Plain => Scalar::plain(&word),
                    _ => Scalar::Text(word.into_owned()),
                };
                let waits_for_key =
                    self.open.last().is_some_and(|open| matches!(open.content, Content::Map(_)) && open.key.is_none());
                if waits_for_key {
                    // A key is a text, whatever it looks like (`on:`, `80:`).
                    let raw = if style == ScalarStyle::Plain { span.slice(text).map(str::trim) } else { None };
                    let key = match (scalar, raw) {
                        (Scalar::Text(text), _) => text,
                        (_, Some(raw)) => raw.to_owned(),
                        (other, None) => other.what(),
                    };
                    if let Some(open) = self.open.last_mut() {
                        open.key = Some((key, at));
                    }
                    return self.spend(1, at);
                }
                let node = Arc::new(Node { place: at, tag: own(tag), content: Content::Scalar(scalar) });
                self.add(Built { node, values: 1, depth: 1 }, anchor, 1)
            }
            Event::Alias(id) => {
                let Some(built) = self.anchors.get(&id).cloned() else {
                    let message = "an alias inside the value that it names".to_owned();
                    return Err(Problem { code: "yaml-alias", place: at, message, hint: None });
                };
                // The value stands where its anchor is: a finding in it points there.
                let cost = built.values;
                self.add(built, 0, cost)
            }
            Event::SequenceStart(_, anchor, tag) => self.start(at, anchor, tag.as_deref(), Content::List(Vec::new()), text),
            Event::MappingStart(_, anchor, tag) => self.start(at, anchor, tag.as_deref(), Content::Map(Vec::new()), text),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            _ => Ok(()),
        }
    }

    fn start(&mut self, place: Place, anchor: usize, tag: Option<&Tag>, content: Content, text: &str) -> Result<(), Problem> {
        let waits_for_key = self.open.last().is_some_and(|open| matches!(open.content, Content::Map(_)) && open.key.is_none());
        if waits_for_key {
            let message = "a key must be a text, not a mapping or a list".to_owned();
            let hint = template(text, place.line).unwrap_or_else(|| "quote a text that begins with `{` or `[`".to_owned());
            return Err(Problem { code: "yaml-key", place, message, hint: Some(hint) });
        }
        let tag = own(tag);
        self.open.push(Open {
            place,
            tag,
            anchor,
            values: 1,
            depth: 1,
            content,
            key: None,
            merges: Vec::new(),
            keys: HashMap::new(),
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Problem> {
        let Some(mut open) = self.open.pop() else { return Ok(()) };
        for merged in std::mem::take(&mut open.merges) {
            let (Content::Map(entries), Content::Map(more)) = (&mut open.content, &merged.content) else { continue };
            for entry in more {
                if open.keys.insert(entry.key.clone(), entry.key_place).is_none() {
                    entries.push(entry.clone());
                }
            }
        }
        let node = Arc::new(Node { place: open.place, tag: open.tag, content: open.content });
        self.add(Built { node, values: open.values, depth: open.depth }, open.anchor, 1)
    }

    fn spend(&mut self, values: usize, place: Place) -> Result<(), Problem> {
        self.spent = self.spent.saturating_add(values);
        if self.spent <= MAX_VALUES {
            return Ok(());
        }
        let message = format!("this document has more than {MAX_VALUES} values, counting every alias as what it stands for");
        Err(Problem { code: "too-large", place, message, hint: None })
    }

    /// Puts a finished value into what is open. `cost`: values that were not paid for yet.
    fn add(&mut self, built: Built, anchor: usize, cost: usize) -> Result<(), Problem> {
        self.spend(cost, built.node.place)?;
        if built.depth > MAX_DEPTH {
            let message = format!("more than {MAX_DEPTH} mappings and lists in each other");
            return Err(Problem { code: "too-deep", place: built.node.place, message, hint: None });
        }
        if anchor != 0 {
            self.anchors.insert(anchor, built.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(built.node);
            return Ok(());
        };
        open.values = open.values.saturating_add(built.values);
        open.depth = open.depth.max(built.depth + 1);
        match &mut open.content {
            Content::List(items) => items.push(built.node),
            Content::Map(entries) => {
                let Some((key, key_place)) = open.key.take() else { return Ok(()) };
                if key == "<<" {
                    match &built.node.content {
                        Content::Map(_) => open.merges.push(built.node),
                        Content::List(items) => open.merges.extend(items.iter().cloned()),
                        Content::Scalar(_) => {
                            let message = "`<<` merges a mapping or a list of mappings".to_owned();
                            self.problems.push(Problem { code: "yaml-merge", place: key_place, message, hint: None });
                        }
                    }
                } else if let Some(before) = open.keys.get(&key) {
                    let message = format!("the key `{key}` stands twice; first in line {}", before.line);
                    if self.problems.len() < MAX_PROBLEMS {
                        self.problems.push(Problem { code: "duplicate-key", place: key_place, message, hint: None });
                    }
                } else {
                    open.keys.insert(key.clone(), key_place);
                    entries.push(Entry { key, key_place, value: built.node });
                }
            }
            Content::Scalar(_) => {}
        }
        Ok(())
    }
}

/// The author's own tag; YAML's own ones (`!!str`) say nothing new.
fn own(tag: Option<&Tag>) -> Option<String> {
    tag.filter(|tag| !tag.is_yaml_core_schema()).map(Tag::original)
}
