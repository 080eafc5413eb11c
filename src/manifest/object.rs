//! Kubernetes objects as plain values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// What makes an object the same object: API group (not version), kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    pub group: String,
    pub kind: String,
    pub namespace: Option<String>,
    pub name: String,
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {}/{}", self.kind, namespace, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

/// One Kubernetes object: a mapping with `apiVersion`, `kind` and `metadata.name`, all texts that are not empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Object(Map<String, Value>);

/// Why a value is no Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAnObject {
    #[error("not a mapping")]
    NotAMapping,
    #[error("`{0}` is missing or not a text")]
    Missing(&'static str),
}

impl Object {
    /// Takes a value that has the three fields every object needs.
    pub fn new(value: Value) -> Result<Self, NotAnObject> {
        let Value::Object(map) = value else { return Err(NotAnObject::NotAMapping) };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|text| !text.is_empty());
        for field in ["apiVersion", "kind"] {
            if !text(map.get(field)) {
                return Err(NotAnObject::Missing(field));
            }
        }
        if !text(map.get("metadata").and_then(|metadata| metadata.get("name"))) {
            return Err(NotAnObject::Missing("metadata.name"));
        }
        Ok(Self(map))
    }

    pub fn api_version(&self) -> &str {
        self.text("/apiVersion").unwrap_or_default()
    }

    pub fn kind(&self) -> &str {
        self.text("/kind").unwrap_or_default()
    }

    pub fn name(&self) -> &str {
        self.text("/metadata/name").unwrap_or_default()
    }

    pub fn namespace(&self) -> Option<&str> {
        self.text("/metadata/namespace")
    }

    /// The API group: `apps` of `apps/v1`, empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version().split_once('/').map_or("", |(group, _)| group)
    }

    pub fn key(&self) -> ObjectKey {
        ObjectKey {
            group: self.group().to_owned(),
            kind: self.kind().to_owned(),
            namespace: self.namespace().map(str::to_owned),
            name: self.name().to_owned(),
        }
    }

    /// The value at a JSON pointer (RFC 6901).
    pub fn get(&self, pointer: &str) -> Option<&Value> {
        let (first, rest) = split(pointer)?;
        let value = self.0.get(&first)?;
        if rest.is_empty() { Some(value) } else { value.pointer(rest) }
    }

    pub fn get_mut(&mut self, pointer: &str) -> Option<&mut Value> {
        let (first, rest) = split(pointer)?;
        let value = self.0.get_mut(&first)?;
        if rest.is_empty() { Some(value) } else { value.pointer_mut(rest) }
    }

    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.get(pointer).and_then(Value::as_str)
    }

    /// Sets a field, making the mappings on the way to it. `path` holds plain keys.
    /// A value on the way that is no mapping is replaced by one.
    pub fn set(&mut self, path: &[&str], value: Value) {
        let Some((last, parents)) = path.split_last() else { return };
        let mut map = &mut self.0;
        for key in parents {
            let next = map.entry((*key).to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            let Value::Object(inner) = next else { return };
            map = inner;
        }
        map.insert((*last).to_owned(), value);
    }

    /// Removes a field, and the mappings on the way that it leaves empty.
    pub fn remove(&mut self, path: &[&str]) {
        fn at(map: &mut Map<String, Value>, path: &[&str]) {
            let Some((first, rest)) = path.split_first() else { return };
            if rest.is_empty() {
                map.remove(*first);
            } else if let Some(Value::Object(inner)) = map.get_mut(*first) {
                at(inner, rest);
                if inner.is_empty() {
                    map.remove(*first);
                }
            }
        }
        at(&mut self.0, path);
    }

    pub fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }

    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }
}

fn split(pointer: &str) -> Option<(String, &str)> {
    let pointer = pointer.strip_prefix('/')?;
    let end = pointer.find('/').unwrap_or(pointer.len());
    Some((pointer[..end].replace("~1", "/").replace("~0", "~"), &pointer[end..]))
}

/// The objects of one slot or live tree, one of each key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObjectSet(BTreeMap<ObjectKey, Object>);

impl ObjectSet {
    /// Adds an object; gives back the one that it replaces.
    pub fn insert(&mut self, object: Object) -> Option<Object> {
        self.0.insert(object.key(), object)
    }

    pub fn get(&self, key: &ObjectKey) -> Option<&Object> {
        self.0.get(key)
    }

    pub fn get_mut(&mut self, key: &ObjectKey) -> Option<&mut Object> {
        self.0.get_mut(key)
    }

    pub fn remove(&mut self, key: &ObjectKey) -> Option<Object> {
        self.0.remove(key)
    }

    /// The first object of this group, kind and name, in whatever namespace.
    pub fn find(&self, group: &str, kind: &str, name: &str) -> Option<&Object> {
        self.0.values().find(|object| object.group() == group && object.kind() == kind && object.name() == name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ObjectKey, &Object)> {
        self.0.iter()
    }

    pub fn values(&self) -> impl Iterator<Item = &Object> {
        self.0.values()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The file name of each object, without an extension: `<kind>-<name>` in lower case, with the group and then the
    /// namespace where two objects would collide, and a digest where these still do or the name is too long for a file.
    /// Every name is different, is one path part and starts with no dot, whatever the objects are called.
    pub fn file_stems(&self) -> BTreeMap<&ObjectKey, String> {
        self.file_stems_beside(&BTreeSet::new())
    }

    /// The same beside `taken`, names that stand there for other objects. An object whose longest name is taken keeps it: only
    /// the object itself has that name.
    pub fn file_stems_beside(&self, taken: &BTreeSet<String>) -> BTreeMap<&ObjectKey, String> {
        super::stems::stems(self.0.keys(), taken)
    }
}

impl FromIterator<Object> for ObjectSet {
    fn from_iter<T: IntoIterator<Item = Object>>(objects: T) -> Self {
        let mut set = Self::default();
        for object in objects {
            set.insert(object);
        }
        set
    }
}
