//! YAML as a tree in which every key and value knows its place.
//!
//! serde-saphyr stops at the first error, and a deserialised type has no places. So the documents of the language are
//! read into this tree by serde-saphyr's own parser, and checked on it.

mod build;
mod scalar;

pub use build::MAX_BYTES;
pub(crate) use build::parse;
pub(crate) use scalar::Scalar;

use std::sync::Arc;

use super::diagnostic::Place;
use super::path::{Path, Segment};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    /// A tag of the author's own (`!Ref`), which we have no meaning for.
    pub(crate) tag: Option<String>,
    pub(crate) content: Content,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Scalar(Scalar),
    List(Vec<Arc<Node>>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_place: Place,
    pub(crate) value: Arc<Node>,
}

impl Node {
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Arc<Self>> {
        self.entry(key).map(|entry| &entry.value)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.content {
            Content::Scalar(Scalar::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.content, Content::Scalar(Scalar::Null))
    }

    /// What the value is, in words.
    pub(crate) fn what(&self) -> String {
        match &self.content {
            Content::List(_) => "a list".to_owned(),
            Content::Map(_) => "a mapping".to_owned(),
            Content::Scalar(scalar) => scalar.what(),
        }
    }

    /// Where a field is, or the nearest mapping on the way to it that exists, and whether the whole way exists.
    /// `at_key`: the key's place even where the value is a single one.
    pub(crate) fn locate(&self, path: &Path, at_key: bool) -> (Place, bool) {
        let (mut node, mut place) = (self, self.place);
        for segment in path.segments() {
            let next = match (segment, &node.content) {
                (Segment::Index(index), Content::List(items)) => items.get(*index).map(|item| (item.place, item)),
                (Segment::Key(key), Content::Map(_)) => node.entry(key).map(|entry| {
                    let single = matches!(entry.value.content, Content::Scalar(_)) && !entry.value.is_null();
                    (if single && !at_key { entry.value.place } else { entry.key_place }, &entry.value)
                }),
                _ => None,
            };
            let Some((next_place, next_node)) = next else { return (place, false) };
            (place, node) = (next_place, next_node);
        }
        (place, true)
    }
}
