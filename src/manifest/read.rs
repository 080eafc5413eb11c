//! Files to objects, as Kubernetes reads them.

use serde_json::Value;

use super::compose;
use super::error::{Fault, ReadError};
use super::object::{NotAnObject, Object};

/// One object of a file. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub object: Object,
    pub line: usize,
    pub column: usize,
    /// Whether it was an entry of a `List`.
    pub listed: bool,
}

/// One YAML document that is not empty, whatever it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Raw {
    pub value: Value,
    pub line: usize,
    pub column: usize,
    /// Line and column of the entries of a top-level `items` list.
    pub(super) items: Vec<(usize, usize)>,
}

/// How much one file may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Lists and mappings in one another.
    pub depth: usize,
    /// Values, keys included.
    pub nodes: usize,
    /// Values that anchors and aliases copy.
    pub expanded: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 10 << 20, depth: 100, nodes: 200_000, expanded: 100_000 }
    }
}

/// Reads a YAML or JSON text as Kubernetes would: one document or several, `List`s as their entries, empty documents
/// left out. `file` is how messages call it. Beyond Kubernetes: a duplicate key is an error.
pub fn read(file: &str, text: &str) -> Result<Vec<Document>, ReadError> {
    read_with(file, text, &Limits::default())
}

/// [`read`] with limits of one's own.
pub fn read_with(file: &str, text: &str, limits: &Limits) -> Result<Vec<Document>, ReadError> {
    let mut documents = Vec::new();
    for raw in raw(file, text, limits)? {
        documents.extend(raw.objects(file, text)?);
    }
    Ok(documents)
}

impl Raw {
    /// The objects of this document: one, or those of a `List`. `file` and `text` are what it was read from.
    pub fn objects(self, file: &str, text: &str) -> Result<Vec<Document>, ReadError> {
        let mut documents = Vec::new();
        let place = Place { line: self.line, column: self.column, listed: false };
        flatten(self.value, &self.items, place, &mut documents).map_err(|fault| ReadError::new(file, text, fault))?;
        Ok(documents)
    }
}

/// The documents of a YAML or JSON text, whether they are Kubernetes objects or not.
pub fn values(file: &str, text: &str) -> Result<Vec<Raw>, ReadError> {
    raw(file, text, &Limits::default())
}

fn raw(file: &str, text: &str, limits: &Limits) -> Result<Vec<Raw>, ReadError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.len() > limits.bytes {
        let cause = format!("the file has {} bytes, more than the limit of {}", text.len(), limits.bytes);
        let fault = Fault { line: 1, column: 1, cause, hint: Some("split the file".to_owned()) };
        return Err(ReadError::new(file, "", fault));
    }
    compose::documents(text, limits).map_err(|fault| ReadError::new(file, text, fault))
}

#[derive(Clone, Copy)]
struct Place {
    line: usize,
    column: usize,
    listed: bool,
}

/// Takes a `List` (or a typed one, `ConfigMapList`) apart, as kubectl does. Entries of a typed list may lack `apiVersion`
/// and `kind`: they have the list's.
fn flatten(value: Value, marks: &[(usize, usize)], place: Place, documents: &mut Vec<Document>) -> Result<(), Fault> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let list = text("kind").and_then(|kind| kind.strip_suffix("List").map(str::to_owned));
    let (Some(entry_kind), true) = (list, value.get("items").is_some_and(Value::is_array)) else {
        let object = Object::new(value).map_err(|cause| not_an_object(&cause, place))?;
        documents.push(Document { object, line: place.line, column: place.column, listed: place.listed });
        return Ok(());
    };
    let api_version = text("apiVersion");
    let Value::Object(mut list) = value else { return Ok(()) };
    let Some(Value::Array(entries)) = list.remove("items") else { return Ok(()) };
    for (index, mut entry) in entries.into_iter().enumerate() {
        let (line, column) = marks.get(index).copied().unwrap_or((place.line, place.column));
        if let (Value::Object(entry), false) = (&mut entry, entry_kind.is_empty()) {
            entry.entry("kind").or_insert_with(|| Value::String(entry_kind.clone()));
            if let Some(api_version) = &api_version {
                entry.entry("apiVersion").or_insert_with(|| Value::String(api_version.clone()));
            }
        }
        flatten(entry, &[], Place { line, column, listed: true }, documents)?;
    }
    Ok(())
}

fn not_an_object(cause: &NotAnObject, place: Place) -> Fault {
    let hint = match cause {
        NotAnObject::NotAMapping => "a manifest is a mapping with `apiVersion`, `kind` and `metadata.name`",
        NotAnObject::Missing("metadata.name") => "every object needs a name; `generateName` cannot be kept in Git",
        NotAnObject::Missing(_) => {
            "every document needs `apiVersion`, `kind` and `metadata.name`; move files that are no manifests elsewhere"
        }
    };
    Fault { line: place.line, column: place.column, cause: format!("no Kubernetes object: {cause}"), hint: Some(hint.to_owned()) }
}
